"""Reads the text of the small PDF files of the injection corpus: one page, one font, Flate streams. For tests only."""

from __future__ import annotations

import re
import zlib


def text_of(data: bytes) -> str:
    """The title, and what the page shows or hides, line by line."""
    assert data.startswith(b"%PDF-1.") and data.rstrip().endswith(b"%%EOF")
    lines = [_string(found) for found in re.findall(rb"/Title \(((?:\\.|[^\\)])*)\)", data)]
    for stream in re.findall(rb"stream\n(.*?)\nendstream", data, re.DOTALL):
        lines += [_string(found) for found in re.findall(rb"\(((?:\\.|[^\\)])*)\) Tj", zlib.decompress(stream))]
    return "\n".join(lines) + "\n"


def _string(data: bytes) -> str:
    return re.sub(rb"\\(.)", rb"\1", data).decode("cp1252")
