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
START_COMMANDS = [line[2:] for line in re.findall(r"^\$ auditor .*$", README, re.MULTILINE)]


@pytest.fixture(scope="module")
def network(tmp_path_factory):
    """Return a folder, and the environment of commands that use the demo's fake web."""
    folder = tmp_path_factory.mktemp("network")
    with asyncio.Runner() as runner:
        fake_web = play.FakeWebProcess(folder / "ca.pem")
        runner.run(fake_web.__aenter__())
        runner.run(fake_web.switch_to_run(play.schedule_demo_runs(1, datetime.now(UTC))[0]))
        config = tomllib.loads(play.CONFIG_TEMPLATE.format(port=fake_web.port))
        tables = {f"CHANNELS__{name.upper()}": table for name, table in config["channels"].items()}
        tables["FETCH"] = {**config["fetch"], "ca_file": folder / "ca.pem"}
        environment = {
            f"AUDITOR_{table}__{key.upper()}": str(value).replace("'", '"')
            for table, values in tables.items()
            for key, value in values.items()
        }
        yield folder, {**os.environ, **environment}
        runner.run(fake_web.__aexit__(None, None, None))


def run_command(command, folder, environment=None):
    """Run a command of the README in a folder."""
    name, *arguments = shlex.split(command)
    assert name == "auditor"
    options = {"cwd": folder, "env": environment, "timeout": 600}
    return subprocess.run(
        [AUDITOR, *arguments], capture_output=True, text=True, check=False, **options
    )


@pytest.fixture(scope="module")
def start_results(network):
    """Run the start commands in their order. Return the results by command."""
    results = {}
    for command in START_COMMANDS:
        results[command] = run_command(command, *network)
        if command == "auditor init":
            (network[0] / "registry.csv").write_text(REGISTRY_CSV)
    return results


@pytest.mark.slow
def test_start_commands_run_an_audit(network, start_results):
    assert [result.stderr for result in start_results.values() if result.returncode] == []
    assert len(start_results) == 4
    assert (network[0] / "pages" / "ar" / "one.html").exists()


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
