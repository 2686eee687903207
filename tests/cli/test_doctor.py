"""``zerorepo doctor``: every part, each within its time, and what to do; exit code 1 when something configured does not work."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from command import PLUGINS, Command

TARGETS = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a", "big"]\n'
BIG = "b" * 100_000
RULE_SET = """
import asyncio

from zerorepo.checks import Check, Finding, Health
from zerorepo.errors import EnvironmentFailure
from zerorepo.plugins import RuleSet
from zerorepo.values import Value


class Settings(Value):
    works: bool = True


async def part(context):
    works = context.settings("part", Settings).works
    return [Finding("the part", Health.OK if works else Health.FAIL, f"at [{context.workspace.name}]", "mend [it]")]


async def slow(context):
    await asyncio.sleep(60)


async def broken(context):
    raise RuntimeError("a bug")


async def missing(context):
    raise EnvironmentFailure("no such thing", hint="install it")


RULE_SET = RuleSet(
    name="parts",
    settings={"part": "parts:Settings"},
    checks={CHECKS},
)
"""


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    made = Command(tmp_path / "ws", TARGETS, {"a": "A", "big": BIG})
    made.env["DOCKER_HOST"] = "unix:///nowhere/docker.sock"
    return made


def plug(ws: Command, **checks: float) -> None:
    """A plugin with these checks, name to seconds that each may take."""
    shown = ", ".join(f'"{name}": Check("parts:{name}", limit_s={limit_s})' for name, limit_s in checks.items())
    ws.write("parts.py", RULE_SET.replace("{CHECKS}", f"{{{shown}}}"))
    ws.write("zerorepo.toml", PLUGINS.replace('"toy_rules"', '"toy_rules", "parts"') + TARGETS)


def rows(answer) -> dict[str, dict]:
    return {row["part"]: row for row in answer.json()["checks"]}


def test_disk_cache_and_every_rule_set_are_looked_at(ws):
    ws("build")
    answer = ws("doctor", "--json")
    found = rows(answer)
    assert answer.code == 0 and answer.json()["ok"]
    assert {"workspace disk", "cache disk", "cache", "tier", "provider", "docker engine"} <= set(found)
    assert found["cache"]["health"] == "ok" and "compared with their digests" in found["cache"]["found"]
    assert found["docker engine"]["health"] == "warn" and "apt-get install docker.io" in found["docker engine"]["fix"]


def test_it_changes_nothing(ws):
    def seen() -> dict[str, int]:
        return {str(path): path.stat().st_mtime_ns for path in ws.root.rglob("*") if path.is_file()}

    ws("build")
    before = seen()
    ws("doctor")
    assert seen() == before


def test_damaged_blobs_are_found_and_the_mending_command_is_named(ws):
    ws("build")
    damaged = [path for path in (ws.root / ".zerorepo/cache").rglob("blobs/??/*") if path.is_file()]
    assert damaged
    for path in damaged:
        path.chmod(0o600)
        path.write_bytes(b"other bytes")
    row = rows(ws("doctor", "--json"))["cache"]
    assert row["health"] == "warn" and "damaged" in row["found"] and "zerorepo check" in row["fix"]


def test_a_database_that_is_none_is_a_failure(ws):
    ws("build")
    (database,) = (ws.root / ".zerorepo/cache").rglob("cache.db")
    database.write_bytes(b"no database" * 1000)
    answer = ws("doctor", "--json")
    assert (answer.code, rows(answer)["cache"]["health"]) == (1, "fail")


def test_a_rule_sets_check_has_the_settings_and_its_words_are_shown_as_they_are(ws):
    plug(ws, part=5)
    answer = ws("doctor")
    assert answer.code == 0
    assert "parts: the part" in answer.out and "at [ws]" in answer.out and "mend [it]" in answer.out


def test_something_configured_that_does_not_work_makes_the_exit_code_1(ws):
    plug(ws, part=5)
    ws.write("zerorepo.toml", (ws.root / "zerorepo.toml").read_text() + "[part]\nworks = false\n")
    answer = ws("doctor", "--json")
    assert (answer.code, answer.json()["ok"], rows(answer)["the part"]["health"]) == (1, False, "fail")


def test_a_check_that_hangs_breaks_or_finds_nothing_does_not_keep_the_others(ws):
    plug(ws, slow=1, broken=5, missing=5, part=5)
    begin = time.monotonic()
    answer = ws("doctor", "--json")
    found = rows(answer)
    assert time.monotonic() - begin < 55
    assert answer.code == 1
    assert found["slow"]["found"] == "no answer within 1 s"
    assert "RuntimeError: a bug" in found["broken"]["found"]
    assert (found["missing"]["found"], found["missing"]["fix"]) == ("no such thing", "install it")
    assert found["the part"]["health"] == "ok"


def test_a_configured_sandbox_that_is_missing_is_a_failure(ws):
    ws.write("zerorepo.toml", PLUGINS + TARGETS + '[sandbox]\ntier = "gvisor"\n')
    answer = ws("doctor", "--json")
    found = rows(answer)
    assert answer.code == 1
    assert found["docker engine"]["health"] == found["tier gvisor"]["health"] == "fail"
