"""What ``test`` says beyond single verdicts: sums by package, what is proven, the slowest, the flaky; as text, JUnit, JSON, HTML.

Knows no rule set: what is proven are the proofs that test targets hand on, in the rule sets' own words.
"""

from __future__ import annotations

import html
import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, NamedTuple

from zerorepo.cli.common import many
from zerorepo.context import Built
from zerorepo.errors import UsageError, did_you_mean
from zerorepo.label import Label
from zerorepo.target import Outcome, Proof, TestCase, TestEvidence, TestReport

if TYPE_CHECKING:
    from xml.etree.ElementTree import Element

_LISTED = 5
_STYLE = (
    "body{font:15px/1.5 system-ui,sans-serif;max-width:70rem;margin:2rem auto;padding:0 1rem}"
    "table{border-collapse:collapse}td,th{border:1px solid #ccc;padding:.2rem .6rem;text-align:left;vertical-align:top}"
    ".bad{background:#fdd}"
)
_XML_BARRED = dict.fromkeys(
    [*(i for i in range(32) if i not in (9, 10, 13)), *range(0xD800, 0xE000), 0xFFFE, 0xFFFF], "\ufffd"
)


class Output(StrEnum):
    """How ``test`` answers on standard output."""

    TEXT = "text"
    JUNIT = "junit"
    JSON = "json"
    HTML = "html"


def to_output(text: str) -> Output:
    """The format of that name; UsageError when there is none."""
    try:
        return Output(text)
    except ValueError:
        known = [str(each) for each in Output]
        raise UsageError(
            f"--output does not know {text!r}", hint=did_you_mean(text, known) or f"it knows {', '.join(known)}"
        ) from None


class PackageSum(NamedTuple):
    """What became of the test targets of one package, and of their tests."""

    name: str
    targets: int
    targets_passed: int
    tests_passed: int
    tests: int

    @property
    def of_targets(self) -> str:
        """For people."""
        return f"{self.targets_passed} of {self.targets}"

    @property
    def of_tests(self) -> str:
        """The same of tests."""
        return f"{self.tests_passed} of {self.tests}"


@dataclass(frozen=True, slots=True)
class TestSummary:
    """The verdicts of some test targets, what they prove, and how long each took to run when it last did (in seconds)."""

    __test__ = False
    tests: Mapping[Label, TestReport]
    proofs: tuple[Proof, ...] = ()
    seconds: Mapping[Label, float] = field(default_factory=dict)

    def render(self, output: Output) -> str:
        """The whole answer in one of the formats."""
        if output is Output.JUNIT:
            return self.to_junit()
        if output is Output.HTML:
            return self.to_html()
        if output is Output.JSON:
            return json.dumps(self.to_json(), indent=1, ensure_ascii=False) + "\n"
        return "".join(f"{line}\n" for line in self.lines())

    def packages(self) -> list[PackageSum]:
        """What became of the targets of each package, sorted."""
        found: dict[str, list[TestReport]] = {}
        for label, report in sorted(self.tests.items()):
            found.setdefault(f"//{label.package}", []).append(report)
        return [
            PackageSum(name, len(reports), sum(each.passed for each in reports), *_cases(reports))
            for name, reports in found.items()
        ]

    def slowest(self) -> list[tuple[Label, float]]:
        """The targets that took longest, longest first."""
        return sorted(self.seconds.items(), key=lambda item: (-item[1], item[0]))[:_LISTED]

    def flaky(self) -> list[tuple[Label, str]]:
        """Tests that pass in some runs and not in others."""
        cases = [(at, case) for at, each in sorted(self.tests.items()) for case in each.cases]
        return [(at, case.name) for at, case in cases if case.outcome is Outcome.FLAKY]

    def lines(self) -> list[str]:
        """For a terminal; nothing where there is nothing to sum up."""
        packages = self.packages()
        if len(packages) < 2 and not self.proofs:
            return []
        wide = max(len(name) for name in (*(each.name for each in packages), "package"))
        lines = ["", f"{'package':<{wide}}  targets passed  tests passed"]
        for each in packages:
            lines.append(f"{each.name:<{wide}}  {each.of_targets:>14}  {each.of_tests:>12}")
        lines += self._proof_lines()
        if slow := [f"{label} {seconds:.2f}s" for label, seconds in self.slowest()]:
            lines.append(f"slowest: {', '.join(slow)}")
        lines += [f"flaky: {label} {name}" for label, name in self.flaky()]
        return lines

    def _proof_lines(self) -> list[str]:
        lines = []
        for kind, proofs in _by_kind(self.proofs).items():
            total, covered = sum(proof.lines for proof in proofs), sum(proof.covered for proof in proofs)
            ran = f", {100 * covered / total:.0f} % of their lines ran" if total else ""
            proven = sum(proof.proven for proof in proofs)
            lines.append(f"{kind}: {proven} of {len(proofs)} proven{ran}")
            unproven = [proof for proof in proofs if not proof.proven]
            lines += [f"  not proven: {proof.text or proof.name} ({_why(proof)})" for proof in unproven[:_LISTED]]
            if len(unproven) > _LISTED:
                lines.append(f"  and {many(len(unproven) - _LISTED, kind)} more")
        return lines

    def to_json(self) -> dict[str, Any]:
        """For programs."""
        return {
            "packages": {
                each.name: {
                    "targets": each.targets,
                    "targets_passed": each.targets_passed,
                    "tests": each.tests,
                    "tests_passed": each.tests_passed,
                }
                for each in self.packages()
            },
            "targets": {
                str(label): {**report.model_dump(mode="json"), "seconds": self.seconds.get(label)}
                for label, report in sorted(self.tests.items())
            },
            "proofs": [{**proof.model_dump(mode="json"), "proven": proof.proven} for proof in self.proofs],
            "slowest": [{"target": str(label), "seconds": seconds} for label, seconds in self.slowest()],
            "flaky": [{"target": str(label), "test": name} for label, name in self.flaky()],
        }

    def to_junit(self) -> str:
        """As JUnit XML, one suite for each target; a target without a complete result is an error of its suite."""
        from xml.etree import ElementTree

        root = ElementTree.Element("testsuites")
        for label, report in sorted(self.tests.items()):
            bad = [case for case in report.cases if case.bad]
            errors = sum(case.outcome is Outcome.ERROR for case in bad)
            incomplete = not report.passed and (report.status != "ok" or not bad)
            why = report.status if report.status != "ok" else "no test passed"
            suite = ElementTree.SubElement(
                root,
                "testsuite",
                name=str(label),
                tests=str(len(report.cases) + incomplete),
                failures=str(len(bad) - errors),
                errors=str(errors + incomplete),
                skipped=str(report.count(Outcome.SKIPPED)),
                time=f"{self.seconds.get(label, 0):.3f}",
            )
            for case in report.cases:
                _add_case(suite, case)
            if incomplete:
                element = ElementTree.SubElement(suite, "testcase", classname=str(label), name=why)
                ElementTree.SubElement(element, "error", message=why).text = _xml(report.output)
        ElementTree.indent(root)
        return f'<?xml version="1.0" encoding="utf-8"?>\n{ElementTree.tostring(root, encoding="unicode")}\n'

    def to_html(self) -> str:
        """As one page that needs nothing else."""
        parts = [
            f'<!doctype html>\n<html lang="en"><head><meta charset="utf-8"><title>Tests</title><style>{_STYLE}</style>'
        ]
        parts.append("</head><body><h1>Tests</h1>")
        rows = [
            (each.name, each.of_targets, each.of_tests, each.targets_passed == each.targets) for each in self.packages()
        ]
        parts.append(_table("Packages", ("package", "targets passed", "tests passed"), rows))
        targets = [
            (str(at), str(each.count(Outcome.PASSED)), _state(each), f"{self.seconds.get(at, 0):.2f}", each.passed)
            for at, each in sorted(self.tests.items())
        ]
        parts.append(_table("Targets", ("target", "tests passed", "state", "seconds"), targets))
        bad = [
            (str(at), case.name, case.message, False)
            for at, each in sorted(self.tests.items())
            for case in each.cases
            if case.bad
        ]
        parts.append(_table("Tests that did not pass", ("target", "test", "what it said"), bad))
        for kind, proofs in _by_kind(self.proofs).items():
            proved = [
                (
                    proof.text or proof.name,
                    ", ".join(proof.by),
                    f"{len(proof.tests)}",
                    _covered(proof),
                    _why(proof),
                    proof.proven,
                )
                for proof in proofs
            ]
            heads = (kind, "served by", "tests passed", "lines that ran", "state")
            parts.append(_table(f"By {kind}", heads, proved))
        return "\n".join([*parts, "</body></html>"]) + "\n"


def summary_of(
    built: Iterable[Built], tests: Mapping[Label, TestReport], seconds: Mapping[Label, float]
) -> TestSummary:
    """The summary of the test targets among ``built``."""
    proofs = [proof for each in built if each.record("TestEvidence") for proof in each.provider(TestEvidence).proofs]
    return TestSummary(tests, tuple(proofs), {label: seconds[label] for label in tests if label in seconds})


def _add_case(suite: Element, case: TestCase) -> None:
    from xml.etree import ElementTree

    file, _, name = case.name.partition("::")
    element = ElementTree.SubElement(suite, "testcase", classname=_xml(file), name=_xml(name or file))
    if case.outcome is Outcome.SKIPPED:
        ElementTree.SubElement(element, "skipped")
    elif case.outcome is not Outcome.PASSED:
        kind = "error" if case.outcome is Outcome.ERROR else "failure"
        last = case.message.strip().rpartition("\n")[2]
        ElementTree.SubElement(element, kind, message=_xml(last), type=str(case.outcome)).text = _xml(case.message)


def _xml(text: str) -> str:
    return text.translate(_XML_BARRED)


def _table(heading: str, heads: tuple[str, ...], rows: Iterable[tuple[Any, ...]]) -> str:
    """The last of each row says whether it is well."""
    lines = []
    for *cells, well in rows:
        mark = "" if well else ' class="bad"'
        lines.append(f"<tr{mark}>{''.join(f'<td>{html.escape(cell)}</td>' for cell in cells)}</tr>")
    if not lines:
        return ""
    titles = "".join(f"<th>{html.escape(head)}</th>" for head in heads)
    return "\n".join([f"<h2>{html.escape(heading)}</h2>", "<table>", f"<tr>{titles}</tr>", *lines, "</table>"])


def _cases(reports: Iterable[TestReport]) -> tuple[int, int]:
    """Tests that passed, and all that were not skipped."""
    cases = [case for report in reports for case in report.cases if case.outcome is not Outcome.SKIPPED]
    return sum(case.outcome is Outcome.PASSED for case in cases), len(cases)


def _by_kind(proofs: Iterable[Proof]) -> dict[str, list[Proof]]:
    found: dict[str, list[Proof]] = {}
    for proof in proofs:
        found.setdefault(proof.kind, []).append(proof)
    return found


def _state(report: TestReport) -> str:
    return "passed" if report.passed else "failed" if report.status == "ok" else report.status


def _covered(proof: Proof) -> str:
    return f"{proof.covered} of {proof.lines}" if proof.lines else ""


def _why(proof: Proof) -> str:
    if proof.proven:
        return "proven"
    return f"{many(len(proof.failed), 'test')} failed" if proof.failed else "no test"


__all__ = ["Output", "TestSummary", "summary_of", "to_output"]
