"""Batch mode: litellm's batch functions against the local server. What is sent together, waited for, and never paid twice."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

import pytest

from zerorepo.errors import ActionFailed, TransientFailure
from zerorepo_llm.ledger import Ledger
from zerorepo_llm.settings import LLMSettings

from . import fake_openai as fake
from .fake_openai import FakeOpenAI, Reply
from .fakes import Build, ask_model, until

QUICK = {"gather_s": 0.1, "poll_s": 0.05}


@pytest.fixture
def asking(server: FakeOpenAI, build: Build, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.setenv("TEST_MODEL_KEY", "sk-batch-0123456789")
    build.settings = settings(server)
    return build


def settings(server: FakeOpenAI, **batch: Any) -> LLMSettings:
    own = {"api_base": server.base_url, "api_key": "env:TEST_MODEL_KEY", "batch": True}
    return LLMSettings.model_validate(
        {
            "provider": "litellm",
            "providers": {"openai": own},
            "batch": {**QUICK, **batch},
            "retry_base_s": 0.01,
            "models": {"openai/m": {"input_usd": 1, "output_usd": 2}},
        }
    )


def ask(build: Build, *texts: str) -> list[Any]:
    async def go() -> list[Any]:
        try:
            asked = (build.execute(ask_model(text, model="openai/m")) for text in texts)
            return await asyncio.gather(*asked, return_exceptions=True)
        finally:
            await build.close()

    return asyncio.run(go())


def test_questions_that_come_together_are_one_batch_and_each_gets_its_answer(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [lambda body: Reply(text=body["messages"][1]["content"].upper())]
    server.polls_until_done = 3
    assert [answer.text for answer in ask(asking, "one", "two", "three")] == ["ONE", "TWO", "THREE"]
    assert len(server.batches) == 1
    sent = [json.loads(line) for line in server.files["file-0"].splitlines()]
    assert [line["url"] for line in sent] == ["/v1/chat/completions"] * 3
    assert sent[0]["body"]["model"] == "m"
    assert sent[0]["body"]["max_tokens"] == 100
    assert asking.meters["cost_usd"] == pytest.approx(3 * (11 * 1 + 3 * 2) / 1e6)
    (total,) = Ledger(asking.state_dir).sums()
    assert (total.answered, total.prompt_tokens, total.completion_tokens) == (3, 33, 9)


def test_more_than_fit_into_one_are_several_batches(server: FakeOpenAI, asking: Build) -> None:
    asking.settings = settings(server, most=2)
    assert len(ask(asking, *"abcde")) == 5
    assert sorted(len(data.splitlines()) for id_, data in server.files.items() if "out" not in id_) == [1, 2, 2]


def test_a_build_that_was_stopped_goes_on_waiting_for_the_same_batch(server: FakeOpenAI, asking: Build) -> None:
    server.polls_until_done = 10**9

    async def stopped() -> None:
        task = asyncio.ensure_future(asking.execute(ask_model("one", model="openai/m")))
        await until(lambda: server.batches and list((asking.state_dir / "llm" / "batches").glob("*.json")))
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await asking.close()

    asyncio.run(stopped())
    server.polls_until_done = 1
    again = Build(asking.workspace, asking.settings)
    assert ask(again, "one")[0].text == "hello"
    assert len(server.batches) == 1
    assert len(server.seen) == 1


def test_a_question_that_fails_in_a_batch_is_classified_and_may_be_asked_again(
    server: FakeOpenAI, asking: Build, tmp_path: Path
) -> None:
    server.plan = [fake.UNAUTHORIZED]
    (error,) = ask(asking, "one")
    assert isinstance(error, ActionFailed)
    assert "authentication failed (401)" in error.render()
    server.plan = [fake.SERVER_ERROR, fake.OK]
    assert ask(asking, "one")[0].text == "hello"
    assert len(server.batches) == 3


def test_a_server_without_a_batch_api_is_an_error_that_says_so(server: FakeOpenAI, asking: Build) -> None:
    asking.settings = asking.settings.model_copy(
        update={
            "providers": {
                "openai": asking.settings.providers["openai"].model_copy(update={"api_base": "http://127.0.0.1:9/v1"})
            }
        }
    )
    (error,) = ask(asking, "one")
    assert isinstance(error, TransientFailure)
    assert "connection failed" in error.render()
