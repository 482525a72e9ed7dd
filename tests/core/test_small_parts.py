"""Polls to open, types to find, errors to judge."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swf_worker import ActivityContext, activity, errors
from swf_worker.core import messages, probes, verdicts
from swf_worker.core.lifecycle import STOPPING, Phase, longest_stop
from swf_worker.core.pollers import PollPlan
from swf_worker.core.registry import Registry
from swf_worker.definition import define, mark_of
from swf_worker.task import ActivityType


@given(st.integers(1, 20), st.integers(0, 20), st.integers(0, 20), st.integers(1, 20))
def test_polls_and_tasks_never_exceed_the_slots(target, open_polls, running, slots):
    plan = PollPlan(most=20, target=target)
    count = plan.may_open(0, open_polls, running, slots)
    assert count == 0 or open_polls + running + count <= slots
    assert count == 0 or open_polls + count <= target


def test_more_polls_when_tasks_come_and_fewer_when_none_do():
    plan = PollPlan(most=3)
    for expected in (2, 3, 3):
        plan.brought_task()
        assert plan.target == expected
    for expected in (2, 1, 1):
        assert plan.came_empty(0, lasted=60) == 0
        assert plan.target == expected


def test_empty_polls_that_come_at_once_have_a_floor():
    assert PollPlan(most=1).came_empty(0, lasted=0.05) == pytest.approx(0.15)


def test_failed_polls_back_off_and_shed_when_told():
    plan = PollPlan(most=8, target=8)
    plan.failed(100, 5, 99, shed=True)
    assert plan.target == 4
    assert plan.may_open(104, 0, 0, 10) == 0
    assert plan.may_open(105, 0, 0, 10) == 4
    plan.failed(105, 1, 105, shed=False)
    assert plan.target == 4


def test_one_reset_of_all_polls_is_one_failure():
    plan = PollPlan(most=8, target=8)
    plan.failed(100, 1, 100, shed=False)
    assert plan.is_known_trouble(began=99)
    assert not plan.is_known_trouble(began=101)


def test_trouble_begins_when_an_answer_was_due_and_ends_with_the_next():
    plan = PollPlan(most=1)
    plan.failed(175, 1, 100, shed=False)  # silent for its whole 75 s
    assert plan.troubled_since == 160
    plan.failed(180, 1, 176, shed=False)
    assert plan.troubled_since == 160
    plan.came_empty(190, 9)
    assert plan.troubled_since is None
    plan.failed(200, 1, 195, shed=False)  # a reset
    assert plan.troubled_since == 200
    plan.brought_task()
    assert plan.troubled_since is None


def test_what_stands_still_is_said_and_nothing_that_may_last():
    assert probes.wedged(30, 30, 60) == ()
    assert probes.wedged(31, 0, 0) == ("the scheduler is 31 s behind",)
    assert probes.wedged(0, 31, 0) == ("the poll loop has stood still for 31 s",)
    assert probes.wedged(0, 0, 61) == ("a heartbeat is 61 s late, and none goes out",)


def test_a_worker_is_ready_from_its_first_poll_to_its_stop_while_swf_answers():
    assert "starting" in probes.not_ready(Phase.NEW, 0)
    assert "starting" in probes.not_ready(Phase.STARTING, 0)
    assert probes.not_ready(Phase.RUNNING, 29.9) is None
    assert probes.not_ready(Phase.RUNNING, 30) == "SWF has refused, or not answered, for 30 s"
    for phase in STOPPING:
        assert probes.not_ready(phase, 0) == "stopping"


@pytest.mark.parametrize(("lasted", "empty"), [(54, False), (55, True), (65, True), (66, False)])
def test_a_poll_that_is_cut_at_its_length_came_back_empty(lasted, empty):
    assert PollPlan(most=1).was_cut_while_idle(lasted) is empty


def test_the_bound_of_a_stop_is_that_of_the_slowest():
    assert longest_stop([10, 100], [5, 30]) == 100 + 30 + 20
    assert longest_stop([10], [5]) == 75 + 5 + 20, "a poll is waited for in any case"


@activity(name="Known", version="1.0")
def known(context: ActivityContext) -> None: ...


def registry() -> Registry:
    mark = mark_of(known)
    assert mark is not None
    return Registry([define(known, mark, None)])


def test_a_type_finds_its_handler():
    full = registry()
    assert full.get(ActivityType("Known", "1.0")) is next(iter(full))
    assert full.get(ActivityType("Known", "2.0")) is None


def test_an_unknown_type_names_what_is_registered():
    assert registry().why_not(ActivityType("Knwon", "1.0")) == (
        "no handler for Knwon/1.0: registered are Known/1.0; did you mean Known/1.0?"
    )
    assert "no handlers at all" in Registry().why_not(ActivityType("A", "1"))


def test_a_type_has_one_handler():
    full = registry()
    with pytest.raises(errors.ConfigurationError, match="registered twice"):
        full.add(next(iter(full)))
    assert len(full) == 1
    assert full.types == (ActivityType("Known", "1.0"),)


def fault(kind=errors.ServiceError, code="", message="", ambiguous=False):
    return kind("Operation", code, message, ambiguous=ambiguous)


DOMAIN_IS_GONE = fault(errors.UnknownResourceFault, message="Unknown domain: d")


def no_credentials(*, may_pass):
    return errors.CredentialsError("Operation", "Credentials", "none", may_pass=may_pass)


@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (fault(errors.UnknownResourceFault), messages.AnswerUnknown()),
        (DOMAIN_IS_GONE, messages.AnswerMissed(False)),
        (fault(code="ValidationException", message="Invalid token"), messages.AnswerUnknown()),
        (fault(code="ValidationException", message="long"), messages.AnswerRefused("long")),
        (fault(code="SerializationException", message="x"), messages.AnswerRefused("x")),
        (fault(errors.ThrottledError), messages.AnswerMissed(False)),
        (fault(errors.OperationNotPermittedFault), messages.AnswerMissed(False)),
        (fault(errors.LimitExceededFault), messages.AnswerMissed(False)),
        (fault(errors.ServiceUnavailableError, ambiguous=True), messages.AnswerMissed(True)),
        (fault(errors.MalformedResponseError, ambiguous=True), messages.AnswerMissed(True)),
        (fault(code="SomethingNew"), messages.AnswerRejected()),
        (no_credentials(may_pass=True), messages.AnswerMissed(False)),
        (no_credentials(may_pass=False), messages.AnswerMissed(False)),
    ],
)
def test_what_an_answers_error_means(error, verdict):
    assert verdicts.of_answer(error) == verdict


@pytest.mark.parametrize(
    ("error", "fatal"),
    [
        (fault(errors.UnknownResourceFault), True),
        (fault(errors.OperationNotPermittedFault), True),
        (fault(code="SomethingNew"), True),
        (fault(errors.ThrottledError), False),
        (fault(errors.LimitExceededFault), False),
        (fault(errors.ServiceUnavailableError), False),
        (fault(errors.MalformedResponseError), False),
        (no_credentials(may_pass=True), False),
        (no_credentials(may_pass=False), True),
    ],
)
def test_what_ends_a_start(error, fatal):
    assert verdicts.is_fatal_at_start(error) is fatal


def test_which_errors_slow_down_or_shed():
    assert verdicts.is_denied(fault(errors.OperationNotPermittedFault))
    assert not verdicts.is_denied(fault(errors.ThrottledError))
    assert verdicts.is_denied(no_credentials(may_pass=False))
    assert not verdicts.is_denied(no_credentials(may_pass=True))
    assert verdicts.is_denied(DOMAIN_IS_GONE), "somebody may mend that"
    assert not verdicts.is_denied(fault(errors.UnknownResourceFault))
    assert verdicts.sheds_pollers(fault(errors.LimitExceededFault))
    assert not verdicts.sheds_pollers(fault(errors.ServiceUnavailableError))


@pytest.mark.parametrize(
    ("option", "exits", "expected"),
    [
        ("fail", True, messages.Unfinished.ANSWERED),
        ("fail", False, messages.Unfinished.KILLED_OR_LEFT),
        ("abandon", True, messages.Unfinished.LEFT),
        ("abandon", False, messages.Unfinished.LEFT),
    ],
)
def test_what_a_stop_does_about_handlers_that_still_run(option, exits, expected):
    assert messages.Unfinished.of(option, process_exits=exits) is expected
