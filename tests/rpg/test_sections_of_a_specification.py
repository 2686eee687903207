"""Splitting a specification and merging what its sections say."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from zerorepo_rpg.spec_model import (
    DataField,
    DataModel,
    Permission,
    Priority,
    RequirementFact,
    SectionFacts,
    merge_sections,
)
from zerorepo_rpg.spec_sections import split_sections

TEXT = """\
Intro line.

# Slug Kit

About.

Setext two
----------
```python
# no heading
```
## Usage ##
one
## Usage
two
"""


def test_headings_of_both_kinds_make_sections_and_fenced_code_does_not() -> None:
    found = [(s.id, s.heading, s.level, s.line) for s in split_sections(TEXT)]
    assert found == [
        ("preamble", "", 0, 1),
        ("slug-kit", "Slug Kit", 1, 3),
        ("setext-two", "Setext two", 2, 7),
        ("usage", "Usage", 2, 12),
        ("usage-2", "Usage", 2, 14),
    ]
    assert "# no heading" in split_sections(TEXT)[2].text


@pytest.mark.parametrize("line", ["#no space", "    # indented code", "####### seven"])
def test_what_only_looks_like_a_heading_is_none(line: str) -> None:
    assert [s.heading for s in split_sections(f"# A\n\n{line}\n")] == ["A"]


@pytest.mark.parametrize("text", ["# A\n\n- item\n---\nmore", "# A\n\ntext\n\n---\nmore", "# A\n\n> quote\n---\n"])
def test_a_thematic_break_is_no_heading(text: str) -> None:
    assert len(split_sections(text)) == 1


def test_an_unclosed_fence_runs_to_the_end() -> None:
    assert [s.id for s in split_sections("# A\n~~~\n# x\n```\n# y\n")] == ["a"]


def test_plain_text_is_grouped_by_paragraphs() -> None:
    text = "\n\n".join(f"Paragraph number {n} " + "x" * 700 for n in range(4))
    found = split_sections(text)
    assert [s.line for s in found] == [1, 5]
    assert found[0].id.startswith("paragraph-number-0")
    assert split_sections("") == ()


def test_an_edit_in_one_section_changes_that_section_only() -> None:
    before, after = split_sections(TEXT), split_sections(TEXT.replace("About.", "About this."))
    assert [a.id for a, b in zip(before, after, strict=True) if a != b] == ["slug-kit"]


@given(st.text(st.sampled_from("# =-`~\nab\t>\r"), max_size=200))
def test_ids_are_unique_and_no_word_is_lost(text: str) -> None:
    sections = split_sections(text)
    assert len({s.id for s in sections}) == len(sections)
    kept = "".join(s.heading + s.text for s in sections)
    assert kept.count("a") == text.count("a") and kept.count("b") == text.count("b")


def test_requirements_are_merged_by_text_and_told_apart_by_name() -> None:
    sections = split_sections("# T\n\nx\n\n# U\n\ny\n")
    facts = (
        SectionFacts(
            summary="Sum.",
            requirements=(
                RequirementFact(name="Make slugs", text="Makes slugs.", priority=Priority.NICE),
                RequirementFact(name="Make slugs", text="Makes slugs fast."),
            ),
            data_models=(DataModel(name="Slug", fields=(DataField(name="text"),)),),
        ),
        SectionFacts(
            requirements=(
                RequirementFact(text="makes  slugs"),
                RequirementFact(text="Reads the file named on the line."),
            ),
            data_models=(DataModel(name="Slug", description="A slug.", fields=(DataField(name="n"),)),),
            permissions=(Permission.NETWORK, Permission.FILESYSTEM),
            package_name="slugkit",
            languages=("python", "Python"),
        ),
    )
    spec = merge_sections("", sections, facts)
    assert [(r.id, r.section, r.priority) for r in spec.requirements] == [
        ("make-slugs", "t", Priority.MUST),
        ("make-slugs-2", "t", Priority.MUST),
        ("reads-the-file-named-on-the", "u", Priority.MUST),
    ]
    assert spec.title == "T" and spec.package_name == "slugkit" and spec.description == "Sum."
    assert [f.name for f in spec.data_models[0].fields] == ["text", "n"]
    assert spec.data_models[0].description == "A slug."
    assert spec.languages == ("python",) and spec.permissions == ("filesystem", "network")


def test_a_title_that_is_no_package_name_becomes_one() -> None:
    assert merge_sections("Text Kit 2!", (), ()).package_name == "text_kit_2"
    assert merge_sections("json", (), ()).package_name == "json_kit"
    assert merge_sections("3D", (), ()).package_name == "_3d"


def test_facts_must_fit_the_sections() -> None:
    with pytest.raises(ValueError, match="0 sections but facts of 1"):
        merge_sections("T", (), (SectionFacts(),))
