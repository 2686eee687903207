"""When nothing changed, a build is answered by looking at files; whatever changed, the engine decides."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest
from command import Command

from zerorepo import snapshot
from zerorepo.engine import BuildResult
from zerorepo.looked_at import Look
from zerorepo.store import Store

TARGETS = """
[[target]]
name = "a"
rule = "cat"
srcs = ["a.txt"]

[[target]]
name = "b"
rule = "cat"
deps = [":a", "//sub:c"]

[[target]]
name = "found"
rule = "ask"
patterns = ["sub/*.c", "more/**"]
maybe = "maybe.txt"
section = true
"""
SUB = """
[[target]]
name = "c"
rule = "cat"
srcs = ["c.txt"]
"""
BUILT = "4 targets built · nothing to do"


def old(root: Path) -> None:
    """Wait until what was just written is no longer too young to be trusted."""
    time.sleep(0.12)


def looked_only(command: Command, *args: str, verb: str = "build") -> bool:
    """Whether a build was answered without loading the engine."""
    argv = [sys.executable, "-X", "importtime", "-m", "zerorepo", verb, *(args or ("//...",))]
    done = subprocess.run(
        argv, cwd=command.root, env=command.env, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return "pydantic" not in done.stderr


@pytest.fixture
def built(tmp_path: Path) -> Command:
    """A workspace that was built once."""
    files = {"a.txt": "A", "sub/BUILD.toml": SUB, "sub/c.txt": "C", "sub/deep/x": "", "more/m": "M"}
    command = Command(tmp_path / "ws", TARGETS, files)
    old(command.root)
    assert command("build", "//...").code == 0
    return command


def test_the_build_after_a_build_that_ran_something_loads_no_engine(built: Command) -> None:
    assert looked_only(built)
    assert BUILT in built("build", "//...").err
    (built.root / "a.txt").write_text("B")
    old(built.root)
    assert "action" in built("build", "//...").err
    assert looked_only(built)
    assert BUILT in built("build", "//...").err


def test_it_says_what_the_engine_says(built: Command) -> None:
    built("build", "//...", "--json")
    shutil.rmtree(built.root / ".zerorepo/snapshots")
    by_engine = built("build", "//...", "--json").json()
    assert looked_only(built, "//...", "--json")
    by_looking = built("build", "//...", "--json").json()
    assert isinstance(by_looking.pop("wall_s"), float)
    del by_engine["wall_s"]
    assert by_looking == by_engine
    assert by_looking["targets"] == {"built": 4, "failed": 0, "skipped": 0}
    assert by_looking["actions"] == {"executed": 0, "cached": 0}


def test_quiet_says_nothing(built: Command) -> None:
    built("build", "//...", "--quiet")
    assert looked_only(built, "//...", "--quiet")
    said = built("build", "//...", "--quiet")
    assert (said.out, said.err) == ("", "")


def edit_source(root: Path) -> None:
    (root / "a.txt").write_text("B")


def edit_keeping_size_and_mtime(path: Path, text: str) -> None:
    before = path.stat()
    path.write_text(text)
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))


def edit_source_keeping_size_and_mtime(root: Path) -> None:
    edit_keeping_size_and_mtime(root / "a.txt", "B")


def edit_output_keeping_size_and_mtime(root: Path) -> None:
    edit_keeping_size_and_mtime(root / "out/b", "XY")


def swap_two_sources(root: Path) -> None:
    (root / "a.txt").rename(root / "spare")
    (root / "sub/c.txt").rename(root / "a.txt")
    (root / "spare").rename(root / "sub/c.txt")


def a_link_in_place_of_a_source(root: Path) -> None:
    (root / "a.txt").unlink()
    (root / "a.txt").symlink_to("sub/c.txt")


def delete_source_of_a_glob(root: Path) -> None:
    (root / "more/m").unlink()


def new_file_for_a_glob(root: Path) -> None:
    (root / "sub/new.c").write_text("")


def new_file_deep_in_a_glob(root: Path) -> None:
    (root / "more/folder").mkdir()
    (root / "more/folder/new").write_text("")


def file_that_was_asked_for_in_vain(root: Path) -> None:
    (root / "maybe.txt").write_text("now")


def delete_output(root: Path) -> None:
    (root / "out/b").unlink()


def delete_all_outputs(root: Path) -> None:
    shutil.rmtree(root / "out")


def edit_output(root: Path) -> None:
    (root / "out/b").write_text("mine")


def a_link_in_place_of_an_output(root: Path) -> None:
    (root / "out/b").rename(root / "out/spare")
    (root / "out/b").symlink_to("spare")


def change_mode_of_output(root: Path) -> None:
    (root / "out/b").chmod(0o755)


def edit_build_file(root: Path) -> None:
    (root / "sub/BUILD.toml").write_text(SUB + "# more\n")


def build_file_of_the_root(root: Path) -> None:
    (root / "BUILD.toml").write_text(SUB.replace('"c.txt"', '"a.txt"').replace('"c"', '"e"'))


def edit_settings(root: Path) -> None:
    path = root / "zerorepo.toml"
    path.write_text(path.read_text() + "\n[toy]\ngreeting = 'ho'\n")


def new_package(root: Path) -> None:
    (root / "sub/deep/BUILD.toml").write_text(SUB.replace('"c.txt"', '"x"'))


def delete_cache(root: Path) -> None:
    shutil.rmtree(root / ".zerorepo/cache")


def delete_database_of_the_cache(root: Path) -> None:
    for path in (root / ".zerorepo/cache").rglob("*.db"):
        path.unlink()


def delete_state(root: Path) -> None:
    shutil.rmtree(root / ".zerorepo/state")


def delete_everything_known(root: Path) -> None:
    shutil.rmtree(root / ".zerorepo")


def nested_workspace(root: Path) -> None:
    (root / "sub/zerorepo.toml").write_text("")


CHANGES = [
    edit_source,
    edit_source_keeping_size_and_mtime,
    swap_two_sources,
    a_link_in_place_of_a_source,
    delete_source_of_a_glob,
    new_file_for_a_glob,
    new_file_deep_in_a_glob,
    file_that_was_asked_for_in_vain,
    delete_output,
    delete_all_outputs,
    edit_output,
    edit_output_keeping_size_and_mtime,
    a_link_in_place_of_an_output,
    change_mode_of_output,
    edit_build_file,
    build_file_of_the_root,
    edit_settings,
    new_package,
    delete_cache,
    delete_database_of_the_cache,
    delete_state,
    delete_everything_known,
]


@pytest.mark.parametrize("change", CHANGES)
def test_whatever_changed_the_engine_decides(built: Command, change: Callable[[Path], None]) -> None:
    assert looked_only(built)
    change(built.root)
    assert not answers(built)


def answers(command: Command, *args: str) -> bool:
    """Whether a look is enough; asked in a process of its own, which builds nothing."""
    code = (
        "import sys; from zerorepo import snapshot; sys.path[0] = sys.argv.pop(1); print(snapshot.answer(sys.argv[1:]))"
    )
    argv = [sys.executable, "-c", code, str(command.root), "build", *(args or ("//...",))]
    done = subprocess.run(argv, cwd=command.root, env=command.env, capture_output=True, text=True, check=True)
    return done.stdout.strip() != "None"


def test_a_package_that_became_a_workspace_of_its_own_is_noticed(built: Command) -> None:
    nested_workspace(built.root)
    assert built("build", "//...").code == 2  # //:b needs //sub:c, which is not of this workspace any more


def test_a_cache_that_was_made_anew_is_not_the_one_that_was_looked_at(built: Command) -> None:
    delete_cache(built.root)
    old(built.root)
    assert built("build", "//:a").code == 0  # fills a cache with one target
    assert answers(built, "//:a")
    assert not answers(built)


def test_a_cache_from_which_something_was_taken_is_not_the_one_that_was_looked_at(built: Command) -> None:
    (folder,) = (path for path in (built.root / ".zerorepo/cache").iterdir() if path.is_dir())
    assert answers(built)
    store = Store(folder)
    store.forget(store.keys(b"t")[:1])
    store.close()
    assert not answers(built)
    assert not looked_only(built)
    assert looked_only(built)


def test_a_cache_that_cannot_be_marked_is_not_gone_by(tmp_path: Path) -> None:
    look, nowhere = Look(tmp_path, 0), SimpleNamespace(folder=tmp_path / "read-only")
    look.begin()
    look.begun(cast(Any, SimpleNamespace(shared=nowhere, local=nowhere)))
    assert look.at(cast(Any, None), BuildResult(), []) is None


def test_a_link_is_followed_and_its_own_change_is_seen(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", TARGETS.replace('"a.txt"', '"link"'), {"sub/BUILD.toml": SUB, "sub/c.txt": "C"})
    for name in ("one", "two"):
        command.write(f"other/{name}/text", name)
    (command.root / "way").symlink_to("other/one")
    (command.root / "link").symlink_to("way/text")
    old(command.root)
    assert command("build", "//...").code == 0
    assert looked_only(command)
    (command.root / "way").unlink()
    (command.root / "way").symlink_to("other/two")
    assert not answers(command)
    command("build", "//...")
    assert (command.root / "out/a").read_text() == "two"
    command.write("other/two/text", "three")
    assert not answers(command)


def test_a_checked_in_file_that_the_build_wrote_is_looked_at_in_turn(tmp_path: Path) -> None:
    targets = '[[target]]\nname = "keep"\nrule = "lock"\nsrc = "in"\n[[target]]\nname = "use"\nrule = "ask"\nmaybe = "toy.lock"\n'
    command = Command(tmp_path / "ws", targets, {"in": "text"})
    old(command.root)
    assert command("build", "//...").code == 0
    assert (command.root / "toy.lock").read_text() == "TEXT"
    if not answers(command):  # the file may have been read before it was written
        assert command("build", "//...").code == 0
    assert looked_only(command)
    before = (command.root / "toy.lock").stat()
    (command.root / "toy.lock").write_text("TEST")
    os.utime(command.root / "toy.lock", ns=(before.st_atime_ns, before.st_mtime_ns))
    assert not answers(command)
    assert command("build", "//...").code == 0
    assert (command.root / "toy.lock").read_text() == "TEXT"


def test_an_edited_output_is_told_about_each_time(built: Command) -> None:
    edit_output(built.root)
    old(built.root)
    for _ in range(2):
        assert "kept your edit of out/b" in built("build", "//...").err


def test_a_revert_is_answered_by_looking_too(built: Command) -> None:
    for text in ("B", "A"):
        (built.root / "a.txt").write_text(text)
        old(built.root)
        built("build", "//...")
    built("build", "//...")
    assert looked_only(built)


def test_the_settings_of_the_command_line_have_their_own_answer(built: Command) -> None:
    said = ("//...", "--set", "toy.greeting=ho")
    assert not looked_only(built, *said)
    assert looked_only(built, *said)
    assert not answers(built)  # for the output is now that of the other setting
    assert not looked_only(built)
    assert "hello" in (built.root / "out/found").read_text()


def test_another_folder_can_be_named(built: Command) -> None:
    def build() -> str:
        argv = built.argv("-C", "sub", "build", ":c")
        done = subprocess.run(argv, cwd=built.root, env=built.env, capture_output=True, text=True, check=True)
        return done.stderr

    assert "1 target built · nothing to do" in build()
    snapshots = len(list((built.root / ".zerorepo/snapshots").iterdir()))
    assert snapshots == 2
    assert "1 target built · nothing to do" in build()


def test_where_the_cache_is_may_depend_on_the_environment(tmp_path: Path) -> None:
    settings = TARGETS + "[cache]\ndir = '$TOYS/cache'\n"
    command = Command(tmp_path / "ws", settings, {"a.txt": "A", "sub/BUILD.toml": SUB, "sub/c.txt": "C"})
    command.env["TOYS"] = str(tmp_path / "one")
    old(command.root)
    assert command("build", "//...").code == 0
    assert looked_only(command)
    command.env["TOYS"] = str(tmp_path / "two")
    assert not answers(command)


def test_code_of_the_workspace_and_of_the_search_path_counts(tmp_path: Path) -> None:
    plugins = tmp_path / "plugins"
    plugins.mkdir()
    shutil.copy(Path(__file__).parents[1] / "toy_rules.py", plugins)
    command = Command(tmp_path / "ws", TARGETS, {"a.txt": "A", "sub/BUILD.toml": SUB, "sub/c.txt": "C"})
    command.env |= {"PYTHONPATH": f"{plugins}:{os.environ.get('PYTHONPATH', '')}", "PYTHONDONTWRITEBYTECODE": "1"}
    old(command.root)
    assert command("build", "//...").code == 0
    assert looked_only(command)
    (plugins / "more-1.dist-info").mkdir()
    assert not answers(command)
    old(command.root)
    assert not looked_only(command)
    assert looked_only(command)
    with (plugins / "toy_rules.py").open("a") as file:
        file.write("# changed\n")
    assert not answers(command)


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONHOME"])
def test_a_search_path_of_the_environment_counts(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(snapshot.posix, "environ", {})
    without = snapshot.key_of(["build"], "/ws")
    monkeypatch.setattr(snapshot.posix, "environ", {name.encode(): b"/elsewhere"})
    assert without != snapshot.key_of(["build"], "/ws")


@pytest.mark.parametrize("attribute", ["version", "executable"])
def test_another_python_counts(attribute: str, monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot.key_of(["build"], "/ws")
    monkeypatch.setattr(sys, attribute, "another")
    assert before != snapshot.key_of(["build"], "/ws")


def test_another_version_of_zerorepo_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    before = snapshot.key_of(["build"], "/ws")
    monkeypatch.setattr(snapshot, "__version__", "99")
    assert before != snapshot.key_of(["build"], "/ws")


@pytest.mark.parametrize(
    "line",
    [
        "build //... --dry-run",
        "build -n",
        "build --events e",
        "build --profile=p",
        "build --watch",
        "query //...",
        "clean",
        "version",
        "--debug query build",
        "",
        "build --help",
    ],
)
def test_what_asks_for_more_than_a_look_is_not_answered(line: str) -> None:
    assert snapshot.key_of(line.split(), "/ws") is None


def damage(data: bytes) -> bytes:
    return data[: len(data) // 2] + bytes([data[len(data) // 2] ^ 0x40]) + data[len(data) // 2 + 1 :]


def truncate(data: bytes) -> bytes:
    return data[: len(data) // 2]


def foreign(data: bytes) -> bytes:
    return b"not one of ours, " * 9


def empty(data: bytes) -> bytes:
    return b""


@pytest.mark.parametrize("change", [damage, truncate, foreign, empty])
def test_a_damaged_snapshot_is_as_good_as_none(built: Command, change: Callable[[bytes], bytes]) -> None:
    for path in (built.root / ".zerorepo/snapshots").iterdir():
        path.write_bytes(change(path.read_bytes()))
    assert not looked_only(built)
    assert looked_only(built)


def test_snapshots_do_not_pile_up(built: Command) -> None:
    folder = built.root / ".zerorepo/snapshots"
    for name in ("58b659057b96a7ac", "6b744814", ".12345", *map(str, range(20))):
        (folder / name).write_bytes(b"of another time")
        os.utime(folder / name, (1e9, 1e9))
    assert not looked_only(built, "//:a")
    assert len(list(folder.iterdir())) == snapshot.MOST
    assert looked_only(built, "//:a")
    assert looked_only(built)


def test_a_read_only_workspace_is_built_all_the_same(built: Command) -> None:
    folder = built.root / ".zerorepo/snapshots"
    shutil.rmtree(folder)
    folder.write_text("in the way")
    assert built("build", "//...").code == 0


def test_another_command_line_has_another_answer(built: Command) -> None:
    assert not looked_only(built, "//:a")
    assert looked_only(built, "//:a")
    assert "1 target built" in built("build", "//:a").err


def test_verdicts_are_answered_by_looking_too(tmp_path: Path) -> None:
    targets = '[[target]]\nname = "t"\nrule = "judge_test"\nsrc = "said"\n'
    command = Command(tmp_path / "ws", targets, {"said": "good"})
    old(command.root)
    first = command("test", "//...")
    assert (first.code, first.out) == (0, "PASSED //:t (1 test)\n")
    assert looked_only(command, verb="test")
    again = command("test", "//...")
    assert again.out == first.out
    assert "1 of 1 test target passed" in again.err
    assert command("test", "//...", "--json").json()["tests"] == command("test", "//...", "--json").json()["tests"]
    (command.root / "said").write_text("evil")
    old(command.root)
    for _ in range(2):
        assert command("test", "//...").code == 3


def test_a_volatile_or_failing_build_is_never_answered_by_looking(tmp_path: Path) -> None:
    command = Command(tmp_path / "ws", '[[target]]\nname = "t"\nrule = "tick"\n')
    for _ in range(3):
        assert command("build", "//...").code == 0
        old(command.root)
    assert not looked_only(command)
