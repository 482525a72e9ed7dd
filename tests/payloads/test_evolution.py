"""A handler's signature evolves while tasks are in flight: what was scheduled before still fits,
where it can be told what it is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from swf_worker import (
    ActivityContext,
    ActivityWorker,
    Completed,
    ConfigurationError,
    TextConverter,
    activity,
)
from swf_worker.local import LocalSwf
from swf_worker.observations import InputUnclear
from swf_worker.testing import ActivityEnvironment
from tests.payloads.kinds import Open, User


@dataclass
class Order:
    id: int


@dataclass
class Options:
    fast: bool = False


@dataclass
class Named:
    order: str = "?"


def given(handler: Any, raw: str | None, **options: Any) -> Any:
    outcome = ActivityEnvironment().outcome(
        activity(version="1", **options)(handler), raw_input=raw
    )
    return outcome.result if isinstance(outcome, Completed) else outcome.reason


def greet(context: ActivityContext, name: str, lang: str = "en") -> Any:
    return [name, lang]


def pay(order: Order, lang: str = "en") -> Any:
    return [order.id, lang]


def maybe(order: Order | None = None, lang: str = "en") -> Any:
    return [order and order.id, lang]


def untyped(order: Any, lang: str = "en") -> Any:
    return [order, lang]


def one(order: Order) -> Any:
    return order.id


def options(options: Options) -> Any:
    return options.fast


def anything(order: dict[str, Any]) -> Any:
    return order


def number(page: int) -> Any:
    return page


def model(user: User, lang: str = "en") -> Any:
    return [user.user_id, lang]


def two(a: int, b: int) -> Any:
    return [a, b]


def only_none(page: int | None, /) -> Any:
    return page


WRONG = "InputDecodeError"


@pytest.mark.parametrize(
    ("handler", "raw", "result"),
    [
        # A parameter with a default was added.
        (greet, '"Ada"', '["Ada","en"]'),
        (greet, ' \n"Ada"', '["Ada","en"]'),
        (greet, '{"name":"Ada"}', '["Ada","en"]'),
        (greet, '{"name":"Ada","lang":"de","more":1}', '["Ada","de"]'),
        (greet, '{"lang":"de"}', WRONG),
        (greet, "3", WRONG),
        (greet, "[]", WRONG),
        (greet, "{", WRONG),
        (pay, '{"id":1}', '[1,"en"]'),
        (pay, '{"order":{"id":1},"lang":"de"}', '[1,"de"]'),
        (pay, '{"order":{"id":1}}', '[1,"en"]'),
        (pay, '{"id":1,"more":2}', '[1,"en"]'),
        (pay, "{}", WRONG),
        (maybe, '{"id":1}', '[1,"en"]'),
        (maybe, '{"order":{"id":1}}', '[1,"en"]'),
        (maybe, '{"lang":"de"}', '[null,"de"]'),
        (maybe, "{}", '[null,"en"]'),
        (maybe, '{"more":1}', '[null,"en"]'),
        (maybe, "null", '[null,"en"]'),
        (maybe, None, '[null,"en"]'),
        (maybe, "{", WRONG),
        (maybe, '{"id":1', WRONG),
        (pay, '{"order"', WRONG),
        (only_none, None, None),
        (only_none, "3", "3"),
        (untyped, "3", '[3,"en"]'),
        (untyped, '{"id":1}', '[{"id":1},"en"]'),
        (untyped, '{"order":{"id":1},"lang":"de"}', '[{"id":1},"de"]'),
        (model, '{"userId":1}', '[1,"en"]'),
        (model, '{"user":{"userId":1},"lang":"de"}', '[1,"de"]'),
        (two, '{"a":1,"b":2}', "[1,2]"),
        (two, "1", WRONG),
        # One was taken away.
        (one, '{"order":{"id":1},"lang":"de"}', "1"),
        (one, '{"order":{"id":1}}', "1"),
        (one, '{"id":1}', "1"),
        (one, '{"id":1,"lang":"de"}', "1"),
        (options, '{"options":{"fast":true}}', "true"),
        (options, '{"fast":true}', "true"),
        (number, '{"page":3,"lang":"de"}', "3"),
        (number, "3", "3"),
        (number, '{"lang":"de"}', WRONG),
        # It can't be told: as ever, and said at the start.
        (anything, '{"order":{"id":1}}', '{"order":{"id":1}}'),
        (anything, '{"id":1}', '{"id":1}'),
    ],
)
def test_an_input_of_before_and_of_now(handler, raw, result):
    assert given(handler, raw) == result


@pytest.mark.parametrize(
    ("handler", "raw", "how", "result"),
    [
        (anything, '{"order":{"id":1}}', "members", '{"id":1}'),
        (anything, '{"order":{"id":1}}', "whole", '{"order":{"id":1}}'),
        (untyped, '{"order":1,"lang":"de"}', "whole", '[{"order":1,"lang":"de"},"en"]'),
        (greet, '"Ada"', "members", WRONG),
        (greet, '{"name":"Ada"}', "whole", WRONG),
        (one, '{"order":{"id":1}}', "whole", WRONG),
        (pay, '{"id":1}', "whole", '[1,"en"]'),
    ],
)
def test_input_says_which(handler, raw, how, result):
    assert given(handler, raw, input=how) == result


def test_whole_needs_one_parameter_without_a_default():
    with pytest.raises(ConfigurationError, match="exactly one parameter without a default"):
        given(two, "1", input="whole")


def test_text_goes_to_the_one_that_has_no_default():
    outcome = ActivityEnvironment().outcome(
        activity(version="1", converter=TextConverter())(lambda name, lang="en": f"{name} {lang}"),
        raw_input="Ada",
    )
    assert outcome == Completed("Ada en")


@pytest.mark.parametrize(
    ("handler", "how", "unclear"),
    [
        (anything, None, ("order", "whole")),
        (lambda value: value, None, ("value", "whole")),
        (untyped, None, ("order", "members")),
        (anything, "whole", None),
        (anything, "members", None),
        (greet, None, None),
        (pay, None, None),
        (one, None, None),
        (two, None, None),
        (number, None, None),
    ],
)
def test_the_start_warns_where_it_can_not_be_told(handler, how, unclear, recorder):
    marked = activity(name="It", version="1", input=how)(handler)
    with LocalSwf() as swf:
        worker = ActivityWorker(
            domain="d",
            task_list="t",
            activities=[marked],
            endpoint_url=swf.endpoint_url,
            observers=[recorder],
        )
        swf.register(worker)
        with worker:
            pass
    told = [(each.parameter, each.taken_as) for each in recorder.of(InputUnclear)]
    assert told == ([unclear] if unclear else [])


def test_members_that_have_the_parameters_names_are_unclear(recorder):
    def handler(order: Named) -> Any:
        return order.order

    def open_model(page: Open) -> Any:
        return page.model_dump()

    assert given(handler, '{"order":"x"}') == '"x"'
    assert given(open_model, '{"page":3,"more":1}') == '{"page":3,"more":1}'
