"""One worker: starting, running, draining, asking, answering, stopped. Events in, commands out.

A stop goes step by step and never back: no new polls; open polls and running tasks are waited
for; what still runs is asked to stop; what still runs then is answered or abandoned; the last
answers get their time. ``Counts`` arrives whenever the number of open polls or tasks changes.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from msgspec import Struct

LAST_ANSWERS = 20.0
"""Seconds that answers still unsent have at the end of a stop."""
POLL_LIMIT = 75.0
"""Seconds that one poll can last: 60 of the long poll and a margin."""


def longest_stop(drain_timeouts: Iterable[float], cancel_graces: Iterable[float]) -> float:
    """The bound of a whole stop, in seconds, of workers that stop together."""
    return max(POLL_LIMIT, *drain_timeouts) + max(cancel_graces) + LAST_ANSWERS


class Phase(Enum):
    """Where the worker is."""

    NEW = "new"
    STARTING = "starting"
    """Polls are open; the service has not accepted one yet."""
    RUNNING = "running"
    DRAINING = "draining"
    ASKING = "asking"
    """The drain is over; handlers have been asked to stop."""
    ANSWERING = "answering"
    """What still ran was answered or given up; the last answers are under way."""
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Lifecycle:
    """The state of a worker."""

    phase: Phase = Phase.NEW
    stops: int = 0
    polls: int = 0
    tasks: int = 0
    counted: bool = False
    """``PollingClosed`` was told: before that a poll may just be opening, and nothing may be
    concluded from ``polls`` and ``tasks``."""
    timer_over: bool = False
    """The phase's own timer (drain or grace) has run out."""
    failed: bool = False

    @property
    def stopping(self) -> bool:
        """It was told to stop, or has failed."""
        return self.phase in STOPPING

    @property
    def fails_new_tasks(self) -> bool:
        """What open polls still bring is failed WorkerShutdown instead of run."""
        return self.phase in STOPPING and (self.stops >= 2 or self.phase is not Phase.DRAINING)


STOPPING = (Phase.DRAINING, Phase.ASKING, Phase.ANSWERING, Phase.STOPPED)
"""The phases of a worker that was told to stop, or has failed."""


# --- events -------------------------------------------------------------------------------------


class Started(Struct, frozen=True):
    """``start()``."""


class PollAccepted(Struct, frozen=True):
    """The service took a poll of this worker: permissions, domain and credentials are right."""


class StopRequested(Struct, frozen=True):
    """A signal, which goes a step further each time; or (``once``)
    ``request_stop()`` and ``stop()``, which only begin."""

    once: bool = False


class Fatal(Struct, frozen=True):
    """The worker can't work: the domain, permissions or credentials refused at start."""


class Counts(Struct, frozen=True):
    """How many polls are open and how many tasks are not over."""

    polls: int
    tasks: int


class PollingClosed(Struct, frozen=True):
    """CLOSE_POLLING was performed, and these are the first counts after it."""

    polls: int
    tasks: int


class TimerOver(Struct, frozen=True):
    """The timer that was armed in ``phase`` has run out."""

    phase: Phase


Event = Started | PollAccepted | StopRequested | Fatal | Counts | PollingClosed | TimerOver


# --- commands -----------------------------------------------------------------------------------


class Command(Enum):
    """What the runtime is to do."""

    OPEN_POLLS = "open_polls"
    CLOSE_POLLING = "close_polling"
    """Open no more polls (open ones are waited for), arm the drain's timer, and tell
    ``PollingClosed``."""
    ASK_HANDLERS = "ask_handlers"
    """Ask every running handler to stop, and arm the grace's timer."""
    ANSWER_RUNNING = "answer_running"
    """Answer, kill or give up what still runs, and arm the last answers' timer."""
    GIVE_UP = "give_up"
    """Abandon what is not answered."""
    EXIT_NOW = "exit_now"
    """A third stop: end the process at once."""
    FINISH = "finish"
    """All is over."""


Step = tuple[Lifecycle, tuple[Command, ...]]


def step(state: Lifecycle, event: Event) -> Step:
    """The whole machine."""
    match event:
        case Started() if state.phase is Phase.NEW:
            return replace(state, phase=Phase.STARTING), (Command.OPEN_POLLS,)
        case PollAccepted() if state.phase is Phase.STARTING:
            return replace(state, phase=Phase.RUNNING), ()
        case StopRequested(once):
            return (state, ()) if once and state.stopping else _stop(state)
        case Fatal() if state.phase in (Phase.STARTING, Phase.RUNNING):
            return replace(state, phase=Phase.DRAINING, failed=True), _CLOSE
        case Counts(polls, tasks):
            return _advance(replace(state, polls=polls, tasks=tasks))
        case PollingClosed(polls, tasks):
            return _advance(replace(state, polls=polls, tasks=tasks, counted=True))
        case TimerOver(phase) if phase is state.phase and state.stopping:
            return _advance(replace(state, timer_over=True))
    return state, ()


_CLOSE = (Command.CLOSE_POLLING,)


def _stop(state: Lifecycle) -> Step:
    if state.phase is Phase.STOPPED:
        return state, ()
    if state.phase is Phase.NEW:
        return replace(state, phase=Phase.STOPPED), (Command.FINISH,)
    stopped = replace(state, stops=state.stops + 1)
    if not state.stopping:
        return replace(stopped, phase=Phase.DRAINING), _CLOSE
    if stopped.stops == 2 and state.phase is Phase.DRAINING:
        return _advance(_enter(stopped, Phase.ASKING), (Command.ASK_HANDLERS,))
    if stopped.stops >= 3:
        return stopped, (Command.EXIT_NOW,)
    return stopped, ()


def _enter(state: Lifecycle, phase: Phase) -> Lifecycle:
    return replace(state, phase=phase, timer_over=False)


def _advance(state: Lifecycle, commands: tuple[Command, ...] = ()) -> Step:
    """Go on with the stop as far as the state allows."""
    if not state.counted or state.phase is Phase.STOPPED:
        return state, commands
    if state.polls == 0 and state.tasks == 0:
        return replace(state, phase=Phase.STOPPED), (*commands, Command.FINISH)
    if state.phase is Phase.ANSWERING and state.timer_over:
        return replace(state, phase=Phase.STOPPED), (*commands, Command.GIVE_UP, Command.FINISH)
    if state.timer_over and state.polls == 0:
        if state.phase is Phase.DRAINING:
            return _enter(state, Phase.ASKING), (*commands, Command.ASK_HANDLERS)
        return _enter(state, Phase.ANSWERING), (*commands, Command.ANSWER_RUNNING)
    return state, commands
