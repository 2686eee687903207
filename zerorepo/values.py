"""``Value``: the base of everything that crosses the wall (attributes, providers, actions, results).

Frozen, closed pydantic models, so that they compare, hash to a digest, and survive a round trip through JSON. A field
marked ``Cosmetic`` is carried but is no part of identity. Knows nothing of digests being computed (``action_key``).
"""

from __future__ import annotations

from functools import cache
from typing import ClassVar

from pydantic import BaseModel, ConfigDict


class _CosmeticMark:
    """Marker type; see ``Cosmetic``."""

    def __repr__(self) -> str:
        return "Cosmetic"


COSMETIC = _CosmeticMark()
"""``Annotated[T, COSMETIC]``: excluded from keys and digests (descriptions, timeouts, endpoints)."""


class Value(BaseModel):
    """A frozen, closed model. ``key_version`` is raised when the meaning of its fields changes."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", ser_json_bytes="base64", val_json_bytes="base64", ser_json_inf_nan="constants"
    )
    key_version: ClassVar[int] = 1


@cache
def identity_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Names of the fields that belong to identity, in declaration order."""
    return tuple(name for name, field in model.model_fields.items() if COSMETIC not in field.metadata)
