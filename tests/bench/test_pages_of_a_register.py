"""The time of each page over a national register, from the request to the last byte.

    python -m pytest tests/bench/test_pages_of_a_register.py -m bench -s

Every route is requested over a loopback socket, with the queries that cost most, once and then five
times more. See `register` for another size and for keeping the register.
"""

import time
from dataclasses import dataclass
from statistics import median
from urllib.parse import quote

import pytest

from auditor.web.routes.report import REPORT_LINK_COOKIE
from tests.bench.register import (
    FIRST_RUN_AT,
    NOW,
    TOKEN,
    get_association_id,
    get_peak_memory,
    open_register,
    print_figure,
)
from tests.support.all_routes import build_urls, list_routes
from tests.support.web_server import logged_in_client

REPETITIONS = 5
SLOW_MS = 300
LANGUAGES = ("ar", "fr", "en")
DOWNLOADS = ("/exports/", "/meeting.xlsx")
"""Parts of URLs of downloads. They are measured for one tag and in one language."""
FULL_EXPORTS = ("/fr/registry.csv", "/ar/registry.xlsx", "/fr/exports/associations.csv")
FACETS = {"region": "souss-massa", "tag": "tag-7"}
HEAVY_QUERIES = {
    "associations": (
        *(
            f"{facet}={value}&sort={sort}"
            for facet, value in FACETS.items()
            for sort in ("", "name", "changed")
        ),
        *(
            f"sort={sort}&q={quote(search_terms)}"
            for sort in ("urgency", "name")
            for search_terms in ("a", "جمعية", "نور أمل")
        ),
        "state=none&channel=youtube&region=oriental&sort=name",
        "state=unknown&region=souss-massa&tag=tag-7",
        "gap_kind=broken&sort=changed",
        *(f"q={quote(word)}" for word in ("souss", "للأمل")),
        "level=complete&sort=name",
        "gap=channel_dead&channel=youtube&region=souss-massa&q=nour&sort=changed",
    ),
    "gaps": (
        "region=souss-massa",
        "region=souss-massa&gap=channel_missing",
        "region=souss-massa&gap_kind=improve&channel=youtube",
        "gap_kind=improve",
        "channel=website",
        "sort=newest",
        "sort=newest&region=souss-massa",
        "sort=newest&gap=channel_dead&channel=youtube",
        "sort=newest&gap_kind=improve",
    ),
    "changes": (f"since={FIRST_RUN_AT.date()}",),
    "groups": ("group_by=tag", f"group_by=tag&since={FIRST_RUN_AT.date()}", "group_by=region"),
    "meeting": (
        f"since={FIRST_RUN_AT.date()}",
        *(f"{facet}={value}&since={FIRST_RUN_AT.date()}" for facet, value in FACETS.items()),
        "region=souss-massa&tag=tag-7",
        "q=a&region=souss-massa",
    ),
    "report-links": (
        "q=association",
        "q=a",
        "state=revoked",
        "state=expired",
        "state=active",
        "before=100",
    ),
    "history": (f"association={get_association_id(77)}", "before=100000"),
    "replies": ("after_reply=100", "after_proposal=5000"),
}
"""The most expensive queries of a page, by the last part of its route."""


@dataclass(frozen=True)
class PageCost:
    """The milliseconds of a page: the first request, then median and maximum of the others.

    `cpu` is the lowest CPU of server and client. It distinguishes a slow page from a busy machine.
    """

    address: str
    status: int
    size: int
    first: float
    usual: float
    worst: float
    cpu: float

    def __str__(self):
        times = f"{self.first:8.0f} {self.usual:8.0f} {self.worst:8.0f} {self.cpu:8.0f}"
        return f"{times} ms {self.size / 1024:7.0f} KB  {self.status}  {self.address}"


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with open_register(tmp_path_factory.mktemp("register")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(app):
    """Yield a client with a coordinator's session and the cookie of a report link."""
    print_figure(
        f"\n{app.store.registry.count_registered()} are registered; first, usual and slowest of "
        f"{REPETITIONS}, CPU:"
    )
    with logged_in_client(app, NOW) as opened:
        opened.cookies.set(REPORT_LINK_COOKIE, TOKEN)
        opened.timeout = 3600
        yield opened


def build_page_urls(route, app):
    """Return the URLs of a route: the usual ones, expensive queries, and pages deep in a list."""
    association_id = get_association_id(77)
    account_id = next(row.id for row in app.store.registry.list_accounts(association_id))
    parameters = {
        "association": (association_id,),
        "account_id": (account_id,),
        "number": (1,),
        "token": (TOKEN,),
    }
    languages = LANGUAGES[:1] if is_download(route.path) else LANGUAGES
    urls = {
        url
        for language in languages
        for url in build_urls(route, language=(language,), **parameters)
    }
    page_name = route.path.rpartition("/")[2]
    for url in [url for url in urls if "?" not in url]:
        urls |= {
            f"{url}?{query}"
            for query in (
                *HEAVY_QUERIES.get(page_name, ()),
                *iter_deep_queries(app.store, page_name),
            )
        }
    return sorted(
        f"{url}{'&' if '?' in url else '?'}tag={FACETS['tag']}" if is_download(url) else url
        for url in urls
    )


def is_full_export(route):
    """Return True if a route always returns the whole registry."""
    return route.path == "/{language}/registry.{file_format}"


def is_download(address):
    return any(part in address for part in DOWNLOADS)


def iter_deep_queries(store, page):
    """Yield queries of the hundredth page of a list."""
    if page == "associations":
        for sort in ("urgency", "name", "changed"):
            yield (
                f"sort={sort}&region={FACETS['region']}&after={find_hundredth_cursor(store, sort)}"
            )
            yield f"sort={sort}&q=a&after={find_hundredth_cursor(store, sort)}"
    if page == "gaps":
        cursor = None
        for _ in range(100):
            cursor = store.gap_search.list_visible_gaps(cursor=cursor).next_cursor or cursor
        yield f"after={cursor}"
        yield f"region=souss-massa&after={cursor}"


def find_hundredth_cursor(store, sort):
    cursor = None
    for _ in range(100):
        cursor = store.search.list_summaries(cursor=cursor, sort=sort).next_cursor or cursor
    return cursor


def measure_page(client, address):
    """Return the cost of a page."""
    milliseconds, cpu_milliseconds = [], []
    for _ in range(2 if is_download(address) else 1 + REPETITIONS):
        began, busy = time.perf_counter(), time.process_time()
        response = client.get(address)
        milliseconds.append((time.perf_counter() - began) * 1000)
        cpu_milliseconds.append((time.process_time() - busy) * 1000)
    first, *rest = milliseconds
    size = len(response.content)
    return PageCost(
        address, response.status_code, size, first, median(rest), max(rest), min(cpu_milliseconds)
    )


@pytest.mark.bench
@pytest.mark.parametrize(
    "route",
    [route for route in list_routes("GET") if not is_full_export(route)],
    ids=lambda route: route.path,
)
def test_time_of_each_page(app, client, route):
    costs = sorted(
        (measure_page(client, address) for address in build_page_urls(route, app)),
        key=lambda page_cost: -page_cost.cpu,
    )
    print_figure(f"{max(costs, key=lambda page_cost: page_cost.usual)}   of {len(costs)} URLs")
    for page_cost in costs[:20]:
        if page_cost.cpu > SLOW_MS or page_cost.usual > SLOW_MS:
            print_figure(f"{page_cost}   (slow)")


@pytest.mark.bench
@pytest.mark.parametrize("address", FULL_EXPORTS)
def test_time_of_full_exports(client, address):
    memory_before, began, size, first = get_peak_memory(), time.perf_counter(), 0, 0.0
    with client.stream("GET", address) as response:
        for chunk in response.iter_raw():
            first = first or time.perf_counter() - began
            size += len(chunk)
    seconds, memory_growth = time.perf_counter() - began, get_peak_memory() - memory_before
    figures = f"{first:8.1f} s to the first byte, {seconds:6.0f} s for {size / 1e6:.0f} MB"
    print_figure(f"{figures}, {memory_growth:.0f} MB more taken  {address}")
