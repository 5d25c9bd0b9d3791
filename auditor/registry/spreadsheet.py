"""Spreadsheets as people keep them: CSV in any of four encodings and XLSX, read to text and written safely.

It knows nothing of associations. A line is counted as a spreadsheet shows it, from 1.

Where the cells of a workbook lead: what people paste often shows a name, with the address beneath it.

A workbook as it is written row by row: days and numbers are such, the rest is text, no formula.
"""

from __future__ import annotations

import codecs
import csv
import io
import posixpath
import re
import warnings
import zipfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from functools import partial
from itertools import chain, islice
from pathlib import Path
from tempfile import TemporaryFile
from types import MappingProxyType
from typing import IO, Any
from zipfile import ZipFile

from auditor.core.errors import InputError
from storage.sanitize import sanitize_text as fit

MAX_FILE_BYTES = 64 * 1024 * 1024
MAX_UNPACKED_BYTES = 512 * 1024 * 1024
MAX_COLUMNS = 300
ARABIC_WORD_PATTERN = re.compile(r"[\u0621-\u064a]{3,}")
FORMULA_PATTERN = re.compile(r"'*\s*[=+\-@＝＋－＠\t\r\n]")
"""What a spreadsheet would take for a formula, also behind spaces or in full width, and what already has
apostrophes before it."""
LINE_BREAK_PATTERN = re.compile(r"\r\n?|_x000D_\n?|[\v\f\x85]")
"""The line ends of other systems, as they are and as Excel writes them."""
LINE_END_PATTERN = re.compile(r"\r\n?|\n")
STATED_DELIMITER_PATTERN = re.compile(r"sep=([^\w \"])[\r\n]*")
"""The first line of a CSV file that Excel wrote for its own use."""
DELIMITER_SAMPLE_LINES = 50
MIN_VALID_UTF8_LETTERS = 3
"""If so many letters before the first invalid byte are valid UTF-8, the file is damaged UTF-8."""
SAVE_AS_REMEDY = "save it as XLSX or as CSV"
SAVE_AGAIN_REMEDY = "open the original and save it again as XLSX or as CSV in UTF-8"
CLOSE_QUOTE_REMEDY = "close or delete that quotation mark, or save the file as XLSX"
SMALLER_SHEET_REMEDY = "a sheet with the associations alone"


class SpreadsheetError(InputError):
    """A file that cannot be read as a spreadsheet.

    `code` is that of the reason in `[spreadsheet_error]` of the terms, `line` the line of the file
    that causes it, or None if it is the whole file.
    """

    def __init__(
        self, path: Path, reason: str, remedy: str, *, code: str, line: int | None = None
    ) -> None:
        super().__init__(str(path) if line is None else f"{path}, line {line}", reason, remedy)
        self.code = code
        self.line = line


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


def read_sheets(path: Path) -> Iterator[Sheet]:
    """Every table of a file, the first first. Raises InputError."""
    data = _read_bytes(path)
    if data.startswith(b"PK\x03\x04"):
        yield from _read_workbook(data, path)
    elif data.startswith(b"\xd0\xcf\x11\xe0"):
        raise SpreadsheetError(
            path,
            "Excel files from before 2007 cannot be read",
            SAVE_AS_REMEDY,
            code="old_excel",
        )
    elif b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SpreadsheetError(
            path, "this is not a spreadsheet", SAVE_AS_REMEDY, code="not_a_spreadsheet"
        )
    else:
        yield _parse_csv(data, path)


def _read_bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise SpreadsheetError(
                path, "larger than 64 MB", SMALLER_SHEET_REMEDY, code="too_large"
            )
        return path.read_bytes()
    except OSError as trouble:
        raise InputError(
            str(path), (trouble.strerror or "cannot be read").lower(), "another path"
        ) from None


def _parse_csv(data: bytes, path: Path) -> Sheet:
    text, guessed_encoding = decode_text(data)
    if guessed_encoding is not None:
        _refuse_damaged_utf8(data, path)
    _refuse_nul_characters(text, path)
    lines = list(io.StringIO(text, newline=""))
    stated = STATED_DELIMITER_PATTERN.fullmatch(lines[0]) if lines else None
    delimiter = stated[1] if stated else _detect_delimiter(lines[:DELIMITER_SAMPLE_LINES])
    rows = _parse_csv_rows(lines, 1 if stated else 0, delimiter, path)
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
    """The text of a file, and the encoding where it was a guess.

    cp1256 has the small accented letters of French where cp1252 has them, so what tells the two apart
    is whether reading the bytes as cp1256 gives Arabic words.
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
    lines: list[str], skipped_lines: int, delimiter: str, path: Path
) -> Iterator[SheetRow]:
    """Yield the rows of a CSV file after the skipped lines. Raises SpreadsheetError."""
    has_line_feeds = any(line.endswith("\n") for line in lines)
    reader = csv.reader(
        islice(lines, skipped_lines, None),
        delimiter=delimiter,
        skipinitialspace=True,
        strict=True,
    )
    start = skipped_lines
    try:
        for raw_cells in reader:
            cells = clean_cells(raw_cells)
            if any(cells):
                is_after_return = start > 0 and lines[start - 1].endswith("\r")
                follows_stray_return = has_line_feeds and is_after_return
                yield SheetRow(start + 1, cells, follows_stray_return=follows_stray_return)
            start = skipped_lines + reader.line_num
    except csv.Error as error:
        raise _build_csv_error(error, lines, start, delimiter, path) from None


def _build_csv_error(
    error: csv.Error, lines: list[str], start: int, delimiter: str, path: Path
) -> SpreadsheetError:
    """Return the error for a row that begins at the index `start` of the lines."""
    rest = "".join(lines[start:])
    offset = _find_open_quote(rest, delimiter)
    if offset is None:
        return SpreadsheetError(path, str(error), SAVE_AS_REMEDY, code="damaged", line=start + 1)
    reason = "a quotation mark opens a cell here and is not closed at the end of the cell"
    line = start + _get_line_number(rest, offset)
    return SpreadsheetError(path, reason, CLOSE_QUOTE_REMEDY, code="unclosed_quote", line=line)


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
    """Cells as they are kept: without what surrounds their text, and without what no text should carry.

    Nor with the apostrophe that keeps a formula from running.
    """
    return tuple(
        _strip_formula_guard(fit(LINE_BREAK_PATTERN.sub("\n", cell)).replace("\xa0", " ").strip())
        for cell in cells
    )


def _strip_formula_guard(cell: str) -> str:
    return cell[1:].strip() if cell[:1] == "'" and FORMULA_PATTERN.match(cell) else cell


def _read_workbook(data: bytes, path: Path) -> Iterator[Sheet]:
    from openpyxl.reader.excel import ExcelReader  # noqa: PLC0415  # slow to load, and only workbooks need it

    _refuse_zip_bomb(data, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that reading values does not need
        try:
            reader = ExcelReader(io.BytesIO(data), read_only=True, data_only=True)
            reader.read()
            parts = {page.name: rel.target for page, rel in reader.parser.find_sheets()}
            for page in reader.wb.worksheets:
                page.reset_dimensions()
                beneath = read_hyperlinks(reader.archive, parts[page.title])
                yield Sheet(tuple(_read_worksheet(page, beneath)), page.title)
        except (
            KeyError,
            ValueError,
            TypeError,
            AttributeError,
            SyntaxError,
            OSError,
            zipfile.BadZipFile,
        ):
            raise SpreadsheetError(
                path, "this workbook is damaged", SAVE_AS_REMEDY, code="damaged"
            ) from None


def _refuse_zip_bomb(data: bytes, path: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = packed.namelist()
            unpacked = sum(member.file_size for member in packed.infolist())
    except zipfile.BadZipFile:
        raise SpreadsheetError(
            path, "this workbook is damaged", SAVE_AS_REMEDY, code="damaged"
        ) from None
    if "xl/workbook.xml" not in names:
        raise SpreadsheetError(
            path, "this is not an Excel workbook", SAVE_AS_REMEDY, code="not_a_spreadsheet"
        )
    if unpacked > MAX_UNPACKED_BYTES:
        raise SpreadsheetError(
            path, "it unpacks to more than 512 MB", SMALLER_SHEET_REMEDY, code="too_large"
        )


def _read_worksheet(
    worksheet: Any, hyperlinks: Mapping[tuple[int, int], str]
) -> Iterator[SheetRow]:
    leads: dict[int, dict[int, str]] = {}
    for (line, column), address in hyperlinks.items():
        leads.setdefault(line, {})[column - 1] = address
    for line, values in enumerate(worksheet.iter_rows(values_only=True, max_col=MAX_COLUMNS), 1):
        cells = clean_cells(_format_cell_value(value) for value in values)
        if any(cells):
            yield SheetRow(line, cells, leads.get(line, {}))


def _format_cell_value(value: object) -> str:
    """What a cell shows: 20857.0 is a postcode that a spreadsheet took for a number."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return str(value).upper()
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    if isinstance(value, datetime) and not (value.hour or value.minute or value.second):
        return value.date().isoformat()
    return value.isoformat() if isinstance(value, date) else str(value)


def to_csv(table: Iterable[Sequence[object]], *, bom: bool = True, delimiter: str = ",") -> bytes:
    """A table as CSV that no spreadsheet takes for formulas. The BOM lets Excel read Arabic."""
    return b"".join(iter_csv_lines(table, bom=bom, delimiter=delimiter))


def iter_csv_lines(
    table: Iterable[Sequence[object]], *, bom: bool = True, delimiter: str = ","
) -> Iterator[bytes]:
    """The same, line by line, for a table that need not be held."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    if bom:
        yield codecs.BOM_UTF8
    for row in table:
        writer.writerow([_guard_formula(_format_cell_value(cell)) for cell in row])
        yield out.getvalue().encode(errors="replace")
        out.seek(0)
        out.truncate()


def _guard_formula(cell: str) -> str:
    return f"'{cell}" if FORMULA_PATTERN.match(cell) else cell


def _double_apostrophe(value: object) -> object:
    """A cell whose own apostrophe would be taken for the one that keeps a formula from running."""
    return (
        f"'{value}"
        if isinstance(value, str) and value[:1] == "'" and FORMULA_PATTERN.match(value)
        else value
    )


def to_xlsx(table: Iterable[Sequence[object]]) -> bytes:
    """A table as a workbook (`auditor.registry.spreadsheet`) that is read as it was."""
    return b"".join(iter_xlsx_chunks(table))


def iter_xlsx_chunks(
    table: Iterable[Sequence[object]],
    *,
    title: str = "registry",
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[bytes]:
    """The same, piece by piece, for a table that need not be held."""
    rows = ([_double_apostrophe(cell) for cell in row] for row in table)
    return iter_workbook_chunks({title: rows}, right_to_left=right_to_left, choices=choices)


SPREADSHEET_NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATIONSHIP_NAMESPACE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
PACKAGE_NAMESPACE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
WEB_SCHEMES = ("http://", "https://")
CellPosition = tuple[int, int]


def read_hyperlinks(archive: ZipFile, part_name: str) -> dict[CellPosition, str]:
    """The web addresses beneath a page's cells, by line and column from 1. `page` is its part's name."""
    folder, name = posixpath.split(part_name)
    rels = f"{folder}/_rels/{name}.rels"
    if rels not in archive.namelist():
        return {}
    leads = {
        one.get("Id"): one.get("Target", "")
        for one in _iter_elements(archive, rels, f"{PACKAGE_NAMESPACE}Relationship")
        if one.get("TargetMode") == "External"
    }
    return (
        dict(_iter_hyperlinks(archive, part_name, leads))
        if any(map(_is_web_url, leads.values()))
        else {}
    )


def _iter_hyperlinks(
    archive: ZipFile, part_name: str, targets_by_id: dict[str | None, str]
) -> Iterator[tuple[CellPosition, str]]:
    from openpyxl.utils.cell import coordinate_to_tuple  # noqa: PLC0415  # slow to load

    for one in _iter_elements(archive, part_name, f"{SPREADSHEET_NAMESPACE}hyperlink"):
        address = targets_by_id.get(one.get(f"{RELATIONSHIP_NAMESPACE}id"), "")
        if _is_web_url(address):
            first, _, _ = one.get("ref", "A1").partition(":")
            yield coordinate_to_tuple(first), address


def _iter_elements(archive: ZipFile, part_name: str, tag: str) -> Iterator[dict[str, str]]:
    from openpyxl.xml.functions import iterparse  # noqa: PLC0415  # the parser that reads the cells

    with archive.open(part_name) as file:
        for _, element in iterparse(file):
            if element.tag == tag:
                yield dict(element.attrib)
            element.clear()


def _is_web_url(url: str) -> bool:
    return url.startswith(WEB_SCHEMES)


WIDTH_SAMPLE_ROWS = 200
"""Rows that tell how wide the columns are: the widths come before the rows."""
MIN_COLUMN_WIDTH, MAX_COLUMN_WIDTH = 8, 60
MAX_CELL_CHARS = 32_767
"""Characters that Excel takes in a cell."""
MAX_ROWS = 1_048_576
CHUNK_BYTES = 64 * 1024
DATE_NUMBER_FORMAT = "yyyy-mm-dd"

CellRow = Sequence[object]


def write_workbook(
    output: IO[bytes],
    tables: Mapping[str, Iterable[CellRow]],
    *,
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> None:
    """Write tables by their titles, each with its header frozen and filtered, as wide as what it holds.

    `choices` are the words that a column offers, by its heading; any other may be typed.
    """
    from openpyxl import Workbook  # noqa: PLC0415  # slow to load, and only workbooks need it

    book = Workbook(write_only=True)
    for title, table in tables.items():
        _write_worksheet(book.create_sheet(title[:31]), table, choices, right_to_left=right_to_left)
    book.save(output)


def iter_workbook_chunks(
    tables: Mapping[str, Iterable[CellRow]],
    *,
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[bytes]:
    """The same as bytes, piece by piece, never held whole."""
    with TemporaryFile() as file:
        write_workbook(file, tables, right_to_left=right_to_left, choices=choices)
        file.seek(0)
        yield from iter(partial(file.read, CHUNK_BYTES), b"")


def _write_worksheet(
    worksheet: Any,
    table: Iterable[CellRow],
    choices: Mapping[str, Sequence[str]],
    *,
    right_to_left: bool,
) -> None:
    worksheet.sheet_view.rightToLeft = right_to_left
    worksheet.freeze_panes = "A2"
    rows = iter(table)
    measured = list(islice(rows, WIDTH_SAMPLE_ROWS))
    _set_column_widths(worksheet, measured)
    _add_choice_lists(worksheet, measured, choices)
    last = 0
    for last, row in enumerate(chain(measured, rows), 1):
        worksheet.append(list(_build_cells(worksheet, row, is_heading=last == 1)))
    if measured:
        worksheet.auto_filter.ref = f"A1:{_get_column_letter(len(measured[0]))}{last}"


def _set_column_widths(worksheet: Any, rows: list[CellRow]) -> None:
    for at, column in enumerate(zip(*rows, strict=True), 1):
        lines = (line for cell in column if cell is not None for line in str(cell).split("\n"))
        longest = max(map(len, lines), default=0)
        worksheet.column_dimensions[_get_column_letter(at)].width = min(
            MAX_COLUMN_WIDTH, max(MIN_COLUMN_WIDTH, longest + 2)
        )


def _add_choice_lists(
    worksheet: Any, rows: list[CellRow], choices: Mapping[str, Sequence[str]]
) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    for at, heading in enumerate(rows[0] if rows else (), 1):
        if words := choices.get(str(heading)):
            offered = DataValidation(type="list", formula1=f'"{",".join(words)}"', allow_blank=True)
            offered.showErrorMessage = False
            offered.add(f"{_get_column_letter(at)}2:{_get_column_letter(at)}{MAX_ROWS}")
            worksheet.data_validations.append(offered)


def _get_column_letter(column_number: int) -> str:
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    return get_column_letter(column_number)


def _build_cells(worksheet: Any, row: CellRow, *, is_heading: bool) -> Iterator[Any]:
    from openpyxl.cell.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415

    for value in row:
        cell = WriteOnlyCell(worksheet)
        _fill_cell(cell, value)
        if is_heading:
            cell.font = Font(bold=True)
        yield cell


def _fill_cell(cell: Any, value: object) -> None:
    if isinstance(value, date):
        cell.value = value.replace(tzinfo=None) if isinstance(value, datetime) else value
        cell.number_format = DATE_NUMBER_FORMAT
    elif isinstance(value, int | float) and not isinstance(value, bool):
        cell.value = value
    else:
        cell.value = _to_cell_text(value)
        cell.number_format = "@"
        if cell.value is not None:
            cell.data_type = "s"


def _to_cell_text(value: object) -> str | None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415

    return (
        ILLEGAL_CHARACTERS_RE.sub("", str(value))[:MAX_CELL_CHARS] or None
        if value is not None
        else None
    )
