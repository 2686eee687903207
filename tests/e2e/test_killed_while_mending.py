"""A build that is killed (SIGKILL) after each single answer, again and again, asks no question twice and ends as any other."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from e2e.scripted_library import Tinytext
from zerorepo.errors import ExitCode

pytestmark = pytest.mark.sandbox

_DRIVER = """
import os, signal, sys
from pathlib import Path
from e2e.scripted_library import Tinytext, diagnosis, replaced
from e2e.test_pipeline_branches import written_badly

root, log = Path(sys.argv[1]), Path(sys.argv[2])
tiny = Tinytext(root)
# One question at a time: what had been answered when the next one is asked is then kept.
config = root / "zerorepo.toml"
config.write_text("[build]\\npools = { model = 1 }\\n\\n" + config.read_text())
library = tiny.library
library.always_say("write page_path", written_badly(library))
library.always_say("diagnose page_path, round 1", diagnosis("implementation"))
library.always_say("mend page_path, round 1", replaced(library.code_of("page_path"), "page_path"))
answered = 0

def script(request):
    global answered
    if answered:
        os.kill(os.getpid(), signal.SIGKILL)
    answered += 1
    with log.open("a") as file:
        file.write(f"{request.action.purpose}#{request.action.sample}\\n")
    return library(request)

tiny.provider = lambda: __import__("zerorepo_llm.testing", fromlist=["x"]).ScriptedProvider(script)
built = tiny.build()
sys.exit(int(built.code))
"""


def test_no_answer_is_asked_for_twice(tmp_path: Path) -> None:
    tiny = Tinytext(tmp_path / "ws")
    assert tiny.build().code is ExitCode.OK
    tiny.edit_interface("paths/page_path", docstring="A slash, the section, a slash, and the slug of the title.")
    log, codes = tmp_path / "log", []
    argv = [sys.executable, "-c", _DRIVER, str(tiny.root), str(log)]
    while len(codes) < 30 and (not codes or codes[-1] == -signal.SIGKILL):
        codes.append(subprocess.run(argv, cwd=Path(__file__).parents[1], timeout=120, check=False).returncode)
    asked = log.read_text().splitlines()
    expected = ["write the tests of page_path#0", "write page_path#0", "localize page_path, round 1, step 1#0"]
    expected += [*(f"diagnose page_path, round 1#{n}" for n in range(5)), "mend page_path, round 1#0"]
    assert sorted(asked) == sorted(expected)
    assert codes == [-signal.SIGKILL] * (len(expected) - 1) + [0]
    assert "make_slug(title)" in (tiny.out / "tinytext/paths/core.py").read_text()
    assert tiny.build().run.actions == []
