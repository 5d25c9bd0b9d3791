"""Sitemaps: which pages a site names and when each was changed, plain, gzipped or named in robots.txt."""

from __future__ import annotations

import html
import re
import zlib
from dataclasses import dataclass, replace
from datetime import datetime

from probes.dates.machine_formats import moment
from probes.models.finding import NEVER
from probes.models.http import Page
from probes.text.charset import PARSED, decoded
from probes.text.lazy_regex import pattern

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
