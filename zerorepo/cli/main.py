"""The outermost frame: cheap answers without loading the command line, errors as text and exit codes, never a traceback.

``--debug`` shows the traceback. Knows nothing of any command.
"""

from __future__ import annotations

import os
import sys
from typing import Any

from zerorepo import snapshot


def main() -> None:
    """Entry point of the ``zerorepo`` command."""
    if sys.argv[1:] in (["version"], ["--version"]):
        from zerorepo import __version__

        print(f"zerorepo {__version__}")
        return
    looked = os.environ.pop(snapshot.LOOKED, "") == str(os.getpid())
    if not looked and (found := snapshot.answer(sys.argv[1:])) is not None:
        snapshot.say(*found)
        return
    sys.exit(run(sys.argv[1:]))


def hoist(argv: list[str]) -> list[str]:
    """Global options that stand after the command are moved before it, since nobody remembers where they belong."""
    front: list[str] = []
    rest: list[str] = []
    taken_away: list[str] = []
    words = iter(argv)
    for word in words:
        if word == "--":
            rest += [word, *words]
        elif word in ("--set", "--directory", "-C"):
            front += [word, *([value] if (value := next(words, None)) is not None else [])]
        elif word == "--debug" or word.startswith(("--set=", "--directory=")):
            front.append(word)
        elif word.startswith(("-//", "-:")):
            taken_away.append(word)  # a negative target pattern, not an option; it takes away from all the others
        else:
            rest.append(word)
    return front + rest + (["--", *taken_away] if taken_away and "--" not in rest else taken_away)


def run(argv: list[str]) -> int:
    """Run one command line and return its exit code."""
    import signal
    import time

    import typer

    from zerorepo.cli.app import make_app
    from zerorepo.cli.common import GLOBALS, say
    from zerorepo.errors import ExitCode, ZeroRepoError
    from zerorepo.redaction import conceal_environment

    # Newer Typer carries its own click; its exceptions are found through a name that both have.
    click_exception: type[Any] = typer.BadParameter.__mro__[2]
    # Before a build sets its own: SIGTERM ends the start-up as SIGINT does.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    GLOBALS.argv, GLOBALS.began_ns = tuple(argv), time.time_ns()
    conceal_environment()
    try:
        argv = hoist(argv)
        code = make_app(argv)(argv, standalone_mode=False, prog_name="zerorepo")
        return int(code or 0)
    except ZeroRepoError as error:
        if GLOBALS.debug:
            _say_traceback()
        say(f"ERROR: {error.render()}")
        return int(error.exit_code)
    except typer.Exit as error:
        return int(error.exit_code)
    except click_exception as error:
        error.show()
        return int(ExitCode.USAGE)
    except (KeyboardInterrupt, typer.Abort):
        say("Interrupted")
        return int(ExitCode.INTERRUPTED)
    except BrokenPipeError:
        sys.stderr.close()
        return int(_of_a_closed_pipe(argv))
    except SystemExit as error:
        if isinstance(error.__context__, BrokenPipeError):  # what click makes of it
            return int(_of_a_closed_pipe(argv))
        raise
    except Exception as error:  # noqa: BLE001  (the outermost frame: no traceback reaches a user)
        if GLOBALS.debug:
            _say_traceback()
        say(f"ERROR: {type(error).__name__}: {error}\n  (a bug in ZeroRepo; --debug shows where)")
        return int(ExitCode.BUILD_FAILED)


def _of_a_closed_pipe(argv: list[str]) -> int:
    """The exit code when the reader has gone: a query is over when ``| head`` has read enough; elsewhere the code is a verdict."""
    return 0 if {"query", "aquery"} & set(argv) else 1


def _say_traceback() -> None:
    """Where the error came from, redacted like everything else that is said."""
    import traceback

    from zerorepo.cli.common import say

    say(traceback.format_exc())


if __name__ == "__main__":
    main()
