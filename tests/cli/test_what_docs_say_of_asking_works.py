"""docs/models.md and docs/security.md: their commands run as they stand there, and what they count is so."""

from __future__ import annotations

import os
import re
import shlex
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
from command import Command
from llm.corpus import ALL, REFUSED
from typer.testing import CliRunner

from zerorepo_llm.cli import desk_app
from zerorepo_llm.fence import fence
from zerorepo_llm.secrets import check_reference

ROOT = Path(__file__).resolve().parents[2]
MODELS = (ROOT / "docs" / "models.md").read_text()
SECURITY = (ROOT / "docs" / "security.md").read_text()
BLOCKS = re.findall(r"^```sh\n(.*?)^```", MODELS, re.MULTILINE | re.DOTALL)
AGENT = """\
import json, re, sys

question = json.load(open(sys.argv[1]))
section = re.search(r'name="section">\\n(.*?)\\n</data-', question["messages"][1]["content"], re.DOTALL)[1]
print(json.dumps({"requirements": [{"text": section}]}))
"""


class Place:
    """A workspace as ``zerorepo init`` makes it, and a shell in it that finds ``zerorepo`` and an agent."""

    def __init__(self, root: Path) -> None:
        self.command = Command(root / "start")
        bin_ = root / "bin"
        bin_.mkdir()
        for name, words in (("zerorepo", ["-m", "zerorepo"]), ("your-agent", [str(root / "agent.py")])):
            (bin_ / name).write_text(f'#!/bin/sh\nexec {shlex.join([sys.executable, *words])} "$@"\n')
            (bin_ / name).chmod(0o755)
        (root / "agent.py").write_text(AGENT)
        self.env = {**self.command.env, "PATH": f"{bin_}:{os.environ['PATH']}"}
        assert self.command("init", "my-library").code == 0
        self.root = self.command.root / "my-library"

    def sh(self, script: str) -> subprocess.CompletedProcess[str]:
        """Run a script."""
        return subprocess.run(
            ["sh", "-eu", "-c", script], cwd=self.root, env=self.env, capture_output=True, text=True, timeout=120, check=False
        )  # fmt: skip


def block(word: str) -> str:
    """The one block that holds ``word``."""
    (found,) = [text for text in BLOCKS if word in text]
    return found


def test_an_agent_is_the_model_as_the_guide_shows(tmp_path: Path) -> None:
    place = Place(tmp_path)
    build = subprocess.Popen(
        ["zerorepo", "build", "//:my-library.spec"], cwd=place.root, env=place.env, stderr=subprocess.PIPE
    )
    loop = block("your-agent")
    assert "--wait 600" in loop
    done = place.sh(loop.replace("--wait 600", "--wait 15"))
    _, said = build.communicate(timeout=60)
    assert build.returncode == 0, (said, done.stdout, done.stderr)
    assert done.stderr.count("Answered ") == 2
    for line in (*block("zerorepo prompt").splitlines(), *block("zerorepo cost").splitlines()):
        shown = place.sh(line)
        assert shown.returncode == 0, (line, shown.stderr)
    assert "answer by desk" in place.sh("zerorepo prompt //:my-library.spec --answered").stdout
    assert (place.root / "cost.csv").read_text().startswith("target,calls,")
    assert "//:my-library.spec" in (place.root / "cost.csv").read_text()


def test_the_desk_has_the_commands_that_the_table_names() -> None:
    table = MODELS[MODELS.index("## The desk") :]
    named = set(re.findall(r"^\| `zerorepo desk (\w+)", table, re.MULTILINE))
    real = {command.name for command in desk_app.registered_commands}
    assert named == real - {"list"}  # which is what the bare command does
    for name in sorted(real):
        assert CliRunner().invoke(desk_app, [str(name), "--help"]).exit_code == 0
    for name in ("list", "next", "show"):
        assert "--json" in CliRunner().invoke(desk_app, [name, "--help"]).output


@pytest.mark.parametrize("form", re.findall(r"`((?:env|keyring|file|cmd):[^`]+)`", MODELS))
def test_every_reference_that_is_shown_is_one(form: str) -> None:
    assert check_reference(form) == form


def test_the_extra_that_the_keyring_needs_exists() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    for name in re.findall(r"zerorepo\[(\w+)\]", MODELS):
        assert name in extras


def test_what_is_said_of_fences_and_of_the_corpus_is_so() -> None:
    (shown,) = re.findall(r'`<data-[0-9a-f]{16}\s+name="section">`', SECURITY)
    assert re.sub(r"[0-9a-f]{16}", "N", " ".join(shown.strip("`").split())) == re.sub(
        r"[0-9a-f]{16}", "N", str(fence("x", "section")).splitlines()[0]
    )
    assert len(ALL) > 60
    assert len({name.split("-")[1].partition(".")[0] for name in ALL if name.startswith("order-")}) == 15
    for word in ("pdf-", "code-comment", "error-output", "fake-delimiter", "role-markers", "tool-call"):
        assert [name for name in ALL if name.startswith(word)], word
    assert len(REFUSED) >= 8
