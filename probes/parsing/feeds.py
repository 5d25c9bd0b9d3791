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

from probes.dates.parser import parse_machine_date
from probes.models.finding import EARLIEST_DATETIME, DatePrecision
from probes.models.http import Page
from probes.text.charset import MAX_PARSED_BYTES, clean_text, decode_body
from probes.text.lazy_regex import lazy_regex

MAX_ENTRIES = 500
_DATE_FIELDS = (
    "published",
    "pubdate",
    "date",
    "issued",
    "created",
    "date_published",
    "updated",
    "modified",
)
_COMMENT_FEED_TITLE = lazy_regex(
    r"\bcomment(?:s|aires?|arios)?\b|\bkommentare?\b|تعليقات", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """One publication: its title, when it was published (None if it does not say), how its text begins."""

    title: str
    published_at: datetime | None
    precision: DatePrecision = DatePrecision.SECOND
    text: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed: its title, whether it is one of comments, its entries as listed."""

    title: str
    is_comment_feed: bool
    entries: tuple[FeedEntry, ...]


def parse_feed(page: Page) -> Feed | None:
    """Read RSS, Atom, RDF or JSON Feed; None for anything else (an HTML page of a soft 404, say)."""
    text = decode_body(page)
    start = text[:2_000].lstrip().lower()
    if start.startswith("{"):
        return _parse_json_feed(text)
    if not re.search(
        r"<(?:rss|feed|rdf:rdf|channel|atom:feed)[\s>]", start
    ) or _HTML_PAGE_START.match(start):
        return None
    try:
        return _build_feed_from_xml(_parse_xml(text))
    except (ParseError, DefusedXmlException, ValueError):
        return _build_feed_from_broken_xml(text)


def _parse_xml(text: str) -> Element:
    """The XML tree. A plain DOCTYPE line is cut out first; one with declarations is refused."""
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)
    text = re.sub(r"<!DOCTYPE[^>\[]*>", "", text, count=1)
    tree: Element = fromstring(text.strip(), forbid_dtd=True)
    return tree


def _get_local_name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _build_feed_from_xml(root: Element) -> Feed:
    entries: list[FeedEntry] = []
    title = about = ""
    for element in root.iter():
        name = _get_local_name(element)
        if name in ("item", "entry") and len(entries) < MAX_ENTRIES:
            told: dict[str, str] = {}
            for child in element:
                value = child.text or child.get("href") or ""
                told.setdefault(_get_local_name(child), value)
            entries.append(build_entry(told))
        elif name == "title" and not title:
            title = clean_text(element.text or "")
        elif name == "link" and not about and element.get("rel") == "self":
            about = element.get("href", "")
    return Feed(title, _is_comment_feed(title, about), tuple(entries))


def build_entry(fields: Mapping[str, str]) -> FeedEntry:
    """An entry from its fields; `updated` stands in only where nothing says when it was published."""
    title = clean_text(html.unescape(fields.get("title", "")))
    text = next(
        (
            _HTML_TAG.sub(" ", html.unescape(fields[name][:2_000]))
            for name in _TEXT_FIELDS
            if fields.get(name)
        ),
        "",
    )
    for name in _DATE_FIELDS:
        found = parse_machine_date(fields[name]) if fields.get(name, "").strip() else None
        if found:
            return FeedEntry(title, *found, clean_text(text))
    return FeedEntry(title, None, text=clean_text(text))


_HTML_TAG = lazy_regex(r"<[^>]{0,500}>")
_TEXT_FIELDS = ("description", "summary", "content", "encoded", "content_text", "content_html")
_ENTRY_FIELD = lazy_regex(
    r"<(?:\w+:)?(title|description|summary|pubDate|published|updated|date|issued|created)\b[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]{0,500})",
    re.IGNORECASE,
)


def _build_feed_from_broken_xml(text: str) -> Feed:
    """The same fields from broken XML."""
    first, *items = re.split(r"<(?:item|entry)\b", text, maxsplit=MAX_ENTRIES, flags=re.IGNORECASE)
    title = next(
        (
            html.unescape(value)
            for name, value in _ENTRY_FIELD.findall(first)
            if name.lower() == "title"
        ),
        "",
    )
    entries = []
    for item in items:
        told: dict[str, str] = {}
        for name, value in _ENTRY_FIELD.findall(item):
            told.setdefault(name.lower(), html.unescape(value))
        entries.append(build_entry(told))
    return Feed(clean_text(title), _is_comment_feed(title, ""), tuple(entries))


def _is_comment_feed(title: str, self_url: str) -> bool:
    return bool(
        _COMMENT_FEED_TITLE.match(clean_text(title))
        or "/comments/" in self_url
        or _COMMENT_FEED_TITLE.search(clean_text(title)[-20:])
    )


_HTML_PAGE_START = lazy_regex(r"<!doctype html|<html[\s>]")


def _parse_json_feed(text: str) -> Feed | None:
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
    title = clean_text(_unwrap_text(name))
    entries = tuple(
        build_entry(flatten_fields(row)) for row in rows[:MAX_ENTRIES] if isinstance(row, dict)
    )
    return Feed(title, _is_comment_feed(title, ""), entries)


def flatten_fields(row: Mapping[str, Any]) -> dict[str, str]:
    """The fields of a JSON object as texts; Blogger wraps each in `$t`, WordPress in `rendered`."""
    return {str(name): _unwrap_text(value) for name, value in row.items()}


def _unwrap_text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("$t", value.get("rendered", ""))
    return str(value) if isinstance(value, str | int) else ""


def parse_wordpress_posts(page: Page) -> Feed | None:
    """WordPress's REST list (`date_gmt`, `title.rendered`), or that of WordPress.com's own interface."""
    told = _load_json(page)
    rows = told.get("posts") if isinstance(told, dict) else told
    return _build_feed_from_rows(rows) if isinstance(rows, list) else None


def parse_drupal_articles(page: Page) -> Feed | None:
    """Drupal's JSON:API list of articles: `data`, each with `attributes`."""
    told = _load_json(page)
    rows = told.get("data") if isinstance(told, dict) else None
    if not isinstance(rows, list):
        return None
    return _build_feed_from_rows([row.get("attributes") for row in rows if isinstance(row, dict)])


def _load_json(page: Page) -> Any:
    try:
        return json.loads(decode_body(page))
    except (ValueError, RecursionError):
        return None


def _build_feed_from_rows(rows: Iterable[Any]) -> Feed:
    told = [_build_entry_from_row(row) for row in rows if isinstance(row, dict)]
    return Feed("", is_comment_feed=False, entries=tuple(told[:MAX_ENTRIES]))


def _build_entry_from_row(row: Mapping[str, Any]) -> FeedEntry:
    """A row as an entry; an empty `date_gmt` (0000-00-00) of a draft gives way to `date`."""
    named = flatten_fields(row)
    first = {"published": named.get("date_gmt", ""), "description": named.get("excerpt", "")}
    return build_entry({**named, **first, "updated": "", "modified": ""})


MAX_SITEMAP_URLS = 5_000


@dataclass(frozen=True, slots=True)
class Sitemap:
    """A sitemap: pages with their `lastmod` (None if absent), or the addresses of other sitemaps."""

    pages: tuple[tuple[str, datetime | None], ...] = ()
    child_sitemaps: tuple[tuple[str, datetime | None], ...] = ()


def parse_sitemap(page: Page) -> Sitemap | None:
    """Read a sitemap, an index of sitemaps, or a robots.txt that names some; None for anything else.

    Three tags need no XML parser.
    """
    text = decode_body(_decompress_page(page))
    if not re.search(r"<(?:\w+:)?(?:urlset|sitemapindex)[\s>]", text[:3_000]):
        return _parse_robots_sitemaps(text)
    pages: list[tuple[str, datetime | None]] = []
    maps: list[tuple[str, datetime | None]] = []
    _, *parts = re.split(r"<(?:\w+:)?(url|sitemap)>", text, maxsplit=MAX_SITEMAP_URLS)
    for kind, block in zip(parts[::2], parts[1::2], strict=True):
        (pages if kind == "url" else maps).append(_parse_sitemap_row(block[:4_000]))
    return Sitemap(tuple(pages), tuple(maps))


_LOC_TAG = lazy_regex(r"<(?:\w+:)?loc>\s*(?:<!\[CDATA\[)?([^<\]]+)")
_LASTMOD_TAG = lazy_regex(r"<(?:\w+:)?lastmod>\s*(?:<!\[CDATA\[)?([^<\]]+)")
_ROBOTS_SITEMAP_LINE = lazy_regex(
    r"^[ \t]*sitemap[ \t]*:[ \t]*(https?://\S{1,500})", re.IGNORECASE | re.MULTILINE
)


def _parse_sitemap_row(block: str) -> tuple[str, datetime | None]:
    place, changed = _LOC_TAG.search(block), _LASTMOD_TAG.search(block)
    found = parse_machine_date(changed[1]) if changed else None
    return html.unescape(place[1]).strip() if place else "", found[0] if found else None


def _decompress_page(page: Page) -> Page:
    """The page with a gzipped body opened, as far as it is read; one that is cut or broken stays short."""
    if not page.body.startswith(b"\x1f\x8b"):
        return page
    try:
        return replace(page, body=zlib.decompressobj(31).decompress(page.body, MAX_PARSED_BYTES))
    except zlib.error:
        return replace(page, body=b"")


def _parse_robots_sitemaps(text: str) -> Sitemap | None:
    """The sitemaps a robots.txt names; a page of HTML that speaks of sitemaps is none."""
    named = [] if text.lstrip().startswith("<") else _ROBOTS_SITEMAP_LINE.findall(text)
    return Sitemap(child_sitemaps=tuple((url, None) for url in named)) if named else None


def choose_posts_sitemap(index: Sitemap) -> str:
    """Of the sitemaps in an index, that of posts changed last; else the one changed last, or the first."""
    posts = [
        row
        for row in index.child_sitemaps
        if _POSTS_SITEMAP_NAME.search(row[0]) and not _OTHER_SITEMAP_NAME.search(row[0])
    ]
    return max(posts or index.child_sitemaps, key=lambda row: row[1] or EARLIEST_DATETIME)[0]


_POSTS_SITEMAP_NAME = lazy_regex(r"post|article|news|actu|blog", re.IGNORECASE)
_OTHER_SITEMAP_NAME = lazy_regex(
    r"post_tag|post_format|categor|taxonom|tag-|author|image|video|posts-page", re.IGNORECASE
)
