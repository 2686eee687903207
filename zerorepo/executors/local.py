"""Runs actions in this process: cache look-up, one run per key, a pool slot, the execution, the durable result.

One run per key also beside other processes on the same cache: whoever runs an action has claimed its key, and who comes second
waits and takes the result. Knows nothing of targets or traces; whoever asks says for which label.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from zerorepo.action import Action, ActionResult, CachePolicy, Service
from zerorepo.action_cache import ActionCache, CachedResult
from zerorepo.action_key import blobs_in, encode
from zerorepo.cas import BlobMissing, Cas
from zerorepo.claims import Claims
from zerorepo.digest import Digest
from zerorepo.errors import InternalError, ZeroRepoError
from zerorepo.events import EventStream, State, Unit, transition
from zerorepo.label import Label, Pattern, chosen
from zerorepo.scheduler import BuildStopped, Scheduler
from zerorepo.store import Store
from zerorepo.values import Value
from zerorepo.workspace import Workspace

_LONG_S = 0.05  # what took this long is worth a transaction of its own, so that another builder has it at once

SettingsT = TypeVar("SettingsT", bound=Value)
ServiceT = TypeVar("ServiceT", bound=Service)


class WouldRun(ZeroRepoError):
    """A dry run came to an action that is not in the cache."""

    def __init__(self, action: Action, key: Digest) -> None:
        super().__init__(f"would run {action.describe()}")
        self.action = action
        self.key = key


@dataclass(frozen=True, slots=True)
class Ran:
    """An action's outcome."""

    key: Digest
    result: ActionResult
    cached: bool


class _Flight:
    """One run of an action in this build, for all who ask for it."""

    __slots__ = ("_landed", "_waiters", "error", "ran")

    def __init__(self) -> None:
        self.ran: Ran | None = None
        self.error: BaseException | None = None
        self._landed = False
        self._waiters: asyncio.Event | None = None

    def land(self) -> None:
        self._landed = True
        if self._waiters is not None:
            self._waiters.set()

    async def landed(self) -> None:
        if not self._landed:
            self._waiters = self._waiters or asyncio.Event()
            await self._waiters.wait()


class LocalExecutor:
    """One build's executor."""

    def __init__(
        self,
        workspace: Workspace,
        cas: Cas,
        cache: ActionCache,
        store: Store,
        scheduler: Scheduler[Any],
        events: EventStream,
        options: Mapping[str, Any],
        *,
        dry_run: bool = False,
        refresh: Sequence[Pattern] = (),
    ) -> None:
        self.workspace = workspace
        self.cas = cas
        self.options = options
        self.events = events
        self._cache = cache
        self._store = store
        self._scheduler = scheduler
        self._dry_run = dry_run
        self._refresh = refresh
        self._flights: dict[str, _Flight] = {}
        self._landed: set[str] = set()
        self._refreshed: set[str] = set()
        self.would_run: dict[Label, dict[str, WouldRun]] = {}
        """Of a dry run: target to the actions that it asked for and that are not in the cache, by key."""
        self._services: dict[type[Any], asyncio.Task[Any]] = {}

    async def run(self, action: Action, label: Label) -> Ran:
        """The result, from this build, from the cache, or by executing. Errors as ``Action.execute`` raises them."""
        encoded = encode(action)
        key = self.cas.function.of_bytes(encoded)
        flight = self._flights.get(key.hex)
        if flight is None or self._lost(flight):
            flight = self._flights[key.hex] = _Flight()
            try:
                flight.ran = await self._run(action, key, encoded, label)
            except BaseException as error:
                flight.error = error
                self._note_if_dry(error, label)
                raise
            finally:
                flight.land()
            if type(action).cache is CachePolicy.DURABLE:
                del self._flights[key.hex]  # who asks later finds it in the cache
                self._landed.add(key.hex)
            return flight.ran
        await flight.landed()
        if flight.error is not None:
            self._note_if_dry(flight.error, label)
            raise flight.error
        assert flight.ran is not None
        return flight.ran

    def _note_if_dry(self, error: BaseException, label: Label) -> None:
        if isinstance(error, WouldRun):
            self.would_run.setdefault(label, {})[error.key.hex] = error

    def _lost(self, flight: _Flight) -> bool:
        """Whether it failed for want of a blob, or its result refers to one that was found to be damaged or gone since."""
        if flight.error is not None:
            return isinstance(flight.error, BlobMissing)
        return flight.ran is not None and not all(self.cas.has(digest) for digest in blobs_in(flight.ran.result))

    async def _run(self, action: Action, key: Digest, encoded: bytes, label: Label) -> Ran:
        unit = Unit("action", key.hex, str(label), type(action).mnemonic, action.describe())
        durable = type(action).cache is CachePolicy.DURABLE
        context = LocalActionContext(self, label, key, self._refreshing(action, key, label))
        use_cache = durable and not context.refreshing
        if use_cache and (found := self._cache.get(action, key)):
            return await self._hit(unit, action, context, found)
        if self._dry_run:
            raise WouldRun(action, key)
        try:
            while True:
                async with self._scheduler.slot(type(action).pool, label):
                    if not durable or self._claims.take(_claim(key)):
                        return await self._run_here(action, encoded, context, unit)
                # Somebody else is running it; the slot is for others while we wait.
                await self._elsewhere(key)
                if use_cache and (found := self._found_late(action, key)):
                    return await self._hit(unit, action, context, found)
        except (BuildStopped, BlobMissing) as error:  # a lost input is made again, and then this is asked for anew
            transition(self.events, unit, State.SKIPPED, why=error.message)
            raise
        except asyncio.CancelledError:
            if unit.state is State.RUNNING:
                transition(self.events, unit, State.SKIPPED, cancelled=True)
            raise
        except ZeroRepoError as error:
            transition(self.events, unit, State.FAILED, error=error.message, origin=str(error.origin))
            raise

    def _refreshing(self, action: Action, key: Digest, label: Label) -> bool:
        if not self._refresh or not type(action).refreshable or key.hex in self._refreshed:
            return False  # in this build it was done anew already
        return chosen(label, self._refresh)

    async def _hit(self, unit: Unit, action: Action, context: LocalActionContext, found: CachedResult) -> Ran:
        if context.key.hex in self._landed:
            return Ran(context.key, found.result, False)  # it came to its end in this build, which was told then
        if type(action).reused is not Action.reused and not self._dry_run:
            await action.reused(context, found.meters)
        transition(self.events, unit, State.CACHED, meters=dict(found.meters))
        return Ran(context.key, found.result, True)

    async def _run_here(self, action: Action, encoded: bytes, context: LocalActionContext, unit: Unit) -> Ran:
        """Execute under our claim, and let go of it when others can see the result."""
        key, began, durable = context.key, time.monotonic(), type(action).cache is CachePolicy.DURABLE
        try:
            if durable and not context.refreshing and (found := self._found_late(action, key)):
                # It was finished between our look and our claim.
                return await self._hit(unit, action, context, found)
            transition(self.events, unit, State.RUNNING)
            settled, text, meters = await self._execute(action, context)
            if durable:
                self._cache.put(action, key, encoded, text, meters)
            if context.refreshing:
                self._refreshed.add(key.hex)
        finally:
            if durable:
                self._store.finish(_claim(key), now=time.monotonic() - began > _LONG_S)
        transition(self.events, unit, State.DONE, meters=meters)
        return Ran(key, settled, False)

    def _found_late(self, action: Action, key: Digest) -> CachedResult | None:
        """The result if another process has come by it meanwhile, and be it one that was killed right then."""
        self._store.catch_up()
        return self._cache.get(action, key)

    async def _elsewhere(self, key: Digest) -> None:
        """Wait until nobody else has claimed an action, or the build is stopping."""
        pause = 0.005
        while not self._scheduler.stopping:
            if self._claims.take(_claim(key)):
                self._claims.release(_claim(key))
                return
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 0.1)

    async def _execute(self, action: Action, context: LocalActionContext) -> tuple[ActionResult, str, dict[str, float]]:
        started = time.monotonic()
        try:
            result = await action.execute(context)
        except (ZeroRepoError, asyncio.CancelledError):
            raise
        except (
            Exception
        ) as error:  # a worker's edge: a rule set's bug must name its action, and must not end the others
            raise InternalError(
                f"{type(action).mnemonic} of `{context.label}` broke: {type(error).__name__}: {error}",
                hint="this is a bug in the rule set; --debug shows the traceback",
            ) from error
        if not isinstance(result, type(action).result):
            raise InternalError(
                f"{type(action).mnemonic} answered {type(result).__name__}, not {type(action).result.__name__}"
            )
        context.meters["wall_s"] = round(time.monotonic() - started, 4)
        return (*self._settle(action, result), context.meters)

    def _settle(self, action: Action, result: ActionResult) -> tuple[ActionResult, str]:
        """The result as the cache will give it back, so that a first run and a hit cannot differ; its blobs must be there."""
        text = result.model_dump_json()
        try:
            settled = type(action).result.model_validate_json(text)
        except ValueError as error:
            raise InternalError(
                f"The result of {type(action).mnemonic} does not survive being stored: {error}"
            ) from error
        for digest in blobs_in(settled):
            if not self.cas.keep(digest):
                raise BlobMissing(digest)
        return settled, text

    @property
    def _claims(self) -> Claims:
        return self._store.claims

    def meters(self, key: str) -> Mapping[str, float] | None:
        """What a past action took; see ``ActionCache.meters``."""
        return self._cache.meters(key) or None

    async def service(self, type_: type[ServiceT], context: LocalActionContext) -> ServiceT:
        """The build's one instance."""
        task = self._services.get(type_)
        if task is None:
            task = asyncio.create_task(type_.open(context))
            self._services[type_] = task
        opened: ServiceT = await asyncio.shield(task)
        return opened

    async def close(self) -> None:
        """Close every service; called at the build's end, whatever the end, when nothing runs any more.

        Every one is closed, the last opened first; then an error of closing is raised.
        """
        async with AsyncExitStack() as stack:
            for opening in self._services.values():
                if not opening.done():
                    opening.cancel()
                found = (await asyncio.gather(opening, return_exceptions=True))[0]
                if not isinstance(found, BaseException):
                    stack.push_async_callback(found.close)


def _claim(key: Digest) -> bytes:
    return b"a" + key.hex.encode()


class LocalActionContext:
    """See ``zerorepo.action.ActionContext``."""

    def __init__(self, executor: LocalExecutor, label: Label, key: Digest, refreshing: bool = False) -> None:
        self._executor = executor
        self.refreshing = refreshing
        self.label = label
        self.key = key
        self.meters: dict[str, float] = {}

    @property
    def workspace(self) -> Path:
        return self._executor.workspace.root

    @property
    def state_dir(self) -> Path:
        return self._executor.workspace.state_dir

    def read(self, digest: Digest) -> bytes:
        return self._executor.cas.get(digest)

    def write(self, data: bytes) -> Digest:
        return self._executor.cas.put(data)

    def settings(self, section: str, model: type[SettingsT]) -> SettingsT:
        found = self._executor.workspace.settings(section)
        if not isinstance(found, model):
            raise InternalError(f"[{section}] is a {type(found).__name__}, not a {model.__name__}")
        return found

    def option(self, name: str) -> Any:
        return self._executor.options.get(name)

    async def service(self, service: type[ServiceT]) -> ServiceT:
        return await self._executor.service(service, self)

    def progress(self, text: str) -> None:
        self._executor.events.note("progress", str(self.label), key=self.key.hex, text=text)

    def meter(self, **amounts: float) -> None:
        for name, amount in amounts.items():
            self.meters[name] = self.meters.get(name, 0) + amount
        self._executor.events.note("meter", str(self.label), key=self.key.hex, amounts=amounts)
