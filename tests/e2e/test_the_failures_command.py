"""``zerorepo failures``: what failed for good, why, what it has cost, what is skipped because of it, and how to retry."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from e2e.scripted_library import Tinytext, diagnosis
from zerorepo.errors import ExitCode

pytestmark = pytest.mark.sandbox


def command(tiny: Tinytext, *args: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "zerorepo", "failures", *args]
    return subprocess.run(argv, cwd=tiny.root, capture_output=True, text=True, timeout=120, check=False)


def test_from_no_plan_to_a_failed_node_to_none(tmp_path: Path) -> None:
    tiny = Tinytext(tmp_path / "ws")
    library = tiny.library
    before = command(tiny)
    assert (before.returncode, "run `zerorepo build` first" in before.stdout) == (0, True)
    used = library.sketches["split_words"].import_line
    library.say(
        "write make_slug", replace(library.sketch("make_slug"), body='return " ".join(split_words(text))').code([used])
    )
    library.always_say("diagnose make_slug, round 1", diagnosis("environment", "Something is missing."))
    assert tiny.build().code is ExitCode.TESTS_FAILED
    told = command(tiny, "--json")
    assert (told.returncode, told.stderr) == (3, "")
    body: dict[str, Any] = json.loads(told.stdout)
    (failed,) = body["failures"]
    assert failed["label"] == "//slugs:make_slug.code"
    assert (failed["cause"], failed["attempts"], failed["questions"], failed["cost_usd"]) == ("environment", 1, 8, 0)
    assert "'Hello World' == 'hello-world'" in failed["output"]
    assert failed["history"][0] == "round 1: environment (5 of 5): Something is missing."
    assert "zerorepo build //slugs:make_slug.code" in failed["retry"]
    assert (body["skipped"], body["not_built"], body["pass_without_code"]) == (["paths/page_path"], [], {})
    shown = command(tiny).stdout
    assert "//slugs:make_slug.code: environment (1 round of mending, 8 questions, $0.0000)" in shown
    assert "not run because of a failure below them: 1 (paths/page_path)" in shown
    # The rest was assembled, with the failed node marked.
    report = (tiny.out / "docs/coverage.md").read_text()
    assert re.search(r"`tinytext\.slugs\.core\.make_slug` \|.*\| FAILED \|", report)
    assert re.search(r"`tinytext\.words\.core\.initials` \|.*\| passed \|", report)

    tiny.edit_interface("slugs/make_slug", docstring="Words in lower case, joined by hyphens.")
    assert tiny.build().code is ExitCode.OK
    after = command(tiny)
    assert (after.returncode, after.stdout) == (0, "no node has failed\n")


def test_a_workspace_without_a_repository_says_so(tmp_path: Path) -> None:
    (tmp_path / "zerorepo.toml").write_text('[workspace]\nname = "x"\n')
    argv = [sys.executable, "-m", "zerorepo", "failures"]
    done = subprocess.run(argv, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 2
    assert "declares no repository" in done.stderr
