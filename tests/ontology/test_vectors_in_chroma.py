"""Chroma, for real: four writing processes lose nothing, filters hold, schemas are told apart, and a server works alike."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

np = pytest.importorskip("numpy")
pytest.importorskip("chromadb")

from zerorepo.errors import EnvironmentFailure, UsageError  # noqa: E402
from zerorepo_ontology.ontology import Example, Node, Ontology, Source  # noqa: E402
from zerorepo_ontology.store import SCHEMA, Record, VectorStore, records_of  # noqa: E402

DIMENSION = 16
ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.filterwarnings("ignore")


def vectors(seed: int, count: int) -> np.ndarray[tuple[int, int], np.dtype[np.float32]]:
    rows = np.random.default_rng(seed).normal(size=(count, DIMENSION)).astype(np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


def store(place: object, identity: str = "toy/1") -> VectorStore:
    return VectorStore(str(place), identity, DIMENSION)


def records(seed: int, count: int) -> list[Record]:
    return [
        Record(
            f"{seed}-{i}",
            f"text {seed} {i}",
            "feature" if i % 2 else "capability",
            f"p{i % 3}",
            ("requests",),
            (f"t{i % 4}",),
        )
        for i in range(count)
    ]


WRITER = """
import sys
from tests.ontology.test_vectors_in_chroma import records, store, vectors
seed, count = int(sys.argv[2]), 120
kept, rows = records(seed, count), vectors(seed, count)
own = store(sys.argv[1])
for start in range(0, count, 30):
    own.put(kept[start : start + 30], rows[start : start + 30])
"""
READER = """
import json, sys
from tests.ontology.test_vectors_in_chroma import records, store, vectors
own = store(sys.argv[1])
lost = [
    each.id for seed in range(4) for each, row in zip(records(seed, 120), vectors(seed, 120))
    if (own.search(row, 1) or [None])[0] is None or own.search(row, 1)[0].id != each.id
]
print(json.dumps([own.count(), lost]))
"""


def python(program: str, *arguments: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments], stdout=subprocess.PIPE, text=True, cwd=Path.cwd()
    )


def test_four_processes_that_write_at_once_lose_no_vector(tmp_path: Path) -> None:
    writers = [python(WRITER, str(tmp_path / "db"), str(seed)) for seed in range(4)]
    for writer in writers:
        writer.communicate(timeout=240)
    assert [writer.returncode for writer in writers] == [0, 0, 0, 0]
    reader = python(READER, str(tmp_path / "db"))
    said, _ = reader.communicate(timeout=120)
    assert json.loads(said) == [480, []]


def test_filters_hold_together(tmp_path: Path) -> None:
    own = store(tmp_path / "db")
    own.put(records(1, 60), vectors(1, 60))
    found = own.search(vectors(1, 1)[0], 60, level="capability", parent="p0", tags=["t2"], source="requests")
    assert {each.id for each in found} == {f"1-{i}" for i in range(60) if i % 2 == 0 and i % 3 == 0 and i % 4 == 2}
    assert own.search(vectors(1, 1)[0], source="nothing") == []


def test_writing_again_replaces(tmp_path: Path) -> None:
    own = store(tmp_path / "db")
    own.put(records(1, 5), vectors(1, 5))
    own.put(records(1, 5), vectors(2, 5))
    assert own.count() == 5 and own.search(vectors(2, 1)[0], 1)[0].id == "1-0"


def test_vectors_of_another_embedder_are_refused(tmp_path: Path) -> None:
    store(tmp_path / "db").put(records(1, 3), vectors(1, 3))
    with pytest.raises(UsageError, match=r"has vectors of `toy/1` \(16\), not of `other/1`"):
        store(tmp_path / "db", "other/1").put(records(2, 3), vectors(2, 3))


def _older(place: Path, schema: int) -> None:
    """A collection as schema 1 wrote it, by Chroma itself."""
    own = store(place)
    client = own._opened()
    metadata = {"schema": schema, "embedder": "toy/1", "dimension": DIMENSION}
    old = client.create_collection(
        "ontology", embedding_function=None, metadata=metadata, configuration={"hnsw": {"space": "cosine"}}
    )
    row = {"level": "feature", "parent": "p", "tags": '["a", "b"]', "sources": '["flask"]'}
    old.upsert(ids=[f"x{i}" for i in range(7)], embeddings=vectors(3, 7), documents=["text"] * 7, metadatas=[row] * 7)
    own.close()


def test_an_older_schema_is_brought_up_to_date_with_the_next_write(tmp_path: Path) -> None:
    _older(tmp_path / "db", 1)
    own = store(tmp_path / "db")
    own.put(records(1, 1), vectors(1, 1))
    assert own.count() == 8
    assert {each.id for each in own.search(vectors(3, 1)[0], 10, tags=["b"], source="flask")} == {
        f"x{i}" for i in range(7)
    }


def test_an_interrupted_migration_begins_anew(tmp_path: Path) -> None:
    _older(tmp_path / "db", 1)
    own = store(tmp_path / "db")
    own._made(own._opened(), "ontology.migrating").upsert(ids=["half"], embeddings=vectors(9, 1), documents=["x"])
    own.close()
    own.put(records(1, 1), vectors(1, 1))
    assert own.count() == 8 and [each.name for each in own._opened().list_collections()] == ["ontology"]


def test_a_migration_interrupted_before_its_last_step_is_finished(tmp_path: Path) -> None:
    own = store(tmp_path / "db")
    own._made(own._opened(), "ontology.migrating").upsert(ids=["whole"], embeddings=vectors(9, 1), documents=["x"])
    own.close()
    own.put(records(1, 1), vectors(1, 1))
    assert own.count() == 2 and [each.name for each in own._opened().list_collections()] == ["ontology"]


def test_a_newer_schema_is_refused(tmp_path: Path) -> None:
    _older(tmp_path / "db", SCHEMA + 1)
    with pytest.raises(UsageError, match=f"schema {SCHEMA + 1}"):
        store(tmp_path / "db").search(vectors(1, 1)[0])


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program = Path(sys.executable).with_name("chroma")
    command = [str(program), "run", "--path", str(tmp_path / "server"), "--host", "127.0.0.1", "--port", str(port)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        for _ in range(300):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(20)


def test_a_server_keeps_what_is_put_and_filters_alike(server: str) -> None:
    own = store(server)
    own.put(records(1, 60), vectors(1, 60))
    other = store(server)
    assert other.count() == 60 and other.search(vectors(1, 7)[6], 1)[0].id == "1-6"
    assert {each.id for each in other.search(vectors(1, 1)[0], 60, parent="p1")} == {
        f"1-{i}" for i in range(60) if i % 3 == 1
    }


def test_a_server_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(EnvironmentFailure, match="Chroma failed"):
        store("http://127.0.0.1:9").count()


def test_an_ontology_is_kept_whole(tmp_path: Path) -> None:
    nodes = [
        Node("d:1", "domain", "Web", ""),
        Node("a:1", "area", "Forms", "d:1"),
        Node("c:1", "capability", "Fields", "a:1"),
        Node(
            "f:1",
            "feature",
            "check a field",
            "c:1",
            tags=("t",),
            examples=(Example("forms.check", "()", "function", 0, "A"),),
        ),
    ]
    own = store(tmp_path / "db")
    own.put(records_of(Ontology([Source("forms", "1", "MIT", "mined")], nodes)), vectors(5, 4))
    found = own.search(vectors(5, 4)[3], 5, source="forms", tags=["t"], parent="c:1", level="feature")
    assert [(each.id, each.text) for each in found] == [("f:1", "Web / Forms / Fields / check a field")]
