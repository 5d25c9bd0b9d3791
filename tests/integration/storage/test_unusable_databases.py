"""Tests of unusable databases: they are refused in one line that names the newest backup."""

import os
import shutil
import subprocess
import sys
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest

from auditor.app import App
from auditor.cli.main import main
from auditor.config.schema import StorageSettings
from auditor.core.errors import DiskSpaceError
from auditor.runs import pipeline
from storage.errors import MissingDatabaseError, StoreError
from tests.support.mini_network import START, link, night_of, opened, register
from tests.unit.auditor.retention.test_backups import placed, taken

AUDITOR = Path(sys.executable).with_name("auditor")


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path, placed(tmp_path))
    register(small, link("nour", "facebook", "nour"))
    yield small
    small.store.close()


def overwritten(file):
    file.write_bytes(os.urandom(file.stat().st_size))


def truncated(file):
    file.write_bytes(file.read_bytes()[:-4096])


@pytest.mark.fault("F45")
@pytest.mark.parametrize(
    "hurt", [lambda file: file.write_bytes(b""), overwritten, truncated, Path.unlink]
)
def test_lost_database_is_refused_and_the_newest_backup_named(app, tmp_path, hurt):
    for hour in range(2):
        newest = taken(app, START + timedelta(hours=hour)).backup.file
    app.store.close()
    place = tmp_path / "auditor.db"
    hurt(place)
    left = place.read_bytes() if place.exists() else None
    with pytest.raises(StoreError) as refusal:
        App.open(app.config)
    said = str(refusal.value)
    assert said.endswith(f"`auditor restore {newest}`")
    assert "\n" not in said
    assert (place.read_bytes() if place.exists() else None) == left


@pytest.mark.fault("F45")
def test_missing_database_is_not_created_if_there_are_backups(app, tmp_path):
    app.store.close()
    (tmp_path / "auditor.db").unlink()
    App.open(app.config).close()
    taken(app)
    (tmp_path / "auditor.db").unlink()
    with pytest.raises(MissingDatabaseError, match="there are backups"):
        App.open(app.config)


OPEN_AS_NOBODY = """
import os, sys
from storage.errors import StoreError
from storage.store import Store
if os.getuid() == 0:
    os.setgid(65534)
    os.setuid(65534)
try:
    Store.open(f"sqlite:///{sys.argv[1]}", create=False)
except StoreError as refusal:
    sys.exit(str(refusal))
"""


@pytest.mark.fault("F44")
@pytest.mark.parametrize(("file", "folder"), [(0o444, 0o777), (0o666, 0o555), (0o666, 0o777)])
def test_read_only_database_is_refused_in_one_line(app, file, folder):
    """By a user who is not root: root may write everywhere."""
    app.store.close()
    with tempfile.TemporaryDirectory() as place:
        database = Path(place) / "auditor.db"
        shutil.copy(app.store.database_file, database)
        database.chmod(file)
        Path(place).chmod(folder)
        words = [sys.executable, "-c", OPEN_AS_NOBODY, str(database)]
        ended = subprocess.run(words, capture_output=True, text=True, timeout=60, check=False)
        Path(place).chmod(0o700)
    writable = (file, folder) == (0o666, 0o777)
    assert ended.returncode == (0 if writable else 1), ended.stderr
    assert ("cannot be written; try: " in ended.stderr) is not writable
    assert ended.stderr.count("\n") == (0 if writable else 1)


def mounted(folder):
    """Return a command prefix that runs in a mount namespace with this folder read-only."""
    words = (
        ["unshare", "--mount", "--map-root-user", "--user"]
        if os.getuid()
        else ["unshare", "--mount"]
    )
    mount = f"mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"
    tried = subprocess.run([*words, "sh", "-c", mount], capture_output=True, text=True, check=False)
    if tried.returncode:
        pytest.skip(f"nothing can be mounted here: {tried.stderr.strip()}")
    return [*words, "sh", "-c", f'{mount} && exec "$@"', "sh"]


@pytest.mark.fault("F44")
@pytest.mark.parametrize(
    "command",
    ["run", *(pytest.param(one, marks=pytest.mark.slow) for one in ("status", "backup", "doctor"))],
)
def test_commands_on_a_read_only_disk_fail_in_one_line(app, tmp_path, command):
    app.store.close()
    (tmp_path / "data").mkdir()
    (tmp_path / "auditor.db").rename(tmp_path / "data" / "auditor.db")
    (tmp_path / "config.toml").write_text('[network]\nlanguage = "en"\n')
    before = (tmp_path / "data" / "auditor.db").read_bytes()
    ended = subprocess.run(
        [*mounted(tmp_path / "data"), str(AUDITOR), command],
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 3, ended
    told = ended.stdout if command == "doctor" else ended.stderr
    assert "cannot be written" in told or "Read-only" in told
    assert command == "doctor" or ended.stderr.count("\n") == 1
    assert (tmp_path / "data" / "auditor.db").read_bytes() == before


@pytest.mark.fault("F43")
async def test_run_is_not_started_without_enough_disk_space(app, tmp_path):
    free = shutil.disk_usage(tmp_path).free
    app.config = placed(tmp_path, storage=StorageSettings(folder=tmp_path, min_free_bytes=free * 2))
    with pytest.raises(
        DiskSpaceError, match=r"MiB are free, fewer than .* the night is not begun; try: make room"
    ):
        await pipeline.run_audit_pipeline(app, night_of(0))
    assert app.store.get_latest_run() is None
    assert app.web.asked == []


@pytest.mark.fault("F43")
def test_run_without_enough_disk_space_exits_3_with_one_line(tmp_path, monkeypatch, capsys):
    (tmp_path / "config.toml").write_text("[storage]\nmin_free_bytes = 9_000_000_000_000_000\n")
    monkeypatch.chdir(tmp_path)
    assert main(["run"]) == 3
    said = capsys.readouterr().err
    assert said.startswith("error: data: ")
    assert said.count("\n") == 1


@pytest.mark.fault("F45")
async def test_large_database_is_checked_before_each_run(app, monkeypatch):
    """The opening reads those whole that are small."""
    monkeypatch.setattr("storage.store.MAX_OPEN_CHECK_BYTES", 0)
    monkeypatch.setattr(
        type(app.store),
        "check_integrity",
        lambda _: (_ for _ in ()).throw(StoreError("it is damaged")),
    )
    with pytest.raises(StoreError, match="damaged"):
        pipeline.check_run_preconditions(app.config, app.store)
