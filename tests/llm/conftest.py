"""Fixtures for the tests of asking models. Knows no single test."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from .fake_openai import FakeOpenAI
from .fakes import Build


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    (tmp_path / "zerorepo.toml").write_text("")
    return tmp_path


@pytest.fixture
def build(workspace: Path) -> Build:
    return Build(workspace)


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server
