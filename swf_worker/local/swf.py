"""``LocalSwf``: a local SWF in this process, behind a real HTTP endpoint."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, Self

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError
from botocore.session import get_session

from ..checks import check_duration
from ..core.one_activity import ACTIVITY_ID
from ..core.registered_types import registration
from ..definition import ActivityDefinition
from ..options import Duration
from ..payloads.writing import compact_json
from ..worker import ActivityWorker
from . import decider
from .activity import LocalActivity
from .backend import REGION, LocalBackend
from .clock import LocalClock, SystemClock
from .decider import Decider
from .injection import OWN_AGENT, Fault, FaultKind, Injector
from .quotas import QuotaUse
from .server import HOST, LocalServer
from .validation import models

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

DEFAULT_DOMAIN = "local"
DEFAULT_TASK_LIST = "default"
_SCHEDULING = 10.0


class LocalSwf:
    """A local SWF: a context manager with an endpoint that any SWF client can use.

    poll_hold: seconds that an empty long poll is held. SWF holds 60; 1 keeps tests quick.
    clock: a ``ManualClock`` lets tests move the time of all timeouts.
    port: the port to listen on; 0 for any free one.
    faults: scripted faults (``Fault``), to see how handlers and workers bear them; ``set_faults``
        changes them.
    shuffle: the seed of another order in which waiting tasks of one priority are handed out: SWF
        promises none, and what relies on one is found so. The same seed, the same order.
    throttle: whether SWF's quotas hold: the token buckets of polls, heartbeats, answers, counts,
        DescribeActivityType and RegisterActivityType ("Rate exceeded"), filled by ``clock``, and
        1,000 polls in a task list; ``quota`` tells what they met.
    accept_unrequested_cancel: whether RespondActivityTaskCanceled is accepted though nothing
        requested it. What SWF does then is not known; by default it is refused.
    """

    def __init__(
        self,
        poll_hold: float = 1.0,
        clock: LocalClock | None = None,
        *,
        port: int = 0,
        faults: Iterable[Fault] = (),
        shuffle: int | None = None,
        throttle: bool = False,
        accept_unrequested_cancel: bool = False,
    ) -> None:
        self._poll_hold = poll_hold
        self._clock = clock
        self._port = port
        self._options: dict[str, Any] = {
            "accept_unrequested_cancel": accept_unrequested_cancel,
            "shuffle": shuffle,
            "throttle": throttle,
        }
        self._injector = Injector()
        self._injector.set(faults)
        self._server: LocalServer | None = None
        self._clients: list[SWFClient] = []
        self._deciders: dict[str, Decider] = {}
        self._task_lists: dict[str, str] = {}
        self._domain = DEFAULT_DOMAIN
        self._numbers = itertools.count(1)

    # --- life -----------------------------------------------------------------------------------

    def start(self) -> Self:
        """Begin to listen. ConfigurationError if the port is taken."""
        if self._server is not None:
            raise RuntimeError("this LocalSwf has been started already")
        self._backend = LocalBackend(self._clock or SystemClock(), self._poll_hold, **self._options)
        try:
            self._server = LocalServer(self._port, self._backend, self._injector)
        except BaseException:
            self._backend.close()
            raise
        return self

    def stop(self) -> None:
        """Let all held polls go, and end."""
        if self._server is None:
            return
        for each in self._deciders.values():
            each.stop()
        self._backend.close()
        for each in self._deciders.values():
            each.join()
        self._server.close()
        for client in self._clients:
            client.close()

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *_: object) -> None:
        self.stop()

    # --- ways in --------------------------------------------------------------------------------

    @property
    def endpoint_url(self) -> str:
        """Where it listens."""
        if self._server is None:
            raise RuntimeError("the LocalSwf is not started: use it as a context manager")
        return f"http://{HOST}:{self._server.port}"

    def set_faults(self, faults: Iterable[Fault]) -> None:
        """These scripted faults from now on; the calls are counted anew."""
        self._injector.set(faults)

    @property
    def calls(self) -> dict[str, int]:
        """How many calls of each operation have come (its own deciders' aside)."""
        return dict(self._injector.calls)

    @property
    def injected(self) -> dict[FaultKind, int]:
        """How many calls have met each kind of fault."""
        return dict(self._injector.injected)

    @property
    def quota(self) -> dict[str, QuotaUse]:
        """What the calls so far did to SWF's quotas, by operation (its own deciders' aside).
        RuntimeError without ``throttle=True``."""
        if self._server is None or self._backend.quotas is None:
            raise RuntimeError("quotas hold in a started LocalSwf(throttle=True)")
        with self._backend.lock:
            return self._backend.quotas.report()

    def client(self) -> SWFClient:
        """A plain boto3 client for it, with credentials that mean nothing; ``stop``
        closes it."""
        return self._new_client(None)

    @cached_property
    def _client(self) -> SWFClient:
        return self._own_client()

    def _own_client(self) -> SWFClient:
        return self._new_client(OWN_AGENT)

    def _new_client(self, agent: str | None) -> SWFClient:
        core = get_session()
        core.register_component("data_loader", models())  # to read them takes most of the time
        session = boto3.Session(
            botocore_session=core,
            aws_access_key_id="local",
            aws_secret_access_key="local",  # noqa: S106 (no password)
            region_name=REGION,
        )
        config = Config(
            read_timeout=90,
            retries={"mode": "standard", "total_max_attempts": 1},
            max_pool_connections=64,
            proxies={},
            user_agent_extra=agent,
        )
        client = session.client("swf", endpoint_url=self.endpoint_url, config=config)
        self._clients.append(client)
        return client

    def register(
        self,
        what: ActivityWorker
        | type[ActivityWorker]
        | Callable[..., Any]
        | Iterable[Callable[..., Any]],
        domain: str | None = None,
    ) -> None:
        """Register a domain and activity types: those of a worker or of a subclass that needs no
        arguments, or of marked functions.

        The domain is ``domain``, else the worker's, else "local"; it becomes the default of
        ``schedule``. Registering again is fine: types keep what they were registered with.
        """
        if isinstance(what, type) and issubclass(what, ActivityWorker):
            worker = what()
        elif isinstance(what, ActivityWorker):
            worker = what
        else:
            functions = [what] if callable(what) else list(what)
            worker = ActivityWorker(
                domain=domain or DEFAULT_DOMAIN,
                task_list=DEFAULT_TASK_LIST,
                activities=functions,
            )
        self._domain = domain or worker.domain
        self._task_lists[self._domain] = worker.task_list
        self._register_domain(self._domain)
        for definition in worker.definitions:
            self._register_type(self._domain, definition)

    def schedule(
        self,
        name: str,
        version: str,
        input: Any = None,  # noqa: A002 (the contract's name)
        *,
        raw_input: str | None = None,
        domain: str | None = None,
        task_list: str | None = None,
        heartbeat_timeout: Duration | None = None,
        start_to_close_timeout: Duration | None = None,
        schedule_to_start_timeout: Duration | None = None,
        schedule_to_close_timeout: Duration | None = None,
        priority: int | None = None,
    ) -> LocalActivity:
        """Schedule one activity, by a workflow and a decider of its own.

        ``input`` is a Python value that is encoded as JSON (None: no input), ``raw_input``
        literal text. Timeouts that are given override the type's; what neither gives is NONE.
        The task list is the one given, else the registered worker's, else the type's default.
        Raises ValueError where SWF refuses to schedule it.
        """
        domain = domain or self._domain
        self._register_domain(domain)
        text = (
            raw_input if raw_input is not None else None if input is None else compact_json(input)
        )
        attributes: dict[str, Any] = {
            "activityId": ACTIVITY_ID,
            "activityType": {"name": name, "version": version},
            **self._timeouts(
                domain,
                name,
                version,
                {
                    "heartbeat_timeout": heartbeat_timeout,
                    "start_to_close_timeout": start_to_close_timeout,
                    "schedule_to_start_timeout": schedule_to_start_timeout,
                    "schedule_to_close_timeout": schedule_to_close_timeout,
                },
            ),
        }
        if text is not None:
            attributes["input"] = text
        wanted = task_list or self._task_lists.get(domain)
        if wanted:
            attributes["taskList"] = {"name": wanted}
        if priority is not None:
            attributes["taskPriority"] = str(priority)
        return self._start(domain, f"{name}-{next(self._numbers)}", attributes)

    # --- the workflow behind it -----------------------------------------------------------------

    def _start(self, domain: str, workflow_id: str, attributes: dict[str, Any]) -> LocalActivity:
        self._deciders[domain].want(workflow_id, attributes)
        run_id = self._client.start_workflow_execution(
            domain=domain,
            workflowId=workflow_id,
            workflowType=decider.WORKFLOW,
        )["runId"]
        execution = self._backend.execution(domain, workflow_id, run_id)
        activity = LocalActivity(self._client, self._backend, execution)
        activity.wait_until_scheduled(_SCHEDULING)
        return activity

    def _register_domain(self, name: str) -> None:
        if name in self._deciders:
            return
        with _again():
            self._client.register_domain(name=name, workflowExecutionRetentionPeriodInDays="1")
        with _again():
            self._client.register_workflow_type(
                domain=name,
                **decider.WORKFLOW,
                defaultTaskList={"name": decider.TASK_LIST},
                defaultChildPolicy="TERMINATE",
                defaultTaskStartToCloseTimeout="NONE",
                defaultExecutionStartToCloseTimeout="31536000",
            )
        self._deciders[name] = Decider(self._own_client(), name)

    def _register_type(self, domain: str, definition: ActivityDefinition) -> None:
        with _again():
            self._client.register_activity_type(domain=domain, **registration(definition))

    def _timeouts(
        self, domain: str, name: str, version: str, given: dict[str, Duration | None]
    ) -> dict[str, str]:
        registered: dict[str, Any] = {}
        try:
            registered = dict(
                self._client.describe_activity_type(
                    domain=domain, activityType={"name": name, "version": version}
                )["configuration"]
            )
        except ClientError as error:
            if error.response["Error"]["Code"] != "UnknownResourceFault":
                raise  # an unknown type is told by the decision that fails
        chosen: dict[str, str] = {}
        for timeout, value in given.items():
            camel = _camel(timeout)
            if value is not None:
                check_duration(timeout, value)
                chosen[f"{camel[0].lower()}{camel[1:]}"] = str(value)
            elif f"defaultTask{camel}" not in registered:
                chosen[f"{camel[0].lower()}{camel[1:]}"] = "NONE"
        return chosen


@contextmanager
def _again() -> Iterator[None]:
    """Registering again is fine."""
    try:
        yield
    except ClientError as error:
        if not error.response["Error"]["Code"].endswith("AlreadyExistsFault"):
            raise


def _camel(name: str) -> str:
    return "".join(part.capitalize() for part in name.split("_"))
