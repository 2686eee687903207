"""The engine's side of ``RuleContext``: answers requests and records them. Knows nothing of whether the record will be used.

``Answers`` gives the answer to any request as a digest; it serves both a running rule and the rebuilder, so the two cannot
disagree on what an input's digest is.
"""

from __future__ import annotations

import asyncio
import copy
import importlib.resources
import json
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from typing import Any, Generic, TypeVar

from zerorepo.action import Action, CachePolicy
from zerorepo.action_key import blobs_in, key_of, manifest
from zerorepo.cas import BlobMissing, Cas
from zerorepo.digest import Digest
from zerorepo.errors import InternalError, TargetFailed
from zerorepo.executors.local import LocalExecutor
from zerorepo.label import Label, parse_label
from zerorepo.rule import Attrs
from zerorepo.scheduler import Job, gather
from zerorepo.sources import SourceTree
from zerorepo.table import Target
from zerorepo.target import Outputs, Provider, TargetDecl
from zerorepo.trace import ProviderRecord, Request, Trace
from zerorepo.values import Value
from zerorepo.workspace import Workspace

AttrsT = TypeVar("AttrsT", bound=Attrs)
ProviderT = TypeVar("ProviderT", bound=Provider)
SettingsT = TypeVar("SettingsT", bound=Value)
PartT = TypeVar("PartT")

ABSENT = "absent"
_COPIED = 8 * 1024


class Built:
    """A target that succeeded in this build: its trace, and its providers, decoded when first asked for."""

    __slots__ = ("_decoded", "label", "ran", "reasons", "trace")

    def __init__(self, label: Label, trace: Trace, ran: bool, reasons: Sequence[str] = ()) -> None:
        self.label = label
        self.trace = trace
        self.ran = ran
        self.reasons = tuple(reasons)
        self._decoded: dict[type[Provider], Provider] = {}

    def record(self, type_name: str) -> ProviderRecord | None:
        """The stored form of a provider."""
        return next((record for record in self.trace.providers if record.type == type_name), None)

    def provider(self, type_: type[ProviderT]) -> ProviderT:
        """The value; TargetFailed when the target has no such provider."""
        found = self._decoded.get(type_)
        if found is None:
            record = self.record(type_.__name__)
            if record is None:
                have = ", ".join(r.type for r in self.trace.providers)
                raise TargetFailed(f"`{self.label}` provides no {type_.__name__}", hint=f"it provides {have}")
            found = type_.model_validate_json(record.json)
            self._decoded[type_] = found
        assert isinstance(found, type_)
        return found


Demand = Callable[[Label, Job[Built]], Awaitable[Built]]
DemandOne = Callable[[Label], Awaitable[Built]]


def _label_of(request: str) -> Label:
    """The target in the name of a request for a provider."""
    return parse_label(request.rpartition(" ")[0])


class Answers:
    """Digests of the present state of everything a rule may ask for."""

    def __init__(
        self,
        workspace: Workspace,
        sources: SourceTree,
        options: Mapping[str, Any],
        demand: Demand,
        built: Callable[[Label], Built | None],
        begin: Callable[[Label], bool],
    ) -> None:
        """``begin``: start on a target without waiting for it; whether that could be done."""
        self.workspace = workspace
        self.sources = sources
        self.options = options
        self.demand = demand
        self.built = built
        self.begin = begin
        self._resources: dict[str, bytes] = {}
        self._settings: dict[str, str] = {}

    async def targets(self, labels: Sequence[Label], job: Job[Built]) -> list[Built]:
        """Several targets, built in parallel. The first error, when all have ended."""
        found: list[Settled | None] = [self.built(label) for label in labels]
        if None in found:
            sought = [label for label in labels if not self.begin(label)] if len(labels) > 1 else []
            answers = await asyncio.gather(*(settled(self.demand(each, job)) for each in sought))
            others = dict(zip(sought, answers, strict=True))
            found = [
                each or others.get(label) or await settled(self.demand(label, job))
                for label, each in zip(labels, found, strict=True)
            ]
        return list(map(raised, found))

    async def all(self, requests: Sequence[Request], job: Job[Built]) -> list[str]:
        """Answers to requests made together; providers are demanded in parallel."""
        await self.targets([_label_of(request.name) for request in requests if request.kind == "provider"], job)
        return [
            await self.one(request.kind, request.name, lambda label: self.demand(label, job)) for request in requests
        ]

    async def in_turn(self, requests: Sequence[Request], demand: DemandOne) -> list[str]:
        """The same, one after the other, for a ``demand`` that does not suspend."""
        return [await self.one(request.kind, request.name, demand) for request in requests]

    async def one(self, kind: str, name: str, demand: DemandOne) -> str:
        """The answer to one request."""
        if kind == "provider":
            record = (await demand(_label_of(name))).record(name.rpartition(" ")[2])
            return record.digest if record else ABSENT
        return self.known(kind, name)

    def known(self, kind: str, name: str) -> str:
        """The answer to a request that no other target is asked for."""
        if kind == "source":
            return str(self.sources.digest(name) or ABSENT)
        if kind == "volatile":
            return "asked anew in each build"
        if kind == "glob":
            include, exclude = json.loads(name)
            return str(key_of(self.sources.glob(include, exclude), self.sources_function))
        if kind == "resource":
            try:
                return str(self.sources_function.of_bytes(self.resource(name)))
            except InternalError:
                return ABSENT  # the rule set has changed; whether it is still needed, the rule will say
        if kind == "setting":
            return self.setting(name)
        if kind == "option":
            return json.dumps(self.options.get(name))
        raise InternalError(f"a request of the unknown kind `{kind}`")

    @property
    def sources_function(self) -> Any:
        """The digest function in use."""
        return self.workspace.cache.digest

    def setting(self, section: str) -> str:
        """Identity of a settings section, readable, so that ``explain`` can name the key that changed."""
        if section not in self.workspace.registry.section_names:
            return ABSENT
        if section not in self._settings:  # every target asks for the same few
            shown = manifest(self.workspace.settings(section), self.sources_function)
            self._settings[section] = json.dumps(shown, ensure_ascii=False)
        return self._settings[section]

    def resources_read(self) -> list[tuple[str, str]]:
        """Package and path of every rule set file that this build read."""
        return [(package, path) for package, _, path in (name.partition(":") for name in self._resources)]

    def resource(self, name: str) -> bytes:
        """A file shipped with a Python package, ``package:path``."""
        data = self._resources.get(name)
        if data is None:
            package, _, path = name.partition(":")
            try:
                data = importlib.resources.files(package).joinpath(path).read_bytes()
            except (OSError, ModuleNotFoundError) as error:
                raise InternalError(f"The rule set's file {name} cannot be read: {error}") from error
            self._resources[name] = data
        return data


class TargetContext(Generic[AttrsT]):
    """See ``zerorepo.rule.RuleContext``. One per run of a rule implementation."""

    def __init__(self, target: Target, job: Job[Built], answers: Answers, executor: LocalExecutor) -> None:
        self._target = target
        self._job = job
        self._answers = answers
        self._executor = executor
        self._cas: Cas = executor.cas
        self._groups: list[tuple[Request, ...]] = []
        self._outputs: dict[str, tuple[str, bool]] = {}
        self._declared: list[TargetDecl] = []
        self._updates: dict[str, str] = {}
        self._failed: Exception | None = None
        self.actions: list[tuple[str, str]] = []
        """Mnemonic and key of each action that was asked for."""

    @property
    def label(self) -> Label:
        return self._target.label

    @property
    def rule(self) -> str:
        return self._target.rule.name

    @property
    def attrs(self) -> Any:
        return self._target.attrs

    def _record(self, *requests: Request) -> None:
        if requests:
            self._groups.append(requests)

    async def provider(self, label: Label, type_: type[ProviderT]) -> ProviderT:
        return (await self.providers([label], type_))[0]

    async def providers(self, labels: Iterable[Label], type_: type[ProviderT]) -> list[ProviderT]:
        wanted = list(labels)
        try:
            built = await self._answers.targets(wanted, self._job)
            values = [each.provider(type_) for each in built]
        except Exception as error:
            # Kept: a rule that swallows it must not succeed, for its trace would not show what it had asked for.
            self._failed = self._failed or error
            raise
        records = [each.record(type_.__name__) for each in built]
        self._record(
            *(
                Request("provider", f"{label} {type_.__name__}", r.digest)
                for label, r in zip(wanted, records, strict=True)
                if r
            )
        )
        return values

    async def source(self, path: str) -> Digest:
        found = await self.source_or_none(path)
        if found is None:
            raise TargetFailed(
                f"`{self.label}` needs the file `{path}`, which does not exist", where=self._target.where
            )
        return found

    async def source_or_none(self, path: str) -> Digest | None:
        self._check_inside(path, "source")
        sources = self._answers.sources
        found = sources.digest(path)
        if found is not None and (sources.is_fresh(path) or not self._cas.has(found)):
            # Small ones are copied, so that ``explain`` can show what changed; of large ones only what comes out is kept.
            lent = found.size > _COPIED and self._cas.lend(found, sources.path_of(path))
            found = found if lent else self._cas.put(sources.read(path))
        self._record(Request("source", path, str(found or ABSENT)))
        return found

    async def glob(self, include: Sequence[str], exclude: Sequence[str] = ()) -> tuple[str, ...]:
        name = json.dumps([list(include), list(exclude)])
        self._record(Request("glob", name, self._answers.known("glob", name)))
        return self._answers.sources.glob(include, exclude)

    async def resource(self, package: str, name: str) -> bytes:
        path = f"{package}:{name}"
        self._record(Request("resource", path, self._answers.known("resource", path)))
        return self._answers.resource(path)

    async def setting(self, section: str, model: type[SettingsT]) -> SettingsT:
        found = self._answers.workspace.settings(section)
        if not isinstance(found, model):
            raise InternalError(f"[{section}] is a {type(found).__name__}, not a {model.__name__}")
        self._record(Request("setting", section, self._answers.setting(section)))
        return found

    async def option(self, name: str) -> Any:
        value = self._answers.options.get(name)
        self._record(Request("option", name, json.dumps(value)))
        return value

    async def run(self, action: Action) -> Any:
        return (await self.run_all([action]))[0]

    async def run_all(self, actions: Iterable[Action]) -> list[Any]:
        wanted = list(actions)
        ran = await gather(*(self._executor.run(action, self.label) for action in wanted))
        self.actions += [(type(action).mnemonic, each.key.hex) for action, each in zip(wanted, ran, strict=True)]
        self._record(
            *(
                Request(
                    "volatile" if type(a).cache is CachePolicy.VOLATILE else "action",
                    f"{type(a).mnemonic} {r.key.hex}",
                    "",
                )
                for a, r in zip(wanted, ran, strict=True)
            )
        )
        return [each.result for each in ran]

    async def concurrently(self, parts: Iterable[Callable[[Any], Awaitable[PartT]]]) -> list[PartT]:
        listed = list(parts)
        forks = [self._fork() for _ in listed]
        results = await gather(*(part(fork) for part, fork in zip(listed, forks, strict=True)))
        for fork in forks:
            self._groups += fork._groups
            self._failed = self._failed or fork._failed
            self.actions += fork.actions
        return results

    def _fork(self) -> TargetContext[AttrsT]:
        """A context that records by itself; outputs and declarations are those of the whole."""
        fork = copy.copy(self)
        fork._groups, fork.actions = [], []
        return fork

    def read(self, digest: Digest) -> bytes:
        return self._cas.get(digest)

    def write(self, data: bytes) -> Digest:
        return self._cas.put(data)

    def output(self, path: str, content: Digest | bytes, *, executable: bool = False) -> None:
        self._check_inside(path, "output")
        digest = self._cas.put(content) if isinstance(content, bytes) else content
        if path in self._outputs and self._outputs[path] != (str(digest), executable):
            raise TargetFailed(f"`{self.label}` declares the output `{path}` twice", where=self._target.where)
        self._outputs[path] = (str(digest), executable)

    def _check_inside(self, path: str, what: str) -> None:
        if not path or path.startswith("/") or any(part in ("", ".", "..") for part in path.split("/")):
            folder = "the output folder" if what == "output" else "the workspace"
            raise TargetFailed(
                f"`{self.label}` declares the {what} `{path}`, which is no path inside {folder}",
                where=self._target.where,
            )

    def update_source(self, path: str, content: bytes) -> None:
        self._check_inside(path, "source")
        self._updates[path] = str(self._cas.put(content))

    def declare(self, label: Label, rule: str, attrs: Mapping[str, Any]) -> None:
        if not self._target.rule.expands:
            raise InternalError(
                f"the rule `{self._target.rule.name}` declares targets but is not registered with expands=True"
            )
        self._declared.append(TargetDecl(label=label, rule=rule, attrs=dict(attrs)))

    def trace(self, result: Provider | Sequence[Provider] | None) -> Trace:
        """What was asked and what came out. The error of a dependency that failed, when the rule swallowed it."""
        if self._failed is not None:
            raise self._failed
        values = [] if result is None else [result] if isinstance(result, Provider) else list(result)
        files = {path: Digest.parse(digest) for path, (digest, _) in sorted(self._outputs.items())}
        modes = tuple(path for path, (_, executable) in sorted(self._outputs.items()) if executable)
        values.append(Outputs(files=files, executable=modes))
        names = [type(value).__name__ for value in values]
        if len(set(names)) != len(names):
            raise InternalError(
                f"the rule `{self._target.rule.name}` hands on two providers of one type: {', '.join(names)}"
            )
        function = self._cas.function
        blobs = dict.fromkeys(digest for value in values for digest in blobs_in(value))
        for digest in blobs:
            if not self._cas.keep(digest):
                raise BlobMissing(digest)
        return Trace(
            tuple(self._groups),
            tuple(ProviderRecord(type(v).__name__, v.model_dump_json(), str(key_of(v, function))) for v in values),
            dict(sorted(self._outputs.items())),
            tuple((str(d.label), d.rule, dict(d.attrs)) for d in self._declared),
            dict(self._updates),
            tuple(map(str, blobs)),
        )


Settled = Built | Exception


async def settled(demand: Awaitable[Built]) -> Settled:
    """A target, or the error that it ended with."""
    try:
        return await demand
    except Exception as error:  # noqa: BLE001  (raised when the others have ended, too)
        return error


def raised(found: Settled | None) -> Built:
    """The target; the error is raised."""
    if isinstance(found, Exception):
        raise found
    assert found is not None
    return found
