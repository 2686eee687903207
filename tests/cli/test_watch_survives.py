"""``build --watch`` survives errors, signals, limits, a workspace that goes, and edits at any moment."""

from __future__ import annotations

import os
import random
import shutil
import signal
import subprocess
import time
from functools import partial
from pathlib import Path

import pytest
from command import PLUGINS, Command
from watching import CAT, FILES, GLOB, Watching, alive, children, output, wait_until

from zerorepo.cli.watch import _Ended


def test_an_error_is_shown_and_the_watch_goes_on(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT + '[[target]]\nname = "r"\nrule = "refuse"\n', FILES)
    with Watching(command, "build", "//...", "-k") as watching:
        lines = watching.settled()
        assert any("this rule never succeeds" in line for line in lines)
        assert "the build failed, waiting for changes" in lines[-1]
        watching.quiet(3)
        command.write("zerorepo.toml", PLUGINS + CAT)
        assert "done, waiting for changes" in watching.settled()[-1]


def test_a_missing_source_is_waited_for(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT)
    with Watching(command) as watching:
        assert "nothing built" in watching.settled()[-1]
        command.write("a.txt", "A")
        assert "a.txt added" in watching.settled()[0]
        assert output(command, "a") == "A"
        (command.root / "a.txt").unlink()
        assert "a.txt removed" in watching.settled()[0]


def test_a_build_that_is_killed_ends_no_watch(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT + '[[target]]\nname = "s"\nrule = "slow"\nseconds = 8\n', FILES)
    with Watching(command) as watching:
        watching.expect("building")
        wait_until(lambda: bool(children(watching.process.pid)))
        wait_until(lambda: (command.root / "out/a").exists())
        os.kill(children(watching.process.pid)[0], signal.SIGKILL)
        assert "ended by SIGKILL" in watching.settled()[-1]
        command.write("zerorepo.toml", PLUGINS + CAT)
        assert "done" in watching.settled()[-1]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_it_while_it_waits_and_while_it_builds(tmp_path: Path, number: signal.Signals) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command) as watching:
        watching.settled()
        began = time.monotonic()
        assert watching.end(number) == 130
        assert time.monotonic() - began < 5
    command.write(
        "zerorepo.toml", PLUGINS + CAT + '[[target]]\nname = "s"\nrule = "slow"\nseconds = 60\ndeps = [":a"]\n'
    )
    command.write("a.txt", "B")
    with Watching(command) as watching:
        wait_until(lambda: output(command, "a") == "B")
        (build,) = children(watching.process.pid)
        began = time.monotonic()
        assert watching.end(number) == 130
        assert time.monotonic() - began < 8
        assert not alive(build)


def test_a_workspace_that_goes_is_waited_for(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command) as watching:
        watching.settled()
        command.root.rename(tmp_path / "elsewhere")
        watching.expect("is gone; waiting for it to come back")
        (tmp_path / "elsewhere/a.txt").write_text("B")
        (tmp_path / "elsewhere").rename(command.root)
        watching.expect("the workspace is back")
        watching.settled()
        assert output(command, "a") == "B"
        (command.root / "zerorepo.toml").unlink()
        watching.expect("zerorepo.toml is gone")
        command.write("zerorepo.toml", PLUGINS + CAT)
        watching.expect("the workspace is back")
        watching.settled()
        command.write("a.txt", "C")
        watching.expect("a.txt changed")
        watching.settled()
        assert output(command, "a") == "C"


def test_without_notices_of_the_system_it_looks_again_and_again(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command, env={"WATCHFILES_FORCE_POLLING": "1"}) as watching:
        watching.expect("looking for changes every 0.5 s, because the system does not tell of them")
        watching.settled()
        command.write("a.txt", "B")
        watching.settled()
        assert output(command, "a") == "B"


@pytest.mark.parametrize("limit", ["max_inotify_instances", "max_inotify_watches"])
def test_where_the_limit_of_the_system_is_reached_it_says_so_and_looks_itself(tmp_path: Path, limit: str) -> None:
    limited = ("unshare", "-Ur", "sh", "-c", f'echo 0 > /proc/sys/user/{limit} && exec "$@"', "sh")
    if subprocess.run([*limited, "true"], check=False, capture_output=True).returncode:
        pytest.skip("no user namespaces here, so no limit of one's own")
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command, prefix=limited) as watching:
        watching.expect("its limit of inotify watches is reached")
        command.write("a.txt", "B")
        watching.expect("a.txt changed")
        watching.settled()
        assert output(command, "a") == "B"


def edit(dice: random.Random, root: Path) -> None:
    """One random thing that people and their tools do to a source."""
    name = f"data/{dice.choice(['', 'x/', 'x/y/'])}{dice.randrange(6)}.txt"
    path, text = root / name, str(dice.random())
    path.parent.mkdir(parents=True, exist_ok=True)
    what = dice.randrange(6)
    if what == 0 and path.exists():
        path.unlink()
    elif what == 1:
        (path.parent / ".swap").write_text(text)
        (path.parent / ".swap").rename(path)
    elif what == 2:
        (root / "list.txt").write_text(text)
    elif what == 3 and (root / "data/x").exists():
        shutil.rmtree(root / "data/x")
    elif what == 4 and path.exists():
        with path.open("r+") as file:
            file.write(text)
    else:
        path.write_text(text)


@pytest.mark.parametrize(("seed", "env"), [(1, {}), (2, {}), (3, {"WATCHFILES_FORCE_POLLING": "1"})])
def test_after_thirty_edits_at_any_moment_the_outputs_are_those_of_a_clean_build(
    tmp_path: Path, seed: int, env: dict[str, str]
) -> None:
    """Some fall into a build, some between two, some into the moment in which one ends."""
    targets = (
        GLOB
        + """
[[target]]
name = "all"
rule = "gather"
"""
    )
    plugin = '''
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, rule

@rule("gather", attrs=Attrs)
async def gather(ctx):
    """Contents of all sources."""
    texts = [f"{path}={ctx.read(await ctx.source(path)).decode()}" for path in await ctx.glob(("data/**/*.txt", "list.txt"))]
    ctx.output("all", " ".join(texts).encode())

RULE_SET = RuleSet(name="mine", rules={"gather": "my_gather:gather"})
'''
    head = PLUGINS.replace('"toy_rules"', '"toy_rules", "my_gather"')
    files = {"list.txt": "0", "data/0.txt": "0", "my_gather.py": plugin, "zerorepo.toml": head + targets}
    command = Command(tmp_path / "ws", "", files)
    dice = random.Random(seed)
    with Watching(command, env=env) as watching:
        watching.expect("building")
        for _ in range(30):
            time.sleep(dice.choice([0.0, 0.005, 0.05, 0.2, 0.6, 1.2]) * dice.random() * 2)
            edit(dice, command.root)
        clean = tmp_path / "clean"
        shutil.copytree(command.root, clean, ignore=shutil.ignore_patterns("out", ".zerorepo"))
        assert Command(clean, "", {"zerorepo.toml": head + targets})("build", "//...").code == 0
        for name in ("names", "all"):
            wanted = (clean / "out" / name).read_text()
            wait_until(partial(_has, command, name, wanted))
        lines = watching.until_idle()
        assert "done, waiting for changes" in lines[-1]
    for name in ("names", "all"):
        assert output(command, name) == (clean / "out" / name).read_text()


def _has(command: Command, name: str, text: str) -> bool:
    return output(command, name) == text


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_a_signal_that_comes_while_an_object_is_destroyed_is_not_lost() -> None:
    ended = _Ended()

    class Dying:
        def __del__(self) -> None:
            ended(signal.SIGHUP, None)  # Python drops what is raised here

    ended.check()
    Dying()
    with pytest.raises(KeyboardInterrupt):
        ended.check()
