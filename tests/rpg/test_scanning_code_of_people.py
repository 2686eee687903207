"""``zerorepo init --from``: code that exists as a planning graph, by syntax trees, the same bytes each time."""

# ruff: noqa: E501  (files as one-line sources)

from __future__ import annotations

import inspect
import os
import shutil
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

from zerorepo.errors import UsageError
from zerorepo_rpg.graph import EdgeType, InterfaceType, Level, RPGGraph, Source
from zerorepo_rpg.lock import Lock, parse_lock, render
from zerorepo_rpg.scan import scan

CODE = {
    "shop/__init__.py": "from .cart import Cart as Basket\nfrom .prices import *\n",
    "shop/cart.py": '''
"""Carts.

More of them.
"""
from __future__ import annotations
from functools import cache
from typing import TYPE_CHECKING, overload

from . import base
from .prices import total

if TYPE_CHECKING:
    from .late import Late


class Cart(base.Holder):
    """Holds things."""

    limit: int = 3

    class Row:
        def cells(self) -> list[str]:
            return []

    @property
    def size(self) -> int:
        return len(self)

    @size.setter
    def size(self, value: int) -> None:
        self.grow(value)

    @staticmethod
    @cache
    async def add(a, /, b: int = 1, *args: str, c, d=None, **kw: object) -> "Cart":
        made = Cart()
        made.grow(total([b]))
        super().__init__()
        add(1)
        return made


def add(x): ...


@overload
def pick(x: int) -> int: ...
@overload
def pick(x: str) -> str: ...
def pick(x):
    def inner():
        return total(x)
    return pick(inner())


if True:
    def maybe() -> None: ...
else:
    def maybe(x: int) -> None: ...
''',
    "shop/base.py": "class Root:\n    def grow(self, n): ...\nclass Holder(Root): ...\n",
    "shop/prices.py": "def total(xs) -> float:\n    from shop import cart\n    return cart.add(sum(xs))\n_x = total([])\n",
    "shop/late.py": "import shop\nclass Late(shop.Basket):\n    pass\ndef use(total, c: shop.Basket):\n    total(1)\n    c.grow(2)\n    shop.total([])\n",
    "shop/broken.py": "def f(:\n",
    "tests/test_cart.py": "from shop import Basket\ndef test_it():\n    assert Basket().size\n",
    ".hidden/x.py": "",
    "env/pyvenv.cfg": "",
    "env/lib.py": "",
}


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("shop")
    for path, text in CODE.items():
        (root / path).parent.mkdir(parents=True, exist_ok=True)
        (root / path).write_text(text)
    return root


@pytest.fixture(scope="module")
def graph(shop: Path) -> RPGGraph:
    return scan(shop).graph


def targets(graph: RPGGraph, kind: EdgeType, source: str) -> set[str]:
    """Where the edges of a type go from a node."""
    return {edge.target for edge in graph.edges if edge.type is kind and edge.source == source}


def test_packages_files_classes_functions_and_methods_are_nodes(graph: RPGGraph) -> None:
    assert all(node.source is Source.HUMAN for node in graph.nodes)
    assert {node.id for node in graph.nodes if node.level is Level.MODULE} == {"shop", "tests"}
    assert not any("hidden" in node.id or "env" in node.id for node in graph.nodes)
    cart = graph.by_id["shop/cart.py"]
    assert (cart.parent, cart.docstring) == ("shop", "Carts.")
    row = graph.by_id["shop/cart.py::Cart.Row.cells"]
    assert row.interface_type is InterfaceType.METHOD and row.parent == "shop/cart.py::Cart.Row"
    assert graph.by_id["shop/cart.py::Cart"].signature == "class Cart(base.Holder)"
    assert "shop/cart.py::inner" not in graph.by_id


def test_every_kind_of_parameter_and_decorator_is_in_the_signature(graph: RPGGraph) -> None:
    assert graph.by_id["shop/cart.py::Cart.add"].signature.split("\n") == [
        "@staticmethod",
        "@cache",
        "async def add(a, /, b: int=1, *args: str, c, d=None, **kw: object) -> 'Cart'",
    ]


def test_definitions_of_one_name_are_one_node(graph: RPGGraph) -> None:
    assert graph.by_id["shop/cart.py::pick"].signature.count("def pick") == 3
    assert graph.by_id["shop/cart.py::maybe"].signature.count("def maybe") == 2
    assert graph.by_id["shop/cart.py::Cart.size"].signature.startswith("@property")


def test_calls_go_where_names_lead(graph: RPGGraph) -> None:
    calls = EdgeType.INVOCATION
    # Through inheritance, a local variable's class, super(), and not to the method of the function's own name.
    assert targets(graph, calls, "shop/cart.py::Cart.add") == {
        "shop/cart.py::Cart",
        "shop/base.py::Root.grow",
        "shop/prices.py::total",
        "shop/cart.py::add",
    }
    assert targets(graph, calls, "shop/cart.py::Cart.size") == {"shop/base.py::Root.grow"}
    assert targets(graph, calls, "shop/cart.py::pick") == {"shop/prices.py::total"}
    assert targets(graph, calls, "shop/prices.py") == {"shop/prices.py::total"}
    # A parameter hides what the file imports; an annotation says what it holds; a star import re-exports.
    assert targets(graph, calls, "shop/late.py::use") == {"shop/base.py::Root.grow", "shop/prices.py::total"}
    assert targets(graph, calls, "tests/test_cart.py::test_it") == {"shop/cart.py::Cart"}


def test_inheritance_imports_and_data_flow(graph: RPGGraph) -> None:
    assert targets(graph, EdgeType.INHERITANCE, "shop/late.py::Late") == {"shop/cart.py::Cart"}
    assert targets(graph, EdgeType.INHERITANCE, "shop/cart.py::Cart") == {"shop/base.py::Holder"}
    assert "shop/cart.py" in targets(graph, EdgeType.ORDERING, "shop/base.py")
    # Imported in a function: it is an import all the same, and these two go round.
    assert "shop/prices.py" in targets(graph, EdgeType.ORDERING, "shop/cart.py")
    flows = {(e.source, e.target, e.data_name, e.data_type) for e in graph.edges if e.type is EdgeType.DATA_FLOW}
    assert ("shop/prices.py", "shop/cart.py", "total", "float") in flows
    assert ("shop/cart.py", "tests/test_cart.py", "Cart", "Cart") in flows
    assert {edge.type for edge in graph.edges} == set(EdgeType)


def test_what_is_no_python_and_what_goes_round_is_told(shop: Path) -> None:
    found = scan(shop)
    assert len(found.unread) == 1 and found.unread[0].startswith("shop/broken.py: line 1: ")
    assert found.graph.by_id["shop/broken.py"].description.startswith("not read: line 1")
    (cycle,) = found.import_cycles()
    imports = {(edge.target, edge.source) for edge in found.graph.edges if edge.type is EdgeType.ORDERING}
    assert len(cycle) > 1 and set(zip(cycle, (*cycle[1:], cycle[0]), strict=True)) <= imports


def test_an_empty_folder_and_none_are_errors(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="no Python file"):
        scan(tmp_path)
    with pytest.raises(UsageError, match="no folder"):
        scan(tmp_path / "nowhere")


def test_several_processes_find_what_one_does(shop: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerorepo_rpg.scan._PARALLEL", 1)
    monkeypatch.setattr("zerorepo_rpg.scan._CHUNK", 2)
    assert scan(shop, jobs=2).graph == scan(shop, jobs=1).graph


def test_a_changed_body_changes_one_node_and_moving_it_none(shop: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy"
    shutil.copytree(shop, copy)
    before = scan(copy).graph
    base = copy / "shop/base.py"
    base.write_text(
        "\n\n# moved\n" + base.read_text().replace("def grow(self, n): ...", "def grow(self, n):\n        return n")
    )
    diff = before.diff(scan(copy).graph)
    assert (diff.changed, diff.added, diff.removed) == (("shop/base.py::Root.grow",), (), ())


def check_against_import(graph: RPGGraph, module: object, path: str) -> int:
    """Each class and function that Python itself finds in an imported module has its node, with the same parameters."""
    checked = 0
    for name, value in vars(module).items():
        if (
            getattr(value, "__module__", None) != getattr(module, "__name__", "")
            or getattr(value, "__name__", "") != name
        ):
            continue
        if inspect.isfunction(value) or inspect.isclass(value):
            node = graph.by_id[f"{path}::{name}"]
            checked += 1
            if inspect.isfunction(value) and not hasattr(value, "__wrapped__"):
                for parameter in inspect.signature(value).parameters:
                    assert parameter in node.signature
            if inspect.isclass(value):
                for member, inner in vars(value).items():
                    if inspect.isfunction(inner) and inner.__qualname__ == f"{name}.{member}":
                        assert f"{path}::{name}.{member}" in graph.by_id
                        checked += 1
    return checked


def test_the_standard_librarys_http_package() -> None:
    import http.client
    import http.cookiejar
    import http.server

    found = scan(Path(http.__path__[0]))
    assert not found.unread and found.files >= 5
    for module in (http.client, http.cookiejar, http.server):
        assert check_against_import(found.graph, module, f"http/{module.__name__.split('.')[1]}.py") > 20
    assert targets(found.graph, EdgeType.INHERITANCE, "http/client.py::HTTPSConnection") == {
        "http/client.py::HTTPConnection"
    }
    assert "http/client.py::HTTPConnection.putrequest" in targets(
        found.graph, EdgeType.INVOCATION, "http/client.py::HTTPConnection._send_request"
    )
    assert "http/server.py" in targets(found.graph, EdgeType.ORDERING, "http/client.py")
    assert ("http/client.py", "http/server.py") in {
        (edge.source, edge.target) for edge in found.graph.edges if edge.type is EdgeType.DATA_FLOW
    }
    text = render(Lock(existing=found.graph))
    assert render(Lock(existing=scan(Path(http.__path__[0])).graph)) == text == render(parse_lock(text))


def requests_package(folder: Path) -> Path:
    """The package ``requests``: as pip downloads it, else as it is installed."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--timeout", "5", "--retries", "0"]
    try:
        subprocess.run([*command, "--dest", str(folder), "requests"], capture_output=True, timeout=60, check=True)
        (wheel,) = folder.glob("requests-*.whl")
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder / "unpacked")
        return folder / "unpacked" / "requests"
    except (subprocess.SubprocessError, OSError, ValueError):
        import requests

        return Path(requests.__path__[0])


def test_requests(tmp_path: Path) -> None:
    package = requests_package(tmp_path)
    found = scan(package)
    graph = found.graph
    assert not found.unread and found.files >= 15
    assert "requests/sessions.py::SessionRedirectMixin" in targets(
        graph, EdgeType.INHERITANCE, "requests/sessions.py::Session"
    )
    assert "requests/sessions.py::Session.request" in targets(
        graph, EdgeType.INVOCATION, "requests/sessions.py::Session.get"
    )
    assert targets(graph, EdgeType.INVOCATION, "requests/api.py::get") == {"requests/api.py::request"}
    assert {edge.type for edge in graph.edges} == set(EdgeType)
    text = render(Lock(existing=graph))
    elsewhere = tmp_path / "elsewhere" / "requests"
    shutil.copytree(package, elsewhere)
    assert render(Lock(existing=scan(elsewhere).graph)) == text, "a scan does not depend on where the code is"


def zerorepo(folder: Path, *args: str) -> subprocess.CompletedProcess[str]:
    """The real command line."""
    env = {**os.environ, "NO_COLOR": "1"}
    return subprocess.run(
        [sys.executable, "-m", "zerorepo", *args], cwd=folder, env=env, capture_output=True, text=True, timeout=120
    )


def test_init_from_makes_a_workspace_and_a_second_time_identical_bytes(shop: Path, tmp_path: Path) -> None:
    first = zerorepo(tmp_path, "init", "ws", "--from", str(shop))
    assert first.returncode == 1 and "wrote zerorepo.lock" in first.stdout, "a file is broken, the rest is there"
    assert "not read: shop/broken.py" in first.stderr and "import each other" in first.stderr
    assert "1 of " in first.stderr and "the rest is taken in" in first.stderr
    lock = (tmp_path / "ws/zerorepo.lock").read_bytes()
    (tmp_path / "ws/spec.md").write_text("# Mine\n")
    second = zerorepo(tmp_path, "init", "ws", "--from", str(shop))
    assert second.returncode == 1 and "unchanged zerorepo.lock" in second.stdout
    assert (tmp_path / "ws/zerorepo.lock").read_bytes() == lock
    assert (tmp_path / "ws/spec.md").read_text() == "# Mine\n"
    shown = zerorepo(tmp_path / "ws", "graph", "--output", "tree")
    assert shown.returncode == 0 and "class Cart(base.Holder)" in shown.stdout
    assert zerorepo(tmp_path, "init", "ws", "--from", "nowhere").returncode == 2


def test_a_scan_keeps_the_plan_in_the_lock(shop: Path, tmp_path: Path) -> None:
    from zerorepo_rpg.lock import render_lock

    from .sample import plan

    planned = render_lock(plan(), {"features": "00"})
    (tmp_path / "zerorepo.lock").write_text(planned)
    assert zerorepo(tmp_path, "init", ".", "--from", str(shop)).returncode == 1, "one of its files is broken"
    both = (tmp_path / "zerorepo.lock").read_text()
    assert both.startswith(planned.replace("schema = 1", "schema = 2"))
    assert parse_lock(both).plan() == parse_lock(planned).plan()


def test_a_file_that_cannot_be_read_costs_nothing_but_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("good", "gone", "bad"):
        (tmp_path / f"{name}.py").write_text("def f() -> int: ...\n" if name != "bad" else "def (\n")
    os.mkfifo(tmp_path / "pipe.py")  # which nobody writes into
    read = Path.read_bytes

    def failing(path: Path) -> bytes:
        if path.name == "gone.py":
            raise PermissionError(13, "Permission denied", str(path))
        return read(path)

    monkeypatch.setattr(Path, "read_bytes", failing)
    found = scan(tmp_path)
    assert found.files == 3 and [text.partition(":")[0] for text in found.unread] == ["bad.py", "gone.py"]
    assert found.unread[1] == "gone.py: Permission denied" and "good.py::f" in found.graph.by_id
