"""Parsers as fuzz targets: functions of bytes that raise only for a bug.

A target reads what a stranger sends: a page of a channel, a response of an API or of a registry, a
link, a date, a robots.txt or a spreadsheet in CSV. Those of responses and files are in
`service_targets`.
"""

import tempfile
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

from auditor.checking.checker import create_probe
from auditor.registry import importer
from probes.channels.website import rdap
from probes.http.robots import parse_robots
from probes.links import cells, channel_registry, identify, normalize
from probes.models.finding import Account
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import run_offline
from probes.parsing import feeds, html, json_data
from probes.publication import metadata
from probes.text import charset
from probes.text import date_parser as parser
from probes.text.language import fold_text
from storage import sanitize
from storage.errors import OneLineError
from tests.fuzz import service_targets

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
FOLDER = Path(__file__).parent
FIXTURES = FOLDER.parent / "fixtures"
KEPT_INPUTS = FOLDER / "corpus"
"""Inputs that `make fuzz` found, in a folder for each target."""
MAX_REQUESTS = 40
"""Maximum number of requests for one account."""
LINKS = {
    "website": "https://nour.example/",
    "linkedin": "https://www.linkedin.com/company/nour",
    "whatsapp": "https://www.whatsapp.com/channel/0029Va4K0PZ5a245NkngBA2M",
}
"""The registered link on a channel, where `@nour` is none."""

CONTENT_TYPES = ("text/html", "application/rss+xml", "application/json", "text/plain")
FuzzTarget = Callable[[bytes], None]


def _assert_safe(*values: object) -> None:
    """Check that texts are safe for a terminal, a page and a database."""
    assert sanitize.sanitize(values) is values


def _build_page(body: bytes, url: str, content_type: str) -> Page:
    return Page(url, 200, {"content-type": content_type}, body, NOW)


def fuzz_channel(channel: str, data: bytes) -> None:
    """Check an account whose server sends the same body to every request.

    The first byte selects the content type.
    """
    content_type = CONTENT_TYPES[data[0] % len(CONTENT_TYPES)] if data else "text/html"
    _check_account(channel, data[1:], content_type)


def fuzz_channel_api(channel: str, data: bytes) -> None:
    """Check an account by an API that sends the same body to every call."""
    _check_account(channel, data, "application/json", api_channels=(channel,))


def _check_account(
    channel: str, body: bytes, content_type: str, api_channels: tuple[str, ...] = ()
) -> None:
    link = LINKS.get(channel, "@nour")
    account = Account("nour", link, identify.identify_link(link, channel))
    requests: list[str] = []

    def answer(request: PageRequest) -> Page:
        requests.append(request.url)
        assert len(requests) < MAX_REQUESTS
        return _build_page(body, request.url, content_type)

    finding = run_offline(create_probe(account, api_channels), answer).finding
    _assert_safe(finding.name, finding.detail, finding.links)


def fuzz_feed(data: bytes) -> None:
    """Read a body as a feed and as the posts of an interface."""
    page = _build_page(data, "https://nour.example/feed", "text/xml")
    for parse in (feeds.parse_feed, feeds.parse_wordpress_posts):
        with suppress(FetchError):
            parse(page)


def fuzz_sitemap(data: bytes) -> None:
    """Read a body as a sitemap, and choose the next one of an index."""
    page = _build_page(data, "https://nour.example/sitemap.xml", "text/xml")
    with suppress(FetchError):
        sitemap = feeds.parse_sitemap(page)
        if sitemap is not None and sitemap.child_sitemaps:
            feeds.choose_posts_sitemap(sitemap)


def fuzz_charset(data: bytes) -> None:
    """Decode a body. Its first line is the content type."""
    content_type, _, body = data.partition(b"\n")
    page = _build_page(body, "https://nour.example/", content_type.decode("latin-1"))
    text = charset.clean_text(charset.decode_body(page))
    _assert_safe(text)
    assert len(text) <= charset.MAX_TITLE_CHARS


def fuzz_structured_data(data: bytes) -> None:
    """Read a text as JSON-LD, and the dates of a page with it."""
    for schema in json_data.parse_json_ld(data.decode("utf-8", "replace")):
        json_data.list_schema_types(schema)
        json_data.list_child_objects(schema)
    list(json_data.iter_objects(json_data.parse_json(data)))
    markup = b'<script type="application/ld+json">' + data + b"</script>"
    document = html.parse_document(_build_page(markup, "https://nour.example/", "text/html"))
    for dates in (metadata.iter_article_dates(document), metadata.iter_schema_dates(document)):
        list(dates)


def fuzz_registry_record(data: bytes) -> None:
    """Read a response as the record of a domain."""
    page = _build_page(data, "https://rdap.example/domain/nour.ma", "application/json")
    rdap.parse_domain_record(page)


def fuzz_url(data: bytes) -> None:
    """Repair a typed text, and resolve a link of a page. The second line is the link."""
    typed, _, href = data.decode("utf-8", "replace").partition("\n")
    repaired = normalize.repair_link_text(typed)
    for part in cells.split_links(typed):
        cells.split_label(part)
    url = normalize.extract_url(repaired)
    identify.find_pasted_url(typed)
    if url is not None:
        assert url.startswith(("http://", "https://"))
        assert normalize.get_host(url)
        normalize.make_absolute(url, href)
        normalize.strip_tracking(identify.unwrap_url(url))


def fuzz_link(data: bytes) -> None:
    """Identify a typed link; its canonical address has the same key."""
    typed = data.decode("utf-8", "replace")
    identity = identify.identify_link(typed, None)
    _assert_safe(identity)
    if identity.key and identity.canonical:
        again = identify.identify_link(identity.canonical, identity.channel)
        assert (again.channel, again.key) == (identity.channel, identity.key)


def fuzz_date(data: bytes) -> None:
    """Find the dates in a text, in words and as machines write them."""
    text = data.decode("utf-8", "replace")
    parser.parse_date(text, NOW)
    list(parser.iter_dates(fold_text(text), NOW))
    parser.parse_machine_date(text)


def fuzz_robots(data: bytes) -> None:
    """Read a robots.txt."""
    robots = parse_robots(Page("", 200, body=data), "auditor")
    robots.is_allowed("https://nour.example/a?b")
    assert robots.crawl_delay is None or robots.crawl_delay >= 0


def fuzz_csv(data: bytes) -> None:
    """Import a spreadsheet in CSV; the beginning of a workbook is another target's."""
    if data.startswith((b"PK", b"\xd0\xcf")):
        return
    with tempfile.NamedTemporaryFile(suffix=".csv") as file:
        file.write(data)
        file.flush()
        try:
            importer.parse_registry_spreadsheet(Path(file.name), "fr")
        except OneLineError as error:
            service_targets.assert_one_line(error)


def _list_channel_targets() -> Iterator[tuple[str, FuzzTarget]]:
    for channel in channel_registry.list_channels():
        yield channel, partial(fuzz_channel, channel)
        if channel_registry.get_channel_api(channel):
            yield f"{channel}-api", partial(fuzz_channel_api, channel)


TARGETS: dict[str, FuzzTarget] = {
    **dict(_list_channel_targets()),
    "feed": fuzz_feed,
    "sitemap": fuzz_sitemap,
    "charset": fuzz_charset,
    "structured-data": fuzz_structured_data,
    "registry-record": fuzz_registry_record,
    "link": fuzz_link,
    "url": fuzz_url,
    "date": fuzz_date,
    "robots": fuzz_robots,
    "csv": fuzz_csv,
    "xlsx": partial(service_targets.fuzz_workbook, "xlsx"),
    "ods": partial(service_targets.fuzz_workbook, "ods"),
    "response": service_targets.fuzz_response,
}


def list_seeds(target: str) -> list[bytes]:
    """Return the inputs to start from: the kept ones and the recorded pages of the channel."""
    folder = FIXTURES / "pages" / target
    recorded = [b"\0" + path.read_bytes() for path in sorted(folder.glob("*.html"))]
    if target == "csv":
        recorded = [path.read_bytes() for path in sorted(FIXTURES.glob("data/registry/*.csv"))]
    if target in {"xlsx", "ods"}:
        recorded = service_targets.list_workbook_seeds(target)
    return recorded + [path.read_bytes() for path in sorted((KEPT_INPUTS / target).glob("*"))]
