"""``zerorepo cost``: sums are exact, whatever they are summed by and however many wrote them down."""

from __future__ import annotations

import csv
import io
import json
import random
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from zerorepo.errors import UsageError
from zerorepo_llm.cost_command import Row, cost
from zerorepo_llm.ledger import Call, Ledger, Reuse

APP = typer.Typer()
APP.command()(cost)
DAY_S = 86_400


@pytest.fixture
def ledger(workspace: Path, monkeypatch: pytest.MonkeyPatch) -> Ledger:
    monkeypatch.chdir(workspace)
    return Ledger(workspace / ".zerorepo")


def run(*arguments: str) -> Result:
    result = CliRunner().invoke(APP, list(arguments))
    if isinstance(result.exception, UsageError):
        raise result.exception
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def as_json(*arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run("--json", *arguments).stdout)
    return found


def call(target: str = "//auth:login", **more: Any) -> Call:
    at = more.pop("at", time.time())
    day = time.strftime("%Y-%m-%d", time.gmtime(at))
    fields: dict[str, Any] = {
        "build": "b",
        "outcome": "answered",
        "key": "k",
        "module": target[2:].partition(":")[0],
        "stage": "node_code",
        "model": "openai/x",
        "requests": 1,
        "prompt_tokens": 100,
        "completion_tokens": 10,
        "cost_nusd": 1_000_000,
    }
    return Call(at=at, day=day, target=target, **{**fields, **more})


def reuse(target: str, times: int, cost_nusd: int, key: str = "k") -> Reuse:
    module = target[2:].partition(":")[0]
    return Reuse(key, target, module, "node_code", "openai/x", times, time.time(), 100, 10, cost_nusd)


def test_nothing_was_asked_yet(ledger: Ledger) -> None:
    result = run()
    assert (result.stdout, "Nothing has been asked yet." in result.stderr) == ("", True)
    assert as_json()["rows"] == []
    assert run("--csv").stdout.startswith("target,calls,")
    assert not ledger.path.exists()


def test_a_table_shows_money_and_what_the_cache_saved(ledger: Ledger) -> None:
    ledger.record(call(cached_tokens=40, reasoning_tokens=4))
    ledger.record(call("//auth:logout", cost_nusd=3_000_000))
    ledger.reused(reuse("//auth:login", 7, 1_000_000))
    lines = run().stdout.splitlines()
    assert lines[0].split("  ")[0] == "target"
    assert lines[2].split() == ["//auth:logout", "1", "100", "-", "10", "-", "$0.0030", "-", "-"]
    assert lines[3].split() == ["//auth:login", "1", "100", "40", "10", "4", "$0.0010", "7", "$0.0070"]
    assert lines[5].split() == ["total", "2", "200", "40", "20", "4", "$0.0040", "7", "$0.0070"]


@pytest.mark.parametrize("by", ["target", "stage", "module", "model", "day"])
def test_sums_by_anything_add_up_to_the_whole(ledger: Ledger, by: str) -> None:
    chance = random.Random(7)
    calls = [
        call(
            f"//m{chance.randrange(3)}:t{chance.randrange(5)}",
            at=time.time() - chance.randrange(5) * DAY_S,
            stage=chance.choice(["node_code", "node_tests"]),
            model=chance.choice(["openai/x", "anthropic/y"]),
            outcome=chance.choice(["answered", "answered", "recorded", "failed"]),
            prompt_tokens=chance.randrange(10_000),
            completion_tokens=chance.randrange(1_000),
            cost_nusd=chance.choice([None, chance.randrange(10**9)]),
            wasted_nusd=chance.randrange(1000),
        )
        for _ in range(300)
    ]
    for each in calls:
        ledger.record(each)
    body = as_json("--by", by)
    paid = [each for each in calls if each.outcome != "recorded"]
    expected = sum(each.cost_nusd or 0 for each in paid) + sum(each.wasted_nusd for each in calls)
    assert body["total"]["spent_nusd"] == expected == sum(row["spent_nusd"] for row in body["rows"])
    for name in Row().to_json():
        if not name.endswith("_usd"):
            assert body["total"][name] == sum(row[name] for row in body["rows"]), name
    assert {row[by] for row in body["rows"]} == {getattr(each, by) for each in calls}
    for row in body["rows"]:
        mine = [each for each in paid if getattr(each, by) == row[by]]
        assert row["prompt_tokens"] == sum(each.prompt_tokens for each in mine)
    assert body["total"]["prompt_tokens"] == ledger.sums()[0].prompt_tokens
    assert body["total"]["spent_nusd"] == ledger.sums()[0].spent_nusd


def test_thirty_two_threads_write_and_the_sum_is_exact(ledger: Ledger) -> None:
    def write(number: int) -> None:
        for index in range(1000):
            ledger.record(call(f"//m{number}:t", cost_nusd=number * 1000 + index, prompt_tokens=index))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    body = as_json("--by", "module")
    assert body["total"]["calls"] == 32_000
    assert body["total"]["spent_nusd"] == sum(n * 1000 + i for n in range(32) for i in range(1000))
    assert body["total"]["prompt_tokens"] == 32 * sum(range(1000))
    assert len(body["rows"]) == 32


def test_patterns_choose_and_take_away(ledger: Ledger) -> None:
    for target in ("//auth:login", "//auth:logout", "//auth/web:page", "//shop:cart", "//:root"):
        ledger.record(call(target))
        ledger.reused(reuse(target, 1, 5, key=target))
    targets: Callable[..., list[str]] = lambda *args: sorted(row["target"] for row in as_json(*args)["rows"])  # noqa: E731
    assert targets("//auth/...") == ["//auth/web:page", "//auth:login", "//auth:logout"]
    assert targets("//auth:all") == ["//auth:login", "//auth:logout"]
    assert targets("//auth:login") == ["//auth:login"]
    assert targets("--", "-//auth:login", "//auth:all") == ["//auth:logout"]
    assert len(targets()) == 5
    assert as_json("//auth:login")["total"]["saved_nusd"] == 5
    with pytest.raises(UsageError):
        run("//auth::x")


def test_several_groups_at_once_and_a_day_at_a_time(ledger: Ledger) -> None:
    now = time.time()
    for days in (0, 1, 1, 9):
        ledger.record(call(at=now - days * DAY_S))
    ledger.record(call(model="anthropic/y"))
    rows = as_json("--by", "model", "--by", "target")["rows"]
    assert [(row["model"], row["calls"]) for row in rows] == [("openai/x", 4), ("anthropic/y", 1)]
    days = [row["day"] for row in as_json("--by", "day")["rows"]]
    assert days == sorted(days)
    assert len(days) == 3


def test_since_is_a_date_or_a_span(ledger: Ledger) -> None:
    now = time.time()
    for days in (0, 3, 40):
        ledger.record(call(at=now - days * DAY_S))
    ledger.reused(reuse("//auth:login", 2, 5))
    count: Callable[[str], int] = lambda since: as_json("--since", since)["total"]["calls"]  # noqa: E731
    assert [count("90min"), count("2d"), count("1w"), count("8w"), count("2001-01-01")] == [1, 1, 2, 3, 3]
    assert count(time.strftime("%Y-%m-%d", time.gmtime(now))) == 1
    since = as_json("--since", "1w")
    assert (since["total"]["reuses"], since["reuses_counted"]) == (0, False)
    assert "leave out --since" in run("--since", "1w").stderr
    with pytest.raises(UsageError, match="how long ago"):
        run("--since", "yesterday")


def test_csv_has_a_head_and_exact_numbers(ledger: Ledger) -> None:
    ledger.record(call('//auth:a,"b"', cost_nusd=123_456_789))
    ledger.record(call("//auth:c", cost_nusd=1))
    rows = list(csv.DictReader(io.StringIO(run("--csv").stdout)))
    assert [(row["target"], row["spent_nusd"]) for row in rows] == [('//auth:a,"b"', "123456789"), ("//auth:c", "1")]
    assert rows[1]["spent_usd"] == "1e-09"
    with pytest.raises(UsageError, match="exclude each other"):
        run("--csv", "--json")


def test_what_is_not_known_is_said(ledger: Ledger) -> None:
    ledger.record(call(cost_nusd=None))
    ledger.record(call(outcome="recorded", cost_nusd=5))
    ledger.record(call(outcome="failed", cost_nusd=0, uncertain_nusd=2_000_000))
    said = run().stderr
    assert "1 answer not counted in `spent`" in said
    assert "1 call answered by recordings or people cost nothing" in said
    assert "1 call brought no answer" in said
    assert "At most $0.0020 more" in said
    assert as_json()["total"]["spent_nusd"] == 0


def test_an_unknown_group_is_refused_with_the_choices(ledger: Ledger) -> None:
    result = CliRunner().invoke(APP, ["--by", "tarhet"])
    assert result.exit_code == 2
    assert "target" in result.output
