"""Execute a run with everything around it: preconditions, pings, notifications and maintenance.

`auditor run` and `auditor serve` both use `run_audit_pipeline`. A failure of the monitor, a mail
server or a backup never fails a run: it is logged as a warning. Also for commands that run long:
SIGTERM and the grace period.
"""

import asyncio
import shutil
import signal
import sqlite3
import threading
import time
import uuid
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from auditor.app import App
from auditor.conclusions.run_results import refresh_summaries
from auditor.config.schema import Config, RetentionSettings
from auditor.core.errors import AuditorError, DiskSpaceError
from auditor.presentation.notifications.transports import HealthcheckPing, capture_recent_warnings
from auditor.registry.uploads import MAX_UPLOAD_AGE, UploadStore
from auditor.retention import (
    create_backup,
    is_pruning_due,
    list_backups,
    open_backup_bodies,
    prune_evidence,
    suggest_newest_backup,
)
from auditor.runs import run as run_module
from auditor.runs.frontier import WorkerCluster
from auditor.runs.run import ProgressCallback, WaitCallback
from auditor.runs.state import Timer
from probes.links import channel_registry
from probes.log import EventLogger
from storage.errors import StoreError
from storage.files.durable_files import require_writable_folder
from storage.models.audit import AuditRun, AuditRunState
from storage.models.users import MAX_SUBSCRIPTION_REQUEST_AGE
from storage.store import Store

logger = EventLogger(__name__)

StopCheck = Callable[[], bool]
"""Returns True if no further work may begin."""


async def run_audit_pipeline(
    app: App,
    now: datetime,
    *,
    day: date | None = None,
    on_progress: ProgressCallback | None = None,
    on_wait: WaitCallback | None = None,
    stop: asyncio.Event | None = None,
    timer: Timer = time.monotonic,
    cluster: WorkerCluster | None = None,
) -> AuditRun:
    """Execute the run of a UTC day, as `execute_run` does, and what belongs to it.

    The monitor is pinged before and after it. Then notifications are sent, expired data is deleted,
    a backup is created, and on Sundays evidence is pruned. A run that was stopped is only reported
    to the monitor, because a later session resumes it. If the task is cancelled, the current
    message is still sent, the others after the next run.

    Raises DiskSpaceError if there is too little free space, and whatever `execute_run` raises.
    """
    ping = HealthcheckPing(app.config.monitor, str(uuid.uuid4()))
    is_cancelled = threading.Event()

    def should_stop() -> bool:
        return is_cancelled.is_set() or (stop is not None and stop.is_set())

    with capture_recent_warnings() as recent_log:
        await asyncio.to_thread(ping.report_start)
        try:
            await asyncio.to_thread(check_run_preconditions, app.config, app.store)
            run = await run_module.execute_run(
                app,
                now,
                day=day,
                on_progress=on_progress,
                on_wait=on_wait,
                stop=stop,
                timer=timer,
                cluster=cluster,
            )
        except BaseException as error:
            cause = f"{type(error).__name__}: {error}"
            if isinstance(error, asyncio.CancelledError | KeyboardInterrupt):
                cause = "interrupted; the next `auditor run` resumes it"
            await asyncio.to_thread(ping.report_failure, [*recent_log.lines, cause])
            if isinstance(error, Exception):
                await asyncio.to_thread(_announce_failure, app, day or now.date(), now, should_stop)
            raise
        try:
            await asyncio.to_thread(_report_end, ping, run, list(recent_log.lines))
            if run.state is AuditRunState.INCOMPLETE and not run.has_crashed:
                return run
            await asyncio.to_thread(
                _send_notifications, app, run, run.finished_at or now, should_stop
            )
        except asyncio.CancelledError:
            # The run itself has finished, so the caller gets its result.
            is_cancelled.set()
        maintenance = asyncio.create_task(
            asyncio.to_thread(run_maintenance, app, run, run.finished_at or now, should_stop)
        )
        while not maintenance.done():  # it needs the run lock, which the caller holds
            try:
                await asyncio.shield(maintenance)
            except asyncio.CancelledError:
                is_cancelled.set()
    return run


def _announce_failure(app: App, day: date, now: datetime, should_stop: StopCheck) -> None:
    """Send the notifications of a failed run. Its error is raised, not one of the database."""
    with suppress(StoreError):
        _send_notifications(app, app.store.runs.get(day), now, should_stop)


def _report_end(ping: HealthcheckPing, run: AuditRun, log_lines: Iterable[str]) -> None:
    """Report to the monitor how a run has ended."""
    if run.state is AuditRunState.DONE:
        not_reached = run.not_reached_count
        suffix = f"; {not_reached} accounts were not reached" if not_reached else ""
        ping.report_success(f"the run of {run.day} has finished{suffix}")
    else:
        ping.report_failure([*log_lines, f"the run of {run.day} is {run.state}"])


def _send_notifications(
    app: App, run: AuditRun | None, now: datetime, should_stop: StopCheck
) -> None:
    """Send the notifications of a run; a failure is logged. A skipped run has none."""
    if run is None or run.state is AuditRunState.SKIPPED:
        return
    # They need templates, texts and workbooks: 4 MB less while pages are fetched and parsed.
    from auditor.presentation.notifications import delivery  # noqa: PLC0415

    try:
        delivery.send_run_notifications(app, run, now, should_stop)
    except (AuditorError, StoreError) as error:
        logger.warning(
            "notifications_failed",
            "not all notifications of the run were sent: {reason}",
            reason=str(error),
        )
    except Exception as error:  # a bug in a notification must not fail a finished run
        logger.exception(
            error, "notifications_crashed", "not all notifications of the run were sent"
        )


BYTES_PER_MIB = 1 << 20


def require_run_folders(config: Config, *, with_backups: bool = True) -> None:
    """Raise StoreError if a run could not write its data, its evidence or the backup after it."""
    folders = [config.storage.folder, config.storage.evidence_folder]
    if with_backups and config.backup.after_run and config.storage.url.startswith("sqlite"):
        folders += [config.backup.folder, open_backup_bodies(config).folder]
    for folder in folders:
        require_writable_folder(folder)


def check_run_preconditions(config: Config, store: Store) -> None:
    """Raise DiskSpaceError if the disk is too full, and StoreError if the storage is unusable.

    Storage is unusable if the database is damaged, or if the folders of the data and the evidence
    cannot be written. A missing backup never fails a run that is due, so its folder is only checked
    when a person starts the command. A small database has been checked completely when it was
    opened, a large one is checked here.
    """
    require_run_folders(config, with_backups=False)
    folders = {config.storage.folder}
    if store.database_file:
        folders.add(store.database_file.parent)
    for folder in filter(Path.exists, folders):
        require_free_space(folder, config.storage.min_free_bytes)
    if store.is_large:
        try:
            store.check_integrity()
        except StoreError as error:
            suggest_newest_backup(error, config)
            raise


def require_free_space(folder: Path, min_free_bytes: int) -> None:
    """Raise DiskSpaceError if the disk of a folder has fewer free bytes than required."""
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
    app: App, finished_run: AuditRun, now: datetime, should_stop: StopCheck
) -> None:
    """Delete expired data, create a backup and, on Sundays, prune evidence.

    After a skipped run, only removed profiles are erased. The caller holds the run lock. A failure
    is logged as a warning.
    """
    steps: tuple[Callable[[], object], ...] = (
        partial(_erase_removed_profiles, app),
        partial(_expire_personal_data, app, now),
        app.store.update_statistics,
        partial(_create_backup, app, finished_run, now),
        partial(_prune_evidence, app, finished_run, now, should_stop),
    )
    for run_step in steps if finished_run.state is AuditRunState.DONE else steps[:1]:
        try:
            if not should_stop():
                run_step()
        except (AuditorError, StoreError, OSError, sqlite3.Error) as error:
            logger.warning("maintenance_failed", "after the run: {reason}", reason=error)


def _erase_removed_profiles(app: App) -> None:
    """Erase the profiles of accounts that a platform removed, if its terms demand it."""
    count = 0
    for name in channel_registry.list_channels():
        api = channel_registry.get_channel_api(name)
        if api is not None and api.erases_removed_profiles:
            count += app.store.erasure.erase_removed_profiles(name, api.host)
    if count:
        refresh_summaries(app.store, app.config)
        app.store.vacuum_database(log_only=app.store.is_large)
        logger.info("profiles_erased", "profiles of {accounts} accounts erased", accounts=count)


def _expire_personal_data(app: App, now: datetime) -> None:
    """Delete personal data after its retention period, before a backup would keep it longer."""
    UploadStore(app.data_folder / "uploads").clear(until=now - MAX_UPLOAD_AGE)
    cutoffs = compute_retention_cutoffs(app.config.retention, now)
    deleted_counts = app.store.retention.delete_expired_data(cutoffs)
    if deleted_counts:
        logger.info(
            "personal_data_expired",
            "{rows} expired rows of personal data deleted",
            rows=sum(deleted_counts.values()),
        )


def _create_backup(app: App, finished_run: AuditRun, now: datetime) -> None:
    """Create a backup, unless there is one since the end of the run.

    Only for SQLite: PostgreSQL has its own backup tools.
    """
    if finished_run.finished_at:
        # The file name of a backup has its time in whole seconds.
        finished_at = finished_run.finished_at.replace(microsecond=0)
        backups = list_backups(app.config.backup.folder)
        if any(finished_at <= backup.created_at <= now for backup in backups):
            return
    if app.config.backup.after_run and app.store.database_file:
        result = create_backup(app.store, app.body_store, app.config, now)
        logger.info("backup_created", "backup created: {file}", file=result.backup.file)


def _prune_evidence(
    app: App, finished_run: AuditRun, now: datetime, should_stop: StopCheck
) -> None:
    """Prune old evidence if it is the day for it."""
    if not is_pruning_due(app.store, app.config, finished_run):
        return
    pruned = prune_evidence(
        app.store,
        app.body_store,
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


def compute_retention_cutoffs(retention: RetentionSettings, now: datetime) -> dict[str, datetime]:
    """Return the time before which data is deleted, by kind. A kind that is kept has none."""
    kinds = "contacts report_links replies follow_ups subscriptions messages audit_log"
    cutoffs = {"subscription_requests": now - MAX_SUBSCRIPTION_REQUEST_AGE}
    for kind in kinds.split():
        if days := getattr(retention, kind):
            cutoffs[kind] = now - timedelta(days=days)
    return cutoffs


T = TypeVar("T")


@contextmanager
def stop_on_signal(
    stop_event: asyncio.Event, number: signal.Signals = signal.SIGTERM
) -> Iterator[None]:
    """Set `stop_event` on the first such signal. A second SIGTERM ends the process at once.

    SIGINT keeps Python's meaning: it cancels the work, and the command exits with 130.
    """
    loop = asyncio.get_running_loop()

    def handle_signal() -> None:
        stop_event.set()
        loop.remove_signal_handler(number)

    loop.add_signal_handler(number, handle_signal)
    try:
        yield
    finally:
        loop.remove_signal_handler(number)


async def run_with_grace_period(
    coroutine: Coroutine[Any, Any, T], stop_event: asyncio.Event, grace_seconds: float
) -> T:
    """Return the result of the coroutine.

    Once `stop_event` is set, the coroutine has `grace_seconds` to end, then it is cancelled. It has
    ended when this function returns or raises. Raises CancelledError if it was cancelled.
    """
    work = asyncio.ensure_future(coroutine)
    stop_request = asyncio.create_task(stop_event.wait())
    try:
        await asyncio.wait({work, stop_request}, return_when=asyncio.FIRST_COMPLETED)
        if not work.done():
            await asyncio.wait({work}, timeout=grace_seconds)
    finally:
        stop_request.cancel()
        work.cancel()
        cancellation: asyncio.CancelledError | None = None
        while not work.done():  # even if this wait is cancelled: the work may be storing data
            try:
                await asyncio.wait({work})
            except asyncio.CancelledError as error:
                cancellation = error
        if cancellation:
            raise cancellation
        if not work.cancelled():
            # Marks the exception as retrieved, or asyncio logs it again. `result` raises it.
            work.exception()
    return work.result()
