"""``zerorepo completion``: scripts for bash, zsh and fish, as Typer makes them."""

from __future__ import annotations

from typer._completion_shared import get_completion_script

from zerorepo.cli.common import emit
from zerorepo.errors import ExitCode, UsageError, did_you_mean

_SHELLS = ("bash", "zsh", "fish")


def run(shell: str) -> ExitCode:
    """Print the script for ``shell``."""
    if shell not in _SHELLS:
        hint = did_you_mean(shell, _SHELLS) or f"choose one of {', '.join(_SHELLS)}"
        raise UsageError(f"No completion for `{shell}`", hint=hint)
    emit(get_completion_script(prog_name="zerorepo", complete_var="_ZEROREPO_COMPLETE", shell=shell))
    return ExitCode.OK
