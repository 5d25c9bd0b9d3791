"""What docs/guides/deployment.md has an operator install fits this auditor, and is sound."""

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

ROOT = Path(__file__).resolve().parents[2]
DEPLOY = ROOT / "deploy"
OPERATE = (ROOT / "docs" / "guides" / "deployment.md").read_text("utf-8")
AUDITOR = Path(sys.executable).with_name("auditor")
INSTALLED = "/opt/auditor/.venv/bin/auditor"
SERVICES = ("auditor.service", "auditor-run.service")
UNITS = (*SERVICES, "auditor-run.timer")
EXPOSED = 15
"""A tenth of what `systemd-analyze security` may call our exposure; 100 is none of its fences."""


PACKAGES = {"nft": "nftables", "systemd-analyze": "systemd"}
"""Debian's package of a command whose name differs."""


def needs(tool):
    """The tool, or the reason why it is not tried here."""
    found = shutil.which(tool, path=f"{os.environ['PATH']}:/usr/sbin:/sbin")
    if found is None:
        pytest.skip(f"apt-get install {PACKAGES.get(tool, tool)}")
    return found


def settings(name):
    """The settings of a unit, each with all its lines."""
    section, found = "", {}
    for line in (DEPLOY / name).read_text().splitlines():
        if line.startswith("["):
            section = line.strip("[]")
        elif line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found.setdefault((section, key), []).append(value)
    return found


def is_known(words):
    """Whether a command line is one of ours: its command is there, and each of its options."""
    return main.main([*words, "--help"]) == 0


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_unit_begins_is_a_command_that_there_is(name, capsys):
    (line,) = settings(name)["Service", "ExecStart"]
    command, *words = shlex.split(line)
    assert command == INSTALLED
    assert is_known(words), capsys.readouterr().err


def test_a_command_that_there_is_not_would_be_noticed(capsys):
    assert not is_known(["--quiet", "ruin"])
    assert not is_known(["run", "--nightly"])


@pytest.mark.parametrize("name", SERVICES)
def test_what_a_unit_sets_is_a_setting(name):
    lines = settings(name)["Service", "Environment"]
    told = dict(pair.split("=", 1) for line in lines for pair in shlex.split(line))
    read = load_config(find_packaged_config(), told)
    written = (read.storage.folder, read.backup.folder, read.report.folder)
    assert all(one.is_relative_to("/var/lib/auditor") for one in written)
    assert set(told) <= set(re.findall(r"AUDITOR_\w+", (DEPLOY / "auditor").read_text()))
    assert settings(name)["Service", "StateDirectory"] == ["auditor"]
    with pytest.raises(ConfigError):
        load_config(find_packaged_config(), {"AUDITOR_STORAGE__FLODER": "/var/lib/auditor"})


@pytest.mark.parametrize("name", SERVICES)
def test_the_second_belt_of_a_unit_denies_what_the_guard_denies(name):
    told = settings(name)
    denied = {
        ip_network(text) for line in told["Service", "IPAddressDeny"] for text in line.split()
    }
    assert denied >= set(FORBIDDEN_IPV4_NETWORKS) - {ip_network("127.0.0.0/8")}
    assert denied >= set(FORBIDDEN_IPV6_NETWORKS)
    assert all(one in denied for one in elsewhere())
    assert told["Service", "IPAddressAllow"] == ["localhost"]


def elsewhere():
    """IPv6 but for what is public."""
    everything = ip_network("::/0")
    return list(everything.address_exclude(GLOBAL_IPV6_NETWORK))


def test_the_rule_of_the_packet_filter_rejects_what_the_guard_refuses():
    told = (DEPLOY / "auditor.nft").read_text()
    listed = {
        ip_network(text)
        for group in re.findall(r"elements = \{(.*?)\}", told, re.DOTALL)
        for text in re.split(r"[,\s]+", group)
        if text
    }
    assert listed == {*FORBIDDEN_IPV4_NETWORKS, *FORBIDDEN_IPV6_NETWORKS, *elsewhere()}


@pytest.fixture
def units(tmp_path):
    """The units beside each other, beginning the auditor that is here."""
    for name in UNITS:
        text = (DEPLOY / name).read_text().replace(INSTALLED, str(AUDITOR))
        (tmp_path / name).write_text(
            text.replace("User=auditor\nGroup=auditor", "User=daemon\nGroup=daemon")
        )
    return tmp_path


def test_systemd_understands_every_unit(units):
    analyze = needs("systemd-analyze")
    names = [str(units / name) for name in UNITS]
    told = subprocess.run(
        [analyze, "verify", "--man=no", *names], capture_output=True, text=True, check=False
    )
    assert (told.returncode, told.stderr) == (0, "")


@pytest.mark.parametrize("name", SERVICES)
def test_systemd_finds_little_that_a_unit_could_still_touch(units, name):
    analyze = needs("systemd-analyze")
    command = [
        analyze,
        "security",
        "--offline=true",
        f"--threshold={EXPOSED}",
        "--no-pager",
        units / name,
    ]
    told = subprocess.run(command, capture_output=True, text=True, check=False)
    assert told.returncode == 0, told.stdout[-600:]


def test_the_timer_is_the_hour_of_the_configuration_in_utc():
    (when,) = settings("auditor-run.timer")["Timer", "OnCalendar"]
    assert when == f"*-*-* {load_config(find_packaged_config(), {}).schedule.start_time} UTC"
    analyze = needs("systemd-analyze")
    told = subprocess.run([analyze, "calendar", when], capture_output=True, text=True, check=True)
    assert "00:30:00 UTC" in told.stdout


def test_each_line_of_cron_is_a_command_that_there_is(capsys):
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
        assert command.startswith(f"{INSTALLED} --quiet ")
        assert is_known(shlex.split(command)[1:]), capsys.readouterr().err


def test_the_packet_filter_understands_the_rule():
    nft, unshare = needs("nft"), needs("unshare")
    rule = (DEPLOY / "auditor.nft").read_text().replace('"auditor"', '"daemon"')
    if subprocess.run([unshare, "-rn", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no network of one's own may be made here")
    told = subprocess.run(
        [unshare, "-rn", nft, "-c", "-f", "-"],
        input=rule,
        capture_output=True,
        text=True,
        check=False,
    )
    if "Operation not permitted" in told.stderr or "not supported" in told.stderr:
        pytest.skip(f"the packet filter is not to be had here: {told.stderr.splitlines()[0]}")
    assert (told.returncode, told.stderr) == (0, "")


FENCED = """
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
def test_the_packet_filter_keeps_the_auditors_user_from_this_machine_and_lets_it_ask_for_names():
    nft, unshare = needs("nft"), needs("unshare")
    if os.getuid() != 0:
        pytest.skip("only root may play two users in a network of its own")
    rule = (DEPLOY / "auditor.nft").read_text().replace('"auditor"', '"daemon"')
    command = [unshare, "-n", sys.executable, "-c", FENCED, nft]
    told = subprocess.run(command, input=rule, capture_output=True, text=True, check=False)
    if "Operation not permitted" in told.stderr or "not supported" in told.stderr:
        pytest.skip(f"the packet filter is not to be had here: {told.stderr.splitlines()[-1]}")
    assert told.stdout.split() == ["True", "False", "True"], told.stderr


def test_logrotate_understands_what_it_is_told(tmp_path):
    logrotate = needs("logrotate")
    told = (DEPLOY / "auditor.logrotate").read_text().replace("/var/log/auditor", str(tmp_path))
    file = tmp_path / "auditor"
    file.write_text(told.replace("auditor adm", "root root"))
    file.chmod(0o644)
    command = [logrotate, "--debug", "--state", str(tmp_path / "state"), str(file)]
    ended = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ended.returncode == 0, ended.stderr
    assert "error:" not in ended.stderr


def test_the_wrapper_is_a_script():
    assert subprocess.run(["sh", "-n", DEPLOY / "auditor"], check=False).returncode == 0
    assert (DEPLOY / "auditor").stat().st_mode & 0o111


def test_caddy_understands_its_file(tmp_path):
    caddy = needs("caddy")
    command = [caddy, "adapt", "--config", str(DEPLOY / "Caddyfile"), "--validate"]
    env = {"PATH": os.environ["PATH"], "HOME": str(tmp_path), "XDG_DATA_HOME": str(tmp_path)}
    told = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
    assert told.returncode == 0, told.stderr
    routes = json.loads(told.stdout)["apps"]["http"]["servers"]["srv0"]["routes"]
    named = [host for route in routes for match in route["match"] for host in match["host"]]
    assert sorted(named) == ["presence.example.org", "reports.example.org"]
    assert told.stdout.count('"127.0.0.1:8321"') == 2


# --- The container: as far as it can be told without building it ---


def steps():
    """The instructions of the Containerfile."""
    text = (ROOT / "Containerfile").read_text()
    joined = re.sub(r"\\\n\s*", "", re.sub(r"^#.*\n", "", text, flags=re.MULTILINE))
    return [tuple(line.split(None, 1)) for line in joined.splitlines() if line.strip()]


def test_the_container_runs_as_nobody_in_particular_and_is_asked_whether_it_lives():
    told = steps()
    names = [name for name, _ in told]
    assert "ADD" not in names
    last = names.index("USER")
    assert re.fullmatch(r"[1-9]\d*:[1-9]\d*", told[last][1])
    assert not {"RUN", "COPY"} & set(names[last:]), "nothing is done after root was left"
    (health,) = (rest for name, rest in told if name == "HEALTHCHECK")
    command = json.loads(health.partition("CMD ")[2])
    assert "/healthz" in command[2]
    compile(command[2], "HEALTHCHECK", "exec")
    (begun,) = (json.loads(rest) for name, rest in told if name == "CMD")
    assert begun[0] == "auditor"
    assert is_known(begun[1:])


def test_what_the_container_copies_is_there_and_is_let_in():
    let_in = {
        line.removeprefix("!")
        for line in (ROOT / ".dockerignore").read_text().splitlines()
        if line.startswith("!")
    }
    copied = [
        one
        for name, rest in steps()
        if name == "COPY" and "--from" not in rest
        for one in rest.split()[:-1]
    ]
    assert set(copied) == let_in
    assert [one for one in copied if not (ROOT / one).exists()] == []


def test_the_container_is_installed_as_make_installs():
    makefile = (ROOT / "Makefile").read_text()
    told = " && ".join(rest for name, rest in steps() if name == "RUN")
    pip = re.search(r"^PIP := (.*)$", makefile, re.MULTILINE)[1].replace("$(BIN)", ".venv/bin")
    target = makefile.partition("$(VENV)/.run:")[2].partition("\n\n")[0]
    for line in re.findall(r"@\$\(PIP\) (.+)", target):
        assert f"{pip} {line.replace('--editable ', '')}" in told


def test_the_settings_of_the_container_are_settings():
    told = dict(
        pair.split("=", 1)
        for name, rest in steps()
        if name == "ENV"
        for pair in shlex.split(rest)
        if pair.startswith("AUDITOR_")
    )
    read = load_config(find_packaged_config(), told)
    assert (str(read.storage.folder), read.web.host) == ("/data", "0.0.0.0")
    assert all(one.is_relative_to("/data") for one in (read.backup.folder, read.report.folder))


def test_the_containers_beside_each_other_are_fenced():
    told = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
    for name, service in told["services"].items():
        assert service["read_only"] is True, name
        assert service["cap_drop"] == ["ALL"], name
        assert "privileged" not in service
    auditor = told["services"]["auditor"]
    assert "ports" not in auditor, "only the proxy is reached from outside"
    assert "no-new-privileges:true" in auditor["security_opt"]
    assert (DEPLOY / auditor["build"]["context"] / auditor["build"]["dockerfile"]).exists()
    mounted = [
        volume.partition(":")[0] for one in told["services"].values() for volume in one["volumes"]
    ]
    assert {one for one in mounted if not one.startswith("./")} == set(told["volumes"])


# --- The page ---


def test_every_file_to_be_installed_is_told_of_and_every_file_that_is_told_of_is_there():
    there = {one.name for one in DEPLOY.iterdir()}
    assert {
        name for name in there if not re.search(rf"(?<![\w.-]){re.escape(name)}(?![\w.-])", OPERATE)
    } == set()
    linked = re.findall(r"\]\(\.\./(deploy/[^)]+)\)", OPERATE)
    assert [one for one in linked if not (ROOT / one).exists()] == []


def test_every_command_that_the_page_tells_is_one(capsys):
    told = re.findall(r"^auditor ([^\n#]+)", OPERATE, re.MULTILINE)
    told += re.findall(r"`auditor ([^`…]+)`", OPERATE)
    assert len(told) >= 8
    for line in told:
        assert is_known(shlex.split(line)), (line, capsys.readouterr().err)


def test_the_usual_way_fits_two_screens():
    assert len(OPERATE.partition("\n---\n")[0].splitlines()) <= 50


def test_what_make_installs_is_what_the_page_says():
    helped = subprocess.run(
        ["make", "-C", ROOT, "help"], capture_output=True, text=True, check=True
    ).stdout
    assert re.search(r"^install +", helped, re.MULTILINE)
    assert "make -C /opt/auditor install" in OPERATE
