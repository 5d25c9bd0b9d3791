"""Templates into pages: the same ones for the web and for the folder of static pages.

Where a page's links lead: addresses of the web application, or files of the folder of static pages.

Templates ask `link` and do not know which of the two they are rendered for.

A message in words, before it is plain text or HTML: headings, lists, links. Pure.

The same is written twice, with the words of each medium, so that the two parts of a mail never differ.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Protocol
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from auditor.i18n.catalogs import LANGUAGE_NAMES, LOCALE_BY_LANGUAGE
from auditor.i18n.translator import Translator, isolate_html, to_breakable_url
from auditor.rendering.svg import draw_trend, is_flat_trend


def get_html_translator(language: str) -> Translator:
    """The words of a language for a page: what is filled in is escaped and isolated."""
    return Translator(language, isolate_html)


def render_template(template_name: str, language: str, **values: object) -> str:
    """A page of `templates/` in a language.

    A template translates with `_("…", name=value)` and `_n("{n} one", "{n} several", n)`. The
    `translator` formats dates, numbers and codes.
    """
    translator = get_html_translator(language)
    speech = {
        "translator": translator,
        "_": translator.translate,
        "_n": translator.translate_plural,
    }
    return (
        _get_template_environment()
        .get_template(template_name)
        .render(**speech, **{"user": None, **values})
        .lstrip()
    )


def normalize_phone_number(phone: str) -> str:
    """A number as a telephone takes it."""
    return "".join(sign for sign in phone if sign in "+0123456789")


@cache
def _get_template_environment() -> Environment:
    environment = Environment(
        loader=PackageLoader("auditor"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.globals.update(
        language_names=LANGUAGE_NAMES, draw_trend=draw_trend, is_flat_trend=is_flat_trend
    )
    environment.filters["breakable"] = to_breakable_url
    environment.filters["normalize_phone_number"] = normalize_phone_number
    return environment


SAFE_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")


class PageLinks(Protocol):
    """The links of one page in one language.

    `live` pages can be answered to, those of a folder cannot. Without `home` it leads nowhere else.
    """

    is_interactive: bool

    @property
    def has_network_pages(self) -> bool:
        """Whether the reader may go to the network's pages."""
        ...

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages the page is there in."""
        ...

    @property
    def section(self) -> str:
        """The page of the navigation that it belongs to."""
        ...

    def page_url(self, name: str = "") -> str:
        """A page of the navigation; the front page without a name."""
        ...

    def association_url(self, identifier: str) -> str:
        """An association's page."""
        ...

    def translated_url(self, language: str) -> str:
        """The page itself in another language."""
        ...

    def asset_url(self, name: str) -> str:
        """A style sheet or another file that every page shares."""
        ...


@dataclass(frozen=True, slots=True)
class WebAppLinks:
    """Links of the web application. `path` is this page's own behind the language, with its query."""

    language: str
    path: str = "/"
    has_network_pages: bool = True
    is_interactive = True

    @property
    def languages(self) -> tuple[str, ...]:
        """Every language we speak."""
        return tuple(LOCALE_BY_LANGUAGE)

    @property
    def section(self) -> str:
        """The first part of the path."""
        return self.path.partition("?")[0].strip("/").partition("/")[0]

    def page_url(self, name: str = "") -> str:
        """`/fr/gaps`."""
        return f"/{self.language}/{name}"

    def association_url(self, identifier: str) -> str:
        """`/fr/associations/nour`."""
        return self.page_url(f"associations/{quote(identifier, safe='')}")

    def translated_url(self, language: str) -> str:
        """The same path and query under another language."""
        return f"/{language}{self.path}"

    def asset_url(self, name: str) -> str:
        """Its address with a version in it, so that it may be kept for a year and is never stale."""
        return f"/static/{name}?v={_compute_asset_version(name)}"


@dataclass(frozen=True, slots=True)
class StaticSiteLinks:
    """Links between the files of `auditor publish`: `fr/nour.html`, `fr/index.html`, `app.css`."""

    file_name: str
    languages: tuple[str, ...]
    has_network_pages: bool = True
    is_interactive = False

    @property
    def section(self) -> str:
        """Empty on the network's page, `associations` on an association's."""
        return "" if self.file_name == "index.html" else "associations"

    def page_url(self, name: str = "") -> str:
        """The network's page: the folder has no other."""
        return f"index.html#{name}" if name else "index.html"

    def association_url(self, identifier: str) -> str:
        """Its report."""
        return build_report_file_name(identifier)

    def translated_url(self, language: str) -> str:
        """The file of the same name in another language's folder."""
        return f"../{language}/{self.file_name}"

    def asset_url(self, name: str) -> str:
        """A file at the top of the folder."""
        return f"../{name}"


def build_report_file_name(identifier: str) -> str:
    """The name of an association's file: its id where that makes a safe one, else a digest of it."""
    safe = SAFE_FILE_NAME.fullmatch(identifier) and identifier.lower() != "index"
    return f"{identifier if safe else hashlib.sha256(identifier.encode()).hexdigest()[:20]}.html"


@cache
def _compute_asset_version(name: str) -> str:
    return hashlib.sha256(files("auditor.web").joinpath("static", name).read_bytes()).hexdigest()[
        :10
    ]


MAX_SUBJECT_CHARS = 60
"""Characters of a subject that a telephone shows."""
LINE_BREAKS = re.compile(r"[ \t\n\r\f\v\x85\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class MessageListItem:
    """An entry of a list: what it says, more beneath it, and where it leads."""

    text: str
    details: tuple[str, ...] = ()
    url: str = ""


@dataclass(frozen=True, slots=True)
class MessageSection:
    """A list with its heading."""

    title: str
    items: tuple[MessageListItem, ...]


@dataclass(frozen=True, slots=True)
class MessageLink:
    """A link with its words."""

    label: str
    url: str


@dataclass(frozen=True, slots=True)
class MessageDocument:
    """A message: its heading, what it begins with, its lists, what it ends with, and the small print."""

    title: str
    intro: tuple[str, ...] = ()
    sections: tuple[MessageSection, ...] = ()
    closing: tuple[str, ...] = ()
    links: tuple[MessageLink, ...] = ()
    footer: tuple[str, ...] = ()
    unsubscribe_link: MessageLink | None = None


DocumentBuilder = Callable[[Translator], MessageDocument]
"""A message, given the words to write it with."""


def render_message(language: str, build_document: DocumentBuilder) -> tuple[str, str]:
    """A message as plain text and as HTML."""
    return render_plain_text(build_document(Translator(language))), render_html_message(
        build_document(get_html_translator(language)), language
    )


def render_plain_text(document: MessageDocument) -> str:
    """A message as plain text. Addresses stand on lines of their own, where no direction disturbs them."""
    blocks = [collapse_line_breaks(said) for said in (document.title, *document.intro)]
    blocks += [
        f"{part.title}\n\n" + "\n".join(map(_format_list_item, part.items))
        for part in document.sections
    ]
    blocks += [
        *map(collapse_line_breaks, document.closing),
        *(f"{way.label}\n{way.url}" for way in document.links),
    ]
    small = [
        *map(collapse_line_breaks, document.footer),
        *(
            [f"{document.unsubscribe_link.label}\n{document.unsubscribe_link.url}"]
            if document.unsubscribe_link
            else []
        ),
    ]
    if small:
        blocks.append("-- \n" + "\n".join(small))
    return "\n\n".join(blocks) + "\n"


def _format_list_item(item: MessageListItem) -> str:
    beneath = [*map(collapse_line_breaks, item.details), *([item.url] if item.url else [])]
    return "\n".join([f"- {collapse_line_breaks(item.text)}", *(f"  {text}" for text in beneath)])


def collapse_line_breaks(text: str) -> str:
    """A sentence on one line, whatever the names in it hold; the spaces that keep French together stay."""
    return " ".join(LINE_BREAKS.split(text.strip()))


def render_html_message(document: MessageDocument, language: str) -> str:
    """A message as HTML that mail programs show: a table, styles in place, no picture."""
    return render_template("mail/message.html", language, document=document)


def shorten_subject(text: str) -> str:
    """A subject that a telephone shows whole, on one line."""
    line = collapse_line_breaks(text)
    return line if len(line) <= MAX_SUBJECT_CHARS else f"{line[: MAX_SUBJECT_CHARS - 1].rstrip()}…"
