"""The first example as this repository ships it, for tests that work on a copy of it."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
OLD_SENTENCE, NEW_SENTENCE = "missing values always come last", "missing values always come first"
_FILES = ("zerorepo.toml", "zerorepo.lock", "spec.md")


def copy_example(folder: Path) -> None:
    """Into ``folder``, which is made. Whoever has followed the README has its edit in these files, and gets them as they were."""
    folder.mkdir(parents=True, exist_ok=True)
    is_edited = NEW_SENTENCE in (ROOT / "spec.md").read_text()
    for name in _FILES:
        data = _committed(name) if is_edited else (ROOT / name).read_bytes()
        (folder / name).write_bytes(data)
    shutil.copytree(ROOT / "transcripts", folder / "transcripts")


def _committed(name: str) -> bytes:
    return subprocess.run(("git", "show", f"HEAD:{name}"), cwd=ROOT, capture_output=True, check=True).stdout
