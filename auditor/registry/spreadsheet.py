"""Read spreadsheets (CSV in four encodings, XLSX, ODS and XLS), and write CSV and XLSX.

The module knows nothing of associations. Lines are numbered from 1, as spreadsheet programs show
them. Hyperlinks of cells are read because pasted cells often show a name only. Written files
contain no formulas: dates and numbers keep their type, everything else is text.
"""

import codecs
import csv
import io
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import islice, starmap
from pathlib import Path
from types import MappingProxyType

from auditor.core.errors import InputError
from auditor.registry import calamine_reader
from auditor.registry.cell_values import format_cell_value
from auditor.registry.sheet_limits import (
    FILE_LIMITS,
    LIMIT_REASONS,
    MAX_CELL_CHARS,
    MAX_COLUMNS,
    MAX_FILE_BYTES,
    MAX_LINES,
    ReadLimits,
    SheetLimitExceededError,
    TextBudget,
)
from auditor.registry.workbook_writer import iter_workbook_chunks
from storage.sanitize import sanitize_text

OLE_MAGIC = b"\xd0\xcf\x11\xe0"
"""The first bytes of an XLS file, and of an XLSX file with a password."""
ARABIC_WORD_PATTERN = re.compile(r"[\u0621-\u064a]{3,}")
FORMULA_PATTERN = re.compile(r"'*\s*[=+\-@＝＋－＠\t\r\n]")
"""Text that a spreadsheet program treats as a formula, also after spaces or in full width.

Matches guarded text too, which has apostrophes before it."""
LINE_BREAK_PATTERN = re.compile(r"\r\n?|_x000D_\n?|[\v\f\x85]")
"""Line breaks other than a line feed, including the escape of Excel for a carriage return."""
LINE_END_PATTERN = re.compile(r"\r\n?|\n")
STATED_DELIMITER_PATTERN = re.compile(r"sep=([^\w \"])[\r\n]*")
"""The first line of a CSV file that Excel wrote for its own use."""
DELIMITER_SAMPLE_LINES = 50
MIN_TABLE_SHARE = 3
"""One line of so many has the usual number of delimiters in a table. Cells have line breaks."""
MIN_HEADING_DELIMITERS = 3
MIN_VALID_UTF8_LETTERS = 3
"""If so many letters before the first invalid byte are valid UTF-8, the file is damaged UTF-8."""
SAVE_AS_REMEDY = "save it as XLSX or as CSV"
SAVE_AGAIN_REMEDY = "open the original and save it again as XLSX or as CSV in UTF-8"
CLOSE_QUOTE_REMEDY = "close or delete that quotation mark, or save the file as XLSX"
SMALLER_SHEET_REMEDY = "save a spreadsheet that contains only the associations"


WORKBOOK_ERRORS = {
    "damaged": ("this workbook is damaged", SAVE_AS_REMEDY),
    "password": ("this workbook is protected with a password", "save it without a password"),
    "not_a_spreadsheet": ("this is not a workbook", SAVE_AS_REMEDY),
}
"""The reason and the remedy of a workbook that cannot be read, by code."""


class SpreadsheetError(InputError):
    """A file that cannot be read as a spreadsheet.

    `code` is that of the reason in `[spreadsheet_error]` of the terms, `line` the line of the file
    that causes it, or None if it is the whole file. `limit` is the number of a limit that the file
    exceeds, or None.
    """

    def __init__(
        self,
        path: Path,
        reason: str,
        remedy: str,
        *,
        code: str,
        line: int | None = None,
        limit: int | None = None,
    ) -> None:
        super().__init__(str(path) if line is None else f"{path}, line {line}", reason, remedy)
        self.code = code
        self.line = line
        self.limit = limit


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row of a spreadsheet that is not empty: its line, its cells as text, and their hyperlinks.

    `follows_stray_return` is true if the line before it ends with a carriage return, although the
    lines of this file end otherwise.
    """

    line: int
    cells: tuple[str, ...]
    hyperlinks: Mapping[int, str] = field(default_factory=dict)
    follows_stray_return: bool = False

    def get_cell(self, index: int) -> str:
        """Return the text of a cell, or "" if the row is shorter."""
        return self.cells[index] if index < len(self.cells) else ""

    @property
    def is_filled(self) -> bool:
        """Return True if a cell has a text."""
        return any(self.cells)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of a file.

    `encoding` is set if it had to be guessed. `delimiter` separates the cells of a CSV file; a
    workbook has none.
    """

    rows: tuple[SheetRow, ...]
    title: str = ""
    encoding: str | None = None
    delimiter: str = ""


def read_sheets(path: Path, limits: ReadLimits = FILE_LIMITS) -> list[Sheet]:
    """Return the sheets of a file in their order. Raises InputError."""
    try:
        data = _read_bytes(path)
        if data.startswith((calamine_reader.ZIP_MAGIC, OLE_MAGIC)):
            return _read_workbook(data, path, limits)
        if b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
            raise SpreadsheetError(
                path, "this is not a spreadsheet", SAVE_AS_REMEDY, code="not_a_spreadsheet"
            )
        return [_parse_csv(data, path, limits)]
    except SheetLimitExceededError as error:
        raise build_limit_error(path, error) from None


def build_limit_error(path: Path, error: SheetLimitExceededError) -> SpreadsheetError:
    """Return the error of a file that exceeds a limit."""
    return SpreadsheetError(
        path,
        LIMIT_REASONS[error.code].format(limit=error.limit),
        SMALLER_SHEET_REMEDY,
        code=error.code,
        line=error.line,
        limit=error.limit,
    )


def _read_bytes(path: Path) -> bytes:
    """Return the content of a file. A device or a pipe has no size before it is read."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = (error.strerror or "cannot be read").lower()
        raise InputError(str(path), reason, "use another path") from None
    if len(data) > MAX_FILE_BYTES:
        raise SheetLimitExceededError("file_too_large", MAX_FILE_BYTES // 1024 // 1024)
    return data


def _parse_csv(data: bytes, path: Path, limits: ReadLimits) -> Sheet:
    text, guessed_encoding = decode_text(data)
    if guessed_encoding is not None:
        _refuse_damaged_utf8(data, path)
    _refuse_nul_characters(text, path)
    if text.lstrip().startswith("<"):
        raise build_no_table_error(path)  # HTML or XML
    if text.count("\n") + text.count("\r") > 2 * MAX_LINES:  # before a list of them is in memory
        raise SheetLimitExceededError("too_many_rows", MAX_LINES)
    lines = list(io.StringIO(text, newline=""))
    if len(lines) > MAX_LINES:
        raise SheetLimitExceededError("too_many_rows", MAX_LINES)
    stated_delimiter = STATED_DELIMITER_PATTERN.fullmatch(lines[0]) if lines else None
    if stated_delimiter:
        delimiter, skipped_lines = stated_delimiter[1], 1
    else:
        delimiter, skipped_lines = _detect_delimiter(lines[:DELIMITER_SAMPLE_LINES]), 0
    rows = _parse_csv_rows(lines, skipped_lines, delimiter, path, TextBudget(limits))
    return Sheet(tuple(rows), encoding=guessed_encoding, delimiter=delimiter)


def _refuse_damaged_utf8(data: bytes, path: Path) -> None:
    """Raise SpreadsheetError if data that are not valid UTF-8 are mostly UTF-8."""
    try:
        data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        valid_text = error.object[: error.start].decode()
        if sum(letter > "\x7f" for letter in valid_text) < MIN_VALID_UTF8_LETTERS:
            return
        line = _get_line_number(valid_text, len(valid_text))
        reason = "the file is damaged: this is not valid UTF-8"
        raise SpreadsheetError(path, reason, SAVE_AGAIN_REMEDY, code="damaged", line=line) from None


def _refuse_nul_characters(text: str, path: Path) -> None:
    """Raise SpreadsheetError if the text contains NUL: a disk or a transfer lost a part of it."""
    offset = text.find("\0")
    if offset >= 0:
        reason = "the file is damaged: it contains a NUL character"
        line = _get_line_number(text, offset)
        raise SpreadsheetError(path, reason, SAVE_AGAIN_REMEDY, code="damaged", line=line)


def _get_line_number(text: str, offset: int) -> int:
    """Return the number of the line at an offset, from 1."""
    return len(LINE_END_PATTERN.findall(text, 0, offset)) + 1


def decode_text(data: bytes) -> tuple[str, str | None]:
    """Return the text of a file, and its encoding if it was guessed, or None.

    cp1256 and cp1252 share the lowercase accented letters of French. The guess is cp1256 if
    decoding with it gives Arabic words.
    """
    if data.startswith((b"\xff\xfe", b"\xfe\xff")):
        return data.decode("utf-16", errors="replace"), None
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError:
        arabic = data.decode("cp1256", errors="replace")
        if ARABIC_WORD_PATTERN.search(arabic):
            return arabic, "cp1256"
        return data.decode("cp1252", errors="replace"), "cp1252"


def _detect_delimiter(lines: Iterable[str]) -> str:
    """Return the delimiter that occurs equally often in most of these lines."""
    unquoted_lines = LINE_END_PATTERN.split(re.sub(r'"[^"]*"', "", "".join(lines)))
    return max(",;\t", key=partial(_measure_regularity, unquoted_lines))


def _measure_regularity(lines: Iterable[str], delimiter: str) -> tuple[int, int]:
    """Return in how many lines a delimiter occurs equally often, and how often that is."""
    line_counts = Counter(line.count(delimiter) for line in lines)
    del line_counts[0]
    regularities = ((line_count, times) for times, line_count in line_counts.items())
    return max(regularities, default=(0, 0))


def _parse_csv_rows(
    lines: list[str], skipped_lines: int, delimiter: str, path: Path, budget: TextBudget
) -> Iterator[SheetRow]:
    """Yield the rows of a CSV file after the skipped lines.

    Raises SpreadsheetError, and SheetLimitExceededError.
    """
    has_line_feeds = any(line.endswith("\n") for line in lines)
    reader = csv.reader(
        islice(lines, skipped_lines, None), delimiter=delimiter, skipinitialspace=True, strict=True
    )
    start = skipped_lines
    try:
        for raw_cells in reader:
            _refuse_many_columns(raw_cells, start + 1)
            cells = clean_cells(raw_cells) if any(raw_cells) else ()
            if any(cells):
                budget.count_row(start + 1, cells)
                is_after_return = start > 0 and lines[start - 1].endswith("\r")
                follows_stray_return = has_line_feeds and is_after_return
                yield SheetRow(start + 1, cells, follows_stray_return=follows_stray_return)
            start = skipped_lines + reader.line_num
    except csv.Error as error:
        raise _build_csv_error(error, lines, start, delimiter, path) from None


def _refuse_many_columns(cells: list[str], line: int) -> None:
    """Raise SheetLimitExceededError if a row has filled cells beyond the last column."""
    if len(cells) > MAX_COLUMNS and any(cells[MAX_COLUMNS:]):
        raise SheetLimitExceededError("too_many_columns", MAX_COLUMNS, line)
    del cells[MAX_COLUMNS:]


def _build_csv_error(
    error: csv.Error, lines: list[str], start: int, delimiter: str, path: Path
) -> SpreadsheetError:
    """Return the error for a row that begins at the index `start` of the lines."""
    if _is_text(lines, delimiter):
        return build_no_table_error(path)
    rest = "".join(lines[start:])
    offset = _find_open_quote(rest, delimiter)
    if offset is None and "field limit" in str(error):
        limit_error = SheetLimitExceededError("cell_too_long", MAX_CELL_CHARS, start + 1)
        return build_limit_error(path, limit_error)
    if offset is None:
        return SpreadsheetError(path, str(error), SAVE_AS_REMEDY, code="damaged", line=start + 1)
    reason = "a quotation mark opens a cell here and is not closed at the end of the cell"
    line = start + _get_line_number(rest, offset)
    return SpreadsheetError(path, reason, CLOSE_QUOTE_REMEDY, code="unclosed_quote", line=line)


def build_no_table_error(path: Path) -> SpreadsheetError:
    """Return the error for a text file that is not a table."""
    reason = "this is a text, not a table"
    return SpreadsheetError(path, reason, SAVE_AS_REMEDY, code="not_a_table")


def _is_text(lines: Sequence[str], delimiter: str) -> bool:
    """Return True if few lines have the same number of delimiters, and the first has hardly any."""
    filled_lines = list(filter(str.strip, lines))
    line_count, _ = _measure_regularity(filled_lines, delimiter)
    is_irregular = 0 < line_count * MIN_TABLE_SHARE < len(filled_lines)
    return is_irregular and filled_lines[0].count(delimiter) < MIN_HEADING_DELIMITERS


def _find_open_quote(text: str, delimiter: str) -> int | None:
    """Return the offset of a quotation mark in the first row that opens a cell and is not closed.

    Return None if there is no such mark.
    """
    separator = re.escape(delimiter)
    quoted, plain = '"(?:[^"]|"")*+"', rf'(?!")[^{separator}\r\n]*'
    whole_cell = re.compile(rf" *+(?:{quoted}|{plain})({separator}|[\r\n]|\Z)")
    offset = 0
    while cell := whole_cell.match(text, offset):
        if cell[1] != delimiter:
            return None
        offset = cell.end()
    return text.index('"', offset)


def clean_cells(cells: Iterable[str]) -> tuple[str, ...]:
    """Return the cells without surrounding whitespace, unsafe characters and formula guards."""
    return tuple(_clean_cell(cell) if cell else "" for cell in cells)


def _clean_cell(cell: str) -> str:
    text = sanitize_text(LINE_BREAK_PATTERN.sub("\n", cell))
    return _strip_formula_guard(text.replace("\xa0", " ").strip())


def _strip_formula_guard(cell: str) -> str:
    """Return the cell without the apostrophe that prevents it from running as a formula."""
    return cell[1:].strip() if cell[:1] == "'" and FORMULA_PATTERN.match(cell) else cell


def _read_workbook(data: bytes, path: Path, limits: ReadLimits) -> list[Sheet]:
    """Return the sheets of a workbook. Raises SpreadsheetError and SheetLimitExceededError."""
    try:
        raw_sheets = calamine_reader.read_raw_sheets(data, limits)
    except calamine_reader.WorkbookReadError as error:
        reason, remedy = WORKBOOK_ERRORS[error.code]
        raise SpreadsheetError(path, reason, remedy, code=error.code) from None
    return list(starmap(_build_sheet, raw_sheets))


def _build_sheet(
    title: str,
    raw_rows: Sequence[calamine_reader.RawRow],
    raw_hyperlinks: Sequence[calamine_reader.RawHyperlink],
) -> Sheet:
    hyperlinks_by_line: dict[int, dict[int, str]] = {}
    for line, column, address in raw_hyperlinks:
        hyperlinks_by_line.setdefault(line, {})[column] = address
    rows = []
    for line, raw_cells in raw_rows:
        row = SheetRow(line, clean_cells(raw_cells), hyperlinks_by_line.get(line, {}))
        if row.is_filled:
            rows.append(row)
    return Sheet(tuple(rows), title)


def to_csv(table: Iterable[Sequence[object]], *, bom: bool = True, delimiter: str = ",") -> bytes:
    """Return a table as CSV without formulas. Excel needs the BOM to read Arabic."""
    return b"".join(iter_csv_lines(table, bom=bom, delimiter=delimiter))


def iter_csv_lines(
    table: Iterable[Sequence[object]], *, bom: bool = True, delimiter: str = ","
) -> Iterator[bytes]:
    """Yield the lines of the CSV of `to_csv`, for tables too large for memory."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, delimiter=delimiter, lineterminator="\r\n")
    if bom:
        yield codecs.BOM_UTF8
    for row in table:
        writer.writerow(map(_guard_formula, map(format_cell_value, row)))
        yield buffer.getvalue().encode(errors="replace")
        buffer.seek(0)
        buffer.truncate()


def _guard_formula(cell: str) -> str:
    return f"'{cell}" if FORMULA_PATTERN.match(cell) else cell


def _double_apostrophe(value: object) -> object:
    """Return a value with a second apostrophe if an import would strip its first as a guard."""
    if isinstance(value, str) and value[:1] == "'" and FORMULA_PATTERN.match(value):
        return f"'{value}"
    return value


def iter_xlsx_chunks(
    table: Iterable[Sequence[object]],
    *,
    title: str = "registry",
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[bytes]:
    """Yield the bytes of a workbook with one table in chunks, for tables too large for memory."""
    rows = (list(map(_double_apostrophe, row)) for row in table)
    return iter_workbook_chunks({title: rows}, right_to_left=right_to_left, choices=choices)
