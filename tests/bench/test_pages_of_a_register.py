"""The processor time of each page over a national register, and of the queries of its lists.

    python -m pytest tests/bench/test_pages_of_a_register.py -m bench -s

Every route is requested over a loopback socket, with the queries that cost most. Downloads are
measured for one tag and in one language. See `register` for another size and for keeping it.
"""

import time
from functools import partial
from urllib.parse import quote

import httpx
import pytest

from auditor.conclusions.summary import parse_search_query
from auditor.web.access import SESSION_COOKIE
from auditor.web.routes.report import REPORT_LINK_COOKIE
from tests.bench.register import (
    CHANNELS,
    FIRST_RUN_AT,
    NOW,
    STATES,
    TOKEN,
    get_association_id,
    open_register,
)
from tests.support.all_routes import build_urls, list_routes
from tests.support.web_server import create_session, serve_app

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


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    with open_register(tmp_path_factory.mktemp("register")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(app):
    """Yield a client with a coordinator's session and the cookie of a report link."""
    cookies = {SESSION_COOKIE: create_session(app.store), REPORT_LINK_COOKIE: TOKEN}
    options = {"cookies": cookies, "timeout": 3600, "trust_env": False}
    with serve_app(app, NOW) as url, httpx.Client(base_url=url, **options) as opened:
        yield opened


def build_page_urls(route, app):
    """Return the URLs of a page: the usual ones, expensive queries, and pages deep in a list."""
    association_id = get_association_id(77)
    account_id = next(row.id for row in app.store.registry.list_accounts(association_id))
    parameters = {
        "association": (association_id,),
        "account_id": (account_id,),
        "number": (1,),
        "token": (TOKEN,),
    }
    if is_download(route.path):
        urls = set(build_urls(route, language=("ar",), **parameters))
        return [f"{url}{'&' if '?' in url else '?'}tag={FACETS['tag']}" for url in urls]
    urls = set(build_urls(route, language=("ar", "fr", "en"), **parameters))
    page_name = route.path.rpartition("/")[2]
    queries = [*HEAVY_QUERIES.get(page_name, ()), *iter_deep_queries(app.store, page_name)]
    return urls | {f"{url}?{query}" for url in urls if "?" not in url for query in queries}


def is_download(address):
    return "/exports/" in address or "/meeting.xlsx" in address


def iter_deep_queries(store, page):
    """Yield queries of the hundredth page of a list."""
    if page == "associations":
        for sort in ("urgency", "name", "changed"):
            cursor = find_hundredth_cursor(store.search.list_summaries, sort=sort)
            yield f"sort={sort}&region={FACETS['region']}&after={cursor}"
            yield f"sort={sort}&q=a&after={cursor}"
    if page == "gaps":
        cursor = find_hundredth_cursor(store.gap_search.list_visible_gaps)
        yield from (f"after={cursor}", f"region=souss-massa&after={cursor}")


def find_hundredth_cursor(list_page, **filters):
    cursor = None
    for _ in range(100):
        cursor = list_page(cursor=cursor, **filters).next_cursor or cursor
    return cursor


def measure_cpu(work, rounds=5):
    """Return the lowest CPU milliseconds. It distinguishes slow work from a busy machine."""
    milliseconds = []
    for _ in range(rounds):
        busy = time.process_time()
        work()
        milliseconds.append((time.process_time() - busy) * 1000)
    return min(milliseconds)


@pytest.mark.bench
@pytest.mark.parametrize(
    "route",
    # an export of the whole registry takes minutes
    [route for route in list_routes("GET") if route.path != "/{language}/registry.{file_format}"],
    ids=lambda route: route.path,
)
def test_time_of_each_page(app, client, route):
    rounds = 2 if is_download(route.path) else 5
    costs = {
        url: measure_cpu(partial(client.get, url), rounds) for url in build_page_urls(route, app)
    }
    slowest = max(costs, key=costs.get)
    print(f"{costs[slowest]:8.0f} ms of CPU  {slowest}, of {len(costs)} URLs")


@pytest.mark.bench
def test_time_of_queries_on_derived_tables(app):
    counts, list_page = app.store.counts, app.store.search.list_summaries
    kinds = [f"status:{channel}:{state}" for channel in CHANNELS for state in STATES]
    sizes = counts.get_group_sizes("region")
    queries = {
        "counts of all facets of the network": counts.get_facet_counts,
        "kinds of problems in twelve regions": partial(
            counts.get_facet_counts_by_group, sizes, [*kinds, "all"]
        ),
        "page of a tag and a kind": partial(list_page, ["tag:tag-7", "status:youtube:none"]),
        "page of a kind alone": partial(list_page, ["status:youtube:none"]),
        "page of a word": partial(list_page, search_terms=parse_search_query("12345")),
    }
    for name, query in queries.items():
        print(f"{measure_cpu(query):8.1f} ms of CPU  {name}")
