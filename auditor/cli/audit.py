"""`run`, `serve`, `status` and `rejudge`: the night, by hand, by schedule, and what it left.

`worker`: looks at the accounts of the night that another machine leads.
"""

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict
from datetime import date, datetime
from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, cast

import typer

from auditor.cli.context import JsonOption, get_cli_context, get_current_time
from auditor.cli.help import examples
from auditor.cli.output import (
    is_stdout_terminal,
    print_data,
    print_message,
    print_table,
    show_progress,
)
from auditor.cluster import require_cluster_extra
from auditor.core import runtime
from auditor.core.errors import ConfigError, IncompleteRunError, UsageError
from auditor.core.formatting import build_json_document

if TYPE_CHECKING:
    from pathlib import Path

    from auditor.app import App
    from auditor.cli.context import CliContext
    from auditor.cli.output import ProgressCallback
    from auditor.cluster.health import QueueHealth
    from auditor.evaluation.reevaluate import ReevaluationResult
    from auditor.i18n.translator import Translator
    from probes.models.finding import Presence
    from storage.models.audit import AuditRun
    from storage.store import Store
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick


INTERRUPTED_EXIT_CODE = 130
FORECAST_COLUMNS = ("channel", "accounts", "seconds_per_request", "hours", "runs")
CHANGE_COLUMNS = ("kind", "association", "channel", "subject", "before", "after")


@examples("auditor run", "auditor run --forecast")
def run(
    context: typer.Context,
    forecast: Annotated[
        bool,
        typer.Option(
            "--forecast", help="Show how long the next run will take, without making requests."
        ),
    ] = False,
    discard_future: Annotated[
        bool,
        typer.Option(
            "--discard-future",
            help="Check the clock, back up and remove the runs dated in the future. Then run.",
        ),
    ] = False,
    no_backup: Annotated[
        bool,
        typer.Option(
            "--no-backup", help="Skip the backup of --discard-future, because you made one."
        ),
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the nightly audit.

    Checks every account once a day. Resumes an interrupted run; does nothing if today's run has
    finished.
    """
    from auditor.app import App

    if no_backup and not discard_future:
        raise UsageError("--no-backup", "only --discard-future makes a backup", "both, or neither")

    cli_context = get_cli_context(context)
    if forecast:
        _print_forecast(cli_context, as_json=as_json)
        return
    with App.open(cli_context.load_config()) as app, app.hold_run_lock():
        if discard_future:
            _discard_future_runs(app, cli_context, skip_backup=no_backup)
        with show_progress(
            cli_context.translator.translate("the check"), quiet=cli_context.quiet
        ) as step:
            done = runtime.run_async(_execute_run(app, step))
        counts = count_presences(app.store, done)
    if as_json:
        print_data(build_json_document([done.receipt], get_current_time()))
    elif done.state == "done" and not cli_context.quiet:
        print_message(_format_run_summary(done, counts, cli_context.translator))
    _raise_if_incomplete(done)
    if done.unreliable_channels and cli_context.quiet:
        blind = cli_context.translator.join_list(
            map(cli_context.translator.channel_name, done.unreliable_channels)
        )
        print_message(
            cli_context.translator.translate(
                "warning: unreliable channels: {channels}; nothing changed there", channels=blind
            )
        )


def _discard_future_runs(app: App, cli_context: CliContext, *, skip_backup: bool) -> None:
    """Remove the runs dated in the future. Raises ClockError unless the web says that the clock is right."""
    from auditor.checking.clock import refuse_unproven_clock
    from auditor.diagnostics.network import check_network
    from auditor.runs.future_runs import discard_future_runs

    now = get_current_time()
    refuse_unproven_clock(check_network(app.config, now).clock_skew)
    result = discard_future_runs(app, now, skip_backup=skip_backup)
    if result.backup:
        cli_context.print_translated("Backup: {file}", file=str(result.backup))
    if result.days:
        days = ", ".join(map(str, result.days))
        cli_context.print_translated("Removed the runs dated in the future: {days}.", days=days)
    if result.change_count:
        cli_context.print_translated_count(
            "{n} change dated in the future is now dated today.",
            "{n} changes dated in the future are now dated today.",
            result.change_count,
        )
    if not result.days and not result.change_count:
        cli_context.print_translated("Nothing is dated in the future.")


def _print_forecast(cli_context: CliContext, *, as_json: bool) -> None:
    """What the next night will take; where one is not enough, how many."""
    from auditor.runs.forecast import forecast_channels

    with cli_context.open_app() as app:
        told = forecast_channels(app.config, app.store, get_current_time())
    if as_json:
        print_data(build_json_document([one.to_dict() for one in told], get_current_time()))
        return
    print_table(
        FORECAST_COLUMNS,
        ([getattr(one, column) for column in FORECAST_COLUMNS] for one in told),
        cli_context.translator,
    )
    for one in told:
        if one.runs > 1 and not one.seconds_per_request:
            cli_context.print_translated_count(
                "The {channel} budget covers {accounts} accounts per run: {n} night.",
                "The {channel} budget covers {accounts} accounts per run: {n} nights.",
                one.runs,
                channel=cli_context.translator.channel_name(one.channel),
                accounts=cli_context.translator.format_number(one.accounts_per_run or 0),
            )
        elif one.runs > 1:
            cli_context.print_translated_count(
                "With one request every {seconds} s, {channel} takes {hours} hours: {n} night.",
                "With one request every {seconds} s, {channel} takes {hours} hours: {n} nights.",
                one.runs,
                seconds=cli_context.translator.format_number(one.seconds_per_request),
                channel=cli_context.translator.channel_name(one.channel),
                hours=cli_context.translator.format_number(one.hours),
            )


async def _execute_run(app: App, on_progress: ProgressCallback) -> AuditRun:
    """The night; told to stop, it ends in its grace, and so does the command."""
    import asyncio

    from auditor.cluster import get_worker_cluster
    from auditor.runs import pipeline
    from auditor.runs.process import run_with_grace_period, stop_on_sigterm

    stop, grace = asyncio.Event(), app.config.schedule.shutdown_grace_seconds
    gc.freeze()  # what is loaded stays: the collector of garbage would look through it some times a night
    with stop_on_sigterm(stop):
        try:
            run = pipeline.run_audit_pipeline(
                app,
                get_current_time(),
                on_progress=on_progress,
                stop=stop,
                cluster=get_worker_cluster(app.config),
            )
            done = await run_with_grace_period(run, stop, grace)
        except asyncio.CancelledError:
            if stop.is_set():
                raise typer.Exit(INTERRUPTED_EXIT_CODE) from None
            raise
    if stop.is_set() and done.state == "incomplete":
        raise typer.Exit(INTERRUPTED_EXIT_CODE)
    return done


def _raise_if_incomplete(finished_run: AuditRun) -> None:
    """Raise IncompleteError where the night did not look at everybody."""
    from auditor.receipts.receipt import count_not_reached

    if finished_run.state != "done":
        remedy = "`auditor run` again, `auditor doctor`"
        raise IncompleteRunError(
            f"the night of {finished_run.day} is {finished_run.state}",
            _explain_run_state(finished_run),
            remedy,
        )
    if left := count_not_reached(finished_run):
        raise IncompleteRunError(
            f"the night of {finished_run.day}",
            f"its window was over before {left} accounts were looked at; they come first tomorrow",
            "a longer [schedule] time_limit_hours",
        )


@examples("auditor serve", "auditor serve --no-schedule")
def serve(
    context: typer.Context,
    web: Annotated[bool, typer.Option(help="Serve the web pages.")] = True,
    schedule: Annotated[bool, typer.Option(help="Run the audit at its time.")] = True,
) -> None:
    """Run the audit on schedule and serve the web pages.

    Stops on Ctrl-C or SIGTERM without losing anything: an interrupted run is resumed later.
    """
    from auditor import scheduling

    if not web and not schedule:
        raise UsageError("--no-web --no-schedule", "that leaves nothing to do", "one of the two")
    cli_context = get_cli_context(context)
    with (
        cli_context.open_app() as app,
        scheduling.open_web_socket(app.config.web, is_enabled=web) as at,
    ):
        if at:
            cli_context.print_translated("web pages: {url}", url=scheduling.format_server_url(at))
            if not app.store.count_users():
                command = "`auditor user add NAME --role admin`"
                cli_context.print_translated(
                    "no one can log in yet; {command} creates the first link", command=command
                )
        gc.freeze()  # what is loaded stays: to look through it again held pages up by 200 ms, now and then
        runtime.run_async(
            scheduling.run_server(app, get_current_time, sock=at, with_schedule=schedule)
        )


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
    as_json: JsonOption = False,
) -> None:
    """Show how the last run went."""
    from auditor.checking.clock import DISCARD_FUTURE, FUTURE_RUN
    from auditor.cluster.health import load_queue_health
    from auditor.schedule_times import find_delayed_day
    from auditor.views.json_items import build_status_item
    from storage.models.audit import AuditRunState

    cli_context = get_cli_context(context)
    with cli_context.open_app() as app:
        now, night = get_current_time(), app.store.get_latest_run()
        item = build_status_item(
            night,
            count_presences(app.store, night),
            now,
            find_delayed_day(night, app.config.schedule, now),
        )
        done = app.store.get_latest_run(AuditRunState.DONE)
        seen = load_queue_health(app.store, app.config)
    if as_json:
        print_data(
            build_json_document(
                [item | ({"cluster": seen.to_dict()} if seen else {})], get_current_time()
            )
        )
    elif night:
        _print_status(item, cli_context.translator, app.config.network.time_zone)
        _print_delays(item, cli_context)
    else:
        print_message(
            cli_context.translator.translate(
                "no runs yet; {command} starts one", command="`auditor run`"
            )
        )
    if seen and not as_json:
        _print_worker_counts(seen, cli_context)
    if night and item["dated_in_future"]:
        raise IncompleteRunError(f"the run for {night.day}", FUTURE_RUN, DISCARD_FUTURE)
    if max_age is not None:
        _raise_if_stale(done, max_age, now)


@examples("auditor reevaluate --dry-run")
def reevaluate(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show what would change, without changing anything.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Re-evaluate all observations with the current rules.

    Uses the stored observations, evidence and decisions, and makes no requests. Running it twice
    changes nothing. With --config and --dry-run it shows what another configuration would change.
    """
    from auditor.app import App
    from auditor.config.schema import find_config_file
    from auditor.evaluation.reevaluate import (
        build_column_translators,
        simplify_changes,
        summarize_changes,
        warn_about_mass_losses,
    )
    from auditor.evaluation.reevaluate import reevaluate as again

    cli_context = get_cli_context(context)
    translator = cli_context.translator
    with (
        App.open(cli_context.load_config(), create=not dry_run) as app,
        app.hold_run_lock(),
        show_progress(translator.translate("re-evaluating"), quiet=cli_context.quiet) as step,
    ):
        rebuilt = again(app, dry_run=dry_run, progress=step)
    told = simplify_changes(rebuilt.changes)
    if as_json:
        print_data(build_json_document(map(asdict, told), get_current_time()))
    elif told:
        lines = ([getattr(change, column) for column in CHANGE_COLUMNS] for change in told)
        print_table(CHANGE_COLUMNS, lines, translator, build_column_translators(translator))
    if not cli_context.quiet:
        by = find_config_file(cli_context.config_path, os.environ)
        for line in (
            *_describe_reevaluation(rebuilt, by, len(told), translator, dry_run=dry_run),
            *summarize_changes(told, translator),
        ):
            print_message(line)
    for line in warn_about_mass_losses(told, translator):
        print_message(line)


def _describe_reevaluation(
    result: ReevaluationResult,
    config_path: Path | None,
    change_count: int,
    translator: Translator,
    *,
    dry_run: bool,
) -> Iterator[str]:
    """By what it was judged, what that took, and how much of it is new."""
    judged = (
        translator.translate("checked with {file}", file=str(config_path))
        if config_path
        else translator.translate("checked with the built-in rules")
    )
    took = [
        translator.translate_plural("{n} check", "{n} checks", result.run_count),
        translator.translate_plural(
            "{n} observation replayed", "{n} observations replayed", result.replayed_count
        ),
        translator.translate_plural(
            "{n} observation as recorded", "{n} observations as recorded", result.recorded_count
        ),
    ]
    yield translator.format_pair(judged, translator.join_list(took))
    if dry_run:
        yield translator.translate_plural(
            "{n} conclusion would change; nothing was written",
            "{n} conclusions would change; nothing was written",
            change_count,
        )
    else:
        yield translator.translate_plural(
            "{n} conclusion changed", "{n} conclusions changed", change_count
        )


def count_presences(store: Store, run: AuditRun | None) -> Counter[Presence]:
    """How many accounts a night found in each presence."""
    total: Counter[Presence] = Counter()
    if run is not None and run.id is not None:
        for (_, presence), count in store.count_by_presence(run.id).items():
            total[presence] += count
    return total


def _raise_if_stale(
    last_finished_run: AuditRun | None, max_age_hours: float, now: datetime
) -> None:
    """Raise IncompleteError. Only a night that was done tells anything: one skipped every day is no news."""
    if last_finished_run is None:
        raise IncompleteRunError("no night is done", "there is none to tell of", "`auditor run`")
    hours = (
        now - (last_finished_run.finished_at or last_finished_run.started_at)
    ).total_seconds() / 3600
    if hours > max_age_hours:
        why = f"the night of {last_finished_run.day} ended {hours:.1f} hours ago"
        raise IncompleteRunError(
            "the last night is too old", why, "`auditor run`, and look at the schedule"
        )


def _print_status(item: dict[str, Any], translator: Translator, zone: str) -> None:
    item = {
        key: value for key, value in item.items() if key != "dated_in_future"
    }  # an error line says it
    said = (
        {key: _format_status_value(value, translator, zone) for key, value in item.items()}
        if is_stdout_terminal()
        else item
    )
    told = (
        (key, ", ".join(value) if isinstance(value, list) else value) for key, value in said.items()
    )
    print_table(("what", "value"), told, translator, {"what": partial(translator.term, "heading")})


def _print_delays(item: dict[str, Any], cli_context: CliContext) -> None:
    """What a reader of the figures alone would miss."""
    if item["delayed_run"]:
        day, other = map(date.fromisoformat, (item["delayed_run"], item["run"]))
        cli_context.print_translated(
            "The check of {day} has not started: the one of {other} has not finished.",
            day=day,
            other=other,
        )
    if item["not_reached"] and item["state"] == "done":
        cli_context.print_translated_count(
            "{n} account left over; it comes first in the next check.",
            "{n} accounts left over; they come first in the next check.",
            item["not_reached"],
        )


def _print_worker_counts(cluster_figures: QueueHealth, cli_context: CliContext) -> None:
    """Who works at the night on many machines, and what waits for them."""
    number = cli_context.translator.format_number
    cli_context.print_translated_count(
        "{n} active worker; jobs queued: {waiting}, running: {doing}, stalled: {stalled}.",
        "{n} active workers; jobs queued: {waiting}, running: {doing}, stalled: {stalled}.",
        cluster_figures.active_workers,
        waiting=number(cluster_figures.waiting_jobs),
        doing=number(cluster_figures.running_jobs),
        stalled=number(cluster_figures.stalled_jobs),
    )


def _format_status_value(value: Any, translator: Translator, zone: str) -> str:
    """A value of the status in words: a moment by the network's clocks, a state, channels, a number."""
    if isinstance(value, list):
        return translator.join_list(map(translator.channel_name, value))
    if isinstance(value, str) and value.endswith("Z"):
        return translator.format_datetime(datetime.fromisoformat(value), zone)
    return (
        translator.format_number(value)
        if isinstance(value, (int, float))
        else translator.term("run", value or "")
    )


def _format_run_summary(run: AuditRun, counts: Counter[Presence], translator: Translator) -> str:
    parts = [
        translator.translate_plural("{n} account", "{n} accounts", sum(counts.values())),
        *(
            translator.format_pair(translator.term("presence", str(what)), str(count))
            for what, count in sorted(counts.items())
        ),
        *_describe_unreliable_channels(run, translator),
        *_describe_not_reached(run, translator),
        *_describe_api_costs(run, translator),
    ]
    told = translator.translate(
        "the check of {date}: {run_state}", date=run.day, run_state=str(run.state)
    )
    return translator.format_pair(told, translator.join_list(parts))


def _describe_unreliable_channels(run: AuditRun, translator: Translator) -> Iterator[str]:
    if run.unreliable_channels:
        channels = translator.join_list(map(translator.channel_name, run.unreliable_channels))
        yield translator.translate("unreliable channels: {channels}", channels=channels)


def _describe_not_reached(run: AuditRun, translator: Translator) -> Iterator[str]:
    from auditor.receipts.receipt import count_not_reached

    if left := count_not_reached(run):
        yield translator.translate_plural(
            "{n} left for the next run", "{n} left for the next run", left
        )


def _describe_api_costs(run: AuditRun, translator: Translator) -> Iterator[str]:
    """What the interfaces have cost, each in its unit."""
    held = cast("dict[str, dict[str, Any]]", run.receipt.get("apis") or {})
    for name, spent in held.items():
        yield translator.translate(
            "the {channel} API used {cost} of {budget} {unit}",
            channel=name,
            cost=translator.format_number(spent["cost"]),
            budget=translator.format_number(spent["budget"]),
            unit=spent["unit"],
        )


def _explain_run_state(run: AuditRun) -> str:
    return "there is no connectivity" if run.state == "skipped" else "it was interrupted"


def worker(context: typer.Context) -> None:
    """Process accounts of runs that another machine leads.

    Start one on each machine, with the same configuration, database and data folder. It works until
    it is stopped.
    """
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    if not config.cluster.enabled:
        raise ConfigError(
            "[cluster] enabled",
            "this network is looked at by one machine",
            "docs/guides/deployment.md",
        )
    with cli_context.open_app() as app:
        cli_context.print_translated("waiting for the next run")
        runtime.run_async(_run_worker(app))


async def _run_worker(app: App) -> None:
    import asyncio

    from auditor.runs.process import stop_on_sigterm

    with require_cluster_extra():
        from auditor.cluster.worker import ClusterWorker
    stop = asyncio.Event()
    runtime.limit_malloc_arenas()  # it reads pages all night, as `auditor run` does
    gc.freeze()
    with stop_on_sigterm(stop):
        await ClusterWorker(app, stop, get_current_time).run()
