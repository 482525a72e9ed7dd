"""``swf-worker journal``: what lies there, sent or dropped by hand."""

from __future__ import annotations

from swf_worker.clock import wall
from swf_worker.outcome import Failed as FailedOutcome
from swf_worker.runtime.journal.entries import Attempted, Place
from swf_worker.runtime.journal.file import JournalFile
from swf_worker.runtime.journal.owners import Owner
from tests import commands
from tests.journal.test_file import entry
from tests.journal.test_keeper import lying_in
from tests.wire import OK, Wire, fault, hang_up


def swf_worker(*arguments):
    said = commands.swf_worker("journal", *arguments)
    return said.code, said.out, said.err


def left_in(path, url="http://127.0.0.1:9", *entries):
    place = Place(f"{url} us-east-1", "tests", "tasks")
    file = JournalFile.opened(path)
    for number, changed in enumerate(entries or ({},)):
        given = {"token": f"secret-{number}", "place": place, "owner": "dead", "kept_at": wall()}
        file.write([entry(**(given | changed))])
    file.close()


def test_a_line_each_with_no_token_and_no_payload(tmp_path):
    path = tmp_path / "journal"
    owner = Owner(path)
    left_in(
        path,
        "http://127.0.0.1:9",
        {"kept_at": wall() - 3 * 86_400},
        {"outcome": FailedOutcome("Bad", "a payload"), "owner": owner.name},
        {"attempted": Attempted.WAITING},
    )
    code, out, err = swf_worker(path)
    owner.close()
    assert code == 0, err
    lines = out.splitlines()
    assert len(lines) == 3
    assert lines[0].startswith("id  n/1  Completed  3 d  may be accepted, its worker has ended")
    assert lines[1].startswith("id  n/1  Failed")
    assert "its worker runs" in lines[1]
    assert "not accepted" in lines[2]
    assert "secret" not in out
    assert "payload" not in out
    assert len(lying_in(path)) == 3, "nothing was changed"


def test_one_that_is_not_there_is_named_and_not_made(tmp_path):
    path = tmp_path / "no-such-journal"
    code, out, err = swf_worker(path)
    assert (code, out, len(err.splitlines())) == (1, "", 1)
    assert str(path) in err
    assert list(tmp_path.iterdir()) == []


def test_one_that_is_empty_or_readable_by_others_says_so(tmp_path):
    JournalFile.opened(tmp_path / "empty").close()
    assert swf_worker(tmp_path / "empty") == (0, "", "nothing lies there\n")
    (tmp_path / "empty").chmod(0o644)
    code, _, err = swf_worker(tmp_path / "empty")
    assert (code, len(err.splitlines()), "chmod 600" in err) == (1, 1, True)


def test_what_a_dead_worker_left_is_sent_by_the_same_rules(tmp_path):
    path = tmp_path / "journal"
    gone = fault("UnknownResourceFault", "Unknown activity, scheduledEventId = 5")
    with Wire(
        RespondActivityTaskCompleted=[hang_up, OK, gone, gone],
        RespondActivityTaskFailed=[fault("ThrottlingException"), OK],
    ) as wire:
        left_in(
            path,
            wire.url,
            {"kept_at": wall() - 9},
            {"kept_at": wall() - 8, "attempted": Attempted.AMBIGUOUS},
            {"kept_at": wall() - 7, "attempted": Attempted.WAITING},
            {"kept_at": wall() - 6, "outcome": FailedOutcome("No", "why")},
        )
        code, out, err = swf_worker(path, "--send")
    told = [line.split("  ")[4] for line in out.splitlines()]
    assert told == ["accepted", "presumed accepted", "late", "accepted"], err
    assert code == 1, "one came too late"
    assert lying_in(path) == []
    assert [body["taskToken"] for body in wire.named("RespondActivityTaskCompleted")] == [
        *("secret-0", "secret-0"),
        *("secret-1", "secret-2"),
    ]


def test_what_a_running_worker_owns_is_left_to_it(tmp_path):
    path = tmp_path / "journal"
    owner = Owner(path)
    with Wire() as wire:
        left_in(path, wire.url, {"owner": owner.name})
        code, out, _ = swf_worker(path, "--send")
        assert (code, "its worker runs" in out) == (0, True)
        code, _, err = swf_worker(path, "--drop", "id")
        assert (code, "stop that before" in err) == (1, True)
        assert wire.calls == []
    owner.close()
    assert len(lying_in(path)) == 1


def test_one_is_dropped_by_its_id_and_none_by_guess(tmp_path):
    path = tmp_path / "journal"
    left_in(path)
    code, _, err = swf_worker(path, "--drop", "other")
    assert (code, "no answer of an activity other" in err) == (1, True)
    left_in(path, "http://127.0.0.1:9", {"token": "another"})
    code, _, err = swf_worker(path, "--drop", "id")
    assert (code, "several lie there" in err) == (2, True)
    file = JournalFile.opened(path)
    file.write(dropped=["another"])
    file.close()
    code, out, _ = swf_worker(path, "--drop", "w/id")
    assert (code, "dropped" in out) == (0, True)
    assert lying_in(path) == []


def test_send_and_drop_are_one_at_a_time(tmp_path):
    left_in(tmp_path / "journal")
    assert swf_worker(tmp_path / "journal", "--send", "--drop", "id")[0] == 2


def test_an_answer_goes_to_its_own_swf_and_to_no_other(tmp_path):
    path = tmp_path / "journal"
    gone = fault("UnknownResourceFault", "Unknown activity")
    with Wire(RespondActivityTaskCompleted=[OK]) as own, Wire(DONE=[gone]) as other:
        left_in(path, own.url)
        code, out, _ = swf_worker(path, "--send", "--endpoint-url", other.url)
        assert (code, len(out.splitlines())) == (0, 1)
        assert other.calls == []
        assert len(lying_in(path)) == 1, "a token means nothing to another"
        code, out, _ = swf_worker(path, "--send", "--endpoint-url", own.url)
        assert (code, "accepted" in out) == (0, True)
        assert lying_in(path) == []


def test_the_failure_that_follows_a_refused_result_lies_there_before_it_is_sent(tmp_path):
    path = tmp_path / "journal"
    seen = []

    def dies(sock):
        seen.extend(lying_in(path))
        sock.close()

    with Wire(
        RespondActivityTaskCompleted=[fault("ValidationException", "too long")],
        RespondActivityTaskFailed=[dies, OK],
    ) as wire:
        left_in(path, wire.url, {"attempted": Attempted.WAITING})
        code, _, err = swf_worker(path, "--send")
    assert code == 0, err
    assert [each.outcome.reason for each in seen] == ["ResultRefused"]
