"""``zerorepo prompt``: what it shows is what is sent, to the letter; it sends nothing and changes nothing."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from command import Command
from llm.fake_openai import FakeOpenAI, Reply

TARGETS = """
[[target]]
name = "asked"
rule = "asked"
about = "subject.txt"

[[target]]
name = "after"
rule = "asked_after"
about = "subject.txt"
needs = ":asked"
"""


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        server.plan = [Reply(text="a word")]
        yield server


@pytest.fixture
def ws(tmp_path: Path, server: FakeOpenAI) -> Command:
    command = Command(tmp_path / "ws", files={"subject.txt": "birds and bees"})
    command.env["PYTHONPATH"] += f"{os.pathsep}{Path(__file__).parent}"
    command.env["BIRD"] = "kanarienvogel"
    llm = f'provider = "plain_http_provider:PlainHTTP"\napi_base = "{server.base_url}"\napi_key = "env:BIRD"\n'
    tiers = '[llm.tiers]\ncheap = "openai/gpt-4o"\n'
    command.write("zerorepo.toml", f'[workspace]\nplugins = ["asking_rules"]\n[llm]\n{llm}{tiers}{TARGETS}')
    return command


def files(root: Path) -> dict[str, bytes]:
    return {str(path.relative_to(root)): path.read_bytes() for path in root.rglob("*") if path.is_file()}


def test_what_it_shows_is_what_is_sent_and_showing_it_changes_nothing(ws: Command, server: FakeOpenAI) -> None:
    before = files(ws.root)
    (question,) = ws("prompt", "//:asked", "--json").json()["questions"]
    text = ws("prompt", ":asked").out
    assert server.seen == []
    assert files(ws.root) == before
    assert ws("build", "//:asked").code == 0
    assert server.seen == [{"model": question["model"], "messages": question["messages"]}]
    for message in server.seen[0]["messages"]:
        assert message["content"] in text
    journal = json.loads((ws.root / ".zerorepo" / "answers" / f"{question['key']}.json").read_text())
    for name in ("key", "messages", "model", "answer_schema", "temperature", "max_tokens", "sample"):
        assert journal[name] == question[name]


def test_it_says_how_many_tokens_and_how_much_money(ws: Command) -> None:
    (question,) = ws("prompt", "//:asked", "--json").json()["questions"]
    assert question["tokens_are_exact"] is True
    assert 20 < question["prompt_tokens"] < 60
    assert question["context_window"] == 128_000
    assert question["prompt_usd"] == pytest.approx(question["prompt_tokens"] * 2.5e-6)
    assert question["most_usd"] == pytest.approx(question["prompt_usd"] + 50 * 1e-5)
    lines = dict(line.split(maxsplit=1) for line in ws("prompt", "//:asked").out.splitlines()[3:9])
    assert lines["model"] == "openai/gpt-4o (tier cheap)"
    assert lines["sampling"] == "at most 50 tokens, temperature not sent, sample 0"
    assert lines["prompt"].startswith(f"{question['prompt_tokens']} tokens (")
    assert lines["answered"] == "no"


def test_of_a_model_that_nobody_knows_it_says_so(ws: Command) -> None:
    (question,) = ws("prompt", "//:asked", "--json", "--set", "llm.tiers.cheap=my/own").json()["questions"]
    assert (question["most_usd"], question["context_window"], question["tokens_are_exact"]) == (None, None, False)
    text = ws("prompt", "//:asked", "--set", "llm.tiers.cheap=my/own").out
    assert "price     not known for this model" in text
    assert "about " in text


def test_what_is_answered_already_is_not_sent(ws: Command) -> None:
    ws("build", "//:asked")
    up_to_date = ws("prompt", "//:asked")
    assert "//:asked asks nothing next: it is up to date" in up_to_date.out
    assert "zerorepo prompt //:asked --answered" in up_to_date.out
    shown = ws("prompt", "//:asked", "--answered").out
    assert "birds and bees" in shown
    assert shown.rstrip().endswith("a word")
    (entry,) = ws("prompt", "//:asked", "--answered", "--json").json()["questions"]
    assert (entry["answer"], entry["answered"]) == ("a word", "in the journal")
    shutil.rmtree(ws.root / ".zerorepo" / "cache")
    assert "answered  yes, in the journal: nothing is sent" in ws("prompt", "//:asked").out


def test_what_is_recorded_is_known_for_that(ws: Command) -> None:
    ws("build", "//:asked")
    ws("transcripts", "export", "said.jsonl")
    shutil.rmtree(ws.root / ".zerorepo")
    replay = ("--set", "llm.provider=replay", "--set", 'llm.transcripts=["said.jsonl"]')
    assert "yes, in the transcripts" in ws("prompt", "//:asked", *replay).out
    assert ws("prompt", "//:asked", "--json", *replay).json()["questions"][0]["answer"] == "a word"


def test_a_question_that_goes_by_its_gist_is_shown_as_it_is_sent_and_as_it_was_answered(
    ws: Command, server: FakeOpenAI
) -> None:
    toml = (ws.root / "zerorepo.toml").read_text()
    ws.write("zerorepo.toml", f'{toml}\n[[target]]\nname = "hushed"\nrule = "asked_by_gist"\nabout = "subject.txt"\n')
    (question,) = ws("prompt", "//:hushed", "--json").json()["questions"]
    assert "birds and bees" in question["messages"][0]["content"]
    assert ws("build", "//:hushed").code == 0
    assert server.seen == [{"model": question["model"], "messages": question["messages"]}]
    assert (ws.root / ".zerorepo" / "answers" / f"{question['key']}.json").is_file()
    ws.write("subject.txt", "cats and dogs")
    assert ws("build", "//:hushed").code == 0
    assert len(server.seen) == 1
    (answered,) = ws("prompt", "//:hushed", "--answered", "--json").json()["questions"]
    assert (answered["key"], answered["messages"]) == (question["key"], question["messages"])
    assert question["key"][:12] in ws("prompt", "//:hushed").out


def test_a_target_that_waits_names_what_would_be_asked_first(ws: Command) -> None:
    answer = ws("prompt", "//:after")
    assert answer.code == 0
    assert "//:after asks nothing yet: it waits for other targets, which would begin with" in answer.out
    assert "//:asked: say something  (zerorepo prompt //:asked)" in answer.out
    body = ws("prompt", "//:after", "--json").json()
    assert (body["state"], body["waits_for"], body["questions"]) == ("waits", {"//:asked": ["say something"]}, [])
    ws("build", "//:asked")
    (question,) = ws("prompt", "//:after", "--json").json()["questions"]
    assert question["purpose"] == "say more"


def test_a_prompt_that_would_be_refused_says_why_and_is_masked(ws: Command) -> None:
    ws.write("subject.txt", "birds\nkanarienvogel")
    text = ws("prompt", "//:asked").out
    assert 'refused   it would not be sent: it contains the key of env:BIRD, in the data "subject", line 2' in text
    assert "kanarienvogel" not in text
    assert "kanarienvogel" not in ws("prompt", "//:asked", "--json").out


@pytest.mark.parametrize(
    ("label", "says"), [("//:askd", "did you mean `//:asked`"), ("//...", "takes one label"), ("//no:x", "no package")]
)
def test_a_wrong_label_is_bad_usage(ws: Command, label: str, says: str) -> None:
    answer = ws("prompt", label)
    assert (answer.code, answer.out) == (2, "")
    assert says in answer.err


def test_it_works_from_elsewhere(ws: Command, tmp_path: Path) -> None:
    done = subprocess.run(
        ws.argv("-C", str(ws.root), "prompt", "//:asked"), cwd=tmp_path, env=ws.env, capture_output=True, text=True,
        timeout=60, check=False,
    )  # fmt: skip
    assert "would ask one question next" in done.stdout


@pytest.mark.parametrize("words", [["prompt", "//:asked"], ["cost"], ["desk"], ["info"], ["transcripts", "list"]])
def test_a_command_that_asks_no_model_imports_no_litellm(ws: Command, words: list[str]) -> None:
    code = (
        "import sys; from zerorepo.cli.main import run\n"
        f"assert run({words!r}) == 0\n"
        "assert not {'litellm', 'openai', 'httpx'} & set(sys.modules), sorted(sys.modules)\n"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=ws.root, env=ws.env, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 0, done.stderr
