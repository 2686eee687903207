"""The action cache: action key to action result. Knows nothing of targets, traces or order.

A result counts only while every blob it refers to is in the CAS; otherwise the action runs again.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass

from pydantic import ValidationError

from zerorepo.action import Action, ActionResult
from zerorepo.action_key import blobs_in
from zerorepo.cas import Cas
from zerorepo.digest import Digest
from zerorepo.store import Store


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
        row = self._store.get(b"a" + key.hex.encode())
        if row is None:
            return None
        try:
            body = json.loads(row)
            result = type(action).result.model_validate_json(body["result"])
        except (ValueError, KeyError, TypeError, ValidationError):
            return None
        if not all(self._cas.has(digest) for digest in blobs_in(result)):
            return None
        return CachedResult(result, body.get("meters", {}))

    def meters(self, key: str) -> Mapping[str, float] | None:
        """What the action with this key (hex) took when it was executed; None when that is not known."""
        try:
            found = json.loads(self._store.get(b"a" + key.encode()) or b"{}").get("meters")
        except ValueError:
            return None
        return found if isinstance(found, dict) else None

    def put(self, action: Action, key: Digest, result: ActionResult, meters: Mapping[str, float]) -> None:
        """Remember a result, durably, before anyone sees it."""
        body = {"result": result.model_dump_json(), "meters": dict(meters), "mnemonic": type(action).mnemonic}
        self._store.put(b"a" + key.hex.encode(), json.dumps(body).encode())
