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
from itertools import islice
from pathlib import Path

from auditor.core.errors import InputError
from auditor.registry import workbook_reader
from auditor.registry.workbook_reader import (
    FILE_LIMITS,
    MAX_CELL_CHARS,
    MAX_FILE_BYTES,
    ReadBudget,
    ReadLimits,
    SpreadsheetError,
    format_cell_value,
)
from storage.sanitize import sanitize_text

ARABIC_WORD_PATTERN = re.compile(r"[\u0621-\u064a]{3,}")
FORMULA_PATTERN = re.compile(r"'*\s*[=+\-@＝＋－＠\t\r\n]")
"""Text that a spreadsheet program treats as a formula, also after spaces or in full width.

Matches guarded text too, which has apostrophes before it."""
GUARD_PATTERN = re.compile(rf"^'(?={FORMULA_PATTERN.pattern})")
"""The apostrophe that prevents a cell from running as a formula."""
LINE_BREAK_PATTERN = re.compile(r"\r\n?|_x000D_\n?|[\v\f\x85]")
"""Line breaks other than a line feed, including the escape of Excel for a carriage return."""


@dataclass(frozen=True, slots=True)
class SheetRow:
    """A row of a spreadsheet that is not empty: its line, its cells as text, and their hyperlinks.

    The hyperlinks are by column from 0.
    """

    line: int
    cells: tuple[str, ...]
    hyperlinks: Mapping[int, str] = field(default_factory=dict)

    def get_cell(self, index: int) -> str:
        """Return the text of a cell, or "" if the row is shorter."""
        return self.cells[index] if index < len(self.cells) else ""


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
        with path.open("rb") as file:  # a device or a pipe has no size before it is read
            data = file.read(MAX_FILE_BYTES + 1)
    except OSError as error:
        reason = str(error.strerror).lower()
        raise InputError(str(path), reason, "use another path") from None
    if len(data) > MAX_FILE_BYTES:
        raise SpreadsheetError("file_too_large", path, limit=MAX_FILE_BYTES // 1024**2)
    try:
        if not data.startswith((workbook_reader.ZIP_MAGIC, workbook_reader.OLE_MAGIC)):
            return [_parse_csv(data, limits)]
        raw_sheets = workbook_reader.read_raw_sheets(data, limits)
    except SpreadsheetError as error:
        raise SpreadsheetError(error.code, path, line=error.line, limit=error.limit) from None
    sheets = []
    for title, raw_rows in raw_sheets:
        rows = [SheetRow(line, clean_cells(cells), dict(links)) for line, cells, links in raw_rows]
        sheets.append(Sheet(tuple(row for row in rows if any(row.cells)), title))
    return sheets


def _parse_csv(data: bytes, limits: ReadLimits) -> Sheet:
    """Return the table of a CSV file. Raises SpreadsheetError."""
    text, guessed_encoding = _decode_text(data)
    if text.lstrip().startswith("<"):
        raise SpreadsheetError("not_a_table")  # HTML or XML
    delimiter = _detect_delimiter(text)
    lines = io.StringIO(text, newline="")
    reader = csv.reader(lines, delimiter=delimiter, skipinitialspace=True, strict=True)
    budget = ReadBudget(limits)
    rows = []
    line = 1
    try:
        for raw_cells in reader:
            if any(raw_cells):
                cells = clean_cells(budget.take_row(line, raw_cells))
                if any(cells):
                    rows.append(SheetRow(line, cells))
            line = 1 + reader.line_num
    except csv.Error as error:
        if "field limit" in str(error) and '"' not in text:
            raise SpreadsheetError("cell_too_long", line=line, limit=MAX_CELL_CHARS) from None
        raise SpreadsheetError("unclosed_quote", line=line) from None
    return Sheet(tuple(rows), encoding=guessed_encoding, delimiter=delimiter)


def _decode_text(data: bytes) -> tuple[str, str | None]:
    """Return the text of a file, and its encoding if it was guessed, or None.

    cp1256 and cp1252 share the lowercase accented letters of French. The guess is cp1256 if
    decoding with it gives Arabic words. Raises SpreadsheetError if the data are no text, or if they
    are mostly UTF-8.
    """
    if data.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)):
        return data.decode("utf-16", errors="replace"), None
    if b"\0" in data:
        raise SpreadsheetError("not_a_spreadsheet")
    try:
        return data.decode("utf-8-sig"), None
    except UnicodeDecodeError as error:
        valid_text = error.object[: error.start].decode()
    # if so many letters before the first invalid byte are valid UTF-8, the file is damaged UTF-8
    if sum(letter > "\x7f" for letter in valid_text) >= 3:
        raise SpreadsheetError("damaged", line=len(re.findall(r"\r\n?|\n", valid_text)) + 1)
    arabic = data.decode("cp1256", errors="replace")
    if ARABIC_WORD_PATTERN.search(arabic):
        return arabic, "cp1256"
    return data.decode("cp1252", errors="replace"), "cp1252"


def _detect_delimiter(text: str) -> str:
    """Return the delimiter that occurs equally often in most of the first lines."""
    sample = "".join(islice(io.StringIO(text, newline=""), 50))
    lines = re.split(r"\r\n?|\n", re.sub(r'"[^"]*"', "", sample))

    def measure_regularity(delimiter: str) -> tuple[int, int]:
        """Return in how many lines a delimiter occurs equally often, and how often that is."""
        line_counts = Counter(line.count(delimiter) for line in lines)
        del line_counts[0]
        return max(((count, times) for times, count in line_counts.items()), default=(0, 0))

    return max(",;\t", key=measure_regularity)


def clean_cells(cells: Iterable[str]) -> tuple[str, ...]:
    """Return the cells without surrounding whitespace, unsafe characters and formula guards."""
    texts = list(cells)
    for index, cell in enumerate(texts):
        if cell:
            text = sanitize_text(LINE_BREAK_PATTERN.sub("\n", cell)).replace("\xa0", " ").strip()
            texts[index] = GUARD_PATTERN.sub("", text).strip()
    return tuple(texts)


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
        cells = map(format_cell_value, row)
        writer.writerow([f"'{cell}" if FORMULA_PATTERN.match(cell) else cell for cell in cells])
        yield buffer.getvalue().encode(errors="replace")
        buffer.seek(0)
        buffer.truncate()


def guard_cells(row: Iterable[object]) -> list[object]:
    """Return the cells of a workbook row that an import reads as they are.

    A text that it would take for a guarded formula gets a second apostrophe.
    """
    return [
        f"'{cell}" if isinstance(cell, str) and GUARD_PATTERN.match(cell) else cell for cell in row
    ]
