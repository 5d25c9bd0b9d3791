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
from everywhere import routes, ways
from register import FIRST, NOW, TOKEN, named, register, tell
from served import browsing

from auditor.web.reader import LETTER

AGAIN = 5
SLOW = 300
LANGUAGES = ("ar", "fr", "en")
SHEETS = ("/exports/", "/registry.", "/meeting.xlsx")
"""What is downloaded: here of a tag, in one language; a whole register is no page's work."""
OF = {"region": "souss-massa", "tag": "tag-7"}
HEAVY = {
    "associations": (
        *(f"{facet}={value}&sort={sort}" for facet, value in OF.items() for sort in ("", "name", "changed")),
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
    ),
    "changes": (f"since={FIRST.date()}", f"since={FIRST.date()}&meeting=true"),
    "cohorts": ("by=tag", f"by=tag&since={FIRST.date()}", "by=region"),
    "meeting": (
        f"since={FIRST.date()}",
        *(f"{facet}={value}&since={FIRST.date()}" for facet, value in OF.items()),
        "region=souss-massa&tag=tag-7",
        "q=a&region=souss-massa",
    ),
    "letters": ("q=association", "q=a", "state=revoked", "state=expired", "state=holds", "before=100"),
    "trail": (f"association={named(77)}", "before=100000"),
    "replies": ("after=100", "beyond=5000"),
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


def addresses(route, app):
    """The ways to ask for a page: those that any test asks, those that are heavy, those that go on deep."""
    one = named(77)
    account = next(row.id for row in app.store.accounts(one))
    given = {"association": (one,), "account_id": (account,), "number": (1,), "token": (TOKEN,)}
    spoken = LANGUAGES[:1] if is_sheet(route.path) else LANGUAGES
    told = {way for language in spoken for way in ways(route, language=(language,), **given)}
    last = route.path.rpartition("/")[2]
    for way in [way for way in told if "?" not in way]:
        told |= {f"{way}?{query}" for query in (*HEAVY.get(last, ()), *deep(app.store, last))}
    return sorted(
        f"{way}{'&' if '?' in way else '?'}tag={OF['tag']}" if is_sheet(way) else way for way in told
    )


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
            after = store.told_gaps(after=after).next or after
        yield f"after={after}"
        yield f"region=souss-massa&after={after}"


def hundredth(store, sort):
    after = None
    for _ in range(100):
        after = store.summaries(after=after, sort=sort).next or after
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
def test_every_page_is_there_in_a_moment(app):
    tell(f"\n{app.store.registered()} are registered; first, usual and slowest of {AGAIN}, CPU:")
    told = []
    with browsing(app, NOW) as client:
        client.cookies.set(LETTER, TOKEN)
        client.timeout = 600
        for route in routes("GET"):
            mine = [cost(client, address) for address in addresses(route, app)]
            told += mine
            tell(f"{max(mine, key=lambda one: one.usual)}   of {len(mine)} ways")
    tell(f"worked at for more than {SLOW} ms:")
    for one in sorted(told, key=lambda one: -one.cpu):
        if one.cpu > SLOW:
            tell(one)
