"""Collect the metrics of `GET /metrics` from the store and the newest run report."""

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from auditor import __version__
from auditor.app import App
from auditor.checking.clock import CLOCK_TOLERANCE, is_dated_in_future
from auditor.retention import find_newest_backup
from auditor.runs.frontier import QueueStatus, WorkerCluster
from storage.errors import StoreError
from storage.models.audit import AuditRun, AuditRunState, GapKind
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.store import Store

MAX_COUNTED_STALE_SUMMARIES = 1000
"""Stale summaries are counted up to this number, which is enough for an alert."""

Values = float | Mapping[str, float] | Mapping[tuple[str, str], float] | None
"""One value, or values by one label or two. None is no metric."""
Metric = tuple[str, str, tuple[str, ...], Values]
"""A name, its description, the names of its labels, and its values."""

REPORT_FIELDS = {
    "seconds": ("duration_seconds", "Duration of the newest finished run, over all its sessions"),
    "requests": ("requests", "Requests of the newest finished run"),
    "retries": ("retries", "Repeated requests of the newest finished run"),
    "opened_gaps": ("gaps_opened", "Gaps that the newest finished run opened"),
    "closed_gaps": ("gaps_closed", "Gaps that the newest finished run closed"),
    "not_reached": ("accounts_not_reached", "Accounts not reached before the deadline of the run"),
}
"""The numeric fields of the run report that are metrics."""


@dataclass(frozen=True, slots=True, eq=False)
class MetricsCollector(Collector):
    """The metrics of an auditor at one moment; `is_scheduler_alive` is None without a scheduler."""

    app: App
    now: datetime
    is_scheduler_alive: bool | None = None
    cluster: WorkerCluster | None = None

    def collect(self) -> Iterator[Gauge]:
        """Yield each metric with its description."""
        for name, description, labels, values in self._list_metrics():
            if values is None:
                continue
            gauge = Gauge(f"auditor_{name}", description, labels=labels)
            for key, value in values.items() if isinstance(values, Mapping) else [((), values)]:
                gauge.add_metric([key] if isinstance(key, str) else key, float(value))
            yield gauge

    def _list_metrics(self) -> Iterator[Metric]:
        store, config = self.app.store, self.app.config
        yield (
            "build_info",
            "Version of the auditor and of Python",
            ("version", "python"),
            {(__version__, sys.version.split()[0]): 1},
        )
        is_alive, text = self.is_scheduler_alive, "Whether the scheduler runs in this process"
        yield "scheduler_alive", text, (), is_alive
        yield from _list_run_metrics(store, self.now)
        finished_run = store.runs.get_latest(AuditRunState.DONE)
        if finished_run:
            yield from _list_report_metrics(finished_run, config.channels)
        yield from _list_network_metrics(store, finished_run)
        if self.cluster is not None and (queue := self.cluster.load_queue_status()):
            yield from _list_cluster_metrics(queue)
        yield from _list_storage_metrics(self.app, self.now)


def render_metrics(collector: MetricsCollector) -> bytes:
    """Return the metrics, with those of the process, in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _list_run_metrics(store: Store, now: datetime) -> Iterator[Metric]:
    """Yield the state of the newest run and the age of the newest finished run.

    A run that is dated in the future has no age, so the newest finished run before it counts.
    """
    newest = store.runs.get_latest()
    finished = store.runs.get_latest(AuditRunState.DONE, started_by=now + CLOCK_TOLERANCE)
    is_future = newest is not None and is_dated_in_future(newest, now)
    yield "run_dated_in_future", "Whether the newest run is dated in the future", (), is_future
    states = {state.value: newest is not None and newest.state is state for state in AuditRunState}
    yield "run_state", "The state of the newest run: 1 for its current state", ("state",), states
    if newest:
        started_at = newest.started_at.timestamp()
        yield "run_start_timestamp_seconds", "When the newest run began", (), started_at
    if finished:
        age = (now - (finished.finished_at or finished.started_at)).total_seconds()
        meaning = "Time since the newest finished run ended"
        yield "last_finished_run_age_seconds", meaning, (), age
        meaning, day = "The day (UTC) of the newest finished run", finished.day.isoformat()
        yield "last_finished_run_info", meaning, ("day",), {day: 1}


def _list_report_metrics(finished_run: AuditRun, channels: Iterable[str]) -> Iterator[Metric]:
    """Yield the counts in the report of the newest finished run."""
    report = finished_run.report
    for field, (name, meaning) in REPORT_FIELDS.items():
        yield f"run_{name}", meaning, (), getattr(report, field) or 0
    accounts = {
        (channel, presence): count
        for channel, row in report.channels.items()
        for presence, count in row.items()
    }
    meaning = "Accounts that the newest finished run checked"
    yield "run_accounts", meaning, ("channel", "presence"), accounts
    unreliable = {channel: channel in finished_run.unreliable_channels for channel in channels}
    meaning = "Whether a channel was unreliable in the newest finished run"
    yield "run_channel_unreliable", meaning, ("channel",), unreliable
    skipped = {channel: circuit.skipped for channel, circuit in report.opened_circuits.items()}
    meaning = "Accounts skipped because their platform refused requests"
    yield "run_accounts_skipped_by_circuit_breaker", meaning, ("channel",), skipped
    cost = {(channel, usage.unit): usage.cost for channel, usage in report.apis.items()}
    meaning = "Cost of the platform APIs in the newest finished run"
    yield "run_api_cost", meaning, ("channel", "unit"), cost


def _list_network_metrics(store: Store, finished_run: AuditRun | None) -> Iterator[Metric]:
    """Yield the size of the network, its open gaps and its pending work."""
    counts_by_group = store.counts.get_facet_counts_by_group([NETWORK_GROUP], [ALL_FACET])
    association_count = counts_by_group[NETWORK_GROUP].get(ALL_FACET, 0)
    yield "associations", "Associations in the registry", (), association_count
    open_gaps = store.counts.count_open_gaps()
    gaps = {kind.value: open_gaps.get(kind, 0) for kind in GapKind}
    yield "gaps_open", "Open gaps", ("kind",), gaps
    unsent = store.messages.count_failures(finished_run.started_at) if finished_run else 0
    yield "unsent_messages", "Messages not sent since the newest finished run", (), unsent
    stale = len(store.summaries.list_stale(MAX_COUNTED_STALE_SUMMARIES))
    meaning = f"Summaries to compute again, at most {MAX_COUNTED_STALE_SUMMARIES}"
    yield "stale_summaries", meaning, (), stale


def _list_cluster_metrics(queue: QueueStatus) -> Iterator[Metric]:
    """Yield the jobs in the queue and the number of workers."""
    jobs = {"todo": queue.waiting_jobs, "doing": queue.running_jobs, "failed": queue.failed_jobs}
    yield "cluster_jobs", "Jobs in the queue", ("state",), jobs
    wait = queue.oldest_wait_seconds or 0
    yield "cluster_oldest_job_seconds", "Waiting time of the oldest job", (), wait
    yield "cluster_stalled_jobs", "Jobs of workers without a heartbeat", (), queue.stalled_jobs
    yield "cluster_active_workers", "Active workers", (), queue.active_workers


def _list_storage_metrics(app: App, now: datetime) -> Iterator[Metric]:
    """Yield the size of the database, the time of the backup and the free disk space."""
    revision = app.store.get_schema_revision() or ""
    if revision.isdigit():
        yield "database_schema", "The revision of the database", (), int(revision)
    yield "database_bytes", "The size of the database", (), app.store.get_database_size()
    newest = None
    with suppress(StoreError):  # a folder that cannot be read
        newest = find_newest_backup(app.config.backup.folder, now)
    if newest:
        created_at = newest.created_at.timestamp()
        yield "backup_timestamp_seconds", "When the newest backup was made", (), created_at
    with suppress(OSError):  # a missing folder has no disk
        free = shutil.disk_usage(app.data_folder).free
        yield "disk_free_bytes", "Free space on the disk of the data folder", (), free
