"""Targets, as declared, and providers, the typed values that targets hand to each other. Part of the plugin API.

Knows nothing of how a target is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, ValidationInfo

from zerorepo.digest import Digest
from zerorepo.errors import UsageError
from zerorepo.label import Label, check_name
from zerorepo.values import Value


class Provider(Value):
    """Base of provider types. A provider is the only channel between rules; its digest decides early cutoff."""


class Outputs(Provider):
    """Every target has this one: workspace-relative path (below the output folder) to content."""

    files: Mapping[str, Digest] = Field(default_factory=dict)
    executable: tuple[str, ...] = ()


class Outcome(StrEnum):
    """The verdict of one test case."""

    PASSED = "passed"
    FAILED = "failed"
    ERROR = "error"
    SKIPPED = "skipped"
    FLAKY = "flaky"
    """Passed in some runs and not in others. Never counted as passed."""


class TestCase(Value):
    """One test: ``name`` as its runner writes it, and what it said when it did not pass."""

    __test__ = False
    name: str
    outcome: Outcome
    message: str = ""

    @property
    def bad(self) -> bool:
        """Whether it neither passed nor was skipped."""
        return self.outcome not in (Outcome.PASSED, Outcome.SKIPPED)


class TestReport(Provider):
    """What a test target hands on. ``passed`` is decided by whoever ran the tests, outside their reach; fails closed."""

    __test__ = False
    passed: bool
    status: str
    """``ok``, or why there is no complete result: ``timeout``, ``memory``, ``crash``, ``tampered``, …"""
    cases: tuple[TestCase, ...] = ()
    output: str = ""
    """The last part of what was printed."""
    sandbox: str = ""
    """Which isolation the verdict was made under, for example ``bubblewrap`` or ``unsafe``."""
    apart: bool = False
    """Whether the tests ran in a process that the code under test could not reach, which then cannot have forged them."""

    def count(self, outcome: Outcome) -> int:
        """How many cases ended so."""
        return sum(case.outcome is outcome for case in self.cases)


class Proof(Value):
    """What tests say of one thing that somebody wants proven; ``kind`` is a word of the rule set's, such as ``requirement``.

    ``by``: what the tests reach it through. ``tests`` are those that passed, ``failed`` those that did not. ``covered`` of
    its ``lines`` were run; 0 lines where they are not counted.
    """

    kind: str
    name: str
    text: str = ""
    by: tuple[str, ...] = ()
    tests: tuple[str, ...] = ()
    failed: tuple[str, ...] = ()
    lines: int = 0
    covered: int = 0

    @property
    def proven(self) -> bool:
        """Whether something was tested and nothing failed."""
        return bool(self.tests) and not self.failed


class TestEvidence(Provider):
    """What a test target proves, for people: a test target may provide it beside its ``TestReport``."""

    __test__ = False
    proofs: tuple[Proof, ...] = ()


class TargetDecl(Value):
    """A target as an expansion declares it: a rule's name and raw attributes."""

    label: Label
    rule: str
    attrs: Mapping[str, Any] = Field(default_factory=dict)


def _source(value: Any, info: ValidationInfo) -> Any:
    """A source path relative to its package becomes relative to the workspace."""
    if not isinstance(value, str):
        return value
    package = (info.context or {}).get("package", "") if isinstance(info.context, dict) else ""
    text = value[2:].replace(":", "/", 1).lstrip("/") if value.startswith("//") else value
    try:
        check_name(text, value)
    except UsageError as error:
        raise ValueError(error.message.replace("label", "path").replace("target name", "path")) from None
    return text if value.startswith("//") or not package else f"{package}/{text}"


class SourcePath(str):
    """A workspace-relative path of a source file, as an attribute. ``a.txt`` in ``//x`` is ``x/a.txt``; ``//y:b`` is ``y/b``."""

    __slots__ = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: Any) -> Any:
        from pydantic_core import core_schema

        def validate(value: Any, info: ValidationInfo) -> SourcePath:
            if isinstance(value, SourcePath):
                return value
            if not isinstance(value, str):
                raise ValueError("a source is a path such as src/a.txt")
            return SourcePath(_source(value, info))

        return core_schema.with_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(
                lambda v: "//:" + v if "/" not in v else f"//{v.rpartition('/')[0]}:{v.rpartition('/')[2]}",
                return_schema=core_schema.str_schema(),
            ),
        )


__all__ = [
    "Annotated",
    "BeforeValidator",
    "Outcome",
    "Outputs",
    "Proof",
    "Provider",
    "SourcePath",
    "TargetDecl",
    "TestCase",
    "TestEvidence",
    "TestReport",
]
