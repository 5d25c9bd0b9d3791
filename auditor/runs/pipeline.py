"""The night with what belongs to it: a ping before and after, the messages at its end, and the upkeep.

`run` and `serve` do it so. Neither a monitor nor a mailbox nor a backup may trouble the night: what goes
wrong with them is a line of the log.

Whether a night may begin: the database is whole, and there is room for what it will keep.

What a night ends with, so that nobody has to think of it: what is over goes, a backup, thinning.

None may trouble the night, which is done by then: what goes wrong is a line of the log.

From which moment on what people left behind is kept, as the configuration has it. Pure.
"""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable
from contextlib import suppress
from datetime import date, datetime, timedelta
from pathlib import Path

from auditor.config.schema import Config, RetentionSettings
from auditor.core.errors import AuditorError, DiskSpaceError
from auditor.notifications import delivery
from auditor.notifications.healthcheck_ping import (
    HealthcheckPing,
    RecentWarningsHandler,
    capture_recent_warnings,
)
from auditor.protocols import EvaluationContext, RunContext
from auditor.receipts import receipt
from auditor.retention.backups import (
    create_backup,
    list_backups,
    open_backup_bodies,
    suggest_newest_backup,
)
from auditor.retention.evidence_pruning import is_pruning_due, prune_evidence
from auditor.runs import run as runs_run
from auditor.runs.process import Timer
from auditor.runs.run import ProgressCallback, WorkerCluster
from probes.log import EventLogger
from storage.errors import StoreError
from storage.files.body_store import BodyStore
from storage.models.audit import AuditRun, AuditRunState
from storage.retention import RetentionCutoffs
from storage.store import Store

logger = EventLogger(__name__)

StopCheck = Callable[[], bool]
"""Whether nothing more is to be begun."""


async def run_audit_pipeline(
    app: RunContext,
    now: datetime,
    *,
    day: date | None = None,
    on_progress: ProgressCallback | None = None,
    stop: asyncio.Event | None = None,
    timer: Timer = time.monotonic,
    cluster: WorkerCluster | None = None,
) -> AuditRun:
    """Do the night of a UTC day as `auditor.runs.run.execute_run` does, and tell those who wait for it.

    Raises RoomError where there is too little room to begin. An interruption ends the messages after the one
    that is on its way; the rest goes with the next night. Of a night that was told to stop the monitor alone
    hears: it is gone on with.
    """
    pulse, quiet = HealthcheckPing(app.config.monitor, str(uuid.uuid4())), threading.Event()

    def over() -> bool:
        return quiet.is_set() or (stop is not None and stop.is_set())

    with capture_recent_warnings() as last:
        await asyncio.to_thread(pulse.report_start)
        try:
            await asyncio.to_thread(check_run_preconditions, app.config, app.store)
            done = await runs_run.execute_run(
                app, now, day=day, on_progress=on_progress, stop=stop, timer=timer, cluster=cluster
            )
        except BaseException as trouble:
            await asyncio.to_thread(
                pulse.report_failure, [*last.get_lines(), _describe_interruption(trouble)]
            )
            if isinstance(trouble, Exception):
                with suppress(StoreError):  # what went wrong is told, not that it went wrong again
                    ended = await asyncio.to_thread(app.store.get_run, day or now.date())
                    await asyncio.to_thread(_send_notifications, app, ended, now, over)
            raise
        try:
            await asyncio.to_thread(_ping_result, pulse, done, last)
            if done.state is AuditRunState.INCOMPLETE:
                return done
            await asyncio.to_thread(_send_notifications, app, done, done.finished_at or now, over)
        except asyncio.CancelledError:  # the night itself is done, and that is what is said of it
            quiet.set()
        await _run_maintenance_in_thread(quiet, over, app, done, now)
    return done


async def _run_maintenance_in_thread(
    stop_event: threading.Event,
    should_stop: StopCheck,
    app: RunContext,
    finished_run: AuditRun,
    now: datetime,
) -> None:
    """Do the upkeep beside the loop. An interruption is told to it and waits: it works under the lock."""
    work = asyncio.create_task(
        asyncio.to_thread(
            run_maintenance, app, finished_run, finished_run.finished_at or now, should_stop
        )
    )
    while not work.done():
        try:
            await asyncio.shield(work)
        except asyncio.CancelledError:
            stop_event.set()


def _ping_result(
    ping: HealthcheckPing, finished_run: AuditRun, recent_log: RecentWarningsHandler
) -> None:
    if finished_run.state is AuditRunState.DONE:
        left = receipt.count_not_reached(finished_run)
        rest = f"; its window left {left} accounts out" if left else ""
        ping.report_success(f"the night of {finished_run.day} is done{rest}")
    else:
        ping.report_failure(
            [*recent_log.get_lines(), f"the night of {finished_run.day} is {finished_run.state}"]
        )


def _describe_interruption(error: BaseException) -> str:
    if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
        return "interrupted; it is gone on with at the next run"
    return f"{type(error).__name__}: {error}"


def _send_notifications(
    app: RunContext, run: AuditRun | None, now: datetime, should_stop: StopCheck
) -> None:
    if run is None or run.state is AuditRunState.SKIPPED:
        return
    try:
        delivery.send_run_notifications(app, run, now, should_stop)
    except (AuditorError, StoreError) as error:
        logger.warning(
            "notifications_failed",
            "not all notifications of the run were sent: {reason}",
            reason=str(error),
        )
    except Exception as bug:  # a bug in a notification must not fail a finished run
        logger.exception(bug, "notifications_crashed", "not all notifications of the run were sent")


BYTES_PER_MIB = 1 << 20


def check_run_preconditions(config: Config, store: Store) -> None:
    """Raise RoomError where the disk is too full to begin, a StoreError where the database is damaged.

    The opening reads a small database whole; a large one is read here.
    """
    folders = {
        config.storage.folder,
        *([store.database_file.parent] if store.database_file else []),
    }
    for folder in filter(Path.exists, folders):
        require_free_space(folder, config.storage.min_free_bytes)
    if store.is_large:
        with suggest_newest_backup(config):
            store.check_integrity()


def require_free_space(folder: Path, min_free_bytes: int) -> None:
    """Raise RoomError where fewer bytes are free on the disk that a folder lies on."""
    free = shutil.disk_usage(folder).free
    if free < min_free_bytes:
        reason = (
            f"{free // BYTES_PER_MIB} MiB are free, fewer than [storage] min_free_bytes "
            f"({min_free_bytes // BYTES_PER_MIB} MiB)"
        )
        raise DiskSpaceError(
            str(folder), f"{reason}; no run started", "free disk space, or run `auditor prune`"
        )


def run_maintenance(
    app: EvaluationContext, finished_run: AuditRun, now: datetime, should_stop: Callable[[], bool]
) -> None:
    """Let go what is over, back up, on Sundays thin. Whoever calls it holds the night's lock."""
    if finished_run.state is not AuditRunState.DONE or not isinstance(app.body_store, BodyStore):
        return
    for work in (_expire_personal_data, _create_backup, _prune_evidence_if_due):
        try:
            if not should_stop():
                work(app, app.body_store, finished_run, now, should_stop)
        except (AuditorError, StoreError, OSError, sqlite3.Error) as error:
            logger.warning("maintenance_failed", "after the run: {reason}", reason=error)


def _expire_personal_data(
    app: EvaluationContext,
    _body_store: BodyStore,
    _finished_run: AuditRun,
    now: datetime,
    _should_stop: Callable[[], bool],
) -> None:
    """Before the backup, which is not to hold it for longer."""
    deleted_counts = app.store.delete_expired_data(
        compute_retention_cutoffs(app.config.retention, now)
    )
    if deleted_counts:
        logger.info(
            "personal_data_expired",
            "{rows} expired rows of personal data deleted",
            rows=sum(deleted_counts.values()),
        )


def _create_backup(
    app: EvaluationContext,
    body_store: BodyStore,
    finished_run: AuditRun,
    now: datetime,
    _should_stop: Callable[[], bool],
) -> None:
    """Back up, unless that is done since the night's end. PostgreSQL's own tools do it there."""
    config = app.config
    ended = finished_run.finished_at and finished_run.finished_at.replace(microsecond=0)
    if ended and any(ended <= one.created_at <= now for one in list_backups(config.backup.folder)):
        return
    if config.backup.after_run and app.store.database_file:
        taken = create_backup(app.store, body_store, config, now)
        logger.info("backup_created", "backup created: {file}", file=taken.backup.file)


def _prune_evidence_if_due(
    app: EvaluationContext,
    body_store: BodyStore,
    finished_run: AuditRun,
    now: datetime,
    should_stop: Callable[[], bool],
) -> None:
    if is_pruning_due(app.store, app.config, finished_run):
        pruned = prune_evidence(
            app.store,
            body_store,
            app.config,
            now,
            backup_bodies=open_backup_bodies(app.config),
            should_stop=should_stop,
        )
        logger.info(
            "evidence_pruned",
            "evidence pruned: {bodies} bodies, {bytes} bytes",
            bodies=pruned.bodies,
            bytes=pruned.bytes,
        )


def compute_retention_cutoffs(retention: RetentionSettings, now: datetime) -> RetentionCutoffs:
    """The moments before which each kind goes; of a kind that is kept for ever there is none."""

    def before(days: int) -> datetime | None:
        return now - timedelta(days=days) if days else None

    return RetentionCutoffs(
        contacts=before(retention.contacts),
        report_links=before(retention.report_links),
        replies=before(retention.replies),
        follow_ups=before(retention.follow_ups),
        subscriptions=before(retention.subscriptions),
        messages=before(retention.messages),
        audit_log=before(retention.audit_log),
    )
