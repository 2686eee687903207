"""Nodes' sources become a package that works: imported and called, not only looked at."""

# ruff: noqa: E501  (tables of one-line sources)

from __future__ import annotations

import ast
import json
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from zerorepo_rpg import assemble
from zerorepo_rpg.assemble import closure_files, imports_work, package_files, test_files, test_path
from zerorepo_rpg.merge import Part, detect_import_cycles, merge_file
from zerorepo_rpg.project import license_of, project_files
from zerorepo_rpg.python_source import format_python, undefined_names
from zerorepo_rpg.scopes import rename

from .sample import BODIES, plan, spec


def run(folder: Path, files: dict[str, str], code: str) -> str:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code], cwd=folder, capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def merged(*parts: Part, **more: str) -> str:
    return merge_file("p/m/x.py", parts, **more)


def call(source: str, expression: str) -> object:
    space: dict[str, object] = {"__name__": "p.m.x"}
    exec(compile(source, "x.py", "exec"), space)
    return eval(expression, space)


def test_the_whole_package_works_and_exports_everything(tmp_path: Path) -> None:
    files = package_files(plan(), BODIES, description="Slugs.")
    code = (
        "import textkit, json; t = textkit.SlugTable(); t.add('Hello World'); t.add(' hello, world ');"
        "print(json.dumps([textkit.split_words('A b'), t.entries, len(t), textkit.word_count('a A b')['a'],"
        "textkit.clean(' x  Y '), textkit.__all__, textkit.slug.__all__]))"
    )
    words, entries, size, count, clean, public, sub = json.loads(run(tmp_path, files, code))
    assert words == ["a", "b"] and clean == "x Y" and size == 2 and count == 2
    assert entries == {"Hello World": "hello-world", " hello, world ": "hello-world-2"}
    assert public == ["SlugTable", "TextError", "clean", "slugify", "split_words", "unique_slug", "word_count"]
    assert sub == ["SlugTable", "slugify", "unique_slug"]
    assert files["textkit/py.typed"] == "" and not detect_import_cycles(files)


def test_the_same_bytes_whatever_the_order_of_the_input() -> None:
    assert package_files(plan(), BODIES) == package_files(plan(), dict(reversed(BODIES.items())))


def test_a_package_is_put_together_once_for_all_who_ask_one_after_the_other(monkeypatch: pytest.MonkeyPatch) -> None:
    made, pack = [], assemble._packed
    monkeypatch.setattr(assemble, "_last", [])
    monkeypatch.setattr(assemble, "_packed", lambda *given: made.append(given) or pack(*given))
    bodies = dict(BODIES)
    first = package_files(plan(), bodies)
    first["more.py"] = ""  # whoever asked may change what it got
    assert package_files(plan(), bodies) == {path: text for path, text in first.items() if path != "more.py"}
    assert len(made) == 1
    name = next(iter(bodies))
    bodies[name] += "\n_MORE = 1\n"
    assert "_MORE" in "".join(package_files(plan(), bodies).values())
    assert len(made) == 2
    assert "Other." in "".join(package_files(plan(), bodies, description="Other.").values())


def test_a_node_alone_needs_only_what_it_uses(tmp_path: Path) -> None:
    bodies = {name: source for name, source in BODIES.items() if not name.startswith("counting")}
    bodies["slug/SlugTable"] = "this is not Python"
    files = closure_files(plan(), bodies, {"slug/unique_slug"})
    assert set(files) == {
        "textkit/__init__.py", "textkit/shared/__init__.py", "textkit/shared/errors.py", "textkit/slug/__init__.py",
        "textkit/slug/core.py", "textkit/words/__init__.py", "textkit/words/splitting.py",
    }  # fmt: skip
    assert all(not text for path, text in files.items() if path.endswith("__init__.py"))
    assert run(tmp_path, files, "from textkit.slug.core import unique_slug as u; print(u('a', ['a']))") == "a-2"
    assert "unique_slug" not in closure_files(plan(), bodies, {"slug/slugify"})["textkit/slug/core.py"]
    with pytest.raises(KeyError, match="no body for `shared/TextError`, which slug/slugify needs"):
        closure_files(plan(), {}, {"slug/slugify"})


def test_equal_helpers_appear_once_and_different_ones_keep_apart() -> None:
    helper = "def _low(x: str) -> str:\n    return x.lower()\n\n\n"
    a = Part("m/a", "a", helper + "def a(x: str) -> str:\n    return _low(x)\n")
    b = Part("m/b", "b", helper + "def b(x: str) -> str:\n    return _low(x) + 'b'\n")
    c = Part(
        "m/c",
        "c",
        "def _low(x: str) -> str:\n    return x.upper()\n\n\ndef c(x: str) -> str:\n    _x = _low\n    return f'{_low(x)}{_x(x)!r}'\n",
    )
    source = merged(a, b, c)
    assert source.count("def _low(") == 1 and source.count("def _low_c(") == 1
    assert call(source, "(a('X'), b('X'), c('x'))") == ("x", "xb", "X'X'")


def test_equal_helpers_that_use_different_ones_keep_apart() -> None:
    def part(name: str, number: int) -> Part:
        body = f"_N = {number}\n\n\ndef _get() -> int:\n    return _N\n\n\ndef {name}() -> int:\n    return _get()\n"
        return Part(f"m/{name}", name, body)

    assert call(merged(part("a", 1), part("b", 2), part("c", 1)), "(a(), b(), c())") == (1, 2, 1)


def test_locals_attributes_and_keywords_of_the_same_name_are_left_alone() -> None:
    a = Part("m/a", "a", "_n = 1\n\n\ndef a() -> int:\n    return _n\n")
    b = Part(
        "m/b",
        "b",
        "_n = 10\n\n\nclass _K:\n    _n = 5\n\n    def get(self, _n: int = 7) -> int:\n        return self._n + _n\n\n\n"
        "def b() -> list[int]:\n    def inner(_n: int) -> int:\n        return _n\n\n"
        "    return [_n, _K().get(_n=1), inner(2), *[_n for _n in (3,)], (lambda _n: _n)(4)]  # _n stays here\n",
    )
    source = merged(a, b)
    assert call(source, "(a(), b())") == (1, [10, 6, 2, 3, 4])
    assert "# _n stays here" in source


def test_a_global_statement_is_renamed_with_its_name() -> None:
    a = Part("m/a", "a", "_count = 0\n\n\ndef a() -> int:\n    return _count\n")
    b = Part("m/b", "b", "_count = 5\n\n\ndef b() -> int:\n    global _count\n    _count += 1\n    return _count\n")
    assert call(merged(a, b), "(b(), b(), a())") == (6, 7, 0)


def test_imports_that_clash_get_another_name() -> None:
    a = Part("m/a", "a", "from datetime import datetime\n\n\ndef a() -> int:\n    return datetime(2020, 1, 2).day\n")
    b = Part("m/b", "b", "import datetime\n\n\ndef b() -> int:\n    return datetime.date(2020, 1, 3).day\n")
    c = Part(
        "m/c",
        "c",
        "import datetime as dt, os.path\nfrom math import pow\n\n\ndef c() -> object:\n    return dt.date(2020, 1, 4).day, pow(2, 2), os.path.basename('a/b')\n",
    )
    d = Part("m/d", "d", "def d() -> int:\n    return pow(2, 2, 3)\n")
    source = merged(a, b, c, d)
    assert call(source, "(a(), b(), c(), d())") == (2, 3, (4, 4.0, "b"), 1)


def test_an_import_may_not_take_the_name_of_a_node() -> None:
    a = Part("m/a", "a", "from os.path import join as joined\n\n\ndef a() -> str:\n    return joined('a', 'b')\n")
    joined = Part("m/joined", "joined", "def joined() -> int:\n    return 1\n")
    assert call(merged(a, joined), "(a(), joined())") == ("a/b", 1)


def test_self_imports_go_and_definitions_follow_their_uses() -> None:
    base = Part("m/Z", "Z", "class Z:\n    x = 1\n")
    child = Part("m/A", "A", "from p.m.x import Z\n\n\nclass A(Z):\n    y = Z.x + 1\n", ("m/Z",))
    source = merged(child, base, docstring='About "A"')
    assert call(source, "A().y + A.x") == 3 and "from p.m.x" not in source
    assert source.startswith('"""About "A\\""""\n\nfrom __future__ import annotations\n')


def test_imports_are_grouped_and_unused_ones_gone() -> None:
    a = Part(
        "m/a",
        "a",
        "import os, re\nimport yaml\nfrom p.other import thing\nfrom __future__ import annotations\n\n\ndef a() -> object:\n    return re, yaml, thing\n",
    )
    b = Part(
        "m/b",
        "b",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from p.third import T\n\n\ndef b(x: T) -> None:\n    print(x)\n",
    )
    source = merged(Part("m/a", "a", a.source.replace("from __future__ import annotations\n", "")), b)
    head = source[source.index("import re") : source.index("__all__")]
    assert head == (
        "import re\nfrom typing import TYPE_CHECKING\n\nimport yaml\n\nfrom p.other import thing\n\n"
        "if TYPE_CHECKING:\n    from p.third import T\n\n"
    )


def test_comments_and_one_line_statements_survive() -> None:
    source = merged(Part("m/a", "a", "# why\n_A = 1; _B = 2\n# about a\ndef a() -> int:  # here\n    return _A + _B\n"))
    assert "# about a\n" in source and "# here" in source
    assert call(source, "a()") == 3


def test_line_ends_of_other_systems() -> None:
    assert call(merged(Part("m/a", "a", "_X = 1\r\n\r\n\r\ndef a() -> int:\r\n    return _X\r\n")), "a()") == 1


def test_a_source_that_is_not_python_is_named() -> None:
    with pytest.raises(ValueError, match="the source of `m/a`: the code is not Python: line 1"):
        merged(Part("m/a", "a", "def a(:"))


def test_renaming_inside_f_strings_and_quoted_annotations() -> None:
    source = 'class _K:\n    pass\n\n\ndef f(x: "_K", _y: "list[_K]") -> str:\n    _z = 1\n    return f"{_K.__name__:>{len(_K.__name__)}} {_z}" f\'{x!r:}\'\n'
    renamed = rename(source, ast.parse(source), {"_K": "_L", "_z": "_never"})
    assert "_K" not in renamed and "_never" not in renamed and '"list[_L]"' in renamed.replace("'", '"')
    assert undefined_names(renamed) == []


def test_a_type_variable_that_is_renamed_bears_its_new_name(tmp_path: Path) -> None:
    first = "from typing import TypeVar\n_T = TypeVar('_T')\ndef a(x: _T) -> _T:\n    return x\n"
    second = (
        "import typing as t\n_T = t.TypeVar('_T', bound=int)\ndef b(x: _T, kind: str = '_T') -> _T:\n    return x\n"
    )
    text = merged(Part("m/a", "a", first), Part("m/b", "b", second))
    assert '_T = TypeVar("_T")' in text and '_T_B = t.TypeVar("_T_B", bound=int)' in text and 'kind: str = "_T"' in text
    (tmp_path / "x.py").write_text(text)
    told = subprocess.run(
        [sys.executable, "-m", "mypy", "--strict", "x.py"], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert told.returncode == 0, told.stdout


def test_init_files_fall_back_when_reexports_would_be_circular() -> None:
    files = {
        "p/__init__.py": "from p.a.x import f\n",
        "p/a/__init__.py": "from p.a.x import f\nfrom p.a.y import h\n",
        "p/a/x.py": "from p.b.z import g\n\ndef f() -> int: return g()\n",
        "p/a/y.py": "def h() -> int: return 1\n",
        "p/b/__init__.py": "from p.b.z import g\nfrom p.b.w import k\n",
        "p/b/z.py": "def g() -> int: return 1\n",
        "p/b/w.py": "from p.a.x import f\n\ndef k() -> int: return f()\n",
    }
    assert not imports_work(files, "p")
    plain = {path: "" if path.count("/") == 2 and "__init__" in path else text for path, text in files.items()}
    assert imports_work(plain, "p") and not detect_import_cycles(plain)
    assert detect_import_cycles({"p/a.py": "from p.b import x\n", "p/b.py": "from p import a\n"}) == [("p.a", "p.b")]


def test_imports_work_agrees_with_python(tmp_path: Path) -> None:
    import itertools

    texts = {
        "a": ["", "from p.b.m import y\n"],
        "b": ["", "from p.a.m import x\n"],
        "ia": ["", "from p.a.m import x\n"],
        "ib": ["", "from p.b.m import y\n"],
    }
    for number, (a, b, ia, ib) in enumerate(itertools.product(*texts.values())):
        files = {
            "p/__init__.py": "from p.a.m import x\nfrom p.b.m import y\n",
            "p/a/__init__.py": ia,
            "p/b/__init__.py": ib,
            "p/a/m.py": a + "x = 1\n",
            "p/b/m.py": b + "y = 1\n",
        }
        folder = tmp_path / str(number)
        for path, text in files.items():
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            (folder / path).write_text(text)
        done = subprocess.run([sys.executable, "-S", "-c", "import p"], cwd=folder, capture_output=True, check=False)
        assert imports_work(files, "p") == (done.returncode == 0), files


def test_tests_of_equal_names_do_not_clash_under_plain_pytest(tmp_path: Path) -> None:
    tests = {
        "slug/slugify": "from textkit.slug.core import slugify\n\n\ndef test_it() -> None:\n    assert slugify('A B') == 'a-b'\n",
        "slug/SlugTable": "from textkit.slug.table import SlugTable\n\n\ndef test_it() -> None:\n    assert len(SlugTable()) == 0\n",
    }
    found = test_files(plan(), tests)
    assert set(found) == {
        "tests/__init__.py",
        "tests/slug/__init__.py",
        "tests/slug/test_slugify.py",
        "tests/slug/test_slug_table.py",
    }
    assert test_path(plan().node("slug/SlugTable")) == "tests/slug/test_slug_table.py"
    package = package_files(plan(), BODIES)
    files = {**package, **found, **project_files(plan(), spec(), package, hold=())}
    out = run(tmp_path, files, "import pytest, sys; sys.exit(pytest.main(['-q', '-p', 'no:cacheprovider']))")
    assert "2 passed" in out


def test_the_package_is_clean_under_ruff_and_mypy(tmp_path: Path) -> None:
    files = package_files(plan(), BODIES)
    files |= project_files(plan(), spec(), files)
    run(tmp_path, files, "pass")
    for command in (["ruff", "check", "."], ["ruff", "format", "--check", "."], ["mypy"]):
        done = subprocess.run(
            [sys.executable, "-m", *command], cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stdout + done.stderr


def test_project_files_follow_from_spec_plan_and_imports() -> None:
    package = {"textkit/a.py": "import yaml, re\nfrom dateutil.parser import parse\nfrom textkit.b import x\n"}
    asked = spec().model_copy(update={"dependencies": ("PyYAML>=6", "rich"), "description": 'Says "hi".\nMore.'})
    files = project_files(plan(), asked, package)
    project = tomllib.loads(files["pyproject.toml"])["project"]
    assert project["dependencies"] == ["python-dateutil", "PyYAML>=6"]
    assert project["description"] == 'Says "hi".' and project["license"] == "MIT"
    assert files["LICENSE"].startswith("MIT License\n\nCopyright (c) the authors of Textkit\n")
    assert ">>> from textkit import slugify\n>>> slugify('Hello World')\n'hello-world'" in files["README.md"]
    assert json.loads(files["docs/rpg.json"])["nodes"]
    assert files == project_files(plan(), asked, package)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("MIT", "MIT"),
        ("the MIT license", "MIT"),
        ("Apache License, Version 2.0", "Apache-2.0"),
        ("GPL-3.0", ""),
        ("", ""),
    ],
)
def test_licences_that_we_have_the_text_of(text: str, expected: str) -> None:
    assert license_of(spec().model_copy(update={"license": text})) == expected


def test_formatting_is_a_fixed_point() -> None:
    once = format_python("import os\nimport   re\nx = re.compile( 'a' )\n")
    assert once == 'import re\n\nx = re.compile("a")\n' and format_python(once) == once
