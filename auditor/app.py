"""The composition root: creates store, body store, fetcher and parser pool of a configuration."""
# ruff: noqa: PLC0415 - most commands only read

from __future__ import annotations

import os
import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Self

from auditor.config.schema import Config
from auditor.core.errors import ConfigError, RunLockedError
from storage.database.engine import get_sqlite_file, parse_database_url
from storage.errors import (
    RESTORE_REMEDY,
    LostDatabaseError,
    StoreError,
    build_file_error,
    explain_file_error,
)
from storage.files.body_store import BodyStore
from storage.store import Store

if TYPE_CHECKING:
    from probes.http.fetcher import Fetcher
    from probes.http.host_state import HostLock
    from probes.runner.parser_pool import ParserForkServer, ParserPool


@dataclass(frozen=True, slots=True)
class App:
    """The objects a command works with. Close it, or use it as a context manager.

    `fork_server` is shared by several runs; without it, each run has its own.
    """

    config: Config
    store: Store
    body_store: BodyStore
    fork_server: ParserForkServer | None = None

    @classmethod
    def open(cls, config: Config, *, create: bool = True, upgrade: bool = True) -> App:
        """Open the database and the body store. Raises StoreError.

        The database is upgraded if necessary, unless `upgrade` is False, and created unless
        `create` is False.
        """
        folder = config.storage.folder
        try:
            if create:
                _create_folder(folder)
            refuse_lost_database(config)
            store = Store.open(config.storage.url, create=create, upgrade=upgrade)
        except StoreError as error:
            from auditor.retention import suggest_newest_backup

            suggest_newest_backup(error, config)
            raise
        return cls(config, store, BodyStore(config.storage.evidence_folder))

    @property
    def data_folder(self) -> Path:
        """Return the folder of the lock, the keys and the evidence."""
        return self.config.storage.folder

    def create_fetcher(
        self, now: datetime, host_lock: HostLock | None = None, parsers: ParserPool | None = None
    ) -> Fetcher:
        """Return a fetcher whose pages are dated from `now`.

        With a `host_lock`, it shares hosts with other processes. `parsers` parses robots.txt.
        """
        return create_fetcher(self.config, now, host_lock, parsers)

    def create_parser_pool(self) -> ParserPool:
        """Return the worker processes that parse pages and can be killed."""
        return create_parser_pool(self.fork_server)

    @contextmanager
    def hold_run_lock(self) -> Iterator[None]:
        """Hold the run lock. Raises RunLockedError at once if another run holds it.

        The lock file is never removed: that would let a second holder in (tried 2026-10).
        """
        with lock_data_folder(self.data_folder), self.store.runs.try_leader_lock() as leads:
            if not leads:
                raise RunLockedError(
                    "another run is in progress",
                    "another machine coordinates it on this database",
                    "wait until it has finished",
                )
            yield

    def close(self) -> None:
        """Close the database."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


@contextmanager
def lock_data_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a data folder. Raises RunLockedError, StoreError."""
    from filelock import FileLock, Timeout

    file_lock = FileLock(folder / "run.lock")
    try:
        _create_folder(folder)
        file_lock.acquire(timeout=0)
    except Timeout:
        raise RunLockedError(
            "another run is in progress",
            f"{file_lock.lock_file} is held",
            "wait until it has finished",
        ) from None
    except OSError as error:
        raise build_file_error(error) from error
    try:
        yield
    finally:
        file_lock.release()


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise build_file_error(error, f"cannot create the folder {folder}") from error


def refuse_lost_database(config: Config) -> None:
    """Raise LostDatabaseError if there are backups but no database.

    A new database would hide the loss.
    """
    address = parse_database_url(config.storage.url)
    if address.get_backend_name() != "sqlite":
        return
    file = get_sqlite_file(address)
    try:
        has_file = file.exists()
    except OSError as error:
        raise build_file_error(error, f"cannot open the database {file}") from error
    if has_file:
        return
    from auditor.retention import list_backups

    if list_backups(config.backup.folder):
        raise LostDatabaseError(str(file), "there are backups but no database", RESTORE_REMEDY)


def create_fetcher(
    config: Config,
    now: datetime,
    host_lock: HostLock | None = None,
    parsers: ParserPool | None = None,
) -> Fetcher:
    """Return a fetcher without a store, as `auditor check` uses it."""
    from auditor.checking.checker import find_api_only_hosts
    from probes.http.fetcher import Fetcher
    from probes.links.channel_registry import find_host_kind

    if config.fetch.ca_file:
        validate_certificate_file(Path(config.fetch.ca_file))
    return Fetcher(
        config.fetch,
        now,
        api_only_hosts=find_api_only_hosts(config),
        find_host_kind=find_host_kind,
        host_lock=host_lock,
        parsers=parsers,
    )


def list_certificate_files(config: Config) -> list[tuple[str, Path]]:
    """Return the files of certificates in the settings, with the name of their table."""
    files = (("[fetch]", config.fetch.ca_file), ("[notify.smtp]", config.notify.smtp.ca_file))
    return [(table, Path(file)) for table, file in files if file]


def refuse_unusable_certificates(config: Config) -> None:
    """Raise ConfigError if a file of certificates cannot be used."""
    for table, file in list_certificate_files(config):
        validate_certificate_file(file, table)


def validate_certificate_file(file: Path, table: str = "[fetch]") -> None:
    """Raise ConfigError if a file of certificates cannot be used: no page could be requested."""
    subject = f"cannot use {table} ca_file {file}"
    try:
        file.read_bytes()  # an error of SSL does not name the file
        ssl.create_default_context(cafile=str(file))
    except ssl.SSLError:
        raise ConfigError(
            subject, "it contains no certificate", "a file of certificates in PEM format"
        ) from None
    except OSError as error:
        raise ConfigError(subject, *explain_file_error(error)) from None


def create_parser_pool(fork_server: ParserForkServer | None = None) -> ParserPool:
    """Return a pool with one worker per core except one, which the event loop needs."""
    from probes.runner.parser_pool import ParserPool

    return ParserPool(max(1, (os.cpu_count() or 2) - 1), fork_server=fork_server)
