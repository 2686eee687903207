"""``[workspace] plugins``: rule sets that live in the workspace."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from zerorepo.errors import UsageError
from zerorepo.testing import RuleRunner

REGISTER = """
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, rule

@rule("hello", attrs=Attrs)
async def hello(ctx):
    ctx.output("hello", b"hello")

RULE_SET = RuleSet(name="mine", rules={"hello": "NAME:hello"})
"""


@pytest.fixture(autouse=True)
def restored_path(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "path", list(sys.path))


def runner(tmp_path: Path, module: str, text: str | None) -> RuleRunner:
    files = {"zerorepo.toml": f'[workspace]\nplugins = ["{module}"]\n[[target]]\nname = "h"\nrule = "hello"\n'}
    if text is not None:
        files[module.replace(".", "/") + ".py"] = text.replace("NAME", module)
    return RuleRunner(tmp_path, files)


def test_a_workspace_brings_its_own_rules(tmp_path: Path) -> None:
    mine = runner(tmp_path, "my_rules_a.register", REGISTER)
    mine.build_ok()
    assert mine.outputs() == {"hello": b"hello"}


@pytest.mark.parametrize(
    ("module", "text", "message"),
    [
        ("my_rules_missing", None, "There is no plugin module `my_rules_missing`"),
        ("my_rules_b", "x = 1", "has no RULE_SET"),
        ("my_rules_c", "import not_there_at_all", "cannot be imported: No module named 'not_there_at_all'"),
        ("my_rules_d", "def (", "cannot be imported: SyntaxError"),
    ],
)
def test_a_plugin_that_cannot_be_loaded_is_an_error_at_its_line(
    tmp_path: Path, module: str, text: str | None, message: str
) -> None:
    with pytest.raises(UsageError, match="plugin") as caught:
        runner(tmp_path, module, text).build()
    assert message in caught.value.message
    assert caught.value.where == "zerorepo.toml:2"
