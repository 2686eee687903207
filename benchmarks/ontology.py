"""Mining, embedding and searching, each beside a named peer in the same run: bare sentence-transformers, bare Chroma, numpy.

Peers that are not installed are left out and said so. ``ZEROREPO_WHEELS`` names a folder of wheels to mine, each on its own.
"""

from __future__ import annotations

import os
import statistics
import tempfile
import time
from collections.abc import Callable
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.harness import of, ratio, seconds, table
from zerorepo_ontology import embedding, minilm_weights, mining, wheel
from zerorepo_ontology.ontology import Ontology
from zerorepo_ontology.opened import Opened, find
from zerorepo_ontology.public_api import Api
from zerorepo_ontology.searching import Filter, Searcher

_QUERIES = ("retry a failed request", "group rows and sum them", "reset a password by e-mail", "fit a linear regression",
            "draw a histogram", "solve an equation symbolically", "keep a session in a cookie", "parse arguments")  # fmt: skip


def main(quick: bool = False) -> None:
    """Measure and print."""
    opened = find(None)
    texts = [node.name for node in opened.ontology.nodes if node.level == "feature"]
    step = len(texts) // (200 if quick else 2000)
    _embedding(texts[::step][: 200 if quick else 2000], 1 if quick else 3)
    _agreement(texts[:: len(texts) // (500 if quick else 6000)])
    _searching(opened, 5_000 if quick else 100_000)
    _mining(quick)


def _mining(quick: bool) -> None:
    folder = os.environ.get("ZEROREPO_WHEELS", "")
    files = sorted(Path(folder).glob("*.whl")) if folder else []
    if not files:
        print("\nmining: left out, ZEROREPO_WHEELS names no folder of wheels")
        return
    took: dict[str, tuple[float, int, int]] = {}
    for file in files[:5] if quick else files:
        started = time.process_time()
        found = wheel.read(file.read_bytes(), file.name)
        api = Api(found.modules, found.packages)
        public = api.symbols()
        made = mining.mine(public, api, mining.Reading(), found.name, found.version, found.license)
        took[found.name] = (time.process_time() - started, len(public), len(made))
    rows = [("library", "CPU time", "public symbols", "features")]
    slowest = sorted(took.items(), key=lambda each: -each[1][0])[:8]
    rows += [(name, seconds(cpu), f"{public:,}", f"{made:,}") for name, (cpu, public, made) in slowest]
    times = [cpu for cpu, _, _ in took.values()]
    rows.append((f"median of {len(times)}", seconds(statistics.median(times)), "", ""))
    rows.append((f"all {len(times)}", seconds(sum(times)), "", f"{sum(each[2] for each in took.values()):,}"))
    table("Mining by syntax tree, the slowest and all", rows)


def _engines() -> list[str]:
    engines = []
    for engine in embedding.LOCAL_ENGINES:
        try:
            minilm_weights.load(engine)
            engines.append(engine)
        except Exception as error:  # noqa: BLE001 - a benchmark says what it lacks and goes on
            print(f"\n{engine}: left out: {error}")
    return engines


def _embedding(texts: list[str], runs: int) -> None:
    cases: dict[str, Callable[[list[str]], Any]] = {}
    folder = minilm_weights.find(None, minilm_weights.FULL_MODULE, minilm_weights.FULL_FILE)
    if find_spec("sentence_transformers") is not None and folder is not None:
        from sentence_transformers import SentenceTransformer

        peer = SentenceTransformer(str(folder.parent), device="cpu")
        cases["sentence-transformers, as it comes"] = lambda part: peer.encode(part, show_progress_bar=False)
    else:
        print("\nembedding: no peer, sentence-transformers or full-precision weights are not installed")
    for engine in _engines():
        cases[f"zerorepo {engine}"] = embedding.local(engine).embed
    if not cases:
        return
    times: dict[str, list[float]] = {name: [] for name in cases}
    processor: dict[str, list[float]] = {name: [] for name in cases}
    for run in range(runs + 1):
        for name, case in cases.items():
            wall, cpu = time.perf_counter(), time.process_time()
            case(texts[:64] if run == 0 else texts)
            if run:
                times[name].append(time.perf_counter() - wall)
                processor[name].append(time.process_time() - cpu)
    first = statistics.median(next(iter(times.values())))
    rows = [("engine", "texts/s", "texts/CPU-s", "of the first")]
    for name in cases:
        wall, cpu = statistics.median(times[name]), statistics.median(processor[name])
        rows.append((name, f"{len(texts) / wall:,.0f}", f"{len(texts) / cpu:,.0f}", ratio(first, wall)))
    words = statistics.mean(len(text.split()) for text in texts)
    table(f"{len(texts):,} short texts ({words:.1f} words), {os.cpu_count()} cores; {of(runs)}", rows)


def _agreement(texts: list[str]) -> None:
    engines = _engines()
    if "fp32" not in engines:
        return
    vectors = {engine: embedding.local(engine).embed(texts) for engine in engines}
    from zerorepo_ontology import artifact

    for engine in list(vectors):
        packed, scales = artifact._pack(vectors[engine])
        vectors[f"{engine}, stored in four bits"] = artifact._unpack(scales + packed, len(texts), embedding.DIMENSION)
    every = np.arange(0, len(texts), max(len(texts) // 200, 1))
    reference = _nearest(vectors["fp32"][every], vectors["fp32"])
    rows = [("vectors", "first ten in common with fp32", "mean cosine")]
    for name, found in vectors.items():
        # Queries are never stored: they come from the engine as they are.
        own = _nearest(vectors[name.partition(",")[0]][every], found)
        common = np.mean([len(set(a) & set(b)) / 10 for a, b in zip(own, reference, strict=True)])
        rows.append((name, f"{common:.3f}", f"{float((found * vectors['fp32']).sum(axis=1).mean()):.4f}"))
    table(f"Agreement: {len(every)} queries over {len(texts):,} texts", rows)


def _nearest(queries: Any, vectors: Any) -> list[list[int]]:
    scores = queries @ vectors.T
    return [np.argsort(-row)[1:11].tolist() for row in scores]


def _searching(opened: Opened, size: int) -> None:
    if opened.vectors is None or opened.engine not in _engines():
        return
    own = embedding.local(opened.engine)
    queries = own.embed(_QUERIES)
    rng = np.random.default_rng(1)
    base = opened.vectors[rng.integers(0, len(opened.vectors), size)]
    matrix = base + rng.normal(scale=0.02, size=base.shape).astype(np.float32)
    matrix /= np.linalg.norm(matrix, axis=1, keepdims=True)
    many = [queries[i % len(queries)] for i in range(200)]
    rows = [("what", "p50", "p99", "of numpy")]
    plain = _percentiles(lambda row: np.argpartition(-(matrix @ row), 10)[:10], many)
    rows.append((f"numpy, {size:,} rows", seconds(plain[0]), seconds(plain[1]), "1"))
    if find_spec("chromadb") is not None:
        for title, times in _chroma(matrix, many):
            rows.append((title, seconds(times[0]), seconds(times[1]), ratio(times[0], plain[0])))
    texts = [_QUERIES[i % len(_QUERIES)] for i in range(200)]
    large = Searcher(_enlarged(opened.ontology, size), matrix, own.embed)
    times = _percentiles(lambda text: large.search(text, 10), texts)
    name = f"zerorepo search, {size:,} nodes (the shipped ones repeated), query embedded and words"
    rows.append((name, seconds(times[0]), seconds(times[1]), ratio(times[0], plain[0])))
    searcher = Searcher(opened.ontology, opened.vectors, own.embed)
    searcher.search("warm", 1)
    for title, filter_ in (
        ("all", Filter()),
        ("one domain", Filter(below="Web")),
        ("one source", Filter(source="python")),
    ):
        times = _percentiles(lambda text, filter_=filter_: searcher.search(text, 10, filter_), texts)
        name = f"zerorepo search, {len(opened.ontology.nodes):,} nodes, {title}, query embedded and words"
        rows.append((name, seconds(times[0]), seconds(times[1]), ratio(times[0], plain[0])))
    table("Searching for ten, one query at a time; 200 queries", rows)
    print(f"  on disk {opened.size / 1e6:.1f} MB; in memory {opened.vectors.nbytes / 1e6:.0f} MB of vectors")


def _enlarged(ontology: Ontology, size: int) -> Ontology:
    """Its nodes again and again under other ids, ``size`` in all."""
    nodes = [
        replace(node, id=f"{node.id}.{copy}", parent=f"{node.parent}.{copy}" if node.parent else "")
        for copy in range(size // len(ontology.nodes) + 1)
        for node in ontology.nodes
    ]
    return Ontology(ontology.sources, nodes[:size])


def _percentiles(case: Callable[[Any], Any], queries: list[Any]) -> tuple[float, float]:
    times = []
    case(queries[0])
    for query in queries:
        started = time.perf_counter()
        case(query)
        times.append(time.perf_counter() - started)
    times.sort()
    return times[len(times) // 2], times[int(len(times) * 0.99)]


def _chroma(matrix: Any, queries: list[Any]) -> list[tuple[str, tuple[float, float]]]:
    import chromadb
    from chromadb.config import Settings

    with tempfile.TemporaryDirectory(prefix="zerorepo-chroma-", ignore_cleanup_errors=True) as folder:
        client = chromadb.PersistentClient(path=folder, settings=Settings(anonymized_telemetry=False))
        made = client.create_collection("bench", embedding_function=None, configuration={"hnsw": {"space": "cosine"}})
        for start in range(0, len(matrix), 5000):
            ids = [str(i) for i in range(start, min(start + 5000, len(matrix)))]
            made.add(ids=ids, embeddings=matrix[start : start + 5000], metadatas=[{"part": int(i) % 40} for i in ids])
        plain = _percentiles(lambda row: made.query(query_embeddings=[row], n_results=10, include=[]), queries)
        filtered = _percentiles(
            lambda row: made.query(query_embeddings=[row], n_results=10, include=[], where={"part": 7}), queries[:50]
        )
        disk = sum(file.stat().st_size for file in Path(folder).rglob("*") if file.is_file())
    name = f"bare Chroma, {len(matrix):,} rows, {disk / 1e6:.0f} MB"
    return [(name, plain), (f"{name}, filter 1 in 40", filtered)]


if __name__ == "__main__":
    main()
