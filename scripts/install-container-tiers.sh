#!/usr/bin/env bash
# Installs what the sandbox tiers docker and gvisor need from the system, on Debian: the docker engine, gVisor, debootstrap. As root.
# Starts nothing. Exit code 3, with the reason, where that is impossible.
set -euo pipefail

cannot() { echo "$*" >&2; exit 3; }

missing=()
command -v dockerd >/dev/null || missing+=(docker.io)
command -v runsc >/dev/null || missing+=(runsc)
command -v debootstrap >/dev/null || [ -x /usr/sbin/debootstrap ] || missing+=(debootstrap)
[ -x /usr/sbin/iptables ] || [ -x /sbin/iptables ] || missing+=(iptables)

if [ ${#missing[@]} -eq 0 ]; then
    echo "container tiers: all there"
    exit 0
fi
command -v apt-get >/dev/null || cannot "no apt-get here to install ${missing[*]}"
[ "$(id -u)" -eq 0 ] || cannot "not root, so ${missing[*]} cannot be installed"
install=(env DEBIAN_FRONTEND=noninteractive apt-get install -y --no-install-recommends "${missing[@]}")
echo "container tiers: installing ${missing[*]}"
"${install[@]}" >/dev/null || { apt-get update >/dev/null && "${install[@]}" >/dev/null; } || cannot "apt-get could not install ${missing[*]}"
