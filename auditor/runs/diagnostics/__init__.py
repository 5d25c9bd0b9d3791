"""Diagnose the installation, the configuration, the data and the network for `auditor doctor`.

A check is a generator of results, each a state and a text: `ok`, `warn` (works, but needs
attention) or `fail`. What it raises is a failure. Nothing is written but the data folder, if it is
missing, and temporary files. A network problem is never a failure, because it may be over by the
next run, which reports it itself.
"""

import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from pathlib import Path

from auditor import __version__
from auditor.app import refuse_lost_database
from auditor.checking.clock import CLOCK_TOLERANCE, is_dated_in_future
from auditor.config import schema
from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from auditor.retention import find_newest_backup, list_backups, suggest_newest_backup
from auditor.runs.diagnostics import environment, network
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import Presence
from storage.database.engine import parse_database_url
from storage.errors import (
    LostDatabaseError,
    MissingDatabaseError,
    OutdatedDatabaseError,
    StoreError,
    build_file_error,
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
NetworkCheck = Callable[[Config, datetime], network.NetworkAnswers]
"""Sends a few requests. `auditor.runs.diagnostics.network.check_network` is the real one."""


@dataclass(frozen=True, slots=True)
class DiagnosticResult:
    """A result of a check: what was checked, `ok`, `warn` or `fail`, and a text."""

    check: str
    state: str
    detail: str


def run_diagnostics(
    path: Path | None,
    now: datetime,
    network_check: NetworkCheck | None = None,
    parser_check: Callable[[], None] | None = None,
    list_cluster_checks: Callable[[Config], Checks] = lambda _: (),
) -> Iterator[DiagnosticResult]:
    """Yield the result of every check, in the order in which one depends on another.

    `path` is the configuration file. If it cannot be loaded, no further check is made. Without
    `network_check`, no request is sent. Without `parser_check`, which starts parser processes and
    raises ConfigError if they cannot work, no process is started. `list_cluster_checks` is that of
    `auditor.cluster`.
    """
    yield DiagnosticResult("auditor", "ok", f"{__version__} on Python {sys.version.split()[0]}")
    try:
        config = schema.load_config(path)
    except ConfigError as error:
        yield DiagnosticResult("configuration", "fail", str(error))
        return
    for name, check in chain(
        environment.list_setting_checks(path, config),
        network.list_network_checks(config, network_check and network_check(config, now)),
        environment.list_machine_checks(config),
        [("reading of pages", environment.check_parsing(parser_check))] if parser_check else (),
        _list_data_checks(config, now, list_cluster_checks(config)),
    ):
        try:
            for state, detail in check:
                yield DiagnosticResult(name, state, detail)
        except (ConfigError, StoreError) as error:
            yield DiagnosticResult(name, "fail", str(error))
        except OSError as error:
            yield DiagnosticResult(name, "fail", str(build_file_error(error)))


def _list_data_checks(config: Config, now: datetime, cluster_checks: Checks) -> Checks:
    """Yield the checks of the database, its content and the backups.

    `cluster_checks` are made if the database can be read.
    """
    try:
        refuse_lost_database(config)
        with Store.open(config.storage.url, create=False, upgrade=False) as store:
            store.check_integrity()
            associations, links = store.registry.count_registered()
            counts = f"associations: {associations}, links: {links}"
            yield "database", [("ok", f"{counts}; intact, schema {store.get_schema_revision()}")]
            yield "last check", _check_last_run(store, now)
            yield "evidence folder", _check_lost_evidence(config, store)
            yield "messages", _check_unsent_messages(store)
            if config.domain_expiry.enabled:
                yield "domain expiry", _check_domain_answers(store)
            yield "users", _check_users(store)
            yield from cluster_checks
    except StoreError as error:
        if isinstance(error, MissingDatabaseError) and not isinstance(error, LostDatabaseError):
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
        return
    age = now - (run.finished_at or run.started_at)
    if is_dated_in_future(run, now):
        yield ("fail", f"{run.day} is in the future: no run can begin; try `auditor restore FILE`")
    elif age < -CLOCK_TOLERANCE:
        yield "warn", f"check of {run.day}: its end is dated in the future; is the clock right?"
    else:
        hours = age.total_seconds() / 3600
        is_recent = hours <= OVERDUE_HOURS and run.state is AuditRunState.DONE
        text = f"check of {run.day}: {run.state}, {max(hours, 0):.0f} hours ago"
        yield "ok" if is_recent else "warn", text


def _check_lost_evidence(config: Config, store: Store) -> Results:
    """Fail if the folder of the pages is gone although a run has stored some."""
    run, folder = store.runs.get_latest_evaluated(), config.storage.evidence_folder
    if run is None or folder.exists():
        return
    counts = store.observations.count_by_presence(run.id)
    if Presence.PRESENT in {presence for _, presence in counts}:
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
    elif invited := next((user.name for user in users if user.role is Role.ADMIN), None):
        yield "warn", f"{invited} has set no password yet; try `auditor user reset {invited}`"
    else:
        yield "warn", "no administrator can log in; try `auditor user add NAME --role admin`"


def _check_unsent_messages(store: Store) -> Results:
    """Warn if a message could not be sent since the last run."""
    run = store.runs.get_latest()
    failed_count = store.messages.count_failures(run.started_at) if run else 0
    if failed_count:
        yield "warn", f"not sent since the last run: {failed_count}"
