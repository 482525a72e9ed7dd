"""Whether calls go the direct way, or through boto3's client as it is.

The direct way leaves out boto3's layers; whoever has put something into them (a proxy, a tracer, a
recorder, a handler of an event) is to see each call. What can't be told from outside counts as
such. It is settled once, when a worker starts, so instrument before.
"""

from __future__ import annotations

import os
from functools import partial, partialmethod
from types import BuiltinMethodType, FunctionType, MethodType
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import boto3.session
import botocore.session
import urllib3
from botocore import (
    args,
    auth,
    awsrequest,
    client,
    endpoint,
    hooks,
    httpsession,
    parsers,
    retryhandler,
    serialize,
    signers,
)
from botocore.utils import ensure_boolean, get_environ_proxies

if TYPE_CHECKING:
    from types_boto3_swf import SWFClient

_LAYERS = (
    boto3.session.Session,
    botocore.session.Session,
    args.ClientArgsCreator,
    client.ClientCreator,
    client.BaseClient,
    endpoint.Endpoint,
    endpoint.EndpointCreator,
    serialize.JSONSerializer,
    signers.RequestSigner,
    parsers.JSONParser,
    retryhandler.RetryHandler,
    hooks.HierarchicalEmitter,
    auth.SigV4Auth,
    awsrequest.AWSRequest,
    httpsession.URLLib3Session,
    awsrequest.AWSHTTPConnectionPool,
    awsrequest.AWSHTTPSConnectionPool,
    awsrequest.AWSHTTPConnection,
    awsrequest.AWSHTTPSConnection,
    urllib3.HTTPConnectionPool,
    urllib3.HTTPSConnectionPool,
)
"""What a call of boto3's client goes through: what tracers and recorders patch."""
_EVENTS = (
    "before-parameter-build",
    "provide-client-params",
    "before-endpoint-resolution",
    "before-call",
    "request-created",
    "choose-signer",
    "before-sign",
    "before-send",
    "response-received",
    "before-parse",
    "needs-retry",
    "after-call",
    "after-call-error",
    "getattr",
)
_OPERATIONS = (
    "PollForActivityTask",
    "RecordActivityTaskHeartbeat",
    "RespondActivityTaskCompleted",
    "RespondActivityTaskCanceled",
    "RespondActivityTaskFailed",
    "DescribeActivityType",
)
_CARRIED: dict[str, tuple[Any, ...] | None] = {
    # Honoured, whatever they are set to.
    **dict.fromkeys(
        (
            "region_name",
            "user_agent",
            "user_agent_extra",
            "user_agent_appid",
            "use_fips_endpoint",
            "ignore_configured_endpoint_urls",
            "tcp_keepalive",
            "connect_timeout",
            "max_pool_connections",
        )
    ),
    # Set by this SDK, for both ways.
    **dict.fromkeys(("read_timeout", "retries", "parameter_validation", "defaults_mode")),
    # Of no meaning for SWF's calls.
    **dict.fromkeys(
        (
            "s3",
            "s3_disable_express_session_auth",
            "request_min_compression_size_bytes",
            "disable_request_compression",
            "request_checksum_calculation",
            "response_checksum_validation",
            "sigv4a_signing_region_set",
            "account_id_endpoint_mode",
            "endpoint_discovery_enabled",
        )
    ),
    "signature_version": ("v4",),
    "proxies": (None, {}),
    # Endpoint rules name another host than the client's endpoint in some partitions.
    "use_dualstack_endpoint": (None, False),
}
"""Settings of a client and the values that the direct way carries; None: any. Of a setting that
isn't here, it carries what means nothing."""
_NOTHING: tuple[Any, ...] = (None, False, {}, "")


def why_boto3(
    calls: str | None, session: boto3.session.Session, built: SWFClient, *, local: bool
) -> str | None:
    """Why calls are to take boto3's way; None where nothing is in the way of the direct one.
    ``local``: SWF is on this machine, where moto answers nothing by itself."""
    if calls == "boto3":
        return 'calls="boto3"'
    try:
        return _configured(built) or _patched(session, built) or _handled(built, local)
    except Exception as error:  # another botocore than those we know, or somebody's own classes
        return f"what is patched can't be told ({type(error).__name__}: {error})"


def _configured(built: SWFClient) -> str | None:
    config: Any = built.meta.config
    for name, value in vars(config).items():
        carried = _CARRIED.get(name, _NOTHING)
        if not name.startswith("_") and carried is not None and value not in carried:
            return f"{name} is configured"
    url = built.meta.endpoint_url
    if config.proxies is None and get_environ_proxies(url):
        return "the environment names a proxy"
    parts = urlsplit(url)
    if parts.username or parts.query or parts.fragment:
        return "the endpoint's address has more than a host, a port and a path"
    if os.environ.get("AWS_LAMBDA_FUNCTION_NAME"):
        return "botocore adds a header in AWS Lambda"
    said = built.meta.service_model.metadata
    if said.get("protocol") != "json" or "awsQueryCompatible" in said:
        return "this botocore calls SWF by another protocol"
    return None


def _patched(session: boto3.session.Session, built: SWFClient) -> str | None:
    inner = inner_session(session)
    for each, kind in ((session, boto3.session.Session), (inner, botocore.session.Session)):
        if type(each) is not kind:
            return f"the session is a {type(each).__module__}.{type(each).__qualname__}"
    for each in (session, inner, built, *_parts(built)):
        if whose := _stranger(type(each)):
            return f"a {type(each).__name__} of {whose} is in botocore's place"
        for name, value in vars(each).items():
            if callable(value) and (whose := _stranger(value)):
                return f"{type(each).__name__}.{name} is patched by {whose}"
    signer = auth.AUTH_TYPE_MAPS["v4"]  # the C runtime's, where that is installed
    for layer in (*_LAYERS, *type(built).__mro__[:-1], signer):
        for name, value in vars(layer).items():
            if whose := _stranger(value):
                return f"{layer.__module__}.{layer.__name__}.{name} is patched by {whose}"
    return None


def _handled(built: SWFClient, local: bool) -> str | None:
    # botocore has no public way to list them.
    emitter: Any = built.meta.events
    handlers: Any = getattr(emitter, "_emitter", emitter)._handlers
    for event in _EVENTS:
        for operation in _OPERATIONS:
            for handler in handlers.prefix_search(f"{event}.swf.{operation}"):
                whose = "builtins" if isinstance(handler, BuiltinMethodType) else _stranger(handler)
                if whose and not (local and whose.startswith("moto.")):
                    return f"{whose} handles botocore's event {event}"
    return None


def _parts(built: SWFClient) -> list[Any]:
    """What a client has its calls made by."""
    inside: Any = built
    sends = inside._endpoint
    return [sends, sends.http_session, inside._serializer, inside._response_parser]


def inner_session(session: boto3.session.Session) -> Any:
    """botocore's session in a boto3's; it has no public name."""
    return getattr(session, "_session", None)


def _stranger(value: Any) -> str | None:
    """The module that a handler, or a member of a class, is from, where that isn't botocore or
    boto3. What is no code is nobody's."""
    # By type(), not isinstance: proxies of functions claim to be functions, with their code.
    kind = type(value)
    if kind is FunctionType:
        # A wrapper takes over the name and the module; never the file that its code is from.
        theirs = value.__code__.co_filename.startswith(_THEIR_FILES)
        return None if theirs and not hasattr(value, _BYTECODE_IS_WRAPPED) else _module(value)
    if kind in (staticmethod, classmethod, MethodType):
        owner = getattr(value, "__self__", None)
        return _stranger(value.__func__) or _stranger(type(owner) if owner is not None else None)
    if kind is property:
        parts = (value.fget, value.fset, value.fdel)
        return next(filter(None, map(_stranger, filter(None, parts))), None)
    if kind in (partial, partialmethod):
        return _stranger(value.func)
    if hasattr(value, "__wrapped__"):
        return _module(getattr(value, "_self_wrapper", value))
    if not callable(value) and not hasattr(kind, "__get__"):
        return None
    module = str((value if isinstance(value, type) else kind).__module__)
    return None if module.partition(".")[0] in _THEIRS else module


def _module(value: Any) -> str:
    # What its globals say: __module__ is copied by wrappers.
    seen = getattr(value, "__globals__", None) or {}
    return str(seen.get("__name__") or type(value).__module__)


_BYTECODE_IS_WRAPPED = "__dd_wrapped__"
_THEIRS = ("botocore", "boto3", "urllib3", "builtins", "functools", "collections")
_THEIR_FILES = tuple(
    # As their code itself names it: a packager may have moved the files.
    os.path.dirname(function.__code__.co_filename) + os.sep
    for function in (ensure_boolean, boto3.setup_default_session, urllib3.add_stderr_logger)
)
