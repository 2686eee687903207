"""Words of module names are written as prose writes them: joined ones apart, short forms in capitals, and none that say nothing."""

from __future__ import annotations

import pytest

from zerorepo_ontology.spelling import Spelling

PROSE = [
    *["read the cookie jar of a site", "a CookieJar of cookies", "send the CookieJar"] * 3,
    *["store rows in MySQL", "the GLM family", "an array is set", "operations on an array set"] * 3,
    *["the association proxy of a class", "a frobnicate of widgets", "ARIMA models", "take the arch of a bridge"] * 3,
]


@pytest.mark.parametrize(
    ("word", "words"),
    [
        ("cookiejar", ["cookie", "jar"]),
        ("mysql", ["MySQL"]),
        ("glm", ["GLM"]),
        ("arrayset", ["array", "set"]),
        ("associationproxy", ["association", "proxy"]),
        ("frobnicate", ["frobnicate"]),
        ("frobnicated", ["frobnicated"]),
        ("gizmoproxy", ["gizmoproxy"]),
        ("arch", ["arch"]),
    ],
)
def test_a_word_is_written_as_the_texts_write_it(word: str, words: list[str]) -> None:
    assert Spelling(PROSE).words(word) == words


@pytest.mark.parametrize(
    ("word", "nothing"),
    [("v6", True), ("p2g", True), ("xfr", True), ("x", True), ("glm", False), ("cookie", False), ("x509", False)],
)
def test_a_letter_with_a_number_and_unknown_abbreviations_say_nothing(word: str, nothing: bool) -> None:
    assert Spelling(PROSE).says_nothing(word) is nothing


def test_without_texts_the_vocabulary_decides() -> None:
    assert Spelling().words("connectionpool") == ["connection", "pool"]
    assert Spelling().words("headless") == ["headless"]
