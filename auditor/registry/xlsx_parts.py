"""Read and rewrite the XML parts of an XLSX or ODS file for what calamine does not do.

Calamine gives no hyperlinks and reads cells with an error, such as `#N/A`, as empty. It allocates
all cells between the first and the last, so that a stray cell makes a sheet too large for it.
"""

import fnmatch
import io
import posixpath
import re
from collections.abc import Iterator
from typing import Any
from xml.etree.ElementTree import tostring
from zipfile import ZipFile

from defusedxml.ElementTree import iterparse

from auditor.registry.sheet_limits import (
    MAX_COLUMNS,
    MAX_LINES,
    MAX_SHARED_STRINGS,
    MAX_UNPACKED_BYTES,
    SheetLimitExceededError,
)

SPREADSHEET_NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATIONSHIP_NAMESPACE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
RELATIONSHIP_TAG = "{http://schemas.openxmlformats.org/package/2006/relationships}Relationship"
ERROR_CELL_PATTERN = re.compile(rb'\bt="e"')
FAR_LINE_PATTERN = re.compile(rb"""\br=["'][A-Za-z]{0,9}(\d{7,})["']""")
"""The number of a row or cell of XLSX, if it has seven digits or more."""
FAR_REPEAT_PATTERN = re.compile(rb"""-(row|column)s-repeated=["'](\d{7,})["']""")
"""How often a row or cell of ODS is repeated, if that has seven digits or more."""
SHARED_STRING_PATTERN = re.compile(rb"<(?:\w{1,20}:)?si[ />]")
CHUNK_BYTES = 1024 * 1024
CHUNK_OVERLAP_BYTES = 64
"""Longer than anything that the patterns match."""
CELL_REFERENCE_PATTERN = re.compile(r"\$?([A-Za-z]{1,3})\$?([0-9]+)")
WEB_SCHEMES = ("http://", "https://")
CellPosition = tuple[int, int]


def read_hyperlinks(archive: ZipFile, part_name: str) -> dict[CellPosition, str]:
    """Return the web addresses of a worksheet's cells, by line and column from 1.

    `part_name` is the name of the worksheet's file in the archive.
    """
    folder, name = posixpath.split(part_name)
    relationships = f"{folder}/_rels/{name}.rels"
    if relationships not in archive.namelist():
        return {}
    targets_by_id = {}
    for attributes in _iter_elements(archive, relationships, RELATIONSHIP_TAG):
        if attributes.get("TargetMode") == "External":
            targets_by_id[attributes.get("Id")] = attributes.get("Target", "")
    if not any(map(_is_web_url, targets_by_id.values())):
        return {}
    return dict(_iter_hyperlinks(archive, part_name, targets_by_id))


def iter_sheet_parts(archive: ZipFile) -> Iterator[tuple[str, str]]:
    """Yield the title of each worksheet and the name of its file in the archive."""
    relationships = "xl/_rels/workbook.xml.rels"
    targets_by_id = {}
    for attributes in _iter_elements(archive, relationships, RELATIONSHIP_TAG):
        targets_by_id[attributes.get("Id")] = attributes.get("Target", "")
    for attributes in _iter_elements(archive, "xl/workbook.xml", f"{SPREADSHEET_NAMESPACE}sheet"):
        target = targets_by_id[attributes.get(f"{RELATIONSHIP_NAMESPACE}id")]
        yield attributes["name"], posixpath.join("/xl", target).removeprefix("/")


def refuse_oversized_parts(archive: ZipFile) -> None:
    """Raise SheetLimitExceededError if calamine would need too much memory or time for a file.

    Also raises what `zipfile` raises for a damaged file.
    """
    unpacked_bytes = sum(member.file_size for member in archive.infolist())
    if unpacked_bytes > MAX_UNPACKED_BYTES:
        raise SheetLimitExceededError("unpacks_too_large", MAX_UNPACKED_BYTES // CHUNK_BYTES)
    for name in _list_worksheets(archive):
        for chunk in _iter_chunks(archive, name):
            for match in FAR_LINE_PATTERN.finditer(chunk):
                _refuse_far_line(match[1])
    if "xl/sharedStrings.xml" in archive.namelist():
        _refuse_many_shared_strings(archive)
    if "content.xml" in archive.namelist():
        for chunk in _iter_chunks(archive, "content.xml"):
            for match in FAR_REPEAT_PATTERN.finditer(chunk):
                _refuse_far_line(match[2])


def _refuse_far_line(digits: bytes) -> None:
    if len(digits) > len(str(MAX_LINES)) or int(digits) > MAX_LINES:
        raise SheetLimitExceededError("too_many_rows", MAX_LINES)


def _refuse_many_shared_strings(archive: ZipFile) -> None:
    count = 0
    for chunk in _iter_chunks(archive, "xl/sharedStrings.xml"):
        count += len(SHARED_STRING_PATTERN.findall(chunk))
        if count > MAX_SHARED_STRINGS:
            raise SheetLimitExceededError("too_many_texts", MAX_SHARED_STRINGS)


def _list_worksheets(archive: ZipFile) -> list[str]:
    return fnmatch.filter(archive.namelist(), "xl/worksheets/*.xml")


def _iter_chunks(archive: ZipFile, part_name: str) -> Iterator[bytes]:
    """Yield the bytes of a part in chunks that overlap, for patterns that cross a border."""
    overlap = b""
    with archive.open(part_name) as file:
        while chunk := file.read(CHUNK_BYTES):
            yield overlap + chunk
            overlap = chunk[-CHUNK_OVERLAP_BYTES:]


def has_error_cells(archive: ZipFile) -> bool:
    """Return True if an XLSX file has cells with an error. Raises what `zipfile` raises."""
    for name in _list_worksheets(archive):
        if any(map(ERROR_CELL_PATTERN.search, _iter_chunks(archive, name))):
            return True
    return False


def compact_workbook(data: bytes) -> tuple[bytes, dict[str, list[int]]]:
    """Return an XLSX file with the filled cells only, and the lines of its rows by worksheet title.

    Its rows are numbered without gaps, and its errors are texts. Raises what `zipfile` and the
    reader of XML raise. Call it in the child process only.
    """
    lines_by_title = {}
    buffer = io.BytesIO()
    with ZipFile(io.BytesIO(data)) as source, ZipFile(buffer, "w") as target:
        titles = {part_name: title for title, part_name in iter_sheet_parts(source)}
        for name in source.namelist():
            if name in titles:
                content, lines_by_title[titles[name]] = _compact_worksheet(source, name)
            else:
                content = source.read(name)
            target.writestr(name, content)
    return buffer.getvalue(), lines_by_title


def _compact_worksheet(archive: ZipFile, part_name: str) -> tuple[bytes, list[int]]:
    """Return the XML of the filled rows and columns of a worksheet, and their lines from 1."""
    lines: list[int] = []
    rows: list[bytes] = []
    line = 0
    with archive.open(part_name) as file:
        for _, element in iterparse(file):
            if element.tag != f"{SPREADSHEET_NAMESPACE}row":
                continue
            line = int(element.get("r", line + 1))
            if line > MAX_LINES:
                raise SheetLimitExceededError("too_many_rows", MAX_LINES)
            cells = _renumber_cells(element, len(rows) + 1)
            if cells:
                lines.append(line)
                rows.append(b"<row>%b</row>" % b"".join(map(tostring, cells)))
            element.clear()
    namespace = SPREADSHEET_NAMESPACE.strip("{}").encode()
    content = b"".join(rows)
    worksheet = b'<worksheet xmlns="%b"><sheetData>%b</sheetData></worksheet>'
    return worksheet % (namespace, content), lines


def _renumber_cells(row: Any, line: int) -> list[Any]:
    """Return the filled cells of a row, as cells of another line."""
    cells = []
    for index, cell in enumerate(row, 1):
        match = CELL_REFERENCE_PATTERN.fullmatch(cell.get("r", ""))
        column = _parse_column(match[1]) if match else index
        if len(cell) and column <= MAX_COLUMNS:
            _move_cell(cell, f"{match[1]}{line}" if match else None)
            cells.append(cell)
    return cells


def _move_cell(cell: Any, reference: str | None) -> None:
    """Set the reference of a cell, if it has one, and make an error a text."""
    if reference is not None:
        cell.set("r", reference)
    if cell.get("t") == "e":
        cell.set("t", "str")


def _parse_column(letters: str) -> int:
    """Return the number of a column, from 1 for `A`."""
    column = 0
    for letter in letters.upper():
        column = column * 26 + ord(letter) - ord("A") + 1
    return column


def _iter_hyperlinks(
    archive: ZipFile, part_name: str, targets_by_id: dict[str | None, str]
) -> Iterator[tuple[CellPosition, str]]:
    for attributes in _iter_elements(archive, part_name, f"{SPREADSHEET_NAMESPACE}hyperlink"):
        address = targets_by_id.get(attributes.get(f"{RELATIONSHIP_NAMESPACE}id"), "")
        if _is_web_url(address):
            match = CELL_REFERENCE_PATTERN.match(attributes.get("ref", "A1"))
            if match:
                yield (int(match[2]), _parse_column(match[1])), address


def _iter_elements(archive: ZipFile, part_name: str, tag: str) -> Iterator[dict[str, str]]:
    with archive.open(part_name) as file:
        for _, element in iterparse(file):
            if element.tag == tag:
                yield dict(element.attrib)
            element.clear()


def _is_web_url(url: str) -> bool:
    return url.startswith(WEB_SCHEMES)
