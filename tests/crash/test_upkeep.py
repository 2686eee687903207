"""``check``, ``gc``, ``clean`` and the size limit: what they remove is made again when needed, also beside a build at work."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import time
from pathlib import Path

import toy_rules
from builders import ended, logged, runs, until, workspace
from command import Command

from zerorepo.cas import Cas
from zerorepo.digest import DigestFunction
from zerorepo.store import Store
from zerorepo.testing import RuleRunner
from zerorepo.upkeep import collect, evict


def database(ws: Command) -> Path:
    return ws.root / ".zerorepo/cache/xxh3/cache.db"


def change(ws: Command, statement: str) -> None:
    with contextlib.closing(sqlite3.connect(database(ws))) as con:
        con.execute(statement)
        con.commit()


def built(tmp_path: Path, number: int = 4) -> Command:
    targets = "".join(logged(tmp_path / "log", f"t{n}", size=40_000 if n == 0 else 10) for n in range(number))
    ws = workspace(tmp_path / "ws", targets)
    assert ws("build").code == 0
    return ws


def test_check_says_that_all_is_well(tmp_path: Path) -> None:
    answer = built(tmp_path)("check")
    assert answer.code == 0
    assert answer.out == "all is well: 4 blobs, 4 results, 4 traces\n"


def test_check_finds_and_mends_what_is_wrong_and_leaves_edits_alone(tmp_path: Path) -> None:
    ws = built(tmp_path)
    change(
        ws, "UPDATE Cache SET value = X'00' WHERE key = (SELECT MIN(key) FROM Cache WHERE substr(key, 1, 1) = X'61')"
    )
    (blob,) = [path for path in (database(ws).parent / "blobs").rglob("*") if path.is_file()]
    blob.write_bytes(b"?" * 40_000)
    (ws.root / "out/t1").unlink()
    (ws.root / "out/t0").unlink()
    ws.write("out/t2", "mine")
    before = database(ws).read_bytes()
    look = ws("check", "--no-repair", "--json")
    body = look.json()
    assert (look.code, body["exit_code"], body["repaired"]) == (1, 1, False)
    assert len(body["removed"]) == 2
    assert database(ws).read_bytes() == before
    assert "damaged: result" in ws("check", "--no-repair").out
    mended = ws("check", "--json")
    assert (mended.code, mended.json()["removed"]) == (0, body["removed"])
    assert mended.json()["outputs_restored"] == ["out/t1"]
    assert mended.json()["outputs_to_build"] == ["out/t0"]
    assert mended.json()["outputs_edited"] == ["out/t2"]
    assert (ws.root / "out/t1").read_text() == "//:t1 0\n//:t1 1\n"
    assert (ws.root / "out/t2").read_text() == "mine"
    assert ws("build").code == 0
    assert runs(tmp_path / "log")["//:t0"] == 2  # the others' outputs are there
    assert ws("check", "--no-repair").code == 0


def test_check_of_a_broken_index_says_what_became_of_it(tmp_path: Path) -> None:
    ws = built(tmp_path)
    database(ws).write_bytes(b"garbage " * 5000)
    look = ws("check", "--no-repair")
    assert (look.code, "is damaged" in look.out) == (1, True)
    mended = ws("check")
    assert (mended.code, "was damaged" in mended.out) == (0, True)
    assert "the index did not know it" in mended.out  # the blob that is a file
    assert ws("build").code == 0
    assert ws("check", "--no-repair").code == 0


def test_a_cache_too_small_for_the_work_costs_runs_and_never_an_error(tmp_path: Path) -> None:
    targets = "".join(logged(tmp_path / "log", f"t{n}", size=60_000) for n in range(12))
    ws = workspace(tmp_path / "ws", targets)
    ws.write("zerorepo.toml", (ws.root / "zerorepo.toml").read_text() + '\n[cache]\nsize_limit = "200KB"\n')
    for _ in range(2):
        answer = ws("build", "--json")
        assert (answer.code, answer.json()["targets"]["built"]) == (0, 12)
        for path in (ws.root / "out").iterdir():
            path.unlink()
    size = sum(path.stat().st_size for path in database(ws).parent.joinpath("blobs").rglob("*") if path.is_file())
    assert size < 200_000
    assert 12 < sum(runs(tmp_path / "log").values()) <= 24
    assert ws("check", "--no-repair").code in (0, 1)
    assert ws("build").code == 0


def test_what_was_not_used_for_longest_goes_first(tmp_path: Path) -> None:
    store = Store(tmp_path)
    cas = Cas(store, tmp_path / "blobs", DigestFunction.XXH3)
    digests = [cas.put(bytes([65 + n]) * 50_000) for n in range(6)]
    for age, digest in enumerate(digests):
        store._con.execute(
            "UPDATE Cache SET access_time = ? WHERE key = ?",
            (time.time() - 2e5 * (9 - age), b"f" + digest.hex.encode()),
        )
    assert cas.get(digests[0])
    store.get(b"f" + digests[0].hex.encode())  # used just now
    freed = evict(store, cas, store.size() - 90_000)
    left = [digest for digest in digests if cas.path_of(digest.hex).exists()]
    assert digests[0] in left
    assert digests[1] not in left
    assert left == [digests[0], *digests[-(len(left) - 1) :]]
    assert freed.rows == 6 - len(left)
    store.close()


def test_gc_removes_only_what_nothing_refers_to(tmp_path: Path) -> None:
    runner = RuleRunner(
        tmp_path,
        {"zerorepo.toml": '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a", "b"]\n', "a": "A", "b": "b" * 50_000},
        rule_sets=[toy_rules.RULE_SET],
    )
    runner.build_ok()
    folder = tmp_path / ".zerorepo/cache/xxh3"
    store = Store(folder)
    cas = Cas(store, folder / "blobs", DigestFunction.XXH3)
    young, old = cas.put(b"young"), [cas.put(b"old"), cas.put(b"old" * 20_000)]
    stray = folder / "blobs/ab/ab00"
    stray.parent.mkdir(exist_ok=True)
    stray.write_bytes(b"a build was killed before it entered this")
    for digest in old:
        for prefix in (b"b", b"f"):
            store._con.execute(
                "UPDATE Cache SET access_time = access_time - 7200 WHERE key = ?", (prefix + digest.hex.encode(),)
            )
    os.utime(stray, (time.time() - 7200,) * 2)
    freed = collect(store, cas)
    assert freed.rows == 2
    assert not stray.exists()
    fresh = Cas(store, folder / "blobs", DigestFunction.XXH3)
    assert (fresh.has(young), *map(fresh.has, old)) == (True, False, False)
    store.close()
    (tmp_path / "out/x").unlink()
    run = runner.build_ok()
    assert (run.ran, run.actions) == ([], [])


def test_gc_says_what_it_did(tmp_path: Path) -> None:
    ws = built(tmp_path)
    assert ws("gc").out.startswith("removed 0 entries; the cache holds ")
    body = ws("gc", "--max-size", "1KB", "--json").json()
    assert body["removed"] > 0
    assert ws("gc", "--unused-days", "0").code == 0
    bad = ws("gc", "--max-size", "many")
    assert (bad.code, "Bad --max-size" in bad.err) == (2, True)
    (ws.root / "out/t0").unlink()
    assert ws("build").code == 0
    assert (ws.root / "out/t0").exists()


def test_a_build_beside_which_everything_is_removed_ends_well(tmp_path: Path) -> None:
    log = tmp_path / "log"
    targets = "".join(
        logged(log, f"t{n}", seconds=0.05, size=n * 2000, deps=[f":t{n - 1}"] if n % 5 else []) for n in range(40)
    )
    ws = workspace(tmp_path / "ws", targets)
    build = ws.start("build", "--jobs", "2")
    until(lambda: len(runs(log)) >= 4, "it is at work")
    for command in (["gc", "--max-size", "1"], ["clean"], ["gc", "--unused-days", "0"]):
        assert ws(*command).code == 0
    ended(build)
    ended(ws.start("build"))
    assert len(list((ws.root / "out").iterdir())) == 40
    assert "nothing to do" in ws("build").err


def test_expunging_waits_for_nobody_but_is_refused_beside_a_build(tmp_path: Path) -> None:
    log, hold = tmp_path / "log", tmp_path / "hold"
    hold.touch()
    ws = workspace(tmp_path / "ws", logged(log, "x", hold=str(hold)))
    build = ws.start("build")
    until(lambda: runs(log)["//:x"], "it is at work")
    refused = ws("clean", "--expunge")
    assert (refused.code, "A build is at work" in refused.err) == (1, True)
    hold.unlink()
    ended(build)
    assert ws("clean", "--expunge").code == 0
    assert [path.name for path in ws.root.iterdir() if path.name != "out"] == ["zerorepo.toml"]
    assert ws("build").code == 0
