"""Errors of a session's chain of providers: known by where they arise, and whether they pass."""

from __future__ import annotations

import socket
import subprocess
import threading

import boto3
import botocore.session
import pytest
from botocore import exceptions
from botocore.credentials import Credentials

from swf_worker import RetryPolicy
from swf_worker.errors import CredentialsError
from swf_worker.observations import CredentialsNotRefreshed
from swf_worker.runtime.threads.clock import start_daemon
from swf_worker.service.credentials import CredentialsRefresher, NoCredentialsError, ProviderChain
from swf_worker.service.faults import CREDENTIALS_CODE, translate
from swf_worker.service.retries import TenacityBackoff


def refused(code, status=400):
    said = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
    return exceptions.ClientError(said, "AssumeRole")


PASS = [
    refused("Throttling"),
    refused("ThrottlingException"),
    refused("RequestTimeout"),
    refused("IDPCommunicationError"),
    refused("Unknown", 503),
    exceptions.ConnectTimeoutError(endpoint_url="sts"),
    exceptions.ReadTimeoutError(endpoint_url="sts"),
    exceptions.EndpointConnectionError(endpoint_url="sts"),
    exceptions.ConnectionClosedError(endpoint_url="sts"),
    exceptions.MetadataRetrievalError(error_msg="500"),
    exceptions.CredentialRetrievalError(provider="container-role", error_msg="500"),
    socket.gaierror(-3, "temporary failure in name resolution"),
    TimeoutError("no answer"),
    ConnectionResetError(),
    subprocess.TimeoutExpired("aws", 60),
]
STAY = [
    None,  # no provider has any
    refused("AccessDenied", 403),
    refused("InvalidIdentityToken"),
    refused("ExpiredToken"),
    FileNotFoundError(2, "No such file", "/nowhere/token"),
    PermissionError(13, "Permission denied", "/var/token"),
    exceptions.CredentialRetrievalError(provider="custom-process", error_msg="exit 1"),
    exceptions.PartialCredentialsError(provider="env", cred_var="AWS_SECRET_ACCESS_KEY"),
    exceptions.SSOTokenLoadError(error_msg="not logged in"),
    exceptions.SSLError(endpoint_url="sts", error="self-signed"),
    exceptions.InvalidConfigError(error_msg="source_profile"),
    ValueError("no JSON"),
    KeyError("AccessKeyId"),
    SystemExit(1),
]


class Session:
    """A session whose chain does what a test says."""

    def __init__(self, *steps):
        self.steps = list(steps)

    def get_credentials(self):
        step = self.steps[0] if len(self.steps) == 1 else self.steps.pop(0)
        if isinstance(step, BaseException):
            raise step
        return step() if callable(step) else step


@pytest.mark.parametrize(
    ("error", "passes"), [*((e, True) for e in PASS), *((e, False) for e in STAY)], ids=repr
)
def test_whatever_a_chain_raises_says_credentials_and_that_nothing_was_sent(error, passes):
    with pytest.raises(NoCredentialsError) as raised:
        ProviderChain(Session(error)).get_frozen_credentials()
    assert raised.value.passes is passes
    typed = translate("PollForActivityTask", raised.value)
    assert type(typed) is CredentialsError
    assert typed.may_pass is passes
    assert typed.code == CREDENTIALS_CODE
    assert typed.message.startswith("credentials: ")
    assert not typed.ambiguous


def test_the_same_error_of_a_call_is_none_of_the_credentials():
    assert translate("PollForActivityTask", TimeoutError("no answer")).code != CREDENTIALS_CODE


@pytest.fixture
def refresher_of(timers):
    kept = []

    def make(*steps):
        seen = []
        refresher = CredentialsRefresher(
            ProviderChain(Session(*steps)),
            start_thread=start_daemon,
            timers=timers,
            backoff=TenacityBackoff(RetryPolicy(initial_wait=0.01)),
            observe=seen.append,
        )
        kept.append(refresher)
        return refresher, seen

    yield make
    for refresher in kept:
        refresher.close()


def test_those_that_are_fixed_are_looked_for_once(refresher_of):
    refresher, seen = refresher_of(Credentials("key", "secret"))
    frozen = refresher.get_frozen_credentials()
    assert (frozen.access_key, frozen.secret_key) == ("key", "secret")
    refresher._thread.join(5)
    assert not refresher._thread.is_alive()
    assert not seen
    refresher._source._found.access_key = "rotated"
    assert refresher.get_frozen_credentials().access_key == "rotated", "in the session, by somebody"


def test_a_chain_that_comes_round_is_asked_again(refresher_of):
    refresher, seen = refresher_of(TimeoutError("no answer"), Credentials("key", "secret"))
    with pytest.raises(NoCredentialsError, match="no answer"):
        refresher.get_frozen_credentials()
    refresher._thread.join(5)
    assert refresher.get_frozen_credentials().access_key == "key"
    (told, _) = seen
    assert isinstance(told, CredentialsNotRefreshed)
    assert told.ended


def test_a_metadata_service_that_stutters_at_the_start_is_asked_once_more(
    refresher_of, monkeypatch
):
    """It looks like one that isn't there."""
    monkeypatch.delenv("AWS_EC2_METADATA_DISABLED", raising=False)
    refresher, seen = refresher_of(None, Credentials("key", "secret"))
    assert refresher.get_frozen_credentials().access_key == "key"
    assert not seen


def test_one_that_hangs_is_not_waited_for_at_the_end(refresher_of):
    go_on = threading.Event()
    refresher, _ = refresher_of(lambda: go_on.wait(30) and None)
    waiting = []

    def call():
        try:
            refresher.get_frozen_credentials()
        except NoCredentialsError as error:
            waiting.append(error.passes)

    caller = threading.Thread(target=call)
    caller.start()
    refresher.close()
    caller.join(3)
    assert waiting == [True]
    go_on.set()
    if refresher._thread is not None:
        refresher._thread.join(5)


def test_a_real_chain_names_its_provider(tmp_path, monkeypatch):
    (tmp_path / "config").write_text("[profile p]\ncredential_process = /nowhere/program\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    session = boto3.Session(botocore_session=botocore.session.Session(profile="p"))
    with pytest.raises(NoCredentialsError, match="custom-process: FileNotFoundError"):
        ProviderChain(session).get_frozen_credentials()
