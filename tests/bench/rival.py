"""The auditor's job, put together from well-known libraries: the rival of `race.py`.

Scrapy fetches the links, obeys robots.txt and reads the feed of each site. lxml parses each page
once. From its tree come the title and the accounts, the date by htmldate and the JSON-LD by
extruct. feedparser reads the feed. SQLite stores one row per link.

    PYTHON tests/bench/rival.py LINKS DATABASE [--conditional]

PYTHON is that of the peers' folder (`tests/bench/peers.py`). With `--conditional`, requests carry
the stored validators, and the row of a page that has not changed is kept.
"""

from __future__ import annotations

import json
import sqlite3
import sys
from collections.abc import AsyncIterator, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import urljoin, urlsplit

import feedparser
import lxml.html
import scrapy
from extruct.jsonld import JsonLdExtractor
from htmldate import find_date
from lxml.html import HtmlElement
from scrapy.crawler import CrawlerProcess
from scrapy.http import Response, TextResponse

PLATFORMS = ("facebook.com", "x.com", "twitter.com", "linkedin.com", "youtube.com", "instagram.com")
FEED_TYPES = ("application/rss+xml", "application/atom+xml", "application/xml", "text/xml")
SETTINGS = {
    "CONCURRENT_REQUESTS": 50,
    "CONCURRENT_REQUESTS_PER_DOMAIN": 8,
    "COOKIES_ENABLED": False,
    "DOWNLOAD_DELAY": 0,
    "DOWNLOAD_TIMEOUT": 15,
    "LOG_ENABLED": False,
    "REFERER_ENABLED": False,
    "RETRY_TIMES": 1,
    "ROBOTSTXT_OBEY": True,
    "TELNETCONSOLE_ENABLED": False,
    "USER_AGENT": "rival/1.0 (+https://association.example/)",
}
TABLE = """
CREATE TABLE IF NOT EXISTS link (
  url TEXT PRIMARY KEY, status INTEGER, error TEXT, checked_at TEXT, final_url TEXT, title TEXT,
  published TEXT, accounts TEXT, json_ld TEXT, feed_title TEXT, feed_date TEXT,
  etag TEXT, last_modified TEXT
)
"""
COLUMNS = (
    "url",
    "status",
    "error",
    "checked_at",
    "final_url",
    "title",
    "published",
    "accounts",
    "json_ld",
    "feed_title",
    "feed_date",
    "etag",
    "last_modified",
)


JSON_LD = JsonLdExtractor()


class LinkTable:
    """One row per link in SQLite. All rows of a run are one transaction."""

    def __init__(self, file: str) -> None:
        self._database = sqlite3.connect(file)
        self._database.execute(TABLE)

    def get_validators(self, url: str) -> dict[str, str]:
        """Return the headers of a conditional request, or none."""
        query = "SELECT etag, last_modified FROM link WHERE url = ? AND status = 200"
        etag, last_modified = self._database.execute(query, (url,)).fetchone() or ("", "")
        headers = {"If-None-Match": etag, "If-Modified-Since": last_modified}
        return {name: value for name, value in headers.items() if value}

    def save(self, **row: Any) -> None:
        """Store the row of a link."""
        values = [row.get(column) for column in COLUMNS]
        marks = ", ".join("?" * len(COLUMNS))
        self._database.execute(f"INSERT OR REPLACE INTO link VALUES ({marks})", values)

    def confirm(self, url: str) -> None:
        """Store that a link has not changed."""
        update = "UPDATE link SET checked_at = ? WHERE url = ?"
        self._database.execute(update, (get_time(), url))

    def close(self) -> None:
        """Commit all rows."""
        self._database.commit()
        self._database.close()


class LinkSpider(scrapy.Spider):
    """Fetches each link once, and the first feed that a site names."""

    name = "links"

    def __init__(self, links: list[str], table: LinkTable, *, is_conditional: bool) -> None:
        super().__init__()
        self._links = links
        self._table = table
        self._is_conditional = is_conditional
        self._origins_with_feed: set[str] = set()

    async def start(self) -> AsyncIterator[scrapy.Request]:
        """Yield the requests of the links."""
        for url in self._links:
            yield self._build_request(url, is_link=True)

    def _build_request(self, url: str, *, is_link: bool) -> scrapy.Request:
        return scrapy.Request(
            url,
            headers=self._table.get_validators(url) if self._is_conditional else None,
            callback=self.parse,
            errback=self.save_error,
            cb_kwargs={"url": url, "is_link": is_link},
            meta={"handle_httpstatus_list": [304, *range(400, 600)]},
            dont_filter=True,
        )

    def save_error(self, failure: Any) -> None:
        """Store the error of a link."""
        url = failure.request.cb_kwargs["url"]
        self._table.save(url=url, error=failure.type.__name__, checked_at=get_time())

    def parse(self, response: Response, url: str, *, is_link: bool) -> Iterator[scrapy.Request]:
        """Store what a page or feed shows, and request the site's feed once."""
        if response.status == 304:
            self._table.confirm(url)
            return
        row = {
            "url": url,
            "status": response.status,
            "checked_at": get_time(),
            "final_url": response.url,
            "etag": (response.headers.get("ETag") or b"").decode("latin-1"),
            "last_modified": (response.headers.get("Last-Modified") or b"").decode("latin-1"),
        }
        media_type = (response.headers.get("Content-Type") or b"").decode("latin-1").split(";")[0]
        if media_type in FEED_TYPES:
            row |= read_feed(response.body)
            self._origins_with_feed.add(get_origin(url))
        elif isinstance(response, TextResponse):
            tree = lxml.html.fromstring(response.text)
            row |= read_page(tree, response.url)
            yield from self._request_feed(tree, response.url)
        self._table.save(**row)

    def _request_feed(self, page: HtmlElement, page_url: str) -> Iterator[scrapy.Request]:
        links = page.iterfind(".//link[@rel='alternate'][@href]")
        feed = next((link for link in links if link.get("type") in FEED_TYPES[:2]), None)
        origin = get_origin(page_url)
        if feed is not None and origin not in self._origins_with_feed:
            self._origins_with_feed.add(origin)
            yield self._build_request(urljoin(page_url, feed.get("href")), is_link=False)


def read_page(page: HtmlElement, url: str) -> dict[str, Any]:
    """Return the title, the date, the accounts and the JSON-LD of a page."""
    targets = [urljoin(url, anchor.get("href")) for anchor in page.iterfind(".//a[@href]")]
    title = page.findtext(".//title")
    try:
        data = list(JSON_LD.extract_items(page, base_url=url))
    except ValueError:
        data = []
    return {
        "title": title and title.strip(),
        "published": find_date(page, url=url, original_date=False),
        "accounts": json.dumps(sorted({target for target in targets if is_platform(target)})),
        "json_ld": json.dumps(data),
    }


def read_feed(body: bytes) -> dict[str, Any]:
    """Return the title of a feed and the date of its newest entry."""
    feed = feedparser.parse(body)
    dates = [entry.get("published_parsed") or entry.get("updated_parsed") for entry in feed.entries]
    newest = max((date for date in dates if date), default=None)
    return {
        "feed_title": feed.feed.get("title"),
        "feed_date": datetime(*newest[:6], tzinfo=UTC).isoformat() if newest else None,
    }


def is_platform(url: str) -> bool:
    """Return True for a URL of a social network."""
    host = urlsplit(url).hostname or ""
    return any(host == platform or host.endswith(f".{platform}") for platform in PLATFORMS)


def get_origin(url: str) -> str:
    """Return the scheme, host and port of a URL."""
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def get_time() -> str:
    """Return the current time."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def main() -> None:
    """Check the links of a file, one per line."""
    links = Path(sys.argv[1]).read_text().split()
    table = LinkTable(sys.argv[2])
    process = CrawlerProcess(SETTINGS)
    process.crawl(LinkSpider, links, table, is_conditional="--conditional" in sys.argv)
    process.start()
    table.close()
    print(f"{len(links)} links")


if __name__ == "__main__":
    main()
