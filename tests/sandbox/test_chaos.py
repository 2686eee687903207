"""Nothing is lost and nothing is left when workers and builders are killed while they work.

``ZEROREPO_CHAOS=1000`` is the whole of it.
"""

import json
import os
import subprocess
import sys
from pathlib import Path


def test_killed_workers_and_builders_lose_no_verdict_and_leave_nothing(tmp_path, tier):
    requests = os.environ.get("ZEROREPO_CHAOS", "60")
    command = [sys.executable, str(Path(__file__).with_name("chaos.py")), str(tmp_path), "--requests", requests]
    done = subprocess.run(command, capture_output=True, text=True, timeout=3600)
    assert done.stdout, done.stderr
    result = json.loads(done.stdout.splitlines()[-1])
    assert (result["lost"], result["wrong"], result["left"]) == ([], {}, {}), done.stderr[-4000:]
    assert result["builders_killed"] > 0
