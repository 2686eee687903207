"""A look at code before it runs: whatever reaches for the test runner is refused.

No sandbox can keep a test from lying about itself when pytest runs in the same process: a test that finds the recorder through
``gc``, or patches ``_pytest`` for items of its own module, reports what it likes. Such code has no honest use in a generated
repository, so its syntax tree is searched for it. This is a fence, not a wall: what is composed at run time from pieces (a name
put together from strings and looked up in a module's dictionary) gets past it; the canaries and the runner stand behind it.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache

_MODULES = frozenset(
    {"_pytest", "gc", "ctypes", "_ctypes", "pluggy", "zerorepo_inside", "coverage", "cffi", "_posixsubprocess"}
)
_ATTRIBUTES = {
    "_exit": "leaves the interpreter without a report",
    "settrace": "replaces the trace function",
    "setprofile": "replaces the profile function",
    "addaudithook": "hooks the interpreter",
    "_getframe": "walks frames",
    "_getframemodulename": "walks frames",
    "_current_frames": "walks frames",
    "currentframe": "walks frames",
    "f_back": "walks frames",
    "f_globals": "walks frames",
    "f_locals": "walks frames",
    "f_builtins": "walks frames",
    "tb_frame": "walks frames",
    "gi_frame": "walks frames",
    "cr_frame": "walks frames",
    "ag_frame": "walks frames",
    "__subclasses__": "walks the interpreter's classes",
    "__globals__": "reaches into another module",
    "__builtins__": "reaches into another module",
    "__closure__": "reaches into another function",
    "cell_contents": "reaches into another function",
    "__kwdefaults__": "reaches into another function",
    "__loader__": "reaches the import system",
    "meta_path": "changes the import system",
    "path_hooks": "changes the import system",
    "pluginmanager": "reaches pytest's plugins",
    "runtest": "replaces how a test is run",
    "ihook": "reaches pytest's hooks",
}
_FRAMES_IN_INSPECT = frozenset({"stack", "trace", "getouterframes", "getinnerframes"})
# fmt: off
_PYTEST_NAMES = frozenset({
    "approx", "CaptureFixture", "deprecated_call", "ExceptionInfo", "fail", "fixture", "FixtureLookupError",
    "FixtureRequest", "importorskip", "LogCaptureFixture", "mark", "MonkeyPatch", "param", "raises", "RaisesExc",
    "RaisesGroup", "skip", "TempPathFactory", "UsageError", "warns", "WarningsRecorder", "xfail", "PytestWarning",
    "PytestUnraisableExceptionWarning", "PytestUnhandledThreadExceptionWarning",
})
# fmt: on
_EVALUATORS = frozenset({"exec", "eval", "__import__"})
_HOOKS = re.compile(r"pytest_\w+")
_DOTTED = re.compile(r"(_pytest|pluggy|zerorepo_inside)(\.\w+)*")
_BINARY = (".so", ".pyc", ".pyd", ".pth")
_REMEMBERED = 512
"""Sources whose reasons are remembered."""


def screen(source: str) -> list[str]:
    """Reasons to refuse this Python source, each with its line; empty when there is none.

    Source that does not parse is not refused here: it cannot run either, and the test run says so better.
    """
    try:
        tree = ast.parse(source)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    nodes = list(ast.walk(tree))
    names = _module_names(nodes)
    found = {(line, reason) for node in nodes for line, reason in _reasons(node, names)}
    return [f"line {line}: {reason}" for line, reason in sorted(found)]


@lru_cache(maxsize=_REMEMBERED)
def _screened(source: str) -> tuple[str, ...]:
    """A node is run with the code of all that it uses, again and again."""
    return tuple(screen(source))


def screen_files(files: Mapping[str, bytes]) -> list[str]:
    """The same for a set of files, path to content; also refuses byte code and libraries, which cannot be read."""
    found = []
    for path, content in sorted(files.items()):
        if path.endswith(_BINARY):
            found.append(f"{path}: compiled code cannot be screened")
        elif path.endswith(".py"):
            found += [f"{path}: {reason}" for reason in _screened(content.decode("utf-8", "replace"))]
    return found


def _module_names(nodes: Iterable[ast.AST]) -> dict[str, str]:
    """Local name to the module that it stands for, for ``import m`` and ``import m as n``."""
    names = {}
    for node in nodes:
        if isinstance(node, ast.Import):
            for alias in node.names:
                names[alias.asname or alias.name.partition(".")[0]] = alias.name
    return names


def _reasons(node: ast.AST, names: Mapping[str, str]) -> Iterator[tuple[int, str]]:
    line = getattr(node, "lineno", 0)
    if isinstance(node, ast.Import):
        for alias in node.names:
            yield from ((line, reason) for reason in _module(alias.name))
    elif isinstance(node, ast.ImportFrom) and not node.level:
        yield from ((line, reason) for reason in _module(node.module or ""))
        for alias in node.names:
            yield from ((line, reason) for reason in _member(node.module or "", alias.name))
    elif isinstance(node, ast.Attribute):
        base = names.get(node.value.id, "") if isinstance(node.value, ast.Name) else ""
        yield from ((line, reason) for reason in _member(base, node.attr))
    elif isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef)) and _HOOKS.fullmatch(node.name):
        yield line, f"`{node.name}` is a pytest hook"
    elif isinstance(node, ast.Name) and node.id in ("pytest_plugins", "__builtins__", "__loader__"):
        yield line, f"`{node.id}` reaches the runner or the import system"
    elif isinstance(node, ast.Constant) and isinstance(node.value, str) and _DOTTED.fullmatch(node.value):
        yield line, f"the text `{node.value}` names the test runner"
    elif isinstance(node, ast.Call):
        yield from ((line, reason) for reason in _call(node, names))


def _module(name: str) -> Iterator[str]:
    if name.partition(".")[0] in _MODULES:
        yield f"imports `{name}`"


def _member(module: str, name: str) -> Iterator[str]:
    if module == "pytest" and name not in _PYTEST_NAMES:
        yield f"`pytest.{name}` is not for tests"
    elif module == "sys" and name == "modules":
        yield "`sys.modules` reaches every module that is loaded"
    elif module == "inspect" and name in _FRAMES_IN_INSPECT:
        yield f"`inspect.{name}` walks frames"
    elif name in _ATTRIBUTES:
        yield f"`{name}` {_ATTRIBUTES[name]}"


def _call(node: ast.Call, names: Mapping[str, str]) -> Iterator[str]:
    function, first = node.func, node.args[0] if node.args else None
    literal = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else None
    if isinstance(function, ast.Name) and function.id in _EVALUATORS and literal is None:
        yield f"`{function.id}` of something made at run time cannot be screened"
    elif isinstance(function, ast.Name) and function.id in ("exec", "eval"):
        for reason in screen(literal or ""):
            yield f"in the text given to `{function.id}`: {reason}"
    elif (isinstance(function, ast.Name) and function.id in ("__import__", "import_module")) or (
        isinstance(function, ast.Attribute) and function.attr in ("import_module", "find_spec")
    ):
        if literal is None:
            yield "an import of a name made at run time cannot be screened"
        else:
            yield from _module(literal)
    elif isinstance(function, ast.Name) and function.id in ("getattr", "setattr", "delattr") and len(node.args) > 1:
        second = node.args[1]
        base = names.get(first.id, "") if isinstance(first, ast.Name) else ""
        if isinstance(second, ast.Constant) and isinstance(second.value, str):
            yield from _member(base, second.value)
