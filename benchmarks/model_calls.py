"""Asking models: our call path beside bare litellm, the bare ``openai`` client and bare httpx, against one local server.

Each client runs in a process of its own, in turn, so that noise of the machine meets all alike; CPU is that process's own.
``storm`` asks through our path alone, while the server fails in every way.
"""

from __future__ import annotations

import asyncio
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from benchmarks.harness import table
from benchmarks.model_server import COMPLETION_TOKENS, PROMPT_TOKENS, Mode, Server, running

PROMPT = "Lorem ipsum dolor sit amet, consectetur adipiscing elit. " * 28  # about 1.6 kB
SYSTEM = "Answer in one word."
CLIENTS = ("ours", "litellm", "openai", "httpx")
INPUT_USD, OUTPUT_USD = 2.0, 8.0
"""US dollars for a million tokens: a price of ours, so that budgets can be checked to the cent."""


def messages(number: int) -> list[dict[str, str]]:
    """Of one question."""
    return [{"role": "system", "content": SYSTEM}, {"role": "user", "content": f"{number} {PROMPT}"}]


Ask = Callable[[int], Awaitable[None]]


async def timed(ask: Ask, calls: int, concurrency: int) -> dict[str, float]:
    """Wall and CPU seconds of ``calls`` questions, ``concurrency`` at once; a few before, that do not count."""
    gate = asyncio.Semaphore(concurrency)

    async def one(number: int) -> None:
        async with gate:
            await ask(number)

    await asyncio.gather(*(one(-1 - number) for number in range(min(concurrency, 20))))
    before, began = resource.getrusage(resource.RUSAGE_SELF), time.perf_counter()
    await asyncio.gather(*(one(number) for number in range(calls)))
    wall, after = time.perf_counter() - began, resource.getrusage(resource.RUSAGE_SELF)
    cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    return {"wall_s": wall, "cpu_s": cpu}


# --- the clients; each imports what it needs and nothing else


async def client_ours(base_url: str, calls: int, concurrency: int) -> dict[str, float]:
    """``AskModel`` executed as the engine's executor does it, with journal, ledger, budget and limits, in a process that is set
    up as that of a build is.
    """
    from zerorepo.cli.build_cmd import collect_less

    collect_less()
    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), base_url, {"concurrency": concurrency, "budget": {"build_usd": 1000.0}})
        await place.ask(-1000)

        async def ask(number: int) -> None:
            assert (await place.ask(number)).text == "hello"

        try:
            return await timed(ask, calls, concurrency)
        finally:
            await place.close()


async def client_litellm(base_url: str, calls: int, concurrency: int) -> dict[str, float]:
    """``litellm.acompletion`` alone, with its own defaults but for its look into the network at import."""
    os.environ["LITELLM_LOCAL_MODEL_COST_MAP"] = "True"
    import litellm

    async def ask(number: int) -> None:
        reply = await litellm.acompletion(
            model="openai/bench", messages=messages(number), max_tokens=100, api_base=base_url, api_key="k",
            max_retries=0, num_retries=0, timeout=60, stream=False,
        )  # fmt: skip
        assert reply.choices[0].message.content == "hello"

    try:
        return await timed(ask, calls, concurrency)
    finally:
        await litellm.close_litellm_async_clients()


async def client_openai(base_url: str, calls: int, concurrency: int) -> dict[str, float]:
    """The ``openai`` package's async client."""
    from openai import AsyncOpenAI

    async with AsyncOpenAI(base_url=base_url, api_key="k", max_retries=0, timeout=60) as client:

        async def ask(number: int) -> None:
            reply = await client.chat.completions.create(model="bench", messages=messages(number), max_tokens=100)  # type: ignore[arg-type]
            assert reply.choices[0].message.content == "hello"

        return await timed(ask, calls, concurrency)


async def client_httpx(base_url: str, calls: int, concurrency: int) -> dict[str, float]:
    """httpx alone."""
    import httpx

    limits = httpx.Limits(max_connections=200, max_keepalive_connections=200)
    async with httpx.AsyncClient(timeout=60, limits=limits, headers={"Authorization": "Bearer k"}) as client:

        async def ask(number: int) -> None:
            body = {"model": "bench", "messages": messages(number), "max_tokens": 100}
            reply = await client.post(f"{base_url}/chat/completions", json=body)
            assert reply.json()["choices"][0]["message"]["content"] == "hello"

        return await timed(ask, calls, concurrency)


class Place:
    """A workspace folder without an engine: runs ``AskModel`` and keeps the services, as one build does."""

    def __init__(self, folder: Path, base_url: str, llm: dict[str, Any]) -> None:
        from zerorepo_llm.settings import LLMSettings

        self.workspace, self.state_dir = folder, folder / ".zerorepo"
        price = {"input_usd": INPUT_USD, "output_usd": OUTPUT_USD, "context_window": 1_000_000}
        given = {"provider": "litellm", "api_base": base_url, "api_key": "env:BENCH_KEY", "timeout_s": 60}
        self._settings = LLMSettings.model_validate({**given, "models": {"openai/bench": price}, **llm})
        self._services: dict[type, Any] = {}
        self.meters: dict[str, float] = {}

    async def ask(self, number: int) -> Any:
        from zerorepo.action_key import key_of
        from zerorepo.digest import DigestFunction
        from zerorepo.label import Label
        from zerorepo_llm.action import AskModel, Message

        action = AskModel(
            model="openai/bench", messages=tuple(Message(**each) for each in messages(number)), max_tokens=100
        )
        key = key_of(action, DigestFunction.XXH3)
        return await action.execute(Context(self, Label("bench", f"t{number}"), key))

    async def close(self) -> None:
        for service in self._services.values():
            await service.close()


class Context:
    """An ``ActionContext`` that does what the engine's does, without events."""

    refreshing = False

    def __init__(self, place: Place, label: Any, key: Any) -> None:
        self._place, self.label, self.key = place, label, key
        self.workspace, self.state_dir = place.workspace, place.state_dir

    def read(self, digest: Any) -> bytes:
        raise NotImplementedError

    def write(self, data: bytes) -> Any:
        raise NotImplementedError

    def settings(self, section: str, model: Any) -> Any:
        return self._place._settings

    def option(self, name: str) -> Any:
        return None

    async def service(self, service: Any) -> Any:
        if service not in self._place._services:
            self._place._services[service] = await service.open(self)
        return self._place._services[service]

    def progress(self, text: str) -> None:
        pass

    def meter(self, **amounts: float) -> None:
        meters = self._place.meters
        for name, amount in amounts.items():
            meters[name] = meters.get(name, 0) + amount


# --- the storm

STORM = Mode(latency_s=0.02, rate_limited=0.3, retry_after_s=0.5, server_error=0.1, hanging=0.05, malformed=0.05)
STORM_LLM = {
    "concurrency": 50, "timeout_s": 3.0,
    "attempts": 12, "careful_attempts": 12, "retry_base_s": 0.2, "retry_cap_s": 2.0, "deadline_s": 120.0,
}  # fmt: skip


async def client_storm(base_url: str, calls: int, concurrency: int) -> dict[str, float]:
    """``calls`` questions through our path while the server fails; what was answered, spent and counted."""
    from zerorepo_llm.accounts import Accounts
    from zerorepo_llm.ledger import Ledger

    with tempfile.TemporaryDirectory() as folder:
        place = Place(Path(folder), base_url, {**STORM_LLM, "budget": {"build_usd": 1000.0}})
        began = time.perf_counter()
        found = await asyncio.gather(*(place.ask(number) for number in range(calls)), return_exceptions=True)
        wall = time.perf_counter() - began
        await place.close()
        (total,) = Ledger(place.state_dir).sums()
        spent = Accounts(place.state_dir / "llm" / "accounts.sqlite").total("workspace").spent
        for error in [each for each in found if isinstance(each, BaseException)][:3]:
            print(error, file=sys.stderr)
        return {
            "wall_s": wall,
            "answered": sum(not isinstance(each, BaseException) for each in found),
            "requests": total.requests,
            "spent_nusd": total.spent_nusd,
            "uncertain_nusd": total.uncertain_nusd,
            "counted_nusd": spent.nusd,
            "circuit_open": place.meters.get("circuit_open", 0),
        }


# --- running them


def client(name: str, server: Server, calls: int, concurrency: int) -> dict[str, float]:
    """One run of one client in a process of its own."""
    command = [sys.executable, "-m", "benchmarks.model_calls", name, server.base_url, str(calls), str(concurrency)]
    ended = subprocess.run(
        command, env={**os.environ, "BENCH_KEY": "bench-key-123"}, stdout=subprocess.PIPE, check=True, timeout=900
    )
    found: dict[str, float] = json.loads(ended.stdout.splitlines()[-1])
    return found


def compare(server: Server, latency_s: float, calls: int, concurrency: int, runs: int) -> dict[str, dict[str, float]]:
    """Medians of every client, run in turn."""
    found: dict[str, list[dict[str, float]]] = {name: [] for name in CLIENTS}
    for _ in range(runs):
        for name in CLIENTS:
            server.mode(Mode(latency_s=latency_s))
            found[name].append(client(name, server, calls, concurrency))
    return {
        name: {what: statistics.median(run[what] for run in runs_) for what in runs_[0]}
        for name, runs_ in found.items()
    }


def main(quick: bool = False) -> None:
    """Measure and print."""
    runs, calls, storm = (1, 20, 20) if quick else (5, 200, 1000)
    load = os.getloadavg()[0]
    with running() as server:
        slow = compare(server, 0.5, calls, 50, runs)
        ideal = 0.5 * calls / 50
        rows = [("client", "wall", "x ideal", "x litellm", "CPU a call")]
        for name, each in slow.items():
            rows.append(
                (
                    name,
                    f"{each['wall_s']:.2f} s",
                    f"{each['wall_s'] / ideal:.2f}",
                    f"{each['wall_s'] / slow['litellm']['wall_s']:.2f}",
                    f"{each['cpu_s'] / calls * 1000:.2f} ms",
                )
            )
        table(f"{calls} calls of 500 ms, 50 at once; ideal {ideal:.1f} s; medians of {runs}; load {load:.1f}", rows)
        fast = compare(server, 0.0, calls * 5, 50, runs)
        rows = [("client", "calls/s", "CPU a call", "x litellm's CPU")]
        for name, each in fast.items():
            rows.append(
                (
                    name,
                    f"{calls * 5 / each['wall_s']:.0f}",
                    f"{each['cpu_s'] / (calls * 5) * 1000:.2f} ms",
                    f"{each['cpu_s'] / fast['litellm']['cpu_s']:.2f}",
                )
            )
        table(f"{calls * 5} calls of 0 ms, 50 at once; medians of {runs}; load {os.getloadavg()[0]:.1f}", rows)
        run_storm(server, storm)


def run_storm(server: Server, calls: int) -> None:
    """The storm, and whether it kept what is promised."""
    server.mode(STORM)
    found = client("storm", server, calls, 50)
    stats = server.stats()
    price = round((PROMPT_TOKENS * INPUT_USD + COMPLETION_TOKENS * OUTPUT_USD) * 1000)
    rows = [
        ("storm", "found", "should be"),
        ("answered", f"{found['answered']:.0f}", f"{calls}"),
        ("requests made, and as the ledger has them", f"{stats['requests']}, {found['requests']:.0f}", "equal"),
        ("answers that the server gave, for so many questions", f"{stats['paid']}, {stats['asked']}", "equal"),
        ("spent", f"${found['spent_nusd'] / 1e9:.6f}", f"${price * calls / 1e9:.6f}"),
        ("counted in the budget", f"${found['counted_nusd'] / 1e9:.6f}",
         f"${(found['spent_nusd'] + found['uncertain_nusd']) / 1e9:.6f}"),
        ("wall", f"{found['wall_s']:.1f} s", f"<= {bound_s(calls):.0f} s"),
        ("circuit opened", f"{found['circuit_open']:.0f}", ""),
    ]  # fmt: skip
    table(f"{calls} calls; 30 % 429, 10 % 500, 5 % hang, 5 % malformed ({dict(stats['kinds'])})", rows)


def bound_s(calls: int) -> float:
    """The longest that the storm may take: every request hangs for its timeout or waits the longest pause, at this concurrency,
    for as many requests as 50 % failures make of a call on average; and one call with all its attempts at the end.
    """
    llm = STORM_LLM
    one = STORM.latency_s + STORM.hanging / 1.0 * llm["timeout_s"]
    return calls * 2 * (one + 0.05) / llm["concurrency"] + llm["attempts"] * (llm["timeout_s"] + llm["retry_cap_s"])


if __name__ == "__main__":
    if len(sys.argv) > 2:
        name, base_url, calls, concurrency = sys.argv[1:5]
        print(json.dumps(asyncio.run(globals()[f"client_{name}"](base_url, int(calls), int(concurrency)))))
    else:
        main("--quick" in sys.argv)
