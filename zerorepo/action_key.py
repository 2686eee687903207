"""One walk over a value: the source of both its digest and its explanation.

``encode`` writes leaves (path, type tag, payload) in one canonical order. ``key_of`` hashes them; ``manifest`` reads them back as
text, so that ``explain`` shows exactly what the key saw. The encoding is type-tagged (1, 1.0, True and "1" differ) and
versioned (redun's rule): a change of ``ENCODING_VERSION`` changes every key. No ``str()`` of unknown objects, no pickle, no
``hash()``: an unknown type is an error.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Callable, Iterator, Mapping
from enum import Enum
from functools import cache
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


def encode(value: Any) -> bytes:
    """The canonical bytes of ``value``: every leaf, each part with its length in front.

    Fields stand as declared, mapping keys sorted, members of sets sorted by their encoding.
    """
    parts = [_head()]
    _walk(value, "", parts)
    return b"".join(parts)


def _head() -> bytes:
    return b"zr%d" % ENCODING_VERSION


def _leaf(parts: list[bytes], path: str, tag: bytes, payload: bytes) -> None:
    where = path.encode("utf-8", "surrogatepass")
    parts.append(b"%s%d:%s%d:%s" % (tag, len(where), where, len(payload), payload))


def _walk(value: Any, path: str, parts: list[bytes]) -> None:
    kind = type(value)
    writer = _KNOWN.get(kind) or _writer(kind)
    if writer is None:
        raise InternalError(
            f"A {type(value).__name__} at `{path}` cannot be part of a key", hint="use a zerorepo Value or a plain type"
        )
    writer(value, path, parts)


Writer = Callable[[Any, str, list[bytes]], None]


def _writer(kind: type) -> Writer | None:
    """How a value of this type is written; the order matters where a type is of two kinds (a ``StrEnum`` is an enum)."""
    for parent, writer in _WRITERS:
        if issubclass(kind, parent):
            _KNOWN[kind] = writer
            return writer
    return None


def _text(value: str, path: str, parts: list[bytes]) -> None:
    _leaf(parts, path, b"s", value.encode("utf-8", "surrogatepass"))


def _float(value: float, path: str, parts: list[bytes]) -> None:
    # The bits, with one zero and one NaN, so that equal numbers have equal keys on every machine.
    plain = 0.0 if value == 0 else float("nan") if value != value else value
    _leaf(parts, path, b"f", struct.pack(">d", plain))


def _as_str(tag: bytes) -> Writer:
    return lambda value, path, parts: _leaf(parts, path, tag, str(value).encode())


def _model(value: BaseModel, path: str, parts: list[bytes]) -> None:
    model = type(value)
    head, fields = _shape(model)
    _leaf(parts, path, b"o", head)
    start = f"{path}." if path else ""
    for field in fields:
        _walk(getattr(value, field), start + field, parts)


@cache
def _shape(model: type[BaseModel]) -> tuple[bytes, tuple[str, ...]]:
    version = getattr(model, "key_version", 1)
    name = getattr(model, "mnemonic", None) or model.__name__
    return f"{name}/{version}".encode(), identity_fields(model)


def _mapping(value: Mapping[Any, Any], path: str, parts: list[bytes]) -> None:
    _leaf(parts, path, b"m", b"%d" % len(value))
    for key in sorted(value, key=_sort_key):
        plain = not path and type(key) is str and key.isidentifier()
        _walk(value[key], key if plain else f"{path}[{key!r}]", parts)


def _sort_key(key: Any) -> tuple[str, int, str]:
    if isinstance(key, Enum):
        return ("e", 0, f"{type(key).__name__}.{key.name}")
    if isinstance(key, (Label, Digest, str)):
        return ("s", 0, f"{key} {type(key).__name__}")
    if isinstance(key, int):
        return ("i", int(key), type(key).__name__)
    raise InternalError(f"A mapping key of type {type(key).__name__} cannot be part of a key")


def _sequence(value: Any, path: str, parts: list[bytes]) -> None:
    _leaf(parts, path, b"t", b"%d" % len(value))
    for index, item in enumerate(value):
        _walk(item, f"{path}[{index}]", parts)


def _set(value: Any, path: str, parts: list[bytes]) -> None:
    _leaf(parts, path, b"u", b"%d" % len(value))
    for index, item in enumerate(sorted(value, key=encode)):
        _walk(item, f"{path}{{{index}}}", parts)


_KNOWN: dict[type, Writer] = {}
_WRITERS: tuple[tuple[type | tuple[type, ...], Writer], ...] = (
    (type(None), lambda value, path, parts: _leaf(parts, path, b"n", b"")),
    (bool, lambda value, path, parts: _leaf(parts, path, b"b", b"1" if value else b"0")),
    (Enum, lambda value, path, parts: _leaf(parts, path, b"e", f"{type(value).__name__}.{value.name}".encode())),
    (str, _text),
    (int, _as_str(b"i")),
    (float, _float),
    (bytes, lambda value, path, parts: _leaf(parts, path, b"y", value)),
    (Digest, _as_str(b"d")),
    (Label, _as_str(b"l")),
    (BaseModel, _model),
    (Mapping, _mapping),
    ((tuple, list), _sequence),
    ((set, frozenset), _set),
)


def leaves(encoded: bytes) -> Iterator[Leaf]:
    """The leaves that ``encode`` wrote, in order. ValueError when these are not its bytes."""
    head = _head()
    if not encoded.startswith(head):
        raise ValueError("not of this encoding")
    at = len(head)
    while at < len(encoded):
        tag, path, at = encoded[at : at + 1], *_part(encoded, at + 1)
        payload, at = _part(encoded, at)
        yield path.decode("utf-8", "surrogatepass"), tag, payload


def _part(encoded: bytes, at: int) -> tuple[bytes, int]:
    colon = encoded.index(b":", at)
    end = colon + 1 + int(encoded[at:colon])
    if end > len(encoded):
        raise ValueError("cut off")
    return encoded[colon + 1 : end], end


def key_of(value: Any, function: DigestFunction) -> Digest:
    """The digest of a value's canonical form. For an action this is its action key."""
    return function.of_bytes(encode(value))


def manifest(value: Any, function: DigestFunction) -> dict[str, str]:
    """The encoding as text: path to readable value, long ones by digest. What ``explain`` compares.

    Values of different types look different, so two manifests are equal exactly when their keys are.
    """
    return manifest_of(encode(value), function)


def manifest_of(encoded: bytes, function: DigestFunction) -> dict[str, str]:
    """The same of a value's canonical bytes. ValueError when these are not such."""
    shown: dict[str, str] = {}
    for path, tag, payload in leaves(encoded):
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
    kind = type(value)
    if kind in _WITHOUT_BLOBS:
        return
    if kind is Digest:
        yield value
    elif isinstance(value, BaseModel):
        for field in kind.model_fields:
            yield from blobs_in(getattr(value, field))
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from blobs_in(item)
    elif isinstance(value, (tuple, list, set, frozenset)):
        for item in value:
            yield from blobs_in(item)


_WITHOUT_BLOBS = frozenset({str, int, float, bool, bytes, type(None), Label})
