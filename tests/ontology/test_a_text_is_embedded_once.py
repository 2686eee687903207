"""Embedding through an API on loopback, which counts what it is sent: batched, each text once, and once only, ever."""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

np = pytest.importorskip("numpy")

from zerorepo.errors import ActionFailed  # noqa: E402
from zerorepo.testing import RuleRunner  # noqa: E402
from zerorepo_ontology import artifact  # noqa: E402
from zerorepo_ontology.register import RULE_SET  # noqa: E402

from .wheels import SHAPES, put, target  # noqa: E402

DIMENSION = 8
OTHER = {path.replace("shapes", "forms"): text.replace("shapes", "forms") for path, text in SHAPES.items()}
OTHER["forms/_impl.py"] = SHAPES["shapes/_impl.py"]
pytestmark = pytest.mark.filterwarnings("ignore")


class Api:
    """An OpenAI-compatible server of embeddings; ``batches`` is what it was sent."""

    def __init__(self) -> None:
        self.batches: list[list[str]] = []
        self.status = 200
        api = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                sent = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                texts = sent["input"] if isinstance(sent["input"], list) else [sent["input"]]
                api.batches.append(texts)
                rows = [{"object": "embedding", "index": i, "embedding": _vector(text)} for i, text in enumerate(texts)]
                # In any order: the index says which is which.
                good = {
                    "object": "list",
                    "data": rows[::-1],
                    "model": "m",
                    "usage": {"prompt_tokens": 1, "total_tokens": 1},
                }
                body = json.dumps(good if api.status == 200 else {"error": {"message": "no", "code": "bad"}}).encode()
                self.send_response(api.status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.base = f"http://127.0.0.1:{self._server.server_address[1]}/v1"
        threading.Thread(target=self._server.serve_forever, daemon=True).start()

    @property
    def texts(self) -> list[str]:
        return [text for batch in self.batches for text in batch]

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()


def _vector(text: str) -> list[float]:
    digest = hashlib.sha256(text.encode()).digest()
    return [byte / 255 - 0.5 for byte in digest[:DIMENSION]]


@pytest.fixture
def api(monkeypatch: pytest.MonkeyPatch) -> Iterator[Api]:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-test")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    made = Api()
    yield made
    made.close()


def workspace(root: Path, api: Api, targets: str, sources: list[str]) -> RuleRunner:
    settings = f'[ontology]\nwheels = "wheels"\nengine = "api:openai/m"\napi_base = "{api.base}"\napi_batch = 3\n'
    listed = ", ".join(f'"//:{each}"' for each in sources)
    tree = f'[[target]]\nname = "o"\nrule = "ontology_tree"\nsources = [{listed}]\n'
    return RuleRunner(root, {"zerorepo.toml": settings + targets + tree}, rule_sets=[RULE_SET])


def test_adding_a_library_embeds_only_what_is_new_and_a_rebuild_nothing(tmp_path: Path, api: Api) -> None:
    first = put(tmp_path / "wheels")
    second = put(tmp_path / "wheels", "forms", modules=OTHER)
    runner = workspace(tmp_path, api, target("a", first), ["a"])
    runner.build_ok("//...")
    before = list(api.texts)
    assert len(before) == len(set(before)) and max(map(len, api.batches)) <= 3
    runner.build_ok("//...")
    assert api.texts == before
    runner = workspace(tmp_path, api, target("a", first) + target("b", second), ["a", "b"])
    runner.build_ok("//...")
    assert len(api.texts) == len(set(api.texts))
    assert {"read all forms of a file in order"} <= set(api.texts[len(before) :])


def test_vectors_are_those_of_their_texts_and_of_unit_length(tmp_path: Path, api: Api) -> None:
    runner = workspace(tmp_path, api, target("a", put(tmp_path / "wheels")), ["a"])
    runner.build_ok("//...")
    found, vectors, identity = artifact.load(runner.outputs()["o.ontology"], "o")
    assert identity == "api:openai/m/1" and vectors is not None and vectors.shape == (len(found.nodes), DIMENSION)
    for node, row in zip(found.nodes, vectors, strict=True):
        if node.level == "feature":
            own = np.array(_vector(node.name))
            assert float(row @ (own / np.linalg.norm(own))) > 0.98


def test_a_refused_key_is_an_error_that_says_what_to_do(tmp_path: Path, api: Api) -> None:
    api.status = 401
    run = workspace(tmp_path, api, target("a", put(tmp_path / "wheels")), ["a"]).build("//...")
    error = run.error("//:o")
    assert (
        isinstance(error, ActionFailed) and "AuthenticationError" in str(error) and "the provider's key" in str(error)
    )
