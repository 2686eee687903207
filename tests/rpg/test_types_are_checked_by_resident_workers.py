"""The type checker's resident workers: the same verdicts as mypy started anew, shared, replaced when they die, gone at the end."""

from __future__ import annotations

import ast
import asyncio
import os
import shutil
import signal
import subprocess
import sys
import tempfile
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


def checked(checker: TypeChecker, files: dict[str, str]) -> Awaitable[Said]:
    return checker.check(files, "tiny")


async def raised(checker: TypeChecker, files: dict[str, str]) -> Said:
    """As who asks for a check takes a worker that could not run it."""
    said = await checked(checker, files)
    if said.code not in (0, 1):
        raise TransientFailure(said.err)
    return said


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
    cases = {"bad": BAD, "good": GOOD, "broken": BROKEN}

    async def work(checker: TypeChecker) -> dict[str, Said]:
        said = {name: await checked(checker, files) for name, files in cases.items()}
        assert (await checked(checker, BAD)) == said["bad"]
        assert checker.started == 1
        return said

    said = using(cache, work)
    assert said["good"] == (0, "", "")
    assert [line.partition(" error: ")[0] for line in said["bad"].out.splitlines()] == ["tiny/b.py:3:", "tiny/b.py:4:"]
    for name, files in cases.items():
        command = [sys.executable, "-m", "mypy", *_FLAGS, f"--cache-dir={tmp_path}/cache", "-p", "tiny"]
        folder = placed(tmp_path / name, files)
        alone = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
        assert (said[name].code, said[name].out) == (alone.returncode, alone.stdout), name


def test_files_of_the_same_name_size_and_moment_are_not_taken_for_each_other(cache: Path) -> None:
    """By default mypy knows a file again by its path, its size and the second in which it was written."""
    takes = "from tiny.a import {}\n"
    both = [{**GOOD, "tiny/a.py": f"{name} = 1\n", "tiny/b.py": takes.format(name)} for name in ("x", "y")]

    async def work(checker: TypeChecker) -> list[int]:
        return [(await checked(checker, both[turn % 2])).code for turn in range(6)]

    assert using(cache, work) == [0] * 6


def test_modules_of_what_is_checked_are_read_and_never_run(cache: Path) -> None:
    traps = {"json.py": "open('/dev/full', 'w').write('x')\n", "tiny/mypy.py": "raise SystemExit(7)\n"}
    assert using(cache, lambda checker: checked(checker, {**GOOD, **traps})).code == 0


def test_a_worker_that_died_is_replaced_and_leaves_no_files(cache: Path) -> None:
    async def work(checker: TypeChecker) -> int:
        first = await checked(checker, BAD)
        worker = checker._idle[0]
        assert worker.folder.exists()
        os.kill(worker.process.pid, signal.SIGKILL)
        assert await checked(checker, BAD) == first
        assert not worker.folder.exists()
        return checker.started

    assert using(cache, work) == 2


def test_workers_that_die_again_and_again_are_a_failure_that_is_not_remembered(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken = tmp_path / "worker.py"
    broken.write_text("raise ImportError('no mypy here')\n")
    monkeypatch.setattr(type_worker, "__file__", str(broken))
    with pytest.raises(TransientFailure, match="no mypy here"):
        using(cache, lambda checker: checked(checker, GOOD))


def test_a_check_that_takes_too_long_ends_with_its_worker(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    slow = tmp_path / "worker.py"
    slow.write_text("import time\ntime.sleep(60)\n")
    monkeypatch.setattr(type_worker, "__file__", str(slow))
    monkeypatch.setattr("zerorepo_rpg.rules.type_checker._LIMIT_S", 0.3)
    with pytest.raises(TransientFailure, match="took more than"):
        using(cache, lambda checker: checked(checker, GOOD))
    assert children() == set()


def test_as_many_work_as_there_are_places_and_none_is_left(cache: Path) -> None:
    async def work(checker: TypeChecker) -> list[int]:
        said = await asyncio.gather(*(checked(checker, BAD if number % 2 else GOOD) for number in range(6)))
        assert checker.started == 2
        assert len(children()) == 2
        return [each.code for each in said]

    assert using(cache, work, size=2) == [0, 1] * 3
    assert children() == set()


def test_workers_at_once_have_caches_of_their_own_and_keep_same_names_apart(tmp_path: Path) -> None:
    """One package name, other contents: what one worker knows of it must never be another one's."""
    folders = [
        {"tiny/__init__.py": "", "tiny/a.py": f"def f{number}() -> int:\n    return {number}\n",
         "tiny/b.py": f"from tiny.a import f{number}\n\nx: int = f{number}()\n"}
        for number in range(4)
    ]  # fmt: skip

    async def work(checker: TypeChecker) -> list[Said]:
        other = TypeChecker(tmp_path / "mypy", 1)  # of another build
        try:
            rounds = [checked(checker, folders[n % 3]) for n in range(12)]
            said = await asyncio.gather(*rounds, *(checked(other, folders[3]) for _ in range(4)))
            caches = [each.cache for each in (*checker._idle, *other._idle)]
            assert len(set(caches)) == len(caches) == 4
            return list(said)
        finally:
            await other.close()

    assert [each for each in using(tmp_path / "mypy", work, size=3) if each != (0, "", "")] == []


def test_a_damaged_cache_is_made_anew(tmp_path: Path) -> None:
    async def work(checker: TypeChecker) -> tuple[Said, Said]:
        before = await checked(checker, BAD)
        for file in (tmp_path / "mypy").rglob("*"):
            if file.is_file() and file.suffix != ".lock":
                file.write_bytes(b"damaged" * 1000)
        return before, await checked(checker, BAD)

    before, after = using(tmp_path / "mypy", work)
    assert after == before and before.code == 1


def test_a_builder_that_is_killed_leaves_no_worker_and_no_files(cache: Path) -> None:
    program = (
        "import asyncio, os, pathlib, signal\n"
        "from zerorepo_rpg.rules.type_checker import TypeChecker\n"
        "async def main():\n"
        f"    checker = TypeChecker(pathlib.Path({str(cache)!r}), 1)\n"
        f"    await checker.check({GOOD!r}, 'tiny')\n"
        "    print(checker._idle[0].process.pid, checker._idle[0].folder, flush=True)\n"
        "    os.kill(os.getpid(), signal.SIGKILL)\n"
        "asyncio.run(main())\n"
    )
    done = subprocess.run([sys.executable, "-c", program], check=False, timeout=60, capture_output=True, text=True)
    assert done.returncode == -signal.SIGKILL
    pid, folder = done.stdout.split()
    until = time.monotonic() + 20
    while is_worker(pid) and time.monotonic() < until:
        time.sleep(0.05)
    assert not is_worker(pid)
    assert not Path(folder).exists()


def test_a_second_worker_begins_with_what_the_first_found_out(tmp_path: Path) -> None:
    """What mypy knows of the standard library is found out once, for all that work at the same time."""
    caches = tmp_path / "mypy"

    async def work(checker: TypeChecker) -> list[Said]:
        return await asyncio.gather(*(checked(checker, GOOD) for _ in range(3)))

    assert using(caches, work, size=3) == [(0, "", "")] * 3
    (seed,) = caches.glob("seed-*")
    assert sorted(each.name for each in caches.iterdir() if each.is_dir()) == ["0", "1", "2", seed.name]
    made = {path.name: path.stat().st_mtime_ns for path in seed.rglob("*.db")}
    assert made
    shutil.rmtree(caches / "0")
    assert using(caches, work, size=3) == [(0, "", "")] * 3
    assert {path.name: path.stat().st_mtime_ns for path in seed.rglob("*.db")} == made


def test_a_seed_that_cannot_be_used_is_done_without(tmp_path: Path) -> None:
    import mypy.version

    caches = tmp_path / "mypy"
    (caches / f"seed-{mypy.version.__version__}" / "3.11").mkdir(parents=True)
    for number in range(16):
        (caches / f"seed-{mypy.version.__version__}" / "3.11" / f"cache.{number}.db").write_bytes(b"damaged" * 1000)
    assert using(caches, lambda checker: checked(checker, GOOD)) == (0, "", "")


def test_where_memory_cannot_be_written_files_are_placed_elsewhere(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerorepo_rpg.rules.type_checker._MEMORY", str(tmp_path / "not" / "there"))
    assert using(cache, lambda checker: checked(checker, GOOD)) == (0, "", "")


def test_a_full_memory_loses_neither_the_check_nor_the_cache(tmp_path: Path) -> None:
    caches = tmp_path / "mypy"

    async def work(checker: TypeChecker) -> list[int]:
        codes = [(await checked(checker, GOOD)).code]
        folder = checker._idle[0].folder
        kept = (caches / "0").stat().st_ino
        while folder.exists():  # the worker may be at it, too
            shutil.rmtree(folder, ignore_errors=True)
        folder.write_text("nothing can be made in here\n")
        codes += [(await checked(checker, files)).code for files in (BAD, GOOD)]
        assert (caches / "0").stat().st_ino == kept
        folder.unlink()
        return codes

    before = set(Path(tempfile.gettempdir()).glob("zerorepo-types-*"))
    assert using(caches, work) == [0, 1, 0]
    assert set(Path(tempfile.gettempdir()).glob("zerorepo-types-*")) <= before


def test_a_start_that_is_cancelled_leaves_no_folder_and_no_claim(
    cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("zerorepo_rpg.rules.type_checker._MEMORY", str(tmp_path))

    async def never(*_: object, **__: object) -> None:
        await asyncio.sleep(60)

    async def work(checker: TypeChecker) -> None:
        with monkeypatch.context() as patched:
            patched.setattr(asyncio, "create_subprocess_exec", never)
            task = asyncio.ensure_future(checked(checker, GOOD))
            await asyncio.sleep(0.05)
            assert list(tmp_path.glob("zerorepo-types-*"))
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)
        assert not list(tmp_path.glob("zerorepo-types-*"))
        assert (await checked(checker, GOOD)).code == 0
        assert checker._idle[0].cache.name == "0"

    using(cache, work)


def test_paths_that_lead_out_are_not_written(cache: Path, tmp_path: Path) -> None:
    for path in (f"{tmp_path}/out.py", "../../out.py"):
        with pytest.raises(TransientFailure, match="no path inside"):
            using(cache, lambda checker, path=path: raised(checker, {**GOOD, path: "x = 1\n"}))
    assert not (tmp_path / "out.py").exists()


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
