"""Beside the code: commands, the README's examples, circles among modules, and the report on tests and requirements."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from rpg.sample import BODIES, plan, spec
from zerorepo.target import Outcome, TestCase, TestReport
from zerorepo_rpg.assemble import package_files, test_files
from zerorepo_rpg.evidence import evidence
from zerorepo_rpg.examples import examples_of, examples_test
from zerorepo_rpg.import_cycles import break_cycles
from zerorepo_rpg.plan_model import NodeInterface, Plan
from zerorepo_rpg.project import project_files
from zerorepo_rpg.report import repository_report, to_html, to_markdown


def write(folder: Path, files: dict[str, str]) -> None:
    for path, text in files.items():
        (folder / path).parent.mkdir(parents=True, exist_ok=True)
        (folder / path).write_text(text)


def python(folder: Path, *argv: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *argv], cwd=folder, capture_output=True, text=True, timeout=60, check=False)


def changed(node_id: str, **changes: object) -> Plan:
    """The sample plan with one interface changed."""
    made = plan()
    modules = [
        module.model_copy(
            update={
                "interfaces": tuple(
                    node.model_copy(update=changes) if node.id == node_id else node for node in module.interfaces
                )
            }
        )
        for module in made.interfaces
    ]
    return made.model_copy(update={"interfaces": tuple(modules)})


def with_main() -> Plan:
    made = plan()
    signature = "def main(arguments: list[str] | None = None) -> int"
    main = NodeInterface(id="words/main", module="words", file="textkit/words/app.py", name="main", signature=signature)
    words = made.interfaces[-1]
    more = words.model_copy(update={"interfaces": (*words.interfaces, main)})
    return made.model_copy(update={"interfaces": (*made.interfaces[:-1], more)})


# --- commands


def test_a_command_becomes_a_console_script_that_readme_names() -> None:
    told = spec().model_copy(update={"description": "Slugs. The command is called `slugs`."})
    files = project_files(with_main(), told, {})
    assert tomllib.loads(files["pyproject.toml"])["project"]["scripts"] == {"slugs": "textkit.words.app:main"}
    assert "it installs the command `slugs`" in files["README.md"]


def test_without_main_there_is_no_script() -> None:
    assert "scripts" not in tomllib.loads(project_files(plan(), spec(), {})["pyproject.toml"])["project"]


# --- examples


def test_only_examples_that_hold_are_shown_and_the_shipped_test_runs_them(tmp_path: Path) -> None:
    made = changed("slug/slugify", examples=(">>> slugify('A B')\n'a-b'", ">>> slugify('A')\n'wrong'", "slugify('c')"))
    package = package_files(made, BODIES)
    assert [each.name for each in examples_of(made)] == ["slug/slugify 1", "slug/slugify 2"]
    write(tmp_path, {**package, "test_examples.py": examples_test(made)})
    done = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_examples.py")
    assert "1 failed, 1 passed" in done.stdout
    assert "FAILED test_examples.py::test_slug_slugify_2" in done.stdout
    files = project_files(made, spec(), package, ["slug/slugify 1"])
    assert ">>> slugify('A B')\n'a-b'\n```" in files["README.md"]
    assert "wrong" not in files["README.md"] and "slugify('c')" not in files["README.md"]
    write(tmp_path, files)
    argv = ("-m", "pytest", "-q", "-p", "no:cacheprovider", "tests")
    assert "1 passed" in python(tmp_path, *argv).stdout
    (tmp_path / "README.md").write_text(files["README.md"].replace("'a-b'\n", "'b-a'\n"))
    assert "1 failed" in python(tmp_path, *argv).stdout


def test_without_examples_there_is_nothing_to_run_and_no_usage() -> None:
    bare = changed("slug/slugify", examples=())
    assert examples_test(bare) == ""
    files = project_files(bare, spec(), {})
    assert "## Usage" not in files["README.md"] and "tests/test_readme.py" not in files


# --- circles

FUTURE = "from __future__ import annotations\n"


def test_what_only_annotations_need_is_imported_for_type_checking(tmp_path: Path) -> None:
    files = {
        "p/__init__.py": "",
        "p/a.py": FUTURE + "from p.b import B, make\n\n\nclass A:\n    def b(self) -> B:\n        return make()\n",
        "p/b.py": FUTURE
        + "from p.a import A\n\n\nclass B:\n    def of(self, a: A) -> None: ...\n\n\ndef make() -> B:\n    return B()\n",
    }
    write(tmp_path, files)
    assert "circular import" in python(tmp_path, "-c", "import p.a").stderr
    done, left = break_cycles(files)
    assert left == ()
    assert "if TYPE_CHECKING:\n    from p.a import A" in done["p/b.py"]
    assert "\nfrom p.b import make\n" in done["p/a.py"] and "if TYPE_CHECKING:\n    from p.b import B" in done["p/a.py"]
    write(tmp_path, done)
    for module in ("p.a", "p.b"):
        assert python(tmp_path, "-c", f"import {module}").returncode == 0
    checked = python(tmp_path, "-m", "mypy", "--strict", "p")
    assert checked.returncode == 0, checked.stdout


def test_a_circle_that_is_really_gone_round_is_told_and_kept() -> None:
    files = {
        "p/a.py": FUTURE + "from p.b import b\n\n\ndef a() -> int:\n    return b()\n",
        "p/b.py": FUTURE + "from p.a import a\n\n\ndef b() -> int:\n    return a()\n",
    }
    assert break_cycles(files) == (files, (("p.a", "p.b"),))


def test_files_without_a_circle_and_evaluated_annotations_are_left_alone() -> None:
    straight = {"p/a.py": FUTURE + "from p.b import B\n\n\ndef a(b: B) -> None: ...\n", "p/b.py": "class B: ...\n"}
    assert break_cycles(straight) == (straight, ())
    evaluated = {
        "p/a.py": "from p.b import B\n\n\ndef a(b: B) -> None: ...\n",
        "p/b.py": "from p.a import a\n\n\nclass B:\n    x = a\n",
    }
    assert break_cycles(evaluated)[0] == evaluated


# --- the report


def reported(*bad: str) -> TestReport:
    """A run in which every test passed but those named."""
    names = [
        "tests/slug/test_slugify.py::test_joins",
        "tests/slug/test_slugify.py::test_many[a]",
        "tests/slug/test_slugify.py::test_many[b]",
        "tests/words/test_clean.py::test_it",
        "tests/integration/test_flow_words_to_slug.py::test_both",
    ]
    cases = [TestCase(name=name, outcome=Outcome.FAILED if name in bad else Outcome.PASSED) for name in names]
    return TestReport(passed=not bad, status="ok", cases=tuple(cases))


def sources() -> dict[str, str]:
    imports = "from textkit import clean\nfrom textkit.slug.core import slugify\n"
    flow = imports + '\n\ndef test_both():\n    assert slugify(clean("a"))\n'
    return {
        **package_files(plan(), BODIES),
        **test_files(plan(), {}, {"tests/integration/test_flow_words_to_slug.py": flow}),
    }


def test_each_node_and_sentence_has_the_tests_that_prove_it() -> None:
    files = sources()
    start = (
        files["textkit/slug/core.py"].split("\n").index('def slugify(text: str, *, separator: str = "-") -> str:') + 1
    )
    found = evidence(plan(), spec(), reported(), {"textkit/slug/core.py": ((start, start + 1), (start + 2,))}, files)
    proofs = {(proof.kind, proof.name): proof for proof in found.proofs}
    slugify = proofs["node", "slug/slugify"]
    both = "tests/integration/test_flow_words_to_slug.py::test_both"
    assert slugify.tests == (both, "tests/slug/test_slugify.py::test_joins", "tests/slug/test_slugify.py::test_many")
    assert (slugify.covered, slugify.lines) == (2, 3)
    assert proofs["node", "words/clean"].tests == (both, "tests/words/test_clean.py::test_it")
    assert not proofs["node", "counting/word_count"].proven
    sentence = proofs["requirement", "r-make-slug"]
    assert (sentence.text, sentence.by, sentence.proven) == ("It can make-slug.", ("slug/slugify",), True)
    assert not proofs["requirement", "r-word-count"].proven


def test_tests_that_pass_without_the_code_prove_nothing() -> None:
    hollow = ["tests/slug/test_slugify.py::test_joins", "tests/words/test_clean.py::test_it"]
    found = evidence(plan(), spec(), reported(), {}, sources(), hollow)
    proofs = {proof.name: proof for proof in found.proofs if proof.kind == "node"}
    both = "tests/integration/test_flow_words_to_slug.py::test_both"
    assert proofs["slug/slugify"].tests == (both, "tests/slug/test_slugify.py::test_many")
    assert proofs["words/clean"].tests == (both,)
    # That one of them fails is told all the same.
    failed = evidence(plan(), spec(), reported(hollow[0]), {}, sources(), hollow)
    assert next(each for each in failed.proofs if each.name == "slug/slugify").failed == (hollow[0],)


@pytest.mark.parametrize("status", ["timeout", "tampered"])
def test_a_run_that_did_not_come_to_its_end_proves_nothing(status: str) -> None:
    run = reported().model_copy(update={"passed": False, "status": status})
    found = evidence(plan(), spec(), run, {}, sources())
    assert not any(proof.proven for proof in found.proofs)
    text = to_markdown(repository_report(plan(), run, {}, found))
    assert "## Modules\n\nModularity " in text and "| `slug` | 3 | " in text
    assert f"The run did not come to its end: {status}." in text
    assert "| passed |" not in text and "| proven |" not in text


def test_a_node_that_failed_unproves_its_sentences_though_the_suite_passes() -> None:
    found = evidence(plan(), spec(), reported(), {}, sources())
    text = to_markdown(repository_report(plan(), reported(), {}, found, failed=["slug/slugify"]))
    assert "| proven |" not in next(line for line in text.split("\n") if line.startswith("| It can make-slug."))


def test_a_case_that_fails_unproves_what_it_tests() -> None:
    run = reported("tests/slug/test_slugify.py::test_many[b]")
    found = evidence(plan(), spec(), run, {}, sources())
    proof = next(each for each in found.proofs if each.name == "r-make-slug")
    assert proof.failed == ("tests/slug/test_slugify.py::test_many",) and not proof.proven
    sections = repository_report(plan(), run, {}, found, wrong_examples=["slug/slugify 2"], circles=[("p.a", "p.b")])
    text = to_markdown(sections)
    assert "Tests: 4 passed, 1 failed." in text
    assert "| `textkit.slug.core.slugify` | 2 of 3 | - | FAILED |" in text
    assert "| It can make-slug. | `slug/slugify` |" in text and "| not proven |" in text
    assert "`tests/slug/test_slugify.py::test_many[b]`" in text
    assert "`slug/slugify 2`" in text and "`p.a → p.b → p.a`" in text


def test_the_page_escapes_what_it_shows_and_marks_what_is_wrong() -> None:
    hostile = spec().model_copy(update={"requirements": (spec().requirements[0].model_copy(update={"text": "<b>&|"}),)})
    found = evidence(plan(), hostile, reported(), {}, sources())
    sections = repository_report(plan(), reported(), {"a.py": ((1, 2), (4,))}, found)
    page = to_html(sections, "A <title>")
    assert "&lt;b&gt;&amp;|" in page and "<b>" not in page and "A &lt;title&gt;" in page
    assert '<tr class="bad">' in page
    assert "<td><code>a.py</code></td>" in page
    assert "<b>&\\|" in to_markdown(sections)


@pytest.mark.parametrize("tool", [("ruff", "check", "."), ("ruff", "format", "--check", "."), ("mypy",)])
def test_the_project_with_all_its_tests_is_clean(tmp_path: Path, tool: tuple[str, ...]) -> None:
    package = package_files(plan(), BODIES)
    write(tmp_path, {**sources(), **project_files(plan(), spec(), package)})
    done = python(tmp_path, "-m", *tool)
    assert done.returncode == 0, done.stdout + done.stderr
