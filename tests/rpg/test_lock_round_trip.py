"""The lock: to text and back without loss, and errors that say where."""

# ruff: noqa: E501  (tables of one-line sources)

from __future__ import annotations

import tomllib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from zerorepo.errors import UsageError
from zerorepo_rpg import lock as lock_module
from zerorepo_rpg import toml_text
from zerorepo_rpg.lock import Lock, parse_lock, render, render_lock
from zerorepo_rpg.plan_model import (
    BaseClasses,
    BaseClassPlan,
    DataFlow,
    Feature,
    FeatureSet,
    FileLayout,
    FilePlan,
    InterfaceKind,
    ModuleInterfaces,
    ModulePlan,
    ModuleSet,
    NodeInterface,
)

from .sample import plan

NASTY = st.text(
    st.one_of(st.sampled_from("\"'\\\n\r\t# []=a\x00\x07\x1f\x7f\x85\u2028"), st.characters(codec="utf-8")), max_size=30
)
TEXTS = st.lists(NASTY, max_size=3).map(tuple)


def unique_by(strategy: st.SearchStrategy, key):  # type: ignore[no-untyped-def,type-arg]
    return st.lists(strategy, max_size=3, unique_by=key).map(lambda items: tuple(sorted(items, key=key)))


def by_id(item):  # type: ignore[no-untyped-def]
    return item.id


FEATURES = unique_by(st.builds(Feature, id=NASTY, name=NASTY, description=NASTY, requirements=TEXTS), by_id)
MODULES = unique_by(st.builds(ModulePlan, id=NASTY, name=NASTY, description=NASTY, features=TEXTS), by_id)
FLOWS = unique_by(
    st.builds(DataFlow, source=NASTY, target=NASTY, data_name=NASTY, data_type=NASTY, description=NASTY),
    lambda flow: (flow.source, flow.target, flow.data_name),
)
FILES = unique_by(st.builds(FilePlan, path=NASTY, module=NASTY, features=TEXTS), lambda file: file.path)
BASES = unique_by(st.builds(BaseClassPlan, id=NASTY, file=NASTY, name=NASTY, signature=NASTY, users=TEXTS), by_id)


@st.composite
def locks(draw):  # type: ignore[no-untyped-def]
    node = st.builds(
        NodeInterface, id=NASTY, module=st.sampled_from("xyz"), file=NASTY, name=NASTY, kind=st.sampled_from(InterfaceKind),
        signature=NASTY, docstring=NASTY, raises=TEXTS, examples=TEXTS, uses=TEXTS,
    )  # fmt: skip
    nodes = draw(unique_by(node, by_id))
    return Lock(
        stages=draw(
            st.dictionaries(st.sampled_from(["features", "files/a b", 'q"\n']), NASTY.filter(bool), max_size=3)
        ),
        features=draw(st.none() | FEATURES.filter(bool).map(lambda items: FeatureSet(features=items))),
        modules=draw(st.none() | st.builds(ModuleSet, modules=MODULES.filter(bool), flows=FLOWS)),
        layout=draw(st.none() | st.builds(FileLayout, package_name=NASTY, files=FILES)),
        base_classes=draw(st.none() | BASES.filter(bool).map(lambda items: BaseClasses(classes=items))),
        interfaces=tuple(
            ModuleInterfaces(module=module, interfaces=tuple(item for item in nodes if item.module == module))
            for module in sorted({item.module for item in nodes})
        ),
    )


@settings(max_examples=150, deadline=None)
@given(locks())
def test_any_lock_goes_round_without_loss_and_to_the_byte(lock: Lock) -> None:
    text = render(lock)
    read = parse_lock(text)
    expected = lock.features or (FeatureSet() if "features" in lock.stages else None)
    assert read == lock.model_copy(update={"stages": dict(sorted(lock.stages.items())), "features": expected})
    assert render(read) == text


@settings(max_examples=300, deadline=None)
@given(NASTY)
def test_any_string_survives_and_later_keys_are_found(text: str) -> None:
    source = f"[[x]]\nk = {toml_text.string(text)}\nl = {toml_text.array([text, 'b', text])}\nm = 1\n"
    assert tomllib.loads(source) == {"x": [{"k": text, "l": [text, "b", text], "m": 1}]}
    assert toml_text.places(source).of("x", 0, "m") == source.count("\n")


def test_a_plan_goes_round_and_signatures_stay_readable() -> None:
    text = render_lock(plan(), {"features": "d1", "files/slug": "d2"})
    read = parse_lock(text)
    assert render(read) == text and read.stages == {"features": "d1", "files/slug": "d2"}
    assert {node for m in read.interfaces for node in m.interfaces} == {
        n for m in plan().interfaces for n in m.interfaces
    }
    assert "\n    def add(self, title: str, *, limit: int = 80) -> str:\n" in text
    assert """signature = 'def slugify(text: str, *, separator: str = "-") -> str'\n""" in text


def test_the_order_that_a_person_writes_in_does_not_matter() -> None:
    head, *tables = render_lock(plan(), {}).split("\n[[")
    shuffled = "\n[[".join([head + "\n", *reversed([table + "\n" for table in tables])])
    assert parse_lock(shuffled) == parse_lock(render_lock(plan(), {}))


def test_one_changed_docstring_is_one_changed_line() -> None:
    before = render_lock(plan(), {})
    changed = before.replace('docstring = "What slugify does."', 'docstring = "Makes a slug."')
    after = render(parse_lock(changed))
    assert [b for a, b in zip(before.split("\n"), after.split("\n"), strict=True) if a != b] == [
        'docstring = "Makes a slug."'
    ]


def test_deleted_parts_are_missing_slices_not_errors() -> None:
    lock = parse_lock("schema = 1\n[stages]\nbase_classes = 'd'\n'interfaces/slug' = 'e'\n")
    assert lock.features is None and lock.modules is None and lock.layout is None
    assert lock.base_classes == BaseClasses()
    assert lock.interfaces == (ModuleInterfaces(module="slug"),)


GOOD = (
    "schema = 1\npackage = 'p'\n\n[[feature]]\nid = 'a'\nname = 'A'\ndescription = '''\n[[feature]]\nid = 'no'\n'''\n"
)


@pytest.mark.parametrize(
    ("text", "line", "message", "hint"),
    [
        ("schema = 1\n\nx = = 2\n", 3, "not TOML", "mend it"),
        (GOOD + "descripton = ''\n", 11, "Unknown key `descripton`", "`description`"),
        (GOOD + "[[featur]]\nid = 'b'\n", 11, "Unknown part `featur`", "`feature`"),
        (GOOD + "[[feature]]\nid = 'b'\n", 11, "`name` is missing", None),
        (GOOD + "[[feature]]\nid = 'b'\nname = 3\n", 11, "`name` (line 13)", None),
        (GOOD + "[[feature]]\nid = 'a'\nname = 'again'\n", 11, "written twice (first at line 4)", "rename"),
        (GOOD + "[feature2]\n", 11, "Unknown part `feature2`", "`feature`"),
        ("schema = 1\n[feature]\nid = 'a'\n", 2, "must be written [[feature]]", None),
        ("schema = 1\n[stages]\nfeatures = 1\n", 3, "must have a digest", None),
        ("schema = 1\n[[interface]]\nid='a'\nmodule='m'\nfile='f'\nname='n'\nsignature=''\nkind='METH'\n", 2, "`kind` (line 8)", None),
    ],
)  # fmt: skip
def test_errors_say_where(text: str, line: int, message: str, hint: str | None) -> None:
    with pytest.raises(UsageError) as caught:
        parse_lock(text, "zerorepo.lock")
    assert caught.value.where == f"zerorepo.lock:{line}" and message in caught.value.message
    assert hint is None or hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "message"),
    [("schema = 5\n", "schema 5"), ("", "does not say"), ("schema = '1'", "does not say"), ("schema = 0\n", "too old")],
)
def test_schema_versions_that_cannot_be_read_are_refused(text: str, message: str) -> None:
    with pytest.raises(UsageError, match=message):
        parse_lock(text)


def test_an_older_schema_is_migrated(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(lock_module.MIGRATIONS, 0, lambda data: {"schema": 1, "package": data["root"]})
    assert parse_lock("schema = 0\nroot = 'p'\n").layout == FileLayout(package_name="p")


def test_files_without_a_package_are_refused() -> None:
    with pytest.raises(UsageError, match="no `package`"):
        parse_lock("schema = 1\n[[file]]\npath = 'p/x.py'\nmodule = 'm'\n")
