"""What a test needs besides its own files: the interpreter, and a folder with pytest and coverage and nothing else.

The folder is copied from the running environment by its package records, kept by content under the state folder, and holds the
code in ``inside/`` too. Knows nothing of how it is shown in a world.
"""

from __future__ import annotations

import compileall
import hashlib
import os
import platform
import py_compile
import shutil
import sys
import sysconfig
import tempfile
from functools import lru_cache
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path, PurePosixPath

from pydantic import Field, field_validator

from zerorepo.errors import EnvironmentFailure
from zerorepo.values import Value
from zerorepo_sandbox.packages import PACKAGES
from zerorepo_sandbox.tier import World

SITE = "/opt/zerorepo/site"
"""Where the folder is seen in a world."""
INSIDE_PACKAGE = "zerorepo_inside"
_ROOTS = ("pytest", "coverage")
_LAYOUT = "3"
"""Raised when the folder is made differently from the same packages."""
_LEXERS = "pygments/lexers/"
_LEXERS_IMPORTED = {f"{_LEXERS}{name}.py" for name in ("__init__", "_mapping", "diff", "python")}
_TEST_SYSTEM = ("/usr/bin", "/usr/lib", "/usr/lib32", "/usr/lib64", "/usr/share/zoneinfo")
_SYSTEM_LINKS = ("/bin", "/lib", "/lib32", "/lib64")


@lru_cache(maxsize=1)
def environment_id() -> str:
    """Versions that can decide a verdict, for the key of test actions: ``py3.11.7 coverage 7.6.1 … pytest 9.2.0``."""
    packages = (f"{dist.name.lower()} {dist.version}" for dist in _closure())
    return " ".join((f"py{platform.python_version()}", *packages))


class TestEnvironment(Value):
    """The versions as a setting that nobody writes, so that rules record what they depend on like any other input."""

    __test__ = False
    versions: str = Field(default_factory=lambda: environment_id())

    @field_validator("versions")
    @classmethod
    def _is_found_not_written(cls, versions: str) -> str:
        raise ValueError("this is read off the installed packages and cannot be configured")


@lru_cache(maxsize=1)
def _closure() -> tuple[Distribution, ...]:
    """pytest, coverage, and what they require, by name. EnvironmentFailure when one is not installed."""
    from packaging.requirements import Requirement  # required by pytest; only needed when tests run

    found: dict[str, Distribution] = {}
    open_ = list(_ROOTS)
    while open_:
        name = open_.pop().lower().replace("_", "-")
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError as error:
            raise EnvironmentFailure(
                f"Tests need the package `{name}`, which is not installed beside zerorepo",
                hint=f"{sys.executable} -m pip install {name}",
            ) from error
        for line in found[name].requires or ():
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": ""}):
                open_.append(requirement.name)
    return tuple(found[name] for name in sorted(found))


def _records() -> list[tuple[str, str, Path]]:
    """(path in the folder, recorded hash, file of this machine) of every module file of the packages."""
    found = []
    for dist in _closure():
        for file in dist.files or ():
            parts = PurePosixPath(file).parts
            # Scripts lie outside (``../../bin``); byte code is not recorded with a hash and is made anew.
            if parts[0] == ".." or file.is_absolute() or "__pycache__" in parts:
                continue
            recorded = file.hash.value if file.hash else str(file.size)
            found.append((str(file), recorded, Path(str(dist.locate_file(file)))))
    return found


def _own_files() -> list[tuple[str, str, Path]]:
    folder = Path(__file__).parent / "inside"
    files = sorted(folder.glob("*.py"))
    return [(f"{INSIDE_PACKAGE}/{f.name}", hashlib.sha256(f.read_bytes()).hexdigest(), f) for f in files]


def prepare(state_dir: Path) -> Path:
    """The folder for this interpreter and these packages, made if need be. EnvironmentFailure when it cannot be made.

    Made under another name and renamed, so that it is whole or not there; two builds at once make one.
    """
    files = _records() + _own_files()
    lines = [f"{_LAYOUT} {sys.implementation.cache_tag}", *(f"{path} {recorded}" for path, recorded, _ in files)]
    digest = hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()[:32]
    folder = state_dir / "sandbox-env" / digest
    if folder.is_dir():
        return folder
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        made = Path(tempfile.mkdtemp(prefix=".making-", dir=folder.parent))
        try:
            _fill(made, files)
            made.chmod(0o755)
            try:
                made.rename(folder)
            except OSError:
                if not folder.is_dir():
                    raise
        finally:
            shutil.rmtree(made, ignore_errors=True)
    except OSError as error:
        raise EnvironmentFailure(
            f"The environment for tests could not be made: {error}", where=str(folder), hint="is the disk full?"
        ) from error
    return folder


def _fill(made: Path, files: list[tuple[str, str, Path]]) -> None:
    folders = {str(PurePosixPath(path).parent) for path, _, _ in files}
    for name in sorted(folders):
        (made / name).mkdir(parents=True, exist_ok=True)
    for path, _, source in files:
        shutil.copyfile(source, made / path)
        (made / path).chmod(0o644)
    # Byte code here, since the world has no place to write it to; all but pygments' hundreds of lexers, which nobody imports.
    for path, _, _ in files:
        if path.endswith(".py") and (not path.startswith(_LEXERS) or path in _LEXERS_IMPORTED):
            compileall.compile_file(
                made / path, quiet=2, invalidation_mode=py_compile.PycInvalidationMode.UNCHECKED_HASH
            )
    for folder, names, _ in os.walk(made):
        for name in names:
            (Path(folder) / name).chmod(0o755)


def python() -> str:
    """The interpreter, not that of a virtual environment: the folder takes the place of its packages."""
    return str(Path(sys.base_prefix) / "bin" / f"python{sys.version_info.major}.{sys.version_info.minor}")


def _prefix() -> dict[str, Path]:
    """The interpreter's own tree, when the system folders do not hold it."""
    prefix = Path(sys.base_prefix)
    return {} if prefix == Path("/usr") else {str(prefix): prefix}


def test_world(site: Path, packages: Path | None = None) -> World:
    """What a test sees: system libraries and programs, the interpreter without its packages, and the folder; another one with
    what the code under test needs.
    """
    shows = {**_prefix(), SITE: site, **({PACKAGES: packages} if packages is not None else {})}
    return World(shows, (*_TEST_SYSTEM, *_SYSTEM_LINKS), _hidden())


@lru_cache(maxsize=1)
def _hidden() -> tuple[str, ...]:
    """Folders with packages of the machine and of the interpreter."""
    base = {"base": sys.base_prefix, "platbase": sys.base_exec_prefix}
    version = f"python{sys.version_info.major}.{sys.version_info.minor}"
    hides = {sysconfig.get_path(kind, "posix_prefix", vars=base) for kind in ("purelib", "platlib")}
    return tuple(sorted({*hides, "/usr/lib/python3/dist-packages", f"/usr/lib/{version}/site-packages"}))


def command_world(system: tuple[str, ...]) -> World:
    """What a build command sees: all that is installed on the machine, and this interpreter."""
    return World(_prefix(), system)


def search_path() -> str:
    """``PATH`` in both worlds; this interpreter comes first."""
    own = f"{sys.base_prefix}/bin:" if _prefix() else ""
    return f"{own}/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"


test_world.__test__ = False  # type: ignore[attr-defined]  # pytest must not collect it where it is imported
