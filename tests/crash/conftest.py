"""Makes the driver of the command line (tests/cli/command.py) importable here. Knows nothing of any one test."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.append(str(Path(__file__).parents[1] / "cli"))
