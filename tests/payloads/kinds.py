"""Classes of every library, for the tests of payloads."""

from __future__ import annotations

import datetime
import enum
import typing
import uuid
from dataclasses import InitVar, dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, TypeVar

import attrs
import msgspec
import pydantic
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

T = TypeVar("T")
SECRET = "s3cr3t-payload"


class User(BaseModel):
    user_id: int = Field(alias="userId")
    tags: list[str] = []


class Owner(BaseModel):
    owner: User = Field(alias="ownedBy")


class Strict(BaseModel):
    model_config = ConfigDict(strict=True)
    at: datetime.datetime
    id: uuid.UUID
    colour: Colour


class Open(BaseModel):
    model_config = ConfigDict(extra="allow")
    page: int = 0


class Colour(enum.Enum):
    RED = "red"
    BLUE = "blue"


@pydantic.dataclasses.dataclass
class Counted:
    count: int = Field(gt=0)


@attrs.define
class Private:
    _id: int
    n: int = attrs.field(converter=int, default=2)
    z: int = attrs.field(alias="zed", default=1)
    v: int = attrs.field(default=1, validator=attrs.validators.gt(0))
    doubled: int = attrs.field(
        init=False, default=attrs.Factory(lambda s: s.n * 2, takes_self=True)
    )


@attrs.define
class PlainAttrs:
    page: int
    name: str = "x"


@dataclass
class Plain:
    page: int
    name: str = "x"


@dataclass
class Underscored:
    _id: int
    computed: int = field(init=False, default=7)


@dataclass
class WithInitVar:
    raw: InitVar[int]
    value: int = 0

    def __post_init__(self, raw: int) -> None:
        self.value = raw * 2


@dataclass
class OwnInit:
    page: int

    def __init__(self, page: int) -> None:
        self.page = page + 1


@dataclass
class Box(Generic[T]):
    item: T
    next: Box[T] | None = None


class Tree(typing.TypedDict):
    user: User
    children: typing.NotRequired[list[Tree]]


class Pair(NamedTuple):
    user: User
    size: int = 3


class Struct(msgspec.Struct, rename="camel"):
    page_count: int
    user: User | None = None


class Tagged(msgspec.Struct, tag="t"):
    page: int


@dataclass
class Mixed:
    users: list[User]
    counted: Counted | None
    private: Private
    positive: Annotated[int, Field(gt=0)] = 1
    path: Path = Path("/")
    inner: list[Mixed] = field(default_factory=list)


UserId = NewType("UserId", int)
Even = Annotated[int, AfterValidator(lambda n: n if n % 2 == 0 else odd(n))]
Cat = Literal["cat"]


def odd(number: int) -> Any:
    raise ValueError(f"{number} is odd, and {SECRET}")


def raising(error: Any) -> type:
    """A dataclass whose check raises this."""

    @dataclass
    class Checked:
        name: str

        def __post_init__(self) -> None:
            raise error(self.name) if callable(error) else error

    return Checked


@dataclass
class Ten:
    a: int
    b: str
    c: float
    d: bool
    e: list[int]
    f: dict[str, int]
    g: str | None
    h: datetime.datetime
    i: Decimal
    j: Colour = Colour.RED
