"""Targets that declare targets: built by label without a static declaration, and gone with all they made when they shrink."""

from __future__ import annotations

from collections.abc import Callable

from zerorepo.errors import TargetFailed, UsageError, ZeroRepoError
from zerorepo.testing import RuleRunner

PLAN = '[[target]]\nname = "plan"\nrule = "expand"\nplan = "plan.txt"\n'
FILES: dict[str, str | bytes] = {"plan.txt": "p a\nq a b", "a": "A", "b": "B"}


def test_a_wildcard_builds_what_is_declared(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN, FILES)
    assert sorted(runner.build_ok().ran) == ["//:plan", "//gen:p", "//gen:q"]
    assert runner.outputs() == {"gen/p": b"A", "gen/q": b"AB"}
    assert runner.build_ok().ran == []


def test_a_label_is_enough_to_build_its_expansion_and_only_itself(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN, FILES)
    assert sorted(runner.build_ok("//gen:q").ran) == ["//:plan", "//gen:q"]
    assert runner.build_ok("//gen:all").ran == ["//gen:p"]


def test_a_static_target_may_need_a_declared_one(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN + '[[target]]\nname = "user"\nrule = "cat"\ndeps = ["//gen:q"]\n', FILES)
    assert sorted(runner.build_ok("//:user").ran) == ["//:plan", "//:user", "//gen:q"]
    runner.write("b", "C")
    assert sorted(runner.build_ok("//:user").ran) == ["//:user", "//gen:q"]
    assert runner.outputs()["user"] == b"AC"


def test_expansions_may_declare_expansions(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN, {**FILES, "plan.txt": "inner @more.txt", "more.txt": "deep a"})
    assert runner.build_ok("//gen/inner:deep").ran == ["//:plan", "//gen:inner", "//gen/inner:deep"]
    assert runner.outputs() == {"gen/inner/deep": b"A"}


def test_the_nearest_expansion_is_asked_first_and_no_other(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        PLAN,
        {
            **FILES,
            "gen/BUILD.toml": '[[target]]\nname = "near"\nrule = "expand"\nplan = "//:near.txt"\npackage = "gen"\n',
            "near.txt": "r a",
        },
    )
    assert runner.build_ok("//gen:r").ran == ["//gen:near", "//gen:r"]
    assert runner.build_ok("//gen:p").ran == ["//:plan", "//gen:p"]


def test_a_label_that_nobody_declares_is_unknown(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        PLAN + '[[target]]\nname = "user"\nrule = "cat"\nmore = "more.txt"\n', {**FILES, "more.txt": "//gen:qq"}
    )
    error = runner.build("//:user").error("//:user")
    assert isinstance(error, UsageError)
    assert "`//:user` refers to unknown target `//gen:qq`" in error.message
    assert "`//gen:q`" in (error.hint or "")
    try:
        runner.build("//gen:x")
    except UsageError as unknown:
        assert "Unknown target `//gen:x`" in unknown.message
    else:
        raise AssertionError("an unknown label was accepted")


def test_declaring_what_exists_is_an_error(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN, {**FILES, "gen/BUILD.toml": '[[target]]\nname = "p"\nrule = "cat"\n'})
    error = runner.build().error("//:plan")
    assert isinstance(error, ZeroRepoError)
    assert "`//:plan` declares `//gen:p`, which exists already" in error.message


def test_a_failed_expansion_fails_the_build_and_whoever_needs_it(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN + '[[target]]\nname = "user"\nrule = "cat"\ndeps = ["//gen:q"]\n', FILES)
    runner.remove("plan.txt")
    runner.write(
        "zerorepo.toml", runner.read("zerorepo.toml").replace(b'plan = "plan.txt"', b'plan = "a"\npackage = ".."')
    )
    run = runner.build("//gen:q", keep_going=True)
    assert isinstance(run.error("//:plan"), ZeroRepoError)
    assert runner.build("//:user", keep_going=True).skipped == ["//:user"]


def test_a_shrunken_expansion_takes_its_outputs_with_it_unless_edited(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN, {**FILES, "plan.txt": "p a\nq b\nr a"})
    runner.build_ok()
    runner.write("out/gen/r", "edit")
    runner.write("plan.txt", "p a")
    run = runner.build_ok()
    assert run.actions == []
    assert runner.outputs() == {"gen/p": b"A", "gen/r": b"edit"}
    runner.write("plan.txt", "p a\nq b")
    assert runner.build_ok().actions == []
    assert runner.outputs()["gen/q"] == b"B"


def test_a_build_that_does_not_look_at_the_expansion_removes_nothing(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN + '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n', FILES)
    runner.build_ok()
    runner.write("plan.txt", "")
    runner.build_ok("//:x")
    assert set(runner.outputs()) == {"gen/p", "gen/q", "x"}
    runner.build_ok("//:plan")
    assert set(runner.outputs()) == {"x"}


def test_a_removed_expansion_takes_everything_with_it(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(PLAN, FILES)
    runner.build_ok()
    runner.write("zerorepo.toml", "")
    runner.build_ok()
    assert runner.outputs() == {}


def test_an_excluded_expansion_is_not_built(toys: Callable[..., RuleRunner]) -> None:
    assert toys(PLAN, FILES).build_ok("//...", "-//:plan").ran == []


def test_only_expanding_rules_may_declare(toys: Callable[..., RuleRunner]) -> None:
    from zerorepo.label import Label
    from zerorepo.rule import Attrs, rule

    @rule("sly", attrs=Attrs)
    async def sly(ctx: object) -> None:
        ctx.declare(Label("", "y"), "cat", {})  # type: ignore[attr-defined]

    runner = toys('[[target]]\nname = "x"\nrule = "sly"\n', rules=[sly])
    assert "not registered with expands=True" in str(runner.build().error("//:x"))
    assert not isinstance(runner.build().error("//:x"), TargetFailed)


def test_an_expansion_that_fails_declares_nothing(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(
        PLAN + '[[target]]\nname = "user"\nrule = "cat"\ndeps = ["//gen:p"]\n', {**FILES, "plan.txt": "p a\nq b\np b"}
    )
    run = runner.build(keep_going=True)
    assert (run.failed, run.skipped, run.ran) == (["//:plan"], ["//:user"], [])
    assert "`//:plan` declares `//gen:p` twice" in str(run.error("//:plan"))
    assert runner.outputs() == {}
