"""How an answer is written: data on standard output, everything else on standard error.

Files that commands write: in which format, and whole or not at all.
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
    """Write data. UTF-8 whatever the locale; what cannot be encoded is escaped, never fatal."""
    print_data_parts([text])


def print_data_parts(parts: Iterable[str]) -> None:
    """The same of parts that need not be held."""
    with _open_utf8(sys.stdout) as out:
        out.writelines(parts)
        out.write("\n")


def print_text(text: str) -> None:
    """Write lines for a person, without terminal controls or direction overrides."""
    print_data("\n".join(CONTROL_CHARACTERS.sub(" ", line) for line in text.split("\n")))


def is_stdout_terminal() -> bool:
    """Whether the data are for a person: they are said in words then, and as codes into a pipe."""
    return sys.stdout.isatty()


def print_message(text: str) -> None:
    """Tell a person something, beside the data."""
    with _open_utf8(sys.stderr) as err:
        err.write(to_single_line(text) + "\n")


@contextmanager
def open_unbuffered_safely(file: BinaryIO) -> Iterator[BinaryIO]:
    """The file, of which a pipe takes all.

    In Python's unbuffered mode (PYTHONUNBUFFERED) a standard stream loses without a word what a pipe did not
    take before a signal came: whoever reads it gets 64 or 128 KiB of a document (seen 2026-11).
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
    """The stream in UTF-8, of which a pipe takes all."""
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
"""A code in words."""


def print_table(
    columns: Sequence[str],
    rows: Iterable[Sequence[object]],
    translator: Translator,
    formatters: Mapping[str, CellFormatter] = MappingProxyType({}),
) -> None:
    """A table in words on a terminal; tab-separated values, with their English codes, into a pipe.

    `say_as` tells of a column how its codes are said. Names last: terminals do no bidi.
    """
    if is_stdout_terminal():
        cells = map(_format_cells, rows)
        told = {"channel": translator.channel_name, **formatters}
        sayings = [told.get(column, str) for column in columns]
        said = [[saying(cell) for saying, cell in zip(sayings, row, strict=True)] for row in cells]
        _print_rich_table([translator.term("heading", column) for column in columns], said)
    else:
        print_tsv(columns, map(format_tsv_row, rows))


def print_tsv(columns: Sequence[str], rows: Iterable[str]) -> None:
    """Tab-separated values, of rows that are made already."""
    print_data("\n".join(["\t".join(columns), *rows]))


def format_tsv_row(cells: Iterable[object]) -> str:
    """One row of tab-separated values."""
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
    """A bar on a terminal only. It is moved by `step(done, total)`."""
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
"""Who may read a file: its owner, or whoever the operator's umask lets."""


def choose_output_format(
    requested_format: OutputFormat | None,
    target: Path | None,
    allowed_formats: tuple[OutputFormat, ...] = get_args(OutputFormat),
) -> OutputFormat:
    """The format that is asked for, else the one that the name ends in, else CSV. Raises InputError."""
    if requested_format:
        return requested_format
    if target is None:
        return "csv"
    found = next((one for one in allowed_formats if target.suffix.lower() == f".{one}"), None)
    if found is None:
        ends = ", ".join(f".{one}" for one in allowed_formats)
        raise InputError(str(target), f"its name ends in none of {ends}", f"{target.stem}.csv")
    return found


def validate_delimiter(delimiter: str) -> None:
    """Raise UsageError where this cannot part the cells of CSV."""
    if len(delimiter) != 1 or delimiter in '\r\n"':
        raise UsageError(
            f'--delimiter "{delimiter}"', "it is one character that parts cells", '--delimiter ";"'
        )


def print_bytes(chunks: Iterable[bytes], *, is_text: bool) -> None:
    """Write to standard output. Raises InputError: a terminal cannot show what is no text."""
    if not is_text and sys.stdout.isatty():
        raise InputError("a workbook", "a terminal cannot show it", "a file's name")
    with open_unbuffered_safely(sys.stdout.buffer) as out:
        out.writelines(chunks)


def write_file_atomically(
    chunks: Iterable[bytes],
    target: Path,
    *,
    is_private: bool = False,
    on_written: Callable[[], None] | None = None,
) -> None:
    """Write a file whole or not at all; a private one is for its owner alone. Raises InputError.

    `written` is called when all of it lies on the disk, before it has its name.
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
    except OSError as trouble:
        raise build_file_error(trouble, f"cannot write {target}") from None
