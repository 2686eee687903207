"""Vectors in Chroma, embedded in this process or on a server, for other programs to search and for ontologies that outgrow memory.

Embedded Chroma silently loses vectors when several processes write at once, so each write holds an inter-process lock and opens
the database anew, and what was written is read back. Vectors are always passed in: Chroma's own function would download a model.
A collection carries the schema it was written with, the embedder and the dimension. Knows nothing of how vectors are made.
"""

from __future__ import annotations

import contextlib
import fcntl
import gc
import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from zerorepo.errors import EnvironmentFailure, UsageError
from zerorepo_ontology.ontology import Ontology

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCHEMA = 2
"""1: tags as one text. 2: a key of its own for each tag, so that filters are exact."""
_BATCH = 2000
_LOCK_WAIT_S = 300.0
_TAG = "tag:"


@dataclass(frozen=True, slots=True)
class Record:
    """A node to keep: what can be filtered by, and what is shown."""

    id: str
    text: str
    level: str
    parent: str
    sources: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Found:
    """A record's id and text, and the cosine of its vector."""

    id: str
    text: str
    cosine: float


class VectorStore:
    """``place``: a folder, or ``http://host:port`` of ``chroma run``. ``identity``: of the embedder; others are refused.

    EnvironmentFailure when Chroma is not installed or the server does not answer; UsageError for a collection of another embedder
    or of a newer ZeroRepo.
    """

    def __init__(self, place: str, identity: str, dimension: int, name: str = "ontology") -> None:
        self.place, self.identity, self.dimension, self.name = place, identity, dimension, name
        self._client: Any = None

    @property
    def _remote(self) -> bool:
        return self.place.startswith(("http://", "https://"))

    def put(self, records: Sequence[Record], vectors: NDArray[np.float32]) -> None:
        """Write records, in place of those with their ids, and read the vectors back. One process at a time."""
        if vectors.shape != (len(records), self.dimension):
            raise UsageError(
                f"{len(records)} records of dimension {self.dimension} came with vectors of shape {vectors.shape}"
            )
        with self._writing() as collection:
            size = min(_BATCH, self._opened().get_max_batch_size())
            for start in range(0, len(records), size):
                part, rows = records[start : start + size], vectors[start : start + size]
                collection.upsert(
                    ids=[each.id for each in part],
                    embeddings=rows,
                    documents=[each.text for each in part],
                    metadatas=[_metadata(each) for each in part],
                )
                self._read_back(collection, [each.id for each in part], rows)

    def _read_back(self, collection: Any, ids: Sequence[str], rows: NDArray[np.float32]) -> None:
        import numpy as np

        stored = collection.get(ids=list(ids), include=["embeddings"])
        found = dict(zip(stored["ids"], stored["embeddings"], strict=True))
        for id_, row in zip(ids, rows, strict=True):
            if id_ not in found or not np.allclose(found[id_], row, atol=1e-5):
                raise EnvironmentFailure(
                    f"The vector of `{id_}` was not stored", where=self.place, hint="is the disk full?"
                )

    def search(
        self,
        vector: NDArray[np.float32],
        limit: int = 10,
        *,
        level: str = "",
        parent: str = "",
        source: str = "",
        tags: Sequence[str] = (),
    ) -> list[Found]:
        """The nearest records, best first; all that is given must hold."""
        wanted: list[dict[str, Any]] = []
        wanted += [{key: value} for key, value in (("level", level), ("parent", parent)) if value]
        wanted += [{f"source:{source}": True}] if source else []
        wanted += [{f"{_TAG}{tag}": True} for tag in tags]
        where = None if not wanted else wanted[0] if len(wanted) == 1 else {"$and": wanted}
        collection = self._collection(create=False)
        if collection is None or not collection.count():
            return []
        with self._told():
            answer = collection.query(
                query_embeddings=[vector.tolist()],
                n_results=min(limit, collection.count()),
                where=where,
                include=["documents", "distances"],
            )
        rows = zip(answer["ids"][0], answer["documents"][0], answer["distances"][0], strict=True)
        return [Found(id_, text, 1.0 - distance) for id_, text, distance in rows]

    def count(self) -> int:
        """Records that are stored."""
        collection = self._collection(create=False)
        return int(collection.count()) if collection is not None else 0

    def close(self) -> None:
        """Let go of the database. What another process wrote is seen by whoever opens it after that."""
        if self._client is not None and not self._remote:
            from chromadb.api.shared_system_client import SharedSystemClient

            # Chroma keeps one system per path in the process, with what it had read of it.
            SharedSystemClient.clear_system_cache()
        self._client = None
        gc.collect()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[Any]:
        with self._locked():
            # What others wrote meanwhile must be read first, or it would be overwritten.
            self.close()
            yield self._collection(create=True)
            self.close()

    @contextlib.contextmanager
    def _locked(self) -> Iterator[None]:
        """A lock that the kernel drops when its holder dies. A server puts writers in order by itself."""
        if self._remote:
            yield
            return
        folder = Path(self.place)
        try:
            folder.mkdir(parents=True, exist_ok=True)
            lock = (folder / "writing.lock").open("a+b")
        except OSError as error:
            raise UsageError(f"Nothing can be kept there: {error.strerror}", where=self.place) from None
        with lock as file:
            until = time.monotonic() + _LOCK_WAIT_S
            while True:
                try:
                    fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                    break
                except OSError:
                    if time.monotonic() > until:
                        raise EnvironmentFailure(
                            f"Another process has been writing for {_LOCK_WAIT_S:g} s",
                            where=self.place,
                            hint="wait for it, or end it",
                        ) from None
                    time.sleep(0.02)
            yield

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Chroma's own errors as ours."""
        from chromadb.errors import ChromaError

        try:
            yield
        except (ChromaError, ConnectionError, OSError, ValueError) as error:
            raise EnvironmentFailure(
                f"Chroma failed: {error}", where=self.place, hint="is the server running?" if self._remote else None
            ) from None

    def _opened(self) -> Any:
        if self._client is not None:
            return self._client
        try:
            import chromadb
            from chromadb.config import Settings
        except ImportError:
            raise EnvironmentFailure(
                "Keeping vectors needs the package `chromadb`, which is not installed",
                hint='python -m pip install "zerorepo[ontology]"',
            ) from None
        settings = Settings(anonymized_telemetry=False)
        with self._told():
            if self._remote:
                url = urlsplit(self.place)
                self._client = chromadb.HttpClient(
                    host=url.hostname or "", port=url.port or 8000, ssl=url.scheme == "https", settings=settings
                )
            else:
                self._client = chromadb.PersistentClient(path=self.place, settings=settings)
        return self._client

    def _collection(self, *, create: bool) -> Any:
        """The collection, brought to this schema when it may be written; None when there is none."""
        client = self._opened()
        with self._told():
            known = {each.name for each in client.list_collections()}
            half = f"{self.name}.migrating"
            if half in known and create:
                # A migration was interrupted: while it copied, when the old one is whole; or before the last step, the new name.
                if self.name in known:
                    client.delete_collection(half)
                else:
                    client.get_collection(half, embedding_function=None).modify(name=self.name)
                    known.add(self.name)
            if self.name not in known:
                return self._made(client, self.name) if create else None
            collection = client.get_collection(self.name, embedding_function=None)
        schema = self._check(collection.metadata or {})
        if schema < SCHEMA and create:
            return self._migrated(client, collection)
        return collection

    def _made(self, client: Any, name: str) -> Any:
        metadata = {"schema": SCHEMA, "embedder": self.identity, "dimension": self.dimension}
        return client.create_collection(
            name, embedding_function=None, metadata=metadata, configuration={"hnsw": {"space": "cosine"}}
        )

    def _check(self, metadata: Mapping[str, Any]) -> int:
        schema = int(metadata.get("schema", 0))
        if schema > SCHEMA:
            raise UsageError(f"The collection `{self.name}` has schema {schema}; this ZeroRepo knows {SCHEMA}", where=self.place,
                             hint="it was written by a newer ZeroRepo: update, or use another place")  # fmt: skip
        mine = (self.identity, self.dimension)
        theirs = (str(metadata.get("embedder", "")), int(metadata.get("dimension", 0)))
        if theirs != mine:
            raise UsageError(
                f"The collection `{self.name}` has vectors of `{theirs[0]}` ({theirs[1]}), not of `{mine[0]}` ({mine[1]})",
                where=self.place,
                hint="vectors of two embedders cannot be compared: use another place",
            )
        return schema

    def _migrated(self, client: Any, old: Any) -> Any:
        """A copy of ``old`` in this schema, which then takes its name."""
        with self._told():
            new = self._made(client, f"{self.name}.migrating")
            total, size = old.count(), min(_BATCH, client.get_max_batch_size())
            for start in range(0, total, size):
                part = old.get(limit=size, offset=start, include=["embeddings", "documents", "metadatas"])
                metadatas = [_upgraded(each) for each in part["metadatas"]]
                new.upsert(
                    ids=part["ids"], embeddings=part["embeddings"], documents=part["documents"], metadatas=metadatas
                )
            if new.count() != total:
                raise EnvironmentFailure(
                    f"Only {new.count():,} of {total:,} records could be brought up to date", where=self.place
                )
            client.delete_collection(self.name)
            new.modify(name=self.name)
            return client.get_collection(self.name, embedding_function=None)


def records_of(ontology: Ontology) -> list[Record]:
    """A record a node, in order; its text is its path."""
    return [
        Record(
            id=node.id, text=" / ".join(ontology.path(node)), level=node.level, parent=node.parent,
            sources=tuple(sorted({ontology.sources[each.source].name for each in node.examples})), tags=node.tags,
        )
        for node in ontology.nodes
    ]  # fmt: skip


def _metadata(record: Record) -> dict[str, Any]:
    return {
        "level": record.level,
        "parent": record.parent,
        **{f"source:{each}": True for each in record.sources},
        **{f"{_TAG}{each}": True for each in record.tags},
    }


def _upgraded(metadata: Mapping[str, Any]) -> dict[str, Any]:
    """Schema 1 had ``tags`` and ``sources`` as JSON lists in a text."""
    kept = {key: value for key, value in metadata.items() if key not in ("tags", "sources")}
    for tag in json.loads(str(metadata.get("tags") or "[]")):
        kept[f"{_TAG}{tag}"] = True
    for source in json.loads(str(metadata.get("sources") or "[]")):
        kept[f"source:{source}"] = True
    return kept
