#!/usr/bin/env bash
# Installs the build tools that the benchmarks run beside ZeroRepo into .bench/venv, with pip; ninja and make from Debian when they are
# missing and this may install packages. A tool that does not install is left out of the tables.
set -uo pipefail
cd "$(dirname "$0")/.."
python=${PYTHON:-python3}
[ -x .bench/venv/bin/python ] || "$python" -m venv .bench/venv || exit 1
for tool in 'doit>=0.36,<1' 'scons>=4.7,<5' 'snakemake>=9,<10' 'redun>=0.27,<1'; do
  .bench/venv/bin/python -m pip install --quiet --disable-pip-version-check "$tool" 2>&1 | { grep -v '^WARNING: Location' || true; }
done
for tool in ninja make; do
  command -v "$tool" >/dev/null && continue
  package=$tool
  [ "$tool" = ninja ] && package=ninja-build
  [ "$(id -u)" = 0 ] && apt-get install --yes --quiet --no-install-recommends "$package"
done
for tool in ninja make doit scons snakemake redun; do
  path=$(PATH=$PWD/.bench/venv/bin:$PATH command -v "$tool") && echo "$tool: $path" || echo "$tool: missing" >&2
done
