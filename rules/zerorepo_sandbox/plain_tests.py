"""Whether tests reach for nothing but the code under test and what is listed here, so that they may hold their own verdict.

The opposite of ``screen``: not what is known to be bad is refused, but what is not known to be harmless. Tests that pass can run in
the process that keeps the verdict, apart from the code under test (``inside/apart.py``). Tests that do not are no worse for it;
they run in the usual way, and the verdict says so. Knows nothing of how tests are run.
"""

from __future__ import annotations

import ast
import importlib
import re
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, lru_cache
from pathlib import PurePosixPath

_ALL = ("*",)
"""All names of a module's ``__all__``, or all public ones of a module written in C."""
# fmt: off
_MODULES: Mapping[str, tuple[str, ...]] = {
    "__future__": _ALL, "abc": ("ABC", "abstractmethod"), "base64": _ALL, "bisect": _ALL, "calendar": _ALL,
    "collections": _ALL, "collections.abc": _ALL, "copy": ("copy", "deepcopy"), "csv": _ALL,
    "contextlib": ("suppress", "nullcontext", "contextmanager"), "dataclasses": (
        "dataclass", "field", "fields", "asdict", "astuple", "replace", "is_dataclass", "FrozenInstanceError"),
    "datetime": ("date", "datetime", "time", "timedelta", "timezone", "UTC", "MINYEAR", "MAXYEAR"), "decimal": (
        "Decimal", "InvalidOperation", "DivisionByZero", "Inexact", "ROUND_HALF_UP", "ROUND_HALF_EVEN", "ROUND_DOWN",
        "ROUND_UP", "ROUND_CEILING", "ROUND_FLOOR"),
    "enum": ("Enum", "IntEnum", "StrEnum", "Flag", "IntFlag", "auto", "unique"), "fractions": ("Fraction",),
    "functools": ("partial", "reduce", "wraps", "cmp_to_key", "lru_cache", "cache"),
    "hashlib": ("md5", "sha1", "sha256", "sha512", "blake2b"), "heapq": _ALL, "io": ("StringIO", "BytesIO"),
    "itertools": _ALL, "json": ("dumps", "loads", "JSONDecodeError"), "math": _ALL, "cmath": _ALL, "numbers": _ALL,
    "operator": ("itemgetter", "add", "sub", "mul", "truediv", "mod", "neg", "eq", "ne", "lt", "le", "gt", "ge", "not_"),
    "pathlib": ("Path", "PurePath", "PurePosixPath", "PosixPath"), "random": ("Random",), "re": (
        "compile", "match", "fullmatch", "search", "findall", "finditer", "sub", "split", "escape", "Pattern", "Match",
        "IGNORECASE", "MULTILINE", "DOTALL", "VERBOSE", "I", "M", "S", "X", "ASCII"),
    "statistics": _ALL, "string": ("ascii_letters", "ascii_lowercase", "ascii_uppercase", "digits", "hexdigits",
        "octdigits", "printable", "punctuation", "whitespace"),
    "sys": ("maxsize", "float_info", "version_info", "maxunicode"), "textwrap": _ALL, "time": (
        "sleep", "monotonic", "perf_counter", "time"), "types": ("SimpleNamespace", "MappingProxyType"),
    "typing": ("Any", "Callable", "Iterable", "Iterator", "Sequence", "Mapping", "NamedTuple", "TypedDict", "Protocol",
        "Optional", "Union", "TypeVar", "Generic", "Literal", "ClassVar", "Final", "cast", "List", "Dict", "Tuple", "Set",
        "TYPE_CHECKING", "Generator", "Self"),
    "unicodedata": _ALL, "uuid": ("UUID", "uuid4"), "pytest": (
        "approx", "deprecated_call", "fail", "fixture", "mark", "param", "raises", "skip", "warns"),
}
_NO_NAMES = frozenset({
    "eval", "exec", "compile", "open", "globals", "locals", "vars", "input", "breakpoint", "pytest_plugins", "help",
    "copyright", "credits", "license", "memoryview", "quit", "exit",
})
_DUNDERS = frozenset({
    "__name__", "__doc__", "__class__", "__qualname__", "__module__", "__file__", "__cause__", "__context__", "__notes__",
    "__init__", "__len__", "__eq__", "__ne__", "__lt__", "__le__", "__gt__", "__ge__", "__hash__", "__iter__", "__next__",
    "__str__", "__repr__", "__contains__", "__getitem__", "__add__", "__sub__", "__mul__", "__enter__", "__exit__", "__call__",
    "__bool__", "__all__", "__version__",
})
_NO_ATTRIBUTES = frozenset({
    "config", "session", "node", "request", "pluginmanager", "hook", "ihook", "traceback", "tb", "frame", "getrepr",
    "with_traceback", "format_map", "vformat", "get_field", "Formatter", "mro", "_", "gi_frame", "gi_code", "cr_frame",
    "ag_frame", "f_globals", "f_locals", "f_back", "f_builtins", "f_code", "tb_frame", "tb_next", "fget", "fset", "func",
    "modules", "func_globals", "skipif", "xfail", "filterwarnings", "importorskip", "MonkeyPatch", "funcargs", "expected_exception",
})
_FIXTURES: Mapping[str, frozenset[str]] = {
    "capsys": frozenset({"readouterr"}), "request": frozenset({"param"}), "monkeypatch": frozenset({"setenv", "delenv", "chdir"}),
    "recwarn": frozenset({"pop", "list", "clear"}),
}
_NO_FIXTURES = frozenset({
    "cache", "capfd", "capfdbinary", "capsysbinary", "capteesys", "caplog", "doctest_namespace", "pytestconfig", "pytester",
    "record_property", "record_testsuite_property", "record_xml_attribute", "subtests", "testdir", "tmpdir", "tmpdir_factory",
})
# fmt: on
_BY_NAME = frozenset({"getattr", "setattr", "hasattr", "delattr"})
_FIELD = re.compile(r"\{[^{}]*[._\[][^{}]*\}")
_TEST_NAME = re.compile(r"test|Test|pytest_")


def code_names(files: Mapping[str, bytes], tests: Sequence[str]) -> tuple[tuple[str, ...], str]:
    """Top-level import names of the code under test, and why the tests are not plain; one of the two is empty."""
    theirs = {path for path in files if path.endswith(".py") and _is_of_tests(path, tests)}
    code = {path for path in files if path.endswith(".py")} - theirs
    names = {_top(path) for path in code}
    if not names:
        return (), "there is no code apart from the tests"
    if clash := sorted(names & sys.stdlib_module_names):
        return (), f"`{clash[0]}` is also a module of Python"
    if both := sorted(names & {_top(path) for path in theirs}):
        return (), f"`{both[0]}` holds tests and code"
    for path in sorted(theirs):
        source = files[path].decode("utf-8", "replace")
        if reason := _first_reason(source, frozenset(names), frozenset(_top(each) for each in theirs)):
            return (), f"{path}: {reason}"
    return tuple(sorted(names)), ""


@lru_cache(maxsize=256)
def _first_reason(source: str, code: frozenset[str], tests: frozenset[str]) -> str:
    """Why this file is not plain; empty when it is. The same tests are run with one code after another."""
    return next(_Plain(code, tests).reasons(source), "")


def _is_of_tests(path: str, tests: Sequence[str]) -> bool:
    if any(path == test or path.startswith(f"{test.rstrip('/')}/") for test in tests):
        return True
    parts = PurePosixPath(path).parts
    return parts[-1] == "conftest.py" or (len(parts) > 1 and parts[0] in ("tests", "test"))


def _top(path: str) -> str:
    parts = PurePosixPath(path).parts
    if parts[0] == "src" and len(parts) > 1:
        parts = parts[1:]
    return parts[0].removesuffix(".py")


@cache
def _known_names(module: str) -> frozenset[str]:
    allowed = _MODULES[module]
    if allowed is not _ALL:
        return frozenset(allowed)
    found = importlib.import_module(module)
    return frozenset(getattr(found, "__all__", None) or (name for name in dir(found) if not name.startswith("_")))


class _Plain:
    """One file. ``code`` and ``tests`` are the top-level names of the two sides."""

    def __init__(self, code: frozenset[str], tests: frozenset[str]) -> None:
        self._code = code
        self._tests = tests
        self._modules: dict[str, str] = {}
        self._of_code: set[str] = set()
        self._bases: set[int] = set()
        """Names that stand in front of a dot, or of parentheses, and were looked at there."""
        self._patches: set[int] = set()
        """``monkeypatch.setattr`` and the like, of the code under test."""

    def reasons(self, source: str) -> Iterator[str]:
        """What is not known to be harmless, each with its line."""
        try:
            tree = ast.parse(source)
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            yield "it does not parse"
            return
        nodes = list(ast.walk(tree))
        for node in nodes:
            if isinstance(node, (ast.Import, ast.ImportFrom)):
                yield from self._at(node, self._import(node))
        for node in nodes:
            yield from self._at(node, self._look(node))

    @staticmethod
    def _at(node: ast.AST, reasons: Iterator[str]) -> Iterator[str]:
        yield from (f"line {getattr(node, 'lineno', 0)}: {reason}" for reason in reasons)

    def _import(self, node: ast.Import | ast.ImportFrom) -> Iterator[str]:
        for alias in node.names:
            bound = alias.asname or alias.name.partition(".")[0]
            if bound.startswith("pytest_") or (alias.asname or "").startswith("_"):
                yield f"a name like `{bound}` means something to pytest"
            module = alias.name if isinstance(node, ast.Import) else (node.module or "")
            top = module.partition(".")[0]
            if isinstance(node, ast.ImportFrom) and (node.level or top in self._tests):
                if alias.name == "*" or alias.name.startswith("_"):
                    yield f"imports `{alias.name}`"
            elif top in self._code:
                self._of_code.add(bound)
                if alias.name == "*" or _TEST_NAME.match(bound):
                    yield f"`{bound}` of the code under test could pass for a test"
            elif top in self._tests:
                pass
            elif module not in _MODULES:
                yield f"imports `{module}`"
            elif isinstance(node, ast.ImportFrom):
                if alias.name not in _known_names(module):
                    yield f"imports `{module}.{alias.name}`"
            elif alias.asname or "." not in module:
                self._modules[bound] = module

    def _look(self, node: ast.AST) -> Iterator[str]:
        if isinstance(node, ast.Attribute):
            yield from self._attribute(node)
        elif isinstance(node, ast.Name):
            yield from self._name(node)
        elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            yield from self._definition(node)
        elif isinstance(node, ast.Call):
            yield from self._call(node)
        elif isinstance(node, (ast.Global, ast.Nonlocal)):
            yield from (f"`{name}`" for name in node.names if name.startswith(("_", "pytest_")))
        elif isinstance(node, ast.MatchClass):
            yield "patterns of classes look at attributes"

    def _attribute(self, node: ast.Attribute) -> Iterator[str]:
        name, base = node.attr, node.value
        if isinstance(base, ast.Name):
            self._bases.add(id(base))
            if base.id in self._modules and name not in _known_names(self._modules[base.id]):
                yield f"`{base.id}.{name}`"
            if base.id in _FIXTURES and name not in _FIXTURES[base.id] and id(node) not in self._patches:
                yield f"`{base.id}.{name}`"
        if name.startswith("_") and name not in _DUNDERS:
            yield f"the attribute `{name}`"
        if name in _NO_ATTRIBUTES and not self._is_of_code(base):
            yield f"the attribute `{name}`"
        if name == "format" and not (
            isinstance(base, ast.Constant) and isinstance(base.value, str) and not _FIELD.search(base.value)
        ):
            yield "`format` of text that is not seen here, or that names attributes"
        if isinstance(node.ctx, (ast.Store, ast.Del)) and name.startswith("_"):
            yield f"sets the attribute `{name}`"

    def _is_of_code(self, node: ast.AST) -> bool:
        """Whether an expression starts at a name of the code under test: what comes of it is a stand-in or plain."""
        while isinstance(node, (ast.Attribute, ast.Call)):
            node = node.value if isinstance(node, ast.Attribute) else node.func
        return isinstance(node, ast.Name) and node.id in self._of_code

    def _name(self, node: ast.Name) -> Iterator[str]:
        name = node.id
        if name in _NO_NAMES or (name.startswith("__") and name not in _DUNDERS):
            yield f"`{name}`"
        elif isinstance(node.ctx, ast.Store) and name.startswith("pytest_"):
            yield f"a name like `{name}` means something to pytest"
        elif isinstance(node.ctx, ast.Store) and (name in self._modules or name in _FIXTURES or name in self._of_code):
            yield f"`{name}` gets another meaning"
        elif name in self._modules or name in _FIXTURES:
            if id(node) not in self._bases:
                yield f"`{name}` is handed on"
        elif name in _BY_NAME and id(node) not in self._bases:
            yield f"`{name}` of a name made at run time"

    def _definition(self, node: ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef) -> Iterator[str]:
        if node.name.startswith("pytest_") or node.name in self._modules or node.name in _FIXTURES:
            yield f"a name like `{node.name}` means something else"
        if isinstance(node, ast.ClassDef):
            return
        named = {argument.arg for argument in (*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs)}
        is_fixture = any("fixture" in ast.dump(each) for each in node.decorator_list)
        if (node.name.startswith("test") or is_fixture) and (bad := sorted(named & _NO_FIXTURES)):
            yield f"the fixture `{bad[0]}`"
        if clash := sorted(named & (self._modules.keys() | self._of_code)):
            yield f"`{clash[0]}` gets another meaning"

    def _call(self, node: ast.Call) -> Iterator[str]:
        function = node.func
        if isinstance(function, ast.Name) and function.id in _BY_NAME:
            self._bases.add(id(function))
            second = node.args[1] if len(node.args) > 1 else None
            name = second.value if isinstance(second, ast.Constant) and isinstance(second.value, str) else None
            if name is None or name.startswith("_") or name in _NO_ATTRIBUTES:
                yield f"`{function.id}` of a name that is not seen here"
            elif isinstance(node.args[0], ast.Name):
                module = self._modules.get(node.args[0].id)
                if module is not None or node.args[0].id in _FIXTURES:
                    yield f"`{function.id}` of `{node.args[0].id}`"
        elif isinstance(function, ast.Attribute) and isinstance(function.value, ast.Name):
            patches = function.value.id == "monkeypatch" and function.attr in ("setattr", "delattr")
            if patches and node.args and self._is_of_code(node.args[0]) and _is_plain_text(node.args[1:2]):
                self._patches.add(id(function))


def _is_plain_text(nodes: Sequence[ast.expr]) -> bool:
    return bool(nodes) and all(
        isinstance(node, ast.Constant) and isinstance(node.value, str) and not node.value.startswith("_")
        for node in nodes
    )
