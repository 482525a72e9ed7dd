"""When beats are due: the plan of one task and the budget of all."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from swf_worker.core.heartbeats import (
    BeatPlan,
    ProgressBudget,
    attempt_limit,
    derived_interval,
)


def test_the_first_beat_comes_after_one_interval():
    """A task shorter than its interval costs two calls."""
    plan = BeatPlan(interval=10, last_left=100)
    assert plan.due == 110


def test_a_beat_counts_from_when_it_left_not_from_when_it_was_confirmed():
    plan = BeatPlan(interval=10, last_left=100)
    plan.leave(110)
    plan.accept(114, 110)
    assert plan.due == 120


def test_the_last_details_win_and_are_repeated():
    plan = BeatPlan(interval=10, last_left=0)
    assert plan.progress("one")
    assert not plan.progress("two"), "it is queued already"
    assert plan.unqueue()
    assert plan.leave(1) == ("two", 0.0)
    assert not plan.progress("three"), "one is in flight: its end queues the next"
    assert plan.accept(2, 1)
    assert plan.unqueue()
    assert plan.leave(3) == ("three", 0.0)
    assert not plan.accept(4, 3)
    assert plan.leave(13) == ("three", 0.0)


def test_details_that_a_liveness_beat_took_along_leave_the_queue():
    plan = BeatPlan(interval=10, last_left=0)
    assert plan.progress("one")
    plan.leave(10)
    assert not plan.unqueue()
    assert not plan.accept(11, 10)
    assert plan.progress("two")


def test_asking_for_a_beat_without_details_keeps_the_last():
    plan = BeatPlan(interval=10, last_left=0)
    plan.progress("kept")
    plan.progress(None)
    assert plan.leave(1) == ("kept", 0.0)


def test_a_missed_beat_is_retried_soon_whatever_the_backoff_says():
    plan = BeatPlan(interval=9, last_left=0)
    plan.leave(9)
    assert plan.miss(10, 9, wait=60) == 3
    assert plan.due == 13
    plan.leave(13)
    assert plan.miss(13.5, 13, wait=0.5) == 0.5


def test_one_beat_at_a_time_and_none_after_the_end():
    plan = BeatPlan(interval=9, last_left=0)
    assert plan.leave(9) is not None
    assert plan.leave(9) is None
    plan.accept(9, 9)
    plan.ended = True
    assert plan.leave(18) is None
    assert not plan.progress("late")


def test_lateness_is_measured_against_the_due_time():
    plan = BeatPlan(interval=10, last_left=0)
    left = plan.leave(17)
    assert left is not None
    assert left[1] == 7


def test_intervals_and_limits():
    assert derived_interval(30) == 10
    assert derived_interval(3600) == 60
    assert derived_interval(0) == 0.1
    assert attempt_limit(60) == 5
    assert [attempt_limit(60, cuts) for cuts in (1, 2, 3, 4)] == [10, 20, 30, 30]
    assert [attempt_limit(12, cuts) for cuts in (1, 2)] == [10, 12]
    assert attempt_limit(2) == 2


@given(st.lists(st.floats(0, 0.5), max_size=200), st.floats(0.5, 50))
def test_the_budget_is_never_exceeded(gaps, rate):
    budget, now, granted = ProgressBudget(rate), 1000.0, []
    budget.take(now)
    for gap in gaps:
        now += gap
        if budget.take(now) == 0:
            granted.append(now)
    burst = max(1.0, rate)
    for start in range(len(granted)):
        for end in range(start, len(granted)):
            span = granted[end] - granted[start]
            assert end - start + 1 <= burst + span * rate + 1e-6


@given(st.floats(0.5, 50))
def test_the_wait_that_the_budget_names_is_enough(rate):
    budget, now = ProgressBudget(rate), 50.0
    while (wait := budget.take(now)) == 0:
        pass
    assert budget.take(now + wait) == 0


def test_an_attempt_that_was_cut_is_followed_by_longer_ones_until_one_is_heard():
    """A service behind a proxy that takes 6 s is heard at the second attempt, and at the first of
    the next beats; a quick one makes attempts short again."""
    plan = BeatPlan(interval=60, last_left=0)
    plan.leave(60)
    assert plan.limit == 5
    plan.miss(65, 60, 0.1)
    assert plan.limit == 10
    plan.leave(66)
    plan.accept(72, 66)
    assert plan.limit == 10, "5 s are no longer enough"
    plan.leave(126)
    plan.accept(126.1, 126)
    assert plan.limit == 5


def test_a_beat_that_fails_at_once_is_followed_by_none_that_is_longer():
    plan = BeatPlan(interval=60, last_left=0)
    plan.leave(60)
    plan.miss(60.1, 60, 0.1)
    assert plan.limit == 5


@given(st.floats(0.1, 60), st.lists(st.booleans(), max_size=20))
def test_no_attempt_is_longer_than_30_seconds_and_none_shorter_than_the_first(interval, heard):
    plan, now = BeatPlan(interval=interval, last_left=0), 0.0
    first = plan.limit
    for each in heard:
        left = now
        plan.leave(left)
        now += plan.limit
        if each:
            plan.accept(now, left)
        else:
            plan.miss(now, left, 0.1)
        assert first <= plan.limit <= 30


def test_of_two_attempts_the_first_to_be_heard_counts():
    plan = BeatPlan(interval=10, last_left=0)
    plan.leave(10)
    assert plan.leave_beside()
    assert not plan.leave_beside(), "two are enough"
    assert plan.leave(19) is None
    plan.accept(16, 15)
    assert plan.due == 25
    assert plan.miss(40, 10, 0.1) is None, "the other was heard"
    assert (plan.due, plan.failures, plan.in_flight) == (25, 0, 0)


def test_a_newer_attempt_that_is_missed_after_the_older_was_heard_is_no_missed_beat():
    plan = BeatPlan(interval=10, last_left=0)
    plan.leave(10)
    plan.leave_beside()
    plan.accept(16, 10)
    assert plan.miss(45, 15, 0.1) is None
    assert (plan.due, plan.failures) == (20, 0)


def test_an_older_attempt_that_is_heard_last_makes_no_beat_due_sooner():
    plan = BeatPlan(interval=10, last_left=0)
    plan.leave(10)
    plan.leave_beside()
    plan.accept(16, 15)
    plan.accept(17, 10)
    assert (plan.due, plan.accepted) == (25, 2)


def test_of_two_attempts_that_fail_the_last_plans_the_next():
    plan = BeatPlan(interval=10, last_left=0)
    plan.leave(10)
    plan.leave_beside()
    assert plan.miss(16, 15, 0.2) is None, "the other may be heard"
    assert plan.miss(17, 10, 0.2) == 0.2
    assert (plan.due, plan.failures) == (17.2, 1)
    plan.ended = True
    assert not plan.leave_beside()


def test_an_unheard_beat_is_no_proof_of_a_lost_lease():
    plan = BeatPlan(interval=10, last_left=0)
    plan.leave(10)
    plan.miss(15, 10, 0.1)
    assert plan.lease_over(30) == 30, "since the poll's answer"
    plan.leave(16)
    plan.miss(21, 16, 0.1, unheard=True)
    assert plan.lease_over(30) == 46
    plan.leave(50)
    plan.miss(55, 50, 0.1, unheard=True)
    assert plan.lease_over(30) == 60, "of many that are unheard one lease more"
    plan.leave(56)
    plan.accept(57, 56)
    assert plan.lease_over(30) == 87


def test_details_that_an_attempt_did_not_carry_go_out_after_it():
    plan = BeatPlan(interval=10, last_left=0)
    plan.progress("old")
    plan.unqueue()
    plan.leave(1)
    plan.progress("new")
    plan.leave_beside()
    assert plan.miss(7, 6, 0.1) is None
    assert plan.accept(8, 1, stale=True), "the newer ones were lost with the second"
