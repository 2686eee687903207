"""init, clean, explain, info, completion."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
from command import PLUGINS, Command

TARGETS = '[[target]]\nname = "x"\nrule = "cat"\nsrcs = ["a"]\n[[target]]\nname = "y"\nrule = "cat"\ndeps = [":x"]\n'


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    return Command(tmp_path / "ws", TARGETS, {"a": "A"})


def test_init_makes_a_workspace_that_builds(tmp_path: Path) -> None:
    run = Command(tmp_path / "elsewhere")
    assert run("init", str(tmp_path / "new"), "--template", "empty").code == 0
    assert run("-C", str(tmp_path / "new"), "build").code == 0
    assert "empty" in run("init", "--template", "list").out.split()
    unknown = run("init", str(tmp_path / "other"), "--template", "emty")
    assert unknown.code == 2
    assert "`empty`" in unknown.err or "list" in unknown.err
    assert not (tmp_path / "other").exists()


def test_init_replaces_nothing_without_force_and_backs_up_with_it(ws: Command) -> None:
    before = (ws.root / "zerorepo.toml").read_text()
    assert ws("init", ".", "-t", "empty").code == 2
    assert (ws.root / "zerorepo.toml").read_text() == before
    for number in (1, 2):
        assert ws("init", ".", "-t", "empty", "--force").code == 0
        assert (ws.root / f"zerorepo.toml.bak-{number}").exists()
    assert (ws.root / "zerorepo.toml.bak-1").read_text() == before


def test_clean_removes_what_was_built_and_nothing_else(ws: Command) -> None:
    ws("build")
    ws.write("out/y", "edit")
    ws.write("out/own", "own")
    answer = ws("clean")
    assert answer.code == 0
    assert answer.out == "removed 1 output\n"
    assert "kept out/y: it was edited" in answer.err
    assert sorted(path.name for path in (ws.root / "out").iterdir()) == ["own", "y"]
    assert ws("build", "--json").json()["actions"]["executed"] == 0
    assert (ws.root / "out/x").exists()


def test_clean_expunge_removes_the_cache_too(ws: Command) -> None:
    ws("build")
    assert ws("clean", "--expunge").code == 0
    assert not (ws.root / ".zerorepo").exists()
    assert ws("build", "--json").json()["actions"]["executed"] == 1  # y's content is that of x


def test_explain_names_the_differing_input(ws: Command) -> None:
    assert "it has not been built before" in ws("explain", "//:x").out
    ws("build")
    assert ws("explain", "//:x").out.startswith("//:x: hit\n")
    ws.write("a", "B")
    body = ws("explain", "//:x", "--json").json()
    assert body["verdict"] == "would run"
    assert [(d["kind"], d["name"]) for d in body["differences"]] == [("source", "a")]
    assert [change["field"] for change in body["actions"][0]["changes"]] == ["parts[0]"]
    dependent = ws("explain", "//:y", "--json").json()
    assert dependent["verdict"].startswith("may run")
    assert dependent["waits_for"].keys() == {"//:x"}


def test_explain_names_a_changed_attribute(ws: Command) -> None:
    ws("build")
    ws.write("zerorepo.toml", PLUGINS + TARGETS.replace('name = "x"', 'name = "x"\nfirst = true'))
    assert "attribute attrs.first: false -> true" in ws("explain", "//:x").out


def test_explain_changes_nothing(ws: Command) -> None:
    ws("explain", "//:x")
    assert not (ws.root / ".zerorepo").exists()


def test_info_tells_of_the_workspace(ws: Command) -> None:
    body = ws("info", "--json").json()
    assert body["workspace"] == str(ws.root.resolve())
    assert "cat" in body["rule_sets"]["toys"]
    assert "toys" in ws("info").out
    assert not (ws.root / ".zerorepo").exists()


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_is_a_script_that_the_shell_accepts(ws: Command, shell: str, tmp_path: Path) -> None:
    answer = ws("completion", shell)
    assert answer.code == 0
    assert "_ZEROREPO_COMPLETE" in answer.out
    if shutil.which(shell):
        (tmp_path / "script").write_text(answer.out)
        subprocess.run([shell, "-n", str(tmp_path / "script")], check=True, capture_output=True)


@pytest.mark.skipif(not shutil.which("bash"), reason="needs bash")
def test_bash_completes_commands(ws: Command) -> None:
    env = {**ws.env, "_ZEROREPO_COMPLETE": "complete_bash", "COMP_WORDS": "zerorepo bu", "COMP_CWORD": "1"}
    zerorepo = shutil.which("zerorepo", path=str(Path(ws.argv()[0]).parent)) or "zerorepo"
    done = subprocess.run([zerorepo], env=env, cwd=ws.root, capture_output=True, text=True, check=False)
    assert done.stdout.split() == ["build"]


def test_explain_shows_the_lines_of_a_source_that_changed(ws: Command) -> None:
    ws.write("a", "one\ntwo\nthree\n")
    ws("build")
    ws.write("a", "one\nzwei\nthree\n")
    body = ws("explain", "//:x", "--json").json()
    assert body["differences"][0]["diff"] == [
        "--- a (as built)",
        "+++ a",
        "@@ -1,3 +1,3 @@",
        " one",
        "-two",
        "+zwei",
        " three",
    ]
    assert body["actions"][0]["changes"][0]["diff"][2:] == body["differences"][0]["diff"][2:]
    text = ws("explain", "//:x").out
    assert text.count("-two") == 1
    assert "parts[0]: as above" in text


def test_explain_shows_what_changed_in_an_output_of_a_dependency(ws: Command) -> None:
    ws.write("a", "one\ntwo\n")
    ws("build")
    ws.write("a", "one\nzwei\n")
    ws("build", "//:x")
    body = ws("explain", "//:y", "--json").json()
    (difference,) = body["differences"]
    assert (difference["kind"], difference["name"]) == ("provider", "//:x Outputs")
    assert [line.strip() for line in difference["diff"]][-2:] == ["-two", "+zwei"]
    assert difference["diff"][0].startswith("files['x']: ")


def test_explain_names_the_key_of_a_setting(ws: Command) -> None:
    asked = '[[target]]\nname = "q"\nrule = "ask"\nsection = true\n'
    ws.write("zerorepo.toml", f'{PLUGINS}[toy]\ngreeting = "hi"\nnote = "n"\n\n{asked}')
    ws("build")
    ws.write("zerorepo.toml", f'{PLUGINS}[toy]\ngreeting = "ho"\nnote = "m"\n\n{asked}')
    assert '  because setting [toy] greeting: "hi" -> "ho"\n' in ws("explain", "//:q").out


def test_explain_answers_for_a_removed_target_and_near_misses(ws: Command) -> None:
    ws("build")
    ws.write("zerorepo.toml", PLUGINS + TARGETS.replace('name = "x"', 'name = "w"').replace(":x", ":w"))
    body = ws("explain", "//:x", "--json").json()
    assert body["verdict"].startswith("removed")
    assert body["reasons"] == ["its output out/x is removed by the next build, unless it was edited"]
    unknown = ws("explain", "//:ww")
    assert (unknown.code, "did you mean `//:w`" in unknown.err) == (2, True)
    ws.write("out/x", "edit")
    ws("build")
    assert ws("explain", "//:x").code == 0
    assert (ws.root / "out/x").read_text() == "edit"


def test_explain_answers_for_a_target_of_an_expansion_that_must_run_first(ws: Command) -> None:
    plan = '[[target]]\nname = "plan"\nrule = "planned"\nplan = ":first"\n'
    ws.write("zerorepo.toml", PLUGINS + '[[target]]\nname = "first"\nrule = "cat"\nsrcs = ["f"]\n' + plan)
    ws.write("f", "one a\n")
    ws("build")
    assert ws("explain", "//gen:one").out.startswith("//gen:one: hit\n")
    ws.write("f", "one a\ntwo a\n")
    body = ws("explain", "//gen:one", "--json").json()
    assert body["verdict"].startswith("may run")
    assert body["reasons"] == ["//:plan declared it when last built, and has to be built again first"]
    assert body["waits_for"].keys() == {"//:first"}
    assert ws("explain", "//gen:two", "--json").json()["reasons"] == [
        "whether there is such a target, //:plan will say"
    ]


def test_explain_says_why_a_target_cannot_be_built(ws: Command) -> None:
    refuse = '[[target]]\nname = "no"\nrule = "refuse"\n'
    ws.write("zerorepo.toml", PLUGINS + refuse)
    body = ws("explain", "//:no", "--json").json()
    assert body["verdict"] == "fails"
    assert "this rule never succeeds" in body["reasons"][-1]


def test_explain_tells_of_an_adoption(ws: Command) -> None:
    ws("build")
    ws.write("out/x", "mine")
    ws("adopt", "//:x")
    text = ws("explain", "//:x").out
    assert "  x was adopted: its source is adopted/x (zerorepo.adopted.toml:5)\n" in text
    assert "because attribute adopted" in text
    assert ws("explain", "//:x", "--json").json()["adopted"]["files"] == {"x": "adopted/x"}
