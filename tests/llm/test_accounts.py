"""Reserve, then settle: ceilings hold whoever asks at once, over threads, processes and crashes."""

from __future__ import annotations

import subprocess
import sys
import threading
from pathlib import Path

import pytest

from zerorepo.errors import EnvironmentFailure
from zerorepo_llm.accounts import Accounts, Amount, Answer, Ceiling, Denied, Total

SPENDER = """
import sys
from pathlib import Path
from zerorepo_llm.accounts import Accounts, Amount, Answer, Ceiling, Denied
accounts = Accounts(Path(sys.argv[1]))
done = 0
while True:
    held = accounts.hold(Amount(7, 1), ["day"], [Ceiling("day", 1000, None, "x")])
    if isinstance(held, Denied):
        if held.answer is Answer.REFUSED:
            break
        continue
    accounts.settle(held, Amount(5, 1))
    done += 1
print(done)
"""
HOLDER = """
import sys
from pathlib import Path
from zerorepo_llm.accounts import Accounts, Amount
Accounts(Path(sys.argv[1])).hold(Amount(100, 10), ["day"], [])
print("held", flush=True)
if len(sys.argv) > 2:
    sys.stdin.read()
"""


@pytest.fixture
def accounts(tmp_path: Path) -> Accounts:
    return Accounts(tmp_path / "accounts.sqlite")


def ceiling(nusd: int | None = 1000, tokens: int | None = None) -> Ceiling:
    return Ceiling("day", nusd, tokens, "[llm.budget] day")


def test_what_was_held_is_spent_as_what_it_came_to(accounts: Accounts) -> None:
    held = accounts.hold(Amount(100, 10), ["day", "build"], [ceiling()])
    assert isinstance(held, int)
    assert accounts.total("day") == Total(Amount(0, 0), Amount(100, 10))
    accounts.settle(held, Amount(60, 7))
    assert accounts.total("day") == accounts.total("build") == Total(Amount(60, 7), Amount(0, 0))
    accounts.settle(held, Amount(60, 7))
    assert accounts.total("day").spent == Amount(60, 7)


def test_exactly_the_ceiling_fits_and_one_more_does_not(accounts: Accounts) -> None:
    accounts.spend(Amount(900), ["day"])
    denied = accounts.hold(Amount(101), ["day"], [ceiling()])
    assert isinstance(denied, Denied)
    assert (denied.answer, denied.total.spent) == (Answer.REFUSED, Amount(900))
    assert isinstance(accounts.hold(Amount(100), ["day"], [ceiling()]), int)


def test_what_others_hold_makes_a_request_wait_not_fail(accounts: Accounts) -> None:
    first = accounts.hold(Amount(600), ["day"], [ceiling()])
    assert isinstance(first, int)
    denied = accounts.hold(Amount(600), ["day"], [ceiling()])
    assert isinstance(denied, Denied)
    assert denied.answer is Answer.BUSY
    accounts.settle(first, Amount(100))
    assert isinstance(accounts.hold(Amount(600), ["day"], [ceiling()]), int)


def test_one_that_cannot_fit_is_refused_even_while_another_ceiling_is_busy(accounts: Accounts) -> None:
    accounts.hold(Amount(90), ["build"], [])
    accounts.spend(Amount(1000), ["day"])
    denied = accounts.hold(Amount(50), ["day"], [Ceiling("build", 100, None, "b"), ceiling()])
    assert isinstance(denied, Denied)
    assert (denied.answer, denied.ceiling.scope) == (Answer.REFUSED, "day")


def test_tokens_have_ceilings_too(accounts: Accounts) -> None:
    accounts.spend(Amount(0, 95), ["day"])
    assert isinstance(accounts.hold(Amount(0, 6), ["day"], [ceiling(None, 100)]), Denied)
    assert isinstance(accounts.hold(Amount(0, 5), ["day"], [ceiling(None, 100)]), int)


def test_many_threads_never_pass_a_ceiling_together(accounts: Accounts) -> None:
    done: list[int] = []

    def spend() -> None:
        while True:
            held = accounts.hold(Amount(7, 1), ["day"], [ceiling(1000)])
            if isinstance(held, int):
                total = accounts.total("day")
                assert total.spent.nusd + total.held.nusd <= 1000
                accounts.settle(held, Amount(5, 1))
                done.append(1)
            elif held.answer is Answer.REFUSED:
                return

    threads = [threading.Thread(target=spend) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # Asked for while 7 more fit, paid 5 each: 199 make 995, and 995 + 7 do not fit.
    assert (len(done), accounts.total("day")) == (199, Total(Amount(995, 199)))


def test_several_processes_never_pass_a_ceiling_together(accounts: Accounts) -> None:
    spenders = [
        subprocess.Popen([sys.executable, "-c", SPENDER, str(accounts.path)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    done = [int(spender.communicate(timeout=120)[0]) for spender in spenders]
    assert (sum(done), accounts.total("day")) == (199, Total(Amount(995, 199)))


def test_what_a_dead_process_held_counts_as_spent(accounts: Accounts) -> None:
    subprocess.run([sys.executable, "-c", HOLDER, str(accounts.path)], check=True, timeout=60, stdout=subprocess.PIPE)
    assert accounts.total("day") == Total(Amount(0, 0), Amount(100, 10))
    assert accounts.sweep() == 1
    assert accounts.total("day") == Total(Amount(100, 10), Amount(0, 0))
    assert accounts.sweep() == 0


def test_what_a_living_process_holds_is_left_alone(accounts: Accounts) -> None:
    command = [sys.executable, "-c", HOLDER, str(accounts.path), "stay"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        assert accounts.sweep() == 0
        holder.communicate("")


def test_one_that_was_taken_for_dead_settles_all_the_same(accounts: Accounts, monkeypatch: pytest.MonkeyPatch) -> None:
    held = accounts.hold(Amount(100, 10), ["day"], [])
    assert isinstance(held, int)
    monkeypatch.setattr("zerorepo_llm.accounts._lives", lambda owner: False)
    assert accounts.sweep() == 1
    accounts.settle(held, Amount(30, 4))
    assert accounts.total("day") == Total(Amount(30, 4), Amount(0, 0))


def test_a_file_that_cannot_be_used_stops_spending(tmp_path: Path) -> None:
    path = tmp_path / "accounts.sqlite"
    path.write_bytes(b"no database " * 100)
    with pytest.raises(EnvironmentFailure, match="cannot be used") as caught:
        Accounts(path).hold(Amount(1), ["day"], [])
    assert str(path) in caught.value.render()
