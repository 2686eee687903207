"""What everything that is built keeps by rule, and the limits that say no more than that: recognised without asking.

A sentence is recognised only when each of its clauses is: what is not understood is for a model to account for. Pure.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from zerorepo_rpg.limits import Limit, LimitPlan, LimitSet, limits_of
from zerorepo_rpg.project import license_of
from zerorepo_rpg.spec_model import Permission, RepositorySpec

DEPENDENCIES, PERMISSIONS, LICENSE, PACKAGE = "dependencies", "permissions", "license", "package-name"
PYTHON, TYPED, DOCUMENTED, TESTED = "python-version", "typed", "documented", "tested"
NO_DYNAMIC_CODE, NO_CODE_AT_IMPORT, ACYCLIC = "no-dynamic-code", "no-code-at-import", "acyclic-modules"

WORDED = (DEPENDENCIES, PERMISSIONS)
"""Rules that make sure of more or less, as the specification says."""
RULES = frozenset((
    DEPENDENCIES, PERMISSIONS, LICENSE, PACKAGE, PYTHON, TYPED, DOCUMENTED, TESTED, NO_DYNAMIC_CODE, NO_CODE_AT_IMPORT, ACYCLIC,
))  # fmt: skip


def enforced(spec: RepositorySpec) -> dict[str, str]:
    """The rules that what is built from a specification passes, by name, each as a sentence."""
    beyond = f" and {', '.join(spec.dependencies)}" if spec.dependencies else ""
    granted = ", ".join(spec.permissions) or "none of these"
    found = {
        DEPENDENCIES: f"Code imports nothing but the standard library{beyond}.",
        PERMISSIONS: f"Code uses network, subprocesses, files and native code only as permitted; permitted: {granted}.",
        PACKAGE: f"The package is called `{spec.package_name}`.",
        PYTHON: "It needs Python 3.11 or newer, and says so.",
        TYPED: "All parameters and results of public functions and methods are annotated, and the code passes mypy.",
        DOCUMENTED: "Every public function and class is planned with a docstring: purpose, parameters, result, errors.",
        TESTED: "Every public function and class has tests, which fail without its code and pass with it.",
        NO_DYNAMIC_CODE: "Code never calls eval, exec, compile, __import__ or input.",
        NO_CODE_AT_IMPORT: "Importing runs nothing but definitions and constants.",
        ACYCLIC: "Functions, classes and modules are planned so that none needs another in a circle.",
    }
    if license_id := license_of(spec):
        found[LICENSE] = f"It is published under the licence {license_id}, with its text."
    return found


def told_apart(spec: RepositorySpec) -> tuple[tuple[LimitPlan, ...], tuple[Limit, ...]]:
    """The limits that rules recognise as their own, with these rules; and all others."""
    known, rest = [], []
    for limit in limits_of(spec):
        if rules := recognised(limit.text, spec):
            known.append(LimitPlan(**limit.model_dump(), rules=rules))
        else:
            rest.append(limit)
    return tuple(known), tuple(rest)


def known_limits(spec: RepositorySpec, asked: tuple[LimitPlan, ...] = ()) -> LimitSet:
    """All limits of a specification: those by rule, and of the ``asked`` ones those that it still states."""
    known, rest = told_apart(spec)
    return LimitSet(known=known, asked=tuple(each for each in asked if any(each.states(limit) for limit in rest)))


def recognised(text: str, spec: RepositorySpec) -> tuple[str, ...]:
    """The rules that a limit says and nothing beyond; empty when there is a clause that is not one of theirs, to the word."""
    plain = " ".join(text.replace("`", "").split()).rstrip(".").strip()
    plain = re.sub(r"(?i)\b(python \d+\.\d+) (?:and|or) (?:newer|later|above|up|higher)\b", r"\1+", plain)
    if found := _TYPED.fullmatch(plain):
        said = re.findall(r"(?i)typed|annotated|documented", found[1])
        return tuple(dict.fromkeys(DOCUMENTED if word.lower() == "documented" else TYPED for word in said))
    rules: list[str] = []
    names = {spec.title, spec.package_name, *(f"The {kind}" for kind in _KINDS), "It"}
    subject = "|".join(re.escape(name) for name in sorted(filter(None, names), key=len, reverse=True))
    for clause in re.split(r"\s*(?:,\s*and\s+|,\s*|;\s*|\s+and\s+)", plain):
        words = re.sub(rf"(?i)^(?:{subject}) ", "", clause)
        words = re.sub(r"(?i)^(?:must|should|shall) ", "", words)
        rule = next((each for each in (say(words, spec) for say in _CLAUSES) if each), "")
        if not rule or (rule == PACKAGE and re.match(r"(?i)the (?!package|library)", clause)):
            return ()
        rules.append(rule)
    return tuple(dict.fromkeys(rules))


_KINDS = ("package", "library", "tool", "program", "service", "command", "project", "code")
_TYPED = re.compile(
    r"(?i)(?:all|every|each)(?: public)? (?:functions?|class(?:es)?|functions and classes|interfaces?)"
    r" (?:is|are|must be|should be) (?:fully )?((?:typed|annotated|documented)(?:(?:,| and|, and) (?:typed|annotated|documented))*)"
)
_STANDARD = re.compile(
    r"(?i)(?:only uses?|uses?|needs?|depends? on|imports?) (?:nothing (?:but|beyond|except|outside(?: of)?) |only )?"
    r"(?:the |python's )?standard library(?: only)?"
    r"|(?:has|have) no (?:third-party |external |runtime |other )?dependencies"
)
_LICENSED = re.compile(
    r"(?i)(?:is|be) (?:published|released|licensed|distributed|available) under (?:the |an? )?(.+?)(?: licen[cs]e)?"
)
_CALLED = re.compile(r"(?i)(?:is|be) (?:called|named) (\w+)")
_PYTHON = re.compile(
    r"(?i)(?:runs?|works?) (?:on|with|under) python 3\.11\+?|(?:needs?|requires?|supports?) python 3\.11\+?"
)
_READS = re.compile(r"(?i)(?:may )?(?:reads?|opens?) (?:the )?files(?: (?:that|which) (?:its|the) command line names)?")
_NEVER = re.compile(
    r"(?i)(?:(?:does not|do not|never) (?:use|uses|touch|touches|access|accesses|open|opens|start|starts) (?:the |any |other )?|"
    r"(?:uses?|opens?|starts?) no (?:other )?)(network|files?|file system|filesystem|subprocess(?:es)?|process(?:es)?|native code)"
)
_PERMITS = {
    "network": Permission.NETWORK,
    "file": Permission.FILESYSTEM,
    "files": Permission.FILESYSTEM,
    "file system": Permission.FILESYSTEM,
    "filesystem": Permission.FILESYSTEM,
    "native code": Permission.NATIVE,
}


def _dependencies(clause: str, spec: RepositorySpec) -> str:
    bare = re.fullmatch(r"(?i)(?:uses?|needs?|imports?|depends? on) (?:the |python's )?standard library", clause)
    return DEPENDENCIES if not spec.dependencies and not bare and _STANDARD.fullmatch(clause) else ""


def _license(clause: str, spec: RepositorySpec) -> str:
    found, ours = _LICENSED.fullmatch(clause), license_of(spec)
    same = found and ours and license_of(spec.model_copy(update={"license": found[1]})) == ours
    return LICENSE if same else ""


def _package(clause: str, spec: RepositorySpec) -> str:
    found = _CALLED.fullmatch(clause)
    return PACKAGE if found and found[1] == spec.package_name else ""


def _python(clause: str, spec: RepositorySpec) -> str:
    return PYTHON if _PYTHON.fullmatch(clause) else ""


def _permissions(clause: str, spec: RepositorySpec) -> str:
    if _READS.fullmatch(clause):
        return PERMISSIONS if Permission.FILESYSTEM in spec.permissions else ""
    if found := _NEVER.fullmatch(clause):
        wanted = _PERMITS.get(found[1].lower(), Permission.SUBPROCESS)
        return "" if wanted in spec.permissions else PERMISSIONS
    return ""


_CLAUSES: tuple[Callable[[str, RepositorySpec], str], ...] = (_dependencies, _license, _package, _python, _permissions)

__all__ = ["enforced", "known_limits", "recognised", "told_apart"]
