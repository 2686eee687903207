"""Regular expressions mean what they mean to Bazel. The answers below are those of java.util.regex (OpenJDK 17)."""

from __future__ import annotations

import contextlib
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo.query.regex import compile_java

TEXTS = ["//a:t1", "lib rule", "[a, b]", "[]", "", "Été", "a.b*c", "ABC abc"]


@pytest.mark.parametrize(
    ("pattern", "found"),
    [
        (r"t\d$", "10000000"),
        (r"^\[\]$", "00010000"),
        (r"[\[ ]a[,\]]", "00100000"),
        (r"\Q.b*\E", "00000010"),
        (r"\Q[]", "00010000"),
        (r"LIB|(?i)LIB", "01000000"),
        (r"x(?i)y|ABC A", "00000001"),
        (r"(?i:LIB) ru", "01000000"),
        (r"(?<n>b)c \k<n>?", "00000000"),
        (r"(?<n>[aA])BC", "00000001"),
        (r"\p{Upper}{3}", "00000001"),
        (r"\P{Alpha}\p{Digit}\z", "00000000"),
        (r"^\w+$", "00000000"),
        (r"\bt\b", "00000000"),
        (r"[]a]b?\]", "00000000"),
        (r".{6,}", "11100001"),
        (r"\Z", "11111111"),
        (r"a++b|l*+i", "01000001"),
    ],
)
def test_what_is_found(pattern: str, found: str) -> None:
    assert "".join("1" if compile_java(pattern).search(text) else "0" for text in TEXTS) == found


@pytest.mark.parametrize(
    "pattern",
    [
        "*",
        "a{",
        "{2}",
        "a{,2}",
        "(",
        ")",
        "[",
        "[^]",
        "a**",
        "(?P<n>a)",
        "\\",
        "a{2,1}",
        "[a[b]]",
        "[a&&b]",
        r"\p{Nosuch}",
    ],
)
def test_what_is_refused(pattern: str) -> None:
    with pytest.raises(re.error):
        compile_java(pattern)


_PIECES = st.sampled_from(
    ["a", "(", ")", "[", "]", "{", "}", "|", "\\", "\\Q", "\\E", "(?i)", "(?<n>", "*", "+", "?", "^", "2", ",", "-"]
)


@given(st.lists(_PIECES, max_size=10).map("".join) | st.text(max_size=6))
def test_no_text_makes_another_error(text: str) -> None:
    with contextlib.suppress(re.error, OverflowError, RecursionError):
        compile_java(text).search("a[2],")


@given(st.text(alphabet="ab1/:.-_ é*+?()[]{}|^$&#~", max_size=12))
def test_a_quoted_text_finds_itself(text: str) -> None:
    assert compile_java(f"^\\Q{text}\\E$").search(text)
