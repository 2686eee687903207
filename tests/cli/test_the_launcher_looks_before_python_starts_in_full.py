"""``zerorepo`` is a small script: it lets a bare interpreter look, and leaves everything else to the full start."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
TARGETS = """
[workspace]
plugins = ["toy_rules"]

[[target]]
name = "a"
rule = "cat"
srcs = ["a.txt"]
"""
FULL = """\
import sys
from pathlib import Path
sys.path[1:1] = {paths!r}
with Path({log!r}).open("a") as file:
    file.write("full\\n")
from zerorepo.cli.main import main
main()
"""


@dataclass
class Installed:
    """ZeroRepo as an installer leaves it in a folder of its own, and a workspace that was built."""

    prefix: Path
    workspace: Path
    env: dict[str, str] = field(default_factory=dict)

    @property
    def log(self) -> Path:
        """A line for each full start."""
        return self.prefix / "log"

    @property
    def site(self) -> Path:
        """Where packages are."""
        return self.prefix / f"lib/python{sys.version_info[0]}.{sys.version_info[1]}/site-packages"

    def run(self, *args: str, program: str = "", cwd: Path | None = None) -> subprocess.CompletedProcess[str]:
        """Run the command."""
        env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
        argv = [program or str(self.prefix / "bin/zerorepo"), *args]
        return subprocess.run(
            argv,
            cwd=cwd or self.workspace,
            env={**env, **self.env},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    def starts_in_full(self, *args: str, program: str = "", cwd: Path | None = None) -> bool:
        """Whether a build with nothing to do needed the full start."""
        self.log.unlink(missing_ok=True)
        done = self.run(*(args or ("build", "//...")), program=program, cwd=cwd)
        assert done.returncode == 0, done.stderr
        assert "nothing to do" in done.stderr
        return self.log.exists()


def install(prefix: Path, workspace: Path, *, editable: bool = True) -> Installed:
    """What pip does: the launcher as it is, the full start with the interpreter in its first line."""
    installed = Installed(prefix, workspace)
    installed.site.mkdir(parents=True)
    (prefix / "bin").mkdir()
    shutil.copy(ROOT / "zerorepo/cli/launcher.sh", prefix / "bin/zerorepo")
    if editable:
        (installed.site / "_zerorepo.pth").write_text(f"{ROOT}\n{ROOT}/rules")
    else:
        shutil.copytree(ROOT / "zerorepo", installed.site / "zerorepo", ignore=shutil.ignore_patterns("__pycache__"))
    paths = [str(ROOT if editable else installed.site), str(ROOT / "tests")]
    first = f"#!{sys.executable}\n"
    if " " in str(prefix):  # as pip does where a first line cannot name the interpreter
        first = f"#!/bin/sh\n'''exec' \"{sys.executable}\" \"$0\" \"$@\"\n' '''\n"
    (prefix / "bin/zerorepo-full").write_text(first + FULL.format(paths=paths, log=str(installed.log)))
    (prefix / "bin/zerorepo-full").chmod(0o755)
    workspace.mkdir()
    (workspace / "zerorepo.toml").write_text(TARGETS)
    (workspace / "a.txt").write_text("A")
    time.sleep(0.12)
    for _ in range(2):  # at the first, Python may write its bytecode beside the modules that the workspace uses
        done = installed.run("build", "//...")
        assert done.returncode == 0, done.stderr
    return installed


@pytest.fixture
def installed(tmp_path: Path) -> Installed:
    """An editable installation, in a path without spaces."""
    return install(tmp_path / "venv", tmp_path / "ws")


@pytest.mark.parametrize("editable", [True, False])
def test_nothing_to_do_is_found_without_the_full_start(tmp_path: Path, editable: bool) -> None:
    installed = install(tmp_path / "venv", tmp_path / "ws", editable=editable)
    assert not installed.starts_in_full()
    (installed.workspace / "a.txt").write_text("B")
    time.sleep(0.12)
    assert installed.run("build", "//...").returncode == 0
    assert (installed.workspace / "out/a").read_text() == "B"
    assert not installed.starts_in_full()


def test_a_path_with_spaces_works(tmp_path: Path) -> None:
    installed = install(tmp_path / "a venv", tmp_path / "a workspace")
    assert installed.starts_in_full()  # which then looks by itself


def test_a_workspace_with_spaces_is_answered_by_the_look(tmp_path: Path) -> None:
    assert not install(tmp_path / "venv", tmp_path / "a work'space").starts_in_full()


def test_a_link_to_the_command_works(installed: Installed, tmp_path: Path) -> None:
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin/zr").symlink_to("../venv/bin/zerorepo")
    assert not installed.starts_in_full(program=str(tmp_path / "bin/zr"))
    (tmp_path / "linked").symlink_to("venv")
    assert not installed.starts_in_full(program=str(tmp_path / "linked/bin/zerorepo"))


def test_it_is_found_along_the_path_and_by_a_relative_name(installed: Installed) -> None:
    installed.env["PATH"] = f"{installed.prefix}/bin:{os.environ['PATH']}"
    done = installed.run("-c", "zerorepo build //...", program="/bin/sh")
    assert "nothing to do" in done.stderr
    assert not installed.starts_in_full(program="../venv/bin/zerorepo")


@pytest.mark.parametrize("name", ["PYTHONPATH", "PYTHONUTF8", "PYTHONIOENCODING"])
def test_an_environment_that_changes_python_gets_the_full_start(installed: Installed, name: str) -> None:
    installed.env[name] = {"PYTHONPATH": "/nowhere", "PYTHONUTF8": "1", "PYTHONIOENCODING": "utf-8"}[name]
    installed.run("build", "//...")
    assert installed.starts_in_full()


def test_other_commands_get_the_full_start(installed: Installed) -> None:
    for args in (["version"], ["query", "//..."], ["build", "--help"], ["frobnicate"]):
        installed.log.unlink(missing_ok=True)
        done = installed.run(*args)
        assert (done.returncode == 0) == (args != ["frobnicate"])
        assert installed.log.exists()


def test_arguments_arrive_as_they_were_given(installed: Installed) -> None:
    done = installed.run("build", "//:no such 'target' \"$HOME\" \\ *")
    assert done.returncode == 2
    assert "//:no such 'target' \"$HOME\" \\ *" in done.stderr
    assert "nothing to do" in installed.run("-C", str(installed.workspace), "build", "//...", cwd=Path("/")).stderr


def test_code_in_the_workspace_is_not_run(installed: Installed) -> None:
    for name in ("sitecustomize", "usercustomize", "os", "posix", "marshal", "time", "encodings", "zerorepo"):
        (installed.workspace / f"{name}.py").write_text("raise SystemExit('code of the workspace ran')\n")
    shutil.copytree(
        installed.workspace, installed.workspace / "zerorepo", ignore=shutil.ignore_patterns("out", ".zerorepo")
    )
    time.sleep(0.12)
    (installed.workspace / "zerorepo/zerorepo.toml").unlink()
    for _ in range(2):
        done = installed.run("build", "//...")
        assert (done.returncode, "nothing to do" in done.stderr) == (0, True), done.stderr
    assert not installed.starts_in_full()


def test_an_installation_for_two_pythons_gets_the_full_start(installed: Installed) -> None:
    other = installed.prefix / "lib/python3.99/site-packages"
    other.mkdir(parents=True)
    shutil.copy(installed.site / "_zerorepo.pth", other)
    assert installed.starts_in_full()


def test_a_look_costs_no_module_that_is_not_built_in(installed: Installed) -> None:
    code = f"import sys; sys.path.insert(0, {str(ROOT)!r}); import zerorepo.snapshot; print(*sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-I", "-S", "-c", code], capture_output=True, text=True, check=True).stdout
    for name in ("os", "site", "typing", "collections", "re", "contextlib", "__future__", "zlib"):
        assert name not in said.split()
