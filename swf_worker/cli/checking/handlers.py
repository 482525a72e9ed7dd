"""Heartbeats, deadlines, pools and quotas: what the code says, against what is registered."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ...core.heartbeats import INTERVAL_UNKNOWN, SENDERS, interval_registered, interval_set
from ...core.registered_types import RegisteredType, seconds
from ...definition import ActivityDefinition
from ...options import Options
from ...runtime.platform import ANSWERERS
from .facts import WorkerFacts, is_denied
from .findings import Finding, Level, not_checked

HEARTBEATS_PER_SECOND = 160.0
POLLERS_A_TASK_LIST = 1_000
"""SWF's quotas of an account and region, as AWS sets them at first; they can be raised."""
_OTHER_DESCRIPTORS = 64
"""Files, sockets and pipes that every process has, and some for the handlers' own: a guess."""
_OVERRIDES = "(a decider may override the timeout)"


def findings_of(facts: WorkerFacts, descriptors: float) -> Iterator[Finding]:
    """One worker's. ``descriptors``: how many files a process may have open."""
    yield from _handlers(facts)
    for definition in facts.definitions:
        registered = facts.registered(definition.type)
        yield _heartbeats(facts, definition)
        yield from _deadlines(facts.options, definition, registered)
    yield from _pools(facts, descriptors)


def _handlers(facts: WorkerFacts) -> Iterator[Finding]:
    check = "handler"
    if facts.definitions:
        message = f"{len(facts.definitions)} activity types"
        if facts.serves_any:
            message += ", and handle_unregistered for all others"
        yield Finding(check, Level.OK, facts.subject, message)
    elif facts.serves_any:
        yield Finding(check, Level.OK, facts.subject, "handle_unregistered, for all types")
    else:
        fix = "give activities=[...], or mark methods with @activity"
        yield Finding(check, Level.ERROR, facts.subject, "there are none: it would not start", fix)


def interval_of(
    options: Options, definition: ActivityDefinition, registered: RegisteredType | None
) -> float | None:
    """Seconds between beats; None where the worker would have to guess."""
    interval = interval_set(definition, options.heartbeat_interval)
    if interval is None and registered is not None:
        return interval_registered(registered.seconds("heartbeat_timeout"))
    return interval


def _timeout(
    option: str, definition: ActivityDefinition, registered: RegisteredType | None
) -> tuple[float | None, str]:
    """In seconds, and where it is from. What is registered counts."""
    if registered is not None:
        return registered.seconds(option), "registered"
    return seconds(getattr(definition.options, option)), "the code's"


def _heartbeats(facts: WorkerFacts, definition: ActivityDefinition) -> Finding:
    check, subject = "heartbeat", str(definition.type)
    registered = facts.registered(definition.type)
    interval = interval_of(facts.options, definition, registered)
    timeout, whose = _timeout("heartbeat_timeout", definition, registered)
    if interval is None:
        return _unknown_interval(facts, definition)
    every = f"every {interval:g} s"
    if timeout is None:
        return Finding(check, Level.OK, subject, f"{every}; there is no timeout")
    against = f"{every}, the timeout ({whose}) is {timeout:g} s"
    fix = f"heartbeat_interval of a third of it, {timeout / 3:.3g} s, or none: that is the default"
    if interval >= timeout:
        message = f"{against}: each task that runs longer times out {_OVERRIDES}"
        return Finding(check, Level.ERROR, subject, message, fix)
    if interval > timeout / 2 * 1.0001:
        message = f"{against}: one that is lost or late ends the task {_OVERRIDES}"
        return Finding(check, Level.WARNING, subject, message, fix)
    return Finding(check, Level.OK, subject, against)


def _unknown_interval(facts: WorkerFacts, definition: ActivityDefinition) -> Finding:
    """Neither the code nor, as far as is known, SWF has a heartbeat timeout."""
    check, subject = "heartbeat", str(definition.type)
    answer = None if facts.told is None else facts.told.types[definition.type]
    if not is_denied(answer):
        return not_checked(check, subject, "the type could not be looked up")
    message = f"its timeout can't be looked up: the worker guesses, every {INTERVAL_UNKNOWN:g} s"
    fix = "set heartbeat_timeout or heartbeat_interval in the code, or allow the look-up"
    return Finding(check, Level.WARNING, subject, message, fix)


def _deadlines(
    options: Options, definition: ActivityDefinition, registered: RegisteredType | None
) -> Iterator[Finding]:
    check, subject = "deadline", str(definition.type)
    deadline = definition.options.deadline
    limit, whose = _timeout("start_to_close_timeout", definition, registered)
    if deadline is not None and limit is not None:
        said = f"deadline {deadline:g} s, start_to_close_timeout ({whose}) {limit:g} s"
        if deadline >= limit:
            message = f"{said}: SWF closes the task before {_OVERRIDES}"
            fix = f"a deadline below {limit:g} s that leaves time to clean up"
            yield Finding(check, Level.WARNING, subject, message, fix)
        else:
            yield Finding(check, Level.OK, subject, said)
    lease = definition.options.heartbeat_deadline
    if lease is None:
        return
    timeout, whose = _timeout("heartbeat_timeout", definition, registered)
    interval = interval_of(options, definition, registered) or INTERVAL_UNKNOWN
    said = f"heartbeat_deadline {lease:g} s"
    if lease <= interval:
        message = f"{said}, and a heartbeat only every {interval:g} s: each longer task is stopped"
        fix = "a heartbeat_deadline of several intervals"
        yield Finding(check, Level.ERROR, subject, message, fix)
    elif timeout is not None and lease >= timeout:
        message = f"{said}, the heartbeat timeout ({whose}) is {timeout:g} s: SWF closes it before"
        fix = f"a heartbeat_deadline below {timeout:g} s"
        yield Finding(check, Level.WARNING, subject, f"{message} {_OVERRIDES}", fix)
    else:
        yield Finding(check, Level.OK, subject, said)


def _pools(facts: WorkerFacts, descriptors: float) -> Iterator[Finding]:
    check, slots = "pool", facts.options.max_concurrent_activities
    limits = [definition.options.max_concurrent for definition in facts.definitions]
    for definition in facts.definitions:
        limit = definition.options.max_concurrent
        if limit is not None and limit > slots:
            message = f"max_concurrent {limit} limits nothing: the worker has {slots} slots"
            fix = "raise max_concurrent_activities, or leave max_concurrent out"
            yield Finding(check, Level.WARNING, str(definition.type), message, fix)
    together = sum(limit for limit in limits if limit is not None)
    if limits and None not in limits and together < slots:
        message = (
            f"its types run {together} tasks at once (max_concurrent), and it takes {slots}: the "
            "others wait in their slots, while another worker could run them"
        )
        fix = f"max_concurrent_activities={together}"
        yield Finding(check, Level.WARNING, facts.subject, message, fix)
    needed = descriptors_needed(facts.options, facts.definitions)
    message = (
        f"{slots} slots, {facts.options.polls} polls: about {needed} descriptors of "
        f"{descriptors:g} at most"
    )
    if needed > descriptors:
        fix = f"ulimit -n {needed * 2} (LimitNOFILE= of systemd), or fewer slots"
        yield Finding(check, Level.WARNING, facts.subject, message, fix)
    else:
        yield Finding(check, Level.OK, facts.subject, message)


def descriptors_needed(options: Options, definitions: Sequence[ActivityDefinition]) -> int:
    """About how many a process has open with all slots taken."""
    slots = options.max_concurrent_activities
    plain = any(definition.mode == "thread" for definition in definitions)
    inside = any(definition.mode == "process" for definition in definitions)
    # A plain handler's thread answers itself; a handler process has a channel, its stderr, a pidfd.
    calls = options.polls + SENDERS + ANSWERERS + (slots if plain else 0)
    return _OTHER_DESCRIPTORS + calls + (3 * slots if inside else 0)


def beats_per_second(facts: WorkerFacts) -> float:
    """The most of one process: its slots full of what beats most often."""
    free, beats = facts.options.max_concurrent_activities, 0.0
    rates = []
    for definition in facts.definitions:
        registered = facts.registered(definition.type)
        interval = interval_of(facts.options, definition, registered) or INTERVAL_UNKNOWN
        rates.append((interval, definition.options.max_concurrent or free))
    if facts.serves_any:
        rates.append((INTERVAL_UNKNOWN, free))
    for interval, most in sorted(rates):
        taken = min(free, most)
        beats += taken / interval
        free -= taken
    return beats


def _rate(rate: float) -> str:
    return f"{rate:,.0f}" if rate >= 10 else f"{rate:.2g}"


def quota_findings(workers: Sequence[WorkerFacts], fleet: int) -> Iterator[Finding]:
    """Of all workers together, ``fleet`` processes of them."""
    beats = fleet * sum(beats_per_second(each) for each in workers)
    progress = fleet * sum(each.options.progress_beats_per_second for each in workers)
    of = "1 process" if fleet == 1 else f"{fleet} processes"
    message = (
        f"up to {_rate(beats)} a second keep tasks alive, of {of} with all slots taken, and up to "
        f"{_rate(progress)} go for progress; SWF's quota of an account and region is "
        f"{HEARTBEATS_PER_SECOND:g} unless AWS has raised it"
    )
    fix = "longer heartbeat timeouts or intervals, fewer slots, or a higher quota"
    over = beats > HEARTBEATS_PER_SECOND
    level = Level.WARNING if over else Level.OK
    yield Finding("quota", level, "heartbeats", message, fix if over else "")
    lists: dict[str, int] = {}
    for each in workers:
        lists[each.subject] = lists.get(each.subject, 0) + fleet * each.options.polls
    for subject, polls in lists.items():
        over = polls > POLLERS_A_TASK_LIST
        message = f"up to {polls:,} open polls of {of}; SWF lets {POLLERS_A_TASK_LIST:,} wait"
        level = Level.WARNING if over else Level.OK
        fix = "a lower max_concurrent_polls: idle polls beyond it are refused" if over else ""
        yield Finding("quota", level, f"polls of {subject}", message, fix)
