"""Rules: an attribute schema and an async implementation that asks for what it needs. The plugin API's centre.

A rule implementation is a pure function of what it asked its context for; everything with an effect is an action. The
context records each request; that record is the target's trace. Knows nothing of how requests are answered.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from zerorepo.action import Action, ActionResult
from zerorepo.digest import Digest
from zerorepo.label import Label
from zerorepo.target import Provider, TargetDecl
from zerorepo.values import Value

ProviderT = TypeVar("ProviderT", bound=Provider)
SettingsT = TypeVar("SettingsT", bound=Value)
PartT = TypeVar("PartT")


class Attrs(Value):
    """Base of attribute schemas. ``Label`` fields are dependencies, ``SourcePath`` fields are source files.

    Every target also takes ``tags`` (strings); the tag ``manual`` keeps it out of wildcards.
    """

    tags: tuple[str, ...] = ()


AttrsT = TypeVar("AttrsT", bound=Attrs, covariant=True)


class RuleContext(Protocol, Generic[AttrsT]):
    """What a rule implementation may ask for. Every ``await`` may suspend it; every answer is recorded in its trace."""

    @property
    def label(self) -> Label:
        """The target being built."""

    @property
    def rule(self) -> str:
        """The name of its rule."""

    @property
    def attrs(self) -> AttrsT:
        """Its attributes."""

    async def provider(self, label: Label, type_: type[ProviderT]) -> ProviderT:
        """What another target hands on. Builds it if need be; never returns when that fails."""

    async def providers(self, labels: Iterable[Label], type_: type[ProviderT]) -> list[ProviderT]:
        """The same for several, built in parallel; in the order asked."""

    async def source(self, path: str) -> Digest:
        """A source file of the workspace, put into the CAS. A missing file is an error that names the attribute."""

    async def source_or_none(self, path: str) -> Digest | None:
        """The same; None when there is no such file (its absence is recorded)."""

    async def glob(self, include: Sequence[str], exclude: Sequence[str] = ()) -> tuple[str, ...]:
        """Workspace-relative paths of the files that match, sorted; patterns as ``src/**/*.py``."""

    async def resource(self, package: str, name: str) -> bytes:
        """A file shipped inside a rule set's Python package (a prompt template)."""

    async def setting(self, section: str, model: type[SettingsT]) -> SettingsT:
        """A section of ``zerorepo.toml``, recorded. ``COSMETIC`` fields do not count."""

    async def option(self, name: str) -> Any:
        """A per-build option of the command line, recorded."""

    async def run(self, action: Action) -> Any:
        """Run an action, or have its cached result. The result is of the action's ``result`` type."""

    async def run_all(self, actions: Iterable[Action]) -> list[Any]:
        """Several at once; results in the order asked."""

    async def concurrently(self, parts: Iterable[Callable[[Any], Awaitable[PartT]]]) -> list[PartT]:
        """Run parts of an implementation at once, each with a context of its own; results and records in the order given.

        For parts that are several requests long, such as a question that may have to be asked again.
        """

    def read(self, digest: Digest) -> bytes:
        """Bytes from the CAS."""

    def write(self, data: bytes) -> Digest:
        """Put bytes into the CAS."""

    def output(self, path: str, content: Digest | bytes, *, executable: bool = False) -> None:
        """Declare an output file, ``path`` relative to the output folder. Written atomically when the target is built."""

    def update_source(self, path: str, content: bytes) -> None:
        """Keep a checked-in file of the workspace up to date (a lock file). ``--locked`` refuses a change."""

    def declare(self, label: Label, rule: str, attrs: Mapping[str, Any]) -> None:
        """Expansion: declare one more target. Only for rules with ``expands=True``."""


Implementation = Callable[[Any], Awaitable[Provider | Sequence[Provider] | None]]
Macro = Callable[[TargetDecl], Sequence[TargetDecl]]


Named = Mapping[str, Digest]
"""File name to content."""


@dataclass(frozen=True, slots=True)
class Adopt:
    """How a target takes files that a person wrote for what it would have made (``zerorepo adopt``).

    ``make(ctx, files)`` stands in for the implementation: it hands on the same providers, made from ``files``.
    ``names(label, attrs)``: the files that it takes, the first of which is meant when a person names none; None: any.
    ``current(label, provider)``: what they hold now; ``provider(type)`` is what the target hands on.
    """

    make: Callable[[Any, Named], Awaitable[Provider | Sequence[Provider] | None]]
    names: Callable[[Label, Any], Sequence[str]] | None = None
    current: Callable[[Label, Callable[[type[Any]], Any]], Mapping[str, str]] | None = None


@dataclass(frozen=True, slots=True)
class Origin:
    """Where an edit of an output belongs: the target that takes it, under which file name, with which content.

    ``output`` is the edited output; ``note`` says in a few words what was taken from it. Without a ``label`` nobody can take it,
    and ``note`` says why.
    """

    output: str
    label: Label | None
    name: str = ""
    content: bytes = b""
    note: str = ""


Origins = Callable[[Any, Named], Awaitable[Sequence[Origin]]]


@dataclass(frozen=True, slots=True)
class Rule:
    """A rule as registered.

    ``version`` is part of every target's identity: raise it when the implementation starts to mean something else.
    ``outputs``: files that the attributes already name, so that clashes are found before anything runs.
    ``test``: its targets are tests and hand on a ``TestReport``. ``expands``: its targets may declare targets.
    ``adopt``: how a person's files become its providers; a rule that hands on nothing but outputs needs none.
    ``origins(ctx, edited)``: for a rule whose outputs were made by other targets, whose each edited output is.
    """

    name: str
    attrs: type[Attrs]
    implementation: Implementation
    provides: tuple[type[Provider], ...] = ()
    version: int = 1
    test: bool = False
    expands: bool = False
    help: str = ""
    outputs: Callable[[Label, Any], Iterable[str]] | None = None
    adopt: Adopt | None = None
    origins: Origins | None = None


@dataclass(frozen=True, slots=True)
class MacroRule:
    """A macro: one declaration stands for several targets, made before anything is built."""

    name: str
    attrs: type[Attrs]
    expand: Callable[[Label, Any], Sequence[tuple[Label, str, Mapping[str, Any]]]]
    help: str = ""
    extra: Mapping[str, Any] = field(default_factory=dict)


def rule(
    name: str,
    *,
    attrs: type[Attrs],
    provides: Sequence[type[Provider]] = (),
    version: int = 1,
    test: bool = False,
    expands: bool = False,
    outputs: Callable[[Label, Any], Iterable[str]] | None = None,
    adopt: Adopt | None = None,
    origins: Origins | None = None,
) -> Callable[[Callable[[Any], Awaitable[Any]]], Rule]:
    """Decorator: turn an async implementation into a ``Rule`` named ``name``."""

    def wrap(function: Callable[[Any], Awaitable[Any]]) -> Rule:
        text = (function.__doc__ or "").strip()
        return Rule(name, attrs, function, tuple(provides), version, test, expands, text, outputs, adopt, origins)

    return wrap


def macro(
    name: str, *, attrs: type[Attrs]
) -> Callable[[Callable[[Label, Any], Sequence[tuple[Label, str, Mapping[str, Any]]]]], MacroRule]:
    """Decorator: ``function(label, attrs)`` returns (label, rule, attributes) triples. One of them must have the macro's label."""

    def wrap(function: Callable[[Label, Any], Sequence[tuple[Label, str, Mapping[str, Any]]]]) -> MacroRule:
        return MacroRule(name, attrs, function, (function.__doc__ or "").strip())

    return wrap


__all__ = [
    "Action",
    "ActionResult",
    "Adopt",
    "Attrs",
    "Macro",
    "MacroRule",
    "Named",
    "Origin",
    "Rule",
    "RuleContext",
    "macro",
    "rule",
]
