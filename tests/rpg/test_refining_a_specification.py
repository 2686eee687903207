"""Refinement edits the text itself, and nothing but what is meant; references are read with their concepts."""

# ruff: noqa: E501  (texts as one-line sources)

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo.errors import UsageError
from zerorepo_rpg.spec_export import EXPORTERS
from zerorepo_rpg.spec_reading import by_rule
from zerorepo_rpg.spec_references import ReferenceKind, concepts_of, references_in
from zerorepo_rpg.spec_refine import add, clarify, parse_history, remove, suggestions
from zerorepo_rpg.spec_text import components, endpoints, flows, without_directives

from .commands import pdf, zerorepo

SPEC = """# Shop

Sells things. Never
loses a cart.

## Carts

* A cart holds rows. It has a limit
  of `7`.
* `total(cart)` sums them.

## Prices

Prices are decimals.

## References

- [The paper](docs/paper.pdf) on carts
"""


def test_a_sentence_is_added_where_it_is_told_in_the_list_s_own_style() -> None:
    new, change = add(SPEC, "A cart can be  emptied.", "carts")
    assert new == SPEC.replace("sums them.\n", "sums them.\n* A cart can be emptied.\n") and change.section == "carts"
    assert add(SPEC, "More.")[0] == SPEC.replace("sums them.\n", "sums them.\n* More.\n")
    assert add(SPEC, "More.", "Prices")[0] == SPEC.replace("decimals.\n", "decimals.\n\n- More.\n")
    with pytest.raises(UsageError, match="says so already"):
        add(SPEC, "prices are DECIMALS")
    with pytest.raises(UsageError, match="no section `Cats`") as caught:
        add(SPEC, "x", "Cats")
    assert "Carts" in (caught.value.hint or "")


def test_a_requirement_is_removed_by_id_or_words_and_alone() -> None:
    spec = by_rule(SPEC)
    assert [each.id for each in spec.requirements][1] == "total-cart-sums-them"
    assert remove(SPEC, "total-cart-sums-them", spec)[0] == SPEC.replace("* `total(cart)` sums them.\n", "")
    assert remove(SPEC, "It has a limit of `7`.", spec)[0] == SPEC.replace(
        "* A cart holds rows. It has a limit\n  of `7`.\n", ""
    )
    assert remove(SPEC, "sums them", spec)[1].text == "`total(cart)` sums them."
    with pytest.raises(UsageError, match="does not say"):
        remove(SPEC, "carrots", spec)
    with pytest.raises(UsageError, match="2 times"):
        remove(SPEC + "\nPrices are decimals.\n", "Prices are decimals.", spec)


def test_a_question_is_answered_once() -> None:
    first, change = clarify(SPEC, "Which currency? | Euro.")
    assert first == SPEC + "\n## Clarifications\n\n- **Which currency?** Euro.\n" and change.answer == "Euro."
    assert clarify(first, "Which currency?|Dollar.")[0] == first.replace("Euro", "Dollar")
    assert clarify(first, "Tax?|No.")[0] == first + "- **Tax?** No.\n"
    for wrong in ("no bar", "|a", "q|"):
        with pytest.raises(UsageError, match=r"question\|answer"):
            clarify(SPEC, wrong)


WORDS = (
    st.text("abcdefgh ", min_size=12, max_size=30).map(lambda text: " ".join(text.split())).filter(lambda t: len(t) > 8)
)


@given(WORDS)
def test_what_is_added_can_be_removed_again_to_the_byte(words: str) -> None:
    new, _ = add(SPEC, words, "carts")
    assert len(new.splitlines()) == len(SPEC.splitlines()) + 1
    assert remove(new, words, by_rule(new))[0] == SPEC


def test_rules_find_components_flows_endpoints_and_directives() -> None:
    text = "## Components\n- **reader**: reads\n- `writer`\n- reader -> writer: rows\n\n`GET /users/{id}` and POST /users.\n<!-- zerorepo: off x -->\n"
    assert [each.word for each in components(text)] == ["reader", "writer"]
    assert [(each.source, each.target, each.data) for each in flows(text)] == [("reader", "writer", "rows")]
    assert [(each.method, each.path) for each in endpoints(text)] == [("GET", "/users/{id}"), ("POST", "/users")]
    assert "zerorepo" not in without_directives(text) and without_directives(SPEC) == SPEC


def test_suggestions_name_lines() -> None:
    found = suggestions("# A\n\n## Empty\n\n## B\n\n- It is fast.\n", by_rule("# A\n\n- It is fast.\n"))
    assert (3, "the section `Empty` is empty") in found
    assert any(line == 7 and "`fast`" in what for line, what in found)
    assert (0, "name a licence") in found


@pytest.mark.parametrize("name", sorted(EXPORTERS))
def test_exports_say_what_the_specification_says(name: str) -> None:
    text = EXPORTERS[name](by_rule(SPEC.replace("sums them", "sums <them> & more")))
    assert "Shop" in text
    if name == "html":
        assert "&lt;them&gt; &amp; more" in text and "<them>" not in text and "<script" not in text
    elif name != "summary":
        assert "sums <them> & more" in text


def test_references_are_told_apart() -> None:
    text = "## References\n- [P](a.pdf)\n- `lib/x.py`: code\n- [F](src/lib)\n- see RFC 4180 and **Quoted Fields**\n- [W](https://x.org)\n## Else\n- [no](x.pdf)\n"
    found = references_in(text)
    assert [each.kind for each in found] == [
        ReferenceKind.PDF,
        ReferenceKind.CODE,
        ReferenceKind.FOLDER,
        ReferenceKind.TEXT,
        ReferenceKind.LINK,
    ]
    assert [each.line for each in found] == [2, 3, 4, 5, 6]
    assert [each.name for each in found[3].concepts] == ["RFC", "Quoted Fields"]


def test_concepts_are_cited() -> None:
    (code,) = concepts_of(ReferenceKind.CODE, {"a/x.py": b'def open_cart(n):\n    """Open it."""\ndef _own(): ...\n'})
    assert (code.name, code.cite, code.text) == ("open_cart", "a/x.py::open_cart", "Open it.")
    found = concepts_of(ReferenceKind.DOCUMENT, {"a.md": b"# Carts\n\nUse `open_cart` now.\n"})
    assert [(each.name, each.cite) for each in found] == [("Carts", "line 1"), ("open_cart", "line 3")]
    page = concepts_of(ReferenceKind.PDF, {"a.pdf": pdf("The Shopping Cart Problem")})
    assert [(each.name, each.cite) for each in page] == [("The Shopping Cart Problem", "page 1")]
    for kind, data in (
        (ReferenceKind.PDF, b"no"),
        (ReferenceKind.CODE, b"def ("),
        (ReferenceKind.DOCUMENT, b"\xff\xfe"),
    ):
        with pytest.raises(ValueError, match=r"`a` is n"):
            concepts_of(kind, {"a": data})


def test_refine_shows_a_diff_writes_the_file_and_keeps_a_history(workspace: Path) -> None:
    before = (workspace / "spec.md").read_text()
    shown = zerorepo(workspace, "spec", "refine", "--add", "It is kind.", "--section", "Quality", "-n")
    assert shown.returncode == 0 and "+- It is kind." in shown.stdout and "+++ b/spec.md" in shown.stdout
    assert (workspace / "spec.md").read_text() == before and not (workspace / "spec.md.history.jsonl").exists()
    args = ("--add", "It is kind.", "--clarify", "Which?|That.", "--remove", "An integer with leading zeros, such as")
    assert zerorepo(workspace, "spec", "refine", *args).returncode == 0
    after = (workspace / "spec.md").read_text()
    assert "It is kind." in after and "leading zeros" not in after and "- **Which?** That." in after
    history = parse_history((workspace / "spec.md.history.jsonl").read_text())
    assert [each.action for each in history] == ["add", "remove", "clarify"] and all(each.when for each in history)
    assert "clarify [clarifications] Which? → That." in zerorepo(workspace, "spec", "history").stdout
    assert zerorepo(workspace, "spec", "refine", "--remove", "nonsense").returncode == 2
    assert zerorepo(workspace, "spec", "refine").returncode == 2


def test_conflicts_stop_a_build_before_a_model_is_asked_unless_accepted(workspace: Path) -> None:
    spec = workspace / "spec.md"
    text = spec.read_text()
    spec.write_text(f"{text}\nA backend only library with a page in React.\n")
    line = len(text.splitlines()) + 2
    listed = zerorepo(workspace, "spec", "conflicts")
    assert listed.returncode == 1 and f"ERROR spec.md:{line}" in listed.stdout
    built = zerorepo(workspace, "build", "//:plaintable.spec")
    assert built.returncode == 1 and f"line {line}" in built.stderr and f"spec.md:{line}" in built.stderr
    assert "model call" not in built.stderr
    assert zerorepo(workspace, "spec", "conflicts", "--without", "backend_with_frontend").returncode == 0
    assert zerorepo(workspace, "spec", "conflicts", "--without", "backend").returncode == 2
    # A directive is nobody's question: with it, the recorded answers still fit.
    spec.write_text(f"{text}\n<!-- zerorepo: accept backend_with_frontend: as meant -->\n")
    assert zerorepo(workspace, "build", "//:plaintable.spec").returncode == 0


def test_references_are_read_and_a_missing_one_is_an_error_with_its_line(workspace: Path) -> None:
    spec = workspace / "spec.md"
    text = spec.read_text()
    # Under the first heading nothing is a question about references alone: the recorded answers are for other sections.
    line = len(text.splitlines()) + 4
    for target, message in (
        ("nowhere.pdf", "is not there"),
        ("../out.py", "leads out"),
        ("gone/", "folder with Python"),
    ):
        spec.write_text(f"{text}\n## References\n\n- [It]({target})\n")
        built = zerorepo(workspace, "build", "//:plaintable.spec")
        assert built.returncode == 1 and message in built.stderr and f"spec.md:{line}" in built.stderr
    (workspace / "bad.pdf").write_bytes(b"%PDF-1.4 nothing")
    spec.write_text(f"{text}\n## References\n\n- [It](bad.pdf)\n")
    built = zerorepo(workspace, "build", "//:plaintable.spec")
    assert built.returncode == 1 and "no PDF that can be read" in built.stderr and f"spec.md:{line}" in built.stderr


def test_parse_show_and_export_agree(workspace: Path) -> None:
    by_rules = zerorepo(workspace, "spec", "show")
    assert "read by rule alone" in by_rules.stderr
    assert zerorepo(workspace, "spec", "parse").returncode == 0
    parsed = zerorepo(workspace, "spec", "show")
    assert "read by rule" not in parsed.stderr and "select-columns-table-names-returns-a" in parsed.stdout
    assert '"package_name": "plaintable"' in zerorepo(workspace, "spec", "export", "--format", "json").stdout
    assert zerorepo(workspace, "spec", "export", "--format", "pdf").returncode == 2
    assert zerorepo(workspace, "spec", "suggest").returncode == 0


def test_a_sentence_that_is_part_of_another_may_be_added_and_one_that_stands_there_may_not() -> None:
    text = "# T\n\n- It reads tables, and it sorts rows by name.\n- It writes. It sorts columns.\n"
    new, _ = add(text, "It sorts rows by name.")
    assert new.count("t sorts rows by name") == 2
    for there in ("It reads tables, and it sorts rows by name.", "it sorts columns", "It writes. It sorts columns."):
        with pytest.raises(UsageError, match="says so already"):
            add(text, there)
