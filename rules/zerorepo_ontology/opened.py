"""The ontology that a command works on, found and opened for searching: a file, the user's own, or the one that is shipped.

Knows nothing of commands.
"""

from __future__ import annotations

from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path
from typing import Any

from zerorepo.errors import UsageError, did_you_mean
from zerorepo_ontology import artifact, home, ontology, starter
from zerorepo_ontology.embed import embed_by_api, identity_of
from zerorepo_ontology.ontology import Ontology
from zerorepo_ontology.searching import Searcher
from zerorepo_ontology.settings import API_PREFIX, BM25, OntologySettings

SHIPPED = "data/starter.ontology"


class Opened:
    """An ontology with the embedder that its vectors were made by."""

    def __init__(self, where: str, data: bytes, exclude: Sequence[str] = ()) -> None:
        self.where = where
        found, vectors, self.identity = artifact.load(data, where)
        _check_known(exclude, found)
        self.ontology: Ontology = ontology.without(found, exclude) if exclude else found
        if vectors is not None and self.ontology is not found:
            rows = {node.id: row for row, node in enumerate(found.nodes)}
            vectors = vectors[[rows[node.id] for node in self.ontology.nodes]]
        self.vectors = vectors
        self.size = len(data)

    @property
    def engine(self) -> str:
        """The engine that queries must be embedded with; ``bm25`` without vectors."""
        if self.vectors is None:
            return BM25
        if self.identity.startswith(API_PREFIX):
            return self.identity.rpartition("/")[0]
        return self.identity.split("/")[1]

    def searcher(self, engine: str, settings: OntologySettings, root: Path) -> Searcher:
        """For ``engine``, which is ``bm25`` or the one that the vectors were made with: others are not comparable."""
        if engine == BM25:
            return Searcher(self.ontology, None, None)
        if self.vectors is None or identity_of(engine) != self.identity:
            raise UsageError(
                f"This ontology has vectors of `{self.identity or 'no embedder'}`, not of `{engine}`",
                where=self.where,
                hint=f"--engine {self.engine}, or build one for it: zerorepo ontology build --engine {engine}",
            )
        return Searcher(self.ontology, self.vectors, _embedder(engine, settings, root))


def _check_known(packages: Sequence[str], found: Ontology) -> None:
    """UsageError for a package that nothing was mined from and that is no starter package: it would be left in unnoticed."""
    seen = {starter.normalized(source.name): source.name for source in found.sources}
    for name in packages:
        if starter.normalized(name) not in seen and starter.normalized(name) not in starter.starter_pins():
            near = did_you_mean(name, set(seen.values()))
            raise UsageError(
                f"Nothing was mined from `{name}`", hint=near or "zerorepo ontology stats --sources lists what was"
            )


def _embedder(engine: str, settings: OntologySettings, root: Path) -> Any:
    if engine.startswith(API_PREFIX):

        def ask(texts: Sequence[str]) -> Any:
            import asyncio

            return asyncio.run(embed_by_api(engine.removeprefix(API_PREFIX), texts, settings))

        return ask
    from zerorepo_ontology import embedding

    return embedding.local(engine, root / settings.weights if settings.weights else None).embed


def find(file: Path | None, exclude: Sequence[str] = ()) -> Opened:
    """``file``, else what the user built, else what is shipped. UsageError when it is not there or damaged."""
    if file is not None:
        try:
            return Opened(str(file), file.read_bytes(), exclude)
        except OSError as error:
            raise UsageError(f"The ontology cannot be read: {error.strerror}", where=str(file)) from None
    own = home.folder() / "out" / "ontology.ontology"
    if own.is_file():
        return Opened(str(own), own.read_bytes(), exclude)
    return Opened("the shipped ontology", files("zerorepo_ontology").joinpath(SHIPPED).read_bytes(), exclude)
