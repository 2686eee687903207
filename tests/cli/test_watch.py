"""``build --watch`` builds again for every change that matters, and for none that does not."""

from __future__ import annotations

import shutil
import subprocess
import time
from pathlib import Path

import pytest
from command import PLUGINS, Command
from watching import CAT, FILES, GLOB, Watching, output, wait_until


def test_a_changed_source_is_built_and_named(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command) as watching:
        watching.settled()
        assert output(command, "a") == "A"
        command.write("a.txt", "B")
        assert "a.txt changed, building" in watching.settled()[0]
        assert output(command, "a") == "B"
        watching.quiet(2)


def test_what_changes_during_a_build_is_built_right_after(tmp_path: Path) -> None:
    slow = '[[target]]\nname = "s"\nrule = "slow"\nseconds = 2\ndeps = [":a"]\n'
    command = Command(tmp_path / "ws", CAT + slow, FILES)
    with Watching(command) as watching:
        wait_until(lambda: (command.root / "out/a").exists())
        command.write("a.txt", "B")
        watching.settled()
        assert "a.txt changed, building" in watching.settled()[0]
        assert output(command, "a") == "B"


def test_files_that_come_and_go_in_new_folders_are_seen(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", GLOB, {"data/a.txt": ""})
    with Watching(command) as watching:
        watching.settled()
        command.write("data/new/deep/b.txt", "")
        watching.settled()
        assert output(command, "names") == "data/a.txt data/new/deep/b.txt"
        command.write("data/new/deep/c.txt", "")  # in a folder that was not there when the watch began
        watching.expect("data/new/deep/c.txt added")
        watching.settled()
        shutil.rmtree(command.root / "data/new")
        watching.expect("removed, building")
        watching.settled()
        assert output(command, "names") == "data/a.txt"


def test_a_save_by_renaming_is_one_build(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command) as watching:
        watching.settled()
        for text in ("B", "C"):
            (command.root / "a.txt").rename(command.root / "a.txt~")
            command.write(".a.txt.swp", text)
            (command.root / ".a.txt.swp").rename(command.root / "a.txt")
            lines = watching.until_idle()
            assert sum("building" in line for line in lines) == 1, lines
            assert output(command, "a") == text


def test_a_checkout_of_many_files_is_one_build(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", GLOB + CAT, {"data/a.txt": "", **FILES})

    def git(*args: str) -> None:
        subprocess.run(
            ["git", "-c", "user.name=x", "-c", "user.email=x@x", *args],
            cwd=command.root,
            check=True,
            capture_output=True,
        )

    command.write(".gitignore", ".zerorepo\nout\n")
    git("init", "-b", "one")
    git("add", ".")
    git("commit", "-m", "one")
    git("checkout", "-b", "two")
    for number in range(400):
        command.write(f"data/{number % 20}/{number}.txt", "x")
    command.write("a.txt", "two")
    git("add", ".")
    git("commit", "-m", "two")
    git("checkout", "one")
    with Watching(command) as watching:
        watching.settled()
        git("checkout", "two")
        lines = watching.until_idle()
        assert sum("building" in line for line in lines) == 1, lines
        assert "and 398 more changed, building" in lines[0]
        assert output(command, "a") == "two"
        assert len(output(command, "names").split()) == 401


def test_nothing_that_the_build_itself_writes_makes_it_build_again(tmp_path: Path) -> None:
    targets = CAT + '[[target]]\nname = "l"\nrule = "lock"\nsrc = "a.txt"\n' + GLOB
    targets += '[[target]]\nname = "t"\nrule = "tick"\n'
    command = Command(tmp_path / "ws", targets, {**FILES, "data/x.txt": ""})
    with Watching(command) as watching:
        watching.settled()
        watching.quiet(3.5)
        command.write("a.txt", "b")
        watching.settled()
        watching.quiet(3.5)
        assert (command.root / "toy.lock").read_text() == "B"


def test_what_no_target_looks_at_is_of_no_concern(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT + "[cache]\ndir = 'kept'\n", {**FILES, "notes.md": ""})
    with Watching(command) as watching:
        watching.settled()
        for path in (
            "notes.md",
            "new.md",
            ".git/index",
            "__pycache__/x.pyc",
            ".zerorepo/mine",
            "kept/mine",
            "out/mine",
        ):
            command.write(path, "x")
        watching.quiet(3.5)
        command.write("a.txt", "B")
        watching.settled()


def test_an_output_that_is_edited_or_deleted_is_looked_at(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command) as watching:
        watching.settled()
        command.write("out/a", "mine")
        # Twice when the first look fell between the new file and its text; then it rests.
        said = watching.until_idle()
        assert any("kept your edit of" in line and "a (" in line for line in said)
        assert sum(line.endswith(", building") for line in said) <= 2
        (command.root / "out/a").unlink()
        watching.settled()
        assert output(command, "a") == "A"
        watching.quiet(3)


@pytest.mark.parametrize("name", ["zerorepo.toml", "sub/BUILD.toml"])
def test_an_invalid_configuration_is_told_and_the_last_good_one_is_kept(tmp_path: Path, name: str) -> None:
    command = Command(tmp_path / "ws", CAT, {**FILES, "sub/BUILD.toml": CAT.replace('"a"', '"c"'), "sub/a.txt": "C"})
    good = (command.root / name).read_text()
    with Watching(command) as watching:
        watching.settled()
        command.write(name, good + "[[target]\n")
        lines = watching.settled()
        assert any(f"at {name}:" in line for line in lines), lines
        assert any("the configuration is not valid: keeping that of" in line for line in lines), lines
        command.write("a.txt", "B")
        watching.settled()
        assert output(command, "a") == "B"
        assert command("build", "//...").code == 2  # no snapshot of a kept configuration answers for the real one
        command.write(name, good.replace('"a.txt"', '"new.txt"'))
        command.write("new.txt" if name == "zerorepo.toml" else "sub/new.txt", "N")
        while "done, waiting" not in watching.settled()[-1]:
            pass
        assert output(command, "a" if name == "zerorepo.toml" else "sub/c") == "N"


def test_a_source_that_the_new_configuration_waits_for_makes_it_valid(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command) as watching:
        watching.settled()
        command.write("zerorepo.toml", PLUGINS + CAT.replace("a.txt", "new.txt"))
        watching.expect("keeping that of")
        watching.settled()
        command.write("a.txt", "B")
        assert "done by the configuration of" in watching.settled()[-1]
        command.write("new.txt", "N")
        assert "done, waiting" in watching.settled()[-1]
        assert output(command, "a") == "N"


def test_a_watch_that_begins_with_a_broken_configuration_waits_for_a_good_one(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT + "x = [", FILES)
    with Watching(command) as watching:
        assert "nothing built" in watching.settled()[-1]
        command.write("zerorepo.toml", PLUGINS + CAT)
        assert "done" in watching.settled()[-1]


def test_targets_that_come_and_go_with_build_files_are_built_and_removed(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, FILES)
    with Watching(command) as watching:
        watching.settled()
        command.write("new/a.txt", "N")
        command.write("new/BUILD.toml", CAT)
        watching.expect("building")
        watching.settled()
        wait_until(lambda: (command.root / "out/new/a").exists())
        (command.root / "new/BUILD.toml").unlink()
        watching.expect("new/BUILD.toml removed")
        watching.settled()
        assert not (command.root / "out/new/a").exists()


PLUGIN = """
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, rule

@rule("hello", attrs=Attrs, version=1)
async def hello(ctx):
    ctx.output("hello", b"TEXT")

RULE_SET = RuleSet(name="mine", rules={"hello": "my_plugin:hello"})
"""


def test_a_changed_plugin_is_loaded_anew(tmp_path: Path) -> None:
    files = {
        "my_plugin.py": PLUGIN,
        "zerorepo.toml": '[workspace]\nplugins = ["my_plugin"]\n[[target]]\nname = "h"\nrule = "hello"\n',
    }
    command = Command(tmp_path / "ws", "", files)
    with Watching(command) as watching:
        watching.settled()
        for number in range(2, 5):  # of one size, and perhaps within one second
            command.write(
                "my_plugin.py", PLUGIN.replace("TEXT", f"TEX{number}").replace("version=1", f"version={number}")
            )
            assert "my_plugin.py changed" in watching.settled()[0]
            assert output(command, "hello") == f"TEX{number}"
        command.write("my_plugin.py", "def")
        assert any("my_plugin" in line and "SyntaxError" in line for line in watching.settled())
        command.write("my_plugin.py", PLUGIN)
        assert "done" in watching.settled()[-1]
        assert output(command, "hello") == "TEXT"


WRITES_ITS_SOURCE = """
import pathlib, time
from zerorepo.plugins import RuleSet
from zerorepo.rule import Attrs, rule

@rule("loop", attrs=Attrs)
async def loop(ctx):
    await ctx.source("log.txt")
    pathlib.Path("log.txt").write_text(str(time.time_ns()))

RULE_SET = RuleSet(name="mine", rules={"loop": "my_loop:loop"})
"""


def test_a_rule_that_writes_its_own_source_is_slowed_down_and_told_of(tmp_path: Path) -> None:
    files = {
        "my_loop.py": WRITES_ITS_SOURCE,
        "log.txt": "",
        "zerorepo.toml": '[workspace]\nplugins = ["my_loop"]\n[[target]]\nname = "h"\nrule = "loop"\n',
    }
    command = Command(tmp_path / "ws", "", files)
    with Watching(command) as watching:
        watching.expect("log.txt changed again; as each build may be what changes it, the next begins in 2 s")
        watching.expect("the next begins in 4 s")
        began = time.monotonic()
        watching.expect("building")
        assert time.monotonic() - began > 3


def test_tests_are_watched_too(tmp_path: Path) -> None:
    command = Command(
        tmp_path / "ws", '[[target]]\nname = "j"\nrule = "judge_test"\nsrc = "a.txt"\n', {"a.txt": "good"}
    )
    with Watching(command, "test") as watching:
        assert "PASSED //:j (1 test)" in watching.settled()
        command.write("a.txt", "bad")
        assert "tests failed, waiting for changes" in watching.settled()[-1]
        command.write("a.txt", "good")
        assert "done, waiting for changes" in watching.settled()[-1]


def test_a_folder_and_patterns_relative_to_it_are_those_of_the_command_line(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", CAT, {**FILES, "sub/BUILD.toml": CAT, "sub/a.txt": "S"})
    with Watching(command, "build", "-C", "sub", ":a") as watching:
        watching.settled()
        assert output(command, "sub/a") == "S"
        assert not (command.root / "out/a").exists()
        command.write("a.txt", "B")  # of another target
        watching.quiet(3)


@pytest.mark.parametrize("args", [["--json"], ["--jobs", "0"], ["//a:b:c"], ["--no-such-flag"]])
def test_a_command_line_that_cannot_work_ends_at_once(tmp_path: Path, args: list[str]) -> None:
    assert Command(tmp_path / "ws", CAT, FILES)("build", "--watch", *args).code == 2


def test_there_must_be_a_workspace(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws")
    (command.root / "zerorepo.toml").unlink()
    assert command("build", "--watch").code == 2
