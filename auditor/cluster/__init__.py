"""Spread one run over many machines: a coordinator fills a job queue, and workers check accounts.

Start with `coordinator` and `worker`. Only this package knows the queue; a single machine needs
none of it. Reasons: docs/decisions/0026-frontier-and-cluster.md.

Page bodies are stored in one data folder that all machines mount. A token in the folder shows a
worker that it has the coordinator's folder.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from auditor.core.errors import ConfigError
from storage.errors import build_install_command

if TYPE_CHECKING:
    from auditor.app import App
    from auditor.config.schema import Config
    from auditor.runs.frontier import Coordinator, Frontier, QueueStatus
    from auditor.runs.state import RunDeadline
    from probes.http.host_state import HostLock
    from probes.runner.api_batcher import ApiBudget

CLUSTER_INSTALL_COMMAND = build_install_command("presence-auditor[cluster]")
"""Installs the job queue, which is an optional extra."""
CLUSTER_MODULES = ("procrastinate", "psycopg_pool")
"""The modules of the extra."""
FOLDER_MARKER_FILE = "folder.token"
"""The file in the data folder that has its token. Each session of a run writes a new one."""


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
            from auditor.cluster.host_lock import DatabaseHostLock  # noqa: PLC0415
        async with DatabaseHostLock(self.config.storage.url) as host_lock:
            yield host_lock

    @asynccontextmanager
    async def open_coordinator(
        self,
        app: App,
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
            from auditor.cluster.job_queue import open_job_queue  # noqa: PLC0415
        async with open_job_queue(self.config.storage.url) as queue:
            coordinator = ClusterCoordinator(
                app, frontier, deadline, queue, api_budgets=api_budgets, on_progress=on_progress
            )
            await coordinator.open_run()
            try:
                yield coordinator
            finally:
                await coordinator.close_run()

    def load_queue_status(self) -> QueueStatus | None:
        """Return the state of the queue, or None before there is one. Raises StoreError."""
        with require_cluster_extra():
            # Imported here, because the extra is not installed on a single machine.
            from auditor.cluster.job_queue import open_job_queue  # noqa: PLC0415

        async def load() -> QueueStatus | None:
            async with open_job_queue(self.config.storage.url) as queue:
                if not await queue.has_tables():
                    return None
                return await queue.load_status(self.config.cluster.stalled_after_seconds)

        return asyncio.run(load())


def get_worker_cluster(config: Config) -> ProcrastinateCluster | None:
    """Return the configured cluster, or None on a single machine."""
    return ProcrastinateCluster(config) if config.cluster.enabled else None


def list_cluster_checks(config: Config) -> Iterator[tuple[str, Iterable[tuple[str, str]]]]:
    """Yield what `auditor doctor` checks of a cluster: the extra and the queue."""
    cluster = get_worker_cluster(config)
    if cluster is None:
        return
    missing = [name for name in CLUSTER_MODULES if find_spec(name) is None]
    if missing:
        text = f"{' and '.join(missing)} missing: `{CLUSTER_INSTALL_COMMAND}`"
        yield "many machines", [("fail", text)]
        return
    yield "many machines", _check_queue(cluster)


def _check_queue(cluster: ProcrastinateCluster) -> Iterator[tuple[str, str]]:
    queue = cluster.load_queue_status()
    if queue is None:
        yield "warn", "no queue yet; `auditor run` creates it"
    elif not queue.active_workers:
        yield "warn", "no worker is running; `auditor worker` starts one"
    else:
        jobs = f"queued: {queue.waiting_jobs}, running: {queue.running_jobs}"
        counts = f"active workers: {queue.active_workers}; jobs {jobs}"
        has_problem = queue.stalled_jobs or queue.failed_jobs
        yield "warn" if has_problem else "ok", f"{counts}, stalled: {queue.stalled_jobs}"


def read_folder_token(folder: Path) -> str:
    """Return the token of a data folder, or "" if it has none."""
    try:
        return (folder / FOLDER_MARKER_FILE).read_text("ascii")
    except OSError:
        return ""
