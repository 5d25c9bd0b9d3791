"""Parses feeds (RSS, Atom, RDF, JSON Feed), JSON lists of posts, and sitemaps.

Only entries of a feed count as publications: `lastBuildDate`, `updated` and the channel's `pubDate`
are set by software. Comment feeds come from visitors. XML is parsed by defusedxml without a DTD;
broken XML (truncated or unescaped) is read with patterns for the same tags.
"""

import html
import re
import zlib
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import lru_cache
from itertools import islice
from operator import attrgetter
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from probes.models.finding import EARLIEST_DATETIME, DatePrecision
from probes.models.http import GZIP_MAGIC, Page
from probes.parsing.json_data import as_object, parse_json
from probes.text.charset import MAX_PARSED_BYTES, clean_text, decode_body, is_cut_at_the_parsed_size
from probes.text.date_parser import parse_machine_date

MAX_START_CHARS = 3_000
"""Characters of a file in which the tag of a feed or a sitemap is searched."""
MAX_ENTRY_TEXT_CHARS = 2_000
"""Characters of the text of an entry that are read, with its markup."""
MAX_ENTRIES = 500
"""Entries of a feed or list of posts that are read."""
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
_COMMENT_FEED_TITLE = re.compile(
    r"\bcomment(?:s|aires?|arios)?\b|\bkommentare?\b|تعليقات", re.IGNORECASE
)


@dataclass(frozen=True, slots=True)
class FeedEntry:
    """A publication: its title, its date (None if there is none) and the start of its text."""

    title: str
    published_at: datetime | None
    precision: DatePrecision = DatePrecision.SECOND
    text: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed and its entries in their original order.

    `is_cut` is set if it may have more entries than are read.
    """

    title: str
    is_comment_feed: bool
    entries: tuple[FeedEntry, ...]
    is_cut: bool = False


def parse_feed(page: Page, text: str | None = None) -> Feed | None:
    """Parse RSS, Atom, RDF or JSON Feed. `text` is the decoded body, if it is known.

    Return None for anything else, such as an HTML error page.
    """
    feed = _parse_feed_text(decode_body(page) if text is None else text)
    if feed is None:
        return None
    is_cut = is_cut_at_the_parsed_size(page) or len(feed.entries) == MAX_ENTRIES
    return replace(feed, is_cut=is_cut)


def _parse_feed_text(text: str) -> Feed | None:
    start = text[:MAX_START_CHARS].lstrip().lower()
    if start.startswith("{"):
        return _parse_json_feed(text)
    has_feed_tag = re.search(r"<(?:rss|feed|rdf:rdf|channel|atom:feed)[\s>]", start)
    if not has_feed_tag or _HTML_PAGE_START.match(start):
        return None
    try:
        # A plain DOCTYPE is removed first; one with declarations raises an error.
        bare_text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)
        bare_text = re.sub(r"<!DOCTYPE[^<>\[]*>", "", bare_text, count=1)
        return _build_feed_from_xml(fromstring(bare_text.strip(), forbid_dtd=True))
    except (ParseError, DefusedXmlException, ValueError):
        first, *items = re.split(
            r"<(?:item|entry)\b", text, maxsplit=MAX_ENTRIES, flags=re.IGNORECASE
        )
        title = _match_fields(first).get("title", "")
        entries = tuple(map(build_entry, map(_match_fields, items)))
        return Feed(clean_text(title), _is_comment_feed(title, ""), entries)


@lru_cache(maxsize=256)  # a feed has few tags, each many times
def _get_local_name(tag: str) -> str:
    return tag.rpartition("}")[2].lower()


def _build_feed_from_xml(root: Element) -> Feed:
    elements: defaultdict[str, list[Element]] = defaultdict(list)
    for element in root.iter():
        elements[_get_local_name(element.tag)].append(element)
    title_texts = filter(None, map(attrgetter("text"), elements["title"]))
    title = next(filter(None, map(clean_text, title_texts)), "")
    self_urls = (link.get("href", "") for link in elements["link"] if link.get("rel") == "self")
    self_url = next(filter(None, self_urls), "")
    entries: list[FeedEntry] = []
    for element in [*elements["item"], *elements["entry"]][:MAX_ENTRIES]:
        # The first element of each name counts.
        fields = {_get_local_name(child.tag): child.text or "" for child in reversed(element)}
        entries.append(build_entry(fields))
    return Feed(title, _is_comment_feed(title, self_url), tuple(entries))


def build_entry(fields: Mapping[str, str]) -> FeedEntry:
    """Build an entry from its fields. `updated` counts only without a publication date."""
    title = clean_text(html.unescape(fields.get("title", "")))
    markup = next(filter(None, map(fields.get, _TEXT_FIELDS)), "")
    text = clean_text(_HTML_TAG.sub(" ", html.unescape(markup[:MAX_ENTRY_TEXT_CHARS])))
    for date_text in filter(None, map(fields.get, _DATE_FIELDS)):
        date = parse_machine_date(date_text)
        if date:
            return FeedEntry(title, *date, text)
    return FeedEntry(title, None, text=text)


_HTML_TAG = re.compile(r"<[^>]{0,500}>")
_TEXT_FIELDS = ("description", "summary", "content", "encoded", "content_text", "content_html")
_ENTRY_FIELD = re.compile(
    r"<(?:\w+:)?(title|description|summary|pubDate|published|updated|date|issued"
    r"|created)\b[^<>]*>\s*(?:<!\[CDATA\[)?([^<\]]{0,500})",
    re.IGNORECASE,
)


def _match_fields(markup: str) -> dict[str, str]:
    fields: dict[str, str] = {}
    for name, value in _ENTRY_FIELD.findall(markup):
        fields.setdefault(name.lower(), html.unescape(value))
    return fields


def _is_comment_feed(title: str, self_url: str) -> bool:
    return bool(
        _COMMENT_FEED_TITLE.match(clean_text(title))
        or "/comments/" in self_url
        or _COMMENT_FEED_TITLE.search(clean_text(title)[-20:])
    )


_HTML_PAGE_START = re.compile(r"<!doctype html|<html[\s>]")


def _parse_json_feed(text: str) -> Feed | None:
    """Parse JSON Feed 1.1."""
    data = as_object(parse_json(text))
    rows = data.get("items")
    if not isinstance(rows, list):
        return None
    title = clean_text(_unwrap_text(data.get("title")))
    entries = tuple(
        build_entry(flatten_fields(row)) for row in rows[:MAX_ENTRIES] if isinstance(row, dict)
    )
    return Feed(title, _is_comment_feed(title, ""), entries)


def flatten_fields(row: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a JSON object as texts. WordPress wraps them in `rendered`."""
    return {str(name): _unwrap_text(value) for name, value in row.items()}


def _unwrap_text(value: Any) -> str:
    if isinstance(value, dict):
        value = value.get("rendered", "")
    return str(value) if isinstance(value, str | int) else ""


def parse_wordpress_posts(page: Page) -> Feed | None:
    """Parse a list of posts of the WordPress REST API or of the WordPress.com API.

    If `date_gmt` is empty (0000-00-00, a draft), `date` is used.
    """
    data = parse_json(decode_body(page))
    rows = data.get("posts") if isinstance(data, dict) else data
    if not isinstance(rows, list):
        return None
    entries: list[FeedEntry] = []
    for row in rows[:MAX_ENTRIES]:
        if isinstance(row, dict):
            fields = flatten_fields(row)
            fields["published"] = fields.get("date_gmt", "")
            fields["description"] = fields.get("excerpt", "")
            entries.append(build_entry({**fields, "updated": "", "modified": ""}))
    return Feed("", is_comment_feed=False, entries=tuple(entries))


MAX_SITEMAP_URLS = 5_000
"""Addresses of a sitemap that are read."""


@dataclass(frozen=True, slots=True)
class Sitemap:
    """URLs of pages or of other sitemaps, each with its `lastmod` (None if absent).

    `is_cut` is set if it has more URLs than are read. They are in any order.
    """

    pages: tuple[tuple[str, datetime | None], ...] = ()
    child_sitemaps: tuple[tuple[str, datetime | None], ...] = ()
    is_cut: bool = False


def parse_sitemap(page: Page) -> Sitemap | None:
    """Parse a sitemap, a sitemap index, or the sitemaps in a robots.txt.

    Return None for anything else.

    Sitemaps are read with patterns, because they have three tags only.
    """
    page = _decompress_page(page)
    text = decode_body(page)
    if not re.search(r"<(?:\w+:)?(?:urlset|sitemapindex)[\s>]", text[:MAX_START_CHARS]):
        # HTML is not a robots.txt.
        if text.lstrip().startswith("<"):
            return None
        lines = islice(_ROBOTS_SITEMAP_LINE.finditer(text), MAX_SITEMAP_URLS)
        urls = tuple((line[1], None) for line in lines)
        return Sitemap(child_sitemaps=urls) if urls else None
    found: dict[str, list[tuple[str, datetime | None]]] = {"url": [], "sitemap": []}
    _, *parts = re.split(r"<(?:\w+:)?(url|sitemap)>", text, maxsplit=MAX_SITEMAP_URLS + 1)
    rows = list(zip(parts[::2], parts[1::2], strict=True))
    for kind, block in rows[:MAX_SITEMAP_URLS]:
        # characters of a row of a sitemap that are read
        row = block[:4_000]
        locations, dates = _LOC_TAG.findall(row), map(parse_machine_date, _LASTMOD_TAG.findall(row))
        lastmod, _ = next(dates, None) or (None, None)
        found[kind].append((html.unescape("".join(locations[:1])).strip(), lastmod))
    is_cut = len(rows) > MAX_SITEMAP_URLS or is_cut_at_the_parsed_size(page)
    return Sitemap(tuple(found["url"]), tuple(found["sitemap"]), is_cut)


_LOC_TAG = re.compile(r"<(?:\w+:)?loc>\s*(?:<!\[CDATA\[)?([^<\]]+)")
_LASTMOD_TAG = re.compile(r"<(?:\w+:)?lastmod>\s*(?:<!\[CDATA\[)?([^<\]]+)")
_ROBOTS_SITEMAP_LINE = re.compile(
    r"^[ \t]*sitemap[ \t]*:[ \t]*(https?://\S{1,500})", re.IGNORECASE | re.MULTILINE
)


def _decompress_page(page: Page) -> Page:
    """Return the page with the first member of a gzipped body, up to the parsing limit."""
    if not page.body.startswith(GZIP_MAGIC):
        return page
    try:
        decompressor = zlib.decompressobj(31)
        body = decompressor.decompress(page.body, MAX_PARSED_BYTES)
    except zlib.error:
        return replace(page, body=b"")
    is_cut = not decompressor.eof or decompressor.unused_data.startswith(GZIP_MAGIC)
    return replace(page, body=body, truncated=page.truncated or is_cut)


def choose_posts_sitemap(index: Sitemap) -> str:
    """Return the URL of the newest sitemap of posts in an index, or else of the newest sitemap."""

    def rank(row: tuple[str, datetime | None]) -> tuple[bool, datetime]:
        return bool(_POSTS_SITEMAP_URL.match(row[0])), row[1] or EARLIEST_DATETIME

    return max(index.child_sitemaps, key=rank)[0]


_POSTS_SITEMAP_URL = re.compile(
    r"(?!.*(?:post_tag|post_format|categor|taxonom|tag-|author|image|video|posts-page))"
    r".*(?:post|article|news|actu|blog)",
    re.IGNORECASE | re.DOTALL,
)
