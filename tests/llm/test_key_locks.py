"""One asker a key, over threads and processes, whatever happens to the holder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

from zerorepo_llm.key_locks import release, try_hold

HOLDER = """
import sys
from pathlib import Path
from zerorepo_llm.key_locks import try_hold
print(try_hold(Path(sys.argv[1]), "00ab" * 8), flush=True)
sys.stdin.read()
"""
KEY = "00ab" * 8


def test_a_key_is_held_by_one_and_others_are_free(tmp_path: Path) -> None:
    path = tmp_path / "deep" / ".locks"
    assert try_hold(path, KEY)
    assert not try_hold(path, KEY)
    assert try_hold(path, "00ac" * 8)
    release(path, KEY)
    assert try_hold(path, KEY)
    release(path, KEY)
    release(path, "00ac" * 8)


def test_another_process_is_kept_out_until_the_holder_ends(tmp_path: Path) -> None:
    path = tmp_path / ".locks"
    command = [sys.executable, "-c", HOLDER, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "True\n"
        assert not try_hold(path, KEY)
        holder.kill()
        holder.wait()
    assert try_hold(path, KEY)
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as other:
        assert other.communicate("")[0] == "False\n"
    release(path, KEY)


def test_a_state_folder_that_was_deleted_meanwhile_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "state" / ".locks"
    assert try_hold(path, KEY)
    shutil.rmtree(path.parent)
    assert try_hold(path, KEY)
    assert path.exists()
    release(path, KEY)
