"""Tests of the guides for operators with a real systemd: their commands are typed as written."""

import contextlib
import email
import email.policy
import json
import re
import subprocess
import sys
import tempfile
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import trustme

from auditor.demo import play
from tests.support import debian_root, systemd_root

pytestmark = [pytest.mark.slow, pytest.mark.xdist_group("container")]

ROOT = Path(__file__).resolve().parents[2]
GUIDES = ROOT / "docs" / "guides"


def list_shell_blocks(guide):
    """Return the commands of each block of shell in a guide."""
    text = (GUIDES / guide).read_text("utf-8")
    blocks = re.findall(r"```sh\n(.*?)```", text, re.DOTALL)
    return [[line.strip() for line in block.strip().splitlines()] for block in blocks]


INSTALL_BLOCK, START_BLOCK, *_ = list_shell_blocks("installation.md")
(
    DATABASE_BLOCK,
    EXTRA_BLOCK,
    COORDINATOR_BLOCK,
    WORKER_BLOCK,
    DUMP_BLOCK,
    REHEARSAL_BLOCK,
    RESTORE_BLOCK,
) = list_shell_blocks("scaling.md")
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
    installed = [
        line.removeprefix("apt install ") for line in (INSTALL_BLOCK[0], DATABASE_BLOCK[0])
    ]
    packages = (*" ".join(installed).split(), *systemd_root.PACKAGES)
    commands = "\n".join(INSTALL_BLOCK[1:])
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
    # whatever the time of day, the service starts no run beside those of the tests
    next_start = (datetime.now(UTC) + timedelta(hours=12)).time().replace(microsecond=0)
    text += f"\n[schedule]\nstart_time = {next_start}\n"
    config = text.replace('"ca.pem"', '"secrets/ca.pem"') + play.build_demo_rules()
    (etc / "config.toml").write_text(config)
    machine.type_command("chgrp auditor /etc/auditor/secrets/ca.pem")
    return process


@pytest.fixture(scope="module")
def started_machine(machine):
    """Import a spreadsheet, and start the service with the second commands of the guide."""
    machine.type_command("install -o auditor -m 0600 registry.csv /var/lib/auditor/")
    machine.type_command("auditor registry import /var/lib/auditor/registry.csv")
    for line in START_BLOCK:
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


@contextlib.contextmanager
def run_mail_server(machine, root):
    """Run a mail server with STARTTLS in the machine's network. Yield the folder of its mails."""
    authority = trustme.CA()
    authority.cert_pem.write_to_path(root / "etc" / "auditor" / "secrets" / "mail-ca.pem")
    with tempfile.TemporaryDirectory() as folder:
        certificate = authority.issue_cert("127.0.0.1")
        certificate.cert_chain_pems[0].write_to_path(f"{folder}/cert.pem")
        certificate.private_key_pem.write_to_path(f"{folder}/key.pem")
        files = ["--tlscert", f"{folder}/cert.pem", "--tlskey", f"{folder}/key.pem"]
        handler = ["-c", "aiosmtpd.handlers.Mailbox", f"{folder}/mails"]
        command = [sys.executable, "-m", "aiosmtpd", "-n", "-l", "127.0.0.1:2525", *files, *handler]
        with subprocess.Popen([*machine.enter_network(), *command]) as process:
            try:
                yield Path(folder, "mails", "new")
            finally:
                process.terminate()


def test_digest_is_sent_by_mail(started_machine, installed_root):
    settings = (
        '[notify]\nfrom = "auditor@example.org"\n[notify.smtp]\nhost = "127.0.0.1"\nport = 2525\n'
        'ca_file = "secrets/mail-ca.pem"\n'
    )
    config = installed_root / "etc" / "auditor" / "config.toml"
    config.write_text(settings + config.read_text())
    with run_mail_server(started_machine, installed_root) as mails:
        started_machine.type_command("chgrp auditor /etc/auditor/secrets/mail-ca.pem")
        while "127.0.0.1 answers" not in started_machine.run("auditor doctor").stdout:
            time.sleep(0.5)
        started_machine.type_command("auditor digest --since 2026-11-20 --to amina@example.org")
        (file,) = mails.iterdir()
        mail = email.message_from_bytes(file.read_bytes(), policy=email.policy.default)
    assert "جمعية الأولى" in mail.get_body().get_content()


def test_update_of_python_keeps_the_extras(started_machine, installed_root):
    """The environment names its version of Python; an older name is a changed Python."""
    started_machine.type_command("systemctl stop auditor")
    edit = "sed -i 's/ [0-9.]* in / 3.11.0 in /' /opt/auditor/.venv/.interpreter"
    for command in (EXTRA_BLOCK[0], edit, "make -C /opt/auditor install"):
        # the booted machine has no network
        debian_root.run_in_root(installed_root, ["sh", "-ec", command], debian_root.ENVIRONMENT)
    started_machine.type_command("/opt/auditor/.venv/bin/python -c 'import procrastinate'")


def test_two_workers_share_a_database_that_is_restored(started_machine, installed_root):
    machine = started_machine
    answer = "printf 'planted\\nplanted\\n' | "  # `createuser` asks for the password twice
    machine.type_command(answer + DATABASE_BLOCK[1])
    machine.type_command(DATABASE_BLOCK[2])
    url = "postgresql+psycopg://auditor:planted@127.0.0.1/auditor"
    machine.type_command(f"echo {url} | {EXTRA_BLOCK[1]}")
    config = installed_root / "etc" / "auditor" / "config.toml"
    settings = '[storage]\nurl_file = "secrets/database"'
    text = config.read_text().replace("[storage]", settings, 1)
    config.write_text(text + "\n[cluster]\nenabled = true\n")
    machine.type_command("auditor registry import /var/lib/auditor/registry.csv")
    for command in (*COORDINATOR_BLOCK, *WORKER_BLOCK):
        machine.type_command(command)
    machine.type_command("systemd-run --unit=second-worker auditor worker")
    machine.type_command("auditor run --no-wait")
    assert "2 active workers" in machine.run("auditor status").stderr
    for command in (*DUMP_BLOCK, *REHEARSAL_BLOCK):
        machine.type_command(command)
    machine.type_command("auditor registry erase one --yes")
    machine.type_command("systemctl stop auditor-worker second-worker auditor")
    for command in RESTORE_BLOCK:
        machine.type_command(command)
    machine.type_command("systemctl start auditor")
    machine.type_command("auditor report one")
