"""The desk and the transcripts, as a person meets them: through builds, files and commands."""

from __future__ import annotations

import asyncio
import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from zerorepo.action_key import key_of
from zerorepo.digest import DigestFunction
from zerorepo.errors import ActionFailed, TransientFailure, UsageError
from zerorepo.label import parse_label
from zerorepo_llm.action import Answer
from zerorepo_llm.cli import desk_app, transcripts_app
from zerorepo_llm.desk import Desk
from zerorepo_llm.journal import Journal, Question
from zerorepo_llm.probe import probe
from zerorepo_llm.settings import LLMSettings
from zerorepo_llm.testing import ScriptedProvider, use_provider

from .fakes import Build, ask_model, until

SCHEMA = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}


@pytest.fixture
def desk(build: Build, monkeypatch: pytest.MonkeyPatch) -> Build:
    build.settings = LLMSettings(provider="desk")
    monkeypatch.chdir(build.workspace)
    return build


def run(app: typer.Typer, *arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


def run_ok(app: typer.Typer, *arguments: str, stdin: str | None = None) -> Result:
    result = run(app, *arguments, stdin=stdin)
    assert result.exit_code == 0, (result.output, result.exception)
    return result


def refused(app: typer.Typer, *arguments: str, stdin: str | None = None) -> str:
    error = run(app, *arguments, stdin=stdin).exception
    assert isinstance(error, UsageError), error
    assert error.exit_code == 2
    return error.render()


def park(build: Build, **fields: Any) -> str:
    """Park one prompt as a build that does not wait; its id."""
    build.options["no_wait"] = True
    with pytest.raises(TransientFailure):
        asyncio.run(build.execute(ask_model(**fields)))
    return next(p.id for p in Desk(build.state_dir).open() if p.question.messages == ask_model(**fields).messages)


def test_without_waiting_the_prompt_is_parked_and_counted(desk: Build) -> None:
    park(desk, text="one")
    with pytest.raises(TransientFailure, match=r"Open at the desk:\n(.*\n){2}"):
        asyncio.run(desk.execute(ask_model("two")))
    with pytest.raises(TransientFailure, match=r"Open at the desk:\n(.*\n){2}"):
        asyncio.run(desk.execute(ask_model("two")))


def test_a_parked_prompt_says_everything_there_is_to_know(desk: Build) -> None:
    id_ = park(desk, text="Name it.", answer_schema=SCHEMA, expects="json", purpose="name the thing")
    folder = desk.state_dir / "desk" / id_
    text = (folder / "prompt.md").read_text()
    for part in (
        "Be brief.",
        "Name it.",
        "//app:thing",
        "name the thing",
        "strong",
        '"required"',
        f"zerorepo desk answer {id_}",
    ):
        assert part in text
    assert json.loads((folder / "request.json").read_text())["answer_schema"] == SCHEMA


def test_an_answer_completes_a_waiting_build(desk: Build) -> None:
    async def go() -> Answer:
        task = asyncio.ensure_future(desk.execute(ask_model()))
        await until(Desk(desk.state_dir).open)
        opened = Desk(desk.state_dir).open()
        await asyncio.to_thread(run_ok, desk_app, "answer", opened[0].id[:6], stdin="hello\n")
        answer: Answer = await asyncio.wait_for(task, 5)
        return answer

    answer = asyncio.run(go())
    assert (answer.text, answer.model) == ("hello\n", "desk")
    assert desk.meters["model_calls"] == 1
    assert any("waits at the desk" in text and "(1 open)" in text for text in desk.progress)
    assert Desk(desk.state_dir).open() == []
    assert list((desk.state_dir / "desk").iterdir()) == []


def test_an_answer_given_while_no_build_ran_is_found_by_the_next(desk: Build) -> None:
    id_ = park(desk)
    run_ok(desk_app, "answer", id_, stdin="hello")
    assert asyncio.run(desk.execute(ask_model())).text == "hello\n"
    assert desk.meters["model_calls"] == 1


def test_a_file_dropped_into_the_folder_is_an_answer(desk: Build) -> None:
    async def go() -> Answer:
        task = asyncio.ensure_future(desk.execute(ask_model(answer_schema=SCHEMA, expects="json")))
        await until(Desk(desk.state_dir).open)
        opened = Desk(desk.state_dir).open()
        drop(opened[0].folder / "answer.md", "{}")
        await until((opened[0].folder / "problems.txt").exists)
        drop(opened[0].folder / "answer.json", '{"name": "x"}')
        answer: Answer = await asyncio.wait_for(task, 5)
        return answer

    def drop(path: Path, text: str) -> None:
        path.write_text(text)
        old = time.time() - 10
        os.utime(path, (old, old))

    assert json.loads(asyncio.run(go()).text) == {"name": "x"}
    assert any("answer.md does not fit" in line for line in desk.progress)


def test_list_and_show_are_for_people_and_programs(desk: Build) -> None:
    id_ = park(desk, purpose="write tests for slugify")
    line = run_ok(desk_app, "list").stdout
    assert line.startswith(f"{id_}  //app:thing  write tests for slugify  (strong, text, ")
    assert run_ok(desk_app).stdout == line
    (row,) = json.loads(run_ok(desk_app, "list", "--json").stdout)
    assert (row["id"], row["target"], row["purpose"]) == (id_, "//app:thing", "write tests for slugify")
    assert Path(row["prompt"]).is_file()
    assert run_ok(desk_app, "show", id_[:5]).stdout == Path(row["prompt"]).read_text()
    assert json.loads(run_ok(desk_app, "show", id_, "--json").stdout)["key"] == row["key"]


def test_the_next_prompt_is_the_first_and_skipped_ones_come_last(desk: Build) -> None:
    first, second = park(desk, text="one", purpose="a"), park(desk, text="two", purpose="b")
    assert json.loads(run_ok(desk_app, "next", "--json").stdout)["id"] == first
    run_ok(desk_app, "skip", first)
    assert json.loads(run_ok(desk_app, "next", "--json").stdout)["id"] == second
    run_ok(desk_app, "skip", second)
    row = json.loads(run_ok(desk_app, "next", "--json").stdout)
    assert (row["id"], row["skipped"], row["messages"][1]["content"]) == (first, True, "one")
    assert run_ok(desk_app, "next").stdout == (desk.state_dir / "desk" / first / "prompt.md").read_text()
    run_ok(desk_app, "answer", first, stdin="hello")
    assert json.loads(run_ok(desk_app, "next", "--json").stdout)["id"] == second


def test_the_next_prompt_can_be_waited_for(desk: Build) -> None:
    began = time.monotonic()
    nothing = run(desk_app, "next", "--wait", "0.3")
    assert (nothing.exit_code, nothing.stdout) == (1, "")
    assert "No prompt is open." in nothing.stderr
    assert time.monotonic() - began >= 0.3
    threading.Timer(0.5, lambda: Desk(desk.state_dir).park(_question())).start()
    found = json.loads(run_ok(desk_app, "next", "--wait", "30", "--json").stdout)
    assert found["purpose"] == "greet"


def _question() -> Question:
    action = ask_model()
    return Question.of(action, key_of(action, DigestFunction.XXH3), parse_label("//app:thing"))


def test_an_answer_can_be_tried_without_giving_it(desk: Build) -> None:
    id_ = park(desk, answer_schema=SCHEMA, expects="json")
    assert "'name' is a required property" in refused(desk_app, "check", id_, stdin="{}")
    assert "This would answer" in run_ok(desk_app, "check", id_, stdin='{"name": "x"}').stderr
    assert [parked.id for parked in Desk(desk.state_dir).open()] == [id_]


def editor(desk: Build, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    path = desk.workspace / "my editor"
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o700)
    monkeypatch.setenv("EDITOR", f"'{path}' --flag")
    monkeypatch.delenv("VISUAL", raising=False)


def test_an_answer_is_written_in_an_editor_above_the_prompt(desk: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = park(desk, text="Name it.", answer_schema=SCHEMA, expects="json")
    seen = desk.workspace / "seen"
    editor(desk, monkeypatch, f'cp "$2" {seen}; echo "{{\\"name\\": \\"x\\"}}" > new; cat "$2" >> new; cat new > "$2"')
    said = run_ok(desk_app, "edit").stderr
    assert f"Answered {id_}" in said
    assert "Name it." in seen.read_text()
    entry = Journal(desk.state_dir).find(id_)
    assert len(entry) == 1
    assert json.loads(Journal(desk.state_dir).get(entry[0]).text) == {"name": "x"}  # type: ignore[union-attr]
    assert "No prompt is open." in run_ok(desk_app, "edit").stderr


def test_a_draft_that_does_not_fit_is_kept_for_the_next_try(desk: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = park(desk, answer_schema=SCHEMA, expects="json")
    editor(desk, monkeypatch, 'echo "{\\"nme\\": 1}" > new; cat "$2" >> new; cat new > "$2"')
    assert "'name' is a required property" in refused(desk_app, "edit", id_)
    editor(desk, monkeypatch, 'sed -i "s/\\"nme\\": 1/\\"name\\": \\"x\\"/" "$2"')
    run_ok(desk_app, "edit", id_)
    assert Desk(desk.state_dir).open() == []


def test_an_editor_that_writes_nothing_or_breaks_changes_nothing(desk: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    id_ = park(desk)
    editor(desk, monkeypatch, "exit 0")
    assert f"Nothing was written; {id_} stays open." in run_ok(desk_app, "edit", id_).stderr
    editor(desk, monkeypatch, "exit 3")
    assert "ended with code 3" in refused(desk_app, "edit", id_)
    monkeypatch.setenv("EDITOR", "/no/such/editor")
    assert "cannot be run" in refused(desk_app, "edit", id_)
    assert [parked.id for parked in Desk(desk.state_dir).open()] == [id_]


def test_an_empty_desk_is_valid_json_too(desk: Build) -> None:
    assert json.loads(run_ok(desk_app, "list", "--json").stdout) == []


def test_an_answer_that_does_not_fit_is_refused_exactly_and_the_prompt_stays(desk: Build) -> None:
    id_ = park(desk, answer_schema=SCHEMA, expects="json")
    assert "At the top level: 'name' is a required property." in refused(desk_app, "answer", id_, stdin="{}")
    assert "not a JSON document" in refused(desk_app, "answer", id_, stdin="name: x")
    assert [parked.id for parked in Desk(desk.state_dir).open()] == [id_]
    run_ok(desk_app, "answer", id_, stdin='{"name": "x"}')


def test_code_is_checked_at_the_desk_as_well(desk: Build) -> None:
    id_ = park(desk, expects="python")
    assert "no fenced ```python block" in refused(desk_app, "answer", id_, stdin="x = 1")
    run_ok(desk_app, "answer", id_, stdin="```python\nx = 1\n```")


def test_a_second_answer_needs_replace(desk: Build, tmp_path: Path) -> None:
    id_ = park(desk)
    answer = tmp_path / "answer.txt"
    answer.write_text("first")
    result = json.loads(run_ok(desk_app, "answer", id_, str(answer), "--json").stdout)
    assert (result["id"], result["open"]) == (id_, 0)
    assert "answered already" in refused(desk_app, "answer", id_, stdin="second")
    run_ok(desk_app, "answer", id_, "--replace", stdin="second")
    assert asyncio.run(desk.execute(ask_model())).text == "second\n"


def test_ids_that_fit_none_or_several_are_refused(desk: Build) -> None:
    ids = [park(desk, text=f"prompt {number}") for number in range(20)]
    double = next(a[0] for a in ids if sum(b[0] == a[0] for b in ids) > 1)
    assert "ambiguous" in refused(desk_app, "show", double)
    assert "No open prompt" in refused(desk_app, "show", "zzz")
    assert "No open prompt" in refused(desk_app, "answer", "zzz", stdin="x")


def test_a_prompt_nobody_wants_can_be_dropped(desk: Build) -> None:
    run_ok(desk_app, "drop", park(desk))
    assert Desk(desk.state_dir).open() == []


def test_outside_of_a_workspace_the_error_says_so(
    tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert "zerorepo init" in refused(desk_app, "list")


# Transcripts


def record(build: Build, *texts: str, label: str = "//app:thing") -> None:
    async def go() -> None:
        for text in texts:
            await build.execute(
                ask_model(text, temperature=0.0, answer_schema={"type": "number", "minimum": 1.0}), label
            )

    with use_provider(ScriptedProvider(lambda request: f"answer to {request.action.messages[-1].content} \u2028 é")):
        asyncio.run(go())
    build.services.clear()


def question(text: str) -> Any:
    return ask_model(text, temperature=0.0, answer_schema={"type": "number", "minimum": 1.0})


@pytest.fixture
def recorded(build: Build, monkeypatch: pytest.MonkeyPatch) -> Build:
    monkeypatch.chdir(build.workspace)
    record(build, "a", "b")
    record(build, "c", label="//other:thing")
    return build


def test_an_export_is_sorted_stable_and_replays(recorded: Build, tmp_path_factory: pytest.TempPathFactory) -> None:
    run_ok(transcripts_app, "export", "t/all.jsonl")
    data = Path("t/all.jsonl").read_bytes()
    keys = [json.loads(line)["key"] for line in data.decode().split("\n") if line]
    assert keys == sorted(keys)
    assert len(keys) == 3
    run_ok(transcripts_app, "export", "again.jsonl")
    assert Path("again.jsonl").read_bytes() == data
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    (elsewhere / "t").mkdir()
    (elsewhere / "t" / "all.jsonl").write_bytes(data)
    fresh = Build(elsewhere, LLMSettings(provider="replay", transcripts=("t",)))
    assert asyncio.run(fresh.execute(question("a"))).text == "answer to a \u2028 é"
    assert fresh.meters["model_calls"] == 1
    assert fresh.meters["cost_usd"] == 0


def test_replay_works_under_another_digest_function(recorded: Build, tmp_path_factory: pytest.TempPathFactory) -> None:
    path = tmp_path_factory.mktemp("t") / "all.jsonl"
    run_ok(transcripts_app, "export", str(path))
    fresh = Build(path.parent, LLMSettings(provider="replay", transcripts=(path.name,)), function=DigestFunction.SHA256)
    assert asyncio.run(fresh.execute(question("b"))).text.startswith("answer to b")


def test_a_miss_names_target_prompt_and_key_and_what_to_do(recorded: Build) -> None:
    run_ok(transcripts_app, "export", "all.jsonl")
    recorded.settings = LLMSettings(provider="replay", transcripts=("all.jsonl",))
    with pytest.raises(ActionFailed) as caught:
        asyncio.run(recorded.execute(ask_model("Something\nelse", purpose="write tests for slugify")))
    text = caught.value.render()
    for part in (
        "//app:thing",
        "write tests for slugify",
        "key ",
        "3 answers in all.jsonl",
        "| Something",
        'provider = "desk"',
        "litellm",
    ):
        assert part in text


def test_an_edited_transcript_is_found(recorded: Build) -> None:
    run_ok(transcripts_app, "export", "all.jsonl")
    path = Path("all.jsonl")
    path.write_text(path.read_text().replace("Be brief.", "Be long.", 1))
    recorded.settings = LLMSettings(provider="replay", transcripts=("all.jsonl",))
    with pytest.raises(UsageError, match=r"all\.jsonl:1"):
        asyncio.run(recorded.execute(question("d")))


def test_missing_transcripts_are_bad_configuration_for_replay_only(recorded: Build) -> None:
    recorded.settings = LLMSettings(provider="replay", transcripts=("nowhere",))
    with pytest.raises(UsageError, match="`nowhere` do not exist"):
        asyncio.run(recorded.execute(question("d")))
    recorded.settings = LLMSettings(provider="desk", transcripts=("nowhere",))
    recorded.options["no_wait"] = True
    with pytest.raises(TransientFailure, match=r"waits for an answer\. Open at the desk"):
        asyncio.run(recorded.execute(question("d")))


def test_the_desk_does_not_ask_what_is_in_the_transcripts(
    recorded: Build, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("t") / "all.jsonl"
    run_ok(transcripts_app, "export", str(path))
    fresh = Build(path.parent, LLMSettings(provider="desk", transcripts=(path.name,)), {"no_wait": True})
    assert asyncio.run(fresh.execute(question("a"))).text.startswith("answer to a")


def test_an_export_can_be_limited_to_targets(recorded: Build) -> None:
    run_ok(transcripts_app, "export", "some.jsonl", "--pattern", "//app/...")
    assert len(Path("some.jsonl").read_bytes().splitlines()) == 2
    assert "no recorded answers" in refused(transcripts_app, "export", "none.jsonl", "--pattern", "//nowhere/...")


def test_an_import_takes_over_and_refuses_conflicts_as_a_whole(recorded: Build, build: Build) -> None:
    run_ok(transcripts_app, "export", "all.jsonl")
    journal = Journal(build.state_dir)
    before = {key: journal.path(key).read_bytes() for key in sorted(journal.keys())}
    assert "Imported 0 answers; 3 were known." in run_ok(transcripts_app, "import", "all.jsonl").stderr
    journal.forget(journal.keys()[0])
    path = Path("all.jsonl")
    lines = path.read_text().split("\n")
    lines[1] = lines[1].replace('"text": "answer', '"text": "ANSWER')
    path.write_text("\n".join(lines))
    assert "1 answers differ" in refused(transcripts_app, "import", "all.jsonl")
    assert len(journal.keys()) == 2
    assert "Imported 2 answers" in run_ok(transcripts_app, "import", "all.jsonl", "--replace").stderr
    assert journal.keys() == sorted(before)


def test_transcripts_are_listed(recorded: Build) -> None:
    assert len(run_ok(transcripts_app, "list").stdout.splitlines()) == 3
    rows = json.loads(run_ok(transcripts_app, "list", "--json", "--pattern", "//other/...").stdout)
    assert [row["target"] for row in rows] == ["//other:thing"]


@pytest.mark.parametrize("line", ["{", '{"key": "x"}', '"text"'])
def test_a_bad_line_is_named(recorded: Build, line: str) -> None:
    Path("bad.jsonl").write_text(line)
    assert "bad.jsonl:1" in refused(transcripts_app, "import", "bad.jsonl")


# Information


def test_info_tells_whether_a_key_is_there_never_what_it_is(desk: Build, monkeypatch: pytest.MonkeyPatch) -> None:
    (desk.workspace / "zerorepo.toml").write_text('[llm]\nprovider = "litellm"\napi_key = "env:THE_KEY"\n')
    park(desk)
    assert asyncio.run(probe(desk.workspace))["key"] == "env:THE_KEY: missing"
    monkeypatch.setenv("THE_KEY", "sk-canary")
    found = asyncio.run(probe(desk.workspace))
    assert (found["provider"], found["key"], found["open_prompts"]) == ("litellm", "env:THE_KEY: present", 1)
    (desk.workspace / "zerorepo.toml").write_text('[llm]\napi_key = "sk-canary"\n')
    assert "sk-canary" not in json.dumps(asyncio.run(probe(desk.workspace)))
