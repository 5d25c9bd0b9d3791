"""Output of commands: data to standard output, messages and progress to standard error.

Files are written completely or not at all.
"""

from __future__ import annotations

import errno
import os
import shutil
import sys
import textwrap
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Literal, get_args

from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import (
    CONTROL_CHARACTERS,
    build_json_document,
    format_timestamp,
    to_single_line,
)
from storage.errors import build_file_error
from storage.files.durable_files import replace_atomically

if TYPE_CHECKING:
    from rich.text import Text


def print_data(text: str) -> None:
    """Print data on standard output."""
    print_data_parts([text])


def print_json(items: Iterable[Mapping[str, Any]], now: datetime) -> None:
    """Print items as a JSON document of this time."""
    print_data(build_json_document(items, now))


def print_data_parts(parts: Iterable[str]) -> None:
    """Print data that comes in parts, without holding all of it in memory."""
    sys.stdout.writelines(parts)
    sys.stdout.write("\n")
    sys.stdout.flush()


def print_text(text: str) -> None:
    """Print text for a person, without terminal control codes and direction overrides.

    A terminal breaks long lines inside words, where Arabic letters change their shape. So they are
    broken before words.
    """
    lines = [CONTROL_CHARACTERS.sub(" ", line) for line in text.split("\n")]
    if sys.stdout.isatty():
        width = shutil.get_terminal_size().columns
        lines = [_break_line(line, width) for line in lines]
    print_data("\n".join(lines))


def _break_line(line: str, width: int) -> str:
    indent = " " * (len(line) - len(line.lstrip(" ☐")))
    return textwrap.fill(
        line, width, subsequent_indent=indent, break_long_words=False, break_on_hyphens=False
    )


def count_noun(count: int, noun: str) -> str:
    """Return a number with its noun, such as "1 row" or "1,200 rows"."""
    return f"{count:,} {noun}" if count == 1 else f"{count:,} {noun}s"


def print_message(text: str) -> None:
    """Print a message of one line to standard error."""
    sys.stderr.write(to_single_line(text) + "\n")
    sys.stderr.flush()


TableFormat = Literal["table", "tsv", "json"]
"""The formats of a list: words in columns for people, codes between tabs or JSON for programs."""


def choose_table_format(requested_format: TableFormat | None, *, as_json: bool) -> TableFormat:
    """Return the requested format of a list. By default it is a table if a person reads it.

    A person reads it if standard output or standard error is a terminal. In `auditor gaps | less`
    the list goes into a pipe, but messages go to the terminal. Raises UsageError if `--json`
    contradicts the requested format.
    """
    if as_json and requested_format not in {None, "json"}:
        raise UsageError(
            f"--json --format {requested_format}", "they contradict each other", "one of them"
        )
    if as_json:
        return "json"
    if requested_format is not None:
        return requested_format
    return "table" if sys.stdout.isatty() or sys.stderr.isatty() else "tsv"


RED_CODES = ("error", "fail", "failed", "absent", "refused", "unreachable", "broken")
YELLOW_CODES = ("silent", "warning", "warn", "uncertain", "incomplete", "skipped", "ending_soon")
STYLE_BY_CODE = {**dict.fromkeys(RED_CODES, "red"), **dict.fromkeys(YELLOW_CODES, "yellow")}
COLORED_COLUMNS = frozenset({"kind", "state", "presence", "status"})
"""Columns whose codes say how urgent a row is. Color never says it alone: the word does, too."""
COLUMN_GAP = 2
"""Spaces between two columns of a table."""


def print_table(
    columns: Sequence[str],
    rows: Iterable[Mapping[str, object]],
    table_format: TableFormat,
    *,
    words: Mapping[str, Callable[[str], str]] = MappingProxyType({}),
    headings: Callable[[str], str] = lambda column: column.replace("_", " ").capitalize(),
    optional_column: str | None = None,
    empty_text: str = "Nothing to list.",
) -> None:
    """Print a table, or tab-separated values with codes.

    In a table, `words` say what a column shows for a code, and `headings` what stands above a
    column. A table that is too wide for the terminal has no `optional_column`. Put names of
    associations in the last column: they may be Arabic, and terminals do not order text of both
    directions.
    """
    cells = ([_format_cell(row[column]) for column in columns] for row in rows)
    if table_format != "table":
        print_data("\n".join(map("\t".join, [columns, *cells])))
        return
    from rich.text import Text  # noqa: PLC0415  # only a table needs Rich

    def build_cell(column: str, code: str) -> Text:
        style = STYLE_BY_CODE.get(code, "") if column in COLORED_COLUMNS else ""
        return Text(words.get(column, str)(code), style)

    table_rows = [
        {column: build_cell(column, code) for column, code in zip(columns, row, strict=True)}
        for row in cells
    ]
    if not table_rows:
        print_text(empty_text)
        return
    filled = [column for column in columns if any(row[column].plain for row in table_rows)]
    _print_rich_table({name: headings(name) for name in filled}, table_rows, optional_column)


def _format_cell(cell: object) -> str:
    if isinstance(cell, datetime):
        return to_single_line(format_timestamp(cell))
    return to_single_line(cell)


def _print_rich_table(
    headings: dict[str, str], rows: Sequence[Mapping[str, Text]], optional_column: str | None
) -> None:
    """Print aligned columns, without the optional one if the terminal is too narrow."""
    from rich.cells import cell_len  # noqa: PLC0415  # only a table needs Rich
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415

    widths = {
        name: max(cell_len(heading), *(row[name].cell_len for row in rows)) + COLUMN_GAP
        for name, heading in headings.items()
    }
    table = Table(box=None, pad_edge=False, padding=(0, COLUMN_GAP, 0, 0))
    console = Console(file=sys.stdout)
    if sum(widths.values()) > console.width + COLUMN_GAP:
        headings.pop(optional_column or "", None)
    for name, heading in headings.items():
        # Narrow columns are never wrapped; the others share the rest of the terminal's width.
        is_narrow = widths[name] <= 12 + COLUMN_GAP
        table.add_column(heading, overflow="fold", no_wrap=is_narrow)
    for row in rows:
        table.add_row(*(row[name] for name in headings))
    console.print(table)
    sys.stdout.flush()


ProgressCallback = Callable[[int, int], None]


@contextmanager
def show_progress(title: str, *, quiet: bool) -> Iterator[ProgressCallback]:
    """Show a progress bar on a terminal. Yields a function that sets `(done, total)`."""
    if quiet or not sys.stderr.isatty():
        yield lambda _done, _total: None
        return
    from rich.console import Console  # noqa: PLC0415  # only a terminal needs Rich
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn  # noqa: PLC0415

    columns = (
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(title, total=None)
        yield lambda done, total: bar.update(task, completed=done, total=total)


OutputFormat = Literal["csv", "xlsx", "json"]
NEW_FILE_FLAGS = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
PRIVATE_FILE_MODE = 0o600
STREAM_NAMES = ("/dev/std", "/dev/fd/", "/proc/")
"""Beginnings of names that the system reserves for devices and pipes."""


def choose_output_format(
    requested_format: OutputFormat | None,
    target: Path | None,
    allowed_formats: tuple[OutputFormat, ...] = get_args(OutputFormat),
) -> OutputFormat:
    """Return the requested format, else that of the file name. Standard output is CSV by default.

    Raises InputError if the file name has another extension.
    """
    if requested_format:
        return requested_format
    if target is None:
        return "csv"
    extension = target.suffix.lower()
    for allowed_format in allowed_formats:
        if extension == f".{allowed_format}":
            return allowed_format
    extensions = ", ".join(f".{name}" for name in allowed_formats)
    raise InputError(
        str(target), f"its name does not end in one of {extensions}", f"{target.stem}.csv"
    )


def validate_delimiter(delimiter: str) -> None:
    """Raise UsageError if this text cannot separate the cells of CSV."""
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise UsageError(
            f'--delimiter "{delimiter}"',
            "a delimiter is one character, and neither a quote nor a line break",
            '--delimiter ";"',
        )


def print_bytes(chunks: Iterable[bytes], *, is_readable: bool) -> None:
    """Write bytes to standard output.

    Raises InputError if it is a terminal and a person cannot read them there, such as a workbook.
    """
    if not is_readable and sys.stdout.isatty():
        raise InputError(
            "standard output", "a terminal cannot show this spreadsheet", "a file name"
        )
    sys.stdout.buffer.writelines(chunks)
    sys.stdout.buffer.flush()


def write_file_atomically(
    chunks: Iterable[bytes], target: Path, *, on_written: Callable[[], None] | None = None
) -> None:
    """Write a file that only its owner can read, completely or not at all. Raises StoreError.

    Exports have contacts of people, and invitations have secret links. `on_written`
    is called when the content is on the disk, before the file gets its final name. A device or a
    pipe, such as /dev/null or /dev/stdout, is written to and never replaced by a file.
    """
    try:
        is_special = target.exists() and not target.is_file() and not target.is_dir()
        if is_special or str(target.absolute()).startswith(STREAM_NAMES):
            with target.open("wb") as stream:
                stream.writelines(chunks)
            if on_written:
                on_written()
            return
        if target.is_dir():
            raise IsADirectoryError(errno.EISDIR, "is a directory")
        target.parent.stat()  # a mistyped folder is an error; none is created
        with replace_atomically(target) as unfinished:
            with unfinished.open("wb") as out:
                out.writelines(chunks)
                out.flush()
                os.fsync(out.fileno())
            if on_written:
                on_written()
    except OSError as error:
        raise build_file_error(error, f"cannot write {target}") from None
