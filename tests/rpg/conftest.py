"""What the tests of this rule set share: a workspace that builds from recorded answers."""

from __future__ import annotations

from pathlib import Path

import pytest
from shipped import copy_example


@pytest.fixture
def workspace(tmp_path: Path) -> Path:
    """The first example, with its recorded answers."""
    copy_example(tmp_path)
    return tmp_path
