"""Witnesses: what Wikidata and the Internet Archive say about an address. No I/O.

Both are third parties. Wikidata names accounts of an organisation, which may become proposals. The
archive shows that an address answered on a day. Neither proves that anything is absent, and a
refusal or an empty answer proves nothing (docs/decisions/0031).

The Wikidata Query Service forbids robots its `/sparql` (robots.txt, read 2026-09). Another SPARQL
service with the same data is asked instead. `haswbstatement` of the search API does not index
properties that hold a URL, such as P856 (Help:Extension:WikibaseCirrusSearch, read 2026-11).
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, date, datetime
from itertools import islice, product
from typing import Any
from urllib.parse import quote, urlencode, urlsplit

from probes.links import identify
from probes.models.finding import ACCOUNT_KINDS, FoundLink, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.witness import WIKIDATA_SOURCE, ArchiveCapture, WikidataStatement, WitnessAnswer
from probes.parsing.json_data import as_object, get_nested, get_text, parse_json

# Wikidata

ACCOUNT_URLS = {
    "P2013": "https://www.facebook.com/{value}",
    "P2002": "https://x.com/{value}",
    "P4264": "https://www.linkedin.com/company/{value}",
    "P2397": "https://www.youtube.com/channel/{value}",
    "P2003": "https://www.instagram.com/{value}/",
    "P7085": "https://www.tiktok.com/@{value}",
}
"""The properties of accounts, with the URL of a value (Wikidata's formatter URLs, 2026)."""

MAX_STATEMENTS = 100
"""Statements that are read of an answer of Wikidata."""
MAX_CAPTURES = 1
"""Captures that are read of an answer of the archive."""
MAX_ITEMS = 3
"""Items that may have the same website. More of them identify no organisation."""

_PREFIXES = """PREFIX wd: <http://www.wikidata.org/entity/>
PREFIX wdt: <http://www.wikidata.org/prop/direct/>
PREFIX p: <http://www.wikidata.org/prop/>
PREFIX ps: <http://www.wikidata.org/prop/statement/>
PREFIX pq: <http://www.wikidata.org/prop/qualifier/>
PREFIX pr: <http://www.wikidata.org/prop/reference/>
PREFIX prov: <http://www.w3.org/ns/prov#>
PREFIX wikibase: <http://wikiba.se/ontology#>
"""
# P856 is the official website, P31 wd:Q5 a human, P582 the end of a statement, P813 the day on
# which its source was read. Statements about people are not asked for.
_QUERY = """SELECT ?item ?property ?value ?read WHERE {{
  VALUES ?website {{ {websites} }}
  VALUES (?property ?claim) {{ {properties} }}
  ?item wdt:P856 ?website .
  ?item ?claim ?statement .
  ?statement ?property ?value ; wikibase:rank ?rank .
  FILTER (?rank != wikibase:DeprecatedRank)
  MINUS {{ ?item wdt:P31 wd:Q5 }}
  MINUS {{ ?statement pq:P582 ?end }}
  OPTIONAL {{ ?statement prov:wasDerivedFrom/pr:P813 ?read }}
}} LIMIT {limit}"""
_ITEM_URL = re.compile(r"https?://www\.wikidata\.org/entity/(Q[1-9]\d{0,11})")
_PROPERTY_URL = re.compile(r"http://www\.wikidata\.org/prop/statement/(P\d{1,6})")
_ACCOUNT_VALUE = re.compile(r"[^\s/?#<>\"]{1,100}")
CDX_URL = "https://web.archive.org/cdx/search/cdx"
"""The index of captures. It allows 24 requests a minute (edgi-govdata-archiving/wayback 0.5.1).

The availability API is not used: it often answers nothing about pages that are archived
(linkding #804, lychee #2167, 2026).
"""
_REASON_BY_STATUS = {401: Reason.BLOCKED, 403: Reason.BLOCKED, 429: Reason.RATE_LIMITED}


def build_wikidata_request(website: str, endpoint: str) -> PageRequest:
    """Return the request for the accounts of the item with this official website.

    `endpoint` is a SPARQL service with the data of Wikidata.
    """
    query = _PREFIXES + _QUERY.format(
        websites=" ".join(f"<{url}>" for url in list_website_spellings(website)),
        properties=" ".join(f"(ps:{name} p:{name})" for name in ACCOUNT_URLS),
        limit=MAX_STATEMENTS,
    )
    parameters = urlencode({"query": query, "format": "json"})
    return PageRequest(
        f"{endpoint}?{parameters}",
        parse_wikidata_page,
        headers={"accept": "application/sparql-results+json"},
    )


def _replace_surrogates(url: str) -> str:
    """Return a URL without lone surrogates, which cannot be sent."""
    return url.encode(errors="replace").decode()


def list_website_spellings(website: str) -> list[str]:
    """Return the spellings that Wikidata may have: http or https, `www.`, slash at the end."""
    parts = urlsplit(_replace_surrogates(website))
    host = parts.netloc.lower().removeprefix("www.")
    path = quote(parts.path.rstrip("/"), safe="/%~:@!$&'()*+,;=-._")
    query = ""
    if parts.query:
        query = f"?{quote(parts.query, safe='/%~:@!$&()*+,;=-._?')}"
    spellings = product(("https", "http"), ("", "www."), ("/", ""))
    return [f"{scheme}://{www}{host}{path}{slash}{query}" for scheme, www, slash in spellings]


def parse_wikidata_page(page: Page) -> tuple[WikidataStatement, ...] | None:
    """Return the statements of a SPARQL response, or None if it is none.

    Statements are sorted, so equal answers are stored alike.
    """
    rows = get_nested(_load_json(page), "results", "bindings")
    if not isinstance(rows, list):
        return None
    statements: dict[tuple[str, str, str], WikidataStatement] = {}
    for statement in filter(None, map(_read_statement, map(as_object, rows[:MAX_STATEMENTS]))):
        key = (statement.link.channel, statement.link.key, statement.item_id)
        known = statements.setdefault(key, statement)
        if _get_reference_day(known) < _get_reference_day(statement):
            statements[key] = statement
    item_ids = {statement.item_id for statement in statements.values()}
    if len(item_ids) > MAX_ITEMS:
        return ()
    return tuple([statements[key] for key in sorted(statements)])


def _get_reference_day(statement: WikidataStatement) -> date:
    return statement.referenced_on or date.min


def _read_statement(row: Mapping[str, Any]) -> WikidataStatement | None:
    item = _ITEM_URL.fullmatch(_read_value(row, "item"))
    property_match = _PROPERTY_URL.fullmatch(_read_value(row, "property"))
    value = _read_value(row, "value").strip()
    if item is None or property_match is None or not _ACCOUNT_VALUE.fullmatch(value):
        return None
    url_format = ACCOUNT_URLS.get(property_match[1])
    if url_format is None:
        return None
    identity = identify.identify_link(url_format.format(value=value))
    if identity.key is None or identity.kind not in ACCOUNT_KINDS:
        return None
    link = FoundLink(
        identity.channel,
        identity.key,
        identity.canonical or url_format.format(value=value),
        WIKIDATA_SOURCE,
        f"https://www.wikidata.org/wiki/{item[1]}",
    )
    return WikidataStatement(link, item[1], _parse_day(_read_value(row, "read")))


def _read_value(row: Mapping[str, Any], name: str) -> str:
    return get_text(row, name, "value")


def _parse_day(text: str) -> date | None:
    try:
        return date.fromisoformat(text[:10])
    except ValueError:
        return None


def read_wikidata_outcome(outcome: Page | FetchError) -> WitnessAnswer:
    """Return the answer to `build_wikidata_request`."""
    if (failure := _find_failure(outcome)) is not None:
        return WitnessAnswer(failure)
    assert isinstance(outcome, Page)
    if not isinstance(outcome.parsed, tuple):
        return WitnessAnswer()
    return WitnessAnswer(statements=outcome.parsed)


# Internet Archive


def build_archive_request(
    url: str, *, newest: bool = False, until: date | None = None
) -> PageRequest:
    """Return the request for the oldest, or newest, capture of a URL with status 200.

    The index treats http, https and `www.` alike. `until` is the last day that counts.
    """
    parameters = {
        "url": _replace_surrogates(url),
        "output": "json",
        "fl": "timestamp,original",
        "filter": "statuscode:200",
        "limit": "-1" if newest else "1",
    }
    if until is not None:
        parameters["to"] = f"{until:%Y%m%d}"
    return PageRequest(f"{CDX_URL}?{urlencode(parameters)}", parse_archive_page)


def parse_archive_page(page: Page) -> tuple[ArchiveCapture, ...] | None:
    """Return the captures of a response of the index, or None if it is none."""
    rows = _load_json(page)
    if not isinstance(rows, list):
        return None
    captures = _iter_captures(rows[1:])  # the first row has the names of the fields
    return tuple(islice(captures, MAX_CAPTURES))


def _iter_captures(rows: Sequence[object]) -> Iterator[ArchiveCapture]:
    for row in rows:
        match row:
            case [str(timestamp), str(url)] if re.fullmatch(r"https?://[^\s<>\"]{1,2000}", url):
                with suppress(ValueError):
                    captured_at = datetime.strptime(timestamp, "%Y%m%d%H%M%S").replace(tzinfo=UTC)
                    capture_url = f"https://web.archive.org/web/{timestamp}/{url}"
                    yield ArchiveCapture(captured_at, capture_url)


def read_archive_outcomes(
    oldest: Page | FetchError, newest: Page | FetchError | None = None
) -> WitnessAnswer:
    """Return the answer to the requests for the oldest and, if sent, the newest capture.

    The newest capture is optional: without it the answer still counts.
    """
    if (failure := _find_failure(oldest)) is not None:
        return WitnessAnswer(failure)
    return WitnessAnswer(first_capture=_get_capture(oldest), latest_capture=_get_capture(newest))


def _get_capture(outcome: Page | FetchError | None) -> ArchiveCapture | None:
    if not isinstance(outcome, Page) or outcome.status != 200:
        return None
    if not isinstance(outcome.parsed, tuple) or not outcome.parsed:
        return None
    capture: ArchiveCapture = outcome.parsed[0]
    return capture


# Both


def _find_failure(outcome: Page | FetchError) -> Reason | None:
    """Return why an outcome is no answer, or None if it is one."""
    if isinstance(outcome, FetchError):
        return outcome.reason
    if outcome.status >= 500:
        return Reason.SERVER_ERROR
    if outcome.status != 200:
        return _REASON_BY_STATUS.get(outcome.status, Reason.UNREADABLE)
    if outcome.parsed is None:
        return Reason.UNREADABLE
    return None


def _load_json(page: Page) -> object:
    """Return the JSON of a page, or None if it has none or is not complete."""
    if page.status != 200 or page.truncated:
        return None
    return parse_json(page.body)
