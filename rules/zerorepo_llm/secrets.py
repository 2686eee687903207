"""Keys: references to them in settings, resolved at the last moment, and kept out of prompts and answers. Knows no provider.

A reference is ``env:NAME``, ``keyring:NAME`` (or ``keyring:SERVICE/NAME``), ``file:PATH`` or ``cmd:COMMAND``. What it stands for is
held in memory only, and everything that this process writes is masked of it (``zerorepo.redaction``).
"""

from __future__ import annotations

import asyncio
import os
import shlex
import stat
import subprocess
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from zerorepo import redaction
from zerorepo.errors import EnvironmentFailure, UsageError, ZeroRepoError
from zerorepo.redaction import REDACTED, conceal, concealed_in, looks_like_a_key, mask, redact
from zerorepo_llm.action import Answer, Message

SERVICE = "zerorepo"
"""The keyring's service of ``keyring:NAME``: what ``keyring set zerorepo NAME`` stores."""
_WHERE = "zerorepo.toml [llm] api_key"
_FORMS = "env:NAME, keyring:NAME, file:PATH or cmd:COMMAND"
_MOST_BYTES = 16 << 10
_COMMAND_S = 60.0
# A key may be short-lived (a cloud's access token), and a build may be long.
_KEPT_S = 600.0


def check_reference(text: str) -> str:
    """``text``, a reference to a key. ValueError, which never repeats it, when it is not one: it may be the key itself."""
    scheme, colon, rest = text.partition(":")
    if not colon or scheme not in _RESOLVERS or not rest.strip() or looks_like_a_key(text):
        raise ValueError(
            "this must be a reference to a key, never the key itself, since the file is checked in; "
            f'write {_FORMS}, for example api_key = "env:OPENAI_API_KEY", and take the key out of the file'
        )
    if scheme == "cmd":
        _words(rest)
    return text


def shown(reference: str) -> str:
    """A reference as it may be shown: of a command its program only, for its arguments may be secret."""
    scheme, _, rest = reference.partition(":")
    return f"cmd:{_words(rest)[0]} …" if scheme == "cmd" else reference


def resolve(reference: str, *, workspace: Path | None = None, where: str = _WHERE) -> str:
    """The key that ``reference`` stands for, from now on masked in everything that is written. May block; call it from a thread.

    UsageError when it is no reference or nothing stands behind it; EnvironmentFailure when a keyring or command fails.
    """
    try:
        check_reference(reference)
    except ValueError as error:
        raise UsageError(f"Bad `api_key`: {error}", where=where) from None
    with _lock:
        value, until = _known.get(reference, ("", 0.0))
        if not value or time.monotonic() > until:
            scheme, _, rest = reference.partition(":")
            try:
                value = _one_line(_RESOLVERS[scheme](rest.strip(), workspace), shown(reference))
            except ZeroRepoError as error:
                error.where = error.where or where
                raise
            conceal(value, shown(reference))
            # The environment costs nothing to look at, and cannot change under us but by a test.
            _known[reference] = (value, time.monotonic() + (_KEPT_S if scheme != "env" else 0.0))
        return value


async def resolved(reference: str, workspace: Path | None = None) -> str:
    """``resolve`` without blocking the event loop."""
    value, until = _known.get(reference, ("", 0.0))
    if value and time.monotonic() <= until:
        return value
    if reference.startswith("env:"):
        # Blocks nobody: looked at for every request, where a thread would cost more than all else here.
        same = value and value == os.environ.get(reference[4:])
        return value if same else resolve(reference, workspace=workspace)
    return await asyncio.to_thread(resolve, reference, workspace=workspace)


def forget(reference: str) -> None:
    """Look the key up anew when it is next needed: the provider refused the one that we had."""
    with _lock:
        _known.pop(reference, None)


_lock = threading.Lock()
_known: dict[str, tuple[str, float]] = {}
"""Reference to the key and the monotonic time until which it is used without looking again."""


def _one_line(value: str, source: str) -> str:
    value = value.strip()
    if not value:
        raise UsageError(f"The key of `{source}` is empty")
    if len(value.splitlines()) > 1 or not value.isprintable():
        raise UsageError(
            f"The key of `{source}` is not one line of text",
            hint="it must hold the key and nothing else; `cmd:sh -c 'COMMAND | head -n 1'` takes the first line of more",
        )
    return value


def _from_environment(name: str, workspace: Path | None) -> str:
    value = os.environ.get(name, "").strip()
    if not value:
        raise UsageError(
            f"The environment variable `{name}` with the model's key is not set",
            hint=f"export {name}=…, or use provider `replay` or `desk`, which need no key",
        )
    return value


def _from_keyring(name: str, workspace: Path | None) -> str:
    try:
        import keyring
        import keyring.errors
    except ImportError:
        raise UsageError(
            "`keyring:` needs the package keyring, which is not installed", hint="pip install 'zerorepo[keyring]'"
        ) from None
    service, _, user = name.rpartition("/") if "/" in name else (SERVICE, "", name)
    try:
        value = keyring.get_password(service, user)
    except keyring.errors.NoKeyringError:
        raise UsageError(
            "This machine has no keyring that could hold the key (usual without a desktop)",
            hint='keep it in a file that only you can read: api_key = "file:~/.config/zerorepo/key"',
        ) from None
    except keyring.errors.KeyringError as error:
        raise EnvironmentFailure(
            f"The keyring did not answer: {redact(str(error)) or type(error).__name__}",
            hint="unlock it, and build again",
        ) from None
    if not value:
        raise UsageError(
            f"The keyring has no key `{name}`", hint=f"store it: keyring set {shlex.quote(service)} {shlex.quote(user)}"
        )
    return value


def _from_file(name: str, workspace: Path | None) -> str:
    path = Path(name).expanduser()
    if not path.is_absolute():
        raise UsageError(f"The file of a key is named by its whole path, not `{name}`", hint="begin it with / or ~/")
    if workspace is not None and path.resolve().is_relative_to(workspace.resolve()):
        raise UsageError(
            f"The file `{name}` with the model's key is inside the workspace",
            hint="files there are inputs, which are cached and may be sent to a model; keep it in your home folder",
        )
    try:
        # Looked at once it is open, so that what was checked is what is read.
        with path.open("rb") as file:
            state = os.fstat(file.fileno())
            data = file.read(_MOST_BYTES + 1) if stat.S_ISREG(state.st_mode) else b""
    except OSError as error:
        raise UsageError(f"Cannot read the file `{name}` with the model's key: {error.strerror}") from None
    if not stat.S_ISREG(state.st_mode) or len(data) > _MOST_BYTES:
        raise UsageError(f"`{name}` is no file that holds a key and nothing else")
    if state.st_uid not in (os.getuid(), 0):
        raise UsageError(f"The file `{name}` with the model's key belongs to someone else")
    if stat.S_IMODE(state.st_mode) & 0o077:
        raise UsageError(
            f"Others may read or change the file `{name}` with the model's key (mode {stat.S_IMODE(state.st_mode):04o})",
            hint=f"chmod 600 {shlex.quote(name)}",
        )
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise UsageError(f"The file `{name}` with the model's key is not UTF-8 text") from None


def _words(command: str) -> list[str]:
    """The words of a command, as a shell would split them; ValueError when it would not."""
    try:
        words = shlex.split(command)
    except ValueError:
        words = []
    if not words:
        raise ValueError("the command after `cmd:` has an open quotation mark, or no word")
    return words


def _from_command(command: str, workspace: Path | None) -> str:
    words = _words(command)
    try:
        # Its messages are not shown: nobody knows what it says in them. It may ask on the terminal by itself (gpg, op).
        done = subprocess.run(
            words, cwd=workspace, stdin=subprocess.DEVNULL, capture_output=True, timeout=_COMMAND_S, check=False
        )
    except subprocess.TimeoutExpired:
        raise EnvironmentFailure(
            f"The command `{words[0]}`, which prints the model's key, took over {_COMMAND_S:.0f} s"
        ) from None
    except OSError as error:
        raise UsageError(
            f"The command `{words[0]}`, which prints the model's key, cannot be run: {error.strerror}"
        ) from None
    if done.returncode:
        raise EnvironmentFailure(
            f"The command `{words[0]}`, which prints the model's key, ended with code {done.returncode}",
            hint="run it by hand to see why",
        )
    return done.stdout[:_MOST_BYTES].decode("utf-8", "replace")


_RESOLVERS: Mapping[str, Callable[[str, Path | None], str]] = {
    "env": _from_environment,
    "keyring": _from_keyring,
    "file": _from_file,
    "cmd": _from_command,
}


class Redactor:
    """Keeps keys out of prompts and answers. Knows the values only in memory, and shares them with every edge of the process."""

    @classmethod
    def from_environment(cls, *references: str) -> Redactor:
        """Of every variable that looks like a secret by its name, and of those that ``references`` name.

        What other references stand for is known once it has been resolved.
        """
        redaction.conceal_environment()
        for reference in references:
            if reference.startswith("env:"):
                conceal(os.environ.get(reference[4:], ""), reference)
        return cls()

    def clean(self, text: str) -> str:
        """Content without any key value."""
        return mask(text)

    def clean_message(self, text: str) -> str:
        """A message for people without any key value, and without anything that looks like a key."""
        return redact(text)

    def clean_answer(self, answer: Answer) -> Answer:
        """An answer without any key value, in whichever of its fields a server may have put it."""
        said = {name: getattr(answer, name) for name in Answer.model_fields}
        cleaned = {name: mask(value) for name, value in said.items() if isinstance(value, str)}
        changed = {name: value for name, value in cleaned.items() if value != said[name]}
        return answer.model_copy(update=changed) if changed else answer

    def finds(self, text: str) -> str | None:
        """Where the key value that ``text`` holds comes from (``env:NAME``); None when it holds none."""
        found = concealed_in(text)
        return found[0] if found else None

    def finds_in(self, messages: tuple[Message, ...]) -> str | None:
        """The same for a prompt, with the place in it: ``the key of env:NAME, in the data "spec", line 3``."""
        from zerorepo_llm.fence import place_in

        for number, message in enumerate(messages, 1):
            if (found := concealed_in(message.content)) is not None:
                place = place_in(message.content, found[1])
                return f"the key of {found[0]}, in {place} of message {number} ({message.role})"
        return None


__all__ = ["REDACTED", "Redactor", "check_reference", "forget", "resolve", "resolved", "shown"]
