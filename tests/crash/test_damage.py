"""Bits that flip, databases that break, clocks that jump, files that change: noticed, told, made again; never a wrong result."""

from __future__ import annotations

import contextlib
import itertools
import os
import shutil
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import toy_rules

from zerorepo.cas import Cas
from zerorepo.digest import DigestFunction
from zerorepo.errors import EnvironmentFailure
from zerorepo.journal import Journal, pending
from zerorepo.read_only_store import ReadOnlyStore
from zerorepo.store import Store
from zerorepo.testing import RuleRunner, Run
from zerorepo.upkeep import collect, verify

TARGETS = "".join(f'[[target]]\nname = "t{n}"\nrule = "cat"\nsrcs = ["s{n}"]\nfirst = true\n' for n in range(40))
TARGETS += '[[target]]\nname = "big"\nrule = "cat"\nsrcs = ["large", "s1"]\n'
FILES: dict[str, str | bytes] = {
    "zerorepo.toml": TARGETS,
    "large": b"L" * 50_000,
    **{f"s{n}": f"{n} s" for n in range(40)},
}


@pytest.fixture
def built(tmp_path: Path) -> RuleRunner:
    """A workspace that was built."""
    runner = RuleRunner(tmp_path / "ws", FILES, rule_sets=[toy_rules.RULE_SET])
    runner.build_ok()
    return runner


def database(runner: RuleRunner) -> Path:
    return runner.root / ".zerorepo/cache/xxh3/cache.db"


def flip(runner: RuleRunner, prefix: bytes, bit: int = 5) -> int:
    """Flip one bit in the middle of every row of a kind; how many there were."""
    with contextlib.closing(sqlite3.connect(database(runner))) as con:
        rows = con.execute("SELECT key, value FROM Cache WHERE substr(key, 1, 1) = ?", (prefix,)).fetchall()
        for key, value in rows:
            changed = bytearray(value)
            changed[len(value) // 2] ^= 1 << bit
            con.execute("UPDATE Cache SET value = ? WHERE key = ?", (bytes(changed), key))
        con.commit()
    return len(rows)


def lose_outputs(runner: RuleRunner) -> None:
    for path in (runner.root / "out").iterdir():
        path.unlink()


@pytest.mark.parametrize("bit", range(0, 8, 3))
@pytest.mark.parametrize("kind", [b"a", b"t", b"b"])
def test_a_flipped_bit_in_a_row_is_noticed_told_and_mended(built: RuleRunner, kind: bytes, bit: int) -> None:
    expected = built.outputs()
    assert flip(built, kind, bit) >= 40
    if kind == b"a":  # which are asked for when there is no trace
        with contextlib.closing(sqlite3.connect(database(built))) as con:
            con.execute("DELETE FROM Cache WHERE substr(key, 1, 1) = ?", (b"t",))
            con.commit()
    built.write("s0", "changed")
    lose_outputs(built)
    run = built.build_ok()
    assert built.outputs() == {**expected, "t0": b"c"}
    assert run.notes("damaged entry discarded") or run.notes("damaged blob discarded")
    lose_outputs(built)
    again = built.build_ok()
    assert (again.ran, again.actions) == ([], [])


def test_a_flipped_bit_in_a_blob_file_is_noticed_told_and_mended(built: RuleRunner) -> None:
    expected = built.outputs()
    (path,) = [path for path in (built.root / ".zerorepo/cache/xxh3/blobs").rglob("*") if path.is_file()]
    data = bytearray(path.read_bytes())
    data[30_000] ^= 4
    path.write_bytes(data)
    lose_outputs(built)
    run = built.build_ok()
    assert built.outputs() == expected
    assert len(run.notes("damaged blob discarded")) == 1
    assert run.actions == [("Cat", "//:big")]


def test_no_bit_of_a_row_can_flip_unseen(tmp_path: Path) -> None:
    store, value = Store(tmp_path), b'{"out": "0123456789abcdef/12"}'
    for place, bit in itertools.product(range(len(value)), range(8)):
        changed = bytearray(value)
        changed[place] ^= 1 << bit
        store.put(b"k", value)
        store._con.execute("UPDATE Cache SET value = ? WHERE key = ?", (bytes(changed), b"k"))
        assert store.get(b"k") is None
        store.put(b"k", value)
        assert store.get(b"k") == value
    store.close()


def overwritten(path: Path) -> None:
    path.write_bytes(b"garbage " * (path.stat().st_size // 8))


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2 + 100])


def emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize("harm", [overwritten, truncated, emptied, Path.unlink])
def test_a_broken_index_begins_anew_and_says_so(built: RuleRunner, harm: Callable[[Path], object]) -> None:
    expected = built.outputs()
    harm(database(built))
    lose_outputs(built)
    run = built.build_ok()
    assert built.outputs() == expected
    if harm in (overwritten, truncated):
        (told,) = [event.detail["text"] for event in run.notes("store reset")]
        assert "was damaged" in told
        assert len(list(database(built).parent.glob("cache.db.damaged-*[0-9]"))) == 1
    assert built.build_ok().ran == []


def test_what_is_whole_of_a_damaged_database_is_kept(built: RuleRunner) -> None:
    path = database(built)
    data = bytearray(path.read_bytes())
    with contextlib.closing(sqlite3.connect(path)) as con:
        size = con.execute("PRAGMA page_size").fetchone()[0]
        root = con.execute("SELECT rootpage FROM sqlite_master WHERE name = 'Cache_key_raw'").fetchone()[0]
    data[(root - 1) * size : root * size] = b"\xee" * size  # the index over the keys
    path.write_bytes(data)
    lose_outputs(built)
    run = built.build_ok()
    assert "entries that could be read" in run.notes("store reset")[0].detail["text"]
    assert run.actions == []


def test_a_database_that_breaks_during_a_build_costs_only_work(built: RuleRunner) -> None:
    expected = built.outputs()
    lose_outputs(built)
    harmed: list[int] = []

    def harm(event: object) -> None:
        if not harmed:
            harmed.append(1)
            overwritten(database(built))

    built.write("s0", "changed")
    built.build(subscriber=harm)
    built.build_ok()
    assert built.outputs() == {**expected, "t0": b"c"}


def test_a_clock_that_jumps_costs_nothing(built: RuleRunner, monkeypatch: pytest.MonkeyPatch) -> None:
    now, now_ns = time.time, time.time_ns
    years = 10 * 365 * 24 * 3600
    for jump in (years, -years, 0):
        monkeypatch.setattr(time, "time", lambda jump=jump: now() + jump)
        monkeypatch.setattr(time, "time_ns", lambda jump=jump: now_ns() + jump * 10**9)
        assert built.build_ok().ran == []
        built.write("s3", f"{'x' if jump > 0 else 'y' if jump else 'z'} s")
        assert built.build_ok().ran == ["//:t3"]
        lose_outputs(built)
        run = built.build_ok()
        assert (run.actions, run.notes("edited output left alone")) == ([], [])
    store = Store(database(built).parent)
    with contextlib.closing(store):
        collect(store, Cas(store, database(built).parent / "blobs", DigestFunction.XXH3))
    assert built.build_ok().ran == []


def test_an_entry_that_was_used_in_the_future_does_not_stay_the_youngest(tmp_path: Path) -> None:
    store = Store(tmp_path)
    store.put(b"k", b"v")
    store.put(b"l", b"v")
    store._con.execute("UPDATE Cache SET access_time = access_time + 1e8 WHERE key = ?", (b"k",))
    assert [key for key, _ in store.oldest()] == [b"l", b"k"]
    store.get(b"k")
    store.close()
    store = Store(tmp_path)
    latest = store._con.execute("SELECT MAX(access_time) FROM Cache").fetchone()[0]
    store.close()
    assert latest < time.time() + 60


def test_a_source_from_the_future_is_seen_to_change(built: RuleRunner) -> None:
    future = time.time() + 1e8
    os.utime(built.root / "s5", (future, future))
    built.build_ok()
    (built.root / "s5").write_text("X s")
    os.utime(built.root / "s5", (future, future))
    assert built.build_ok().ran == ["//:t5"]
    assert built.outputs()["t5"] == b"X"


@contextlib.contextmanager
def rewriting(path: Path, size: int, *, whole: bool) -> Iterator[None]:
    """A file that somebody keeps rewriting with one letter after the other: as a whole, or in place."""
    stop = threading.Event()

    def work() -> None:
        for letter in itertools.cycle(b"PQ"):
            if stop.is_set():
                return
            if whole:
                path.with_name("new").write_bytes(bytes([letter]) * size)
                path.with_name("new").rename(path)
            else:
                with path.open("r+b") as file:
                    file.write(bytes([letter]) * size)

    thread = threading.Thread(target=work)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("whole", [True, False])
@pytest.mark.parametrize("size", [20_000, 3_000_000])
def test_a_file_that_changes_while_it_is_hashed(tmp_path: Path, size: int, whole: bool) -> None:
    target = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["src"]\n'
    runner = RuleRunner(tmp_path, {"zerorepo.toml": target, "src": b"P" * size}, rule_sets=[toy_rules.RULE_SET])

    def outcome(run: Run) -> None:
        if run.result.failed:
            (error,) = run.result.failed.values()
            assert isinstance(error, EnvironmentFailure)
            assert "chang" in error.message
        elif whole:
            assert len(set(runner.outputs()["x"])) == 1

    with rewriting(tmp_path / "src", size, whole=whole):
        for _ in range(4):
            outcome(runner.build())
    for letter in b"PQ":
        (tmp_path / "src").write_bytes(bytes([letter]) * size)
        assert runner.build_ok().notes("edited output left alone") == []
        assert runner.outputs()["x"] == bytes([letter]) * size


def test_verify_finds_each_kind_of_damage_and_mends_it(built: RuleRunner) -> None:
    folder = database(built).parent
    damaged = sum(flip(built, kind) for kind in (b"a", b"t", b"b"))
    (path,) = [path for path in (folder / "blobs").rglob("*") if path.is_file()]
    path.write_bytes(b"?" * 50_003)
    for repair in (False, True):
        store = Store(folder) if repair else ReadOnlyStore(folder)
        found = verify(store, Cas(store, folder / "blobs", DigestFunction.XXH3), repair=repair)
        store.close()
        assert (len(found.removed), found.well) == (damaged + 1, False)
        assert (found.results, found.traces, found.blobs) == (0, 0, 0)
    store = Store(folder)
    assert verify(store, Cas(store, folder / "blobs", DigestFunction.XXH3)).well
    store.close()
    built.build_ok()


def test_a_torn_or_flipped_record_of_a_journal_is_not_believed(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append([(b"first", b"1" * 20)])
    whole = journal.size
    journal.append([(b"second", b"2" * 20)])
    journal.abandon()
    path = tmp_path / journal.name
    data = path.read_bytes()
    for size in range(whole, len(data)):
        path.write_bytes(data[:size])
        assert [record for _, _, records in pending(tmp_path) for record in records] == [(b"first", b"1" * 20)]
    for place in range(whole, len(data)):
        path.write_bytes(data[:place] + bytes([data[place] ^ 16]) + data[place + 1 :])
        assert [record for _, _, records in pending(tmp_path) for record in records] == [(b"first", b"1" * 20)]


def test_a_store_whose_folder_goes_away_is_no_bug_of_a_rule(tmp_path: Path) -> None:
    store = Store(tmp_path / "store")
    shutil.rmtree(tmp_path / "store")
    with pytest.raises(EnvironmentFailure, match="Cannot use the store"):
        _ = store.claims
    store.close()
