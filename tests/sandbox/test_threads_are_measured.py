"""Coverage of code that starts many threads: each of them runs, though an audit hook lets others in meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

PROGRAM = """
import sys
import threading
import time

from zerorepo_sandbox.inside.measure import start_coverage

sys.addaudithook(lambda event, _: time.sleep(0.002) if event == "sys.settrace" else None)
stop = start_coverage(sys.argv[1], ["pack"])
sys.path.insert(0, sys.argv[1])
from pack.work import work

ran = []
threads = [threading.Thread(target=work, args=(ran,), daemon=True) for _ in range(40)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(len(ran), stop()["pack/work.py"])
"""


def test_no_thread_is_lost_while_coverage_is_measured(tmp_path: Path) -> None:
    (tmp_path / "pack").mkdir()
    (tmp_path / "pack/__init__.py").write_text("")
    (tmp_path / "pack/work.py").write_text("def work(ran):\n    for _ in range(20):\n        pass\n    ran.append(1)\n")
    command = [sys.executable, "-c", PROGRAM, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.stdout == "40 ([1, 2, 3, 4], [])\n", done.stderr
    assert done.stderr == ""
