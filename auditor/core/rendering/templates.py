"""Render templates to pages, and messages to plain text and HTML.

The web application and the static site share the templates. `PageLinks` hides from a template for
which of the two it is rendered. A `MessageDocument` is rendered twice, so the plain-text and the
HTML part of an email have the same contents.
"""

import hashlib
import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from urllib.parse import quote

from jinja2 import Environment, PackageLoader, StrictUndefined

from auditor.core import form_limits
from auditor.core.formatting import build_whatsapp_url, get_dialable_number
from auditor.core.i18n.catalogs import LANGUAGE_NAMES, LOCALE_BY_LANGUAGE
from auditor.core.i18n.translator import Translator, to_breakable_url
from auditor.core.reference.gap_catalogue import get_gap_kind
from auditor.core.reference.places import SHORT_REGION_NAMES
from auditor.core.rendering.svg import (
    REGION_TILES,
    draw_icon,
    draw_strip,
    draw_trend,
    is_flat_trend,
)


def get_html_translator(language: str) -> Translator:
    """Return a translator for HTML, which escapes values and isolates their text direction."""
    return Translator(language, is_html=True)


def render_template(template_name: str, language: str, **values: object) -> str:
    """Return a template of `templates/` rendered in one language.

    A template translates with `_("…", name=value)` and `_n("{n} one", "{n} several", n)`. The
    `translator` formats dates, numbers and codes.
    """
    translator = get_html_translator(language)
    context = {
        "translator": translator,
        "_": translator.translate,
        "_n": translator.translate_plural,
        "user": None,
        "confirmation": None,
        **values,
    }
    template = _get_template_environment().get_template(template_name)
    return template.render(context).lstrip()


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
        cache=cache,
        form_limits=form_limits,
        language_names=LANGUAGE_NAMES,
        draw_icon=draw_icon,
        draw_strip=draw_strip,
        draw_trend=draw_trend,
        is_flat_trend=is_flat_trend,
        region_tiles=REGION_TILES,
        short_region_names=SHORT_REGION_NAMES,
    )
    environment.filters["gap_kind"] = get_gap_kind
    environment.filters["breakable"] = to_breakable_url
    environment.filters["dialable_number"] = get_dialable_number
    environment.filters["whatsapp_url"] = build_whatsapp_url
    return environment


SAFE_FILE_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_-]{0,80}")


@dataclass(frozen=True, slots=True)
class WebAppLinks:
    """Links of a page of the web application in one language.

    `path` is the path of this page without the language, with its query. Without
    `has_network_pages`, the page does not link to pages of the network.
    """

    language: str
    path: str = "/"
    has_network_pages: bool = True
    is_interactive = True

    @property
    def languages(self) -> tuple[str, ...]:
        """Return all supported languages."""
        return tuple(LOCALE_BY_LANGUAGE)

    @property
    def section(self) -> str:
        """Return the first part of the path."""
        return self.path.partition("?")[0].strip("/").partition("/")[0]

    def page_url(self, name: str = "") -> str:
        """Return a path such as `/fr/gaps`."""
        return f"/{self.language}/{name}"

    def association_url(self, identifier: str) -> str:
        """Return a path such as `/fr/associations/nour`."""
        return self.page_url(f"associations/{quote(identifier, safe='')}")

    def translated_url(self, language: str) -> str:
        """Return the same path and query in another language."""
        return f"/{language}{self.path}"

    def asset_url(self, name: str) -> str:
        """Return the URL with a version, so browsers can cache the file for a year."""
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
        """Return an empty string for the network page, else `associations`."""
        return "" if self.file_name == "index.html" else "associations"

    def page_url(self, name: str = "") -> str:
        """Return the network page, which is the only page of the navigation."""
        return f"index.html#{name}" if name else "index.html"

    def association_url(self, identifier: str) -> str:
        """Return the file name of an association's report."""
        return build_report_file_name(identifier)

    def translated_url(self, language: str) -> str:
        """Return the file of the same name in the folder of another language."""
        return f"../{language}/{self.file_name}"

    def asset_url(self, name: str) -> str:
        """Return the path of a file in the top folder."""
        return f"../{name}"


PageLinks = WebAppLinks | StaticSiteLinks
"""The links of one page in one language. Pages of the static site are not interactive."""


def build_report_file_name(identifier: str) -> str:
    """Return the file name of an association's report: its id, or a hash if the id is not safe."""
    is_safe = SAFE_FILE_NAME.fullmatch(identifier) and identifier.lower() != "index"
    stem = identifier if is_safe else hashlib.sha256(identifier.encode()).hexdigest()[:20]
    return f"{stem}.html"


@cache
def _compute_asset_version(name: str) -> str:
    content = files("auditor.web").joinpath("static", name).read_bytes()
    return hashlib.sha256(content).hexdigest()[:10]


MAX_SUBJECT_CHARS = 60
"""Number of characters of a subject that a phone shows."""
SIGNATURE_MARK = "\n\n-- \n"
"""Separates the text of a mail from its small print (RFC 3676, section 4.3)."""
LINE_BREAKS = re.compile(r"[ \t\n\r\f\v\x85\u2028\u2029]+")


@dataclass(frozen=True, slots=True)
class MessageListItem:
    """An entry of a list: its text, details below it, and a link."""

    text: str
    details: tuple[str, ...] = ()
    url: str = ""


MessageSection = tuple[str, tuple[MessageListItem, ...]]
"""A list with its heading."""
MessageLink = tuple[str, str]
"""The label and the URL of a link."""


@dataclass(frozen=True, slots=True)
class MessageDocument:
    """A message, independent of its format.

    `intro` and `closing` are paragraphs before and after the sections. `footer` is the small print.
    """

    title: str
    intro: tuple[str, ...] = ()
    sections: tuple[MessageSection, ...] = ()
    closing: tuple[str, ...] = ()
    links: tuple[MessageLink, ...] = ()
    footer: tuple[str, ...] = ()
    unsubscribe_link: MessageLink | None = None


DocumentBuilder = Callable[[Translator], MessageDocument]
"""Builds a message with a translator, which is different for plain text and HTML."""


def render_message(language: str, build_document: DocumentBuilder) -> tuple[str, str]:
    """Return a message as plain text, and as HTML for mail programs.

    The HTML is a table with inline styles and no images.
    """
    document = build_document(get_html_translator(language))
    return (
        render_plain_text(build_document(Translator(language))),
        render_template("mail/message.html", language, document=document),
    )


def render_plain_text(document: MessageDocument) -> str:
    """Return a message as plain text.

    URLs are on separate lines, where right-to-left text does not reorder them.
    """
    blocks = list(map(collapse_line_breaks, (document.title, *document.intro)))
    for title, items in document.sections:
        lines = []
        for item in items:
            lines.append(f"- {collapse_line_breaks(item.text)}")
            details = [*map(collapse_line_breaks, item.details), *filter(None, [item.url])]
            lines += map("  {}".format, details)
        blocks.append("\n".join([title, "", *lines]))
    blocks += map(collapse_line_breaks, document.closing)
    blocks += map("\n".join, document.links)
    footer = list(map(collapse_line_breaks, document.footer))
    footer += document.unsubscribe_link or ()
    if footer:
        blocks.append(SIGNATURE_MARK.lstrip() + "\n".join(footer))
    return "\n\n".join(blocks) + "\n"


def collapse_line_breaks(text: str) -> str:
    """Return a text on one line.

    Names in it may contain line breaks. Non-breaking spaces of French punctuation are kept.
    """
    return " ".join(LINE_BREAKS.split(text.strip()))


def shorten_subject(text: str, max_chars: int = MAX_SUBJECT_CHARS) -> str:
    """Return a subject on one line, shortened to what a phone shows."""
    subject = collapse_line_breaks(text)
    if len(subject) <= max_chars:
        return subject
    return f"{subject[: max_chars - 1].rstrip()}…"
