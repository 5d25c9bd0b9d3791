"""Tests of docs/guides/installation.md with a real systemd: its commands are typed as written."""

import json
import re
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import pytest

from auditor.demo import play
from tests.support import debian_root, systemd_root

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("container")]

ROOT = Path(__file__).resolve().parents[2]
GUIDE = (ROOT / "docs" / "guides" / "installation.md").read_text("utf-8")
INSTALL_BLOCK, START_BLOCK = re.findall(
    r"```sh\n(.*?)```", GUIDE.partition("\n---\n")[0], re.DOTALL
)
SPREADSHEET = (
    "id,name,name_ar,region,website,facebook\n"
    "one,Association Une,جمعية الأولى,Souss-Massa,https://gazette-tamesna-sud.ma/,GazetteTamesnaSud\n"
)


@pytest.fixture(scope="module")
def installed_root():
    """Install the auditor in a Debian root, with the first commands of the guide."""
    reason = debian_root.find_missing_requirement()
    if reason is not None:
        pytest.skip(reason)
    apt, _, commands = INSTALL_BLOCK.partition("\n")
    packages = (*apt.removeprefix("apt install ").split(), *systemd_root.PACKAGES)
    suite = re.search(r"slim-(\w+)", (ROOT / "Containerfile").read_text())[1]
    try:
        base = debian_root.create_debian_root(suite, packages)
    except debian_root.MissingMirrorError as error:
        pytest.skip(str(error))
    with tempfile.TemporaryDirectory(dir=debian_root.CACHE_FOLDER, prefix="test-") as folder:
        root = Path(folder) / "root"
        debian_root.copy_root(base, root)
        copy_work_tree(root / "opt" / "auditor")
        debian_root.run_in_root(root, ["sh", "-ec", commands], debian_root.ENVIRONMENT)
        (root / "root" / "registry.csv").write_text(SPREADSHEET)
        yield root
        assert folder not in Path("/proc/self/mountinfo").read_text(), "a mount would be deleted"


def copy_work_tree(target):
    """Copy the files of the work tree that Git knows."""
    target.mkdir()
    script = 'git ls-files -z | tar -c --null --files-from=- | tar -x --directory="$1"'
    subprocess.run(["sh", "-ec", script, "sh", target], cwd=ROOT, check=True)


@pytest.fixture(scope="module")
def machine(installed_root):
    """Boot the root, with a fake web in its network."""
    try:
        with systemd_root.boot(installed_root) as booted, serve_fake_web(booted, installed_root):
            yield booted
    except systemd_root.SystemdStartError as error:
        pytest.skip(str(error))


def serve_fake_web(machine, root):
    """Serve the demo's web, and write a configuration for it. Return its process."""
    etc = root / "etc" / "auditor"
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(etc / "secrets" / "ca.pem")]
    process = subprocess.Popen(
        [*machine.enter_network(), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    )
    text = play.CONFIG_TEMPLATE.format(port=int(process.stdout.readline()))
    config = text.replace('"ca.pem"', '"secrets/ca.pem"') + play.build_demo_rules()
    (etc / "config.toml").write_text(config)
    machine.type_command("chgrp auditor /etc/auditor/secrets/ca.pem")
    return process


@pytest.fixture(scope="module")
def started_machine(machine):
    """Import a spreadsheet, and start the service with the second commands of the guide."""
    machine.type_command("install -o auditor -m 0600 registry.csv /var/lib/auditor/")
    machine.type_command("auditor registry import /var/lib/auditor/registry.csv")
    for line in START_BLOCK.splitlines():
        if line.startswith("curl"):
            wait_for_answer(machine, line)
        else:
            machine.type_command(line.replace("doctor", "doctor --offline"))
    return machine


def wait_for_answer(machine, command):
    """Type a command until the pages answer. An operator types it seconds after the start."""
    deadline = time.monotonic() + systemd_root.START_SECONDS
    while machine.run(command).stdout != "ok\n":
        assert time.monotonic() < deadline, machine.run("journalctl -u auditor").stdout
        time.sleep(0.2)


def test_service_runs_as_its_user_and_survives_restart(started_machine):
    started_machine.type_command("systemctl is-active auditor caddy")
    started_machine.type_command("systemctl restart auditor")
    shown = started_machine.type_command("systemctl show --property=MainPID --value auditor")
    user = started_machine.type_command(f"stat --format=%U /proc/{shown.strip()}")
    assert user == "auditor\n"
    started_machine.type_command("systemctl stop auditor")
    state = started_machine.type_command("systemctl show --property=Result --value auditor")
    assert state == "success\n"


def test_run_finishes_in_sandbox_of_its_unit(started_machine):
    started_machine.type_command("systemctl stop auditor")
    units = "/opt/auditor/deploy/auditor-run.*"
    started_machine.type_command(f"cp {units} /etc/systemd/system/")
    started_machine.type_command("systemctl enable --now auditor-run.timer")
    timers = started_machine.type_command("systemctl list-timers --no-legend auditor-run.timer")
    assert re.search(r" 00:3\d:\d\d UTC ", timers)
    started_machine.type_command("systemctl start auditor-run")
    output = started_machine.type_command("auditor status --json")
    (item,) = json.loads(output)["items"]
    assert (item["state"], item["accounts"]) == ("done", 2)
    journal = started_machine.type_command("journalctl --quiet -u auditor-run --output=cat")
    assert "Traceback" not in journal
    started_machine.type_command("systemctl disable --now auditor-run.timer")


def test_backup_is_restored_as_guide_says(started_machine):
    folder = "/var/lib/auditor/backups"
    started_machine.type_command("auditor backup")
    started_machine.type_command("systemctl stop auditor")
    backup = started_machine.type_command(f"ls {folder}/auditor-*.db | tail -n 1").strip()
    # A rehearsal in a folder with a configuration of its own leaves the service's data alone.
    database = "sha256sum /var/lib/auditor/auditor.db"
    before = started_machine.type_command(database)
    rehearsal = "/var/lib/auditor/rehearsal"
    started_machine.type_command(f"auditor init {rehearsal}")
    started_machine.type_command(f"auditor --config {rehearsal}/config.toml restore {backup}")
    assert started_machine.type_command(database) == before
    started_machine.type_command(f"auditor restore --yes {backup}")
    started_machine.type_command("systemctl start auditor")
    wait_for_answer(started_machine, "curl -s http://127.0.0.1:8321/healthz")
