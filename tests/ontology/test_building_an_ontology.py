"""The rules, by the real engine: what runs, what is cached, what fails and how it is said. By words alone, without weights."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from zerorepo.testing import RuleRunner
from zerorepo_ontology import artifact, minilm_weights
from zerorepo_ontology.ontology import Ontology, nested, without
from zerorepo_ontology.register import RULE_SET

from .wheels import SHAPES, put, target

TREE = '[[target]]\nname = "o"\nrule = "ontology_tree"\nengine = "bm25"\nsources = [{sources}]\n'
SETTINGS = '[ontology]\nwheels = "wheels"\n'
TABLE = (
    "id,parent,name,description,tags\nsales,,Sales,,\ninvoice,sales,approve an invoice,By a second person.,money two\n"
)
OTHER = {path.replace("shapes", "forms"): text.replace("shapes", "forms") for path, text in SHAPES.items()}
OTHER["forms/_impl.py"] = SHAPES["shapes/_impl.py"]


def workspace(tmp_path: Path, targets: str, sources: list[str], files: dict[str, str] | None = None) -> RuleRunner:
    tree = TREE.format(sources=", ".join(f'"//:{each}"' for each in sources))
    return RuleRunner(tmp_path, {"zerorepo.toml": SETTINGS + targets + tree, **(files or {})}, rule_sets=[RULE_SET])


def built(runner: RuleRunner) -> Ontology:
    return artifact.load(runner.outputs()["o.ontology"], "o.ontology")[0]


def test_a_capability_of_two_libraries_is_one_node_with_both_as_sources(tmp_path: Path) -> None:
    first, second = put(tmp_path / "wheels"), put(tmp_path / "wheels", "forms", modules=OTHER)
    place = 'place = ["Geometry", "Shapes"]\n'
    runner = workspace(tmp_path, target("a", first, place) + target("b", second, place), ["a", "b"])
    runner.build_ok("//...")
    found = built(runner)
    area = next(node for node in found.nodes if node.name == "compute the area of a shape")
    assert (area.packages, [source.name for source in found.sources_of(area)]) == (2, ["forms", "shapes"])
    assert [node.packages for node in found.nodes if node.level == "area"] == [2]
    assert all(node.packages and found.sources_of(node) for node in found.nodes)
    assert found.path(area)[:2] == ["Geometry", "Shapes"]


def test_adding_one_library_mines_that_one_only(tmp_path: Path) -> None:
    first, second = put(tmp_path / "wheels"), put(tmp_path / "wheels", "forms", modules=OTHER)
    runner = workspace(tmp_path, target("a", first), ["a"])
    runner.build_ok("//...")
    assert runner.build_ok("//...").actions == []
    runner = workspace(tmp_path, target("a", first) + target("b", second), ["a", "b"])
    run = runner.build_ok("//...")
    assert [each for each in run.actions if each[0] in ("FetchDistribution", "MineDistribution")] == [
        ("FetchDistribution", "//:b"),
        ("MineDistribution", "//:b"),
    ]


def test_the_same_sources_give_the_same_bytes(tmp_path: Path) -> None:
    pin = put(tmp_path / "wheels")
    made = []
    for name in ("one", "two"):
        root = tmp_path / name
        put(root / "wheels")
        runner = workspace(root, target("a", pin), ["a"])
        runner.build_ok("//...")
        made.append(runner.outputs()["o.ontology"])
    assert made[0] == made[1]


@pytest.mark.skipif(
    minilm_weights.find(None, minilm_weights.INT8_MODULE, minilm_weights.INT8_FILE) is None,
    reason="the weights are not installed (extra `ontology`)",
)
def test_vectors_do_not_depend_on_what_was_embedded_before(tmp_path: Path) -> None:
    made = []
    for name, before in (("one", False), ("two", True)):
        root = tmp_path / name
        first, second = put(root / "wheels"), put(root / "wheels", "forms", modules=OTHER)
        if before:
            earlier = workspace(root, target("a", second), ["a"])
            earlier.write("zerorepo.toml", earlier.read("zerorepo.toml").replace(b'"bm25"', b'"int8"'))
            earlier.build_ok("//...")
        runner = workspace(root, target("a", first) + target("b", second), ["a", "b"])
        runner.write("zerorepo.toml", runner.read("zerorepo.toml").replace(b'"bm25"', b'"int8"'))
        runner.build_ok("//...")
        made.append(runner.outputs()["o.ontology"])
    assert made[0] == made[1]
    assert artifact.load(made[0], "o")[1] is not None


def test_another_file_than_the_pinned_one_is_refused(tmp_path: Path) -> None:
    pin = {**put(tmp_path / "wheels"), "sha256": "0" * 64}
    run = workspace(tmp_path, target("a", pin), ["a"]).build("//...")
    assert "pip cannot fetch shapes==1.0" in str(run.error("//:a"))


def test_a_copyleft_library_is_left_to_the_user_to_allow(tmp_path: Path) -> None:
    pin = put(tmp_path / "wheels", license_="GPL-3.0-only")
    run = workspace(tmp_path, target("a", pin), ["a"]).build("//...")
    assert "not known to be permissive" in str(run.error("//:a")) and "GPL-3.0-only" in str(run.error("//:a"))
    workspace(tmp_path, target("a", pin, "any_license = true\n"), ["a"]).build_ok("//...")


def test_a_table_of_ones_own_keeps_its_hierarchy_and_tags(tmp_path: Path) -> None:
    targets = '[[target]]\nname = "t"\nrule = "ontology_table"\nsrc = "t.csv"\n'
    runner = workspace(tmp_path, targets, ["t"], {"t.csv": TABLE})
    runner.build_ok("//...")
    node = next(each for each in built(runner).nodes if each.level == "feature")
    assert (node.name, node.origin, node.tags, node.description) == (
        "approve an invoice", "own", ("money", "two"), "By a second person.",
    )  # fmt: skip
    assert built(runner).path(node)[0] == "Sales"


@pytest.mark.parametrize(
    ("table", "says"),
    [
        ("id,parent,nam\n1,,x\n", "did you mean `name`?"),
        ("id,parent,name\n1,,a\n1,,b\n", "The id `1` is there twice"),
        ("id,parent,name\nsales,,a\nx,sale,b\n", "did you mean `sales`?"),
        ("id,parent,name\na,b,a\nb,a,b\nc,a,c\n", "go round in a circle"),
        ("id,parent,name\na,,\n", "A feature has no name"),
    ],
)
def test_a_bad_table_is_told_by_its_row(tmp_path: Path, table: str, says: str) -> None:
    targets = '[[target]]\nname = "t"\nrule = "ontology_table"\nsrc = "t.csv"\n'
    run = workspace(tmp_path, targets, ["t"], {"t.csv": table}).build("//...")
    assert says in str(run.error("//:t")) and "t.csv" in str(run.error("//:t"))


def test_a_folder_of_code_is_mined(tmp_path: Path) -> None:
    targets = '[[target]]\nname = "f"\nrule = "ontology_folder"\nfolder = "src"\n'
    runner = workspace(tmp_path, targets, ["f"], {f"src/{path}": text for path, text in SHAPES.items()})
    runner.build_ok("//...")
    assert "read all shapes of a file in order" in {node.name for node in built(runner).nodes}


def test_what_only_an_excluded_package_shows_is_gone(tmp_path: Path) -> None:
    first, second = put(tmp_path / "wheels"), put(tmp_path / "wheels", "forms", modules=OTHER)
    runner = workspace(tmp_path, target("a", first) + target("b", second), ["a", "b"])
    runner.build_ok("//...")
    left = without(built(runner), ["forms"])
    names = {node.name for node in left.nodes}
    assert "compute the area of a shape" in names and "read all forms of a file in order" not in names
    assert all(source.name == "shapes" for node in left.nodes for source in left.sources_of(node))
    assert left.excluded == ("forms",)


def test_the_nested_export_has_names_and_frequencies_of_one_shape(tmp_path: Path) -> None:
    runner = workspace(tmp_path, target("a", put(tmp_path / "wheels")), ["a"])
    runner.build_ok("//...")
    tree, frequency = nested(built(runner))

    def same(names: dict[str, object], numbers: object) -> bool:
        if not names:
            return isinstance(numbers, int)
        assert isinstance(numbers, dict)
        return set(names) == set(numbers) - {"_freq"} and all(same(names[key], numbers[key]) for key in names)  # type: ignore[arg-type]

    assert same(tree, frequency) and json.dumps(tree)


def test_a_damaged_or_newer_file_is_refused(tmp_path: Path) -> None:
    runner = workspace(tmp_path, target("a", put(tmp_path / "wheels")), ["a"])
    runner.build_ok("//...")
    data = runner.outputs()["o.ontology"]
    for broken, says in (
        (b"nothing", "no ontology"),
        (data.replace(b'"format": 1', b'"format": 9'), "format 9"),
        (data[:200], "damaged"),
    ):
        with pytest.raises(Exception, match=says):
            artifact.load(broken, "o.ontology")


def test_an_unknown_engine_is_told_with_near_names(tmp_path: Path) -> None:
    runner = RuleRunner(tmp_path, {"zerorepo.toml": '[ontology]\nengine = "int9"\n'}, rule_sets=[RULE_SET])
    with pytest.raises(Exception, match="did you mean `int8`"):
        runner.workspace().check_settings()
