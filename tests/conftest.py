"""Fixtures that every suite may use. Knows nothing of any one suite."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy_rules

from zerorepo.testing import RuleRunner


@pytest.fixture
def toys(tmp_path: Path) -> Callable[..., RuleRunner]:
    """Makes a workspace with the toy rules; files are given as a dict, the root's targets as text."""

    def make(targets: str = "", files: dict[str, str | bytes] | None = None, **more: Any) -> RuleRunner:
        return RuleRunner(
            tmp_path / "ws", {"zerorepo.toml": targets, **(files or {})}, rule_sets=[toy_rules.RULE_SET], **more
        )

    return make


def pytest_terminal_summary(terminalreporter: Any) -> None:
    """How many builds of random graphs were checked (tests/random)."""
    reports = [report for kind in ("passed", "failed") for report in terminalreporter.stats.get(kind, [])]
    counts = [count for report in reports for name, count in report.user_properties if name == "random_cases"]
    if counts:
        terminalreporter.write_line(f"random graphs: {sum(counts)} builds were checked against the oracle")
