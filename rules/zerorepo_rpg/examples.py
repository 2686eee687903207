"""The examples of interfaces: as tests, one each, and as the README's sessions of those that hold. Knows nothing of running.

An example is a doctest session (``>>> slugify("A b")``); anything else is no example that could be shown to hold.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Sequence
from typing import NamedTuple

from zerorepo.target import Provider
from zerorepo_rpg.interface_checks import snake
from zerorepo_rpg.plan_model import NodeInterface, Plan

TEST_PATH = "tests/test_examples.py"
README_TEST_PATH = "tests/test_readme.py"
_HEAD = """\
import doctest


def _holds(session: str) -> bool:
    test = doctest.DocTestParser().get_doctest(session, {}, "example", None, 0)
    return doctest.DocTestRunner(verbose=False).run(test).failed == 0
"""
README_TEST = '''\
"""The examples of the README, run as they stand there."""

import doctest
import re
from pathlib import Path

SESSION = re.compile(r"^(`{3,})pycon\\n(.*?)^\\1$", re.MULTILINE | re.DOTALL)


def test_the_examples_of_the_readme_hold() -> None:
    text = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")
    parser = doctest.DocTestParser()
    for number, match in enumerate(SESSION.finditer(text), start=1):
        test = parser.get_doctest(match[2], {}, f"session {number}", "README.md", 0)
        assert doctest.DocTestRunner().run(test).failed == 0
'''


class HoldingExamples(Provider):
    """Names of the examples (``slug/slugify 1``) that hold, and of those that do not."""

    hold: tuple[str, ...] = ()
    fail: tuple[str, ...] = ()


class Example(NamedTuple):
    """One session of a node's interface; ``number`` counts from 1 within the node."""

    node: NodeInterface
    number: int
    session: str

    @property
    def name(self) -> str:
        """``slug/slugify 1``."""
        return f"{self.node.id} {self.number}"

    @property
    def test(self) -> str:
        """The name of its test function."""
        return f"test_{snake(self.node.module)}_{snake(self.node.name)}_{self.number}"


def examples_of(plan: Plan) -> list[Example]:
    """Every session among the examples of the interfaces."""
    return [
        Example(node, number, text.strip("\n"))
        for node in plan.nodes()
        for number, text in enumerate(node.examples, start=1)
        if text.lstrip().startswith(">>>")
    ]


def examples_test(plan: Plan) -> str:
    """A test module with one test for each example; "" when there are none."""
    found = examples_of(plan)
    if not found:
        return ""
    parts = [f"def {each.test}() -> None:\n    assert _holds({session_of(plan, [each])!r})\n" for each in found]
    return "\n\n".join([_HEAD, *parts])


def session_of(plan: Plan, examples: Sequence[Example]) -> str:
    """Examples of one node as a session that begins with the imports it needs, as a user writes them."""
    code = "\n".join(each.session for each in examples)
    words = set(re.findall(r"\w+", code))
    names = {node.name for node in plan.nodes()}
    needed = sorted({examples[0].node.name, *(names & words)})
    return f">>> from {plan.package_name} import {', '.join(needed)}\n{code}\n"


def usage(plan: Plan, hold: Collection[str]) -> list[str]:
    """The README's parts on usage: for each node the examples in ``hold``."""
    by_node: dict[str, list[Example]] = {}
    for each in examples_of(plan):
        if each.name in hold:
            by_node.setdefault(each.node.id, []).append(each)
    found = []
    for held in by_node.values():
        session = session_of(plan, held)
        fence = "`" * max(3, *(len(run) + 1 for run in re.findall(r"`{3,}", session)), 3)
        found.append(f"### `{held[0].node.name}`\n\n{fence}pycon\n{session}{fence}")
    return found


__all__ = ["Example", "HoldingExamples", "examples_of", "examples_test", "session_of", "usage"]
