"""A tiny library, `tinytext`, a scripted model that answers every question about it, and a workspace that builds it for real.

The model reads what a prompt shows it, as a good model would: a reworded sentence changes the interface that it stands behind, a
removed one removes its feature. Knows nothing of how anything is cached, and of no single test.
"""

from __future__ import annotations

import ast
import json
import os
import re
import shutil
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from zerorepo.cli.build_report import exit_code
from zerorepo.errors import ExitCode, TransientFailure
from zerorepo.label import Label
from zerorepo.target import TestReport
from zerorepo.testing import RuleRunner, Run
from zerorepo_llm.providers import Request
from zerorepo_llm.register import RULE_SET as LLM
from zerorepo_llm.testing import ScriptedProvider, use_provider
from zerorepo_rpg.lock import parse_lock, render
from zerorepo_rpg.plan_model import NodeInterface
from zerorepo_rpg.providers import NodeCode
from zerorepo_rpg.register import RULE_SET as RPG
from zerorepo_sandbox import environment
from zerorepo_sandbox.register import RULE_SET as SANDBOX

SPEC = """\
# Tinytext

Tinytext is a small library that turns titles into addresses. The package is called `tinytext`.

## Words

- `split_words(text)` returns the words of a text in order, separated by white space.
- `initials(text)` returns the first letter of each word, joined.

## Slugs

- `make_slug(text)` joins the words of a text by hyphens, in lower case.

## Paths

- `page_path(section, title)` returns a slash, the section, a slash and the slug of the title.
"""

Script = Callable[[Request], str]


@dataclass(frozen=True)
class Sketch:
    """How the scripted model imagines one function: ``body`` and ``checks`` are lines without indentation."""

    module: str
    signature: str
    body: str
    checks: str
    uses: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``make_slug`` of ``def make_slug(text: str) -> str``."""
        return self.signature.removeprefix("def ").partition("(")[0]

    @property
    def node(self) -> str:
        """``slugs/make_slug``."""
        return f"{self.module}/{self.name}"

    @property
    def feature(self) -> str:
        """``make-slug``."""
        return self.name.replace("_", "-")

    @property
    def import_line(self) -> str:
        """The line that imports it."""
        return f"from tinytext.{self.module}.core import {self.name}"

    def code(self, imports: Iterable[str], docstring: str = "As the interface says.") -> str:
        """An answer with its code."""
        lines = [*imports, "", f"{self.signature}:", f'    """{docstring}"""', *_indented(self.body)]
        return python(*lines)

    def tests(self) -> str:
        """An answer with its tests."""
        lines = [self.import_line, "", f"def test_{self.name}_does_as_its_docstring_says() -> None:"]
        return python(*lines, *_indented(self.checks))


SKETCHES = (
    Sketch(
        "words",
        "def split_words(text: str) -> list[str]",
        "return text.split()",
        'assert split_words(" a  b ") == ["a", "b"]\nassert split_words("") == []',
    ),
    Sketch(
        "words",
        "def initials(text: str) -> str",
        'return "".join(word[0] for word in text.split())',
        'assert initials("red green") == "rg"',
    ),
    Sketch(
        "slugs",
        "def make_slug(text: str) -> str",
        'return "-".join(split_words(text)).lower()',
        'assert make_slug("Hello World") == "hello-world"\nassert make_slug("") == ""',
        ("words/split_words",),
    ),
    Sketch(
        "paths",
        "def page_path(section: str, title: str) -> str",
        'return f"/{section}/{make_slug(title)}"',
        'assert page_path("blog", "My Day") == "/blog/my-day"',
        ("slugs/make_slug",),
    ),
)
NAMES = tuple(sketch.name for sketch in SKETCHES)


def python(*lines: str) -> str:
    """An answer with one block of Python."""
    return "\n".join(["```python", *lines, "```"])


def _indented(text: str) -> list[str]:
    return [f"    {line}" for line in text.splitlines()]


def shown(request: Request, name: str) -> str:
    """The data called ``name`` in the first question of a conversation; "" when it shows none."""
    text = request.action.messages[1].content
    found = re.search(rf'<data-([0-9a-f]{{16}}) name="{re.escape(name)}">\n(.*?)\n</data-\1>', text, re.DOTALL)
    return found[2] if found else ""


def objection(request: Request) -> str:
    """What was wrong with the answer before, as the model is told; "" when it is asked for the first time."""
    messages = request.action.messages
    return messages[-1].content if len(messages) > 2 else ""


class ScriptedLibrary:
    """The scripted model. ``requests`` is everything it was asked, ``answered`` the purposes of what it answered."""

    def __init__(self, sketches: Iterable[Sketch] = SKETCHES, flows: Iterable[tuple[str, str]] = ()) -> None:
        self.sketches = {sketch.name: sketch for sketch in sketches}
        self.requests: list[Request] = []
        self.answered: list[str] = []
        self.fail_after: int | None = None
        """Answers after which every further question is a transient failure."""
        self.on_answer: Callable[[str], object] = lambda purpose: None
        self._flows = tuple(flows)
        self._said: dict[str, list[str]] = {}
        self._always: dict[str, str] = {}

    def say(self, purpose: str, *answers: str) -> None:
        """Give these answers, in this order, the next times it is asked for ``purpose``; after them what it would say anyway."""
        self._said.setdefault(purpose, []).extend(answers)

    def always_say(self, purpose: str, answer: str) -> None:
        """Give this answer whenever it is asked for ``purpose``."""
        self._always[purpose] = answer

    def sketch(self, name: str, **changes: Any) -> Sketch:
        """Change how it imagines a function, or just look."""
        self.sketches[name] = replace(self.sketches[name], **changes)
        return self.sketches[name]

    def add(self, sketch: Sketch) -> None:
        """Imagine another function."""
        self.sketches[sketch.name] = sketch

    @property
    def asked(self) -> list[str]:
        """Purposes of what it was asked, in order."""
        return [request.action.purpose for request in self.requests]

    def asked_for(self, purpose: str) -> list[Request]:
        """Every question of this purpose, those asked again included."""
        return [request for request in self.requests if _plain(request.action.purpose) == purpose]

    def __call__(self, request: Request) -> str | Exception:
        self.requests.append(request)
        if self.fail_after is not None and len(self.answered) >= self.fail_after:
            return TransientFailure("The scripted model has gone away")
        purpose = request.action.purpose
        answer = self._answer(request, _plain(purpose))
        self.answered.append(purpose)
        self.on_answer(purpose)
        return answer

    def _answer(self, request: Request, purpose: str) -> str:
        if self._said.get(purpose):
            return self._said[purpose].pop(0)
        if purpose in self._always:
            return self._always[purpose]
        for pattern, method in _ANSWERS:
            if found := re.fullmatch(pattern, purpose):
                return method(self, request, *found.groups())
        raise AssertionError(f"the script has no answer for `{purpose}`")

    def section(self, request: Request) -> str:
        """List items are requirements."""
        text = shown(request, "section")
        package = re.search(r"package is called `(\w+)`", text)
        items = [line.removeprefix("- ") for line in text.splitlines() if line.startswith("- ")]
        facts = {"requirements": [{"text": item} for item in items], "package_name": package[1] if package else ""}
        return json.dumps(facts)

    def features(self, request: Request) -> str:
        """One for each function that the requirements name first; of a plan that exists already, what is new or different."""
        old = {feature["id"]: feature for feature in json.loads(shown(request, "features so far") or "[]")}
        found: dict[str, dict[str, Any]] = {}
        for line in shown(request, "requirements").splitlines():
            match = re.fullmatch(r"([a-z0-9-]+) \(\w+\): (`(\w+)\(.*)", line)
            assert match, f"a requirement that names no function: {line}"
            sketch = self.sketches[match[3]]
            feature = {"id": sketch.feature, "name": sketch.name, "description": "", "requirements": []}
            entry = found.setdefault(sketch.feature, feature)
            entry["description"] = f"{entry['description']} {match[2]}".strip()
            entry["requirements"].append(match[1])
        if not old:
            return json.dumps({"features": list(found.values())})
        changed = [feature for feature in found.values() if feature != old.get(feature["id"])]
        return json.dumps({"features": changed, "removed": sorted(set(old) - set(found))})

    def modules(self, request: Request) -> str:
        """As sketched, with a flow wherever a function uses one of another module."""
        ids = [line.partition(":")[0] for line in shown(request, "features").splitlines()]
        chosen = [sketch for sketch in self.sketches.values() if sketch.feature in ids]
        names = list(dict.fromkeys(sketch.module for sketch in chosen))
        flows = {(used.partition("/")[0], sketch.module) for sketch in chosen for used in sketch.uses}
        flows |= {(a, b) for a, b in self._flows if a in names and b in names}
        modules = [
            {
                "id": name,
                "description": f"All about {name}.",
                "features": [sketch.feature for sketch in chosen if sketch.module == name],
            }
            for name in names
        ]
        listed = [
            {"source": a, "target": b, "data_name": f"{a}_made", "data_type": "str"} for a, b in sorted(flows) if a != b
        ]
        return json.dumps({"modules": modules, "flows": listed})

    def base_classes(self, request: Request) -> str:
        """None."""
        return json.dumps({"classes": []})

    def files(self, request: Request, module: str) -> str:
        """One file a module."""
        ids = [line.partition(":")[0] for line in shown(request, "features").splitlines()]
        file = {"path": f"tinytext/{module}/core.py", "module": module, "features": ids, "description": f"{module}."}
        return json.dumps({"package_name": "tinytext", "files": [file]})

    def interfaces(self, request: Request, module: str) -> str:
        """As sketched; the docstring repeats the sentences of the specification. Of a design that exists already, what changes."""
        old = json.loads(shown(request, "interfaces so far") or '{"interfaces": []}')["interfaces"]
        nodes = []
        for block in shown(request, "features").split("\n\n"):
            head, *sentences = block.splitlines()
            sketch = self.sketches[head.partition(":")[0].replace("-", "_")]
            nodes.append(
                {
                    "id": sketch.node,
                    "module": module,
                    "file": f"tinytext/{module}/core.py",
                    "name": sketch.name,
                    "kind": "FUNCTION",
                    "signature": sketch.signature,
                    "docstring": " ".join(line.removeprefix("  - ") for line in sentences),
                    "features": [sketch.feature],
                    "uses": list(sketch.uses),
                }
            )
        if not old:
            return json.dumps({"module": module, "interfaces": nodes})
        present = {node["id"]: NodeInterface.model_validate(node) for node in old}
        changed = [node for node in nodes if NodeInterface.model_validate(node) != present.get(node["id"])]
        return json.dumps({"interfaces": changed})

    def tests(self, request: Request, name: str) -> str:
        """As sketched."""
        return self.sketches[name].tests()

    def integration(self, request: Request, *modules: str) -> str:
        """Every function of the modules is called; what is claimed of it is what its own tests claim."""
        return self._together([each for each in self.sketches.values() if each.module in modules], "", request)

    def smoke(self, request: Request) -> str:
        """The same, of the whole library, imported from the package."""
        return self._together([*self.sketches.values()], "from tinytext import ", request)

    def _together(self, sketches: list[Sketch], imported: str, request: Request) -> str:
        known = [each for each in sketches if f" import {each.name}\n" in request.action.messages[1].content]
        lines = [f"{imported}{each.name}" if imported else each.import_line for each in known]
        body = "\n".join(each.checks for each in known)
        return python(*lines, "", "def test_the_parts_work_together() -> None:", *_indented(body))

    def code(self, request: Request, name: str) -> str:
        """As sketched, with the docstring that it is shown."""
        return self.code_of(name, shown(request, "interface").rpartition("Docstring:\n")[2])

    def enough(self, request: Request) -> str:
        """It looks nothing up before it mends."""
        return json.dumps({"look_ups": []})

    def code_of(self, name: str, docstring: str = "As the interface says.") -> str:
        """An answer with the code as sketched."""
        sketch = self.sketches[name]
        imports = [self.sketches[used.partition("/")[2]].import_line for used in sketch.uses]
        return sketch.code(imports, docstring)


_ANSWERS: tuple[tuple[str, Callable[..., str]], ...] = (
    (r"parse the section .*", ScriptedLibrary.section),
    (r"(?:choose|change) the features", ScriptedLibrary.features),
    (r"group the features into modules|change the modules", ScriptedLibrary.modules),
    (r"find base classes", ScriptedLibrary.base_classes),
    (r"lay out the files of (\w+)", ScriptedLibrary.files),
    (r"(?:design|change) the interfaces of (\w+)", ScriptedLibrary.interfaces),
    (r"write the tests of (\w+)", ScriptedLibrary.tests),
    (r"write the integration tests of (\w+) and (\w+)", ScriptedLibrary.integration),
    (r"write the integration tests of the module (\w+)", ScriptedLibrary.integration),
    (r"write the smoke tests", ScriptedLibrary.smoke),
    (r"write (\w+)", ScriptedLibrary.code),
    (r"localize \w+, round \d+, step \d+", ScriptedLibrary.enough),
)


def _plain(purpose: str) -> str:
    return re.sub(r" \(attempt \d+ of \d+\)$", "", purpose)


def edits(*changes: dict[str, str]) -> str:
    """An answer with edits by syntax tree."""
    return json.dumps({"edits": list(changes)})


def replaced(answer: str, name: str) -> str:
    """The edit that takes the function ``name`` over from an answer with code."""
    source = answer.removeprefix("```python\n").removesuffix("\n```")
    node = next(each for each in ast.parse(source).body if getattr(each, "name", "") == name)
    code = ast.get_source_segment(source, node)
    assert code
    return edits({"do": "replace", "what": "function", "name": name, "code": code})


def diagnosis(cause: str, explanation: str = "As the docstring says.") -> str:
    """An answer that says whose fault it is."""
    return json.dumps({"cause": cause, "explanation": explanation})


@dataclass
class Built:
    """One build: what ran, what was asked (in order), and the exit code that the command would have had."""

    run: Run
    asked: list[str] = field(default_factory=list)

    @property
    def code(self) -> ExitCode:
        """As ``zerorepo build`` chooses it."""
        result = self.run.result
        reports = [each.provider(TestReport) for each in result.built.values() if each.record("TestReport")]
        return exit_code(result, reports)

    @property
    def failures(self) -> str:
        """Every error, as a user reads it."""
        return "\n".join(str(error) for error in self.run.result.failed.values())

    @property
    def tested(self) -> list[str]:
        """Targets that ran tests in the sandbox, sorted."""
        return sorted(label for mnemonic, label in self.run.actions if mnemonic == "RunTests")

    def node(self, node: str) -> NodeCode:
        """The accepted code of ``module/name``."""
        found: NodeCode = self.run.provider(f"//{node.replace('/', ':')}.code", NodeCode)
        return found

    def digests(self, node: str) -> dict[str, str]:
        """Digests of everything that the targets of ``module/name`` hand on."""
        module, _, name = node.partition("/")
        labels = [Label(module, name + suffix) for suffix in (".interface", ".tests", ".code", ".test", "")]
        return {
            f"{label} {record.type}": record.digest
            for label in labels
            for record in self.run.result.built[label].trace.providers
        }


class Tinytext:
    """A workspace of five lines around a specification, built by the real engine, rules, cache and sandbox."""

    def __init__(
        self,
        root: Path,
        library: ScriptedLibrary | None = None,
        *,
        spec: str = SPEC,
        max_repairs: int = 8,
        integration: bool = False,
    ) -> None:
        self.root = root
        self.library = library or ScriptedLibrary()
        self._targets = (
            f'[[target]]\nname = "tinytext"\nrule = "repository"\nspec = "spec.md"\nmax_repairs = {max_repairs}\n'
            + ("" if integration else "integration = false\n")
        )
        self._integration = integration
        self.runner = RuleRunner(root, {"zerorepo.toml": self._targets}, rule_sets=[LLM, SANDBOX, RPG])
        if not self.spec_path.exists():
            self.spec_path.write_text(spec)
        self.latency_s = 0.0

    def copy(self, root: Path) -> Tinytext:
        """The same workspace elsewhere, its cache included, with a model that was asked nothing yet."""
        # Hard links where nobody writes: the pytest of the sandbox is most of the bytes.
        ignore = shutil.ignore_patterns("sandbox-env")
        shutil.copytree(self.root, root, ignore=ignore)
        lend_environment(self.root / ".zerorepo", root / ".zerorepo")
        return Tinytext(root, integration=self._integration)

    @property
    def spec_path(self) -> Path:
        """The specification."""
        return self.root / "spec.md"

    @property
    def lock_path(self) -> Path:
        """The lock."""
        return self.root / "zerorepo.lock"

    @property
    def out(self) -> Path:
        """The generated repository."""
        return self.root / "out" / "tinytext"

    def edit_spec(self, old: str, new: str) -> None:
        """Replace a text that stands there once."""
        _edit(self.spec_path, old, new)

    def edit_lock(self, old: str, new: str) -> None:
        """Replace a text that stands there once."""
        _edit(self.lock_path, old, new)

    def edit_interface(self, node: str, **changes: Any) -> None:
        """Change one interface in the lock, as by hand."""
        lock = parse_lock(self.lock_path.read_text())
        modules = [
            module.model_copy(
                update={
                    "interfaces": tuple(
                        each.model_copy(update=changes) if each.id == node else each for each in module.interfaces
                    )
                }
            )
            for module in lock.interfaces
        ]
        before = self.lock_path.read_text()
        self.lock_path.write_text(render(lock.model_copy(update={"interfaces": tuple(modules)})))
        assert self.lock_path.read_text() != before

    def interface(self, node: str) -> NodeInterface:
        """One interface as locked."""
        lock = parse_lock(self.lock_path.read_text())
        return next(each for module in lock.interfaces for each in module.interfaces if each.id == node)

    def build(self, *patterns: str, **options: Any) -> Built:
        """``zerorepo build``, of everything if nothing is named; ``asked`` counts from here."""
        before = len(self.library.requests)
        with use_provider(self.provider()):
            run = self.runner.build(*patterns, **_named(options))
        return Built(run, self.library.asked[before:])

    async def build_async(self, *patterns: str, **options: Any) -> Built:
        """The same inside a running event loop."""
        before = len(self.library.requests)
        with use_provider(self.provider()):
            run = await self.runner.build_async(*patterns, **_named(options))
        return Built(run, self.library.asked[before:])

    def provider(self) -> ScriptedProvider:
        """The scripted model as a provider; a build closes it, so each gets its own."""
        return ScriptedProvider(self.library, latency_s=self.latency_s)

    def files(self) -> dict[str, bytes]:
        """Every generated file, by path below ``out/``."""
        return self.runner.outputs()


def _named(options: dict[str, Any]) -> dict[str, Any]:
    """Flags as the command line hands them on: rules see ``locked`` as an option, too."""
    return {**options, "extra": {"locked": True}} if options.get("locked") else options


def _edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert text.count(old) == 1, f"{old!r} stands {text.count(old)} times in {path.name}"
    path.write_text(text.replace(old, new))


def lend_environment(source: Path, target: Path) -> None:
    """Give a state folder the sandbox's environment of another one, by hard links, instead of making it again."""
    if not (source / "sandbox-env").is_dir():
        environment.prepare(source)
    shutil.copytree(source / "sandbox-env", target / "sandbox-env", copy_function=os.link, dirs_exist_ok=True)


def fresh(root: Path, lender: Path, library: ScriptedLibrary | None = None, **options: Any) -> Tinytext:
    """A workspace in which nothing was built yet; ``lender`` is a folder whose sandbox environment it shares."""
    made = Tinytext(root, library, **options)
    lend_environment(lender, root / ".zerorepo")
    return made
