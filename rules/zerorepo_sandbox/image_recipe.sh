#!/bin/sh
# Makes the root folder of the docker and gvisor tiers as a tar file, without any container registry: a minimal Debian with Python's
# shared libraries, a shell and coreutils, no setuid file, no package manager's data. Needs root, debootstrap and a Debian mirror.
# Usage: image_recipe.sh OUT.tar OUT.packages SUITE DEB_CACHE.   Knows nothing of docker.
set -eu
out=$1 packages=$2 suite=$3 cache=$4
mirror=${ZEROREPO_DEBIAN_MIRROR:-$(apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' 2>/dev/null | head -n 1)}
root=$(mktemp -d /var/tmp/zerorepo-rootfs.XXXXXX)
trap 'rm -rf "$root"' EXIT
trap 'exit 130' INT TERM
mkdir -p "$cache"
debootstrap --variant=minbase --merged-usr --cache-dir="$cache" --include=python3-minimal,python3,tzdata "$suite" "$root" "$mirror"
# What the versions are is what the image is called by; the list is complete before anything is taken away.
chroot "$root" dpkg-query -W -f '${Package} ${Version} ${Architecture}\n' | LC_ALL=C sort >"$packages"
for folder in var/cache var/lib/apt var/lib/dpkg var/log usr/share/doc usr/share/man usr/share/info usr/share/locale usr/share/i18n \
    usr/share/lintian usr/share/bash-completion etc/apt; do
  rm -rf "${root:?}/$folder"
done
rm -f "$root"/usr/bin/apt* "$root"/usr/bin/dpkg* "$root"/etc/machine-id "$root"/etc/shadow- "$root"/etc/passwd-
find "$root" -xdev -perm /6000 -type f -exec chmod a-s {} +
chroot "$root" python3 -m compileall -q -j 0 /usr/lib/python3 /usr/lib/python3.* >/dev/null 2>&1 || true
# An interpreter below /root of the machine is shown at its own path, and an ordinary user must get there.
chmod 755 "$root/root"
rm -f "$root"/root/.bashrc "$root"/root/.profile
# A file system that is put over a folder takes over the folder's mode.
mkdir -p "$root/opt/zerorepo"
mkdir -m 1777 "$root/work"
chmod 1777 "$root/tmp" "$root/work"
tar -C "$root" --numeric-owner --sort=name --one-file-system --exclude='./dev/*' --exclude='./proc/*' --exclude='./sys/*' -cf "$out" .
