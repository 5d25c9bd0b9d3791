"""What a night and a rebuild work with; `auditor.app.App` is both, and tests have smaller ones."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import Protocol

from auditor.config.schema import Config
from auditor.receipts.signing import SigningKey
from probes.http.fetcher import Fetcher
from probes.http.host_state import HostLock
from probes.runner.parser_pool import ParserPool
from storage.files.body_store import BodyStore
from storage.store import Store


class EvaluationContext(Protocol):
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
    def body_store(self) -> BodyStore:
        """Where bodies are kept."""
        ...


class RunContext(EvaluationContext, Protocol):
    """What a night works with."""

    def open_signing_key(self) -> SigningKey:
        """What signs its receipt. Raises ConfigError."""
        ...

    def create_fetcher(self, now: datetime, host_lock: HostLock | None = None) -> Fetcher:
        """What asks for pages; with `turns` among several processes."""
        ...

    def create_parser_pool(self) -> ParserPool:
        """What parses them."""
        ...


class LockableRunContext(RunContext, Protocol):
    """The same with the lock of runs."""

    def hold_run_lock(self) -> AbstractContextManager[None]:
        """Hold it. Raises LockedError."""
        ...
