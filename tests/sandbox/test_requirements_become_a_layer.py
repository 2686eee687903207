"""Dependencies of the code under test: from a lock with hashes, through pip, into a folder that every request sees."""

import base64
import hashlib
import zipfile

import pytest

from zerorepo.errors import ActionFailed
from zerorepo_sandbox.environment import environment_id
from zerorepo_sandbox.packages import FetchWheels, layer, platform_tag
from zerorepo_sandbox.run_tests import RunTests


def wheel(folder, name: str = "greeter", files: dict[str, str] | None = None, requires: str = "") -> str:
    """Make a wheel; its line in a lock."""
    found = {
        f"{name}/__init__.py": "def greet():\n    return 'hello'\n",
        f"{name}-1.0.data/scripts/run": "#!python\n",
        f"{name}-1.0.data/purelib/{name}_data.py": "DATA = 7\n",
        f"{name}-1.0.dist-info/METADATA": f"Metadata-Version: 2.1\nName: {name}\nVersion: 1.0\n{requires}",
        f"{name}-1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        **(files or {}),
    }
    hashes = [
        f"{path},sha256={base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest()).decode().rstrip('=')},{len(text)}"
        for path, text in found.items()
    ]
    found[f"{name}-1.0.dist-info/RECORD"] = "\n".join([*hashes, f"{name}-1.0.dist-info/RECORD,,"])
    folder.mkdir(exist_ok=True)
    path = folder / f"{name}-1.0-py3-none-any.whl"
    with zipfile.ZipFile(path, "w") as archive:
        for entry, text in found.items():
            archive.writestr(entry, text)
    return f"{name}==1.0 --hash=sha256:{hashlib.sha256(path.read_bytes()).hexdigest()}\n"


@pytest.fixture
def fetch(context, state_dir):
    def run(lock: str):
        action = FetchWheels(lock=context.write(lock.encode()), platform=platform_tag(), folder="wheelhouse")
        return context.run(action.execute(context)).wheels

    return run


def test_locked_wheels_can_be_imported_by_tests_and_code_and_nothing_else_can(context, fetch, state_dir):
    wheels = fetch(wheel(state_dir / "wheelhouse"))
    assert set(wheels) == {"greeter-1.0-py3-none-any.whl"}
    files = {
        "code_.py": "import greeter\ndef f(): return greeter.greet()\n",
        "test_it.py": "import os, pytest, greeter, greeter_data\nfrom code_ import f\n"
        "def test_a():\n    assert f() == greeter.greet() == 'hello' and greeter_data.DATA == 7\n"
        "    assert not os.access(greeter.__file__, os.W_OK) and greeter.__file__.startswith('/opt/zerorepo/packages/')\n"
        "    with pytest.raises(ImportError): import pydantic\n",
    }
    action = RunTests(
        files=context.put(files),
        tests=("test_it.py",),
        tier="bubblewrap",
        environment=environment_id(),
        wheels=wheels,
    )
    run = context.run(action.execute(context))
    assert run.report.passed, run


def test_the_folder_is_made_once_and_runs_no_scripts(context, fetch, state_dir):
    wheels = fetch(wheel(state_dir / "wheelhouse"))
    first = layer(state_dir, wheels, context.read)
    before = first.stat().st_mtime_ns
    assert layer(state_dir, wheels, context.read) == first and first.stat().st_mtime_ns == before
    assert not list(first.rglob("run"))
    assert not list(first.parent.glob(".making-*"))


@pytest.mark.parametrize(
    ("change", "why"),
    [
        (lambda line: line.partition(" ")[0] + "\n", "hash"),
        (lambda line: line[:-9] + "00000000\n", "(?i)do not match|mismatch|hash"),
        (lambda line: line.replace("greeter==", "nowhere=="), "(?i)no matching distribution"),
        (lambda line: line.replace("==1.0", ">=1.0"), "(?i)pinned"),
    ],
    ids=["no hash", "another hash", "not there", "not pinned"],
)
def test_a_lock_that_does_not_say_exactly_what_comes_is_refused(fetch, state_dir, change, why):
    with pytest.raises(ActionFailed, match=why):
        fetch(change(wheel(state_dir / "wheelhouse")))


def test_a_requirement_of_a_requirement_must_be_locked_too(fetch, state_dir):
    line = wheel(state_dir / "wheelhouse", "needs", requires="Requires-Dist: greeter\n")
    wheel(state_dir / "wheelhouse")
    with pytest.raises(ActionFailed, match=r"(?i)pinned"):
        fetch(line)


@pytest.mark.parametrize("entry", ["../evil.py", "/etc/evil.py"])
def test_a_wheel_that_reaches_out_of_itself_is_refused(context, state_dir, tmp_path, entry):
    wheel(tmp_path / "w", "evil", {entry: ""})
    content = context.write((tmp_path / "w" / "evil-1.0-py3-none-any.whl").read_bytes())
    with pytest.raises(ActionFailed, match="outside of itself"):
        layer(state_dir, {"evil-1.0-py3-none-any.whl": content}, context.read)


def test_what_is_no_wheel_is_refused_and_leaves_nothing(context, state_dir):
    with pytest.raises(ActionFailed, match="is no wheel"):
        layer(state_dir, {"x.whl": context.write(b"no zip")}, context.read)
    assert not list((state_dir / "sandbox-packages").glob(".making-*"))
