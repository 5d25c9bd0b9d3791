"""Spread one run over many machines: a coordinator fills a job queue and workers check accounts.

Reasons: docs/decisions/0026-cluster-runs.md. Start with `coordinator` and `worker`. Only this package
knows the queue; on one machine it is not needed.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING

from auditor.core.errors import ConfigError

if TYPE_CHECKING:
    from auditor.checking.circuit_breaker import CircuitBreaker
    from auditor.config.schema import Config
    from auditor.protocols import RunContext
    from auditor.runs.deadline import RunDeadline
    from auditor.runs.run import Coordinator
    from probes.http.host_state import HostLock
    from probes.runner.api_batcher import ApiBudget
    from storage.models.audit import AuditRun

CLUSTER_INSTALL_COMMAND = "pip install 'presence-auditor[cluster]'"
"""What brings the queue, an extra: one machine needs none."""


@contextmanager
def require_cluster_extra() -> Iterator[None]:
    """Within it, import what needs the queue. Raises ConfigError where it is not installed."""
    try:
        yield
    except ModuleNotFoundError as missing:
        raise ConfigError(
            "[cluster] enabled", f"{missing.name} is not installed", CLUSTER_INSTALL_COMMAND
        ) from None


@dataclass(frozen=True, slots=True)
class ProcrastinateCluster:
    """The machines that a run is shared with, as `auditor.runs.run.WorkerCluster` wants them."""

    config: Config

    @asynccontextmanager
    async def open_host_lock(self) -> AsyncIterator[HostLock]:
        """The turns with hosts that they share. Raises ConfigError."""
        with require_cluster_extra():
            from storage.database.engine import parse_database_url  # noqa: PLC0415 - a command of one machine needs none
            from storage.runs.host_lock import DatabaseHostLock  # noqa: PLC0415 - an extra: one machine needs no turns
        async with DatabaseHostLock(parse_database_url(self.config.storage.url)) as shared:
            yield shared

    def create_coordinator(
        self,
        app: RunContext,
        run: AuditRun,
        deadline: RunDeadline,
        *,
        circuit_breakers: Mapping[str, CircuitBreaker],
        api_budgets: Mapping[str, ApiBudget],
        on_progress: Callable[[int], None],
    ) -> Coordinator:
        """Who lets workers look. Raises ConfigError."""
        with require_cluster_extra():
            from auditor.cluster.coordinator import ClusterCoordinator  # noqa: PLC0415 - an extra: one machine needs no queue
        return ClusterCoordinator(
            app,
            run,
            deadline,
            circuit_breakers=circuit_breakers,
            api_budgets=api_budgets,
            on_progress=on_progress,
        )


def get_worker_cluster(config: Config) -> ProcrastinateCluster | None:
    """The machines that runs are shared with, where the configuration says so."""
    return ProcrastinateCluster(config) if config.cluster.enabled else None
