"""`run`, `worker`, `reevaluate` and `status`: audit runs and their results."""

import asyncio
import gc
import math
import os
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import date, datetime, timedelta
from typing import Annotated, Any

import typer

from auditor.app import App, refuse_unusable_certificates
from auditor.checking import clock
from auditor.cli.context import (
    DryRunOption,
    FormatOption,
    JsonOption,
    examples,
    get_cli_context,
    get_current_time,
)
from auditor.cli.output import (
    ProgressCallback,
    choose_table_format,
    count_noun,
    print_json,
    print_message,
    print_table,
    print_text,
    show_progress,
)
from auditor.cluster import get_worker_cluster, require_cluster_extra
from auditor.config.schema import find_config_file
from auditor.core import runtime
from auditor.core.errors import ConfigError, IncompleteRunError, UsageError
from auditor.evaluation import reevaluate as reevaluation
from auditor.i18n.translator import Translator
from auditor.runs import pipeline
from auditor.runs.frontier import QueueStatus
from auditor.runs.pipeline import run_with_grace_period, stop_on_signal
from auditor.views.json_items import build_status_item
from probes.models.finding import Presence
from storage.errors import LostDatabaseError, MissingDatabaseError
from storage.models.audit import AuditRun, AuditRunState
from storage.store import Store

ENGLISH = Translator("en")
INTERRUPTED_EXIT_CODE = 130
CHANGE_COLUMNS = ("kind", "association", "channel", "subject", "before", "after")
LABELS = {
    "run": "Check",
    "started_at": "Started",
    "finished_at": "Finished",
    "unknown": "Could not be checked",
    "not_reached": "Left for the next check",
    "delayed_run": "Check waiting",
    "next_run_at": "Next check",
}
"""The labels of fields in a table. Others are named as in JSON."""
HIDDEN_FIELDS = frozenset({"age_hours", "dated_in_future"})
"""Fields that a table leaves out: the end of the run says its age, an error message the other."""
RUN_STATES = {"done": "finished", "skipped": "skipped (no connection)"}


@examples("auditor run")
def run(
    context: typer.Context, requested_format: FormatOption = None, as_json: JsonOption = False
) -> None:
    """Run the nightly audit.

    Checks every account once per UTC day. Resumes an interrupted run, and does nothing if today's
    run has finished. Exits with code 4 if the run is incomplete, and 5 if another run is active.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    refuse_unusable_certificates(config)
    pipeline.require_run_folders(config)
    with App.open(config) as app, app.hold_run_lock():
        with show_progress("the check", quiet=cli_context.quiet) as on_progress:
            finished_run = runtime.run_async(_execute_run(app, on_progress))
        counts = count_presences(app.store, finished_run)
    if table_format == "json":
        print_json([finished_run.report.to_json()], get_current_time())
    elif finished_run.state == "done":
        facts = ", ".join(_describe_finished_run(finished_run, counts))
        day = ENGLISH.format_date(finished_run.day)
        cli_context.print_note(f"the check of {day}: done: {facts}")
    _raise_if_incomplete(finished_run)
    if finished_run.unreliable_channels and cli_context.quiet:
        channels = ", ".join(map(ENGLISH.channel_name, finished_run.unreliable_channels))
        print_message(f"warning: unreliable channels: {channels}; nothing changed there")


def _describe_finished_run(run: AuditRun, counts: Mapping[Presence, int]) -> Iterator[str]:
    """Yield the numbers of accounts, unreliable channels, and the costs of APIs in their units."""
    yield count_noun(sum(counts.values()), "account")
    for presence, count in sorted(counts.items()):
        yield f"{ENGLISH.term('presence', presence)}: {count}"
    if run.unreliable_channels:
        channels = map(ENGLISH.channel_name, run.unreliable_channels)
        yield f"unreliable channels: {', '.join(channels)}"
    if run.not_reached_count:
        yield f"{run.not_reached_count:,} left for the next run"
    for name, usage in run.report.apis.items():
        yield f"the {name} API used {usage.cost:,} of {usage.budget:,} {usage.unit}"


async def _execute_run(app: App, on_progress: ProgressCallback) -> AuditRun:
    """Execute today's run and return it. SIGTERM stops it after its grace period.

    Raises typer.Exit with code 130 if the run was stopped.
    """
    stop, grace_seconds = asyncio.Event(), app.config.schedule.shutdown_grace_seconds
    gc.freeze()  # loaded code is never garbage, and each collection would search it again
    with stop_on_signal(stop):
        try:
            run_coroutine = pipeline.run_audit_pipeline(
                app,
                get_current_time(),
                on_progress=on_progress,
                stop=stop,
                cluster=get_worker_cluster(app.config),
            )
            ended_run = await run_with_grace_period(run_coroutine, stop, grace_seconds)
        except asyncio.CancelledError:
            if stop.is_set():
                raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
            raise
    if stop.is_set() and ended_run.state == "incomplete":
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    return ended_run


def _raise_if_incomplete(finished_run: AuditRun) -> None:
    """Raise IncompleteRunError if the run did not check every account."""
    subject = f"the run for {finished_run.day}"
    if finished_run.state != "done":
        reason = "the network is not reachable"
        if finished_run.has_crashed:
            reason = f"{finished_run.report.interrupted_because}, so nothing was concluded"
        elif finished_run.state != "skipped":
            reason = "it was interrupted"
        remedy = "`auditor run` again, or `auditor doctor`"
        raise IncompleteRunError(f"{subject} is {finished_run.state}", reason, remedy)
    if count := finished_run.not_reached_count:
        raise IncompleteRunError(
            subject,
            f"{count} accounts were not reached before the time limit; the next run begins with "
            "them",
            "a longer [schedule] time_limit_hours",
        )


@examples("auditor reevaluate --dry-run", "auditor reevaluate")
def reevaluate(
    context: typer.Context,
    dry_run: DryRunOption = False,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Re-evaluate all observations with the current rules.

    Use this after you have changed the rules or upgraded the program. It uses the stored
    observations, evidence and decisions, and makes no requests. Repeating it changes nothing more.
    With --config and --dry-run, it shows what another configuration would change.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    with (
        cli_context.open_app_for_reading() if dry_run else cli_context.open_app() as app,
        app.hold_run_lock(),
        show_progress("re-evaluating", quiet=cli_context.quiet) as on_progress,
    ):
        result = reevaluation.reevaluate(app, dry_run=dry_run, progress=on_progress)
    changes = reevaluation.simplify_changes(result.changes)
    items = map(asdict, changes)
    if table_format == "json":
        print_json(items, get_current_time())
    elif changes:
        print_table(CHANGE_COLUMNS, items, table_format)
    config_path = find_config_file(cli_context.config_path, os.environ) or "the built-in rules"
    counts = (
        count_noun(result.run_count, "check"),
        f"{count_noun(result.replayed_count, 'observation')} replayed",
        f"{count_noun(result.recorded_count, 'observation')} as recorded",
    )
    cli_context.print_note(f"checked with {config_path}: {', '.join(counts)}")
    outcome = "would change; nothing was written" if dry_run else "changed"
    cli_context.print_note(f"{count_noun(len(changes), 'conclusion')} {outcome}")
    for line in reevaluation.summarize_changes(changes):
        cli_context.print_note(line)
    for line in reevaluation.warn_about_mass_losses(changes):
        print_message(line)


@examples("auditor worker")
def worker(context: typer.Context) -> None:
    """Check accounts for a run that another machine coordinates.

    Needs PostgreSQL and the cluster setting. Start one worker on each machine, with the same
    configuration, database and data folder. It works until you stop it.
    """
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    if not config.cluster.enabled:
        raise ConfigError(
            "[cluster] enabled",
            "it is false, so one machine checks all accounts",
            "set it to true; see docs/guides/deployment.md",
        )
    with cli_context.open_app() as app:
        cli_context.print_note("waiting for the next run")
        runtime.run_async(_run_worker(app))


async def _run_worker(app: App) -> None:

    with require_cluster_extra():
        # the extra is not installed on a single machine
        from auditor.cluster.worker import ClusterWorker  # noqa: PLC0415
    stop = asyncio.Event()
    runtime.limit_malloc_arenas()  # a worker parses as many pages as `auditor run`
    gc.freeze()
    with stop_on_signal(stop):
        await ClusterWorker(app, stop, get_current_time).run()


@examples("auditor status", "auditor status --max-age 26")
def status(
    context: typer.Context,
    max_age: Annotated[
        float | None,
        typer.Option(
            "--max-age",
            help="Exit with code 4 if the last finished run is older than this many hours.",
        ),
    ] = None,
    requested_format: FormatOption = None,
    as_json: JsonOption = False,
) -> None:
    """Show how the last run went and when the next one starts.

    Begins with a sentence, then shows times, numbers of accounts and unreliable channels. The next
    run starts as the setting schedule.start_time says. To monitor runs, call it with --max-age from
    cron.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    if max_age is not None and not 0 <= max_age < math.inf:  # no run, or every run, can be older
        raise UsageError(f"--max-age {max_age}", "this is no number of hours", "--max-age 26")
    cli_context = get_cli_context(context)
    now, config = get_current_time(), cli_context.load_config()
    last_run = last_finished_run = queue = None
    counts: dict[Presence, int] = {}
    try:
        with cli_context.open_app_for_reading() as app:
            last_run = app.store.runs.get_latest()
            last_finished_run = app.store.runs.get_latest(AuditRunState.DONE)
            counts = count_presences(app.store, last_run)
            cluster = get_worker_cluster(config)
            queue = cluster.load_queue_status() if cluster else None
    except MissingDatabaseError as error:  # a new installation has none yet
        if isinstance(error, LostDatabaseError):
            raise
    delayed_day = clock.find_delayed_day(last_run, config.schedule, now)
    next_start = clock.find_next_start_time(last_run, config.schedule, now)
    item = build_status_item(last_run, counts, now, delayed_day, next_start)
    if table_format == "json":
        print_json([item | _build_queue_item(queue)], now)
    elif table_format == "table":
        print_text("\n".join(_describe_status(item, config.network.time_zone, now)))
    elif last_run:
        rows = [
            {"what": name, "value": ", ".join(value) if isinstance(value, list) else value}
            for name, value in item.items()
            if name != "dated_in_future"  # an error message says so
        ]
        print_table(("what", "value"), rows, "tsv")
    for note in _describe_notes(item, queue) if table_format != "json" else ():
        cli_context.print_note(note)
    cli_context.explain_empty_result(0 if last_run is None else 1, config)
    if last_run and item["dated_in_future"]:
        raise IncompleteRunError(
            f"the run for {last_run.day}", clock.FUTURE_RUN, clock.RESTORE_AFTER_CLOCK
        )
    if max_age is not None:
        _raise_if_stale(last_finished_run, max_age, now)


def count_presences(store: Store, run: AuditRun | None) -> dict[Presence, int]:
    """Return how many accounts a run found present, absent and unknown."""
    total: Counter[Presence] = Counter()
    if run is not None and run.id is not None:
        for (_, presence), count in store.observations.count_by_presence(run.id).items():
            total[presence] += count
    return total


def _raise_if_stale(
    last_finished_run: AuditRun | None, max_age_hours: float, now: datetime
) -> None:
    """Raise IncompleteRunError if the last finished run is too old.

    Only finished runs count. A run that is skipped every day must not look healthy.
    """
    if last_finished_run is None:
        raise IncompleteRunError("no recent run", "no run has finished yet", "`auditor run`")
    ended_at = last_finished_run.finished_at or last_finished_run.started_at
    hours = (now - ended_at).total_seconds() / 3600
    if hours > max_age_hours:
        raise IncompleteRunError(
            "the last run is too old",
            f"the run for {last_finished_run.day} finished {hours:.1f} hours ago",
            "`auditor run`, and check the schedule",
        )


def _describe_status(item: dict[str, Any], zone: str, now: datetime) -> Iterator[str]:
    """Yield a sentence, and a line for each field with a value."""
    sentence = _describe_last_check(item, now) if item["run"] else "No check yet"
    if item["next_run_at"]:
        next_start = datetime.fromisoformat(item["next_run_at"])
        if next_start - now > timedelta(days=1):
            sentence += f"; next on {ENGLISH.format_datetime(next_start, zone)}"
        else:
            sentence += f"; next at {ENGLISH.format_time(next_start, zone)}"
    yield f"{sentence}."
    for name, value in item.items() if item["run"] else ():
        if value in (None, "", []) or name in HIDDEN_FIELDS or (name, value) == ("not_reached", 0):
            continue
        text = str(value)
        if name in {"run", "delayed_run"}:
            text = ENGLISH.format_date(value)
        elif name.endswith("_at"):
            text = ENGLISH.format_datetime(datetime.fromisoformat(value), zone)
        elif name == "state":
            text = RUN_STATES.get(value, value)
        elif isinstance(value, list):
            text = ENGLISH.join_list(map(ENGLISH.channel_name, value))
        elif isinstance(value, int):
            text = f"{value:,}"
        yield f"{LABELS.get(name, name.replace('_', ' ').capitalize()):24}{text}"


def _describe_last_check(item: dict[str, Any], now: datetime) -> str:
    """Return the state of the last run, its day if it is older than a night, and its counts."""
    title, day = "Last check", date.fromisoformat(item["run"])
    if now.date() - day > timedelta(days=1):
        title += f", {ENGLISH.format_date(day)}"
    title += f": {RUN_STATES.get(item['state'], item['state'])}"
    if item["unknown"]:
        total = f"{item['unknown']:,} of {item['accounts']:,} accounts"
        return f"{title}, {total} could not be checked"
    if item["accounts"]:
        return f"{title}, {count_noun(item['accounts'], 'account')} checked"
    return title


def _build_queue_item(queue: QueueStatus | None) -> dict[str, Any]:
    if queue is None:
        return {}
    jobs = {"todo": queue.waiting_jobs, "doing": queue.running_jobs, "failed": queue.failed_jobs}
    oldest = queue.oldest_wait_seconds
    return {
        "cluster": {
            "jobs": jobs,
            "oldest_job_seconds": None if oldest is None else round(oldest, 1),
            "stalled_jobs": queue.stalled_jobs,
            "active_workers": queue.active_workers,
        }
    }


def _describe_notes(item: dict[str, Any], queue: QueueStatus | None) -> Iterator[str]:
    """Yield what the figures do not show: a run that has not started, and accounts not reached."""
    if item["run"] is None:
        yield "no runs yet; `auditor run` starts one"
    if item["delayed_run"]:
        day, other = map(ENGLISH.format_date, (item["delayed_run"], item["run"]))
        yield f"The check of {day} has not started: the one of {other} has not finished."
    if item["not_reached"] and item["state"] == "done":
        verb = "it comes" if item["not_reached"] == 1 else "they come"
        left = count_noun(item["not_reached"], "account")
        yield f"{left} left over; {verb} first in the next check."
    if queue:
        yield (
            f"{count_noun(queue.active_workers, 'active worker')}; jobs queued: "
            f"{queue.waiting_jobs:,}, running: {queue.running_jobs:,}, "
            f"stalled: {queue.stalled_jobs:,}."
        )
