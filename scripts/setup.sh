#!/usr/bin/env bash
# Makes .venv and installs ZeroRepo into it, with system packages where they are missing. Arguments: extras, for example `test`.
set -euo pipefail
cd "$(dirname "$0")/.."
bash scripts/install-system-packages.sh "${1:-}"
python=${PYTHON:-python3}
"$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' || {
  echo "ZeroRepo needs Python 3.11 or newer; $("$python" --version) is too old. Set PYTHON to a newer one." >&2
  exit 1
}
[ -x .venv/bin/python ] || "$python" -m venv .venv
extras=${1:-}
.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable ".${extras:+[$extras]}" 2>&1 |
  { grep -v '^WARNING: Location' || true; }
