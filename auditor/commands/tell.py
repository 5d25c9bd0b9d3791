"""`gaps`, `report`, `export`, `publish` and `demo`: what was concluded, told in every way."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.commands.registry import write
from auditor.commands.session import Json, clock, session
from auditor.errors import InputError
from auditor.output import document, give, give_table, progress, say, stamp

if TYPE_CHECKING:
    from auditor.app import App
    from storage.model import Gap

GAP = ("severity", "code", "channel", "opened_at", "association", "name")
Language = Annotated[str | None, typer.Option(help="ar, fr or en; the association's own otherwise.")]


def gaps(
    context: typer.Context,
    association: Annotated[str | None, typer.Option(help="Only this association's, by its id.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel's.")] = None,
    closed: Annotated[bool, typer.Option("--closed", help="Those that were mended too.")] = False,
    as_json: Json = False,
) -> None:
    """List the gaps that are open, the gravest first."""
    with session(context).open() as app:
        found = list(gap_items(app, association, channel, closed=closed))
    if as_json:
        give(document(found, clock()))
    else:
        give_table(GAP, ([item[column] for column in GAP] for item in found))


def report(
    context: typer.Context,
    association: Annotated[str | None, typer.Argument(help="Its id; every association without one.")] = None,
    language: Language = None,
    as_json: Json = False,
) -> None:
    """Tell an association where it stands."""
    from auditor.report import items, text

    with session(context).open() as app:
        if as_json:
            give(document(items(app, clock(), association), clock()))
        else:
            give(text(app, clock(), association, language))


def export(
    context: typer.Context,
    file: Annotated[Path, typer.Argument(metavar="FILE|-", help="A .csv or .xlsx file, or - for CSV here.")],
    bom: Annotated[bool, typer.Option(help="Begin CSV with the mark by which Excel knows UTF-8.")] = True,
    delimiter: Annotated[str, typer.Option(help="What parts the cells of CSV.")] = ",",
) -> None:
    """Write every open gap as a sheet."""
    with session(context).open() as app:
        found = list(gap_items(app))
        right_to_left = app.config.network.language == "ar"
    columns = ("association", "name", "channel", "code", "severity", "opened_at", "params")
    lines: list[list[object]] = [list(columns)]
    lines += [[_flat(item[column]) for column in columns] for item in found]
    write(lines, file, bom=bom, delimiter=delimiter, right_to_left=right_to_left)
    if not session(context).quiet and str(file) != "-":
        say(f"{file}: {len(found)} gaps")


def publish(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Where to; [report] folder otherwise.")] = None,
) -> None:
    """Write the network's pages to open or upload."""
    from auditor.report import publish as write_pages

    asked = session(context)
    with asked.open() as app:
        target = folder or app.config.report.folder
        with progress("the pages", quiet=asked.quiet) as step:
            written = write_pages(app, target, clock(), progress=step)
    if not asked.quiet:
        say(f"{target}: {written} pages")


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to lay it out.")] = Path("demo"),
) -> None:
    """Play 14 nights of a fictional network.

    100 associations are imported from a spreadsheet and audited against the practice web.
    """
    from auditor.practice import demo as practice

    asked = session(context)
    with progress("14 nights", quiet=asked.quiet) as step:
        played = asyncio.run(practice.play(folder, progress=step, now=clock()))
    if not asked.quiet:
        say(f"{folder}: {len(played.nights)} nights; next: `auditor --config {folder}/config.toml gaps`")


def gap_items(
    app: App, association: str | None = None, channel: str | None = None, *, closed: bool = False
) -> Iterator[dict[str, Any]]:
    """The items of `gaps` (DESIGN §6): confirmed ones, without those that a graver one explains."""
    from auditor.catalogue import catalogue

    names = {one.id: one.name for one in app.store.associations(include_withdrawn=True)}
    if association is not None and association not in names:
        raise InputError(association, "no association has this id", "`auditor registry export -` lists them")
    known = catalogue()
    rows = [gap for gap in app.store.gaps(association) if gap.opened_at and (closed or not gap.closed_at)]
    told = [gap for gap in rows if gap.closed_at or not _hidden(gap, rows)]
    for gap in sorted(
        told, key=lambda gap: (known[gap.code].order, gap.association, gap.channel, gap.subject)
    ):
        if channel is None or gap.channel == channel:
            yield gap_item(gap, names.get(gap.association, ""))


def _hidden(gap: Gap, rows: list[Gap]) -> bool:
    from auditor.catalogue import catalogue

    known = catalogue()
    return any(
        gap.code in known[other.code].hides
        for other in rows
        if other.association == gap.association
        and not other.closed_at
        and (other.channel == gap.channel or not gap.channel)
    )


def gap_item(gap: Gap, name: str) -> dict[str, Any]:
    """One item of `gaps`."""
    return {
        "association": gap.association,
        "name": name,
        "channel": gap.channel,
        "code": gap.code,
        "severity": gap.severity,
        "opened_at": stamp(gap.opened_at) if gap.opened_at else None,
        "closed_at": stamp(gap.closed_at) if gap.closed_at else None,
        "params": dict(gap.params),
        "evidence": dict(gap.evidence),
    }


def _flat(value: object) -> object:
    return "; ".join(f"{k}={v}" for k, v in value.items()) if isinstance(value, dict) else value
