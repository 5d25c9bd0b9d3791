"""Diagnose the data: database, last run, backups and, if enabled, the cluster."""

from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec

from auditor.app import refuse_lost_database
from auditor.checking.clock import CLOCK_TOLERANCE, is_dated_in_future
from auditor.cluster import CLUSTER_INSTALL_COMMAND
from auditor.cluster.health import load_queue_status, read_folder_token
from auditor.config.schema import Config
from auditor.diagnostics.result import DiagnosticResult, build_diagnostic, failure, ok, warning
from auditor.i18n.catalogs import gettext_noop
from auditor.retention.backups import find_newest_backup, list_backups, suggest_newest_backup
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import Presence
from storage.database.engine import parse_database_url
from storage.errors import (
    LostDatabaseError,
    MissingDatabaseError,
    OutdatedDatabaseError,
    StoreError,
)
from storage.models.audit import AuditRunState
from storage.models.users import Role
from storage.store import Store

OVERDUE_HOURS = 26
"""Age of the last run or backup after which the doctor warns.

A day, and two hours for the run itself.
"""


def diagnose_data(config: Config, now: datetime) -> Iterator[DiagnosticResult]:
    """Yield the results for the database, its content and the backups."""
    check = gettext_noop("database")
    try:
        refuse_lost_database(config)
        with Store.open(config.storage.url, create=False, upgrade=False) as store:
            store.check_integrity()
            yield _diagnose_database(store)
            yield _diagnose_last_run(store, now)
            yield from _diagnose_lost_evidence(config, store)
            yield from _diagnose_unsent_messages(store)
            yield from _diagnose_domain_checks(config, store)
            yield _diagnose_users(store)
            yield from diagnose_cluster(config, store)
    except LostDatabaseError as error:
        suggest_newest_backup(error, config)
        yield failure(check, gettext_noop("{trouble}"), trouble=str(error))
    except MissingDatabaseError:
        missing = gettext_noop("none yet; {command} creates it")
        yield warning(check, missing, command="`auditor registry import`")
    except OutdatedDatabaseError as error:
        yield warning(check, gettext_noop("{trouble}"), trouble=str(error))
    except StoreError as error:
        suggest_newest_backup(error, config)
        yield failure(check, gettext_noop("{trouble}"), trouble=str(error))
    yield from _diagnose_backups(config, now)


def _diagnose_database(store: Store) -> DiagnosticResult:
    associations, links = store.registry.count_registered()
    summary = gettext_noop("associations: {associations}, links: {links}; intact, schema {schema}")
    return ok(
        gettext_noop("database"),
        summary,
        associations=associations,
        links=links,
        schema=store.get_schema_revision(),
    )


def _diagnose_domain_checks(config: Config, store: Store) -> Iterator[DiagnosticResult]:
    """Yield a warning if registries did not answer for most domains."""
    if not config.domain_expiry.enabled:
        return
    has_failed_by_domain = {
        check.domain: check.has_failed
        for _, check in store.domain_checks.list_accounts_with_domain_check(WEBSITE_CHANNEL)
        if check is not None
    }
    failed_count = sum(has_failed_by_domain.values())
    if 2 * failed_count > len(has_failed_by_domain):
        message = gettext_noop(
            "registries did not answer for {n} of {total} domains; try a run later, or {setting}"
        )
        yield warning(
            gettext_noop("domain expiry"),
            message,
            n=failed_count,
            total=len(has_failed_by_domain),
            setting="`[domain_expiry] enabled = false`",
        )


def _diagnose_last_run(store: Store, now: datetime) -> DiagnosticResult:
    check = gettext_noop("last check")
    run = store.runs.get_latest()
    if run is None:
        return warning(
            check, gettext_noop("none yet; {command} starts one"), command="`auditor run`"
        )
    if is_dated_in_future(run, now):
        future = gettext_noop("{day} is in the future: no run can begin; try {command}")
        return failure(check, future, day=run.day, command="`auditor restore FILE`")
    hours = (now - (run.finished_at or run.started_at)).total_seconds() / 3600
    if hours < -CLOCK_TOLERANCE.total_seconds() / 3600:
        ended = gettext_noop("check of {day}: its end is dated in the future; is the clock right?")
        return warning(check, ended, day=run.day)
    is_recent = hours <= OVERDUE_HOURS and run.state is AuditRunState.DONE
    state = "ok" if is_recent else "warn"
    age = gettext_noop("check of {day}: {run_state}, {hours} hours ago")
    return build_diagnostic(
        check, state, age, day=run.day, run_state=str(run.state), hours=f"{max(hours, 0):.0f}"
    )


def _diagnose_lost_evidence(config: Config, store: Store) -> Iterator[DiagnosticResult]:
    """Yield a failure if the folder of the pages is gone although a run has stored some."""
    run, folder = store.runs.get_latest_evaluated(), config.storage.evidence_folder
    if run is None or run.id is None or folder.exists():
        return
    counts = store.observations.count_by_presence(run.id)
    if any(presence is Presence.PRESENT for _, presence in counts):
        gone = gettext_noop(
            "{folder} is gone: checks cannot be explained or replayed; try {command}"
        )
        command = "`auditor restore FILE`"
        yield failure(gettext_noop("evidence folder"), gone, folder=str(folder), command=command)


def _diagnose_backups(config: Config, now: datetime) -> Iterator[DiagnosticResult]:
    """Yield a warning if a SQLite database has no recent backup."""
    check = gettext_noop("backups")
    if parse_database_url(config.storage.url).get_backend_name() != "sqlite":
        return
    try:
        newest = find_newest_backup(config.backup.folder, now)
        latest = next(iter(list_backups(config.backup.folder)), None)
    except StoreError as error:
        yield failure(check, gettext_noop("{trouble}"), trouble=str(error))
        return
    if latest is not None and latest != newest:
        future = gettext_noop("{file} is dated in the future; move it away")
        yield warning(check, future, file=latest.file.name)
    if newest is None:
        yield warning(
            check, gettext_noop("none; {command} creates one"), command="`auditor backup`"
        )
        return
    hours = (now - newest.created_at).total_seconds() / 3600
    if hours > OVERDUE_HOURS:
        yield warning(
            check,
            gettext_noop("{file}, {hours} hours old"),
            file=newest.file.name,
            hours=f"{hours:.0f}",
        )


def _diagnose_users(store: Store) -> DiagnosticResult:
    """Warn if no administrator can log in, because then no one can create users."""
    check = gettext_noop("users")
    users = store.users.list_all()
    admins = [user for user in users if user.role is Role.ADMIN and user.password_hash]
    if not admins:
        command = "`auditor user add NAME --role admin`"
        return warning(
            check, gettext_noop("no administrator can log in; try {command}"), command=command
        )
    return ok(
        check,
        gettext_noop("{n}, including administrators: {admins}"),
        n=len(users),
        admins=len(admins),
    )


def _diagnose_unsent_messages(store: Store) -> Iterator[DiagnosticResult]:
    """Yield a warning if a message could not be sent since the last run."""
    run = store.runs.get_latest()
    failed_count = store.messages.count_failures(run.started_at) if run else 0
    if failed_count:
        not_sent = gettext_noop("not sent since the last run: {n}")
        yield warning(gettext_noop("messages"), not_sent, n=failed_count)


CLUSTER_MODULES = ("procrastinate", "psycopg_pool")
"""The modules of the extra that a cluster needs."""


def diagnose_cluster(config: Config, store: Store) -> Iterator[DiagnosticResult]:
    """Yield the results for the job queue and its workers; none on a single machine."""
    if not config.cluster.enabled:
        return
    check = gettext_noop("many machines")
    for missing in (name for name in CLUSTER_MODULES if find_spec(name) is None):
        not_installed = gettext_noop("{missing} is not installed: {command}")
        yield failure(check, not_installed, missing=missing, command=f"`{CLUSTER_INSTALL_COMMAND}`")
    yield _diagnose_shared_folder(config)
    queue = load_queue_status(store, config)
    if queue is None:
        yield warning(
            check, gettext_noop("no queue yet; {command} creates it"), command="`auditor run`"
        )
    elif not queue.active_workers:
        yield warning(
            check,
            gettext_noop("no worker is running; {command} starts one"),
            command="`auditor worker`",
        )
    else:
        counts = gettext_noop(
            "active workers: {alive}; jobs queued: {waiting}, running: {doing}, stalled: {stalled}"
        )
        has_problem = queue.stalled_jobs or queue.failed_jobs
        yield build_diagnostic(
            check,
            "warn" if has_problem else "ok",
            counts,
            alive=queue.active_workers,
            waiting=queue.waiting_jobs,
            doing=queue.running_jobs,
            stalled=queue.stalled_jobs,
        )


def _diagnose_shared_folder(config: Config) -> DiagnosticResult:
    """Show the token of the data folder; people can compare it, and workers do."""
    check = gettext_noop("shared data folder")
    token = read_folder_token(config.storage.folder)
    if not token:
        return warning(
            check, gettext_noop("no mark yet; {command} creates it"), command="`auditor run`"
        )
    return ok(
        check,
        gettext_noop("its mark is {mark}; it must be the same on every machine"),
        mark=token[:8],
    )
