"""Render a report as a tagged PDF with embedded fonts, readable by screen readers.

The PDF has the text of the report's page. Typst sets it, with the style of `report.typ` and the
fonts of this package, and comes with the extra `pdf`. Without it, users can print the page from a
browser.
"""

from __future__ import annotations

import json
import re
import unicodedata
from collections.abc import Mapping
from functools import cache
from html.parser import HTMLParser
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from auditor.core.errors import AuditorError
from storage.errors import build_install_command

if TYPE_CHECKING:
    import typst

TEMPLATES_FOLDER = Path(__file__).parents[2] / "templates"
VOID_TAGS = frozenset({"meta", "link", "br", "wbr", "input", "img", "hr"})
INLINE_TAGS = frozenset({"a", "b", "bdi", "code", "span", "strong", "wbr"})
SVG_START = '<svg xmlns="http://www.w3.org/2000/svg"'
WHITESPACE = re.compile(r"[ \t\r\n\f]+")
UNPRINTABLE_CATEGORIES = frozenset({"Cc", "Cs", "Cn", "Co"})
"""Unicode categories of control characters and of code points that are no characters."""


class PdfUnavailableError(AuditorError):
    """A PDF cannot be made because Typst is missing."""

    exit_code = 3


def is_typst_installed() -> bool:
    """Return True if PDFs and pictures can be made."""
    return find_spec("typst") is not None


def render_pdf(report_html: str) -> bytes:
    """Return the page of a report as a tagged PDF (PDF/UA-1). Raises PdfUnavailableError.

    If no font has one of the characters, it has an empty box there and does not claim PDF/UA-1.
    """
    try:
        import typst  # noqa: PLC0415 - it is an extra, and large
    except ImportError:
        command = build_install_command("presence-auditor[pdf]")
        remedy = f"{command}, or print the page from a browser"
        raise PdfUnavailableError("no PDF can be made", "Typst is not installed", remedy) from None
    report_json = json.dumps(parse_report_page(report_html), ensure_ascii=False)
    try:
        return _compile_pdf(report_json, ["ua-1"])
    except typst.TypstError:
        return _compile_pdf(report_json, [])


def _compile_pdf(report_json: str, standards: list[Literal["ua-1"]]) -> bytes:
    import typst  # noqa: PLC0415

    return typst.compile(
        TEMPLATES_FOLDER / "report.typ",
        root=TEMPLATES_FOLDER,
        font_paths=_load_fonts(),
        sys_inputs={"report": report_json},
        pdf_standards=[*standards],
    )


def render_card(card: Mapping[str, Any]) -> bytes:
    """Return the picture (PNG) of what improved, for `card.typ`. Typst must be installed."""
    import typst  # noqa: PLC0415

    return typst.compile(
        TEMPLATES_FOLDER / "card.typ",
        root=TEMPLATES_FOLDER,
        font_paths=_load_fonts(),
        sys_inputs={"card": json.dumps(card, ensure_ascii=False)},
        format="png",
        ppi=144,
    )


@cache
def _load_fonts() -> typst.Fonts:
    import typst  # noqa: PLC0415

    # The fonts of the system are for scripts that those of this package do not have.
    return typst.Fonts(font_paths=[TEMPLATES_FOLDER / "fonts"])


def parse_report_page(report_html: str) -> dict[str, Any]:
    """Return the title, the language and the elements of a report page, for `report.typ`.

    An element is a dictionary with its `tag`, `classes`, `dir`, `href`, `lang` and `children`, and
    the `svg` of a drawing. Text is a string.
    """
    parser = _PageParser()
    parser.feed(report_html)
    parser.close()
    page = parser.root["children"]
    [html_element] = [child for child in page if isinstance(child, dict)]
    head, body = html_element["children"]
    [title] = [child for child in head["children"] if child["tag"] == "title"]
    language, _, region = html_element["lang"].partition("-")
    return {
        "title": "".join(title["children"]),
        "language": language,
        "region": region or None,
        "body": body["children"],
    }


class _PageParser(HTMLParser):
    """Builds the tree of a page whose tags are all closed, with the white space of a browser."""

    def __init__(self) -> None:
        super().__init__()
        self.root = _build_element("", {})
        self._open_elements = [self.root]
        self._svg_parts: list[str] = []
        self._ends_with_space = True

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "svg" or self._svg_parts:
            self._svg_parts.append(str(self.get_starttag_text()))
            return
        element = _build_element(tag, dict(attrs))
        self._open_elements[-1]["children"].append(element)
        if tag not in VOID_TAGS:
            self._open_elements.append(element)
        if tag not in INLINE_TAGS:
            self._ends_with_space = True

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.handle_starttag(tag, attrs)

    def handle_endtag(self, tag: str) -> None:
        if self._svg_parts:
            self._svg_parts.append(f"</{tag}>")
            if tag == "svg":
                markup = "".join(self._svg_parts).replace("<svg", SVG_START, 1)
                self._svg_parts = []
                element = {**_build_element("svg", {}), "svg": markup}
                self._open_elements[-1]["children"].append(element)
            return
        self._open_elements.pop()
        if tag not in INLINE_TAGS:
            self._ends_with_space = True

    def handle_data(self, data: str) -> None:
        text = "".join(
            character
            for character in WHITESPACE.sub(" ", data)
            if unicodedata.category(character) not in UNPRINTABLE_CATEGORIES
        )
        if self._ends_with_space:
            text = text.removeprefix(" ")
        if text:
            self._ends_with_space = text.endswith(" ")
            self._open_elements[-1]["children"].append(text)


def _build_element(tag: str, attributes: Mapping[str, str | None]) -> dict[str, Any]:
    texts = {name: attributes.get(name) or "" for name in ("dir", "href", "lang")}
    return {"tag": tag, "classes": (attributes.get("class") or "").split(), **texts, "children": []}
