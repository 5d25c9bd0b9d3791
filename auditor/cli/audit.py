"""`run`, `serve`, `worker` and `reevaluate`: audit runs and their results."""
# ruff: noqa: PLC0415 - imports in commands keep `--help` quick

from __future__ import annotations

import gc
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated

import typer

from auditor.cli.context import examples, get_cli_context, get_current_time
from auditor.cli.options import DryRunOption, FormatOption, JsonOption
from auditor.cli.output import (
    choose_table_format,
    print_json,
    print_message,
    print_table,
    show_progress,
)
from auditor.cluster import require_cluster_extra
from auditor.core import runtime
from auditor.core.errors import ConfigError, IncompleteRunError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

    from auditor.app import App
    from auditor.cli.output import ProgressCallback
    from auditor.evaluation.reevaluate import ReevaluationResult
    from auditor.i18n.translator import Translator
    from probes.models.finding import Presence
    from storage.models.audit import AuditRun
    from storage.store import Store


INTERRUPTED_EXIT_CODE = 130
CHANGE_COLUMNS = ("kind", "association", "channel", "subject", "before", "after")


@examples("auditor run")
def run(
    context: typer.Context, requested_format: FormatOption = None, as_json: JsonOption = False
) -> None:
    """Run the nightly audit.

    Checks every account once per UTC day. Resumes an interrupted run, and does nothing if today's
    run has finished. Exits with code 4 if the run is incomplete, and 5 if another run is active.
    """
    from auditor.app import App, refuse_unusable_certificates
    from auditor.runs.pipeline import require_run_folders

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    translator = cli_context.translator
    config = cli_context.load_config()
    refuse_unusable_certificates(config)
    require_run_folders(config)
    with App.open(config) as app, app.hold_run_lock():
        title = translator.translate("the check")
        with show_progress(title, quiet=cli_context.quiet) as on_progress:
            finished_run = runtime.run_async(_execute_run(app, on_progress))
        counts = count_presences(app.store, finished_run)
    if table_format == "json":
        print_json([finished_run.report.to_json()], get_current_time())
    elif finished_run.state == "done" and not cli_context.quiet:
        print_message(_format_run_summary(finished_run, counts, translator))
    _raise_if_incomplete(finished_run)
    if finished_run.unreliable_channels and cli_context.quiet:
        channels = map(translator.channel_name, finished_run.unreliable_channels)
        print_message(
            translator.translate(
                "warning: unreliable channels: {channels}; nothing changed there",
                channels=translator.join_list(channels),
            )
        )


async def _execute_run(app: App, on_progress: ProgressCallback) -> AuditRun:
    """Execute today's run and return it. SIGTERM stops it after its grace period.

    Raises typer.Exit with code 130 if the run was stopped.
    """
    import asyncio

    from auditor.cluster import get_worker_cluster
    from auditor.runs import pipeline
    from auditor.runs.process import run_with_grace_period, stop_on_sigterm

    stop, grace_seconds = asyncio.Event(), app.config.schedule.shutdown_grace_seconds
    gc.freeze()  # loaded code is never garbage, and each collection would search it again
    with stop_on_sigterm(stop):
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
        raise IncompleteRunError(
            f"{subject} is {finished_run.state}",
            _explain_run_state(finished_run),
            "`auditor run` again, or `auditor doctor`",
        )
    if count := finished_run.not_reached_count:
        raise IncompleteRunError(
            subject,
            (
                f"{count} accounts were not reached before the time limit; the next run begins "
                "with them"
            ),
            "a longer [schedule] time_limit_hours",
        )


@examples("auditor serve", "auditor serve --no-schedule")
def serve(
    context: typer.Context,
    web: Annotated[bool, typer.Option(help="Serve the web pages.")] = True,
    schedule: Annotated[bool, typer.Option(help="Run the audit every day.")] = True,
) -> None:
    """Run the audit on schedule and serve the web pages.

    The settings under schedule and web say when and where. Stop it with Ctrl-C or SIGTERM: no data
    is lost, and an interrupted run is resumed later.
    """
    from auditor import scheduling
    from auditor.app import App, mark_port_as_served, refuse_unusable_certificates
    from auditor.runs.pipeline import require_run_folders

    if not web and not schedule:
        raise UsageError("--no-web --no-schedule", "nothing is left to do", "only one of them")
    cli_context = get_cli_context(context)
    config = cli_context.load_config()
    refuse_unusable_certificates(config)
    require_run_folders(config)
    with (
        App.open(config) as app,
        scheduling.open_web_socket(config.web, is_enabled=web) as web_socket,
        mark_port_as_served(config.storage.folder, config.web.port) if web else nullcontext(),
    ):
        if web_socket:
            url = scheduling.format_server_url(web_socket)
            cli_context.print_translated("web pages: {url}", url=url)
            if not app.store.users.count():
                command = "`auditor user add NAME --role admin`"
                cli_context.print_translated(
                    "no one can log in yet; {command} creates the first link", command=command
                )
        # Loaded code is never garbage. Searching it again delayed some pages by 200 ms.
        gc.freeze()
        runtime.run_async(
            scheduling.run_server(app, get_current_time, sock=web_socket, with_schedule=schedule)
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
    from auditor.config.schema import find_config_file
    from auditor.evaluation import conclusion_changes
    from auditor.evaluation import reevaluate as reevaluation

    table_format = choose_table_format(requested_format, as_json=as_json)
    cli_context = get_cli_context(context)
    translator = cli_context.translator
    title = translator.translate("re-evaluating")
    with (
        cli_context.open_app_for_reading() if dry_run else cli_context.open_app() as app,
        app.hold_run_lock(),
        show_progress(title, quiet=cli_context.quiet) as on_progress,
    ):
        result = reevaluation.reevaluate(app, dry_run=dry_run, progress=on_progress)
    changes = conclusion_changes.simplify_changes(result.changes)
    items = map(asdict, changes)
    if table_format == "json":
        print_json(items, get_current_time())
    elif changes:
        print_table(CHANGE_COLUMNS, items, translator, table_format)
    if not cli_context.quiet:
        config_path = find_config_file(cli_context.config_path, os.environ)
        for line in (
            *_describe_reevaluation(result, config_path, len(changes), translator, dry_run=dry_run),
            *conclusion_changes.summarize_changes(changes),
        ):
            print_message(line)
    for line in conclusion_changes.warn_about_mass_losses(changes):
        print_message(line)


def _describe_reevaluation(
    result: ReevaluationResult,
    config_path: Path | None,
    change_count: int,
    translator: Translator,
    *,
    dry_run: bool,
) -> Iterator[str]:
    """Yield messages: which rules were used, what was re-evaluated, and how much changed."""
    if config_path:
        rules = translator.translate("checked with {file}", file=str(config_path))
    else:
        rules = translator.translate("checked with the built-in rules")
    counts = [
        translator.translate_plural("{n} check", "{n} checks", result.run_count),
        translator.translate_plural(
            "{n} observation replayed", "{n} observations replayed", result.replayed_count
        ),
        translator.translate_plural(
            "{n} observation as recorded", "{n} observations as recorded", result.recorded_count
        ),
    ]
    yield translator.format_pair(rules, translator.join_list(counts))
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
    """Return how many accounts a run found present, absent and unknown."""
    total: Counter[Presence] = Counter()
    if run is not None and run.id is not None:
        for (_, presence), count in store.observations.count_by_presence(run.id).items():
            total[presence] += count
    return total


def _format_run_summary(run: AuditRun, counts: Counter[Presence], translator: Translator) -> str:
    total = sum(counts.values())
    parts = [translator.translate_plural("{n} account", "{n} accounts", total)]
    for presence, count in sorted(counts.items()):
        name = translator.term("presence", str(presence))
        parts.append(translator.format_pair(name, str(count)))
    parts += [
        *_describe_unreliable_channels(run, translator),
        *_describe_not_reached(run, translator),
        *_describe_api_costs(run, translator),
    ]
    title = translator.translate(
        "the check of {date}: {run_state}", date=run.day, run_state=str(run.state)
    )
    return translator.format_pair(title, translator.join_list(parts))


def _describe_unreliable_channels(run: AuditRun, translator: Translator) -> Iterator[str]:
    if run.unreliable_channels:
        channels = translator.join_list(map(translator.channel_name, run.unreliable_channels))
        yield translator.translate("unreliable channels: {channels}", channels=channels)


def _describe_not_reached(run: AuditRun, translator: Translator) -> Iterator[str]:
    if count := run.not_reached_count:
        yield translator.translate_plural(
            "{n} left for the next run", "{n} left for the next run", count
        )


def _describe_api_costs(run: AuditRun, translator: Translator) -> Iterator[str]:
    """Yield the cost of each API that the run used, in the unit of the API."""
    for name, usage in run.report.apis.items():
        yield translator.translate(
            "the {channel} API used {cost} of {budget} {unit}",
            channel=name,
            cost=translator.format_number(usage.cost),
            budget=translator.format_number(usage.budget),
            unit=usage.unit,
        )


def _explain_run_state(run: AuditRun) -> str:
    if run.has_crashed:
        return f"{run.report.interrupted_because}, so nothing was concluded"
    return "the network is not reachable" if run.state == "skipped" else "it was interrupted"


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
        cli_context.print_translated("waiting for the next run")
        runtime.run_async(_run_worker(app))


async def _run_worker(app: App) -> None:
    import asyncio

    from auditor.runs.process import stop_on_sigterm

    with require_cluster_extra():
        from auditor.cluster.worker import ClusterWorker
    stop = asyncio.Event()
    runtime.limit_malloc_arenas()  # a worker parses as many pages as `auditor run`
    gc.freeze()
    with stop_on_sigterm(stop):
        await ClusterWorker(app, stop, get_current_time).run()
