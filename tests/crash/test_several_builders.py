"""Several builds at once, on one workspace or one cache: every action runs once, nobody waits for longer than for the action."""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from builders import ended, logged, runs, until, workspace
from command import events

from zerorepo.digest import Digest, DigestFunction
from zerorepo.outputs import OutputTree
from zerorepo.store import Store

XXH3 = DigestFunction.XXH3


def some(log: Path, quick: int, slow: int) -> str:
    targets = [logged(log, f"q{n}", size=n * 3000) for n in range(quick)]
    return "".join(targets + [logged(log, f"s{n}", seconds=0.3) for n in range(slow)])


def test_builds_at_once_on_one_workspace_run_each_action_once(tmp_path: Path) -> None:
    log = tmp_path / "log"
    ws = workspace(tmp_path / "ws", some(log, 30, 4))
    for build in [ws.start("build") for _ in range(3)]:
        ended(build)
    assert set(runs(log).values()) == {1}
    assert len(runs(log)) == 34
    assert len(list((ws.root / "out").iterdir())) == 34
    assert "nothing to do" in ws("build").err


def test_clones_and_other_workspaces_on_one_cache_run_each_action_once(tmp_path: Path) -> None:
    log, cache = tmp_path / "log", tmp_path / "cache"
    one, clone = (workspace(tmp_path / name, some(log, 20, 3), cache) for name in ("one", "clone"))
    other = workspace(tmp_path / "other", some(log, 10, 4) + logged(log, "own"), cache)
    for build in [each.start("build") for each in (one, clone, other)]:
        ended(build)
    assert set(runs(log).values()) == {1}
    assert len(runs(log)) == 25
    for ws in (one, clone, other):
        assert "nothing to do" in ws("build").err
    assert (one.root / "out/q7").read_bytes() == (clone.root / "out/q7").read_bytes()


def test_who_comes_second_waits_for_the_action_and_not_for_the_build(tmp_path: Path) -> None:
    log, hold, end = tmp_path / "log", tmp_path / "hold", tmp_path / "end"
    hold.touch()
    end.touch()
    needed = logged(log, "needed", hold=str(hold))
    ws = workspace(tmp_path / "ws", needed + logged(log, "long", hold=str(end), deps=[":needed"]))
    first = ws.start("build", "--events", str(tmp_path / "e1"))
    until(lambda: runs(log)["//:needed"], "the first begins")
    second = ws.start("build", "//:needed", "--events", str(tmp_path / "e2"))
    until(lambda: any(e["kind"] == "target" for e in events(tmp_path / "e2")), "the second asks")
    time.sleep(0.5)
    hold.unlink()
    ended(second)  # while the first is still at work
    assert first.poll() is None
    end.unlink()
    ended(first)
    assert runs(log) == {"//:needed": 1, "//:long": 1}
    done = next(e["time"] for e in events(tmp_path / "e1") if e["kind"] == "action" and e.get("new") == "done")
    had = next(e["time"] for e in events(tmp_path / "e2") if e["kind"] == "action" and e.get("new") == "cached")
    assert had - done < 2  # it is some hundredths on an idle machine


def test_a_killed_owner_makes_room_at_once(tmp_path: Path) -> None:
    log, hold = tmp_path / "log", tmp_path / "hold"
    hold.touch()
    ws = workspace(tmp_path / "ws", logged(log, "x", hold=str(hold)) + logged(log, "y"))
    owner = ws.start("build", "--jobs", "4")
    until(lambda: runs(log)["//:x"] and runs(log, "end")["//:y"], "the owner is at work")
    second = ws.start("build", "--jobs", "4", "--events", str(tmp_path / "e"))
    until(
        lambda: any(e.get("label") == "//:y" and e.get("new") == "cached" for e in events(tmp_path / "e")), "it waits"
    )
    assert runs(log)["//:x"] == 1
    owner.kill()
    owner.communicate()
    until(lambda: runs(log)["//:x"] == 2, "the second takes over")
    hold.unlink()
    ended(second)
    assert (runs(log, "end"), runs(log)["//:y"]) == ({"//:x": 1, "//:y": 1}, 1)


def test_a_stopped_owner_is_waited_for_and_everything_else_goes_on(tmp_path: Path) -> None:
    log, hold = tmp_path / "log", tmp_path / "hold"
    hold.touch()
    targets = logged(log, "x", hold=str(hold)) + "".join(logged(log, f"y{n}") for n in range(8))
    ws = workspace(tmp_path / "ws", targets)
    owner = ws.start("build", "//:x")
    until(lambda: runs(log)["//:x"], "the owner is at work")
    owner.send_signal(signal.SIGSTOP)
    second = ws.start("build", "--jobs", "2")
    until(lambda: sum(runs(log, "end").values()) == 8, "the rest is built")
    time.sleep(0.3)
    assert second.poll() is None
    assert runs(log)["//:x"] == 1
    hold.unlink()
    owner.send_signal(signal.SIGCONT)
    ended(owner)
    ended(second)
    assert set(runs(log).values()) == {1}


def test_an_action_that_fails_keeps_nobody_waiting(tmp_path: Path) -> None:
    log, hold = tmp_path / "log", tmp_path / "hold"
    hold.touch()
    ws = workspace(tmp_path / "ws", logged(log, "x", hold=str(hold), fail=True))
    first = ws.start("build")
    until(lambda: runs(log)["//:x"], "the first begins")
    second = ws.start("build", "--events", str(tmp_path / "e"))
    until(lambda: any(e["kind"] == "target" for e in events(tmp_path / "e")), "the second asks")
    hold.unlink()
    assert "told to fail" in ended(first, 1)
    assert "told to fail" in ended(second, 1)


def test_what_a_killed_neighbour_had_finished_is_not_run_again(tmp_path: Path) -> None:
    """Its result is in its journal only, and the other had opened the store before."""
    log, mine, its = tmp_path / "log", tmp_path / "mine", tmp_path / "its"
    mine.touch()
    its.touch()
    targets = logged(log, "q", named="q") + logged(log, "block", hold=str(its), hard=True, deps=[":q"])
    targets += logged(log, "gate", hold=str(mine)) + logged(log, "q2", named="q", deps=[":gate"])
    ws = workspace(tmp_path / "ws", targets)
    waiting = ws.start("build", "//:q2")
    until(lambda: runs(log)["//:gate"], "the one that waits")
    neighbour = ws.start("build", "//:block")
    until(lambda: runs(log)["//:block"], "its neighbour")
    neighbour.kill()
    neighbour.communicate()
    mine.unlink()
    ended(waiting)
    assert runs(log)["q"] == 1


def test_what_was_finished_while_one_waited_for_a_slot_is_not_run_again(tmp_path: Path) -> None:
    log, hold = tmp_path / "log", tmp_path / "hold"
    hold.touch()
    targets = logged(log, "a", hold=str(hold)) + logged(log, "b")
    ws = workspace(tmp_path / "ws", targets)
    first = ws.start("build", "--jobs", "1", "--events", str(tmp_path / "e"))
    until(lambda: runs(log)["//:a"], "the slot is taken")
    until(
        lambda: any(e.get("label") == "//:b" and e["kind"] == "target" for e in events(tmp_path / "e")), "b is wanted"
    )
    ended(ws.start("build", "//:b"))
    hold.unlink()
    ended(first)
    assert runs(log) == {"//:a": 1, "//:b": 1}


def test_an_output_that_a_neighbour_has_just_written_is_no_edit(tmp_path: Path) -> None:
    blobs: dict[Digest, bytes] = {}
    told: list[str] = []

    def digest(data: bytes) -> Digest:
        found = XXH3.of_bytes(data)
        blobs[found] = data
        return found

    stores = [Store(tmp_path / "state", batched=True) for _ in range(2)]
    one, other = (
        OutputTree(tmp_path / "out", store, XXH3, blobs.__getitem__, lambda _, path: told.append(path))
        for store in stores
    )
    one.ensure("//:x", {"f": digest(b"one")}, (), ())
    other.ensure("//:x", {"f": digest(b"other")}, (), ())
    assert (told, (tmp_path / "out/f").read_bytes()) == ([], b"other")
    (tmp_path / "out/f").write_bytes(b"a person")
    one.ensure("//:x", {"f": digest(b"third")}, (), ())
    assert (told, (tmp_path / "out/f").read_bytes()) == (["f"], b"a person")
    for store in stores:
        store.close()


def test_the_journal_of_one_that_was_killed_is_seen_by_who_was_there_already(tmp_path: Path) -> None:
    killed, other = Store(tmp_path, batched=True), Store(tmp_path, batched=True)
    killed.put(b"k", b"v")
    other.catch_up()
    assert other.get(b"k") is None
    assert other.elsewhere(b"k") == [b"v"]
    assert killed._journal is not None
    os.close(killed._journal._handle)  # as the kernel does
    other.catch_up()
    assert other.get(b"k") == b"v"
    other.close()
