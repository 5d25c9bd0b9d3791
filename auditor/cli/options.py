"""Options and arguments of several commands, as annotated types for their signatures."""

from pathlib import Path
from typing import Annotated

import typer

from auditor.cli.output import TableFormat

JsonOption = Annotated[bool, typer.Option("--json", help="Print JSON.")]
FormatOption = Annotated[
    TableFormat | None,
    typer.Option(
        "--format",
        help="Print a table with words, tab-separated values with codes, or JSON. The default is "
        "table on a terminal, also through a pager, and tsv without one.",
    ),
]
LimitOption = Annotated[
    int | None, typer.Option("--limit", min=1, help="Show at most this many rows.")
]
AuthorOption = Annotated[
    str | None, typer.Option("--author", help="Record this author. The default is your login name.")
]
OUTPUT_FORMAT_OPTION = typer.Option(
    "--format", help="Write this format. The default is the extension of the file, or CSV."
)
BomOption = Annotated[
    bool, typer.Option(help="Begin CSV with a byte order mark, so Excel detects UTF-8.")
]
DelimiterOption = Annotated[
    str,
    typer.Option(help="Separate CSV cells with this character. French Excel expects a semicolon."),
]
DryRunOption = Annotated[
    bool, typer.Option("--dry-run", help="Show what would change, without changing anything.")
]
AssociationOption = Annotated[
    str | None, typer.Option(help="Show only this association, by its id.")
]
SpreadsheetArgument = Annotated[
    Path,
    typer.Argument(
        metavar="SPREADSHEET", readable=False, help="CSV, XLSX, ODS or XLS file to read."
    ),
]
ColumnOption = Annotated[
    list[str],
    typer.Option(
        "--column",
        metavar="HEADING=FIELD",
        help="Read the column with this heading as this field, such as Nombre=name, or as ignore.",
    ),
]
