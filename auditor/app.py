"""The composition root: from a configuration to the store, the archive, the fetcher and the readers."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from types import TracebackType
from typing import Self

from filelock import FileLock, Timeout

from auditor.checking.checker import find_api_only_hosts
from auditor.config.schema import Config
from auditor.core.errors import RunLockedError
from auditor.receipts.signing import SigningKey
from auditor.retention.backups import list_backups, suggest_newest_backup
from probes.http.fetcher import Fetcher
from probes.http.host_state import HostLock
from probes.runner.parser_pool import ParserForkServer, ParserPool
from storage.database.engine import get_sqlite_file, parse_database_url
from storage.errors import RESTORE_REMEDY, MissingDatabaseError, StoreError
from storage.files.body_store import BodyStore
from storage.store import Store


@dataclass(frozen=True, slots=True)
class App:
    """What a command works with. Close it, or use it as a context.

    A `workshop` is kept by who does many nights on end; each night has its own otherwise.
    """

    config: Config
    store: Store
    body_store: BodyStore
    fork_server: ParserForkServer | None = None

    @classmethod
    def open(cls, config: Config, *, create: bool = True) -> App:
        """Open the database (migrated where needed, and made unless `create` is False) and the archive.

        Raises StoreError.
        """
        folder = config.storage.folder
        with suggest_newest_backup(config):
            if create:
                _refuse_lost_database(config)
                _create_folder(folder)
            store = Store.open(config.storage.url, create=create)
        return cls(config, store, BodyStore(folder / "archive"))

    @property
    def data_folder(self) -> Path:
        """Where the lock, the key and the archive lie."""
        return self.config.storage.folder

    def open_signing_key(self) -> SigningKey:
        """The key that signs receipts. Raises ConfigError."""
        return SigningKey.open(self.data_folder)

    def create_fetcher(self, now: datetime, host_lock: HostLock | None = None) -> Fetcher:
        """A polite fetcher whose pages are dated from `now`; with `turns` among several processes."""
        return create_fetcher(self.config, now, host_lock)

    def create_parser_pool(self) -> ParserPool:
        """The workers that parse bodies, where a hung one can be stopped."""
        return create_parser_pool(self.fork_server)

    @contextmanager
    def hold_run_lock(self) -> Iterator[None]:
        """Hold the night's lock, or raise LockedError at once.

        The file is never removed: whoever deleted it would let a second holder in (tried 2026-10).
        """
        with lock_data_folder(self.data_folder), self.store.try_leader_lock() as leads:
            if not leads:
                raise RunLockedError(
                    "another run is going on",
                    "a machine leads one on this database",
                    "wait for its end",
                )
            yield

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()


@contextmanager
def lock_data_folder(folder: Path) -> Iterator[None]:
    """Hold the lock of a data folder; see `App.lock`. Raises LockedError, StoreError."""
    held = FileLock(folder / "run.lock")
    try:
        _create_folder(folder)
        held.acquire(timeout=0)
    except Timeout:
        raise RunLockedError(
            "another run is going on", f"{held.lock_file} is held", "wait for its end"
        ) from None
    except OSError as trouble:
        raise _build_unwritable_error(folder, trouble) from trouble
    try:
        yield
    finally:
        held.release()


def _create_folder(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise _build_unwritable_error(folder, trouble) from trouble


def _build_unwritable_error(folder: Path, error: OSError) -> StoreError:
    remedy = "give the auditor the right to write there, or mount that disk for writing"
    return StoreError(str(folder), (error.strerror or "it cannot be written").lower(), remedy)


def _refuse_lost_database(config: Config) -> None:
    """Raise MissingDatabaseError where one was lost, as its backups tell: an empty one would hide that."""
    address = parse_database_url(config.storage.url)
    if address.get_backend_name() != "sqlite" or get_sqlite_file(address).exists():
        return
    if list_backups(config.backup.folder):
        why = "there is no database, though there are backups of one"
        raise MissingDatabaseError(str(get_sqlite_file(address)), why, RESTORE_REMEDY)


def create_fetcher(config: Config, now: datetime, host_lock: HostLock | None = None) -> Fetcher:
    """A polite fetcher without a store: what `auditor check` uses."""
    return Fetcher(
        config.fetch, now, api_only_hosts=find_api_only_hosts(config), host_lock=host_lock
    )


def create_parser_pool(fork_server: ParserForkServer | None = None) -> ParserPool:
    """One worker for each core but one: parsing is what costs, the loop needs the rest."""
    return ParserPool(max(1, (os.cpu_count() or 2) - 1), fork_server=fork_server)
