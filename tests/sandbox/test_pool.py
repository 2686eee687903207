"""Resident workers: shared, in turn, replaced, recycled, bounded, and gone with whoever started them."""

import asyncio
import os
import signal
import time
from pathlib import Path

import pytest

from zerorepo_sandbox import cgroup, pool, tree
from zerorepo_sandbox.environment import environment_id
from zerorepo_sandbox.limits import Limits
from zerorepo_sandbox.run_tests import RunTests
from zerorepo_sandbox.service import Sandbox

TRIVIAL = "def test_a():\n    pass\n"


@pytest.fixture
def ask(context):
    def make(source: str = TRIVIAL, **fields):
        action = RunTests(
            files=context.put({"test_it.py": source}),
            tests=("test_it.py",),
            tier="bubblewrap",
            environment=environment_id(),
            **fields,
        )
        return action.execute(context)

    return make


@pytest.fixture
def the_pool(context, ask):
    context.run(ask())
    return context.run(context.service(Sandbox)).pool


def launchers() -> list[int]:
    """Children of this process that started others: other tests leave children, too, such as a resident ruff."""
    children = [pid for pid in tree.descendants(os.getpid()) if tree.parent(pid) == os.getpid()]
    return [pid for pid in children if len(tree.descendants(pid)) > 1]


def test_requests_share_as_many_workers_as_there_are_processors(context, ask, the_pool):
    async def many():
        return await asyncio.gather(*(ask() for _ in range(12)))

    assert all(run.report.passed for run in context.run(many()))
    assert 1 <= the_pool.started <= the_pool.size == len(os.sched_getaffinity(0))


def test_a_worker_that_is_killed_while_it_works_is_replaced_and_the_request_asked_again(context, ask, the_pool):
    async def killed():
        slow = asyncio.ensure_future(ask("import time\ndef test_a():\n    time.sleep(2)\n"))
        await asyncio.sleep(0.7)
        for pid in launchers():
            os.kill(tree.descendants(pid)[-1], signal.SIGKILL)
            os.kill(pid, signal.SIGKILL)
        return await slow

    started = the_pool.started
    assert context.run(killed()).report.passed
    assert the_pool.started > started


def test_a_worker_that_died_or_hangs_while_it_rested_is_not_used(context, ask, the_pool, monkeypatch):
    monkeypatch.setattr(pool, "_REST_S", 0.0)
    monkeypatch.setattr(pool, "_PING_S", 0.5)
    for number in (signal.SIGKILL, signal.SIGSTOP):
        for pid in launchers():
            os.kill(tree.descendants(pid)[1], number)
        assert context.run(ask()).report.passed


def test_a_worker_is_recycled_after_a_number_of_requests(context, ask, the_pool, monkeypatch):
    monkeypatch.setattr(pool, "RECYCLE_AFTER", 2)
    before = the_pool.started
    for _ in range(4):
        context.run(ask())
    assert the_pool.started >= before + 1


def test_requests_are_served_in_the_order_they_came(context, ask, the_pool):
    done = []

    async def one(number):
        await ask()
        done.append(number)

    async def all_():
        await asyncio.gather(*(one(number) for number in range(10)))

    context.run(the_pool.close())
    context.run(context.service(Sandbox)).pool = pool.Pool(1)
    context.run(all_())
    assert done == list(range(10))


def test_cancelling_a_request_ends_it_and_the_next_one_is_served(context, ask, the_pool):
    async def cancelled():
        task = asyncio.ensure_future(ask("import time\ndef test_a():\n    time.sleep(7535)\n"))
        await asyncio.sleep(0.5)
        begin = time.monotonic()
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        return time.monotonic() - begin

    assert context.run(cancelled()) < 3
    assert context.run(ask()).report.passed


def test_a_world_keeps_nothing_of_the_one_before_it_in_the_same_worker(context, ask, the_pool):
    leaves = (
        "import os, socket\ndef test_a():\n"
        "    for folder in ('/tmp', '/dev/shm'):\n        open(folder + '/left', 'w').close()\n"
        "    os.environ['LEFT'] = '1'\n    os.umask(0)\n    os.nice(3)\n    import sys; sys.path.append('/left')\n"
        "    socket.socket(socket.AF_UNIX).bind('\\0left')\n    assert os.getpid()\n"
    )
    finds = (
        "import os, socket, sys\ndef test_a():\n    assert os.listdir('/tmp') in ([], ['t']) and os.listdir('/dev/shm') == []\n"
        "    assert 'LEFT' not in os.environ and '/left' not in sys.path and os.nice(0) == 0 and os.umask(0o22) == 0o22\n"
        "    socket.socket(socket.AF_UNIX).bind('\\0left')\n"
        "    assert sorted(int(p) for p in os.listdir('/proc') if p.isdigit()) == [1, os.getpid()]\n"
    )
    for _ in range(2):
        assert context.run(ask(leaves)).report.passed
        run = context.run(ask(finds))
        assert run.report.passed, run


def test_only_a_full_set_of_capabilities_is_missing_within_a_world(context, ask):
    source = (
        "import os\ndef test_a():\n    status = dict(l.split(':\\t', 1) for l in open('/proc/self/status') if ':\\t' in l)\n"
        "    assert {status[n].strip() for n in ('CapInh', 'CapPrm', 'CapEff', 'CapBnd', 'CapAmb')} == {'0' * 16}, status\n"
    )
    assert context.run(ask(source)).report.passed


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes control groups")
def test_a_worker_of_root_is_in_a_control_group_that_goes_with_it(context, ask, the_pool):
    probe = cgroup.Group.make(Limits())
    if probe is None:
        pytest.skip("no control groups can be made here")
    probe.remove()
    groups = Path(f"/proc/{launchers()[0]}/cgroup").read_text()
    assert f"zerorepo-{os.getpid()}-" in groups
    context.run(the_pool.close())
    assert not [
        path for path in Path("/sys/fs/cgroup").glob("*/zerorepo-*") if path.name.split("-")[1] == str(os.getpid())
    ]


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes control groups")
def test_groups_of_builders_that_are_gone_are_swept():
    group = cgroup.Group.make(Limits())
    if group is None:
        pytest.skip("no control groups can be made here")
    group.remove()
    root = Path("/sys/fs/cgroup")
    orphan = (root if (root / "cgroup.controllers").exists() else root / "memory") / "zerorepo-4194303-0"
    orphan.mkdir()
    cgroup.sweep()
    assert not orphan.exists()
