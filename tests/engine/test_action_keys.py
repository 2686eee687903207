"""Canonical encoding: what makes two values the same and what does not; golden keys; the explanation sees what the key sees."""

from __future__ import annotations

import json
from collections.abc import Mapping
from enum import Enum, StrEnum
from pathlib import Path
from typing import Annotated, Any, ClassVar

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo.action import Action, ActionResult
from zerorepo.action_key import ENCODING_VERSION, encode, key_of, manifest
from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import InternalError
from zerorepo.label import Label
from zerorepo.values import COSMETIC, Value

XXH3 = DigestFunction.XXH3
GOLDEN = Path(__file__).parents[1] / "golden" / "action_keys.json"


class Colour(Enum):
    RED = "red"


class Shade(StrEnum):
    RED = "red"


class Inner(Value):
    text: str = ""


class Sample(Action):
    mnemonic: ClassVar[str] = "Sample"
    result: ClassVar[type[ActionResult]] = ActionResult
    name: str
    parts: tuple[Digest, ...] = ()
    env: Mapping[str, str] = {}
    inner: Inner | None = None
    note: Annotated[str, COSMETIC] = ""


class Renewed(Sample):
    key_version: ClassVar[int] = 2


SAMPLES: dict[str, Any] = {
    "none": None,
    "true": True,
    "one": 1,
    "one float": 1.0,
    "one text": "1",
    "negative": -17,
    "big": 2**80,
    "bytes": b"\x00\xff",
    "empty text": "",
    "unicode": "Grüße 𝄞",
    "nan": float("nan"),
    "infinity": float("-inf"),
    "enum": Colour.RED,
    "label": Label("a", "b"),
    "digest": XXH3.of_bytes(b"x"),
    "list": [1, [2, []], {}],
    "set": frozenset({"b", "a", "c"}),
    "mapping": {"b": 1, "a": {"c": None}},
    "action": Sample(
        name="n", parts=(XXH3.of_bytes(b"x"),), env={"B": "2", "A": "1"}, inner=Inner(text="t"), note="cosmetic"
    ),
    "action of another version": Renewed(name="n"),
}


def key(value: Any) -> str:
    return str(key_of(value, XXH3))


def test_golden_keys_have_not_changed() -> None:
    golden = json.loads(GOLDEN.read_text())
    assert golden["encoding_version"] == ENCODING_VERSION, "a new version needs new golden keys"
    assert {name: key(value) for name, value in SAMPLES.items()} == golden["keys"], (
        "the encoding changed: every cache and transcript is lost; raise ENCODING_VERSION and write the golden keys anew"
    )


def test_values_that_python_calls_equal_have_keys_of_their_own() -> None:
    alike = [1, True, "1", 1.0, b"1", [1], {1}, {"1": 1}, {1: 1}, {True: 1}, None, "", 0, False, [], {}, set(), b"", "None",
             Colour.RED, Shade.RED, "red", Label("a", "b"), "//a:b", ["a", "b"], XXH3.of_bytes(b""), str(XXH3.of_bytes(b"")),
             [[]], [[], []],
             {"a": {"b": 1}}, {"a['b']": 1, "a": {}}, {"a": [1]}, {"a": (1, 2)}, {"a": {1, 2}}]  # fmt: skip
    keys = [key(value) for value in alike]
    assert len(set(keys)) == len(keys)
    shown = [json.dumps(manifest(value, XXH3), sort_keys=True) for value in alike]
    assert len(set(shown)) == len(shown)


def test_equal_numbers_have_equal_keys() -> None:
    assert key(-0.0) == key(0.0)
    assert key(float("nan")) == key(-float("nan"))


def test_order_counts_in_sequences_only() -> None:
    assert key([1, 2]) != key([2, 1])
    assert key({"a": 1, "b": 2}) == key({"b": 2, "a": 1})
    assert key({"a", "b", "c"}) == key({"c", "b", "a"})
    assert key((1, 2)) == key([1, 2])
    assert key({2: "x", 10: "y", -1: "z"}) == key({-1: "z", 10: "y", 2: "x"})


def test_cosmetic_fields_are_no_part_of_the_key() -> None:
    assert key(Sample(name="n", note="a")) == key(Sample(name="n", note="b"))
    assert key(Sample(name="n")) != key(Sample(name="m"))


def test_a_version_is_part_of_the_key() -> None:
    assert key(Renewed(name="n")) != key(Sample(name="n"))


def test_text_that_looks_like_the_encoding_does_not_fool_it() -> None:
    assert key(["a", "b"]) != key(["as1:b"])
    assert encode(["a"]) not in encode(["a", "b"])


@pytest.mark.parametrize("value", [object(), 1j, Path("x"), {1.5: "x"}, {None: 1}, {"a": [object()]}, print])
def test_an_unknown_type_is_an_error_not_a_guess(value: Any) -> None:
    with pytest.raises(InternalError, match="cannot be part of a key"):
        key(value)


_SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=300) | st.binary(max_size=8)
_VALUES = st.recursive(
    _SCALARS,
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=3) | st.integers(-3, 3), inner, max_size=3)
    ),
    max_leaves=8,
)


@given(_VALUES, _VALUES)
def test_keys_are_equal_exactly_when_explanations_are(one: Any, other: Any) -> None:
    same_key = encode(one) == encode(other)
    assert same_key == (manifest(one, XXH3) == manifest(other, XXH3))


@given(_VALUES)
def test_a_manifest_has_one_line_for_each_leaf(value: Any) -> None:
    from zerorepo.action_key import leaves

    assert len(manifest(value, XXH3)) == len(list(leaves(encode(value))))


def test_a_manifest_names_fields_as_a_reader_would() -> None:
    shown = manifest(SAMPLES["action"], XXH3)
    assert shown["name"] == '"n"'
    assert shown["env['A']"] == '"1"'
    assert shown["inner.text"] == '"t"'
    assert shown["parts[0]"] == str(XXH3.of_bytes(b"x"))
    assert "note" not in shown


def test_long_values_are_shown_by_their_start_and_digest() -> None:
    one, other = "x" * 1000 + "a", "x" * 1000 + "b"
    assert len(manifest({"k": one}, XXH3)["k"]) < 150
    assert manifest({"k": one}, XXH3) != manifest({"k": other}, XXH3)


@pytest.mark.parametrize("function", list(DigestFunction))
def test_a_digest_is_the_hash_and_size_of_content(function: DigestFunction, tmp_path: Path) -> None:
    data = b"abc" * 500_000
    (tmp_path / "f").write_bytes(data)
    digest = function.of_bytes(data)
    assert digest == function.of_file(tmp_path / "f") == Digest.parse(str(digest))
    assert digest.size == len(data)
    assert DigestFunction.that_made(str(digest)) is function


@pytest.mark.parametrize(
    "text", ["", "abc", "abc/1", "x" * 32 + "/1", "a" * 32, "a" * 32 + "/", "a" * 32 + "/-1", "A" * 32 + "/1"]
)
def test_what_is_no_digest_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a digest"):
        Digest.parse(text)
