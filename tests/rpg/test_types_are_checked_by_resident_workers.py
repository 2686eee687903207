"""The type checker's resident workers: the same verdicts as mypy started anew, shared, replaced when they die, gone at the end."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeVar

import pytest

from zerorepo.errors import TransientFailure
from zerorepo_rpg import type_worker
from zerorepo_rpg.rules.type_checker import _FLAGS, Said, TypeChecker

T = TypeVar("T")
GOOD = {"tiny/__init__.py": "", "tiny/a.py": "def size(text: str) -> int:\n    return len(text)\n"}
BAD = {**GOOD, "tiny/b.py": "from tiny.a import size\n\nword: str = size('x')\nsize(3)\n"}
BROKEN = {**GOOD, "tiny/b.py": "def (\n"}


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What mypy knows of the standard library, for all tests."""
    return tmp_path_factory.mktemp("mypy")


def placed(folder: Path, files: dict[str, str]) -> Path:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    return folder


def using(cache: Path, work: Callable[[TypeChecker], Awaitable[T]], size: int = 1) -> T:
    async def go() -> T:
        checker = TypeChecker(cache, size)
        try:
            return await work(checker)
        finally:
            await checker.close()

    return asyncio.run(go())


def children() -> set[str]:
    found = set()
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if type_worker.__file__.encode() in path.read_bytes():
                found.add(path.parent.name)
        except OSError:
            continue
    return found


def test_it_says_what_mypy_says_and_no_check_knows_of_another(cache: Path, tmp_path: Path) -> None:
    cases = {name: placed(tmp_path / name, files) for name, files in (("bad", BAD), ("good", GOOD), ("broken", BROKEN))}

    async def work(checker: TypeChecker) -> dict[str, Said]:
        said = {name: await checker.check(folder, "tiny") for name, folder in cases.items()}
        assert (await checker.check(cases["bad"], "tiny")) == said["bad"]
        assert checker.started == 1
        return said

    said = using(cache, work)
    assert said["good"] == (0, "", "")
    assert [line.partition(" error: ")[0] for line in said["bad"].out.splitlines()] == ["tiny/b.py:3:", "tiny/b.py:4:"]
    for name, folder in cases.items():
        command = [sys.executable, "-m", "mypy", *_FLAGS, f"--cache-dir={cache}", "-p", "tiny"]
        alone = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (said[name].code, said[name].out) == (alone.returncode, alone.stdout), name


def test_modules_of_the_checked_folder_are_read_and_never_run(cache: Path, tmp_path: Path) -> None:
    traps = {"json.py": "open('/dev/full', 'w').write('x')\n", "tiny/mypy.py": "raise SystemExit(7)\n"}
    folder = placed(tmp_path, {**GOOD, **traps})
    assert using(cache, lambda checker: checker.check(folder, "tiny")).code == 0


def test_a_worker_that_died_is_replaced(cache: Path, tmp_path: Path) -> None:
    folder = placed(tmp_path, BAD)

    async def work(checker: TypeChecker) -> int:
        first = await checker.check(folder, "tiny")
        os.kill(checker._idle[0].pid, signal.SIGKILL)
        assert await checker.check(folder, "tiny") == first
        return checker.started

    assert using(cache, work) == 2


def test_workers_that_die_again_and_again_are_a_failure_that_is_not_remembered(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "worker.py"
    broken.write_text("raise ImportError('no mypy here')\n")
    monkeypatch.setattr(type_worker, "__file__", str(broken))
    with pytest.raises(TransientFailure, match="no mypy here"):
        using(cache, lambda checker: checker.check(placed(tmp_path / "ws", GOOD), "tiny"))


def test_a_check_that_takes_too_long_ends_with_its_worker(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "worker.py"
    slow.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(type_worker, "__file__", str(slow))
    monkeypatch.setattr("zerorepo_rpg.rules.type_checker._LIMIT_S", 0.3)
    with pytest.raises(TransientFailure, match="took more than"):
        using(cache, lambda checker: checker.check(placed(tmp_path / "ws", GOOD), "tiny"))
    assert children() == set()


def test_as_many_work_as_there_are_places_and_none_is_left(cache: Path, tmp_path: Path) -> None:
    folders = [placed(tmp_path / str(number), BAD if number % 2 else GOOD) for number in range(6)]

    async def work(checker: TypeChecker) -> list[int]:
        said = await asyncio.gather(*(checker.check(folder, "tiny") for folder in folders))
        assert checker.started == 2
        assert len(children()) == 2
        return [each.code for each in said]

    assert using(cache, work, size=2) == [0, 1] * 3
    assert children() == set()
