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
from storage.errors import build_install_command

if TYPE_CHECKING:
    from auditor.config.schema import Config
    from auditor.protocols import RunContext
    from auditor.runs.frontier import Coordinator, Frontier
    from auditor.runs.state import RunDeadline
    from probes.http.host_state import HostLock
    from probes.runner.api_batcher import ApiBudget

CLUSTER_INSTALL_COMMAND = build_install_command("presence-auditor[cluster]")
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

    Implements `auditor.runs.frontier.WorkerCluster`.
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

    @asynccontextmanager
    async def open_coordinator(
        self,
        app: RunContext,
        frontier: Frontier,
        deadline: RunDeadline,
        *,
        api_budgets: Mapping[str, ApiBudget],
        on_progress: Callable[[int], None],
    ) -> AsyncIterator[Coordinator]:
        """Open the job queue of a run. Leaves no job in it. Raises ConfigError."""
        with require_cluster_extra():
            # Imported here, because the extra is not installed on a single machine.
            from auditor.cluster.coordinator import ClusterCoordinator  # noqa: PLC0415
        async with ClusterCoordinator(
            app, frontier, deadline, api_budgets=api_budgets, on_progress=on_progress
        ) as coordinator:
            yield coordinator


def get_worker_cluster(config: Config) -> ProcrastinateCluster | None:
    """Return the configured cluster, or None on a single machine."""
    return ProcrastinateCluster(config) if config.cluster.enabled else None
