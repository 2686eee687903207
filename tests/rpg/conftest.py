"""What the tests of this rule set share: a workspace that builds from recorded answers."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The first example, with its recorded answers."""
    for name in ("spec.md", "zerorepo.toml", "zerorepo.lock"):
        shutil.copy(ROOT / name, tmp_path)
    shutil.copytree(ROOT / "transcripts", tmp_path / "transcripts")
    return tmp_path
