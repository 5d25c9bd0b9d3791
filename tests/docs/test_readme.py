"""README is true: each command in it is typed here as it stands there, against the practice web."""

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

pytestmark = pytest.mark.xdist_group("readme")  # one command goes on where another left off

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text("utf-8")
AUDITOR = Path(sys.executable).with_name("auditor")
SHEET = (
    "id,name,region,website,facebook\n"
    "one,Association Une,Souss-Massa,https://gazette-tamesna-sud.ma/,GazetteTamesnaSud\n"
)
WORDS = {
    "FILE": "links.txt",
    "LINK…": "https://gazette-tamesna-sud.ma/",
    "ID": "one",
    "FOLDER": "pages",
    "CHANNEL": "linkedin",
    "TEXT": "they write letters",
    "NAME": "Amina",
}
STEPS = [line[2:] for line in re.findall(r"^\$ auditor .*$", README, re.MULTILINE)]
LISTED = re.findall(r"^\| `(auditor [^`]+)`", README, re.MULTILINE)
CRON = re.search(r"^30 0 \* \* \*.*?(auditor --quiet run)$", README, re.MULTILINE)


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """A folder, and the settings by which the practice web stands for the whole web."""
    folder = tmp_path_factory.mktemp("network")
    (folder / "links.txt").write_text(
        "https://gazette-tamesna-sud.ma/\nfacebook\tGazetteTamesnaSud\n"
    )
    with asyncio.Runner() as runner:
        web = play.FakeWebProcess(folder / "ca.pem")
        runner.run(web.__aenter__())
        runner.run(web.switch_to_run(play.schedule_demo_runs(1, datetime.now(UTC))[0]))
        yield folder, _settings(folder, web.port)
        runner.run(web.__aexit__(None, None, None))


def _settings(folder, port):
    told = tomllib.loads(play.CONFIG_TEMPLATE.format(port=port))
    settings = {
        f"AUDITOR_CHANNELS__{channel.upper()}__{key.upper()}": str(value).replace("'", '"')
        for channel, table in told["channels"].items()
        for key, value in table.items()
    }
    fetch = {
        f"AUDITOR_FETCH__{key.upper()}": str(value)
        for key, value in told["fetch"].items()
        if key != "ca_file"
    }
    return {**os.environ, **settings, **fetch, "AUDITOR_FETCH__CA_FILE": str(folder / "ca.pem")}


def typed(command, network):
    folder, settings = network
    name, *words = shlex.split(command)
    assert name == "auditor"
    words = [WORDS.get(word, word) for word in words]
    return subprocess.run(
        [AUDITOR, *words],
        cwd=folder,
        env=settings,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.fixture(scope="module")
def begun(network):
    """How the five lines ended, typed one after the other in the folder."""
    ended = {}
    for command in STEPS:
        ended[command] = typed(command, network)
        if command == "auditor init":
            (network[0] / "registry.csv").write_text(SHEET)
    return ended


def test_the_five_lines_make_a_night_of_ones_own(network, begun):
    assert len(begun) == 5
    assert {command: one.stderr for command, one in begun.items() if one.returncode} == {}
    assert (network[0] / "pages" / "ar" / "one.html").exists()


ALONE = ("serve", "demo", "worker")
"""Commands with tests of their own: two do not end, and one needs a PostgreSQL (test_workers.py)."""


@pytest.mark.slow
@pytest.mark.usefixtures("begun")
@pytest.mark.parametrize("command", [one for one in LISTED if one.split()[1] not in ALONE])
def test_each_command_of_the_table_does_what_it_says(command, network):
    folder, _ = network
    (folder / "registry.csv").write_text(SHEET)
    words = command.replace("validate FILE", "validate registry.csv").replace(
        "export FILE", "export gaps.xlsx"
    )
    for made in (folder / "backups").glob("*.db"):
        words = words.replace("restore FILE", f"restore {made}")
    ended = typed(words, network)
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr


@pytest.mark.slow
@pytest.mark.usefixtures("begun")
def test_serve_keeps_its_own_time_and_stops_when_told(network):
    folder, settings = network
    with subprocess.Popen(
        [AUDITOR, "--debug", "serve"],
        cwd=folder,
        env={**settings, "AUDITOR_WEB__PORT": "0"},
        stderr=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as process:
        assert any(b"service started; runs start at" in line for line in process.stderr)
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=60)
    assert process.returncode == 0


@pytest.mark.slow
@pytest.mark.usefixtures("begun")
def test_the_cron_line_is_quiet(network):
    assert CRON is not None
    ended = typed(CRON[1], network)
    assert (ended.returncode, ended.stdout) == (0, "")
    assert ended.stderr == ""


@pytest.mark.slow
def test_the_demo_ends_with_pages_to_open(tmp_path):
    ended = subprocess.run(
        [AUDITOR, "demo"], cwd=tmp_path, capture_output=True, text=True, timeout=600, check=False
    )
    assert ended.returncode == 0, ended.stderr
    assert (tmp_path / "demo" / "pages" / "index.html").exists()
    assert "Survey" in ended.stdout


def test_every_command_there_is_stands_in_readme():
    helped = subprocess.run([AUDITOR, "--help"], capture_output=True, text=True, check=True).stdout
    commands = re.findall(r"^  ([\w-]+) ", helped.partition("Commands:")[2], re.MULTILINE)
    assert {one.split()[1] for one in LISTED} == set(commands)


def test_every_make_target_that_readme_names_is_there():
    named = set(re.findall(r"(?:`|\$ )make ([a-z-]+)", README))
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert {name for name in named if f"\n{name}:" not in makefile} == set()


def test_every_page_that_readme_names_is_there():
    assert [
        path for path in re.findall(r"\]\(([^)]+)\)", README) if not (ROOT / path).exists()
    ] == []


def test_what_comes_before_the_details_fits_one_screen():
    assert len(README.partition("\n---\n")[0].splitlines()) <= 60
