"""Cold processes: ``zerorepo version`` and a build of the first example with nothing to do, beside bare Python and ninja."""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

from benchmarks.harness import median_wall_s, table

ROOT = Path(__file__).resolve().parent.parent
VERSION_TARGET_S, NOOP_TARGET_S = 0.25, 0.6


def main(quick: bool = False) -> None:
    """Measure and print."""
    runs = 1 if quick else 15
    zerorepo = str(Path(sys.executable).with_name("zerorepo"))
    with tempfile.TemporaryDirectory() as folder:
        work = Path(folder) / "example"
        shutil.copytree(
            ROOT, work, ignore=shutil.ignore_patterns(".venv", ".git", ".bench", "out", ".zerorepo", "tests", ".*cache")
        )
        subprocess.run([zerorepo, "build", "//...", "--quiet"], cwd=work, check=True)
        commands: dict[str, list[str]] = {
            "python -c pass": [sys.executable, "-c", "pass"],
            "python -I -S -c pass": [sys.executable, "-I", "-S", "-c", "pass"],
            "import typer": [sys.executable, "-c", "import typer"],
            "zerorepo version": [zerorepo, "version"],
            "zerorepo build //... (nothing to do)": [zerorepo, "build", "//..."],
            "the same without the launcher": [f"{zerorepo}-full", "build", "//..."],
        }
        if ninja := shutil.which("ninja"):
            (work / "build.ninja").write_text("rule cp\n  command = cp $in $out\nbuild spec.copy: cp spec.md\n")
            subprocess.run([ninja, "--quiet"], cwd=work, check=True)
            commands["ninja (one file, nothing to do)"] = [ninja, "--quiet"]
        found = median_wall_s(commands, work, runs)
    bare = found["python -c pass"]
    rows = [("command", "median", "x bare Python")]
    rows += [(name, f"{value * 1000:.0f} ms", f"{value / bare:.1f}") for name, value in found.items()]
    table(f"Cold start, medians of {runs} runs (targets: version {VERSION_TARGET_S} s, no-op {NOOP_TARGET_S} s)", rows)


if __name__ == "__main__":
    main()
