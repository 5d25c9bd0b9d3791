"""`export`: what is known of the network as a sheet or as JSON, for a person or for a script."""
# ruff: noqa: PLC0415 - `--help` stays quick

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.context import clock, session
from auditor.cli.output_files import Format, format_of, give_bytes, refuse_long, write
from auditor.core.errors import UsageError

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
    from auditor.evaluation.filters import Chosen
    from auditor.i18n.languages import direction
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
