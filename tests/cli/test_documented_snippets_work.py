"""What README and docs show is run as it stands there."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from command import Command

ROOT = Path(__file__).resolve().parents[2]


def blocks(path: str, language: str) -> list[str]:
    """Fenced blocks of a language in a document."""
    return re.findall(rf"^```{language}\n(.*?)^```", (ROOT / path).read_text(), re.MULTILINE | re.DOTALL)


def plain(root: Path, config: str, files: dict[str, str]) -> Command:
    """A workspace whose zerorepo.toml is exactly ``config``."""
    command = Command(root, files=files)
    command.write("zerorepo.toml", config)
    return command


def test_the_rule_of_the_guide_builds(tmp_path: Path) -> None:
    (rule,) = blocks("docs/writing-a-rule.md", "python")
    target = '[[target]]\nname = "total"\nrule = "word_count"\nsrcs = ["a.txt", "b.txt"]\n'
    config = '[workspace]\nplugins = ["my_rules"]\n\n' + target
    command = plain(tmp_path / "ws", config, {"my_rules.py": rule, "a.txt": "one two", "b.txt": "three"})
    answer = command("build", "//...")
    assert answer.code == 0, answer.err
    assert (command.root / "out/total.txt").read_text() == "3\n"


@pytest.mark.sandbox
def test_the_command_of_the_readme_builds(tmp_path: Path) -> None:
    (config,) = [block for block in blocks("README.md", "toml") if 'rule = "command"' in block]
    command = plain(tmp_path / "ws", config, {"data/b.csv": "b\n", "data/a.csv": "a\n"})
    assert command("build", "//...").code == 0
    assert (command.root / "out/report.txt").read_text() == "a\nb\n"


@pytest.mark.sandbox
def test_the_command_of_the_user_guide_builds(tmp_path: Path) -> None:
    (config,) = [block for block in blocks("docs/user-guide.md", "toml") if 'rule = "command"' in block]
    command = plain(tmp_path / "ws", config, {"words.txt": "Hello World\n"})
    assert command("build", "//...").code == 0
    assert (command.root / "out/slugs.txt").read_text() == "hello-world\n"


def test_the_labels_that_the_readme_names_exist_in_the_plan() -> None:
    nodes = set(re.findall(r'^id = "(\w+/\w+)"', (ROOT / "zerorepo.lock").read_text(), re.MULTILINE))
    for path in ("README.md", "docs/user-guide.md"):
        for module, name in re.findall(r"//(\w+):(\w+)\.code", (ROOT / path).read_text()):
            assert f"{module}/{name}" in nodes, path
