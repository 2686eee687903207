"""References to keys: every source, every way in which one can be wrong, and that no error repeats a value."""

from __future__ import annotations

import asyncio
import os
import stat
import sys
from pathlib import Path

import keyring
import pytest
from pydantic import ValidationError

from zerorepo.errors import EnvironmentFailure, UsageError, ZeroRepoError
from zerorepo.redaction import mask
from zerorepo_llm import secrets
from zerorepo_llm.action import Answer, Message
from zerorepo_llm.fence import fence
from zerorepo_llm.probe import probe
from zerorepo_llm.secrets import Redactor, check_reference, forget, resolve, resolved, shown
from zerorepo_llm.settings import LLMSettings

from .canary_keyring import FileKeyring

CANARY = "canary-4f1c9d7ab0"


@pytest.fixture(autouse=True)
def fresh(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("zerorepo.redaction._concealed", {})
    monkeypatch.setattr(secrets, "_known", {})


@pytest.fixture
def ring(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FileKeyring:
    monkeypatch.setenv("CANARY_KEYRING", str(tmp_path / "ring.json"))
    before = keyring.get_keyring()
    keyring.set_keyring(FileKeyring())
    monkeypatch.setattr(keyring.core, "_keyring_backend", keyring.get_keyring())
    yield keyring.get_keyring()
    keyring.set_keyring(before)


def key_file(folder: Path, text: str = CANARY + "\n", mode: int = 0o600) -> Path:
    path = folder / "the key"
    path.write_text(text)
    path.chmod(mode)
    return path


def refused(reference: str, **more: Path) -> str:
    with pytest.raises(ZeroRepoError) as caught:
        resolve(reference, **more)
    text = caught.value.render()
    assert CANARY not in text
    assert "zerorepo.toml [llm] api_key" in text
    return text


def test_each_source_gives_its_key_and_is_masked_from_then_on(
    tmp_path: Path, ring: FileKeyring, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_MODEL", f" {CANARY}-env \n")
    ring.set_password("zerorepo", "anthropic", f"{CANARY}-ring")
    ring.set_password("https://api.test/v1", "me", f"{CANARY}-other")
    script = tmp_path / "print key"
    script.write_text(f"#!/bin/sh\necho {CANARY}-$1\n")
    script.chmod(0o700)
    sources = {
        "env:MY_MODEL": "-env",
        "keyring:anthropic": "-ring",
        "keyring:https://api.test/v1/me": "-other",
        f"file:{key_file(tmp_path, CANARY + '-file')}": "-file",
        f"cmd:'{script}' printed": "-printed",
    }
    for reference, ending in sources.items():
        assert CANARY in mask(f"x{CANARY}{ending}x")
        assert resolve(reference) == CANARY + ending
        assert CANARY not in mask(f"x{CANARY}{ending}x")


@pytest.mark.parametrize(
    "text",
    [
        CANARY,
        "sk-ant-" + "api03-AbCdEfGhIjKlMnOpQrSt",
        "vault:name",
        "env:",
        "",
        "cmd:echo 'open",
        "env:sk-" + "proj-0123456789abcdefghij",
    ],
)
def test_what_is_no_reference_is_refused_and_never_repeated(text: str) -> None:
    with pytest.raises(ValueError) as caught:
        check_reference(text)
    assert len(text) < 8 or text not in str(caught.value)
    with pytest.raises(ValidationError) as invalid:
        LLMSettings(api_key=text)
    assert "never the key itself" in str(invalid.value) or "open quotation" in str(invalid.value)


def test_an_address_with_a_password_in_it_is_refused() -> None:
    with pytest.raises(ValidationError, match="give the key with `api_key`"):
        LLMSettings(api_base="https://me:hunter22@proxy.test/v1")
    assert LLMSettings(api_base="https://proxy.test/v1/@me").api_base


def test_a_variable_that_is_not_set_is_named() -> None:
    assert "`NO_SUCH_KEY`" in refused("env:NO_SUCH_KEY")


def test_a_key_that_the_keyring_does_not_have_says_how_to_store_it(ring: FileKeyring) -> None:
    assert "keyring set zerorepo anthropic" in refused("keyring:anthropic")


def test_a_machine_without_a_keyring_is_told_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    from keyring.backends.fail import Keyring

    before = keyring.get_keyring()
    keyring.set_keyring(Keyring())
    try:
        assert 'api_key = "file:' in refused("keyring:anthropic")
    finally:
        keyring.set_keyring(before)


def test_a_keyring_that_is_locked_is_the_surroundings_fault(ring: FileKeyring, monkeypatch: pytest.MonkeyPatch) -> None:
    def locked(self: FileKeyring, service: str, username: str) -> str:
        raise keyring.errors.KeyringLocked("locked by the screen saver")

    monkeypatch.setattr(FileKeyring, "get_password", locked)
    with pytest.raises(EnvironmentFailure, match="locked by the screen saver"):
        resolve("keyring:anthropic")


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o620])
def test_a_file_that_others_may_read_or_change_is_refused_with_the_way_out(tmp_path: Path, mode: int) -> None:
    text = refused(f"file:{key_file(tmp_path, mode=mode)}")
    assert f"(mode {mode:04o})" in text
    assert "chmod 600 '" in text


@pytest.mark.parametrize("mode", [0o600, 0o400])
def test_a_file_that_only_its_owner_may_read_is_taken(tmp_path: Path, mode: int) -> None:
    assert resolve(f"file:{key_file(tmp_path, mode=mode)}") == CANARY


def test_a_file_that_cannot_be_a_key_is_refused(tmp_path: Path) -> None:
    assert "No such file" in refused(f"file:{tmp_path}/none")
    assert "whole path" in refused("file:key.txt")
    assert "Is a directory" in refused(f"file:{tmp_path}")
    assert "no file that holds a key" in refused("file:/dev/null")
    assert "not one line" in refused(f"file:{key_file(tmp_path, CANARY + chr(10) + 'more')}")
    assert "is empty" in refused(f"file:{key_file(tmp_path, ' ')}")
    assert "no file that holds" in refused(f"file:{key_file(tmp_path, 'x' * 20_000)}")
    path = tmp_path / "the key"
    path.write_bytes(b"\xff\xfe")
    assert "not UTF-8" in refused(f"file:{path}")


def test_a_file_inside_the_workspace_is_refused_by_every_name(tmp_path: Path) -> None:
    (tmp_path / "ws").mkdir()
    inside = key_file(tmp_path / "ws")
    (tmp_path / "link").symlink_to(inside)
    for path in (inside, tmp_path / "link"):
        assert "inside the workspace" in refused(f"file:{path}", workspace=tmp_path / "ws")


def test_a_home_folder_may_be_written_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOME", str(tmp_path))
    key_file(tmp_path)
    assert resolve("file:~/the key") == CANARY


def test_a_command_that_fails_is_named_by_its_program_and_nothing_that_it_said_is_shown() -> None:
    assert "`sh`, which prints the model's key, ended with code 3" in refused(f"cmd:sh -c 'echo {CANARY} >&2; exit 3'")
    assert "cannot be run: No such file" in refused(f"cmd:/no/such/program {CANARY}")
    assert "not one line" in refused(f"cmd:printf '{CANARY}\\nmore'")
    assert "is empty" in refused("cmd:true")


def test_a_command_that_hangs_is_ended(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(secrets, "_COMMAND_S", 0.2)
    assert "took over" in refused(f"cmd:sh -c 'sleep 30' {CANARY}")


def test_a_command_runs_once_for_many_requests_and_again_when_its_key_was_refused(tmp_path: Path) -> None:
    log = tmp_path / "log"
    reference = f"cmd:sh -c 'echo x >> {log}; echo {CANARY}'"

    async def many() -> list[str]:
        return await asyncio.gather(*(resolved(reference) for _ in range(50)))

    assert set(asyncio.run(many())) == {CANARY}
    assert log.read_text() == "x\n"
    forget(reference)
    resolve(reference)
    assert log.read_text() == "x\nx\n"


def test_a_key_is_looked_up_anew_after_a_while_for_it_may_be_short_lived(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = key_file(tmp_path)
    assert resolve(f"file:{path}") == CANARY
    path.write_text(CANARY + "-new")
    assert resolve(f"file:{path}") == CANARY
    monkeypatch.setattr(secrets.time, "monotonic", lambda: 1e12)
    assert resolve(f"file:{path}") == CANARY + "-new"


def test_nothing_is_looked_up_before_it_is_needed(tmp_path: Path) -> None:
    log = tmp_path / "log"
    settings = LLMSettings(provider="litellm", api_key=f"cmd:touch {log}")
    Redactor.from_environment(settings.api_key)
    (tmp_path / "zerorepo.toml").write_text(f'[llm]\nprovider = "litellm"\napi_key = "cmd:touch {log} {CANARY}"\n')
    found = asyncio.run(probe(tmp_path))
    assert found["key"] == "cmd:touch …: looked up when it is needed"
    assert not log.exists()


def test_info_says_whether_there_is_a_key_without_looking_at_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def state(reference: str) -> object:
        (tmp_path / "zerorepo.toml").write_text(f'[llm]\napi_key = "{reference}"\n')
        return asyncio.run(probe(tmp_path))["key"]

    monkeypatch.setenv("MY_MODEL", CANARY)
    assert state("env:MY_MODEL") == "env:MY_MODEL: present"
    assert state("env:MY_OTHER") == "env:MY_OTHER: missing"
    assert state(f"file:{key_file(tmp_path)}").endswith(": present")
    assert state("keyring:x") == "keyring:x: looked up when it is needed"
    (tmp_path / "zerorepo.toml").write_text(f'[llm]\napi_key = "{CANARY}"\n')
    assert CANARY not in str(asyncio.run(probe(tmp_path)))


def test_of_a_command_only_the_program_is_shown() -> None:
    assert shown(f"cmd:op read {CANARY}") == "cmd:op …"
    assert shown("env:NAME") == "env:NAME"


def test_a_prompt_is_searched_for_keys_and_the_place_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", CANARY)
    redactor = Redactor.from_environment()
    told = f"Read this:\n{fence(f'first{chr(10)}then {CANARY}', 'section')}\n"
    messages = (Message(role="system", content="Be brief."), Message(role="user", content=told))
    assert redactor.finds_in(messages) == 'the key of env:SOME_TOKEN, in the data "section", line 2 of message 2 (user)'
    assert redactor.finds_in(messages[:1]) is None


def test_an_answer_is_cleaned_in_every_field(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_TOKEN", CANARY)
    redactor = Redactor.from_environment()
    answer = redactor.clean_answer(Answer(text=f"a {CANARY}", model=CANARY, prompt_tokens=7))
    assert CANARY not in answer.model_dump_json()
    assert answer.prompt_tokens == 7
    clean = Answer(text="a sk-ant-" + "api03-AbCdEfGhIjKlMnOpQrSt", model="m")
    assert redactor.clean_answer(clean) is clean  # code that only looks like a key is the answer's own


def test_this_process_hands_no_key_to_its_environment(tmp_path: Path) -> None:
    path = key_file(tmp_path)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    resolve(f"file:{path}")
    assert CANARY not in "\n".join(os.environ.values())
    assert CANARY not in " ".join(sys.argv)


def test_a_reference_that_is_wrong_is_bad_usage() -> None:
    with pytest.raises(UsageError) as caught:
        resolve(CANARY)
    assert caught.value.exit_code == 2
    assert CANARY not in caught.value.render()
