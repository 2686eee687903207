"""The tiny library, built once for all tests that begin with a built one. Knows no single test."""

from __future__ import annotations

from pathlib import Path

import pytest

from e2e.scripted_library import Built, Tinytext
from zerorepo.errors import ExitCode


@pytest.fixture(scope="session")
def built_library(tmp_path_factory: pytest.TempPathFactory) -> tuple[Tinytext, Built]:
    """The library, built from nothing, and that build; nobody changes it."""
    made = Tinytext(tmp_path_factory.mktemp("first") / "ws")
    built = made.build()
    assert built.code is ExitCode.OK, built.failures
    return made, built


@pytest.fixture
def copy(built_library: tuple[Tinytext, Built], tmp_path: Path) -> Tinytext:
    """The built library in a folder that a test may change, with a model that was asked nothing yet."""
    return built_library[0].copy(tmp_path / "copy")
