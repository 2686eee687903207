"""Two processes that work with each other's values: one holds the tests, the other the code under test.

Plain values cross as copies. Containers that can be changed (list, dict, set, bytearray) exist on both sides under one number:
whatever one side changed is told to the other with the next message, and since only one side runs at a time, both always see
the same thing, and the same object stays the same object. All else stays where it is and is seen on the other side as a stand-in
(``mirror``). Messages are JSON, never pickles: what arrives can be a lie, but it cannot run.

Knows nothing of pytest. What may be handed over and what may be done to it is decided by ``Policy``.
"""

from __future__ import annotations

import base64
import datetime
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from . import frames, mirror
from .crossing import (
    BY_TEXT,
    EMPTY,
    FIXED,
    MUTABLE,
    NAMES,
    SHARED_FUNCTIONS,
    SHARED_TYPES,
    SINGLE,
    TEXT_NAMES,
    TIMES,
    CannotCross,
    Policy,
    same,
    snapshot,
)

_MOST_TRACKED, _LOOK_AT, _BITS_IN_TEXT = 20_000, 200, 4000


class Link:
    """One end. ``extras`` makes what goes along with each message, ``take_extras`` receives it."""

    def __init__(self, fd: int, side: str, policy: Policy) -> None:
        self._fd = fd
        self._side = side
        self._policy = policy
        self._owner = os.getpid()
        self.cannot = ""
        """Why something could not cross; empty when all did."""
        self.operations: dict[str, Callable[..., Any]] = {}
        self.extras: Callable[[], Mapping[str, Any]] = dict
        self.take_extras: Callable[[Mapping[str, Any]], None] = lambda extras: None
        self._shared: dict[str, Any] = {}
        self._shared_ids: dict[int, str] = {}
        self._snapshots: dict[str, Any] = {}
        self.forgets = False
        """Whether this side says which containers need no longer be kept alike: that of the tests, where identity is observed."""
        self._look_again_at = _LOOK_AT
        self._made = 0
        self._mine: list[Any] = []
        self._mine_ids: dict[int, int] = {}
        self._described: set[int] = set()
        self.theirs = mirror.Mirrors(self)

    # ------------------------------------------------------------------ messages

    def ask(self, operation: str, on: Any = None, /, *arguments: Any, **named: Any) -> Any:
        """Have the other side do something, and do meanwhile what it asks for. Raises what it raised there."""
        if os.getpid() != self._owner:
            raise self.refuse("a forked process cannot use what is on the other side")
        try:
            self._send("ask", lambda: self._request(operation, on, arguments, named))
            while True:
                kind, value = self._receive()
                if kind == "answer":
                    return self.decode(value)
                if kind == "raised":
                    raise self._exception(value)
                self._serve(value)
        except (frames.Ended, BrokenPipeError, ConnectionResetError) as error:
            raise self.refuse("the process of the code under test ended") from error

    def serve_forever(self) -> None:
        """Do what is asked until the other side is gone."""
        try:
            while True:
                _, value = self._receive()
                self._serve(value)
        except (frames.Ended, BrokenPipeError, ConnectionResetError):
            return

    def refuse(self, why: str) -> CannotCross:
        """Note it, so that nobody who catches the error hides it, and make the error."""
        self.cannot = self.cannot or why
        return CannotCross(why)

    def _request(self, operation: str, on: Any, arguments: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        return [
            operation,
            self.encode(on),
            [self.encode(each) for each in arguments],
            {name: self.encode(each) for name, each in named.items()},
        ]

    def _serve(self, request: Any) -> None:
        try:
            operation, on, arguments, named = request
            value = self.decode(on)
            answer = self._do(
                operation,
                value,
                [self.decode(each) for each in arguments],
                {name: self.decode(each) for name, each in named.items()},
            )
            self._send("answer", lambda: self.encode(answer))
        except (frames.Ended, BrokenPipeError, ConnectionResetError):
            raise
        except BaseException as error:  # noqa: BLE001  (it belongs to the other side, which gets it)
            raised = error
            self._send("raised", lambda: self._described_exception(raised))

    def _do(self, operation: str, value: Any, arguments: list[Any], named: dict[str, Any]) -> Any:
        if operation in self.operations:
            return self.operations[operation](value, *arguments)
        if operation == "get":
            if not self._policy.may_get(value, arguments[0]):
                raise self.refuse(
                    f"the code under test reads `{arguments[0]}` of a {type(value).__name__} of the tests"
                )
            return getattr(value, arguments[0])
        if operation in ("set", "delete"):
            if not self._policy.may_set(value, arguments[0]):
                raise self.refuse(f"the code under test sets `{arguments[0]}` of a {type(value).__name__} of the tests")
            return setattr(value, *arguments) if operation == "set" else delattr(value, arguments[0])
        if not self._policy.may_do(value, arguments[0] if operation == "special" else operation):
            raise self.refuse(f"the code under test uses a {type(value).__name__} of the tests")
        if operation == "call":
            return value(*arguments, **named)
        if operation == "special":
            return getattr(type(value), arguments[0])(value, *arguments[1:])
        if operation == "item":
            return value[arguments[0]]
        raise self.refuse(f"unknown operation {operation}")

    def _send(self, kind: str, make: Callable[[], Any]) -> None:
        try:
            # Changes first: they are taken in first, and what comes after may refer to them.
            forgotten, changed = self._changes()
            message = {"k": kind, "f": forgotten, "c": changed, "v": make(), "x": dict(self.extras()), "n": self.cannot}
        except RecursionError as error:
            raise self.refuse("a value is too deep") from error
        frames.write(self._fd, json.dumps(message).encode())

    def _receive(self) -> tuple[str, Any]:
        """Kind and content, the latter not yet decoded."""
        message = json.loads(frames.read(self._fd))
        self.cannot = self.cannot or str(message["n"])
        for key in message["f"]:
            self._forget(key)
        for key, content in message["c"]:
            self._fill(key, content)
        try:
            self.take_extras(message["x"])
        except Exception:  # a warning that a test wants to be an error; what the message says is lost with it
            self.refuse("a warning of the code under test was made an error")
            raise
        return str(message["k"]), message["v"]

    # ------------------------------------------------------------------ exceptions

    def _described_exception(self, error: BaseException, depth: int = 4) -> dict[str, Any]:
        """Class, arguments, notes, cause, and the exception itself when it is of a class of ours."""
        cause = self._described_exception(error.__cause__, depth - 1) if error.__cause__ and depth else None
        shared = id(type(error)) in NAMES
        if isinstance(error, CannotCross):
            return {"t": ["B", "TypeError"], "a": [str(error)], "n": [], "c": None, "o": None}
        return {
            "t": self.encode(type(error)),
            "a": [self._attempt(each) for each in error.args],
            "n": [str(note) for note in getattr(error, "__notes__", ())],
            "c": cause,
            "o": None if shared else self._encode_object(error),
        }

    def _exception(self, described: Any) -> BaseException:
        kind, stand_in = self.decode(described["t"]), self.decode(described["o"])
        arguments = [self.decode(each) for each in described["a"]]
        if isinstance(stand_in, BaseException):
            error = stand_in
            if self.theirs.handle(error) is not None:
                error.args = tuple(arguments)
        elif isinstance(kind, type) and issubclass(kind, BaseException):
            try:
                error = kind(*arguments)
            except TypeError:
                error = kind.__new__(kind, *arguments)
        else:
            return self.refuse("something was raised that is no exception")
        if notes := described["n"]:
            error.__notes__ = list(notes)
        if described["c"] is not None:
            error.__cause__ = self._exception(described["c"])
        return error

    def _attempt(self, value: Any) -> Any:
        """Encode it, or else its ``repr``."""
        described, shared, cannot = set(self._described), len(self._shared), self.cannot
        try:
            return self.encode(value)
        except (CannotCross, RecursionError):
            self._described, self.cannot = described, cannot
            for key in list(self._shared)[shared:]:
                self._forget(key)
            return repr(value)

    # ------------------------------------------------------------------ values

    def encode(self, value: Any) -> Any:
        """As JSON. CannotCross when the policy does not let it go."""
        kind = type(value)
        if value is None or kind is bool or kind is str or kind is float:
            return value
        if kind is int:
            return value if value.bit_length() < _BITS_IN_TEXT else ["i", hex(value)]
        if kind in MUTABLE or kind in FIXED:
            return self._encode_container(value, kind)
        if kind in BY_TEXT:
            return ["v", kind.__name__, BY_TEXT[kind][0](value)]
        if kind is datetime.datetime or kind is datetime.time:
            if value.tzinfo is None or type(value.tzinfo) is datetime.timezone:
                return ["w", kind.__name__, value.isoformat(), value.fold]
        elif kind is slice:
            return ["slice", *map(self.encode, (value.start, value.stop, value.step))]
        elif value is NotImplemented or value is Ellipsis:
            return ["single", repr(value)]
        if (name := NAMES.get(id(value))) is not None:
            return ["B", name]
        return self._encode_object(value)

    def _encode_object(self, value: Any) -> Any:
        handle = self.theirs.handle(value)
        if handle is not None:
            return ["yours", handle]
        if type(value) in SHARED_TYPES.values() and isinstance(value, BaseException):
            return ["e", self._described_exception(value)]
        if not self._policy.may_hand_over(value):
            raise self.refuse(f"a {type(value).__name__} cannot be handed over")
        if isinstance(value, type):
            return ["K", *self._encode_class(value)]
        return ["o", self._my_handle(value), ["K", *self._encode_class(type(value))]]

    def _encode_class(self, kind: type) -> list[Any]:
        handle = self._my_handle(kind)
        if handle in self._described:
            return [handle, None]
        self._described.add(handle)
        bases = [
            ["B", NAMES[id(base)]] if id(base) in NAMES else ["K", *self._encode_class(base)] for base in kind.__bases__
        ]
        has = [name for name in mirror.SPECIAL if getattr(kind, name, None) is not getattr(object, name, None)]
        described = {
            "name": kind.__name__,
            "qualname": kind.__qualname__,
            "module": str(kind.__module__),
            "doc": kind.__doc__ if isinstance(kind.__doc__, str) else None,
            "bases": bases,
            "special": has,
            "hashable": getattr(kind, "__hash__", None) is not None,
        }
        return [handle, described]

    def _my_handle(self, value: Any) -> int:
        handle = self._mine_ids.get(id(value))
        if handle is None:
            handle = len(self._mine)
            # Kept for good, so that a number never means another object.
            self._mine.append(value)
            self._mine_ids[id(value)] = handle
        return handle

    def decode(self, data: Any) -> Any:
        """From JSON, which is not trusted to be well-formed: whatever is wrong raises."""
        if not isinstance(data, list):
            return data
        tag, *rest = data
        if tag == "r":
            return self._shared[rest[0]]
        if tag == "c":
            return self._decode_container(*rest)
        if tag == "i":
            return int(rest[0], 16)
        if tag == "v":
            return BY_TEXT[TEXT_NAMES[rest[0]]][1](rest[1])
        if tag == "w":
            return TIMES[rest[0]].fromisoformat(rest[1]).replace(fold=rest[2])
        if tag == "slice":
            return slice(*map(self.decode, rest))
        if tag == "single":
            return SINGLE[rest[0]]
        if tag == "B":
            return SHARED_TYPES[rest[0]] if rest[0] in SHARED_TYPES else SHARED_FUNCTIONS[rest[0]]
        if tag == "yours":
            return self._mine[rest[0]]
        if tag == "e":
            return self._exception(rest[0])
        if tag == "K":
            return self.theirs.of_class(*rest)
        if tag == "o":
            return self.theirs.of_object(rest[0], self.decode(rest[1]))
        raise self.refuse(f"an unknown kind of value: {tag}")

    # ------------------------------------------------------------------ containers

    def _encode_container(self, value: Any, kind: type) -> Any:
        key = self._shared_ids.get(id(value))
        if key is not None:
            return ["r", key]
        if kind in MUTABLE:
            key = self._new_key()
            self._share(key, value)
            content = self._content(value)
            self._snapshots[key] = snapshot(value)
            return ["c", key, MUTABLE[kind], content]
        content = [self.encode(each) for each in value]
        key = self._new_key()
        self._share(key, value)
        return ["c", key, FIXED[kind], content]

    def _new_key(self) -> str:
        self._made += 1
        return f"{self._side}{self._made}"

    def _content(self, value: Any) -> Any:
        if type(value) is bytearray:
            return base64.b64encode(value).decode()
        if type(value) is dict:
            return [[self.encode(name), self.encode(each)] for name, each in value.items()]
        return [self.encode(each) for each in value]

    def _share(self, key: str, value: Any) -> None:
        self._shared[key] = value
        self._shared_ids[id(value)] = key

    def _decode_container(self, key: str, kind: str, content: Any) -> Any:
        if kind in EMPTY:
            value = EMPTY[kind]()
            self._share(key, value)
            self._fill(key, content)
            return value
        value = (tuple if kind == "t" else frozenset)(self.decode(each) for each in content)
        self._share(key, value)
        return value

    def _fill(self, key: str, content: Any) -> None:
        value = self._shared[key]
        kind = type(value)
        if kind is bytearray:
            value[:] = base64.b64decode(content)
        elif kind is dict:
            items = [(self.decode(name), self.decode(each)) for name, each in content]
            value.clear()
            value.update(items)
        elif kind is set:
            items = [self.decode(each) for each in content]
            value.clear()
            value.update(items)
        else:
            value[:] = [self.decode(each) for each in content]
        self._snapshots[key] = snapshot(value)

    def _forget(self, key: str) -> None:
        self._shared_ids.pop(id(self._shared.pop(key, None)), None)
        self._snapshots.pop(key, None)

    def _changes(self) -> tuple[list[str], list[list[Any]]]:
        """What this side no longer knows, and what it changed since the last message."""
        forgotten: list[str] = []
        if self.forgets and len(self._shared) > self._look_again_at:
            forgotten = self._unused()
            for key in forgotten:
                self._forget(key)
            self._look_again_at = 2 * len(self._shared) + _LOOK_AT
        changed = []
        size = 0
        for key, before in list(self._snapshots.items()):
            value = self._shared[key]
            size += len(value)
            if not same(before, snapshot(value)):
                self._snapshots[key] = snapshot(value)
                changed.append([key, self._content(value)])
        if size > _MOST_TRACKED:
            raise self.refuse("the tests and the code share too much data")
        return forgotten, changed

    def _unused(self) -> list[str]:
        """Containers that nothing here refers to any more: that the other side has the same one cannot be noticed."""
        # Referred to by the table, and by the argument of getrefcount.
        return [key for key in self._shared if sys.getrefcount(self._shared[key]) <= 2]
