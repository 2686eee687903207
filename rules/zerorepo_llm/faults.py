"""What can go wrong when a model is asked, and what to do about it: one table. Knows no provider's library.

A provider raises ``ModelFault``; who may ask again, and how often, is decided here and nowhere else. Status and body
code come before the class of the exception, since classes change with litellm's version and the status does not
(notes-models, 4).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What helps."""

    RETRYABLE = "retryable"
    """Asking the same again, a little later."""
    FATAL = "fatal"
    """Nothing that we can do."""
    REPAIRABLE = "repairable"
    """Telling the model what was wrong with its answer (``ask_json``, ``ask_code``)."""


@dataclass(frozen=True, slots=True)
class Fault:
    """One row: what happened, what helps, and what follows from it."""

    name: str
    kind: Kind
    careful: bool = False
    """It may have been paid for already: at most ``[llm] careful_attempts`` requests may end so."""
    hint: str = ""
    falls_back: bool = False
    """Another model may be asked instead: the provider cannot answer, and neither question nor settings are to blame."""
    down: bool = False
    """It shows that the provider does not work: counted by the circuit breaker."""
    uncertain: bool = False
    """The request may have been worked on, and may have to be paid for."""


def _retryable(name: str, *, careful: bool = False, down: bool = True, uncertain: bool = False) -> Fault:
    return Fault(name, Kind.RETRYABLE, careful, falls_back=True, down=down, uncertain=uncertain)


RATE_LIMIT = _retryable("rate limit", down=False)
_NO_CREDIT = "the account has no credit left: add some, or use another key"
QUOTA = Fault("quota used up", Kind.FATAL, hint=_NO_CREDIT, falls_back=True)
TIMEOUT = _retryable("timeout", careful=True, uncertain=True)
SERVER_ERROR = _retryable("server error")
OVERLOADED = _retryable("overloaded")
CONNECTION = _retryable("connection failed")
"""It could not be made: nothing was sent."""
CONNECTION_LOST = _retryable("connection lost", uncertain=True)
UNREADABLE = _retryable("unreadable reply", careful=True, uncertain=True)
"""A reply with status 200 that is no JSON was perhaps paid for."""
NO_CHOICES = _retryable("empty reply", careful=True, down=False, uncertain=True)
CIRCUIT_OPEN = _retryable("circuit open", down=False)
"""The provider is given a rest: nothing was sent."""
DEADLINE = Fault("deadline passed", Kind.RETRYABLE, hint="raise [llm] deadline_s or build_deadline_s", uncertain=True)
AUTHENTICATION = Fault("authentication failed", Kind.FATAL, hint="check the key that [llm] api_key refers to")
PERMISSION = Fault("permission denied", Kind.FATAL, hint="the key may not use this model")
PAYMENT = Fault("payment required", Kind.FATAL, hint=_NO_CREDIT, falls_back=True)
NOT_FOUND = Fault("no such model or endpoint", Kind.FATAL, hint="check [llm.tiers] and [llm] api_base")
BAD_REQUEST = Fault("bad request", Kind.FATAL)
CONTEXT_WINDOW = Fault(
    "prompt exceeds the context window",
    Kind.FATAL,
    hint="shorten the input, or give the tier a model with a larger window",
)
CONTENT_POLICY = Fault("refused by content policy", Kind.FATAL, hint="reword the input that the prompt quotes")
REFUSAL = Fault("the model refused", Kind.FATAL, hint="reword the input that the prompt quotes")
TRUNCATED = Fault("answer cut off at max_tokens", Kind.REPAIRABLE, hint="raise [llm] max_tokens")
INVALID = Fault("answer does not fit", Kind.REPAIRABLE)
UNKNOWN = Fault("unknown error", Kind.FATAL, uncertain=True)

BY_CODE: dict[str, Fault] = {
    "insufficient_quota": QUOTA,
    "billing_hard_limit_reached": QUOTA,
    "rate_limit_exceeded": RATE_LIMIT,
    "invalid_api_key": AUTHENTICATION,
    "model_not_found": NOT_FOUND,
    "context_length_exceeded": CONTEXT_WINDOW,
    "content_policy_violation": CONTENT_POLICY,
    "content_filter": CONTENT_POLICY,
    "overloaded_error": OVERLOADED,
}
# These classes say more than their status (400) does.
BY_CLASS_FIRST: dict[str, Fault] = {
    "ContextWindowExceededError": CONTEXT_WINDOW,
    "ContentPolicyViolationError": CONTENT_POLICY,
}
BY_STATUS: dict[int, Fault] = {
    400: BAD_REQUEST,
    401: AUTHENTICATION,
    402: PAYMENT,
    403: PERMISSION,
    404: NOT_FOUND,
    405: NOT_FOUND,
    408: TIMEOUT,
    409: SERVER_ERROR,
    413: CONTEXT_WINDOW,
    422: BAD_REQUEST,
    425: SERVER_ERROR,
    429: RATE_LIMIT,
    503: OVERLOADED,
    504: TIMEOUT,
    529: OVERLOADED,
}
BY_CLASS: dict[str, Fault] = {
    "Timeout": TIMEOUT,
    "APITimeoutError": TIMEOUT,
    "TimeoutError": TIMEOUT,
    "RateLimitError": RATE_LIMIT,
    "APIConnectionError": CONNECTION_LOST,
    "ServiceUnavailableError": OVERLOADED,
    "BadGatewayError": SERVER_ERROR,
    "InternalServerError": SERVER_ERROR,
    "MidStreamFallbackError": CONNECTION_LOST,
    "APIResponseValidationError": UNREADABLE,
    "AuthenticationError": AUTHENTICATION,
    "PermissionDeniedError": PERMISSION,
    "PaymentRequiredError": PAYMENT,
    "BudgetExceededError": PAYMENT,
    "NotFoundError": NOT_FOUND,
    "UnprocessableEntityError": BAD_REQUEST,
    "UnsupportedParamsError": BAD_REQUEST,
    "BadRequestError": BAD_REQUEST,
    "JSONSchemaValidationError": INVALID,
}

# Of httpx, aiohttp and the standard library; litellm reports all of them as a server error with status 500.
NEVER_CONNECTED = frozenset(
    {
        "ConnectError",
        "ConnectTimeout",
        "ClientConnectorError",
        "ClientConnectorDNSError",
        "ConnectionRefusedError",
        "gaierror",
    }
)
CUT_OFF = frozenset(
    {
        *("RemoteProtocolError", "ReadError", "WriteError", "ServerDisconnectedError", "ClientPayloadError"),
        *("ClientOSError", "ConnectionResetError", "IncompleteReadError"),
    }
)


def classify(
    *,
    status: int | None,
    codes: Iterable[str] = (),
    classes: Iterable[str] = (),
    causes: Iterable[str] = (),
    unreadable: bool = False,
) -> Fault:
    """The row for an error: by body code, then by status, then by class name (of the exception and its bases, in
    order).

    ``causes``: class names of what it was raised from. ``unreadable``: the reply arrived but was no JSON, which litellm
    reports as a server error.
    """
    names, because = list(classes), set(causes)
    for code in codes:
        if code in BY_CODE:
            return BY_CODE[code]
    if unreadable:
        return UNREADABLE
    if because & NEVER_CONNECTED:
        return CONNECTION
    if because & CUT_OFF:
        return CONNECTION_LOST
    for name in names:
        if name in BY_CLASS_FIRST:
            return BY_CLASS_FIRST[name]
    if status is not None:
        if status in BY_STATUS:
            return BY_STATUS[status]
        if 500 <= status < 600:
            return next(
                (BY_CLASS[n] for n in names if n in BY_CLASS and BY_CLASS[n].kind is Kind.RETRYABLE), SERVER_ERROR
            )
        if 400 <= status < 500:
            return BAD_REQUEST
    return next((BY_CLASS[name] for name in names if name in BY_CLASS), UNKNOWN)


class ModelFault(Exception):
    """Raised by providers. ``retry_after_s``: what the server asked for, in seconds. ``detail`` may hold secrets:
    redact it. ``consumed``: prompt and completion tokens of a reply that came, and that cannot be used.
    """

    def __init__(
        self,
        fault: Fault,
        detail: str = "",
        *,
        status: int | None = None,
        retry_after_s: float | None = None,
        consumed: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(detail)
        self.consumed = consumed
        self.fault = fault
        self.detail = detail
        self.status = status
        self.retry_after_s = retry_after_s

    def summary(self) -> str:
        """One line: name, status, detail."""
        status = f" ({self.status})" if self.status is not None else ""
        detail = " ".join(self.detail.split())
        return f"{self.fault.name}{status}{': ' if detail else ''}{detail[:400]}"
