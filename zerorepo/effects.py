"""What a built target does to the world: its outputs, checked-in files and declarations. The same for a hit and for a run.

Knows nothing of how a target is decided on or run.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

from zerorepo.action_key import key_of
from zerorepo.build_result import BuildOptions
from zerorepo.cas import Cas
from zerorepo.digest import Digest
from zerorepo.errors import TargetFailed
from zerorepo.events import EventStream
from zerorepo.fileio import write_atomic
from zerorepo.label import parse_label
from zerorepo.outputs import OutputTree
from zerorepo.sources import SourceTree
from zerorepo.store import Store
from zerorepo.table import Target, TargetTable
from zerorepo.target import TargetDecl
from zerorepo.trace import Trace, TraceStore
from zerorepo.workspace import Workspace

_PATIENCE_S = 2.0  # for another builder to let go of an output that it has just written


class Effects:
    """Effects of one build. ``updated``: checked-in files that it changed."""

    def __init__(
        self,
        workspace: Workspace,
        options: BuildOptions,
        table: TargetTable,
        sources: SourceTree,
        outputs: OutputTree,
        cas: Cas,
        local: Store,
        traces: TraceStore,
        events: EventStream,
    ) -> None:
        self._workspace = workspace
        self._options = options
        self._table = table
        self._sources = sources
        self._outputs = outputs
        self._cas = cas
        self._local = local
        self._traces = traces
        self._events = events
        self._patience_s = _PATIENCE_S
        self.updated: list[str] = []

    def unusable(self, trace: Trace) -> str:
        """Why a trace that holds cannot be used; "" when it can."""
        files = trace.output_digests()
        if self._outputs.intact(files, _executable(trace)):
            files = {}
        needed = {*files.values(), *map(Digest.parse, trace.updates.values()), *map(Digest.parse, trace.blobs)} - (
            set() if files else set(trace.output_digests().values())
        )
        gone = [digest for digest in needed if not self._cas.has(digest)]
        return f"the cache no longer has {len(gone)} of its results" if gone else ""

    def finish(self, target: Target, trace: Trace, previous: Sequence[str]) -> None:
        """Effects of a built target on the world: expansion, checked-in files, outputs. The same for a hit and a run."""
        self._update_sources(target, trace)
        if not self._options.dry_run:
            self._bring_about(target, trace, previous)
        # Last: it cannot be done twice, and what comes before may find a blob to be lost.
        if trace.declared:
            self._table.expand(
                target.label,
                (TargetDecl(label=parse_label(label), rule=rule, attrs=attrs) for label, rule, attrs in trace.declared),
            )

    def _update_sources(self, target: Target, trace: Trace) -> None:
        for path, text in trace.updates.items():
            digest = Digest.parse(text)
            if self._sources.digest(path) == digest or self._options.dry_run:
                continue
            if self._options.locked:
                raise TargetFailed(
                    f"`{path}` is out of date and --locked forbids changing it",
                    where=target.where,
                    hint=f"run `zerorepo build {target.label}` without --locked and check `{path}` in",
                )
            scratch = self._workspace.state_dir / "tmp"
            write_atomic(self._workspace.root / path, self._cas.get(digest), durable=True, scratch=scratch)
            self._sources.forget(path)
            self.updated.append(path)
            self._events.note("updated", str(target.label), path=path)

    def _bring_about(self, target: Target, trace: Trace, previous: Sequence[str]) -> None:
        """Write the outputs. Beside another builder of this workspace each file is claimed until its record can be seen."""
        claims = () if self._local.claims.alone() else sorted({*trace.outputs, *previous})
        for path in claims:
            if not self._local.claims.take_soon(b"o" + path.encode(), self._patience_s):
                self._patience_s = 0.0  # whoever holds it was stopped, or hangs: it is not waited for again and again
        try:
            files, made = trace.output_digests(), partial(self._made, target)
            self._outputs.ensure(str(target.label), files, _executable(trace), previous, made)
        finally:
            for path in claims:
                self._local.finish(b"o" + path.encode())

    def _made(self, target: Target, path: str) -> set[str]:
        """The digests of what the target, as it is declared now, is known to have written to a path."""
        traces = self._traces.get(key_of(target.described(), self._cas.function))
        return {trace.outputs[path][0] for trace in traces if path in trace.outputs}


def _executable(trace: Trace) -> list[str]:
    return [path for path, (_, executable) in trace.outputs.items() if executable]
