"""Codecs in a worker, on the wire: nothing goes out uncoded, whatever happens; nothing coded is
cut; and a store that is away for a while costs no result."""

from __future__ import annotations

import json
import random
import threading
from contextlib import ExitStack

import pytest
from cryptography.fernet import Fernet

from swf_worker import (
    ActivityCanceled,
    ActivityContext,
    ActivityFailed,
    ActivityTaskHandle,
    ActivityWorker,
    Canceled,
    CodecError,
    Completed,
    Failed,
    PayloadTooLargeError,
    activity,
)
from swf_worker.codecs import EncryptionCodec, GzipCodec
from swf_worker.codecs.chain import apply, unapply
from swf_worker.coded import heartbeat_text
from swf_worker.local import LocalSwf
from swf_worker.runtime.tasks import invocation
from swf_worker.testing import ActivityEnvironment
from tests.codecs.fake_s3 import says
from tests.conftest import eventually

SECRET = "s3cr3t-payload"
KEY = Fernet.generate_key()
SEALED = (GzipCodec(), EncryptionCodec([KEY]))


@activity(name="Echo", version="1", heartbeat_interval=0.1)
def echo(context: ActivityContext, text: str) -> str:
    context.heartbeat({"seen": text})
    return text


@activity(name="EchoAsync", version="1")
async def echo_async(context: ActivityContext, text: str) -> str:
    context.heartbeat({"seen": text})
    return text


@activity(name="EchoInProcess", version="1", isolation="process")
def echo_in_process(context: ActivityContext, text: str) -> str:
    context.heartbeat({"seen": text})
    return text


@activity(name="Breaks", version="1")
def breaks(text: str) -> None:
    raise ValueError(text)


@activity(name="BreaksInProcess", version="1", isolation="process")
def breaks_in_process(text: str) -> None:
    raise ActivityFailed("Reason", {"text": text})


@activity(name="Stops", version="1", heartbeat_interval=0.1)
def stops(context: ActivityContext, text: str) -> None:
    assert context.wait_for_stop(20)
    raise ActivityCanceled({"text": text})


@activity(name="Bare", version="1", codecs=[])
def bare(text: str) -> str:
    return text


ALL = [echo, echo_async, breaks, stops, bare]
IN_PROCESSES = {"EchoInProcess": echo_in_process, "BreaksInProcess": breaks_in_process}


def serving(name):
    """All that are needed: a handler process is no small part of a test's time."""
    return [IN_PROCESSES[name]] if name in IN_PROCESSES else ALL


@pytest.fixture
def run():
    """Starts a worker with codecs; its service."""
    with ExitStack() as stack:

        def start(codecs, *activities, **options):
            swf = stack.enter_context(LocalSwf(poll_hold=0.5))
            worker = ActivityWorker(
                domain="d",
                task_list="t",
                activities=activities or ALL,
                endpoint_url=swf.endpoint_url,
                codecs=codecs,
                **options,
            )
            swf.register(worker)
            stack.enter_context(worker)
            return swf

        yield start


def sealed(value):
    return apply(SEALED, json.dumps(value))


def opened(text):
    return json.loads(unapply(SEALED, text))


@pytest.mark.parametrize("name", ["Echo", "EchoAsync", "EchoInProcess"])
def test_inputs_and_results_go_through_them(run, name):
    swf = run(SEALED, *serving(name))
    scheduled = swf.schedule(name, "1", raw_input=sealed(SECRET))
    done = scheduled.outcome()
    assert isinstance(done, Completed)
    assert opened(done.result) == SECRET
    assert SECRET not in json.dumps(scheduled.history(), default=str)
    plain = swf.schedule(name, "1", "plain").outcome()  # what no codec wrote passes
    assert opened(plain.result) == "plain"


@pytest.mark.parametrize("name", ["Breaks", "BreaksInProcess"])
def test_failures_do(run, name):
    swf = run(SEALED, *serving(name))
    scheduled = swf.schedule(name, "1", raw_input=sealed(SECRET))
    failed = scheduled.outcome()
    assert isinstance(failed, Failed)
    assert failed.reason in ("ValueError", "Reason")
    assert SECRET in json.dumps(opened(failed.details))
    assert SECRET not in json.dumps(scheduled.history(), default=str)


def test_heartbeats_and_cancellations_do(run):
    swf = run(SEALED)
    scheduled = swf.schedule("Stops", "1", raw_input=sealed(SECRET))
    scheduled.wait_for_heartbeats()
    scheduled.request_cancel()
    canceled = scheduled.outcome()
    assert isinstance(canceled, Canceled)
    assert opened(canceled.details) == {"text": SECRET}
    assert SECRET not in json.dumps(scheduled.history(), default=str)


def test_an_activity_may_have_none(run):
    assert run(SEALED).schedule("Bare", "1", "x").outcome() == Completed('"x"')


def test_a_wrong_key_is_an_input_decode_error(run):
    swf = run([EncryptionCodec([Fernet.generate_key()])])
    failed = swf.schedule("Echo", "1", raw_input=apply([EncryptionCodec([KEY])], '"x"')).outcome()
    assert failed.reason == "InputDecodeError"


def long_text(units):
    """What gzip can't make shorter."""
    return "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=units))


def test_what_is_coded_is_never_cut():
    environment = ActivityEnvironment(codecs=SEALED)
    for handler in (breaks, breaks_in_process):
        failed = environment.outcome(handler, long_text(60_000))
        assert len(failed.details) <= 32_768
        assert opened(failed.details)["truncated" if handler is breaks_in_process else "type"]
    refused = environment.outcome(echo, long_text(32_700))
    assert refused.reason == "PayloadTooLarge"
    assert "after its codecs" in json.loads(unapply(SEALED, refused.details))["message"]


def test_what_gzip_makes_fit_fits():
    done = ActivityEnvironment(codecs=SEALED).outcome(echo, "x" * 200_000)
    assert opened(done.result) == "x" * 200_000


def test_heartbeat_details_are_shortened_before():
    cut, why = heartbeat_text(long_text(5_000), SEALED)
    assert len(cut) <= 2_048
    assert "cut" in unapply(SEALED, cut)
    assert why == "5000 characters, 2048 are allowed"
    whole, why = heartbeat_text(long_text(1_000), SEALED)
    assert unapply(SEALED, whole) == long_text(1_000)
    assert why is None
    nothing, why = heartbeat_text(SECRET, [Broken()])
    assert nothing is None
    assert SECRET not in why


class Broken:
    """A codec of the user's, with something to hide."""

    def encode(self, text):
        raise RuntimeError(text)

    def decode(self, text):
        return text


def test_where_a_codec_breaks_nothing_goes_out_uncoded(run):
    swf = run([Broken()], *ALL, breaks_in_process)
    for name in ("Echo", "EchoAsync", "Breaks", "BreaksInProcess"):
        scheduled = swf.schedule(name, "1", SECRET)
        failed = scheduled.outcome()
        assert isinstance(failed, Failed), name
        answered = [event for event in scheduled.history() if "Failed" in event["eventType"]]
        assert SECRET not in json.dumps(answered, default=str)
        assert "Broken.encode raised RuntimeError" in failed.details


def test_a_store_that_is_away_for_a_while_costs_no_result(run, eager, store, monkeypatch):
    monkeypatch.setattr(invocation, "_WAITS", (0.05,) * 40)
    away = [says(503, "SlowDown")] * 3
    for handler in (echo, echo_async):
        swf = run([eager], handler)
        store.misbehave[:] = away
        done = swf.schedule(handler.__name__.title().replace("_A", "A"), "1", "y" * 40).outcome()
        assert isinstance(done, Completed)
        assert json.loads(unapply([eager], done.result)) == "y" * 40


def test_an_input_that_can_not_be_fetched_now_may_be_later(run, eager, store):
    stored = apply([eager], json.dumps("z" * 50))
    swf = run([eager], echo)
    store.misbehave[:] = [says(503, "SlowDown")] * 10
    failed = swf.schedule("Echo", "1", raw_input=stored).outcome()
    store.misbehave.clear()
    assert failed.reason == "CodecError"
    assert json.loads(unapply([eager], failed.details))["retryable"] is True
    store.objects.clear()
    gone = swf.schedule("Echo", "1", raw_input=stored).outcome()
    assert gone.reason == "InputDecodeError"


def test_a_codec_that_takes_long_holds_up_no_loop(run):
    inside, leave = threading.Event(), threading.Event()

    class Slow:
        def encode(self, text):
            if "wait" in text:
                inside.set()
                assert leave.wait(20)
            return text

        def decode(self, text):
            return text

    @activity(name="EchoAsync", version="1")
    async def echo_async(text: str) -> str:
        return text

    swf = run([Slow()], echo_async)
    slow = swf.schedule("EchoAsync", "1", "wait")
    assert inside.wait(20)
    assert swf.schedule("EchoAsync", "1", "quick").outcome() == Completed('"quick"')
    leave.set()
    assert slow.outcome() == Completed('"wait"')


def test_a_handle_has_them_too(run):
    swf = LocalSwf()
    with swf:
        tokens = []

        @activity(name="Elsewhere", version="1", manual_completion=True)
        def elsewhere(context: ActivityContext) -> None:
            tokens.append(context.task.task_token)

        worker = ActivityWorker(
            domain="d", task_list="t", activities=[elsewhere], endpoint_url=swf.endpoint_url
        )
        swf.register(worker)
        with worker:
            done = swf.schedule("Elsewhere", "1")
            failed = swf.schedule("Elsewhere", "1")
            assert eventually(lambda: len(tokens) == 2, 20)
            one, two = (
                ActivityTaskHandle(token, endpoint_url=swf.endpoint_url, codecs=SEALED)
                for token in tokens
            )
            one.heartbeat(SECRET)
            with pytest.raises(PayloadTooLargeError):
                one.complete(long_text(40_000))
            one.complete({"secret": SECRET})
            two.fail("Why", {"secret": SECRET})
            outcomes = {type(each.outcome()): each.outcome() for each in (done, failed)}
        assert opened(outcomes[Completed].result) == {"secret": SECRET}
        assert opened(outcomes[Failed].details) == {"secret": SECRET}
        with pytest.raises(CodecError):
            ActivityTaskHandle("t", endpoint_url=swf.endpoint_url, codecs=[Broken()]).complete(1)
