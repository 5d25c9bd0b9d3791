"""Lines of the cron file: no terminal, LANG or HOME, a read-only folder and a strict umask."""

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


@pytest.fixture
def cron(tmp_path):
    """Return a function that runs a line as cron would, with the demo's web."""
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(tmp_path / "ca.pem")]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        play.write_demo_config(tmp_path, int(process.stdout.readline()))
        inherited = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}

        def run(line, **variables):
            return subprocess.run(
                ["/bin/sh", "-c", line],
                cwd="/proc",
                env={**inherited, "PATH": "/usr/bin:/bin", "LOGNAME": "auditor", **variables},
                umask=0o077,
                stdin=subprocess.DEVNULL,
                capture_output=True,
                start_new_session=True,
                check=False,
                timeout=90,
            )

        yield run
        process.stdin.close()


@pytest.mark.slow
def test_lines_of_cron_file_print_nothing_and_write_only_private_files(cron, tmp_path):
    text = (ROOT / "deploy" / "auditor.cron").read_text()
    for installed, used in (
        ("/opt/auditor/.venv/bin/auditor", str(AUDITOR)),
        ("/etc/auditor/config.toml", f"{tmp_path}/config.toml"),
        ("/var/lib/auditor", f"{tmp_path}/var"),
    ):
        assert installed in text
        text = text.replace(installed, used)
    (tmp_path / "registry.csv").write_text(SPREADSHEET, encoding="utf-8")
    variables = dict(re.findall(r"^(AUDITOR_\w+)=(.*)$", text, re.MULTILINE))
    lines = re.findall(r"^(?:[\d*]+ ){5}auditor (.+)$", text, re.MULTILINE)
    importing = f"{AUDITOR} --quiet registry import --yes {tmp_path}/registry.csv"
    for line in (importing, *lines):
        result = cron(line, **variables)
        assert (result.returncode, result.stdout, result.stderr) == (0, b"", b""), line
    status = cron(f"{AUDITOR} status --json --max-age 26", **variables)
    (item,) = json.loads(status.stdout)["items"]
    assert (status.returncode, item["state"], item["accounts"]) == (0, "done", 2)
    files = [file for file in (tmp_path / "var").rglob("*") if file.is_file()]
    assert [file for file in files if file.stat().st_mode & 0o077] == []
    assert len(list((tmp_path / "var" / "backups").glob("auditor-*.db"))) == 1
