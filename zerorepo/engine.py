"""The engine: one build of one workspace. Joins table, rebuilder, scheduler, executor and outputs; each knows its part only.

A target is built so: find its traces, let the rebuilder decide; on a hit take what came out; else run the rule's implementation,
whose requests come back here. Then its outputs are brought about and its expansion is declared.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from zerorepo.action_cache import ActionCache
from zerorepo.action_key import encode, key_of, manifest_of
from zerorepo.analysis import check_declared
from zerorepo.at_hand import AtHand, need
from zerorepo.build_result import BuildOptions, BuildResult
from zerorepo.cas import BlobMissing, Cas
from zerorepo.context import Answers, Built, TargetContext
from zerorepo.digest import Digest
from zerorepo.effects import Effects
from zerorepo.errors import BuildError, InternalError, UsageError, ZeroRepoError
from zerorepo.events import EventStream, State, Unit, transition
from zerorepo.executors.local import LocalExecutor, WouldRun
from zerorepo.fileio import sweep
from zerorepo.label import Label, Pattern, chosen, parse_label
from zerorepo.matching import expand_for, match
from zerorepo.outputs import OutputTree
from zerorepo.read_only_store import ReadOnlyStore
from zerorepo.rebuilder import Answerer, Decision, Known, Present, decide
from zerorepo.scheduler import BuildStopped, DependencyFailed, Job, Scheduler
from zerorepo.sources import SourceTree
from zerorepo.store import Store
from zerorepo.table import Target, TargetTable
from zerorepo.told import Told
from zerorepo.trace import Trace, TraceStore
from zerorepo.upkeep import evict
from zerorepo.workspace import STATE_NAME, Workspace

_FLUSH_S = 0.1
# Actions that may wait for a processor with all in hand, so that none is idle while results are looked at.
_AHEAD = 2


class Engine:
    """One build. Use as ``async with Engine(...) as engine``."""

    def __init__(
        self, workspace: Workspace, options: BuildOptions | None = None, events: EventStream | None = None
    ) -> None:
        self.workspace = workspace
        self.options = options or BuildOptions()
        self.events = events or EventStream()
        told = Told(self.events, workspace)
        self.table = TargetTable(workspace)
        function = workspace.cache.digest
        store = ReadOnlyStore if self.options.dry_run else Store
        cache = workspace.cache_dir / str(function)
        self.shared = store(cache, told.reset, batched=True, damaged=told.row_damaged)
        self.local = store(workspace.state_dir / "state", told.reset, batched=True, damaged=told.row_damaged)
        self.cas = Cas(self.shared, cache / "blobs", function, told.blob_damaged)
        self.actions = ActionCache(self.shared, self.cas)
        self.traces = TraceStore(self.shared, self.local, self.actions)
        hidden = frozenset({workspace.workspace.output.strip("/"), STATE_NAME})
        scratch = workspace.state_dir / "tmp"
        self.sources = SourceTree(workspace.root, self.local, function, hidden)
        self.outputs = self._output_tree(scratch, told)
        if not self.options.dry_run:
            sweep(scratch)
        jobs = self.options.jobs or workspace.build.jobs or os.cpu_count() or 1
        self.scheduler: Scheduler[Built] = Scheduler(
            self._work,
            keep_going=self.options.keep_going or self.options.dry_run,
            pools={"processor": min(jobs, len(os.sched_getaffinity(0)) + _AHEAD), **workspace.build.pools, "cpu": jobs},
            within={"processor": "cpu"},
            at_hand=self._is_at_hand,
            height=self.table.height,
        )
        self.answers = Answers(workspace, self.sources, self.options.extra, self._demand, self._built, self._start_on)
        self.executor = LocalExecutor(
            workspace,
            self.cas,
            self.actions,
            self.shared,
            self.scheduler,
            self.events,
            self.options.extra,
            dry_run=self.options.dry_run or self.options.settling,
            refresh=self.options.refresh,
        )
        self.decisions: dict[Label, Decision] = {}
        """Why each target would run; in a dry run only."""
        self._at_hand: AtHand[Built] = AtHand(self._check_at_hand, self._built)
        self._begun: dict[Label, tuple[Unit, Known]] = {}
        self._order: Mapping[Label, int] = {}
        self._effects = Effects(
            workspace,
            self.options,
            self.table,
            self.sources,
            self.outputs,
            self.cas,
            self.local,
            self.traces,
            self.events,
        )
        self._flusher: asyncio.Task[None] | None = None
        if not self.options.dry_run:
            self.local.claims.alone()  # being here is announced before anything is looked at

    def _output_tree(self, scratch: Path, told: Told) -> OutputTree:
        return OutputTree(
            self.workspace.output_dir,
            self.local,
            self.workspace.cache.digest,
            self.cas.get,
            told.edited,
            scratch=scratch,
            overwrite=self.options.overwrite,
            replaced=self.workspace.state_dir / "replaced",
            on_replaced=told.replaced,
            gone=self._is_gone,
        )

    async def __aenter__(self) -> Engine:
        if not self.options.dry_run:
            self._flusher = asyncio.create_task(self._flush_now_and_then())
        return self

    async def __aexit__(self, *exc: object) -> None:
        if self._flusher is not None:
            self._flusher.cancel()
        await self.scheduler.cancel()
        with ExitStack() as stack:
            stack.callback(self.local.close)
            stack.callback(self.shared.close)
            stack.callback(self._keep_within_limit)
            await self.executor.close()

    def _keep_within_limit(self) -> None:
        limit = self.workspace.cache.size_limit
        if limit is not None and not self.options.dry_run:
            freed = evict(self.shared, self.cas, limit)
            if freed.rows:
                self.events.note("cache evicted", rows=freed.rows, bytes=freed.bytes)

    async def _flush_now_and_then(self) -> None:
        """While actions take their time, what is finished must not wait for a full batch: another builder may need it."""
        while True:
            await asyncio.sleep(_FLUSH_S)
            self.shared.flush(older_than_s=_FLUSH_S)
            self.local.flush(older_than_s=_FLUSH_S)

    # --- asking for targets

    def look_at(self, patterns: Sequence[Pattern]) -> None:
        """Check what is declared below the static targets that the patterns match, and learn the order to begin in.

        UsageError or DeclaredCycle for the first thing wrong.
        """
        wanted = [pattern for pattern in patterns if not pattern.negative]
        static = [
            target.label for target in self.table.static() if any(pattern.matches(target.label) for pattern in wanted)
        ]
        found = check_declared(self.table, static)
        self._order = found.order
        self.sources.look_at(path for path in found.sources if "*" not in path and "?" not in path)

    async def build(self, patterns: Sequence[Pattern], *, tests_only: bool = False) -> BuildResult:
        """Build every target that the patterns match, expanded ones too. UsageError when a pattern matches nothing."""
        return await self.collect(await self.match(patterns, tests_only=tests_only))

    async def match(self, patterns: Sequence[Pattern], *, tests_only: bool = False) -> list[Label]:
        """Labels that the patterns match; expansions that may declare matching targets are built on the way."""
        return await match(self.table, self.scheduler, patterns, tests_only=tests_only)

    async def collect(self, labels: Sequence[Label]) -> BuildResult:
        """Build these labels and say what became of everything that was demanded in this build."""
        if order := self._order:
            labels = sorted(labels, key=lambda label: order.get(label, len(order)))
        await self.scheduler.demand_all(labels)
        result = BuildResult()
        for job in self.scheduler.jobs():
            assert isinstance(job.key, Label)
            if isinstance(job.error, WouldRun):
                result.would_run[job.key] = [*self._reasons(job.key), job.error.message]
            elif isinstance(job.error, (DependencyFailed, BuildStopped)):
                result.skipped[job.key] = job.error.message
                if isinstance(job.error, DependencyFailed) and isinstance(job.error.root, Label):
                    result.skipped_by[job.key] = job.error.root
            elif job.error is not None:
                result.failed[job.key] = job.error
            elif job.value is not None:
                result.built[job.key] = job.value
            if job.error is not None and (target := self._known(job.key)) and target.rule.expands:
                latest = next(iter(self.traces.get(self.identity(target))), None)
                result.unexpanded[job.key] = [label for label, _, _ in latest.declared] if latest else []
        result.updated = list(self._effects.updated)
        if not self.options.dry_run:
            self.outputs.prune(self._is_gone)
            built = {str(label) for label in result.built}
            self.traces.note_failures(map(str, result.failed), lambda text: text in built or self._is_gone(text))
        for adoption in self.table.adoptions.values():
            if self._is_gone(str(adoption.label)):
                self.events.note("stale adoption", str(adoption.label), where=adoption.where)
        return result

    def _known(self, label: Label) -> Target | None:
        try:
            return self.table.get(label)
        except UsageError:
            return None

    def _is_gone(self, owner: str) -> bool:
        """Whether nobody declares the target any more: sure only when every expansion that might has been built."""
        try:
            label = parse_label(owner)
            if self.table.get(label) is not None:
                return False
            jobs = [self.scheduler.job(target.label) for target in self.table.expanders_for(label.package)]
        except UsageError:
            return False  # a build file that this build did not need is wrong
        return all(job is not None and job.value is not None for job in jobs)

    def _reasons(self, label: Label) -> list[str]:
        decision = self.decisions.get(label)
        return decision.reasons() if decision else []

    async def _demand(self, label: Label, asker: Job[Built]) -> Built:
        if self.table.get(label) is None:
            await expand_for(self.table, self.scheduler, label, asker)
        return await self.scheduler.demand(label, asker)

    # --- building one target

    def _built(self, label: Label) -> Built | None:
        """A target that is at its end already, without waiting."""
        job = self.scheduler.job(label)
        return job.value if job is not None else None

    def _start_on(self, label: Label) -> bool:
        if self.table.get(label) is None:
            return False  # it takes more than a job to find it
        self.scheduler.begin(label)
        return True

    def _is_at_hand(self, key: object) -> bool:
        return isinstance(key, Label) and self._at_hand.find(key)

    async def _check_at_hand(self, label: Label) -> Built | None:
        target = self.table.get(label)
        if target is None:
            return None  # an expansion may declare it
        built = await self._check(target, *self._begin(target), lambda asked: self.answers.in_turn(asked, need))
        if built is not None:
            self.scheduler.enter(label, built)
        return built

    async def _work(self, job: Job[Built]) -> Built:
        label = job.key
        assert isinstance(label, Label)
        unit = self._begun[label][0] if label in self._begun else Unit("target", str(label), str(label))
        target: Target | None = None
        try:
            target = self.table.get(label)
            if target is None:
                raise self.table.unknown(label)
            unit, known = self._begin(target, unit)
            return await self._build(target, job, unit, known)
        except (DependencyFailed, BuildStopped, asyncio.CancelledError, WouldRun) as error:
            transition(self.events, unit, State.SKIPPED, why=str(error))
            raise
        except ZeroRepoError as error:
            if error.where is None and isinstance(error, BuildError) and target:
                error.where = target.where
            transition(self.events, unit, State.FAILED, error=error.render(), origin=str(error.origin))
            raise
        except Exception as error:  # a worker's edge: a rule's bug fails its target and names it
            transition(self.events, unit, State.FAILED, error=str(error), origin="bug")
            raise InternalError(
                f"The rule `{unit.mnemonic}` broke on `{label}`: {type(error).__name__}: {error}",
                where=target.where if target else None,
                hint="this is a bug in the rule set; --debug shows the traceback",
            ) from error
        finally:
            self._begun.pop(label, None)

    def _begin(self, target: Target, unit: Unit | None = None) -> tuple[Unit, Known]:
        """What is known of a target before anything is asked; the same again when a check at hand had begun with it."""
        found = self._begun.get(target.label)
        if found is None:
            text = str(target.label)
            unit = unit or Unit("target", text, text)
            unit.mnemonic = target.rule.name
            transition(self.events, unit, State.CHECKING)
            described = encode(target.described())
            identity = self.cas.function.of_bytes(described)
            last, traces = self.traces.last(target.label), self.traces.get(identity)
            found = self._begun[target.label] = unit, Known(described, identity, last, traces)
        return found

    async def _check(self, target: Target, unit: Unit, known: Known, answer: Answerer) -> Built | None:
        """The target as an earlier build left it, its outputs brought about; None when its rule must run."""
        last, identity = known.last, known.identity
        refresh = chosen(target.label, self.options.refresh)
        present = Present(lambda: manifest_of(known.described, self.cas.function), last, known.traces, refresh)
        while True:
            decision = await decide(present, answer, self._effects.unusable)
            known.decision = decision
            if decision.trace is None:
                return None
            try:
                self._effects.finish(target, decision.trace, last.outputs if last else [])
            except BlobMissing:
                continue  # a result turned out to be damaged: the next decision sees that it is gone
            break
        if known.traces.at > 0:
            self.traces.put(identity, decision.trace, known.traces)  # the latest, again
        if last is None or last.identity != str(identity) or set(last.outputs) != set(decision.trace.outputs):
            self._remember(target, known, decision.trace, [], [])
        self._note(target.label, decision)
        transition(self.events, unit, State.CACHED)
        self._begun.pop(target.label, None)
        return Built(target.label, decision.trace, ran=False)

    def _note(self, label: Label, decision: Decision) -> None:
        if self.options.dry_run:
            self.decisions[label] = decision

    async def _build(self, target: Target, job: Job[Built], unit: Unit, known: Known) -> Built:
        built = await self._check(target, unit, known, lambda asked: self.answers.all(asked, job))
        if built is not None:
            return built
        decision = known.decision
        self._note(target.label, decision)
        reasons = decision.reasons()
        await self.scheduler.turn(target.label)
        transition(self.events, unit, State.RUNNING, reasons=reasons)
        previous = known.last.outputs if known.last else []
        trace, actions = await self._run_rule(target, job, lambda trace: self._effects.finish(target, trace, previous))
        self.traces.put(known.identity, trace, known.traces)
        self._remember(target, known, trace, actions, reasons)
        transition(self.events, unit, State.DONE, reasons=reasons)
        return Built(target.label, trace, ran=True, reasons=reasons)

    def identity(self, target: Target) -> Digest:
        """What a target is apart from its inputs: the key of its traces."""
        return key_of(target.described(), self.cas.function)

    async def _run_rule(
        self, target: Target, job: Job[Built], finish: Callable[[Trace], None]
    ) -> tuple[Trace, list[tuple[str, str]]]:
        """Run the implementation. A blob that proves to be lost on the way is made again, and the rule starts over."""
        lost: set[Digest] = set()
        while True:
            context: TargetContext[Any] = TargetContext(target, job, self.answers, self.executor)
            try:
                trace = context.trace(await target.rule.implementation(context))
                finish(trace)
            except BlobMissing as error:
                if error.digest in lost:
                    raise
                lost.add(error.digest)
                await self._make_again(error.digest, job)
                continue
            return trace, context.actions

    async def _make_again(self, digest: Digest, job: Job[Built]) -> None:
        """Bring a lost blob back: from an output file, or by running whoever made it. The asker's own it makes itself."""
        for other in self.scheduler.jobs():
            if other.value is None or str(digest) not in other.value.trace.blobs:
                continue
            target = self.table.get(other.value.label)
            assert target is not None
            self.events.note("lost result made again", str(target.label), digest=str(digest))
            for path, (text, _) in other.value.trace.outputs.items():
                data = self.outputs.bytes_of(path, digest) if text == str(digest) else None
                if data is not None:
                    self.cas.put(data)
                    return
            await self._run_rule(target, job, lambda trace: None)
            if self.cas.has(digest):
                return
            # What depends on it has the old value; the next build begins with the new one.
            self.traces.forget(self.identity(target))
            raise BlobMissing(digest)

    def _remember(
        self, target: Target, known: Known, trace: Trace, actions: Sequence[tuple[str, str]], reasons: list[str]
    ) -> None:
        if not self.options.dry_run:
            self.traces.put_last(target.label, str(known.identity), known.described, trace, actions, reasons)


__all__ = ["BuildOptions", "BuildResult", "Engine"]
