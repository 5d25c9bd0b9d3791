"""`status`: show the last run, when the next one starts, and whether the last one is too old."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.checking import clock
from auditor.cli.context import (
    FormatOption,
    JsonOption,
    examples,
    get_cli_context,
    get_current_time,
)
from auditor.cli.output import choose_table_format, count_noun, print_json, print_table, print_text
from auditor.cluster import get_worker_cluster
from auditor.core.errors import IncompleteRunError, UsageError
from auditor.core.i18n.translator import Translator
from auditor.presentation.views.json_items import build_status_item
from probes.models.finding import Presence
from storage.errors import LostDatabaseError, MissingDatabaseError
from storage.models.audit import AuditRun, AuditRunState
from storage.store import Store

if TYPE_CHECKING:
    from auditor.runs.frontier import QueueStatus

ENGLISH = Translator("en")
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
        with cli_context.open_app_for_reading(config) as app:
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
    waiting = clock.find_second_pass(last_run, now)
    for note in _describe_notes(item, queue, waiting) if table_format != "json" else ():
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
    if run is not None:
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
    if not item["run"]:
        return
    for name, value in item.items():
        if value in (None, "", []) or name in HIDDEN_FIELDS or (name, value) == ("not_reached", 0):
            continue
        label = LABELS.get(name, name.replace("_", " ").capitalize())
        yield f"{label:24}{_format_status_value(name, value, zone)}"


def _format_status_value(name: str, value: Any, zone: str) -> str:
    if name in {"run", "delayed_run"}:
        return ENGLISH.format_date(value)
    if name.endswith("_at"):
        return ENGLISH.format_datetime(datetime.fromisoformat(value), zone)
    if name == "state":
        return str(RUN_STATES.get(value, value))
    if isinstance(value, list):
        return ENGLISH.join_list(map(ENGLISH.channel_name, value))
    return f"{value:,}" if isinstance(value, int) else str(value)


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


def _describe_notes(
    item: dict[str, Any], queue: QueueStatus | None, waiting: tuple[int, datetime] | None
) -> Iterator[str]:
    """Yield what the figures do not show: a run that waits, and accounts not reached or failed."""
    if item["run"] is None:
        yield "no runs yet; `auditor run` starts one"
    if item["delayed_run"]:
        day, other = map(ENGLISH.format_date, (item["delayed_run"], item["run"]))
        yield f"The check of {day} has not started: the one of {other} has not finished."
    if waiting:
        count, starts_at = waiting
        accounts = count_noun(count, "failed account")
        yield f"Waiting until {starts_at:%H:%M} UTC to check {accounts} again."
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
