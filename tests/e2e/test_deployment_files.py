"""Tests of the files in deploy/ and of the guides that name them: they fit this program."""

import os
import re
import shlex
import shutil
import subprocess
import sys
from ipaddress import ip_network
from pathlib import Path

import pytest
import yaml

from auditor.cli import main
from auditor.config.schema import find_packaged_config, load_config
from probes.http.ssrf_guard import (
    FORBIDDEN_IPV4_NETWORKS,
    FORBIDDEN_IPV6_NETWORKS,
    GLOBAL_IPV6_NETWORK,
)

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
AUDITOR = Path(sys.executable).with_name("auditor")
INSTALLED_COMMAND = "/opt/auditor/.venv/bin/auditor"
SERVICES = ("auditor.service", "auditor-run.service", "auditor-worker.service")
UNITS = (*SERVICES, "auditor-run.timer")
MAX_EXPOSURE = 15
"""Highest exposure that `systemd-analyze security` may report, of 100."""


DEBIAN_PACKAGES = {"crontab": "cron", "nft": "nftables", "systemd-analyze": "systemd"}
"""Debian package of a command, if its name differs."""


def require_tool(tool):
    """Return the path of a tool. Skip the test if it is not installed."""
    path = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if path is None:
        pytest.skip(f"apt-get install {DEBIAN_PACKAGES.get(tool, tool)}")
    return path


def read_unit_settings(name):
    """Return the settings of a systemd unit, each with all its lines."""
    section, values = "", {}
    for line in (DEPLOY / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            values.setdefault((section, key), []).append(value)
    return values


def is_known(arguments):
    """Return whether the program has this command and its options."""
    return main.main([*arguments, "--help"]) == 0


@pytest.mark.parametrize("name", SERVICES)
def test_unit_starts_existing_command_with_existing_settings(name, capsys):
    unit = read_unit_settings(name)
    (line,) = unit["Service", "ExecStart"]
    command, *arguments = shlex.split(line)
    assert command == INSTALLED_COMMAND
    assert is_known(arguments), capsys.readouterr().err
    pairs = [pair for line in unit["Service", "Environment"] for pair in shlex.split(line)]
    environment = dict(pair.split("=", 1) for pair in pairs)
    config = load_config(find_packaged_config(), environment)  # refuses an unknown setting
    written = (config.storage.folder, config.backup.folder, config.report.folder)
    assert all(folder.is_relative_to("/var/lib/auditor") for folder in written)
    assert set(environment) <= set(re.findall(r"AUDITOR_\w+", (DEPLOY / "auditor").read_text()))
    assert unit["Service", "StateDirectory"] == ["auditor"]


FORBIDDEN_NETWORKS = {
    *FORBIDDEN_IPV4_NETWORKS,
    *FORBIDDEN_IPV6_NETWORKS,
    *ip_network("::/0").address_exclude(GLOBAL_IPV6_NETWORK),
}
"""The networks that the SSRF guard denies."""


@pytest.mark.parametrize("name", SERVICES)
def test_unit_denies_networks_that_ssrf_guard_denies(name):
    unit = read_unit_settings(name)
    denied = {
        ip_network(text) for line in unit["Service", "IPAddressDeny"] for text in line.split()
    }
    assert denied >= FORBIDDEN_NETWORKS - {ip_network("127.0.0.0/8")}
    assert unit["Service", "IPAddressAllow"] == ["localhost"]


def test_packet_filter_rejects_networks_that_ssrf_guard_denies():
    groups = re.findall(r"elements = \{(.*?)\}", (DEPLOY / "auditor.nft").read_text(), re.DOTALL)
    listed = re.sub(r"[,\s]+", " ", " ".join(groups)).split()
    assert set(map(ip_network, listed)) == FORBIDDEN_NETWORKS


@pytest.fixture
def units(tmp_path):
    """Write the units into a folder, with the path of this installation."""
    for name in UNITS:
        text = (DEPLOY / name).read_text().replace(INSTALLED_COMMAND, str(AUDITOR))
        (tmp_path / name).write_text(
            text.replace("User=auditor\nGroup=auditor", "User=daemon\nGroup=daemon")
        )
    return tmp_path


@pytest.mark.slow
def test_systemd_accepts_all_units_and_their_exposure_is_low(units):
    analyze = require_tool("systemd-analyze")
    files = [str(units / name) for name in UNITS]
    verify = [analyze, "verify", "--man=no", *files]
    result = subprocess.run(verify, capture_output=True, text=True, check=False)
    assert (result.returncode, result.stderr) == (0, "")
    options = ["--offline=true", f"--threshold={MAX_EXPOSURE}", "--no-pager"]
    rate = [analyze, "security", *options, *files[: len(SERVICES)]]
    result = subprocess.run(rate, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-600:]


@pytest.mark.slow
def test_timer_uses_start_time_of_configuration():
    (when,) = read_unit_settings("auditor-run.timer")["Timer", "OnCalendar"]
    assert when == f"*-*-* {load_config(find_packaged_config(), {}).schedule.start_time} UTC"
    analyze = require_tool("systemd-analyze")
    result = subprocess.run([analyze, "calendar", when], capture_output=True, text=True, check=True)
    assert "00:30:00 UTC" in result.stdout


PACKET_FILTER_TEST = """
import fcntl, os, socket, struct, subprocess, sys
subprocess.run([sys.argv[1], "-f", "-"], input=sys.stdin.read(), text=True, check=True)
held = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
fcntl.ioctl(held, 0x8914, struct.pack("16sh14x", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS: up and running
server = socket.create_server(("127.0.0.1", 8080))
dns = socket.create_server(("127.0.0.1", 53))

def reached(user, port):
    if (child := os.fork()) == 0:
        os.setuid(user)
        with socket.socket() as one:
            one.settimeout(5)
            os._exit(one.connect_ex(("127.0.0.1", port)) != 0)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0

print(reached(0, 8080), reached(1, 8080), reached(1, 53))
"""


@pytest.mark.slow
def test_packet_filter_blocks_local_services_but_not_dns():
    nft, unshare = require_tool("nft"), require_tool("unshare")
    if os.getuid() != 0:
        pytest.skip("only root can act as two users in a network namespace")
    rule = (DEPLOY / "auditor.nft").read_text().replace('"auditor"', '"daemon"')
    command = [unshare, "-n", sys.executable, "-c", PACKET_FILTER_TEST, nft]
    result = subprocess.run(command, input=rule, capture_output=True, text=True, check=False)
    if "Operation not permitted" in result.stderr or "not supported" in result.stderr:
        pytest.skip(f"the packet filter is not available: {result.stderr.splitlines()[-1]}")
    assert result.stdout.split() == ["True", "False", "True"], result.stderr


@pytest.mark.slow
def test_logrotate_accepts_its_file(tmp_path):
    logrotate = require_tool("logrotate")
    text = (DEPLOY / "auditor.logrotate").read_text().replace("/var/log/auditor", str(tmp_path))
    file = tmp_path / "auditor"
    file.write_text(text.replace("auditor adm", "root root"))
    file.chmod(0o644)
    command = [logrotate, "--debug", "--state", str(tmp_path / "state"), str(file)]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stderr
    assert "error:" not in result.stderr


def test_services_of_compose_file_are_restricted():
    """Another test runs the container, see test_container_root.py."""
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for service in compose["services"].values():
        assert (service["read_only"], service["cap_drop"]) == (True, ["ALL"])
        assert "privileged" not in service
    auditor = compose["services"]["auditor"]
    assert "ports" not in auditor, "only the proxy may be reachable from outside"
    assert "no-new-privileges:true" in auditor["security_opt"]
    assert (DEPLOY / auditor["build"]["context"] / auditor["build"]["dockerfile"]).exists()
