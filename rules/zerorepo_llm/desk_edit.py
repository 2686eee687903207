"""Answering a parked prompt in an editor, as ``git commit`` writes messages. Knows nothing of how answers are kept.

The draft stands in the prompt's folder, so that nothing typed is lost; the prompt is shown below a line that cuts it off.
"""

from __future__ import annotations

import os
import shlex
import subprocess

from zerorepo.errors import UsageError
from zerorepo_llm.desk import Parked
from zerorepo_llm.files import write_durably

_CUT = "# ------------------------ >8 ------------------------"
_TOLD = "Write the answer above this line; what stands below is ignored. An empty answer changes nothing."


def edited(parked: Parked) -> str:
    """What a person wrote, when the editor is closed; "" when nothing. UsageError when there is no editor."""
    draft = parked.folder / "draft.md"
    written = _above(draft.read_text("utf-8")) if draft.exists() else ""
    text = f"{written or chr(10)}{_CUT}\n# {_TOLD}\n\n{parked.prompt.read_text('utf-8')}"
    write_durably(draft, text.encode())
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    try:
        done = subprocess.run([*shlex.split(editor), str(draft)], check=False)
    except (OSError, ValueError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise UsageError(f"The editor `{editor}` cannot be run: {why}", hint="set EDITOR to one that can") from None
    if done.returncode:
        raise UsageError(f"The editor ended with code {done.returncode}; the prompt stays open and the draft is kept")
    try:
        return _above(draft.read_text("utf-8")).strip("\n")
    except UnicodeDecodeError as error:
        raise UsageError(f"The draft is not UTF-8 text (byte {error.start})", where=str(draft)) from None


def _above(text: str) -> str:
    return text.partition(_CUT)[0]
