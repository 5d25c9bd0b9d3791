"""Read the hyperlinks of the cells of an XLSX file, which calamine does not give."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from zipfile import ZipFile

SPREADSHEET_NAMESPACE = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
RELATIONSHIP_NAMESPACE = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}"
PACKAGE_NAMESPACE = "{http://schemas.openxmlformats.org/package/2006/relationships}"
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
    targets_by_id = {
        attributes.get("Id"): attributes.get("Target", "")
        for attributes in _iter_elements(archive, relationships, f"{PACKAGE_NAMESPACE}Relationship")
        if attributes.get("TargetMode") == "External"
    }
    if not any(map(_is_web_url, targets_by_id.values())):
        return {}
    return dict(_iter_hyperlinks(archive, part_name, targets_by_id))


def iter_sheet_parts(archive: ZipFile) -> Iterator[tuple[str, str]]:
    """Yield the title of each worksheet and the name of its file in the archive."""
    relationships = "xl/_rels/workbook.xml.rels"
    targets = {
        attributes.get("Id"): posixpath.join("/xl", attributes.get("Target", ""))
        for attributes in _iter_elements(archive, relationships, f"{PACKAGE_NAMESPACE}Relationship")
    }
    for attributes in _iter_elements(archive, "xl/workbook.xml", f"{SPREADSHEET_NAMESPACE}sheet"):
        target = targets[attributes.get(f"{RELATIONSHIP_NAMESPACE}id")]
        yield attributes["name"], target.removeprefix("/")


def _iter_hyperlinks(
    archive: ZipFile, part_name: str, targets_by_id: dict[str | None, str]
) -> Iterator[tuple[CellPosition, str]]:
    from openpyxl.utils.cell import coordinate_to_tuple  # noqa: PLC0415  # slow to load

    for attributes in _iter_elements(archive, part_name, f"{SPREADSHEET_NAMESPACE}hyperlink"):
        address = targets_by_id.get(attributes.get(f"{RELATIONSHIP_NAMESPACE}id"), "")
        if _is_web_url(address):
            first_cell, _, _ = attributes.get("ref", "A1").partition(":")
            yield coordinate_to_tuple(first_cell), address


def _iter_elements(archive: ZipFile, part_name: str, tag: str) -> Iterator[dict[str, str]]:
    from openpyxl.xml.functions import iterparse  # noqa: PLC0415  # the parser that reads the cells

    with archive.open(part_name) as file:
        for _, element in iterparse(file):
            if element.tag == tag:
                yield dict(element.attrib)
            element.clear()


def _is_web_url(url: str) -> bool:
    return url.startswith(WEB_SCHEMES)
