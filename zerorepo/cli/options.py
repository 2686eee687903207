"""Arguments and options that several commands have. Knows nothing of what they do."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

Targets = Annotated[
    list[str] | None,
    typer.Argument(metavar="PATTERN...", help="Target patterns: //..., //pkg/..., //pkg:all, //pkg:name, -//pkg:name."),
]
Jobs = Annotated[int | None, typer.Option("--jobs", "-j", help="Local actions at once; default: the number of cores.")]
KeepGoing = Annotated[
    bool, typer.Option("--keep-going", "-k", help="After a failure, build everything that does not need it.")
]
DryRun = Annotated[
    bool, typer.Option("--dry-run", "-n", help="Show what would run and why; change nothing, ask nothing.")
]
Locked = Annotated[bool, typer.Option("--locked", help="Fail rather than change a checked-in lock file (CI).")]
Overwrite = Annotated[bool, typer.Option("--overwrite", help="Replace outputs that were edited by hand.")]
Unsafe = Annotated[
    bool,
    typer.Option("--unsafe", help="Run tests and commands without a sandbox. The summary and every verdict say so."),
]
SandboxDebug = Annotated[
    bool,
    typer.Option("--sandbox-debug", help="Keep the world of each failed command or test, and say how to enter it."),
]
NoWait = Annotated[
    bool, typer.Option("--no-wait", help="Do not wait for answers of people: list what is open and stop.")
]
Refresh = Annotated[
    list[str] | None,
    typer.Option(
        "--refresh",
        metavar="PATTERN",
        help="Ask models again for these targets, although there are answers; repeatable.",
    ),
]
AsJson = Annotated[
    bool, typer.Option("--json", help="End with one JSON object on stdout; everything else goes to stderr.")
]
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Errors only.")]
Events = Annotated[
    Path | None, typer.Option("--events", metavar="FILE", help="Write every event, one JSON object a line.")
]


ProfileFile = Annotated[
    Path | None, typer.Option("--profile", metavar="FILE", help="Write a Chrome trace of the build, for Perfetto.")
]
Watch = Annotated[bool, typer.Option("--watch", help="Do it again whenever a file changes, until interrupted.")]
TestOutput = Annotated[
    str, typer.Option("--output", "-o", metavar="FORMAT", help="What stdout gets: text, junit, json or html.")
]
