"""What a monitor reads, as Prometheus writes it: the last night, what is open, and how this machine is.

Everything is read when it is asked for, by a handful of small queries: sums that are kept anyway, rows of
nights. Nothing is counted in this process alone, so it does not matter which of several did the night.
"""

from __future__ import annotations

import shutil
import sys
from collections.abc import Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest
from prometheus_client.core import GaugeMetricFamily as Gauge
from prometheus_client.registry import Collector

from auditor import __version__
from auditor.app import App
from auditor.checking.circuit_breaker import OPENED_CIRCUITS_KEY
from auditor.checking.clock import CLOCK_TOLERANCE, is_dated_in_future
from auditor.cluster.job_queue import QueueHealth, load_queue_health
from auditor.receipts.receipt import count_not_reached
from auditor.retention.backups import find_newest_backup
from storage.models.audit import SEVERITIES, AuditRun, AuditRunState
from storage.models.summaries import ALL_FACET, NETWORK_GROUP
from storage.store import Store

MAX_COUNTED_STALE_SUMMARIES = 1000
"""Stale summaries are counted so far: whether there are more, a monitor need not know."""

LabelledValues = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True, eq=False)
class MetricsCollector(Collector):
    """The figures of an auditor at a moment; `alive` says whether its schedule lives, None without one."""

    app: App
    now: datetime
    is_scheduler_alive: bool | None = None

    def collect(self) -> Iterator[Gauge]:
        """Each figure with what it means."""
        store, config = self.app.store, self.app.config
        yield _build_labelled_gauge(
            "build_info",
            "What runs here",
            ("version", "python"),
            {(__version__, sys.version.split()[0]): 1},
        )
        if self.is_scheduler_alive is not None:
            yield _build_gauge(
                "schedule_alive",
                "Whether the schedule of nights lives in this process",
                self.is_scheduler_alive,
            )
        yield from _collect_run_metrics(store, self.now)
        if done := store.get_latest_run(AuditRunState.DONE):
            yield from _collect_receipt_metrics(done, config.channels)
        yield from _collect_network_metrics(store, done)
        if seen := load_queue_health(store, config):
            yield from _collect_cluster_metrics(seen)
        yield from _collect_storage_metrics(self.app, self.now)


def render_metrics(collector: MetricsCollector) -> bytes:
    """The figures, with those of the process, in the text format of Prometheus."""
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
    for named, value in values.items():
        gauge.add_metric(list(named), float(value))
    return gauge


def _collect_run_metrics(store: Store, now: datetime) -> Iterator[Gauge]:
    """Yield the newest run, whatever became of it, and how old the newest good one is.

    A run that is dated in the future has no age, so the newest good one before it counts.
    """
    last = store.get_latest_run()
    done = store.get_latest_run(AuditRunState.DONE, started_by=now + CLOCK_TOLERANCE)
    is_future = last is not None and is_dated_in_future(last, now)
    yield _build_gauge(
        "run_dated_in_future", "Whether the newest run is dated in the future", is_future
    )
    states: LabelledValues = {
        (state.value,): last is not None and last.state is state for state in AuditRunState
    }
    yield _build_labelled_gauge(
        "night_state", "The state of the newest night: 1 for the one it is in", ("state",), states
    )
    if last:
        began = last.started_at.timestamp()
        yield _build_gauge("night_start_timestamp_seconds", "When the newest night began", began)
    if done:
        age = (now - (done.finished_at or done.started_at)).total_seconds()
        yield _build_gauge(
            "night_done_age_seconds", "Since when the newest night that is done is done", age
        )
        day = (done.day.isoformat(),)
        yield _build_labelled_gauge(
            "night_done_info",
            "The day (UTC) of the newest night that is done",
            ("night",),
            {day: 1},
        )


def _collect_receipt_metrics(finished_run: AuditRun, channels: Iterable[str]) -> Iterator[Gauge]:
    """What the receipt of the newest night that is done tells."""
    told: Mapping[str, Any] = finished_run.receipt
    yield _build_gauge(
        "night_duration_seconds",
        "How long it worked, all its sessions together",
        told.get("seconds", 0),
    )
    yield _build_labelled_gauge(
        "night_accounts",
        "Accounts it looked at",
        ("channel", "presence"),
        {
            (channel, presence): count
            for channel, row in told.get("channels", {}).items()
            for presence, count in row.items()
        },
    )
    blind: LabelledValues = {
        (channel,): channel in finished_run.unreliable_channels for channel in channels
    }
    yield _build_labelled_gauge(
        "night_blind", "Whether a channel was distrusted that night", ("channel",), blind
    )
    left: LabelledValues = {
        (name,): one.get("skipped", 0) for name, one in told.get(OPENED_CIRCUITS_KEY, {}).items()
    }
    meaning = "Accounts not asked for because their platform turned us away"
    yield _build_labelled_gauge("night_turned_away", meaning, ("channel",), left)
    missed = count_not_reached(finished_run) or 0
    yield _build_gauge(
        "night_left_out", "Accounts that it did not reach before its window ended", missed
    )
    for name, meaning in (
        ("requests", "Requests it made"),
        ("retries", "How many of them were tried again"),
    ):
        yield _build_gauge(f"night_{name}", meaning, told.get(name, 0))
    for name in ("opened", "closed"):
        yield _build_gauge(f"night_gaps_{name}", f"Gaps that it {name}", told.get(f"{name}_gaps", 0))
    cost: LabelledValues = {
        (name, one["unit"]): one["cost"] for name, one in told.get("apis", {}).items()
    }
    yield _build_labelled_gauge(
        "night_interface_cost", "What the interfaces cost", ("channel", "unit"), cost
    )


def _collect_network_metrics(store: Store, finished_run: AuditRun | None) -> Iterator[Gauge]:
    """How large the network is, what is open in it, and what waits."""
    size = store.get_facet_counts_by_group([NETWORK_GROUP], [ALL_FACET])[NETWORK_GROUP].get(
        ALL_FACET, 0
    )
    yield _build_gauge("associations", "Associations of the network", size)
    open_ = store.count_open_gaps()
    gaps: LabelledValues = {(severity,): open_.get(severity, 0) for severity in SEVERITIES}
    yield _build_labelled_gauge("gaps_open", "Open gaps", ("severity",), gaps)
    unsent = store.count_failed_messages(finished_run.started_at) if finished_run else 0
    yield _build_gauge(
        "messages_unsent", "Messages that did not go since the newest night that is done", unsent
    )
    stale = len(store.list_stale_summaries(MAX_COUNTED_STALE_SUMMARIES))
    yield _build_gauge(
        "summaries_stale",
        f"Summaries to be made anew, {MAX_COUNTED_STALE_SUMMARIES} at most",
        stale,
    )


def _collect_cluster_metrics(queue_health: QueueHealth) -> Iterator[Gauge]:
    """The queue of many machines and their workers."""
    jobs: LabelledValues = {
        ("todo",): queue_health.waiting_jobs,
        ("doing",): queue_health.running_jobs,
        ("failed",): queue_health.failed_jobs,
    }
    yield _build_labelled_gauge("cluster_jobs", "Jobs in the queue", ("state",), jobs)
    yield _build_gauge(
        "cluster_oldest_job_seconds",
        "How long the oldest job has waited",
        queue_health.status.oldest_wait_seconds or 0,
    )
    yield _build_gauge(
        "cluster_jobs_stalled",
        "Jobs of workers that are not heard of any more",
        queue_health.stalled_jobs,
    )
    yield _build_gauge("cluster_workers", "Workers that are alive", queue_health.active_workers)


def _collect_storage_metrics(app: App, now: datetime) -> Iterator[Gauge]:
    """The database and its disk."""
    revision = app.store.get_schema_revision() or ""
    if revision.isdigit():
        yield _build_gauge("database_schema", "The revision of the database", int(revision))
    yield _build_gauge("database_bytes", "The size of the database", app.store.get_database_size())
    if newest := find_newest_backup(app.config.backup.folder, now):
        made = newest.made_at.timestamp()
        yield _build_gauge("backup_timestamp_seconds", "When the newest backup was made", made)
    with suppress(OSError):  # a folder that is not there has no disk
        free = shutil.disk_usage(app.data_folder).free
        yield _build_gauge("disk_free_bytes", "Free on the disk of the data folder", free)
