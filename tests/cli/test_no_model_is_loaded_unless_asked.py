"""litellm costs three seconds: nothing but a request to a model may import it."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from zerorepo.cli.app import make_app
from zerorepo.plugins import installed

PROGRAM = """
import json, sys
from zerorepo.cli.main import run
code = run(sys.argv[1:])
names = {"litellm", "openai", "httpx", "aiohttp", "tiktoken", "tokenizers", "onnxruntime", "chromadb", "matplotlib"}
heavy = sorted(names & set(sys.modules))
print("\\n" + json.dumps([code, heavy]))
"""
COMMANDS = [
    ["version"],
    ["--help"],
    ["info"],
    ["build", "//..."],
    ["build", "//...", "--dry-run"],
    ["build", "//...", "--refresh", "//..."],
    ["test", "//..."],
    ["query", "//..."],
    ["aquery", "//..."],
    ["explain", "//:greeting"],
    ["prompt", "//:greeting"],
    ["cost"],
    ["ontology", "stats"],
    ["ontology", "build", "--help"],
    ["select", "--help"],
    ["spec", "show", "--help"],
    ["plan", "--help"],
    ["diff", "--help"],
    ["failures", "--help"],
    ["commit", "--help"],
    ["graph", "--help"],
    ["check"],
    ["doctor"],
    ["gc"],
    ["adopt", "--help"],
    ["shell", "//:greeting", "--", "true"],
    ["sandbox", "--help"],
    ["desk"],
    ["desk", "list"],
    ["transcripts", "list"],
    ["completion", "bash"],
    ["init", "another"],
    ["clean"],
    ["clean", "--expunge"],
]
WORKSPACE = """
[llm]
provider = "litellm"
tiers = { medium = ["openai/gpt-4o", "anthropic/claude-sonnet-4-5"] }
budget = { day_usd = 5 }
[llm.models."openai/gpt-4o"]
input_usd = 2.5
output_usd = 10
[[target]]
name = "greeting"
rule = "command"
cmd = "echo hello > greeting.txt"
outs = ["greeting.txt"]
"""


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_a_command_that_asks_no_model_imports_no_litellm(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "zerorepo.toml").write_text(WORKSPACE)
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, *command], cwd=tmp_path, capture_output=True, text=True, timeout=120
    )
    code, heavy = json.loads(ended.stdout.splitlines()[-1])
    assert heavy == [], ended.stderr
    # 1 and 4: no sandbox on this machine, no tests. That it ran is what matters.
    assert code in (0, 1, 4), ended.stderr


def test_every_command_is_among_them() -> None:
    shown = set(make_app([]).commands) | set(installed().commands)
    assert shown - {command[0] for command in COMMANDS} == set()


def test_importing_zerorepo_imports_no_litellm() -> None:
    code = (
        "import pkgutil, importlib, sys, zerorepo, zerorepo_llm\n"
        "for package in (zerorepo, zerorepo_llm):\n"
        "    for module in pkgutil.walk_packages(package.__path__, package.__name__ + '.'):\n"
        "        if not module.name.endswith('__main__'):\n"
        "            importlib.import_module(module.name)\n"
        "assert 'litellm' not in sys.modules and 'openai' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=120)
