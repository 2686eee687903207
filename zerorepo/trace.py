"""Traces: what a target asked for, in order, with digests, and what came out (a constructive trace, Mokhov et al. 2018).

``TraceStore`` remembers the traces of each target identity, the latest first, so that going back to an earlier state of the sources
is a hit; and for each label of a workspace the last build of it, which ``explain`` compares with. Knows nothing of comparing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any

import msgspec

from zerorepo.action_cache import ActionCache
from zerorepo.action_key import manifest_of
from zerorepo.digest import Digest, DigestFunction
from zerorepo.label import Label
from zerorepo.store import Store

_KEPT = 64  # traces of one identity: enough for many branches
_KEPT_BYTES = 1 << 20  # and no more than this, beyond the latest six
_KEPT_ALWAYS = 6


class Request(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """One request of a rule implementation: ``kind`` and ``name`` say what was asked, ``answer`` is the digest of the answer."""

    kind: str
    name: str
    answer: str


class ProviderRecord(msgspec.Struct, frozen=True, array_like=True, gc=False):
    """A provider value: its type's name, its JSON, and its digest."""

    type: str
    json: str
    digest: str


class Trace(msgspec.Struct, frozen=True, array_like=True):
    """``groups``: requests made together, in order. The rest is what came out."""

    groups: tuple[tuple[Request, ...], ...]
    providers: tuple[ProviderRecord, ...]
    outputs: dict[str, tuple[str, bool]]
    """Path below the output folder to (digest, executable)."""
    declared: tuple[tuple[str, str, dict[str, Any]], ...] = ()
    """Expansion: (label, rule, raw attributes)."""
    updates: dict[str, str] = {}
    """Checked-in file to digest of its new content."""
    blobs: tuple[str, ...] = ()
    """Every CAS digest that the providers refer to."""

    def output_digests(self) -> dict[str, Digest]:
        """Outputs by path."""
        return {path: Digest.parse(digest) for path, (digest, _) in self.outputs.items()}


class _LastRow(msgspec.Struct, array_like=True):
    identity: str
    described: bytes
    requests: tuple[tuple[Request, ...], ...]
    actions: tuple[tuple[str, str], ...]
    reasons: list[str]
    outputs: list[str]


class LastBuild:
    """The last time a label was built in this workspace: its identity as text, its requests, its actions, and why it ran."""

    def __init__(self, row: _LastRow, actions: ActionCache | None, function: DigestFunction) -> None:
        self._row = row
        self._actions = actions
        self._function = function
        self.identity = row.identity
        self.reasons = row.reasons
        self.outputs = row.outputs

    @cached_property
    def manifest(self) -> Mapping[str, str]:
        """What the target was, readable."""
        try:
            return manifest_of(self._row.described, self._function)
        except ValueError:
            return {}  # written by another version of the encoding

    @cached_property
    def requests(self) -> Sequence[tuple[str, str, str]]:
        """What it asked for: kind, name, answer."""
        return [(request.kind, request.name, request.answer) for group in self._row.requests for request in group]

    @property
    def action_keys(self) -> Sequence[tuple[str, str]]:
        """Mnemonic and key of each action it asked for."""
        return self._row.actions

    @cached_property
    def actions(self) -> Sequence[tuple[str, str, Mapping[str, str]]]:
        """(mnemonic, key, manifest) of each action it asked for; of one that the cache has forgotten, an empty manifest."""
        known = self._actions
        return [(mnemonic, key, known.manifest(key) if known else {}) for mnemonic, key in self._row.actions]


def _plain(value: object) -> str:
    if isinstance(value, str):
        return str.__str__(value)  # a path or another kind of string
    raise NotImplementedError(type(value).__name__)


_encoder = msgspec.msgpack.Encoder(enc_hook=_plain)
_rows = msgspec.msgpack.Decoder(list[bytes])
_trace = msgspec.msgpack.Decoder(Trace)
_last = msgspec.msgpack.Decoder(_LastRow)


class Traces:
    """Traces of one target identity, latest first, each decoded when it is come to. ``at`` is the place of the last one decoded."""

    def __init__(self, encoded: list[bytes]) -> None:
        self.encoded = encoded
        self.at = -1

    def __len__(self) -> int:
        return len(self.encoded)

    def __iter__(self) -> Iterator[Trace]:
        for at, data in enumerate(self.encoded):
            self.at = at
            try:
                yield _trace.decode(data)
            except (msgspec.DecodeError, UnicodeDecodeError):
                continue


def decode_traces(row: bytes | None) -> list[Trace] | None:
    """The traces of a row of the store; None when one of them cannot be read."""
    try:
        return [_trace.decode(data) for data in _rows.decode(row or b"")]
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None


class TraceStore:
    """Traces by target identity (shared with the cache) and last builds by label (of this workspace)."""

    def __init__(self, shared: Store, local: Store, actions: ActionCache | None = None) -> None:
        self._shared = shared
        self._local = local
        self._actions = actions

    def get(self, identity: Digest) -> Traces:
        """Traces of a target identity, latest first."""
        row = self._shared.get(b"t" + identity.hex.encode())
        try:
            return Traces(_rows.decode(row) if row is not None else [])
        except msgspec.DecodeError:
            return Traces([])

    def put(self, identity: Digest, trace: Trace, older: Traces) -> None:
        """Remember a trace; it becomes the latest, before ``older``, those that ``get`` had."""
        kept = [_encoder.encode(trace)]
        size = len(kept[0])
        for data in older.encoded:
            size += len(data)
            if len(kept) == _KEPT or (size > _KEPT_BYTES and len(kept) >= _KEPT_ALWAYS):
                break
            if not self._is_same_state(data, trace):
                kept.append(data)
        self._shared.put(b"t" + identity.hex.encode(), _encoder.encode(kept))

    @staticmethod
    def _is_same_state(data: bytes, trace: Trace) -> bool:
        try:
            return _trace.decode(data).groups == trace.groups
        except (msgspec.DecodeError, UnicodeDecodeError):
            return True  # of no use

    def forget(self, identity: Digest) -> None:
        """Forget what came of a target identity: something of it was lost and cannot be made again."""
        self._shared.delete(b"t" + identity.hex.encode())

    def last(self, label: Label) -> LastBuild | None:
        """The last build of a label, or None."""
        row = self._local.get(b"l" + str(label).encode())
        if row is None:
            return None
        try:
            return LastBuild(_last.decode(row), self._actions, DigestFunction.XXH3)
        except (msgspec.DecodeError, UnicodeDecodeError):
            return None

    def last_stamps(self) -> dict[str, tuple[object, ...]]:
        """For each label that was ever built here plain values that are others when it has been built since."""
        return {key[1:].decode(): stamp for key, stamp in self._local.stamps(b"l").items()}

    def failures(self) -> set[str]:
        """Labels whose last build failed in this workspace."""
        return {key[1:].decode() for key in self._local.keys(b"x")}

    def note_failures(self, failed: Iterable[str], well: Callable[[str], bool]) -> None:
        """Remember what failed in a build, and forget earlier failures that are ``well`` now."""
        earlier = self.failures()
        for label in set(failed) - earlier:
            self._local.put(b"x" + label.encode(), b"")
        for label in filter(well, earlier):
            self._local.delete(b"x" + label.encode())

    def labels(self) -> list[str]:
        """Every label that was ever built here, sorted."""
        return [key[1:].decode() for key in self._local.keys(b"l")]

    def put_last(
        self,
        label: Label,
        identity: str,
        described: bytes,
        trace: Trace,
        actions: Sequence[tuple[str, str]],
        reasons: list[str],
    ) -> None:
        """Remember a build of a label: ``described`` is what its identity is the digest of, ``actions`` mnemonics and keys."""
        row = _LastRow(identity, described, trace.groups, tuple(actions), reasons, list(trace.outputs))
        self._local.put(b"l" + str(label).encode(), _encoder.encode(row))
