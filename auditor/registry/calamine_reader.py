"""Read workbooks with calamine, in a child process with limited memory and time.

Calamine expands a table to all of its cells. A file of one kilobyte may say that a cell is repeated
a billion times, and Rust ends the process if the memory is not enough.

The child process runs this module: it reads a file on standard input and writes a JSON array of
sheets. A sheet is its title and its rows, and a row is its line and its cells as text.
"""

import io
import itertools
import json
import resource
import subprocess
import sys
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any
from zipfile import BadZipFile

from auditor.registry import xlsx_parts
from auditor.registry.cell_values import MAX_COLUMNS, format_cell_value

MEMORY_BYTES = 1 << 30
CPU_SECONDS = 60
UNREADABLE_ZIP_ERRORS = (BadZipFile, zlib.error, RuntimeError, OSError, ValueError)
"""What `zipfile` raises for a damaged or encrypted file."""
COMPACT_OPTION = "--compact"
"""The option of the child process to read a compact copy of an XLSX file."""
PASSWORD_EXIT_CODE = 3
"""The exit code of the child process for a file that needs a password."""

RawSheet = tuple[str, list[tuple[int, list[str]]]]
"""The title of a sheet, and its rows that are not empty with their line numbers from 1."""


class WorkbookReadError(Exception):
    """The workbook cannot be read: it is damaged or too large, or it needs a password."""

    def __init__(self, *, needs_password: bool) -> None:
        super().__init__("password" if needs_password else "damaged")
        self.needs_password = needs_password


def read_raw_sheets(data: bytes, *, is_xlsx: bool = False) -> list[RawSheet]:
    """Return the sheets of a workbook. Raises WorkbookReadError.

    If calamine cannot read all cells of an XLSX file as it is, it reads a compact copy.
    """
    if not is_xlsx:
        return _run_reader(data)
    if not _has_error_cells(data):
        with suppress(WorkbookReadError):
            return _run_reader(data)
    return _run_reader(data, COMPACT_OPTION)


def _has_error_cells(data: bytes) -> bool:
    try:
        return xlsx_parts.has_error_cells(data)
    except UNREADABLE_ZIP_ERRORS:
        raise WorkbookReadError(needs_password=False) from None


def _run_reader(data: bytes, *options: str) -> list[RawSheet]:
    command = [sys.executable, "-P", "-m", __name__]  # no module of the working folder is imported
    command += options
    try:
        process = subprocess.run(  # noqa: S603  # runs this module
            command, input=data, capture_output=True, timeout=2 * CPU_SECONDS, check=False
        )
    except subprocess.TimeoutExpired:
        raise WorkbookReadError(needs_password=False) from None
    if process.returncode:
        raise WorkbookReadError(needs_password=process.returncode == PASSWORD_EXIT_CODE)
    sheets: list[RawSheet] = json.loads(process.stdout)
    return sheets


def _limit_resources() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_SECONDS, CPU_SECONDS))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def _read_sheets(data: bytes, lines_by_title: Mapping[str, Sequence[int]]) -> list[RawSheet]:
    """Return the sheets of a workbook. The lines are those of its rows if they have others."""
    from python_calamine import CalamineWorkbook  # noqa: PLC0415  # only the child process needs it

    workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    sheets = []
    for title in workbook.sheet_names:
        rows = workbook.get_sheet_by_name(title).iter_rows()
        numbered_rows = zip(lines_by_title.get(title, itertools.count(1)), rows, strict=False)
        sheets.append((title, list(_iter_filled_rows(numbered_rows))))
    return sheets


def _iter_filled_rows(rows: Iterable[tuple[int, Sequence[Any]]]) -> Iterator[tuple[int, list[str]]]:
    for line, values in rows:
        cells = list(map(format_cell_value, values[:MAX_COLUMNS]))
        if any(cells):
            yield line, cells


def main() -> None:
    """Read a workbook on standard input and write its sheets as JSON."""
    from python_calamine import PasswordError  # noqa: PLC0415

    _limit_resources()
    data = sys.stdin.buffer.read()
    lines_by_title: dict[str, list[int]] = {}
    if COMPACT_OPTION in sys.argv:
        data, lines_by_title = xlsx_parts.compact_workbook(data)
    try:
        sheets = _read_sheets(data, lines_by_title)
    except PasswordError:
        sys.exit(PASSWORD_EXIT_CODE)
    sys.stdout.write(json.dumps(sheets))


if __name__ == "__main__":
    main()
