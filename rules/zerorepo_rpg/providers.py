"""Providers of the pipeline that are not part of the plan itself. Knows nothing of how they come about."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from zerorepo.digest import Digest
from zerorepo.target import Provider
from zerorepo.values import Value
from zerorepo_rpg.graph import RPGGraph
from zerorepo_rpg.limits import LimitPlan
from zerorepo_rpg.plan_model import BaseClasses, FeatureSet, ModuleInterfaces, ModuleSet, NodeInterface
from zerorepo_rpg.spec_model import Requirement


class LockedFeatures(Provider):
    """The lock's slice of stage ``features``. ``inputs`` is the digest of what it was accepted for; "" without a lock.

    ``requirements`` are those that the features were chosen for.
    """

    inputs: str = ""
    requirements: tuple[Requirement, ...] = ()
    value: FeatureSet = FeatureSet()


class LockedLimits(Provider):
    """The lock's slice of stage ``limits``."""

    inputs: str = ""
    limits: tuple[LimitPlan, ...] = ()


class LockedModules(Provider):
    """The lock's slice of stage ``modules``."""

    inputs: str = ""
    value: ModuleSet = ModuleSet()


class LockedBaseClasses(Provider):
    """The lock's slice of stage ``base_classes``."""

    inputs: str = ""
    value: BaseClasses = BaseClasses()


class LockedModule(Value):
    """One module's files and interfaces as locked; ``files`` holds (path, feature ids, description)."""

    files_inputs: str = ""
    files: tuple[tuple[str, tuple[str, ...], str], ...] = ()
    interfaces_inputs: str = ""
    interfaces: ModuleInterfaces


class LockedModulePlans(Provider):
    """The lock's slice of stages ``files`` and ``interfaces``, by module."""

    modules: Mapping[str, LockedModule] = {}


class LockedExisting(Provider):
    """The lock's graph of code that people wrote; planning keeps it as it is."""

    value: RPGGraph = RPGGraph()


class StageInputs(Provider):
    """Digests of what each stage's value was made from, by stage name. Written into the lock with the plan."""

    inputs: Mapping[str, str]


class NodeSpec(Provider):
    """What the prompts of one node are told: its interface and the sentences of the specification behind it."""

    interface: NodeInterface
    requirements: tuple[str, ...] = ()


class NodeTests(Provider):
    """A node's first test module, as source. ``by_hand``: a person wrote it, so nobody else mends it."""

    source: str
    by_hand: bool = False
    hollow: tuple[str, ...] = ()
    """Tests that pass although the node has no code yet; each of them proves nothing."""


class Cause(StrEnum):
    """Whose fault a failing test is."""

    IMPLEMENTATION = "implementation"
    TESTS = "tests"
    INTERFACE = "interface"
    ENVIRONMENT = "environment"


class Diagnosis(Value):
    """A model's answer to a failing test run."""

    cause: Cause
    explanation: str
    """What is wrong and where, in a few sentences."""


class Attribution(Value):
    """What a vote found: ``votes`` of ``asked`` answers name ``cause``; ``explanation`` is what they say."""

    cause: Cause
    votes: int
    asked: int
    explanation: str = ""


class Why(StrEnum):
    """Why a node has failed for good."""

    DEPENDENCY = "dependency"
    """It was not run: something that it uses has failed."""
    REPAIRS = "repairs"
    """It was mended as often as is allowed."""
    NO_REPAIR = "no repair"
    """No usable repair was offered, or what must change is a person's."""
    UNDECIDED = "undecided"
    """No vote found a majority."""
    INTERFACE = "interface"
    """No code can satisfy the interface as it is; ``NodeCode.correction`` is another one, unless the plan is locked."""
    ENVIRONMENT = "environment"
    """Neither code nor tests are at fault; the next build runs them again."""


class NodeCode(Provider):
    """A node's accepted source and the tests it was accepted by; ``passed`` is False when every attempt failed."""

    source: str
    tests: str
    passed: bool
    rounds: int = 0
    """How many repairs it took."""
    failure: str = ""
    """What the last test run said, when it did not pass."""
    why: Why | None = None
    """Why it failed for good; None when it passed."""
    history: tuple[str, ...] = ()
    """A line for each round: what it was attributed to, and what was done."""
    anew: bool = False
    """Whether its tests are run anew in each build, since the surroundings had failed them."""
    correction: NodeInterface | None = None
    """What its interface should be, when nothing else is wrong."""


class Node(Provider):
    """A finished node, for people who ask for ``//module:name``."""

    interface: NodeInterface
    passed: bool


class AssembledRepository(Provider):
    """The generated repository's files, by path inside it."""

    files: Mapping[str, Digest]
    package_name: str
    failed_nodes: tuple[str, ...] = ()
    wrong_examples: tuple[str, ...] = ()
    """Names of examples of interfaces that do not hold."""
    circles: tuple[tuple[str, ...], ...] = ()
    """Modules that load each other in a circle."""
