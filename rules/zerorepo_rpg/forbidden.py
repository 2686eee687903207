"""What generated code may not do unless the specification permits it: tables of modules and calls, and their look-up.

A gate against mistakes, not a wall: whoever wants to can hide a call from it. The wall is the sandbox.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from zerorepo_rpg.naming import STDLIB_MODULES
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.python_names import import_names, imported_modules
from zerorepo_rpg.reached import BUILTIN, reached
from zerorepo_rpg.spec_model import Permission

_MODULES: dict[Permission, str] = {
    Permission.NETWORK: (
        "aiohttp ftplib http.client http.server httpx imaplib nntplib poplib requests smtplib smtpd socket socketserver "
        "ssl telnetlib urllib.request urllib3 webbrowser wsgiref.simple_server xmlrpc"
    ),
    Permission.SUBPROCESS: "concurrent.futures.process multiprocessing pty subprocess",
    Permission.FILESYSTEM: "dbm fileinput glob shelve shutil sqlite3 tempfile zipfile tarfile",
    Permission.NATIVE: "_ctypes cffi ctypes mmap",
}
_BY_MODULE = {module: permission for permission, names in _MODULES.items() for module in names.split()}

_OS: dict[Permission, str] = {
    Permission.SUBPROCESS: (
        "execl execle execlp execlpe execv execve execvp execvpe fork forkpty popen posix_spawn posix_spawnp spawnl spawnle "
        "spawnlp spawnlpe spawnv spawnve spawnvp spawnvpe startfile system"
    ),
    Permission.FILESYSTEM: (
        "chdir chmod chown fdopen link listdir makedirs mkdir open remove removedirs rename renames replace rmdir scandir "
        "symlink truncate unlink utime walk"
    ),
}
_OS_CALLS = {name: permission for permission, names in _OS.items() for name in names.split()}
_ELSEWHERE: dict[Permission, str] = {
    Permission.NETWORK: (
        "asyncio.open_connection asyncio.open_unix_connection asyncio.start_server asyncio.start_unix_server "
        "logging.handlers.DatagramHandler logging.handlers.HTTPHandler logging.handlers.SMTPHandler "
        "logging.handlers.SocketHandler logging.handlers.SysLogHandler"
    ),
    Permission.SUBPROCESS: (
        "asyncio.create_subprocess_exec asyncio.create_subprocess_shell concurrent.futures.ProcessPoolExecutor"
    ),
    Permission.FILESYSTEM: (
        "builtins.open bz2.open codecs.open gzip.open io.FileIO io.open io.open_code linecache.getline linecache.getlines "
        "logging.FileHandler logging.handlers.RotatingFileHandler logging.handlers.TimedRotatingFileHandler "
        "logging.handlers.WatchedFileHandler lzma.open tokenize.open"
    ),
}
_CALLS = {name: permission for permission, names in _ELSEWHERE.items() for name in names.split()}
_CALLS |= {f"os.{name}": permission for name, permission in _OS_CALLS.items()}
# Of a path object; what paths share with other classes (``replace``, ``rename``, ``glob``) is left out.
_OF_PATHS = (
    "chmod exists hardlink_to is_dir is_file iterdir lstat mkdir open read_bytes read_text rglob rmdir samefile stat "
    "symlink_to touch unlink write_bytes write_text"
)
_PATH_METHODS = frozenset(_OF_PATHS.split())
# Nothing a library needs; everything that would fool whoever runs its tests.
_NEVER_MODULES = frozenset(
    {
        "_posixsubprocess", "_pytest", "_socket", "code", "faulthandler", "importlib", "imp", "nt", "posix", "pytest", "runpy",
        "unittest", "zerorepo",
    }
)  # fmt: skip
_NEVER_OS = frozenset({"_exit", "abort", "kill", "killpg"})
_NEVER_CALLS = frozenset(
    f"{BUILTIN}{name}" for name in ("__import__", "breakpoint", "compile", "eval", "exec", "input")
)
_NEVER_CALLS |= {f"os.{name}" for name in _NEVER_OS}
_SAFE_SUBMODULES = frozenset({"importlib.resources", "importlib.metadata"})


def forbidden_in_code(
    tree: ast.Module, interface: NodeInterface, dependencies: Collection[str], permissions: Collection[str]
) -> Iterator[str]:
    """What the code of a node does that it may not, one sentence each. What the interface itself imports is allowed."""
    granted = {Permission(name) for name in permissions}
    promised = {module for text in interface.imports for module, _, _ in imported_modules(ast.parse(text))}
    outside = {name for requirement in dependencies for name in import_names(requirement)}
    package = interface.file.partition("/")[0]
    for module, name, line in imported_modules(tree):
        if module.startswith("."):
            yield f"line {line}: relative import; import from the full module path, such as `{package}.module`"
        elif module.partition(".")[0] == package:
            yield from _own_import(module, name, line, interface)
        elif name == "*":
            yield f"line {line}: `from {module} import *`; name what you import"
        elif module not in promised:
            yield from _outer_import(module, name, line, granted, outside)
    yield from _aliased(tree, package)
    yield from _calls(tree, granted, promised)


def _own_import(module: str, name: str, line: int, interface: NodeInterface) -> Iterator[str]:
    names = sorted(used.rpartition("/")[2] for used in interface.uses)
    listed = ", ".join(f"`{used}`" for used in names) or "none"
    if not name:
        yield f"line {line}: `import {module}`; write `from {module} import name`"
    elif name == interface.name and module == interface.import_path:
        yield f"line {line}: the code imports `{name}`, which it defines itself; remove the import"
    elif name not in names:
        yield f"line {line}: `{name}` of `{module}` is not among the nodes that it may use ({listed}); do without it"


def _outer_import(module: str, name: str, line: int, granted: set[Permission], outside: set[str]) -> Iterator[str]:
    top = module.partition(".")[0]
    if top in _NEVER_MODULES and not (module in _SAFE_SUBMODULES or f"{module}.{name}" in _SAFE_SUBMODULES):
        yield f"line {line}: the module `{module}` may not be used in a library's code; do without it"
        return
    wanted = _permission(module) or _permission(f"{module}.{name}")
    if wanted and wanted not in granted:
        yield f"line {line}: `{module}` needs the permission `{wanted}`, which the specification does not give"
    elif module == "os" and name in _OS_CALLS and _OS_CALLS[name] not in granted:
        yield f"line {line}: `os.{name}` needs the permission `{_OS_CALLS[name]}`, which the specification does not give"
    elif module == "os" and name in _NEVER_OS:
        yield f"line {line}: `os.{name}` may not be used in a library's code"
    elif top not in STDLIB_MODULES and top not in outside and top != "__future__":
        known = ", ".join(sorted(outside)) or "none"
        yield f"line {line}: `{top}` is neither standard library nor a declared dependency ({known}); do without it"


def _permission(module: str) -> Permission | None:
    parts = module.split(".")
    for length in range(1, len(parts) + 1):
        if found := _BY_MODULE.get(".".join(parts[:length])):
            return found
    return None


def _aliased(tree: ast.Module, package: str) -> Iterator[str]:
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == package:
            for alias in node.names:
                if alias.asname and alias.asname != alias.name:
                    yield f"line {node.lineno}: import `{alias.name}` of the library under its own name, without `as`"


def _calls(tree: ast.Module, granted: set[Permission], promised: Collection[str]) -> Iterator[str]:
    """Uses of what needs a permission, or is never allowed, whatever they are called here. Handed on counts as called."""
    imported = {module for module, _, _ in imported_modules(tree)}
    told = {f"os.{name}" for module, name, _ in imported_modules(tree) if module == "os"}
    for full, line in reached(tree):
        if full in told:
            continue
        shown = f"{full.removeprefix(BUILTIN)}()" if full.startswith(BUILTIN) else full
        module = _permission(full) if full not in imported and full not in promised else None
        wanted = _CALLS.get(full) or (module if _permission(full.rpartition(".")[0]) is None else None)
        if full in _NEVER_CALLS:
            yield f"line {line}: `{shown}` may not be used in a library's code"
        elif wanted and wanted not in granted:
            yield f"line {line}: `{shown}` needs the permission `{wanted}`, which the specification does not give"
    if "pathlib" in imported and "pathlib" not in promised and Permission.FILESYSTEM not in granted:
        yield from _path_methods(tree)


def _path_methods(tree: ast.Module) -> Iterator[str]:
    """Methods of paths that touch files, unless a class of the module has one of that name. Paths as such are only names."""
    own = {
        item.name
        for node in ast.walk(tree)
        if isinstance(node, ast.ClassDef)
        for item in node.body
        if isinstance(item, (ast.FunctionDef, ast.AsyncFunctionDef))
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and node.attr in _PATH_METHODS - own:
            # Of a module (``io.open``) it has been told.
            if isinstance(node.value, ast.Name) and f"{node.value.id}.{node.attr}" in _CALLS:
                continue
            yield (
                f"line {node.lineno}: `{node.attr}` of a path needs the permission `filesystem`, which the specification does "
                "not give"
            )


def _patched(tree: ast.Module, package: str) -> Iterator[str]:
    """``monkeypatch.setattr`` of something of the package. What is outside of it (``sys.stdin``) may be replaced."""
    ours = {
        alias.asname or alias.name.partition(".")[0]
        for node in ast.walk(tree)
        if isinstance(node, (ast.Import, ast.ImportFrom))
        for alias in node.names
        if (node.module or "" if isinstance(node, ast.ImportFrom) else alias.name).partition(".")[0] == package
    }
    for node in ast.walk(tree):
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr in ("setattr", "delattr")
        ):
            first: ast.expr | None = node.args[0] if node.args else None
            while isinstance(first, ast.Attribute):
                first = first.value
            text = first.value if isinstance(first, ast.Constant) else None
            if (isinstance(text, str) and text.partition(".")[0] == package) or (
                isinstance(first, ast.Name) and first.id in ours
            ):
                yield f"line {node.lineno}: it replaces part of `{package}`; test the real thing through its public interface"


_NO_VERDICT = frozenset({"exit", "importorskip", "skip", "xfail"})
_NO_MARKS = frozenset({"skip", "skipif", "xfail"})


def forbidden_in_tests(tree: ast.Module, package: str) -> Iterator[str]:
    """What tests may never do: network, processes, native code, mocks (also of the ``package`` itself, by ``monkeypatch``); and
    tricks with the run itself."""
    barred = {Permission.NETWORK, Permission.SUBPROCESS, Permission.NATIVE}
    for module, name, line in imported_modules(tree):
        wanted = _permission(module) or _permission(f"{module}.{name}")
        if wanted in barred:
            yield f"line {line}: `{module}` may not be used in tests"
        elif module.partition(".")[0] in ("unittest", "mock", "_pytest", "importlib", "zerorepo"):
            yield f"line {line}: `{module}` may not be used in tests; test the real thing through its public interface"
        elif module.startswith("."):
            yield f"line {line}: relative import; import from the full module path"
    for full, line in reached(tree):
        module, _, name = full.rpartition(".")
        if module == "os" and (name in _NEVER_OS or _OS_CALLS.get(name) is Permission.SUBPROCESS):
            yield f"line {line}: `{full}` may not be used in tests"
        elif (module == "pytest" and name in _NO_VERDICT) or (module == "pytest.mark" and name in _NO_MARKS):
            yield f"line {line}: `{full}` may not be used; a test passes or fails"
    yield from _patched(tree, package)


__all__ = ["forbidden_in_code", "forbidden_in_tests"]
