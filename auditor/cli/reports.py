"""`gaps`, `report`, `publish` and `demo`: what was concluded, told in every way.

`export`: what is known of the network as a sheet or as JSON, for a person or for a script.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from auditor.cli.context import Json, Session, clock, session
from auditor.cli.output import (
    Format,
    format_of,
    give,
    give_bytes,
    give_table,
    give_text,
    is_terminal,
    progress,
    refuse_long,
    write,
)
from auditor.core import runtime
from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import document

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from auditor.app import App
    from auditor.evaluation.association_view import AssociationView
    from auditor.i18n.wording import Wording


# ruff: noqa: PLC0415 - `--help` stays quick


GAP = ("severity", "code", "channel", "opened_at", "association", "name")
GAP_SAID = ("severity", "code", "opened_at", "association", "name", "key")


def gaps(
    context: typer.Context,
    association: Annotated[str | None, typer.Option(help="Only this association's, by its id.")] = None,
    channel: Annotated[str | None, typer.Option(help="Only this channel's.")] = None,
    code: Annotated[str | None, typer.Option(help="Only those of this code.")] = None,
    as_json: Json = False,
) -> None:
    """List the gaps that are open, the gravest first."""
    wanted = {"association": association, "channel": channel, "code": code}
    asked = session(context)
    with asked.open() as app:
        found = [item for item in _gaps(app, association) if _is_wanted(item, wanted)]
    if as_json:
        give(document(found, clock()))
    else:
        _give_gaps(found, asked.words)


def report(
    context: typer.Context,
    association: Annotated[str | None, typer.Argument(help="Its id; every association without one.")] = None,
    *,
    pdf: Annotated[Path | None, typer.Option(help="Write one association's report as a PDF.")] = None,
    address: Annotated[str, typer.Option(help="Where it is found online, for a square to scan.")] = "",
    as_json: Json = False,
) -> None:
    """Tell an association where it stands, in its own language unless --lang asks for another."""
    from auditor.evaluation.network_view import overview
    from auditor.reports import text
    from auditor.views.json_items import report_item, report_items

    now, asked = clock(), session(context)
    if pdf and not association:
        raise UsageError("--pdf", "is of one association's report", "`auditor report ID --pdf FILE`")
    with asked.open() as app:
        if association is None:
            seen = overview(app.store, app.config, now)
            items, told = report_items(seen), text.told(seen, app.config, None, asked.language)
        else:
            view = _listed(app, association, now)
            items, told = [report_item(view)], text.report(view, now, asked.lang)
            if pdf and not as_json:
                _save(pdf, _written(view, app, asked.lang, address))
                return
    give(document(items, now)) if as_json else give_text(told)


def publish(
    context: typer.Context,
    folder: Annotated[Path | None, typer.Argument(help="Where to; [report] folder otherwise.")] = None,
    out: Annotated[Path | None, typer.Option(help="The same, by name.")] = None,
) -> None:
    """Write the network's pages to open or upload."""
    asked = session(context)
    with asked.open() as app:
        target = folder or out or app.config.report.folder
        written = _published(app, target, asked)
    asked.tell_count("{file}: {n} page", "{file}: {n} pages", written, file=str(target))


def demo(
    context: typer.Context,
    folder: Annotated[Path, typer.Argument(help="Where to lay it out.")] = Path("demo"),
) -> None:
    """Play 14 nights of a fictional network.

    100 associations are imported from a spreadsheet and audited against the practice web.
    """
    from auditor.app import App
    from auditor.demo import play
    from auditor.evaluation.network_view import overview
    from auditor.reports import text

    asked = session(context)
    with progress(asked.words.say("14 nights"), quiet=asked.quiet) as step:
        played = runtime.run(play.play(folder, progress=step, now=clock()))
    with App.open(played.config) as app:
        written = _published(app, played.config.report.folder, asked)
        seen = overview(app.store, app.config, clock(), since=played.nights[0].started_at)
        give_text(text.told(seen, app.config, None, asked.language))
    first = str(played.config.report.folder / "index.html")
    asked.tell_count("{n} page to open: {file}", "{n} pages to open: {file}", written, file=first)
    asked.tell(
        "the database: {file}; to go on: {command}",
        file=played.config.storage.url,
        command=f"auditor --config {folder}/config.toml gaps",
    )


def _published(app: App, target: Path, asked: Session) -> int:
    from auditor.reports import publish as write_pages

    try:
        with progress(asked.words.say("the pages"), quiet=asked.quiet) as step:
            return write_pages(app, target, clock(), progress=step)
    except OSError as trouble:
        raise InputError(
            str(target), (trouble.strerror or "cannot be written").lower(), "another folder"
        ) from None


def _written(view: AssociationView, app: App, language: str | None, address: str) -> bytes:
    """An association's report as a PDF, in the language asked for or its own."""
    from auditor.rendering.templates import Folder
    from auditor.reports import html, pdf

    told = language or view.association.language
    link = Folder("report.html", (told,), home=False)
    return pdf.pdf(html.report(view, app.config, clock(), link, told, address=address))


def _save(file: Path, made: bytes) -> None:
    try:
        file.write_bytes(made)
    except OSError as trouble:
        raise InputError(str(file), (trouble.strerror or "cannot be written").lower(), "another") from None


def _gaps(app: App, association: str | None = None) -> list[dict[str, Any]]:
    from auditor.evaluation.network_view import association_view, views
    from auditor.reference.gap_catalogue import SEVERITIES
    from auditor.views.json_items import gap_items

    _refuse_unknown(app, association)
    if association is None:
        found = gap_items(views(app.store, app.config, clock()))
    else:
        view = association_view(app.store, app.config, association, clock())
        found = gap_items([view] if view else ())
    return sorted(found, key=lambda item: SEVERITIES.index(item["severity"]))


def _give_gaps(found: Iterable[dict[str, Any]], words: Wording) -> None:
    """On a terminal what a gap is about, with its channel, and its code last: that is what one types."""
    say_as = {"severity": lambda code: words.label("severity", code)}
    items = map(_dated, found)
    if is_terminal():
        said = (
            {**item, "key": item["code"], "code": words.about(item["code"], item["channel"])}
            for item in items
        )
        give_table(GAP_SAID, ([item[column] for column in GAP_SAID] for item in said), words, say_as)
    else:
        give_table(GAP, ([item[column] for column in GAP] for item in items), words)


def _dated(item: dict[str, Any]) -> dict[str, Any]:
    """The same item with a day for a moment: a person's list needs no seconds."""
    return {**item, "opened_at": (item["opened_at"] or "")[:10]}


def _is_wanted(item: dict[str, Any], wanted: dict[str, str | None]) -> bool:
    return all(value is None or item[name] == value for name, value in wanted.items())


def _listed(app: App, association: str, now: datetime) -> AssociationView:
    from auditor.evaluation.network_view import association_view

    _refuse_unknown(app, association)
    view = association_view(app.store, app.config, association, now)
    if view is None:
        raise InputError(association, "the registry does not list it any more", "`auditor registry import`")
    return view


def _refuse_unknown(app: App, association: str | None) -> None:
    if association is not None and app.store.association(association) is None:
        raise InputError(association, "no association has this id", "`auditor registry export -` lists them")


# ruff: noqa: PLC0415 - `--help` stays quick


KINDS = ("associations", "gaps", "accounts", "coverage", "changes", "meeting")


def export(
    context: typer.Context,
    what: Annotated[
        str,
        typer.Argument(
            metavar="[KIND] FILE|-",
            help="associations, gaps (unless another is named), accounts, coverage, changes or meeting; "
            "then a .csv, .xlsx or .json file, or - for here.",
        ),
    ],
    file: Annotated[Path | None, typer.Argument(hidden=True)] = None,
    *,
    form: Annotated[
        Format | None,
        typer.Option("--format", help="Otherwise as the file's name ends; here, CSV."),
    ] = None,
    bom: Annotated[bool, typer.Option(help="Begin CSV with the mark by which Excel knows UTF-8.")] = True,
    delimiter: Annotated[
        str, typer.Option(help="What parts the cells of CSV; French Excel wants a semicolon.")
    ] = ",",
    since: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="Changes since this day; since the last night otherwise."),
    ] = None,
    region: Annotated[str, typer.Option(help="Only associations of this region.")] = "",
    tag: Annotated[str, typer.Option(help="Only associations with this tag.")] = "",
) -> None:
    """Write what is known as a sheet or as JSON: every open gap, unless another kind is named.

    With --lang it has headings and words in that language beside the codes; English keys otherwise.
    """
    from auditor.evaluation.summary import Chosen
    from auditor.i18n.catalogs import direction
    from auditor.i18n.wording import Wording
    from auditor.views.export import Export, stream

    kind, target = _parted(what, file)
    refuse_long(delimiter)
    lang = session(context).lang
    with session(context).open() as app:
        asked = Export(
            kind=kind,
            format=format_of(form, target),
            chosen=Chosen(region=region, tag=tag),
            words=Wording(lang) if lang else None,
            since=since.replace(tzinfo=UTC) if since else None,
            bom=bom and target is not None,
            delimiter=delimiter,
            right_to_left=direction(lang or app.config.network.language) == "rtl",
        )
        pieces = stream(asked, app, clock())
        if target is None:
            give_bytes(pieces, is_text=asked.format != "xlsx")
            return
        write(pieces, target)
    session(context).tell("{file}: written", file=str(target))


def _parted(what: str, file: Path | None) -> tuple[str, Path | None]:
    """The kind that is asked for, and the file, None for standard output."""
    if what in KINDS:
        return what, None if file is None or str(file) == "-" else file
    if file is not None:
        raise UsageError(what, "this is no kind of export", f"one of {', '.join(KINDS)}")
    return "gaps", None if what == "-" else Path(what)
