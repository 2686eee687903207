"""The journal: every answer that was obtained, one durable file each, and the record type that transcripts share.

An answer is here before anyone sees it, so a crash between paying and caching costs nothing. Knows nothing of who
answers.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import json
import os
import threading
from collections.abc import AsyncIterator, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Self

from pydantic import ValidationError

from zerorepo.action_key import key_of
from zerorepo.digest import Digest, DigestFunction
from zerorepo.errors import EnvironmentFailure, TransientFailure, UsageError, ZeroRepoError
from zerorepo.label import Label
from zerorepo.values import Value
from zerorepo_llm.action import Answer, AskModel, Expects, Message
from zerorepo_llm.files import sync_folder, write_all
from zerorepo_llm.gists import Gists
from zerorepo_llm.key_locks import release, try_hold
from zerorepo_llm.unsynced import Log, recover

_LOCK_POLL_S = 0.1


def function_of(key: str) -> DigestFunction:
    """The digest function that made a key, told by its length."""
    return DigestFunction.XXH3 if len(key) == 32 else DigestFunction.SHA256


class Question(Value):
    """One ``AskModel`` as a record: all of its identity, and who asked what for."""

    key: str
    target: str
    purpose: str
    tier: str = ""
    expects: Expects = "text"
    model: str
    messages: tuple[Message, ...]
    answer_schema: Mapping[str, Any] | None = None
    temperature: float | None = None
    max_tokens: int
    sample: int = 0

    @classmethod
    def of(cls, action: AskModel, key: Digest, label: Label) -> Question:
        """The record of ``action``, asked first by ``label``."""
        fields = {name: getattr(action, name) for name in _OF_ACTIONS}
        return Question(key=key.hex, target=str(label), **fields)

    def action(self) -> AskModel:
        """The action that this record describes."""
        return AskModel(**{name: getattr(self, name) for name in _OF_ACTIONS})

    def true_key(self, function: DigestFunction | None = None) -> str:
        """The key that the content has, under the function of the stored key unless another is given."""
        return key_of(self.action(), function or function_of(self.key)).hex


# Who asks for what, and what else may be asked, is no part of the record.
_OF_ACTIONS = tuple(name for name in AskModel.model_fields if name in Question.model_fields)


class Usage(Value):
    """What an answer consumed. ``cost_usd`` None: the price is not known."""

    prompt_tokens: int = 0
    cached_tokens: int = 0
    completion_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = 0.0


_OF_ANSWERS = tuple(Usage.model_fields)


class Entry(Question):
    """A question with its answer: one journal file, one line of a transcript."""

    text: str
    finish_reason: str = "stop"
    answered_by: str = ""
    """The model that answered, as it calls itself."""
    asked: str = ""
    """The litellm model string that was asked, when it was a fallback of ``model``."""
    provider: str = ""
    usage: Usage = Usage()

    @classmethod
    def answered(cls, question: Question, answer: Answer, provider: str) -> Self:
        """``question`` with ``answer``."""
        fields = {name: getattr(question, name) for name in Question.model_fields}
        usage = Usage(**{name: getattr(answer, name) for name in _OF_ANSWERS})
        return cls(
            **fields,
            text=answer.text,
            finish_reason=answer.finish_reason,
            answered_by=answer.model,
            asked=answer.asked,
            provider=provider,
            usage=usage,
        )

    def answer(self) -> Answer:
        """The answer as an action result."""
        return Answer(
            text=self.text,
            finish_reason=self.finish_reason,
            model=self.answered_by,
            asked=self.asked,
            **{name: getattr(self.usage, name) for name in _OF_ANSWERS},
        )

    def to_json(self) -> str:
        """One line of stable bytes: sorted keys, UTF-8 kept; fields that came later only when they say something."""
        body = self.model_dump(mode="json")
        for holder, name in ((body, "asked"), (body["usage"], "cached_tokens"), (body["usage"], "reasoning_tokens")):
            if not holder[name]:
                del holder[name]
        return json.dumps(body, sort_keys=True, ensure_ascii=False)

    def same_answer(self, other: Entry) -> bool:
        """Whether both hold the same text, ended the same way."""
        return (self.text, self.finish_reason) == (other.text, other.finish_reason)


class Journal:
    """The answers of one workspace, ``<state>/answers/<key>.json``."""

    def __init__(self, state_dir: Path) -> None:
        self.folder = state_dir / "answers"

    def path(self, key: str) -> Path:
        """The file of ``key``."""
        return self.folder / f"{key}.json"

    def get(self, key: str) -> Entry | None:
        """The answer kept under ``key``; EnvironmentFailure when its file is damaged (it is never asked for again
        silently).
        """
        path = self.path(key)
        try:
            with open(f"{self.folder}/{key}.json", "rb") as file:
                text = file.read()
        except FileNotFoundError:
            return None
        try:
            entry = Entry.model_validate_json(text)
        except ValidationError as error:
            raise _damaged(path, f"{error.error_count()} fields are wrong") from None
        if entry.key != key or entry.true_key() != key:
            raise _damaged(path, "its key does not belong to its content")
        return entry

    def put(self, entry: Entry, *, replace: bool = False) -> Entry:
        """Keep ``entry`` durably. The answer that is in the journal afterwards is returned: the first one wins.

        With ``replace`` the new one wins.
        """
        (kept,) = self.put_all([entry], replace=replace)
        if isinstance(kept, Exception):
            raise kept
        return kept

    def put_all(
        self, entries: Sequence[Entry], *, replace: bool = False, log: Log | None = None
    ) -> list[Entry | Exception]:
        """``put`` for each, durable when this returns; what would have been raised for one of them is in its place.

        With ``log`` by one ``fsync`` for all of them, that of the log.
        """
        self.folder.mkdir(parents=True, exist_ok=True)
        found: list[Entry | Exception] = []
        records: list[tuple[str, bytes]] = []
        for entry in entries:
            data = entry.to_json().encode() + b"\n"
            try:
                kept = self._write(entry, data, replace=replace, sync=log is None)
            except (ZeroRepoError, OSError) as error:
                found.append(error)
                continue
            if kept is entry:
                records.append((f"{entry.key}.json", data))
            found.append(kept)
        if log is None:
            sync_folder(self.folder)
        else:
            log.add(records)
        return found

    def _write(self, entry: Entry, data: bytes, *, replace: bool, sync: bool) -> Entry:
        """The file of ``entry``, and what is in it afterwards."""
        path, temporary = f"{self.folder}/{entry.key}.json", self._temporary(entry)
        handle = os.open(temporary, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o644)
        try:
            try:
                write_all(handle, data)
                if sync:
                    os.fsync(handle)
            finally:
                os.close(handle)
            if replace:
                os.replace(temporary, path)
            elif not _link(temporary, path):
                before = self.get(entry.key)
                return before if before is not None else self._write(entry, data, replace=replace, sync=sync)
        finally:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(temporary)
        return entry

    def _temporary(self, entry: Entry) -> str:
        # Its own name for each writer.
        return f"{self.folder}/.{entry.key}.{os.getpid()}-{threading.get_ident()}.tmp"

    def keys(self) -> list[str]:
        """Every key that has an answer, sorted."""
        recover(self.folder)
        return sorted(path.stem for path in self.folder.glob("*.json") if not path.name.startswith("."))

    def entries(self) -> Iterator[Entry]:
        """Every answer, sorted by key."""
        for key in self.keys():
            entry = self.get(key)
            if entry is not None:
                yield entry

    def note_gist(self, gist: str, key: str) -> None:
        """Remember which question was asked for an action that goes by its gist: for whoever looks at it, not for a build."""
        Gists(self.folder).note(gist, key)

    def behind(self, key: str) -> str:
        """The key of the question that was asked for the action ``key``: another one only where it went by its gist."""
        return Gists(self.folder).behind(key) or key

    def find(self, prefix: str) -> list[str]:
        """The keys that start with ``prefix``."""
        return [key for key in self.keys() if key.startswith(prefix)]

    @asynccontextmanager
    async def holding(self, key: str, *, wait: bool = True) -> AsyncIterator[None]:
        """Only one asker of ``key`` at a time, over all builds on this machine: two builds never pay for one answer.

        TransientFailure when someone else asks already and ``wait`` is False.
        """
        path = self.folder / ".locks"
        # Polled, since the other asker may be another process.
        while not try_hold(path, key):
            if not wait:
                raise TransientFailure(
                    "Another build is waiting for this answer",
                    hint="let it go on, or stop it; `zerorepo desk list` shows what is open",
                )
            await asyncio.sleep(_LOCK_POLL_S)
        try:
            yield
        finally:
            release(path, key)

    @contextmanager
    def set_aside(self, key: str) -> Iterator[None]:
        """Inside the block the answer of ``key`` is not in the journal. It comes back unless another takes its place.

        Whoever holds ``key`` may do so; ``restore`` brings back what a process that died had set aside.
        """
        path, aside = self.path(key), self._aside(key)
        with contextlib.suppress(FileNotFoundError):
            path.replace(aside)
        try:
            yield
        finally:
            self.restore(key)

    def restore(self, key: str) -> None:
        """Bring back an answer that was set aside; drop it when there is a newer one."""
        if os.path.exists(f"{self.folder}/.{key}.before"):
            path, aside = self.path(key), self._aside(key)
            aside.unlink() if path.exists() else aside.replace(path)

    def _aside(self, key: str) -> Path:
        return self.folder / f".{key}.before"

    def forget(self, key: str) -> None:
        """Drop the answer of ``key``, if there is one."""
        self.path(key).unlink(missing_ok=True)
        sync_folder(self.folder)


def _link(temporary: str, path: str) -> bool:
    """Give ``temporary`` the name ``path``; False when something has it."""
    try:
        os.link(temporary, path)
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in (errno.EPERM, errno.ENOTSUP, errno.EMLINK):
            raise
        # A file system without links: the exclusive creation of an empty file decides who is first.
        try:
            os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o644))
        except FileExistsError:
            return False
        os.replace(temporary, path)
    return True


def _damaged(path: Path, why: str) -> EnvironmentFailure:
    return EnvironmentFailure(
        f"A recorded answer is damaged: {why}",
        where=str(path),
        hint="delete this file to ask again (it may cost money)",
    )


def unambiguous(prefix: str, keys: list[str], what: str) -> str:
    """The one key that starts with ``prefix``; UsageError when there is none or several."""
    found = [key for key in keys if key.startswith(prefix)] if prefix else []
    if len(found) == 1:
        return found[0]
    if not found:
        raise UsageError(f"No {what} has an id that starts with `{prefix}`", hint="see: zerorepo desk list")
    raise UsageError(
        f"The id `{prefix}` is ambiguous: {len(found)} {what}s start with it",
        hint="they are " + ", ".join(key[:12] for key in found[:5]),
    )
