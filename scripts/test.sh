#!/usr/bin/env bash
# The README's second command: install the test extras and run the tests. Arguments go to pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh test
exec .venv/bin/python -m pytest -n 2 --dist worksteal "$@"
