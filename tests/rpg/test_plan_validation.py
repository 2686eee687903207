"""The named checks: a sound plan passes, and each way to break one is told by its check, with what to change."""

# ruff: noqa: E501  (tables of one-line sources)

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerorepo_rpg.degrees import candidates
from zerorepo_rpg.layout_checks import hidden_modules
from zerorepo_rpg.plan_model import DataFlow, FileLayout, FilePlan, ModulePlan, ModuleSet, NodeInterface, Plan
from zerorepo_rpg.skeleton import skeleton, stub_source
from zerorepo_rpg.type_checks import plan_notes
from zerorepo_rpg.validate import (
    check_interface,
    check_layout,
    check_modules,
    messages,
    path_problems,
    validate_plan,
)

from .sample import FEATURES, plan, spec

Data = dict[str, Any]


def broken(change: Callable[[Data], None]) -> list[str]:
    data = plan().model_dump(mode="json")
    change(data)
    return messages(validate_plan(Plan.model_validate(data), spec()))


def node(data: Data, module: int, number: int) -> Data:
    found: Data = data["interfaces"][module]["interfaces"][number]
    return found


def test_a_sound_plan_has_no_problem() -> None:
    assert validate_plan(plan(), spec()) == []


BREAKS: list[tuple[str, Callable[[Data], None], str]] = [
    ("requirement_feature", lambda d: d["features"]["features"][0].update(requirements=["r-make-slug"]), "no feature serves the requirement `r-split-words`"),
    ("feature_requirement", lambda d: d["features"]["features"][0].update(requirements=["r-split-word"]), "did you mean `r-split-words`"),
    ("feature_requirement", lambda d: d["features"]["features"][0].update(requirements=[]), "serves no requirement"),
    ("feature_ids", lambda d: d["features"]["features"][0].update(id="Split Words"), "write `split-words`"),
    ("feature_module", lambda d: d["modules"]["modules"][0].update(features=["word-count", "make-slug"]), "is in `counting` and `slug`"),
    ("feature_module", lambda d: d["modules"]["modules"][2].update(features=["split-words"]), "is in no module"),
    ("module_names", lambda d: d["modules"]["modules"][0].update(id="class"), "is a Python keyword"),
    ("module_names", lambda d: d["modules"]["modules"][0].update(id="json"), "shadows the standard library"),
    ("module_names", lambda d: d["modules"]["modules"][0].update(id="shared"), "is reserved"),
    ("module_names", lambda d: d["modules"]["modules"][0].update(id="Words"), "upper and lower case"),
    ("flow_acyclic", lambda d: d["modules"]["flows"].append({"source": "slug", "target": "words", "data_name": "x", "data_type": "str"}), "data flows in a circle: `slug` -> `words` -> `slug`"),
    ("flow_ends", lambda d: d["modules"]["flows"][0].update(source="wrods"), "did you mean `words`"),
    ("flow_isolated", lambda d: d["modules"]["flows"].pop(0), "no data flows into or out of the module `counting`"),
    ("flow_data", lambda d: d["modules"]["flows"][0].update(data_name="the words"), "by an identifier"),
    ("flow_data", lambda d: d["modules"]["flows"][0].update(data_type=""), "no `data_type`"),
    ("flow_data", lambda d: d["modules"]["flows"][0].update(data_type="a list of words"), "no annotation"),
    ("flow_data", lambda d: d["modules"]["flows"][0].update(data_type="print(1)"), "no annotation"),
    ("raises", lambda d: node(d, 1, 0).update(raises=["ValeError: when it is empty"]), "did you mean `ValueError`"),
    ("raises", lambda d: node(d, 1, 0).update(raises=["slugify: never"]), "`slugify`, which is no exception"),
    ("raises", lambda d: node(d, 1, 0).update(raises=["int: never"]), "`int`, which is no exception"),
    ("raises", lambda d: node(d, 1, 0).update(raises=["SlugTable: never"]), "it must inherit from one"),
    ("raises", lambda d: node(d, 1, 0).update(raises=["requests.HTTPError: when the net is down"]), "neither standard library nor in `imports`"),
    ("base_class_users", lambda d: d["base_classes"]["classes"][0].update(signature="class TextError(ABC):\n    @abstractmethod\n    def why(self) -> str: ..."), "no node inherits from this abstract class"),
    ("uses_follow_flow", lambda d: node(d, 0, 0).update(uses=["words/split_words", "slug/slugify"]), "no data flows from module `slug` to `counting`"),
    ("feature_file", lambda d: d["layout"]["files"][1].update(features=["make-slug"]), "`unique-slug` is in no file"),
    ("file_paths", lambda d: d["layout"]["files"][0].update(path="textkit/../x.py"), "no plain relative path"),
    ("file_module", lambda d: d["layout"]["files"][0].update(module="nothing"), "belongs to `nothing`"),
    ("feature_interface", lambda d: d["interfaces"][1]["interfaces"].pop(), "the feature `slug-table` has no interface"),
    ("feature_interface", lambda d: node(d, 1, 1).update(features=["make-slug", "unique-slug"]), "has 2 interfaces"),
    ("feature_interface", lambda d: node(d, 1, 1).update(features=[]), "serves no feature"),
    ("feature_interface", lambda d: d["interfaces"].pop(), "the module has no interfaces"),
    ("interface_file", lambda d: node(d, 1, 0).update(file="textkit/slug/table.py"), "the layout gives its features to `textkit/slug/core.py`"),
    ("interface_file", lambda d: node(d, 1, 0).update(file="textkit/slug/cor.py"), "did you mean `textkit/slug/core.py`"),
    ("signature", lambda d: node(d, 1, 0).update(signature="def slugify(text"), "not Python"),
    ("signature", lambda d: node(d, 1, 0).update(signature="def other(text: str) -> str"), "must define exactly `slugify`"),
    ("signature", lambda d: node(d, 1, 0).update(kind="CLASS"), "`kind` is CLASS"),
    ("annotated", lambda d: node(d, 1, 0).update(signature="def slugify(text) -> str"), "parameter `text` of `slugify`"),
    ("annotated", lambda d: node(d, 1, 0).update(signature="def slugify(text: str)"), "no return annotation"),
    ("defined_names", lambda d: node(d, 1, 0).update(signature="def slugify(text: Txet) -> str"), "refers to `Txet`"),
    ("docstring", lambda d: node(d, 1, 0).update(docstring=" "), "has no docstring"),
    ("node_id", lambda d: node(d, 1, 0).update(id="slug/slug"), "the id must be `slug/slugify`"),
    ("uses", lambda d: node(d, 1, 0).update(uses=["words/split_word"]), "did you mean `words/split_words`"),
    ("uses_acyclic", lambda d: node(d, 1, 0).update(uses=["slug/unique_slug"]), "`slug/slugify` -> `slug/unique_slug` -> `slug/slugify`"),
    ("file_imports", lambda d: d["interfaces"][1]["interfaces"].append({**node(d, 1, 0), "id": "slug/again", "name": "again", "signature": "def again() -> None", "uses": ["slug/SlugTable"]}), "would import each other"),
    ("imports", lambda d: node(d, 1, 0).update(imports=["import numpy"]), "neither standard library nor a dependency"),
    ("imports", lambda d: node(d, 1, 0).update(imports=["from textkit.words import x"]), "naming them in `uses`"),
    ("exported_names", lambda d: node(d, 0, 0).update(id="counting/slug", name="slug", signature="def slug() -> None"), "hides its submodule `textkit.slug`"),
    ("exported_names", lambda d: node(d, 0, 0).update(id="counting/slugify", name="slugify", signature="def slugify() -> None"), "each name once"),
    ("name", lambda d: node(d, 0, 0).update(id="counting/list", name="list", signature="def list() -> None"), "shadows the built-in"),
    ("base_class_users", lambda d: d["base_classes"]["classes"][0].update(users=["clean-text"]), "fewer than two users"),
    ("base_class_users", lambda d: node(d, 1, 1).update(uses=["slug/slugify"]), "only `words/clean` uses"),
    ("file_paths", lambda d: d["base_classes"]["classes"][0].update(file="textkit/slug/errors.py"), "put it below `textkit/shared/`"),
    ("package_name", lambda d: d["layout"].update(package_name="json"), "shadows the standard library"),
]  # fmt: skip


@pytest.mark.parametrize(("check", "change", "message"), BREAKS, ids=[f"{c}-{n}" for n, (c, *_) in enumerate(BREAKS)])
def test_each_way_to_break_a_plan_is_told_by_its_check(
    check: str, change: Callable[[Data], None], message: str
) -> None:
    found = [text for text in broken(change) if text.endswith(f"[{check}]")]
    assert any(message in text for text in found), broken(change)


@pytest.mark.parametrize(
    "path",
    ["/textkit/a.py", "textkit\\a.py", "textkit//a.py", "textkit/./a.py", "textkit2/a.py", "textkit.py", "textkit/a.txt",
     "textkit/__init__.py", "textkit/json.py", "textkit/class.py", "textkit/A.py", "textkit/1a.py", "textkit/os/a.py",
     "textkit/a b.py", "../textkit/a.py", ""],
)  # fmt: skip
def test_bad_paths(path: str) -> None:
    assert path_problems(path, "textkit")


@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(["textkit", "textkit2", "..", ".", "", "a", "b.py", "B.py", "json", "a.py"]), max_size=4)
)
def test_a_path_that_passes_stays_inside_the_package(parts: list[str]) -> None:
    path = "/".join(parts)
    if not path_problems(path, "textkit"):
        assert (Path("/w") / path).resolve().is_relative_to("/w/textkit") and path.endswith(".py")


def test_files_of_one_module_clash_by_case_and_with_folders_and_are_not_too_many() -> None:
    module = ModulePlan(id="m", features=tuple(f"f{n}" for n in range(11)))
    files = tuple(FilePlan(path=f"p/m/x{n}.py", module="m", features=(f"f{n}",)) for n in range(11))
    found = check_layout(FileLayout(package_name="p", files=files), module, "p")
    assert [p.check for p in found] == ["files_per_folder"]
    files = (
        *files[:9],
        FilePlan(path="p/m/x0/y.py", module="m", features=("f9",)),
        FilePlan(path="p/n/z.py", module="m", features=("f10",)),
    )
    text = "\n".join(messages(check_layout(FileLayout(package_name="p", files=files), module, "p")))
    assert "the file and the folder `p/m/x0/`" in text and "must be below `p/m/`" in text


def test_a_small_library_needs_no_three_modules() -> None:
    features = plan().features
    few = features.model_copy(update={"features": features.features[:3]})
    one = ModuleSet(modules=(ModulePlan(id="m", features=FEATURES[:3]),))
    assert check_modules(one, few) == []
    whole = ModuleSet(modules=(ModulePlan(id="m", features=FEATURES),))
    assert [p.check for p in check_modules(whole, features)] == ["module_count"]


def test_a_module_that_a_named_function_would_hide_is_told_before_anything_is_built_on_it() -> None:
    modules = ModuleSet(
        modules=(ModulePlan(id="occurrences", features=("a",)), ModulePlan(id="dates", features=("b",)))
    )
    (problem,) = hidden_modules(modules, ["occurrences", "Rule"])
    assert (problem.check, problem.where) == (
        "module_names",
        "occurrences",
    ) and "another name for the module" in problem.message
    assert hidden_modules(modules, ["occurs_on", "Rule"]) == []


@settings(deadline=None)
@given(st.lists(st.tuples(st.sampled_from("abcd"), st.sampled_from("abcd")), max_size=8))
def test_circular_flows_are_found_exactly_when_there_are_some(pairs: list[tuple[str, str]]) -> None:
    flows = tuple(DataFlow(source=a, target=b, data_name="d", data_type="int") for a, b in pairs if a != b)
    found = check_modules(ModuleSet(modules=tuple(ModulePlan(id=m) for m in "abcd"), flows=flows), plan().features)
    reach = {(f.source, f.target) for f in flows}
    for _ in range(4):
        reach |= {(a, d) for a, b in reach for c, d in reach if b == c}
    assert any(p.check == "flow_acyclic" for p in found) == any((m, m) in reach for m in "abcd")


@pytest.mark.parametrize(
    ("signature", "imports"),
    [
        ("def f(x: Sequence[T]) -> T", ()),
        ('T = TypeVar("T")\ndef f(x: Sequence[T]) -> T', ()),
        ("def f(x: 'Sequence[Txt]') -> None", ()),
        ("def f(x: dt.date) -> None", ("import datetime as dt",)),
        ("def f(x: datetime.date) -> None", ()),
        ("def f(x: Literal['Txt']) -> None", ()),
        ("def f(x: Callable[[int], str] = lambda n: str(n)) -> None", ()),
    ],
)
def test_names_in_signatures(signature: str, imports: tuple[str, ...]) -> None:
    item = NodeInterface(
        id="m/f", module="m", file="p/m/x.py", name="f", signature=signature, docstring="d", imports=imports
    )
    bad = "Txt]" in signature or signature.startswith("def f(x: Sequence[T]")
    assert [p.check for p in check_interface(item)] == (["defined_names"] if bad else [])
    if not bad:
        assert "NotImplementedError" in stub_source(item, {})


def test_the_skeleton_of_the_whole_package_passes_mypy(tmp_path: Path) -> None:
    for path, text in skeleton(plan()).items():
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_text(text)
    command = [sys.executable, "-m", "mypy", "--strict", "--cache-dir", str(tmp_path / "cache"), "-p", "textkit"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize(
    "text",
    ["ValueError: when it is empty", "ValueError", "TextError (of shared): always", "json.JSONDecodeError: when it is no JSON",
     "`TypeError` when it is no text", "HTTPError: from an import"],
)  # fmt: skip
def test_exceptions_that_a_node_may_raise(text: str) -> None:
    data = plan().model_dump(mode="json")
    node(data, 1, 0).update(raises=[text], imports=["from urllib.error import HTTPError"])
    assert validate_plan(Plan.model_validate(data), spec()) == []
    assert plan_notes(Plan.model_validate(data)) == []


def test_what_may_be_meant_otherwise_is_a_note_and_stops_nothing() -> None:
    data = plan().model_dump(mode="json")
    node(data, 1, 0).update(raises=["It raises nothing at all."])
    data["modules"]["flows"][0].update(data_type="list[SlugTabel]")
    made = Plan.model_validate(data)
    assert validate_plan(made, spec()) == []
    first, second = map(str, plan_notes(made))
    assert "names `SlugTabel`" in first and "did you mean `SlugTable`" in first
    assert "does not begin with an exception" in second


def test_classes_with_the_degree_of_a_base_class_are_named() -> None:
    assert candidates(plan()) == []
    data = plan().model_dump(mode="json")
    base = data["base_classes"]["classes"].pop()
    heirs = [
        {**node(data, 1, 0), "id": f"slug/{name}", "name": name, "kind": "CLASS", "uses": ["words/Text"],
         "signature": f"class {name}(Text):\n    pass"} for name in ("One", "Other")
    ]  # fmt: skip
    data["interfaces"][2]["interfaces"].append(
        {**heirs[0], "id": "words/Text", "name": "Text", "uses": [], "signature": "class Text:\n    pass"}
    )
    data["interfaces"][1]["interfaces"] += heirs
    assert base["id"] and candidates(Plan.model_validate(data)) == [
        "`words/Text` is a candidate for a base class in `shared`: `slug/One`, `slug/Other` inherit from it"
    ]
