"""A worker with a journal: what is kept, and when; whatever happens to the file, no task is
touched."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest

from swf_worker import ActivityWorker, ConfigurationError, activity
from swf_worker.clock import wall
from swf_worker.errors import ServiceUnavailableError, ThrottledError
from swf_worker.journal_observations import (
    JournalEntryExpired,
    JournalEntryLeft,
    JournalFailed,
    JournalRestored,
    JournalTakenUp,
)
from swf_worker.local import Completed, Fault, FaultKind
from swf_worker.observations import AnswerRetried, TaskEnded
from swf_worker.outcome import Completed as Completed_
from swf_worker.outcome import Failed as FailedOutcome
from swf_worker.runtime.journal import keeper
from swf_worker.runtime.journal.entries import Attempted, Place
from swf_worker.runtime.journal.file import JournalFile
from swf_worker.runtime.journal.owners import is_alive
from swf_worker.runtime.threads.clock import start_daemon
from tests.cli import workers
from tests.cli.test_run import ended, environment, running
from tests.cli.together import FLEET
from tests.conftest import Recorder, eventually, started
from tests.journal.test_file import HERE, entry
from tests.wire import EMPTY_POLL, OK, Wire, fault, http, task

DONE = "RespondActivityTaskCompleted"


@activity(name="Work", version="1", heartbeat_interval=0.2)
def work(n: int) -> int:
    return n + 1


@contextmanager
def at(path):
    file = JournalFile.opened(path, new=False)
    try:
        yield file
    finally:
        file.close()


def lying_in(path):
    with at(Path(path)) as file:
        return file.entries()


def test_nothing_changes_without_one(make_worker, quick_swf, recorder, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with make_worker(work):
        assert quick_swf.schedule("Work", "1", 1).outcome() == Completed("2")
    assert list(tmp_path.iterdir()) == []


def test_an_answer_lies_there_until_it_is_accepted(make_worker, quick_swf, recorder, tmp_path):
    path = tmp_path / "journal"
    quick_swf.set_faults([Fault(DONE, FaultKind.UNAVAILABLE, calls=[1, 2])])
    with make_worker(work, journal=path):
        scheduled = quick_swf.schedule("Work", "1", 1)
        recorder.wait_for(AnswerRetried)
        (kept,) = lying_in(path)
        assert kept.outcome == Completed_("2")
        assert scheduled.outcome() == Completed("2")
        recorder.wait_for(TaskEnded)
        assert eventually(lambda: lying_in(path) == [])
    assert sorted(each.name for each in tmp_path.iterdir()) == ["journal", "journal.lock"]


def never(stuck):
    raise AssertionError("the disk doesn't hang")


@pytest.fixture
def journal(tmp_path, recorder):
    kept = keeper.Journal(tmp_path / "journal", "process", HERE, recorder.observe, start_daemon)
    kept.open()
    yield kept
    thread = kept.close()
    thread.join(5)


def known(journal):
    return [(each.outcome, each.attempted) for each in lying_in(journal.path)]


def test_what_is_known_of_each_attempt_is_written(journal):
    one, answer = entry().task, Completed_("1")
    throttled = ThrottledError("RespondActivityTaskCompleted", "ThrottlingException", "no")
    lost = ServiceUnavailableError("RespondActivityTaskCompleted", "", "lost", ambiguous=True)
    journal.before_attempt(one, answer, never)
    assert known(journal) == [(answer, Attempted.SENDING)], "before it leaves"
    journal.after_attempt(one, throttled)
    assert eventually(lambda: known(journal) == [(answer, Attempted.WAITING)])
    journal.before_attempt(one, answer, never)
    assert known(journal) == [(answer, Attempted.SENDING)]
    journal.after_attempt(one, lost)
    assert eventually(lambda: known(journal) == [(answer, Attempted.AMBIGUOUS)])
    journal.before_attempt(one, answer, never)
    journal.after_attempt(one, throttled)
    assert not eventually(lambda: known(journal) != [(answer, Attempted.AMBIGUOUS)], 0.1)
    journal.drop(one)
    assert eventually(lambda: known(journal) == [])


def test_the_failure_that_follows_a_refused_result_takes_its_place(journal):
    one, refused = entry().task, FailedOutcome("ResultRefused", "{}")
    journal.before_attempt(one, Completed_("1"), never)
    journal.before_attempt(one, refused, never)
    assert known(journal) == [(refused, Attempted.SENDING)]


def test_answers_that_are_ready_together_share_a_transaction(journal, monkeypatch):
    writes, write = [], JournalFile.write
    begun, go_on = threading.Event(), threading.Event()

    def slow(self, kept=(), dropped=()):
        kept = list(kept)
        writes.append(len(kept))
        begun.set()
        go_on.wait(10)
        write(self, kept, dropped)

    monkeypatch.setattr(JournalFile, "write", slow)
    threads = [
        threading.Thread(target=journal.before_attempt, args=(each, Completed_("1"), never))
        for each in (entry(str(n)).task for n in range(9))
    ]
    threads[0].start()
    begun.wait(10)
    for each in threads[1:]:
        each.start()
    assert eventually(lambda: len(journal._waiting) == 8)
    go_on.set()
    for each in threads:
        each.join()
    assert writes == [1, 8]


def test_one_file_serves_workers_of_several_processes_at_once(quick_swf, tmp_path):
    quick_swf.register([work], domain="tests")
    path = str(tmp_path / "journal")
    program = f"""
import sys
from swf_worker import ActivityWorker
from tests.journal.test_keeper import work
worker = ActivityWorker(domain="tests", task_list="tasks", activities=[work],
    endpoint_url={quick_swf.endpoint_url!r}, journal={path!r}, max_concurrent_activities=4)
with worker:
    sys.stdin.read()
"""
    processes = [
        subprocess.Popen(
            [sys.executable, "-c", program],
            env=environment(),
            stdin=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        for _ in range(4)
    ]
    scheduled = [
        quick_swf.schedule("Work", "1", n, domain="tests", task_list="tasks") for n in range(60)
    ]
    assert [each.outcome() for each in scheduled] == [Completed(str(n + 1)) for n in range(60)]
    errors = [process.communicate(timeout=30)[1] for process in processes]
    assert [process.returncode for process in processes] == [0] * 4, errors
    assert "journal" not in "".join(errors)
    assert lying_in(path) == []


def left_in(path, url, region="us-east-1", **changed):
    place = Place(f"{url} {region}", "tests", "tasks")
    file = JournalFile.opened(path)
    file.write([entry(**({"place": place, "owner": "dead", "kept_at": wall() - 5} | changed))])
    file.close()


@pytest.mark.parametrize(
    ("attempted", "disposition"),
    [
        (Attempted.SENDING, "presumed_accepted"),
        (Attempted.AMBIGUOUS, "presumed_accepted"),
        (Attempted.WAITING, "late"),
    ],
)
def test_an_unknown_task_was_accepted_or_came_too_late(recorder, tmp_path, attempted, disposition):
    path = tmp_path / "journal"
    gone = fault("UnknownResourceFault", "Unknown activity, scheduledEventId = 5")
    with Wire(PollForActivityTask=[EMPTY_POLL], RespondActivityTaskCompleted=[gone]) as wire:
        left_in(path, wire.url, attempted=attempted)
        with started(worker_of(wire.url, recorder, path)):
            (taken,) = recorder.wait_for(JournalTakenUp)
            assert taken.answers == 1
            (ended,) = recorder.wait_for(TaskEnded)
            assert ended.disposition == disposition
            assert wire.named(DONE) == [{"taskToken": "token", "result": "1"}]
            assert eventually(lambda: lying_in(path) == [])


def test_what_a_dead_worker_was_sending_may_be_accepted_whatever_the_next_one_hears(
    journal, monkeypatch
):
    monkeypatch.setattr(keeper, "AT_LEAST", 0.05)
    with at(journal.path) as file:
        sending = {
            "place": HERE,
            "owner": "dead",
            "kept_at": wall(),
            "attempted": Attempted.SENDING,
        }
        file.write([entry(**sending)])
    taken = []
    assert journal.adopt(60.0, taken.append, within=5)
    throttled = ThrottledError("RespondActivityTaskCompleted", "ThrottlingException", "no")
    journal.after_attempt(taken[0].task, throttled)
    stays = [(taken[0].outcome, Attempted.AMBIGUOUS)]
    assert not eventually(lambda: known(journal) != stays, 0.5)


def worker_of(url, recorder, path, **options):
    return ActivityWorker(
        domain="tests",
        task_list="tasks",
        activities=[work],
        endpoint_url=url,
        observers=[recorder],
        journal=path,
        drain_timeout=0,
        **options,
    )


def test_what_lies_there_goes_out_before_the_first_poll(recorder, tmp_path):
    path = tmp_path / "journal"
    with Wire(
        PollForActivityTask=[EMPTY_POLL],
        RespondActivityTaskFailed=[OK],
        DescribeActivityType=[http(200, {})],
    ) as wire:
        left_in(path, wire.url, outcome=FailedOutcome("No", "why"))
        with started(worker_of(wire.url, recorder, path)):
            wire.wait_for("PollForActivityTask")
        names = [name for name, _ in wire.calls if name != "DescribeActivityType"]
    assert names[:2] == ["RespondActivityTaskFailed", "PollForActivityTask"]
    assert wire.named("RespondActivityTaskFailed") == [
        {"taskToken": "token", "reason": "No", "details": "why"}
    ]


def test_a_task_that_lies_there_never_runs_again(recorder, tmp_path):
    path = tmp_path / "journal"
    of_work = {"activityType": {"name": "Work", "version": "1"}, "input": "1"}
    with Wire(
        PollForActivityTask=[task("token", **of_work), EMPTY_POLL],
        RespondActivityTaskCompleted=[fault("ThrottlingException"), OK],
    ) as wire:
        left_in(path, wire.url, outcome=Completed_('"of the first"'))
        with started(worker_of(wire.url, recorder, path)):
            recorder.wait_for(TaskEnded)
            wire.wait_for("PollForActivityTask", 2)
    assert {each["result"] for each in wire.named(DONE)} == {'"of the first"'}


def test_answers_of_another_swf_or_domain_are_left_and_told(recorder, tmp_path):
    path = tmp_path / "journal"
    with Wire(PollForActivityTask=[EMPTY_POLL]) as wire:
        left_in(path, "https://swf.eu-west-1.amazonaws.com", "eu-west-1")
        with started(worker_of(wire.url, recorder, path)):
            (left,) = recorder.wait_for(JournalEntryLeft)
            assert "eu-west-1" in left.service
            wire.wait_for("PollForActivityTask")
    assert len(lying_in(path)) == 1
    assert wire.named(DONE) == []


def test_answers_of_a_worker_that_lives_are_left_alone(recorder, tmp_path):
    path = tmp_path / "journal"
    owner = keeper.Owner(path)
    try:
        with Wire(PollForActivityTask=[EMPTY_POLL]) as wire:
            left_in(path, wire.url, owner=owner.name)
            with started(worker_of(wire.url, recorder, path)):
                wire.wait_for("PollForActivityTask")
            assert wire.named(DONE) == []
        assert len(lying_in(path)) == 1
    finally:
        owner.close()


def test_what_lay_there_too_long_is_told_and_dropped(recorder, tmp_path):
    path = tmp_path / "journal"
    with Wire(PollForActivityTask=[EMPTY_POLL]) as wire:
        left_in(path, wire.url)
        with started(worker_of(wire.url, recorder, path, journal_keep=1)):
            (expired,) = recorder.wait_for(JournalEntryExpired)
            assert expired.seconds > 4
            wire.wait_for("PollForActivityTask")
        assert wire.named(DONE) == []
    assert lying_in(path) == []


@pytest.mark.parametrize("kept_at", [5.0, 9_999_999_999.0])
def test_a_clock_that_was_not_set_makes_none_old(recorder, tmp_path, kept_at):
    path = tmp_path / "journal"
    with Wire(PollForActivityTask=[EMPTY_POLL], RespondActivityTaskCompleted=[OK]) as wire:
        left_in(path, wire.url, kept_at=kept_at)
        with started(worker_of(wire.url, recorder, path)):
            recorder.wait_for(TaskEnded)
        assert recorder.of(JournalEntryExpired) == []


# --- a journal that fails -------------------------------------------------------------------------


def full(path, monkeypatch):
    def fails(self, *given, **more):
        raise sqlite3.OperationalError("database or disk is full")

    monkeypatch.setattr(JournalFile, "write", fails)


def deleted(path, monkeypatch):
    for each in path.parent.iterdir():
        each.unlink()


def truncated(path, monkeypatch):
    for each in (path, path.with_name("journal-wal")):
        os.truncate(each, 100)


def locked(path, monkeypatch):
    monkeypatch.setattr(keeper, "PATIENCE", 0.2)
    holder = sqlite3.connect(path, isolation_level=None)
    holder.execute("BEGIN IMMEDIATE")
    return holder


def emptied(path, monkeypatch):
    """Also what SQLite has mapped: a look at that would end the process by SIGBUS."""
    for each in path.parent.iterdir():
        os.truncate(each, 0)


@pytest.mark.parametrize("how", [full, deleted, truncated, emptied, locked])
def test_whatever_happens_to_the_file_no_task_is_touched(
    make_worker, quick_swf, recorder, tmp_path, monkeypatch, how
):
    path = tmp_path / "journal"
    with make_worker(work, journal=path):
        assert quick_swf.schedule("Work", "1", 1).outcome() == Completed("2")
        held = how(path, monkeypatch)
        for n in range(3):
            assert quick_swf.schedule("Work", "1", n).outcome() == Completed(str(n + 1))
        (failed, *_) = recorder.wait_for(JournalFailed)
        assert str(path) in failed.path
        if held is not None:
            held.close()
    assert {each.disposition for each in recorder.of(TaskEnded)} == {"accepted"}
    if how in (deleted, emptied):
        assert recorder.of(JournalRestored), "it is made anew"


@pytest.mark.parametrize("path", ["no/such/folder/journal", "/dev/null", "."])
def test_a_path_that_cant_be_used_is_an_error_of_the_start(make_worker, tmp_path, path):
    worker = make_worker(work, journal=tmp_path / path)
    why = "(can't be used|is no file|is a folder)"
    with pytest.raises(ConfigurationError, match=f"the journal .* {why}"):
        worker.start()


@pytest.mark.parametrize("path", ["", 3, b"/var/journal", os.fsencode, True])
def test_a_path_that_is_none_is_refused(path):
    with pytest.raises(ConfigurationError, match="the path of a file is needed"):
        ActivityWorker(domain="tests", task_list="tasks", activities=[work], journal=path)


def test_a_path_is_that_of_the_start(make_worker, quick_swf, recorder, tmp_path, monkeypatch):
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path)
    with make_worker(work, journal="journal"):
        monkeypatch.chdir(tmp_path / "elsewhere")
        assert quick_swf.schedule("Work", "1", 1).outcome() == Completed("2")
    assert recorder.of(JournalFailed) == []
    assert sorted(each.name for each in tmp_path.iterdir()) == [
        *("elsewhere", "journal", "journal.lock")
    ]


def test_a_real_limit_on_the_files_size_touches_no_task(quick_swf, tmp_path):
    """As a full disk: the kernel takes no more bytes."""
    quick_swf.register([work], domain="tests")
    program = f"""
import resource, signal
from swf_worker import ActivityWorker
from tests.journal.test_keeper import work
worker = ActivityWorker(domain="tests", task_list="tasks", activities=[work],
    endpoint_url={quick_swf.endpoint_url!r}, journal={str(tmp_path / "journal")!r})
with worker:
    import sys
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    resource.setrlimit(resource.RLIMIT_FSIZE, (20_000, resource.RLIM_INFINITY))
    print("limited", flush=True)
    sys.stdin.read()
"""
    process = subprocess.Popen(
        [sys.executable, "-c", program],
        env=environment(),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stdout.readline() == "limited\n"
    for n in range(12):
        scheduled = quick_swf.schedule("Work", "1", n, domain="tests", task_list="tasks")
        assert scheduled.outcome() == Completed(str(n + 1))
    _, err = process.communicate(timeout=30)
    assert process.returncode == 0
    assert "the journal can't be written" in err


@pytest.mark.parametrize("was_done", [False, True])
def test_an_adoption_that_failed_is_made_up_for(recorder, tmp_path, monkeypatch, was_done):
    """Also one that was carried out, and failed all the same."""
    path = tmp_path / "journal"
    adopt = JournalFile.adopt
    fails = iter([True])

    def fails_once(self, *given):
        if next(fails, False):
            if was_done:
                adopt(self, *given)
            raise sqlite3.OperationalError("disk I/O error")
        return adopt(self, *given)

    monkeypatch.setattr(JournalFile, "adopt", fails_once)
    monkeypatch.setattr(keeper, "AGAIN", 0.1)
    with Wire(PollForActivityTask=[EMPTY_POLL], RespondActivityTaskCompleted=[OK]) as wire:
        left_in(path, wire.url)
        with started(worker_of(wire.url, recorder, path)):
            recorder.wait_for(JournalFailed)
            recorder.wait_for(JournalRestored)
            recorder.wait_for(JournalTakenUp)
            recorder.wait_for(TaskEnded)
            assert eventually(lambda: lying_in(path) == [])
    assert len(wire.named(DONE)) == 1


def test_what_was_accepted_while_it_failed_is_gone_when_it_is_restored(
    journal, recorder, monkeypatch
):
    one, write = entry().task, JournalFile.write
    fails = iter([True])

    def fails_once(self, *given, **more):
        if next(fails, False):
            raise sqlite3.OperationalError("database is locked")
        write(self, *given, **more)

    journal.before_attempt(one, Completed_("1"), never)
    monkeypatch.setattr(JournalFile, "write", fails_once)
    journal.drop(one)
    recorder.wait_for(JournalRestored)
    assert eventually(lambda: known(journal) == [])


def test_a_worker_whose_files_are_deleted_looks_alive_again(journal, recorder):
    for each in journal.path.parent.iterdir():
        each.unlink()
    journal.before_attempt(entry().task, Completed_("1"), never)
    recorder.wait_for(JournalRestored)
    assert is_alive(journal.path, journal._owner.name)
    assert eventually(lambda: len(known(journal)) == 1)


def test_what_a_worker_is_sending_for_a_dead_one_is_not_sent_by_the_next(recorder, tmp_path):
    path = tmp_path / "journal"
    go_on = threading.Event()

    def held(sock):
        go_on.wait(20)
        sock.sendall(OK)

    with Wire(PollForActivityTask=[EMPTY_POLL], RespondActivityTaskCompleted=[held]) as wire:
        left_in(path, wire.url)
        second = worker_of(wire.url, Recorder(), path)
        with started(worker_of(wire.url, recorder, path)):
            wire.wait_for(DONE)
            with started(second):  # in one process with the first
                assert [each.outcome for each in lying_in(path)] == [Completed_("1")]
                go_on.set()
                recorder.wait_for(TaskEnded)
        assert len(wire.named(DONE)) == 1
    assert lying_in(path) == []


def test_a_supervisors_processes_share_one(quick_swf, tmp_path):
    quick_swf.register(workers.fleet)
    path = tmp_path / "journal"
    given = ("--processes", "4", "--journal", str(path))
    with running(FLEET, *given, swf=quick_swf) as process:
        seen = set()
        while len(seen) < 4:
            scheduled = [quick_swf.schedule("Pid", "1", 0.1) for _ in range(8)]
            seen |= {each.outcome().result for each in scheduled}
        process.terminate()
        code, _, err = ended(process)
    assert code == 0
    assert "journal" not in err
    assert lying_in(path) == []
