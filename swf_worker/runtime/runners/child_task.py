"""One task in one handler process: what its child says about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from ...context import identity_in
from ...core.messages import HandlerCanceled, HandlerFailed, HandlerHandedOver, HandlerReturned
from ...log import raised_fields
from ...observations import HandlerLeft
from ...outcome import Completed, Failed
from ..children import wire
from ..children.child_process import Child
from ..children.wire import Frame
from ..tasks.invocation import Ended
from ..tasks.task_run import TaskRun


class RemoteError(Exception):
    """What a handler raised in its process: the type's name and the message. The traceback is its
    note; ``told`` has all three as the fields of a line."""

    told: Mapping[str, str]

    def __init__(self, raised: wire.Raised) -> None:
        super().__init__(f"{raised.type}: {raised.message}" if raised.message else raised.type)
        self.add_note(raised.traceback)
        self.raised = raised
        self.told = raised_fields(raised.type, raised.message, raised.traceback)


@dataclass(slots=True, eq=False)
class ChildTask:
    """One task in one child: the pool's ``TaskInChild``."""

    run: TaskRun
    child: Child
    number: int
    given_at: float
    began: bool = False
    """Its handler was called."""
    left: HandlerLeft | None = None

    @property
    def identity(self) -> Mapping[str, Any]:
        """What each line of it in the log carries."""
        return identity_in(self.run.context)

    def heard(self, frame: Frame) -> Ended | None:
        """The child said something about the task; how it ended, if that was it."""
        run = self.run
        if not isinstance(frame, wire.Said) or frame.number != self.number:
            return None  # of an earlier task
        match frame:
            case wire.Began():
                self.began = True
                run.handler_begins()
            case wire.Progress(details=details):
                run.progress(details)
            case wire.Shortened(why=why):
                run.shortened(why)
            case wire.ObserverBroke(where=where, raised=raised):
                run.observer_broke(RemoteError(raised), where)
            case wire.LeftBehind(put_back=put_back, stuck=stuck):
                self.left = HandlerLeft(run.task, tuple(put_back), tuple(stuck))
            case wire.Returned(result=result):
                return Ended(HandlerReturned(Completed(result)))
            case wire.Failed(reason=reason, details=details, raised=raised):
                error = None if raised is None else RemoteError(raised)
                return Ended(HandlerFailed(Failed(reason, details)), error)
            case wire.Canceled(details=details):
                return Ended(HandlerCanceled(details))
            case wire.HandedOver():
                return Ended(HandlerHandedOver())
        return None
