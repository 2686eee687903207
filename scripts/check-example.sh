#!/usr/bin/env bash
# Proves the built example outside ZeroRepo: installed into an empty venv, its own tests under plain pytest.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r out/plaintable "$work/plaintable"
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "$work/plaintable" pytest 2>&1 | { grep -v '^WARNING: Location' || true; }
cd "$work/plaintable"
"$work/venv/bin/python" -m pytest -q
