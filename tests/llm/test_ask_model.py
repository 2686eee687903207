"""``AskModel``: what its key sees, and in which order journal and provider are asked."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Sequence
from typing import Any

import pytest
from pydantic import ValidationError

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import ActionFailed, EnvironmentFailure, TransientFailure, UsageError
from zerorepo.label import parse_label
from zerorepo_llm import faults
from zerorepo_llm.action import Answer, AskModel, Message
from zerorepo_llm.faults import ModelFault
from zerorepo_llm.journal import Entry, Journal
from zerorepo_llm.ledger import Ledger
from zerorepo_llm.settings import LLMSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider

from .fakes import ActionContextFake, Build, ask_model

FAST = LLMSettings(retry_base_s=0.0)


def key(action: AskModel) -> str:
    return key_of(action, DigestFunction.XXH3).hex


@pytest.mark.parametrize(
    "change",
    [
        {"model": "other"},
        {"messages": (Message(role="user", content="Say hello."),)},
        {"answer_schema": {"type": "object"}},
        {"temperature": 0.5},
        {"max_tokens": 101},
        {"sample": 1},
    ],
    ids=lambda change: next(iter(change)),
)
def test_what_shapes_the_answer_is_in_the_key(change: dict[str, object]) -> None:
    assert key(ask_model(**change)) != key(ask_model())


@pytest.mark.parametrize("change", [{"purpose": "other"}, {"tier": "cheap"}, {"expects": "python"}])
def test_what_does_not_is_not_in_the_key(change: dict[str, object]) -> None:
    assert key(ask_model(**change)) == key(ask_model())


def test_the_key_does_not_change_between_versions() -> None:
    # Recorded transcripts depend on it. If this fails, raise AskModel.key_version on purpose and record again.
    assert key(ask_model()) == "f2e075489833da83ce0d3e9956a0323e"


def test_settings_identity_is_models_and_sampling_only() -> None:
    def digest(**fields: object) -> str:
        return key_of(LLMSettings.model_validate(fields), DigestFunction.XXH3).hex

    assert (
        digest(provider="desk", api_key="env:X", attempts=2, timeout_s=1, transcripts=["a"], api_base="b") == digest()
    )
    assert digest(tiers={"strong": "openai/x"}) != digest()
    assert digest(temperature=0) != digest()


async def _ask_twice(build: Build) -> list[Answer]:
    return [await build.execute(ask_model()), await build.execute(ask_model())]


def test_an_answer_in_the_journal_is_not_asked_for_again(build: Build) -> None:
    with use_provider(ScriptedProvider(["hello"])) as provider:
        first, second = asyncio.run(_ask_twice(build))
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 1
    assert first == second
    assert build.meters["model_calls"] == 1
    assert build.meters["completion_tokens"] == 1


def test_the_journal_file_is_there_before_the_answer_is_returned(build: Build) -> None:
    action = ask_model()

    class DiesAfterwards(ActionContextFake):
        def meter(self, **amounts: float) -> None:
            raise KeyboardInterrupt

    async def go() -> None:
        await action.execute(DiesAfterwards(build, parse_label("//app:thing"), key_of(action, build.function)))

    with use_provider(ScriptedProvider(["hello"])), pytest.raises(KeyboardInterrupt):
        asyncio.run(go())
    entry = Journal(build.state_dir).get(key(action))
    assert entry is not None
    assert entry.text == "hello"


def test_an_answer_that_arrives_while_the_build_is_being_stopped_is_kept(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    original = Journal.put_all
    loop_task: list[asyncio.Task[object]] = []

    def put_all(self: Journal, entries: Sequence[Entry], **options: Any) -> list[Entry | Exception]:
        if loop_task:
            task = loop_task.pop()
            task.get_loop().call_soon_threadsafe(task.cancel)
        return original(self, entries, **options)

    async def go() -> None:
        task = asyncio.ensure_future(build.execute(ask_model()))
        loop_task.append(task)
        with pytest.raises(asyncio.CancelledError):
            await task

    monkeypatch.setattr(Journal, "put_all", put_all)
    with use_provider(ScriptedProvider(["hello"])):
        asyncio.run(go())
    assert Journal(build.state_dir).keys() == [key(ask_model())]


def test_two_builds_that_ask_the_same_at_once_pay_once(build: Build) -> None:
    other = Build(build.workspace)

    async def go() -> list[Answer]:
        return list(await asyncio.gather(build.execute(ask_model()), other.execute(ask_model())))

    with use_provider(ScriptedProvider(["hello"], latency_s=0.2)) as provider:
        first, second = asyncio.run(go())
    assert isinstance(provider, ScriptedProvider)
    assert (provider.calls, first.text, second.text) == (1, "hello", "hello")
    left = {path.name: path.stat().st_size for path in Journal(build.state_dir).folder.iterdir()}
    assert left.keys() - {".unsynced"} == {".locks", f"{key(ask_model())}.json"}
    assert left[".locks"] == 0


def test_a_damaged_journal_file_is_an_error_not_a_second_payment(build: Build) -> None:
    with use_provider(ScriptedProvider(["hello"])) as provider:
        asyncio.run(build.execute(ask_model()))
        path = Journal(build.state_dir).path(key(ask_model()))
        path.write_text(path.read_text().replace("Say hello.", "Say goodbye."))
        with pytest.raises(EnvironmentFailure, match="does not belong to its content"):
            asyncio.run(build.execute(ask_model()))
        path.write_text("{")
        with pytest.raises(EnvironmentFailure, match="delete this file"):
            asyncio.run(build.execute(ask_model()))
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 1


def test_with_no_provider_three_lines_name_the_choices(build: Build) -> None:
    with pytest.raises(UsageError) as caught:
        asyncio.run(build.execute(ask_model()))
    lines = caught.value.render().splitlines()
    assert len(lines) == 3
    for line, choice in zip(lines, ("litellm", "replay", "desk"), strict=True):
        assert f'provider = "{choice}"' in line
        assert len(line) < 160


def test_an_unknown_provider_suggests_the_nearest() -> None:
    with pytest.raises(ValidationError, match="did you mean `replay`"):
        LLMSettings(provider="repley")


def test_a_third_party_provider_is_found_by_import_path(build: Build) -> None:
    build.settings = LLMSettings(provider=f"{__package__}.third_party_provider:make")
    answer = asyncio.run(build.execute(ask_model()))
    assert answer.text == "from a third party"


def test_a_third_party_provider_that_cannot_be_imported_is_bad_configuration(build: Build) -> None:
    build.settings = LLMSettings(provider="no_such_module:make")
    with pytest.raises(UsageError, match="Cannot load the provider `no_such_module:make`"):
        asyncio.run(build.execute(ask_model()))


def test_a_retryable_fault_is_asked_again_until_it_works(build: Build) -> None:
    build.settings = FAST
    script = [ModelFault(faults.RATE_LIMIT), ModelFault(faults.SERVER_ERROR), "hello"]
    with use_provider(ScriptedProvider(script)) as provider:
        assert asyncio.run(build.execute(ask_model())).text == "hello"
    assert isinstance(provider, ScriptedProvider)
    assert provider.calls == 3
    assert build.meters["model_calls"] == 1
    assert any("rate limit; request 2" in line for line in build.progress)


def test_a_retryable_fault_that_stays_is_transient_and_names_everything(build: Build) -> None:
    build.settings = FAST
    busy = ScriptedProvider(lambda request: ModelFault(faults.OVERLOADED, "come back later", status=529))
    with use_provider(busy), pytest.raises(TransientFailure) as caught:
        asyncio.run(build.execute(ask_model(model="openai/x")))
    text = caught.value.render()
    for part in (
        "//app:thing",
        "greet",
        "provider scripted",
        "model openai/x",
        "4 requests",
        "overloaded (529): come back later",
    ):
        assert part in text
    assert Journal(build.state_dir).keys() == []


def test_a_fatal_fault_is_not_asked_again(build: Build) -> None:
    provider = ScriptedProvider([ModelFault(faults.AUTHENTICATION, "bad key", status=401)])
    with use_provider(provider), pytest.raises(ActionFailed, match="1 request"):
        asyncio.run(build.execute(ask_model()))
    assert provider.calls == 1


def test_a_prompt_that_holds_a_key_of_the_environment_is_not_sent(
    build: Build, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SOME_API_KEY", "sk-canary-0123456789")
    provider = ScriptedProvider(["hello"])
    with (
        use_provider(provider),
        pytest.raises(UsageError, match=r"the key of env:SOME_API_KEY, in line 1 of") as caught,
    ):
        asyncio.run(build.execute(ask_model("Use sk-canary-0123456789 please")))
    assert provider.calls == 0
    assert "canary" not in caught.value.render()


def test_limited_providers_keep_to_the_configured_concurrency(build: Build) -> None:
    build.settings = LLMSettings(concurrency=3)
    running, most = 0, 0

    class Counting(ScriptedProvider):
        async def ask(self, request: object) -> Answer:
            nonlocal running, most
            running += 1
            most = max(most, running)
            await asyncio.sleep(0.01)
            running -= 1
            return Answer(text="x")

    async def go() -> None:
        await asyncio.gather(*(build.execute(ask_model(f"number {i}")) for i in range(12)))

    with use_provider(Counting([], limited=True)):
        asyncio.run(go())
    assert most == 3


def test_a_journal_file_is_readable_json_with_everything_that_was_asked(build: Build) -> None:
    with use_provider(ScriptedProvider(["hello"])):
        asyncio.run(build.execute(ask_model()))
    stored = json.loads(Journal(build.state_dir).path(key(ask_model())).read_text())
    assert stored["target"] == "//app:thing"
    assert stored["messages"][1] == {"role": "user", "content": "Say hello."}
    assert stored["usage"]["completion_tokens"] == 1


def test_finding_the_rule_set_and_its_settings_imports_nothing_heavy() -> None:
    code = (
        "import sys, zerorepo_llm.register, zerorepo_llm.settings, zerorepo_llm.ask, zerorepo_llm.service\n"
        "heavy = {'litellm', 'jinja2', 'jsonschema', 'openai', 'httpx', 'typer'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=30)


def test_an_answer_whose_build_died_before_its_books_were_written_is_booked_by_the_next(build: Build) -> None:
    with use_provider(ScriptedProvider(["hello"])):
        asyncio.run(build.execute(ask_model()))  # and is never closed
    assert list(Ledger(build.state_dir).calls()) == []
    next_build = Build(build.workspace)
    for _ in range(2):
        asyncio.run(next_build.execute(ask_model(), "//app:other"))
    asyncio.run(next_build.close())
    (call,) = Ledger(build.state_dir).calls()
    assert (call.outcome, call.key, call.requests) == ("answered", key(ask_model()), 1)
    assert call.at == pytest.approx(Journal(build.state_dir).path(call.key).stat().st_mtime)
    (reuse,) = Ledger(build.state_dir).reuses()
    assert reuse.times == 2
