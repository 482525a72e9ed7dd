"""The journal's file: whose it is, what is in it, what others may do to it."""

from __future__ import annotations

import os
import sqlite3
import stat
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from swf_worker import ConfigurationError
from swf_worker.outcome import Canceled, Completed, Failed
from swf_worker.runtime.journal.entries import Attempted, Entry, Place, entry_of, row_of
from swf_worker.runtime.journal.file import JournalFile
from swf_worker.runtime.journal.owners import Owner, is_alive, sweep
from swf_worker.runtime.journal.path import check
from swf_worker.task import ActivityTask, ActivityType, WorkflowExecution
from tests.cli.test_run import environment
from tests.conftest import eventually

HERE = Place("https://swf.us-east-1.amazonaws.com us-east-1", "tests", "tasks")


ANSWER = Completed("1")


def entry(token="token", outcome=ANSWER, owner="me", **changed):
    task = ActivityTask(token, "id", ActivityType("n", "1"), WorkflowExecution("w", "r"), 5, None)
    given = {"attempted": Attempted.SENDING, "place": HERE, "kept_at": 1.5, "owner": owner}
    return Entry(task, outcome, **(given | changed))


TEXT = st.text(st.characters(codec=None), max_size=40)
OUTCOMES = (
    st.builds(Completed, st.none() | TEXT)
    | st.builds(Canceled, st.none() | TEXT)
    | st.builds(Failed, TEXT, st.none() | TEXT)
)


@given(TEXT, TEXT, OUTCOMES, st.sampled_from(Attempted))
def test_an_entry_comes_back_as_it_was(token, name, outcome, attempted):
    task = ActivityTask(
        token, name, ActivityType(name, "1"), WorkflowExecution(name, name), 5, None
    )
    kept = Entry(task, outcome, attempted, HERE, 12.25, "owner")
    assert entry_of(row_of(kept)) == kept


def test_what_is_written_is_there_and_what_is_dropped_is_not(tmp_path):
    path = tmp_path / "journal"
    file = JournalFile.opened(path)
    file.write([entry("a"), entry("b", Failed("No", "why"))])
    file.write([entry("a", attempted=Attempted.AMBIGUOUS)], dropped=["b"])
    file.write([entry("c", kept_at=0.5)])
    file.close()
    again = JournalFile.opened(path)
    assert [(each.task.task_token, each.attempted) for each in again.entries()] == [
        ("c", Attempted.SENDING),
        ("a", Attempted.AMBIGUOUS),
    ]
    again.close()


def test_it_is_for_its_owners_eyes_and_so_is_all_beside_it(tmp_path):
    path = tmp_path / "journal"
    before = os.umask(0)
    try:
        owner = Owner(path)
        file = JournalFile.opened(path)
        file.write([entry()])
        modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in tmp_path.iterdir()}
    finally:
        os.umask(before)
    file.close()
    owner.close()
    assert len(modes) == 5
    assert set(modes.values()) == {0o600}


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o666])
def test_one_that_others_may_read_is_refused(tmp_path, mode):
    path = tmp_path / "journal"
    JournalFile.opened(path).close()
    path.chmod(mode)
    with pytest.raises(ConfigurationError, match=f"chmod 600 {path}"):
        JournalFile.opened(path)


def test_one_of_a_later_version_is_refused(tmp_path):
    path = tmp_path / "journal"
    JournalFile.opened(path).close()
    later = sqlite3.connect(path)
    later.execute("PRAGMA user_version = 7")
    later.close()
    with pytest.raises(ConfigurationError, match="schema 7"):
        JournalFile.opened(path)


def test_of_two_that_adopt_the_same_answer_one_gets_it(tmp_path):
    path = tmp_path / "journal"
    with_it = JournalFile.opened(path)
    with_it.write([entry(str(n), owner="dead") for n in range(50)])
    left = with_it.entries()
    got = {}
    begin = threading.Barrier(4)

    def adopt(name):
        mine = JournalFile.opened(path)
        begin.wait()
        got[name] = [one for each in left for one in mine.adopt(name, [each])[0]]
        mine.close()

    threads = [threading.Thread(target=adopt, args=(str(n),)) for n in range(4)]
    for each in threads:
        each.start()
    for each in threads:
        each.join()
    with_it.close()
    adopted = [each.task.task_token for mine in got.values() for each in mine]
    assert sorted(adopted) == sorted(str(n) for n in range(50))


def test_an_owner_is_alive_until_it_is_closed_and_not_for_what_it_forked(tmp_path):
    path = tmp_path / "journal"
    owner = Owner(path)
    assert is_alive(path, owner.name)
    reading, writing = os.pipe()
    pid = os.fork()
    if pid == 0:
        os.close(writing)
        os.read(reading, 1)
        os._exit(0)
    os.close(reading)
    owner.forget()  # as if its process had died
    assert eventually(lambda: not is_alive(path, owner.name)), "a process that it forked lives on"
    os.close(writing)
    os.waitpid(pid, 0)
    assert not is_alive(path, "nobody")
    assert list(tmp_path.iterdir()) == []


def test_what_a_dead_worker_was_sending_may_be_accepted_from_then_on(tmp_path):
    file = JournalFile.opened(tmp_path / "journal")
    states = (Attempted.SENDING, Attempted.WAITING, Attempted.AMBIGUOUS)
    file.write([entry(each.value, owner="dead", attempted=each) for each in states])
    file.adopt("me", file.entries())
    assert {each.task.task_token: each.attempted for each in file.entries()} == {
        "sending": Attempted.AMBIGUOUS,
        "waiting": Attempted.WAITING,
        "ambiguous": Attempted.AMBIGUOUS,
    }
    file.close()


def test_a_row_that_is_none_hides_no_other(tmp_path):
    path = tmp_path / "journal"
    file = JournalFile.opened(path)
    file.write([entry("good"), entry("bad")])
    other = sqlite3.connect(path)
    other.execute("UPDATE entries SET attempted = 'odd' WHERE token = ?", (b"bad",))
    other.commit()
    other.close()
    assert [each.task.task_token for each in file.entries()] == ["good"]
    assert file.page(b"", 9).unreadable == 1
    file.close()


def test_what_lies_beside_it_is_as_private(tmp_path):
    path = tmp_path / "journal"
    file = JournalFile.opened(path)
    path.with_name("journal-wal").chmod(0o644)
    with pytest.raises(ConfigurationError, match="chmod 600 .*journal-wal"):
        JournalFile.opened(path)
    file.close()


def test_those_who_ask_at_once_see_the_dead_as_dead(tmp_path):
    path = tmp_path / "journal"
    for _ in range(50):
        owner = Owner(path)
        owner.forget()
        seen, begin = [], threading.Barrier(4)

        def ask(name=owner.name, seen=seen, begin=begin):
            begin.wait()
            seen.append(is_alive(path, name))

        threads = [threading.Thread(target=ask) for _ in range(4)]
        for each in threads:
            each.start()
        for each in threads:
            each.join()
        assert seen == [False] * 4


def test_what_dead_workers_left_beside_it_is_swept(tmp_path):
    path = tmp_path / "journal"
    dead, living = Owner(path), Owner(path)
    dead.forget()
    sweep(path)
    assert [each.name for each in tmp_path.iterdir()] == [f"journal.{living.name}.owner"]
    living.close()


def test_a_worker_that_starts_while_others_sweep_is_seen(tmp_path):
    path, over = tmp_path / "journal", threading.Event()

    def sweeps():
        while not over.is_set():
            sweep(path)

    threads = [threading.Thread(target=sweeps) for _ in range(3)]
    for each in threads:
        each.start()
    owners = [Owner(path) for _ in range(300)]
    over.set()
    for each in threads:
        each.join()
    assert all(owner.is_seen() and is_alive(path, owner.name) for owner in owners)
    for owner in owners:
        owner.close()


def test_what_was_dropped_is_no_longer_in_it(tmp_path):
    path = tmp_path / "journal"
    file = JournalFile.opened(path)
    tokens = [f"credential-{n}" for n in range(20)]
    file.write([entry(each, Completed('"secret"' * 2_000)) for each in tokens])
    file.write(dropped=tokens)
    file.close()
    left = b"".join(each.read_bytes() for each in tmp_path.iterdir())
    assert b"credential" not in left
    assert b"secret" not in left


ODD = [
    "a?mode=ro",
    "a#b",
    "a%20b",
    ":memory:",
    "file:x",
    b"not-utf-8-\xff".decode(errors="surrogateescape"),
]


@pytest.mark.parametrize("name", ODD)
def test_an_odd_name_is_a_name(tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    path = Path(name).absolute()
    file = JournalFile.opened(path)
    file.write([entry()])
    assert file.is_in_place()
    file.close()
    assert {each.name for each in tmp_path.iterdir()} == {name, f"{name}.lock"}
    again = JournalFile.opened(path)
    assert len(again.entries()) == 1
    again.close()


def test_a_second_look_lets_go_of_no_lock(tmp_path):
    """To close a file lets go of all locks that a process has on it; and whoever closes a journal
    that nobody has locked puts an end to its log."""
    path = tmp_path / "journal"
    file = JournalFile.opened(path)
    file.write([entry()])
    JournalFile.opened(path).close()
    another_process_comes_and_goes(path)
    assert file.is_in_place()
    file.close()


def test_neither_does_a_look_during_which_it_is_opened(tmp_path, monkeypatch):
    path, opened, looks, go_on = tmp_path / "journal", [], *(threading.Event() for _ in range(2))
    JournalFile.opened(path).close()

    def held_read(*given):
        if not looks.is_set():
            looks.set()
            go_on.wait(10)
        return read(*given)

    read = os.read
    monkeypatch.setattr("swf_worker.runtime.journal.path.os.read", held_read)
    looking = threading.Thread(target=check, args=(path,))
    looking.start()
    looks.wait(10)
    opening = threading.Thread(target=lambda: opened.append(JournalFile.opened(path)))
    opening.start()
    opening.join(0.2)
    go_on.set()
    looking.join(10)
    opening.join(10)
    (file,) = opened
    file.write([entry()])
    another_process_comes_and_goes(path)
    assert file.is_in_place()
    file.close()


def another_process_comes_and_goes(path):
    program = "import sys; from pathlib import Path\n"
    program += "from swf_worker.runtime.journal.file import JournalFile\n"
    program += "JournalFile.opened(Path(sys.argv[1])).close()"
    subprocess.run([sys.executable, "-c", program, str(path)], env=environment(), check=True)


def test_an_index_that_is_cut_off_ends_no_process(tmp_path):
    path = tmp_path / "journal"
    program = """
import os, sys
from pathlib import Path
from swf_worker.runtime.journal.file import JournalFile
path = Path(sys.argv[1])
file = JournalFile.opened(path)
for each in list(path.parent.iterdir()):
    os.truncate(each, 0)
assert not file.is_in_place()
file.close()
JournalFile.opened(path).close()
"""
    command = [sys.executable, "-c", program, str(path)]
    assert subprocess.run(command, env=environment()).returncode == 0
