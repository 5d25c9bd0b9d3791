"""Boots systemd in a root folder of Debian, in namespaces and a network of its own."""

import os
import subprocess
import time
from contextlib import contextmanager

from tests.support.debian_root import DIE_WITH_PARENT, ENVIRONMENT, read_children

PACKAGES = ("dbus", "systemd", "systemd-sysv")
START_SECONDS = 120
"""Longest time that systemd may take to start its units. A loaded machine is slow."""

NAMESPACES = ("--mount", "--pid", "--net", "--uts", "--ipc")
DEVICES = "null zero full random urandom tty"
JOIN_CONTROL_GROUP = """
mount -t tmpfs tmpfs "$root/mnt"
mkdir "$root/mnt/cgroup"
mount -t cgroup2 cgroup2 "$root/mnt/cgroup"
mkdir "$root/mnt/cgroup/$name"
echo $$ >"$root/mnt/cgroup/$name/cgroup.procs"
umount "$root/mnt/cgroup"
umount "$root/mnt"
"""
MOUNT_AND_BOOT = f"""
mount --bind "$root" "$root"
mount -t proc proc "$root/proc"
mount -t sysfs -o ro sysfs "$root/sys"
mount -t cgroup2 cgroup2 "$root/sys/fs/cgroup"
mount -t tmpfs -o mode=755 tmpfs "$root/run"
mount -t tmpfs -o mode=1777 tmpfs "$root/tmp"
mount -t tmpfs -o mode=755 tmpfs "$root/dev"
for device in {DEVICES}; do
  touch "$root/dev/$device"
  mount --bind "/dev/$device" "$root/dev/$device"
done
mkdir "$root/dev/pts" "$root/dev/shm"
mount -t devpts -o newinstance,ptmxmode=0666 devpts "$root/dev/pts"
ln -s pts/ptmx "$root/dev/ptmx"
mount -t tmpfs tmpfs "$root/dev/shm"
mkdir -p "$root/.old"
cd "$root"
pivot_root . .old
umount --lazy /.old
exec env --ignore-environment container=other PATH="$PATH" /lib/systemd/systemd
"""
REMOVE_CONTROL_GROUP = """
mount -t cgroup2 cgroup2 /mnt
cd /mnt
[ -d "$1" ] || exit 0
while grep -q "populated 1" "$1/cgroup.events"; do sleep 0.1; done
find "$1" -depth -type d -delete
"""


class SystemdStartError(Exception):
    """Systemd does not start on this machine."""


class SystemdRoot:
    """A machine that systemd has started."""

    def __init__(self, process):
        self._target = f"--target={read_children(process)[0]}"

    def enter_network(self):
        """Return the prefix of a command of this machine that shall run in the other's network."""
        return ["nsenter", self._target, "--net", "--"]

    def run(self, command, folder="/root"):
        """Run a shell command as root would type it, and return its result."""
        return subprocess.run(
            [
                *("nsenter", self._target, *NAMESPACES, "--cgroup", "--root", "--wd", "--"),
                *("env", "--ignore-environment", f"--chdir={folder}", "HOME=/root"),
                *(f"{name}={value}" for name, value in ENVIRONMENT.items()),
                *("sh", "-ec", command),
            ],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
            timeout=300,
        )

    def type_command(self, command):
        """Run a shell command, and return its output. Raises AssertionError if it fails."""
        result = self.run(command)
        assert result.returncode == 0, (command, result.stdout, result.stderr)
        return result.stdout


@contextmanager
def boot(root):
    """Start systemd in a root folder, and yield the machine. Raises SystemdStartError."""
    name = f"auditor-test-{os.getpid()}"
    script = f"{JOIN_CONTROL_GROUP} exec unshare --cgroup sh -ec '{MOUNT_AND_BOOT}'"
    command = [*DIE_WITH_PARENT, "unshare", *NAMESPACES, "--fork", "--kill-child", "--"]
    with subprocess.Popen(
        [*command, "sh", "-ec", script],
        env=ENVIRONMENT | {"root": str(root), "name": name},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield _wait_for_units(process)
        finally:
            process.kill()
            process.wait()
    remove = ["unshare", "--mount", "sh", "-ec", REMOVE_CONTROL_GROUP, "sh", name]
    subprocess.run(remove, check=True, timeout=START_SECONDS)


def _wait_for_units(process):
    """Return the machine after all units have been started, even if some of them failed."""
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise SystemdStartError(f"systemd does not start here: {process.stderr.read()[-300:]}")
        if read_children(process):
            machine = SystemdRoot(process)
            state = machine.run("systemctl is-system-running || true", "/").stdout.strip()
            if state in ("running", "degraded"):
                return machine
        time.sleep(0.2)
    raise SystemdStartError("systemd does not finish its start here")
