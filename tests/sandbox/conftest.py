"""Fixtures for tests of the sandbox: real worlds, a context in memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sandbox_harness import MemoryContext, need

from zerorepo_sandbox.environment import environment_id
from zerorepo_sandbox.run_command import CommandResult, RunCommand
from zerorepo_sandbox.run_tests import RunTests, TestRun


@pytest.fixture(scope="session")
def state_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One state folder for all tests, so that the environment is made once."""
    return tmp_path_factory.mktemp("state")


@pytest.fixture(params=["bubblewrap"])
def tier(request: pytest.FixtureRequest) -> str:
    """The tier under test; mark with ``both_tiers`` or ``every_tier`` to try others too."""
    name: str = request.param
    need(name)
    return name


@pytest.fixture
def context(state_dir: Path, tier: str) -> Iterator[MemoryContext]:
    """An action context."""
    made = MemoryContext(state_dir, unsafe=tier == "unsafe")
    yield made
    made.end()


@pytest.fixture
def run_tests(context: MemoryContext, tier: str) -> Callable[..., TestRun]:
    """Run a test module, or several files, through the action. ``screened=False`` leaves the screen out, and then
    ``capture=False`` keeps what tests print.
    """

    def run(source: str | dict[str, str], *, screened: bool = True, capture: bool = True, **fields: Any) -> TestRun:
        files = {"test_it.py": source} if isinstance(source, str) else source
        fields.setdefault("tests", tuple(path for path in files if path.rpartition("/")[2].startswith("test_")))
        action = RunTests(files=context.put(files), tier=tier, environment=environment_id(), **fields)
        if screened:
            return context.run(action.execute(context))
        encoded = {path: text.encode() for path, text in files.items()}
        return context.run(action.run_unscreened(context, encoded, capture=capture))

    return run


@pytest.fixture
def run_command(context: MemoryContext, tier: str) -> Callable[..., CommandResult]:
    """Run a command through the action."""

    def run(cmd: str, files: dict[str, str] | None = None, outs: tuple[str, ...] = (), **fields: Any) -> CommandResult:
        action = RunCommand(cmd=cmd, files=context.put(files or {}), outs=outs, tier=tier, **fields)
        return context.run(action.execute(context))

    return run
