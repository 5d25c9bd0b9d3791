"""Root folders of Debian made by debootstrap, and commands in them as root.

All mounts are made in private mount namespaces, which end with their processes. They are never
visible in the folders of this machine, so the folders can be deleted at any time.
"""

import os
import shutil
import subprocess
from pathlib import Path

from filelock import FileLock

CACHE_FOLDER = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "presence-auditor"
"""Folder of the Debian roots. They are kept, because debootstrap takes minutes."""

BASE_PACKAGES = "python3,python3-venv,ca-certificates"
ENVIRONMENT = {"PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
HOST_FILES = (
    *("/etc/resolv.conf", "/etc/hosts", "/etc/pip.conf"),
    "/etc/ssl/certs/ca-certificates.crt",
)
"""Files by which a root reaches the package index as this machine does."""

DIE_WITH_PARENT = ("setpriv", "--pdeathsig=KILL", "--")
PRIVATE_NAMESPACES = (
    *DIE_WITH_PARENT,
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--"),
)
"""Command prefix: own mounts and processes, which end with the process that started them."""
ENTER_ROOT = (
    'root=$1; shift; mount -t proc proc "$root/proc"; mount --rbind /dev "$root/dev"; '
    'exec chroot "$root" "$@"'
)


class MissingMirrorError(Exception):
    """The Debian root cannot be made, for example because no mirror can be reached."""


def find_missing_requirement():
    """Return why no root can be used here, or None."""
    if os.getuid() != 0:
        return "only the user root can mount"
    for tool in ("debootstrap", "unshare", "nsenter", "setpriv"):
        if shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin") is None:
            package = tool if tool == "debootstrap" else "util-linux"
            return f"apt-get install {package}"
    trial = (*PRIVATE_NAMESPACES, "unshare", "--net", "mount", "-t", "tmpfs", "tmpfs", "/mnt")
    result = subprocess.run(trial, capture_output=True, text=True, check=False)
    return f"this machine cannot mount: {result.stderr.strip()}" if result.returncode else None


def create_debian_root(suite, packages=()):
    """Return a Debian root with Python and packages. Raises MissingMirrorError.

    It is made once and kept in the cache folder. Copy it before you change it.
    """
    root = CACHE_FOLDER / "-".join(["debian", suite, *packages])
    CACHE_FOLDER.mkdir(parents=True, exist_ok=True)
    with FileLock(f"{root}.lock"):
        if not root.exists():
            unfinished = Path(f"{root}.part")
            shutil.rmtree(unfinished, ignore_errors=True)
            if packages:
                copy_root(create_debian_root(suite), unfinished)
                _install_packages(unfinished, packages)
            else:
                _run_debootstrap(suite, unfinished)
            unfinished.rename(root)
    return root


def copy_root(source, target):
    """Copy a root with all its owners and permissions."""
    subprocess.run(["cp", "-a", "--reflink=auto", source, target], check=True)


def _run_debootstrap(suite, root):
    options = ["--variant=minbase", f"--include={BASE_PACKAGES}"]
    result = subprocess.run(
        ["debootstrap", *options, suite, root], capture_output=True, text=True, check=False
    )
    if result.returncode:
        raise MissingMirrorError(f"debootstrap failed: {result.stdout[-300:].strip()}")
    for path in HOST_FILES:
        if Path(path).exists():
            shutil.copy(path, f"{root}{path}")


def _install_packages(root, packages):
    environment = ENVIRONMENT | {"DEBIAN_FRONTEND": "noninteractive"}
    options = ["-y", "-qq", "--no-install-recommends"]
    try:
        run_in_root(root, ["apt-get", "update", "-qq"], environment)
        run_in_root(root, ["apt-get", "install", *options, *packages], environment)
    except subprocess.CalledProcessError as error:
        raise MissingMirrorError(f"apt-get failed: {error.stderr[-300:].strip()}") from None


def run_in_root(root, command, environment):
    """Run a command as root in a folder, and return its output. Raises CalledProcessError."""
    passed = {name: value for name, value in os.environ.items() if name.startswith("PIP_")}
    passed.pop("PIP_FIND_LINKS", None)  # a folder of this machine
    result = subprocess.run(
        [*PRIVATE_NAMESPACES, "sh", "-ec", ENTER_ROOT, "sh", root, *command],
        env=passed | environment,
        capture_output=True,
        text=True,
        check=False,
    )
    if result.returncode:
        raise subprocess.CalledProcessError(
            result.returncode, command, result.stdout, result.stderr
        )
    return result.stdout


def read_children(process):
    """Return the ids of the children of a process. `unshare` has one: the first that it started."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text()
    return [int(child) for child in children.split()]
