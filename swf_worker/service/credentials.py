"""Credentials: found by whatever chain of providers the session has, kept fresh by a thread.

A provider may start a process, ask STS or a machine's metadata service: that takes seconds, or
hangs. So no call looks for credentials itself. It takes what the refresher has, and only the first
ones are waited for, for a moment. The refresher asks botocore's own credentials again and again;
those refresh themselves well before they end, in the refresher's thread. What is no longer valid is
for SWF to say.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable
from contextlib import suppress
from subprocess import TimeoutExpired
from typing import TYPE_CHECKING, Any, Protocol

from botocore import exceptions as botocore_errors
from botocore.credentials import CredentialProvider, Credentials, ReadOnlyCredentials

from ..clock import now
from ..observations import CredentialsNotRefreshed, CredentialsRefreshed, Observation
from ..text import safe_str
from .api import Backoff, Timers

if TYPE_CHECKING:
    import boto3
    from types_boto3_swf import SWFClient

LOOK = 30.0
"""Seconds between two looks whether they are to be refreshed. (botocore does it 15 minutes before
they end.)"""
FIRST = 5.0
"""Seconds for which a call waits for the first ones."""
SLOW = 10.0
"""Seconds after which a refresh that goes on is told."""
_NOT_THERE_YET = 4.0
"""Seconds for which a chain that has none is asked again: a machine's metadata service that doesn't
answer looks like one that isn't there."""
NOT_FOUND = "not found yet"
_THROTTLED = ("throttl", "toomanyrequests", "requestlimitexceeded", "slowdown", "timeout")
_IDENTITY_PROVIDER_FAILED = "IDPCommunicationError"
_FROM_CONTAINERS = "container-role"


class NoCredentialsError(Exception):
    """There are no usable credentials. ``passes``: time may mend it."""

    def __init__(self, said: str, *, passes: bool) -> None:
        super().__init__(said)
        self.passes = passes


class ProviderChain:
    """A session's chain of providers. What it raises is known by where it arises."""

    def __init__(self, session: boto3.Session) -> None:
        self._session = session
        self._found: Any = None

    @property
    def provider(self) -> str:
        """botocore's name of it, as soon as it is known."""
        return safe_str(getattr(self._found, "method", None) or NOT_FOUND)

    @property
    def fixed(self) -> Credentials | None:
        """Those that have no end; nothing can hang where they are asked for."""
        return self._found if type(self._found) is Credentials else None

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """As they are now; may take as long as the provider likes. Raises NoCredentialsError."""
        try:
            if self._found is None:
                self._found = self._session.get_credentials()
            if self._found is None:
                raise NoCredentialsError("no provider has any", passes=False)
            frozen: ReadOnlyCredentials = self._found.get_frozen_credentials()
            return frozen
        except NoCredentialsError:
            raise
        except BaseException as error:
            raise NoCredentialsError(self._worded(error), passes=_may_pass(error)) from error

    def _worded(self, error: BaseException) -> str:
        said = safe_str(error) or type(error).__name__
        if not isinstance(error, (botocore_errors.BotoCoreError, botocore_errors.ClientError)):
            said = f"{type(error).__name__}: {said}"
        provider = _provider_in(error) if self._found is None else self.provider
        return f"{provider}: {said}" if provider else said

    def wants_a_refresh(self, within: float | None = None) -> bool:
        """Whether they end within so many seconds, by default botocore's own limit."""
        asked: Callable[..., bool] | None = getattr(self._found, "refresh_needed", None)
        if asked is None:
            return False
        with suppress(Exception):  # somebody's own
            return bool(asked() if within is None else asked(within))
        return False


def _provider_in(error: BaseException) -> str:
    """The name of the provider in whose code it was raised."""
    trace, found = error.__traceback__, ""
    while trace is not None:
        provider = trace.tb_frame.f_locals.get("self")
        if isinstance(provider, CredentialProvider):
            found = safe_str(provider.METHOD or "")
        trace = trace.tb_next
    return found


def _may_pass(error: BaseException) -> bool:
    """Whether it may get better by itself: a service that is throttled, broken or not reached. Not
    a refusal, nor what isn't there."""
    match error:
        case botocore_errors.ClientError():
            said = error.response
            code = str(said.get("Error", {}).get("Code", ""))
            status: int = said.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
            throttled = any(sign in code.lower() for sign in _THROTTLED)
            return status >= 500 or throttled or code == _IDENTITY_PROVIDER_FAILED
        case botocore_errors.SSLError():
            return False
        case (
            botocore_errors.ConnectionError()
            | botocore_errors.HTTPClientError()
            | botocore_errors.MetadataRetrievalError()
        ):
            return True
        case botocore_errors.CredentialRetrievalError():
            return error.kwargs.get("provider") == _FROM_CONTAINERS
        case FileNotFoundError() | PermissionError() | IsADirectoryError() | NotADirectoryError():
            return False
        case OSError() | TimeoutExpired():
            return True
    return False


class CredentialsRefresher:
    """Keeps a worker's credentials. Stands where botocore asks for credentials, in each call."""

    def __init__(
        self,
        source: ProviderChain,
        *,
        start_thread: Callable[[str, Callable[[], None]], threading.Thread],
        timers: Timers,
        backoff: Backoff,
        observe: Callable[[Observation], None],
    ) -> None:
        self._source = source
        self._start_thread = start_thread
        self._timers = timers
        self._backoff = backoff
        self._observe = observe
        self._kept: ReadOnlyCredentials | None = None
        self._fixed: Credentials | None = None
        self._error: NoCredentialsError | None = None
        self._changed = threading.Condition()
        self._thread: threading.Thread | None = None
        self._closed = False
        self._asked = False
        """Somebody was told that they have ended."""
        self._failures = 0
        self._same = 0
        """So often in a row they were due, and none newer were given."""
        self._round: object = None
        """One attempt to refresh them, as long as it goes on."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials:
        """Those that are kept; NoCredentialsError where there are none, after a moment."""
        if self._fixed is not None:  # whoever changes them in the session is followed
            fixed: ReadOnlyCredentials = self._fixed.get_frozen_credentials()
            return fixed
        return self._kept or self._first()

    def _first(self) -> ReadOnlyCredentials:
        with self._changed:
            if self._thread is None and not self._closed:
                self._thread = self._start_thread("credentials", self._run)
            self._changed.wait_for(lambda: self._kept or self._error or self._closed, FIRST)
            kept, error = self._kept, self._error
        if kept is not None:
            return kept
        if error is None:
            raise NoCredentialsError("none yet: the provider has not answered", passes=True)
        raise NoCredentialsError(str(error), passes=error.passes) from error

    def ended(self) -> None:
        """SWF has refused them as too old: look now."""
        with self._changed:
            self._asked = True
            self._changed.notify_all()

    def close(self) -> None:
        """Wait for nothing any more. (A provider that hangs is left to itself.)"""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _run(self) -> None:
        began = now()
        while not self._closed:
            try:
                wait = self._look(began)
            except Exception:  # no more threads for a timer, say
                wait = LOOK
            finally:
                self._round = None
            self._fixed = self._source.fixed
            if self._fixed is not None:
                return
            with self._changed:
                self._changed.wait_for(self._is_to_look, wait)
                self._asked = False

    def _is_to_look(self) -> bool:
        # One that fails is asked no more often because calls are refused.
        return self._closed or (self._asked and not self._failures)

    def _look(self, began: float) -> float:
        self._tell_if_slow(now())
        try:
            return self._keep(self._source.get_frozen_credentials())
        except NoCredentialsError as error:
            return self._failed(error, now() - began)

    def _keep(self, fresh: ReadOnlyCredentials) -> float:
        same = fresh == self._kept
        with self._changed:
            self._kept, self._error = fresh, None
            self._changed.notify_all()
        self._same = self._same + 1 if same and self._source.wants_a_refresh() else 0
        if self._same > 1:
            # botocore has tried it, in the time in which the old ones do, and logged why not.
            return self._told("the provider gave no newer ones")
        if self._same:  # or somebody else, with the same session, is at it
            return min(LOOK, 5.0)
        if self._failures:
            self._failures = 0
            self._observe(CredentialsRefreshed(self._source.provider))
        return LOOK

    def _failed(self, error: NoCredentialsError, after: float) -> float:
        is_early = self._kept is None and after < _NOT_THERE_YET and _has_metadata_service()
        if is_early and not error.passes and self._source.provider == NOT_FOUND:
            return 1.0
        with self._changed:
            self._error = error
            self._changed.notify_all()
        return self._told(str(error))

    def _told(self, why: str) -> float:
        self._failures += 1
        wait = min(self._backoff.wait(self._failures), LOOK)
        ended = self._kept is None or self._source.wants_a_refresh(0)
        self._observe(CredentialsNotRefreshed(self._source.provider, why, ended, wait))
        return wait

    def _tell_if_slow(self, began: float) -> None:
        this = self._round = object()

        def look() -> None:
            if self._round is this and not self._closed:
                said = f"the provider has not answered for {now() - began:.0f} s"
                ended = self._kept is None or self._source.wants_a_refresh(0)
                self._observe(CredentialsNotRefreshed(self._source.provider, said, ended, None))
                self._timers.call_later(6 * SLOW, look)

        self._timers.call_later(SLOW, look)


def _has_metadata_service() -> bool:
    return os.environ.get("AWS_EC2_METADATA_DISABLED", "false").lower() != "true"


class CredentialsOfCalls(Protocol):
    """What botocore asks for credentials."""

    def get_frozen_credentials(self) -> ReadOnlyCredentials: ...


NONE_OF_ITS_OWN: dict[str, Any] = {
    "aws_access_key_id": "kept-elsewhere",
    "aws_secret_access_key": "kept-elsewhere",
}
"""For a client that is given its credentials with each call: building it doesn't look for any."""


def give(client: SWFClient | Any, credentials: CredentialsOfCalls) -> None:
    """Have each call of the client signed with these."""

    def choose(context: dict[str, Any], **_: Any) -> None:
        context["signing"] = {**context.get("signing", {}), "request_credentials": credentials}

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register(f"before-call.{service}", choose)
