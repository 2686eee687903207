"""docs/models.md says what the code does: its settings are valid, its table of errors is the code's."""

from __future__ import annotations

import re
import tomllib
from pathlib import Path

from zerorepo_llm import faults
from zerorepo_llm.faults import Fault, Kind
from zerorepo_llm.settings import LLMSettings, fallbacks_of, model_of

TEXT = (Path(__file__).resolve().parents[2] / "docs" / "models.md").read_text()
TABLE = TEXT[TEXT.index("## When it fails") : TEXT.index("*Again*")]


def documented() -> dict[str, list[str]]:
    rows = [line.strip("|").split("|") for line in TABLE.splitlines() if line.startswith("| ")]
    return {row[0].strip().replace("`", ""): [cell.strip() for cell in row[1:]] for row in rows[1:]}


def test_the_settings_shown_are_valid_and_mean_what_is_said() -> None:
    (block,) = re.findall(r"^```toml\n(.*?)^```", TEXT, re.MULTILINE | re.DOTALL)
    settings = LLMSettings.model_validate(tomllib.loads(block)["llm"])
    assert model_of(settings, "strong", "plan") == "anthropic/claude-sonnet-4-5"
    assert fallbacks_of(settings, "strong", "plan") == ("openai/gpt-4o",)
    assert model_of(settings, "strong", "node_code").startswith("bedrock/")
    assert settings.providers["lab"].kind == "openai"
    assert settings.budget.workspace_tokens == 50_000_000


def test_every_kind_of_error_is_in_the_table_with_what_follows_from_it() -> None:
    rows = documented()
    known = {value.name: value for value in vars(faults).values() if isinstance(value, Fault)}
    assert rows.keys() == known.keys()
    for name, fault in known.items():
        _, then, paid, down, fallback = rows[name]
        assert (paid == "yes", down == "yes", fallback == "yes") == (fault.uncertain, fault.down, fault.falls_back), (
            name
        )
        assert ("carefully" in then) == fault.careful, name
        assert then.startswith("again") == (
            fault.kind is Kind.RETRYABLE and name not in ("circuit open", "deadline passed")
        ), name


def test_every_code_and_status_that_is_told_apart_is_in_the_table() -> None:
    rows = documented()
    for code in ("rate_limit_exceeded", "overloaded_error", "insufficient_quota", "invalid_api_key", "model_not_found"):
        assert code in rows[faults.BY_CODE[code].name][0]
    for status, fault in faults.BY_STATUS.items():
        assert str(status) in rows[fault.name][0], status


def test_the_defaults_that_the_text_names_are_the_settings() -> None:
    settings = LLMSettings()
    for text in (
        f"`attempts` requests ({settings.attempts})",
        f"`careful_attempts` ({settings.careful_attempts})",
        f"`retry_cap_s` ({settings.retry_cap_s:.0f} s)",
        f"`deadline_s` ({settings.deadline_s:.0f})",
        f"`[llm] concurrency` ({settings.concurrency})",
        f"`[llm.breaker] failures` ({settings.breaker.failures})",
        f"`open_s` ({settings.breaker.open_s:.0f})",
        f"`[llm.batch] gather_s`, {settings.batch.gather_s:.0f}; `most`, {settings.batch.most}",
        f"`poll_s`, {settings.batch.poll_s:.0f}; `wait_s`, {settings.batch.wait_s / 3600:.0f} hours",
    ):
        assert text in TEXT, text
