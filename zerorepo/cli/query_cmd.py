"""``zerorepo query``: placeholder until the graph is joined to the language."""

from __future__ import annotations

from zerorepo.errors import ExitCode


def run(expression: str, *, output: str, order: str, keep_going: bool) -> ExitCode:
    """To be joined."""
    raise NotImplementedError(expression, output, order, keep_going)
