"""Interfaces that runs and re-evaluation need. `auditor.app.App` provides them."""

from __future__ import annotations

from contextlib import AbstractContextManager
from datetime import datetime
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from auditor.config.schema import Config
    from probes.http.fetcher import Fetcher
    from probes.http.host_state import HostLock
    from probes.runner.parser_pool import ParserPool
    from storage.files.body_store import BodyStore
    from storage.store import Store


class EvaluationContext(Protocol):
    """The objects that a re-evaluation needs."""

    @property
    def config(self) -> Config:
        """Return the configuration."""
        ...

    @property
    def store(self) -> Store:
        """Return the store."""
        ...

    @property
    def body_store(self) -> BodyStore:
        """Return the store of page bodies."""
        ...


class RunContext(EvaluationContext, Protocol):
    """The objects that a run needs."""

    def create_fetcher(
        self, now: datetime, host_lock: HostLock | None = None, parsers: ParserPool | None = None
    ) -> Fetcher:
        """Return a fetcher; `host_lock` shares hosts with other processes.

        `parsers` parses robots.txt.
        """
        ...

    def create_parser_pool(self) -> ParserPool:
        """Return the workers that parse pages."""
        ...


class LockableRunContext(RunContext, Protocol):
    """A run context with the run lock."""

    def hold_run_lock(self) -> AbstractContextManager[None]:
        """Hold the run lock. Raises RunLockedError."""
        ...
