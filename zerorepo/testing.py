"""For tests of rules: a workspace in a temporary folder, built by the real engine, with a log of exactly what ran. Public.

Usage::

    build = '[[target]]\\nname = "x"\\nrule = "cat"\\nsrcs = ["a.txt"]'
    runner = RuleRunner(tmp_path, {"a.txt": "A", "zerorepo.toml": build}, rules=[cat])
    run = runner.build("//...")
    assert run.ran == ["//:x"] and runner.outputs() == {"x": b"A"}
    assert runner.build("//...").ran == []

Knows no test framework and replaces no part of the engine.
"""

from __future__ import annotations

import asyncio
import textwrap
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from zerorepo.engine import BuildOptions, BuildResult, Engine
from zerorepo.errors import ZeroRepoError
from zerorepo.events import Event, EventStream, Subscriber
from zerorepo.label import Label, parse_label, parse_patterns
from zerorepo.plugins import Registry, RuleSet
from zerorepo.rule import MacroRule, Rule
from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo.workspace import Workspace


@dataclass(slots=True)
class Run:
    """One build: its result, and its events in order."""

    result: BuildResult
    events: list[Event] = field(default_factory=list)

    def targets(self, *states: str) -> list[str]:
        """Labels of targets that ended in one of these states, in the order in which they ended."""
        return [event.label for event in self.events if event.kind == "target" and event.new in states]

    def actions_in(self, *states: str) -> list[tuple[str, str]]:
        """(mnemonic, label) of actions that came to one of these states, in order."""
        return [
            (event.mnemonic, event.label) for event in self.events if event.kind == "action" and event.new in states
        ]

    @property
    def ran(self) -> list[str]:
        """Targets whose rule ran and succeeded."""
        return self.targets("done")

    @property
    def cached(self) -> list[str]:
        """Targets that were hits."""
        return self.targets("cached")

    @property
    def failed(self) -> list[str]:
        """Targets that failed by themselves."""
        return self.targets("failed")

    @property
    def skipped(self) -> list[str]:
        """Targets that were not built because of others."""
        return self.targets("skipped")

    @property
    def actions(self) -> list[tuple[str, str]]:
        """(mnemonic, label) of actions that were executed and succeeded."""
        return self.actions_in("done")

    @property
    def actions_cached(self) -> list[tuple[str, str]]:
        """(mnemonic, label) of actions whose result came from the cache."""
        return self.actions_in("cached")

    def notes(self, what: str) -> list[Event]:
        """Remarks of one kind."""
        return [event for event in self.events if event.kind == "note" and event.id == what]

    def reasons(self, label: str) -> list[str]:
        """Why a target ran."""
        found = [e for e in self.events if e.kind == "target" and e.label == label and e.new == "running"]
        return list(found[0].detail["reasons"]) if found else []

    def error(self, label: str) -> BaseException:
        """Why a target failed. KeyError when it did not."""
        return self.result.failed[parse_label(label)]

    def provider(self, label: str, type_: type[Provider]) -> Any:
        """What a built target hands on. KeyError when it was not built."""
        return self.result.built[parse_label(label)].provider(type_)


class RuleRunner:
    """A workspace of its own below ``root``."""

    def __init__(
        self,
        root: Path,
        files: Mapping[str, str | bytes] | None = None,
        *,
        rules: Iterable[Rule | MacroRule] = (),
        rule_sets: Iterable[RuleSet] = (),
        settings: Mapping[str, type[Value]] | None = None,
    ) -> None:
        self.root = root
        self.registry = Registry(list(rule_sets))
        for rule in rules:
            self.registry.add_rule(rule)
        for section, model in (settings or {}).items():
            self.registry.add_settings(section, model)
        self.write("zerorepo.toml", "")
        for path, content in (files or {}).items():
            self.write(path, content)

    def write(self, path: str, content: str | bytes) -> None:
        """Write a file of the workspace; text is dedented."""
        target = self.root / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(textwrap.dedent(content).encode() if isinstance(content, str) else content)

    def read(self, path: str) -> bytes:
        """The bytes of a file of the workspace."""
        return (self.root / path).read_bytes()

    def remove(self, path: str) -> None:
        """Remove a file of the workspace."""
        (self.root / path).unlink()

    def workspace(self, *overrides: str) -> Workspace:
        """The workspace as a command would load it; ``overrides`` are ``section.key=value``. UsageError when it is wrong."""
        return Workspace.load(self.root, self.registry, overrides)

    def outputs(self) -> dict[str, bytes]:
        """Every file below the output folder, by path."""
        folder = self.workspace().output_dir
        return {str(p.relative_to(folder)): p.read_bytes() for p in sorted(folder.rglob("*")) if p.is_file()}

    def build(
        self,
        *patterns: str,
        overrides: Sequence[str] = (),
        tests_only: bool = False,
        subscriber: Subscriber | None = None,
        **options: Any,
    ) -> Run:
        """Build ``patterns`` (default ``//...``); ``options`` are those of ``BuildOptions``. UsageError as for the command."""
        return asyncio.run(
            self.build_async(*patterns, overrides=overrides, tests_only=tests_only, subscriber=subscriber, **options)
        )

    async def build_async(
        self,
        *patterns: str,
        overrides: Sequence[str] = (),
        tests_only: bool = False,
        subscriber: Subscriber | None = None,
        **options: Any,
    ) -> Run:
        """The same inside a running event loop."""
        workspace = self.workspace(*overrides)
        workspace.check_settings()
        wanted = parse_patterns(patterns or ["//..."])
        events, log = EventStream(), list[Event]()
        events.subscribe(log.append)
        if subscriber is not None:
            events.subscribe(subscriber)
        async with Engine(workspace, BuildOptions(**options), events) as engine:
            engine.look_at(wanted)
            return Run(await engine.build(wanted, tests_only=tests_only), log)

    def build_ok(self, *patterns: str, **options: Any) -> Run:
        """Build, and raise the first error when anything failed."""
        run = self.build(*patterns, **options)
        for error in run.result.failed.values():
            raise error
        if run.result.skipped:
            raise ZeroRepoError(f"skipped: {', '.join(map(str, run.result.skipped))}")
        return run


def labels(*texts: str) -> list[Label]:
    """Several labels at once."""
    return [parse_label(text) for text in texts]


__all__ = ["RuleRunner", "Run", "labels"]
