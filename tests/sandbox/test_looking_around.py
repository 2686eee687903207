"""``--sandbox-debug`` and ``zerorepo shell``: the world of a request, as a person enters it."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_harness import need

BUILD = """
[[target]]
name = "made"
rule = "command"
srcs = ["a.txt"]
outs = ["gen/b.txt"]
cmd = "tr a-z A-Z < $SRCS > $OUTS"
sandbox = "TIER"

[[target]]
name = "bad"
rule = "command"
deps = [":made"]
outs = ["c.txt"]
cmd = "echo half > half.txt; cat /proc/self/environ > env.txt; false"
sandbox = "TIER"

[[target]]
name = "test"
rule = "command_test"
deps = [":made"]
cmd = "cp $DEPS seen.txt; exit 3"
sandbox = "TIER"

[[target]]
name = "group"
rule = "command_test"
cmd = "true"
"""


@pytest.fixture(params=["bubblewrap", "docker", "gvisor"])
def zerorepo(request, tmp_path):
    """The command line in a workspace whose targets run in this tier."""
    need(request.param)
    (tmp_path / "zerorepo.toml").write_text(BUILD.replace("TIER", request.param))
    (tmp_path / "a.txt").write_text("hello")

    def run(*args: str, stdin: str | None = None) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "SOME_API_KEY": "CANARYKEY", "NO_COLOR": "1"}
        return subprocess.run(
            [sys.executable, "-m", "zerorepo", *args],
            cwd=tmp_path,
            env=env,
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
            **({"stdin": subprocess.DEVNULL} if stdin is None else {"input": stdin}),
        )

    return run


def entered(said: str, *argv: str) -> str:
    """What a command says that is run in the kept world."""
    enter = re.search(r"to look around in it: (\S+)", said)
    assert enter, said
    env = {**os.environ, "SOME_API_KEY": "CANARYKEY"}
    done = subprocess.run([enter.group(1), *argv], capture_output=True, text=True, timeout=60, check=False, env=env)
    return done.stdout + done.stderr


def test_the_world_of_a_failed_command_is_kept_with_what_it_left(zerorepo):
    done = zerorepo("build", "//:bad", "--sandbox-debug")
    assert done.returncode == 1
    said = entered(done.stderr, "/bin/sh", "-c", "cat half.txt gen/b.txt; pwd; cat /proc/*/environ; cat env.txt")
    assert said.startswith("half\nHELLO/work")
    assert "CANARYKEY" not in said


def test_the_world_of_a_failed_test_is_kept_also_when_the_verdict_comes_from_the_cache(zerorepo):
    assert "look around" not in (first := zerorepo("test", "//:test")).stderr + first.stdout
    done = zerorepo("test", "//:test", "--sandbox-debug")
    assert done.returncode == 3
    assert entered(done.stderr, "/bin/cat", "seen.txt") == "HELLO"
    assert "look around" not in (last := zerorepo("test", "//:test")).stderr + last.stdout


def test_a_shell_stands_in_the_targets_world_with_its_inputs(zerorepo, tmp_path):
    done = zerorepo("shell", "//:test", stdin="cat $DEPS; echo; id -u; cat /proc/net/dev | grep -c :; exit\n")
    assert done.returncode == 0, done.stderr
    assert done.stdout.split() == ["HELLO", "65532", "1"]
    assert not list((tmp_path / ".zerorepo/shell").iterdir())


def test_a_command_in_the_targets_world_answers_with_its_own_exit_code(zerorepo):
    done = zerorepo("shell", "//:bad", "--", "/bin/sh", "-c", "cat gen/b.txt; test ! -e half.txt; exit 7")
    assert (done.returncode, done.stdout) == (7, "HELLO")


def test_a_target_that_is_unknown_is_bad_usage(tmp_path):
    need("bubblewrap")
    (tmp_path / "zerorepo.toml").write_text(BUILD.replace("TIER", "bubblewrap"))
    done = subprocess.run(
        [sys.executable, "-m", "zerorepo", "shell", "//:tests"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 2 and "did you mean `//:test`" in done.stderr


def test_what_was_laid_out_before_is_replaced(zerorepo, tmp_path):
    zerorepo("build", "//:bad", "--sandbox-debug")
    kept = Path(tmp_path / ".zerorepo/sandbox-debug/bad/work")
    (kept / "mine").write_text("x")
    zerorepo("build", "//:bad", "--sandbox-debug")
    assert not (kept / "mine").exists() and (kept / "half.txt").exists()
