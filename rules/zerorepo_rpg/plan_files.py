"""Locks and graphs read from files, whatever their format. Knows nothing of what is done with them."""

from __future__ import annotations

import re
from pathlib import Path

from zerorepo.errors import UsageError
from zerorepo_rpg.graph import RPGGraph
from zerorepo_rpg.graph_import import IMPORTERS, format_of, from_csv
from zerorepo_rpg.lock import Lock, parse_lock


def read_plan(path: Path) -> Lock | RPGGraph:
    """A lock, or a graph in any of the formats; a folder holds ``nodes.csv`` and ``edges.csv``. UsageError for anything else.

    The content tells the format, so that a pipe (``<(git show HEAD:zerorepo.lock)``) does as well as a file.
    """
    where = str(path)
    try:
        if path.is_dir():
            return from_csv({each.name: each.read_text("utf-8") for each in sorted(path.glob("*.csv"))}, where)
        text = path.read_bytes().decode("utf-8-sig")
    except FileNotFoundError:
        raise UsageError("There is no such file", where=where, hint="name a lock or an exported graph") from None
    except UnicodeDecodeError as error:
        raise UsageError(f"Not UTF-8 (byte {error.start})", where=where) from None
    except OSError as error:
        raise UsageError(f"Cannot be read: {error.strerror}", where=where) from None
    if re.search(r"(?m)^schema\s*=", text):
        return parse_lock(text, where)
    if text.startswith(("id,name,", '"id","name",')):
        return from_csv({"nodes.csv": text}, where)
    return IMPORTERS[format_of(text)](text, where)


def graph_of(source: Lock | RPGGraph) -> RPGGraph:
    """The planning graph of a lock: of its plan and of the code that people wrote, side by side."""
    if isinstance(source, RPGGraph):
        return source
    plan = source.plan()
    planned = plan.to_graph() if plan else RPGGraph()
    taken = planned.by_id.keys() & source.existing.by_id.keys()
    kept = source.existing.subgraph(lambda node: node.id not in taken) if taken else source.existing
    return RPGGraph.build([*planned.nodes, *kept.nodes], [*planned.edges, *kept.edges])


__all__ = ["graph_of", "read_plan"]
