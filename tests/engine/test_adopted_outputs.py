"""A file that a person wrote stands for what a target would have made: dependents see it, nobody makes it again."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

import pytest

from zerorepo.adoption import ADOPTED_NAME, Adoption, load, render
from zerorepo.errors import TargetFailed, UsageError
from zerorepo.label import parse_label
from zerorepo.rule import Adopt, Attrs, RuleContext, rule
from zerorepo.target import Outputs, Provider
from zerorepo.testing import RuleRunner

TARGETS = """
[[target]]
name = "x"
rule = "cat"
srcs = ["a"]

[[target]]
name = "y"
rule = "cat"
deps = [":x"]

[[target]]
name = "z"
rule = "cat"
srcs = ["b"]
"""
FILES = {"a": "A", "b": "B"}


def adopted(label: str, files: Mapping[str, str], **more: Any) -> str:
    return render([Adoption(parse_label(label), files, **more)])


class Number(Provider):
    """A typed value."""

    value: int


async def _numbered(ctx: Any, files: Mapping[str, Any]) -> Number:
    return Number(value=int(ctx.read(files["n"])))


@rule("number", attrs=Attrs, provides=[Number], adopt=Adopt(make=_numbered))
async def number(ctx: RuleContext[Attrs]) -> Number:
    """One."""
    return Number(value=1)


@rule("shown", attrs=Attrs)
async def shown(ctx: RuleContext[Attrs]) -> None:
    """Two files, one of them from a part that runs beside."""
    found = await ctx.provider(parse_label("//:number"), Number)
    ctx.output("one", str(found.value).encode())

    async def part(fork: Any) -> None:
        fork.output("two", b"2", executable=True)

    await ctx.concurrently([part])


SHOWN = '[[target]]\nname = "number"\nrule = "number"\n[[target]]\nname = "shown"\nrule = "shown"\n'


@pytest.fixture
def typed(toys: Callable[..., RuleRunner]) -> RuleRunner:
    runner = toys(SHOWN, {})
    runner.registry.add_rule(number)
    runner.registry.add_rule(shown)
    return runner


def test_dependents_get_the_persons_content_and_only_they_run(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(TARGETS, FILES)
    runner.build_ok()
    runner.write("mine.txt", "mine")
    runner.write(ADOPTED_NAME, adopted("//:x", {"x": "mine.txt"}, whole=True))
    run = runner.build_ok()
    assert (run.ran, run.actions) == (["//:x", "//:y"], [("Cat", "//:y")])
    assert any("attribute adopted" in reason for reason in run.reasons("//:x"))
    assert runner.outputs() == {"x": b"mine", "y": b"mine", "z": b"B"}
    assert runner.build_ok().ran == []


def test_it_stays_so_when_the_inputs_of_the_rule_change(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(TARGETS, {**FILES, "mine.txt": "mine", ADOPTED_NAME: adopted("//:x", {"x": "mine.txt"}, whole=True)})
    runner.build_ok()
    runner.write("a", "new")
    run = runner.build_ok()
    assert (run.ran, run.actions, runner.read("out/y")) == ([], [], b"mine")
    runner.write("mine.txt", "mine again")
    assert runner.build_ok().actions == [("Cat", "//:y")]
    assert runner.read("out/x") == b"mine again"


def test_ending_an_adoption_is_a_hit(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(TARGETS, {**FILES, "mine.txt": "mine"})
    runner.build_ok()
    runner.write(ADOPTED_NAME, adopted("//:x", {"x": "mine.txt"}, whole=True))
    runner.build_ok()
    runner.remove(ADOPTED_NAME)
    run = runner.build_ok()
    assert (run.ran, run.actions, runner.outputs()) == ([], [], {"x": b"A", "y": b"A", "z": b"B"})


def test_the_rule_still_makes_what_was_not_adopted(typed: RuleRunner) -> None:
    typed.write("mine", "zwei")
    typed.write(ADOPTED_NAME, adopted("//:shown", {"two": "mine"}))
    typed.build_ok()
    assert typed.outputs() == {"one": b"1", "two": b"zwei"}
    assert (typed.root / "out/two").stat().st_mode & 0o777 == 0o644
    typed.write(ADOPTED_NAME, adopted("//:shown", {"two": "mine"}, executable=("two",)))
    typed.build_ok()
    assert (typed.root / "out/two").stat().st_mode & 0o777 == 0o755


def test_a_rule_that_names_its_outputs_runs_until_all_are_adopted(toys: Callable[..., RuleRunner]) -> None:
    ran: list[str] = []

    @rule("both", attrs=Attrs, outputs=lambda label, attrs: ("left", "right"))
    async def both(ctx: RuleContext[Attrs]) -> None:
        ran.append(str(ctx.label))
        ctx.output("left", b"l")
        ctx.output("right", b"r")

    runner = toys('[[target]]\nname = "b"\nrule = "both"\n', {"mine": "m", "other": "o"})
    runner.registry.add_rule(both)
    runner.write(ADOPTED_NAME, adopted("//:b", {"left": "mine"}))
    runner.build_ok()
    assert (ran, runner.outputs()) == (["//:b"], {"left": b"m", "right": b"r"})
    runner.write(ADOPTED_NAME, adopted("//:b", {"left": "mine", "right": "other"}))
    runner.build_ok()
    assert (ran, runner.outputs()) == (["//:b"], {"left": b"m", "right": b"o"})


def test_a_rule_may_say_how_a_file_becomes_its_provider(typed: RuleRunner) -> None:
    typed.build_ok()
    typed.write("n.txt", "7")
    typed.write(ADOPTED_NAME, adopted("//:number", {"n": "n.txt"}))
    run = typed.build_ok()
    assert run.ran == ["//:number", "//:shown"]
    assert run.provider("//:number", Number).value == 7
    assert typed.read("out/one") == b"7"


def test_a_source_that_is_gone_fails_its_target_and_says_where(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(TARGETS, {**FILES, ADOPTED_NAME: adopted("//:x", {"x": "mine.txt"}, whole=True)})
    run = runner.build(keep_going=True)
    error = run.error("//:x")
    assert isinstance(error, TargetFailed)
    assert (error.where, error.message) == (
        f"{ADOPTED_NAME}:5",
        "The file `mine.txt` is gone, which stands for an output of `//:x`",
    )
    assert run.result.built.keys() == {parse_label("//:z")}


def test_an_output_that_the_rule_does_not_make_any_more_is_told(typed: RuleRunner) -> None:
    typed.write("mine", "x")
    typed.write(ADOPTED_NAME, adopted("//:shown", {"three": "mine"}))
    error = typed.build().error("//:shown")
    assert isinstance(error, TargetFailed)
    assert "does not make `three` any more" in error.message


def test_an_adoption_of_a_label_that_is_gone_is_told_and_does_no_harm(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(TARGETS, {**FILES, "mine": "m", ADOPTED_NAME: adopted("//:old", {"old": "mine"}, whole=True)})
    for _ in range(2):
        (note,) = runner.build_ok().notes("stale adoption")
        assert (note.label, note.detail) == ("//:old", {"where": f"{ADOPTED_NAME}:5"})


def test_a_target_of_an_expansion_can_be_adopted(toys: Callable[..., RuleRunner]) -> None:
    plan = '[[target]]\nname = "plan"\nrule = "expand"\nplan = "p"\n'
    runner = toys(plan, {"p": "one a\n", "a": "A", "mine": "mine"})
    runner.write(ADOPTED_NAME, adopted("//gen:one", {"gen/one": "mine"}, whole=True))
    run = runner.build_ok()
    assert (run.notes("stale adoption"), runner.outputs()) == ([], {"gen/one": b"mine"})
    runner.write("p", "two a\n")
    assert [note.label for note in runner.build_ok().notes("stale adoption")] == ["//gen:one"]
    assert runner.outputs() == {"gen/two": b"A"}


@pytest.mark.parametrize(
    ("text", "line", "says"),
    [
        ("[[adopted]]\nlabel = 3\n", 1, "needs a `label`"),
        ('[[adopted]]\nlabel = "//:x"\n', 1, "must map outputs to sources"),
        ('[[adopted]]\nlabel = "//:x"\nfile = 1\n', 1, "Unknown key `file`"),
        ('[[adopted]]\nlabel = "//:x"\nfiles = { x = "../b" }\n', 1, "no path inside the workspace"),
        ('[[adopted]]\nlabel = "//:x"\nfiles = { x = "b" }\n' * 2, 4, "adopted twice"),
        ('[[adopted]]\nlabel = "//:x"\nfiles = { x = "b" }\n[[adopted]]\nlabel = "//:y"\nfiles = { y = "b" }\n', 4, "two targets"),
        ('[[adopted]]\nlabel = "///"\nfiles = { x = "b" }\n', 1, "Bad label"),
        ("[[adoptd]]\n", 1, "Unknown key `adoptd`"),
    ],
)  # fmt: skip
def test_a_wrong_record_is_bad_usage_at_its_line(
    toys: Callable[..., RuleRunner], text: str, line: int, says: str
) -> None:
    runner = toys(TARGETS, {**FILES, ADOPTED_NAME: text})
    with pytest.raises(UsageError, match=says) as caught:
        runner.build()
    assert caught.value.where == f"{ADOPTED_NAME}:{line}"


def test_the_record_is_written_as_it_is_read(toys: Callable[..., RuleRunner]) -> None:
    adoptions = [
        Adoption(parse_label("//b:y"), {'we"ird ü\n': "s/é", "plain": "p"}, ("plain",)),
        Adoption(parse_label("//a:x"), {"o/x.py": "adopted/x.py"}, whole=True),
    ]
    runner = toys("", {ADOPTED_NAME: render(adoptions)})
    found = load(runner.root)
    assert list(found) == [parse_label("//a:x"), parse_label("//b:y")]
    assert render(found.values()) == render(adoptions)
    for each in adoptions:
        assert found[each.label].identity() == each.identity()


def test_outputs_of_an_adopted_target_are_its_provider_too(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(TARGETS, {**FILES, "mine": "m", ADOPTED_NAME: adopted("//:x", {"x": "mine"}, whole=True)})
    assert runner.build_ok().provider("//:x", Outputs).files.keys() == {"x"}
