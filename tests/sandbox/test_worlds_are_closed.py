"""What code inside a world can see, reach and use up."""

import asyncio
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandbox_harness import MemoryContext

from zerorepo.errors import EnvironmentFailure, InternalError
from zerorepo_sandbox.bubblewrap import Bubblewrap
from zerorepo_sandbox.environment import environment_id
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.run_command import RunCommand
from zerorepo_sandbox.run_tests import RunTests

SECRET = "CANARYKEY-1234"


def outcome(run) -> str:
    """The message of the only test, which fails with what it found."""
    assert run.report.status == Verdict.OK, run.report.output
    return run.report.cases[0].message


def test_no_network(run_tests):
    run = run_tests(
        "import socket, pytest\ndef test_a():\n    with pytest.raises(OSError):\n"
        "        socket.create_connection(('192.0.2.1', 80), timeout=2)\n"
        "    with pytest.raises(OSError):\n        socket.getaddrinfo('example.org', 80)\n"
    )
    assert run.report.passed


def test_no_environment_of_the_builder(run_tests, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    source = (
        "import glob, os\ndef test_a():\n    seen = [repr(dict(os.environ))]\n"
        "    for path in glob.glob('/proc/[0-9]*/environ'):\n        try: seen.append(open(path).read())\n"
        "        except OSError: pass\n    assert not seen, seen\n"
    )
    message = outcome(run_tests(source))
    assert SECRET not in message and "SOME_API_KEY" not in message


def test_no_environment_of_the_builder_in_a_command_either(run_command, monkeypatch):
    monkeypatch.setenv("SOME_API_KEY", SECRET)
    result = run_command("cat /proc/*/environ | tr '\\0' '\\n'; env")
    assert "HOME=/tmp" in result.output
    assert SECRET not in result.output


def test_no_files_of_the_host(run_tests, tmp_path):
    (tmp_path / "secret").write_text(SECRET)
    paths = [str(tmp_path / "secret"), "/etc/shadow", "/etc/hostname", "/root", "/home", "/var", __file__]
    source = (
        f"import os\ndef test_a():\n    found = []\n    for path in {paths!r}:\n"
        "        if os.path.isfile(path) or os.path.isdir(path) and any(n != '.pyenv' for n in os.listdir(path)):\n"
        "            found.append(path)\n    assert not found, found\n"
    )
    assert run_tests(source).report.passed


def test_only_pytest_and_what_it_needs_can_be_imported(run_tests):
    source = "import pytest\n" + "".join(
        f"def test_{name}():\n    with pytest.raises(ImportError):\n        import {name}\n"
        for name in ("pydantic", "pip", "setuptools", "zerorepo", "litellm")
    )
    assert run_tests(source).report.passed


def test_nothing_can_be_written_but_the_work_folder_and_tmp(run_tests):
    source = (
        "import os\ndef test_a(tmp_path):\n    (tmp_path / 'x').write_text('y')\n    written = []\n"
        "    for folder in ('/', '/usr', '/etc', '/dev', '/opt', '/opt/zerorepo/site', '/root', os.getcwd()):\n"
        "        try: open(os.path.join(folder, 'probe'), 'w').close()\n        except OSError: continue\n"
        "        written.append(folder)\n    assert not written, written\n"
    )
    assert run_tests(source).report.passed


def test_it_is_an_unprivileged_user_under_a_system_call_filter(run_tests):
    source = (
        "import os\ndef test_a():\n    status = dict(l.split(':\\t', 1) for l in open('/proc/self/status') if ':\\t' in l)\n"
        "    found = os.getuid(), int(status['CapEff'], 16), status['NoNewPrivs'].strip(), status['Seccomp'].strip()\n"
        "    assert found == (65532, 0, '1', '2'), found\n"
    )
    assert run_tests(source).report.passed


def test_the_hash_seed_time_zone_and_language_are_fixed(run_tests):
    source = (
        "import os, sys, time\ndef test_a():\n    assert time.tzname == ('UTC', 'UTC')\n"
        "    assert os.environ['LANG'] == 'C.UTF-8' and sys.flags.hash_randomization == 0\n"
    )
    assert run_tests(source).report.passed


def test_memory_is_that_of_all_processes_together(run_tests):
    source = (
        "import os, time\ndef test_a():\n    for _ in range(8):\n        if os.fork() == 0:\n"
        "            block = b'x' * (60 << 20)\n            time.sleep(20)\n    time.sleep(20)\n"
    )
    begin = time.monotonic()
    report = run_tests(source, limits=Limits(wall_s=15, memory_mb=200)).report
    assert (report.passed, report.status) == (False, Verdict.MEMORY)
    assert time.monotonic() - begin < 5


def test_a_fork_bomb_stays_below_the_process_limit(run_tests):
    source = (
        "import os, time\ndef test_a():\n    count = 0\n    try:\n        while count < 500:\n"
        "            if os.fork() == 0: time.sleep(30)\n            count += 1\n    except OSError: pass\n"
        "    assert count > 500, count\n"
    )
    run = run_tests(source, limits=Limits(wall_s=10, processes=20))
    assert (run.report.passed, run.report.status) == (False, Verdict.PROCESSES)
    counted = source.replace("assert count", "os.write(2, b'FORKS %d.' % count)\n    assert count")
    run = run_tests(counted, screened=False, capture=False, limits=Limits(wall_s=10, processes=20))
    assert 0 < int(run.report.output.rpartition("FORKS ")[2].partition(".")[0]) < 20


def test_processor_time_is_that_of_all_processes_together(run_tests):
    source = (
        "import os, time\ndef spin(seconds):\n    end = time.process_time() + seconds\n"
        "    while time.process_time() < end: pass\n"
        "def test_a():\n    for _ in range(6):\n        pid = os.fork()\n        if pid == 0:\n            spin(0.5)\n"
        "            os.kill(os.getpid(), 9)\n        os.waitpid(pid, 0)\n"
    )
    report = run_tests(source, limits=Limits(wall_s=60, cpu_s=2)).report
    assert (report.passed, report.status) == (False, Verdict.CPU)


def test_the_disk_has_a_size_and_a_number_of_files(run_tests):
    source = (
        "def test_a():\n    with open('/tmp/big', 'wb') as file:\n        for _ in range(200): file.write(bytes(1 << 20))\n"
        "def test_b():\n    for n in range(10**6): open(f'/tmp/{n}', 'w').close()\n"
    )
    report = run_tests(source, limits=Limits(wall_s=10, disk_mb=8, inodes=2000)).report
    assert (report.passed, report.status) == (False, Verdict.DISK)


def test_a_flood_of_output_ends_the_run(run_tests):
    source = "import os\ndef test_a():\n    while True: os.write(2, b'x' * 65536)\n"
    report = run_tests(source + "import sys\n", limits=Limits(wall_s=10, output_kb=64, file_mb=1)).report
    assert not report.passed
    source = "import os\nos.dup2(3, 1)\ndef test_a():\n    while True: os.write(3, b'x' * 65536)\n"
    report = run_tests(source, limits=Limits(wall_s=10, report_kb=256)).report
    assert (report.passed, report.status) == (False, Verdict.OUTPUT)


def test_processes_left_behind_do_not_outlive_the_run(run_tests):
    source = (
        "import os, subprocess\ndef test_a():\n    if os.fork() == 0:\n        os.setsid()\n"
        "        os.execv('/bin/sleep', ['sleep', '7531'])\n"
    )
    assert run_tests(source).report.passed
    assert not _running("7531")


@pytest.mark.parametrize("tier", ["bubblewrap", "unsafe"], indirect=True)
def test_cancelling_kills_everything_at_once(context, tier):
    source = "import subprocess\ndef test_a():\n    subprocess.run(['sleep', '7532'])\n"
    action = RunTests(
        files=context.put({"test_a.py": source}), tests=("test_a.py",), tier=tier, environment=environment_id()
    )

    async def cancel() -> float:
        task = asyncio.ensure_future(action.execute(context))
        while not _running("7532"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begin

    assert context.run(cancel()) < 1
    assert not _running("7532")
    assert not list(Path("/tmp").glob(f"zerorepo-unsafe-{os.getpid()}-*"))


_BUILDER = """
import asyncio, sys
from pathlib import Path
from sandbox_harness import MemoryContext
from zerorepo_sandbox.run_command import RunCommand

context = MemoryContext(Path(sys.argv[1]))
asyncio.run(RunCommand(cmd="sleep 7534", files={}, outs=(), tier="bubblewrap").execute(context))
"""


def test_a_builder_that_is_killed_takes_its_worlds_with_it(tmp_path):
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parent)}
    with subprocess.Popen([sys.executable, "-c", _BUILDER, str(tmp_path)], env=env) as builder:
        assert _eventually(lambda: _running("7534"))
        builder.kill()
    assert _eventually(lambda: not _running("7534"))


def test_nothing_is_left_open_after_many_runs_at_once(context, tier):
    action = RunCommand(cmd="cat in > out", files=context.put({"in": "x"}), outs=("out",), tier=tier)

    async def run_many() -> tuple[int, int]:
        await action.execute(context)
        before = len(os.listdir("/proc/self/fd"))  # noqa: PTH208
        await asyncio.gather(*(action.execute(context) for _ in range(40)))
        return before, len(os.listdir("/proc/self/fd"))  # noqa: PTH208

    before, after = context.run(run_many())
    assert before == after


def test_no_bubblewrap_is_an_error_that_says_what_to_install(state_dir, monkeypatch):
    monkeypatch.setenv("PATH", str(state_dir))
    with pytest.raises(EnvironmentFailure, match=r"(?s)bwrap.*install-system-packages\.sh.*--unsafe"):
        asyncio.run(Bubblewrap().check())


def test_a_bubblewrap_that_does_not_work_is_an_error_with_its_words(state_dir, monkeypatch, tmp_path):
    for name in ("bwrap", "setpriv"):
        (tmp_path / name).write_text("#!/bin/sh\necho no namespaces for you >&2\nexit 1\n")
        (tmp_path / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{os.environ['PATH']}")
    with pytest.raises(EnvironmentFailure, match="no namespaces for you"):
        asyncio.run(Bubblewrap().check())


def test_unsafe_takes_the_flag_whatever_an_action_says(state_dir):
    action = RunTests(files={}, tests=(), tier="unsafe", environment=environment_id())
    with pytest.raises(InternalError, match="without --unsafe"):
        asyncio.run(action.execute(MemoryContext(state_dir)))


def _eventually(condition, seconds: float = 10.0) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if condition():
            return True
        time.sleep(0.02)
    return False


def _running(argument: str) -> bool:
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().split(b"\0")[:2] == [b"sleep", argument.encode()]:
                return True
        except OSError:
            continue
    return False
