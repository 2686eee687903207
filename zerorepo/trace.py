"""Traces: what a target asked for, in order, with digests, and what came out (a constructive trace, Mokhov et al. 2018).

``TraceStore`` remembers the latest traces of each target identity, so that going back to an earlier state of the sources is a
hit; and for each label of a workspace the last build of it, which ``explain`` compares with. Knows nothing of comparing.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from zerorepo.digest import Digest
from zerorepo.label import Label
from zerorepo.store import Store

_KEPT = 64  # traces of one identity, the latest used: enough for many branches, little enough to verify in turn
_VERSION = 1


@dataclass(frozen=True, slots=True)
class Request:
    """One request of a rule implementation: ``kind`` and ``name`` say what was asked, ``answer`` is the digest of the answer."""

    kind: str
    name: str
    answer: str


@dataclass(frozen=True, slots=True)
class ProviderRecord:
    """A provider value: its type's name, its JSON, and its digest."""

    type: str
    json: str
    digest: str


@dataclass(frozen=True, slots=True)
class Trace:
    """``groups``: requests made together, in order. The rest is what came out."""

    groups: tuple[tuple[Request, ...], ...]
    providers: tuple[ProviderRecord, ...]
    outputs: Mapping[str, tuple[str, bool]]
    """Path below the output folder to (digest, executable)."""
    declared: tuple[tuple[str, str, Mapping[str, Any]], ...] = ()
    """Expansion: (label, rule, raw attributes)."""
    updates: Mapping[str, str] = field(default_factory=dict)
    """Checked-in file to digest of its new content."""
    blobs: tuple[str, ...] = ()
    """Every CAS digest that the providers refer to."""

    def to_json(self) -> dict[str, Any]:
        """Plain data, compact."""
        return {
            "v": _VERSION,
            "g": [[[r.kind, r.name, r.answer] for r in group] for group in self.groups],
            "p": [[p.type, p.json, p.digest] for p in self.providers],
            "o": {path: list(value) for path, value in self.outputs.items()},
            "d": [[label, rule, dict(attrs)] for label, rule, attrs in self.declared],
            "u": dict(self.updates),
            "b": list(self.blobs),
        }

    @classmethod
    def from_json(cls, body: Mapping[str, Any]) -> Trace:
        """The inverse; KeyError, TypeError or ValueError when it is not one."""
        if body["v"] != _VERSION:
            raise ValueError("a trace of another version")
        return cls(
            tuple(tuple(Request(*request) for request in group) for group in body["g"]),
            tuple(ProviderRecord(*record) for record in body["p"]),
            {path: (digest, bool(executable)) for path, (digest, executable) in body["o"].items()},
            tuple((label, rule, attrs) for label, rule, attrs in body["d"]),
            body["u"],
            tuple(body["b"]),
        )

    def output_digests(self) -> dict[str, Digest]:
        """Outputs by path."""
        return {path: Digest.parse(digest) for path, (digest, _) in self.outputs.items()}


@dataclass(slots=True)
class LastBuild:
    """The last time a label was built in this workspace: its identity as text, its requests, its actions, and why it ran."""

    identity: str
    manifest: Mapping[str, str]
    requests: Sequence[tuple[str, str, str]]
    actions: Sequence[tuple[str, str, Mapping[str, str]]]
    """(mnemonic, key, manifest) of each action it asked for."""
    reasons: list[str]
    outputs: list[str]


class TraceStore:
    """Traces by target identity (shared with the cache) and last builds by label (of this workspace)."""

    def __init__(self, shared: Store, local: Store) -> None:
        self._shared = shared
        self._local = local

    def get(self, identity: Digest) -> list[Trace]:
        """Traces of a target identity, latest first."""
        row = self._shared.get(b"t" + identity.hex.encode())
        if row is None:
            return []
        try:
            return [Trace.from_json(body) for body in json.loads(row)]
        except (ValueError, KeyError, TypeError):
            return []

    def put(self, identity: Digest, trace: Trace) -> None:
        """Remember a trace; it becomes the latest."""
        older = [other for other in self.get(identity) if other.groups != trace.groups]
        rows = [each.to_json() for each in [trace, *older][:_KEPT]]
        self._shared.put(b"t" + identity.hex.encode(), json.dumps(rows, ensure_ascii=False).encode())

    def forget(self, identity: Digest) -> None:
        """Forget what came of a target identity: something of it was lost and cannot be made again."""
        self._shared.delete(b"t" + identity.hex.encode())

    def last(self, label: Label) -> LastBuild | None:
        """The last build of a label, or None."""
        row = self._local.get(b"l" + str(label).encode())
        if row is None:
            return None
        try:
            body = json.loads(row)
            return LastBuild(
                body["identity"],
                body["manifest"],
                [(kind, name, answer) for kind, name, answer in body["requests"]],
                [(mnemonic, key, manifest) for mnemonic, key, manifest in body["actions"]],
                body["reasons"],
                body["outputs"],
            )
        except (ValueError, KeyError, TypeError):
            return None

    def put_last(self, label: Label, last: LastBuild) -> None:
        """Remember a build of a label."""
        body = {
            "identity": last.identity,
            "manifest": dict(last.manifest),
            "requests": list(last.requests),
            "actions": list(last.actions),
            "reasons": last.reasons,
            "outputs": last.outputs,
        }
        self._local.put(b"l" + str(label).encode(), json.dumps(body, ensure_ascii=False).encode())
