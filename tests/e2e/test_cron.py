"""The night from cron: no terminal, no LANG, no HOME, a folder nobody can write to, and a strict umask."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from auditor.demo import play

AUDITOR = Path(sys.executable).with_name("auditor")
SHEET = (
    "id,name,name_ar,region,website,facebook\n"
    "one,Association Une,جمعية الأولى,Souss-Massa,https://gazette-tamesna-sud.ma/,GazetteTamesnaSud\n"
)


@pytest.fixture(scope="module")
def web(tmp_path_factory):
    """The practice web: the file of its authority, and its port."""
    ca = tmp_path_factory.mktemp("web") / "ca.pem"
    command = [sys.executable, "-m", "auditor.demo", "--ca-file", str(ca)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        yield ca, int(process.stdout.readline())
        process.stdin.close()


@pytest.fixture
def cron(web, tmp_path):
    """Runs a command as cron would: in `/proc`, where nobody can make a file."""
    ca, port = web
    (tmp_path / "ca.pem").write_bytes(ca.read_bytes())
    play.write_demo_config(tmp_path, port)
    (tmp_path / "registry.csv").write_text(SHEET, encoding="utf-8")
    kept = {name: os.environ[name] for name in ("PYTHONPATH",) if name in os.environ}
    env = {**kept, "PATH": "/usr/bin:/bin", "AUDITOR_CONFIG": str(tmp_path / "config.toml")}

    def run(*words):
        return subprocess.run(
            [AUDITOR, *words],
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


def test_a_good_night_from_cron_prints_nothing_and_is_done(cron, tmp_path):
    assert (
        cron("--quiet", "registry", "import", "--yes", str(tmp_path / "registry.csv")).returncode
        == 0
    )
    ended = cron("--quiet", "run")
    assert (ended.returncode, ended.stdout, ended.stderr) == (0, b"", b"")
    told = cron("status", "--json", "--max-age", "26")
    (item,) = json.loads(told.stdout)["items"]
    assert (told.returncode, item["state"], item["accounts"]) == (0, "done", 2)
    made = [file for file in (tmp_path / "data").rglob("*") if file.is_file()]
    assert made
    assert [file for file in made if file.stat().st_mode & 0o077] == []


@pytest.mark.slow
def test_a_night_that_went_wrong_is_one_line_to_mail(cron, tmp_path):
    broken = (
        (tmp_path / "config.toml")
        .read_text()
        .replace('proxy = "', 'proxy = "http://127.0.0.1:1" # ')
    )
    (tmp_path / "config.toml").write_text(broken)
    cron("--quiet", "registry", "import", "--yes", str(tmp_path / "registry.csv"))
    ended = cron("--quiet", "run")
    assert (ended.returncode, ended.stdout) == (4, b"")
    assert b"no connectivity" in ended.stderr
    assert b"Traceback" not in ended.stderr
    assert cron("--quiet", "status", "--max-age", "26").returncode == 4
