"""The files that ``zerorepo init`` writes for a repository made from a specification."""

from __future__ import annotations

import re


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
