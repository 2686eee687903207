"""Random questions about a workspace of neutral JSON, as trees and as text. Knows nothing of answers.

A tree is a tuple: ``("pattern", text)``, ``("variable", name)``, ``("set", texts)``, ``("let", name, value, body)``,
``("sum", first, ((operator, tree), …))`` or ``("call", function, arguments)`` with trees, words and integers.
"""

from __future__ import annotations

import random
import re
from collections.abc import Mapping
from typing import Any, TypeAlias

Tree: TypeAlias = tuple[Any, ...]
_PLAIN = re.compile(r"[A-Za-z0-9/@._:$~\[\]][A-Za-z0-9*/@._:$~\[\]-]*")
_RESERVED = ("let", "in", "set", "union", "except", "intersect")
KINDS = ("rule", "^lib rule$", "test", "source file", "generated", ".*_test rule", "(?i)LIB", "odd|proto", "^rule")
LABELS = ("a", "^//a[:/]", r"\.txt$", "chain", "[+=,]", "t1", " ", "^//:", "été", r"\$")
ATTRIBUTES = {
    "name": ("^t", r"\+", "^a b$"),
    "tags": ("slow", r"^\[\]$", r"[\[ ]gpu[,\]]", r"\[x\]"),
    "visibility": ("private", "^.//visibility:public.$", "__pkg__"),
    "deps": (r"^\[\]$", "//chain:c1[,\\]]", ".{40,}"),
    "srcs": ("s1", r"^\[\]$"),
    "outs": ("_1.out", "^."),
    "size": ("small", "^medium$"),
    "timeout": ("short", "long"),
    "flaky": ("1", "^0$"),
    "shard_count": ("-1", "[23]"),
    "testonly": ("1", "0"),
    "cmd": ("echo", "^$"),
    "actual": ("//a", "."),
    "text": ("^$", "two", r"^\{\}$"),
    "count": ("^0$", "-1", "1099511627776"),
    "flag": ("1", "0", "True"),
    "words": (r"^\[\]$", "one, two", "three"),
    "table": ("k=v", r"^\{\}$", r"k2=\[a, b\]"),
    "nothing": ("", "None", "null"),
    "runtime_deps": ("//", r"^\[\]$"),
    "nosuch": ("", "x"),
}
LISTS = (
    "deps",
    "srcs",
    "data",
    "tools",
    "tests",
    "actual",
    "outs",
    "runtime_deps",
    "exports",
    "nosuch",
    "size",
    "$implicit_tests",
)


class Questions:
    """Draws questions, always the same for a seed."""

    def __init__(self, data: Mapping[str, Any], seed: int) -> None:
        self.choose = random.Random(seed)
        self.labels = [each["label"] for each in (*data["targets"], *data["files"])]
        self.packages = [package["name"] for package in data["packages"]]

    def question(self) -> tuple[Tree, str, list[str]]:
        """A tree, the package that it is asked in, and the flags."""
        self.cwd = self.choose.choice(self.packages) if self.choose.random() < 0.3 else ""
        self.universe = self.choose.random() < 0.2
        flags = ["--notool_deps"] if self.choose.random() < 0.1 else []
        flags += ["--universe_scope=//a/...,//x/...,-//a/b/...", "--order_output=no"] if self.universe else []
        tree = self.path() if self.choose.random() < 0.1 else self.tree(self.choose.choice((1, 2, 2, 3)), ())
        return tree, self.cwd, flags

    def path(self) -> Tree:
        return ("call", "somepath", (self.tree(1, ()), self.tree(1, ())))

    def build_arguments(self) -> list[str]:
        """What a ``build`` command is given."""
        self.cwd, choose = "", self.choose
        patterns = [self.pattern(bad=False) for _ in range(choose.choice((1, 2, 3)))]
        signed = [("-" if i and choose.random() < 0.4 else "") + text for i, text in enumerate(patterns)]
        flags = [choose.choice(("--build_tag_filters=slow", "--build_tag_filters=-slow,gpu", "--build_tests_only"))]
        return (flags if choose.random() < 0.3 else []) + ["--", *signed]

    def pattern(self, *, bad: bool = True) -> str:
        choose = self.choose
        label: str = choose.choice(self.labels)
        package = choose.choice(self.packages)
        if choose.random() < 0.5:
            return label
        forms = [
            "//...", "//...:*", "//...:all", f"//{package}/..." if package else "//...", f"//{package}:all", f"//{package}:*",
            f"//{package}:all-targets", f"//{package}/...:*" if package else "//...:*", f"@{label}",
        ]  # fmt: skip
        if self.cwd:
            inside = [each for each in self.labels if each.startswith(f"//{self.cwd}:")]
            if inside:
                name = choose.choice(inside).partition(":")[2]
                forms += [f":{name}", name]
            forms += ["...", ":all", ":*"]
        else:
            forms += [label[2:], label[2:].replace(":", "/", 1).lstrip("/")]
        if bad and choose.random() < 0.05:
            forms = [
                f"{label}x",
                "//nosuch:x",
                "//nosuch/...",
                f"//{package}:no such",
                "@repo//a:b",
                "//a//b",
                "//a/../x:y",
                "//a:",
                "-//a/...",
                "*",
            ]
        return choose.choice(forms)

    def tree(self, depth: int, variables: tuple[str, ...]) -> Tree:
        choose = self.choose
        if depth == 0 or choose.random() < 0.1:
            if variables and choose.random() < 0.5:
                return ("variable", choose.choice(variables))
            if choose.random() < 0.15:
                return ("set", tuple(self.pattern() for _ in range(choose.randrange(4))))
            return ("pattern", self.pattern())
        roll = choose.random()
        if roll < 0.2:
            rest = tuple(
                (choose.choice("+-^"), self.tree(depth - 1, variables)) for _ in range(choose.choice((1, 2, 3)))
            )
            return ("sum", self.tree(depth - 1, variables), rest)
        if roll < 0.27:
            name = choose.choice(("x", "_y1", "x"))
            return ("let", name, self.tree(depth - 1, variables), self.tree(depth - 1, (*variables, name)))
        return self.call(depth, variables)

    def call(self, depth: int, variables: tuple[str, ...]) -> Tree:
        choose = self.choose
        a, b = self.tree(depth - 1, variables), self.tree(depth - 1, variables)
        steps = (choose.choice((0, 1, 2, 3, 50)),) if choose.random() < 0.5 else ()
        attribute = choose.choice(list(ATTRIBUTES))
        calls = [
            ("deps", (a, *steps)),
            ("rdeps", (a, b, *steps)),
            ("rdeps", (("pattern", "//..."), b, *steps)),
            ("allpaths", (a, b)),
            ("kind", (choose.choice(KINDS), a)),
            ("filter", (choose.choice(LABELS), a)),
            ("attr", (attribute, choose.choice(ATTRIBUTES[attribute]), a)),
            ("attr", (attribute, choose.choice(ATTRIBUTES[attribute]), ("pattern", "//..."))),
            ("labels", (choose.choice(LISTS), a)),
            ("siblings", (a,)),
            ("same_pkg_direct_rdeps", (a,)),
            ("tests", (a,)),
            ("buildfiles", (a,)),
            ("loadfiles", (a,)),
            ("visible", (("pattern", choose.choice(self.labels)), b)),
        ]
        if self.universe:
            calls += [("allrdeps", (a, *steps))] * 4
        return ("call", *choose.choice(calls))


def text_of(tree: Tree) -> str:
    """The expression that a tree stands for."""
    match tree:
        case ("pattern", text):
            return word(text)
        case ("variable", name):
            return f"${name}"
        case ("set", texts):
            return f"set({' '.join(map(word, texts))})"
        case ("let", name, value, body):
            return f"(let {name} = {text_of(value)} in {text_of(body)})"
        case ("sum", first, rest):
            names = {"+": "union", "-": "except", "^": "intersect"}
            parts = [f" {names[sign] if i % 2 else sign} {text_of(other)}" for i, (sign, other) in enumerate(rest)]
            return f"({text_of(first)}{''.join(parts)})"
        case ("call", function, arguments):
            shown = [str(a) if isinstance(a, int) else word(a) if isinstance(a, str) else text_of(a) for a in arguments]
            return f"{function}({', '.join(shown)})"
    raise AssertionError(tree)


def word(text: str) -> str:
    """A word, in quotes where it needs them; one with both kinds of quotes has no text, and stands for nothing that exists."""
    if _PLAIN.fullmatch(text) and text not in _RESERVED:
        return text
    return f'"{text}"' if '"' not in text else f"'{text}'"
