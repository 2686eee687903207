"""Where ``testing.use_provider`` puts a provider in the place of the configured one. Knows nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from zerorepo_llm.providers import ModelProvider, Setup

factory: Callable[[Setup], ModelProvider] | None = None
