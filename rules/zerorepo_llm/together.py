"""Doing together what many tasks ask for at one moment: one transaction, or one trip to a thread, for all of them.

Knows nothing of what is done. Whoever asks waits until it is done, as if alone: nothing that is waited for is put off for longer
than the batch before it takes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Together(Generic[T, R]):
    """Collects what is asked for until the event loop comes round, then does all of it by one call of ``do``.

    ``do`` gets the items in the order in which they came and returns a result for each; what it raises, everyone gets.
    ``in_thread``: it blocks (on a disk, say) and is called in a thread, one batch after the other. What nobody waits for is
    done after ``patience_s`` at the latest, or with the next thing that somebody waits for, which waits ``gather_s`` for more.
    """

    def __init__(
        self,
        do: Callable[[Sequence[T]], Sequence[R]],
        *,
        in_thread: bool = False,
        patience_s: float = 0.0,
        gather_s: float = 0.0,
    ) -> None:
        self._do = do
        self._in_thread = in_thread
        self._patience_s = patience_s
        self._gather_s = gather_s
        self._waiting: list[_Wish[T, R]] = []
        self._at_work: asyncio.Future[Sequence[R]] | None = None
        self._soon: asyncio.Handle | None = None
        self._later: asyncio.Handle | None = None

    async def ask(self, item: T, undo: Callable[[R], object] | None = None) -> R:
        """The result for ``item``. It is done even when whoever asked is cancelled meanwhile; with ``undo`` it is not, or
        ``undo`` is called with its result.
        """
        result: asyncio.Future[R] = asyncio.get_running_loop().create_future()

        def then(value: R | None, error: BaseException | None) -> None:
            if result.done():
                return
            if error is None:
                result.set_result(value)  # type: ignore[arg-type]
            else:
                result.set_exception(error)
                result.exception()  # seen: whoever was cancelled does not ask for it

        self._waiting.append(_Wish(item, then, result.cancelled))
        self._call_soon()
        try:
            return await asyncio.shield(result) if undo is None else await result
        except asyncio.CancelledError:
            if undo is not None and result.done() and not result.cancelled() and result.exception() is None:
                undo(result.result())
            raise

    def post(self, item: T, then: Callable[[R | None, BaseException | None], None]) -> None:
        """Have ``item`` done without waiting for it; ``then`` is called with the result, or with what was raised."""
        self._waiting.append(_Wish(item, then))
        if self._soon is None and self._later is None and self._at_work is None:
            self._later = asyncio.get_running_loop().call_later(self._patience_s, self._flush)

    def flush(self) -> None:
        """Do at once what still waits, for want of an event loop that would; not for ``in_thread``."""
        if self._waiting:
            self._flush()

    def _call_soon(self) -> None:
        if self._soon is None and self._at_work is None:
            loop, wait = asyncio.get_running_loop(), self._gather_s
            self._soon = loop.call_later(wait, self._flush) if wait else loop.call_soon(self._flush)

    def _flush(self) -> None:
        for handle in filter(None, (self._soon, self._later)):
            handle.cancel()
        self._soon = self._later = None
        # What can be undone need not be done for those who left.
        batch = [wish for wish in self._waiting if not wish.is_withdrawn()]
        self._waiting = []
        if not batch:
            return
        items = [wish.item for wish in batch]
        if self._in_thread:
            self._at_work = asyncio.get_running_loop().run_in_executor(None, self._do, items)
            self._at_work.add_done_callback(lambda done: self._done(done, batch))
            return
        try:
            found = self._do(items)
        except Exception as error:  # noqa: BLE001  (whoever waits raises it)
            _fail(batch, error)
        else:
            _tell(batch, found)

    def _done(self, done: asyncio.Future[Sequence[R]], batch: list[_Wish[T, R]]) -> None:
        self._at_work = None
        error = asyncio.CancelledError() if done.cancelled() else done.exception()
        if error is not None:
            _fail(batch, error)
        else:
            _tell(batch, done.result())
        if self._waiting:
            self._call_soon()


@dataclass(slots=True)
class _Wish(Generic[T, R]):
    item: T
    then: Callable[[R | None, BaseException | None], None]
    is_withdrawn: Callable[[], bool] = lambda: False


def _tell(batch: list[_Wish[T, R]], found: Sequence[R]) -> None:
    for wish, value in zip(batch, found, strict=True):
        wish.then(value, None)


def _fail(batch: list[_Wish[T, R]], error: BaseException) -> None:
    for wish in batch:
        wish.then(None, error)
