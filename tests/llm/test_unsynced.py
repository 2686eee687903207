"""Answers made durable by one log: what a crash of the machine, or of the builder, leaves and what the next build makes of it."""

from __future__ import annotations

import errno
import os
import subprocess
import sys
from pathlib import Path

import pytest

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo.label import parse_label
from zerorepo_llm import unsynced
from zerorepo_llm.action import Answer
from zerorepo_llm.journal import Entry, Journal, Question
from zerorepo_llm.unsynced import Log, recover

from .fakes import ask_model


def entry(text: str) -> Entry:
    action = ask_model(text)
    question = Question.of(action, key_of(action, DigestFunction.XXH3), parse_label("//app:thing"))
    return Entry.answered(question, Answer(text=f"answer to {text}"), "litellm")


def logs(folder: Path) -> list[Path]:
    return sorted((folder / ".unsynced").glob("*"))


@pytest.fixture
def journal(tmp_path: Path) -> Journal:
    return Journal(tmp_path)


def killed(tmp_path: Path, *texts: str) -> None:
    """A builder that keeps the answers to ``texts`` and is killed before its end."""
    body = (
        "import os, sys\nfrom pathlib import Path\nfrom tests.llm.test_unsynced import *\n"
        "j = Journal(Path(sys.argv[1])); log = Log(j.folder)\n"
        "for text in sys.argv[2:]: j.put_all([entry(text)], log=log)\nos.kill(os.getpid(), 9)"
    )
    ended = subprocess.run([sys.executable, "-c", body, str(tmp_path), *texts], check=False)
    assert ended.returncode == -9


def other_boot(journal: Journal) -> None:
    """The log was written before the machine crashed."""
    (log,) = logs(journal.folder)
    log.rename(log.with_name(f"another-boot.{log.name.partition('.')[2]}"))


def test_many_answers_are_durable_by_one_sync(journal: Journal, monkeypatch: pytest.MonkeyPatch) -> None:
    synced = []
    monkeypatch.setattr(os, "fsync", lambda handle: synced.append(handle))
    monkeypatch.setattr(os, "fdatasync", lambda handle: synced.append(handle))
    log = Log(journal.folder)
    journal.put_all([entry("first")], log=log)
    synced.clear()
    entries = [entry(f"question {number}") for number in range(20)]
    assert journal.put_all(entries, log=log) == entries
    assert len(synced) == 1
    assert [journal.get(each.key) for each in entries] == entries
    log.close()
    assert len(synced) > 21, "in the end the files themselves are durable"
    assert logs(journal.folder) == []


def test_what_a_crash_of_the_machine_lost_or_cut_comes_back(journal: Journal, tmp_path: Path) -> None:
    killed(tmp_path, "lost", "cut", "zeros", "whole")
    other_boot(journal)
    lost, cut, zeros, whole = (entry(text) for text in ("lost", "cut", "zeros", "whole"))
    journal.path(lost.key).unlink()
    journal.path(cut.key).write_bytes(journal.path(cut.key).read_bytes()[:20])
    journal.path(zeros.key).write_bytes(bytes(journal.path(zeros.key).stat().st_size))
    assert recover(journal.folder) == 1
    assert [journal.get(each.key) for each in (lost, cut, zeros, whole)] == [lost, cut, zeros, whole]
    assert logs(journal.folder) == []


def test_an_answer_that_was_changed_since_is_not_put_back(journal: Journal, tmp_path: Path) -> None:
    killed(tmp_path, "changed")
    other_boot(journal)
    mine = entry("changed").model_copy(update={"text": "another answer"})
    journal.put(mine, replace=True)
    recover(journal.folder)
    assert journal.get(mine.key) == mine


def test_an_answer_that_was_deleted_after_a_builder_was_killed_stays_deleted(journal: Journal, tmp_path: Path) -> None:
    killed(tmp_path, "gone", "kept")
    journal.path(entry("gone").key).unlink()
    assert recover(journal.folder) == 1
    assert journal.keys() == [entry("kept").key]
    assert logs(journal.folder) == []


def test_where_no_boot_is_known_every_log_is_worked_off_in_full(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(unsynced, "_BOOT_ID", tmp_path / "none")
    log = Log(journal.folder)
    journal.put_all([entry("lost")], log=log)
    journal.path(entry("lost").key).unlink()
    log.close()
    assert journal.keys() == [entry("lost").key]


def test_the_log_of_a_builder_that_lives_is_left_alone(journal: Journal) -> None:
    log = Log(journal.folder)
    journal.put_all([entry("first")], log=log)
    assert recover(journal.folder) == 0
    assert len(logs(journal.folder)) == 1
    log.close()


def test_a_record_that_was_cut_off_is_ignored(journal: Journal, tmp_path: Path) -> None:
    killed(tmp_path, "whole", "cut")
    other_boot(journal)
    (log,) = logs(journal.folder)
    log.write_bytes(log.read_bytes()[:-30])
    for text in ("whole", "cut"):
        journal.path(entry(text).key).unlink()
    recover(journal.folder)
    assert journal.keys() == [entry("whole").key]


def test_a_build_without_answers_leaves_no_log(journal: Journal) -> None:
    Log(journal.folder).close()
    assert not journal.folder.exists()


def test_a_record_that_a_full_disk_cut_off_does_not_run_into_the_next(
    journal: Journal, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    log = Log(journal.folder)
    journal.put_all([entry("first")], log=log)

    def fills_up(handle: int, data: bytes) -> None:
        os.write(handle, data[: len(data) // 2])
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(unsynced, "write_all", fills_up)
        with pytest.raises(OSError, match="No space left"):
            log.add([("cut.json", b"{}\n")])
    journal.put_all([entry("last")], log=log)
    (path,) = logs(journal.folder)
    assert [line.partition(b" ")[0].decode() for line in path.read_bytes().splitlines()] == [
        f"{entry(text).key}.json" for text in ("first", "last")
    ]
    log.close()
