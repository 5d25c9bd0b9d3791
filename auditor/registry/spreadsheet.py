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
from storage.sanitize import text as fit

MOST_BYTES = 64 * 1024 * 1024
MOST_UNPACKED = 512 * 1024 * 1024
MOST_COLUMNS = 300
ARABIC_WORD = re.compile(r"[\u0621-\u064a]{3,}")
FORMULA = re.compile(r"'*\s*[=+\-@＝＋－＠\t\r\n]")
"""What a spreadsheet would take for a formula, also behind spaces or in full width, and what already has
apostrophes before it."""
BREAKS = re.compile(r"\r\n?|_x000D_\n?|[\v\f\x85]")
"""The line ends of other systems, as they are and as Excel writes them."""
SAVE_AS = "save it as XLSX or as CSV"
FEWER = "a sheet with the associations alone"


class SheetError(InputError):
    """A file that cannot be read as a sheet: `trouble` is the code of why (`unreadable` in the words)."""

    def __init__(self, what: str, why: str, remedy: str, *, trouble: str) -> None:
        super().__init__(what, why, remedy)
        self.trouble = trouble


@dataclass(frozen=True, slots=True)
class Row:
    """A line of a sheet that is not empty: where it begins, its cells as text, the addresses beneath them."""

    line: int
    cells: tuple[str, ...]
    targets: Mapping[int, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Sheet:
    """A table of a file. `encoding` is the one that was guessed, where one had to be."""

    rows: tuple[Row, ...]
    title: str = ""
    encoding: str | None = None


def read(path: Path) -> Iterator[Sheet]:
    """Every table of a file, the first first. Raises InputError."""
    data = _bytes(path)
    if data.startswith(b"PK\x03\x04"):
        yield from _workbook(data, path)
    elif data.startswith(b"\xd0\xcf\x11\xe0"):
        raise SheetError(
            str(path), "the Excel format of before 2007 cannot be read", SAVE_AS, trouble="old_excel"
        )
    elif b"\0" in data[:4096] and not data.startswith((b"\xff\xfe", b"\xfe\xff")):
        raise SheetError(str(path), "this is not a spreadsheet", SAVE_AS, trouble="no_sheet")
    else:
        yield _text(data, path)


def _bytes(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST_BYTES:
            raise SheetError(str(path), "larger than 64 MB", FEWER, trouble="too_large")
        return path.read_bytes()
    except OSError as trouble:
        raise InputError(str(path), (trouble.strerror or "cannot be read").lower(), "another path") from None


def _text(data: bytes, path: Path) -> Sheet:
    text, guessed = decoded(data)
    first, _, rest = text.partition("\n")
    if re.fullmatch(r"sep=.\r?", first):
        return Sheet(tuple(_rows(rest, first[4], path, after=1)), encoding=guessed)
    return Sheet(tuple(_rows(text, _delimiter(text), path)), encoding=guessed)


def decoded(data: bytes) -> tuple[str, str | None]:
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
        if ARABIC_WORD.search(arabic):
            return arabic, "cp1256"
        return data.decode("cp1252", errors="replace"), "cp1252"


def _delimiter(text: str) -> str:
    first = next((line for line in text.splitlines() if line.strip()), "")
    unquoted = re.sub(r'"[^"]*"', "", first)
    return max(",;\t", key=unquoted.count)


def _rows(text: str, delimiter: str, path: Path, after: int = 0) -> Iterator[Row]:
    lines = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    line = after + 1
    try:
        for cells in lines:
            if any(cell.strip() for cell in cells):
                yield Row(line, tidy(cells))
            line = after + lines.line_num + 1
    except csv.Error as trouble:
        raise SheetError(
            f"{path}, line {line}", str(trouble), "a closing quote is often missing", trouble="open_quote"
        ) from None


def tidy(cells: Iterable[str]) -> tuple[str, ...]:
    """Cells as they are kept: without what surrounds their text, and without what no text should carry.

    Nor with the apostrophe that keeps a formula from running.
    """
    return tuple(_plain(fit(BREAKS.sub("\n", cell)).replace("\xa0", " ").strip()) for cell in cells)


def _plain(cell: str) -> str:
    return cell[1:].strip() if cell[:1] == "'" and FORMULA.match(cell) else cell


def _workbook(data: bytes, path: Path) -> Iterator[Sheet]:
    from openpyxl.reader.excel import ExcelReader  # noqa: PLC0415  # slow to load, and only workbooks need it

    _refuse_bomb(data, path)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of features that reading values does not need
        try:
            reader = ExcelReader(io.BytesIO(data), read_only=True, data_only=True)
            reader.read()
            parts = {page.name: rel.target for page, rel in reader.parser.find_sheets()}
            for page in reader.wb.worksheets:
                page.reset_dimensions()
                beneath = targets(reader.archive, parts[page.title])
                yield Sheet(tuple(_page(page, beneath)), page.title)
        except (KeyError, ValueError, TypeError, AttributeError, SyntaxError, OSError, zipfile.BadZipFile):
            raise SheetError(str(path), "this workbook is damaged", SAVE_AS, trouble="damaged") from None


def _refuse_bomb(data: bytes, path: Path) -> None:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as packed:
            names = packed.namelist()
            unpacked = sum(member.file_size for member in packed.infolist())
    except zipfile.BadZipFile:
        raise SheetError(str(path), "this workbook is damaged", SAVE_AS, trouble="damaged") from None
    if "xl/workbook.xml" not in names:
        raise SheetError(str(path), "this is not an Excel workbook", SAVE_AS, trouble="no_sheet")
    if unpacked > MOST_UNPACKED:
        raise SheetError(str(path), "it unpacks to more than 512 MB", FEWER, trouble="too_large")


def _page(page: Any, beneath: Mapping[tuple[int, int], str]) -> Iterator[Row]:
    leads: dict[int, dict[int, str]] = {}
    for (line, column), address in beneath.items():
        leads.setdefault(line, {})[column - 1] = address
    for line, values in enumerate(page.iter_rows(values_only=True, max_col=MOST_COLUMNS), 1):
        cells = tidy(_said(value) for value in values)
        if any(cells):
            yield Row(line, cells, leads.get(line, {}))


def _said(value: object) -> str:
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
    return b"".join(csv_lines(table, bom=bom, delimiter=delimiter))


def csv_lines(
    table: Iterable[Sequence[object]], *, bom: bool = True, delimiter: str = ","
) -> Iterator[bytes]:
    """The same, line by line, for a table that need not be held."""
    out = io.StringIO()
    writer = csv.writer(out, delimiter=delimiter, lineterminator="\r\n")
    if bom:
        yield codecs.BOM_UTF8
    for row in table:
        writer.writerow([_harmless(_said(cell)) for cell in row])
        yield out.getvalue().encode(errors="replace")
        out.seek(0)
        out.truncate()


def _harmless(cell: str) -> str:
    return f"'{cell}" if FORMULA.match(cell) else cell


def _doubled(value: object) -> object:
    """A cell whose own apostrophe would be taken for the one that keeps a formula from running."""
    return f"'{value}" if isinstance(value, str) and value[:1] == "'" and FORMULA.match(value) else value


def to_xlsx(table: Iterable[Sequence[object]]) -> bytes:
    """A table as a workbook (`auditor.registry.spreadsheet`) that is read as it was."""
    return b"".join(xlsx_pieces(table))


def xlsx_pieces(
    table: Iterable[Sequence[object]],
    *,
    title: str = "registry",
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[bytes]:
    """The same, piece by piece, for a table that need not be held."""
    rows = ([_doubled(cell) for cell in row] for row in table)
    return pieces({title: rows}, right_to_left=right_to_left, choices=choices)


MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
OF = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
PACKAGE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
WEB = ("http://", "https://")
Cell = tuple[int, int]


def targets(packed: ZipFile, page: str) -> dict[Cell, str]:
    """The web addresses beneath a page's cells, by line and column from 1. `page` is its part's name."""
    folder, name = posixpath.split(page)
    rels = f"{folder}/_rels/{name}.rels"
    if rels not in packed.namelist():
        return {}
    leads = {
        one.get("Id"): one.get("Target", "")
        for one in _elements(packed, rels, f"{PACKAGE}Relationship")
        if one.get("TargetMode") == "External"
    }
    return dict(_found(packed, page, leads)) if any(map(_is_web, leads.values())) else {}


def _found(packed: ZipFile, page: str, leads: dict[str | None, str]) -> Iterator[tuple[Cell, str]]:
    from openpyxl.utils.cell import coordinate_to_tuple  # noqa: PLC0415  # slow to load

    for one in _elements(packed, page, f"{MAIN}hyperlink"):
        address = leads.get(one.get(f"{OF}id"), "")
        if _is_web(address):
            first, _, _ = one.get("ref", "A1").partition(":")
            yield coordinate_to_tuple(first), address


def _elements(packed: ZipFile, part: str, tag: str) -> Iterator[dict[str, str]]:
    from openpyxl.xml.functions import iterparse  # noqa: PLC0415  # the parser that reads the cells

    with packed.open(part) as file:
        for _, element in iterparse(file):
            if element.tag == tag:
                yield dict(element.attrib)
            element.clear()


def _is_web(address: str) -> bool:
    return address.startswith(WEB)


MEASURED = 200
"""Rows that tell how wide the columns are: the widths come before the rows."""
NARROW, WIDE = 8, 60
MOST_CELL = 32_767
"""Characters that Excel takes in a cell."""
MOST_ROWS = 1_048_576
CHUNK = 64 * 1024
DAY = "yyyy-mm-dd"

CellRow = Sequence[object]


def write(
    out: IO[bytes],
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
        _write(book.create_sheet(title[:31]), table, choices, right_to_left=right_to_left)
    book.save(out)


def pieces(
    tables: Mapping[str, Iterable[CellRow]],
    *,
    right_to_left: bool = False,
    choices: Mapping[str, Sequence[str]] = MappingProxyType({}),
) -> Iterator[bytes]:
    """The same as bytes, piece by piece, never held whole."""
    with TemporaryFile() as file:
        write(file, tables, right_to_left=right_to_left, choices=choices)
        file.seek(0)
        yield from iter(partial(file.read, CHUNK), b"")


def _write(
    page: Any, table: Iterable[CellRow], choices: Mapping[str, Sequence[str]], *, right_to_left: bool
) -> None:
    page.sheet_view.rightToLeft = right_to_left
    page.freeze_panes = "A2"
    rows = iter(table)
    measured = list(islice(rows, MEASURED))
    _lay_out(page, measured)
    _offer(page, measured, choices)
    last = 0
    for last, row in enumerate(chain(measured, rows), 1):
        page.append(list(_cells(page, row, heading=last == 1)))
    if measured:
        page.auto_filter.ref = f"A1:{_letter(len(measured[0]))}{last}"


def _lay_out(page: Any, rows: list[CellRow]) -> None:
    for at, column in enumerate(zip(*rows, strict=True), 1):
        lines = (line for cell in column if cell is not None for line in str(cell).split("\n"))
        longest = max(map(len, lines), default=0)
        page.column_dimensions[_letter(at)].width = min(WIDE, max(NARROW, longest + 2))


def _offer(page: Any, rows: list[CellRow], choices: Mapping[str, Sequence[str]]) -> None:
    from openpyxl.worksheet.datavalidation import DataValidation  # noqa: PLC0415

    for at, heading in enumerate(rows[0] if rows else (), 1):
        if words := choices.get(str(heading)):
            offered = DataValidation(type="list", formula1=f'"{",".join(words)}"', allow_blank=True)
            offered.showErrorMessage = False
            offered.add(f"{_letter(at)}2:{_letter(at)}{MOST_ROWS}")
            page.data_validations.append(offered)


def _letter(at: int) -> str:
    from openpyxl.utils import get_column_letter  # noqa: PLC0415

    return get_column_letter(at)


def _cells(page: Any, row: CellRow, *, heading: bool) -> Iterator[Any]:
    from openpyxl.cell.cell import WriteOnlyCell  # noqa: PLC0415
    from openpyxl.styles import Font  # noqa: PLC0415

    for value in row:
        cell = WriteOnlyCell(page)
        _fill(cell, value)
        if heading:
            cell.font = Font(bold=True)
        yield cell


def _fill(cell: Any, value: object) -> None:
    if isinstance(value, date):
        cell.value = value.replace(tzinfo=None) if isinstance(value, datetime) else value
        cell.number_format = DAY
    elif isinstance(value, int | float) and not isinstance(value, bool):
        cell.value = value
    else:
        cell.value = _cell_text(value)
        cell.number_format = "@"
        if cell.value is not None:
            cell.data_type = "s"


def _cell_text(value: object) -> str | None:
    from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE  # noqa: PLC0415

    return ILLEGAL_CHARACTERS_RE.sub("", str(value))[:MOST_CELL] or None if value is not None else None
