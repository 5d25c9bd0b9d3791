"""Read workbooks (XLSX, ODS and XLS) in a child process with limited memory and time.

Calamine expands a table to all of its cells. A file of one kilobyte may say that a cell is repeated
a billion times, and Rust ends the process if the memory is not enough.

The child process runs this module: it reads a file on standard input and writes a JSON object with
the sheets, or with the limit that the file exceeds. A sheet is its title, its rows and its
hyperlinks. A row is its line and its cells as text, a hyperlink its line, column and address.
"""

import io
import itertools
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict
from threading import BoundedSemaphore
from typing import Any
from zipfile import ZipFile

from auditor.registry import xlsx_parts
from auditor.registry.cell_values import format_cell_value
from auditor.registry.sheet_limits import (
    MAX_COLUMNS,
    MAX_MEMORY_BYTES,
    MAX_READERS,
    MAX_SHEETS,
    ReadLimits,
    SheetLimitExceededError,
    TextBudget,
)

ZIP_MAGIC = b"PK\x03\x04"
"""The first bytes of an XLSX or ODS file."""
XLSX_MEMBER = b"xl/workbook.xml"
"""The name of a member that only XLSX files have. Names are not compressed."""
COMPACTABLE_ERRORS = frozenset({"too_much_memory", "too_slow", "damaged"})
"""Errors after which a compact copy of an XLSX file is tried."""
COMPACT_OPTION = "--compact"
"""The option of the child process to read a compact copy of an XLSX file."""
PASSWORD_EXIT_CODE = 3
"""The exit code of the child process for a file that needs a password."""
OTHER_FILE_EXIT_CODE = 4
"""The exit code of the child process for a ZIP file that is no workbook."""
ERROR_CODES = {PASSWORD_EXIT_CODE: "password", OTHER_FILE_EXIT_CODE: "not_a_spreadsheet"}
BYTES_PER_MB = 1024 * 1024

RawRow = tuple[int, list[str]]
"""The line of a row that is not empty, from 1, and its cells."""
RawHyperlink = tuple[int, int, str]
"""The line of a cell from 1, its column from 0, and the address."""
RawSheet = tuple[str, list[RawRow], list[RawHyperlink]]

_reader_slots = BoundedSemaphore(MAX_READERS)


class WorkbookReadError(Exception):
    """The workbook cannot be read. `code` is one of `[spreadsheet_error]` of the terms."""

    def __init__(self, code: str) -> None:
        super().__init__(code)
        self.code = code


def read_raw_sheets(data: bytes, limits: ReadLimits) -> list[RawSheet]:
    """Return the sheets of a workbook.

    If a child process cannot read an XLSX file, a second one reads a compact copy of it.

    Raises WorkbookReadError, or SheetLimitExceededError for a file beyond a limit.
    """
    patience = 2 * MAX_READERS * limits.seconds
    if not _reader_slots.acquire(timeout=patience):
        raise SheetLimitExceededError("too_slow", patience)
    try:
        return _read_twice(data, limits)
    finally:
        _reader_slots.release()


def _read_twice(data: bytes, limits: ReadLimits) -> list[RawSheet]:
    try:
        return _run_reader(data, limits)
    except (SheetLimitExceededError, WorkbookReadError) as error:
        is_xlsx = data.startswith(ZIP_MAGIC) and XLSX_MEMBER in data
        if not is_xlsx or error.code not in COMPACTABLE_ERRORS:
            raise
    return _run_reader(data, limits, COMPACT_OPTION)


def _run_reader(data: bytes, limits: ReadLimits, *options: str) -> list[RawSheet]:
    command = [sys.executable, "-P", "-m", __name__]  # no module of the working folder is imported
    command += [json.dumps(asdict(limits)), *options]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONMALLOC"}
    try:
        process = subprocess.run(  # noqa: S603  # runs this module
            command,
            input=data,
            capture_output=True,
            timeout=limits.seconds,
            check=False,
            env=environment,
        )
    except subprocess.TimeoutExpired:
        raise SheetLimitExceededError("too_slow", limits.seconds) from None
    if process.returncode:
        _raise_failure(process.returncode, limits)
    answer = json.loads(process.stdout)
    if "limit" in answer:
        raise SheetLimitExceededError(*answer["limit"])
    sheets: list[RawSheet] = answer["sheets"]
    return sheets


def _raise_failure(exit_code: int, limits: ReadLimits) -> None:
    """Raise the error that an exit code of the child process means."""
    if exit_code in {-signal.SIGXCPU, -signal.SIGKILL}:
        raise SheetLimitExceededError("too_slow", limits.seconds)
    if exit_code == -signal.SIGABRT:  # Rust cannot allocate memory
        raise _build_memory_error()
    raise WorkbookReadError(ERROR_CODES.get(exit_code, "damaged"))


def _build_memory_error() -> SheetLimitExceededError:
    return SheetLimitExceededError("too_much_memory", MAX_MEMORY_BYTES // BYTES_PER_MB)


def _limit_resources(seconds: int) -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MAX_MEMORY_BYTES, MAX_MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def read_workbook(data: bytes, limits: ReadLimits, *, is_compact: bool = False) -> list[RawSheet]:
    """Return the sheets of a workbook. Call it in the child process only.

    Raises SheetLimitExceededError, SystemExit for a file that is no workbook or needs a password,
    and any other exception for a damaged one.
    """
    budget = TextBudget(limits)
    if not data.startswith(ZIP_MAGIC):
        return _read_sheets(data, {}, budget)
    with ZipFile(io.BytesIO(data)) as archive:
        if any(member.flag_bits & 1 for member in archive.infolist()):
            sys.exit(PASSWORD_EXIT_CODE)
        xlsx_parts.refuse_oversized_parts(archive)
        names = archive.namelist()
        if "xl/workbook.xml" in names:
            return _read_xlsx(data, archive, budget, is_compact=is_compact)
    if "content.xml" not in names:
        sys.exit(OTHER_FILE_EXIT_CODE)
    return _read_sheets(data, {}, budget)


def _read_xlsx(
    data: bytes, archive: ZipFile, budget: TextBudget, *, is_compact: bool
) -> list[RawSheet]:
    """Return the sheets of an XLSX file with hyperlinks."""
    lines_by_title: dict[str, list[int]] = {}
    if is_compact or xlsx_parts.has_error_cells(archive):
        data, lines_by_title = xlsx_parts.compact_workbook(data)
    part_names = dict(xlsx_parts.iter_sheet_parts(archive))
    sheets = []
    for title, rows, _ in _read_sheets(data, lines_by_title, budget):
        hyperlinks = list(_iter_raw_hyperlinks(archive, part_names[title], budget))
        sheets.append((title, rows, hyperlinks))
    return sheets


def _iter_raw_hyperlinks(
    archive: ZipFile, part_name: str, budget: TextBudget
) -> Iterator[RawHyperlink]:
    for (line, column), address in xlsx_parts.read_hyperlinks(archive, part_name).items():
        if column <= MAX_COLUMNS:
            budget.count_chars(len(address))
            yield line, column - 1, address


def _read_sheets(
    data: bytes, lines_by_title: Mapping[str, Sequence[int]], budget: TextBudget
) -> list[RawSheet]:
    """Return the sheets of a workbook. The lines are those of its rows if they have others."""
    from python_calamine import CalamineWorkbook  # noqa: PLC0415  # only the child process needs it

    workbook = CalamineWorkbook.from_filelike(io.BytesIO(data))
    if len(workbook.sheet_names) > MAX_SHEETS:
        raise SheetLimitExceededError("too_many_sheets", MAX_SHEETS)
    sheets: list[RawSheet] = []
    for title in workbook.sheet_names:
        rows = workbook.get_sheet_by_name(title).iter_rows()
        numbered_rows = zip(lines_by_title.get(title, itertools.count(1)), rows, strict=False)
        sheets.append((title, list(_iter_filled_rows(numbered_rows, budget)), []))
    return sheets


BORDER_COLUMNS = slice(MAX_COLUMNS - 1, MAX_COLUMNS + 1)
"""The last column that is read and the next one. A row with text in both continues."""


def _iter_filled_rows(
    rows: Iterable[tuple[int, Sequence[Any]]], budget: TextBudget
) -> Iterator[RawRow]:
    for line, values in rows:
        if len(values) > MAX_COLUMNS and all(map(format_cell_value, values[BORDER_COLUMNS])):
            raise SheetLimitExceededError("too_many_columns", MAX_COLUMNS, line)
        cells = list(map(format_cell_value, values[:MAX_COLUMNS]))
        if any(cells):
            budget.count_row(line, cells)
            yield line, cells


def _format_limit(error: SheetLimitExceededError) -> str:
    return json.dumps({"limit": [error.code, error.limit, error.line]})


def main() -> None:
    """Read a workbook on standard input and write its sheets as JSON."""
    from python_calamine import PasswordError  # noqa: PLC0415

    limits = ReadLimits(**json.loads(sys.argv[1]))
    _limit_resources(limits.seconds)
    data = sys.stdin.buffer.read()
    try:
        sheets = read_workbook(data, limits, is_compact=COMPACT_OPTION in sys.argv)
        text = json.dumps({"sheets": sheets})
    except PasswordError:
        sys.exit(PASSWORD_EXIT_CODE)
    except SheetLimitExceededError as error:
        text = _format_limit(error)
    except MemoryError:
        text = _format_limit(_build_memory_error())
    sys.stdout.write(text)


if __name__ == "__main__":
    main()
