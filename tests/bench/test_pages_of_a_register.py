"""What each page costs over a national register: milliseconds from the request to the last byte.

    python -m pytest tests/bench/test_pages_of_a_register.py -m bench -s

Every page of the routers is asked for over a socket of loopback, each in the ways that cost most, once and
then some times again; `register` tells how another size is made, and kept for the next bench.
"""

import time
from dataclasses import dataclass
from statistics import median
from urllib.parse import quote

import pytest

from auditor.web.routes.report import REPORT_LINK_COOKIE
from tests.bench.register import FIRST, NOW, TOKEN, memory, named, register, tell
from tests.support.all_routes import build_urls, list_routes
from tests.support.web_server import logged_in_client

AGAIN = 5
SLOW = 300
LANGUAGES = ("ar", "fr", "en")
SHEETS = ("/exports/", "/meeting.xlsx")
"""What is downloaded: here of a tag, in one language; a whole register is no page's work."""
WHOLE = ("/fr/registry.csv", "/ar/registry.xlsx", "/fr/exports/associations.csv")
OF = {"region": "souss-massa", "tag": "tag-7"}
HEAVY = {
    "associations": (
        *(
            f"{facet}={value}&sort={sort}"
            for facet, value in OF.items()
            for sort in ("", "name", "changed")
        ),
        *(
            f"sort={sort}&q={quote(words)}"
            for sort in ("urgency", "name")
            for words in ("a", "جمعية", "نور أمل")
        ),
        "state=missing&channel=youtube&region=oriental&sort=name",
        "level=complete&sort=name",
        "gap=channel_dead&channel=youtube&region=souss-massa&q=nour&sort=changed",
    ),
    "gaps": (
        "region=souss-massa",
        "region=souss-massa&gap=channel_missing",
        "region=souss-massa&severity=low&channel=youtube",
        "severity=low",
        "channel=website",
        "sort=newest",
        "sort=newest&region=souss-massa",
        "sort=newest&gap=channel_dead&channel=youtube",
        "sort=newest&severity=low",
    ),
    "changes": (f"since={FIRST.date()}", f"since={FIRST.date()}&save_meeting_day=true"),
    "groups": ("group_by=tag", f"group_by=tag&since={FIRST.date()}", "group_by=region"),
    "meeting": (
        f"since={FIRST.date()}",
        *(f"{facet}={value}&since={FIRST.date()}" for facet, value in OF.items()),
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
    "history": (f"association={named(77)}", "before=100000"),
    "replies": ("after_reply=100", "after_proposal=5000"),
}
"""What costs much in a register, by the last part of a route."""


@dataclass(frozen=True)
class Cost:
    """Milliseconds of a page: the first time, and of the times after that the middle and the slowest.

    `cpu` is what server and client work in the cheapest of them: it tells a dear page from a busy machine.
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
    with register(tmp_path_factory.mktemp("register")) as opened:
        yield opened


@pytest.fixture(scope="module")
def client(app):
    """A browser at the coordinator's desk that came by an association's link, too."""
    tell(
        f"\n{app.store.count_registered()} are registered; first, usual and slowest of {AGAIN}, CPU:"
    )
    with logged_in_client(app, NOW) as opened:
        opened.cookies.set(REPORT_LINK_COOKIE, TOKEN)
        opened.timeout = 3600
        yield opened


def addresses(route, app):
    """The ways to ask for a page: those that any test asks, those that are heavy, those that go on deep."""
    one = named(77)
    account = next(row.id for row in app.store.list_accounts(one))
    given = {"association": (one,), "account_id": (account,), "number": (1,), "token": (TOKEN,)}
    spoken = LANGUAGES[:1] if is_sheet(route.path) else LANGUAGES
    told = {way for language in spoken for way in build_urls(route, language=(language,), **given)}
    last = route.path.rpartition("/")[2]
    for way in [way for way in told if "?" not in way]:
        told |= {f"{way}?{query}" for query in (*HEAVY.get(last, ()), *deep(app.store, last))}
    return sorted(
        f"{way}{'&' if '?' in way else '?'}tag={OF['tag']}" if is_sheet(way) else way
        for way in told
    )


def is_whole(route):
    """Whether a route gives everybody, whatever is asked."""
    return route.path == "/{language}/registry.{file_format}"


def is_sheet(address):
    return any(part in address for part in SHEETS)


def deep(store, page):
    """Where the hundredth page of a list begins."""
    if page == "associations":
        for sort in ("urgency", "name", "changed"):
            yield f"sort={sort}&region={OF['region']}&after={hundredth(store, sort)}"
            yield f"sort={sort}&q=a&after={hundredth(store, sort)}"
    if page == "gaps":
        after = None
        for _ in range(100):
            after = store.list_visible_gaps(cursor=after).next or after
        yield f"after={after}"
        yield f"region=souss-massa&after={after}"


def hundredth(store, sort):
    after = None
    for _ in range(100):
        after = store.list_summaries(cursor=after, sort=sort).next or after
    return after


def cost(client, address):
    """What a page costs."""
    taken, worked = [], []
    for _ in range(2 if is_sheet(address) else 1 + AGAIN):
        began, busy = time.perf_counter(), time.process_time()
        answer = client.get(address)
        taken.append((time.perf_counter() - began) * 1000)
        worked.append((time.process_time() - busy) * 1000)
    first, *rest = taken
    size = len(answer.content)
    return Cost(address, answer.status_code, size, first, median(rest), max(rest), min(worked))


@pytest.mark.bench
@pytest.mark.parametrize(
    "route", [one for one in list_routes("GET") if not is_whole(one)], ids=lambda one: one.path
)
def test_a_page_is_there_in_a_moment(app, client, route):
    told = sorted(
        (cost(client, address) for address in addresses(route, app)), key=lambda one: -one.cpu
    )
    tell(f"{max(told, key=lambda one: one.usual)}   of {len(told)} ways")
    for one in told[:20]:
        if one.cpu > SLOW or one.usual > SLOW:
            tell(f"{one}   (slow)")


@pytest.mark.bench
@pytest.mark.parametrize("address", WHOLE)
def test_a_whole_register_is_sent_as_it_is_made(client, address):
    before, began, size, first = memory(), time.perf_counter(), 0, 0.0
    with client.stream("GET", address) as answer:
        for piece in answer.iter_raw():
            first = first or time.perf_counter() - began
            size += len(piece)
    took, grown = time.perf_counter() - began, memory() - before
    sent = f"{first:8.1f} s to the first byte, {took:6.0f} s for {size / 1e6:.0f} MB"
    tell(f"{sent}, {grown:.0f} MB more taken  {address}")
