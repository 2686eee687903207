"""Canonical encoding: what makes two values the same and what does not; golden keys; the explanation sees what the key sees."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from golden_keys import GOLDEN, SAMPLES, XXH3, Colour, Renewed, Sample, Shade, problems, renewed
from hypothesis import given
from hypothesis import strategies as st

from zerorepo import action_key
from zerorepo.action_key import encode, key_of, manifest
from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import InternalError
from zerorepo.label import Label


def key(value: Any) -> str:
    return str(key_of(value, XXH3))


def golden() -> dict[str, Any]:
    return json.loads(GOLDEN.read_text())


def test_golden_keys_have_not_changed() -> None:
    assert problems(golden()) == []


def _other_tags(monkeypatch: pytest.MonkeyPatch) -> None:
    """An encoding that differs in one letter."""
    leaf = action_key._leaf
    monkeypatch.setattr(
        action_key,
        "_leaf",
        lambda parts, path, tag, payload: leaf(parts, path, b"q" if tag == b"s" else tag, payload),
    )


def test_another_encoding_under_the_same_version_is_found_and_cannot_be_written_down(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    _other_tags(monkeypatch)
    changed = f"`one text` changed under version {action_key.ENCODING_VERSION}"
    assert any(changed in problem for problem in problems(golden()))
    with pytest.raises(ValueError, match="raise ENCODING_VERSION"):
        renewed(golden())


def test_a_raised_version_needs_new_golden_keys(monkeypatch: pytest.MonkeyPatch) -> None:
    _other_tags(monkeypatch)
    old = golden()
    before, after = old["encoding_version"], old["encoding_version"] + 1
    monkeypatch.setattr(action_key, "ENCODING_VERSION", after)
    assert problems(old) == [f"the golden keys are of version {before}, the encoding of {after}: write them anew"]
    assert problems({**old, "encoding_version": after})  # the number alone does not do
    new = renewed(old)
    assert problems(new) == []
    assert not set(new["keys"].values()) & set(old["keys"].values())


def test_a_version_is_not_lowered(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(action_key, "ENCODING_VERSION", 0)
    with pytest.raises(ValueError, match="raise ENCODING_VERSION"):
        renewed(golden())


def test_a_new_sample_may_be_added_and_must_be_written_down() -> None:
    old = golden()
    fewer = {**old, "keys": {name: key for name, key in old["keys"].items() if name != "label"}}
    assert problems(fewer) == ["`label` has no golden key yet: write them anew"]
    assert renewed(fewer) == old


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
