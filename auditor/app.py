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

from auditor.checking.checker import shut
from auditor.config.schema import Config
from auditor.core.errors import LockedError
from auditor.receipts.signing import Seal
from auditor.retention.backups import listed, naming_the_newest
from probes.http.fetcher import Fetcher
from probes.http.host_state import Turns
from probes.runner.parser_pool import ReaderPool, Workshop
from storage.database.engine import address_of, file_of
from storage.errors import RESTORE, MissingDatabaseError, StoreError
from storage.files.body_store import Archive
from storage.store import Store


@dataclass(frozen=True, slots=True)
class App:
    """What a command works with. Close it, or use it as a context.

    A `workshop` is kept by who does many nights on end; each night has its own otherwise.
    """

    config: Config
    store: Store
    archive: Archive
    workshop: Workshop | None = None

    @classmethod
    def open(cls, config: Config, *, create: bool = True) -> App:
        """Open the database (migrated where needed, and made unless `create` is False) and the archive.

        Raises StoreError.
        """
        folder = config.storage.folder
        with naming_the_newest(config):
            if create:
                _refuse_anew(config)
                _made(folder)
            store = Store.open(config.storage.url, create=create)
        return cls(config, store, Archive(folder / "archive"))

    @property
    def folder(self) -> Path:
        """Where the lock, the key and the archive lie."""
        return self.config.storage.folder

    def seal(self) -> Seal:
        """The key that signs receipts. Raises ConfigError."""
        return Seal.open(self.folder)

    def fetcher(self, now: datetime, turns: Turns | None = None) -> Fetcher:
        """A polite fetcher whose pages are dated from `now`; with `turns` among several processes."""
        return fetcher(self.config, now, turns)

    def readers(self) -> ReaderPool:
        """The workers that parse bodies, where a hung one can be stopped."""
        return readers(self.workshop)

    @contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the night's lock, or raise LockedError at once.

        The file is never removed: whoever deleted it would let a second holder in (tried 2026-10).
        """
        with locked(self.folder), self.store.leading() as leads:
            if not leads:
                raise LockedError(
                    "another run is going on", "a machine leads one on this database", "wait for its end"
                )
            yield

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a data folder; see `App.lock`. Raises LockedError, StoreError."""
    held = FileLock(folder / "night.lock")
    try:
        _made(folder)
        held.acquire(timeout=0)
    except Timeout:
        raise LockedError(
            "another run is going on", f"{held.lock_file} is held", "wait for its end"
        ) from None
    except OSError as trouble:
        raise _unwritable(folder, trouble) from trouble
    try:
        yield
    finally:
        held.release()


def _made(folder: Path) -> None:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as trouble:
        raise _unwritable(folder, trouble) from trouble


def _unwritable(folder: Path, trouble: OSError) -> StoreError:
    remedy = "give the auditor the right to write there, or mount that disk for writing"
    return StoreError(str(folder), (trouble.strerror or "it cannot be written").lower(), remedy)


def _refuse_anew(config: Config) -> None:
    """Raise MissingDatabaseError where one was lost, as its backups tell: an empty one would hide that."""
    address = address_of(config.storage.url)
    if address.get_backend_name() != "sqlite" or file_of(address).exists():
        return
    if listed(config.backup.folder):
        why = "there is no database, though there are backups of one"
        raise MissingDatabaseError(str(file_of(address)), why, RESTORE)


def fetcher(config: Config, now: datetime, turns: Turns | None = None) -> Fetcher:
    """A polite fetcher without a store: what `auditor check` uses."""
    return Fetcher(config.fetch, now, shut=shut(config), turns=turns)


def readers(workshop: Workshop | None = None) -> ReaderPool:
    """One worker for each core but one: parsing is what costs, the loop needs the rest."""
    return ReaderPool(max(1, (os.cpu_count() or 2) - 1), workshop=workshop)
