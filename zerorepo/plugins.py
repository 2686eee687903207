"""Rule sets, loaded through the entry point group ``zerorepo.rule_sets``. Part of the plugin API.

An entry point names a module (by convention ``<package>.register``) with one constant, ``RULE_SET``. It names things by
import path (``"package.module:object"``), so that finding out which rules exist imports nothing heavy; the object is imported
when a target of that rule is first looked at. Knows nothing of what a rule set does.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from zerorepo.checks import Check
from zerorepo.errors import InternalError, UsageError, did_you_mean
from zerorepo.query_api import QueryFunction
from zerorepo.rule import MacroRule, Rule
from zerorepo.values import Value

ENTRY_POINT_GROUP = "zerorepo.rule_sets"


@dataclass(frozen=True, slots=True)
class RuleSet:
    """What a plugin offers; all values are import paths.

    ``rules``: rule or macro name to a ``Rule`` or ``MacroRule``. ``settings``: section of ``zerorepo.toml`` to a ``Value`` model.
    ``commands``: command name to a ``typer.Typer`` or a function. ``probes``: name to an
    async function of the workspace folder, for ``zerorepo info``. ``checks``: name to a check, for ``zerorepo doctor`` (see
    ``zerorepo.checks``). ``templates``: name to a function that returns the files (path to
    text) that ``zerorepo init`` writes. ``query_functions``: name to a function of the query language (see
    ``zerorepo.query_api``). ``scans``: name of a template to a function ``(code, workspace, say)`` that returns the
    files that ``zerorepo init --from`` writes beside them; what a person wrote into one of these it must keep, and what it cannot
    take in it tells by ``say.left_out``, which the exit code says, too.
    """

    name: str
    rules: Mapping[str, str] = field(default_factory=dict)
    settings: Mapping[str, str] = field(default_factory=dict)
    commands: Mapping[str, str] = field(default_factory=dict)
    probes: Mapping[str, str] = field(default_factory=dict)
    checks: Mapping[str, Check] = field(default_factory=dict)
    templates: Mapping[str, str] = field(default_factory=dict)
    query_functions: Mapping[str, QueryFunction] = field(default_factory=dict)
    scans: Mapping[str, str] = field(default_factory=dict)


def load_object(path: str) -> Any:
    """Import ``package.module:object``."""
    module, _, name = path.partition(":")
    return getattr(importlib.import_module(module), name)


class Registry:
    """All rule sets of this process. Tests make their own; the command line uses ``installed()``."""

    def __init__(self, rule_sets: list[RuleSet] | None = None) -> None:
        self.rule_sets: list[RuleSet] = []
        self._rules: dict[str, Rule | MacroRule | str] = {}
        self._settings: dict[str, type[Value] | str] = {}
        for rule_set in rule_sets or []:
            self.add(rule_set)

    def add(self, rule_set: RuleSet) -> None:
        """Add a rule set; two rules, sections or commands of one name are an error."""
        for kind, mine, theirs in (
            ("rule", self._rules, rule_set.rules),
            ("settings section", self._settings, rule_set.settings),
        ):
            for name in theirs:
                if name in mine:
                    raise InternalError(
                        f"Two rule sets define the {kind} `{name}`", hint=f"the second is `{rule_set.name}`"
                    )
        self._rules.update(rule_set.rules)
        self._settings.update(rule_set.settings)
        self.rule_sets.append(rule_set)

    def extended(self, modules: Sequence[str], root: Path, *, where: str) -> Registry:
        """This registry and the rule sets of modules that are importable from ``root``. UsageError when one cannot be loaded."""
        both = Registry()
        both.rule_sets = list(self.rule_sets)
        both._rules, both._settings = dict(self._rules), dict(self._settings)
        if str(root) not in sys.path:
            sys.path.append(str(root))
        for name in modules:
            both.add(_rule_set_of(name, where))
        return both

    def add_rule(self, rule: Rule | MacroRule) -> None:
        """Add one rule object (tests)."""
        self._rules[rule.name] = rule

    def add_settings(self, section: str, model: type[Value]) -> None:
        """Add one settings section (tests)."""
        self._settings[section] = model

    @property
    def rule_names(self) -> list[str]:
        """Every rule and macro, sorted."""
        return sorted(self._rules)

    @property
    def section_names(self) -> list[str]:
        """Every settings section that a rule set defines, sorted."""
        return sorted(self._settings)

    def known_rule(self, name: str) -> Rule | MacroRule | None:
        """The rule called ``name`` if it is loaded already."""
        found = self._rules.get(name)
        return None if isinstance(found, str) else found

    def rule(self, name: str, *, where: str | None = None) -> Rule | MacroRule:
        """The rule called ``name``; UsageError with near misses when there is none."""
        found = self._rules.get(name)
        if found is None:
            raise UsageError(
                f"Unknown rule `{name}`",
                where=where,
                hint=did_you_mean(name, self._rules) or f"known rules: {', '.join(self.rule_names)}",
            )
        if isinstance(found, str):
            found = load_object(found)
            assert isinstance(found, (Rule, MacroRule))
            self._rules[name] = found
        return found

    def settings_model(self, section: str) -> type[Value] | None:
        """The model of a settings section, or None when no rule set has it."""
        found = self._settings.get(section)
        if isinstance(found, str):
            found = load_object(found)
            assert isinstance(found, type)
            self._settings[section] = found
        return found

    @property
    def commands(self) -> dict[str, str]:
        """Command name to import path, of all rule sets."""
        return {name: path for rule_set in self.rule_sets for name, path in rule_set.commands.items()}

    @property
    def query_functions(self) -> list[tuple[str, QueryFunction]]:
        """Functions of the query language, of all rule sets."""
        return [each for rule_set in self.rule_sets for each in rule_set.query_functions.items()]


def _rule_set_of(module: str, where: str) -> RuleSet:
    try:
        found = getattr(importlib.import_module(module), "RULE_SET", None)
    except ModuleNotFoundError as error:
        if error.name is None or not (module == error.name or module.startswith(error.name + ".")):
            raise UsageError(f"The plugin `{module}` cannot be imported: {error}", where=where) from error
        raise UsageError(
            f"There is no plugin module `{module}`",
            where=where,
            hint="it must be importable from the workspace folder or installed",
        ) from None
    except (ImportError, SyntaxError, ValueError, TypeError) as error:
        raise UsageError(
            f"The plugin `{module}` cannot be imported: {type(error).__name__}: {error}", where=where
        ) from error
    if not isinstance(found, RuleSet):
        raise UsageError(
            f"The plugin `{module}` has no RULE_SET", where=where, hint="RULE_SET = RuleSet(name=..., rules=...)"
        )
    return found


def installed() -> Registry:
    """The registry of all installed rule sets, in the order of their names."""
    registry = Registry()
    for point in sorted(entry_points(group=ENTRY_POINT_GROUP), key=lambda p: p.name):
        registry.add(importlib.import_module(point.value).RULE_SET)
    return registry
