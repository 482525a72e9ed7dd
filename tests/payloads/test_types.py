"""Each type of a handler's signature: what it takes, what it refuses, and what is written of it."""

from __future__ import annotations

import dataclasses
import datetime
import re
import sys
import textwrap
import uuid
from dataclasses import dataclass
from decimal import Decimal
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal

import annotated_types
import attrs
import msgspec
import pydantic
import pytest
from pydantic import Field, PositiveInt

from swf_worker import ActivityWorker, Completed, ConfigurationError, activity
from swf_worker.payloads.reading import Reader
from swf_worker.payloads.words import Mismatch
from swf_worker.payloads.writing import Unwritable, compact_json
from swf_worker.testing import ActivityEnvironment
from tests.payloads import kinds
from tests.payloads.kinds import (
    Box,
    Colour,
    Counted,
    Even,
    Mixed,
    Open,
    Owner,
    OwnInit,
    Pair,
    Plain,
    PlainAttrs,
    Private,
    Strict,
    Struct,
    Tree,
    Underscored,
    User,
    UserId,
    WithInitVar,
)

UUID = "12345678-1234-5678-1234-567812345678"
MOMENT = "2026-01-02T03:04:05Z"


def read(wanted: Any, text: str) -> Any:
    return Reader(wanted).read(text)


def refused(wanted: Any, text: str) -> str:
    with pytest.raises(Mismatch) as caught:
        read(wanted, text)
    error = caught.value
    assert error.__cause__ is None
    assert error.__context__ is None, "it would hold the value"
    return error.told()


ROUND = [
    (int, "3", 3),
    (float, "1.5", 1.5),
    (str, '"ü"', "ü"),
    (bool, "true", True),
    (int | None, "null", None),
    (int | str, '"x"', "x"),
    (list[int], "[1,2]", [1, 2]),
    (tuple[int, str], '[1,"x"]', (1, "x")),
    (tuple[User, ...], '[{"userId":1,"tags":[]}]', (User(userId=1),)),
    (set[int], "[1]", {1}),
    (frozenset[str], '["a"]', frozenset("a")),
    (dict[str, list[int]], '{"a":[1]}', {"a": [1]}),
    (dict[int, str], '{"1":"x"}', {1: "x"}),
    (Literal["a", 2], '"a"', "a"),
    (Colour, '"red"', Colour.RED),
    (datetime.datetime, f'"{MOMENT}"', datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)),
    (datetime.date, '"2026-01-02"', datetime.date(2026, 1, 2)),
    (datetime.time, '"03:04:05"', datetime.time(3, 4, 5)),
    (datetime.timedelta, '"PT90S"', datetime.timedelta(seconds=90)),
    (uuid.UUID, f'"{UUID}"', uuid.UUID(UUID)),
    (Decimal, '"1.50"', Decimal("1.50")),
    (bytes, '"eHk="', b"xy"),
    (Path, '"/tmp"', Path("/tmp")),
    (UserId, "3", 3),
    (Any, '{"a":[1,null]}', {"a": [1, None]}),
    (Plain, '{"page":1,"name":"n"}', Plain(1, "n")),
    (PlainAttrs, '{"page":1,"name":"n"}', PlainAttrs(1, "n")),
    (Underscored, '{"_id":1,"computed":7}', Underscored(1)),
    (Private, '{"id":1,"n":7,"zed":3,"v":2,"doubled":14}', Private(1, 7, 3, 2)),
    (User, '{"userId":1,"tags":["a"]}', User(userId=1, tags=["a"])),
    (list[User], '[{"userId":1,"tags":[]}]', [User(userId=1)]),
    (User | None, "null", None),
    (User | Counted, '{"count":2}', Counted(2)),
    (Owner, '{"ownedBy":{"userId":1,"tags":[]}}', Owner(ownedBy=User(userId=1))),
    (
        Strict,
        f'{{"at":"{MOMENT}","id":"{UUID}","colour":"red"}}',
        Strict(
            at=datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC),
            id=uuid.UUID(UUID),
            colour=Colour.RED,
        ),
    ),
    (Counted, '{"count":2}', Counted(2)),
    (dict[str, Counted], '{"a":{"count":2}}', {"a": Counted(2)}),
    (PositiveInt, "1", 1),
    (Even, "2", 2),
    (Box[int], '{"item":1,"next":{"item":2,"next":null}}', Box(1, Box(2))),
    (Box[User], '{"item":{"userId":1,"tags":[]},"next":null}', Box(User(userId=1))),
    (
        Tree,
        '{"user":{"userId":1,"tags":[]},"children":[{"user":{"userId":2,"tags":[]}}]}',
        {"user": User(userId=1), "children": [{"user": User(userId=2)}]},
    ),
    (Pair, '[{"userId":1,"tags":[]},5]', Pair(User(userId=1), 5)),
    (Struct, '{"pageCount":1,"user":null}', Struct(1)),
    (Struct, '{"pageCount":1,"user":{"userId":2,"tags":[]}}', Struct(1, User(userId=2))),
    (kinds.Tagged, '{"type":"t","page":1}', kinds.Tagged(1)),
]


@pytest.mark.parametrize(("wanted", "text", "value"), ROUND, ids=lambda each: str(each)[:40])
def test_it_is_read_as_it_is_written(wanted, text, value):
    found = read(wanted, text)
    assert found == value
    assert type(found) is type(value)
    assert compact_json(value) == text


def test_a_mix_of_all_of_them_goes_round():
    text = (
        '{"users":[{"userId":1,"tags":[]}],"counted":{"count":2},'
        '"private":{"id":3,"n":2,"zed":1,"v":1,"doubled":4},"positive":5,"path":"/x","inner":['
        '{"users":[],"counted":null,"private":{"id":4,"n":2,"zed":1,"v":1,"doubled":4},'
        '"positive":1,"path":"/","inner":[]}]}'
    )
    assert compact_json(read(Mixed, text)) == text


def test_constructors_are_called():
    assert read(Private, '{"id":1,"n":7}').doubled == 14
    assert read(WithInitVar, '{"raw":4}').value == 8
    assert read(OwnInit, '{"page":4}').page == 5
    assert read(Underscored, '{"_id":1,"computed":99}').computed == 7, "it is none of the input's"
    assert read(Private, '{"_id":3}')._id == 3, "the attribute's own name is known, too"


@pytest.mark.parametrize(
    ("wanted", "text", "said"),
    [
        (int, '"x"', "Expected `int`, got `str` - at `$`"),
        (Plain, "{}", "Object missing required field `page` - at `$`"),
        (Plain, '{"page":"x"}', "Expected `int`, got `str` - at `$.page`"),
        (dict[str, int], '{"key":"x"}', "Expected `int`, got `str` - at `$[...]`"),
        (dict[int, int], '{"key":1}', "Expected `int`, got `str` - at `$ (a key)`"),
        (Colour, '"x - at `$.evil`"', "Invalid enum value - at `$`"),
        (Literal["a"], '"x"', "Invalid enum value - at `$`"),
        (User, "{}", "Refused by pydantic: missing - at `$.userId`"),
        (User, '{"userId":"x"}', "Refused by pydantic: int_parsing - at `$.userId`"),
        (Counted, '{"count":-1}', "Refused by pydantic: greater_than (gt 0) - at `$.count`"),
        (
            list[Counted],
            '[{"count":-1}]',
            "Refused by pydantic: greater_than (gt 0) - at `$[0].count`",
        ),
        (Annotated[int, Field(gt=0)], "-1", "Refused by pydantic: greater_than (gt 0) - at `$`"),
        (PositiveInt, '"1"', "Refused by pydantic: int_type - at `$`"),
        (
            Annotated[int, annotated_types.Lt(3)],
            "3",
            "Refused by pydantic: less_than (lt 3) - at `$`",
        ),
        (
            dict[str, PositiveInt],
            '{"k":-1}',
            "Refused by pydantic: greater_than (gt 0) - at `$[...]`",
        ),
        (Even, "3", "Refused by a check of the type's own - at `$`"),
        (Private, '{"id":1,"v":-1}', "Refused by a check of the type's own - at `$`"),
        (Private, '{"id":"x"}', "Expected `int`, got `str` - at `$.id`"),
        (Pair, '[{"userId":1},"x"]', "Expected `int`, got `str` - at `$[1]`"),
        (
            Mixed,
            '{"users":[{"userId":"x"}]}',
            "Refused by pydantic: int_parsing - at `$.users[0].userId`",
        ),
        (
            User | Counted,
            "1",
            "Refused by pydantic: model_type (class_name User) - at `$[...]`",
        ),
        (Decimal, '"x"', "Invalid decimal string - at `$`"),
        (Any, "{", "Input data was truncated - at `$`"),
        (Any, "NaN", "JSON is malformed: invalid character (byte 0) - at `$`"),
        (float, "NaN", "JSON is malformed: invalid character (byte 0) - at `$`"),
        (str, '"\ud800"', "it is no text in UTF-8 - at `$`"),
    ],
)
def test_what_does_not_fit_is_told_by_place_and_kind(wanted, text, said):
    assert refused(wanted, text) == said


@pytest.mark.parametrize(
    ("wanted", "says"),
    [
        (complex, "a complex can't be built from JSON"),
        (list[object], "a object can't be built from JSON"),
        (User | PlainAttrs, "pydantic can't build it"),
        (Plain | PlainAttrs, "unions"),
        (dict[Private, int], "keys of"),
    ],
)
def test_what_can_not_be_served_is_refused_at_construction(wanted, says):
    def handler(given):
        return given

    handler.__annotations__["given"] = wanted
    with pytest.raises(ConfigurationError, match=r"activity handler: parameter 'given'") as caught:
        ActivityWorker(domain="d", task_list="t", activities=[activity(version="1")(handler)])
    assert says in str(caught.value)


def test_metadata_of_nobodys_is_nobodys():
    assert read(Annotated[int, "seconds", {"unit": "s"}], "3") == 3
    assert read(Annotated[str, msgspec.Meta(max_length=2)], '"ab"') == "ab"
    assert "length <= 2" in refused(Annotated[str, msgspec.Meta(max_length=2)], '"abc"')


WRITTEN = [
    ({"n": Decimal("5")}, '{"n":"5"}'),
    ({"b": b"xy"}, '{"b":"eHk="}'),
    ({"s": {1}}, '{"s":[1]}'),
    ({"t": datetime.timedelta(seconds=90)}, '{"t":"PT90S"}'),
    ({1: "a"}, '{"1":"a"}'),
    ({None: 1, True: 2, 1.5: 3}, '{"null":1,"true":2,"1.5":3}'),
    ({Colour.RED: Colour.BLUE}, '{"red":"blue"}'),
    ({datetime.date(2026, 1, 2): 1}, '{"2026-01-02":1}'),
    (2**80, str(2**80)),
    (Path("/x"), '"/x"'),
    ((1, [2, (3,)]), "[1,[2,[3]]]"),
]


@pytest.mark.parametrize(("value", "text"), WRITTEN, ids=lambda each: str(each)[:30])
def test_what_an_untyped_value_becomes(value, text):
    assert compact_json(value) == text


@pytest.mark.parametrize(
    "value",
    [
        float("nan"),
        float("-inf"),
        Decimal("NaN"),
        Decimal("sNaN"),
        Decimal("Infinity"),
        {float("nan"): 1},
        {Decimal("NaN"): 1},
        {1: "a", "1": "b"},
        {Colour.RED: 1, "red": 2},
        {(1, 2): 3},
        [object()],
        1j,
        "\ud800",
        {"\udfff": 1},
    ],
    ids=range(14),
)
def test_what_would_be_lost_or_changed_is_not_written(value):
    for each in (value, [value], {"m": value}, Box(value)):
        with pytest.raises(ValueError):
            compact_json(each)


def test_a_cycle_ends():
    loop: list[Any] = []
    loop.append(loop)
    with pytest.raises(RecursionError):
        compact_json(loop)


def test_what_reading_an_object_raises_is_not_passed_on():
    class Hostile(pydantic.BaseModel):
        @pydantic.model_serializer
        def write(self) -> Any:
            raise KeyError(kinds.SECRET)

    with pytest.raises(Unwritable) as caught:
        compact_json(Hostile())
    assert kinds.SECRET not in str(caught.value)
    assert caught.value.__context__ is None


def test_models_are_written_by_alias_wherever_they_are():
    @activity(version="1")
    def handler(user: User) -> Any:
        return {"users": [user], "in": Box(user), "struct": Struct(1, user), "pair": (user,)}

    done = ActivityEnvironment().outcome(handler, {"userId": 1})
    assert isinstance(done, Completed)
    assert done.result.count('"userId"') == 4
    assert "user_id" not in done.result


def test_serialization_aliases_and_serializers_hold():
    class Paid(pydantic.BaseModel):
        amount: int = Field(serialization_alias="Amount", validation_alias="amt")

        @pydantic.field_serializer("amount")
        def as_text(self, amount: int) -> str:
            return f"{amount} EUR"

    assert compact_json(Paid(amt=3)) == '{"Amount":"3 EUR"}'
    assert read(Paid, '{"amt":3}').amount == 3


def test_a_struct_is_written_as_its_library_writes_it():
    class Lean(msgspec.Struct, omit_defaults=True, rename="camel"):
        page_count: int
        tags: list[str] = msgspec.field(default_factory=list)
        name: str = "x"

    class Row(msgspec.Struct, array_like=True):
        a: int
        b: str = "x"

    for value in (Lean(1), Lean(1, ["a"], "y"), Row(1), kinds.Tagged(2), Struct(3)):
        assert compact_json(value) == msgspec.json.encode(value).decode()


def test_what_looks_like_a_model_is_asked():
    class Own:
        def __init__(self, page: int) -> None:
            self.page = page

        @classmethod
        def model_validate(cls, value: Any) -> Own:
            return cls(value["page"])

        def model_dump(self, mode: str) -> Any:
            return {"page": self.page}

    assert read(Own, '{"page":3}').page == 3
    assert refused(list[Own], '[{"pages":3}]') == "Refused by a check of the type's own - at `$[0]`"
    assert compact_json([Own(4)]) == '[{"page":4}]'


@pytest.mark.skipif(sys.version_info < (3, 14), reason="annotations are lazy from Python 3.14 on")
def test_a_lazy_annotation_that_can_not_be_resolved_is_told(tmp_path, monkeypatch):
    (tmp_path / "lazy.py").write_text(
        textwrap.dedent(
            """
            from typing import TYPE_CHECKING
            from swf_worker import activity
            if TYPE_CHECKING:
                from decimal import Decimal
                from swf_worker import ActivityContext

            @activity(version="1")
            def handler(amount: Decimal) -> None: ...

            @activity(version="1")
            def fine(context: ActivityContext, amount: int) -> int:
                return amount
            """
        )
    )
    monkeypatch.syspath_prepend(str(tmp_path))
    import lazy  # type: ignore[import-not-found]

    with pytest.raises(ConfigurationError, match=r"'amount': its annotation .*Decimal"):
        ActivityWorker(domain="d", task_list="t", activities=[lazy.handler])
    assert ActivityEnvironment().outcome(lazy.fine, 3) == Completed("3")


def test_attrs_fields_without_annotation_take_anything():
    made = attrs.make_class("Made", {"_a": attrs.field(), "b": attrs.field(default=1)})
    assert read(made, '{"a":[1]}') == made([1])


def test_a_dataclass_of_a_function_is_served():
    @dataclass
    class Local:
        page: int

    assert read(Local, '{"page":1}') == Local(1)
    assert re.match(r"Expected", refused(list[Local], "[1]"))


def test_open_models_keep_what_they_do_not_know():
    assert compact_json(read(Open, '{"page":1,"more":[2]}')) == '{"page":1,"more":[2]}'


def test_a_tag_holds_also_where_another_library_builds_a_member():
    class Kept(msgspec.Struct, tag="kept"):
        counted: Counted

    assert read(Kept, '{"type":"kept","counted":{"count":2}}') == Kept(Counted(2))
    assert refused(Kept, '{"type":"other","counted":{"count":2}}') == "Invalid value - at `$[...]`"
    assert compact_json(Kept(Counted(2))) == '{"type":"kept","counted":{"count":2}}'


def test_class_variables_are_no_members():
    @dataclass
    class Counts:
        page: int
        total: ClassVar[int] = 3
        left: int = dataclasses.field(init=False, default=1)

    assert read(Counts, '{"page":1,"total":9,"left":9}') == Counts(1)
    assert Counts.total == 3


@pytest.mark.parametrize("wanted", [User, Counted, PositiveInt, list[User], Plain, kinds.Mixed])
def test_a_broken_text_is_told_as_no_json_whoever_reads_it(wanted):
    def handler(given): ...

    handler.__annotations__["given"] = wanted
    for text in ('{"a', "plain text"):
        failed = ActivityEnvironment().outcome(activity(version="1")(handler), raw_input=text)
        assert "TextConverter" in failed.details
