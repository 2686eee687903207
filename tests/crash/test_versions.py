"""What is kept says of which version it is: the old is brought up to date without running anything again, the new is refused."""

from __future__ import annotations

import contextlib
import sqlite3
from pathlib import Path

import pytest
import toy_rules
from command import Command

from zerorepo.errors import EnvironmentFailure
from zerorepo.journal import Journal
from zerorepo.read_only_store import ReadOnlyStore
from zerorepo.rows import SCHEMA_KEY, SCHEMA_VERSION
from zerorepo.store import Store
from zerorepo.testing import RuleRunner

GOLDEN = Path(__file__).parents[1] / "golden/store_v1.sql"
"""The two databases that version 1 left after building this workspace, as SQL."""
TARGETS = """
[[target]]
name = "x"
rule = "cat"
srcs = ["a"]
first = true

[[target]]
name = "y"
rule = "cat"
srcs = ["b"]
deps = [":x"]

[[target]]
name = "plan"
rule = "expand"
plan = "plan.txt"
"""
FILES: dict[str, str | bytes] = {"zerorepo.toml": TARGETS, "a": "A one", "b": "b two", "plan.txt": "p a a\nq a b"}
OUTPUTS = {"x": b"A", "y": b"b twoA", "gen/p": b"A oneA one", "gen/q": b"A oneb two"}


def of_version_1(root: Path) -> RuleRunner:
    runner = RuleRunner(root, FILES, rule_sets=[toy_rules.RULE_SET])
    cache, state = GOLDEN.read_text().split("-- the state of the workspace\n")
    for folder, text in (("cache/xxh3", cache), ("state", state)):
        (root / ".zerorepo" / folder).mkdir(parents=True)
        with contextlib.closing(sqlite3.connect(root / ".zerorepo" / folder / "cache.db")) as con:
            con.executescript(text)
    for path, data in OUTPUTS.items():
        runner.write(f"out/{path}", data)
    return runner


def test_a_cache_of_version_1_runs_no_action_again(tmp_path: Path) -> None:
    runner = of_version_1(tmp_path)
    run = runner.build_ok()
    assert (run.actions, len(run.actions_cached)) == ([], 5)
    assert run.notes("edited output left alone") == []
    assert runner.outputs() == OUTPUTS
    assert runner.build_ok().ran == []
    store = Store(tmp_path / ".zerorepo/cache/xxh3")
    assert store.get(SCHEMA_KEY) == b"%d" % SCHEMA_VERSION
    store.close()


def test_an_edit_of_an_output_of_version_1_is_still_an_edit(tmp_path: Path) -> None:
    runner = of_version_1(tmp_path)
    runner.write("out/x", b"mine")
    assert len(runner.build_ok().notes("edited output left alone")) == 1
    assert runner.read("out/x") == b"mine"


def rows(folder: Path) -> list[object]:
    with contextlib.closing(sqlite3.connect(folder / "cache.db")) as con:
        return con.execute("SELECT * FROM Cache").fetchall()


@pytest.mark.parametrize("folder", ["cache/xxh3", "state"])
@pytest.mark.parametrize("command", ["build", "check", "clean"])
def test_a_newer_store_is_refused_and_left_as_it_is(tmp_path: Path, folder: str, command: str) -> None:
    ws = Command(tmp_path, '[[target]]\nname = "x"\nrule = "ask"\n')
    store = Store(tmp_path / ".zerorepo" / folder)
    store.put(SCHEMA_KEY, b"%d" % (SCHEMA_VERSION + 1))
    store.put(b"k", b"v")
    store.close()
    before = rows(store.folder)
    answer = ws(command)
    if command == "clean" and folder != "state":
        assert answer.code == 0  # it does not need the cache
        return
    assert answer.code == 1
    assert "written by a newer ZeroRepo" in answer.err
    assert "use that version" in answer.err
    assert rows(store.folder) == before


@pytest.mark.parametrize("kind", [Store, ReadOnlyStore])
def test_a_newer_journal_is_refused_and_left_as_it_is(tmp_path: Path, kind: type[Store]) -> None:
    Store(tmp_path).close()
    journal = Journal(tmp_path)
    journal.append([(b"k", b"v")])
    journal.abandon()
    path = tmp_path / journal.name
    newer = bytes([path.read_bytes()[0] + 1]) + path.read_bytes()[1:]
    path.write_bytes(newer)
    with pytest.raises(EnvironmentFailure, match="newer ZeroRepo"):
        kind(tmp_path)
    assert path.read_bytes() == newer


def test_newer_adoptions_are_refused(tmp_path: Path) -> None:
    ws = Command(tmp_path, '[[target]]\nname = "x"\nrule = "ask"\n', {"zerorepo.adopted.toml": "schema = 2\n"})
    answer = ws("build")
    assert answer.code == 2
    assert "newer ZeroRepo" in answer.err
    assert "zerorepo.adopted.toml:1" in answer.err
    ws.write("zerorepo.adopted.toml", "schema = 1\n")
    assert ws("build").code == 0
