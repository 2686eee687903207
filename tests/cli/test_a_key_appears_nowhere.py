"""A canary key, from each source: it reaches the provider, and no byte of the workspace, the output or a child's environment.

The provider is hostile: it repeats the key in errors, in answers, and in the name of its model.
"""

from __future__ import annotations

import base64
import json
import os
import stat
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote

import pytest
from command import Answer, Command
from llm.fake_openai import FakeOpenAI, Reply

CANARY = "kanarienvogel/7f3a9d0b55e1c2+x"
FORMS = [CANARY, quote(CANARY, safe=""), base64.b64encode(CANARY.encode()).decode().rstrip("=")]
TARGETS = """
[[target]]
name = "asked"
rule = "asked"
about = "subject.txt"

[[target]]
name = "dump"
rule = "command"
outs = ["dump.txt"]
cmd = "(env; tr '\\\\0' '\\\\n' < /proc/self/environ; export -p) > $OUTS"

[[target]]
name = "probe"
rule = "command_test"
cmd = "env; cat /proc/self/environ; exit 1"

[[target]]
name = "tried"
rule = "tried"
tests = "test_it.py"
"""
QUESTIONS = (
    ["info", "--json"],
    ["explain", "//:asked", "--json"],
    ["desk", "list", "--json"],
    ["transcripts", "export", "-"],
    ["prompt", "//:asked", "--answered"],
    ["cost", "--json"],
    ["info"],
    ["explain", "//:asked"],
    ["query", "deps(//...)", "--output", "json"],
    ["desk"],
    ["transcripts", "list", "--json"],
    ["build", "//...", "--dry-run"],
)
TEST = "import os\n\n\ndef test_environment() -> None:\n    assert not os.environ, dict(os.environ)\n"
OUTSIDE_ENV = ("CANARY_KEYRING", "PYTHON_KEYRING_BACKEND")


def echo(status: int, **more: object) -> Reply:
    """An error that repeats the key that it was sent."""
    return Reply(status, error="your key {key} is wrong; Authorization: Bearer {key}", **more)  # type: ignore[arg-type]


class Place:
    """A workspace, a folder outside of it for what holds the key, and everything that was ever said."""

    def __init__(
        self, root: Path, source: str, server: FakeOpenAI, provider: str = "plain_http_provider:PlainHTTP"
    ) -> None:
        self.outside = root / "outside"
        self.outside.mkdir()
        self.command = Command(root / "ws", files={"subject.txt": "birds", "test_it.py": TEST})
        self.command.env["PYTHONPATH"] += f"{os.pathsep}{Path(__file__).parent}"
        self.server = server
        self.said: list[Answer] = []
        self.source = source
        config = (
            f'provider = "litellm"\napi_base = "{server.base_url}"\napi_key = {json.dumps(self.reference(source))}\n'
        )
        self.config = (
            f'[workspace]\nplugins = ["asking_rules"]\n[llm]\n{config}retry_base_s = 0\nattempts = 2\n'
            f'[llm.tiers]\ncheap = "openai/test-model"\n{TARGETS}'
        )
        self.command.write("zerorepo.toml", self.config)

    def reference(self, source: str) -> str:
        """Put the key where ``source`` keeps it; the reference to it."""
        if source == "env":
            # By no name that says that it is a secret.
            self.command.env["BIRD"] = CANARY
            return "env:BIRD"
        if source == "keyring":
            ring = self.outside / "ring.json"
            ring.write_text(json.dumps({"zerorepo\nbird": CANARY}))
            self.command.env["CANARY_KEYRING"] = str(ring)
            self.command.env["PYTHON_KEYRING_BACKEND"] = "llm.canary_keyring.FileKeyring"
            return "keyring:bird"
        path = self.outside / "key"
        path.write_text(CANARY + "\n")
        path.chmod(stat.S_IRUSR | stat.S_IWUSR)
        return f"file:{path}" if source == "file" else f"cmd:cat {path}"

    def __call__(self, *args: str) -> Answer:
        done = self.command(*args)
        self.said.append(done)
        return done

    def check_output(self) -> None:
        """The canary is in nothing that was said."""
        for answer in self.said:
            for form in FORMS:
                assert form not in answer.out + answer.err

    def check(self) -> None:
        """The canary is in nothing that was said and in no byte of the workspace."""
        self.check_output()
        for path in self.command.root.rglob("*"):
            if path.is_file() and not path.is_symlink():
                data = path.read_bytes()
                for form in FORMS:
                    assert form.encode() not in data, path


@pytest.fixture
def server() -> Iterator[FakeOpenAI]:
    with FakeOpenAI() as server:
        yield server


@pytest.fixture(params=["env", "keyring", "file", "cmd"])
def place(request: pytest.FixtureRequest, tmp_path: Path, server: FakeOpenAI) -> Place:
    # litellm, which takes seconds to load, once only.
    more = {"provider": "litellm"} if request.param == "cmd" else {}
    return Place(tmp_path, request.param, server, **more)


def hostile(body: dict[str, object]) -> Reply:
    """An answer that repeats the key, and so does the name of the model."""
    body["model"] = f"bird {CANARY}"
    return Reply(text=f"the key is {CANARY}, in base64 {base64.b64encode(CANARY.encode()).decode()}")


@pytest.mark.sandbox
def test_the_key_is_sent_and_appears_nowhere(place: Place) -> None:
    files = ("--events", "events.jsonl", "--profile", "profile.json")
    place.server.plan = [echo(500), echo(401, code="invalid_api_key")]
    failed = place("build", "//:asked", "--json", *files)
    assert failed.code == 1
    assert "[redacted]" in failed.err
    assert "[redacted]" in failed.json()["failures"][0]["error"]
    assert "authentication failed" in failed.err

    place.server.plan = [echo(429, code="rate_limit_exceeded"), hostile]
    # Two tests fail, to show what they see; one source is enough for the one that has to be given its own pytest.
    built = place("build", "//...", *([] if place.source == "env" else ["-//:tried"]), "-k", *files)
    assert built.code == 3, built.err
    sent = {headers["authorization"] for headers in place.server.headers_seen}
    assert sent == {f"Bearer {CANARY}"}
    said = (place.command.root / "out/asked.txt").read_text()
    assert said == "the key is [redacted], in base64 [redacted] (bird [redacted]-2026)"
    seen = "".join(path.read_text() for path in place.command.root.glob("out/[dt]*.txt"))
    assert "HOME" in seen
    assert not [name for name in ("BIRD", *OUTSIDE_ENV) if name in seen]
    for command in QUESTIONS if place.source == "env" else QUESTIONS[:6]:
        assert place(*command).code == 0, command
    place.check()


@pytest.mark.sandbox
def test_without_a_sandbox_children_do_not_get_it_either(tmp_path: Path, server: FakeOpenAI) -> None:
    place = Place(tmp_path, "env", server)
    place.command.env["OPENAI_API_KEY"] = CANARY
    place.server.plan = [hostile]
    assert place("build", "//...", "-k", "--unsafe").code == 3
    seen = (place.command.root / "out/dump.txt").read_text() + (place.command.root / "out/tried.txt").read_text()
    assert "HOME" in seen
    assert not [name for name in ("BIRD", "OPENAI_API_KEY") if name in seen]
    place.check()


def test_a_crash_report_does_not_hold_it(tmp_path: Path, server: FakeOpenAI) -> None:
    place = Place(tmp_path, "file", server)
    place.server.plan = [echo(401, code="invalid_api_key")]
    assert "Traceback" in place.command.debug("build", "//:asked", "--set", "llm.attempts=none").err
    crash = place.command.debug("build", "//:asked")
    place.said.append(crash)
    assert crash.code == 1
    place.check()


def test_a_prompt_that_holds_the_key_is_refused_and_says_where_it_is(place: Place) -> None:
    place.command.write("subject.txt", f"birds\nand {CANARY}\n")
    refused = place("build", "//:asked", "--events", "events.jsonl", "--json")
    assert refused.code == 2
    assert place.server.seen == []
    assert 'in the data \\"subject\\", line 2 of message 2 (user); it was not sent' in refused.out
    source = place.config.partition('api_key = "')[2].partition('"')[0]
    assert f"the key of {source.partition(' ')[0]}" in refused.out
    place("build", "//:asked", "--dry-run")
    place("explain", "//:asked")
    place.check_output()
    # It is where its owner wrote it, and in the cache of sources; not where questions and answers are.
    logs = [place.command.root / "events.jsonl", *(place.command.root / ".zerorepo" / "answers").rglob("*")]
    assert not [path for path in logs if path.is_file() and CANARY in path.read_text()]


@pytest.mark.parametrize("where", ["file", "flag"])
def test_a_key_in_the_settings_is_refused_and_not_repeated(tmp_path: Path, server: FakeOpenAI, where: str) -> None:
    place = Place(tmp_path, "env", server)
    if where == "file":
        place.command.write("zerorepo.toml", place.config.replace("env:BIRD", CANARY))
        refused = place("build", "//...")
        assert "at zerorepo.toml:6 (input error)" in refused.err
        info = place("info")
        assert info.code == 2 or "problem" in info.out
        place.command.write("zerorepo.toml", place.config)
    else:
        refused = place("build", "//...", "--set", f"llm.api_key={CANARY}")
        assert "--set llm.api_key=…" in refused.err
    assert refused.code == 2
    assert "never the key itself" in refused.err
    assert 'api_key = "env:OPENAI_API_KEY"' in refused.err
    place.check()
