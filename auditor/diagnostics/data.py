"""Diagnose the data: database, last run and backups."""

from collections.abc import Iterable, Iterator
from datetime import datetime

from auditor.app import refuse_lost_database
from auditor.checking.clock import CLOCK_TOLERANCE, is_dated_in_future
from auditor.config.schema import Config
from auditor.retention import find_newest_backup, list_backups, suggest_newest_backup
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

Results = Iterable[tuple[str, str]]
Checks = Iterable[tuple[str, Results]]
"""Names of checks with their results."""


def list_data_checks(
    config: Config, now: datetime, cluster_checks: Checks = ()
) -> Iterator[tuple[str, Results]]:
    """Yield the checks of the database, its content and the backups.

    `cluster_checks` are made if the database can be read.
    """
    try:
        refuse_lost_database(config)
        with Store.open(config.storage.url, create=False, upgrade=False) as store:
            store.check_integrity()
            associations, links = store.registry.count_registered()
            counts = f"associations: {associations}, links: {links}"
            schema = store.get_schema_revision()
            yield "database", [("ok", f"{counts}; intact, schema {schema}")]
            yield "last check", _check_last_run(store, now)
            yield "evidence folder", _check_lost_evidence(config, store)
            yield "messages", _check_unsent_messages(store)
            if config.domain_expiry.enabled:
                yield "domain expiry", _check_domain_answers(store)
            yield "users", _check_users(store)
            yield from cluster_checks
    except StoreError as error:
        is_missing = isinstance(error, MissingDatabaseError)
        if is_missing and not isinstance(error, LostDatabaseError):
            yield "database", [("warn", "none yet; `auditor registry import` creates it")]
        else:
            suggest_newest_backup(error, config)
            state = "warn" if isinstance(error, OutdatedDatabaseError) else "fail"
            yield "database", [(state, str(error))]
    if parse_database_url(config.storage.url).get_backend_name() == "sqlite":
        yield "backups", _check_backups(config, now)


def _check_domain_answers(store: Store) -> Results:
    """Warn if registries did not answer for most domains."""
    has_failed_by_domain = {
        check.domain: check.has_failed
        for _, check in store.domain_checks.list_accounts_with_domain_check(WEBSITE_CHANNEL)
        if check is not None
    }
    failed, total = sum(has_failed_by_domain.values()), len(has_failed_by_domain)
    if 2 * failed > total:
        remedy = "try a run later, or `[domain_expiry] enabled = false`"
        yield "warn", f"registries did not answer for {failed} of {total} domains; {remedy}"


def _check_last_run(store: Store, now: datetime) -> Results:
    run = store.runs.get_latest()
    if run is None:
        yield "warn", "none yet; `auditor run` starts one"
    elif is_dated_in_future(run, now):
        remedy = "no run can begin; try `auditor restore FILE`"
        yield "fail", f"{run.day} is in the future: {remedy}"
    elif (age := now - (run.finished_at or run.started_at)) < -CLOCK_TOLERANCE:
        yield "warn", f"check of {run.day}: its end is dated in the future; is the clock right?"
    else:
        hours = age.total_seconds() / 3600
        is_recent = hours <= OVERDUE_HOURS and run.state is AuditRunState.DONE
        text = f"check of {run.day}: {run.state}, {max(hours, 0):.0f} hours ago"
        yield "ok" if is_recent else "warn", text


def _check_lost_evidence(config: Config, store: Store) -> Results:
    """Fail if the folder of the pages is gone although a run has stored some."""
    run, folder = store.runs.get_latest_evaluated(), config.storage.evidence_folder
    if run is None or run.id is None or folder.exists():
        return
    counts = store.observations.count_by_presence(run.id)
    if any(presence is Presence.PRESENT for _, presence in counts):
        remedy = "checks cannot be explained or replayed; try `auditor restore FILE`"
        yield "fail", f"{folder} is gone: {remedy}"


def _check_backups(config: Config, now: datetime) -> Results:
    """Warn if there is no recent backup."""
    newest = find_newest_backup(config.backup.folder, now)
    latest = next(iter(list_backups(config.backup.folder)), None)
    if latest is not None and latest != newest:
        yield "warn", f"{latest.file.name} is dated in the future; move it away"
    if newest is None:
        yield "warn", "none; `auditor backup` creates one"
        return
    hours = (now - newest.created_at).total_seconds() / 3600
    if hours > OVERDUE_HOURS:
        yield "warn", f"{newest.file.name}, {hours:.0f} hours old"


def _check_users(store: Store) -> Results:
    """Warn if no administrator can log in, because then no one can create users."""
    users = store.users.list_all()
    admins = [user for user in users if user.role is Role.ADMIN and user.password_hash]
    if admins:
        yield "ok", f"{len(users)}, including administrators: {len(admins)}"
    else:
        command = "`auditor user add NAME --role admin`"
        yield "warn", f"no administrator can log in; try {command}"


def _check_unsent_messages(store: Store) -> Results:
    """Warn if a message could not be sent since the last run."""
    run = store.runs.get_latest()
    failed_count = store.messages.count_failures(run.started_at) if run else 0
    if failed_count:
        yield "warn", f"not sent since the last run: {failed_count}"
