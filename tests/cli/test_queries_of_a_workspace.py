"""``query``, ``aquery`` and ``explain`` in a workspace: its own functions, the kept graph, pictures, errors."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import time
from pathlib import Path

import pytest
from command import Command

TARGETS = """
[[target]]
name = "low"
rule = "cat"
srcs = ["a.txt"]

[[target]]
name = "high"
rule = "cat"
srcs = ["b.txt"]
deps = [":low"]

[[target]]
name = "judge"
rule = "judge_test"
src = "verdict.txt"

[[target]]
name = "made"
rule = "cat"
srcs = ["plan.txt"]

[[target]]
name = "plan"
rule = "planned"
plan = ":made"
"""
FILES = {
    "a.txt": "A",
    "b.txt": "B",
    "verdict.txt": "good",
    "plan.txt": "one a.txt\n",
    "sub/BUILD.toml": '[[target]]\nname = "own"\nrule = "cat"\nsrcs = ["s.txt"]\ndeps = ["//:low"]\n',
    "sub/s.txt": "S",
}


@pytest.fixture
def ws(tmp_path: Path) -> Command:
    command = Command(tmp_path / "ws", TARGETS, FILES)
    time.sleep(0.1)  # until the state of what was just written can be trusted
    return command


def labels(ws: Command, expression: str, *options: str) -> list[str]:
    answer = ws("query", expression, "--order", "no", *options)
    assert answer.code == 0, answer.err
    return answer.out.split()


def test_stale_is_what_a_build_would_run_and_what_waits_for_it(ws: Command) -> None:
    assert "//:low" in labels(ws, "stale(//...)")
    assert not (ws.root / "out").exists()
    assert ws("build", "//...").code == 0
    assert labels(ws, "stale(//...)") == []
    ws.write("b.txt", "other")
    assert labels(ws, "stale(//...)") == ["//:high"]
    ws.write("a.txt", "other")
    assert labels(ws, "stale(//:all)") == ["//:high", "//:low"]
    assert labels(ws, "stale(//...) ^ //sub/...") == ["//sub:own"]


def test_stale_agrees_with_a_dry_run(ws: Command) -> None:
    assert ws("build", "//...").code == 0
    for path, text in (("a.txt", "other"), ("plan.txt", "one b.txt\n"), ("verdict.txt", "bad")):
        ws.write(path, text)
        for patterns in ("//...", "//:high"):
            dry = ws("build", patterns, "--dry-run", "--json")
            assert dry.code == 0, dry
            would = dry.json()
            answer = ws("query", f"stale({patterns})")
            wanted = set(labels(ws, patterns))
            assert set(answer.out.split()) == {*would["would_run"], *would["may_run"]} & wanted
            waiting = len(set(would["may_run"]) & wanted)
            assert (f"note: {waiting} of " in answer.err) == bool(waiting)


def test_failed_is_what_failed_last_until_it_is_well(ws: Command) -> None:
    ws.write("b.txt", "!fail")
    ws.write("verdict.txt", "bad")
    ws("build", "//...", "--keep-going")
    assert labels(ws, "failed(//...)") == ["//:high", "//:judge"]
    ws.write("b.txt", "B")
    ws.write("verdict.txt", "good")
    assert labels(ws, "failed(//...)") == ["//:high", "//:judge"]  # nobody has built it since
    assert ws("build", "//:high").code == 0
    assert labels(ws, "failed(//...)") == ["//:judge"]
    assert ws("build", "//...").code == 0
    assert labels(ws, "failed(//...)") == []


def git(ws: Command, *arguments: str) -> None:
    who = ("-c", "user.name=x", "-c", "user.email=x@example.org")
    subprocess.run(["git", "-C", str(ws.root), *who, *arguments], check=True, capture_output=True)


def test_changed_since_names_files_and_changed_declarations(ws: Command) -> None:
    assert "no git repository" in ws("query", "changed_since(HEAD)").err
    git(ws, "init", "-q")
    git(ws, "add", "-A")
    git(ws, "commit", "-qm", "first")
    assert labels(ws, "changed_since(HEAD)") == []
    ws.write("a.txt", "other")
    assert labels(ws, "changed_since(HEAD)") == ["//:a.txt"]
    assert labels(ws, "rdeps(//..., changed_since(HEAD)) ^ //sub/...") == ["//sub:own"]
    git(ws, "commit", "-qam", "second")
    assert labels(ws, "changed_since(HEAD)") == []
    assert labels(ws, "changed_since('HEAD~1')") == ["//:a.txt"]
    ws.write("sub/BUILD.toml", FILES["sub/BUILD.toml"].replace('deps = ["//:low"]\n', ""))
    assert labels(ws, "changed_since(HEAD)") == ["//sub:BUILD.toml", "//sub:own"]
    wrong = ws("query", "//:low + changed_since('--output=x')")
    assert (wrong.code, wrong.err.splitlines()[2].index("^")) == (7, 2 + 23)


def test_changed_since_names_who_asked_for_changed_settings(ws: Command) -> None:
    asking = '\n[[target]]\nname = "asking"\nrule = "ask"\nsection = true\n'
    ws.write("zerorepo.toml", '[workspace]\nplugins = ["toy_rules"]\n\n[toy]\ngreeting = "a"\n' + TARGETS + asking)
    git(ws, "init", "-q")
    git(ws, "add", "-A")
    git(ws, "commit", "-qm", "first")
    assert ws("build", "//:asking", "//:low").code == 0
    text = (ws.root / "zerorepo.toml").read_text()
    ws.write("zerorepo.toml", text.replace('greeting = "a"', 'greeting = "b"'))
    assert labels(ws, "kind(rule, changed_since(HEAD))") == ["//:asking"]
    ws.write("zerorepo.toml", text.replace('greeting = "a"', 'greeting = "a"  # the same'))
    assert labels(ws, "kind(rule, changed_since(HEAD))") == []


def test_owner_of_a_file_is_who_reads_makes_or_is_declared_in_it(ws: Command) -> None:
    assert ws("build", "//...").code == 0
    assert labels(ws, "owner_of(a.txt)") == ["//:low", "//gen:one"]
    assert labels(ws, "owner_of(out/high)") == ["//:high"]
    assert labels(ws, "owner_of(sub/s.txt)") == ["//sub:own"]
    assert ws("query", "owner_of(s.txt)", cwd="sub").out == "//sub:own\n"
    assert labels(ws, "owner_of('//sub:s.txt')") == ["//sub:own"]
    assert labels(ws, "owner_of(sub/BUILD.toml)") == ["//sub:own"]
    ws.write("nobodys.txt", "")
    assert labels(ws, "owner_of(nobodys.txt)") == []
    wrong = ws("query", "owner_of(a.tx)")
    assert wrong.code == 7
    assert wrong.err.splitlines()[2].index("^") == 2 + 9
    assert "did you mean `a.txt`" in wrong.err


def test_an_expansion_that_is_not_built_is_named_and_not_built(ws: Command) -> None:
    answer = ws("query", "//...")
    assert (answer.code, "//gen:one" in answer.out) == (0, False)
    assert "`zerorepo build //:plan`" in answer.err
    assert not (ws.root / "out").exists()
    assert not (ws.root / ".zerorepo/cache").exists()
    assert ws("build", "//...").code == 0
    assert ws("query", "//gen:one").out == "//gen:one\n"
    assert ws("query", "//...").err == ""


def kept(ws: Command) -> list[Path]:
    return list((ws.root / ".zerorepo/query").glob("[0-9a-f]*"))


def test_the_kept_graph_answers_and_is_never_stale(ws: Command) -> None:
    before = labels(ws, "deps(//...)")
    (file,) = kept(ws)
    first = file.stat().st_ino
    assert labels(ws, "deps(//...)") == before
    assert file.stat().st_ino == first, "it was made again though nothing had changed"
    ws.write("sub/BUILD.toml", FILES["sub/BUILD.toml"] + '[[target]]\nname = "more"\nrule = "cat"\n')
    assert "//sub:more" in labels(ws, "//...")
    ws.write("new/BUILD.toml", '[[target]]\nname = "n"\nrule = "cat"\n')
    assert "//new:n" in labels(ws, "//...")
    shutil.rmtree(ws.root / "new")
    assert "//new:n" not in labels(ws, "//...")
    assert ws("build", "//...").code == 0
    assert "//gen:one" in labels(ws, "//...")  # what builds remember is part of it
    ws.write("plan.txt", "two a.txt\n")
    assert "//gen:one" not in labels(ws, "//...")
    assert ws("build", "//...").code == 0
    assert "//gen:two" in labels(ws, "//...")


def test_every_answer_of_the_kept_graph_is_that_of_a_new_one(ws: Command) -> None:
    assert ws("build", "//...").code == 0
    time.sleep(0.1)
    for expression in (
        "attr(srcs, a.txt, //...)",
        "labels(deps, //...)",
        "kind(cat, //...)",
        "allpaths(//sub:own, //:a.txt)",
    ):
        for output in ("label", "label_kind", "build", "xml", "jsonl", "location", "tree"):
            shutil.rmtree(ws.root / ".zerorepo/query", ignore_errors=True)
            new = ws("query", expression, "-o", output)
            assert new.out
            assert kept(ws)
            assert ws("query", expression, "-o", output) == new


@pytest.mark.parametrize("damage", [b"", b"\0" * 50, None])
def test_a_damaged_graph_is_made_again(ws: Command, damage: bytes | None) -> None:
    before = labels(ws, "deps(//...)")
    (file,) = kept(ws)
    data = file.read_bytes()
    file.write_bytes(data[: len(data) // 2] + b"x" + data[len(data) // 2 + 1 :] if damage is None else damage)
    assert labels(ws, "deps(//...)") == before
    assert file.read_bytes()[:8] == data[:8] or len(file.read_bytes()) > 50


def test_settings_given_on_the_command_line_have_a_graph_of_their_own(ws: Command) -> None:
    assert labels(ws, "//sub/...") == ["//sub:own"]
    answer = ws("--set", 'workspace.exclude=["sub"]', "query", "//...")
    assert "//sub:own" not in answer.out
    assert labels(ws, "//sub/...") == ["//sub:own"]


def test_a_wrong_build_file_spoils_only_what_needs_it(ws: Command) -> None:
    ws.write("bad/BUILD.toml", "[[target]\n")
    assert labels(ws, "//sub/...") == ["//sub:own"]
    assert ws("query", "//...").code == 7
    partial = ws("query", "//...", "--keep-going")
    assert (partial.code, "//sub:own" in partial.out) == (3, True)
    assert "bad/BUILD.toml:1" in partial.err
    ws.write("bad/BUILD.toml", '[[target]]\nname = "x"\nrule = "cat"\ndeps = ["//sub:nosuch"]\n')
    assert ws("query", "//bad:x").code == 0
    assert ws("query", "deps(//bad:x)").code == 7 or "//:plan" in ws("query", "deps(//bad:x)").err


def test_aquery_shows_actions_before_and_after_a_build(ws: Command) -> None:
    (action,) = ws("aquery", "//:low", "--json").json()
    assert (action["target"], action["mnemonic"], action["cached"], action["cost"]) == ("//:low", "Cat", False, {})
    assert any("parts" in name for name in action["inputs"])
    assert not (ws.root / "out").exists()
    assert ws("build", "//...").code == 0
    lines = ws("aquery", "deps(//:high)", "-o", "jsonl").out.splitlines()
    actions = [json.loads(line) for line in lines]
    assert [(each["target"], each["cached"]) for each in actions] == [("//:high", True), ("//:low", True)]
    assert actions[1]["key"] == action["key"]
    text = ws("aquery", "//:low").out
    assert f"Cat of //:low\n  key     {action['key']}\n  cached  yes\n" in text
    ws.write("a.txt", "other")
    assert "no: a build would run it" in ws("aquery", "//:low").out


def test_aquery_and_explain_fail_as_query_does(ws: Command) -> None:
    for command in ("aquery", "explain"):
        assert ws(command, "dep(//...)").code == 2
        assert ws(command, "deps(//:nosuch)").code == 7
        assert "^" in ws(command, "deps(//:nosuch)").err
    assert ws("aquery", "//...", "-o", "texty").code == 2


def test_explain_takes_an_expression(ws: Command) -> None:
    assert ws("build", "//...").code == 0
    ws.write("b.txt", "other")
    answer = ws("explain", "stale(//...)")
    assert answer.out.startswith("//:high: would run\n")
    bodies = ws("explain", "//:high + //:low", "--json").json()
    assert [body["verdict"] for body in bodies] == ["would run", "hit"]
    assert ws("explain", "//:low", "--json").json()["verdict"] == "hit"


def test_svg_needs_graphviz_and_says_so(ws: Command, tmp_path: Path) -> None:
    if shutil.which("dot"):
        answer = ws("query", "deps(//...)", "--output", "svg")
        assert answer.code == 0
        assert "</svg>" in answer.out
        assert "//:high" in answer.out
    ws.env["PATH"] = str(tmp_path)
    answer = ws("query", "//...", "--output", "svg")
    assert (answer.code, answer.out) == (1, "")
    assert "apt install graphviz" in answer.err


def test_a_picture_has_every_edge_and_draws_what_is_implied_pale(ws: Command) -> None:
    ws.write("sub/BUILD.toml", FILES["sub/BUILD.toml"].replace('"//:low"', '"//:low", "//:high"'))
    text = ws("query", "//:high + //:low + //sub:own", "--output", "graph").out
    solid, pale = text.split('edge [color="#57606a22"')
    assert '"//sub:own" -> "//:high"' in solid
    assert '"//:high" -> "//:low"' in solid
    assert '"//sub:own" -> "//:low"' in pale


def test_universe_functions_have_a_universe(ws: Command) -> None:
    assert ws("query", "allrdeps(//:low)").code == 2
    assert labels(ws, "allrdeps(//:low)", "--universe-scope", "//sub/...") == ["//:low", "//sub:own"]


def test_a_query_from_a_folder_reads_patterns_there(ws: Command) -> None:
    assert ws("query", ":all", cwd="sub").out == "//sub:own\n"
    assert ws("query", "...", cwd="sub").out == "//sub:own\n"
    assert ws("query", "own", "-C", "sub").out == "//sub:own\n"


def test_a_rule_sets_own_function_is_loaded_when_it_is_called(tmp_path: Path) -> None:
    module = """
from zerorepo.plugins import RuleSet
from zerorepo.query_api import EXPRESSION, INTEGER, WORD, BadArgument, QueryFunction

def longest(view, targets, word, count):
    if word != "name":
        raise BadArgument("by what?", 1, offset=1, hint="by name")
    ranked = sorted(targets, key=len, reverse=True)[: count or 99]
    return {label: len(label) for label in ranked}

RULE_SET = RuleSet(name="own", query_functions={
    "longest": QueryFunction("own_rules:longest", (EXPRESSION, WORD, INTEGER), optional=1)})
"""
    config = '[workspace]\nplugins = ["toy_rules", "own_rules"]\n' + TARGETS
    ws = Command(tmp_path / "ws", "", {**FILES, "own_rules.py": module})
    ws.write("zerorepo.toml", config)
    assert ws("query", "longest(//:high + //:low + //sub:own, name, 2)").out == "//sub:own\n//:high\n"
    assert ws("query", "longest(//..., name)", "--order", "no").out.splitlines()[0] == "//:high"
    wrong = ws("query", "longest(//..., 'size')")
    assert (wrong.code, wrong.err.splitlines()[2].index("^")) == (7, 2 + 17)
    assert ws("query", "longst(//...)").code == 2
    assert "did you mean `longest`" in ws("query", "longst(//...)").err


def test_a_query_leaves_a_read_only_workspace_alone(ws: Command) -> None:
    if os.geteuid() == 0:
        (ws.root / ".zerorepo").write_text("")  # no folder can be made there
    else:
        ws.root.chmod(0o555)
    try:
        assert "//:low" in labels(ws, "//...")
    finally:
        ws.root.chmod(0o755)


def test_a_reader_that_has_seen_enough_is_no_error(ws: Command) -> None:
    many = "".join(f'[[target]]\nname = "t{number}"\nrule = "cat"\n' for number in range(4000))
    ws.write("many/BUILD.toml", many)
    process = subprocess.Popen(ws.argv("query", "//..."), cwd=ws.root, env=ws.env, stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.read(10)
    process.stdout.close()
    assert process.wait(60) == 0


def test_the_expression_may_come_from_a_file_or_from_standard_input(ws: Command) -> None:
    many = "set(" + "\n".join(["//:low //:high"] * 20_000) + ")"  # more than the system takes as an argument
    ws.write("asked.txt", many)
    assert labels(ws, "//:low + //:high") == ws("query", "--query-file", "asked.txt", "--order", "no").out.split()
    assert ws("query", "--query_file=-", stdin="deps(//:low,\n 1)").out.split() == ["//:low", "//:a.txt"]
    wrong = ws("query", "--query-file", "-", stdin="//:low +\n //:hig")
    assert (wrong.code, wrong.err.splitlines()[1:3]) == (7, ["   //:hig", "   ^"])
    for arguments in (
        (),
        ("//...", "--query-file", "asked.txt"),
        ("--query-file", "nosuch.txt"),
        ("--query-file", "."),
    ):
        assert ws("query", *arguments).code == 2


def test_options_may_be_spelt_as_bazel_spells_them(ws: Command) -> None:
    answer = ws("query", "//:low + //nosuch:x", "--keep_going", "--order_output=auto", "--universe_scope=//...")
    assert (answer.code, answer.out) == (3, "//:low\n")
    assert (
        ws("build", "//:low", "//nosuch:x", "--keep_going").code
        == ws("build", "//:low", "//nosuch:x", "--keep-going").code
    )


@pytest.mark.parametrize("output", ["label", "json"])
def test_an_answer_that_cannot_be_written_is_an_error_of_the_surroundings(ws: Command, output: str) -> None:
    with Path("/dev/full").open("w") as full:
        done = subprocess.run(
            ws.argv("query", "//...", "-o", output),
            cwd=ws.root,
            env=ws.env,
            stdout=full,
            stderr=subprocess.PIPE,
            text=True,
            check=False,
        )
    assert (done.returncode, done.stderr.splitlines()[-2]) == (
        1,
        "ERROR: Cannot write the answer: No space left on device",
    )


def test_a_long_list_of_what_is_unknown_is_cut(tmp_path: Path) -> None:
    targets = '[[target]]\nname = "made"\nrule = "cat"\nsrcs = ["plan.txt"]\n'
    targets += "".join(f'[[target]]\nname = "plan{i}"\nrule = "planned"\nplan = ":made"\n' for i in range(9))
    note = Command(tmp_path / "ws", targets, {"plan.txt": "one a.txt\n"})("query", "//:made").err
    assert "//:plan4 and 4 more declare targets" in note
    assert "`zerorepo build //...` makes them known" in note


def test_explaining_a_file_says_what_makes_or_reads_it(ws: Command) -> None:
    ws.write(
        "zerorepo.toml",
        (ws.root / "zerorepo.toml").read_text()
        + '[[target]]\nname = "w"\nrule = "cat"\nsrcs = ["a.txt"]\nout = "w.txt"\n',
    )
    assert ws("build", "//...").code == 0
    source = ws("explain", "//:a.txt")
    assert (source.code, "owner_of(" in source.err) == (2, True)
    made = ws("explain", "//:w.txt")
    assert (made.code, "is made by `//:w`" in made.err, made.out.startswith("//:w: hit")) == (0, True, True)
