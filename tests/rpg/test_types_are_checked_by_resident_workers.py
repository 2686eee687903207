"""The type checker's resident workers: the same verdicts as mypy started anew, shared, replaced when they die, gone at the end."""

from __future__ import annotations

import ast
import asyncio
import os
import signal
import subprocess
import sys
import time
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


def is_worker(pid: str) -> bool:
    try:
        return Path(type_worker.__file__).name.encode() in Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return False


def children() -> set[str]:
    """Workers of this process; other tests may have theirs meanwhile."""
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(os.getpid())], capture_output=True, text=True, check=False
    )
    return {pid for pid in listed.stdout.split() if is_worker(pid)}


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
        os.kill(checker._idle[0].process.pid, signal.SIGKILL)
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


def test_workers_at_once_have_caches_of_their_own_and_keep_same_names_apart(tmp_path: Path) -> None:
    """One package name, other contents: what one worker knows of it must never be another one's."""
    folders = [
        placed(tmp_path / str(number), {"tiny/__init__.py": "", "tiny/a.py": f"def f{number}() -> int:\n    return {number}\n",
               "tiny/b.py": f"from tiny.a import f{number}\n\nx: int = f{number}()\n"})
        for number in range(4)
    ]  # fmt: skip

    async def work(checker: TypeChecker) -> list[Said]:
        other = TypeChecker(tmp_path / "mypy", 1)  # of another build
        try:
            rounds = [checker.check(folders[n % 3], "tiny") for n in range(12)]
            said = await asyncio.gather(*rounds, *(other.check(folders[3], "tiny") for _ in range(4)))
            caches = [each.cache for each in (*checker._idle, *other._idle)]
            assert len(set(caches)) == len(caches) == 4
            return list(said)
        finally:
            await other.close()

    assert [each for each in using(tmp_path / "mypy", work, size=3) if each != (0, "", "")] == []


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    folder = placed(tmp_path / "ws", BAD)

    async def work(checker: TypeChecker) -> tuple[Said, Said]:
        before = await checker.check(folder, "tiny")
        for file in (tmp_path / "mypy").rglob("*"):
            if file.is_file() and file.suffix != ".lock":
                file.write_bytes(b"damaged" * 1000)
        return before, await checker.check(folder, "tiny")

    before, after = using(tmp_path / "mypy", work)
    assert after == before and before.code == 1


def test_a_builder_that_is_killed_leaves_no_worker(cache: Path, tmp_path: Path) -> None:
    folder = placed(tmp_path, GOOD)
    program = (
        "import asyncio, os, pathlib, signal\n"
        "from zerorepo_rpg.rules.type_checker import TypeChecker\n"
        "async def main():\n"
        f"    checker = TypeChecker(pathlib.Path({str(cache)!r}), 1)\n"
        f"    await checker.check(pathlib.Path({str(folder)!r}), 'tiny')\n"
        "    print(checker._idle[0].process.pid, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    until = time.monotonic() + 20
    while is_worker(done.stdout.strip()) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_worker(done.stdout.strip())


def test_a_fork_has_nothing_left_to_import(tmp_path: Path) -> None:
    (tmp_path / "p").mkdir()
    (tmp_path / "p/__init__.py").write_text("x: int = 1\n")
    code = (
        "import sys; from zerorepo_rpg.type_worker import loaded; api = loaded(); before = set(sys.modules);"
        "print(api.run(['--cache-dir=cache', '-p', 'p'])[2], [name for name in sys.modules if name not in before])"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, timeout=120, check=True
    )
    code_of_mypy, _, imported = done.stdout.strip().partition(" ")
    assert (code_of_mypy, len(ast.literal_eval(imported)) <= 5) == ("0", True), imported
