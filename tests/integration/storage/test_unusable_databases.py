"""Tests of unusable databases: they are refused in one line that names the newest backup."""

import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest

from auditor.app import App
from auditor.cli.main import main
from storage.errors import StoreError
from tests.support.mini_network import START, link, opened, register
from tests.support.permissions import permissions_respected
from tests.unit.auditor.retention.test_backups import build_config, take_backup

AUDITOR = Path(sys.executable).with_name("auditor")


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path, build_config(tmp_path))
    register(small, link("nour", "facebook", "nour"))
    yield small
    small.store.close()


@pytest.mark.fault("F45")
@pytest.mark.parametrize(
    "damage",
    [
        lambda file: file.write_bytes(b""),
        lambda file: file.write_bytes(os.urandom(file.stat().st_size)),
        lambda file: file.write_bytes(file.read_bytes()[:-4096]),
        Path.unlink,
    ],
    ids=["empty", "overwritten", "truncated", "missing"],
)
def test_lost_database_is_refused_and_the_newest_backup_named(app, tmp_path, damage):
    for hour in range(2):
        newest = take_backup(app, START + timedelta(hours=hour)).backup.file
    app.store.close()
    file = tmp_path / "auditor.db"
    damage(file)
    content = file.read_bytes() if file.exists() else None
    with pytest.raises(StoreError) as error:
        App.open(app.config)
    message = str(error.value)
    assert message.endswith(f"`auditor restore {newest}`")
    assert "\n" not in message
    assert (file.read_bytes() if file.exists() else None) == content


@pytest.mark.fault("F44")
@pytest.mark.parametrize(("name", "mode"), [("auditor.db", 0o444), ("", 0o555)])
def test_database_without_permission_to_write_is_refused_in_one_line(app, tmp_path, name, mode):
    app.store.close()
    (tmp_path / name).chmod(mode)
    with permissions_respected(), pytest.raises(StoreError) as error:
        App.open(app.config)
    (tmp_path / name).chmod(0o700)
    assert "cannot be written; try: " in str(error.value)
    assert "\n" not in str(error.value)


def build_read_only_mount(folder):
    """Return a command prefix that runs in a mount namespace with this folder read-only."""
    unshare = (
        ["unshare", "--mount", "--map-root-user", "--user"]
        if os.getuid()
        else ["unshare", "--mount"]
    )
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    if subprocess.run([*unshare, "sh", "-c", mount], check=False).returncode:
        pytest.skip("nothing can be mounted here")
    return [*unshare, "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.mark.slow
@pytest.mark.fault("F44")
@pytest.mark.parametrize("command", ["run", "doctor"])
def test_commands_on_a_read_only_disk_fail_in_one_line(app, tmp_path, command):
    app.store.close()
    (tmp_path / "data").mkdir()
    (tmp_path / "auditor.db").rename(tmp_path / "data" / "auditor.db")
    (tmp_path / "config.toml").write_text('[network]\nlanguage = "en"\n')
    content_before = (tmp_path / "data" / "auditor.db").read_bytes()
    process = subprocess.run(
        [*build_read_only_mount(tmp_path / "data"), str(AUDITOR), command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert process.returncode == 3, process
    output = process.stdout if command == "doctor" else process.stderr
    assert "cannot be written" in output or "read-only" in output.lower()
    assert command == "doctor" or process.stderr.count("\n") == 1
    assert (tmp_path / "data" / "auditor.db").read_bytes() == content_before


@pytest.mark.fault("F43")
def test_run_without_enough_disk_space_exits_3_with_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.toml").write_text("[storage]\nmin_free_bytes = 1_000_000_000_000_000\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 3
    message = capsys.readouterr().err
    assert message.startswith("error: data: ")
    assert message.count("\n") == 1
