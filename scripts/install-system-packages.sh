#!/usr/bin/env bash
# Installs what ZeroRepo needs from the system: bubblewrap (the sandbox), git, and venv where `python3 -m venv` lacks pip.
# With the argument `test` also strace, which the crash tests kill builds with. Does nothing, quickly, when all of it is there.
# Knows Debian and Ubuntu; elsewhere it says what to install.
set -euo pipefail

missing=()
command -v bwrap >/dev/null || missing+=(bubblewrap)
command -v setpriv >/dev/null || missing+=(util-linux)
command -v git >/dev/null || missing+=(git)
case ",${1:-}," in
    *,test,*) command -v strace >/dev/null || missing+=(strace) ;;
esac
if ! command -v python3 >/dev/null; then
    missing+=(python3 python3-venv)
elif ! python3 -c 'import ensurepip, venv' 2>/dev/null; then
    missing+=(python3-venv)
fi

if [ ${#missing[@]} -eq 0 ]; then
    echo "system packages: all there"
    exit 0
fi

if ! command -v apt-get >/dev/null; then
    echo "Missing: ${missing[*]}. There is no apt-get here; install these with your system's package manager." >&2
    exit 1
fi

if [ "$(id -u)" -eq 0 ]; then
    sudo=()
elif command -v sudo >/dev/null; then
    sudo=(sudo)
else
    echo "Missing: ${missing[*]}. Run as root: apt-get install ${missing[*]}" >&2
    exit 1
fi

install=("${sudo[@]}" env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}")
echo "system packages: installing ${missing[*]}"
# The lists of a fresh machine may be old or absent; they are fetched only when that turns out.
"${install[@]}" || { "${sudo[@]}" apt-get update && "${install[@]}"; }
