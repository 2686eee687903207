#!/usr/bin/env bash
# Proves the built example outside ZeroRepo: installed into an empty venv, its tests under plain pytest, ruff, mypy, and its own build.
set -euo pipefail
cd "$(dirname "$0")/.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cp -r "${1:-out/plaintable}" "$work/example"
"${PYTHON:-python3}" -m venv "$work/venv"
"$work/venv/bin/pip" install --quiet --disable-pip-version-check "$work/example[test]" ruff mypy build 2>&1 |
  { grep -v '^WARNING: Location' || true; }
cd "$work/example"
"$work/venv/bin/python" -m pytest -q
"$work/venv/bin/ruff" check .
"$work/venv/bin/ruff" format --check .
"$work/venv/bin/mypy"
"$work/venv/bin/python" -m build --outdir "$work/dist" >"$work/build.log" 2>&1 || { cat "$work/build.log"; exit 1; }
ls "$work/dist"
