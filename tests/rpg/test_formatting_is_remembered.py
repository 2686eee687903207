"""Formatting through ruff: alone, in company, remembered: always the same bytes."""

from __future__ import annotations

from pathlib import Path

import pytest

from zerorepo_rpg import python_source
from zerorepo_rpg.python_source import _NAMES, format_files, undefined_names

FILES = {
    "a/core.py": "import os, attr\nfrom tiny.x import y\nimport json\ndef f( a ):\n  return   json.dumps(y, attr, a)\n",
    "b/core.py": "x  = 'ü𝄞'\r\n",
    "c/__init__.py": '"""Names."""\nfrom tiny.x import y\n__all__=["y"]\n',
    "d/notes.txt": "left   alone",
    "e/empty.py": "",
}


@pytest.fixture(autouse=True)
def forgetful(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_source, "_formatted", {})
    python_source._undefined_names.cache_clear()


@pytest.fixture
def runs(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What ruff was asked for, in order."""
    asked, ask = [], python_source._residents.ask

    def counted(question, select, *more):  # type: ignore[no-untyped-def]
        asked.append("names" if select == _NAMES else "layout")
        return ask(question, select, *more)

    monkeypatch.setattr(python_source._residents, "ask", counted)
    return asked


def test_folders_where_it_runs_do_not_matter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = {"a/core.py": FILES["a/core.py"].replace("json.dumps(y,", "os.fspath(y,")}
    elsewhere = format_files(one, ("tiny",))
    (tmp_path / "attr").mkdir()
    (tmp_path / "attr" / "__init__.py").touch()
    monkeypatch.chdir(tmp_path)
    python_source._formatted.clear()
    assert format_files(one, ("tiny",)) == elsewhere


def test_a_file_is_formatted_alike_alone_and_in_company(runs: list[str]) -> None:
    together = format_files(FILES, ("tiny",))
    assert runs == ["layout"] * 4
    assert "import os" not in together["a/core.py"] and "from tiny.x import y" in together["c/__init__.py"]
    assert together["d/notes.txt"] == "left   alone"
    for path, text in FILES.items():
        python_source._formatted.clear()
        assert format_files({path: text}, ("tiny",)) == {path: together[path]}


def test_what_was_formatted_is_not_formatted_again_unless_something_that_matters_differs(runs: list[str]) -> None:
    first = format_files(FILES, ("tiny",))
    runs.clear()
    assert format_files(FILES, ("tiny",)) == first
    assert format_files({"elsewhere/core.py": FILES["a/core.py"]}, ("tiny",))["elsewhere/core.py"] == first["a/core.py"]
    assert runs == []
    assert format_files({"a/core.py": FILES["a/core.py"]}, ("other",)) != {"a/core.py": first["a/core.py"]}
    assert format_files({"c/names.py": FILES["c/__init__.py"]}, ("tiny",)) == {"c/names.py": first["c/__init__.py"]}
    assert runs == ["layout"] * 2


def test_more_than_is_remembered_is_formatted_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_source, "_REMEMBERED", 3)
    format_files({"first.py": "x  = 1\n"})
    many = {f"m{number}.py": f"x  = {number}\n" for number in range(1, 8)}
    assert format_files({"first.py": "x  = 1\n", **many})["m7.py"] == "x = 7\n"
    assert len(python_source._formatted) == 3


def test_source_that_is_not_python_is_named_also_beside_good_one() -> None:
    with pytest.raises(ValueError, match=r"bad\.py is not Python: line 1"):
        format_files({"good.py": "x = 1\n", "bad.py": "def (\n"})


def test_names_that_were_looked_for_need_no_second_look(runs: list[str]) -> None:
    source = "def f() -> Missing:\n    return gone\n"
    undefined_names(source, deferred=True)
    runs.clear()
    assert undefined_names(source, deferred=True) == [
        "line 1: Undefined name `Missing`",
        "line 2: Undefined name `gone`",
    ]
    assert runs == []
    undefined_names(source)
    assert runs == ["names"]
