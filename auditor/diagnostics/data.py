"""What the doctor says of what is remembered: the database, whether it is whole, and the last night.

What the doctor says of many machines: the queue, its workers, and the folder that they share.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from importlib.util import find_spec
from pathlib import Path

from auditor.checking.clock import CLOCK_TOLERANCE, is_dated_in_future
from auditor.cluster import CLUSTER_INSTALL_COMMAND
from auditor.cluster.health import load_queue_health, read_folder_token
from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from auditor.diagnostics.result import DiagnosticResult, build_diagnostic, failure, ok, warning
from auditor.i18n.catalogs import gettext_noop
from auditor.receipts.signing import (
    PRIVATE_KEY_FILE_NAME,
    SigningKey,
    compute_key_fingerprint,
    read_known_public_keys,
)
from auditor.retention.backups import (
    find_newest_backup,
    list_backups,
    suggest_newest_backup,
)
from auditor.runs.forecast import forecast_channels
from storage.database.engine import parse_database_url
from storage.errors import MissingDatabaseError, StoreError
from storage.models.users import Role
from storage.store import Store

MAX_AGE_HOURS = 26


def diagnose_data(config: Config, now: datetime) -> Iterator[DiagnosticResult]:
    """The key of the receipts, the database and what is in it."""
    yield _diagnose_signing_key(config.storage.folder)
    about = gettext_noop("database")
    try:
        with suggest_newest_backup(config), Store.open(config.storage.url, create=False) as store:
            store.check_integrity()
            yield _diagnose_database(store)
            yield _diagnose_last_run(store, now)
            yield from _diagnose_future_changes(store, now)
            yield from _diagnose_unsent_messages(store)
            yield _diagnose_users(store)
            yield from diagnose_cluster(config, store)
            yield from _diagnose_run_forecast(config, store, now)
    except MissingDatabaseError:
        none = gettext_noop("none yet; {command} creates it")
        yield warning(about, none, command="`auditor registry import`")
    except StoreError as trouble:
        yield failure(about, gettext_noop("{trouble}"), trouble=str(trouble))
    yield from _diagnose_backups(config, now)


def _diagnose_database(store: Store) -> DiagnosticResult:
    associations, links = store.count_registered()
    held = gettext_noop("associations: {associations}, links: {links}; intact, schema {schema}")
    facts = {"associations": associations, "links": links, "schema": store.get_schema_revision()}
    return ok(gettext_noop("database"), held, **facts)


def _diagnose_signing_key(folder: Path) -> DiagnosticResult:
    """The key that signs receipts, as people tell it from another."""
    about, file = gettext_noop("run report key"), folder / PRIVATE_KEY_FILE_NAME
    try:
        before = read_known_public_keys(folder)
        if held := SigningKey.read(folder):
            return ok(
                about,
                gettext_noop("fingerprint {print}"),
                print=compute_key_fingerprint(held.public_key),
            )
    except (ConfigError, OSError) as trouble:
        return failure(about, gettext_noop("{trouble}"), trouble=str(trouble))
    if before:
        lost = gettext_noop(
            "{file} is lost: the next run creates a new one and says so in its report"
        )
        return warning(about, lost, file=str(file))
    return ok(about, gettext_noop("none yet; the first run creates it"))


def _diagnose_last_run(store: Store, now: datetime) -> DiagnosticResult:
    about, night = gettext_noop("last check"), store.get_latest_run()
    if night is None:
        return warning(
            about, gettext_noop("none yet; {command} starts one"), command="`auditor run`"
        )
    if is_dated_in_future(night, now):
        future = gettext_noop("{day} is in the future: no run can begin; try {command}")
        return failure(about, future, day=night.day, command="`auditor run --discard-future`")
    hours = (now - (night.finished_at or night.started_at)).total_seconds() / 3600
    state = "ok" if hours <= MAX_AGE_HOURS and night.state == "done" else "warn"
    ago = gettext_noop("check of {day}: {run_state}, {hours} hours ago")
    return build_diagnostic(
        about, state, ago, day=night.day, run_state=str(night.state), hours=f"{hours:.0f}"
    )


def _diagnose_future_changes(store: Store, now: datetime) -> Iterator[DiagnosticResult]:
    """Yield a warning if something was changed while the clock was ahead: no run counts it yet."""
    if changes := store.count_future_changes(now + CLOCK_TOLERANCE):
        future = gettext_noop("dated in the future, so no run counts them: {n}; try {command}")
        command = "`auditor run --discard-future`"
        yield warning(gettext_noop("changes"), future, n=changes, command=command)


def _diagnose_backups(config: Config, now: datetime) -> Iterator[DiagnosticResult]:
    """A word only where the newest backup of a SQLite database is old, or there is none."""
    about = gettext_noop("backups")
    if parse_database_url(config.storage.url).get_backend_name() != "sqlite":
        return
    try:
        newest = find_newest_backup(config.backup.folder, now)
        last = next(iter(list_backups(config.backup.folder)), None)
    except StoreError as error:
        yield failure(about, gettext_noop("{trouble}"), trouble=str(error))
        return
    if last is not None and last != newest:
        future = gettext_noop("{file} is dated in the future; move it away")
        yield warning(about, future, file=last.file.name)
    if newest is None:
        yield warning(
            about, gettext_noop("none; {command} creates one"), command="`auditor backup`"
        )
        return
    hours = (now - newest.created_at).total_seconds() / 3600
    if hours > MAX_AGE_HOURS:
        yield warning(
            about,
            gettext_noop("{file}, {hours} hours old"),
            file=newest.file.name,
            hours=f"{hours:.0f}",
        )


def _diagnose_run_forecast(
    config: Config, store: Store, now: datetime
) -> Iterator[DiagnosticResult]:
    """A word only where a night cannot reach everybody: whose turn it is is then a matter of nights."""
    for one in forecast_channels(config, store, now):
        if one.runs > 1:
            long = gettext_noop(
                "one request every {seconds} s: {hours} hours for {accounts} accounts; nights needed: {n}"
            )
            if not one.seconds_per_request:
                long = gettext_noop(
                    "its budget covers {reached} of {accounts} accounts per run; nights needed: {n}"
                )
            facts = {
                "seconds": one.seconds_per_request,
                "hours": one.hours,
                "accounts": one.sequential_accounts,
                "n": one.runs,
            }
            facts["reached"] = one.accounts_per_run or 0
            yield warning(
                gettext_noop("runs needed for {channel}"), long, channel=one.channel, **facts
            )


def _diagnose_users(store: Store) -> DiagnosticResult:
    """Whether somebody can look after users; without one the pages are for nobody."""
    about, users = gettext_noop("users"), store.list_users()
    admins = [one for one in users if one.role is Role.ADMIN and one.password_hash]
    if not admins:
        command = "`auditor user add NAME --role admin`"
        return warning(
            about, gettext_noop("no administrator can log in; try {command}"), command=command
        )
    return ok(
        about,
        gettext_noop("{n}, including administrators: {admins}"),
        n=len(users),
        admins=len(admins),
    )


def _diagnose_unsent_messages(store: Store) -> Iterator[DiagnosticResult]:
    """A word only where a message did not go."""
    night = store.get_latest_run()
    if night and (lost := store.count_failed_messages(night.started_at)):
        yield warning(
            gettext_noop("messages"), gettext_noop("not sent since the last run: {n}"), n=lost
        )


CLUSTER_MODULES = ("procrastinate", "psycopg_pool")


def diagnose_cluster(config: Config, store: Store) -> Iterator[DiagnosticResult]:
    """The queue and its workers; nothing on one machine."""
    if not config.cluster.enabled:
        return
    about = gettext_noop("many machines")
    for missing in (name for name in CLUSTER_MODULES if find_spec(name) is None):
        told = gettext_noop("{missing} is not installed: {command}")
        yield failure(about, told, missing=missing, command=f"`{CLUSTER_INSTALL_COMMAND}`")
    yield _diagnose_shared_folder(config)
    seen = load_queue_health(store, config)
    if seen is None:
        yield warning(
            about, gettext_noop("no queue yet; {command} creates it"), command="`auditor run`"
        )
    elif not seen.active_workers:
        yield warning(
            about,
            gettext_noop("no worker is running; {command} starts one"),
            command="`auditor worker`",
        )
    else:
        told = gettext_noop(
            "active workers: {alive}; jobs queued: {waiting}, running: {doing}, stalled: {stalled}"
        )
        facts = {
            "alive": seen.active_workers,
            "waiting": seen.waiting_jobs,
            "doing": seen.running_jobs,
            "stalled": seen.stalled_jobs,
        }
        yield (warning if seen.stalled_jobs or seen.failed_jobs else ok)(about, told, **facts)


def _diagnose_shared_folder(config: Config) -> DiagnosticResult:
    """The mark, for people to compare: a worker compares it itself."""
    about, mark = gettext_noop("shared data folder"), read_folder_token(config.storage.folder)
    if not mark:
        return warning(
            about, gettext_noop("no mark yet; {command} creates it"), command="`auditor run`"
        )
    return ok(
        about,
        gettext_noop("its mark is {mark}; it must be the same on every machine"),
        mark=mark[:8],
    )
