"""`status`: show the last run, when the next one starts, and whether the last one is too old."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

import math
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any, NamedTuple

import typer

from auditor.cli.audit import count_presences
from auditor.cli.context import examples, get_cli_context, get_current_time
from auditor.cli.options import FormatOption, JsonOption
from auditor.cli.output import TableFormat, choose_table_format, print_json, print_table, print_text
from auditor.core.errors import IncompleteRunError, UsageError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from auditor.cli.context import CliContext
    from auditor.i18n.translator import Translator
    from probes.models.finding import Presence
    from storage.models.audit import AuditRun
    from storage.runs.cluster import QueueStatus

DAY_FIELDS = frozenset({"run", "delayed_run"})
"""Fields of the JSON item that are days."""


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
    from auditor.checking import clock
    from auditor.cluster.health import build_queue_item
    from auditor.views.json_items import build_status_item

    table_format = choose_table_format(requested_format, as_json=as_json)
    if max_age is not None:
        _validate_max_age(max_age)
    cli_context = get_cli_context(context)
    now, config = get_current_time(), cli_context.load_config()
    last_runs = _load_last_runs(cli_context)
    last_run, queue = last_runs.newest, last_runs.queue
    item = build_status_item(
        last_run,
        last_runs.counts,
        now,
        clock.find_delayed_day(last_run, config.schedule, now),
        clock.find_next_start_time(last_run, config.schedule, now),
    )
    if table_format == "json":
        if queue:
            item |= {"cluster": build_queue_item(queue)}
        print_json([item], now)
    else:
        _print_status(item, cli_context, config.network.time_zone, now, table_format)
        if queue:
            _print_worker_counts(queue, cli_context)
    cli_context.explain_empty_result(0 if last_run is None else 1, config)
    if last_run and item["dated_in_future"]:
        raise IncompleteRunError(
            f"the run for {last_run.day}", clock.FUTURE_RUN, clock.RESTORE_AFTER_CLOCK
        )
    if max_age is not None:
        _raise_if_stale(last_runs.newest_finished, max_age, now)


class LastRuns(NamedTuple):
    """The newest runs and their figures; empty before the first run and without a database."""

    newest: AuditRun | None = None
    newest_finished: AuditRun | None = None
    counts: Mapping[Presence, int] = {}
    queue: QueueStatus | None = None


def _load_last_runs(cli_context: CliContext) -> LastRuns:
    """Return the last runs. A new installation has no database yet; a lost one is an error."""
    from auditor.cluster.health import load_queue_status
    from storage.errors import LostDatabaseError, MissingDatabaseError
    from storage.models.audit import AuditRunState

    try:
        with cli_context.open_app_for_reading() as app:
            newest = app.store.runs.get_latest()
            return LastRuns(
                newest,
                app.store.runs.get_latest(AuditRunState.DONE),
                count_presences(app.store, newest),
                load_queue_status(app.store, app.config),
            )
    except LostDatabaseError:
        raise
    except MissingDatabaseError:
        return LastRuns()


def _validate_max_age(max_age_hours: float) -> None:
    """Raise UsageError if no run can be older (`nan`, `inf`), or if every run is (`-1`)."""
    if not 0 <= max_age_hours < math.inf:
        raise UsageError(f"--max-age {max_age_hours}", "this is no number of hours", "--max-age 26")


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


def _print_status(
    item: dict[str, Any],
    cli_context: CliContext,
    zone: str,
    now: datetime,
    table_format: TableFormat,
) -> None:
    """Print the last run: a sentence and the rows with a value, or all rows as codes."""
    translator = cli_context.translator
    if table_format == "table":
        print_text(_describe_status(item, translator, zone, now))
    if item["run"] is None:
        cli_context.print_translated("no runs yet; {command} starts one", command="`auditor run`")
        return
    rows = []
    for key, value in item.items():
        if key == "dated_in_future":
            continue  # an error message says so
        if table_format == "tsv":
            rows.append((key, ", ".join(value) if isinstance(value, list) else value))
        elif _has_value(key, value):
            rows.append((key, _format_status_value(key, value, translator, zone)))
    columns, groups = ("what", "value"), {"what": "heading"}
    print_table(columns, rows, translator, table_format, term_groups=groups, with_headings=False)
    _print_delays(item, cli_context)


def _has_value(key: str, value: Any) -> bool:
    """Return whether a table shows a field. The time at which the run finished says its age."""
    return key != "age_hours" and value not in (None, "", []) and (key, value) != ("not_reached", 0)


def _describe_status(item: dict[str, Any], translator: Translator, zone: str, now: datetime) -> str:
    """Return the sentence that says how the last run went and when the next one starts."""
    if item["run"] is None:
        last_check = translator.translate("No check yet")
    else:
        last_check = _describe_last_check(item, translator, now)
    if item["next_run_at"] is None:
        return f"{last_check}."
    next_start = datetime.fromisoformat(item["next_run_at"])
    if next_start - now > timedelta(days=1):
        next_time = translator.format_datetime(next_start, zone)
        return translator.translate(
            "{last_check}; next on {time}.", last_check=last_check, time=next_time
        )
    next_time = translator.format_time(next_start, zone)
    return translator.translate(
        "{last_check}; next at {time}.", last_check=last_check, time=next_time
    )


def _describe_last_check(item: dict[str, Any], translator: Translator, now: datetime) -> str:
    """Return the state of the last run and how many accounts could not be checked.

    Adds the day if the run is older than a night.
    """
    day = date.fromisoformat(item["run"])
    title = translator.translate("Last check")
    if now.date() - day > timedelta(days=1):
        title = translator.join_list([title, translator.format_date(day)])
    facts = [translator.term("run", item["state"])]
    if item["unknown"]:
        facts.append(
            translator.translate_plural(
                "{n} of {total} accounts could not be checked",
                "{n} of {total} accounts could not be checked",
                item["unknown"],
                total=translator.format_number(item["accounts"]),
            )
        )
    elif item["accounts"]:
        facts.append(
            translator.translate_plural(
                "{n} account checked", "{n} accounts checked", item["accounts"]
            )
        )
    return translator.format_pair(title, translator.join_list(facts))


def _print_delays(item: dict[str, Any], cli_context: CliContext) -> None:
    """Print what the figures do not show: a run that has not started, and accounts not reached."""
    if item["delayed_run"]:
        delayed_day = date.fromisoformat(item["delayed_run"])
        running_day = date.fromisoformat(item["run"])
        cli_context.print_translated(
            "The check of {day} has not started: the one of {other} has not finished.",
            day=delayed_day,
            other=running_day,
        )
    if item["not_reached"] and item["state"] == "done":
        cli_context.print_translated_count(
            "{n} account left over; it comes first in the next check.",
            "{n} accounts left over; they come first in the next check.",
            item["not_reached"],
        )


def _print_worker_counts(cluster_figures: QueueStatus, cli_context: CliContext) -> None:
    """Print the number of active workers and of jobs, if a run uses several machines."""
    number = cli_context.translator.format_number
    cli_context.print_translated_count(
        "{n} active worker; jobs queued: {waiting}, running: {doing}, stalled: {stalled}.",
        "{n} active workers; jobs queued: {waiting}, running: {doing}, stalled: {stalled}.",
        cluster_figures.active_workers,
        waiting=number(cluster_figures.waiting_jobs),
        doing=number(cluster_figures.running_jobs),
        stalled=number(cluster_figures.stalled_jobs),
    )


def _format_status_value(key: str, value: Any, translator: Translator, zone: str) -> str:
    """Return a status value as text: channels, a time in the network's zone, a number, a state."""
    if isinstance(value, list):
        return translator.join_list(map(translator.channel_name, value))
    if key in DAY_FIELDS:
        return translator.format_date(value)
    if isinstance(value, str) and value.endswith("Z"):
        return translator.format_datetime(datetime.fromisoformat(value), zone)
    if isinstance(value, (int, float)):
        return translator.format_number(value)
    return translator.term("run", value or "")
