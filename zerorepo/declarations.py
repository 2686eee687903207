"""What the target graph needs of each target that is declared, as plain values, kept by build file between queries.

Parsing build files and validating targets is most of what a graph costs, so a build file with the same content (by digest) is not
parsed again. What is kept counts only while settings, rule sets and whatever else decides the meaning of a build file are in the
state that they were in. Knows nothing of how a graph is made of it.
"""

from __future__ import annotations

import contextlib
import marshal
import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias

from zerorepo import snapshot
from zerorepo.adoption import ADOPTED_NAME
from zerorepo.buildfile import BUILD_NAME
from zerorepo.digest import DigestFunction
from zerorepo.engine import Engine
from zerorepo.label import Label, parse_label
from zerorepo.query.details import packed
from zerorepo.saved_graph import key_of, remove_oldest, write_private
from zerorepo.table import Target
from zerorepo.workspace import Workspace

FOLDER = ".zerorepo/declared"
FORMAT = 1
Details: TypeAlias = tuple[str, str, tuple[str, ...], bool, bytes, dict[str, list[str]], None]
"""Kind, location, tags, whether it is a test, attributes (packed), labels by attribute: as a row of a stored graph."""
Declaration: TypeAlias = tuple[str, Details, dict[str, list[str]], str, bool]
"""Label, details, source paths by attribute (globs as they are written), identity, whether it expands."""


Asked: TypeAlias = tuple[list[str], list[str], list[str]]
"""What the last build of a target says of it: labels and paths that it asked for and no attribute names; labels of its outputs."""
EXPANDED = "\0"
"""In the place of a package: what expansions declare."""


@dataclass(slots=True)
class Kept:
    """What is kept from query to query. ``changed``: since it was loaded."""

    packages: dict[str, tuple[bytes, bytes]] = field(default_factory=dict)
    """By package: digest of what declares it, and its declarations, packed."""
    asked: dict[str, tuple[bytes, bytes, bytes]] = field(default_factory=dict)
    """By package: identities of its targets, stamps of their last builds, and by label what these say, packed."""
    code: list[str] = field(default_factory=list)
    """Files and folders that decide what a build file means."""
    changed: bool = False


def load(workspace: Workspace, overrides: tuple[str, ...]) -> Kept:
    """What the last query kept, nothing when what decides the meaning of build files has changed since."""
    key, cwd = _key(workspace, overrides), Path.cwd()
    try:
        data = Path(_path(workspace, overrides)).read_bytes()
        if snapshot.checksum(memoryview(data)[8:]) != data[:8]:
            return Kept()
        # Our own bytes, intact by their checksum.
        found, code, chunks, packages, asked = marshal.loads(memoryview(data)[8:])
        return Kept(packages, asked, code) if found == key and snapshot.unchanged(chunks, [], [], []) else Kept()
    except (OSError, ValueError, TypeError, EOFError):
        return Kept()
    finally:
        os.chdir(cwd)


def save(workspace: Workspace, overrides: tuple[str, ...], kept: Kept, chunks: list[snapshot.Chunk]) -> None:
    """Keep it for the next query; ``chunks`` are the states of ``kept.code``. What cannot be written is no loss."""
    with contextlib.suppress(OSError, ValueError):
        data = marshal.dumps((_key(workspace, overrides), kept.code, chunks, kept.packages, kept.asked), 2)
        path = Path(_path(workspace, overrides))
        path.parent.mkdir(parents=True, exist_ok=True)
        write_private(f"{path.parent}/.{os.getpid()}", str(path), data)
        remove_oldest(path.parent)


def _key(workspace: Workspace, overrides: tuple[str, ...]) -> bytes:
    adopted = b""
    with contextlib.suppress(OSError):
        adopted = (workspace.root / ADOPTED_NAME).read_bytes()
    settings = f"{FORMAT} {workspace.workspace!r} {workspace.cache.digest}".encode("utf-8", "backslashreplace")
    return b"\0".join([key_of(str(workspace.root), overrides), settings, adopted])


def _path(workspace: Workspace, overrides: tuple[str, ...]) -> str:
    root = str(workspace.root)
    return f"{root}/{FOLDER}/{snapshot.checksum(key_of(root, overrides)).hex()}"


def declaration(engine: Engine, target: Target) -> Declaration:
    """The plain values of one target."""
    labels: dict[str, list[str]] = {}
    paths: dict[str, list[str]] = {}
    for name, values in target.references().items():
        found = [str(each) for each in values if isinstance(each, Label) and each != target.label]
        labels[name] = list(dict.fromkeys(found))
        if inside := [str.__str__(each) for each in values if not isinstance(each, Label)]:
            paths[name] = list(dict.fromkeys(inside))
    attrs = target.attrs
    details = (
        f"{target.rule.name} rule",
        target.where,
        tuple(str.__str__(tag) for tag in attrs.tags),
        target.rule.test,
        packed(attrs.model_dump(mode="json")),
        labels,
        None,
    )
    return str(target.label), details, paths, str(engine.identity(target)), target.rule.expands


def declarations(engine: Engine, kept: Kept) -> dict[str, list[Declaration]]:
    """Those of every build file, by package. Only build files with another content than what is ``kept`` are read.

    Packages that are wrong have none, and stand in the table's ``broken``.
    """
    table, digests = engine.table, {name: _digest(engine, name) for name in engine.table.packages}
    found: dict[str, list[Declaration]] = {}
    for name, digest in digests.items():
        known = kept.packages.get(name)
        if known is not None and known[0] == digest:
            found[name] = marshal.loads(known[1])
    changed = [name for name in digests if name not in found]
    table.tolerate(changed)
    for name in changed:
        found[name] = [declaration(engine, target) for target in table.static_of(name)]
        if name not in table.broken:
            kept.packages[name] = (digests[name], marshal.dumps(found[name], 2))
    for name in [*(kept.packages.keys() - digests.keys()), *(name for name in table.broken if name in kept.packages)]:
        del kept.packages[name]
        kept.changed = True
    kept.changed = kept.changed or bool(changed)
    table.know_expanding([parse_label(row[0]) for rows in found.values() for row in rows if row[4]])
    return {name: found[name] for name in digests}


def _digest(engine: Engine, package: str) -> bytes:
    """Of the bytes that declare the package; of no bytes when they cannot be read, which whoever parses them says."""
    config, parts = engine.workspace.config, []
    with contextlib.suppress(OSError):
        parts.append(Path(engine.workspace.root, package, BUILD_NAME).read_bytes())
    if not package:  # with the text, for the lines in it, and what options changed of it
        parts.append(f"{config.text}\0{config.data.get('target')!r}".encode("utf-8", "backslashreplace"))
    return DigestFunction.XXH3.of_bytes(b"\0".join(parts)).hex.encode()


def asked(engine: Engine, declared: Mapping[str, list[Declaration]], kept: Kept) -> Mapping[str, Asked]:
    """What last builds say, by label, if anything. Read only in packages in which something was built or declared anew."""
    stamps, found, current = engine.traces.last_stamps(), {}, {}
    for package, rows in declared.items():
        identities = marshal.dumps([row[3] for row in rows], 2)
        built = marshal.dumps([stamps.get(row[0]) for row in rows], 2)
        known = kept.asked.get(package)
        if known is None or known[:2] != (identities, built):
            said = {row[0]: each for row in rows if row[0] in stamps and any(each := _asked(engine, row))}
            known = identities, built, marshal.dumps(said, 2)
            kept.changed = True
        current[package] = known
        found.update(marshal.loads(known[2]))
    kept.changed = kept.changed or len(current) != len(kept.asked)
    kept.asked = current
    return found


def _asked(engine: Engine, row: Declaration) -> Asked:
    label, details, paths, identity, _ = row
    last = engine.traces.last(parse_label(label))
    if last is None:
        return [], [], []
    requests = last.requests if last.identity == identity else []
    targets = dict.fromkeys(name.rpartition(" ")[0] for kind, name, _ in requests if kind == "provider")
    sources = dict.fromkeys(name for kind, name, _ in requests if kind == "source")
    known = {label}.union(*details[5].values())
    named = set().union(*paths.values())
    made = dict.fromkeys(_out_label(label, path) for path in last.outputs)
    return (
        [each for each in targets if each not in known],
        [each for each in sources if each not in named],
        [each for each in made if each != label],
    )


def _out_label(label: str, path: str) -> str:
    package = label[2 : label.index(":")]
    if package and path.startswith(package + "/"):
        return f"//{package}:{path[len(package) + 1 :]}"
    return f"//:{path}"
