"""Digests: what content is, in a fixed number of bytes. Knows nothing of what the content means.

xxh3-128 (through ``xxhash``) is the default: fast, and good against accidents. It is no cryptographic hash: a cache
shared with people one does not trust must use ``sha256`` (``[cache] digest = "sha256"``).
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, NamedTuple

import xxhash
from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from zerorepo.filehash import Hasher, Hashing, PathText, hash_file, hash_files


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

    _hashing: Hashing

    def new(self) -> Hasher:
        """A fresh incremental hasher."""
        return self._hashing.new()

    def of_bytes(self, data: bytes) -> Digest:
        """Digest of ``data``."""
        return Digest(self._hashing.of_bytes(data), len(data))

    @classmethod
    def that_made(cls, digest: str) -> DigestFunction:
        """The function that a digest's text form comes from, by its length."""
        return cls.XXH3 if len(digest.partition("/")[0]) == 32 else cls.SHA256

    def of_file(self, path: PathText) -> Digest:
        """Digest of a file's content. OSError as ``open`` raises it; EINVAL for what is no regular file.

        The digest of a file that changes meanwhile may be one of neither version: compare ``stat`` before and after.
        """
        return Digest(*hash_file(path, self._hashing))

    def of_files(self, paths: Sequence[PathText], *, threads: int | None = None) -> list[Digest | OSError]:
        """``of_file`` of each, in order, its OSError in place of the digest: for when several files are to be hashed at once.

        Large files are hashed in up to ``threads`` threads (default: the cores), small ones one by one, so it is never slower.
        """
        found = hash_files(paths, self._hashing, threads)
        return [each if isinstance(each, OSError) else Digest(*each) for each in found]


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


# Both release the GIL, above 64 KB (xxhash 4) and 2 KB (hashlib). Measured: docs/performance.md.
DigestFunction.XXH3._hashing = Hashing(xxhash.xxh3_128_hexdigest, xxhash.xxh3_128, 256 << 10)
DigestFunction.SHA256._hashing = Hashing(_sha256, hashlib.sha256, 64 << 10)

__all__ = ["Digest", "DigestFunction", "Hasher"]
