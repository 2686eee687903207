"""What generated code may not do unless the specification permits it: tables of modules and calls, and their look-up.

A gate against mistakes, not a wall: whoever wants to can hide a call from it. The wall is the sandbox.
"""

from __future__ import annotations

import ast
from collections.abc import Collection, Iterator

from zerorepo_rpg.naming import STDLIB_MODULES
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.python_names import import_names, imported_modules
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
# Nothing a library needs; everything that would fool whoever runs its tests.
_NEVER_MODULES = frozenset(
    {"_pytest", "code", "faulthandler", "importlib", "imp", "pytest", "runpy", "unittest", "zerorepo"}
)
_NEVER_CALLS = frozenset({"__import__", "breakpoint", "compile", "eval", "exec", "input"})
_NEVER_OS = frozenset({"_exit", "abort", "kill", "killpg"})
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
    yield from _calls(tree, granted)


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


def _calls(tree: ast.Module, granted: set[Permission]) -> Iterator[str]:
    shadowed = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store)}
    shadowed |= {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.ClassDef))}
    shadowed |= {node.arg for node in ast.walk(tree) if isinstance(node, ast.arg)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id not in shadowed:
            name = node.func.id
            if name in _NEVER_CALLS:
                yield f"line {node.lineno}: `{name}()` may not be used in a library's code"
            elif name == "open" and Permission.FILESYSTEM not in granted:
                yield f"line {node.lineno}: `open()` needs the permission `filesystem`, which the specification does not give"
        elif isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == "os":
            wanted = _OS_CALLS.get(node.attr)
            if node.attr in _NEVER_OS:
                yield f"line {node.lineno}: `os.{node.attr}` may not be used in a library's code"
            elif wanted and wanted not in granted:
                yield f"line {node.lineno}: `os.{node.attr}` needs the permission `{wanted}`, which the specification does not give"


def forbidden_in_tests(tree: ast.Module) -> Iterator[str]:
    """What tests may never do: network, processes, native code, mocks; and tricks with the run itself."""
    barred = {Permission.NETWORK, Permission.SUBPROCESS, Permission.NATIVE}
    for module, name, line in imported_modules(tree):
        wanted = _permission(module) or _permission(f"{module}.{name}")
        if wanted in barred:
            yield f"line {line}: `{module}` may not be used in tests"
        elif module.partition(".")[0] in ("unittest", "mock", "_pytest", "importlib", "zerorepo"):
            yield f"line {line}: `{module}` may not be used in tests; test the real thing through its public interface"
        elif module.startswith("."):
            yield f"line {line}: relative import; import from the full module path"
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
            if node.value.id == "os" and (node.attr in _NEVER_OS or _OS_CALLS.get(node.attr) is Permission.SUBPROCESS):
                yield f"line {node.lineno}: `os.{node.attr}` may not be used in tests"
            elif node.value.id == "pytest" and node.attr in ("exit", "skip", "xfail", "importorskip"):
                yield f"line {node.lineno}: `pytest.{node.attr}` may not be used; a test passes or fails"
        if isinstance(node, ast.Attribute) and node.attr in ("skip", "skipif", "xfail") and _is_mark(node.value):
            yield f"line {node.lineno}: `pytest.mark.{node.attr}` may not be used; a test passes or fails"


def _is_mark(node: ast.expr) -> bool:
    return isinstance(node, ast.Attribute) and node.attr == "mark"


__all__ = ["forbidden_in_code", "forbidden_in_tests"]
