"""Scripted faults: what a local SWF answers instead, by operation and by the number of the call.

with LocalSwf(faults=[
    Fault("RespondActivityTaskCompleted", FaultKind.UNAVAILABLE, calls=[1, 2]),
    Fault("RecordActivityTaskHeartbeat", FaultKind.THROTTLED, share=0.3),
]) as swf: ...
"""

from __future__ import annotations

import json
import random
import threading
from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from enum import StrEnum

from ..errors import ConfigurationError

OWN_AGENT = "swf-worker-local-decider"
"""In the User-Agent of the local SWF's own calls: its deciders meet no faults."""
EVERY_OPERATION = "*"
OPERATIONS = (
    "PollForActivityTask",
    "RecordActivityTaskHeartbeat",
    "RespondActivityTaskCompleted",
    "RespondActivityTaskCanceled",
    "RespondActivityTaskFailed",
    "DescribeActivityType",
)
"""The operations of a worker: "*" means these."""
OF_OPERATORS = (
    "CountPendingActivityTasks",
    "DescribeDomain",
    "RegisterActivityType",
    "RegisterDomain",
)
"""Those of `swf-worker check` and `register`."""


class FaultKind(StrEnum):
    """What goes wrong with a call. Unless it says otherwise, the call is not carried out."""

    THROTTLED = "throttled"
    """400 ThrottlingException."""
    INTERNAL = "internal"
    """500 InternalFailure."""
    UNAVAILABLE = "unavailable"
    """503 ServiceUnavailable."""
    LIMIT_EXCEEDED = "limit_exceeded"
    """400 LimitExceededFault."""
    DENIED = "denied"
    """400 AccessDeniedException."""
    EXPIRED = "expired"
    """400 ExpiredTokenException."""
    SKEWED = "skewed"
    """400 InvalidSignatureException: this machine's clock."""
    PROXY_DENIED = "proxy_denied"
    """403 from something that isn't AWS."""
    PROXY_BAD_GATEWAY = "proxy_bad_gateway"
    """502 from something that isn't AWS."""
    HTML = "html"
    """200, and a page of a captive portal."""
    EMPTY = "empty"
    """200, no body, no request id."""
    TRUNCATED = "truncated"
    """200, and half a JSON document. The call was carried out."""
    A_LIST = "a_list"
    """200 and ``[]``."""
    NULL = "null"
    """200 and ``null``."""
    BAD_UTF8 = "bad_utf8"
    """200, and bytes that are no UTF-8."""
    WRONG_TYPES = "wrong_types"
    """200, and an object whose members have other types. The call was carried out."""
    MISSING_MEMBERS = "missing_members"
    """200, and an object that lacks most members. The call was carried out."""
    HUNG_UP = "hung_up"
    """The connection ends without an answer."""
    LOST = "lost"
    """The call was carried out, and the connection ends without the answer."""
    TWICE = "twice"
    """Of a poll: the task that it brings is handed to the next poll as well."""


_CORAL = "com.amazon.coral.service#"
_ERRORS = {
    FaultKind.THROTTLED: (
        400,
        "com.amazon.coral.availability#ThrottlingException",
        "Rate exceeded",
    ),
    FaultKind.INTERNAL: (500, f"{_CORAL}InternalFailure", "an injected fault"),
    FaultKind.UNAVAILABLE: (503, f"{_CORAL}ServiceUnavailableException", "an injected fault"),
    FaultKind.LIMIT_EXCEEDED: (
        400,
        "com.amazonaws.swf.base.model#LimitExceededFault",
        "too many pollers",
    ),
    FaultKind.DENIED: (400, f"{_CORAL}AccessDeniedException", "not authorized (injected)"),
    FaultKind.EXPIRED: (400, f"{_CORAL}ExpiredTokenException", "The security token is expired"),
    FaultKind.SKEWED: (
        400,
        f"{_CORAL}InvalidSignatureException",
        "Signature expired: 20260101T000000Z is now earlier than 20260101T001500Z",
    ),
}
_BODIES = {
    FaultKind.PROXY_DENIED: (403, b"<html>Forbidden by the proxy</html>", False),
    FaultKind.PROXY_BAD_GATEWAY: (502, b"<html>Bad gateway</html>", False),
    FaultKind.HTML: (200, b"<html>Please log in</html>", True),
    FaultKind.EMPTY: (200, b"", False),
    FaultKind.A_LIST: (200, b"[]", True),
    FaultKind.NULL: (200, b"null", True),
    FaultKind.BAD_UTF8: (200, b'{"startedEventId": "\xff\xfe"}', True),
}
_CARRIED_OUT = (
    FaultKind.TRUNCATED,
    FaultKind.WRONG_TYPES,
    FaultKind.MISSING_MEMBERS,
    FaultKind.LOST,
    FaultKind.TWICE,
)


@dataclass(frozen=True, slots=True)
class Fault:
    """One scripted fault.

    operation: SWF's name of it; "*" for each operation of a worker.
    kind: what goes wrong.
    calls: the numbers of the calls that meet it, from 1, counted for each operation; None: all.
    share: the share of those calls that meets it, by chance; 1.0: each.
    """

    operation: str
    kind: FaultKind
    calls: Collection[int] | None = None
    share: float = 1.0

    def __post_init__(self) -> None:
        known = (*OPERATIONS, *OF_OPERATORS)
        if self.operation not in (EVERY_OPERATION, *known):
            raise ConfigurationError(
                f"a fault of {self.operation!r}: allowed are {', '.join(known)} and '*'"
            )
        try:
            object.__setattr__(self, "kind", FaultKind(self.kind))
        except ValueError:
            kinds = ", ".join(kind.value for kind in FaultKind)
            raise ConfigurationError(
                f"a fault of the kind {self.kind!r}: allowed are {kinds}"
            ) from None
        if not 0 <= self.share <= 1:
            raise ConfigurationError(f"share is {self.share!r}: 0 to 1 is allowed")

    def meets(self, operation: str, number: int, chance: random.Random) -> bool:
        """Whether this call meets it."""
        if self.operation not in (EVERY_OPERATION, operation):
            return False
        if self.calls is not None and number not in self.calls:
            return False
        return self.share >= 1 or chance.random() < self.share


@dataclass(frozen=True, slots=True)
class Answer:
    """What goes out. ``status`` 0: the connection ends instead."""

    status: int
    body: bytes
    request_id: bool = True


@dataclass(slots=True)
class Injector:
    """The faults of one local SWF."""

    faults: tuple[Fault, ...] = ()
    seed: int = 0
    injected: Counter[FaultKind] = field(default_factory=Counter)
    """How many calls met each kind."""
    calls: Counter[str] = field(default_factory=Counter)
    """How many calls of each operation came, the local SWF's own aside."""
    _calls: Counter[str] = field(default_factory=Counter)
    _again: list[bytes] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)
    _chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self._chance = random.Random(self.seed)  # noqa: S311 (a test's chance)

    def set(self, faults: Iterable[Fault]) -> None:
        """These from now on; calls are counted anew."""
        faults = tuple(faults)
        for fault in faults:
            if not isinstance(fault, Fault):
                raise ConfigurationError(f"faults: {fault!r} is no Fault")
        with self._lock:
            self.faults = faults
            self._calls.clear()

    def before(self, operation: str) -> tuple[FaultKind | None, Answer | None]:
        """The fault that a call meets, and the answer if it isn't carried out."""
        with self._lock:
            self.calls[operation] += 1
            if not self.faults and not self._again:
                return None, None
            if operation == "PollForActivityTask" and self._again:
                return None, Answer(200, self._again.pop())
            self._calls[operation] += 1
            number = self._calls[operation]
            kinds = (f.kind for f in self.faults if f.meets(operation, number, self._chance))
            kind = next(kinds, None)
            if kind is not None and kind is not FaultKind.TWICE:
                self.injected[kind] += 1
        return kind, None if kind is None or kind in _CARRIED_OUT else _instead(kind)

    def after(self, kind: FaultKind, status: int, body: bytes) -> Answer:
        """What goes out of an answer that was made."""
        if status != 200:
            return Answer(status, body)
        match kind:
            case FaultKind.TRUNCATED:
                return Answer(200, body[: len(body) // 2] or b"{")
            case FaultKind.WRONG_TYPES:
                return Answer(200, _with_wrong_types(body))
            case FaultKind.MISSING_MEMBERS:
                kept = {k: v for k, v in _members(body).items() if k == "taskToken"}
                return Answer(200, json.dumps(kept | {"startedEventId": 0}).encode())
            case FaultKind.TWICE if "taskToken" in _members(body):
                with self._lock:
                    self.injected[kind] += 1
                    self._again.append(body)
                return Answer(200, body)
            case FaultKind.LOST:
                return Answer(0, b"")
        return Answer(status, body)


def _instead(kind: FaultKind) -> Answer:
    if kind in _ERRORS:
        status, code, message = _ERRORS[kind]
        return Answer(status, json.dumps({"__type": code, "message": message}).encode())
    if kind is FaultKind.HUNG_UP:
        return Answer(0, b"")
    status, body, request_id = _BODIES[kind]
    return Answer(status, body, request_id)


def _members(body: bytes) -> dict[str, object]:
    members: dict[str, object] = json.loads(body or b"{}")
    return members


def _with_wrong_types(body: bytes) -> bytes:
    wrong = {
        name: [value] if isinstance(value, str) else str(value)
        for name, value in _members(body).items()
        if name != "taskToken"
    }
    return json.dumps(wrong | {"cancelRequested": "true"}).encode()
