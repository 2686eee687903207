#!/usr/bin/env bash
# The README's first command: install what the first example needs, and build it.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/setup.sh
exec .venv/bin/zerorepo build //... "$@"
