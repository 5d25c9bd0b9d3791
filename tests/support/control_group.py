"""Limits the memory and the number of processes of a test, as a container engine does."""

import time
from pathlib import Path

CGROUPS = Path("/sys/fs/cgroup")
LIMIT_FILES = {
    1: {
        "memory": ("memory", "memory.limit_in_bytes", "memory.oom_control", "oom_kill"),
        "pids": ("pids", "pids.max", "pids.events", "max"),
    },
    2: {
        "memory": ("", "memory.max", "memory.events", "oom_kill"),
        "pids": ("", "pids.max", "pids.events", "max"),
    },
}
"""By cgroup version: folder of a controller, files of its limit and events, name of a refusal."""
SWAP_LIMIT_FILE = {1: "memory.memsw.limit_in_bytes", 2: "memory.swap.max"}


class ControlGroup:
    """Limits memory and number of processes. If that is impossible here, `problem` says why.

    It needs root and the memory and pids controllers of cgroup v1 or v2.
    """

    def __init__(self, name, limits):
        self.problem = None
        self._version = 2 if (CGROUPS / "cgroup.controllers").exists() else 1
        self._files = LIMIT_FILES[self._version]
        self._name = name
        try:
            self._create(limits)
        except OSError as error:
            self.problem = f"memory and processes are not limited: {error}"

    def _get_folder(self, controller):
        return CGROUPS / self._files[controller][0] / self._name

    def _create(self, limits):
        if self._version == 2:
            (CGROUPS / "cgroup.subtree_control").write_text("+memory +pids")
        for controller, limit in limits.items():
            folder = self._get_folder(controller)
            folder.mkdir(exist_ok=True)
            (folder / self._files[controller][1]).write_text(str(limit))
        swap_file = self._get_folder("memory") / SWAP_LIMIT_FILE[self._version]
        if swap_file.exists():
            swap_file.write_text("0" if self._version == 2 else str(limits["memory"]))

    def list_process_files(self):
        """Return the files that a process writes its id to, to join the group."""
        folders = {self._get_folder(controller) for controller in self._files}
        return [file for folder in folders if (file := folder / "cgroup.procs").exists()]

    def count_refusals(self):
        """Return how often the kernel killed a process for memory or refused a new process."""
        counts = {}
        for controller, (_, _, events, name) in self._files.items():
            file = self._get_folder(controller) / events
            words = file.read_text().split() if file.exists() else []
            values = dict(zip(words[::2], words[1::2], strict=True))
            counts[controller] = int(values.get(name, 0))
        return counts

    def close(self):
        """Wait until the last process has ended, and remove the group."""
        for file in self.list_process_files():
            while file.read_text():
                time.sleep(0.01)
            file.parent.rmdir()
