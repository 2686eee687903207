"""What ``zerorepo doctor`` finds out about models, without asking one."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from zerorepo.checks import Health
from zerorepo_llm.doctor import check
from zerorepo_llm.providers.facts import known
from zerorepo_llm.settings import LLMSettings

KEY = "sk-canary-of-the-doctor"


class Context:
    """See ``zerorepo.checks.CheckContext``."""

    def __init__(self, workspace: Path, **settings: Any) -> None:
        self.workspace = workspace
        self.state_dir = workspace / ".zerorepo"
        self._settings = LLMSettings(**settings)

    def settings(self, section: str, model: type[Any]) -> Any:
        assert (section, model) == ("llm", LLMSettings)
        return self._settings


class Server(ThreadingHTTPServer):
    """Counts what it is asked for; takes one key."""

    asked: list[str]


class _Handler(BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        self.send_response(200 if self.headers["Authorization"] == f"Bearer {KEY}" else 401)
        self.end_headers()

    def do_POST(self) -> None:
        self.server.asked.append("POST")

    def log_message(self, *arguments: Any) -> None: ...


@pytest.fixture
def server() -> Iterator[Server]:
    made = Server(("127.0.0.1", 0), _Handler)
    made.asked = []
    thread = threading.Thread(target=made.serve_forever)
    thread.start()
    yield made
    made.shutdown()
    thread.join()
    made.server_close()


def litellm(server: Server, **more: Any) -> dict[str, Any]:
    tiers = dict.fromkeys(("cheap", "medium", "strong"), "openai/some-model")
    return {"provider": "litellm", "api_base": f"http://127.0.0.1:{server.server_port}/v1", "tiers": tiers, **more}


def look(tmp_path: Path, **settings: Any) -> dict[str, tuple[Health, str]]:
    found = asyncio.run(check(Context(tmp_path, **settings)))
    assert not any(KEY in each.found + each.fix for each in found)
    return {each.part: (each.health, each.found) for each in found}


def test_no_provider_is_a_warning_and_says_what_to_write(tmp_path):
    assert look(tmp_path)["provider"] == (Health.WARN, "none is configured")


def test_recorded_answers_that_are_not_there_are_a_failure(tmp_path):
    (tmp_path / "here.jsonl").write_text("")
    found = asyncio.run(check(Context(tmp_path, provider="replay", transcripts=("here.jsonl", "gone.jsonl"))))
    assert [each.health for each in found] == [Health.OK, Health.OK, Health.FAIL]
    assert "gone.jsonl" in found[2].found


def test_a_key_that_is_taken_is_found_out_by_listing_models_and_nothing_else(tmp_path, server, monkeypatch):
    monkeypatch.setenv("DOCTORS_KEY", KEY)
    found = look(tmp_path, **litellm(server, api_key="env:DOCTORS_KEY"))
    assert found["key"] == (Health.OK, "present")
    assert found["model openai/some-model"][0] is Health.OK and "takes the key" in found["model openai/some-model"][1]
    assert server.asked == ["/v1/models"]


def test_a_key_that_is_refused_or_missing_is_a_failure(tmp_path, server, monkeypatch):
    monkeypatch.setenv("DOCTORS_KEY", "sk-another-one-than-that")
    health, said = look(tmp_path, **litellm(server, api_key="env:DOCTORS_KEY"))["model openai/some-model"]
    assert health is Health.FAIL and "refuses the key (401)" in said
    monkeypatch.delenv("DOCTORS_KEY")
    assert look(tmp_path, **litellm(server, api_key="env:DOCTORS_KEY"))["key"][0] is Health.FAIL


def test_an_endpoint_that_does_not_answer_is_a_failure(tmp_path, server):
    settings = litellm(server)
    server.shutdown()
    server.server_close()
    health, said = look(tmp_path, **settings)["model openai/some-model"]
    assert health is Health.FAIL and "cannot be reached" in said


def test_a_key_that_litellm_would_look_for_is_named(tmp_path, monkeypatch):
    monkeypatch.delenv("ANTHROPIC_API_KEY", raising=False)
    tiers = dict.fromkeys(("cheap", "medium", "strong"), "anthropic/claude-sonnet-4-5")
    found = asyncio.run(check(Context(tmp_path, provider="litellm", tiers=tiers)))
    assert [each.health for each in found] == [Health.OK, Health.FAIL]
    assert "ANTHROPIC_API_KEY" in found[1].found and "ANTHROPIC_API_KEY" in found[1].fix


def test_tiers_without_a_model_are_a_failure(tmp_path):
    found = look(tmp_path, provider="litellm")
    assert {part: health for part, (health, _) in found.items()} == {
        "provider": Health.OK,
        "model cheap": Health.FAIL,
        "model medium": Health.FAIL,
        "model strong": Health.FAIL,
    }


def test_fallbacks_and_models_of_single_rules_are_looked_at_with_their_own_providers_keys(
    tmp_path, server, monkeypatch
):
    monkeypatch.setenv("LAB_KEY", KEY)
    lab = {"api_base": f"http://127.0.0.1:{server.server_port}/v1", "api_key": "env:LAB_KEY", "kind": "openai"}
    found = look(
        tmp_path,
        provider="litellm",
        api_key="env:MISSING_KEY",
        tiers={**dict.fromkeys(("cheap", "strong"), "lab/small"), "medium": ["lab/small", "lab/large"]},
        rules={"node_code": {"strong": "nowhere-at-all/m"}},
        providers={"lab": lab},
    )
    assert found["key of lab"] == (Health.OK, "present")
    assert found["key"][0] is Health.FAIL
    assert "takes the key" in found["model lab/small"][1]
    assert "takes the key" in found["model lab/large"][1]
    assert found["model nowhere-at-all/m"][0] is Health.FAIL
    assert "litellm does not know it" in found["model nowhere-at-all/m"][1]


def test_the_process_that_loads_litellm_gets_no_key_and_ends_with_whoever_waits(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    started: list[asyncio.subprocess.Process] = []
    environments: list[dict[str, str]] = []
    start = asyncio.create_subprocess_exec

    async def spied(*command: str, **options: Any) -> asyncio.subprocess.Process:
        environments.append(options["env"])
        started.append(await start(*command, **options))
        return started[-1]

    monkeypatch.setattr(asyncio, "create_subprocess_exec", spied)

    async def go() -> None:
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(known({"openai/m": ("openai/m", None)}), 0.3)

    asyncio.run(go())
    (process,), (environment,) = started, environments
    assert process.returncode == -9
    assert "OPENAI_API_KEY" not in environment and KEY not in environment.values()
