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
from auditor.checking.circuit_breaker import GAVE_UP
from auditor.cluster.job_queue import Figures, figures
from auditor.receipts.receipt import left_out
from auditor.retention.backups import listed
from storage.models.audit import SEVERITIES, Night, NightState
from storage.models.summaries import EVERYBODY, NETWORK
from storage.store import Store

MANY = 1000
"""Stale summaries are counted so far: whether there are more, a monitor need not know."""

Labels = Mapping[tuple[str, ...], float]


@dataclass(frozen=True, slots=True, eq=False)
class Gauges(Collector):
    """The figures of an auditor at a moment; `alive` says whether its schedule lives, None without one."""

    app: App
    now: datetime
    alive: bool | None = None

    def collect(self) -> Iterator[Gauge]:
        """Each figure with what it means."""
        store, config = self.app.store, self.app.config
        yield _labelled(
            "build_info",
            "What runs here",
            ("version", "python"),
            {(__version__, sys.version.split()[0]): 1},
        )
        if self.alive is not None:
            yield _one("schedule_alive", "Whether the schedule of nights lives in this process", self.alive)
        yield from _nights(store, self.now)
        if done := store.last_night(NightState.DONE):
            yield from _receipt(done, config.channels)
        yield from _network(store, done)
        if seen := figures(store, config):
            yield from _cluster(seen)
        yield from _room(self.app)


def written(gauges: Gauges) -> bytes:
    """The figures, with those of the process, in the text format of Prometheus."""
    registry = CollectorRegistry()
    registry.register(gauges)
    ProcessCollector(registry=registry)
    return generate_latest(registry)


def _one(name: str, meaning: str, value: float) -> Gauge:
    return Gauge(f"auditor_{name}", meaning, value=float(value))


def _labelled(name: str, meaning: str, labels: Iterable[str], values: Labels) -> Gauge:
    gauge = Gauge(f"auditor_{name}", meaning, labels=list(labels))
    for named, value in values.items():
        gauge.add_metric(list(named), float(value))
    return gauge


def _nights(store: Store, now: datetime) -> Iterator[Gauge]:
    """The newest night, whatever became of it, and how old the newest good one is."""
    last, done = store.last_night(), store.last_night(NightState.DONE)
    states: Labels = {(state.value,): last is not None and last.state is state for state in NightState}
    yield _labelled(
        "night_state", "The state of the newest night: 1 for the one it is in", ("state",), states
    )
    if last:
        began = last.started_at.timestamp()
        yield _one("night_start_timestamp_seconds", "When the newest night began", began)
    if done:
        age = (now - (done.finished_at or done.started_at)).total_seconds()
        yield _one("night_done_age_seconds", "Since when the newest night that is done is done", age)
        day = (done.day.isoformat(),)
        yield _labelled(
            "night_done_info", "The day (UTC) of the newest night that is done", ("night",), {day: 1}
        )


def _receipt(done: Night, channels: Iterable[str]) -> Iterator[Gauge]:
    """What the receipt of the newest night that is done tells."""
    told: Mapping[str, Any] = done.receipt
    yield _one(
        "night_duration_seconds", "How long it worked, all its sessions together", told.get("seconds", 0)
    )
    yield _labelled(
        "night_accounts",
        "Accounts it looked at",
        ("channel", "presence"),
        {
            (channel, presence): count
            for channel, row in told.get("channels", {}).items()
            for presence, count in row.items()
        },
    )
    blind: Labels = {(channel,): channel in done.blind for channel in channels}
    yield _labelled("night_blind", "Whether a channel was distrusted that night", ("channel",), blind)
    left: Labels = {(name,): one.get("left_out", 0) for name, one in told.get(GAVE_UP, {}).items()}
    meaning = "Accounts not asked for because their platform turned us away"
    yield _labelled("night_turned_away", meaning, ("channel",), left)
    missed = left_out(done) or 0
    yield _one("night_left_out", "Accounts that it did not reach before its window ended", missed)
    for name, meaning in (
        ("requests", "Requests it made"),
        ("retries", "How many of them were tried again"),
    ):
        yield _one(f"night_{name}", meaning, told.get(name, 0))
    for name in ("opened", "closed"):
        yield _one(f"night_gaps_{name}", f"Gaps that it {name}", told.get(name, 0))
    cost: Labels = {(name, one["unit"]): one["cost"] for name, one in told.get("interfaces", {}).items()}
    yield _labelled("night_interface_cost", "What the interfaces cost", ("channel", "unit"), cost)


def _network(store: Store, done: Night | None) -> Iterator[Gauge]:
    """How large the network is, what is open in it, and what waits."""
    size = store.tallies([NETWORK], [EVERYBODY])[NETWORK].get(EVERYBODY, 0)
    yield _one("associations", "Associations of the network", size)
    open_ = store.open_gaps()
    gaps: Labels = {(severity,): open_.get(severity, 0) for severity in SEVERITIES}
    yield _labelled("gaps_open", "Open gaps", ("severity",), gaps)
    unsent = store.unsent(done.started_at) if done else 0
    yield _one("messages_unsent", "Messages that did not go since the newest night that is done", unsent)
    stale = len(store.stale(MANY))
    yield _one("summaries_stale", f"Summaries to be made anew, {MANY} at most", stale)


def _cluster(seen: Figures) -> Iterator[Gauge]:
    """The queue of many machines and their workers."""
    jobs: Labels = {("todo",): seen.waiting, ("doing",): seen.doing, ("failed",): seen.failed}
    yield _labelled("cluster_jobs", "Jobs in the queue", ("state",), jobs)
    yield _one("cluster_oldest_job_seconds", "How long the oldest job has waited", seen.queue.oldest or 0)
    yield _one("cluster_jobs_stalled", "Jobs of workers that are not heard of any more", seen.stalled)
    yield _one("cluster_workers", "Workers that are alive", seen.alive)


def _room(app: App) -> Iterator[Gauge]:
    """The database and its disk."""
    revision = app.store.revision() or ""
    if revision.isdigit():
        yield _one("database_schema", "The revision of the database", int(revision))
    yield _one("database_bytes", "The size of the database", app.store.size())
    if newest := next(iter(listed(app.config.backup.folder)), None):
        made = newest.made_at.timestamp()
        yield _one("backup_timestamp_seconds", "When the newest backup was made", made)
    with suppress(OSError):  # a folder that is not there has no disk
        free = shutil.disk_usage(app.folder).free
        yield _one("disk_free_bytes", "Free on the disk of the data folder", free)
