"""The action cache: action key to action result. Knows nothing of targets, traces or order.

A result counts only while every blob it refers to is in the CAS; otherwise the action runs again.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import msgspec
from pydantic import ValidationError

from zerorepo.action import Action, ActionResult
from zerorepo.action_key import blobs_in, manifest_of
from zerorepo.cas import Cas
from zerorepo.digest import Digest
from zerorepo.store import Store

_WHOLE = 16 * 1024  # of a longer action only the explanation is kept, not every byte of it


class Row(msgspec.Struct, gc=False, omit_defaults=True):
    """A row of the store: MessagePack, or the JSON that an older version wrote."""

    result: str
    meters: dict[str, float]
    mnemonic: str = ""
    encoded: bytes = b""
    """What the key is the digest of; or, when that is long, ``manifest``."""
    manifest: dict[str, str] = {}


@dataclass(frozen=True, slots=True)
class CachedResult:
    """A result and what it cost when it was made (``model_calls``, ``cost_usd``, …, ``wall_s``)."""

    result: ActionResult
    meters: Mapping[str, float]


class ActionCache:
    """Results by key."""

    def __init__(self, store: Store, cas: Cas) -> None:
        self._store = store
        self._cas = cas

    def get(self, action: Action, key: Digest) -> CachedResult | None:
        """The remembered result; None when there is none, it does not parse, or a blob of it is gone."""
        row = self._row(key.hex)
        if row is None:
            return None
        try:
            result = type(action).result.model_validate_json(row.result)
        except ValidationError:
            return None
        if not all(self._cas.has(digest) for digest in blobs_in(result)):
            return None
        return CachedResult(result, row.meters)

    def put(self, action: Action, key: Digest, encoded: bytes, result: str, meters: Mapping[str, float]) -> None:
        """Remember a result (as JSON), durably, before anyone sees it. ``encoded`` is what the key is the digest of."""
        row = Row(result, dict(meters), type(action).mnemonic)
        if len(encoded) <= _WHOLE:
            row.encoded = encoded
        else:
            row.manifest = manifest_of(encoded, self._cas.function)
        self._store.put(b"a" + key.hex.encode(), msgspec.msgpack.encode(row))

    def manifest(self, key: str) -> dict[str, str]:
        """The fields of the action with this key, readable; empty when it is not remembered."""
        row = self._row(key)
        if row is None:
            return {}
        try:
            return manifest_of(row.encoded, self._cas.function) if row.encoded else row.manifest
        except ValueError:
            return {}  # written by another version of the encoding

    def has(self, key: str) -> bool:
        """Whether a result is remembered. Its blobs may be gone; ``get`` finds out."""
        return self._row(key) is not None

    def meters(self, key: str) -> dict[str, float]:
        """What the action with this key cost when it ran; empty when it is not remembered."""
        row = self._row(key)
        return row.meters if row else {}

    def _row(self, key: str) -> Row | None:
        return decode_row(self._store.get(b"a" + key.encode()))


_decoder = msgspec.msgpack.Decoder(Row)


def decode_row(data: bytes | None) -> Row | None:
    """A row of the action cache; None when it is none."""
    if data is None:
        return None
    try:
        return msgspec.json.decode(data, type=Row) if data.startswith(b"{") else _decoder.decode(data)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return None
