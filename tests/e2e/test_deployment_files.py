"""Tests of the files in deploy/ and of docs/guides/deployment.md: they fit this program."""

import json
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
from auditor.core.errors import ConfigError
from probes.http.ssrf_guard import (
    FORBIDDEN_IPV4_NETWORKS,
    FORBIDDEN_IPV6_NETWORKS,
    GLOBAL_IPV6_NETWORK,
)
from tests.support.container_root import read_container_steps

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
DEPLOYMENT_GUIDE = (ROOT / "docs" / "guides" / "deployment.md").read_text("utf-8")
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
def test_unit_starts_existing_command(name, capsys):
    (line,) = read_unit_settings(name)["Service", "ExecStart"]
    command, *arguments = shlex.split(line)
    assert command == INSTALLED_COMMAND
    assert is_known(arguments), capsys.readouterr().err


def test_unknown_command_is_detected(capsys):
    assert not is_known(["--quiet", "ruin"])
    assert not is_known(["run", "--nightly"])


@pytest.mark.parametrize("name", SERVICES)
def test_unit_sets_existing_settings(name):
    lines = read_unit_settings(name)["Service", "Environment"]
    environment = dict(pair.split("=", 1) for line in lines for pair in shlex.split(line))
    config = load_config(find_packaged_config(), environment)
    written = (config.storage.folder, config.backup.folder, config.report.folder)
    assert all(folder.is_relative_to("/var/lib/auditor") for folder in written)
    assert set(environment) <= set(re.findall(r"AUDITOR_\w+", (DEPLOY / "auditor").read_text()))
    assert read_unit_settings(name)["Service", "StateDirectory"] == ["auditor"]
    with pytest.raises(ConfigError):
        load_config(find_packaged_config(), {"AUDITOR_STORAGE__FLODER": "/var/lib/auditor"})


@pytest.mark.parametrize("name", SERVICES)
def test_unit_denies_networks_that_ssrf_guard_denies(name):
    unit = read_unit_settings(name)
    denied = {
        ip_network(text) for line in unit["Service", "IPAddressDeny"] for text in line.split()
    }
    assert denied >= set(FORBIDDEN_IPV4_NETWORKS) - {ip_network("127.0.0.0/8")}
    assert denied >= set(FORBIDDEN_IPV6_NETWORKS)
    assert all(network in denied for network in list_non_public_ipv6())
    assert unit["Service", "IPAddressAllow"] == ["localhost"]


def list_non_public_ipv6():
    """Return the IPv6 networks that are not public."""
    everything = ip_network("::/0")
    return list(everything.address_exclude(GLOBAL_IPV6_NETWORK))


def test_packet_filter_rejects_networks_that_ssrf_guard_denies():
    rule = (DEPLOY / "auditor.nft").read_text()
    listed = {
        ip_network(text)
        for group in re.findall(r"elements = \{(.*?)\}", rule, re.DOTALL)
        for text in re.split(r"[,\s]+", group)
        if text
    }
    assert listed == {*FORBIDDEN_IPV4_NETWORKS, *FORBIDDEN_IPV6_NETWORKS, *list_non_public_ipv6()}


@pytest.fixture
def units(tmp_path):
    """Write the units into a folder, with the path of this installation."""
    for name in UNITS:
        text = (DEPLOY / name).read_text().replace(INSTALLED_COMMAND, str(AUDITOR))
        (tmp_path / name).write_text(
            text.replace("User=auditor\nGroup=auditor", "User=daemon\nGroup=daemon")
        )
    return tmp_path


def test_every_unit_is_tested():
    found = {file.name for file in DEPLOY.iterdir() if file.suffix in (".service", ".timer")}
    assert found == set(UNITS)


def test_systemd_accepts_all_units(units):
    analyze = require_tool("systemd-analyze")
    names = [str(units / name) for name in UNITS]
    result = subprocess.run(
        [analyze, "verify", "--man=no", *names], capture_output=True, text=True, check=False
    )
    assert (result.returncode, result.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_exposure_of_unit_is_low(units, name):
    analyze = require_tool("systemd-analyze")
    command = [
        analyze,
        "security",
        "--offline=true",
        f"--threshold={MAX_EXPOSURE}",
        "--no-pager",
        units / name,
    ]
    result = subprocess.run(command, capture_output=True, text=True, check=False)
    assert result.returncode == 0, result.stdout[-600:]


def test_timer_uses_start_time_of_configuration():
    (when,) = read_unit_settings("auditor-run.timer")["Timer", "OnCalendar"]
    assert when == f"*-*-* {load_config(find_packaged_config(), {}).schedule.start_time} UTC"
    analyze = require_tool("systemd-analyze")
    result = subprocess.run([analyze, "calendar", when], capture_output=True, text=True, check=True)
    assert "00:30:00 UTC" in result.stdout


def test_cron_lines_start_existing_commands(capsys):
    lines = [
        line
        for line in (DEPLOY / "auditor.cron").read_text().splitlines()
        if line and not re.match(r"#|\w+=", line)
    ]
    assert len(lines) == 2
    for line in lines:
        times, rest = re.fullmatch(r"((?:\S+ ){5})auditor (.+)", line).groups()
        assert re.fullmatch(r"(\d+ ){2}(\* ){3}", times)
        command = rest.rpartition("&& ")[2].partition(" >")[0]
        assert command.startswith(f"{INSTALLED_COMMAND} --quiet ")
        assert is_known(shlex.split(command)[1:]), capsys.readouterr().err


def test_crontab_accepts_cron_lines(tmp_path):
    crontab = require_tool("crontab")
    file = tmp_path / "crontab"
    text = (DEPLOY / "auditor.cron").read_text()
    without_user = re.sub(r"^((?:\S+ ){5})auditor ", r"\1", text, flags=re.MULTILINE)
    assert without_user != text
    for content, code in ((without_user, 0), (without_user.replace("30 0", "30 24"), 1)):
        file.write_text(content)
        result = subprocess.run([crontab, "-n", file], capture_output=True, check=False)
        assert result.returncode == code, result.stderr


def test_packet_filter_accepts_rule():
    nft, unshare = require_tool("nft"), require_tool("unshare")
    rule = (DEPLOY / "auditor.nft").read_text().replace('"auditor"', '"daemon"')
    namespaces = "-n" if os.getuid() == 0 else "-rn"  # -r does not work in a chroot
    if subprocess.run([unshare, namespaces, "true"], check=False, capture_output=True).returncode:
        pytest.skip("network namespaces are not available")
    result = subprocess.run(
        [unshare, namespaces, nft, "-c", "-f", "-"],
        input=rule,
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in result.stderr or "not supported" in result.stderr:
        pytest.skip(f"the packet filter is not available: {result.stderr.splitlines()[0]}")
    assert (result.returncode, result.stderr) == (0, "")


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


def test_wrapper_is_executable_script():
    assert subprocess.run(["sh", "-n", DEPLOY / "auditor"], check=False).returncode == 0
    assert (DEPLOY / "auditor").stat().st_mode & 0o111


def test_caddy_accepts_its_file(tmp_path):
    caddy = require_tool("caddy")
    command = [caddy, "adapt", "--config", str(DEPLOY / "Caddyfile"), "--validate"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    result = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert result.returncode == 0, result.stderr
    routes = json.loads(result.stdout)["apps"]["http"]["servers"]["srv0"]["routes"]
    named = [host for route in routes for match in route["match"] for host in match["host"]]
    assert sorted(named) == ["presence.example.org", "reports.example.org"]
    assert result.stdout.count('"127.0.0.1:8321"') == 2


# --- The container: tests/e2e/test_container_root.py builds and runs it ---


CONTAINERFILE = (ROOT / "Containerfile").read_text()


def test_container_runs_unprivileged_and_has_health_check():
    steps = read_container_steps(CONTAINERFILE)
    names = [name for name, _ in steps]
    assert "ADD" not in names
    last = names.index("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", steps[last][1])
    assert not {"RUN", "COPY"} & set(names[last:]), "no instruction may follow USER"
    (health,) = (rest for name, rest in steps if name == "HEALTHCHECK")
    command = json.loads(health.partition("CMD ")[2])
    assert "/healthz" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")
    (start_command,) = (json.loads(rest) for name, rest in steps if name == "CMD")
    assert start_command[0] == "auditor"
    assert is_known(start_command[1:])


def test_group_of_container_has_number_of_its_user():
    """With `--system` and without a group, `useradd` takes a free number below 1000."""
    steps = read_container_steps(CONTAINERFILE)
    (user,) = (rest for name, rest in steps if name == "USER")
    (creation,) = (rest for name, rest in steps if name == "RUN" and "useradd" in rest)
    uid, _, gid = user.partition(":")
    assert f"groupadd --gid {gid} auditor && useradd --uid {uid} --gid {gid} " in creation


def test_files_that_container_copies_exist_and_are_not_ignored():
    included = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = [
        path
        for name, rest in read_container_steps(CONTAINERFILE)
        if name == "COPY" and "--from" not in rest
        for path in rest.split()[:-1]
    ]
    assert set(copied) == included
    assert [path for path in copied if not (ROOT / path).exists()] == []


def test_container_is_installed_like_make_install():
    makefile = (ROOT / "Makefile").read_text()
    commands = " && ".join(
        rest for name, rest in read_container_steps(CONTAINERFILE) if name == "RUN"
    )
    pip = re.search(r"^PIP := (.*)$", makefile, re.MULTILINE)[1].replace("$(BIN)", ".venv/bin")
    target = makefile.partition("$(VENV)/.run:")[2].partition("\n\n")[0]
    for line in re.findall(r"@\$\(PIP\) (.+)", target):
        assert f"{pip} {line.replace('--editable ', '')}" in commands


def test_container_sets_existing_settings():
    environment = dict(
        pair.split("=", 1)
        for name, rest in read_container_steps(CONTAINERFILE)
        if name == "ENV"
        for pair in shlex.split(rest)
        if pair.startswith("AUDITOR_")
    )
    config = load_config(find_packaged_config(), environment)
    assert (str(config.storage.folder), config.web.host) == ("/data", "0.0.0.0")
    assert all(
        folder.is_relative_to("/data") for folder in (config.backup.folder, config.report.folder)
    )


def test_compose_services_are_restricted():
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in compose["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "privileged" not in service
    auditor = compose["services"]["auditor"]
    assert "ports" not in auditor, "only the proxy may be reachable from outside"
    assert "no-new-privileges:true" in auditor["security_opt"]
    assert (DEPLOY / auditor["build"]["context"] / auditor["build"]["dockerfile"]).exists()
    mounted = [
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service["volumes"]
    ]
    assert {name for name in mounted if not name.startswith("./")} == set(compose["volumes"])


def test_compose_file_is_named_by_absolute_path():
    """`podman-compose` of Debian looks for a relative path in another folder."""
    texts = (DEPLOYMENT_GUIDE, (DEPLOY / "compose.yaml").read_text())
    for text in (*texts, CONTAINERFILE):
        named = re.findall(r"compose -f\s+(\S+)", text)
        assert named
        assert set(named) == {'"$PWD/deploy/compose.yaml"'}


def test_guide_gives_mounted_files_to_user_of_container():
    (user,) = (rest for name, rest in read_container_steps(CONTAINERFILE) if name == "USER")
    compose = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    volumes = compose["services"]["auditor"]["volumes"]
    mounted = [volume.partition(":")[0] for volume in volumes if volume.startswith("./")]
    paths = " ".join(f"deploy/{path.removeprefix('./')}" for path in mounted)
    assert f"chown -R {user} {paths}\n" in DEPLOYMENT_GUIDE


# --- The page ---


def test_guide_names_all_deployment_files():
    file_names = {file.name for file in DEPLOY.iterdir()}
    assert {
        name
        for name in file_names
        if not re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", DEPLOYMENT_GUIDE)
    } == set()
    linked = re.findall(r"\]\(\.\./(deploy/[^)]+)\)", DEPLOYMENT_GUIDE)
    assert [link for link in linked if not (ROOT / link).exists()] == []


def test_commands_in_guide_exist(capsys):
    commands = re.findall(r"^auditor ([^\n#]+)", DEPLOYMENT_GUIDE, re.MULTILINE)
    commands += re.findall(r"`auditor ([^`…]+)`", DEPLOYMENT_GUIDE)
    assert len(commands) >= 8
    for line in commands:
        assert is_known(shlex.split(line)), (line, capsys.readouterr().err)


def test_usual_installation_fits_two_screens():
    assert len(DEPLOYMENT_GUIDE.partition("\n---\n")[0].splitlines()) <= 50


def test_guide_uses_make_install():
    make_help = subprocess.run(
        ["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"^install +", make_help, re.MULTILINE)
    assert "make -C /opt/auditor install" in DEPLOYMENT_GUIDE
