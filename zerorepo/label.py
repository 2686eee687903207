"""Labels (``//package:target``) and target patterns (``//...``, ``//auth/...``, ``//auth:all``, ``-//auth:slow``).

Bazel's grammar. Knows nothing of which targets exist.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from zerorepo.errors import UsageError

if TYPE_CHECKING:
    from pydantic import GetCoreSchemaHandler, ValidationInfo
    from pydantic_core import CoreSchema

# Bazel's target-name characters, and the letters of all languages, since files have such names; a name may hold slashes
# (files), a package part may not be "." or "..".
_NAME = re.compile(r"[\w!%\-@^_\"#$&'()*+,;<=>?\[\]{|}~/. ]+")
_PACKAGE = re.compile(r"[\w!\"#$%&'()*+,\-.;<=>?@\[\]^_`{|}~/ ]*")
# What nearly every label is; nothing that it takes needs another look.
_PLAIN = re.compile(r"//((?:[A-Za-z0-9_-]+/)*[A-Za-z0-9_-]+|):([A-Za-z0-9_-][A-Za-z0-9_.-]*)")


class Label(NamedTuple):
    """``//package:name``. ``package`` is "" for the root; both use forward slashes."""

    package: str
    name: str

    def __str__(self) -> str:
        return f"//{self.package}:{self.name}"

    @property
    def path(self) -> str:
        """The workspace-relative path that a file of this label has."""
        return f"{self.package}/{self.name}" if self.package else self.name

    def sibling(self, name: str) -> Label:
        """A target of the same package."""
        return Label(self.package, name)

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        from pydantic_core import core_schema  # a query reads labels without pydantic

        def validate(value: Any, info: ValidationInfo) -> Label:
            if isinstance(value, Label):
                return value
            if not isinstance(value, str):
                raise ValueError("a label is a string such as //package:target")
            package = (info.context or {}).get("package", "") if isinstance(info.context, dict) else ""
            try:
                return parse_label(value, package)
            except UsageError as error:
                raise ValueError(error.message) from None

        return core_schema.with_info_plain_validator_function(
            validate,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )


def _bad(text: str, why: str) -> UsageError:
    return UsageError(f"Bad label `{text}`: {why}", hint="labels look like //package:target, //package, :target")


def check_package(package: str, text: str) -> str:
    """The package part, checked; UsageError when it is not one."""
    if not _PACKAGE.fullmatch(package):
        raise _bad(text, "the package has a character that is not allowed")
    if package and any(not part.strip(".") for part in package.split("/")):
        raise _bad(text, "a package part may not be empty or dots only")
    return package


def check_name(name: str, text: str) -> str:
    """The target part, checked; UsageError when it is not one."""
    if not name:
        raise _bad(text, "the target name is empty")
    if not _NAME.fullmatch(name):
        raise _bad(text, "the target name has a character that is not allowed")
    if any(part in ("", "..") for part in name.split("/")) or (name != "." and "." in name.split("/")):
        raise _bad(text, "a part of the target name may not be empty, `.` or `..`")
    return name


@lru_cache(maxsize=65536)
def parse_label(text: str, package: str = "") -> Label:
    """Parse a label; ``:name`` and ``name`` are relative to ``package``. UsageError when it is not one."""
    if plain := _PLAIN.fullmatch(text):
        return Label(plain[1], plain[2])
    if text.startswith("//"):
        pkg, colon, name = text[2:].partition(":")
        check_package(pkg, text)
        if not colon:
            name = pkg.rpartition("/")[2]
            if not name:
                raise _bad(text, "it names no target")
        return Label(pkg, check_name(name, text))
    if text.startswith("@"):
        raise _bad(text, "external repositories are not supported")
    if text.startswith("/"):
        raise _bad(text, "an absolute label starts with two slashes")
    name = text[1:] if text.startswith(":") else text
    if ":" in name:
        pkg, _, name = name.partition(":")
        joined = f"{package}/{pkg}" if package and pkg else package or pkg
        return Label(check_package(joined, text), check_name(name, text))
    return Label(package, check_name(name, text))


class Pattern(NamedTuple):
    """One target pattern.

    ``recursive``: the package and all below it. ``wildcard``: every target of the package(s) (``all``), with files too
    when ``files`` (``:*``, ``:all-targets``). Otherwise exactly the label ``//package:name``.
    """

    package: str
    name: str
    recursive: bool = False
    wildcard: bool = False
    files: bool = False
    negative: bool = False
    text: str = ""

    def covers_package(self, package: str) -> bool:
        """Whether targets of ``package`` can match."""
        if self.recursive:
            return not self.package or package == self.package or package.startswith(self.package + "/")
        return package == self.package

    def matches(self, label: Label, *, is_file: bool = False) -> bool:
        """Whether ``label`` matches, the sign left aside."""
        if not self.covers_package(label.package):
            return False
        if self.wildcard:
            return self.files or not is_file
        return label.name == self.name

    @property
    def label(self) -> Label:
        """The label of a pattern that names one target."""
        return Label(self.package, self.name)


def parse_pattern(text: str, package: str = "") -> Pattern:
    """Parse one target pattern relative to ``package``; UsageError when it is not one."""
    negative = text.startswith("-")
    body = text[1:] if negative else text
    if not body.startswith("//"):
        head, colon, name = body.partition(":")
        if head == "..." or head.endswith("/...") or (colon and head):
            joined = f"{package}/{head}" if package else head
            body = f"//{joined}{colon}{name}"
        elif colon:
            body = f"//{package}:{name}"
        else:
            body = f"//{package}:{head}"
    pkg, colon, name = body[2:].partition(":")
    if pkg == "..." or pkg.endswith("/..."):
        base = check_package(pkg[:-4] if pkg != "..." else "", text)
        if colon and name not in ("all", "*", "all-targets"):
            raise _bad(text, "after `...` only `:all`, `:*` or `:all-targets` may follow")
        return Pattern(
            base, "", recursive=True, wildcard=True, files=bool(colon) and name != "all", negative=negative, text=text
        )
    if colon and name in ("all", "*", "all-targets"):
        return Pattern(check_package(pkg, text), "", wildcard=True, files=name != "all", negative=negative, text=text)
    label = parse_label(body)
    return Pattern(label.package, label.name, negative=negative, text=text)


def chosen(label: Label, patterns: Iterable[Pattern]) -> bool:
    """Whether ``patterns`` choose ``label``: later ones add or, when negative, take away."""
    found = False
    for pattern in patterns:
        if pattern.matches(label):
            found = not pattern.negative
    return found


def parse_patterns(texts: Iterable[str], package: str = "") -> list[Pattern]:
    """Parse several; later ones add to or, when negative, take from what earlier ones matched."""
    return [parse_pattern(text, package) for text in texts]
