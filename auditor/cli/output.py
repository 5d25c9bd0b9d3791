"""Output of commands: data to standard output, messages and progress to standard error.

Files are written completely or not at all.
"""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, BinaryIO, Literal, TextIO, cast, get_args

from auditor.core.errors import InputError, UsageError
from auditor.core.formatting import CONTROL_CHARACTERS, format_timestamp, to_single_line
from storage.errors import build_file_error

if TYPE_CHECKING:
    from auditor.i18n.translator import Translator


def print_data(text: str) -> None:
    """Print data in UTF-8, whatever the locale. Escapes characters that cannot be encoded."""
    print_data_parts([text])


def print_data_parts(parts: Iterable[str]) -> None:
    """Print data that comes in parts, without holding all of it in memory."""
    with _open_utf8(sys.stdout) as out:
        out.writelines(parts)
        out.write("\n")


def print_text(text: str) -> None:
    """Print text for a person, without terminal control codes and direction overrides."""
    print_data("\n".join(CONTROL_CHARACTERS.sub(" ", line) for line in text.split("\n")))


def is_stdout_terminal() -> bool:
    """Return whether a person reads the data. If not, they are printed with codes, not words."""
    return sys.stdout.isatty()


def print_message(text: str) -> None:
    """Print a message of one line to standard error."""
    with _open_utf8(sys.stderr) as err:
        err.write(to_single_line(text) + "\n")


@contextmanager
def open_unbuffered_safely(file: BinaryIO) -> Iterator[BinaryIO]:
    """Yield a file of which a write to a pipe is always complete.

    In Python's unbuffered mode (PYTHONUNBUFFERED), a write to a full pipe can be cut short by a
    signal. The rest is lost without an error: readers got 64 or 128 KiB of a document (2026-11).
    """
    if not isinstance(file, io.RawIOBase):
        yield file
        file.flush()
        return
    buffered = io.BufferedWriter(file)
    try:
        yield buffered
    finally:
        buffered.detach()


@contextmanager
def _open_utf8(stream: TextIO) -> Iterator[TextIO]:
    """Yield the stream in UTF-8. A write to a pipe is always complete."""
    if isinstance(stream, io.TextIOWrapper) and isinstance(stream.buffer, io.RawIOBase):
        with open_unbuffered_safely(cast("BinaryIO", stream.buffer)) as file:
            text = io.TextIOWrapper(file, "utf-8", "backslashreplace")
            try:
                yield text
            finally:
                text.detach()
        return
    if isinstance(stream, io.TextIOWrapper):
        stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    yield stream
    stream.flush()


CellFormatter = Callable[[str], str]
"""Returns the text that a terminal shows for a cell."""


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    translator: Translator,
    formatters: Mapping[str, CellFormatter] = MappingProxyType({}),
) -> None:
    """Print a translated table on a terminal, or tab-separated values with codes into a pipe.

    `formatters` translate the cells of a column. Put names of associations in the last column:
    they may be Arabic, and terminals do not order text of both directions.
    """
    if not is_stdout_terminal():
        print_tsv(columns, map(format_tsv_row, rows))
        return
    known_formatters = {"channel": translator.channel_name, **formatters}
    row_formatters = [known_formatters.get(column, str) for column in columns]
    headings = [translator.term("heading", column) for column in columns]
    lines = []
    for row in rows:
        cells = zip(row_formatters, _format_cells(row), strict=True)
        lines.append([format_cell(cell) for format_cell, cell in cells])
    _print_rich_table(headings, lines)


def print_tsv(columns: Sequence[str], rows: Iterable[str]) -> None:
    """Print tab-separated values. `rows` are complete lines, see `format_tsv_row`."""
    print_data("\n".join(["\t".join(columns), *rows]))


def format_tsv_row(cells: Iterable[object]) -> str:
    """Return one line of tab-separated values."""
    return "\t".join(_format_cells(cells))


def _format_cells(row: Iterable[object]) -> list[str]:
    return [
        to_single_line(format_timestamp(cell) if isinstance(cell, datetime) else cell)
        for cell in row
    ]


def _print_rich_table(columns: Sequence[str], cells: Iterable[Sequence[str]]) -> None:
    from rich.box import SIMPLE_HEAD  # noqa: PLC0415  # only a terminal needs Rich
    from rich.console import Console  # noqa: PLC0415
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    table = Table(box=SIMPLE_HEAD, pad_edge=False)
    for column in columns:
        table.add_column(column, overflow="fold")
    for row in cells:
        table.add_row(*map(Text, row))
    with _open_utf8(sys.stdout) as out:
        Console(file=out).print(table)


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
PRIVATE_FILE_MODE, PUBLIC_FILE_MODE = 0o600, 0o666
"""Modes of files that only the owner may read, and of files for which the umask decides."""


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


def print_bytes(chunks: Iterable[bytes], *, is_text: bool) -> None:
    """Write bytes to standard output. Raises InputError for a workbook on a terminal."""
    if not is_text and sys.stdout.isatty():
        raise InputError("standard output", "a terminal cannot show a workbook", "a file name")
    with open_unbuffered_safely(sys.stdout.buffer) as out:
        out.writelines(chunks)


def write_file_atomically(
    chunks: Iterable[bytes],
    target: Path,
    *,
    is_private: bool = False,
    on_written: Callable[[], None] | None = None,
) -> None:
    """Write a file completely or not at all. Raises StoreError.

    Only the owner can read a private file. `on_written` is called when the content is on the disk,
    before the file gets its final name.
    """
    unfinished = target.with_name(f"{target.name}.part")
    try:
        unfinished.unlink(missing_ok=True)
        with os.fdopen(
            os.open(
                unfinished, NEW_FILE_FLAGS, PRIVATE_FILE_MODE if is_private else PUBLIC_FILE_MODE
            ),
            "wb",
        ) as out:
            out.writelines(chunks)
            out.flush()
            os.fsync(out.fileno())
        if on_written:
            on_written()
        unfinished.replace(target)
    except OSError as error:
        raise build_file_error(error, f"cannot write {target}") from None
