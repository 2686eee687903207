"""Which tests of several nodes a plan calls for, where they stand, what they may import; and the command of a package."""

from __future__ import annotations

import pytest

from rpg.sample import plan, spec
from zerorepo_rpg.console import command_of, name_of_command
from zerorepo_rpg.plan_model import DataFlow, ModuleSet, NodeInterface, Plan
from zerorepo_rpg.spec_model import RepositorySpec, Requirement
from zerorepo_rpg.staged import Stage, check_staged, stages, used_nodes


def stage(source: str, module: str) -> Stage:
    """One stage of the sample plan."""
    (found,) = [each for each in stages(plan()) if (each.source, each.module) == (source, module)]
    return found


def test_one_stage_for_each_pair_with_flow_and_each_module_of_several_nodes() -> None:
    # `counting` has one node, `shared` no flow.
    assert [(each.source, each.module) for each in stages(plan())] == [
        ("words", "counting"),
        ("words", "slug"),
        ("", "slug"),
        ("", "words"),
    ]


def test_several_data_between_two_modules_are_one_stage() -> None:
    made = plan()
    more = DataFlow(source="words", target="slug", data_name="clean_text", description="Without accents.")
    flows = ModuleSet(modules=made.modules.modules, flows=(*made.modules.flows, more))
    (found,) = [
        each for each in stages(made.model_copy(update={"modules": flows})) if each.flows and each.module == "slug"
    ]
    assert found.flows == ("clean_text: Without accents.", "words (list[str])")


def test_a_stage_holds_the_two_sides_what_they_use_and_what_runs_with_them() -> None:
    edge = stage("words", "slug")
    assert edge.near == ("words/clean", "words/split_words")
    assert edge.far == ("slug/SlugTable", "slug/slugify", "slug/unique_slug")
    assert edge.used == ("shared/TextError",)
    assert set(edge.closure) == {*edge.near, *edge.far, *edge.used}


def test_a_module_alone_needs_of_others_only_what_its_nodes_use() -> None:
    assert stage("", "slug").used == ("shared/TextError", "words/clean", "words/split_words")
    assert stage("", "words").used == ("shared/TextError",)


def test_a_plan_without_flows_calls_for_none() -> None:
    assert stages(plan().model_copy(update={"modules": ModuleSet(modules=plan().modules.modules)})) == ()


def test_paths_do_not_meet_the_folders_of_modules() -> None:
    assert stage("words", "slug").path({"words", "slug"}) == "tests/integration/test_flow_words_to_slug.py"
    assert stage("", "slug").path({"integration"}) == "tests/integration_/test_module_slug.py"


def sides() -> tuple[list[list[NodeInterface]], list[NodeInterface]]:
    edge, nodes = stage("words", "slug"), {node.id: node for node in plan().nodes()}
    return [[nodes[i] for i in edge.near], [nodes[i] for i in edge.far]], [nodes[i] for i in edge.used]


GOOD = """\
from textkit.slug.core import slugify
from textkit.words.splitting import split_words


def test_a_slug_has_the_words_of_its_text() -> None:
    assert slugify(" ".join(split_words("a  b"))) == "a-b"
"""


def test_tests_of_both_sides_are_accepted() -> None:
    assert check_staged(GOOD, *sides()) == []


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        ('split_words("a  b")', '["a"]', "it uses nothing of the module `words`"),
        ("textkit.slug.core import", "textkit.slug.table import", "import `slugify` from `textkit.slug.core`"),
        (
            "import split_words",
            "import split_words, stop_words",
            "`stop_words` of `textkit.words.splitting` is not among",
        ),
        ("from textkit.words", "import textkit\nfrom textkit.words", "`import textkit`; write"),
        ("assert ", "", "asserts nothing"),
        ("from textkit.words", "import socket\nfrom textkit.words", "`socket` may not be used in tests"),
        (
            "def test_a",
            "def slugify(text: str) -> str:\n    return text\n\n\ndef test_a",
            "define `slugify` themselves",
        ),
        ("assert", "assert (", "is not Python"),
    ],
)
def test_what_is_no_test_of_both_sides_is_told(old: str, new: str, said: str) -> None:
    assert said in "\n".join(check_staged(GOOD.replace(old, new, 1), *sides()))


def test_an_import_that_nothing_uses_is_no_use() -> None:
    homes = {("textkit.slug.core", "slugify"): "slug/slugify", ("textkit.words.splitting", "clean"): "words/clean"}
    source = "from textkit.slug.core import slugify as s\nfrom textkit.words.splitting import clean\nprint(s)\n"
    assert used_nodes(source, homes) == {"slug/slugify"}


def with_main(signature: str) -> Plan:
    made = plan()
    main = NodeInterface(
        id="words/main", module="words", file="textkit/words/splitting.py", name="main", signature=signature
    )
    words = made.interfaces[-1]
    more = words.model_copy(update={"interfaces": (*words.interfaces, main)})
    return made.model_copy(update={"interfaces": (*made.interfaces[:-1], more)})


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("The command is called `slugs`.", "slugs"),
        ("The command line program is named `text-kit` and prints.", "text-kit"),
        ("The command `slugs` reads a file.", "slugs"),
        ("It installs a `slugs` command.", "slugs"),
        ("The package is called `textkit`.", ""),
        ("`slugify` makes a slug. The command prints it.", ""),
    ],
)
def test_the_name_of_a_command_is_read_from_the_specification(text: str, name: str) -> None:
    told = RepositorySpec(
        title="T", description="", package_name="t", requirements=(Requirement(id="r", text=text, section="s"),)
    )
    assert name_of_command(told) == name


@pytest.mark.parametrize(
    ("signature", "is_one"),
    [
        ("def main() -> int", True),
        ("def main(argv: list[str] | None = None) -> int", True),
        ("def main(*, argv: list[str] | None = None) -> int", True),
        ("def main(argv: list[str]) -> int", False),
        ("async def main(*, argv: list[str]) -> int", False),
        ("class main:\n    ...", False),
    ],
)
def test_a_command_runs_a_function_main_that_needs_no_arguments(signature: str, is_one: bool) -> None:
    found = command_of(with_main(signature), spec())
    assert (found is not None) is is_one
    if found:
        assert (found.name, found.entry.id) == ("textkit", "words/main")


def test_a_package_without_main_has_no_command() -> None:
    assert command_of(plan(), spec()) is None
