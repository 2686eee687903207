"""The answer to "is there anything to do?" without asking anyone: the state of all that a finished build depended on.

After a build that leaves nothing to do, the state of each file and folder that it depended on is written down: sources, outputs,
build files, the rule sets' own code. While all of these are the same, the same command line has the same answer, and neither the
engine nor any rule set is imported. Anything different, and the ordinary build decides.

Knows nothing of targets or traces, nor of when a state can be trusted (``settled``): it compares. Nothing here may be imported
that is not built into the interpreter: this file is all that runs, before ``site`` and even ``os`` are loaded.
"""

import _imp
import marshal
import posix
import sys
import time
from _operator import attrgetter

from zerorepo import __version__

FORMAT = 2
FOLDER = ".zerorepo/snapshots"
MOST = 8
"""Snapshots of one workspace that are kept, the latest."""

WALL = "@WALL@"
"""Stands in a text for the seconds that the answer took."""

LOOKED = "ZEROREPO_LOOKED"
"""In the environment of a process that has already looked: its own number. It is the same before and after ``exec``."""

_CONFIG = "zerorepo.toml"
_COMMANDS = ("build", "test")
_FLAGS = frozenset(
    {"--json", "--quiet", "-q", "--keep-going", "-k", "--locked", "--unsafe", "--no-wait", "--overwrite", "--debug"}
)
_VALUED = frozenset({"--jobs", "-j", "--set", "--directory", "-C"})

state_of = attrgetter("st_mode", "st_size", "st_mtime_ns", "st_ctime_ns", "st_ino")
"""What changes when a file is written, replaced or swapped, even when its mtime is restored."""

State = tuple[int, int, int, int, int]
Chunk = tuple[bool, bytes, bytes, bytes]
"""Files of one folder: whether links are followed, the folder, names with NUL between, their states as ``packed``."""
Body = tuple[bytes, list[Chunk], list[bytes], list[tuple[bytes, int]], list[tuple[bytes, bytes | None]], str, str]
"""Key, files, paths that must not exist, files that must be the same whatever is in them, environment, stdout, stderr."""


def packed(states: list[State]) -> bytes:
    """States as bytes that are equal when they are: a tenth of the memory, and one comparison a folder."""
    return marshal.dumps(states, 2)  # the last version whose bytes do not depend on who else refers to a value


def key_of(argv: list[str], cwd: str) -> bytes | None:
    """What a snapshot is filed under; None for a command line that a snapshot cannot answer."""
    if _directory(argv) is None:
        return None
    # With ``python -m`` modules and plugins are also found in the working folder; else never.
    found_here = "here" if not sys.flags.safe_path and sys.path[:1] == [cwd] else ""
    shown = [str(FORMAT), __version__, sys.version, sys.executable, found_here, cwd, *argv]
    paths = [posix.environ.get(name, b"") for name in (b"PYTHONPATH", b"PYTHONHOME")]
    return b"\0".join([*paths, *(text.encode("utf-8", "surrogateescape") for text in shown)])


def _directory(argv: list[str]) -> str | None:
    """The folder that a command line names to work in, "" for none; None when it asks for more than a look."""
    command, directory = "", ""
    words = iter(argv)
    for word in words:
        if word == "--":
            break  # patterns follow
        if word in _VALUED:
            value = next(words, "")
            if word in ("--directory", "-C"):
                directory = value
        elif word.startswith("--directory="):
            directory = word[len("--directory=") :]
        elif word.startswith("-"):
            if not word.startswith(("-//", "-:", "--set=", "--jobs=")) and word not in _FLAGS:
                return None
        elif not command:
            if word not in _COMMANDS:
                return None
            command = word
    return directory if command else None


def answer(argv: list[str]) -> tuple[str, str] | None:
    """What the build would say to stdout and stderr, when a snapshot shows that it would do nothing; else None."""
    started = time.perf_counter()
    try:
        cwd = posix.getcwd()
        key = key_of(argv, cwd)
        if key is None:
            return None
        try:
            posix.chdir(_directory(argv) or ".")
            root = root_of(posix.getcwd())
            body = _load(f"{root}/{FOLDER}/{_name(key)}", key) if root is not None else None
            if body is None or not unchanged(*body[1:5]):
                return None
        finally:
            posix.chdir(cwd)
    except (OSError, UnicodeError):
        return None
    took = time.perf_counter() - started
    return body[5].replace(WALL, f"{took:.3f}"), body[6].replace(WALL, f"{took:.1f}")


def unchanged(
    chunks: list[Chunk],
    absent: list[bytes],
    kept: list[tuple[bytes, int]],
    environment: list[tuple[bytes, bytes | None]],
) -> bool:
    """Whether everything is as it was written down. OSError when a file is gone. The working folder is another afterwards."""
    for name, value in environment:
        if posix.environ.get(name) != value:
            return False
    for path, inode in kept:
        if posix.lstat(path).st_ino != inode:
            return False
    for follow, folder, names, states in chunks:
        posix.chdir(folder)
        look = posix.stat if follow else posix.lstat
        if packed(list(map(state_of, map(look, names.split(b"\0"))))) != states:
            return False
    return not any(map(_exists, absent))


def _exists(path: bytes) -> bool:
    try:
        posix.lstat(path)
    except (FileNotFoundError, NotADirectoryError):
        return False
    return True


def _load(path: str, key: bytes) -> Body | None:
    with open(path, "rb") as file:
        data = file.read()
    if checksum(memoryview(data)[8:]) != data[:8]:
        return None
    try:
        body: Body = marshal.loads(memoryview(data)[8:])  # our own bytes, intact by their checksum
    except (ValueError, EOFError, TypeError):
        return None
    return body if isinstance(body, tuple) and len(body) == 7 and body[0] == key else None


def checksum(data: "bytes | memoryview") -> bytes:
    """Eight bytes that tell damage."""
    return _imp.source_hash(FORMAT, data)  # SipHash; as ``importlib.util.source_hash``, which costs an import


def _name(key: bytes) -> str:
    return checksum(key).hex()


def root_of(folder: str) -> str | None:
    """The nearest folder at or above ``folder`` with a ``zerorepo.toml``."""
    while True:
        try:
            if posix.stat(f"{folder}/{_CONFIG}").st_mode & 0o170000 == 0o100000:
                return folder
        except (FileNotFoundError, NotADirectoryError):
            pass
        if folder == "/":
            return None
        folder = folder.rpartition("/")[0] or "/"


def write(
    root: str,
    key: bytes,
    chunks: list[Chunk],
    *,
    absent: list[bytes],
    kept: list[tuple[bytes, int]],
    environment: list[tuple[bytes, bytes | None]],
    out: str,
    err: str,
) -> None:
    """Write a snapshot, for the same command line to find; the oldest beyond ``MOST`` go. All paths are absolute.

    OSError when it cannot be written: a snapshot saves time and nothing else.
    """
    body: Body = (key, chunks, absent, kept, environment, out, err)
    data = marshal.dumps(body)
    folder = f"{root}/{FOLDER}"
    try:
        posix.mkdir(folder)
    except FileExistsError:
        pass
    scratch = f"{folder}/.{posix.getpid()}"
    with open(scratch, "wb") as file:
        file.write(checksum(data))
        file.write(data)
    posix.rename(scratch, f"{folder}/{_name(key)}")
    _remove_oldest(folder)


def _remove_oldest(folder: str) -> None:
    ages = []
    for name in posix.listdir(folder):
        try:
            ages.append((posix.lstat(f"{folder}/{name}").st_mtime_ns, name))
        except OSError:
            pass  # another build has just removed it
    for _, name in sorted(ages)[:-MOST]:
        try:
            posix.unlink(f"{folder}/{name}")
        except OSError:
            pass


def main(full: str) -> None:
    """Look, and answer or become ``full``, the program that starts everything. The process ends here in either case."""
    argv = sys.argv[1:]
    found = answer(argv)
    if found is None:
        environment = {**posix.environ, LOOKED.encode(): b"%d" % posix.getpid()}
        posix.execve(full, [full, *argv], environment)
    say(*found)
    posix._exit(0)  # the interpreter's own tidying takes as long as the look


def say(out: str, err: str) -> None:
    """Print an answer as the build would."""
    try:
        for text, stream in ((out, sys.stdout), (err, sys.stderr)):
            if text and stream:
                stream.write(text)
                stream.flush()
    except BrokenPipeError:
        pass
