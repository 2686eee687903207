"""Conflicts and suggestions of a model: tied to the text by quotes, merged with those by rule, asked for only on demand."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from e2e.scripted_library import Tinytext
from hypothesis import given, settings
from hypothesis import strategies as st

from zerorepo.errors import ExitCode
from zerorepo_rpg.spec_conflicts import Conflict, Severity, find_conflicts
from zerorepo_rpg.spec_review import FIELDS, SpecReview, line_of, together

ASK = "look for conflicts in the specification"
SUGGEST = "suggest what would make the specification clearer"
SLUG = "`make_slug(text)` joins the words of a text by hyphens, in lower case."
CONFLICT = {
    "severity": "ERROR", "fields": ["requirements"], "message": "A slug cannot be both.", "quotes": [SLUG],
}  # fmt: skip


def answer(*conflicts: dict[str, object]) -> str:
    return json.dumps({"conflicts": conflicts})


@pytest.fixture
def tiny(tmp_path: Path) -> Tinytext:
    """Nothing was asked yet."""
    return Tinytext(tmp_path / "ws")


def test_a_build_asks_for_no_review_unless_the_target_says_so(tiny: Tinytext) -> None:
    assert tiny.build("//:tinytext.plan").code is ExitCode.OK
    assert ASK not in tiny.library.asked and SUGGEST not in tiny.library.asked


def test_a_conflict_is_tied_to_its_line_and_asked_about_once(tiny: Tinytext) -> None:
    tiny.library.say(ASK, answer({**CONFLICT, "quotes": ["It flies."]}), answer(CONFLICT))
    built = tiny.build("//:tinytext.conflicts")
    assert built.code is ExitCode.OK, built.failures
    assert "does not stand in the specification" in tiny.library.asked_for(ASK)[1].action.messages[-1].content
    (found,) = built.run.provider("//:tinytext.conflicts", SpecReview).conflicts
    assert tiny.spec_path.read_text().split("\n")[found.lines[0] - 1] == f"- {SLUG}"
    assert found.stops and found.checks == ("model",)
    assert tiny.build("//:tinytext.conflicts").asked == []


def test_with_model_conflicts_an_error_stops_the_build_until_it_is_accepted(tiny: Tinytext) -> None:
    config = tiny.root / "zerorepo.toml"
    config.write_text(config.read_text() + "model_conflicts = true\n")
    tiny.library.always_say(ASK, answer(CONFLICT))
    built = tiny.build("//:tinytext.plan")
    assert built.code is ExitCode.BUILD_FAILED
    assert built.asked == [ASK], "before anything is parsed"
    assert "A slug cannot be both" in built.failures and "spec.md:" in built.failures
    assert "zerorepo: accept model" in built.failures
    tiny.spec_path.write_text(tiny.spec_path.read_text() + "\n<!-- zerorepo: accept model: they are two modes -->\n")
    built = tiny.build("//:tinytext.plan")
    assert built.code is ExitCode.OK, built.failures
    assert ASK not in built.asked, "the directive is not shown, so it is the same question"


def test_suggestions_come_with_their_lines(tiny: Tinytext) -> None:
    open_ = {"question": "What of an empty text?", "proposal": "It returns an empty string.", "quote": SLUG}
    whole = {"question": "Which encodings?"}
    tiny.library.say(SUGGEST, json.dumps({"suggestions": [open_, whole]}))
    built = tiny.build("//:tinytext.suggestions")
    assert built.code is ExitCode.OK, built.failures
    found = built.run.provider("//:tinytext.suggestions", SpecReview).suggestions
    line = tiny.spec_path.read_text().split("\n").index(f"- {SLUG}") + 1
    assert found == ((0, "Which encodings?"), (line, "What of an empty text? (It returns an empty string.)"))


CONFLICTS = st.lists(
    st.builds(
        Conflict,
        severity=st.sampled_from(list(Severity)),
        fields=st.sets(st.sampled_from(FIELDS), min_size=1, max_size=2).map(sorted).map(tuple),
        checks=st.just(("model",)),
        messages=st.sampled_from([("a",), ("b",), ("c",)]),
        lines=st.sets(st.integers(1, 9)).map(sorted).map(tuple),
        accepted=st.sampled_from(["", "because"]),
    ),
    max_size=6,
)
BY_RULE = find_conflicts("# X\n\nIt is backend only, with React.\n\n- It must be fast.\n- It must not be fast.\n")


@settings(deadline=None)
@given(CONFLICTS)
def test_both_kinds_merge_by_field_keep_the_worst_and_merging_again_changes_nothing(by_model: list[Conflict]) -> None:
    merged = together(BY_RULE, by_model)
    assert together(merged, []) == merged == together(merged, by_model)
    keys = [(each.fields, bool(each.accepted)) for each in merged]
    assert len(keys) == len(set(keys))
    rank = list(Severity)
    for each in (*BY_RULE, *by_model):
        home = next(
            m for m in merged if (m.fields, bool(m.accepted)) == (tuple(sorted(each.fields)), bool(each.accepted))
        )
        assert rank.index(home.severity) <= rank.index(each.severity)
        assert set(each.messages) <= set(home.messages) and set(each.lines) <= set(home.lines)


def test_a_quote_is_found_over_lines_and_without_marks() -> None:
    text = "# A\n\n- It **sorts** the\n  rows by `name`.\n- Other.\n"
    assert line_of(text, "It sorts the rows by name.") == 3 and line_of(text, "- Other.") == 5
    assert line_of(text, "rows by name") == 4 and line_of(text, "columns") == 0 and line_of(text, "") == 0
