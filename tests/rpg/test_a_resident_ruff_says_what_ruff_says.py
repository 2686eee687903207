"""The resident ruff: the same bytes and findings as ruff started anew, and nothing lost when it cannot answer."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from zerorepo_rpg import python_source
from zerorepo_rpg.python_source import _NAMES, _as_set, _Residents, _ruff, format_files, undefined_names
from zerorepo_rpg.ruff_server import Gone, RuffServer, _edited

ROOT = Path(__file__).parents[2]
LIBRARY = Path(os.__file__).parent
UNTIDY = (
    'import re, os\nfrom  tiny.b import c\nimport json\ndef f( x ):\n  return json.dumps(c(x))+"é𝕏"+re.escape( x )\n'
)
TIDY = (
    'import json\nimport re\n\nfrom tiny.b import c\n\n\ndef f(x):\n    return json.dumps(c(x)) + "é𝕏" + re.escape(x)\n'
)


@pytest.fixture(autouse=True)
def anew(monkeypatch: pytest.MonkeyPatch) -> _Residents:
    """Nothing is remembered, and no process is another test's."""
    residents = _Residents()
    monkeypatch.setattr(python_source, "_residents", residents)
    monkeypatch.setattr(python_source, "_formatted", {})
    python_source._undefined_names.cache_clear()
    return residents


@pytest.fixture
def without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(python_source, "_MOST_FAILURES", 0)


def servers(residents: _Residents) -> list[RuffServer]:
    return list(residents._started.values())


def sources() -> list[Path]:
    ours = [path for folder in ("rules", "tests", "zerorepo") for path in sorted((ROOT / folder).rglob("*.py"))]
    return [*ours[::9], *sorted(LIBRARY.glob("*.py"))[::4], *sorted((LIBRARY / "asyncio").glob("*.py"))]


def test_it_lays_out_and_finds_what_ruff_does(anew: _Residents, monkeypatch: pytest.MonkeyPatch) -> None:
    texts = {f"{number}/{path.name}": path.read_text() for number, path in enumerate(sources())}
    texts |= {
        "init/__init__.py": UNTIDY,
        "windows/a.py": UNTIDY.replace("\n", "\r\n"),
        "empty/a.py": "",
        "tidy/a.py": TIDY,
    }
    texts["pragmas/a.py"] = (
        "import os  # noqa\nimport re  # noqa: F401\n# fmt: off\nx = [1,\n 2]\n# fmt: on\ny = [1,\n 2]\n"
    )
    formatted = {name: format_files({name: text}, ("zerorepo",))[name] for name, text in texts.items()}
    found = {name: undefined_names(text) for name, text in texts.items()}
    assert len(servers(anew)) == 2
    monkeypatch.setattr(python_source, "_MOST_FAILURES", 0)
    monkeypatch.setattr(python_source, "_formatted", {})
    python_source._undefined_names.cache_clear()
    assert formatted == format_files(texts, ("zerorepo",))
    assert found == {name: undefined_names(text) for name, text in texts.items()}
    assert sum(formatted[name] != text for name, text in texts.items()) > 20
    assert sum(map(len, found.values())) > 20
    assert len(texts) > 120


def test_names_of_files_do_not_matter_but_that_of_a_package(anew: _Residents) -> None:
    """Not even those that a URI cannot hold as they are: alone or among many, the bytes are the same."""
    names = ["a.py", "ä.py", "my file.py", "a%41.py", "a#b.py", "a?b.py", 'a"b.py', "a\\b.py"]
    for name in names:
        assert format_files({f"pkg/{name}": UNTIDY}, ("tiny",)) == {f"pkg/{name}": TIDY}
    python_source._formatted.clear()
    many = {f"{number}/{name}": UNTIDY for number in range(3) for name in names}
    assert set(format_files(many, ("tiny",)).values()) == {TIDY}
    kept = {"pkg/__init__.py": '"""Names."""\n\nfrom tiny.x import y as y\nfrom tiny.x import z\n'}
    alone = format_files(kept, ("tiny",))
    python_source._formatted.clear()
    assert alone == {path: format_files({**many, **kept}, ("tiny",))[path] for path in kept}


def test_a_server_that_reads_nothing_is_given_up(anew: _Residents, monkeypatch: pytest.MonkeyPatch) -> None:
    undefined_names("x = 1\n")
    (server,) = servers(anew)
    monkeypatch.setattr("zerorepo_rpg.ruff_server._LIMIT_S", 0.3)
    os.kill(server._pipes._process.pid, signal.SIGSTOP)
    long = "".join(f"x{number} = {number}\n" for number in range(40_000))
    began = time.monotonic()
    assert undefined_names(f"{long}y = z\n") == ["line 40001: Undefined name `z`"]
    assert time.monotonic() - began < 10
    assert not server.usable


def test_a_package_that_the_trial_does_not_fit_takes_no_others_with_it(anew: _Residents) -> None:
    """`elsewhere` is the name of a foreign package in what a server is tried with."""
    assert "from elsewhere" in format_files({"a.py": "from  elsewhere import b\nprint( b )\n"}, ("elsewhere",))["a.py"]
    assert servers(anew) == []
    assert format_files({"a.py": UNTIDY}, ("tiny",))["a.py"] == TIDY
    assert len(servers(anew)) == 1


def test_it_is_shared_by_threads(anew: _Residents) -> None:
    texts = [f"{UNTIDY}x{number} = {{ {number}:y{number} }}\n" for number in range(60)]
    with ThreadPoolExecutor(8) as pool:
        formatted = list(pool.map(lambda text: format_files({"a.py": text}, ("tiny",))["a.py"], texts))
        found = list(pool.map(undefined_names, texts))
    assert formatted == [f"{TIDY}\n\nx{number} = {{{number}: y{number}}}\n" for number in range(60)]
    assert found == [[f"line 6: Undefined name `y{number}`"] for number in range(60)]
    assert len(servers(anew)) == 2


def test_one_that_was_killed_is_replaced(anew: _Residents) -> None:
    for number in range(3):
        assert undefined_names(f"x = y{number}\n") == [f"line 1: Undefined name `y{number}`"]
        (server,) = servers(anew)
        os.kill(server._pipes._process.pid, signal.SIGKILL)
        server._pipes._process.wait()
        assert not server.usable
    assert anew._failures == 0


def test_one_that_dies_while_it_answers_loses_nothing(anew: _Residents) -> None:
    undefined_names("x = 1\n")
    (server,) = servers(anew)
    os.kill(server._pipes._process.pid, signal.SIGSTOP)
    killer = threading.Timer(0.2, os.kill, (server._pipes._process.pid, signal.SIGKILL))
    killer.start()
    assert undefined_names("x = y\n") == ["line 1: Undefined name `y`"]
    killer.join()
    assert anew._failures == 1


def test_one_that_does_not_answer_is_given_up(anew: _Residents, monkeypatch: pytest.MonkeyPatch) -> None:
    undefined_names("x = 1\n")
    (server,) = servers(anew)
    monkeypatch.setattr("zerorepo_rpg.ruff_server._LIMIT_S", 0.2)
    os.kill(server._pipes._process.pid, signal.SIGSTOP)
    assert undefined_names("x = y\n") == ["line 1: Undefined name `y`"]
    assert not server.usable


@pytest.mark.parametrize(
    "said",
    [
        "Content-Length: 2\\r\\n\\r\\n{}",
        "Content-Length: 5\\r\\n\\r\\nnope!",
        "no header\\r\\n\\r\\n",
        'Content-Length: 38\\r\\n\\r\\n{"jsonrpc":"2.0","id":1,"result":null}',
        "",
    ],
)
def test_one_that_says_something_else_is_not_asked(tmp_path: Path, said: str) -> None:
    other = tmp_path / "ruff"
    other.write_text(f"#!/bin/sh\nread request\nprintf '{said}'\n")
    other.chmod(0o755)
    with pytest.raises(Gone):
        RuffServer(str(other), {})


def test_a_ruff_without_a_server_is_started_for_each_question(
    anew: _Residents, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(python_source, "_MOST_FAILURES", 3)

    def refuse(*_: object) -> RuffServer:
        raise Gone("no server")

    monkeypatch.setattr(python_source, "RuffServer", refuse)
    for number in range(5):
        assert undefined_names(f"x = y{number}\n") == [f"line 1: Undefined name `y{number}`"]
    assert format_files({"a.py": UNTIDY}, ("tiny",))["a.py"] == TIDY
    assert anew._failures == 3


@pytest.mark.parametrize("lost", ["lint", "line-length", "configuration"])
def test_one_that_passes_over_its_settings_is_not_used(
    anew: _Residents, monkeypatch: pytest.MonkeyPatch, lost: str
) -> None:
    """As those of before ruff 0.9.8 do, which know nothing of `configuration`."""

    class Older(RuffServer):
        def __init__(self, ruff: str, settings: dict[str, object]) -> None:
            super().__init__(
                ruff, {key: value for key, value in settings.items() if lost not in ("configuration", key)}
            )

    monkeypatch.setattr(python_source, "RuffServer", Older)
    assert format_files({"a.py": UNTIDY}, ("tiny",))["a.py"] == TIDY
    assert undefined_names("import os, re\nx = y\n") == ["line 2: Undefined name `y`"]
    # How long a line may be is nothing to the one that looks for names.
    assert [select for select, _ in anew._started] == ([_NAMES] if lost == "line-length" else [])


def test_there_are_only_a_few_at_once(anew: _Residents) -> None:
    for number in range(7):
        assert format_files({"a.py": UNTIDY}, ("tiny", f"other{number}"))["a.py"] == TIDY
    started = servers(anew)
    assert len(started) == 4
    assert all(each.usable for each in started)


def test_it_ends_with_whoever_started_it(tmp_path: Path) -> None:
    """Also when that is killed, and without a word at the end of a usual run."""
    program = (
        "import os, sys, signal\n"
        "from zerorepo_rpg import python_source\n"
        "python_source.undefined_names('x = y\\n')\n"
        "(server,) = python_source._residents._started.values()\n"
        "print(server._pipes._process.pid, flush=True)\n"
        "if sys.argv[1] == 'killed': os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    for how, code in (("killed", -signal.SIGKILL), ("usual", 0)):
        done = subprocess.run(
            [sys.executable, "-W", "error", "-c", program, how], capture_output=True, text=True, timeout=60, check=False
        )
        assert (done.returncode, done.stderr) == (code, "")
        until = time.monotonic() + 20
        while Path(f"/proc/{done.stdout.strip()}/exe").exists() and time.monotonic() < until:
            time.sleep(0.02)
        assert not Path(f"/proc/{done.stdout.strip()}/exe").exists()


def test_a_fork_leaves_it_to_its_parent(anew: _Residents) -> None:
    assert undefined_names("x = y\n") == ["line 1: Undefined name `y`"]
    (server,) = servers(anew)
    child = os.fork()
    if not child:
        good = not server.usable
        server.close()
        os._exit(0 if good else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0
    assert server.usable
    assert undefined_names("x = z\n") == ["line 1: Undefined name `z`"]
    assert servers(anew) == [server]


def test_an_interrupted_question_is_not_taken_for_the_next_one(anew: _Residents) -> None:
    undefined_names("x = 1\n")
    (server,) = servers(anew)

    def interrupted(method: str, **_: object) -> None:
        raise KeyboardInterrupt(method)

    server._pipes.ask = interrupted  # type: ignore[method-assign]
    with pytest.raises(KeyboardInterrupt):
        undefined_names("x = y\n")
    assert not server.usable
    assert undefined_names("x = z\n") == ["line 1: Undefined name `z`"]


def test_it_reads_no_settings_of_where_it_runs(
    anew: _Residents, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "ruff.toml").write_text(
        "line-length = 20\n[lint]\nignore = ['F821']\n[format]\nquote-style = 'single'\n"
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    (tmp_path / "ruff").mkdir()
    (tmp_path / "ruff/ruff.toml").write_text("line-length = 20\n")
    assert format_files({"a.py": UNTIDY}, ("tiny",))["a.py"] == TIDY
    assert undefined_names("x = y\n") == ["line 1: Undefined name `y`"]


def test_lines_are_as_long_as_they_are_for_ruff() -> None:
    """What a server is tried with is told apart from what one with other lines says."""
    select = ("F401", "I")
    for length, good in ((99, False), (100, True)):
        server = RuffServer(_ruff(), {"line-length": length, "lint": {"select": select}})
        assert _as_set(server, select, ()) is good
        server.close()


def test_edits_count_characters_and_lines_of_all_kinds() -> None:
    def edit(start: tuple[int, int], end: tuple[int, int], new: str) -> dict[str, object]:
        places = [dict(zip(("line", "character"), each, strict=True)) for each in (start, end)]
        return {"range": dict(zip(("start", "end"), places, strict=True)), "newText": new}

    text = "𝕏é = 1\r\nb = 2\rc = '\x0c'\nd"
    assert _edited(text, [edit((2, 0), (2, 1), "C"), edit((0, 1), (0, 2), "e")]) == "𝕏e = 1\r\nb = 2\rC = '\x0c'\nd"
    assert _edited(text, [edit((3, 0), (9, 0), "")]) == "𝕏é = 1\r\nb = 2\rc = '\x0c'\n"
    assert _edited(text, []) == text


def test_what_ruff_itself_cannot_read_is_left_to_the_one_that_says_why(anew: _Residents) -> None:
    """Ours is asked first, and reads more: then ruff is started, and its words are in the error."""
    server = RuffServer(_ruff(), {"lint": {"select": _NAMES}})
    with pytest.raises(Gone, match="cannot read"):
        server.formatted("a.py", "def (\n")
    assert not server.usable
