"""Runs actions in this process: cache look-up, one run per key, a pool slot, the execution, the durable result.

Knows nothing of targets or traces; whoever asks says for which label.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from zerorepo.action import Action, ActionResult, CachePolicy, Service
from zerorepo.action_cache import ActionCache
from zerorepo.action_key import blobs_in, key_of
from zerorepo.cas import BlobMissing, Cas
from zerorepo.digest import Digest
from zerorepo.errors import InternalError, ZeroRepoError
from zerorepo.events import EventStream, State, Unit, transition
from zerorepo.label import Label, Pattern, chosen
from zerorepo.scheduler import BuildStopped, Scheduler
from zerorepo.values import Value
from zerorepo.workspace import Workspace

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


class LocalExecutor:
    """One build's executor."""

    def __init__(
        self,
        workspace: Workspace,
        cas: Cas,
        cache: ActionCache,
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
        self._scheduler = scheduler
        self._dry_run = dry_run
        self._refresh = refresh
        self._running: dict[str, asyncio.Task[Ran]] = {}
        self._services: dict[type[Any], asyncio.Task[Any]] = {}

    async def run(self, action: Action, label: Label) -> Ran:
        """The result, from this build, from the cache, or by executing. Errors as ``Action.execute`` raises them."""
        key = key_of(action, self.cas.function)
        task = self._running.get(key.hex)
        if task is None or self._lost(task):
            task = asyncio.create_task(self._run(action, key, label), name=f"{type(action).mnemonic} {label}")
            self._running[key.hex] = task
        # A task of its own, awaited by all who ask: cancelling one asker must not fail the others; ``close`` ends it.
        return await asyncio.shield(task)

    def _lost(self, task: asyncio.Task[Ran]) -> bool:
        """Whether it failed for want of a blob, or its result refers to one that was found to be damaged or gone since."""
        if not task.done() or task.cancelled():
            return False
        if task.exception() is not None:
            return isinstance(task.exception(), BlobMissing)
        return not all(self.cas.has(digest) for digest in blobs_in(task.result().result))

    async def _run(self, action: Action, key: Digest, label: Label) -> Ran:
        unit = Unit("action", key.hex, str(label), type(action).mnemonic, action.describe())
        durable = type(action).cache is CachePolicy.DURABLE
        refreshing = type(action).refreshable and chosen(label, self._refresh)
        if durable and not refreshing and (found := self._cache.get(action, key)):
            if type(action).reused is not Action.reused and not self._dry_run:
                await action.reused(LocalActionContext(self, label, key), found.meters)
            transition(self.events, unit, State.CACHED, meters=dict(found.meters))
            return Ran(key, found.result, True)
        if self._dry_run:
            raise WouldRun(action, key)
        try:
            async with self._scheduler.slot(type(action).pool):
                transition(self.events, unit, State.RUNNING)
                result, meters = await self._execute(action, LocalActionContext(self, label, key, refreshing))
                if durable:
                    self._cache.put(action, key, result, meters)
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
        transition(self.events, unit, State.DONE, meters=meters)
        return Ran(key, result, False)

    async def _execute(self, action: Action, context: LocalActionContext) -> tuple[ActionResult, dict[str, float]]:
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
        return self._settle(action, result), context.meters

    def _settle(self, action: Action, result: ActionResult) -> ActionResult:
        """The result as the cache will give it back, so that a first run and a hit cannot differ; its blobs must be there."""
        try:
            settled = type(action).result.model_validate_json(result.model_dump_json())
        except ValueError as error:
            raise InternalError(
                f"The result of {type(action).mnemonic} does not survive being stored: {error}"
            ) from error
        for digest in blobs_in(settled):
            if not self.cas.has(digest):
                raise BlobMissing(digest)
        return settled

    async def service(self, type_: type[ServiceT], context: LocalActionContext) -> ServiceT:
        """The build's one instance."""
        task = self._services.get(type_)
        if task is None:
            task = asyncio.create_task(type_.open(context))
            self._services[type_] = task
        opened: ServiceT = await asyncio.shield(task)
        return opened

    async def close(self) -> None:
        """End what runs, then close every service; called at the build's end, whatever the end."""
        running = [task for task in self._running.values() if not task.done()]
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for opening in self._services.values():
            if not opening.done():
                opening.cancel()
            found = (await asyncio.gather(opening, return_exceptions=True))[0]
            if not isinstance(found, BaseException):
                await found.close()


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
