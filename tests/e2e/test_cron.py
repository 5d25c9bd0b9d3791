"""Tests of a run from cron: no terminal, LANG or HOME, a read-only folder and a strict umask."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.demo import play

ROOT = Path(__file__).resolve().parents[2]
AUDITOR = Path(sys.executable).with_name("auditor")
SPREADSHEET = (
    "id,name,name_ar,region,website,facebook\n"
    "one,Association Une,جمعية الأولى,Souss-Massa,https://gazette-tamesna-sud.ma/,GazetteTamesnaSud\n"
)


@pytest.fixture(scope="module")
def demo_web(tmp_path_factory):
    """Start the demo network. Yield its certificate authority file and its port."""
    ca = tmp_path_factory.mktemp("web") / "ca.pem"
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(ca)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield ca, int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture
def cron(demo_web, tmp_path):
    """Return a function that runs a command as cron would, in `/proc`, which is read-only."""
    ca, port = demo_web
    (tmp_path / "ca.pem").write_bytes(ca.read_bytes())
    play.write_demo_config(tmp_path, port)
    (tmp_path / "registry.csv").write_text(SPREADSHEET, encoding="utf-8")
    inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    env = {**inherited, "PATH": "/usr/bin:/bin", "AUDITOR_CONFIG": str(tmp_path / "config.toml")}

    def run(*arguments):
        return subprocess.run(
            [AUDITOR, *arguments],
            cwd="/proc",
            env=env,
            umask=0o077,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            start_new_session=True,
            check=False,
            timeout=90,
        )

    return run


@pytest.mark.slow
def test_successful_run_from_cron_prints_nothing(cron, tmp_path):
    assert (
        cron("--quiet", "registry", "import", "--yes", str(tmp_path / "registry.csv")).returncode
        == 0
    )
    result = cron("--quiet", "run")
    assert (result.returncode, result.stdout, result.stderr) == (0, b"", b"")
    status_result = cron("status", "--json", "--max-age", "26")
    (item,) = json.loads(status_result.stdout)["items"]
    assert (status_result.returncode, item["state"], item["accounts"]) == (0, "done", 2)
    files = [file for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert files
    assert [file for file in files if file.stat().st_mode & 0o077] == []


@pytest.mark.slow
def test_lines_of_cron_file_work_as_cron_types_them(cron, tmp_path):
    """Cron passes each line to `sh`, with the variables of the file and few others."""
    cron("--quiet", "registry", "import", "--yes", str(tmp_path / "registry.csv"))
    (tmp_path / "var").mkdir()
    (tmp_path / "data").rename(tmp_path / "var" / "auditor")
    text = (ROOT / "deploy" / "auditor.cron").read_text()
    for installed, used in (
        ("/opt/auditor/.venv/bin/auditor", str(AUDITOR)),
        ("/etc/auditor/config.toml", f"{tmp_path}/config.toml"),
        ("/var/lib/auditor", f"{tmp_path}/var/auditor"),
    ):
        assert installed in text
        text = text.replace(installed, used)
    variables = dict(re.findall(r"^(AUDITOR_\w+)=(.*)$", text, re.MULTILINE))
    commands = re.findall(r"^(?:[\d*]+ ){5}auditor (.+)$", text, re.MULTILINE)
    env = {"PATH": "/usr/bin:/bin", "SHELL": "/bin/sh", "LOGNAME": "auditor"} | variables
    for command in commands:
        result = subprocess.run(
            ["/bin/sh", "-c", command],
            cwd="/",
            env=env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            check=False,
            timeout=90,
        )
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b""), command
    assert len(list((tmp_path / "var" / "auditor" / "backups").glob("auditor-*.db"))) == 1


@pytest.mark.slow
def test_failed_run_from_cron_prints_error(cron, tmp_path):
    broken = (
        (tmp_path / "config.toml")
        .read_text()
        .replace('proxy = "', 'proxy = "http://127.0.0.1:1" # ')
    )
    (tmp_path / "config.toml").write_text(broken)
    cron("--quiet", "registry", "import", "--yes", str(tmp_path / "registry.csv"))
    result = cron("--quiet", "run")
    assert (result.returncode, result.stdout) == (4, b"")
    assert b"the network is not reachable" in result.stderr
    assert b"Traceback" not in result.stderr
    assert cron("--quiet", "status", "--max-age", "26").returncode == 4
