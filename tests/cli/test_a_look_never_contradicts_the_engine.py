"""Random edits, also ones that hide: whenever a look says that there is nothing to do, the engine finds nothing to do."""

from __future__ import annotations

import os
import random
import re
import shutil
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from zerorepo import snapshot
from zerorepo.cli.main import run

TARGETS = """\
[workspace]
plugins = ["toy_rules"]

[[target]]
name = "all"
rule = "cat"
deps = [":a", "//p:b", ":x"]
more = "more"

[[target]]
name = "a"
rule = "cat"
srcs = ["a"]
executable = true

[[target]]
name = "x"
rule = "cat"
srcs = ["link"]

[[target]]
name = "names"
rule = "ask"
patterns = ["p/**"]
maybe = "perhaps"

[[target]]
name = "plan"
rule = "expand"
plan = "plan"

[[target]]
name = "keep"
rule = "lock"
src = "a"
path = "p/kept.lock"
"""
FILES = {
    "zerorepo.toml": TARGETS,
    "a": "1",
    "more": "//:names",
    "plan": "one a\ntwo p/b",
    "p/b": "1",
    "p/BUILD.toml": '[[target]]\nname = "b"\nrule = "cat"\nsrcs = ["b"]\n',
    "q/c": "1",
}
LINES = (["build", "//...", "--overwrite"], ["build", "//..."], ["build", "//:all", "//gen:two"], ["build", "//:keep"])


def write(root: Path, chance: random.Random) -> None:
    (root / chance.choice(["a", "p/b", "q/c"])).write_text(str(chance.randrange(3)))


def write_keeping_the_mtime(root: Path, chance: random.Random) -> None:
    path = root / chance.choice(["a", "p/b", "out/a", "out/all", "out/p/b", "p/kept.lock"])
    if path.is_file() and not path.is_symlink():
        before = path.stat()
        path.write_text(str(chance.randrange(3)))
        os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def touch(root: Path, chance: random.Random) -> None:
    os.utime(root / chance.choice(["a", "p/b", "plan", "zerorepo.toml", "p"]))


def spoil_an_output(root: Path, chance: random.Random) -> None:
    path = root / chance.choice(["out/a", "out/all", "out/names", "out/gen/one", "out/p/b"])
    if not path.is_file():
        return
    chance.choice([path.unlink, lambda: path.chmod(0o600), lambda: path.write_text("mine")])()


def swap(root: Path, chance: random.Random) -> None:
    (root / "a").rename(root / "spare")
    (root / "p/b").rename(root / "a")
    (root / "spare").rename(root / "p/b")


def turn_a_link(root: Path, chance: random.Random) -> None:
    (root / "link").unlink(missing_ok=True)
    (root / "link").symlink_to(chance.choice(["a", "q/c"]))


def new_or_gone(root: Path, chance: random.Random) -> None:
    path = root / chance.choice(["perhaps", "p/new", "p/deep/new", "q/BUILD.toml", "BUILD.toml"])
    if path.exists():
        path.unlink()
        return
    path.parent.mkdir(exist_ok=True)
    source = "c" if path.parent.name == "q" else "a"
    path.write_text(
        f'[[target]]\nname = "more"\nrule = "cat"\nsrcs = ["{source}"]\n' if "BUILD" in path.name else "new"
    )


def change_the_plan(root: Path, chance: random.Random) -> None:
    (root / "plan").write_text(chance.choice(["one a\ntwo p/b", "two a", "two p/b\nthree a p/b"]))


def forget(root: Path, chance: random.Random) -> None:
    shutil.rmtree(root / chance.choice([".zerorepo/cache", ".zerorepo/state", ".zerorepo", "out"]), ignore_errors=True)


EDITS: list[Callable[[Path, random.Random], None]] = [
    write, write, write_keeping_the_mtime, write_keeping_the_mtime, touch, spoil_an_output, swap, turn_a_link, new_or_gone,
    new_or_gone, change_the_plan, forget,
]  # fmt: skip


@pytest.mark.parametrize("seed", range(3))
def test_what_a_look_answers_the_engine_says_too(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for path, text in FILES.items():
        (tmp_path / path).parent.mkdir(exist_ok=True)
        (tmp_path / path).write_text(text)
    (tmp_path / "link").symlink_to("a")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", [*sys.path])
    chance = random.Random(seed)
    answered, line = 0, LINES[0]
    for step in range(30):
        for edit in chance.sample(EDITS, chance.choice([0, 0, 1, 1, 2])):
            edit(tmp_path, chance)
        time.sleep(chance.choice([0.0, 0.06]))
        line = chance.choice([line, line, *LINES])
        looked = snapshot.answer(line)
        capsys.readouterr()
        code = run(line)
        said = capsys.readouterr().err
        if looked is not None:
            answered += 1
            assert code == 0, f"seed {seed}, step {step}: {said}"
            assert unmeasured(looked[1]) == unmeasured(said), f"seed {seed}, step {step}"
    assert answered, "nothing was ever answered by looking"


def unmeasured(text: str) -> str:
    """Without the seconds."""
    return re.sub(r"\d+\.\d+s", "", text)
