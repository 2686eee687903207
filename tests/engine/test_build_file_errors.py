"""Whatever is wrong in a workspace is told before anything is built: what, where, near miss, exit code 2, nothing changed."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from zerorepo.errors import ExitCode, ZeroRepoError
from zerorepo.testing import RuleRunner

GOOD = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a.txt"]\n'


def tree(root: Path) -> dict[str, bytes | None]:
    """Every file and folder below ``root`` but the engine's own."""
    found = {str(path.relative_to(root)): path.read_bytes() if path.is_file() else None for path in root.rglob("*")}
    return {path: data for path, data in found.items() if not path.startswith(".zerorepo")}


def fails(runner: RuleRunner, *patterns: str) -> ZeroRepoError:
    before = tree(runner.root)
    with pytest.raises(ZeroRepoError) as caught:
        runner.build(*patterns)
    assert tree(runner.root) == before
    assert caught.value.exit_code == ExitCode.USAGE
    return caught.value


@pytest.mark.parametrize(
    ("extra", "message", "where", "hint"),
    [
        ('[[target]]\nname = "y"\nrule = "cat"\nsrc = ["a.txt"]', "Unknown key `src` in target `//:y` (rule `cat`)", "8", "`srcs`"),
        ('[[target]]\nname = "y"\nrule = "cta"', "Unknown rule `cta`", "7", "`cat`"),
        ('[[target]]\nname = "y"\nrule = "cat"\nnote = 3', "Bad `note` in target `//:y`", "8", None),
        ('[[target]]\nname = "y"\nrule = "expand"', "target `//:y` (rule `expand`) needs `plan`", "5", None),
        ('[[target]]\nname = "y"\nruel = "cat"', "A [[target]] needs `rule`, a string", "5", "`ruel`"),
        ('[[target]]\nname = "a//b"\nrule = "cat"', "Bad label `a//b`", "6", None),
        (GOOD, "Two targets are called `//:x`", "5", "zerorepo.toml:1"),
        ('[[target]]\nname = "y"\nrule = "cat"\ndeps = [":xx"]', "`//:y` refers to unknown target `//:xx`", "8", "`//:x`"),
        ('[[target]]\nname = "y"\nrule = "cat"\ndeps = ["//no:z"]', "unknown target `//no:z`", "8", "no package //no"),
        ('[[target]]\nname = "y"\nrule = "cat"\ndeps = ["@r//a"]', "Bad `deps.0` in target `//:y`", "8", None),
        ('[[target]]\nname = "y"\nrule = "cat"\nsrcs = ["a.text"]', "needs the file `a.text`, which does not exist", "8", "a.txt"),
        ('[[target]]\nname = "y"\nrule = "cat"\nsrcs = ["../a.txt"]', "Bad `srcs.0`", "8", None),
        ('[[target]]\nname = "y"\nrule = "cat"\nsrcs = ["sub"]', "names the folder `sub` as a source file", "8", "sub/**"),
        ('[[target]]\nname = "y"\nrule = "cat"\nsrcs = ["out/x"]', "names the output `out/x`", "8", "the target that makes it"),
        ("[buidl]\njobs = 2", "Unknown section `[buidl]`", "5", "`build`"),
        ('[build]\njobs = "many"', "Bad `jobs` in [build]", "6", None),
        ("[build]\njobs = 0", "Bad `jobs` in [build]", "6", None),
        ("[build]\npools = { model = 0 }", "Bad `pools.model` in [build]", "6", None),
        ('[workspace]\noutput = "../x"', "output folder must be", "6", None),
        ("[toy]\ngreeting = 3", "Bad `greeting` in [toy]", "6", None),
        ("[toy]\ngreting = 'x'", "Unknown key `greting` in [toy]", "6", "`greeting`"),
        ("x = = 3", "Not valid TOML", "5", None),
    ],
)  # fmt: skip
def test_an_error_in_the_workspace_file_names_its_line(
    toys: Callable[..., RuleRunner], extra: str, message: str, where: str, hint: str | None
) -> None:
    runner = toys(GOOD + extra + "\n", {"a.txt": "A", "sub/b.txt": "B"})
    error = fails(runner)
    assert message in error.message
    assert error.where == f"zerorepo.toml:{where}"
    if hint is not None:
        assert hint in (error.hint or "")


def test_a_build_file_holds_targets_only_and_is_named(toys: Callable[..., RuleRunner]) -> None:
    runner = toys("", {"app/BUILD.toml": "\n[targets]\nname = 'x'\n"})
    error = fails(runner)
    assert "Unknown section `targets`" in error.message
    assert error.where == "app/BUILD.toml:2"


def test_a_cycle_is_shown_as_a_path(toys: Callable[..., RuleRunner]) -> None:
    targets = "".join(
        f'[[target]]\nname = "{name}"\nrule = "cat"\ndeps = [":{dep}"]\n'
        for name, dep in [("c", "a"), ("a", "b"), ("b", "c"), ("top", "c")]
    )
    error = fails(toys(targets), "//:top")
    assert [line.split()[-1] for line in error.message.splitlines()[1:]] == ["//:a", "//:b", "//:c", "//:a"]
    assert error.where == "zerorepo.toml:5"


def test_a_target_may_not_need_itself(toys: Callable[..., RuleRunner]) -> None:
    error = fails(toys('[[target]]\nname = "a"\nrule = "cat"\ndeps = [":a"]\n'))
    assert error.message.count("//:a") == 2


def test_errors_in_packages_that_are_not_asked_for_do_not_matter(toys: Callable[..., RuleRunner]) -> None:
    runner = toys("", {"ok/BUILD.toml": GOOD, "ok/a.txt": "A", "bad/BUILD.toml": GOOD})
    assert runner.build_ok("//ok:x").ran == ["//ok:x"]


def test_an_unknown_target_or_package_on_the_command_line_is_an_error(toys: Callable[..., RuleRunner]) -> None:
    runner = toys("", {"app/BUILD.toml": GOOD, "app/a.txt": "A"})
    assert "`//app:x`" in (fails(runner, "//app:y").hint or "")
    assert "`//app`" in (fails(runner, "//ap/...").hint or "")
    assert runner.build_ok("//...", "-//app:all").ran == []


def test_folders_of_others_hold_no_targets(toys: Callable[..., RuleRunner]) -> None:
    files = {
        f"{folder}/{name}": text
        for folder in ("out", "venv", ".hidden", "inner")
        for name, text in (("BUILD.toml", GOOD), ("a.txt", "A"))
    }
    runner = toys('[workspace]\nexclude = ["venv"]\n' + GOOD, {**files, "a.txt": "A", "inner/zerorepo.toml": ""})
    assert runner.build_ok().ran == ["//:x"]
    for folder in ("out", "venv", ".hidden", "inner"):
        with pytest.raises(ZeroRepoError, match="nknown"):
            runner.build(f"//{folder}:x")


def test_a_setting_from_the_command_line_is_blamed_on_the_command_line(toys: Callable[..., RuleRunner]) -> None:
    runner = toys(GOOD, {"a.txt": "A"})
    with pytest.raises(ZeroRepoError) as caught:
        runner.build(overrides=["build.jobs=none"])
    assert caught.value.where == "--set build.jobs=none"
    with pytest.raises(ZeroRepoError, match="Bad --set"):
        runner.build(overrides=["jobs"])


def test_a_macro_stands_for_its_targets(toys: Callable[..., RuleRunner]) -> None:
    runner = toys('[[target]]\nname = "p"\nrule = "pair"\nsrcs = ["a.txt"]\n', {"a.txt": "A"})
    assert runner.build_ok("//:p").ran == ["//:p.inner", "//:p"]
    assert runner.outputs()["p"] == b"A"
