"""Builds the image of a Containerfile and runs containers from it, in root folders of Debian.

It needs root, debootstrap and a Debian mirror, but no registry and no container engine. Debian with
its own Python replaces the base image.
"""

import json
import os
import re
import shlex
import shutil
import signal
import string
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from tests.support.control_group import ControlGroup
from tests.support.debian_root import (
    ENVIRONMENT,
    PRIVATE_NAMESPACES,
    copy_root,
    create_debian_root,
    read_children,
    run_in_root,
)

BASE_IMAGE = re.compile(r"docker\.io/library/python:(?P<python>3\.\d+)-slim-(?P<suite>[a-z]+)")


class ContainerfileError(Exception):
    """An instruction or setting that this module cannot follow."""


def read_container_steps(text):
    """Return the instructions of a Containerfile, each with its arguments."""
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


# --- The image ---


@dataclass
class Image:
    """What the instructions of a Containerfile result in."""

    root: Path
    environment: dict[str, str] = field(default_factory=ENVIRONMENT.copy)
    workdir: str = "/"
    user: str = "0:0"
    port: int = 0
    stop_signal: str = "SIGTERM"
    health_check: list[str] = field(default_factory=list)
    command: list[str] = field(default_factory=list)


FIELDS = {
    "USER": ("user", str),
    "EXPOSE": ("port", int),
    "STOPSIGNAL": ("stop_signal", str),
    "CMD": ("command", json.loads),
}
"""The fields of an image that an instruction sets, and how it is read."""


class ImageBuilder:
    """Follows the instructions of a Containerfile in one root folder for each stage."""

    def __init__(self, context, folder):
        self._context = context
        self._folder = folder
        self._stages = {}
        self.image = None

    def build(self, text):
        """Follow all instructions, and return the image. Raises ContainerfileError."""
        for name, rest in read_container_steps(text):
            self._follow(name, rest)
        return self.image

    def _follow(self, name, rest):
        image = self.image
        match name:
            case "FROM":
                reference, _, stage = rest.partition(" AS ")
                root = self._folder / f"stage-{len(self._stages)}"
                copy_base_image(reference, root)
                self._stages[stage or "final"] = self.image = Image(root)
            case "WORKDIR":
                image.workdir = rest
                self._resolve(rest).mkdir(parents=True, exist_ok=True)
            case "COPY":
                self._copy(rest)
            case "RUN":
                command = ["env", f"--chdir={image.workdir}", "sh", "-c", rest]
                run_in_root(image.root, command, image.environment)
            case "ENV":
                for pair in shlex.split(rest):
                    variable, _, value = pair.partition("=")
                    expanded = string.Template(value).substitute(image.environment)
                    image.environment[variable] = expanded
            case "VOLUME":
                pass  # compose.yaml says what is mounted
            case "HEALTHCHECK":
                image.health_check = json.loads(rest.partition("CMD ")[2])
            case _ if name in FIELDS:
                field_name, parse = FIELDS[name]
                setattr(image, field_name, parse(rest))
            case _:
                raise ContainerfileError(f"unknown instruction {name}")

    def _copy(self, rest):
        *sources, target = rest.split()
        origin, is_ignored = self._context, read_ignored_names(self._context)
        if sources[0].startswith("--from="):
            origin = self._stages[sources.pop(0).removeprefix("--from=")].root
            is_ignored = None
        elif sources[0].startswith("--"):
            raise ContainerfileError(f"unknown option {sources[0]} of COPY")
        for source in sources:
            path = origin / source.lstrip("/")
            if path.is_dir():
                folder = self._resolve(target)
                shutil.copytree(path, folder, symlinks=True, ignore=is_ignored, dirs_exist_ok=True)
            else:
                shutil.copy(path, self._resolve(target))

    def _resolve(self, target):
        """Return the path of a file of the image on this machine."""
        return self.image.root / f"{self.image.workdir}/{target}".rpartition("//")[2].lstrip("/")


def copy_base_image(reference, root):
    """Write the Debian root that replaces a base image. Raises MissingMirrorError."""
    match = BASE_IMAGE.fullmatch(reference)
    if match is None:
        raise ContainerfileError(f"no root can replace the base image {reference}")
    copy_root(create_debian_root(match["suite"]), root)
    (root / "usr/local/bin/python").symlink_to("/usr/bin/python3")
    version = run_in_root(root, ["python", "--version"], ENVIRONMENT).split()[1]
    if not version.startswith(match["python"] + "."):
        raise ContainerfileError(f"Debian's Python {version} is not that of {reference}")


def read_ignored_names(context):
    """Return the `ignore` argument of copytree for the last lines of .dockerignore."""
    lines = (context / ".dockerignore").read_text().splitlines()
    patterns = [line for line in lines if line != "*" and not line.startswith("!")]
    if not all(pattern.startswith("**/") for pattern in patterns):
        raise ContainerfileError(f"cannot follow .dockerignore: {patterns}")
    return shutil.ignore_patterns(*(pattern.removeprefix("**/") for pattern in patterns))


# --- Containers ---

HANDLED_SETTINGS = {"read_only", "tmpfs", "cap_drop", "security_opt", "mem_limit", "pids_limit"}
HANDLED_SETTINGS |= {"ulimits", "environment", "volumes"}
SETTINGS_OF_ENGINE = {"build", "image", "restart", "stop_grace_period"}
"""Settings of a service that say when the container engine builds, starts and kills it."""

SERVICE_ADDRESS = "10.89.0.2"
"""Address of the container and of its proxy in the network, as container engines choose it."""
HOLD_NETWORK = """
import fcntl, socket, struct, sys
control = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
address = struct.pack("HH4s8x", socket.AF_INET, 0, socket.inet_aton(sys.argv[1]))
fcntl.ioctl(control, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up
fcntl.ioctl(control, 0x8916, struct.pack("16s16s", b"lo:1", address))  # SIOCSIFADDR
print("up", flush=True)
sys.stdin.read()
"""
DEVICES = ("null", "zero", "full", "random", "urandom")
SIZE_UNITS = {"k": 2**10, "m": 2**20, "g": 2**30}


class ContainerService:
    """Runs containers of one service of a compose file, in a network that has only loopback.

    `folder` replaces the folder of the compose file, `volumes` the storage of its volumes.
    """

    def __init__(self, image, settings, folder, volumes):
        unknown = set(settings) - HANDLED_SETTINGS - SETTINGS_OF_ENGINE
        limited = (settings["cap_drop"], settings["read_only"], settings["security_opt"])
        if unknown or limited != (["ALL"], True, ["no-new-privileges:true"]):
            raise ContainerfileError(f"cannot follow these settings of a service: {settings}")
        self.image = image
        self._settings = settings
        self._folder = folder
        self._volumes = volumes
        memory, pids = settings["mem_limit"], settings["pids_limit"]
        limits = {"memory": int(memory[:-1]) * SIZE_UNITS[memory[-1]], "pids": pids}
        self.control_group = ControlGroup(f"auditor-test-{os.getpid()}", limits)
        self._network = subprocess.Popen(
            ["unshare", "--net", sys.executable, "-c", HOLD_NETWORK, SERVICE_ADDRESS],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._network.stdout.readline() == "up\n"
        self._mount_command = self._build_mount_script()

    def close(self):
        """Remove the network and the control group. All containers must have ended."""
        with self._network:
            self._network.stdin.close()
        self.control_group.close()

    def enter_network(self):
        """Return the prefix of a command that shall run in the containers' network."""
        return ["nsenter", f"--net=/proc/{self._network.pid}/ns/net", "--"]

    def run(self, *command):
        """Run a command in a new container, and return its result."""
        return self._run(self._build_command(command))

    def run_in_container(self, process, *command):
        """Run a command in a container that has been started, and return its result."""
        enter = ["nsenter", f"--target={read_children(process)[0]}", "--mount", "--pid", "--net"]
        return self._run([*enter, "--", *self._build_user_command(command)])

    @staticmethod
    def _run(command):
        options = {"stdin": subprocess.DEVNULL, "capture_output": True, "text": True}
        return subprocess.run(command, check=False, timeout=300, **options)

    @contextmanager
    def start(self):
        """Start a container with the image's command, and yield its process. Kill it at the end."""
        with subprocess.Popen(
            self._build_command(self.image.command),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                while not read_children(process) and process.poll() is None:
                    time.sleep(0.01)
                yield process
            finally:
                process.kill()

    def stop(self, process):
        """Stop a container as an engine does, wait for its end, and return its output."""
        os.kill(read_children(process)[0], signal.Signals[self.image.stop_signal])
        return process.communicate(timeout=60)[0]

    def _build_command(self, command):
        joins = [f"echo $$ >{file}" for file in self.control_group.list_process_files()]
        limit = f"ulimit -n {self._settings['ulimits']['nofile']}"
        script = "; ".join([*joins, limit, 'exec "$@"'])
        mounts = [self._mount_command, "sh", *self._build_user_command(command)]
        return [
            *("sh", "-ec", script, "sh"),
            *self.enter_network(),
            *PRIVATE_NAMESPACES,
            *("sh", "-ec", *mounts),
        ]

    def _build_user_command(self, command):
        """Return the command for the image's user, without privileges and with its variables."""
        uid, _, gid = self.image.user.partition(":")
        variables = {"HOME": "/data"} | self.image.environment | self._settings["environment"]
        drop = [f"--reuid={uid}", f"--regid={gid}", "--clear-groups"]
        drop += ["--inh-caps=-all", "--bounding-set=-all", "--no-new-privs"]
        drop.append("--pdeathsig=KILL")  # the kernel forgets that of unshare when the user changes
        pairs = [f"{name}={value}" for name, value in variables.items()]
        start = ["env", "--ignore-environment", f"--chdir={self.image.workdir}", *pairs]
        return ["chroot", str(self.image.root), "setpriv", *drop, "--", *start, *command]

    def _build_mount_script(self):
        root = str(self.image.root)
        commands = [["mount", "--bind", root, root], ["mount", "-o", "remount,bind,ro", root]]
        for volume in self._settings["volumes"]:
            commands += self._bind_volume(*volume.split(":"))
        commands.append(["mount", "-t", "proc", "proc", f"{root}/proc"])
        commands += self._list_device_commands(f"{root}/dev")
        for entry in self._settings["tmpfs"]:
            path, _, options = entry.partition(":")
            options = f"nosuid,nodev,{options}"
            commands.append(["mount", "-t", "tmpfs", "-o", options, "tmpfs", root + path])
        return "; ".join([*map(shlex.join, commands), 'exec "$@"'])

    def _bind_volume(self, source, target, mode="rw"):
        """Return the commands that mount a volume or a file. Creates the place for it."""
        place = Path(f"{self.image.root}{target}")
        path = self._folder / source if source.startswith("./") else self._volumes / source
        if not source.startswith("./") and not path.exists():
            subprocess.run(["cp", "-a", place, path], check=True)  # as engines fill a new volume
        place.parent.mkdir(parents=True, exist_ok=True)
        if path.is_dir():
            place.mkdir(exist_ok=True)
        else:
            place.touch()
        commands = [["mount", "--bind", str(path), str(place)]]
        if mode == "ro":
            commands.append(["mount", "-o", "remount,bind,ro", str(place)])
        return commands

    @staticmethod
    def _list_device_commands(folder):
        commands = [["mount", "-t", "tmpfs", "-o", "mode=755,size=64k", "tmpfs", folder]]
        for name in DEVICES:
            commands.append(["touch", f"{folder}/{name}"])
            commands.append(["mount", "--bind", f"/dev/{name}", f"{folder}/{name}"])
        options = "mode=1777,size=64m"
        return [
            *commands,
            ["mkdir", f"{folder}/shm"],
            ["mount", "-t", "tmpfs", "-o", options, "tmpfs", f"{folder}/shm"],
            ["ln", "-s", "/proc/self/fd", f"{folder}/fd"],
        ]
