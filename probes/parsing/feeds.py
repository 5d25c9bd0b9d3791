"""Pure readers of feeds, RSS, Atom, RDF and JSON: when something was last published, and nothing else.

A feed's own `lastBuildDate`, `updated` or channel `pubDate` is the machine's word, not the association's;
only its entries count. Feeds of comments are visitors' words. XML is read by defusedxml without any DTD;
what is broken (cut at the cap, unescaped) is read with patterns, which see the same few tags.

Lists of posts that publishing systems answer in JSON, read as feeds: WordPress, WordPress.com, Drupal.

Sitemaps: which pages a site names and when each was changed, plain, gzipped or named in robots.txt.
"""

from __future__ import annotations

import html
import json
import re
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from probes.dates.parser import moment
from probes.models.finding import NEVER, Precision
from probes.models.http import Page
from probes.text.charset import PARSED, clean, decoded
from probes.text.lazy_regex import pattern

ENTRIES = 500
_PUBLISHED = ("published", "pubdate", "date", "issued", "created", "date_published", "updated", "modified")
_COMMENTS = pattern(r"\bcomment(?:s|aires?|arios)?\b|\bkommentare?\b|تعليقات", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One publication: its title, when it was published (None if it does not say), how its text begins."""

    title: str
    when: datetime | None
    precision: Precision = Precision.SECOND
    text: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed: its title, whether it is one of comments, its entries as listed."""

    title: str
    comments: bool
    entries: tuple[Entry, ...]


def feed(page: Page) -> Feed | None:
    """Read RSS, Atom, RDF or JSON Feed; None for anything else (an HTML page of a soft 404, say)."""
    text = decoded(page)
    start = text[:2_000].lstrip().lower()
    if start.startswith("{"):
        return _json_feed(text)
    if not re.search(r"<(?:rss|feed|rdf:rdf|channel|atom:feed)[\s>]", start) or _PAGE.match(start):
        return None
    try:
        return _from_tree(_tree(text))
    except (ParseError, DefusedXmlException, ValueError):
        return _from_text(text)


def _tree(text: str) -> Element:
    """The XML tree. A plain DOCTYPE line is cut out first; one with declarations is refused."""
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)
    text = re.sub(r"<!DOCTYPE[^>\[]*>", "", text, count=1)
    tree: Element = fromstring(text.strip(), forbid_dtd=True)
    return tree


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _from_tree(root: Element) -> Feed:
    entries: list[Entry] = []
    title = about = ""
    for element in root.iter():
        name = _name(element)
        if name in ("item", "entry") and len(entries) < ENTRIES:
            told: dict[str, str] = {}
            for child in element:
                value = child.text or child.get("href") or ""
                told.setdefault(_name(child), value)
            entries.append(entry(told))
        elif name == "title" and not title:
            title = clean(element.text or "")
        elif name == "link" and not about and element.get("rel") == "self":
            about = element.get("href", "")
    return Feed(title, _of_comments(title, about), tuple(entries))


def entry(told: Mapping[str, str]) -> Entry:
    """An entry from its fields; `updated` stands in only where nothing says when it was published."""
    title = clean(html.unescape(told.get("title", "")))
    text = next((_TAGS.sub(" ", html.unescape(told[name][:2_000])) for name in _TEXT if told.get(name)), "")
    for name in _PUBLISHED:
        found = moment(told[name]) if told.get(name, "").strip() else None
        if found:
            return Entry(title, *found, clean(text))
    return Entry(title, None, text=clean(text))


_TAGS = pattern(r"<[^>]{0,500}>")
_TEXT = ("description", "summary", "content", "encoded", "content_text", "content_html")
_FIELD = pattern(
    r"<(?:\w+:)?(title|description|summary|pubDate|published|updated|date|issued|created)\b[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]{0,500})",
    re.IGNORECASE,
)


def _from_text(text: str) -> Feed:
    """The same fields from broken XML."""
    first, *items = re.split(r"<(?:item|entry)\b", text, maxsplit=ENTRIES, flags=re.IGNORECASE)
    title = next(
        (html.unescape(value) for name, value in _FIELD.findall(first) if name.lower() == "title"), ""
    )
    entries = []
    for item in items:
        told: dict[str, str] = {}
        for name, value in _FIELD.findall(item):
            told.setdefault(name.lower(), html.unescape(value))
        entries.append(entry(told))
    return Feed(clean(title), _of_comments(title, ""), tuple(entries))


def _of_comments(title: str, about: str) -> bool:
    return bool(
        _COMMENTS.match(clean(title)) or "/comments/" in about or _COMMENTS.search(clean(title)[-20:])
    )


_PAGE = pattern(r"<!doctype html|<html[\s>]")


def _json_feed(text: str) -> Feed | None:
    """JSON Feed 1.1, or Blogger's `alt=json`."""
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict):
        return None
    blog = told.get("feed")
    rows, name = (
        (blog.get("entry"), blog.get("title"))
        if isinstance(blog, dict)
        else (told.get("items"), told.get("title"))
    )
    if not isinstance(rows, list):
        return None
    title = clean(_plain(name))
    entries = tuple(entry(fields(row)) for row in rows[:ENTRIES] if isinstance(row, dict))
    return Feed(title, _of_comments(title, ""), entries)


def fields(row: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a JSON object as texts; Blogger wraps each in `$t`, WordPress in `rendered`."""
    return {str(name): _plain(value) for name, value in row.items()}


def _plain(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("$t", value.get("rendered", ""))
    return str(value) if isinstance(value, str | int) else ""


def posts(page: Page) -> Feed | None:
    """WordPress's REST list (`date_gmt`, `title.rendered`), or that of WordPress.com's own interface."""
    told = _json(page)
    rows = told.get("posts") if isinstance(told, dict) else told
    return _feed(rows) if isinstance(rows, list) else None


def nodes(page: Page) -> Feed | None:
    """Drupal's JSON:API list of articles: `data`, each with `attributes`."""
    told = _json(page)
    rows = told.get("data") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        return None
    return _feed([row.get("attributes") for row in rows if isinstance(row, dict)])


def _json(page: Page) -> Any:
    try:
        return json.loads(decoded(page))
    except (ValueError, RecursionError):
        return None


def _feed(rows: Iterable[Any]) -> Feed:
    told = [_entry(row) for row in rows if isinstance(row, dict)]
    return Feed("", comments=False, entries=tuple(told[:ENTRIES]))


def _entry(row: Mapping[str, Any]) -> Entry:
    """A row as an entry; an empty `date_gmt` (0000-00-00) of a draft gives way to `date`."""
    named = fields(row)
    first = {"published": named.get("date_gmt", ""), "description": named.get("excerpt", "")}
    return entry({**named, **first, "updated": "", "modified": ""})


LOCATIONS = 5_000


@dataclass(frozen=True, slots=True)
class Sitemap:
    """A sitemap: pages with their `lastmod` (None if absent), or the addresses of other sitemaps."""

    pages: tuple[tuple[str, datetime | None], ...] = ()
    maps: tuple[tuple[str, datetime | None], ...] = ()


def sitemap(page: Page) -> Sitemap | None:
    """Read a sitemap, an index of sitemaps, or a robots.txt that names some; None for anything else.

    Three tags need no XML parser.
    """
    text = decoded(_unzipped(page))
    if not re.search(r"<(?:\w+:)?(?:urlset|sitemapindex)[\s>]", text[:3_000]):
        return _in_robots(text)
    pages: list[tuple[str, datetime | None]] = []
    maps: list[tuple[str, datetime | None]] = []
    _, *parts = re.split(r"<(?:\w+:)?(url|sitemap)>", text, maxsplit=LOCATIONS)
    for kind, block in zip(parts[::2], parts[1::2], strict=True):
        (pages if kind == "url" else maps).append(_row(block[:4_000]))
    return Sitemap(tuple(pages), tuple(maps))


_LOCATION = pattern(r"<(?:\w+:)?loc>\s*(?:<!\[CDATA\[)?([^<\]]+)")
_LASTMOD = pattern(r"<(?:\w+:)?lastmod>\s*(?:<!\[CDATA\[)?([^<\]]+)")
_NAMED = pattern(r"^[ \t]*sitemap[ \t]*:[ \t]*(https?://\S{1,500})", re.IGNORECASE | re.MULTILINE)


def _row(block: str) -> tuple[str, datetime | None]:
    place, changed = _LOCATION.search(block), _LASTMOD.search(block)
    found = moment(changed[1]) if changed else None
    return html.unescape(place[1]).strip() if place else "", found[0] if found else None


def _unzipped(page: Page) -> Page:
    """The page with a gzipped body opened, as far as it is read; one that is cut or broken stays short."""
    if not page.body.startswith(b"\x1f\x8b"):
        return page
    try:
        return replace(page, body=zlib.decompressobj(31).decompress(page.body, PARSED))
    except zlib.error:
        return replace(page, body=b"")


def _in_robots(text: str) -> Sitemap | None:
    """The sitemaps a robots.txt names; a page of HTML that speaks of sitemaps is none."""
    named = [] if text.lstrip().startswith("<") else _NAMED.findall(text)
    return Sitemap(maps=tuple((url, None) for url in named)) if named else None


def of_posts(index: Sitemap) -> str:
    """Of the sitemaps in an index, that of posts changed last; else the one changed last, or the first."""
    posts = [row for row in index.maps if _POSTS.search(row[0]) and not _NOT_POSTS.search(row[0])]
    return max(posts or index.maps, key=lambda row: row[1] or NEVER)[0]


_POSTS = pattern(r"post|article|news|actu|blog", re.IGNORECASE)
_NOT_POSTS = pattern(
    r"post_tag|post_format|categor|taxonom|tag-|author|image|video|posts-page", re.IGNORECASE
)
