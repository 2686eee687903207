"""``zerorepo sandbox``: making what the sandbox needs once per machine. Knows nothing of builds."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from zerorepo_sandbox import image

sandbox_app = typer.Typer(help="Prepare this machine for the sandbox tiers docker and gvisor.", no_args_is_help=True)


@sandbox_app.callback()
def _group() -> None:
    """Prepare this machine for the sandbox tiers docker and gvisor."""


@sandbox_app.command("image")
def make_image(
    again: Annotated[bool, typer.Option("--again", help="Make it anew, with the packages of today.")] = False,
) -> None:
    """Make the root folder of the tiers docker and gvisor from Debian packages (as root, once, about a minute)."""
    made = image.make(lambda text: print(text, file=sys.stderr, flush=True), again=again)
    print(f"{made.tag}  {made.tar}")
