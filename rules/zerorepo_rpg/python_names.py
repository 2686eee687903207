"""What names in Python source mean: built-in names, names of the standard library that need no telling, distributions.

Plain tables and their look-ups. Knows nothing of plans.
"""

from __future__ import annotations

import ast
import builtins
import re
from collections.abc import Iterable

from zerorepo_rpg.naming import STDLIB_MODULES

BUILTINS = frozenset(dir(builtins))

_WELL_KNOWN = {
    "abc": "ABC abstractmethod",
    "collections": "ChainMap Counter OrderedDict defaultdict deque",
    "collections.abc": (
        "AsyncIterable AsyncIterator Awaitable Callable Collection Container Coroutine Generator Hashable ItemsView "
        "Iterable Iterator KeysView Mapping MutableMapping MutableSequence MutableSet Reversible Sequence Sized ValuesView"
    ),
    "contextlib": "AbstractContextManager asynccontextmanager contextmanager",
    "dataclasses": "dataclass field",
    "datetime": "UTC date datetime timedelta timezone tzinfo",
    "decimal": "Decimal",
    "enum": "Enum Flag IntEnum IntFlag StrEnum auto unique",
    "fractions": "Fraction",
    "functools": "cached_property total_ordering",
    "pathlib": "Path PurePath PurePosixPath",
    "re": "Match Pattern",
    "types": "MappingProxyType ModuleType TracebackType",
    "typing": (
        "Annotated Any BinaryIO ClassVar Concatenate Final Generic IO Literal LiteralString NamedTuple Never NewType "
        "NoReturn NotRequired Optional ParamSpec Protocol Required Self SupportsFloat SupportsIndex SupportsInt TextIO "
        "TypeAlias TypeGuard TypeVar TypedDict Union cast final overload runtime_checkable"
    ),
    "uuid": "UUID",
}
_HOME = {name: module for module, names in _WELL_KNOWN.items() for name in names.split()}

_IMPORT_NAMES = {
    "attrs": ("attr", "attrs"),
    "beautifulsoup4": ("bs4",),
    "opencv-python": ("cv2",),
    "pillow": ("PIL",),
    "protobuf": ("google",),
    "pyjwt": ("jwt",),
    "pymysql": ("pymysql",),
    "pyserial": ("serial",),
    "python-dateutil": ("dateutil",),
    "python-dotenv": ("dotenv",),
    "pyyaml": ("yaml",),
    "scikit-image": ("skimage",),
    "scikit-learn": ("sklearn",),
    "setuptools": ("setuptools", "pkg_resources"),
}
_DISTRIBUTIONS = {name: distribution for distribution, names in _IMPORT_NAMES.items() for name in names}


def well_known_import(name: str, *, as_module: bool = False) -> str | None:
    """The import statement that a name obviously stands for (``Sequence``), or None. ``as_module``: it is used as
    ``name.something``, so a standard-library module of that name comes first."""
    if as_module and name in STDLIB_MODULES:
        return f"import {name}"
    if name in _HOME:
        return f"from {_HOME[name]} import {name}"
    return f"import {name}" if name in STDLIB_MODULES and as_module else None


def canonical_distribution(requirement: str) -> str:
    """The name in a requirement such as ``PyYAML>=6``, normalised (PEP 503)."""
    name = re.match(r"\s*([A-Za-z0-9._-]+)", requirement)
    return re.sub(r"[-_.]+", "-", name[1]).lower() if name else ""


def import_names(requirement: str) -> tuple[str, ...]:
    """The top-level modules that a distribution offers, as far as is known; else its name with underscores."""
    name = canonical_distribution(requirement)
    return _IMPORT_NAMES.get(name, (name.replace("-", "_"),))


def distribution_of(module: str, declared: Iterable[str] = ()) -> str:
    """The requirement that brings a top-level module: the declared one that fits, else by table, else its own name."""
    for requirement in declared:
        if module in import_names(requirement) or module.lower() in import_names(requirement):
            return requirement.strip()
    return _DISTRIBUTIONS.get(module, module.replace("_", "-"))


def bound_names(statement: ast.stmt) -> list[str]:
    """The names that an import statement binds; ``import a.b`` binds ``a``."""
    if isinstance(statement, ast.Import):
        return [alias.asname or alias.name.partition(".")[0] for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [alias.asname or alias.name for alias in statement.names]
    return []


def imports_of(source: bytes, but_of: str) -> set[str]:
    """The import statements at the top of a module, one for each name, but those of the package ``but_of``.

    Nothing of a source that does not parse.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError):
        return set()
    but = {but_of, "__future__"}
    found: set[str] = set()
    for statement in tree.body:
        if isinstance(statement, ast.Import):
            other = [alias for alias in statement.names if alias.name.partition(".")[0] not in but]
            found.update(single_imports(ast.Import(other)))
        # A relative import is of the package itself.
        elif isinstance(statement, ast.ImportFrom) and (statement.module or "").partition(".")[0] not in but:
            found.update([] if statement.level else single_imports(statement))
    return found


def single_imports(statement: ast.stmt) -> list[str]:
    """An import statement as one for each name; [] for another statement."""
    if isinstance(statement, ast.Import):
        return [ast.unparse(ast.Import([alias])) for alias in statement.names]
    if isinstance(statement, ast.ImportFrom):
        return [ast.unparse(ast.ImportFrom(statement.module, [alias], statement.level)) for alias in statement.names]
    return []


def imported_modules(tree: ast.AST) -> list[tuple[str, str, int]]:
    """``(module, name, line)`` of every import at any depth; ``name`` is "" for ``import module``. Relative imports
    keep their leading dots."""
    found = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found += [(alias.name, "", node.lineno) for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            module = "." * node.level + (node.module or "")
            found += [(module, alias.name, node.lineno) for alias in node.names]
    return found


__all__ = [
    "BUILTINS",
    "bound_names",
    "canonical_distribution",
    "distribution_of",
    "import_names",
    "imported_modules",
    "imports_of",
    "single_imports",
    "well_known_import",
]
