"""What planning is shown of a real code base, and how a plan stands to it: existing, modified, new, in building order."""

from __future__ import annotations

import http
from pathlib import Path

import pytest

from zerorepo_rpg.delta import State, delta
from zerorepo_rpg.existing import existing_nodes, files_of, listing, public_definitions, with_known_uses
from zerorepo_rpg.graph import RPGGraph, RPGNode
from zerorepo_rpg.plan_model import (
    FeatureSet,
    FileLayout,
    FilePlan,
    InterfaceKind,
    ModuleInterfaces,
    ModulePlan,
    ModuleSet,
    NodeInterface,
    Plan,
)
from zerorepo_rpg.scan import scan
from zerorepo_rpg.validate import check_layout


@pytest.fixture(scope="module")
def graph() -> RPGGraph:
    """The standard library's ``http``."""
    return scan(Path(http.__file__).parent).graph


def planned(code: RPGNode, **changes: object) -> NodeInterface:
    """An interface of existing code, as a model repeats it."""
    kind = InterfaceKind.CLASS if code.interface_type == "CLASS" else InterfaceKind.FUNCTION
    values = {
        "id": f"client/{code.name}", "module": "client", "file": code.file_path, "name": code.name, "kind": kind,
        "signature": code.signature, "features": (code.name.lower(),),
    }  # fmt: skip
    return NodeInterface.model_validate({**values, **changes})


@pytest.fixture(scope="module")
def plan(graph: RPGGraph) -> Plan:
    """Two classes and a function that exist, one of them with another signature, and something new that uses them."""
    code = graph.by_id
    nodes = (
        planned(code["http/client.py::HTTPSConnection"]),
        planned(code["http/client.py::HTTPConnection"]),
        planned(code["http/client.py::parse_headers"], signature="def parse_headers(fp: object, limit: int) -> object"),
        NodeInterface(
            id="client/fetch_all", module="client", file="http/client/fetching.py", name="fetch_all",
            signature="def fetch_all(urls: list[str]) -> list[bytes]", uses=("client/HTTPSConnection",), features=("fetch",),
        ),
    )  # fmt: skip
    files = (
        FilePlan(path="http/client.py", module="client", features=tuple(n.features[0] for n in nodes[:3])),
        FilePlan(path="http/client/fetching.py", module="client", features=("fetch",)),
    )
    return Plan(
        features=FeatureSet(),
        modules=ModuleSet(),
        layout=FileLayout(package_name="http", files=files),
        interfaces=(ModuleInterfaces(module="client", interfaces=with_known_uses(nodes, (), graph)),),
    )


def test_the_delta_of_http_is_existing_modified_and_new_in_building_order(plan: Plan, graph: RPGGraph) -> None:
    found = {each.id: each for each in delta(plan, graph)}
    assert {name: each.state for name, each in found.items()} == {
        "client/HTTPConnection": State.EXISTING,
        "client/HTTPSConnection": State.EXISTING,
        "client/parse_headers": State.MODIFIED,
        "client/fetch_all": State.NEW,
    }
    place = {name: number for number, name in enumerate(found)}
    assert place["client/HTTPConnection"] < place["client/HTTPSConnection"] < place["client/fetch_all"]
    assert existing_nodes(plan, graph) == {
        f"client/{name}": f"http/client.py::{name}" for name in ("HTTPConnection", "HTTPSConnection")
    }


def test_what_existing_code_needs_is_known_from_its_graph(plan: Plan) -> None:
    assert plan.node("client/HTTPSConnection").uses == ("client/HTTPConnection",)
    assert plan.node("client/fetch_all").uses == ("client/HTTPSConnection",)


def test_planning_is_shown_public_definitions_by_file_and_at_most_so_many(graph: RPGGraph) -> None:
    shown = listing(graph, "")
    lines = shown.split("\n")
    assert "http/cookiejar.py" in lines and any(line.startswith("  class HTTPConnection") for line in lines)
    assert "_" not in {node.name[0] for node in public_definitions(graph)}
    few = listing(graph, "cookies kept in a jar", limit=5)
    assert few.count("\n  ") == 5 and "CookieJar" in few and "HTTPServer" not in few
    assert listing(RPGGraph(), "anything") == ""
    assert "def parse_headers(" in listing(graph, "", signatures=True)


def test_a_file_that_exists_may_stay_where_it_is_and_no_other(plan: Plan, graph: RPGGraph) -> None:
    module = ModulePlan(id="client", features=tuple(f for file in plan.layout.files for f in file.features))
    alone = {each.check for each in check_layout(plan.layout, module, "http")}
    beside = [str(each) for each in check_layout(plan.layout, module, "http", files_of(graph))]
    assert "file_paths" in alone
    # A folder beside a file of its name stays a clash, and a path outside of the package an error.
    assert len(beside) == 1 and "file_clash" in beside[0]
    assert any("not inside" in str(each) for each in check_layout(plan.layout, module, "other", files_of(graph)))
