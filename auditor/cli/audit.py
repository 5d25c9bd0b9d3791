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

from auditor.cli.context import Json, clock, session
from auditor.cli.output import give, give_table, is_terminal, progress, say
from auditor.cluster import extra
from auditor.core import runtime
from auditor.core.errors import ConfigError, IncompleteError, UsageError
from auditor.core.formatting import document

if TYPE_CHECKING:
    from pathlib import Path

    from auditor.app import App
    from auditor.cli.context import Session
    from auditor.cli.output import Step
    from auditor.cluster.job_queue import Figures
    from auditor.evaluation.reevaluate import Rebuild
    from auditor.i18n.wording import Wording
    from probes.models.finding import Presence
    from storage.models.audit import Night
    from storage.store import Store


# ruff: noqa: PLC0415 - `--help` stays quick


INTERRUPTED = 130
OUTLOOK = ("channel", "accounts", "seconds", "hours", "nights")
CHANGE = ("what", "association", "channel", "subject", "before", "after")


def run(
    context: typer.Context,
    forecast: Annotated[
        bool, typer.Option("--forecast", help="Ask nobody; tell how long it will take.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Look at every account, once a night.

    A night that was interrupted is gone on with; one that is done is left as it is.
    """
    from auditor.app import App

    asked = session(context)
    if forecast:
        _foretell(asked, as_json=as_json)
        return
    with App.open(asked.config()) as app, app.lock():
        with progress(asked.words.say("the night"), quiet=asked.quiet) as step:
            done = runtime.run(_night(app, step))
        counts = counted(app.store, done)
    if as_json:
        give(document([done.receipt], clock()))
    elif done.state == "done" and not asked.quiet:
        say(_summary(done, counts, asked.words))
    _refuse_incomplete(done)
    if done.blind and asked.quiet:
        blind = asked.words.listed(map(asked.words.channel, done.blind))
        say(asked.words.say("warning: blind tonight on {channels}; nothing on it moved", channels=blind))


def _foretell(asked: Session, *, as_json: bool) -> None:
    """What the next night will take; where one is not enough, how many."""
    from auditor.runs.plan import forecast

    with asked.open() as app:
        told = forecast(app.config, app.store, clock())
    if as_json:
        give(document([one.item() for one in told], clock()))
        return
    give_table(OUTLOOK, ([getattr(one, column) for column in OUTLOOK] for one in told), asked.words)
    for one in told:
        if one.nights > 1 and not one.seconds:
            asked.tell_count(
                "The budget of {channel} reaches {accounts} accounts a night: {n} night.",
                "The budget of {channel} reaches {accounts} accounts a night: {n} nights.",
                one.nights,
                channel=asked.words.channel(one.channel),
                accounts=asked.words.number(one.per_night or 0),
            )
        elif one.nights > 1:
            asked.tell_count(
                "At one request in {seconds} s, {channel} takes {hours} h: {n} night.",
                "At one request in {seconds} s, {channel} takes {hours} h: {n} nights.",
                one.nights,
                seconds=asked.words.number(one.seconds),
                channel=asked.words.channel(one.channel),
                hours=asked.words.number(one.hours),
            )


async def _night(app: App, step: Step) -> Night:
    """The night; told to stop, it ends in its grace, and so does the command."""
    import asyncio

    from auditor.cluster import machines_of
    from auditor.runs import pipeline
    from auditor.runs.process import ended, terminated_by

    stop, grace = asyncio.Event(), app.config.schedule.drain_seconds
    gc.freeze()  # what is loaded stays: the collector of garbage would look through it some times a night
    with terminated_by(stop):
        try:
            run = pipeline.run(app, clock(), progress=step, stop=stop, machines=machines_of(app.config))
            done = await ended(run, stop, grace)
        except asyncio.CancelledError:
            if stop.is_set():
                raise typer.Exit(INTERRUPTED) from None
            raise
    if stop.is_set() and done.state == "incomplete":
        raise typer.Exit(INTERRUPTED)
    return done


def _refuse_incomplete(done: Night) -> None:
    """Raise IncompleteError where the night did not look at everybody."""
    from auditor.receipts.receipt import left_out

    if done.state != "done":
        remedy = "`auditor run` again, `auditor doctor`"
        raise IncompleteError(f"the night of {done.day} is {done.state}", _why(done), remedy)
    if left := left_out(done):
        raise IncompleteError(
            f"the night of {done.day}",
            f"its window was over before {left} accounts were looked at; they come first tomorrow",
            "a longer [schedule] window_hours",
        )


def serve(
    context: typer.Context,
    web: Annotated[bool, typer.Option(help="Show the pages.")] = True,
    schedule: Annotated[bool, typer.Option(help="Run the night at its hour.")] = True,
) -> None:
    """Run the night on its schedule and show the pages, until told to stop."""
    from auditor import scheduling

    if not web and not schedule:
        raise UsageError("--no-web --no-schedule", "that leaves nothing to do", "one of the two")
    asked = session(context)
    with asked.open() as app, scheduling.listening(app.config.web, wanted=web) as at:
        if at:
            asked.tell("the pages: {url}", url=scheduling.address(at))
            if not app.store.count_users():
                command = "`auditor user add NAME --role admin`"
                asked.tell("nobody can log in yet; {command} makes the first link", command=command)
        gc.freeze()  # what is loaded stays: to look through it again held pages up by 200 ms, now and then
        runtime.run(scheduling.run_server(app, clock, at=at, nights=schedule))


def status(
    context: typer.Context,
    max_age: Annotated[
        float | None,
        typer.Option("--max-age", help="Hours after which the last night done is too old: exit 4."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Tell how the last night went."""
    from auditor.cluster.job_queue import figures
    from auditor.schedule_times import waiting
    from auditor.views.json_items import status_item
    from storage.models.audit import NightState

    asked = session(context)
    with asked.open() as app:
        now, night = clock(), app.store.last_night()
        item = status_item(night, counted(app.store, night), now, waiting(night, app.config.schedule, now))
        done = app.store.last_night(NightState.DONE)
        seen = figures(app.store, app.config)
    if as_json:
        give(document([item | ({"cluster": seen.item()} if seen else {})], clock()))
    elif night:
        _give_status(item, asked.words, app.config.network.zone)
        _tell_held_up(item, asked)
    else:
        say(asked.words.say("no night yet; {command} makes one", command="`auditor run`"))
    if seen and not as_json:
        _tell_workers(seen, asked)
    if max_age is not None:
        _refuse_stale(done, max_age, now)


def rejudge(
    context: typer.Context,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Tell what would change; change nothing.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Conclude anew from what was seen and decided.

    With --config and --dry-run it tells what another configuration would conclude, before it is taken.
    """
    from auditor.app import App
    from auditor.config.schema import find
    from auditor.evaluation.reevaluate import readable, sayings, summary, turned
    from auditor.evaluation.reevaluate import rejudge as again

    asked = session(context)
    words = asked.words
    with (
        App.open(asked.config(), create=not dry_run) as app,
        app.lock(),
        progress(words.say("judging again"), quiet=asked.quiet) as step,
    ):
        rebuilt = again(app, dry_run=dry_run, progress=step)
    told = readable(rebuilt.changes)
    if as_json:
        give(document(map(asdict, told), clock()))
    elif told:
        lines = ([getattr(change, column) for column in CHANGE] for change in told)
        give_table(CHANGE, lines, words, sayings(words))
    if not asked.quiet:
        by = find(asked.config_path, os.environ)
        for line in (*_rebuilt(rebuilt, by, len(told), words, dry_run=dry_run), *summary(told, words)):
            say(line)
    for line in turned(told, words):
        say(line)


def _rebuilt(
    rebuilt: Rebuild, by: Path | None, changes: int, words: Wording, *, dry_run: bool
) -> Iterator[str]:
    """By what it was judged, what that took, and how much of it is new."""
    judged = words.say("judged by {file}", file=str(by)) if by else words.say("judged by what ships with it")
    took = [
        words.count("{n} night", "{n} nights", rebuilt.nights),
        words.count("{n} look played again", "{n} looks played again", rebuilt.replayed),
        words.count("{n} look as recorded", "{n} looks as recorded", rebuilt.kept),
    ]
    yield words.pair(judged, words.listed(took))
    if dry_run:
        yield words.count(
            "{n} conclusion would change; nothing was written",
            "{n} conclusions would change; nothing was written",
            changes,
        )
    else:
        yield words.count("{n} conclusion changed", "{n} conclusions changed", changes)


def counted(store: Store, night: Night | None) -> Counter[Presence]:
    """How many accounts a night found in each presence."""
    total: Counter[Presence] = Counter()
    if night is not None and night.id is not None:
        for (_, presence), count in store.counts(night.id).items():
            total[presence] += count
    return total


def _refuse_stale(done: Night | None, max_age: float, now: datetime) -> None:
    """Raise IncompleteError. Only a night that was done tells anything: one skipped every day is no news."""
    if done is None:
        raise IncompleteError("no night is done", "there is none to tell of", "`auditor run`")
    hours = (now - (done.finished_at or done.started_at)).total_seconds() / 3600
    if hours > max_age:
        why = f"the night of {done.day} ended {hours:.1f} hours ago"
        raise IncompleteError("the last night is too old", why, "`auditor run`, and look at the schedule")


def _give_status(item: dict[str, Any], words: Wording, zone: str) -> None:
    said = {key: _said(value, words, zone) for key, value in item.items()} if is_terminal() else item
    told = ((key, ", ".join(value) if isinstance(value, list) else value) for key, value in said.items())
    give_table(("what", "value"), told, words, {"what": partial(words.term, "heading")})


def _tell_held_up(item: dict[str, Any], asked: Session) -> None:
    """What a reader of the figures alone would miss."""
    if item["waiting"]:
        day, other = map(date.fromisoformat, (item["waiting"], item["night"]))
        asked.tell("The night of {day} has not begun: that of {other} has not ended.", day=day, other=other)
    if item["left_out"] and item["state"] == "done":
        asked.tell_count(
            "{n} account was not reached; it comes first in the next night.",
            "{n} accounts were not reached; they come first in the next night.",
            item["left_out"],
        )


def _tell_workers(seen: Figures, asked: Session) -> None:
    """Who works at the night on many machines, and what waits for them."""
    number = asked.words.number
    asked.tell_count(
        "{n} worker is alive; jobs that wait: {waiting}, under way: {doing}, stalled: {stalled}.",
        "{n} workers are alive; jobs that wait: {waiting}, under way: {doing}, stalled: {stalled}.",
        seen.alive,
        waiting=number(seen.waiting),
        doing=number(seen.doing),
        stalled=number(seen.stalled),
    )


def _said(value: Any, words: Wording, zone: str) -> str:
    """A value of the status in words: a moment by the network's clocks, a state, channels, a number."""
    if isinstance(value, list):
        return words.listed(map(words.channel, value))
    if isinstance(value, str) and value.endswith("Z"):
        return words.moment(datetime.fromisoformat(value), zone)
    return words.number(value) if isinstance(value, (int, float)) else words.term("night", value or "")


def _summary(night: Night, counts: Counter[Presence], words: Wording) -> str:
    parts = [
        words.count("{n} account", "{n} accounts", sum(counts.values())),
        *(
            words.pair(words.term("presence", str(what)), str(count))
            for what, count in sorted(counts.items())
        ),
        *_blind(night, words),
        *_left_out(night, words),
        *_cost(night, words),
    ]
    told = words.say("the night of {date} is {night_state}", date=night.day, night_state=str(night.state))
    return words.pair(told, words.listed(parts))


def _blind(night: Night, words: Wording) -> Iterator[str]:
    if night.blind:
        channels = words.listed(map(words.channel, night.blind))
        yield words.say("blind on {channels}", channels=channels)


def _left_out(night: Night, words: Wording) -> Iterator[str]:
    from auditor.receipts.receipt import left_out

    if left := left_out(night):
        yield words.count("{n} left out", "{n} left out", left)


def _cost(night: Night, words: Wording) -> Iterator[str]:
    """What the interfaces have cost, each in its unit."""
    held = cast("dict[str, dict[str, Any]]", night.receipt.get("interfaces") or {})
    for name, spent in held.items():
        yield words.say(
            "the interface of {channel} took {cost} of {budget} {unit}",
            channel=name,
            cost=words.number(spent["cost"]),
            budget=words.number(spent["budget"]),
            unit=spent["unit"],
        )


def _why(night: Night) -> str:
    return "there is no connectivity" if night.state == "skipped" else "it was interrupted"


# ruff: noqa: PLC0415 - `--help` stays quick


def worker(context: typer.Context) -> None:
    """Look at accounts for the nights that `auditor run` or `auditor serve` leads, until told to stop.

    One on each machine, with the same configuration, database and data folder.
    """
    asked = session(context)
    config = asked.config()
    if not config.cluster.enabled:
        raise ConfigError(
            "[cluster] enabled", "this network is looked at by one machine", "docs/guides/deployment.md"
        )
    with asked.open() as app:
        asked.tell("waiting for the night")
        runtime.run(_work(app))


async def _work(app: App) -> None:
    import asyncio

    from auditor.runs.process import terminated_by

    with extra():
        from auditor.cluster.worker import Worker
    stop = asyncio.Event()
    runtime.share()  # it reads pages all night, as `auditor run` does
    gc.freeze()
    with terminated_by(stop):
        await Worker(app, stop, clock).run()
