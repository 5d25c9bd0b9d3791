"""An upgrade of a populated database survives whatever happens: the old one is whole, or the new one."""

import itertools
import json
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from alembic import command
from sqlalchemy import Engine, event
from sqlalchemy.engine import URL
from sqlalchemy.exc import OperationalError

from storage.database import migrate
from storage.database.engine import WRITE_OPTIONS, create_database_engine
from storage.errors import StoreError
from storage.store import Store
from tests.support import old_databases
from tests.support.process_kills import dies_at, in_a_child

EVERY = 3
"""Every which statement a process is killed at; a failure is tried at each."""

pytestmark = pytest.mark.usefixtures("migrated")


@contextmanager
def failing(number):
    """The n-th statement or commit of any engine fails as a broken disk would make it."""
    counted = itertools.count(1)

    def strike(*_):
        if next(counted) == number:
            raise OperationalError("", {}, sqlite3.OperationalError("disk I/O error"))

    names = ("before_cursor_execute", "commit")
    for name in names:
        event.listen(Engine, name, strike)
    try:
        yield
    finally:
        for name in names:
            event.remove(Engine, name, strike)


def opened(file):
    Store.open(f"sqlite:///{file}", create=False).close()


def tried_at_every_point(folder, revision, points=None):
    """Fail an upgrade at its n-th step, for every n until it is clean; gives how many failed."""
    template = folder / f"{revision}.db"
    old_databases.make(template, revision)
    before, file = old_databases.contents(template), folder / "auditor.db"
    for number in points or itertools.count(1):
        for left in folder.glob("auditor.db*"):
            left.unlink()
        shutil.copy(template, file)
        with failing(number):
            try:
                opened(file)
            except StoreError:
                assert not old_databases.refuse_loss(
                    before, old_databases.contents(file), migrate.get_head_revision()
                )
            else:
                return number
        opened(file)
        assert old_databases.refuse_loss(
            before, old_databases.contents(file), migrate.get_head_revision()
        )
    return 0


@pytest.mark.fault("F47")
def test_an_upgrade_of_the_oldest_database_keeps_every_row(tmp_path):
    tried_at_every_point(tmp_path, old_databases.revisions()[0], points=[1, 9, 30, 10**6])


def test_an_upgrade_takes_contacts_out_of_summaries_and_nothing_else(tmp_path):
    file = tmp_path / "auditor.db"
    old_databases.make(file, "0007")
    before = old_databases.contents(file)
    assert all('"phone":"06' in dict(row)["summary"] for row in before[1]["summary"])
    opened(file)
    assert old_databases.refuse_loss(
        before, old_databases.contents(file), migrate.get_head_revision()
    )


def test_an_upgrade_keeps_once_what_nights_saw_alike_and_a_downgrade_gives_it_back(tmp_path):
    file = tmp_path / "auditor.db"
    old_databases.make(file, "0009")
    with closing(sqlite3.connect(file)) as raw, raw:
        for night in (1, 2, 3):
            at = f"2026-11-{night:02}T00:30:00.00000{night}Z"
            page = {
                "url": "u",
                "status": 200,
                "final_url": "u",
                "headers": {"date": at},
                "seconds": 0.1 * night,
            }
            facts = {"seconds": 0.4 + night, "certificate_days": 40 - night, "https": night < 3}
            seen = {"presence": "present", "name": "جمعية", "facts": facts}
            raw.execute(
                "UPDATE observation SET account_id = 1, observed_at = ?, finding = ?, evidence = ? "
                "WHERE id = ?",
                (at.replace("T", " ")[:-1], told(seen), told([{**page, "fetched_at": at}]), night),
            )
    before = wide(file)
    opened(file)
    with Store.open(f"sqlite:///{file}") as store:
        looks = list(store.list_observations())
        standings = list(store.list_account_statuses())
    assert [look.result_id for look in looks] == [1, 1, 2]
    assert [look.finding.facts["certificate_days"] for look in looks] == [39, 38, 37]
    assert [look.evidence[0].fetched_at for look in looks] == [look.observed_at for look in looks]
    assert len(standings) == old_databases.ROWS
    engine = create_database_engine(URL.create("sqlite", database=str(file)))
    with engine.execution_options(**WRITE_OPTIONS).connect() as connection, connection.begin():
        command.downgrade(migrate.build_alembic_config(connection), "0009")
    engine.dispose()
    after = wide(file)
    assert [(look[0], look[1], look[2]) for look in after] == [
        (look[0], look[1], look[2]) for look in before
    ]
    for one, other in zip(after, before, strict=True):
        pieces = [json.loads(look[3])[0] | {"headers": {}} for look in (one, other)]
        assert pieces[0] == pieces[1]


def told(noun):
    return json.dumps(noun, ensure_ascii=False, separators=(",", ":"))


def wide(file):
    """The observations as they were before 0010."""
    with closing(sqlite3.connect(file)) as raw:
        return raw.execute(
            "SELECT account_id, night_id, finding, evidence FROM observation ORDER BY night_id"
        ).fetchall()


@pytest.mark.slow
@pytest.mark.fault("F47")
@pytest.mark.parametrize("revision", old_databases.revisions())
def test_an_upgrade_that_fails_at_any_step_is_done_again_and_keeps_every_row(tmp_path, revision):
    assert tried_at_every_point(tmp_path, revision) > 5


@pytest.mark.slow
@pytest.mark.fault("F47")
def test_an_upgrade_killed_in_the_middle_is_done_again_and_keeps_every_row(tmp_path):
    ended = subprocess.run(
        [sys.executable, __file__, str(tmp_path)],
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 0, ended.stderr
    kills = dict(line.split() for line in ended.stdout.splitlines())
    assert list(kills) == old_databases.revisions()
    assert all(int(number) > 3 for number in kills.values()), kills


@pytest.mark.fault("F47")
def test_the_copy_from_before_an_upgrade_is_whole_private_and_not_the_hundredth(tmp_path):
    file = tmp_path / "auditor.db"
    old_databases.make(file, old_databases.revisions()[-1])
    for number in range(5):
        (tmp_path / f"auditor.db.before-000{number}").write_text("of an earlier upgrade")
    before = old_databases.contents(file)
    opened(file)
    kept = sorted(path.name for path in tmp_path.glob("auditor.db.before-*"))
    assert kept == ["auditor.db.before-0004", f"auditor.db.before-{migrate.get_head_revision()}"]
    assert old_databases.contents(tmp_path / kept[-1]) == before
    assert (tmp_path / kept[-1]).stat().st_mode & 0o077 == 0


@pytest.mark.fault("F47", "F43")
def test_without_room_for_the_copy_there_is_no_upgrade(tmp_path, monkeypatch):
    file = tmp_path / "auditor.db"
    old_databases.make(file, old_databases.revisions()[-1])
    before = old_databases.contents(file)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.files.spool.fsync_path", full)
    with pytest.raises(StoreError, match="make room"):
        opened(file)
    assert old_databases.contents(file) == before
    assert [path.name for path in tmp_path.glob("*before*")] == []


def killed_in_the_middle(folder, revision):
    """Kill a process before its n-th statement within an upgrade, for every third n until one lives."""
    template = folder / f"{revision}.db"
    old_databases.make(template, revision)
    before, file = old_databases.contents(template), folder / "auditor.db"
    for number in itertools.count(1, EVERY):
        for left in folder.glob("*auditor.db*"):
            left.unlink()
        shutil.copy(template, file)

        def upgrade(at=number):
            dies_at("statement", at)
            opened(file)

        if in_a_child(upgrade):
            break
        old_databases.refuse_loss(before, old_databases.contents(file), migrate.get_head_revision())
        assert in_a_child(lambda: opened(file))
        assert old_databases.refuse_loss(
            before, old_databases.contents(file), migrate.get_head_revision()
        )
    return number - 1


if __name__ == "__main__":
    for one in old_databases.revisions():
        print(one, killed_in_the_middle(Path(sys.argv[1]), one), flush=True)  # noqa: T201 - to the test
