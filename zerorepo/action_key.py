"""One walk over a value: the source of both its digest and its explanation.

``walk`` yields leaves (path, type tag, payload) in one canonical order. ``key_of`` hashes them; ``manifest`` keeps them as
text, so that ``explain`` shows exactly what the key saw. The encoding is type-tagged (1, 1.0, True and "1" differ) and
versioned (redun's rule): a change of ``ENCODING_VERSION`` changes every key. No ``str()`` of unknown objects, no pickle, no
``hash()``: an unknown type is an error.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from pydantic import BaseModel

from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import InternalError
from zerorepo.label import Label
from zerorepo.values import identity_fields

ENCODING_VERSION = 1

Leaf = tuple[str, bytes, bytes]
"""Path within the value, type tag (one ASCII letter), payload."""

_SHOWN = 200  # a longer scalar appears in a manifest by its digest and its first characters


def walk(value: Any, path: str = "") -> Iterator[Leaf]:
    """Leaves of ``value`` in canonical order: fields as declared, mapping keys sorted, sets sorted by their encoding."""
    if value is None:
        yield path, b"n", b""
    elif value is True or value is False:
        yield path, b"b", b"1" if value else b"0"
    elif isinstance(value, Enum):
        yield path, b"e", f"{type(value).__name__}.{value.name}".encode()
    elif isinstance(value, str):
        yield path, b"s", value.encode("utf-8", "surrogatepass")
    elif isinstance(value, int):
        yield path, b"i", str(value).encode()
    elif isinstance(value, float):
        # The bits, with one zero and one NaN, so that equal numbers have equal keys on every machine.
        yield path, b"f", struct.pack(">d", 0.0 if value == 0 else float("nan") if value != value else value)
    elif isinstance(value, bytes):
        yield path, b"y", value
    elif isinstance(value, Digest):
        yield path, b"d", str(value).encode()
    elif isinstance(value, Label):
        yield path, b"l", str(value).encode()
    elif isinstance(value, BaseModel):
        yield from _walk_model(value, path)
    elif isinstance(value, Mapping):
        yield path, b"m", str(len(value)).encode()
        for key in sorted(value, key=_sort_key):
            plain = not path and type(key) is str and key.isidentifier()
            yield from walk(value[key], key if plain else f"{path}[{key!r}]")
    elif isinstance(value, (tuple, list)):
        yield path, b"t", str(len(value)).encode()
        for index, item in enumerate(value):
            yield from walk(item, f"{path}[{index}]")
    elif isinstance(value, (set, frozenset)):
        yield path, b"u", str(len(value)).encode()
        for index, item in enumerate(sorted(value, key=encode)):
            yield from walk(item, f"{path}{{{index}}}")
    else:
        raise InternalError(
            f"A {type(value).__name__} at `{path}` cannot be part of a key", hint="use a zerorepo Value or a plain type"
        )


def _walk_model(value: BaseModel, path: str) -> Iterator[Leaf]:
    model = type(value)
    version = getattr(model, "key_version", 1)
    name = getattr(model, "mnemonic", None) or model.__name__
    yield path, b"o", f"{name}/{version}".encode()
    for field in identity_fields(model):
        yield from walk(getattr(value, field), f"{path}.{field}" if path else field)


def _sort_key(key: Any) -> tuple[str, int, str]:
    if isinstance(key, Enum):
        return ("e", 0, f"{type(key).__name__}.{key.name}")
    if isinstance(key, (Label, Digest, str)):
        return ("s", 0, f"{key} {type(key).__name__}")
    if isinstance(key, int):
        return ("i", int(key), type(key).__name__)
    raise InternalError(f"A mapping key of type {type(key).__name__} cannot be part of a key")


def encode(value: Any) -> bytes:
    """The canonical bytes of ``value``: every leaf, each part with its length in front."""
    parts = [b"zr%d" % ENCODING_VERSION]
    for path, tag, payload in walk(value):
        where = path.encode("utf-8", "surrogatepass")
        parts.append(b"%s%d:%s%d:%s" % (tag, len(where), where, len(payload), payload))
    return b"".join(parts)


def key_of(value: Any, function: DigestFunction) -> Digest:
    """The digest of a value's canonical form. For an action this is its action key."""
    return function.of_bytes(encode(value))


def manifest(value: Any, function: DigestFunction) -> dict[str, str]:
    """The same walk as text: path to readable value, long ones by digest. What ``explain`` compares.

    Values of different types look different, so two manifests are equal exactly when their keys are.
    """
    shown: dict[str, str] = {}
    for path, tag, payload in walk(value):
        text = _readable(tag, payload)
        if len(text) > _SHOWN:
            text = f"{text[:60]}… ({len(payload)} bytes, {function.of_bytes(payload).short})"
        shown[path or "(value)"] = text
    return shown


def _readable(tag: bytes, payload: bytes) -> str:
    if tag == b"s":
        return json.dumps(payload.decode("utf-8", "surrogatepass"), ensure_ascii=False)
    if tag == b"f":
        return repr(struct.unpack(">d", payload)[0])
    if tag == b"y":
        return repr(payload)
    if tag == b"b":
        return "true" if payload == b"1" else "false"
    text = payload.decode("utf-8", "backslashreplace")
    return {b"n": "null", b"m": f"{text} entries", b"t": f"{text} items", b"u": f"{text} members"}.get(tag, text)


def blobs_in(value: Any) -> Iterator[Digest]:
    """Every CAS digest that a value refers to."""
    if isinstance(value, Digest):
        yield value
    elif isinstance(value, BaseModel):
        for field in type(value).model_fields:
            yield from blobs_in(getattr(value, field))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from blobs_in(item)
    elif isinstance(value, (tuple, list, set, frozenset)) and not isinstance(value, (Label, str)):
        for item in value:
            yield from blobs_in(item)
