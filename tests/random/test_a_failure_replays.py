"""A failing seed replays from the one command that it prints, in the long mode too, and what led there is printed as a program."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from running import seed_of

HERE = Path(__file__).parent
ROOT = HERE.parents[1]

BROKEN = """
from dataclasses import replace
import mix_rules
from edits import Edits
from running import random_run

async def wrong(ctx):
    if not ctx.attrs.glob:
        return await mix_rules.mix.implementation(ctx)
    ctx.output(ctx.attrs.out or ctx.label.path, b"wrong")

class Broken(Edits):
    def __init__(self):
        super().__init__()
        self.runner.registry.add_rule(replace(mix_rules.mix, implementation=wrong))

def test_broken(random_run):
    random_run(Broken, 0, promised=0)
"""


def run(command: list[str] | str, folder: Path, **env: str) -> tuple[int, str]:
    path = os.pathsep.join(
        [str(ROOT), str(ROOT / "rules"), str(HERE.parent), str(HERE), os.environ.get("PYTHONPATH", "")]
    )
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("ZEROREPO_RANDOM", "PYTEST"))}
    done = subprocess.run(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env={**clean, "PYTHONPATH": path, "ZEROREPO_RANDOM_SHRINK": "no", **env},
        text=True,
        capture_output=True,
        timeout=300,
    )
    return done.returncode, done.stdout + done.stderr


def program_in(output: str) -> str:
    """The printed program, without pytest's margin."""
    text = re.sub(r"(?m)^E *", "", output)
    found = re.search(r"The program that leads here:\n\n(.*?)\n\n", text, re.DOTALL)
    assert found, output
    return found[1]


def test_the_printed_command_replays_a_random_failure(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text(BROKEN)
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_broken.py"]
    code, output = run(command, tmp_path, ZEROREPO_RANDOM_EXAMPLES="30")
    assert code == 1, output
    found = re.search(r"(ZEROREPO_RANDOM_SEED=\d+ ZEROREPO_RANDOM_EXAMPLES=30) (python -m pytest .*)", output)
    assert found, output
    again, replayed = run(f"{found[1]} {found[2].replace('python', sys.executable, 1)}", tmp_path)
    assert again == 1
    assert found[1] in replayed
    assert program_in(replayed) == program_in(output)
    assert "an action did not run" in replayed


def test_the_printed_program_is_one(tmp_path: Path) -> None:
    (tmp_path / "test_broken.py").write_text(BROKEN)
    _, output = run([sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_broken.py"], tmp_path)
    program = program_in(output)
    last_ran = [line for line in program.splitlines() if line.startswith("# ran ")][-1]
    (tmp_path / "program.py").write_text(program + "\nprint('# ran', run.ran)\n")
    code, said = run([sys.executable, str(tmp_path / "program.py")], ROOT)
    assert code == 0, said
    assert said.strip().startswith("# ran [")
    assert set(re.findall(r"//[^']*", said)) >= set(re.findall(r"//[^']*", last_ran.partition(", actions")[0]))


def test_the_default_run_is_the_same_each_time_and_the_long_one_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("ZEROREPO_RANDOM_EXAMPLES", "ZEROREPO_RANDOM_SEED"):
        monkeypatch.delenv(name, raising=False)
    assert seed_of(3) == seed_of(3) == 3
    monkeypatch.setenv("ZEROREPO_RANDOM_EXAMPLES", "1")
    assert seed_of(3) != seed_of(3)
    monkeypatch.setenv("ZEROREPO_RANDOM_SEED", "77")
    assert seed_of(3) == 77
