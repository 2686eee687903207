"""``zerorepo plan --dry-run``: the change of the plan as a tree, and what finding it out and building it is likely to take.

Asks nobody and changes nothing. Knows nothing of how a stage plans.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from zerorepo.commands import Pending, Preview, build, preview, provided, settings, workspace_root
from zerorepo.errors import ZeroRepoError
from zerorepo.label import Label
from zerorepo.redaction import mask
from zerorepo_llm.action import AskModel
from zerorepo_llm.settings import LLMSettings
from zerorepo_rpg.cli.chosen import target_of
from zerorepo_rpg.cli.expected_cost import money_lines
from zerorepo_rpg.expected_questions import STAGES, Asked, planning, writing
from zerorepo_rpg.foresight import Foreseen, compared, leaving, read_by_rule
from zerorepo_rpg.lock import Lock
from zerorepo_rpg.rules.references import ReadReference
from zerorepo_rpg.spec_model import RepositorySpec, Requirement


def dry_run(label: Label, attrs: Any, lock: Lock) -> int:
    """Show what planning would do; the exit code. ``attrs``: of the target ``label``, an ``rpg_plan``."""
    found = preview(str(label))
    if found.state == "fails":
        return build([str(label)], dry_run=True)  # which says why, as a build would
    pending = _pending(found)
    change = _change(lock, attrs.spec, pending, unread=_reads_first(found))
    if change is not None:
        print(mask("\n".join(tree(lock, change, attrs.lock_path))))
    for each, waiting in _would_run(found):
        print(f"would run {each}" + "".join(f"\n    {_purpose(one)}" for one in waiting))
    if change is not None and _reads_first(found):
        print(_UNREAD)
        return 0
    if found.state == "up to date" or change is None:
        print("the plan is up to date; nothing is asked" if change is not None else "nothing more can be said")
        return 0
    stages: dict[str, int] = {}
    if not pending and _questions_follow(change, [each.name for each, _ in _would_run(found)]):
        stages["rpg_features"] = 1
    for one in pending:
        stage = one.stage if one.stage in STAGES else "rpg_plan"
        stages[stage] = stages.get(stage, 0) + 1
    asked = planning(lock, change, stages)
    print(mask("\n".join(_estimate(lock, change, asked, attrs))))
    return 0


_UNREAD = (
    "model calls: not known before the references are read, which asks nobody; then sections that were not parsed as they are,"
    " and planning as far as anything has changed"
)


def _reads_first(found: Preview) -> bool:
    """Whether references wait to be read: what is asked of the specification is known only then."""
    return any(isinstance(each.action, ReadReference) for _, waiting in _would_run(found) for each in waiting)


def _questions_follow(change: Foreseen, waiting: Sequence[str]) -> bool:
    """Whether features are asked about after what is no question: mypy looks at an edited lock."""
    return bool(change.touched or change.added) and any(name.endswith(".lock_types") for name in waiting)


def _would_run(found: Preview) -> Iterator[tuple[Label, Sequence[Pending]]]:
    yield from (
        found.waits_for.items() if found.state == "waits" else [(found.label, found.pending)] if found.pending else []
    )


def _purpose(each: Pending) -> str:
    return f"asks: {mask(each.action.purpose)}" if isinstance(each.action, AskModel) else type(each.action).mnemonic


def _pending(found: Preview) -> list[AskModel]:
    """The questions that are next, each once."""
    keys = {str(each.key): each.action for _, waiting in _would_run(found) for each in waiting}
    return [action for action in keys.values() if isinstance(action, AskModel)]


def _change(lock: Lock, spec_label: object, pending: Sequence[AskModel], *, unread: bool) -> Foreseen | None:
    """How requirements change; None when the specification's text cannot be read. ``unread``: its references are not read yet."""
    label, attrs = target_of("rpg_spec", str(spec_label))
    try:
        if parsed := provided(label, RepositorySpec):
            return compared(lock, parsed)
        text = (workspace_root() / attrs.src).read_bytes().decode("utf-8-sig")
    except (ZeroRepoError, OSError, UnicodeDecodeError):
        return None
    prefix = "parse the section "
    purposes = [each.purpose for each in pending if each.stage == "rpg_spec"]
    if unread:
        return read_by_rule(lock, text)
    return read_by_rule(lock, text, {each.removeprefix(prefix).split(" (attempt")[0] for each in purposes})


def tree(lock: Lock, change: Foreseen, where: str) -> Iterator[str]:
    """The change: requirement, the features that serve it, their interfaces, the users of these."""
    if not lock.requirements:
        yield f"{where}: nothing is planned yet; {len(change.added)} requirements"
        return
    yield f"{where}: {change.kept} requirements kept, {len(change.reworded)} reworded, " + (
        f"{len(change.added)} added, {len(change.removed)} removed"
        + (f", {len(change.unclear)} not parsed yet" if change.unclear else "")
    )
    if change.unparsed:
        listed = ", ".join(f"`{name}`" for name in change.unparsed)
        yield f"not parsed yet: {listed}; what is said of {'it' if len(change.unparsed) == 1 else 'them'} is read by rule"
    for text in change.limits:
        yield f"~ limit: {text} (worded anew, or gone; what meets it is asked about)"
    for each in change.reworded:
        yield from _behind(lock, each.old, "~", f" → {each.text}")
    for new in change.added:
        yield f"+ {new.id}: {new.text}"
        yield "    a feature is chosen for it, or one that there is takes it"
    for old in change.removed:
        yield from _behind(lock, old, "-", "", change)
    for old in change.unclear:
        yield from _behind(lock, old, "?", f" (section `{old.section}` is not parsed yet: worded anew, or gone)")


def _behind(lock: Lock, requirement: Requirement, mark: str, now: str, change: Foreseen | None = None) -> Iterator[str]:
    yield f"{mark} {requirement.id}: {requirement.text}{now}"
    features = lock.features.features if lock.features else ()
    surely, likely = leaving(change, features) if change else (frozenset[str](), frozenset[str]())
    nodes = [node for module in lock.interfaces for node in module.interfaces]
    for feature in features:
        if requirement.id in feature.requirements:
            goes = "is likely to go with it" if feature.id in likely else "is asked about"
            yield f"    feature {feature.id}: {'goes with it' if feature.id in surely else goes}"
            for node in nodes:
                if feature.id in node.features:
                    yield f"      interface {node.id} in {node.file}"
                    for user in sorted(other.id for other in nodes if node.id in other.uses):
                        yield f"        used by {user}: asked again only if this interface changes"


def _estimate(lock: Lock, change: Foreseen, asked: Sequence[Asked], attrs: Any) -> Iterator[str]:
    if not asked:
        yield "model calls: none; what changed is no question"
        return
    later = writing(lock, change, integration=attrs.integration)
    yield "expected questions, by what follows from the change:"
    yield from _rows(asked)
    low, likely, high = _sum(asked)
    yield f"model calls: at least {low}, expected {likely}, at most {high} to plan"
    yield "(when each answer fits; one that does not is asked for again, up to twice. Each new requirement counts as one feature)"
    if later:
        first, middle, last = _sum(later)
        yield f"a build then asks: at least {first}, expected {middle}, at most {last}, without mending what fails"
        yield from _rows(later)
    print_to: Mapping[str, Sequence[Asked]] = {"to plan": asked, "to build after it": later}
    yield from money_lines(print_to, settings("llm", LLMSettings), workspace_root(), _size(lock, attrs))


def _rows(asked: Sequence[Asked]) -> Iterator[str]:
    shown = [(str(each.low) if each.low == each.high else f"{each.low} to {each.high}", each) for each in asked]
    width = max(len(amount) for amount, _ in shown)
    for amount, each in shown:
        likely = f" (likely {each.likely})" if each.low != each.high else ""
        yield f"  {amount:>{width}}  {each.what}{likely}"


def _sum(asked: Sequence[Asked]) -> tuple[int, int, int]:
    return sum(each.low for each in asked), sum(each.likely for each in asked), sum(each.high for each in asked)


def _size(lock: Lock, attrs: Any) -> int:
    """Bytes of what a planning question shows at most: the plan and the specification."""
    total = 0
    for path in (attrs.lock_path, target_of("rpg_spec", str(attrs.spec))[1].src):
        try:
            total += (workspace_root() / path).stat().st_size
        except OSError:
            print(f"cannot read {path}", file=sys.stderr)
    return total


__all__ = ["dry_run", "tree"]
