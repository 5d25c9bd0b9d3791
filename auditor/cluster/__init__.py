"""Spread one run over many machines: a coordinator fills a job queue, and workers check accounts.

Start with `coordinator` and `worker`. Only this package knows the queue; a single machine needs
none of it. Reasons: docs/decisions/0026-cluster-runs.md.
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
    from auditor.runs.account_worker import RunDeadline
    from auditor.runs.run import Coordinator
    from probes.http.host_state import HostLock
    from probes.runner.api_batcher import ApiBudget
    from storage.models.audit import AuditRun

CLUSTER_INSTALL_COMMAND = "pip install 'presence-auditor[cluster]'"
"""Installs the job queue, which is an optional extra."""


@contextmanager
def require_cluster_extra() -> Iterator[None]:
    """Import the job queue inside this block. Raises ConfigError if it is not installed."""
    try:
        yield
    except ModuleNotFoundError as error:
        raise ConfigError(
            "[cluster] enabled", f"{error.name} is not installed", CLUSTER_INSTALL_COMMAND
        ) from None


@dataclass(frozen=True, slots=True)
class ProcrastinateCluster:
    """The machines that share a run, with Procrastinate as their job queue.

    Implements `auditor.runs.run.WorkerCluster`.
    """

    config: Config

    @asynccontextmanager
    async def open_host_lock(self) -> AsyncIterator[HostLock]:
        """Open the host locks that the machines share. Raises ConfigError."""
        with require_cluster_extra():
            # Imported here, because the extra is not installed on a single machine.
            from storage.database.engine import parse_database_url  # noqa: PLC0415
            from storage.runs.host_lock import DatabaseHostLock  # noqa: PLC0415
        async with DatabaseHostLock(parse_database_url(self.config.storage.url)) as host_lock:
            yield host_lock

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
        """Return the coordinator of a run. Raises ConfigError."""
        with require_cluster_extra():
            # Imported here, because the extra is not installed on a single machine.
            from auditor.cluster.coordinator import ClusterCoordinator  # noqa: PLC0415
        return ClusterCoordinator(
            app,
            run,
            deadline,
            circuit_breakers=circuit_breakers,
            api_budgets=api_budgets,
            on_progress=on_progress,
        )


def get_worker_cluster(config: Config) -> ProcrastinateCluster | None:
    """Return the configured cluster, or None on a single machine."""
    return ProcrastinateCluster(config) if config.cluster.enabled else None
