"""The SQLite file: creates, verifies, copies, restores and vacuums it.

The application id in its header marks a database of the auditor. Copies are made with SQLite's own
backup. A copy made with `cp` lacks the newest commits, because they are in the separate log
(tried on 3.46, 2026-11).
"""

import os
import sqlite3
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from storage.database import migrate
from storage.database.engine import (
    BUSY_TIMEOUT_SECONDS,
    WRITE_OPTIONS,
    convert_driver_errors,
    create_database_engine,
)
from storage.errors import (
    RESTORE_REMEDY,
    DamagedDatabaseError,
    ForeignDatabaseError,
    StoreError,
    build_file_error,
)
from storage.files.durable_files import create_unfinished_file, replace_atomically

APPLICATION_ID = 0x50524155
"""`PRAU` in the header of the file, which marks a database of the auditor."""

MAX_OPEN_CHECK_BYTES = 64 << 20
"""Up to this size in bytes a database is checked when it is opened, larger ones before a run."""


def create_database_file(file: Path) -> None:
    """Create the database in a temporary file, then link it to its name.

    A process that dies half-way leaves nothing under that name. If another process was faster, its
    database is kept. Only the owner may read the file, because it holds personal data. Raises
    StoreError if the folder cannot be written.
    """
    try:
        with create_unfinished_file(file.parent) as new:
            _create_beside(new, file)
    except OSError as error:
        raise build_file_error(error, f"cannot create the database {file}") from error


def _create_beside(new: Path, file: Path) -> None:
    _upgrade_file(new, name=str(file))
    with _open(new) as raw:
        raw.execute(f"PRAGMA application_id={APPLICATION_ID}")
    enable_write_ahead_log(new)
    with suppress(FileExistsError):
        os.link(new, file)


@contextmanager
def _open(file: Path, *, mode: str = "rw", **options: Any) -> Iterator[sqlite3.Connection]:
    """Open an existing database. Errors of the driver become StoreError."""
    with convert_driver_errors(file), closing(_connect(file, mode, **options)) as raw:
        yield raw


def _connect(file: Path, mode: str = "rw", **options: Any) -> sqlite3.Connection:
    path = str(file).replace("%", "%25").replace("?", "%3f").replace("#", "%23")
    raw: sqlite3.Connection = sqlite3.connect(f"file:{path}?mode={mode}", uri=True, **options)
    return raw


def enable_write_ahead_log(file: Path) -> None:
    """Turn on write-ahead logging if it is off, as in a restored copy.

    With it readers never block a writer. It is done once, before anything else: two processes that
    do it at once fail, whatever their timeout.
    """
    with _open(file, isolation_level=None) as raw:
        if raw.execute("PRAGMA journal_mode").fetchone()[0] != "wal":
            raw.execute("PRAGMA journal_mode=WAL")


def reject_read_only(file: Path) -> None:
    """Raise StoreError if the database, or the folder of its log, cannot be written."""
    for path in (file, file.parent):
        if not os.access(path, os.W_OK):
            raise StoreError(
                f"cannot open the database {file}",
                f"{path} cannot be written",
                "give the auditor write access to it, or mount the disk for writing",
            )


def verify_database_file(file: Path, *, full_check: bool = False) -> None:
    """Check that the file is an intact database of the auditor. Nothing is written.

    A large file is checked for damage only if `full_check` is set. Raises ForeignDatabaseError,
    DamagedDatabaseError.
    """
    size = file.stat().st_size
    remedy = f"another file in [storage] url, or {RESTORE_REMEDY}"
    if size == 0:
        raise ForeignDatabaseError(f"cannot open the database {file}", "the file is empty", remedy)
    with _open(file) as raw:
        if raw.execute("PRAGMA application_id").fetchone()[0] != APPLICATION_ID:
            raise ForeignDatabaseError(
                f"cannot open the database {file}", "it is not a database of the auditor", remedy
            )
    if full_check or size <= MAX_OPEN_CHECK_BYTES:
        quick_check(file)


def quick_check(file: Path) -> None:
    """Check the whole file for damage. A large one takes seconds. Raises DamagedDatabaseError."""
    with _open(file) as raw:
        result = raw.execute("PRAGMA quick_check(1)").fetchone()[0]
    if result != "ok":
        raise DamagedDatabaseError(
            f"cannot use the database {file}", f"it is damaged ({result})", RESTORE_REMEDY
        )


def vacuum_file(file: Path, *, log_only: bool = False) -> bool:
    """Rewrite the file and empty its log, so that neither holds deleted rows.

    With `log_only` the file is not rewritten. Return False if a reader still uses an older state,
    which keeps the log. Raises StoreError, for example if there is no disk space for a second copy.
    """
    with _open(file, timeout=BUSY_TIMEOUT_SECONDS, isolation_level=None) as raw:
        if not log_only:
            raw.execute("VACUUM")
        is_busy, _, _ = raw.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    return not is_busy


ACCESS_TABLES = ("login_session", "user_invite")
"""The tables that give access for a while. They are emptied in a restored database, because some
rows ended after the backup and would be valid again."""


@dataclass(frozen=True, slots=True)
class DatabaseContents:
    """The schema revision of a database, and the number of rows of each table."""

    schema_revision: str
    row_counts: Mapping[str, int]


def copy_database(source: Path, target: Path) -> DatabaseContents:
    """Write a snapshot of a database, which may be in use, to a file, replacing an older copy.

    The copy has every row that was committed before the call. It is written to a temporary file,
    read again whole and compared before it gets its name. Only its owner may read it. Raises
    StoreError; nothing is left behind then.
    """
    quick_check(source)
    with _replace_atomically(target) as new:
        contents = _copy_snapshot(source, new, target)
        if (copied_contents := read_contents(new)) != contents:
            raise DamagedDatabaseError(
                f"cannot copy the database to {target}",
                f"the copy differs from it ({copied_contents})",
                "another disk",
            )
    return contents


def restore_database(backup: Path, file: Path, previous_copy: Path) -> DatabaseContents:
    """Replace a database by a backup. The replaced one is kept as `previous_copy`.

    The backup is first read whole and upgraded to the newest schema. There is a whole database
    under the name at every moment. All sessions end. Raises StoreError if the backup is not a
    database of the auditor, is damaged or is newer, or if another program uses the database.
    """
    verify_database_file(backup, full_check=True)
    with _replace_atomically(file) as new:
        _copy_snapshot(backup, new, file)
        _upgrade_file(new, name=str(backup))
        with _open(new) as raw, raw:
            for table in ACCESS_TABLES:
                raw.execute(f'DELETE FROM "{table}"')  # noqa: S608  # our tables
        contents = read_contents(new)
        _set_aside(file, previous_copy)
    return contents


def read_contents(file: Path) -> DatabaseContents:
    """Check a database and return its contents. Raises StoreError if it cannot be used."""
    verify_database_file(file, full_check=True)
    with _open(file, mode="ro") as raw:
        return _count_contents(raw)


def _count_contents(raw: sqlite3.Connection) -> DatabaseContents:
    tables = raw.execute(
        "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
    )
    row_counts = {}
    for table in sorted(name for (name,) in tables):
        count = raw.execute(f'SELECT count(*) FROM "{table}"').fetchone()[0]  # noqa: S608  # our tables
        row_counts[table] = count
    revision = raw.execute("SELECT version_num FROM alembic_version").fetchone()
    return DatabaseContents(revision[0] if revision else "", row_counts)


def _copy_snapshot(source: Path, temporary_file: Path, target: Path) -> DatabaseContents:
    """Copy the state that one transaction sees. The backup uses it, so its rows can be counted."""
    with (
        convert_driver_errors(target),
        _open(source, isolation_level=None) as raw,
        closing(sqlite3.connect(temporary_file, isolation_level=None)) as copied,
    ):
        raw.execute("BEGIN")
        contents = _count_contents(raw)
        raw.backup(copied)
        copied.execute("PRAGMA journal_mode=DELETE")  # one file, without a separate log
    return contents


def _upgrade_file(file: Path, *, name: str) -> None:
    engine = create_database_engine(URL.create("sqlite", database=str(file)))
    try:
        with (
            convert_driver_errors(file),
            engine.execution_options(**WRITE_OPTIONS).connect() as connection,
        ):
            if migrate.get_current_revision(connection, name) != migrate.get_head_revision():
                connection.rollback()
                migrate.upgrade_schema(connection)
    finally:
        engine.dispose()


def _set_aside(file: Path, previous_copy: Path) -> None:
    """Give the existing database a second name, and rename its log.

    A log is renamed even if its database is missing: SQLite would apply it to the next file of that
    name.
    """
    if file.exists():
        _merge_log(file)
    for end in ("-journal", "-wal", "-shm"):
        with suppress(FileNotFoundError):
            file.with_name(file.name + end).rename(
                previous_copy.with_name(previous_copy.name + end)
            )
    if not file.exists():
        return
    try:
        os.link(file, previous_copy)
    except OSError:  # the file system has no links: for a moment there is no database
        file.rename(previous_copy)


def _merge_log(file: Path) -> None:
    """Merge the log into the database. Raises StoreError if another program uses the database.

    The log of a damaged database cannot be merged; it is kept as it is.
    """
    in_use = StoreError(
        f"cannot replace the database {file}",
        "another program has it open",
        "stop `auditor serve`, then repeat the command",
    )
    try:
        with closing(_connect(file, timeout=0)) as raw:
            if raw.execute("PRAGMA journal_mode=DELETE").fetchone()[0] == "wal":
                raise in_use
    except sqlite3.Error as error:
        if error.sqlite_errorcode & 0xFF in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED):
            raise in_use from None


@contextmanager
def _replace_atomically(target: Path) -> Iterator[Path]:
    """Yield a temporary file that replaces the target at the end. Raises StoreError."""
    try:
        with replace_atomically(target) as new:
            try:
                yield new
            finally:
                for end in ("-journal", "-wal", "-shm"):
                    new.with_name(new.name + end).unlink(missing_ok=True)
    except OSError as error:
        raise build_file_error(error, f"cannot write {target}") from error
