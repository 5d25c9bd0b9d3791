"""What a night and a rebuild work with; `auditor.app.App` is both, and tests have smaller ones."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from auditor.config.schema import Config
from auditor.receipts.signing import Seal
from probes.http.fetcher import Fetcher
from probes.http.host_state import Turns
from probes.runner.parser_pool import ReaderPool
from storage.files.body_store import Archive
from storage.store import Store


class Memory(Protocol):
    """What a rebuild works with."""

    @property
    def config(self) -> Config:
        """By what it is judged."""
        ...

    @property
    def store(self) -> Store:
        """Where it is remembered."""
        ...

    @property
    def archive(self) -> Archive:
        """Where bodies are kept."""
        ...


class Tools(Memory, Protocol):
    """What a night works with."""

    def seal(self) -> Seal:
        """What signs its receipt. Raises ConfigError."""
        ...

    def fetcher(self, now: datetime, turns: Turns | None = None) -> Fetcher:
        """What asks for pages; with `turns` among several processes."""
        ...

    def readers(self) -> ReaderPool:
        """What parses them."""
        ...


class RunContext(Tools, Protocol):
    """The same with the lock of runs."""

    def lock(self) -> AbstractContextManager[None]:
        """Hold it. Raises LockedError."""
        ...
