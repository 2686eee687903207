"""Which target of a rule a command means: the one that is named, or the only one that there is."""

from __future__ import annotations

from typing import Any

from zerorepo.commands import patterns, targets_of
from zerorepo.errors import UsageError, did_you_mean
from zerorepo.label import Label


def target_of(rule: str, text: str) -> tuple[Label, Any]:
    """The target and its attributes. ``text`` may name the ``repository`` that it belongs to; UsageError when in doubt."""
    found = targets_of(rule)
    if not found:
        raise UsageError("This workspace declares no repository", hint="`zerorepo init` makes a workspace that does")
    if not text:
        if len(found) > 1:
            listed = ", ".join(str(label) for label in found)
            raise UsageError(f"There are several: {listed}", hint="name one with --target")
        return next(iter(found.items()))
    (pattern,) = patterns([text])
    for label, attrs in found.items():
        if pattern.matches(label) or str(label).startswith(f"{pattern.label}."):
            return label, attrs
    names = [str(label) for label in found]
    raise UsageError(
        f"There is no `{text}` with a specification", hint=did_you_mean(text, names) or f"there is: {', '.join(names)}"
    )


__all__ = ["target_of"]
