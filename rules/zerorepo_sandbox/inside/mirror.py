"""Stand-ins for what stays on the other side of a link: objects, classes, exceptions.

A class of the other side is a class here, with the same name and bases, so ``isinstance``, ``except`` and ``pytest.raises`` mean
what they say. Its special methods, attributes and calls are asked for on the other side. The same object there is the same
stand-in here. Knows nothing of how asking works.
"""

from __future__ import annotations

from typing import Any, Protocol

# fmt: off
_SPECIAL = (
    "eq", "ne", "lt", "le", "gt", "ge", "hash", "bool", "len", "iter", "next", "reversed", "contains", "getitem", "setitem",
    "delitem", "missing", "length_hint", "call", "enter", "exit", "str", "repr", "format", "bytes", "int", "float", "complex",
    "index", "round", "trunc", "floor", "ceil", "neg", "pos", "abs", "invert", "add", "sub", "mul", "truediv", "floordiv", "mod",
    "divmod", "pow", "lshift", "rshift", "and", "or", "xor", "matmul", "radd", "rsub", "rmul", "rtruediv", "rfloordiv", "rmod",
    "rdivmod", "rpow", "rlshift", "rrshift", "rand", "ror", "rxor", "rmatmul", "iadd", "isub", "imul", "itruediv", "ifloordiv",
    "imod", "ipow", "ilshift", "irshift", "iand", "ior", "ixor", "imatmul", "fspath", "copy", "deepcopy",
)
# fmt: on
SPECIAL = tuple(f"__{name}__" for name in _SPECIAL)
"""Special methods that a stand-in may have. Those that make, find or destroy objects and attributes are not among them."""
_NEVER = ("_pytest", "pytest", "__pytest", "__wrapped__", "__array", "__signature__")
"""Attributes that pytest looks for on everything it sees: no answer from the other side may steer it."""


class Asks(Protocol):
    """The part of a link that stand-ins use."""

    def ask(self, operation: str, on: Any = None, /, *arguments: Any, **named: Any) -> Any: ...

    def decode(self, data: Any) -> Any: ...

    def refuse(self, why: str) -> Exception: ...


class Remote:
    """Base of all stand-ins for instances. They hold nothing: who they are is known by their identity."""

    __slots__ = ()


class RemoteClass(type):
    """The class of stand-ins for classes."""

    _mirrors: Mirrors

    def __new__(meta: type[RemoteClass], name: str, bases: tuple[type, ...], members: dict[str, Any]) -> RemoteClass:
        if "_mirrors" not in members:
            base = next(each for each in bases if isinstance(each, RemoteClass))
            raise base._mirrors.refuse(f"`{name}` of the tests derives from a class of the code under test")
        return super().__new__(meta, name, bases, members)

    def __call__(cls, *arguments: Any, **named: Any) -> Any:
        return cls._mirrors.ask("call", cls, *arguments, **named)

    def __getattr__(cls, name: str) -> Any:
        return cls._mirrors.get(cls, name)

    def __setattr__(cls, name: str, value: Any) -> None:
        cls._mirrors.ask("set", cls, name, value)

    def __delattr__(cls, name: str) -> None:
        cls._mirrors.ask("delete", cls, name)

    def __iter__(cls) -> Any:
        return cls._mirrors.ask("special", cls, "__iter__")

    def __len__(cls) -> Any:
        return cls._mirrors.ask("special", cls, "__len__")

    def __contains__(cls, value: Any) -> Any:
        return cls._mirrors.ask("special", cls, "__contains__", value)

    def __getitem__(cls, item: Any) -> Any:
        return cls._mirrors.ask("item", cls, item)

    def __bool__(cls) -> bool:
        return True


class Mirrors:
    """All stand-ins of one side."""

    def __init__(self, link: Asks) -> None:
        self._link = link
        self._objects: dict[int, Any] = {}
        self._handles: dict[int, int] = {}

    def ask(self, operation: str, value: Any, /, *arguments: Any, **named: Any) -> Any:
        """Have it done to what ``value`` stands for."""
        return self._link.ask(operation, value, *arguments, **named)

    def refuse(self, why: str) -> Exception:
        """See ``Link.refuse``."""
        return self._link.refuse(why)

    def get(self, value: Any, name: str) -> Any:
        """An attribute of what ``value`` stands for."""
        if name.startswith(_NEVER) or self.handle(value) is None:
            raise AttributeError(name)
        return self._link.ask("get", value, name)

    def handle(self, value: Any) -> int | None:
        """The other side's number of what ``value`` stands for; None when it is no stand-in."""
        return self._handles.get(id(value))

    def of_object(self, handle: int, kind: Any) -> Any:
        """The stand-in for an object of that class."""
        if handle not in self._objects:
            if not isinstance(kind, RemoteClass):
                raise self._link.refuse("an object of no class")
            self.keep(handle, _bare(kind))
        return self._objects[handle]

    def of_class(self, handle: int, described: Any) -> Any:
        """The stand-in for a class; ``described`` when it comes for the first time."""
        if handle not in self._objects:
            self.keep(handle, self._make(described))
        return self._objects[handle]

    def keep(self, handle: int, value: Any) -> None:
        """Let ``value`` be the stand-in for that number, for good."""
        self._objects[handle] = value
        self._handles[id(value)] = handle

    def _make(self, described: Any) -> type:
        mirrors = self
        bases = [self._link.decode(base) for base in described["bases"]]
        # Of what every Python has, exceptions alone: a stand-in for a dict is no dict.
        bases = [base for base in bases if isinstance(base, RemoteClass) or issubclass(base, BaseException)]
        if not any(isinstance(base, RemoteClass) for base in bases):
            bases.insert(0, Remote)
        members: dict[str, Any] = {name: _forward(self, name) for name in described["special"] if name in SPECIAL}
        if not described["hashable"]:
            members["__hash__"] = None
        elif "__eq__" in members and "__hash__" not in members:
            members["__hash__"] = _forward(self, "__hash__")

        def get(value: Any, name: str) -> Any:
            return mirrors.get(value, name)

        def set_(value: Any, name: str, new: Any) -> None:
            # Python itself sets these where an exception passes.
            if mirrors.handle(value) is None or name in ("__traceback__", "__context__", "__cause__", "args"):
                object.__setattr__(value, name, new)
            else:
                mirrors.ask("set", value, name, new)

        def delete(value: Any, name: str) -> None:
            mirrors.ask("delete", value, name)

        members.update(
            __slots__=(),
            __getattr__=get,
            __setattr__=set_,
            __delattr__=delete,
            __module__=described["module"],
            __qualname__=described["qualname"],
            __doc__=described["doc"],
            _mirrors=self,
        )
        return RemoteClass(str(described["name"]), tuple(bases), members)


def _bare(kind: Any) -> Any:
    """An instance, without asking the other side to make one."""
    return kind.__new__(kind)


def _forward(mirrors: Mirrors, name: str) -> Any:
    if name == "__exit__":
        # A traceback cannot cross; nobody but frameworks looks at it.
        def leave(value: Any, kind: Any, error: Any, traceback: Any) -> Any:
            return mirrors.ask("special", value, "__exit__", kind, error, None)

        return leave
    if name == "__call__":

        def call(value: Any, /, *arguments: Any, **named: Any) -> Any:
            return mirrors.ask("call", value, *arguments, **named)

        return call

    def forward(value: Any, *arguments: Any) -> Any:
        return mirrors.ask("special", value, name, *arguments)

    forward.__name__ = name
    return forward
