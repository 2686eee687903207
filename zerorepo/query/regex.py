"""Regular expressions as Bazel's, which are Java's: the differences that occur in queries, written for Python.

Classes (``\\d``, ``\\w``, ``\\p{Alpha}`` …) are of ASCII; ``\\Q…\\E`` quotes; ``(?<name>…)`` names; ``(?i)`` may stand anywhere; a
brace that repeats nothing is an error. What Java has beyond that (intersections of classes, Unicode classes) is an error, not
another meaning.
"""

from __future__ import annotations

import re
import warnings

_CLASSES = {
    "Lower": "a-z", "Upper": "A-Z", "Alpha": "a-zA-Z", "Digit": "0-9", "Alnum": "a-zA-Z0-9", "XDigit": "0-9a-fA-F",
    "Punct": r"!-/:-@\[-`{-~", "Space": r" \t\n\x0b\f\r", "Blank": r" \t", "ASCII": r"\x00-\x7f", "Graph": "!-~", "Print": " -~",
    "Cntrl": r"\x00-\x1f\x7f",
}  # fmt: skip
_ESCAPES = {
    "b": r"(?u:\b)",
    "B": r"(?u:\B)",
    "z": r"\Z",
    "Z": r"(?=\n?\Z)",
    "e": r"\x1b",
    "R": r"(?:\r\n|[\n\x0b\f\r])",
}
_QUANTIFIER = re.compile(r"\{\d+(?:,\d*)?\}")
_FLAGS = re.compile(r"\(\?([imsx]+)\)")
_NAMED = re.compile(r"\(\?<([A-Za-z][A-Za-z0-9]*)>")
_PROPERTY = re.compile(r"\\([pP])\{(\w+)\}")
_BACK = re.compile(r"\\k<([A-Za-z][A-Za-z0-9]*)>")


def compile_java(text: str) -> re.Pattern[str]:
    """The pattern. re.error, OverflowError or RecursionError when it is none."""
    with warnings.catch_warnings():
        # Python warns of classes that may mean something else one day; they are nested classes, refused below.
        warnings.simplefilter("ignore", FutureWarning)
        return re.compile(_Translator(text).all(), re.ASCII)


class _Translator:
    def __init__(self, text: str) -> None:
        self._text = text
        self._at = 0
        self._out: list[str] = []
        self._open: list[list[str]] = [[]]
        """For each open group, the flags that were switched on in it."""

    def all(self) -> str:
        """The whole expression for Python."""
        while self._at < len(self._text):
            self._one()
        self._close()
        if len(self._open) > 0:
            raise re.error("missing ), unterminated subpattern")
        return "".join(self._out)

    def _take(self, size: int, becomes: str | None = None) -> None:
        self._out.append(self._text[self._at : self._at + size] if becomes is None else becomes)
        self._at += size

    def _close(self) -> None:
        self._out.append(")" * len(self._open.pop()))

    def _one(self) -> None:
        text, at = self._text, self._at
        char = text[at]
        if char == "\\":
            self._escape(in_class=False)
        elif char == "[":
            self._class()
        elif match := _FLAGS.match(text, at):
            self._open[-1].append(match[1])
            self._take(len(match[0]), f"(?{match[1]}:")
        elif match := _NAMED.match(text, at):
            self._open.append([])
            self._take(len(match[0]), f"(?P<{match[1]}>")
        elif text.startswith(("(?P", "(?("), at):
            raise re.error("unknown kind of group", text, at)
        elif char == "(":
            self._open.append([])
            self._take(1)
        elif char == ")":
            if len(self._open) == 1:
                raise re.error("unbalanced parenthesis", text, at)
            self._close()
            self._take(1)
        elif char == "|":
            # Flags that are on reach over alternatives, which in Python they would cut in two.
            flags = self._open[-1]
            self._take(1, ")" * len(flags) + "|" + "".join(f"(?{each}:" for each in flags))
        elif char == "{":
            match = _QUANTIFIER.match(text, at)
            if match is None or not self._out:
                raise re.error("a brace that repeats nothing", text, at)
            self._take(len(match[0]))
        else:
            self._take(1)

    def _escape(self, *, in_class: bool) -> None:
        text, at = self._text, self._at
        follows = text[at + 1 : at + 2]
        if follows == "Q":
            end = text.find("\\E", at + 2)
            quoted = text[at + 2 : end if end >= 0 else len(text)]
            self._take(len(quoted) + (4 if end >= 0 else 2), re.escape(quoted))
        elif match := _PROPERTY.match(text, at):
            if match[2] not in _CLASSES or (in_class and match[1] == "P"):
                raise re.error(f"the class {match[0]} is not supported", text, at)
            inside = _CLASSES[match[2]]
            self._take(len(match[0]), inside if in_class else f"[{'^' if match[1] == 'P' else ''}{inside}]")
        elif match := _BACK.match(text, at):
            self._take(len(match[0]), f"(?P={match[1]})")
        elif follows == "h":
            self._take(2, r" \t" if in_class else r"[ \t]")
        elif follows in _ESCAPES and follows and not in_class:
            self._take(2, _ESCAPES[follows])
        else:
            self._take(2)

    def _class(self) -> None:
        text = self._text
        self._take(1)
        if text.startswith("^", self._at):
            self._take(1)
        first = True
        while self._at < len(text):
            char = text[self._at]
            if char == "]" and not first:
                self._take(1)
                return
            if char == "[" or text.startswith("&&", self._at):
                raise re.error("a class within a class is not supported; put a backslash before `[`", text, self._at)
            if char == "\\":
                self._escape(in_class=True)
            else:
                self._take(1)
            first = False
        raise re.error("unterminated character set", text, len(text))
