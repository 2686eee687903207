"""The tiers docker and gvisor: what a container is, and that nothing of it is left."""

import asyncio
import os
import re
import subprocess
import sys
import time
from pathlib import Path

import pytest
from sandbox_harness import containers, need

from zerorepo.errors import ActionFailed
from zerorepo_sandbox.docker_engine import LABEL, Engine, owner
from zerorepo_sandbox.limits import Limits, Verdict
from zerorepo_sandbox.run_command import RunCommand

pytestmark = containers


def ours(mine: str = "") -> list[str]:
    """Containers of this process, or of that owner, as the engine lists them."""

    async def look() -> list[str]:
        engine = Engine()
        try:
            client = await engine.connect()
            found = client.containers(all=True, filters={"label": f"{LABEL}={mine or owner()}"})
            return [container["Id"] for container in found]
        finally:
            engine.close()

    return asyncio.run(look())


def message(run) -> str:
    assert run.report.status == Verdict.OK, run.report.output
    return run.report.cases[0].message


def test_each_request_is_a_user_that_never_was_before_without_any_right(run_tests, tier):
    source = (
        "import os\ndef test_a():\n    lines = open('/proc/self/status').read().splitlines()\n"
        "    status = dict(line.split(':\\t', 1) for line in lines if ':\\t' in line)\n"
        "    rights = os.getgroups(), int(status['CapEff'], 16), status['Seccomp'].strip()\n"
        "    assert False, f'SEEN {os.getuid()} {rights}'\n"
    )
    seen = [re.search(r"SEEN (\d+) (\(.*?\))", message(run_tests(source))).groups() for _ in range(3)]
    users = {int(user) for user, _ in seen}
    assert len(users) == 3 and min(users) >= 100_000
    assert {rights for _, rights in seen} == {"([], 0, '2')"}


def test_it_has_no_network_and_nothing_of_the_machine(run_command, tier, tmp_path):
    (tmp_path / "secret").write_text("x")
    said = run_command(
        f"cat /proc/net/dev | grep -c :; ls {tmp_path} /home /root 2>/dev/null | wc -l; env | grep -c DOCKER || true"
    )
    assert said.output.split()[0] == "1" and said.output.split()[-1] == "0"


def test_inputs_go_in_and_outputs_come_out(run_command, context, tier):
    result = run_command(
        "./tool < a/in > out", {"tool": "#!/bin/sh\ncat\n", "a/in": "x"}, executable=("tool",), outs=("out",)
    )
    assert context.read(result.outputs["out"]) == b"x"


@pytest.mark.parametrize(
    ("cmd", "what"),
    [
        ("ln -s /etc/passwd out", "a symbolic link"),
        ("mkdir out", "a folder"),
        ("mkfifo out", "a pipe"),
        ("echo x > out; ln out other", "a hard link"),
    ],
)
def test_only_plain_files_come_out(run_command, cmd, what, tier):
    with pytest.raises(ActionFailed, match=f"refused: `o.*{what}"):
        run_command(cmd, {}, outs=("out", "other") if "other" in cmd else ("out",), limits=Limits(wall_s=20))


def test_each_limit_has_its_own_verdict(run_tests, run_command, tier):
    memory = (
        "import os, time\ndef test_a():\n    for _ in range(8):\n        if os.fork() == 0:\n"
        "            block = b'x' * (60 << 20)\n            time.sleep(20)\n    time.sleep(20)\n"
    )
    assert run_tests(memory, limits=Limits(wall_s=30, memory_mb=200)).report.status == Verdict.MEMORY
    files = "def test_a():\n    for n in range(10**6): open(f'/tmp/{n}', 'w').close()\n"
    assert run_tests(files, limits=Limits(wall_s=60, inodes=500)).report.status == Verdict.DISK
    assert run_tests("def test_a():\n    while True: pass\n", limits=Limits(wall_s=1)).report.status == Verdict.TIMEOUT
    with pytest.raises(ActionFailed, match="did not end within 1 s"):
        run_command("sleep 30", limits=Limits(wall_s=1))
    with pytest.raises(ActionFailed, match="printed more"):
        run_command("yes", limits=Limits(output_kb=64))


def test_one_request_finds_nothing_of_another(run_command, tier):
    leave = "echo x > /tmp/left; echo x > /dev/shm/left; setsid sleep 7541 & mkdir -m 0 locked; sleep 0.2"
    for _ in range(3):
        run_command(leave)
        seen = run_command("find /tmp /dev/shm /work -mindepth 1; cat /proc/[0-9]*/cmdline | tr '\\0' ' '").output
        assert "left" not in seen and "7541" not in seen and "locked" not in seen


def test_cancelling_ends_it_and_closing_leaves_no_container(context, tier):
    async def cancel() -> float:
        task = asyncio.ensure_future(RunCommand(cmd="sleep 7542", files={}, outs=(), tier=tier).execute(context))
        await asyncio.sleep(8 if tier == "gvisor" else 4)
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begin

    assert context.run(cancel()) < 10
    context.run(RunCommand(cmd="true", files={}, outs=(), tier=tier).execute(context))
    assert ours()
    context.run(context.close())
    assert ours() == []


_BUILDER = """
import asyncio, sys
from pathlib import Path
from sandbox_harness import MemoryContext
from zerorepo_sandbox.docker_engine import owner
from zerorepo_sandbox.run_command import RunCommand

context = MemoryContext(Path(sys.argv[1]))

async def main():
    await RunCommand(cmd="true", files={}, outs=(), tier=sys.argv[2]).execute(context)
    print(owner(), flush=True)
    await RunCommand(cmd="sleep 7543", files={}, outs=(), tier=sys.argv[2]).execute(context)

asyncio.run(main())
"""


def test_a_builder_that_is_killed_takes_its_containers_with_it(state_dir, tier):
    env = {**os.environ, "PYTHONPATH": f"{Path(__file__).parent}:{os.environ.get('PYTHONPATH', '')}"}
    command = [sys.executable, "-c", _BUILDER, str(state_dir), tier]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as builder:
        assert builder.stdout is not None
        mine = builder.stdout.readline().strip()
        assert ours(mine)
        builder.kill()
    end = time.monotonic() + 20
    while ours(mine) and time.monotonic() < end:
        time.sleep(0.2)
    assert ours(mine) == []


def test_containers_of_builders_that_are_gone_are_removed_at_the_next_start(tier):
    need("docker")

    async def orphan_and_sweep() -> tuple[str, list[str]]:
        engine = Engine()
        try:
            client = await engine.connect()
            tag = await engine.bring_image()
            made = client.create_container(tag, ["/bin/sleep", "600"], labels={LABEL: "4194999:1"})["Id"]
            client.start(made)
            await engine.sweep()
            return made, [each["Id"] for each in client.containers(all=True)]
        finally:
            engine.close()

    made, left = asyncio.run(orphan_and_sweep())
    assert made not in left
