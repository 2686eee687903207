"""Actions: one effect each, with declared inputs. Part of the plugin API.

An action's fields are its inputs; its key is the digest of their canonical form. It knows nothing of caching or order:
``execute`` just does the work. Raise ``ActionFailed`` for a result that asking again will not change and
``TransientFailure`` for one that it may; neither is cached. A failing *test* is a result, not a failure.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any, ClassVar, Protocol, TypeVar

from zerorepo.digest import Digest
from zerorepo.label import Label
from zerorepo.values import Value


class CachePolicy(StrEnum):
    """May the result be remembered?"""

    DURABLE = "durable"
    VOLATILE = "volatile"
    """Runs at most once per build, never cached."""


Meters = Mapping[str, float]
"""What an execution consumed, by name."""


class ActionResult(Value):
    """Base of results. CAS digests in its fields keep their blobs alive with it."""


ResultT = TypeVar("ResultT", bound=ActionResult, covariant=True)
SettingsT = TypeVar("SettingsT", bound=Value)
ServiceT = TypeVar("ServiceT", bound="Service")


class ActionContext(Protocol):
    """What an executing action may use of the engine."""

    @property
    def label(self) -> Label:
        """The target that asked first."""

    @property
    def key(self) -> Digest:
        """The action's own key."""

    @property
    def refreshing(self) -> bool:
        """Whether the user wants this done anew although there is a result (``--refresh``)."""

    @property
    def workspace(self) -> Path:
        """The workspace folder (for services; declared inputs come through ``read``)."""

    @property
    def state_dir(self) -> Path:
        """A folder for a rule set's own durable state, ``.zerorepo`` of the workspace."""

    def read(self, digest: Digest) -> bytes:
        """Bytes from the CAS."""

    def write(self, data: bytes) -> Digest:
        """Put bytes into the CAS."""

    def settings(self, section: str, model: type[SettingsT]) -> SettingsT:
        """A section of ``zerorepo.toml``. Not part of the key: for endpoints, limits and the like only."""

    def option(self, name: str) -> Any:
        """A per-build option of the command line (``unsafe``, ``no_wait``); None when not given."""

    async def service(self, service: type[ServiceT]) -> ServiceT:
        """The build's one instance of a service, opened at first use, closed at the build's end."""

    def progress(self, text: str) -> None:
        """A short line for the progress display."""

    def meter(self, **amounts: float) -> None:
        """Count what this action consumed; ``model_calls``, ``cost_usd``, ``tokens``, … are summed per build."""


class Service(Protocol):
    """Something long-lived that actions share: a sandbox pool, an HTTP client."""

    @classmethod
    async def open(cls, context: ActionContext) -> Any:
        """Make it. Runs once per build, at first use."""

    async def close(self) -> None:
        """Release everything; called also when the build fails or is interrupted."""


class Action(Value):
    """Base of actions. Subclasses declare fields, ``mnemonic``, ``result`` and ``execute``.

    ``pool`` names the limit an execution counts against: ``cpu`` is ``--jobs``, ``processor`` (for what keeps a processor busy
    all the time) little more than there are processors; others have the limits of ``[build] pools``, or none. ``key_version``
    is raised when ``execute`` starts to mean something else.
    """

    mnemonic: ClassVar[str]
    result: ClassVar[type[ActionResult]]
    cache: ClassVar[CachePolicy] = CachePolicy.DURABLE
    pool: ClassVar[str] = "cpu"
    refreshable: ClassVar[bool] = False
    """Another execution may give another result: ``--refresh`` executes it although there is one."""

    async def execute(self, context: ActionContext) -> ActionResult:
        """Do the work. Must not read anything that is not a field, a setting that cannot matter, or in the CAS."""
        raise NotImplementedError

    async def reused(self, context: ActionContext, meters: Meters) -> None:
        """Called when a remembered result took the place of an execution that had consumed ``meters``. Must be quick."""

    def describe(self) -> str:
        """A few words for the progress display."""
        return self.mnemonic
