"""A backup is complete whatever is written meanwhile, and a restore returns to its state."""

import asyncio
import json
import sqlite3
from contextlib import closing
from datetime import timedelta
from functools import partial
from pathlib import Path

import pytest

from auditor import retention as backups
from auditor.app import App
from auditor.checking import checker
from auditor.cli.main import main
from auditor.conclusions import reevaluate, replay
from auditor.config.schema import BackupSettings, RetentionSettings, StorageSettings, load_config
from auditor.runs import pipeline
from auditor.runs.run import execute_run
from storage.database import migrate
from storage.database.sqlite_file import ACCESS_TABLES
from storage.errors import (
    DamagedDatabaseError,
    ForeignDatabaseError,
    NewerDatabaseError,
    StoreError,
)
from storage.models.audit import AuditRunState
from storage.store import Store
from tests.support.mini_network import START, configured, link, night_of, opened, register, steps

LINKS = [link(f"a{number:02}", "website", f"site{number:02}") for number in range(40)]


def build_config(folder, **tables):
    """Return a configuration with data in a folder and backups in its subfolder."""
    defaults = {
        "storage": StorageSettings(folder=folder),
        "backup": BackupSettings(folder=folder / "backups", after_run=False),
    }
    return configured().model_copy(update={**defaults, **tables})


@pytest.fixture
def app(tmp_path, monkeypatch):
    for module in (checker, replay):
        monkeypatch.setattr(module, "create_probe", steps)
    small = opened(tmp_path, build_config(tmp_path))
    register(small, *LINKS)
    yield small
    small.store.close()


def take_backup(app, now=START, target=None):
    return backups.create_backup(app.store, app.body_store, app.config, now, target)


def open_restored(folder, file, now=START):
    """Return the auditor over a backup that was restored into its own folder."""
    config = build_config(folder)
    folder.mkdir(exist_ok=True)
    backups.restore_backup(config, file, now)
    return opened(folder, config)


def list_conclusions(app):
    store = app.store
    return [
        list(part)
        for part in (
            store.statuses.list_account_statuses(),
            store.conclusions.list_gaps(),
            store.conclusions.list_proposals(),
            store.runs.list_all(),
        )
    ]


@pytest.mark.slow
@pytest.mark.fault("F46")
async def test_backup_during_a_run_is_restored_and_resumed(app, tmp_path, monkeypatch):
    """Back up during a run, restore into a new folder, and finish the run there."""
    links = [link(f"b{number:03}", "website", f"more{number:03}") for number in range(160)]
    register(app, *LINKS, *links)  # so many that several backups fit into the run
    count = len(LINKS) + len(links)
    await execute_run(app, night_of(0))
    open_writer = partial(app.store.observations.open_writer, batch_size=3)
    monkeypatch.setattr(app.store.observations, "open_writer", open_writer)
    run, snapshots = asyncio.create_task(execute_run(app, night_of(1))), []
    while not run.done():
        committed = {observation.key for observation in app.store.observations.list_observations()}
        now = START + timedelta(seconds=len(snapshots))
        result = await asyncio.to_thread(take_backup, app, now, tmp_path / "usb")
        snapshots.append((committed, result.backup.file))
    await run
    assert len({len(committed) for committed, _ in snapshots}) > 2, "not during the run"
    for committed, file in snapshots:
        with closing(sqlite3.connect(file)) as raw:
            assert committed <= set(raw.execute("SELECT run_id, account_id FROM observation"))
            assert raw.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    file = next(file for committed, file in snapshots if count < len(committed) < 2 * count)
    restored_app = open_restored(tmp_path / "there", file)
    before = {item.key: item for item in restored_app.store.observations.list_observations()}
    assert (await execute_run(restored_app, night_of(1))).state is AuditRunState.DONE
    after = list(restored_app.store.observations.list_observations())
    assert before.items() <= {item.key: item for item in after}.items()
    assert len({item.key for item in after}) == len(after) == 2 * count
    rebuilt = reevaluate.reevaluate(restored_app)
    assert (rebuilt.changes, rebuilt.replayed_count) == ([], 2 * count)
    restored_app.store.close()


@pytest.mark.fault("F46")
async def test_backup_is_one_private_file_with_all_data_and_evidence(app, tmp_path):
    await execute_run(app, night_of(0))
    result = take_backup(app)
    file = result.backup.file
    assert file == tmp_path / "backups" / "auditor-20260301T003000Z.db"
    assert file.stat().st_mode & 0o077 == 0
    assert [path.name for path in file.parent.glob("*.*")] == [file.name]
    assert result.contents.row_counts["observation"] == 40
    restored_app = open_restored(tmp_path / "there", file)
    assert list_conclusions(restored_app) == list_conclusions(app)
    assert sorted(restored_app.body_store.list_digests()) == sorted(app.body_store.list_digests())
    assert reevaluate.reevaluate(restored_app).changes == []
    restored_app.store.close()


@pytest.mark.parametrize(
    ("limits", "days", "left"),
    [
        pytest.param((3, 90), [0, 1, 2, 3, 4], [4, 3, 2], id="only older ones are removed"),
        pytest.param((9, 30), [0, 10, 20, 39, 45, 400], [400, 45, 39], id="three are kept"),
        pytest.param((9, 30), [*range(7), 3650], [3650, 6, 5], id="the clock jumps ahead"),
        pytest.param((2, 90), [3650, 3651, 0], [3651, 3650, 0], id="the new one is kept"),
    ],
)
@pytest.mark.fault("F41")
def test_count_and_age_say_which_backups_are_removed(app, tmp_path, limits, days, left):
    folder = tmp_path / "backups"
    app.config = build_config(
        tmp_path,
        backup=BackupSettings(folder=folder, max_count=limits[0]),
        retention=RetentionSettings(backups=limits[1]),
    )
    folder.mkdir()
    others = {"auditor-of-old.db", "auditor-20200101T000000Z.db.txt", "notes.txt"}
    for name in others:
        (folder / name).write_text("somebody's")
    for day in days:
        result = take_backup(app, START + timedelta(days=day))
    kept = backups.list_backups(folder)
    assert [(backup.created_at - START).days for backup in kept] == left
    assert {path.name for path in folder.iterdir()} == others | {item.file.name for item in kept}
    assert backups.find_newest_backup(folder, result.backup.created_at) == result.backup


def test_existing_file_is_not_overwritten(app, tmp_path):
    take_backup(app, target=tmp_path / "mine.db")
    before = (tmp_path / "mine.db").read_bytes()
    with pytest.raises(StoreError, match="the file exists"):
        take_backup(app, target=tmp_path / "mine.db")
    assert (tmp_path / "mine.db").read_bytes() == before


@pytest.mark.fault("F46")
def test_restore_keeps_the_replaced_database_and_open_connections(app, tmp_path):
    file = take_backup(app).backup.file
    register(app, *LINKS[:1], now=START)
    with pytest.raises(StoreError, match="another program has it open"):
        backups.restore_backup(app.config, file, START)
    app.store.close()
    done = backups.restore_backup(app.config, file, START)
    again = backups.restore_backup(app.config, file, START)
    assert (done[1].name, again[1].name) == (
        "auditor.db.before-restore-20260301T003000Z",
        "auditor.db.before-restore-20260301T003000Z-2",
    )
    with (
        Store.open(f"sqlite:///{done[1]}", create=False) as old,
        Store.open(f"sqlite:///{app.store.database_file}") as new,
    ):
        assert (
            len(list(old.registry.list_accounts())),
            len(list(new.registry.list_accounts())),
        ) == (1, 40)


@pytest.mark.fault("F45", "F46")
def test_wal_of_a_lost_database_is_not_applied_to_the_restored_one(app, tmp_path):
    file = take_backup(app).backup.file
    app.store.close()
    place, log = tmp_path / "auditor.db", tmp_path / "auditor.db-wal"
    with closing(sqlite3.connect(place)) as raw:
        raw.execute("PRAGMA wal_autocheckpoint=0")
        raw.execute("UPDATE account SET typed_text = 'of the lost one'")
        raw.commit()
        wal_bytes = log.read_bytes()
    place.unlink()
    log.write_bytes(wal_bytes)
    backups.restore_backup(app.config, file, START)
    with Store.open(app.config.storage.url, create=False) as store:
        store.check_integrity()
        assert "of the lost one" not in {row.typed_text for row in store.registry.list_accounts()}


@pytest.mark.fault("F45", "F46")
@pytest.mark.parametrize(
    "hurt", [b"", b"not a database at all\n" * 400, None], ids=["empty", "overwritten", "torn"]
)
def test_unusable_database_is_replaced_and_kept(app, tmp_path, hurt):
    file = take_backup(app).backup.file
    app.store.close()
    place = tmp_path / "auditor.db"
    place.write_bytes(place.read_bytes()[:-9000] if hurt is None else hurt)
    (tmp_path / "auditor.db-wal").write_bytes(b"the log of another database")
    left = place.read_bytes()
    done = backups.restore_backup(app.config, file, START)
    assert done[1].read_bytes() == left
    with Store.open(app.config.storage.url, create=False) as store:
        assert len(list(store.registry.list_accounts())) == 40


def test_restore_ends_all_sessions(app):
    """Users who logged out or were removed since would be logged in again."""
    now = START.isoformat(" ")
    with closing(sqlite3.connect(app.store.database_file)) as raw, raw:
        for table in ACCESS_TABLES:
            columns = [name for _, name, *_ in raw.execute(f'PRAGMA table_info("{table}")')]
            row = [1 if name == "user_id" else now for name in columns]
            raw.execute(f'INSERT INTO "{table}" VALUES ({", ".join("?" * len(row))})', row)
    result = take_backup(app)
    assert [result.contents.row_counts[table] for table in ACCESS_TABLES] == [1, 1]
    app.store.close()
    assert [
        backups.restore_backup(app.config, result.backup.file, START)[0].row_counts[table]
        for table in ACCESS_TABLES
    ] == [0, 0]


def set_newer_version(content):
    """Return the bytes of a database of a newer auditor."""
    with closing(sqlite3.connect(":memory:")) as raw:
        raw.deserialize(content)
        raw.execute("UPDATE alembic_version SET version_num = '9999'")
        raw.commit()
        return raw.serialize()


@pytest.mark.fault("F46")
@pytest.mark.parametrize(
    ("hurt", "refusal"),
    [
        (lambda _: b"", ForeignDatabaseError),
        (lambda _: b"id,name\n" * 2000, ForeignDatabaseError),
        (lambda content: content[:-4096], DamagedDatabaseError),
        (set_newer_version, NewerDatabaseError),
    ],
    ids=["empty", "a spreadsheet", "torn", "a newer auditor's"],
)
def test_invalid_backup_is_refused_and_nothing_changes(app, tmp_path, hurt, refusal):
    file = take_backup(app).backup.file
    file.write_bytes(hurt(file.read_bytes()))
    app.store.close()
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(refusal):
        backups.restore_backup(app.config, file, START)
    assert sorted(tmp_path.rglob("*")) == before
    Store.open(app.config.storage.url, create=False).close()


@pytest.mark.fault("F43")
def test_backup_without_disk_space_leaves_no_file(app, tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("storage.files.durable_files.fsync_path", full)
    with pytest.raises(StoreError, match="free disk space"):
        take_backup(app)
    assert list((tmp_path / "backups").iterdir()) == []


def test_restore_adds_keys_and_replaces_none(app, tmp_path):
    (tmp_path / "unsubscribe.key").write_bytes(b"mine")
    file = take_backup(app).backup.file
    key_copy = tmp_path / "backups" / "keys" / "unsubscribe.key"
    assert (key_copy.read_bytes(), key_copy.stat().st_mode & 0o077) == (b"mine", 0)
    restored_app = open_restored(tmp_path / "there", file)
    restored_app.store.close()
    assert (tmp_path / "there" / "unsubscribe.key").read_bytes() == b"mine"
    (tmp_path / "there" / "unsubscribe.key").write_bytes(b"another")
    backups.restore_backup(restored_app.config, file, START)
    assert (tmp_path / "there" / "unsubscribe.key").read_bytes() == b"another"


def test_damaged_body_is_not_a_copy(app, tmp_path):
    digest = app.body_store.put(b"<p>Amal</p>")
    next((tmp_path / "archive").rglob(f"{digest}.gz")).write_bytes(b"torn")
    assert take_backup(app).copied_bodies == 0


# --- after each run


async def test_each_run_ends_with_one_backup(app, tmp_path):
    app.config = build_config(tmp_path, backup=BackupSettings(folder=tmp_path / "backups"))
    for _ in range(2):
        await pipeline.run_audit_pipeline(app, night_of(0))
    (backup,) = backups.list_backups(tmp_path / "backups")
    with Store.open(f"sqlite:///{backup.file}", create=False) as copy:
        assert copy.runs.get_latest().state is AuditRunState.DONE
    await pipeline.run_audit_pipeline(app, night_of(1))
    assert len(backups.list_backups(tmp_path / "backups")) == 2


async def test_failed_backup_does_not_fail_the_run(app, tmp_path, caplog):
    app.config = build_config(tmp_path, backup=BackupSettings(folder=tmp_path / "backups"))
    (tmp_path / "backups").write_text("a file stands where the folder should")
    assert (await pipeline.run_audit_pipeline(app, night_of(0))).state is AuditRunState.DONE
    assert [line.getMessage().partition(":")[0] for line in caplog.records] == ["after the run"]


# --- commands


@pytest.fixture
def place(tmp_path, monkeypatch):
    """Return a folder with a configuration and an association, as the working directory."""
    (tmp_path / "config.toml").write_text('[network]\nlanguage = "en"\n')
    monkeypatch.chdir(tmp_path)
    with App.open(load_config(tmp_path / "config.toml", {})) as app:
        register(app, *LINKS[:2])
    return tmp_path


def items(out):
    return json.loads(out)["items"]


def test_backup_and_restore_print_one_line(place, capsys):
    assert main(["backup"]) == 0
    (file,) = Path("backups").glob("*.db")
    out, err = capsys.readouterr()
    assert (out, err.count("\n")) == ("", 1)
    assert err.startswith(f"backed up to {file}: 2 associations")
    assert main(["restore", "--yes", str(file)]) == 0
    err = capsys.readouterr().err
    assert err.startswith(f"data/auditor.db was restored from {file}: 2 associations")
    assert ("before-restore" in err, err.count("\n")) == (True, 1)
    assert main(["backup", "--list", "--json"]) == 0
    assert [item["file"] for item in items(capsys.readouterr().out)] == [str(file)]


def test_restore_replaces_a_database_only_on_request(place, capsys):
    assert main(["backup"]) == 0
    (file,) = Path("backups").glob("*.db")
    content = Path("data/auditor.db").read_bytes()
    assert main(["restore", str(file)]) == 2
    assert f"Replace data/auditor.db with {file}?" in capsys.readouterr().err
    assert Path("data/auditor.db").read_bytes() == content


def test_restore_during_a_run_exits_5(place, capsys):
    main(["backup"])
    (file,) = Path("backups").glob("*.db")
    with App.open(load_config(place / "config.toml", {})) as app, app.hold_run_lock():
        assert main(["restore", "--yes", str(file)]) == 5
    assert capsys.readouterr().err.splitlines()[-1].startswith("error: another run is in progress")


@pytest.mark.parametrize(
    ("arguments", "tool"),
    [
        (["backup"], "pg_dump"),
        (["restore", "x.db"], "pg_restore"),
        (["backup", "--list"], "pg_dump"),
    ],
)
def test_backup_of_postgresql_is_refused(place, capsys, monkeypatch, arguments, tool):
    monkeypatch.setenv("AUDITOR_STORAGE__URL", "postgresql://nobody@127.0.0.1:1/none")
    assert main(arguments) == 3
    error_output = capsys.readouterr().err
    assert tool in error_output
    assert error_output.count("\n") == 1


@pytest.mark.fault("F47")
def test_backup_of_an_older_schema_is_migrated_and_itself_unchanged(app, tmp_path, monkeypatch):
    file = take_backup(app).backup.file
    before = file.read_bytes()
    app.store.close()
    revisions = []
    monkeypatch.setattr(migrate, "get_head_revision", lambda: "later")
    monkeypatch.setattr(
        migrate,
        "upgrade_schema",
        lambda connection: revisions.append(migrate.get_current_revision(connection)),
    )
    backups.restore_backup(app.config, file, START)
    assert len(revisions) == 1
    assert file.read_bytes() == before
