"""The calls of an operator's commands: what is registered, what waits, who is calling. None of them
takes a task, and but for the two that register, none changes anything."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from typing import Any, TypeVar

from botocore.exceptions import BotoCoreError, ClientError

from ..clock import now
from ..core.registered_types import RegisteredType, read_described
from ..errors import ServiceError, ServiceUnavailableError, ThrottledError, UnknownResourceFault
from ..options import RetryPolicy
from ..status import Backlog
from ..task import ActivityType
from .clients import Reach, Where, build_operator_clients, credentials_of
from .credentials import ProviderChain
from .faults import translate
from .gateway import read_count
from .retries import persistently

Result = TypeVar("Result")

_PASSING = (ThrottledError, ServiceUnavailableError)
_ALREADY = "AlreadyExistsFault"


@dataclass(frozen=True, slots=True)
class Greeting:
    """An answer of AWS's, whatever it says. ``ahead``: how many seconds this machine's clock is
    ahead of it; None where the answer has no time."""

    took: float
    ahead: float | None


class Credentials:
    """A set-up's credentials, before anything is called. ConfigurationError for a profile that
    isn't there."""

    def __init__(self, reach: Reach) -> None:
        self.chain: ProviderChain = credentials_of(reach)

    def find(self) -> str:
        """botocore's name of the provider that has some; CredentialsError where none has. Takes as
        long as the provider likes."""
        try:
            self.chain.get_frozen_credentials()
        except Exception as error:
            raise translate("credentials", error) from error
        return self.chain.provider


class OperatorCalls:
    """The calls, each made once. They raise ServiceError; an endpoint that is silent, or can't be
    reached, takes them ten seconds at most. ConfigurationError for a missing region."""

    def __init__(self, reach: Reach, credentials: Credentials) -> None:
        self._clients = build_operator_clients(reach, credentials.chain)
        self._dates: list[str] = []
        events = self._clients.unsigned.meta.events
        events.register_first("before-parse.swf.*", self._keep_date)

    @property
    def where(self) -> Where:
        """Which SWF it is."""
        return self._clients.where

    @property
    def endpoint(self) -> str:
        """Its address."""
        return self._clients.unsigned.meta.endpoint_url

    def close(self) -> None:
        """Close the connections."""
        self._clients.signed.close()
        self._clients.unsigned.close()

    # --- who and where --------------------------------------------------------------------------

    def greet(self) -> Greeting:
        """A call without a signature: SWF refuses it, which tells that it is there."""
        self._dates.clear()
        began, wall = now(), time.time()
        try:
            self._clients.unsigned.describe_domain(name="swf-worker-check")
        except ClientError:
            pass
        except Exception as error:
            raise translate("DescribeDomain", error) from error
        took = now() - began
        ahead = None
        for date in self._dates:
            with suppress(ValueError, TypeError):  # not a date
                # A date has whole seconds: it is half a second later, on the average.
                theirs = parsedate_to_datetime(date).timestamp() + 0.5
                ahead = wall + took / 2 - theirs
        return Greeting(took, ahead)

    def _keep_date(self, response_dict: Mapping[str, Any], **_: Any) -> None:
        date = response_dict["headers"].get("Date")
        if date:
            self._dates.append(date)

    def caller(self) -> str:
        """GetCallerIdentity: the ARN whose credentials they are."""
        try:
            answer = self._clients.identity().get_caller_identity()
        except (ClientError, BotoCoreError) as error:
            raise translate("GetCallerIdentity", error) from error
        return str(answer["Arn"])

    # --- what is there --------------------------------------------------------------------------

    def is_domain_deprecated(self, domain: str) -> bool:
        """DescribeDomain; UnknownResourceFault where it isn't registered."""
        info = self._call("DescribeDomain", name=domain).get("domainInfo")
        return isinstance(info, dict) and info.get("status") == "DEPRECATED"

    def describe(self, domain: str, activity_type: ActivityType) -> RegisteredType:
        """DescribeActivityType; UnknownResourceFault where it isn't registered."""
        wanted = {"name": activity_type.name, "version": activity_type.version}
        return read_described(
            self._call("DescribeActivityType", domain=domain, activityType=wanted)
        )

    def count_pending(self, domain: str, task_list: str) -> Backlog:
        """CountPendingActivityTasks."""
        wanted = {"name": task_list}
        return read_count(self._call("CountPendingActivityTasks", domain=domain, taskList=wanted))

    # --- what changes something -----------------------------------------------------------------

    def register_domain(self, domain: str, retention_days: int) -> bool:
        """RegisterDomain; False where somebody else has just done it."""
        days = str(retention_days)
        return self._registered(
            "RegisterDomain", name=domain, workflowExecutionRetentionPeriodInDays=days
        )

    def register_type(self, domain: str, members: Mapping[str, Any]) -> bool:
        """RegisterActivityType; False where somebody else has just done it."""
        return self._registered("RegisterActivityType", domain=domain, **members)

    def _registered(self, operation: str, **members: Any) -> bool:
        try:
            self._call(operation, **members)
        except ServiceError as error:
            if error.code.endswith(_ALREADY):
                return False
            raise
        return True

    def _call(self, operation: str, **members: Any) -> dict[str, Any]:
        try:
            return self._clients.signed.call(operation, members)
        except Exception as error:
            raise translate(operation, error) from error


def patiently(call: Callable[[], Result], seconds: float, *, appears: bool = False) -> Result:
    """``call``, again while it is throttled or the service is away, so long at most. ``appears``:
    also while what was just registered isn't known yet."""
    passing = (*_PASSING, UnknownResourceFault) if appears else _PASSING
    return persistently(
        call,
        RetryPolicy(),
        passes=lambda error: isinstance(error, passing),
        before_wait=lambda error, wait: None,
        seconds=seconds,
    )
