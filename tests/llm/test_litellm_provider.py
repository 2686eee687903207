"""The real litellm against a local server that misbehaves: one test per row of the fault table, and no key anywhere."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from zerorepo.errors import ActionFailed, TransientFailure, UsageError, ZeroRepoError
from zerorepo_llm.action import Answer
from zerorepo_llm.providers.through_litellm import parse_retry_after
from zerorepo_llm.settings import LLMSettings

from . import fake_openai as fake
from .fake_openai import FakeOpenAI, Reply
from .fakes import Build, ask_model, until

CANARY = "sk-canary-7f3a9d0b55e1c2"


@pytest.fixture
def asking(server: FakeOpenAI, build: Build, monkeypatch: pytest.MonkeyPatch) -> Iterator[Build]:
    monkeypatch.setenv("TEST_MODEL_KEY", CANARY)
    build.settings = LLMSettings(
        provider="litellm",
        api_base=server.base_url,
        api_key="env:TEST_MODEL_KEY",
        retry_base_s=0.01,
        retry_cap_s=0.5,
        timeout_s=20,
    )
    yield build


def ask(build: Build, text: str = "Say hello.", **fields: object) -> Answer:
    async def go() -> Answer:
        try:
            answer: Answer = await build.execute(ask_model(text, **{"model": "openai/test-model", **fields}))
            return answer
        finally:
            await build.close()

    return asyncio.run(go())


def test_an_answer_comes_with_its_model_and_tokens(server: FakeOpenAI, asking: Build) -> None:
    answer = ask(asking, temperature=0.2)
    assert (answer.text, answer.finish_reason, answer.model) == ("hello", "stop", "test-model-2026")
    assert (answer.prompt_tokens, answer.completion_tokens, answer.cost_usd) == (11, 3, None)
    assert asking.meters == {"model_calls": 1, "cost_usd": 0.0, "prompt_tokens": 11, "completion_tokens": 3}
    assert server.headers_seen[0]["authorization"] == f"Bearer {CANARY}"
    sent = server.seen[0]
    assert sent["messages"] == [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Say hello."}]
    assert (sent["max_tokens"], sent["temperature"]) == (100, 0.2)
    assert "response_format" not in sent


def test_a_known_model_has_a_price(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [lambda body: Reply(text="hello")]
    answer = ask(asking, model="openai/gpt-4o")
    assert answer.cost_usd is not None
    assert 0 < answer.cost_usd < 0.01
    assert asking.meters["cost_usd"] == answer.cost_usd


def test_a_schema_is_passed_on_and_temperature_is_left_to_the_provider(server: FakeOpenAI, asking: Build) -> None:
    schema = {"title": "Greeting card", "type": "object", "properties": {"text": {"type": "string"}}}
    ask(asking, answer_schema=schema)
    sent = server.seen[0]
    assert sent["response_format"]["json_schema"] == {"name": "Greeting_card", "schema": schema, "strict": False}
    assert "temperature" not in sent


ROWS = [
    # reply, what the error calls it, error class, requests made of 4 allowed
    (fake.RATE_LIMITED, "rate limit (429)", TransientFailure, 4),
    (fake.QUOTA, "quota used up (429)", ActionFailed, 1),
    (fake.SERVER_ERROR, "server error (500)", TransientFailure, 4),
    (fake.OVERLOADED, "overloaded (503)", TransientFailure, 4),
    (fake.OVERLOADED_529, "overloaded (529)", TransientFailure, 4),
    (fake.UNAUTHORIZED, "authentication failed (401)", ActionFailed, 1),
    (fake.PAYMENT, "payment required (402)", ActionFailed, 1),
    (fake.FORBIDDEN, "permission denied (403)", ActionFailed, 1),
    (fake.NOT_FOUND, "no such model or endpoint (404)", ActionFailed, 1),
    (fake.BAD_REQUEST, "bad request (400)", ActionFailed, 1),
    (fake.UNPROCESSABLE, "bad request (422)", ActionFailed, 1),
    (fake.TOO_LONG, "prompt exceeds the context window (400)", ActionFailed, 1),
    (fake.POLICY, "refused by content policy (400)", ActionFailed, 1),
    (fake.MALFORMED, "unreadable reply", TransientFailure, 2),
    (fake.HTML, "unreadable reply", TransientFailure, 2),
    (fake.NO_CHOICES, "empty reply (200)", TransientFailure, 2),
    (fake.EMPTY_TEXT, "empty reply (200)", TransientFailure, 2),
    (fake.FILTERED, "refused by content policy (200)", ActionFailed, 1),
    (fake.REFUSED, "the model refused (200)", ActionFailed, 1),
    (fake.DROP, "connection lost", TransientFailure, 4),
]


@pytest.mark.parametrize(
    ("reply", "name", "error", "requests"), ROWS, ids=[str(row[0].error or row[1] or "dropped") for row in ROWS]
)
def test_each_kind_of_failure_is_classified(
    server: FakeOpenAI, asking: Build, reply: Reply, name: str, error: type[ZeroRepoError], requests: int
) -> None:
    server.plan = [reply]
    with pytest.raises(error) as caught:
        ask(asking)
    assert type(caught.value) is error
    text = caught.value.render()
    assert f"last cause: {name}" in text
    assert "provider litellm, model openai/test-model" in text
    assert len(server.seen) == requests
    assert CANARY not in text


def test_a_hang_ends_at_the_timeout_and_is_tried_once_more(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [fake.HANG]
    asking.settings = asking.settings.model_copy(update={"timeout_s": 0.4})
    began = time.monotonic()
    with pytest.raises(TransientFailure, match="timeout"):
        ask(asking)
    assert time.monotonic() - began < 6
    assert len(server.seen) == 2


def test_no_server_at_all_is_transient(server: FakeOpenAI, asking: Build) -> None:
    asking.settings = asking.settings.model_copy(update={"api_base": "http://127.0.0.1:9/v1"})
    with pytest.raises(TransientFailure, match="4 requests\n  last cause: connection failed"):
        ask(asking)


def test_retry_after_is_waited_for(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [fake.RATE_LIMITED, fake.OK]
    assert ask(asking).text == "hello"
    assert server.times[1] - server.times[0] >= 0.2


def test_a_long_retry_after_is_capped(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [Reply(429, error="slow down", headers={"Retry-After": "120"}), fake.OK]
    assert ask(asking).text == "hello"
    assert 0.4 < server.times[1] - server.times[0] < 5


def test_different_failures_in_a_row_are_survived(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [fake.SERVER_ERROR, fake.MALFORMED, fake.RATE_LIMITED, fake.OK]
    assert ask(asking).text == "hello"
    assert asking.meters["model_calls"] == 1


def test_a_truncated_answer_is_kept_but_marked(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [fake.TRUNCATED]
    answer = ask(asking)
    assert (answer.text, answer.finish_reason) == ("hel", "length")
    assert len(server.seen) == 1


def test_a_tier_without_a_model_is_bad_configuration(asking: Build) -> None:
    with pytest.raises(UsageError, match=r"The tier `strong` has no model"):
        ask(asking, model="strong")


def test_a_missing_key_names_its_variable(asking: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("TEST_MODEL_KEY")
    with pytest.raises(UsageError, match="`TEST_MODEL_KEY`"):
        ask(asking)


def test_a_key_written_into_the_settings_is_refused_and_not_shown(asking: Build) -> None:
    asking.settings = asking.settings.model_copy(update={"api_key": CANARY})
    with pytest.raises(UsageError, match="reference") as caught:
        ask(asking)
    assert CANARY not in caught.value.render()


def test_the_key_is_in_no_file_no_error_and_no_answer(
    server: FakeOpenAI, asking: Build, workspace: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    server.plan = [Reply(text=f"your key is {CANARY}")]
    texts = [ask(asking).text]
    for number, reply in enumerate(
        (fake.UNAUTHORIZED, Reply(500, error="trace: {key}"), Reply(text=None, refusal=CANARY))
    ):
        server.plan = [reply]
        with pytest.raises(ZeroRepoError) as caught:
            ask(asking, f"attempt {number}")
        error: BaseException | None = caught.value
        while error is not None:
            texts += [repr(error), str(error)]
            error = error.__cause__ or (None if error.__suppress_context__ else error.__context__)
    files = [path.read_bytes() for path in workspace.rglob("*") if path.is_file()]
    out, err = capfd.readouterr()
    texts += [*asking.progress, out, err]
    assert len(files) >= 2
    assert not [text for text in texts if CANARY in text]
    assert not [data for data in files if CANARY.encode() in data]
    assert "[redacted]" in texts[0]
    assert out == ""


def test_cancelling_the_build_closes_the_request(server: FakeOpenAI, asking: Build) -> None:
    server.plan = [fake.HANG]

    async def go() -> None:
        task = asyncio.ensure_future(asking.execute(ask_model(model="openai/test-model")))
        await until(lambda: server.seen)
        task.cancel()
        began = time.monotonic()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert time.monotonic() - began < 1
        await asking.close()

    asyncio.run(go())
    assert len(server.seen) == 1


def test_retry_after_may_be_seconds_milliseconds_or_a_date() -> None:
    assert parse_retry_after({"retry-after": "2.5"}) == 2.5
    assert parse_retry_after({"retry-after-ms": "250"}) == 0.25
    assert parse_retry_after({"retry-after": "Wed, 21 Oct 2015 07:28:00 GMT"}) == 0.0
    assert parse_retry_after({"retry-after": "soon"}) is None
    assert parse_retry_after({}) is None
