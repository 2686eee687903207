"""Answers that need no waiting: checks of targets are run here one inside the other, without a task for any of them.

A check is a coroutine that awaits ``need(label)`` for each target it depends on. As long as every target below is up to date, the
whole of it is driven from a stack of our own, so a chain may be as long as it likes. The first check that cannot be finished so
takes down those that wait for it; the scheduler then does these properly. Knows nothing of what a check looks at.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine, Generator
from typing import Any, Generic, TypeVar

from zerorepo.label import Label

ValueT = TypeVar("ValueT")


class NotAtHand(Exception):
    """A check needs work to be done."""


class _Need:
    """What a check awaits: the driver sends the value in."""

    __slots__ = ("label",)

    def __init__(self, label: Label) -> None:
        self.label = label

    def __await__(self) -> Generator[_Need, Any, Any]:
        return (yield self)


async def need(label: Label) -> Any:
    """The value of another target, for a check that runs here. NotAtHand when it is not to be had without work."""
    return await _Need(label)


Check = Callable[[Label], Coroutine[Any, Any, ValueT | None]]


class AtHand(Generic[ValueT]):
    """``check`` ends with a target's value, or None when it must run; ``known`` says what is known already."""

    def __init__(self, check: Check[ValueT], known: Callable[[Label], ValueT | None]) -> None:
        self._check = check
        self._known = known
        self._not: set[Label] = set()

    def find(self, start: Label) -> bool:
        """Check ``start`` and all that it needs. True when it is known then; False when work is needed, or may be."""
        if start in self._not:
            return False
        stack = [(start, self._check(start))]
        on_stack = {start}
        value: ValueT | None = None
        error: NotAtHand | None = None
        while stack:
            label, run = stack[-1]
            try:
                wanted = run.throw(error) if error is not None else run.send(value)
            except StopIteration as end:
                value, error = end.value, None if end.value is not None else NotAtHand()
            except Exception:  # noqa: BLE001  (whatever it is, the scheduler meets it again, and reports it)
                value, error = None, NotAtHand()
            else:
                value, error = self._known(wanted.label), None
                if value is None:
                    if wanted.label in on_stack or wanted.label in self._not:
                        error = NotAtHand()  # a circle is the scheduler's to find
                    else:
                        stack.append((wanted.label, self._check(wanted.label)))
                        on_stack.add(wanted.label)
                continue
            stack.pop()
            on_stack.discard(label)
            if error is not None:
                self._not.add(label)
        return error is None
