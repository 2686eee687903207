#!/usr/bin/env bash
# Lint, format, types, import contracts. Needs the test extras (scripts/test.sh installs them).
set -euo pipefail
cd "$(dirname "$0")/.."
bin=.venv/bin
$bin/ruff check .
$bin/ruff format --check .
$bin/mypy
$bin/lint-imports
