"""Pure readers of feeds and sitemaps: when something was last published, and nothing else.

A feed's own `lastBuildDate`, `updated` or channel `pubDate` is the machine's word, not the association's;
only its entries count. Feeds of comments are visitors' words. XML is read by defusedxml without any DTD;
what is broken (cut at the cap, unescaped) is read with patterns, which see the same few tags.
"""

from __future__ import annotations

import html
import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Any
from xml.etree.ElementTree import Element, ParseError

from defusedxml.common import DefusedXmlException
from defusedxml.ElementTree import fromstring

from probes import dates
from probes.charset import clean, decoded
from probes.model import Page, Precision

ENTRIES = 500
LOCATIONS = 5_000
_PUBLISHED = ("published", "pubdate", "date", "issued", "created", "date_published", "updated", "modified")
_COMMENTS = re.compile(r"\bcomment(?:s|aires?|arios)?\b|\bkommentare?\b|تعليقات", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Entry:
    """One publication: its title, when it was published (None if it does not say), its address."""

    title: str
    when: datetime | None
    precision: Precision = Precision.SECOND
    link: str = ""


@dataclass(frozen=True, slots=True)
class Feed:
    """A feed: its title, whether it is one of comments, its entries as listed."""

    title: str
    comments: bool
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Sitemap:
    """A sitemap: pages with their `lastmod` (None if absent), or the addresses of other sitemaps."""

    pages: tuple[tuple[str, datetime | None], ...] = ()
    maps: tuple[tuple[str, datetime | None], ...] = ()


def moment(text: str, now: datetime) -> tuple[datetime, Precision] | None:
    """A machine's date: ISO 8601, RFC 822, a Unix time, else as people write it. Nonsense years give None."""
    text = clean(text, 100)
    if _NO_YEAR.search(text):
        return None  # WordPress's empty date reads as the year before the first
    found = _iso(text) or _mail(text) or _unix(text)
    if found is None:
        said = dates.parse(text, now)
        found = (said.when, said.precision) if said and not said.relative else None
    return found if found and 1990 <= found[0].year <= 2100 else None


_NO_YEAR = re.compile(r"-0001|(?<![+\-\d])0000[\s-]")
_ISO = re.compile(
    r"(\d{4})-(\d{1,2})-(\d{1,2})"
    r"(?:[T ]+(\d{1,2}):(\d{2})(?::(\d{2})(?:[.,]\d+)?)?\s*(Z|[+-]\d{2}:?\d{2}|[+-]\d{2})?)?"
)


def _iso(text: str) -> tuple[datetime, Precision] | None:
    match = _ISO.match(text)
    if not match:
        match = re.fullmatch(r"(\d{4})(\d{2})(\d{2})(?:T?(\d{2})(\d{2})(\d{2})?()?)?(?:Z|[+-]\d{4})?", text)
    if not match:
        return None
    year, month, day, hour, minute, second, zone = match.groups()
    try:
        if hour is None:
            return datetime(int(year), int(month), int(day), tzinfo=UTC), Precision.DAY
        plain = f"{year}-{int(month):02}-{int(day):02}T{int(hour):02}:{minute}:{second or '00'}"
        offset = "+00:00" if zone in (None, "", "Z") else zone if len(zone) > 3 else zone + ":00"
        return datetime.fromisoformat(plain + offset).astimezone(UTC), Precision.SECOND
    except (ValueError, OverflowError):
        return None


def _mail(text: str) -> tuple[datetime, Precision] | None:
    try:
        when = parsedate_to_datetime(text)
        return (when if when.tzinfo else when.replace(tzinfo=UTC)).astimezone(UTC), Precision.SECOND
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _unix(text: str) -> tuple[datetime, Precision] | None:
    """Seconds or milliseconds since 1970, within this century."""
    if not re.fullmatch(r"1\d{9}(?:\d{3})?", text):
        return None
    return datetime.fromtimestamp(int(text[:10]), UTC), Precision.SECOND


def feed(page: Page) -> Feed | None:
    """Read RSS, Atom, RDF or JSON Feed; None for anything else (an HTML page of a soft 404, say)."""
    text = decoded(page)
    start = text[:2_000].lstrip().lower()
    if start.startswith("{"):
        return _json_feed(text, page.fetched_at)
    if not re.search(r"<(?:rss|feed|rdf:rdf|channel|atom:feed)[\s>]", start) or start.startswith(
        "<!doctype html"
    ):
        return None
    try:
        return _from_tree(_tree(text), page.fetched_at)
    except (ParseError, DefusedXmlException, ValueError):
        return _from_text(text, page.fetched_at)


def _tree(text: str) -> Element:
    """The XML tree. A plain DOCTYPE line is cut out first; one with declarations is refused."""
    text = re.sub(r"^\s*<\?xml[^>]*\?>", "", text, count=1)
    text = re.sub(r"<!DOCTYPE[^>\[]*>", "", text, count=1)
    tree: Element = fromstring(text.strip(), forbid_dtd=True)
    return tree


def _name(element: Element) -> str:
    return str(element.tag).rpartition("}")[2].lower()


def _from_tree(root: Element, now: datetime) -> Feed:
    entries: list[Entry] = []
    title = about = ""
    for element in root.iter():
        name = _name(element)
        if name in ("item", "entry") and len(entries) < ENTRIES:
            told: dict[str, str] = {}
            for child in element:
                value = child.text or child.get("href") or ""
                told.setdefault(_name(child), value)
            entries.append(_entry(told, now))
        elif name == "title" and not title:
            title = clean(element.text or "")
        elif name == "link" and not about and element.get("rel") == "self":
            about = element.get("href", "")
    return Feed(title, _of_comments(title, about), tuple(entries))


def _entry(told: dict[str, str], now: datetime) -> Entry:
    """An entry from its fields; `updated` stands in only where nothing says when it was published."""
    for name in _PUBLISHED:
        found = moment(told[name], now) if told.get(name, "").strip() else None
        if found:
            return Entry(clean(told.get("title", "")), found[0], found[1], clean(told.get("link", ""), 500))
    return Entry(clean(told.get("title", "")), None, link=clean(told.get("link", ""), 500))


_FIELD = re.compile(
    r"<(?:\w+:)?(title|link|pubDate|published|updated|date|issued|created)\b[^>]*>\s*(?:<!\[CDATA\[)?([^<\]]{0,500})",
    re.IGNORECASE,
)


def _from_text(text: str, now: datetime) -> Feed:
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
        entries.append(_entry(told, now))
    return Feed(clean(title), _of_comments(title, ""), tuple(entries))


def _of_comments(title: str, about: str) -> bool:
    return bool(
        _COMMENTS.match(clean(title)) or "/comments/" in about or _COMMENTS.search(clean(title)[-20:])
    )


def _json_feed(text: str, now: datetime) -> Feed | None:
    """JSON Feed 1.1, or Blogger's `alt=json`."""
    try:
        told: Any = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, dict) or not isinstance(told.get("items"), list):
        return None
    items = [item for item in told["items"][:ENTRIES] if isinstance(item, dict)]
    entries = tuple(
        _entry({key: str(value) for key, value in item.items() if isinstance(value, str | int)}, now)
        for item in items
    )
    return Feed(clean(str(told.get("title", ""))), comments=False, entries=entries)


def posts(page: Page) -> Feed | None:
    """Read WordPress's REST list of posts (`date_gmt`, `title.rendered`) as a feed."""
    try:
        told: Any = json.loads(decoded(page))
    except (ValueError, RecursionError):
        return None
    if not isinstance(told, list):
        return None
    return Feed("", comments=False, entries=tuple(_posts(told, page.fetched_at)))


def _posts(told: list[Any], now: datetime) -> Iterator[Entry]:
    for post in told[:ENTRIES]:
        if not isinstance(post, dict):
            continue
        title = post.get("title", "")
        words = title.get("rendered", "") if isinstance(title, dict) else title
        found = moment(str(post.get("date_gmt") or post.get("date") or ""), now)
        yield Entry(
            clean(html.unescape(str(words))),
            found[0] if found else None,
            found[1] if found else Precision.SECOND,
            str(post.get("link", "")),
        )


_LOCATION = re.compile(r"<(?:\w+:)?loc>\s*(?:<!\[CDATA\[)?([^<\]]+)")
_LASTMOD = re.compile(r"<(?:\w+:)?lastmod>\s*(?:<!\[CDATA\[)?([^<\]]+)")


def sitemap(page: Page) -> Sitemap | None:
    """Read a sitemap or an index of sitemaps; None for anything else. Three tags need no XML parser."""
    text = decoded(page)
    if not re.search(r"<(?:\w+:)?(?:urlset|sitemapindex)[\s>]", text[:3_000]):
        return None
    pages: list[tuple[str, datetime | None]] = []
    maps: list[tuple[str, datetime | None]] = []
    _, *parts = re.split(r"<(?:\w+:)?(url|sitemap)>", text, maxsplit=LOCATIONS)
    for kind, block in zip(parts[::2], parts[1::2], strict=True):
        place = _LOCATION.search(block[:4_000])
        changed = _LASTMOD.search(block[:4_000])
        found = moment(changed[1], page.fetched_at) if changed else None
        row = (html.unescape(place[1]).strip() if place else "", found[0] if found else None)
        (pages if kind == "url" else maps).append(row)
    return Sitemap(tuple(pages), tuple(maps))
