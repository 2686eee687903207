"""Errors of background tasks that nobody waits for: no traceback for a user, redacted for whoever debugs."""

from __future__ import annotations

import asyncio
import gc
import signal
from collections.abc import Iterator

import pytest

from zerorepo.cli.build_cmd import interruptible
from zerorepo.cli.common import GLOBALS
from zerorepo.redaction import conceal

KEY = "stray-key-0123456789abcdef"


@pytest.fixture(autouse=True)
def signals() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


async def work() -> str:
    async def library() -> None:
        raise ValueError(f"refused with {KEY}")

    task = asyncio.ensure_future(library())
    await asyncio.sleep(0.01)
    del task
    gc.collect()
    await asyncio.sleep(0)
    return "done"


@pytest.mark.parametrize("debug", [False, True])
def test_a_stray_error_is_shown_to_nobody_but_who_debugs_and_without_keys(
    debug: bool, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    conceal(KEY, "env:STRAY")
    monkeypatch.setattr(GLOBALS, "debug", debug)
    assert interruptible(work()) == "done"
    said = capfd.readouterr().err + caplog.text
    assert KEY not in said
    assert ("ValueError: refused with [redacted]" in said) is debug
    assert debug or said == ""
