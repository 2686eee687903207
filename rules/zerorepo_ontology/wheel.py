"""A wheel as text: its Python modules, its licence, its metadata. Reads a zip file; never imports or executes what is in it.

Knows nothing of what modules mean.
"""

from __future__ import annotations

import email.message
import email.parser
import io
import re
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass

from zerorepo.errors import ActionFailed

_LARGEST_FILE = 8 << 20
_LARGEST = 512 << 20
_ALLOWED = re.compile(
    r"\b(MIT|BSD|Apache|ISC|PSF|Python Software Foundation|Unlicense|Zlib|HPND|CC0|0BSD|MIT-CMU|Biopython|NCSA|BSL-1\.0|"
    r"Boost|Public Domain|AFL-2\.1)\b",
    re.IGNORECASE,
)
_COPYLEFT = re.compile(
    r"\bA?L?GPL|General Public License|\bMPL|Mozilla|EUPL|\bEPL\b|CDDL|SSPL|BUSL|Commons Clause", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class Distribution:
    """``modules``: dotted name to source text. ``license``: as the wheel declares it."""

    name: str
    version: str
    license: str
    summary: str
    classifiers: tuple[str, ...]
    modules: Mapping[str, str]
    packages: frozenset[str]
    """Names of ``modules`` that are packages."""


def is_permissive(license_: str) -> bool:
    """Whether the text of a licence field names a permissive licence and no copyleft one.

    An offer of a choice (``Apache-2.0 OR GPL-2.0``) is one that can be taken.
    """
    choices = re.split(r"\s+OR\s+", license_)
    return any(_ALLOWED.search(each) and not _COPYLEFT.search(each) for each in choices)


def read(data: bytes, name: str) -> Distribution:
    """ActionFailed when it is no wheel."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            return _read(archive, name)
    except (zipfile.BadZipFile, NotImplementedError) as error:
        raise ActionFailed(f"`{name}` is no wheel: {error}") from None


def _read(archive: zipfile.ZipFile, name: str) -> Distribution:
    sources: dict[str, str] = {}
    stubs: dict[str, str] = {}
    packages: set[str] = set()
    metadata = email.message.Message()
    left = _LARGEST
    for entry in archive.infolist():
        path = entry.filename
        if path.endswith(".dist-info/METADATA") and path.count("/") == 1:
            metadata = email.parser.BytesParser().parsebytes(archive.read(entry))
        if not path.endswith((".py", "/__init__.pyi")) or entry.file_size > _LARGEST_FILE:
            continue
        module = module_name(path)
        if module is None:
            continue
        left -= entry.file_size
        if left < 0:
            raise ActionFailed(f"`{name}` holds more than {_LARGEST >> 20} MB of Python")
        text = archive.read(entry).decode("utf-8", "replace")
        if path.endswith(".pyi"):
            stubs[module] = text
            continue
        sources[module] = text
        if path.endswith("/__init__.py"):
            packages.add(module)
    # A package that loads its parts lazily says in its stub what they are.
    for module, text in stubs.items():
        if "attach_stub" in sources.get(module, ""):
            sources[module] += f"\n{text}"
    return Distribution(
        name=str(metadata.get("Name") or name),
        version=str(metadata.get("Version") or ""),
        license=license_of(metadata),
        summary=str(metadata.get("Summary") or ""),
        classifiers=tuple(str(each) for each in metadata.get_all("Classifier", [])),
        modules=sources,
        packages=frozenset(packages),
    )


def module_name(path: str) -> str | None:
    """``pkg/sub/__init__.py`` is ``pkg.sub``; None for what cannot be imported by a name."""
    parts = path.removesuffix("i").removesuffix(".py").split("/")
    if parts[-1] == "__init__":
        parts.pop()
    if not parts or not all(part.isidentifier() for part in parts):
        return None
    return ".".join(parts)


def license_of(metadata: email.message.Message) -> str:
    """The licence expression, else the field, else the classifiers, in one line."""
    expression = str(metadata.get("License-Expression") or "").strip()
    if expression:
        return expression
    named = [
        str(each).rpartition("::")[2].strip()
        for each in metadata.get_all("Classifier", [])
        if str(each).startswith("License ::")
    ]
    named = [each for each in named if each != "OSI Approved"]
    lines = str(metadata.get("License") or "").strip().splitlines()
    field = lines[0].strip() if lines else ""
    if field and len(field) <= 60 and is_permissive(field):
        return field
    return " AND ".join(named) or field[:60]
