"""What cannot all be meant: each check finds it with its lines, and leaves alone what only looks like it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo_rpg.spec_conflicts import CHECKS, Conflict, Severity, find_conflicts, merge_conflicts


@pytest.mark.parametrize(
    ("text", "check", "severity", "lines"),
    [
        ("# A\n\nBackend only.\n\n- The pages use React.", "backend_with_frontend", "ERROR", (3, 5)),
        ("A client-side only app\n\nserved by Django", "frontend_with_backend", "ERROR", (1, 3)),
        ("It uses Spring Boot.", "jvm_framework", "WARNING", (1,)),
        ("Runs on AWS Lambda.\n\nA Celery queue.", "serverless_long_running", "WARNING", (1, 3)),
        ("A command-line tool.\n\nIt runs on Android.", "cli_mobile", "WARNING", (1, 3)),
        ("A library for iOS.", "library_mobile", "INFO", (1,)),
        ("- The cache must keep old rows.\n- The cache must not keep old rows.", "contradiction", "ERROR", (1, 2)),
        ("It works offline.\n\nIt downloads prices.", "opposites", "WARNING", (1, 3)),
        ("## Same\n\nx\n\n## Same\n", "duplicate_name", "WARNING", (1, 5)),
        ("## Components\n\n- reader: reads\n- writer\n\nreader -> writter: rows", "unknown_component", "ERROR", (6,)),
        ("<!-- zerorepo: accept jvm_framwork: x -->", "directive", "ERROR", (1,)),
        ("<!-- zerorepo: allow -->", "directive", "ERROR", (1,)),
    ],
)
def test_each_check_finds_it_with_its_lines(text: str, check: str, severity: str, lines: tuple[int, ...]) -> None:
    (found,) = [each for each in find_conflicts(text) if check in each.checks]
    assert (found.severity, found.lines) == (severity, lines)
    assert found.stops is (severity == "ERROR")


@pytest.mark.parametrize(
    "text",
    [
        "Backend only. It does not use React, and works without Vue.",
        "Backend only.\n\n```\nimport React\n```",
        "A backend only service. It reacts to events and takes an express route.",
        "It uses Spring with Kotlin.",
        "A library. No Android.",
        "- The cache must keep rows.\n- The index must not keep rows.",
        "reader -> writer: rows",
        "Uses nothing but the standard library. It depends on nothing.",
    ],
)
def test_what_only_looks_like_a_conflict_is_none(text: str) -> None:
    assert find_conflicts(text) == []


def test_the_first_example_has_no_conflict(pytestconfig: pytest.Config) -> None:
    assert find_conflicts((pytestconfig.rootpath / "spec.md").read_text()) == []


@pytest.mark.parametrize("name", sorted(CHECKS))
def test_every_check_can_be_turned_off_and_accepted_in_the_text(name: str) -> None:
    text = """# A backend only library and command-line tool, client-side only
It uses React, Django and Micronaut on Android, serverless with a daemon. It is stateless and keeps state.
- The cache must be old.
- The cache must not be old.
- `GET /links/{slug}` shows one.
- `GET /links/{name}` follows one.
- `read(text)` reads.
- `read(text, strict)` reads, too.
## Components
- a
- a
a -> b
"""
    assert {check for each in find_conflicts(text) for check in each.checks} == set(CHECKS)
    for without in (find_conflicts(text, [name]), find_conflicts(f"{text}\n<!-- zerorepo: off {name} -->")):
        assert {check for each in without for check in each.checks} == set(CHECKS) - {name}
    kept = [
        each for each in find_conflicts(f"{text}\n<!-- zerorepo: accept {name}: as meant -->") if name in each.checks
    ]
    assert [each.accepted for each in kept] == ["as meant"] and not kept[0].stops


FIELDS = st.lists(st.sampled_from("abc"), min_size=1, max_size=2, unique=True).map(tuple)
CONFLICTS = st.lists(
    st.builds(
        Conflict,
        severity=st.sampled_from(Severity),
        fields=FIELDS,
        checks=st.lists(st.sampled_from("xyz"), min_size=1, max_size=2, unique=True).map(tuple),
        messages=st.lists(st.sampled_from("mno"), min_size=1, max_size=2, unique=True).map(tuple),
        lines=st.lists(st.integers(1, 5), max_size=3).map(tuple),
        accepted=st.sampled_from(["", "why"]),
    )
)


@given(CONFLICTS)
def test_merging_is_by_field_keeps_the_worst_and_is_idempotent(found: list[Conflict]) -> None:
    merged = merge_conflicts(found)
    assert merge_conflicts(merged) == merged
    keys = [(each.fields, bool(each.accepted)) for each in merged]
    assert len(set(keys)) == len(keys)
    rank = list(Severity)
    for each in found:
        (into,) = [
            m for m in merged if (m.fields, bool(m.accepted)) == (tuple(sorted(each.fields)), bool(each.accepted))
        ]
        assert rank.index(into.severity) <= rank.index(each.severity)
        assert set(each.messages) <= set(into.messages) and set(each.lines) <= set(into.lines)


TWO = """\
# A thing

- It must work offline.
- It must not work offline.
- Rows must be sorted.
- Rows must not be sorted.
"""


def stops(text: str) -> list[str]:
    return [str(each) for each in find_conflicts(text) if each.stops]


def test_one_of_several_conflicts_is_accepted_by_words_of_it_and_the_others_stay() -> None:
    (both,) = stops(TWO)
    assert "offline" in both and "sorted" in both
    (left,) = stops(TWO + '<!-- zerorepo: accept contradiction "must work offline": two modes -->\n')
    assert "sorted" in left and "offline" not in left
    assert (
        stops(
            TWO + '<!-- zerorepo: accept contradiction "work offline": two modes -->\n'
            '<!-- zerorepo: accept contradiction "Rows must": two lists -->\n'
        )
        == []
    )
    assert stops(TWO + '<!-- zerorepo: accept contradiction "offline" "sorted": as meant -->\n') == []


def test_accepting_without_words_where_there_is_a_choice_says_how_to_say_which() -> None:
    found = stops(TWO + "<!-- zerorepo: accept contradiction: as meant -->\n")
    (how,) = [each for each in found if "[directive]" in each]
    assert how.startswith("line 7: ") and 'accept contradiction "words": why' in how and "(line 3, 4)" in how
    assert any("[contradiction]" in each for each in found), "and nothing is accepted"


def test_words_that_nothing_is_said_of_are_an_error() -> None:
    found = stops(TWO + '<!-- zerorepo: accept contradiction "online": as meant -->\n')
    assert any("no conflict of that check speaks of `online`" in each for each in found)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("- `read(text)` reads.\n- `read(text, strict=False)` reads.\n", "the function `read` is given 2 signatures"),
        ("- `read(text)` reads.\n\n## More\n\n- `read(text)` reads again.\n", "the function `read(text)` stands twice"),
        ("- `GET /a/{id}` is one.\n- `GET /a/<name>` is another.\n", "the endpoint `GET /a/{}` stands twice"),
        ("| GET /a | one |\n| GET /a | other |\n", "the endpoint `GET /a` stands twice"),
    ],
)
def test_functions_and_endpoints_that_are_given_twice(text: str, said: str) -> None:
    (found,) = find_conflicts(f"# A thing\n\n{text}")
    assert said in found.messages[0] and found.severity is Severity.WARNING and len(found.lines) == 2


def test_a_function_or_an_endpoint_that_is_only_mentioned_again_is_no_duplicate() -> None:
    text = (
        "# A thing\n\n- `read(text)` reads.\n- What `read(text, 1)` gives is sorted.\n"
        "- `GET /a` and `POST /a`.\n- After `GET /a`, rest.\n"
    )
    assert find_conflicts(text) == []


def test_conflicts_are_told_in_the_order_of_the_text_in_every_process() -> None:
    text = "# A thing\n\n" + "".join(f"- It must be {word}.\n- It must not be {word}.\n" for word in "zyxwvutsrq")
    (found,) = find_conflicts(text)
    assert [message[7] for message in found.messages] == list("zyxwvutsrq")
