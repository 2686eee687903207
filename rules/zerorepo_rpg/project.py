"""What makes a package a project: pyproject.toml, README, CHANGELOG, LICENSE, .gitignore, the graph. No dates, no names.

Everything follows from the specification, the plan and the files; the same in gives the same bytes. Knows nothing of how
they were made.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from importlib import resources

from zerorepo_rpg.console import command_of, distribution_name
from zerorepo_rpg.examples import README_TEST, README_TEST_PATH, examples_of, usage
from zerorepo_rpg.naming import STDLIB_MODULES
from zerorepo_rpg.plan_model import Plan
from zerorepo_rpg.python_names import canonical_distribution, distribution_of, imported_modules
from zerorepo_rpg.python_source import LINE_LENGTH, parse
from zerorepo_rpg.spec_model import RepositorySpec
from zerorepo_rpg.toml_text import array, string

VERSION = "0.1.0"

_LICENSES = {"mit": "MIT", "apache": "Apache-2.0", "apache-2.0": "Apache-2.0", "apache 2.0": "Apache-2.0"}


def project_files(
    plan: Plan, spec: RepositorySpec, package: Mapping[str, str], hold: Collection[str] | None = None
) -> dict[str, str]:
    """The files beside the package and its tests. ``package``: path to source, for the dependencies found in it.

    ``hold``: names of the examples (see ``examples``) that the README may show; all of them if it is None.
    """
    license_id = license_of(spec)
    shown = {example.name for example in examples_of(plan)} if hold is None else set(hold)
    files = {
        "pyproject.toml": _pyproject(plan, spec, dependencies_of(package, plan.package_name, spec), license_id),
        "README.md": _readme(plan, spec, license_id, shown),
        "CHANGELOG.md": _changelog(plan, spec),
        ".gitignore": "__pycache__/\n*.egg-info/\n.coverage\n.mypy_cache/\n.pytest_cache/\n.ruff_cache/\n.venv/\nbuild/\ndist/\n",
        "docs/rpg.json": plan.to_graph().to_json(),
    }
    if shown:
        files[README_TEST_PATH] = README_TEST
    if license_id:
        files["LICENSE"] = _license(license_id, spec)
    return dict(sorted(files.items()))


def license_of(spec: RepositorySpec) -> str:
    """The SPDX identifier of the licence that the specification asks for, "" when it is none that we have the text of."""
    words = re.sub(r"\b(the|licen[cs]e|version)\b|,", " ", spec.license.lower())
    return _LICENSES.get(" ".join(words.split()), "")


def dependencies_of(package: Mapping[str, str], package_name: str, spec: RepositorySpec) -> list[str]:
    """Requirements of the third-party modules that the package imports, as the specification words them, sorted."""
    found: dict[str, str] = {}
    for path, source in package.items():
        if path.endswith(".py"):
            for module, _, _ in imported_modules(parse(source)):
                top = module.partition(".")[0]
                if top and top not in STDLIB_MODULES and top not in (package_name, "__future__"):
                    requirement = distribution_of(top, spec.dependencies)
                    found[canonical_distribution(requirement)] = requirement
    return [found[name] for name in sorted(found)]


def summary_of(spec: RepositorySpec) -> str:
    """What the package is, in a sentence: the first one of its specification, else its title."""
    plain = " ".join(spec.description.split())
    match = re.match(r"(.+?[.!?])(?:\s|$)", plain)
    return (match[1] if match else plain)[:200] or spec.title


def _pyproject(plan: Plan, spec: RepositorySpec, dependencies: list[str], license_id: str) -> str:
    name = plan.package_name
    lines = [
        "[build-system]",
        'requires = ["hatchling>=1.27"]',
        'build-backend = "hatchling.build"',
        "",
        "[project]",
        f"name = {string(distribution_name(name))}",
        f"version = {string(VERSION)}",
        f"description = {string(summary_of(spec))}",
        'readme = "README.md"',
        'requires-python = ">=3.11"',
        *([f"license = {string(license_id)}", 'license-files = ["LICENSE"]'] if license_id else []),
        f"dependencies = {array(dependencies)}",
        "",
        *_scripts(plan, spec),
        "[project.optional-dependencies]",
        'test = ["pytest>=8"]',
        "",
        "[tool.hatch.build.targets.wheel]",
        f"packages = {array([name])}",
        "",
        "[tool.pytest.ini_options]",
        'testpaths = ["tests"]',
        "",
        "[tool.ruff]",
        f"line-length = {LINE_LENGTH}",
        # Examples are quoted as they were proven.
        'extend-exclude = ["*.md"]',
        "",
        "[tool.ruff.lint]",
        # Named, since what ruff checks by default differs between its versions.
        'select = ["E4", "E7", "E9", "F", "I"]',
        "",
        "[tool.mypy]",
        "strict = true",
        f"packages = {array([name])}",
    ]
    return "\n".join(lines) + "\n"


def _scripts(plan: Plan, spec: RepositorySpec) -> list[str]:
    command = command_of(plan, spec)
    if command is None:
        return []
    return ["[project.scripts]", f"{command.name} = {string(f'{command.entry.import_path}:{command.entry.name}')}", ""]


def _readme(plan: Plan, spec: RepositorySpec, license_id: str, hold: Collection[str]) -> str:
    parts = [f"# {spec.title}", spec.description.strip()]
    parts.append("## Features\n\n" + "\n".join(_feature_lines(plan)))
    installed = f"The distribution is called `{distribution_name(plan.package_name)}`"
    command = command_of(plan, spec)
    installed += f"; it installs the command `{command.name}`." if command else "."
    parts.append(f"## Installation\n\n```sh\npip install .\n```\n\n{installed}")
    if sessions := usage(plan, hold):
        parts.append("## Usage\n\n" + "\n\n".join(sessions))
    parts.append('## Development\n\n```sh\npip install -e ".[test]"\npytest\n```')
    if license_id:
        parts.append(f"## License\n\n{license_id}, see `LICENSE`.")
    return "\n\n".join(part for part in parts if part.strip()) + "\n"


def _feature_lines(plan: Plan) -> list[str]:
    features = {feature.id: feature for feature in plan.features.features}
    lines = []
    for module in plan.modules.modules:
        lines.append(
            f"- **{module.name or module.id}**" + (f": {_one_line(module.description)}" if module.description else "")
        )
        for name in module.features:
            if feature := features.get(name):
                text = _one_line(feature.description)
                lines.append(f"  - {feature.name}" + (f": {text}" if text else ""))
    return lines


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _changelog(plan: Plan, spec: RepositorySpec) -> str:
    lines = "".join(f"- {feature.name}.\n" for feature in plan.features.features)
    return f"# Changelog\n\n## {VERSION}\n\nFirst version of {spec.title}.\n\n{lines}"


def _license(license_id: str, spec: RepositorySpec) -> str:
    text = resources.files("zerorepo_rpg").joinpath("licenses", f"{license_id}.txt").read_text("utf-8")
    return text.replace("{holder}", f"the authors of {spec.title}")


__all__ = ["dependencies_of", "license_of", "project_files", "summary_of"]
