"""How a handler's parameters take the input, and what is refused at construction."""

from __future__ import annotations

import enum
import functools
import math
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

import msgspec
import pydantic
import pytest

from swf_worker import (
    ActivityContext,
    ActivityWorker,
    Completed,
    ConfigurationError,
    Failed,
    InputDecodeError,
    JsonConverter,
    ResultEncodeError,
    TextConverter,
    activity,
)
from swf_worker.testing import ActivityEnvironment

if TYPE_CHECKING:
    from decimal import Decimal


class Colour(enum.Enum):
    RED = "red"


@dataclass
class Request:
    page: int
    colour: Colour = Colour.RED
    path: Path = Path("/")


class Typed(TypedDict):
    page: int


class Model(pydantic.BaseModel):
    page: int


class Struct(msgspec.Struct):
    page: int


def answer(handler: Any, input: Any = None, **given: Any) -> Any:
    return ActivityEnvironment().outcome(handler, input, **given)


def make(function: Any, **options: Any) -> Any:
    return activity(version="1", **options)(function)


def refused(function: Any, **options: Any) -> str:
    with pytest.raises(ConfigurationError) as caught:
        ActivityWorker(domain="d", task_list="t", activities=[make(function, **options)])
    return str(caught.value)


def test_no_parameters_ignore_the_input():
    assert answer(make(lambda: 1), raw_input="not json") == Completed("1")


def test_one_parameter_takes_the_whole_input():
    def handler(context: ActivityContext, request: Request) -> Any:
        return [request.page, request.colour.name, str(request.path), context.task.activity_id]

    given = {"page": 3, "path": "/tmp", "unknown": "ignored: deciders evolve"}
    assert answer(make(handler), given) == Completed('[3,"RED","/tmp","activity-1"]')


def test_several_parameters_are_members_with_defaults():
    def handler(page: int, *, path: str = "/x", context: ActivityContext) -> Any:
        return [page, path, context.should_stop]

    assert answer(make(handler), {"page": 1, "extra": 2}) == Completed('[1,"/x",false]')
    assert answer(make(handler), {"page": 1, "path": "/y"}) == Completed('[1,"/y",false]')


def test_positional_only_parameters():
    def handler(page: int, path: str = "/x", /, context: ActivityContext | None = None) -> Any:
        return [page, path]

    def later(first: int = 1, second: int = 2, /) -> Any:
        return [first, second]

    assert answer(make(later), {"first": 5}) == Completed("[5,2]")


def test_input_overrides_how_it_is_taken():
    def handler(page: int) -> int:
        return page

    assert answer(make(handler, input="members"), {"page": 4}) == Completed("4")
    assert "exactly one parameter" in refused(lambda a, b: None, input="whole")
    assert "allowed are" in refused(lambda a: None, input="some")


@pytest.mark.parametrize("kind", [Typed, Model, Struct, dict[str, int]])
def test_typed_inputs_of_every_kind(kind):
    def handler(request):
        return request["page"] if isinstance(request, dict) else request.page

    handler.__annotations__["request"] = kind
    assert answer(make(handler), {"page": 7}) == Completed("7")
    failed = answer(make(handler), {"page": "secret-value"})
    assert failed.reason == "InputDecodeError"
    assert "secret-value" not in failed.details


def test_results_of_every_kind():
    assert answer(make(lambda: Request(1))) == Completed('{"page":1,"colour":"red","path":"/"}')
    assert answer(make(lambda: Model(page=2))) == Completed('{"page":2}')
    assert answer(make(lambda: [Struct(3), Colour.RED, {"a"}])) == Completed(
        '[{"page":3},"red",["a"]]'
    )
    assert answer(make(lambda: None)) == Completed(None)
    assert answer(make(lambda: {1: "ü"})) == Completed('{"1":"ü"}')


def cycle() -> list[Any]:
    loop: list[Any] = []
    loop.append(loop)
    return loop


@pytest.mark.parametrize(
    "value",
    [math.nan, math.inf, cycle(), object(), "\ud800", {"a": {math.nan}}],
    ids=lambda value: type(value).__name__,
)
def test_what_is_not_json_is_a_typed_failure(value):
    failed = answer(make(lambda: value))
    assert failed.reason == "ResultEncodeError"
    with pytest.raises(ResultEncodeError):
        JsonConverter().encode(value)


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("{", "not JSON"),
        ("", "not JSON"),
        ('"\ud800"', "not JSON"),
        ('{"page": "x"}', "$.page"),
        ('{"page": 1, "colour": "secret"}', "$.colour"),
        ("[]", "Expected `object`, got `array` - at `$`"),
        ("{}", "page"),
    ],
)
def test_bad_input_names_the_path_and_not_the_value(text, says):
    def handler(request: Request) -> None: ...

    failed = answer(make(handler), raw_input=text)
    assert isinstance(failed, Failed)
    assert failed.reason == "InputDecodeError"
    assert says in failed.details
    assert "secret" not in failed.details


def test_no_input_takes_the_default_or_fails():
    def optional(request: Request | None) -> bool:
        return request is None

    def defaulted(request: Request = Request(9)) -> int:  # noqa: B008
        return request.page

    def required(request) -> None: ...

    def members(a: int, b: int = 2) -> None: ...

    assert answer(make(optional)) == Completed("true")
    assert answer(make(defaulted)) == Completed("9")
    assert answer(make(required)).reason == "InputDecodeError"
    assert "'a'" in answer(make(members)).details


def test_raw_text_in_and_out():
    def handler(text: str) -> str:
        return text.upper()

    shout = make(handler, converter=TextConverter())
    assert answer(shout, raw_input="not json") == Completed("NOT JSON")
    assert answer(make(lambda: 1, converter=TextConverter())).reason == "ResultEncodeError"
    assert answer(make(lambda: None, converter=TextConverter())) == Completed(None)
    assert answer(make(lambda: "\ud800", converter=TextConverter())).reason == "ResultEncodeError"
    assert "TextConverter" in refused(lambda a, b: None, converter=TextConverter())


def test_a_converter_that_raises_fails_the_task():
    class Broken:
        def decode(self, text: str, wanted: Any) -> Any:
            raise LookupError("no codebook")

        def encode(self, value: Any) -> Any:
            return 5

    failed = answer(make(lambda a: a, converter=Broken()), raw_input="x")
    assert failed.reason == "InputDecodeError"
    assert "Broken raised LookupError" in failed.details
    assert "no codebook" not in failed.details
    assert answer(make(lambda: 1, converter=Broken())).reason == "ResultEncodeError"


def test_a_bare_activity_context_is_recognised_without_its_import():
    def handler(context, page):
        return page

    handler.__annotations__ = {"context": "ActivityContext", "page": "int"}
    assert answer(make(handler), 5) == Completed("5")


def test_hints_resolve_with_the_unwrapped_functions_globals():
    def decorator(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            return function(*args, **kwargs)

        return wrapper

    @decorator
    def handler(context: ActivityContext, request: Request) -> int:
        return request.page

    assert answer(make(handler), {"page": 2}) == Completed("2")


def test_partials_and_callable_objects_are_handlers():
    def handler(factor: int, request: int) -> int:
        return factor * request

    triple = functools.partial(handler, 3)
    assert answer(make(triple, name="Triple"), 4) == Completed("12")

    class Doubler:
        def __call__(self, request: int) -> int:
            return request * 2

    assert answer(make(Doubler(), name="Double"), 4) == Completed("8")


def only_for_type_checkers(price: Decimal) -> None: ...


def test_what_is_refused_names_the_parameter():
    assert "'price'" in refused(only_for_type_checkers)
    assert "'args'" in refused(lambda *args: None)
    assert "'kwargs'" in refused(lambda **kwargs: None)
    assert "'context' has no annotation" in refused(lambda context: None)

    def two(a: ActivityContext, b: ActivityContext) -> None: ...

    assert "more than one" in refused(two)

    class Foreign: ...

    def foreign(thing: list[Foreign]) -> None: ...

    foreign.__annotations__["thing"] = list[Foreign]
    assert "a Foreign can't be built from JSON" in refused(foreign)

    def ambiguous(thing: Any) -> None: ...

    ambiguous.__annotations__["thing"] = Struct | Request
    assert "'thing'" in refused(ambiguous)


def test_handlers_that_nobody_could_run_are_refused():
    def generator():
        yield 1

    async def stream():
        yield 1

    assert "generator" in refused(generator)
    assert "generator" in refused(stream)

    async def real() -> None: ...

    @functools.wraps(real)
    def wrapped() -> Any:
        return real()

    message = refused(wrapped)
    assert "async def" in message
    assert "await the handler" in message


def test_an_awaitable_that_nobody_awaits_is_a_readable_failure():
    async def real() -> int:
        return 1

    failed = answer(make(lambda: real(), name="Hidden"))
    assert failed.reason == "TypeError"
    assert "async def" in failed.details


def test_input_decode_error_of_a_handlers_own_is_its_own_failure():
    def handler() -> None:
        raise InputDecodeError("of a nested message")

    failed = answer(make(handler))
    assert failed.reason == "InputDecodeError"
