"""The files that ``zerorepo init`` writes for a repository made from a specification."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Protocol

LOCK = "zerorepo.lock"


class Say(Protocol):
    """How what is found is told; ``left_out`` is of what is not taken in."""

    def __call__(self, text: str) -> None:
        """Tell."""

    def left_out(self, text: str) -> None:
        """Tell, and have the exit code say it."""


def from_code(code: Path, workspace: Path, say: Say) -> dict[str, str]:
    """The lock with the graph of existing code in it; the plan that it holds is kept. UsageError for a lock that is wrong."""
    from zerorepo_rpg.lock import Lock, parse_lock, render
    from zerorepo_rpg.scan import scan

    found = scan(code)
    path = workspace / LOCK
    lock = parse_lock(path.read_text("utf-8"), LOCK) if path.exists() else Lock()
    for text in found.unread:
        say.left_out(f"not read: {text}")
    cycles = found.import_cycles()
    for cycle in cycles[:5]:
        say(f"these files import each other: {' -> '.join((*cycle, cycle[0]))}")
    if len(cycles) > 5:
        say(f"and {len(cycles) - 5} more groups of files that import each other")
    if found.unread:
        say(f"{len(found.unread):,} of {found.files:,} files could not be read; the rest is taken in")
    say(f"{found.files:,} files: {len(found.graph.nodes):,} nodes, {len(found.graph.edges):,} edges")
    return {LOCK: render(lock.model_copy(update={"existing": found.graph}))}


def repository(folder: str) -> dict[str, str]:
    """A workspace of one target, named after the folder."""
    name = re.sub(r"[^a-z0-9]+", "-", folder.lower()).strip("-") or "library"
    config = f'''# A ZeroRepo workspace: `zerorepo build //...` turns spec.md into a tested Python package in out/{name}/.

[llm]
# Who answers: "litellm" (a model; set its API key in the environment), "desk" (you, or an agent: `zerorepo desk`),
# or "replay" (recorded answers in transcripts/).
provider = "desk"
transcripts = ["transcripts"]

# [llm.tiers]             # with provider = "litellm": which model answers which kind of question
# cheap = "anthropic/…"
# medium = "anthropic/…"
# strong = "anthropic/…"

[[target]]
name = "{name}"
rule = "repository"
spec = "spec.md"
'''
    spec = f"""# {folder}

Describe in one or two sentences what the library `{name.replace("-", "_")}` is for.

## What it does

- State one thing a caller can do, one sentence each.
- Name functions and types where you care about their names.
"""
    recorded = "Recorded answers (`zerorepo transcripts export`).\n"
    return {"zerorepo.toml": config, "spec.md": spec, "transcripts/README.md": recorded}
