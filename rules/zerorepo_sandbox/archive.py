"""Files into a world and out of it, as one tar stream each way. Knows nothing of worlds.

What comes out was written by code that nobody has read: only plain files with the declared names are taken, everything else is
refused. The reader is our own because a general one follows what the archive says (sparse files, links, odd sizes).
"""

from __future__ import annotations

import tarfile
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import PurePosixPath

from zerorepo.digest import Digest

_BLOCK = 512
_MTIME = 315532800
"""1 January 1980, as in a zip file: the same in every build, and late enough that tar does not complain."""
_KINDS = {
    b"1": "a hard link",
    b"2": "a symbolic link",
    b"3": "a device",
    b"4": "a device",
    b"5": "a folder",
    b"6": "a pipe",
}


class Refused(ValueError):
    """The stream holds something that may not leave the world; the message says what."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A file that came out."""

    data: bytes
    executable: bool


def parents(paths: Iterable[str]) -> list[str]:
    """Every folder above the paths, outermost first."""
    found = {str(folder) for path in paths for folder in PurePosixPath(path).parents}
    return sorted(found - {"."})


def pack(
    files: Mapping[str, Digest], read: Callable[[Digest], bytes], executable: Iterable[str], folders: Iterable[str]
) -> bytes:
    """A tar stream of ``folders`` (writable) and ``files`` (read-only), the same for the same content."""
    runnable = frozenset(executable)
    parts: list[bytes] = []
    for folder in folders:
        parts.append(_header(folder, 0, 0o755, tarfile.DIRTYPE))
    for path in sorted(files):
        data = read(files[path])
        parts += (_header(path, len(data), 0o555 if path in runnable else 0o444, tarfile.REGTYPE), data)
        parts.append(bytes(-len(data) % _BLOCK))
    if not parts:
        return b""
    parts.append(bytes(2 * _BLOCK))
    return b"".join(parts)


def _header(name: str, size: int, mode: int, kind: bytes) -> bytes:
    info = tarfile.TarInfo(name)
    info.size, info.mode, info.mtime, info.type = size, mode, _MTIME, kind
    return info.tobuf(tarfile.GNU_FORMAT, "utf-8", "surrogateescape")


def unpack(stream: bytes, expected: Iterable[str], max_bytes: int) -> dict[str, Taken]:
    """The files of a ustar stream. Refused for anything but plain files, once each, with expected names, below the cap."""
    wanted, found, offset = frozenset(expected), dict[str, Taken](), 0
    while offset + _BLOCK <= len(stream):
        header = stream[offset : offset + _BLOCK]
        offset += _BLOCK
        if header == bytes(_BLOCK):
            return found
        name, size, mode, kind = _parse(header)
        if name not in wanted or name in found:
            raise Refused(f"`{name}` was not declared")
        if kind not in (b"0", b"\0"):
            raise Refused(f"`{name}` is {_KINDS.get(kind, 'no plain file')}; an output must be a plain file")
        if size > max_bytes:
            raise Refused(f"`{name}` has {size} bytes; at most {max_bytes} are allowed")
        if offset + size > len(stream):
            break
        found[name] = Taken(stream[offset : offset + size], bool(mode & 0o111))
        offset += size + (-size % _BLOCK)
    raise Refused("the outputs could not be read to their end")


def _parse(header: bytes) -> tuple[str, int, int, bytes]:
    """Name, size, mode and kind; Refused when the header is not a ustar one."""
    checksum = sum(header[:148]) + sum(header[156:]) + 8 * ord(" ")
    try:
        if int(header[148:156].strip(b" \0"), 8) != checksum or header[257:262] != b"ustar":
            raise ValueError
        size, mode = int(header[124:136].strip(b" \0") or b"0", 8), int(header[100:108].strip(b" \0") or b"0", 8)
    except ValueError as error:
        raise Refused("the outputs are no tar stream") from error
    if size < 0:
        raise Refused("the outputs are no tar stream")
    name = header[:100].partition(b"\0")[0]
    prefix = header[345:500].partition(b"\0")[0]
    path = prefix + b"/" + name if prefix else name
    # tar ends the name of a folder with a slash.
    return path.rstrip(b"/").decode("utf-8", "surrogateescape"), size, mode, header[156:157]
