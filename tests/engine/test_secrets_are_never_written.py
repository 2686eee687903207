"""Masks: a value that was concealed, and what has the form of a key, leaves this process through no edge."""

from __future__ import annotations

import base64
import json
import os
import subprocess
import sys
from pathlib import Path
from urllib.parse import quote

import pytest

from zerorepo.events import Event, EventStream, State, Unit, transition
from zerorepo.redaction import (
    REDACTED,
    conceal,
    conceal_environment,
    concealed_in,
    is_secret_name,
    looks_like_a_key,
    mask,
    redact,
)
from zerorepo.workspace import _shown

ODD = 'can"ary/ö+%41\\odd'


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerorepo.redaction._concealed", {})


@pytest.mark.parametrize(
    "form",
    [
        ODD,
        json.dumps(ODD)[1:-1],
        json.dumps(json.dumps(ODD))[3:-3],
        quote(ODD, safe=""),
        base64.b64encode(ODD.encode()).decode(),
    ],
    ids=["plain", "JSON", "JSON in JSON", "percent", "base64"],
)
def test_a_concealed_value_is_masked_in_every_usual_disguise(form: str) -> None:
    conceal(ODD, "env:ODD")
    assert mask(f"before {form} after") == f"before {REDACTED} after"
    assert concealed_in(f"before {form}") == ("env:ODD", 7)


def test_a_value_inside_another_does_not_leave_the_rest_of_it() -> None:
    conceal("canary-short", "a")
    conceal("canary-short-and-long", "b")
    assert mask("x canary-short-and-long y") == f"x {REDACTED} y"


def test_words_that_are_too_short_to_be_keys_are_left_alone() -> None:
    conceal("none", "a")
    assert mask("none") == "none"
    assert concealed_in("none") is None


@pytest.mark.parametrize(
    "name", ["OPENAI_API_KEY", "api_key", "GITHUB_TOKEN", "DB_PASSWORD", "AWS_SECRET_ACCESS_KEY", "APIKEY"]
)
def test_names_of_secrets_are_known(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["PATH", "MONKEY", "KEYBOARD", "max_tokens", "api_base", "TOKENIZERS_PARALLELISM"])
def test_other_names_are_not_taken_for_them(name: str) -> None:
    assert not is_secret_name(name)


def test_the_environment_is_concealed_by_name() -> None:
    conceal_environment({"SOME_API_KEY": "canary-in-environment", "HOME": "/home/somebody"})
    assert mask("canary-in-environment /home/somebody") == f"{REDACTED} /home/somebody"


@pytest.mark.parametrize(
    "key",
    [
        "sk-ant-" + "api03-AbCdEfGhIjKlMnOpQrSt",
        "sk-" + "proj-1234567890abcdefghij",
        "sk-" + "or-v1-0123456789abcdef0123456789",
        "gsk_" + "0123456789abcdefghijklmn",
        "hf_" + "AbCdEfGhIjKlMnOpQrStUv",
        "AIza" + "SyA1234567890abcdefghijklmnopqrstuv",
        "AKIA" + "ABCDEFGHIJKLMNOP",
        "ghp_" + "0123456789abcdefghijklmnopqrstuvwxyz",
        "glpat-" + "0123456789abcdefghij",
        "xoxb-" + "1234567890-abcdef",
        "eyJhbGciOiJIUzI1NiJ9." + "eyJzdWIiOiIxMjM0NTY3ODkwIn0." + "dozjgNryP4J3jVmNHl0w5N",
        "Authorization: Bearer " + "abcdefgh12345678",
    ],
)
def test_well_known_keys_are_redacted_though_nobody_concealed_them(key: str) -> None:
    assert looks_like_a_key(key)
    secret = key.rpartition(" ")[2]
    assert secret not in redact(f"error: {key}: no")
    assert redact(f"error: {key}: no").endswith(": no")
    assert mask(key) == key  # content is not changed for its looks


def test_a_password_in_an_address_and_a_private_key_are_redacted() -> None:
    assert redact("GET http://me:hunter22@proxy.test/x") == f"GET http://{REDACTED}@proxy.test/x"
    assert "MII" not in redact("-----BEGIN RSA PRIVATE KEY-----\nMIIEpAIBAAKC\n-----END RSA PRIVATE KEY-----")


@pytest.mark.parametrize(
    "text",
    [
        "the task-implementation-of-the-first-node-2 is done",
        "bearer of responsibilities, basic internationalization",
        "d41d8cd98f00b204e9800998ecf8427e is a digest",
        "//slugs:make_slug.code in out/tinytext/slugs/core.py:14",
        "https://example.com:8080/a@b",
        "sk-circle-fade-dot-animation",
    ],
)
def test_ordinary_messages_stay_as_they_are(text: str) -> None:
    assert redact(text) == text


def test_what_others_say_is_redacted_before_any_subscriber_sees_it() -> None:
    conceal("canary-in-an-error", "a")
    stream, seen = EventStream(), list[Event]()
    stream.subscribe(seen.append)
    stream.note("progress", "//:x", text="canary-in-an-error")
    unit = Unit("action", "k", "//:x", "Ask", "canary-in-an-error")
    transition(stream, unit, State.RUNNING, reasons=["canary-in-an-error"])
    transition(stream, unit, State.FAILED, error="sk-ant-" + "api03-AbCdEfGhIjKlMnOpQrSt canary-in-an-error")
    assert seen[0].detail["text"] == REDACTED
    assert seen[2].detail["error"] == f"{REDACTED} {REDACTED}"
    assert not [event for event in seen if "canary" in event.to_json()]


def test_a_key_given_on_the_command_line_is_not_repeated() -> None:
    assert _shown("llm.api_key=canary-0123456789") == "llm.api_key=…"
    assert _shown("llm.tiers.cheap=sk-ant-" + "api03-AbCdEfGhIjKlMnOpQrSt") == "llm.tiers.cheap=…"
    assert _shown("llm.max_tokens=12") == "llm.max_tokens=12"


def test_a_crash_report_is_redacted_too(tmp_path: Path) -> None:
    (tmp_path / "zerorepo.toml").write_text('[workspace]\nplugins = ["breaks"]\n')
    (tmp_path / "breaks.py").write_text("import os\nraise OSError('no: ' + os.environ['SOME_API_KEY'])\n")
    env = {**os.environ, "SOME_API_KEY": "canary-in-a-traceback"}
    command = [sys.executable, "-m", "zerorepo", "--debug", "info"]
    done = subprocess.run(command, cwd=tmp_path, env=env, capture_output=True, text=True, timeout=60, check=False)
    assert "Traceback" in done.stderr
    assert f"OSError: no: {REDACTED}" in done.stderr
    assert "canary" not in done.stdout + done.stderr
