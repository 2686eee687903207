"""Budgets and quotas around real asking: what is refused, what is kept, and that not a cent too much is spent."""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from zerorepo.errors import BudgetRefused, ExitCode, TransientFailure
from zerorepo_llm import faults
from zerorepo_llm.accounts import Accounts, Amount
from zerorepo_llm.action import Answer
from zerorepo_llm.budget import Budget, quota_file
from zerorepo_llm.faults import ModelFault
from zerorepo_llm.journal import Journal
from zerorepo_llm.ledger import Ledger, usd
from zerorepo_llm.prices import Price, worst_case
from zerorepo_llm.settings import LLMSettings, ModelSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider

from .fakes import Build, ask_model

PRICED = {"models": {"m": {"input_usd": 1_000, "output_usd": 2_000}}, "retry_base_s": 0.0}
"""A tenth of a cent for a token in, two for one out."""
WORST = worst_case(ask_model(model="m"), Price.configured(ModelSettings(input_usd=1_000, output_usd=2_000)))


def settings(**fields: Any) -> LLMSettings:
    return LLMSettings.model_validate({**PRICED, **fields})


def answering(prompt: int = 50, completion: int = 25, latency_s: float = 0.0) -> ScriptedProvider:
    """Each answer costs ten cents."""
    answer = Answer(text="hello", model="m-1", prompt_tokens=prompt, completion_tokens=completion)
    return ScriptedProvider(lambda request: answer, limited=True, latency_s=latency_s)


def ask(build: Build, count: int, start: int = 0) -> list[Any]:
    async def go() -> list[Any]:
        asked = (build.execute(ask_model(f"number {start + n:03}", model="m")) for n in range(count))
        found = await asyncio.gather(*asked, return_exceptions=True)
        await build.close()
        return found

    return asyncio.run(go())


def test_a_request_that_could_pass_the_budget_is_not_sent(build: Build) -> None:
    build.settings = settings(budget={"build_usd": usd(WORST.nusd) - 0.01})
    with use_provider(answering()) as provider:
        (error,) = ask(build, 1)
    assert isinstance(error, BudgetRefused)
    assert error.exit_code is ExitCode.BUDGET
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 0
    text = error.render()
    for part in ("was not sent", "[llm.budget] build_usd", "$0.0000 of $", "raise", "what was answered is kept"):
        assert part in text


def test_concurrent_requests_never_pass_the_budget_by_a_cent_and_use_what_there_is(build: Build) -> None:
    budget = usd(WORST.nusd) + 2.0
    build.settings = settings(budget={"build_usd": budget})
    with use_provider(answering(latency_s=0.005)) as provider:
        found = ask(build, 60)
    assert isinstance(provider, ScriptedProvider)
    (total,) = Ledger(build.state_dir).sums()
    spent = total.spent_nusd
    assert spent == provider.calls * 100_000_000
    assert spent <= budget * 1e9
    # Refused only when the worst case could pass it: after 20 answers two dollars are gone, and no further one fits.
    assert provider.calls == 21
    assert sum(isinstance(each, Answer) for each in found) == 21
    assert sum(isinstance(each, BudgetRefused) for each in found) == 39


def test_what_was_answered_is_kept_and_a_raised_budget_goes_on(build: Build) -> None:
    build.settings = settings(budget={"workspace_usd": usd(WORST.nusd) + 0.25})
    with use_provider(answering()) as provider:
        first = ask(build, 8)
        assert sum(isinstance(each, Answer) for each in first) == 3
        assert len(Journal(build.state_dir).keys()) == 3
        again = Build(build.workspace, settings(budget={"workspace_usd": usd(WORST.nusd) + 5.0}))
        assert all(isinstance(each, Answer) for each in ask(again, 8))
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 8


def test_the_workspace_and_the_day_are_counted_over_builds_and_a_build_is_not(build: Build) -> None:
    for scope, calls in (("workspace", 1), ("day", 1), ("build", 2)):
        place = Build(build.workspace / scope, settings(budget={f"{scope}_usd": usd(WORST.nusd) + 0.05}))
        with use_provider(answering()) as provider:
            ask(place, 1)
            ask(place, 1, start=1)
        assert isinstance(provider, ScriptedProvider)
        assert provider.calls == calls, scope


def test_a_new_day_has_a_new_budget(tmp_path: Path) -> None:
    now = [1_795_000_000.0]
    budget = Budget(settings(budget={"day_usd": 1.0}), tmp_path, "b", lambda: now[0])

    async def spend() -> None:
        budget.settle(await budget.hold(Amount(900_000_000)), Amount(900_000_000))

    asyncio.run(spend())
    with pytest.raises(BudgetRefused, match="could cost"):
        asyncio.run(spend())
    now[0] += 86_400
    asyncio.run(spend())


def test_what_was_spent_before_there_was_a_budget_counts(build: Build) -> None:
    build.settings = settings()
    with use_provider(answering()):
        ask(build, 3)
    again = Build(build.workspace, settings(budget={"workspace_usd": usd(WORST.nusd) + 0.2}))
    with use_provider(answering()):
        (error,) = ask(again, 1, start=10)
    assert isinstance(error, BudgetRefused)
    assert "$0.3000 of" in error.render()


def test_tokens_have_a_budget_of_their_own(build: Build) -> None:
    build.settings = settings(budget={"build_tokens": WORST.tokens + 100})
    with use_provider(answering()) as provider:
        ask(build, 5)
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 2


def test_without_a_price_nothing_is_sent_under_a_budget_of_money(build: Build) -> None:
    build.settings = LLMSettings.model_validate({"budget": {"day_usd": 5}})
    with use_provider(answering()) as provider:
        (error,) = ask(build, 1)
    assert isinstance(error, BudgetRefused)
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 0
    assert '[llm.models."m"]' in error.render()
    build.settings = LLMSettings.model_validate({"budget": {"day_tokens": 50_000}})
    build.services.clear()
    with use_provider(answering()):
        assert isinstance(ask(build, 1)[0], Answer)


def test_a_request_whose_end_is_not_known_counts_at_its_most(build: Build) -> None:
    build.settings = settings(attempts=1)
    lost = ScriptedProvider(lambda request: ModelFault(faults.TIMEOUT), limited=True)
    with use_provider(lost):
        (error,) = ask(build, 1)
    assert isinstance(error, TransientFailure)
    (total,) = Ledger(build.state_dir).sums()
    assert (total.spent_nusd, total.uncertain_nusd, total.failed) == (0, WORST.nusd, 1)
    assert Accounts(build.state_dir / "llm" / "accounts.sqlite").total("workspace").spent == WORST


def test_a_reply_that_cannot_be_used_counts_at_what_it_consumed(build: Build) -> None:
    script = [ModelFault(faults.NO_CHOICES, consumed=(50, 25)), ModelFault(faults.SERVER_ERROR), "hello"]
    build.settings = settings()
    with use_provider(ScriptedProvider(script, limited=True)):
        assert isinstance(ask(build, 1)[0], Answer)
    (total,) = Ledger(build.state_dir).sums()
    answer = 1_000_000 * 4 + 2_000_000  # four words, one word back
    assert (total.spent_nusd, total.uncertain_nusd, total.requests) == (100_000_000 + answer, 0, 3)


def test_a_cancelled_request_counts_at_its_most_and_is_in_the_ledger(build: Build) -> None:
    build.settings = settings()

    async def go() -> None:
        task = asyncio.ensure_future(build.execute(ask_model(model="m")))
        await asyncio.sleep(0.2)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await build.close()

    with use_provider(answering(latency_s=30)):
        asyncio.run(go())
    (call,) = Ledger(build.state_dir).calls()
    assert (call.outcome, call.requests, call.uncertain_nusd) == ("interrupted", 1, WORST.nusd)


def test_a_user_has_a_quota_over_all_workspaces(build: Build, tmp_path: Path) -> None:
    quota = {"file": str(tmp_path / "shared" / "quota.sqlite"), "day_usd": usd(WORST.nusd) + 0.05}
    calls = 0
    for name in ("one", "two"):
        place = Build(build.workspace / name, settings(quota=quota))
        with use_provider(answering()) as provider:
            found = ask(place, 1)
        assert isinstance(provider, ScriptedProvider)
        calls += provider.calls
    assert calls == 1
    assert "[llm.quota] day_usd" in found[0].render()


def test_a_token_stands_for_its_user_and_is_not_written(
    build: Build, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "quota.sqlite"
    quota = {"file": str(file), "month_usd": usd(WORST.nusd) + 0.05, "token": "env:TEAM_TOKEN"}
    build.settings = settings(quota=quota)
    for token, works in (("team-a-0123456789", True), ("team-a-0123456789", False), ("team-b-0123456789", True)):
        monkeypatch.setenv("TEAM_TOKEN", token)
        with use_provider(answering()):
            (found,) = ask(build, 1, start=int(time.monotonic_ns()))
        assert isinstance(found, Answer) is works
    data = b"".join(path.read_bytes() for path in tmp_path.glob("quota.sqlite*"))
    assert data
    assert b"team-a" not in data


def test_quotas_are_kept_in_the_users_state_folder(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", "/somewhere/state")
    assert quota_file(settings().quota) == Path("/somewhere/state/zerorepo/quota.sqlite")


def test_the_price_of_a_configured_model_is_the_users() -> None:
    price = Price.configured(ModelSettings(input_usd=3, output_usd=15, cached_input_usd=0.3))
    assert price is not None
    assert price.cost_nusd(1_000_000, 400_000, 100_000) == round((0.6 * 3 + 0.4 * 0.3 + 0.1 * 15) * 1e9)


def test_the_worst_case_knows_long_prompts_and_cache_writes_and_no_other_service() -> None:
    row = {
        "input_cost_per_token": 1e-6,
        "input_cost_per_token_above_200k_tokens": 2e-6,
        "input_cost_per_token_priority": 9e-6,
        "cache_creation_input_token_cost": 3e-6,
        "output_cost_per_token": 4e-6,
        "output_cost_per_token_batches": 2e-6,
    }
    price = Price.of_table(row)
    assert price is not None
    assert (price.worst_input, price.worst_output) == (3e-6, 4e-6)
    batch = Price.of_table(row, batch=True)
    assert batch is not None
    assert batch.output == 2e-6
    assert Price.of_table({"output_cost_per_image": 0.04}) is None


def test_half_a_price_is_refused_where_it_stands() -> None:
    with pytest.raises(ValueError, match="make a price together"):
        LLMSettings.model_validate({"models": {"m": {"input_usd": 1}}})
    assert json.loads(LLMSettings().model_dump_json())["models"] == {}
