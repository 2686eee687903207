"""The corpus of injections: texts that try to be instructions. ``injections/refused-*`` may not be sent at all."""

from __future__ import annotations

from pathlib import Path

from .small_pdf import text_of

FOLDER = Path(__file__).parent / "injections"


def read(path: Path) -> str:
    """The text of one file; of a PDF what an extraction finds."""
    data = path.read_bytes()
    return text_of(data) if path.suffix == ".pdf" else data.decode("utf-8")


ALL = {path.name: read(path) for path in sorted(FOLDER.iterdir())}
SENT = {name: text for name, text in ALL.items() if not name.startswith("refused-")}
REFUSED = {name: text for name, text in ALL.items() if name.startswith("refused-")}
