"""The cache may lose or damage anything at any time: that costs work, never an error, and never a wrong result."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zerorepo.cas import Cas
from zerorepo.digest import DigestFunction
from zerorepo.store import Store
from zerorepo.testing import RuleRunner

PAIR = """
[[target]]
name = "x"
rule = "cat"
srcs = ["a"]

[[target]]
name = "y"
rule = "cat"
srcs = ["b"]
deps = [":x"]
"""


def store(runner: RuleRunner) -> Store:
    return Store(runner.root / ".zerorepo/cache/xxh3")


def damage(runner: RuleRunner, data: bytes, *, how: str) -> None:
    """Flip a bit in a blob, or remove it."""
    cas = Cas(kept := store(runner), runner.root / ".zerorepo/cache/xxh3/blobs", DigestFunction.XXH3)
    digest = cas.put(data)
    path = cas._path(digest)
    if how == "gone":
        cas.discard(digest)
    elif path.exists():
        path.write_bytes(b"\xff" + data[1:])
    else:
        kept.put(b"b" + digest.hex.encode(), b"\xff" + data[1:])
    kept.close()


def forget(runner: RuleRunner, *prefixes: bytes) -> None:
    kept = store(runner)
    for prefix in prefixes:
        for key in kept.keys(prefix):
            kept.delete(key)
    kept.close()


@pytest.mark.parametrize("how", ["flipped", "gone"])
@pytest.mark.parametrize("size", [3, 100_000])
def test_a_damaged_result_is_made_again_where_it_is_needed(
    toys: Callable[..., RuleRunner], how: str, size: int
) -> None:
    one, two = "A" * size, "B" * size
    runner = toys(PAIR, {"a": one, "b": two})
    runner.build_ok()
    expected = runner.outputs()
    damage(runner, one.encode(), how=how)
    assert runner.build_ok().ran == []  # nobody needs the blob: the outputs are there
    runner.remove("out/x")
    run = runner.build_ok()
    assert run.actions in ([("Cat", "//:x")], [])
    assert runner.outputs() == expected
    assert bool(run.notes("damaged blob discarded")) == (how == "flipped")


@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_a_dependents_run_brings_a_lost_input_back(toys: Callable[..., RuleRunner], how: str) -> None:
    runner = toys(PAIR, {"a": "A", "b": "B"})
    runner.build_ok()
    damage(runner, b"A", how=how)
    runner.write("b", "C")
    run = runner.build_ok()  # y reads x's output, whose blob is lost: it is taken from the output file
    assert run.actions == [("Cat", "//:y")]
    assert runner.outputs() == {"x": b"A", "y": b"CA"}


@pytest.mark.parametrize("how", ["flipped", "gone"])
def test_a_lost_input_whose_output_was_edited_is_made_again(toys: Callable[..., RuleRunner], how: str) -> None:
    runner = toys(PAIR.replace('srcs = ["a"]', 'srcs = ["a", "a2"]'), {"a": "A", "a2": "2", "b": "B"})
    runner.build_ok()
    runner.write("out/x", "edit")
    damage(runner, b"A2", how=how)
    runner.write("b", "C")
    run = runner.build_ok()
    assert run.actions == [("Cat", "//:x"), ("Cat", "//:y")]
    assert runner.outputs() == {"x": b"edit", "y": b"CA2"}


def test_a_damaged_source_blob_is_read_again(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PAIR, {"a": "A", "b": "B"})
    runner.build_ok()
    damage(runner, b"B", how="flipped")
    runner.write("a", "C")
    runner.build_ok()
    assert runner.outputs() == {"x": b"C", "y": b"BC"}


def test_without_traces_the_actions_are_still_hits(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PAIR, {"a": "A", "b": "B"})
    runner.build_ok()
    forget(runner, b"t")
    run = runner.build_ok()
    assert sorted(run.ran) == ["//:x", "//:y"]
    assert run.actions == []
    assert run.reasons("//:x") == ["its trace is no longer in the cache"]


def test_without_action_results_the_traces_are_still_hits(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PAIR, {"a": "A", "b": "B"})
    runner.build_ok()
    forget(runner, b"a")
    assert runner.build_ok().ran == []


def test_without_blobs_and_outputs_everything_runs_again(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PAIR, {"a": "A", "b": "B"})
    runner.build_ok()
    forget(runner, b"b")
    for name in ("x", "y"):
        runner.remove(f"out/{name}")
    assert runner.build_ok().actions == [("Cat", "//:y")]  # x's result is the blob of its source
    assert runner.outputs() == {"x": b"A", "y": b"BA"}


@pytest.mark.parametrize("row", [b"", b"[]", b"{}", b"\xff", b'[{"v": 99}]', b'{"result": "{}"}', b"null"])
def test_garbage_in_the_cache_counts_as_nothing(toys: Callable[..., RuleRunner], row: bytes) -> None:
    runner = toys(PAIR, {"a": "A", "b": "B"})
    runner.build_ok()
    kept = store(runner)
    for key in kept.keys(b"t") + kept.keys(b"a"):
        kept.put(key, row)
    kept.close()
    local = Store(runner.root / ".zerorepo/state")
    for key in local.keys(b"l") + local.keys(b"s"):
        local.put(key, row)
    local.close()
    assert len(runner.build_ok().ran) == 2
    assert runner.outputs() == {"x": b"A", "y": b"BA"}


def test_a_damaged_index_begins_anew_and_is_reported(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PAIR, {"a": "A", "b": "B"})
    runner.build_ok()
    for path in (".zerorepo/cache/xxh3/cache.db", ".zerorepo/state/cache.db"):
        Path(runner.root / path).write_bytes(b"garbage" * 1000)
    run = runner.build_ok()
    assert len(run.ran) == 2
    assert len(run.notes("store reset")) == 2
    assert runner.build_ok().ran == []
