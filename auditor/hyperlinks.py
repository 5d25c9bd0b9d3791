"""Where the cells of a workbook lead: what people paste often shows a name, with the address beneath it."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from zipfile import ZipFile

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
