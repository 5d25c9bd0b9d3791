#!/usr/bin/env bash
# Types `make demo-pages` (`make demo` serves until Ctrl-C) and `make test` in a minimal Debian root that has only
# python3, python3-venv, make and git. Tests that need a browser or LibreOffice must be skipped there, with the package
# to install as reason.
#
# Usage: minimal_root.sh FOLDER [USER...]
# Needs root and debootstrap. FOLDER is created, and kept for the next call. The users are `root` and `volunteer`;
# without an argument, both. The variable SUITE selects another Debian release than this machine's, such as bookworm.
# Where no root can be made (no mount, no Debian mirror), it says so and ends with 0.
set -euo pipefail
root=${1:?folder of the minimal root}
shift
users=("$@")
[ $# -gt 0 ] || users=(volunteer root)
project=$(cd "$(dirname "$0")/.." && pwd)
suite=${SUITE:-$(. /etc/os-release && echo "$VERSION_CODENAME")}

not_proven() {
  echo "minimal root: not proven here: $1" >&2
  exit 0
}
# All mounts are in a namespace that ends with this script: FOLDER can be deleted at any time, and /dev with it never.
if [ -z "${IN_MOUNT_NAMESPACE:-}" ]; then
  unshare --mount mount -t tmpfs tmpfs /mnt 2>/dev/null || not_proven "this machine cannot mount"
  IN_MOUNT_NAMESPACE=1 exec unshare --mount -- "$0" "$root" "${users[@]}"
fi
if [ ! -x "$root/usr/bin/make" ]; then
  rm -rf "$root"
  debootstrap --variant=minbase --include=python3,python3-venv,make,git "$suite" "$root" >/dev/null ||
    not_proven "debootstrap failed"
fi
chroot "$root" id volunteer >/dev/null 2>&1 || chroot "$root" useradd --create-home volunteer

# The root reaches the package index as this machine does.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
for path in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  if [ -e "$path" ]; then mkdir -p "$root$(dirname "$path")" && cp -L "$path" "$root$path"; fi
done
for path in /proc /dev /dev/shm /dev/pts; do
  mount --bind "$path" "$root$path"
done

for user in "${users[@]}"; do
  home=$(chroot "$root" sh -c "echo ~$user")
  rm -rf "$root$home/auditor"
  git clone -q "$project" "$root$home/auditor"
  chroot "$root" chown -R "$user" "$home"
  echo "minimal root: make demo-pages and make test as $user"
  chroot "$root" su - "$user" --whitelist-environment=PIP_CERT,PIP_INDEX_URL,PIP_DEFAULT_TIMEOUT -c \
    "cd $home/auditor && make demo-pages && make test"
done
