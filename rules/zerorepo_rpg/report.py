"""The generated repository's report on its own tests, as Markdown and as HTML. Knows nothing of running tests.

Free of dates, times and paths of a machine: the same verdicts give the same bytes.
"""

from __future__ import annotations

import html
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import NamedTuple

from zerorepo.target import Outcome, Proof, TestEvidence, TestReport
from zerorepo_rpg.evidence import NODE, REQUIREMENT, Lines
from zerorepo_rpg.plan_metrics import feature_weights, measure
from zerorepo_rpg.plan_model import Plan
from zerorepo_sandbox.limits import Verdict

_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse;margin:1rem 0}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;"
    "vertical-align:top}td.n,th.n{text-align:right}.bad{background:#fdd}code{font-size:90%}"
)
_BAD_ROW, _RIGHT = '<tr class="bad">', ' class="n"'
BAD = ("FAILED", "not proven", "not met")
"""States that a reader must see."""


class Code(str):
    """Text that is code: a name, a path."""

    __slots__ = ()


class Number(str):
    """Text that is aligned right."""

    __slots__ = ()


class Section(NamedTuple):
    """A heading, sentences, and a table; each may be empty. Columns are what their heads are: ``Number`` or plain."""

    heading: str
    text: tuple[str, ...] = ()
    heads: tuple[str, ...] = ()
    rows: tuple[tuple[str, ...], ...] = ()


def repository_report(
    plan: Plan,
    report: TestReport,
    coverage: Mapping[str, Lines],
    found: TestEvidence,
    *,
    failed: Sequence[str] = (),
    wrong_examples: Sequence[str] = (),
    circles: Sequence[Sequence[str]] = (),
) -> list[Section]:
    """What there is to say: totals, files, nodes and what they serve, requirements and what proves them, limits and what meets
    them, what is wrong.

    ``failed``: ids of nodes whose code was not accepted; ``wrong_examples``: names of examples that do not hold; ``circles``:
    modules that import each other.
    """
    shown = ", ".join(f"{n} {each}" for each in Outcome if (n := report.count(each))) or "none"
    sections = [
        Section(
            "Tests and coverage",
            (
                *(() if report.status == Verdict.OK else (f"The run did not come to its end: {report.status}.",)),
                f"Tests: {shown}. Coverage: {percent(coverage.values())} of lines.",
            ),
        ),
        _files(coverage),
        _nodes(plan, [proof for proof in found.proofs if proof.kind == NODE], failed),
        _requirements([proof for proof in found.proofs if proof.kind == REQUIREMENT], failed),
        *_limits(plan, [proof for proof in found.proofs if proof.kind == NODE], failed),
        _modules(plan),
    ]
    if bad := [case.name for case in report.cases if case.outcome not in (Outcome.PASSED, Outcome.SKIPPED)]:
        sections.append(Section("Failing tests", (), ("test",), tuple((Code(name),) for name in bad)))
    if wrong_examples:
        text = "These examples of interfaces do not hold, and are left out of the README."
        sections.append(Section("Examples", (text,), ("example",), tuple((Code(name),) for name in wrong_examples)))
    if circles:
        rows = tuple((Code(" → ".join((*circle, circle[0]))),) for circle in circles)
        sections.append(Section("Circular imports", ("Modules that load each other.",), ("circle",), rows))
    return sections


def _modules(plan: Plan) -> Section:
    found = measure(plan.modules, plan.features.features, feature_weights(plan))
    rows = tuple(
        (Code(each.id), Number(each.features), Number(f"{each.cohesion:.2f}"), Number(each.coupling))
        for each in found.modules
    )
    text = (
        f"Modularity {found.modularity:.2f} over features, cohesion {found.cohesion:.2f} (mean cosine of their words), "
        f"coupling {found.coupling:.1f} (modules that one exchanges data with)."
    )
    return Section("Modules", (text,), ("module", Number("features"), Number("cohesion"), Number("coupling")), rows)


def _files(coverage: Mapping[str, Lines]) -> Section:
    rows = tuple(
        (Code(path), Number(len(lines[0]) + len(lines[1])), Number(percent([lines])), ranges(lines[1]))
        for path, lines in sorted(coverage.items())
    )
    return Section("Files", (), ("file", Number("lines"), Number("covered"), "missing"), rows)


def _nodes(plan: Plan, proofs: Sequence[Proof], failed: Sequence[str]) -> Section:
    names = {feature.id: feature.name for feature in plan.features.features}
    by_id = {proof.name: proof for proof in proofs}
    rows = []
    for node in plan.nodes():
        served = ", ".join(names.get(feature, feature) for feature in node.features) or "(shared)"
        proof = by_id.get(node.id, Proof(kind=NODE, name=node.id))
        state = "FAILED" if node.id in failed or proof.failed else "passed" if proof.tests else "not proven"
        share = f"{100 * proof.covered / proof.lines:.0f} %" if proof.lines else "-"
        count = f"{len(proof.tests)} of {len(proof.tests) + len(proof.failed)}"
        rows.append((served, Code(f"{node.import_path}.{node.name}"), Number(count), Number(share), state))
    heads = ("feature", "implemented by", Number("tests passed"), Number("covered"), "state")
    return Section("Features", (), heads, tuple(rows))


def _requirements(proofs: Sequence[Proof], failed: Sequence[str]) -> Section:
    proven = [proof.proven and not set(proof.by) & set(failed) for proof in proofs]
    rows = tuple(
        (proof.text, Code(", ".join(proof.by)), _test_files(proof), "proven" if good else "not proven")
        for proof, good in zip(proofs, proven, strict=True)
    )
    done = sum(proven)
    text = (
        f"{done} of {len(proofs)} sentences of the specification are proven: the tests of everything that serves them pass.",
    )
    return Section("Requirements", text if proofs else (), ("sentence", "served by", "passing tests", "state"), rows)


def _limits(plan: Plan, proofs: Sequence[Proof], failed: Sequence[str]) -> Iterator[Section]:
    """What meets each limit. Tests of a feature are told of its limits, which is all that their passing says of one."""
    good = {proof.name for proof in proofs if proof.proven and proof.name not in failed}
    rows = []
    for limit in plan.limits.all():
        nodes = [node.id for node in plan.nodes() if set(node.features) & set(limit.features)]
        by = [f"by rule: {', '.join(limit.rules)}"] if limit.rules else []
        by += [", ".join(nodes) or "no code yet"] if limit.features else []
        by += ["the whole library"] if limit.library else []
        state = "not met"
        if limit.features:
            state = "tests pass" if nodes and set(nodes) <= good else "not proven"
        elif limit.met:
            state = "designed for" if limit.library else "kept"
        rows.append((limit.text, limit.kind, str(limit.priority), "; ".join(by) or limit.why, state))
    if rows:
        text = "Constraints and demands on quality, and what meets each of them."
        yield Section("Limits", (text,), ("limit", "kind", "priority", "met by", "state"), tuple(rows))


def _test_files(proof: Proof) -> str:
    counts: dict[str, int] = {}
    for name in proof.tests:
        path = name.partition("::")[0]
        counts[path] = counts.get(path, 0) + 1
    return ", ".join(f"{path} ({count})" for path, count in counts.items())


def to_markdown(sections: Sequence[Section]) -> str:
    """The report as Markdown."""
    parts = []
    for number, section in enumerate(sections):
        parts += [f"{'##' if number else '#'} {section.heading}", *section.text]
        if section.rows:
            ruler = "|".join("--:" if isinstance(head, Number) else "---" for head in section.heads)
            lines = [f"| {' | '.join(section.heads)} |", f"|{ruler}|"]
            lines += [f"| {' | '.join(_markdown_cell(cell) for cell in row)} |" for row in section.rows]
            parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def _markdown_cell(cell: str) -> str:
    text = " ".join(cell.split()).replace("|", "\\|")
    return f"`{text}`" if isinstance(cell, Code) and text else text


def to_html(sections: Sequence[Section], title: str) -> str:
    """The report as one page that needs nothing else."""
    lines = [
        "<!doctype html>",
        f'<html lang="en"><head><meta charset="utf-8"><title>{html.escape(title)}</title><style>{_STYLE}</style></head><body>',
    ]
    for number, section in enumerate(sections):
        level = 2 if number else 1
        lines.append(f"<h{level}>{html.escape(section.heading)}</h{level}>")
        lines += [f"<p>{html.escape(text)}</p>" for text in section.text]
        if section.rows:
            heads = "".join(_html_cell(head, "th", head) for head in section.heads)
            lines += ["<table>", f"<tr>{heads}</tr>"]
            for row in section.rows:
                cells = "".join(_html_cell(cell, "td", head) for cell, head in zip(row, section.heads, strict=True))
                lines.append(f"{_BAD_ROW if row[-1] in BAD else '<tr>'}{cells}</tr>")
            lines.append("</table>")
    return "\n".join([*lines, "</body></html>"]) + "\n"


def _html_cell(cell: str, tag: str, head: str) -> str:
    text = html.escape(cell)
    if isinstance(cell, Code) and text:
        text = f"<code>{text}</code>"
    kind = _RIGHT if isinstance(head, Number) else ""
    return f"<{tag}{kind}>{text}</{tag}>"


def percent(files: Iterable[Lines]) -> str:
    """Share of executed lines; ``-`` when there are none."""
    pairs = list(files)
    executed = sum(len(each[0]) for each in pairs)
    total = executed + sum(len(each[1]) for each in pairs)
    return f"{100 * executed / total:.0f} %" if total else "-"


def ranges(numbers: Sequence[int]) -> str:
    """``3–5, 9`` of 3, 4, 5, 9."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(a) if a == b else f"{a}–{b}" for a, b in found)


__all__ = ["Section", "percent", "ranges", "repository_report", "to_html", "to_markdown"]
