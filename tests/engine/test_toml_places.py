"""Errors in TOML files point at the right line, whatever stands above it."""

from __future__ import annotations

from pathlib import Path

import pytest

from zerorepo.errors import UsageError
from zerorepo.tomlfile import TomlFile

TEXT = '''\
# a comment with [brackets]
top = 1
[section]
key = "x"  # [not.a.table]
list = [
  ["a"],
  ["b"]
]
after = 2
text = """
[inside]
fake = 1
"""
'quoted' = 3
literal = \'\'\'
[[also.inside]]\'\'\'
last = "#\\"]["

[[target]]
name = "one"
cmd = "echo [ ]"

[[ target ]]
name = "two"
srcs = ["a",
  "b"]
rule = "cat"
'''


@pytest.fixture
def file(tmp_path: Path) -> TomlFile:
    (tmp_path / "f.toml").write_text(TEXT)
    return TomlFile.load(tmp_path / "f.toml", "f.toml")


@pytest.mark.parametrize(
    ("table", "key", "index", "line"),
    [
        ("", "top", 0, 2),
        ("section", "", 0, 3),
        ("section", "key", 0, 4),
        ("section", "list", 0, 5),
        ("section", "after", 0, 9),
        ("section", "last", 0, 17),
        ("target", "", 0, 19),
        ("target", "name", 0, 20),
        ("target", "", 1, 23),
        ("target", "rule", 1, 27),
    ],
)
def test_a_key_is_found_on_its_line(file: TomlFile, table: str, key: str, index: int, line: int) -> None:
    assert file.where(table, key, index) == f"f.toml:{line}"


def test_text_inside_strings_and_arrays_is_no_table(file: TomlFile) -> None:
    assert not {table for table, _, _ in file.lines} & {"inside", "also.inside", '"a"', '"b"', "not.a.table"}


def test_an_unknown_key_falls_back_to_its_table(file: TomlFile) -> None:
    assert file.where("target", "nothing", 1) == "f.toml:23"


@pytest.mark.parametrize(
    ("content", "line"), [(b"a = 1\nb = = 2\n", 2), (b"a = 1\n[x\n", 2), (b"x = 1\nx = 2\n", 2), (b'a = "\n', 1)]
)
def test_a_syntax_error_names_its_line(tmp_path: Path, content: bytes, line: int) -> None:
    (tmp_path / "f.toml").write_bytes(content)
    with pytest.raises(UsageError) as caught:
        TomlFile.load(tmp_path / "f.toml", "f.toml")
    assert caught.value.where == f"f.toml:{line}"


def test_a_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "f.toml").write_bytes(b"a = '\xff'")
    with pytest.raises(UsageError, match="not UTF-8"):
        TomlFile.load(tmp_path / "f.toml", "f.toml")
