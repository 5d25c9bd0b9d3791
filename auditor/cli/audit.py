"""`run`, `worker` and `reevaluate`: audit runs and their results."""

import asyncio
import gc
import os
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from datetime import datetime
from typing import Annotated

import typer

from auditor.app import App, refuse_unusable_certificates
from auditor.cli.context import (
    INTERRUPTED_EXIT_CODE,
    CliContext,
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
    show_progress,
)
from auditor.cli.status import count_presences
from auditor.cluster import get_worker_cluster, require_cluster_extra
from auditor.config.schema import Config, find_config_file
from auditor.core import runtime
from auditor.core.errors import ConfigError, IncompleteRunError
from auditor.core.i18n.translator import Translator
from auditor.runs import pipeline
from auditor.runs.check_now import is_day_finished, remove_unchecked_run
from auditor.runs.pipeline import run_with_grace_period, stop_on_signal
from probes.models.finding import Presence
from storage.models.audit import AuditRun

ENGLISH = Translator("en")
CHANGE_COLUMNS = ("kind", "association", "channel", "subject", "before", "after")


@examples("auditor run")
def run(
    context: typer.Context,
    requested_format: FormatOption = None,
    *,
    no_wait: Annotated[
        bool, typer.Option("--no-wait", help="Check failed accounts again at once.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Run the nightly audit.

    Checks every account once per UTC day. Resumes an interrupted run, and does nothing if today's
    run has finished. Accounts that failed for a passing reason are checked again after the setting
    fetch.second_pass_delay, half an hour. Exits with code 4 if the run is incomplete, and 5 if
    another run is active.
    """
    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    if no_wait:
        fetch = config.fetch.model_copy(update={"second_pass_delay": 0.0})
        config = config.model_copy(update={"fetch": fetch})
    refuse_unusable_certificates(config)
    pipeline.require_run_folders(config)
    with App.open(config) as app, app.hold_run_lock():
        now = get_current_time()
        remove_unchecked_run(app.store, now)
        was_finished = is_day_finished(app.store, now)
        with show_progress("the check", quiet=cli_context.quiet) as on_progress:
            finished_run = runtime.run_async(_execute_run(app, cli_context, on_progress))
        counts = count_presences(app.store, finished_run)
    if table_format == "json":
        print_json([finished_run.report.to_json()], get_current_time())
    elif finished_run.state == "done":
        facts = ", ".join(_describe_finished_run(finished_run, counts, config))
        cli_context.print_note(
            f"the check of {ENGLISH.format_date(finished_run.day)}: done: {facts}"
        )
    if was_finished:
        cli_context.print_note(
            "it had finished before, and this command checked nothing; the next run checks what "
            "you have added since, and `auditor check LINK` tries a link now"
        )
    _raise_if_incomplete(finished_run)
    if finished_run.unreliable_channels and cli_context.quiet:
        channels = ", ".join(map(ENGLISH.channel_name, finished_run.unreliable_channels))
        print_message(f"warning: unreliable channels: {channels}; nothing changed there")


def _describe_finished_run(
    run: AuditRun, counts: Mapping[Presence, int], config: Config
) -> Iterator[str]:
    """Yield numbers of accounts, unreliable and unaudited channels, and costs of APIs."""
    yield count_noun(sum(counts.values()), "account")
    for presence, count in sorted(counts.items()):
        number = f"{ENGLISH.term('presence', presence)}: {count}"
        if presence is Presence.ABSENT:
            confirm = config.confirm
            number += f" (gone after {confirm.failures} checks in {confirm.days} days)"
        yield number
    if run.unreliable_channels:
        channels = map(ENGLISH.channel_name, run.unreliable_channels)
        yield f"unreliable channels: {', '.join(channels)}"
    if run.not_reached_count:
        yield f"{run.not_reached_count:,} left for the next run"
    if config.unaudited_channels:
        yield f"not audited: {', '.join(map(ENGLISH.channel_name, config.unaudited_channels))}"
    for name, usage in run.report.apis.items():
        yield f"the {name} API used {usage.cost:,} of {usage.budget:,} {usage.unit}"


async def _execute_run(
    app: App, cli_context: CliContext, on_progress: ProgressCallback
) -> AuditRun:
    """Execute today's run and return it. SIGTERM stops it after its grace period.

    Raises typer.Exit with code 130 if the run was stopped.
    """

    def explain_wait(count: int, starts_at: datetime) -> None:
        accounts = count_noun(count, "failed account")
        cli_context.print_note(
            f"waiting until {starts_at:%H:%M} UTC to check {accounts} again; "
            "Ctrl-C keeps the results, and `auditor run --no-wait` goes on at once"
        )

    stop, grace_seconds = asyncio.Event(), app.config.schedule.shutdown_grace_seconds
    gc.freeze()  # loaded code is never garbage, and each collection would search it again
    with stop_on_signal(stop):
        try:
            run_coroutine = pipeline.run_audit_pipeline(
                app,
                get_current_time(),
                on_progress=on_progress,
                on_wait=explain_wait,
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
        raise IncompleteRunError(
            f"{subject} is {finished_run.state}", reason, "`auditor run` again, or `auditor doctor`"
        )
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
    # `run` and `worker` do not need it
    from auditor.conclusions import reevaluate as reevaluation  # noqa: PLC0415

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
            "set it to true; see docs/guides/scaling.md",
        )
    with cli_context.open_app(config) as app:
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
