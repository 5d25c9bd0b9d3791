"""Tests of upgrades that fail or are killed: the database is the old one, or the new one, whole."""

import itertools
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from storage.database.connection import MAX_UPGRADE_BACKUPS
from storage.errors import StoreError
from storage.store import Store
from tests.support import old_databases
from tests.support.old_databases import NEXT_REVISION
from tests.support.process_kills import failing_at, kill_self_at, run_in_child

KILL_STEP = 3
"""A process is killed at every third statement; a failure is tried at each."""

pytestmark = pytest.mark.usefixtures("migrated")


@pytest.fixture(autouse=True)
def later_release(tmp_path):
    """Add a second revision, to which the tests upgrade."""
    with old_databases.next_revision(tmp_path):
        yield


def open_and_close(file):
    Store.open(f"sqlite:///{file}", create=False).close()


def restore(template, file):
    for leftover in file.parent.glob("*auditor.db*"):
        leftover.unlink()
    shutil.copy(template, file)


@pytest.mark.slow
@pytest.mark.fault("F47")
def test_upgrade_that_failed_at_any_step_is_repeated_and_keeps_every_row(tmp_path):
    template, file = tmp_path / "old.db", tmp_path / "auditor.db"
    old_databases.create_old_database(template)
    old_contents = old_databases.read_contents(template)
    for number in itertools.count(1):
        restore(template, file)
        with failing_at(number):
            try:
                open_and_close(file)
            except StoreError:
                assert old_databases.read_contents(file) == old_contents
            else:
                break
        open_and_close(file)
        assert old_databases.is_upgraded(old_contents, old_databases.read_contents(file))
    assert number > 5


@pytest.mark.slow
@pytest.mark.fault("F47")
def test_upgrade_that_was_killed_is_repeated_and_keeps_every_row(tmp_path):
    folder = tmp_path / "kills"
    folder.mkdir()
    command = [sys.executable, __file__, str(folder)]
    assert int(subprocess.check_output(command, text=True, timeout=300)) > 3


@pytest.mark.smoke
@pytest.mark.fault("F47")
def test_copy_from_before_an_upgrade_is_whole_and_private_and_old_ones_are_deleted(tmp_path):
    file = tmp_path / "auditor.db"
    old_databases.create_old_database(file)
    earlier = [f"auditor.db.before-000{number}" for number in range(MAX_UPGRADE_BACKUPS)]
    for name in earlier:
        (tmp_path / name).touch()
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
        restore(template, file)

        def upgrade(number=number):
            kill_self_at("statement", number)
            open_and_close(file)

        if run_in_child(upgrade):
            break
        old_databases.is_upgraded(old_contents, old_databases.read_contents(file))
        assert run_in_child(lambda: open_and_close(file))
        assert old_databases.is_upgraded(old_contents, old_databases.read_contents(file))
    return number - 1


if __name__ == "__main__":
    print(kill_upgrades(Path(sys.argv[1])))  # noqa: T201  # read by the test
