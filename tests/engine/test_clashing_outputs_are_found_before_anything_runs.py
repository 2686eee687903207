"""Outputs that build files already name may not clash: bad usage, with both places, before anything runs."""

from __future__ import annotations

from pathlib import Path

import pytest

from zerorepo.analysis import check_declared
from zerorepo.cli.common import GLOBALS, registry
from zerorepo.errors import UsageError
from zerorepo.table import TargetTable
from zerorepo.workspace import Workspace


def check(root: Path, text: str, files: dict[str, str] | None = None) -> None:
    for path, content in {"zerorepo.toml": text, **(files or {})}.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(content)
    GLOBALS.registry = None
    table = TargetTable(Workspace.load(root, registry()))
    check_declared(table, [target.label for target in table.static()])


def command(name: str, outs: str, more: str = "") -> str:
    return f'[[target]]\nname = "{name}"\nrule = "command"\nouts = {outs}\ncmd = "true"\n{more}\n'


@pytest.mark.parametrize(
    ("first", "second", "message"),
    [
        ('["x"]', '["x"]', "both make `x`"),
        ('["d"]', '["d/x"]', "`//:b` makes `d/x`, but `//:a` makes a file `d`"),
        ('["d/x"]', '["d"]', "`//:a` makes `d/x`, but `//:b` makes a file `d`"),
    ],
)
def test_two_targets_with_clashing_outputs(tmp_path: Path, first: str, second: str, message: str) -> None:
    with pytest.raises(UsageError) as caught:
        check(tmp_path, command("a", first) + command("b", second))
    assert message in caught.value.message
    assert "zerorepo.toml:" in caught.value.render()
    assert not (tmp_path / ".zerorepo").exists()


def test_the_same_path_from_two_packages(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="both make `p/x`"):
        check(tmp_path, command("a", '["p/x"]'), {"p/BUILD.toml": command("b", '["x"]')})


def test_a_source_that_is_an_output_of_the_same_target(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="a source and an output"):
        check(tmp_path, command("a", '["x"]', 'srcs = ["x"]'), {"x": ""})


def test_a_bad_label_and_a_missing_file_are_shown_at_their_own_line(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        check(tmp_path, command("a", '["x"]') + command("b", '["y"]', 'deps = [":c"]'))
    assert "zerorepo.toml:12" in caught.value.render()
    with pytest.raises(UsageError) as caught:
        check(tmp_path, command("a", '["x"]', 'srcs = ["nowhere.txt"]'))
    assert "zerorepo.toml:6" in caught.value.render()


def test_a_misspelt_key_is_shown_before_the_key_that_it_should_be(tmp_path: Path) -> None:
    with pytest.raises(UsageError) as caught:
        check(tmp_path, command("a", '["x"]').replace("cmd =", "cmdd ="))
    assert "Unknown key `cmdd`" in caught.value.message
    assert "`cmd`" in (caught.value.hint or "")
