"""Edits of specifications in workspaces with recorded answers: which nodes of the plan each edit keeps, and what it asks.

Each workspace (this one, ``examples/*`` and ``benchmarks/plans/*``) lists its edits in ``edits.toml`` beside its specification. It
is copied and built from its transcripts; then each edit is made in a copy of that and built again. An edit whose answers are not
recorded is an error, and so is a node that the edit does not touch and that is not, to the digest, what it was. ``targets`` in
``edits.toml`` says what is built where the answers for tests and code of edited nodes are not recorded; a node is then its
interface.
"""

from __future__ import annotations

import asyncio
import re
import shutil
import subprocess
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import tomli

from benchmarks.harness import table, work_folder
from zerorepo.engine import BuildOptions, Engine
from zerorepo.errors import UsageError
from zerorepo.events import Event, EventStream
from zerorepo.label import parse_patterns
from zerorepo.plugins import installed
from zerorepo.workspace import Workspace
from zerorepo_rpg.lock import Lock, parse_lock
from zerorepo_rpg.plan_model import NodeInterface

ROOT = Path(__file__).resolve().parents[1]
KINDS = ("reword", "add", "remove")
_PARTS = (".interface", ".tests", ".code")


@dataclass(frozen=True)
class Edit:
    """One edit of a specification: ``old``, which stands in it once, becomes ``new``."""

    name: str
    kind: str
    old: str
    new: str


@dataclass
class Built:
    """A build: the lock that it left, what each node's targets hand on, the questions it asked, and what went wrong."""

    lock: Lock
    nodes: dict[str, str]
    asked: list[str] = field(default_factory=list)
    problem: str = ""


def edits_of(workspace: Path) -> list[Edit]:
    """The edits of a workspace, in the order of the file. UsageError for an entry that is none, or that does not fit the text."""
    path, text = workspace / "edits.toml", (workspace / "spec.md").read_text("utf-8")
    found = []
    for number, entry in enumerate(tomli.loads(path.read_text("utf-8")).get("edit", []), 1):
        where = f"{path}, edit {number}"
        if set(entry) != {"name", "kind", "old", "new"} or not all(isinstance(value, str) for value in entry.values()):
            raise UsageError("An edit has the strings name, kind, old and new, and nothing else", where=where)
        edit = Edit(**entry)
        if edit.kind not in KINDS:
            raise UsageError(f"`{edit.kind}` is no kind of edit", where=where, hint=", ".join(KINDS))
        if text.count(edit.old) != 1:
            raise UsageError(f"`old` stands {text.count(edit.old)} times in spec.md, not once", where=where)
        found.append(edit)
    return found


def targets_of(workspace: Path) -> list[str]:
    """The patterns that are built in a workspace: ``targets`` of its ``edits.toml``, or everything."""
    listed = tomli.loads((workspace / "edits.toml").read_text("utf-8")).get("targets", ["//..."])
    return [str(each) for each in listed]


def workspaces(root: Path = ROOT) -> list[Path]:
    """Every workspace that lists edits."""
    found = (root, *sorted(root.glob("examples/*")), *sorted(root.glob("benchmarks/plans/*")))
    return [each for each in found if (each / "edits.toml").is_file()]


def copied(workspace: Path, folder: Path) -> Path:
    """A copy of what version control knows of a workspace, without other workspaces inside."""
    excluded = tomli.loads((workspace / "zerorepo.toml").read_text("utf-8")).get("workspace", {}).get("exclude", [])
    command = ("git", "ls-files", "-z", "--cached", "--others", "--exclude-standard")
    listed = subprocess.run(command, cwd=workspace, capture_output=True, check=True, text=True).stdout
    for name in filter(None, listed.split("\0")):
        source = workspace / name
        if source.is_file() and name.partition("/")[0] not in excluded:
            target = folder / name
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(source, target)
    return folder


def build(folder: Path, targets: Sequence[str] = ("//...",)) -> Built:
    """Build there."""
    return asyncio.run(_build(folder, targets))


async def _build(folder: Path, targets: Sequence[str]) -> Built:
    events, log = EventStream(), list[Event]()
    events.subscribe(log.append)
    async with Engine(Workspace.load(folder, installed()), BuildOptions(keep_going=True), events) as engine:
        result = await engine.build(parse_patterns(list(targets)))
        records = {
            str(label): " ".join(str(record.digest) for record in built.trace.providers)
            for label, built in result.built.items()
        }
    path = folder / "zerorepo.lock"
    lock = parse_lock(path.read_text("utf-8")) if path.is_file() else Lock()
    nodes = {}
    for node in _nodes(lock):
        label = "//" + node.id.replace("/", ":")
        built = [records[label + part] for part in _PARTS if label + part in records]
        nodes[node.id] = " ".join(built) or node.model_dump_json()
    asked = [e.title for e in log if e.kind == "action" and e.mnemonic == "AskModel" and e.new == "done"]
    errors = [str(error) for error in result.failed.values()]
    missing = [line.strip() for text in errors for line in text.splitlines() if "No recorded answer" in line]
    problem = f"not recorded: {missing[0].partition('for ')[2]}" if missing else errors[0] if errors else ""
    return Built(lock, nodes, asked, problem)


def _nodes(lock: Lock) -> list[NodeInterface]:
    plan = lock.plan()
    return list(plan.nodes()) if plan else []


def untouched(before: Lock, after: Lock) -> list[str]:
    """Nodes that an edit must not change: no requirement behind them came, went or changed, and they use none of which one did.

    Nor does their docstring name a node that is gone: it would not be true any more.
    """
    old, new = before.plan(), after.plan()
    assert old is not None and new is not None
    words = {(each.id, each.text) for each in before.requirements} ^ {
        (each.id, each.text) for each in after.requirements
    }
    requirements = {name for name, _ in words}
    features = {
        each.id for plan in (old, new) for each in plan.features.features if requirements & set(each.requirements)
    }
    touched = {node.id for plan in (old, new) for node in plan.nodes() if features & set(node.features)}
    gone = {node.name for node in old.nodes()} - {node.name for node in new.nodes()}
    touched |= {node.id for node in old.nodes() if gone & set(re.findall(r"\w+", node.docstring))}
    return [node.id for node in old.nodes() if not old.closure({node.id}) & touched]


def counts(before: Built, after: Built) -> tuple[int, int, int, int]:
    """Nodes kept, changed, added, removed."""
    both = before.nodes.keys() & after.nodes.keys()
    kept = sum(before.nodes[name] == after.nodes[name] for name in both)
    return kept, len(both) - kept, len(after.nodes.keys() - both), len(before.nodes.keys() - both)


def measure(workspace: Path, edits: Sequence[Edit], folder: Path) -> Iterator[tuple[tuple[str, ...], str]]:
    """A row for each edit, and what is wrong with it."""
    name = (
        "."
        if workspace == ROOT
        else str(workspace.relative_to(ROOT))
        if workspace.is_relative_to(ROOT)
        else workspace.name
    )
    base, targets = copied(workspace, folder / "base"), targets_of(workspace)
    before = build(base, targets)
    if before.problem:
        yield (name, "(as it is)", "", before.problem, str(len(before.asked))), f"{name}: {before.problem}"
        return
    for edit in edits:
        there = folder / "edited"
        shutil.copytree(base, there, symlinks=True)
        spec = there / "spec.md"
        spec.write_text(spec.read_text("utf-8").replace(edit.old, edit.new), "utf-8")
        after = build(there, targets)
        shutil.rmtree(there)
        if after.problem:
            yield (name, edit.name, edit.kind, after.problem, str(len(after.asked))), f"{edit.name}: {after.problem}"
            continue
        changed = [each for each in untouched(before.lock, after.lock) if after.nodes.get(each) != before.nodes[each]]
        problem = f"{edit.name}: not touched, and yet not what they were: {', '.join(changed)}" if changed else ""
        kept = " / ".join(map(str, counts(before, after)))
        yield (name, edit.name, edit.kind, kept, f"{len(after.asked)} of {len(before.asked)}"), problem


def main(quick: bool = False) -> None:
    """Print the counts. SystemExit that lists the edits that are not recorded or that changed what they do not touch."""
    rows: list[tuple[str, ...]] = [("workspace", "edit", "kind", "nodes kept / changed / added / removed", "questions")]
    problems = []
    for workspace in workspaces():
        edits = edits_of(workspace)
        with work_folder() as folder:
            for row, problem in measure(workspace, edits[:1] if quick else edits, folder):
                rows.append(row)
                problems += [re.sub(r"\s+", " ", problem)] if problem else []
    table("edits of a specification, from recorded answers", rows)
    if problems:
        raise SystemExit("\n".join(problems))


if __name__ == "__main__":
    main()
