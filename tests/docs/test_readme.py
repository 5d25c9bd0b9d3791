"""Runs each command of README.md as written there, against the fake web."""

import asyncio
import os
import re
import shlex
import signal
import subprocess
import sys
import tomllib
from datetime import UTC, datetime
from pathlib import Path

import pytest

from auditor.demo import play

pytestmark = pytest.mark.xdist_group("readme")  # the commands share a folder

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
AUDITOR = Path(sys.executable).with_name("auditor")
REGISTRY_CSV = (
    "id,name,region,website,facebook\n"
    "one,Association Une,Souss-Massa,https://gazette-tamesna-sud.ma/,GazetteTamesnaSud\n"
)
PLACEHOLDERS = {
    "FILE": "links.txt",
    "LINK…": "https://gazette-tamesna-sud.ma/",
    "ID": "one",
    "FOLDER": "pages",
    "CHANNEL": "linkedin",
    "TEXT": "they prefer letters",
    "NAME": "Amina",
}
START_COMMANDS = [line[2:] for line in re.findall(r"^\$ auditor .*$", README, re.MULTILINE)]
TABLE_COMMANDS = re.findall(r"^\| `(auditor [^`]+)`", README, re.MULTILINE)
CRON_LINE = re.search(r"^30 0 \* \* \*.*?(auditor --quiet run)$", README, re.MULTILINE)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Return a folder, and the environment of commands that use the fake web."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "links.txt").write_text(
        "https://gazette-tamesna-sud.ma/\nfacebook\tGazetteTamesnaSud\n"
    )
    with asyncio.Runner() as runner:
        fake_web = play.FakeWebProcess(folder / "ca.pem")
        runner.run(fake_web.__aenter__())
        runner.run(fake_web.switch_to_run(play.schedule_demo_runs(1, datetime.now(UTC))[0]))
        yield folder, build_environment(folder, fake_web.port)
        runner.run(fake_web.__aexit__(None, None, None))


def build_environment(folder, port):
    """Return environment variables with the demo's fetch and channel settings."""
    config = tomllib.loads(play.CONFIG_TEMPLATE.format(port=port))
    environment = dict(os.environ)
    for channel, table in config["channels"].items():
        for key, value in table.items():
            name = f"AUDITOR_CHANNELS__{channel.upper()}__{key.upper()}"
            environment[name] = str(value).replace("'", '"')
    for key, value in config["fetch"].items():
        environment[f"AUDITOR_FETCH__{key.upper()}"] = str(value)
    return environment | {"AUDITOR_FETCH__CA_FILE": str(folder / "ca.pem")}


def run_command(command, network):
    """Run a command of the README with values for its placeholders."""
    folder, environment = network
    name, *arguments = shlex.split(command)
    assert name == "auditor"
    arguments = [PLACEHOLDERS.get(argument, argument) for argument in arguments]
    return subprocess.run(
        [AUDITOR, *arguments],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def start_results(network):
    """Run the start commands in their order. Return the results by command."""
    results = {}
    for command in START_COMMANDS:
        results[command] = run_command(command, network)
        if command == "auditor init":
            (network[0] / "registry.csv").write_text(REGISTRY_CSV)
    return results


@pytest.mark.slow
def test_the_five_start_commands_run_an_audit(network, start_results):
    assert len(start_results) == 5
    failures = {
        command: result.stderr for command, result in start_results.items() if result.returncode
    }
    assert failures == {}
    assert (network[0] / "pages" / "ar" / "one.html").exists()


TESTED_ELSEWHERE = ("serve", "demo", "worker")
"""Commands with their own tests, below and in test_workers.py."""


@pytest.mark.slow
@pytest.mark.usefixtures("start_results")
@pytest.mark.parametrize(
    "command", [command for command in TABLE_COMMANDS if command.split()[1] not in TESTED_ELSEWHERE]
)
def test_each_command_of_the_table_succeeds(command, network):
    folder, _ = network
    (folder / "registry.csv").write_text(REGISTRY_CSV)
    command = command.replace("validate FILE", "validate registry.csv")
    command = command.replace("export FILE", "export gaps.xlsx")
    for backup in (folder / "backups").glob("*.db"):
        command = command.replace("restore FILE", f"restore {backup}")
    result = run_command(command, network)
    assert result.returncode == 0, result.stderr
    assert "Traceback" not in result.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("start_results")
def test_serve_starts_its_scheduler_and_stops_on_sigterm(network):
    folder, environment = network
    with subprocess.Popen(
        [AUDITOR, "--debug", "serve"],
        cwd=folder,
        env={**environment, "AUDITOR_WEB__PORT": "0"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert any(b"service started; runs start at" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("start_results")
def test_cron_line_prints_nothing(network):
    assert CRON_LINE is not None
    result = run_command(CRON_LINE[1], network)
    assert (result.returncode, result.stdout) == (0, "")
    assert result.stderr == ""


@pytest.mark.slow
def test_demo_writes_pages_to_open(tmp_path):
    result = subprocess.run(
        [AUDITOR, "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert result.returncode == 0, result.stderr
    assert (tmp_path / "demo" / "pages" / "index.html").exists()
    assert "Survey" in result.stdout


def test_readme_lists_every_command():
    result = subprocess.run([AUDITOR, "--help"], capture_output=True, text=True, check=True)
    command_list = result.stdout.partition("  -h, --help ")[2]
    commands = re.findall(r"^  ([\w-]+) ", command_list, re.MULTILINE)
    assert {command.split()[1] for command in TABLE_COMMANDS} == set(commands)


def test_every_make_target_of_readme_exists():
    targets = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert {target for target in targets if f"\n{target}:" not in makefile} == set()


def test_every_linked_page_and_section_of_readme_exists():
    links = re.findall(r"\]\(([^)]+)\)", README)
    assert [link for link in links if not has_link_target(link)] == []


def has_link_target(link):
    """Return True if the file exists, and has a heading for the fragment of the link."""
    path, _, fragment = link.partition("#")
    if not fragment:
        return (ROOT / path).exists()
    headings = re.findall(r"^#+ (.+)$", (ROOT / path).read_text("utf-8"), re.MULTILINE)
    return fragment in {
        re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in headings
    }


def test_introduction_of_readme_fits_one_screen():
    assert len(README.partition("\n---\n")[0].splitlines()) <= 60
