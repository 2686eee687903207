"""The command of a generated package: what the specification calls it, and the function that it runs. By rule, from the texts.

Knows nothing of how either is tested or packaged.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from zerorepo_rpg.plan_model import InterfaceKind, NodeInterface, Plan
from zerorepo_rpg.signature import parse_signature
from zerorepo_rpg.spec_model import RepositorySpec

ENTRY = "main"
"""The function that a command runs is called so."""

_NAME = r"`(?P<name>[A-Za-z][A-Za-z0-9_-]*)`"
_KIND = r"(?:command|program|executable|script|CLI|command[- ]line (?:tool|interface|program))"
_NAMED = (
    re.compile(rf"\b{_KIND}\b[^.`]{{0,40}}\b(?:called|named)\s+{_NAME}", re.IGNORECASE),
    re.compile(rf"\b(?:the|a|its) {_KIND} {_NAME}", re.IGNORECASE),
    re.compile(rf"{_NAME} (?:command|program|executable)\b", re.IGNORECASE),
)


class Command(NamedTuple):
    """A command and the node that it runs."""

    name: str
    entry: NodeInterface


def command_of(plan: Plan, spec: RepositorySpec) -> Command | None:
    """The package's command; None when the plan has no function ``main`` that can be called without arguments.

    Its name is the one that the specification gives, else the distribution's.
    """
    entry = next((node for node in plan.nodes() if _is_entry(node)), None)
    if entry is None:
        return None
    return Command(name_of_command(spec) or distribution_name(plan.package_name), entry)


def name_of_command(spec: RepositorySpec) -> str:
    """The name that the specification gives to a command; "" when it names none."""
    required = [requirement.text for requirement in spec.requirements]
    limits = [constraint.text for constraint in spec.constraints]
    for text in (spec.description, *required, *limits):
        for pattern in _NAMED:
            if found := pattern.search(text):
                return found["name"]
    return ""


def distribution_name(package_name: str) -> str:
    """``text-kit`` of the package ``text_kit``."""
    return package_name.strip("_").replace("_", "-")


def _is_entry(node: NodeInterface) -> bool:
    if node.name != ENTRY or node.kind is not InterfaceKind.FUNCTION:
        return False
    try:
        definition = parse_signature(node).definition
    except ValueError:
        return False
    arguments = getattr(definition, "args", None)
    if arguments is None:
        return False
    required = len(arguments.posonlyargs) + len(arguments.args) - len(arguments.defaults)
    return required <= 0 and all(default is not None for default in arguments.kw_defaults)


__all__ = ["Command", "command_of", "distribution_name", "name_of_command"]
