"""Labels and target patterns, against the grammar of https://bazel.build/concepts/labels and https://bazel.build/run/build."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo.errors import UsageError
from zerorepo.label import Label, parse_label, parse_pattern

_PART = st.text("abzAZ09_-+.", min_size=1, max_size=6).filter(lambda part: part.strip(".") != "")


@pytest.mark.parametrize(
    ("text", "package", "expected"),
    [
        ("//a:b", "", "//a:b"),
        ("//a/b:c", "x", "//a/b:c"),
        ("//a/b", "", "//a/b:b"),
        ("//:x", "a", "//:x"),
        (":x", "a/b", "//a/b:x"),
        ("x", "a", "//a:x"),
        ("x.txt", "", "//:x.txt"),
        ("//a:sub/file.txt", "", "//a:sub/file.txt"),
        ("sub/file.txt", "a", "//a:sub/file.txt"),
        ("//my-pkg/v1.2:t+x", "", "//my-pkg/v1.2:t+x"),
    ],
)
def test_a_label_is_read_relative_to_its_package(text: str, package: str, expected: str) -> None:
    assert str(parse_label(text, package)) == expected


@pytest.mark.parametrize(
    "text",
    ["", "//", "//a:", "//a//b:c", "//a/../b:c", "//a/./b:c", "/a:b", "@repo//a:b", "//a:b/../c", "//a:/b", "//a:b/", "//a:b//c",
     "//a/:b", "///a:b", "//a:b\n"],
)  # fmt: skip
def test_what_is_no_label_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_label(text)


@given(st.lists(_PART, max_size=3), _PART)
def test_a_label_survives_being_written_and_read(parts: list[str], name: str) -> None:
    label = Label("/".join(parts), name)
    assert parse_label(str(label), "elsewhere") == label


@pytest.mark.parametrize(
    ("text", "package", "matched", "unmatched"),
    [
        ("//...", "", ["//:x", "//a:b", "//a/b:c"], []),
        ("//a/...", "", ["//a:b", "//a/b:c"], ["//ab:x", "//:x"]),
        ("//a:all", "", ["//a:b"], ["//a/b:c"]),
        ("//a:*", "", ["//a:b"], ["//a/b:c"]),
        ("//a", "", ["//a:a"], ["//a:b"]),
        ("...", "a", ["//a:b", "//a/b:c"], ["//:x"]),
        ("b/...", "a", ["//a/b:c"], ["//a:b"]),
        (":all", "a", ["//a:b"], ["//:x"]),
        ("b", "a", ["//a:b"], ["//a:c"]),
        ("-//a/...", "", ["//a:b"], ["//:x"]),
        ("//a/...:all", "", ["//a/b:c"], ["//:x"]),
    ],
)
def test_a_pattern_matches_what_bazel_says(text: str, package: str, matched: list[str], unmatched: list[str]) -> None:
    pattern = parse_pattern(text, package)
    assert pattern.negative == text.startswith("-")
    assert [label for label in matched if not pattern.matches(parse_label(label))] == []
    assert [label for label in unmatched if pattern.matches(parse_label(label))] == []


def test_only_star_wildcards_match_files() -> None:
    file = parse_label("//a:f.txt")
    assert not parse_pattern("//a:all").matches(file, is_file=True)
    assert parse_pattern("//a:*").matches(file, is_file=True)
    assert parse_pattern("//a/...:all-targets").matches(file, is_file=True)


@pytest.mark.parametrize("text", ["//a/...:x", "//a/.../b", "//a//b/...", "-"])
def test_what_is_no_pattern_is_refused(text: str) -> None:
    with pytest.raises(UsageError):
        parse_pattern(text)
