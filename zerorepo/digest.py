"""Digests: what content is, in a fixed number of bytes. Knows nothing of what the content means.

xxh3-128 (through ``xxhash``) is the default: fast, and good against accidents. It is no cryptographic hash: a cache
shared with people one does not trust must use ``sha256`` (``[cache] digest = "sha256"``).
"""

from __future__ import annotations

import hashlib
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import xxhash
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

_CHUNK = 1 << 20


class Hasher(Protocol):
    """What the two hash families have in common."""

    def update(self, data: bytes, /) -> None: ...
    def hexdigest(self) -> str: ...


class Digest(NamedTuple):
    """Hash (lower-case hex) and size in bytes of some content. Its text form is ``<hex>/<size>``."""

    hex: str
    size: int

    def __str__(self) -> str:
        return f"{self.hex}/{self.size}"

    @property
    def short(self) -> str:
        """The first 12 hex digits: enough for a person."""
        return self.hex[:12]

    @classmethod
    def parse(cls, text: str) -> Digest:
        """The inverse of ``str``; ValueError when it is not one."""
        hex_, slash, size = text.partition("/")
        if not slash or len(hex_) not in (32, 64) or not set(hex_) <= set("0123456789abcdef") or not size.isdigit():
            raise ValueError(f"not a digest: {text!r}")
        return cls(hex_, int(size))

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        def validate(value: Any) -> Digest:
            if isinstance(value, Digest):
                return value
            if isinstance(value, str):
                return cls.parse(value)
            raise ValueError("a digest is written <hex>/<size>")

        return core_schema.no_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )


class DigestFunction(StrEnum):
    """The hash in use, one for a whole cache."""

    XXH3 = "xxh3"
    SHA256 = "sha256"

    def new(self) -> Hasher:
        """A fresh incremental hasher."""
        return xxhash.xxh3_128() if self is DigestFunction.XXH3 else hashlib.sha256()

    def of_bytes(self, data: bytes) -> Digest:
        """Digest of ``data``."""
        if self is DigestFunction.XXH3:
            return Digest(xxhash.xxh3_128_hexdigest(data), len(data))
        return Digest(hashlib.sha256(data).hexdigest(), len(data))

    @classmethod
    def that_made(cls, digest: str) -> DigestFunction:
        """The function that a digest's text form comes from, by its length."""
        return cls.XXH3 if len(digest.partition("/")[0]) == 32 else cls.SHA256

    def of_file(self, path: Path) -> Digest:
        """Digest of a file's content, read in chunks; OSError as ``open`` raises it."""
        hasher, size = self.new(), 0
        with path.open("rb") as file:
            while chunk := file.read(_CHUNK):
                hasher.update(chunk)
                size += len(chunk)
        return Digest(hasher.hexdigest(), size)


__all__ = ["Digest", "DigestFunction", "Hasher"]
