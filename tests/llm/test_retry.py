"""Backoff: how long, how often. No time passes here."""

from __future__ import annotations

import asyncio

import pytest

from zerorepo_llm import faults
from zerorepo_llm.faults import Fault, Kind, ModelFault, classify
from zerorepo_llm.retry import Backoff, GaveUp


def pauses(backoff: Backoff, errors: list[ModelFault]) -> tuple[list[float], GaveUp | None]:
    slept: list[float] = []
    left = iter(errors)

    async def sleep(seconds: float) -> None:
        slept.append(seconds)

    async def once() -> str:
        for error in left:
            raise error
        return "answer"

    instant = Backoff(backoff.attempts, backoff.base_s, backoff.cap_s, lambda low, high: high, sleep)
    try:
        asyncio.run(instant.run(once, lambda *_: None))
    except GaveUp as gave_up:
        return slept, gave_up
    return slept, None


def test_pauses_double_up_to_the_cap() -> None:
    slept, gave_up = pauses(Backoff(8, 1.0, 10.0), [ModelFault(faults.SERVER_ERROR)] * 7)
    assert slept == [1, 2, 4, 8, 10, 10, 10]
    assert gave_up is None


def test_jitter_is_full() -> None:
    drawn: list[tuple[float, float]] = []
    backoff = Backoff(4, 1.0, 60.0, lambda low, high: drawn.append((low, high)) or low)  # type: ignore[func-returns-value]
    assert backoff.pause_s(3, ModelFault(faults.SERVER_ERROR)) == 0
    assert drawn == [(0.0, 4.0)]


def test_retry_after_is_the_least_that_is_waited_and_capped() -> None:
    slept, _ = pauses(
        Backoff(4, 1.0, 60.0), [ModelFault(faults.RATE_LIMIT, retry_after_s=s) for s in (5.0, 20.0, 600.0)]
    )
    assert slept == [6, 21, 60]


def test_attempts_are_bounded_and_no_pause_follows_the_last() -> None:
    slept, gave_up = pauses(Backoff(3, 1.0, 60.0), [ModelFault(faults.RATE_LIMIT)] * 9)
    assert len(slept) == 2
    assert gave_up is not None
    assert gave_up.requests == 3


def test_a_timeout_is_asked_again_once_only() -> None:
    _, gave_up = pauses(Backoff(6, 1.0, 60.0), [ModelFault(faults.TIMEOUT)] * 9)
    assert gave_up is not None
    assert gave_up.requests == 2


@pytest.mark.parametrize(
    ("status", "codes", "classes", "expected"),
    [
        (429, ["insufficient_quota"], ["RateLimitError"], faults.QUOTA),
        (401, [], ["BadRequestError"], faults.AUTHENTICATION),
        (400, [], ["ContextWindowExceededError", "BadRequestError"], faults.CONTEXT_WINDOW),
        (400, [], ["ContentPolicyViolationError", "BadRequestError"], faults.CONTENT_POLICY),
        (500, [], ["InternalServerError"], faults.SERVER_ERROR),
        (500, [], ["Timeout"], faults.TIMEOUT),
        (502, [], ["BadGatewayError"], faults.SERVER_ERROR),
        (599, [], [], faults.SERVER_ERROR),
        (418, [], [], faults.BAD_REQUEST),
        (None, [], ["APIConnectionError"], faults.CONNECTION_LOST),
        (None, [], ["MidStreamFallbackError"], faults.CONNECTION_LOST),
        (None, [], ["JSONSchemaValidationError"], faults.INVALID),
        (None, [], ["ZeroDivisionError"], faults.UNKNOWN),
    ],
)
def test_code_comes_before_status_and_status_before_class(
    status: int | None, codes: list[str], classes: list[str], expected: Fault
) -> None:
    assert classify(status=status, codes=codes, classes=classes) is expected


def test_an_unknown_error_is_not_asked_again() -> None:
    assert faults.UNKNOWN.kind is Kind.FATAL
