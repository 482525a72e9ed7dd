"""When calls go the direct way, and when boto3's client makes them."""

from __future__ import annotations

import json
import subprocess
import sys
import threading
from functools import partialmethod
from importlib.util import find_spec
from socket import AF_INET6, create_server

import boto3
import botocore.auth
import botocore.session
import pytest
from botocore import UNSIGNED, awsrequest, httpsession
from botocore.awsrequest import AWSResponse
from botocore.client import BaseClient
from botocore.config import Config
from botocore.endpoint import Endpoint, EndpointCreator

from swf_worker import ActivityWorker, ConfigurationError
from swf_worker.options import Options
from swf_worker.outcome import Canceled, Completed, Failed
from swf_worker.service import direct_or_boto3
from swf_worker.service.clients import _Factory, build_client
from swf_worker.service.gateway import TokenCalls
from swf_worker.task import ActivityType
from tests.service.conftest import service_of
from tests.wire import EMPTY_POLL, OK, Wire, http

HOME = "http://127.0.0.1:9"
FAR = "https://swf.example.com"


def why(url=HOME, *, calls=None, **reach):
    """Why calls would go through boto3's client; None for the direct way."""
    options = Options(domain="d", task_list="t", endpoint_url=url, **reach)
    return _Factory(options, calls).why_boto3


def own_session(**given):
    return boto3.Session("a", "b", region_name="us-east-1", **given)


@pytest.fixture(autouse=True)
def nothing_is_installed(monkeypatch):
    """The tests' own process has moto in it; what that means is tested below."""
    handlers = [
        each
        for each in botocore.handlers.BUILTIN_HANDLERS
        if not type(each[1]).__module__.startswith("moto.")
    ]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "NO_PROXY", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


# --- the direct way -----------------------------------------------------------------------------


def test_the_direct_way_is_taken_where_nothing_special_is_configured():
    assert why() is None
    assert why(FAR, region_name="us-east-1") is None
    assert why(None, region_name="eu-west-1") is None


def test_a_session_of_the_users_own_has_the_direct_way():
    """An assumed role is the normal case in production."""
    assert why(session=own_session()) is None
    assert why(session=own_session(aws_session_token="t")) is None
    inner = botocore.session.Session()
    inner.set_credentials("a", "b", "t")
    assert why(session=boto3.Session(botocore_session=inner, region_name="us-east-1")) is None


def test_a_users_session_needs_no_profile_of_the_environment(monkeypatch, tmp_path):
    config = tmp_path / "config"
    config.write_text("[profile here]\nregion = eu-west-1\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    session = boto3.Session(profile_name="here")
    monkeypatch.setenv("AWS_PROFILE", "gone")
    assert why(session=session) is None


@pytest.mark.parametrize(
    "config",
    [
        Config(connect_timeout=1, read_timeout=1, max_pool_connections=3, tcp_keepalive=False),
        Config(retries={"mode": "adaptive"}, parameter_validation=True, defaults_mode="standard"),
        Config(user_agent="me", user_agent_extra="too", user_agent_appid="app"),
        Config(use_fips_endpoint=True, s3={"addressing_style": "path"}),
        Config(signature_version="v4", proxies={}),
    ],
)
def test_settings_that_it_carries_keep_the_direct_way(config):
    assert why(None, region_name="us-east-1", client_config=config) is None


def test_every_region_and_partition_is_called_where_boto3s_client_calls_it():
    """``meta.endpoint_url`` is what the direct way goes by; endpoint rules are botocore's."""
    session = own_session()
    seen = 0
    for partition in session.get_available_partitions():
        for region in session.get_available_regions("swf", partition_name=partition):
            for fips in (None, True):
                client = session.client(
                    "swf", region_name=region, config=Config(use_fips_endpoint=fips)
                )
                url = client.generate_presigned_url("list_domains", {"registrationStatus": "R"})
                assert url.startswith(f"{client.meta.endpoint_url}/?")
                assert f"%2F{client.meta.region_name}%2Fswf%2Faws4_request" in url
                seen += 1
    assert seen > 60


@pytest.mark.parametrize(
    ("url", "host", "port", "path"),
    [
        ("http://[::1]", "[::1]", 80, "/"),
        ("https://[::1]", "[::1]", 443, "/"),
        ("http://[::1]:9/", "[::1]", 9, "/"),
        ("http://[fe80::1%25lo]:9", "[fe80::1%lo]", 9, "/"),
        ("http://Example.COM/swf", "example.com", 80, "/swf"),
        ("http://h:8/a/b/", "h", 8, "/a/b/"),
    ],
)
def test_where_an_endpoint_is(url, host, port, path):
    calls, _ = build_client(
        Options(domain="d", task_list="t", endpoint_url=url, region_name="us-east-1")
    )
    assert (calls._pool.host, calls._pool.port, calls._target) == (host.strip("[]"), port, path)
    calls.close()


def test_an_endpoint_with_an_ipv6_address():
    with create_server(("::1", 0), family=AF_INET6) as listener:

        def serve():
            plain, _ = listener.accept()
            with plain:
                plain.recv(65_536)
                plain.sendall(OK)

        thread = threading.Thread(target=serve)
        thread.start()
        url = f"http://[::1]:{listener.getsockname()[1]}"
        calls, _ = build_client(Options(domain="d", task_list="t", endpoint_url=url))
        calls.call("RespondActivityTaskCompleted", {"taskToken": "t"})
        calls.close()
        thread.join(10)


# --- boto3's ------------------------------------------------------------------------------------


def test_the_user_may_have_boto3s_client_in_every_call():
    assert why(calls="boto3") == 'calls="boto3"'
    with pytest.raises(ConfigurationError, match="calls is 'direct'"):
        ActivityWorker(domain="d", task_list="t", calls="direct")


@pytest.mark.parametrize(
    ("config", "named"),
    [
        (Config(proxies={"https": "http://127.0.0.1:9"}), "proxies"),
        (Config(client_cert="/some/where.pem"), "client_cert"),
        (Config(proxies_config={"proxy_ca_bundle": "/x"}), "proxies_config"),
        (Config(signature_version=UNSIGNED), "signature_version"),
        (Config(use_dualstack_endpoint=True), "use_dualstack_endpoint"),
        (Config(auth_scheme_preference="sigv4a"), "auth_scheme_preference"),
    ],
)
def test_settings_that_it_does_not_carry_take_boto3s_way(config, named):
    assert why(None, region_name="us-east-1", client_config=config) == f"{named} is configured"


def test_a_setting_of_a_later_botocore_takes_boto3s_way(monkeypatch):
    monkeypatch.delitem(direct_or_boto3._CARRIED, "s3")
    monkeypatch.delitem(direct_or_boto3._CARRIED, "user_agent_appid")
    assert why() is None, "it is known to mean nothing where it isn't set"
    config = Config(user_agent_appid="set")
    assert why(client_config=config) == "user_agent_appid is configured"


def test_the_sessions_own_settings_count(monkeypatch, tmp_path):
    inner = botocore.session.Session()
    inner.set_default_client_config(Config(client_cert="/some/where.pem"))
    session = boto3.Session("a", "b", botocore_session=inner, region_name="us-east-1")
    assert why(session=session) == "client_cert is configured"
    config = tmp_path / "config"
    config.write_text("[default]\nuse_dualstack_endpoint = true\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(config))
    assert why(None, region_name="us-east-1") == "use_dualstack_endpoint is configured"


def test_proxies_of_the_environment_take_boto3s_way(monkeypatch):
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    assert why(FAR, region_name="us-east-1") == "the environment names a proxy"
    assert why() is None, "nobody is asked for this machine"
    monkeypatch.setenv("NO_PROXY", "example.com")
    assert why(FAR, region_name="us-east-1") is None


def test_an_endpoint_with_more_than_an_address_takes_boto3s_way():
    assert "the endpoint's address" in why("http://127.0.0.1:9/?x=1")
    assert "the endpoint's address" in why("http://me:secret@127.0.0.1:9")


def test_lambdas_own_header_is_botocores_matter(monkeypatch):
    monkeypatch.setenv("AWS_LAMBDA_FUNCTION_NAME", "f")
    assert "Lambda" in why()


def noticed(**_): ...


@pytest.mark.parametrize("event", direct_or_boto3._EVENTS)
@pytest.mark.parametrize("scope", ["", ".swf", ".*.RespondActivityTaskCompleted"])
def test_a_handler_of_a_users_session_takes_boto3s_way(event, scope):
    session = own_session()
    session.events.register(event + scope, noticed)
    assert why(session=session) == f"{__name__} handles botocore's event {event}"


def test_a_recorder_that_is_no_function_takes_boto3s_way(monkeypatch):
    seen = {}
    session = own_session()
    session.events.register("before-call.swf", seen.update)
    assert why(session=session) == "builtins handles botocore's event before-call"
    monkeypatch.setattr(Endpoint, "_send", partialmethod(noticed))
    assert "Endpoint._send is patched" in why()


class OwnDescriptor:
    def __get__(self, instance, owner=None):
        return noticed


def test_a_descriptor_in_a_methods_place_takes_boto3s_way(monkeypatch):
    monkeypatch.setattr(BaseClient, "_make_api_call", OwnDescriptor())
    assert why() == f"botocore.client.BaseClient._make_api_call is patched by {__name__}"


def test_another_class_that_sends_takes_boto3s_way(monkeypatch):
    class Sends(httpsession.URLLib3Session): ...

    create = EndpointCreator.create_endpoint

    def with_own(self, *args, **kinds):
        return create(self, *args, **kinds | {"http_session_cls": Sends})

    assert why() is None
    monkeypatch.setattr(EndpointCreator, "create_endpoint", with_own)
    assert "EndpointCreator.create_endpoint is patched" in why() or "Sends" in why()
    monkeypatch.undo()


def test_a_class_that_is_changed_as_it_is_created_takes_boto3s_way():
    class Mixin:
        def respond_activity_task_completed(self, **_): ...

    session = own_session()
    session.events.register(
        "creating-client-class.swf", lambda base_classes, **_: base_classes.insert(0, Mixin)
    )
    assert __name__ in why(session=session)


def test_a_session_or_client_of_somebodys_own_takes_boto3s_way(monkeypatch):
    class Session(boto3.Session): ...

    assert "Session" in why(session=Session("a", "b", region_name="us-east-1"))
    session = own_session()
    build = session.client
    session.client = lambda *args, **kinds: build(*args, **kinds)
    assert why(session=session) == f"Session.client is patched by {__name__}"

    class Inner(botocore.session.Session): ...

    own = boto3.Session("a", "b", botocore_session=Inner(), region_name="us-east-1")
    assert "Inner" in why(session=own)


def test_a_signer_of_somebodys_own_takes_boto3s_way(monkeypatch):
    class Signer(botocore.auth.SigV4Auth):
        def add_auth(self, request): ...

    monkeypatch.setitem(botocore.auth.AUTH_TYPE_MAPS, "v4", Signer)
    assert "Signer.add_auth is patched" in why()


def test_what_cannot_be_told_takes_boto3s_way(monkeypatch):
    """A later botocore may keep its handlers elsewhere."""
    monkeypatch.setattr(direct_or_boto3, "_LAYERS", (None,))
    assert "can't be told" in why()


def seeing_all(function, *args, **kinds):
    return function(*args, **kinds)


@pytest.mark.parametrize("layer", direct_or_boto3._LAYERS, ids=lambda each: each.__name__)
def test_a_patched_layer_takes_boto3s_way(layer, monkeypatch):
    name = (
        next(
            name
            for name, value in vars(layer).items()
            if type(value).__name__ == "function" and not name.startswith("__")
        )
        if any(
            type(value).__name__ == "function" and not name.startswith("__")
            for name, value in vars(layer).items()
        )
        else None
    )
    original = vars(layer)[name] if name else None

    def patched(*args, **kinds):
        return original(*args, **kinds)

    patched.__module__, patched.__qualname__ = layer.__module__, f"{layer.__name__}.{name}"
    monkeypatch.setattr(layer, name or "connect", patched, raising=False)
    assert f".{layer.__name__}.{name or 'connect'} is patched by {__name__}" in why()


def test_moto_takes_boto3s_way_but_for_a_local_swf(monkeypatch):
    """It answers for AWS's addresses only."""
    from moto.core.botocore_stubber import BotocoreStubber

    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-send", BotocoreStubber())]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    assert why() is None
    said = why(None, region_name="us-east-1")
    assert said == "moto.core.botocore_stubber handles botocore's event before-send"


def test_where_somebody_else_answers_requests_nothing_is_sent_twice(monkeypatch, timers):
    """Recorders take the place of the network by the same event as moto."""
    asked = []

    def recorder(request, **_):
        asked.append(request)
        return AWSResponse(request.url, 200, {"x-amzn-RequestId": "r"}, Nothing())

    handlers = [*botocore.handlers.BUILTIN_HANDLERS, ("before-send", recorder)]
    monkeypatch.setattr(botocore.handlers, "BUILTIN_HANDLERS", handlers)
    with Wire(RespondActivityTaskCompleted=[OK]) as service:
        calls, _ = build_client(Options(domain="d", task_list="t", endpoint_url=service.url))
        assert asked == [], "nobody is asked to find out"
        calls = TokenCalls(calls, calls, timers)
        calls.respond("token", Completed("r"))
        calls.close()
        assert service.calls == []
    assert len(asked) == 1


class Nothing:
    def stream(self):
        return iter([b""])


@pytest.mark.parametrize("what", ["send", "connections"])
def test_where_botocores_own_sending_is_patched_it_is_taken(monkeypatch, what):
    """By a recorder, say, which would see nothing of ours."""
    sent = []
    if what == "send":
        original = httpsession.URLLib3Session.send

        def recorded(self, request):
            sent.append(request.url)
            return original(self, request)

        monkeypatch.setattr(httpsession.URLLib3Session, "send", recorded)
    else:

        class Recorded(awsrequest.AWSHTTPConnection):
            def request(self, *args, **kinds):
                sent.append(args)
                return super().request(*args, **kinds)

        monkeypatch.setattr(awsrequest.AWSHTTPConnectionPool, "ConnectionCls", Recorded)
    with Wire(RespondActivityTaskCompleted=[OK]) as service:
        calls, _ = build_client(Options(domain="d", task_list="t", endpoint_url=service.url))
        calls.call("RespondActivityTaskCompleted", {"taskToken": "t"})
        calls.close()
    assert len(sent) == 1


def test_whoever_has_patched_botocore_sees_each_call_and_no_other(timers, monkeypatch):
    """As X-Ray, OpenTelemetry, Datadog and New Relic do."""
    called = []
    original = BaseClient._make_api_call

    def traced(self, name, parameters):
        called.append(name)
        return original(self, name, parameters)

    monkeypatch.setattr(BaseClient, "_make_api_call", traced)
    described = http(200, {"typeInfo": {"status": "REGISTERED", "creationDate": 1.0}})
    operations = [f"RespondActivityTask{kind}" for kind in ("Completed", "Canceled", "Failed")]
    with Wire(
        PollForActivityTask=[EMPTY_POLL],
        RecordActivityTaskHeartbeat=[http(200, {"cancelRequested": False})],
        DescribeActivityType=[described],
        **{name: [OK] for name in operations},
    ) as wired:
        service = service_of(wired.url, timers)
        service.poll()
        service.heartbeat("token", None, 5)
        service.describe(ActivityType("Work", "1"))
        for outcome in (Completed("r"), Canceled(), Failed("why")):
            service.respond("token", outcome)
        service.close()
    first = ["PollForActivityTask", "RecordActivityTaskHeartbeat", "DescribeActivityType"]
    assert called == [*first, *operations]
    assert called == [name for name, _ in wired.calls]


# --- those that install -------------------------------------------------------------------------

TRACERS = {
    "opentelemetry": ("opentelemetry.instrumentation.botocore", "BaseClient._make_api_call"),
    "xray": ("aws_xray_sdk", "BaseClient._make_api_call"),
    "datadog": ("ddtrace", "BaseClient._make_api_call"),
    "sentry": ("sentry_sdk", "BaseClient.__init__"),
    "newrelic": ("newrelic", "ClientCreator._create_methods"),
    "vcr": ("vcr", "AWSHTTPConnectionPool.ConnectionCls"),
}


def is_there(package):
    try:
        return find_spec(package) is not None
    except ModuleNotFoundError:  # nor what it is in
        return False


@pytest.mark.parametrize("name", TRACERS)
def test_a_tracer_or_recorder_sees_each_call(name, tmp_path):
    package, patched = TRACERS[name]
    if not is_there(package):
        pytest.skip(f"{package} has no release for this Python")
    with Wire(PollForActivityTask=[EMPTY_POLL], RespondActivityTaskCompleted=[OK]) as wired:
        done = subprocess.run(
            [sys.executable, "-m", "tests.service.tracers", name, wired.url],
            capture_output=True,
            text=True,
            timeout=60,
            env={"PATH": "/usr/bin:/bin", "HOME": str(tmp_path), "TMPDIR": str(tmp_path)},
            check=False,
        )
        assert done.returncode == 0, done.stderr
        told = json.loads(done.stdout.splitlines()[-1])
        assert f"{patched} is patched by {package}" in told["why"]
        assert [name for name, _ in wired.calls] == [
            "PollForActivityTask",
            "RespondActivityTaskCompleted",
        ]
        assert told["seen"] is None or len(told["seen"]) == 2, told
