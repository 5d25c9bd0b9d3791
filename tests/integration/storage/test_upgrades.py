"""Tests of upgrades that fail or are killed: the database is the old one, or the new one, whole."""

import itertools
import shutil
import sqlite3
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import Engine, event
from sqlalchemy.exc import OperationalError

from storage.database.connection import MAX_UPGRADE_BACKUPS
from storage.errors import StoreError
from storage.store import Store
from tests.support import old_databases
from tests.support.old_databases import NEXT_REVISION
from tests.support.process_kills import dies_at, in_a_child

KILL_STEP = 3
"""A process is killed at every third statement; a failure is tried at each."""

pytestmark = pytest.mark.usefixtures("migrated")


@pytest.fixture(autouse=True)
def later_release(tmp_path):
    """Add a second revision, to which the tests upgrade."""
    with old_databases.next_revision(tmp_path):
        yield


@contextmanager
def failing_at(number):
    """Let the n-th statement or commit of any engine fail as a broken disk would make it."""
    counter = itertools.count(1)

    def fail_at_number(*_):
        if next(counter) == number:
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    event_names = ("before_cursor_execute", "commit")
    for name in event_names:
        event.listen(Engine, name, fail_at_number)
    try:
        yield
    finally:
        for name in event_names:
            event.remove(Engine, name, fail_at_number)


def open_and_close(file):
    Store.open(f"sqlite:///{file}", create=False).close()


def fail_upgrades(folder, points=None):
    """Let an upgrade fail at its n-th step, for every n. Return the number of steps."""
    template, file = folder / "old.db", folder / "auditor.db"
    old_databases.create_old_database(template)
    old_contents = old_databases.read_contents(template)
    for number in points or itertools.count(1):
        for leftover in folder.glob("auditor.db*"):
            leftover.unlink()
        shutil.copy(template, file)
        with failing_at(number):
            try:
                open_and_close(file)
            except StoreError:
                assert not old_databases.is_upgraded(
                    old_contents, old_databases.read_contents(file)
                )
            else:
                return number
        open_and_close(file)
        assert old_databases.is_upgraded(old_contents, old_databases.read_contents(file))
    return 0


@pytest.mark.fault("F47")
def test_upgrade_that_failed_is_repeated_and_keeps_every_row(tmp_path):
    fail_upgrades(tmp_path, points=[1, 9, 20, 10**6])


@pytest.mark.slow
@pytest.mark.fault("F47")
def test_upgrade_that_failed_at_any_step_is_repeated_and_keeps_every_row(tmp_path):
    assert fail_upgrades(tmp_path) > 5


@pytest.mark.slow
@pytest.mark.fault("F47")
def test_upgrade_that_was_killed_is_repeated_and_keeps_every_row(tmp_path):
    folder = tmp_path / "kills"
    folder.mkdir()
    process = subprocess.run(
        [sys.executable, __file__, str(folder)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert process.returncode == 0, process.stderr
    assert int(process.stdout) > 3, process.stdout


@pytest.mark.parametrize("step", [-1, 0, 1])
@pytest.mark.fault("F47")
def test_copy_from_before_an_upgrade_is_whole_and_private_and_old_ones_are_deleted(tmp_path, step):
    file = tmp_path / "auditor.db"
    old_databases.create_old_database(file)
    earlier = [f"auditor.db.before-000{number}" for number in range(MAX_UPGRADE_BACKUPS + step - 1)]
    for name in earlier:
        (tmp_path / name).write_text("copy of an earlier upgrade")
    old_contents = old_databases.read_contents(file)
    open_and_close(file)
    copies = sorted(path.name for path in tmp_path.glob("auditor.db.before-*"))
    assert copies == [*earlier, f"auditor.db.before-{NEXT_REVISION}"][-MAX_UPGRADE_BACKUPS:]
    assert old_databases.read_contents(tmp_path / copies[-1]) == old_contents
    assert (tmp_path / copies[-1]).stat().st_mode & 0o077 == 0


@pytest.mark.fault("F47", "F43")
def test_without_room_for_the_copy_there_is_no_upgrade(tmp_path, monkeypatch):
    file = tmp_path / "auditor.db"
    old_databases.create_old_database(file)
    old_contents = old_databases.read_contents(file)

    def fail_without_room(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.files.durable_files.fsync_path", fail_without_room)
    with pytest.raises(StoreError, match="free disk space"):
        open_and_close(file)
    assert old_databases.read_contents(file) == old_contents
    assert [path.name for path in tmp_path.glob("*before*")] == []


def kill_upgrades(folder):
    """Kill an upgrade before its n-th statement, for every third n until one survives."""
    old_databases.add_next_revision(folder)
    template, file = folder / "old.db", folder / "auditor.db"
    old_databases.create_old_database(template)
    old_contents = old_databases.read_contents(template)
    for number in itertools.count(1, KILL_STEP):
        for leftover in folder.glob("*auditor.db*"):
            leftover.unlink()
        shutil.copy(template, file)

        def upgrade(number=number):
            dies_at("statement", number)
            open_and_close(file)

        if in_a_child(upgrade):
            break
        old_databases.is_upgraded(old_contents, old_databases.read_contents(file))
        assert in_a_child(lambda: open_and_close(file))
        assert old_databases.is_upgraded(old_contents, old_databases.read_contents(file))
    return number - 1


if __name__ == "__main__":
    print(kill_upgrades(Path(sys.argv[1])))  # noqa: T201  # read by the test
