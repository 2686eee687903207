"""Random edits through the command line, in this process: "nothing to do" is only ever said when there is nothing to do.

The short cut that answers without the engine trusts no file that is too young, so this person waits a moment now and then.
"""

from __future__ import annotations

import contextlib
import copy
import io
import json
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import drawing as d
import pytest
from busy import Busy
from edits import CASES, Edits
from hypothesis import strategies as st
from hypothesis.stateful import rule

from zerorepo import snapshot
from zerorepo.cli.main import main

YOUNG_S = 0.12


@contextlib.contextmanager
def _as_a_process(folder: str, argv: list[str]) -> Iterator[io.StringIO]:
    """Working folder, arguments and stdout as a process of its own would have them; signals are put back."""
    here, arguments, handlers = Path.cwd(), sys.argv, [signal.getsignal(n) for n in (signal.SIGINT, signal.SIGTERM)]
    os.chdir(folder)
    sys.argv = ["zerorepo", *argv]
    said = io.StringIO()
    try:
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(io.StringIO()):
            yield said
    finally:
        os.chdir(here)
        sys.argv = arguments
        for number, handler in zip((signal.SIGINT, signal.SIGTERM), handlers, strict=True):
            signal.signal(number, handler)


class CommandLineEdits(Edits):
    """The same person, who types commands."""

    change_a_rules_version = None  # type: ignore[assignment]  # a rule set's code does not change within a process
    build_again = None  # type: ignore[assignment]

    @rule(
        demand=d.demands, number=d.index, how=st.sampled_from(["nothing", "touch", "new file", "gone file", "output"])
    )
    def rest_then_build_twice_and_again(self, demand: d.Demand, number: int, how: str) -> None:
        """Long enough that the second build may write down what it looked at; then perhaps something happens."""
        self.build(demand)
        time.sleep(YOUNG_S)
        self.build(demand)
        globbed = self._pick(d.GLOBBED, number)
        if how == "touch":
            path = self._pick(sorted(self.written), number)
            os.utime(self.runner.root / path)
        elif how == "new file":
            self.world.sources.setdefault(globbed, "new")
        elif how == "gone file":
            self.world.sources.pop(globbed, None)
        elif how == "output" and self.outputs.files:
            path = self._pick(sorted(self.outputs.files), number)
            del self.outputs.files[path]
            self.runner.remove(f"out/{path}")
        self.build(demand)

    def _write_world(self) -> None:
        super()._write_world()
        text = self.runner.read("zerorepo.toml")
        if b"[workspace]" not in text:
            self.runner.write("zerorepo.toml", b'[workspace]\nplugins = ["mix_rules"]\n' + text)

    def build(self, demand: d.Demand | None) -> None:
        if demand is None:
            return
        self._write_world()
        self.past.append(copy.deepcopy(self.world))
        busy = Busy(self.world)
        patterns, labels = self._demanded(busy, replace(demand, what="all"))
        fates = busy.closure(labels, generous=False)
        argv = ["build", *patterns, "--keep-going", "--json", "--jobs", str(demand.jobs)]
        for kind in ("first", "again"):
            with self._told():
                code, said = self._command(argv)
                good = {label for label, fate in fates.items() if fate.good}
                must = {fate.label for fate in self.memory.runs(fates.values()) if fate.good}
                assert (code == 0) == (len(good) == len(fates)), "the verdict is wrong"
                assert code in (0, 1, 2)  # 2: a label that nobody declares
                assert set(said["targets_run"]) == must, "what ran is not the minimum"
                assert said["targets"]["built"] == len(good)
                self.memory.states |= {fates[label].state for label in good}
                self.outputs.settle(good, busy, overwrite=False)
                assert self._outputs() == self.outputs.files, "the outputs are not those of a clean build"
            CASES[kind] += 1

    def _outputs(self) -> dict[str, bytes]:
        folder = self.runner.root / "out"
        return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    def _command(self, argv: list[str]) -> tuple[int, dict[str, Any]]:
        code = 0
        with _as_a_process(str(self.runner.root), argv) as out:
            try:
                main()
            except SystemExit as ended:
                code = int(ended.code or 0)
        said = json.loads(out.getvalue())
        self.program.append(f"# zerorepo {' '.join(argv)}: {code}, ran {said.get('targets_run')}")
        return code, said


def test_looking_answers_as_building_would(random_run: Callable[..., None], monkeypatch: pytest.MonkeyPatch) -> None:
    look, answered = snapshot.answer, Counter[bool]()

    def counted(argv: Sequence[str]) -> tuple[str, bool] | None:
        found = look(argv)
        answered[found is not None] += 1
        return found

    monkeypatch.setattr(snapshot, "answer", counted)
    random_run(CommandLineEdits, 0, promised=250, share=0.5)
    assert answered[True] >= 10 or "ZEROREPO_RANDOM_EXAMPLES" in os.environ, (
        "looking never answered: this tested nothing"
    )
