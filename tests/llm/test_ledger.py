"""The ledger: exact sums whoever writes at once, and what it tells of them."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from zerorepo.errors import EnvironmentFailure, UsageError
from zerorepo_llm.ledger import Call, Ledger, Reuse, Sum

WRITER = """
import sys
from pathlib import Path
from tests_llm_ledger import call
from zerorepo_llm.ledger import Ledger
ledger = Ledger(Path(sys.argv[1]))
for number in range(int(sys.argv[2])):
    ledger.record(call(f"//p{sys.argv[3]}:t", 333_333_333))
"""


def call(target: str = "//app:thing", cost_nusd: int | None = 1, **fields: object) -> Call:
    given: dict[str, object] = {
        "at": 1.0,
        "day": "2026-11-27",
        "build": "b",
        "outcome": "answered",
        "key": "k",
        "target": target,
        "module": target[2:].partition(":")[0],
        "model": "m",
        "requests": 1,
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "cost_nusd": cost_nusd,
    }
    return Call(**{**given, **fields})  # type: ignore[arg-type]


def reuse(times: int = 1, **fields: object) -> Reuse:
    given: dict[str, object] = {
        "key": "k",
        "target": "//app:thing",
        "module": "app",
        "stage": "",
        "model": "m",
        "times": times,
        "last_at": 2.0,
        "prompt_tokens": 7,
        "completion_tokens": 3,
        "cost_nusd": 5,
    }
    return Reuse(**{**given, **fields})  # type: ignore[arg-type]


def test_32_threads_with_1000_records_each_add_up_exactly(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)

    def write(thread: int) -> None:
        for number in range(1000):
            ledger.record(call(f"//app:t{thread}", thread * 1000 + number, key=f"{thread}-{number}"))

    threads = [threading.Thread(target=write, args=(thread,)) for thread in range(32)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (total,) = ledger.sums()
    assert (total.calls, total.answered, total.requests) == (32_000, 32_000, 32_000)
    assert (total.prompt_tokens, total.completion_tokens) == (7 * 32_000, 3 * 32_000)
    assert total.spent_nusd == sum(range(32_000))
    by_target = {each.group: each.spent_nusd for each in ledger.sums("target")}
    assert by_target == {(f"//app:t{t}",): sum(range(t * 1000, t * 1000 + 1000)) for t in range(32)}
    assert len({each.key for each in ledger.calls()}) == 32_000


def test_several_processes_that_write_at_once_add_up_exactly(tmp_path: Path) -> None:
    helper = tmp_path / "tests_llm_ledger.py"
    helper.write_text(Path(__file__).read_text())
    writers = [
        subprocess.Popen([sys.executable, "-c", WRITER, str(tmp_path), "500", str(number)], cwd=tmp_path)
        for number in range(4)
    ]
    assert [writer.wait(timeout=120) for writer in writers] == [0] * 4
    (total,) = Ledger(tmp_path).sums()
    assert (total.calls, total.spent_nusd) == (2000, 2000 * 333_333_333)
    assert [each.calls for each in Ledger(tmp_path).sums("module")] == [500] * 4


def test_each_outcome_counts_where_it_belongs(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(call(cost_nusd=100, cached_tokens=4, reasoning_tokens=2, wasted_nusd=10))
    ledger.record(call(cost_nusd=None))
    ledger.record(call(cost_nusd=1000, outcome="recorded", requests=0))
    ledger.record(call(cost_nusd=0, outcome="failed", requests=4, uncertain_nusd=50, prompt_tokens=0))
    ledger.record(call(cost_nusd=0, outcome="interrupted", requests=1, uncertain_nusd=7, prompt_tokens=0))
    ledger.reused(reuse(2))
    ledger.reused(reuse(1, cost_nusd=6))
    (total,) = ledger.sums()
    assert total == Sum(
        (),
        calls=5,
        answered=2,
        recorded=1,
        failed=2,
        requests=7,
        prompt_tokens=14,
        cached_tokens=4,
        completion_tokens=12,
        reasoning_tokens=2,
        spent_nusd=110,
        unpriced=1,
        uncertain_nusd=57,
        recorded_nusd=1000,
        reuses=3,
        saved_nusd=18,
    )


def test_an_answer_that_only_the_cache_knows_has_a_sum_of_its_own(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(call("//app:a"))
    ledger.reused(reuse(3, target="//app:b"))
    assert [(each.group, each.calls, each.reuses) for each in ledger.sums("target", "model")] == [
        (("//app:a", "m"), 1, 0),
        (("//app:b", "m"), 0, 3),
    ]
    assert [each.reuses for each in ledger.sums("day")] == [0]


def test_what_is_written_is_read_back(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    written = [call(purpose="naïve “quotes”"), call(cost_nusd=None, answered_by="m-2026")]
    for each in written:
        ledger.record(each)
    ledger.reused(reuse())
    ledger.close()
    assert list(ledger.calls()) == written
    assert list(Ledger(tmp_path).reuses()) == [reuse()]


def test_reading_makes_no_file(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    assert (list(ledger.calls()), ledger.sums("target")) == ([], [])
    assert list(tmp_path.iterdir()) == []


def test_a_column_that_cannot_be_summed_by_suggests_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="did you mean `target`"):
        Ledger(tmp_path).sums("targets")


def test_a_damaged_ledger_says_which_file_and_what_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "llm" / "ledger.sqlite"
    path.parent.mkdir()
    path.write_bytes(b"no database " * 100)
    with pytest.raises(EnvironmentFailure, match="ledger cannot be used") as caught:
        Ledger(tmp_path).record(call())
    assert str(path) in caught.value.render()


def test_a_ledger_of_a_newer_version_is_left_alone(tmp_path: Path) -> None:
    ledger = Ledger(tmp_path)
    ledger.record(call())
    with ledger._use(create=True) as connection:
        assert connection is not None
        connection.execute("PRAGMA user_version = 9")
    ledger.close()
    with pytest.raises(EnvironmentFailure, match="version 9"):
        Ledger(tmp_path).record(call())
