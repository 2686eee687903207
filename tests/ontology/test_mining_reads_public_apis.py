"""Wheels are read by syntax tree: public names, their words and their places; nothing of them runs."""

from __future__ import annotations

import pytest

from zerorepo_ontology import mining, wording
from zerorepo_ontology import wheel as wheels
from zerorepo_ontology.entries import Entry
from zerorepo_ontology.public_api import Api

from .wheels import BOOM, SHAPES, wheel


def mined(modules: dict[str, str] | None = None, **reading: object) -> dict[str, Entry]:
    found = wheels.read(wheel(modules=modules or SHAPES), "shapes")
    api = Api(found.modules, found.packages)
    made = mining.mine(api.symbols(), api, mining.Reading(**reading), "shapes", "1.0", found.license)  # type: ignore[arg-type]
    return {each.path: each for each in made}


def test_public_symbols_are_found_by_their_shortest_path() -> None:
    assert set(mined()) == {
        "shapes.area_of",
        "shapes.Circle",
        "shapes.Circle.scaled",
        "shapes.io.read_shapes",
        "shapes.io.write_shapes",
    }


def test_what_is_said_becomes_a_phrase_with_its_signature_and_licence() -> None:
    entry = mined()["shapes.area_of"]
    assert (entry.text, entry.signature) == ("compute the area of a shape", "(shape, *, unit=)")
    assert (entry.source, entry.version, entry.license) == ("shapes", "1.0", "MIT")
    assert mined()["shapes.io.read_shapes"].text == "read all shapes of a file in order"
    assert mined()["shapes.io.read_shapes"].section_text == "Reading and writing shapes"


def test_names_tell_what_docstrings_do_not_where_the_table_says_so() -> None:
    assert "shapes.io.draw_shapes_quickly" not in mined()
    entry = mined(names=True)["shapes.io.draw_shapes_quickly"]
    assert (entry.text, entry.tier) == ("draw shapes quickly", "N")


def test_a_computed_all_is_not_taken_for_a_list_of_names() -> None:
    modules = {
        "shapes/__init__.py": "from ._impl import *\n__all__ = [s for s in dir() if not s.startswith('_')]\n" + BOOM,
        "shapes/_impl.py": 'def turn(shape):\n    """Turn a shape around a point."""\n',
    }
    assert set(mined(modules)) == {"shapes.turn"}


def test_a_syntax_error_in_one_module_loses_no_other() -> None:
    modules = {**SHAPES, "shapes/broken.py": "def f(:\n"}
    assert set(mined(modules)) == set(mined())


def test_a_cap_takes_from_each_section_in_turn() -> None:
    many = [
        Entry(f"text {n} {s}", f"p.{s}.f{n}", "function", "p", "1", "MIT", "mined", section=s)
        for s in "ab"
        for n in range(50)
    ]
    kept = mining.capped([*many, many[0]._replace(path="p.c.f", section="c")], 11)
    assert sorted({each.section for each in kept}) == ["a", "b", "c"] and len(kept) == 11


def test_a_class_that_assigns_its_docstring_says_what_is_written_there() -> None:
    doc = 'class OLS:\n    __doc__ = """\n    Ordinary Least Squares\n\n    %(params)s\n    """ % {"params": 1}\n'
    modules = {"shapes/__init__.py": doc + BOOM}
    assert mined(modules)["shapes.OLS"].text == "OLS: ordinary Least Squares"


def test_a_name_of_one_word_is_told_where_the_text_does_not_say_it() -> None:
    source = 'class Ridge:\n    """Linear least squares with l2 penalty."""\n\n\ndef cut(x):\n    """Cut at a place in it."""\n'
    found = mined({"shapes/__init__.py": source})
    assert found["shapes.Ridge"].text == "Ridge: linear least squares with l2 penalty"
    assert found["shapes.cut"].text == "cut at a place in it"


def test_a_method_for_coroutines_beside_the_plain_one_is_left_out() -> None:
    body = "".join(
        f'    def {name}(self):\n        """Find all rows of a table ({name})."""\n'
        for name in ("find", "afind", "all")
    )
    assert {"shapes.Rows.find"} == {
        path for path in mined({"shapes/__init__.py": f"class Rows:\n{body}"}) if "find" in path
    }


def test_a_cap_keeps_functions_and_classes_before_methods_and_what_is_only_named() -> None:
    kinds = (("method", "N"), ("method", "M"), ("function", "N"), ("class", "A"))
    many = [
        Entry(f"{kind} {tier} {n}", f"p.{kind}{tier}{n}", kind, "p", "1", "MIT", "mined", section=f"s{n}", tier=tier)
        for kind, tier in kinds
        for n in range(10)
    ]
    assert {(each.kind, each.tier) for each in mining.capped(many, 20)} == {("class", "A"), ("function", "N")}


@pytest.mark.parametrize(
    ("license_", "permissive"),
    [
        ("MIT", True), ("BSD-3-Clause AND 0BSD", True), ("Apache-2.0 OR GPL-2.0-only", True), ("GPL-3.0-or-later", False),
        ("LGPL-2.1", False), ("MPL-2.0", False), ("", False), ("Proprietary", False), ("MIT AND GPL-2.0", False),
    ],
)  # fmt: skip
def test_copyleft_and_unstated_licences_are_not_permissive(license_: str, permissive: bool) -> None:
    assert wheels.is_permissive(license_) is permissive


@pytest.mark.parametrize(
    ("doc", "text"),
    [
        ("Return the ``mean`` of :func:`numpy.array` values.\n\nMore.", "return the mean of numpy.array values"),
        (">>> f(1)\n2", ""),
        ("Deprecated alias for something else.", ""),
        ("See other.", ""),
        ("Parse e.g. a date. Then stop.", "parse e.g. a date"),
        ("HTTP digest authentication handler.", "HTTP digest authentication handler"),
        ("A class that holds many sorted numbers.", "holds many sorted numbers"),
    ],
)
def test_first_sentences_are_cleaned(doc: str, text: str) -> None:
    assert wording.feature_text("name_of_it", doc) == text
