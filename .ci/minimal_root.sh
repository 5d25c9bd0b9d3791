#!/usr/bin/env bash
# Types the two README commands in a minimal Debian root that has only python3, python3-venv, make and git: as root and
# as another user. Tests that need a browser, LibreOffice or Pango must skip there, with the package to install as reason.
# Usage: minimal_root.sh FOLDER   (needs root and debootstrap; FOLDER is created and kept for the next call)
set -euo pipefail
root=${1:?folder of the minimal root}
project=$(cd "$(dirname "$0")/.." && pwd)
suite=$(. /etc/os-release && echo "$VERSION_CODENAME")

if [ ! -x "$root/usr/bin/make" ]; then
  rm -rf "$root"
  debootstrap --variant=minbase --include=python3,python3-venv,make,git "$suite" "$root" >/dev/null
fi
chroot "$root" id volunteer >/dev/null 2>&1 || chroot "$root" useradd --create-home volunteer
# The root reaches the package index as this machine does.
cp /etc/resolv.conf /etc/hosts "$root/etc/"
for path in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
  if [ -e "$path" ]; then mkdir -p "$root$(dirname "$path")" && cp -L "$path" "$root$path"; fi
done
mounted=()
cleanup() { for path in "${mounted[@]}"; do umount --lazy "$root$path"; done; }
trap cleanup EXIT
for path in /proc /dev /dev/shm /dev/pts; do
  mount --bind "$path" "$root$path"
  mounted=("$path" "${mounted[@]}")
done

run_as() { # USER HOME
  rm -rf "$root$2/auditor"
  git clone -q "$project" "$root$2/auditor"
  chroot "$root" chown -R "$1" "$2"
  chroot "$root" su - "$1" --whitelist-environment=PIP_CERT,PIP_INDEX_URL,PIP_DEFAULT_TIMEOUT -c \
    "cd $2/auditor && make demo && make test"
}
run_as volunteer /home/volunteer
run_as root /root
