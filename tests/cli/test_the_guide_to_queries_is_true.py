"""What the user guide says of queries: every function and output is named, every example is answered, every exit code is met."""

from __future__ import annotations

import re
import subprocess
import time
from pathlib import Path

import pytest
from command import Command

from zerorepo.plugins import installed
from zerorepo.query import BUILTINS
from zerorepo.query.formats import FORMATS

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs/user-guide.md").read_text().split("\n## Queries\n")[1].split("\n## ")[0]
OURS = {"stale", "failed", "changed_since", "owner_of"}
TARGETS = '[[target]]\nname = "docs"\nrule = "cat"\nsrcs = ["spec.md"]\ndeps = ["//auth:login"]\n'
AUTH = """
[[target]]
name = "token"
rule = "cat"
srcs = ["token.py"]
tags = ["manual"]

[[target]]
name = "login"
rule = "cat"
srcs = ["login.py"]
deps = [":token", "//:spec"]

[[target]]
name = "login_test"
rule = "judge_test"
src = "login.py"
"""


@pytest.fixture(scope="module")
def ws(tmp_path_factory: pytest.TempPathFactory) -> Command:
    files = {"spec.md": "good", "auth/BUILD.toml": AUTH, "auth/token.py": "good", "auth/login.py": "good"}
    spec = '[[target]]\nname = "spec"\nrule = "cat"\nsrcs = ["spec.md"]\n'
    command = Command(tmp_path_factory.mktemp("guide") / "ws", TARGETS + spec, files)
    for words in (
        ["init", "-q", "-b", "main"],
        ["add", "-A"],
        ["-c", "user.name=x", "-c", "user.email=x@y", "commit", "-qm", "x"],
    ):
        subprocess.run(["git", "-C", str(command.root), *words], check=True, capture_output=True)
    time.sleep(0.1)
    return command


def test_every_function_and_every_output_is_named() -> None:
    named = set(re.findall(r"[`, ](\w+)\(", GUIDE))
    ours = {name for name, _ in installed().query_functions} | OURS
    assert named == {function.name for function in BUILTINS} | ours | {"set"}
    outputs = GUIDE.split("| `--output` |")[1].split("\n\n")[0]
    assert set(re.findall(r"`(\w+)`", outputs)) == {*FORMATS, "svg", "graph"}


def examples() -> list[str]:
    block = re.search(r"```sh\n(.*?)```", GUIDE, re.DOTALL)
    assert block
    shown = re.findall(r"query (?:--output graph )?'(.*?)'", block[1])
    return [*shown, *re.findall(r"`([a-z_]+\([^`]*//[^`]*\))`", GUIDE)]


@pytest.mark.parametrize("expression", examples())
def test_every_example_is_answered(ws: Command, expression: str) -> None:
    answer = ws("query", expression)
    assert answer.code == 0, answer.err


def test_the_examples_are_found() -> None:
    assert len(examples()) >= 9


def test_what_the_specification_concerns_is_found(ws: Command) -> None:
    assert ws("query", "rdeps(//..., //:spec.md)", "--order", "no").out.split() == [
        "//:docs", "//:spec", "//:spec.md", "//auth:login"
    ]  # fmt: skip
    assert ws("query", "attr(tags, manual, //...)").out == "//auth:token\n"
    assert ws("query", "labels(srcs, //auth:login)").out == "//auth:login.py\n"


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["//auth:all ^ //:all"], 0),
        (["deps(//..."], 2),
        (["//...", "--output", "labels"], 2),
        (["//auth:nosuch"], 7),
        (["kind('(', //...)"], 7),
        (["some(set())"], 7),
        (["//auth:nosuch + //auth:login", "--keep-going"], 3),
    ],
)
def test_exit_codes_are_those_of_the_guide(ws: Command, words: list[str], code: int) -> None:
    answer = ws("query", *words)
    assert answer.code == code
    assert ("ERROR" in answer.err) == (code != 0)
    if code in (2, 7) and "--output" not in words:
        assert answer.err.splitlines()[2].strip() == "^"
