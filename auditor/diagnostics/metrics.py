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
from auditor.cluster.health import load_queue_status
from auditor.retention.backups import find_newest_backup
from storage.errors import StoreError
from storage.models.audit import AuditRun, AuditRunState, GapKind
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.runs.cluster import QueueStatus
from storage.store import Store

MAX_COUNTED_STALE_SUMMARIES = 1000
"""Stale summaries are counted up to this number, which is enough for an alert."""

LabelledValues = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True, eq=False)
class MetricsCollector(Collector):
    """The metrics of an auditor at one moment; `is_scheduler_alive` is None without a scheduler."""

    app: App
    now: datetime
    is_scheduler_alive: bool | None = None

    def collect(self) -> Iterator[Gauge]:
        """Yield each metric with its description."""
        store, config = self.app.store, self.app.config
        yield _build_labelled_gauge(
            "build_info",
            "Version of the auditor and of Python",
            ("version", "python"),
            {(__version__, sys.version.split()[0]): 1},
        )
        if self.is_scheduler_alive is not None:
            yield _build_gauge(
                "scheduler_alive",
                "Whether the scheduler runs in this process",
                self.is_scheduler_alive,
            )
        yield from _collect_run_metrics(store, self.now)
        finished_run = store.runs.get_latest(AuditRunState.DONE)
        if finished_run:
            yield from _collect_run_report_metrics(finished_run, config.channels)
        yield from _collect_network_metrics(store, finished_run)
        queue = load_queue_status(store, config)
        if queue:
            yield from _collect_cluster_metrics(queue)
        yield from _collect_storage_metrics(self.app, self.now)


def render_metrics(collector: MetricsCollector) -> bytes:
    """Return the metrics, with those of the process, in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(collector)
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _build_gauge(name: str, description: str, value: float) -> Gauge:
    return Gauge(f"auditor_{name}", description, value=float(value))


def _build_labelled_gauge(
    name: str, description: str, label_names: Iterable[str], values: LabelledValues
) -> Gauge:
    gauge = Gauge(f"auditor_{name}", description, labels=list(label_names))
    for label_values, value in values.items():
        gauge.add_metric(list(label_values), float(value))
    return gauge


def _collect_run_metrics(store: Store, now: datetime) -> Iterator[Gauge]:
    """Yield the state of the newest run and the age of the newest finished run.

    A run that is dated in the future has no age, so the newest finished run before it counts.
    """
    newest = store.runs.get_latest()
    finished = store.runs.get_latest(AuditRunState.DONE, started_by=now + CLOCK_TOLERANCE)
    is_future = newest is not None and is_dated_in_future(newest, now)
    yield _build_gauge(
        "run_dated_in_future", "Whether the newest run is dated in the future", is_future
    )
    states: LabelledValues = {
        (state.value,): newest is not None and newest.state is state for state in AuditRunState
    }
    yield _build_labelled_gauge(
        "run_state", "The state of the newest run: 1 for its current state", ("state",), states
    )
    if newest:
        started_at = newest.started_at.timestamp()
        yield _build_gauge("run_start_timestamp_seconds", "When the newest run began", started_at)
    if finished:
        age = (now - (finished.finished_at or finished.started_at)).total_seconds()
        yield _build_gauge(
            "last_finished_run_age_seconds", "Time since the newest finished run ended", age
        )
        day = (finished.day.isoformat(),)
        yield _build_labelled_gauge(
            "last_finished_run_info", "The day (UTC) of the newest finished run", ("day",), {day: 1}
        )


def _collect_run_report_metrics(finished_run: AuditRun, channels: Iterable[str]) -> Iterator[Gauge]:
    """Yield the counts in the report of the newest finished run."""
    report = finished_run.report
    yield _build_gauge(
        "run_duration_seconds",
        "Duration of the newest finished run, over all its sessions",
        report.seconds,
    )
    accounts: dict[tuple[str, ...], float] = {}
    for channel, row in report.channels.items():
        for presence, count in row.items():
            accounts[channel, presence] = count
    yield _build_labelled_gauge(
        "run_accounts",
        "Accounts that the newest finished run checked",
        ("channel", "presence"),
        accounts,
    )
    unreliable: LabelledValues = {
        (channel,): channel in finished_run.unreliable_channels for channel in channels
    }
    yield _build_labelled_gauge(
        "run_channel_unreliable",
        "Whether a channel was unreliable in the newest finished run",
        ("channel",),
        unreliable,
    )
    skipped: LabelledValues = {
        (channel,): circuit.skipped for channel, circuit in report.opened_circuits.items()
    }
    meaning = "Accounts skipped because their platform refused requests"
    yield _build_labelled_gauge(
        "run_accounts_skipped_by_circuit_breaker", meaning, ("channel",), skipped
    )
    not_reached = finished_run.not_reached_count or 0
    yield _build_gauge(
        "run_accounts_not_reached",
        "Accounts not reached before the deadline of the run",
        not_reached,
    )
    for name, meaning, value in (
        ("requests", "Requests of the newest finished run", report.requests),
        ("retries", "Repeated requests of the newest finished run", report.retries),
        ("gaps_opened", "Gaps that the newest finished run opened", report.opened_gaps),
        ("gaps_closed", "Gaps that the newest finished run closed", report.closed_gaps),
    ):
        yield _build_gauge(f"run_{name}", meaning, value or 0)
    cost: LabelledValues = {
        (channel, usage.unit): usage.cost for channel, usage in report.apis.items()
    }
    yield _build_labelled_gauge(
        "run_api_cost",
        "Cost of the platform APIs in the newest finished run",
        ("channel", "unit"),
        cost,
    )


def _collect_network_metrics(store: Store, finished_run: AuditRun | None) -> Iterator[Gauge]:
    """Yield the size of the network, its open gaps and its pending work."""
    counts_by_group = store.counts.get_facet_counts_by_group([NETWORK_GROUP], [ALL_FACET])
    association_count = counts_by_group[NETWORK_GROUP].get(ALL_FACET, 0)
    yield _build_gauge("associations", "Associations in the registry", association_count)
    open_gaps = store.counts.count_open_gaps()
    gaps: LabelledValues = {(kind.value,): open_gaps.get(kind, 0) for kind in GapKind}
    yield _build_labelled_gauge("gaps_open", "Open gaps", ("kind",), gaps)
    unsent = store.messages.count_failures(finished_run.started_at) if finished_run else 0
    yield _build_gauge("unsent_messages", "Messages not sent since the newest finished run", unsent)
    stale = len(store.summaries.list_stale(MAX_COUNTED_STALE_SUMMARIES))
    yield _build_gauge(
        "stale_summaries",
        f"Summaries to compute again, at most {MAX_COUNTED_STALE_SUMMARIES}",
        stale,
    )


def _collect_cluster_metrics(queue: QueueStatus) -> Iterator[Gauge]:
    """Yield the jobs in the queue and the number of workers."""
    jobs: LabelledValues = {
        ("todo",): queue.waiting_jobs,
        ("doing",): queue.running_jobs,
        ("failed",): queue.failed_jobs,
    }
    yield _build_labelled_gauge("cluster_jobs", "Jobs in the queue", ("state",), jobs)
    yield _build_gauge(
        "cluster_oldest_job_seconds",
        "Waiting time of the oldest job",
        queue.oldest_wait_seconds or 0,
    )
    yield _build_gauge(
        "cluster_stalled_jobs", "Jobs of workers without a heartbeat", queue.stalled_jobs
    )
    yield _build_gauge("cluster_active_workers", "Active workers", queue.active_workers)


def _collect_storage_metrics(app: App, now: datetime) -> Iterator[Gauge]:
    """Yield the size of the database, the time of the backup and the free disk space."""
    revision = app.store.get_schema_revision() or ""
    if revision.isdigit():
        yield _build_gauge("database_schema", "The revision of the database", int(revision))
    yield _build_gauge("database_bytes", "The size of the database", app.store.get_database_size())
    newest = None
    with suppress(StoreError):  # a folder that cannot be read
        newest = find_newest_backup(app.config.backup.folder, now)
    if newest:
        created_at = newest.created_at.timestamp()
        yield _build_gauge(
            "backup_timestamp_seconds", "When the newest backup was made", created_at
        )
    with suppress(OSError):  # a missing folder has no disk
        free = shutil.disk_usage(app.data_folder).free
        yield _build_gauge("disk_free_bytes", "Free space on the disk of the data folder", free)
