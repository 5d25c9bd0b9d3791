"""Tests of unusable databases: they are refused in one line that names the newest backup."""

import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path
from types import SimpleNamespace

import pytest

from auditor.app import App
from auditor.cli.main import main
from auditor.config.schema import StorageSettings
from auditor.core.errors import DiskSpaceError
from auditor.runs import pipeline
from storage.database.engine import convert_driver_errors
from storage.errors import MissingDatabaseError, StoreError
from tests.support.mini_network import START, link, night_of, opened, register
from tests.unit.auditor.retention.test_backups import build_config, take_backup

AUDITOR = Path(sys.executable).with_name("auditor")


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path, build_config(tmp_path))
    register(small, link("nour", "facebook", "nour"))
    yield small
    small.store.close()


def overwrite(file):
    file.write_bytes(os.urandom(file.stat().st_size))


def truncate(file):
    file.write_bytes(file.read_bytes()[:-4096])


@pytest.mark.fault("F45")
@pytest.mark.parametrize(
    "damage", [lambda file: file.write_bytes(b""), overwrite, truncate, Path.unlink]
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


@pytest.mark.fault("F45")
def test_missing_database_is_not_created_if_there_are_backups(app, tmp_path):
    app.store.close()
    (tmp_path / "auditor.db").unlink()
    App.open(app.config).close()
    take_backup(app)
    (tmp_path / "auditor.db").unlink()
    with pytest.raises(MissingDatabaseError, match="there are backups"):
        App.open(app.config)


OPEN_AS_ANOTHER_USER = """
import os, sys
from storage.database.migrate import list_known_revisions
from storage.errors import StoreError
from storage.store import Store
list_known_revisions()  # the other user may not be able to read this folder
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    Store.open(f"sqlite:///{sys.argv[1]}", create=False)
except StoreError as error:
    sys.exit(str(error))
"""


@pytest.mark.fault("F44")
@pytest.mark.parametrize(
    ("file_mode", "folder_mode"), [(0o444, 0o777), (0o666, 0o555), (0o666, 0o777)]
)
def test_read_only_database_is_refused_in_one_line(app, file_mode, folder_mode):
    """The test uses another user, because root may write everywhere."""
    app.store.close()
    with tempfile.TemporaryDirectory() as folder:
        database = Path(folder) / "auditor.db"
        shutil.copy(app.store.database_file, database)
        database.chmod(file_mode)
        Path(folder).chmod(folder_mode)
        command = [sys.executable, "-c", OPEN_AS_ANOTHER_USER, str(database)]
        process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
        Path(folder).chmod(0o700)
    writable = (file_mode, folder_mode) == (0o666, 0o777)
    assert process.returncode == (0 if writable else 1), process.stderr
    assert ("cannot be written; try: " in process.stderr) is not writable
    assert process.stderr.count("\n") == (0 if writable else 1)


def build_read_only_mount(folder):
    """Return a command prefix that runs in a mount namespace with this folder read-only."""
    unshare = (
        ["unshare", "--mount", "--map-root-user", "--user"]
        if os.getuid()
        else ["unshare", "--mount"]
    )
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    attempt = subprocess.run(
        [*unshare, "sh", "-c", mount], capture_output=True, text=True, check=False
    )
    if attempt.returncode:
        pytest.skip(f"nothing can be mounted here: {attempt.stderr.strip()}")
    return [*unshare, "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.mark.fault("F44")
@pytest.mark.parametrize(
    "command",
    [
        "run",
        *(pytest.param(name, marks=pytest.mark.slow) for name in ("status", "backup", "doctor")),
    ],
)
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
async def test_run_is_not_started_without_enough_disk_space(app, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    app.config = build_config(
        tmp_path, storage=StorageSettings(folder=tmp_path, min_free_bytes=free * 2)
    )
    with pytest.raises(
        DiskSpaceError, match=r"MiB are free, fewer than .*; no run started; try: free disk space"
    ):
        await pipeline.run_audit_pipeline(app, night_of(0))
    assert app.store.runs.get_latest() is None
    assert app.web.asked == []


@pytest.mark.fault("F43")
def test_reading_on_a_full_disk_names_the_cause(tmp_path):
    """SQLite cannot make its `-shm` file then, and only says "disk I/O error"."""
    failure = sqlite3.OperationalError("disk I/O error")
    failure.sqlite_errorcode = sqlite3.SQLITE_IOERR_SHMSIZE
    message = "disk I/O error; try: check the disk and its free space"
    with pytest.raises(StoreError, match=message), convert_driver_errors(tmp_path / "auditor.db"):
        raise failure


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_run_needs_the_set_number_of_free_bytes(tmp_path, monkeypatch, step):
    min_free_bytes = StorageSettings().min_free_bytes
    usage = SimpleNamespace(free=min_free_bytes + step)
    monkeypatch.setattr(pipeline.shutil, "disk_usage", lambda _: usage)
    if step >= 0:
        pipeline.require_free_space(tmp_path, min_free_bytes)
        return
    with pytest.raises(DiskSpaceError, match="255 MiB are free, fewer than"):
        pipeline.require_free_space(tmp_path, min_free_bytes)


@pytest.mark.fault("F43")
def test_run_without_enough_disk_space_exits_3_with_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.toml").write_text("[storage]\nmin_free_bytes = 1_000_000_000_000_000\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 3
    message = capsys.readouterr().err
    assert message.startswith("error: data: ")
    assert message.count("\n") == 1


@pytest.mark.fault("F45")
async def test_large_database_is_checked_before_each_run(app, monkeypatch):
    """Small ones are checked when they are opened."""
    monkeypatch.setattr("storage.database.sqlite_file.MAX_OPEN_CHECK_BYTES", 0)
    monkeypatch.setattr(
        type(app.store),
        "check_integrity",
        lambda _: (_ for _ in ()).throw(StoreError("it is damaged")),
    )
    with pytest.raises(StoreError, match="damaged"):
        pipeline.check_run_preconditions(app.config, app.store)
