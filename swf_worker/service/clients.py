"""Polls, beats, answers: each has connections and limits of its own, none retries by itself, so a
poll that times out can't take an answer's retries away."""

from __future__ import annotations

import ipaddress
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol
from urllib.parse import urlsplit

import boto3
import botocore.session
from botocore import UNSIGNED, xform_name
from botocore.config import Config
from botocore.exceptions import BotoCoreError, NoRegionError

from ..errors import ConfigurationError
from ..options import Options
from . import connections, direct_or_boto3
from .answers import check_response
from .credentials import (
    NONE_OF_ITS_OWN,
    CredentialsOfCalls,
    CredentialsRefresher,
    ProviderChain,
    give,
)
from .direct import DirectCalls
from .regions import known_regions

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

POLL_READ_TIMEOUT = 70
"""The long poll lasts 60 s; SWF's model asks for a socket timeout of at least 70."""
CONNECT_TIMEOUT = 5
CALL_READ_TIMEOUT = 30
"""As long as the longest attempt: it is cut at its own limit."""
LOOK_CONNECT_TIMEOUT = LOOK_READ_TIMEOUT = 3
"""Of an operator's calls: somebody waits for what they tell."""
OPERATOR_CALLS = 16
"""So many of them at once."""
SPARE_CONNECTIONS = 2


class Reach(Protocol):
    """How to reach SWF; the names are options of a worker."""

    @property
    def session(self) -> boto3.Session | None: ...
    @property
    def region_name(self) -> str | None: ...
    @property
    def endpoint_url(self) -> str | None: ...
    @property
    def client_config(self) -> Config | None: ...


@dataclass(frozen=True, slots=True)
class Where:
    """Which SWF was reached, for errors' words."""

    region: str
    region_is_known: bool
    endpoint_url: str | None
    """As it is set."""
    url: str = ""
    """Where calls go."""


class Calls(Protocol):
    """One kind of calls: connections and limits of its own."""

    def call(self, operation: str, members: dict[str, Any], /) -> dict[str, Any]:
        """One attempt of one call: the members of its answer. Raises what botocore raises,
        NotAnAnswer, and NoCredentialsError."""

    def close(self) -> None:
        """Close the connections that are idle. (Later calls open new ones.)"""


class ThroughBoto3:
    """boto3's client as it is."""

    def __init__(self, client: SWFClient) -> None:
        self._client = client
        self._methods: dict[str, Callable[..., Any]] = {}

    def call(self, operation: str, members: dict[str, Any]) -> dict[str, Any]:
        """The client's method for the operation."""
        method = self._methods.get(operation)
        if method is None:
            method = self._methods[operation] = getattr(self._client, xform_name(operation))
        answer: dict[str, Any] = method(**members)
        return answer

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


@dataclass(frozen=True, slots=True)
class Clients:
    """The three kinds of calls of one worker."""

    polls: Calls
    beats: Calls
    answers: Calls
    where: Where
    credentials: CredentialsRefresher
    why_boto3: str | None
    """Why they go through boto3's client; None where they go the direct way."""


def build_clients(
    options: Options,
    *,
    senders: int,
    answerers: int,
    refresher_of: Callable[[ProviderChain], CredentialsRefresher],
) -> Clients:
    """A worker's three, in this thread; no I/O. ConfigurationError for a missing region or
    profile."""
    with _set_up_errors():
        factory = _Factory(options, options.calls)
        refresher = factory.credentials = refresher_of(factory.source)
        return Clients(
            polls=factory.calls(POLL_READ_TIMEOUT, options.polls),
            beats=factory.calls(CALL_READ_TIMEOUT, senders),
            answers=factory.calls(CALL_READ_TIMEOUT, answerers),
            where=factory.where,
            credentials=refresher,
            why_boto3=factory.why_boto3,
        )


def build_client(reach: Reach) -> tuple[Calls, Where]:
    """One kind, for the calls with a token. ConfigurationError as above."""
    with _set_up_errors():
        factory = _Factory(reach)
        return factory.calls(CALL_READ_TIMEOUT, 1), factory.where


def decider_client(reach: Reach) -> SWFClient:
    """boto3's own client, for the calls that no worker makes. ConfigurationError as above."""
    with _set_up_errors():
        session = reach.session or _session(reach)
        config = Config(read_timeout=POLL_READ_TIMEOUT, connect_timeout=CONNECT_TIMEOUT)
        if is_local(reach):
            config = config.merge(Config(proxies={}))
        return session.client(
            "swf", region_name=reach.region_name, endpoint_url=reach.endpoint_url, config=config
        )


@dataclass(frozen=True, slots=True)
class OperatorClients:
    """What an operator's commands call."""

    signed: Calls
    unsigned: SWFClient
    identity: Callable[[], Any]
    """A client of STS."""
    where: Where


def credentials_of(reach: Reach) -> ProviderChain:
    """Its credentials, not looked for yet. ConfigurationError for a missing profile."""
    with _set_up_errors():
        return ProviderChain(reach.session or _session(reach))


def build_operator_clients(reach: Reach, credentials: ProviderChain) -> OperatorClients:
    """Through boto3's client, which tells more of an answer. ConfigurationError as above."""
    with _set_up_errors():
        factory = _Factory(reach, "boto3", LOOK_CONNECT_TIMEOUT)
        factory.credentials = credentials
        return OperatorClients(
            signed=factory.calls(LOOK_READ_TIMEOUT, OPERATOR_CALLS),
            unsigned=factory.unsigned(),
            identity=factory.identity,
            where=factory.where,
        )


def region_of(reach: Reach) -> str | None:
    """The region that is set, in the code or as boto3 lets the environment set it."""
    with _set_up_errors():
        return reach.region_name or (reach.session or _session(reach)).region_name or None


def is_local(reach: Reach) -> bool:
    """Whether it leads to this machine."""
    return _is_local(_endpoint(reach))


LOCAL_HINT = (
    "(To try it with no AWS account: `swf-worker dev`, and --endpoint-url with the address it says)"
)


class NoRegion(ConfigurationError):
    """None is set."""


@contextmanager
def _set_up_errors() -> Iterator[None]:
    try:
        yield
    except NoRegionError:
        raise NoRegion(
            "no AWS region is set: give region_name=, --region or AWS_DEFAULT_REGION, or a "
            f"profile that has one. {LOCAL_HINT}"
        ) from None
    except (BotoCoreError, ValueError) as error:
        raise ConfigurationError(f"boto3 can't build a client for SWF: {error}") from error


def _session(reach: Reach) -> boto3.Session:
    """The user's own set-up; for a local SWF without any, one that means nothing, so that it is
    tried out with no AWS account."""
    if not _is_local(_endpoint(reach)):
        return boto3.Session()
    core = botocore.session.Session()
    if not any(os.environ.get(name) for name in ("AWS_ACCESS_KEY_ID", "AWS_PROFILE")):
        core.set_credentials("local", "local")
    if not (reach.region_name or core.get_config_variable("region")):
        core.set_config_variable("region", "us-east-1")
    return boto3.Session(botocore_session=core)


class _Factory:
    def __init__(
        self, reach: Reach, calls: str | None = None, connect_timeout: int = CONNECT_TIMEOUT
    ) -> None:
        self._session = reach.session or _session(reach)
        self.source = ProviderChain(self._session)
        self.credentials: CredentialsOfCalls = self.source
        self._reach = reach
        self._base = reach.client_config or Config()
        local = _is_local(_endpoint(reach))
        if (reach.region_name or self._session.region_name) == "":
            raise NoRegionError  # a variable that is set, and empty
        if local:
            # HTTP_PROXY would capture calls to this machine.
            self._base = self._base.merge(Config(proxies={}))
        self._base = self._base.merge(
            Config(
                connect_timeout=connect_timeout,
                retries={"mode": "standard", "total_max_attempts": 1},
                tcp_keepalive=True,
                parameter_validation=False,  # the gateway's parameters have the right types
            )
        )
        self._probe = probe = self._build(self._base)
        self.why_boto3 = direct_or_boto3.why_boto3(calls, self._session, probe, local=local)
        region = probe.meta.region_name
        known = region in known_regions(self._session)
        self.where = Where(region, known, reach.endpoint_url, probe.meta.endpoint_url)
        # boto3 builds this string anew for every call: about a quarter of a call's CPU time.
        # To one that is set it adds what its session does.
        built: Any = probe.meta.config
        added = getattr(direct_or_boto3.inner_session(self._session), "user_agent_extra", "")
        agent = built.user_agent.replace(f" {added}", "", 1) if added else built.user_agent
        self._base = self._base.merge(Config(user_agent=agent, user_agent_extra=""))
        self._user_agent = f"{agent} {added}" if added else agent

    def calls(self, read_timeout: int, users: int) -> Calls:
        """So many at a time have connections of their own."""
        users += SPARE_CONNECTIONS
        if self.why_boto3 is None:
            return DirectCalls(
                self._probe,
                self.credentials,
                user_agent=self._user_agent,
                read_timeout=read_timeout,
                users=users,
                ca_bundle=self._ca_bundle(),
            )
        built = self._build(
            self._base.merge(Config(read_timeout=read_timeout, max_pool_connections=users))
        )
        give(built, self.credentials)
        built.meta.events.register("before-parse.swf.*", check_response)
        connections.install(built)
        return ThroughBoto3(built)

    def _ca_bundle(self) -> str | None:
        """The file of certificates that is configured, looked for where botocore looks for it."""
        configured = direct_or_boto3.inner_session(self._session).get_config_variable("ca_bundle")
        return configured or os.environ.get("REQUESTS_CA_BUNDLE")

    def unsigned(self) -> SWFClient:
        """A client whose calls nobody signs."""
        settings = Config(read_timeout=LOOK_READ_TIMEOUT, signature_version=UNSIGNED)
        built = self._build(self._base.merge(settings))
        built.meta.events.register("before-parse.swf.*", check_response)
        connections.install(built)
        return built

    def identity(self) -> Any:
        """A client of STS, with the same credentials."""
        client: Any = self._session.client
        settings = Config(read_timeout=LOOK_READ_TIMEOUT, parameter_validation=True)
        settings = self._base.merge(settings)
        built = client("sts", region_name=self.where.region, config=settings, **NONE_OF_ITS_OWN)
        give(built, self.credentials)
        return built

    def _build(self, config: Config) -> SWFClient:
        return self._session.client(
            "swf",
            region_name=self._reach.region_name,
            endpoint_url=self._reach.endpoint_url,
            config=config,
            **NONE_OF_ITS_OWN,
        )


def _endpoint(reach: Reach) -> str | None:
    """The endpoint that is set, in the code or as boto3 lets the environment set it."""
    named = (os.environ.get(name) for name in ("AWS_ENDPOINT_URL_SWF", "AWS_ENDPOINT_URL"))
    return reach.endpoint_url or next(filter(None, named), None)


def _is_local(endpoint_url: str | None) -> bool:
    host = urlsplit(endpoint_url or "").hostname or ""
    try:
        return host == "localhost" or ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
