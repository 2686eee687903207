"""Which values cross between the two processes of ``link`` and as what, and what one of them lets the other do.

Knows nothing of messages.
"""

from __future__ import annotations

import base64
import builtins
import datetime
import decimal
import fractions
import pathlib
import uuid
from collections.abc import Callable
from typing import Any

MUTABLE: dict[type, str] = {list: "l", dict: "d", set: "s", bytearray: "y"}
FIXED: dict[type, str] = {tuple: "t", frozenset: "z"}
EMPTY: dict[str, Callable[[], Any]] = {"l": list, "d": dict, "s": set, "y": bytearray}
SHARED_TYPES: dict[str, type] = {
    each.__name__: each
    for each in (
        *(
            int,
            str,
            float,
            bool,
            list,
            dict,
            tuple,
            set,
            frozenset,
            bytes,
            bytearray,
            complex,
            object,
            type(None),
            range,
        ),
        *(decimal.Decimal, fractions.Fraction, datetime.datetime, datetime.date, datetime.time, datetime.timedelta),
        *(pathlib.PosixPath, pathlib.PurePosixPath, pathlib.Path, pathlib.PurePath, uuid.UUID),
        *(value for value in vars(builtins).values() if isinstance(value, type) and issubclass(value, BaseException)),
    )
}
SHARED_FUNCTIONS = {
    name: getattr(builtins, name)
    for name in ("len", "abs", "sum", "min", "max", "sorted", "repr", "round", "any", "all", "ord", "chr", "hash")
}
NAMES = {id(value): name for name, value in (*SHARED_TYPES.items(), *SHARED_FUNCTIONS.items())}
SINGLE = {"NotImplemented": NotImplemented, "Ellipsis": Ellipsis}
BY_TEXT: dict[type, tuple[Callable[[Any], Any], Callable[[Any], Any]]] = {
    bytes: (lambda v: base64.b64encode(v).decode(), base64.b64decode),
    complex: (lambda v: [v.real, v.imag], lambda v: complex(*v)),
    decimal.Decimal: (str, decimal.Decimal),
    fractions.Fraction: (lambda v: [v.numerator, v.denominator], lambda v: fractions.Fraction(*v)),
    datetime.date: (lambda v: v.isoformat(), datetime.date.fromisoformat),
    datetime.timedelta: (lambda v: [v.days, v.seconds, v.microseconds], lambda v: datetime.timedelta(*v)),
    pathlib.PosixPath: (str, pathlib.PosixPath),
    pathlib.PurePosixPath: (str, pathlib.PurePosixPath),
    uuid.UUID: (str, uuid.UUID),
    range: (lambda v: [v.start, v.stop, v.step], lambda v: range(*v)),
}
TIMES: dict[str, Any] = {"datetime": datetime.datetime, "time": datetime.time}
TEXT_NAMES = {kind.__name__: kind for kind in BY_TEXT}


class CannotCross(TypeError):
    """A value, or something done to one, has no meaning on the other side. Noted by the link: a verdict says so."""


class Policy:
    """What one side lets the other have and do. This one is of the side that has nothing to lose."""

    def may_hand_over(self, value: Any) -> bool:
        """Whether a stand-in for this value may be given to the other side."""
        return True

    def may_get(self, value: Any, name: str) -> bool:
        """Whether the other side may read this attribute."""
        return True

    def may_set(self, value: Any, name: str) -> bool:
        """Whether the other side may set or delete this attribute."""
        return True

    def may_do(self, value: Any, operation: str) -> bool:
        """Whether the other side may ``call`` it, or use a special method, or take an ``item`` of a class."""
        return True


def snapshot(value: Any) -> Any:
    if type(value) is bytearray:
        return bytes(value)
    if type(value) is dict:
        return [each for item in value.items() for each in item]
    return list(value)


def same(one: Any, other: Any) -> bool:
    """By identity: comparing would run code of the values."""
    if isinstance(one, bytes):
        return bool(one == other)
    return len(one) == len(other) and all(map(lambda a, b: a is b, one, other))
