"""Revalidation: unchanged sites are not parsed again, changed ones are."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import MappingProxyType
from typing import cast

import pytest

from auditor.checking.evidence import build_evidence
from auditor.checking.unchanged_results import FULL_CHECK_EVERY_DAYS, UnchangedResults
from auditor.conclusions.reevaluate import reevaluate
from auditor.runs.run import execute_run
from probes.channels import website
from probes.links import identify
from probes.models.finding import Account, Activity, Presence, Reason
from probes.models.http import CacheValidators, FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult
from probes.runner.parser_pool import ParserPool
from probes.runner.run import PreviousResult, revalidate, run_probe
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, AuditRunState, Observation
from storage.observations.observations import ObservationRepository
from tests.support.hostile_server.fetching import create_fetcher, link_request
from tests.support.hostile_server.server import Hostile, answer, moved
from tests.support.mini_network import START, opened, register

CHECKED_AT = datetime(2026, 11, 25, 1, tzinfo=UTC)
NEXT_DAY = CHECKED_AT + timedelta(days=1)
URL = "https://annour.example/"
FEED = "https://annour.example/feed/"
WORDS = (
    "Nous aidons les enfants du quartier à apprendre à lire, chaque samedi à la maison de la "
    "jeunesse. " * 9
)
HEAD = "<title>Annour</title><link rel=alternate type=application/rss+xml href=/feed/>"
HOME = f"<html lang=fr><head>{HEAD}</head><body><h1>Annour</h1><p>{WORDS}</p></body></html>"
ITEM = "<item><title>Une rentrée</title><pubDate>Mon, 16 Nov 2026 10:00:00 +0000</pubDate></item>"
RSS = f"<rss version='2.0'><channel><title>Annour</title>{ITEM}</channel></rss>"
ACCOUNT = Account("a", URL, identify.identify_link(URL))


class Site:
    """A site of two pages that answers conditional requests with 304, unless it is `mute`."""

    def __init__(self, now: datetime = CHECKED_AT, *, mute: bool = False) -> None:
        self.now = now
        self.mute = mute
        self.pages = {URL: (HOME, "text/html"), FEED: (RSS, "application/rss+xml")}
        self.more: dict[str, object] = {}
        self.gone = ""
        self.fault = ""
        self.requests: list[PageRequest] = []
        self.sent = 0

    async def get(self, request: PageRequest) -> Page:
        self.requests.append(request)
        if self.fault and not request.insecure:
            raise FetchError(Reason.TLS, self.fault)
        if self.gone == "its name":
            raise FetchError(Reason.NO_SUCH_HOST, "no such name")
        if request.url not in self.pages:
            raise FetchError(Reason.NETWORK, "refused")
        text, kind = self.pages[request.url]
        status, body = 200, text.encode()
        if self.gone == "its page":
            status, body, kind = 404, b"<title>404</title><h1>Page introuvable</h1>", "text/html"
        tag = sha256(body).hexdigest()[:8]
        if request.validators and request.validators.etag == tag and not self.mute:
            status, body = 304, b""
        self.sent += len(body)
        headers = {"content-type": kind, "date": str(self.now)}
        headers |= {} if self.mute or self.gone else {"etag": tag}
        page = Page(request.url, status, headers, body, self.now, (Hop(request.url, status),))
        more = {"digest": sha256(body).hexdigest(), "insecure": request.insecure, **self.more}
        return replace(page, **more)  # type: ignore[arg-type]


class Bodies(dict[str, bytes]):
    def put(self, body: bytes) -> str:
        digest = sha256(body).hexdigest()
        self[digest] = body
        return digest


DAY = NEXT_DAY.date()
ROW = AccountRow(
    "a",
    URL,
    identify.identify_link(URL),
    id=FULL_CHECK_EVERY_DAYS + (2 - DAY.toordinal()) % FULL_CHECK_EVERY_DAYS,
)
"""An account whose full check was due the day before the first check."""


def build_observation(result: ProbeResult, bodies: Bodies) -> Observation:
    pieces = tuple(build_evidence(exchange, bodies.put) for exchange in result.exchanges)
    return Observation(ROW.id or 0, 1, CHECKED_AT, result.finding, pieces, website.VERSION)


async def check_first(site: Site, bodies: Bodies) -> Observation:
    async with ParserPool(0) as parsers:
        return build_observation(await run_probe(website.probe(ACCOUNT), site, parsers), bodies)


def find_previous(
    last: Observation,
    day: date = DAY,
    run_day: date | None = None,
    row: AccountRow = ROW,
    bodies: Mapping[str, bytes] = MappingProxyType({}),
) -> PreviousResult | None:
    """Return the result that a check on a day compares its pages with, or None.

    The last run was the day before, unless another is given.
    """
    unchanged_results = UnchangedResults(
        cast("ObservationRepository", None), cast("BodyStore", bodies), day
    )
    last_observation = (run_day or day - timedelta(days=1), last)
    return unchanged_results.find_previous_result(row, last_observation, website.VERSION)


async def check_again(last: Observation, site: Site, bodies: Bodies) -> ProbeResult:
    previous = find_previous(last, bodies=bodies)
    assert previous is not None
    async with ParserPool(0) as parsers:
        return await revalidate(previous, website.probe(ACCOUNT), site, parsers)


@pytest.mark.parametrize("mute", [False, True])
async def test_unchanged_site_is_not_parsed_again(mute: bool, monkeypatch) -> None:
    bodies = Bodies()
    last = await check_first(Site(mute=mute), bodies)
    monkeypatch.setattr(ParserPool, "parse", None)
    site = Site(NEXT_DAY, mute=mute)
    result = await check_again(last, site, bodies)
    assert (result.is_unchanged, result.finding) == (True, last.finding)
    assert [request.url for request in site.requests] == [URL, FEED]
    assert bool(site.sent) is mute


CHANGES: dict[str, Callable[[Site], object]] = {
    "the page": lambda site: site.pages.update(
        {URL: (HOME.replace("samedi", "dimanche"), "text/html")}
    ),
    "the feed": lambda site: site.pages.update(
        {FEED: (RSS.replace("16 Nov", "23 Nov"), "application/rss+xml")}
    ),
    "its kind": lambda site: site.pages.update({URL: (HOME, "application/xhtml+xml")}),
    "a feed that is gone": lambda site: site.pages.pop(FEED),
    "a site that is gone": lambda site: site.pages.clear(),
    "its certificate": lambda site: site.more.update(certificate_expires=date(2027, 1, 1)),
    "the names of its certificate": lambda site: site.more.update(certificate_names=("a.example",)),
    "its pace": lambda site: site.more.update(elapsed_seconds=9.0),
}


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
@pytest.mark.parametrize("mute", [False, True])
async def test_changed_site_gives_the_finding_of_a_first_check(change, mute: bool) -> None:
    bodies = Bodies()
    last = await check_first(Site(mute=mute), bodies)
    site, fresh = Site(NEXT_DAY, mute=mute), Site(NEXT_DAY, mute=mute)
    change(site)
    change(fresh)
    result = await check_again(last, site, bodies)
    assert not result.is_unchanged
    assert result.finding == (await check_first(fresh, Bodies())).finding
    urls, fresh_urls = ([request.url for request in each.requests] for each in (site, fresh))
    assert urls == fresh_urls, "no page is requested twice"
    outcomes = [exchange.outcome for exchange in result.exchanges]
    bodies_read = [outcome.body for outcome in outcomes if isinstance(outcome, Page)]
    assert all(bodies_read), "a page that the server did not send comes from the archive"


async def test_deleted_body_is_fetched_without_validators() -> None:
    bodies = Bodies()
    last = await check_first(Site(), bodies)
    bodies.clear()
    site = Site(NEXT_DAY)
    site.pages[FEED] = (RSS.replace("16 Nov", "23 Nov"), "application/rss+xml")
    result = await check_again(last, site, bodies)
    assert result.finding.last_activity == Activity(datetime(2026, 11, 23, 10, tzinfo=UTC), "feed")
    assert [request.url for request in site.requests] == [URL, FEED, URL]


def with_finding(**how: object) -> Callable[[Observation], Observation]:
    return lambda last: replace(last, finding=replace(last.finding, **how))  # type: ignore[arg-type]


def with_unregistered_links(last: Observation) -> Observation:
    evidence = (replace(piece, is_registered_link=False) for piece in last.evidence)
    return replace(last, evidence=tuple(evidence))


UNREPEATABLE: dict[str, Callable[[Observation], Observation]] = {
    "an unknown": with_finding(presence=Presence.UNKNOWN, reason=Reason.TIMEOUT),
    "one that depends on the day": with_finding(facts={"depends_on_day": True}),
    "a test that is made once a month": with_finding(facts={"decoy_tested_on": "2026-11-25"}),
    "another probe's": lambda last: replace(last, probe_version=website.VERSION - 1),
    "of a time that did not say which link was registered": with_unregistered_links,
}


@pytest.mark.parametrize("how", UNREPEATABLE.values(), ids=UNREPEATABLE)
async def test_time_dependent_finding_is_parsed_again(how) -> None:
    last = await check_first(Site(), Bodies())
    assert find_previous(last) is not None
    assert find_previous(how(last)) is None


def dated(day: date) -> str:
    """Return the home page with an article of this date."""
    story = f"<article><h2>Une rentrée</h2><time>{day:%d/%m/%Y}</time></article></body>"
    return HOME.replace("</body>", story)


UNFED = HOME.replace(HEAD, "<title>Annour</title>")
NEWS: dict[str, tuple[dict[str, tuple[str, str]], int]] = {
    "of last month": (
        {URL: (dated(CHECKED_AT.date() - timedelta(days=30)), "text/html")},
        FULL_CHECK_EVERY_DAYS - 1,
    ),
    "of yesterday": (
        {URL: (dated(CHECKED_AT.date() - timedelta(days=1)), "text/html")},
        FULL_CHECK_EVERY_DAYS - 1,
    ),
    "of ten minutes ago, in a feed whose clock may be the server's": (
        {FEED: (RSS.replace("16 Nov 2026 10:00:00", "25 Nov 2026 00:50:00"), "text/xml")},
        1,
    ),
    "of this very day": ({URL: (dated(CHECKED_AT.date()), "text/html")}, 1),
    "that comes in five days": (
        {URL: (dated(CHECKED_AT.date() + timedelta(days=5)), "text/html")},
        1,
    ),
    "that comes in three weeks": (
        {URL: (dated(CHECKED_AT.date() + timedelta(days=21)), "text/html")},
        1,
    ),
    "that comes next year": (
        {URL: (dated(CHECKED_AT.date() + timedelta(days=300)), "text/html")},
        1,
    ),
    "without a day": ({URL: (UNFED, "text/html")}, FULL_CHECK_EVERY_DAYS - 1),
    "in a feed, of this very day": ({FEED: (RSS.replace("16 Nov", "25 Nov"), "text/xml")}, 1),
}


@pytest.mark.parametrize(("pages", "check_number"), NEWS.values(), ids=NEWS)
async def test_news_is_parsed_again_when_its_date_may_change(pages, check_number: int) -> None:
    bodies, site = Bodies(), Site()
    site.pages.update(pages)
    last = await check_first(site, bodies)
    assert last.finding.presence is Presence.PRESENT
    first_day = CHECKED_AT.date()
    days = [first_day + timedelta(days=ahead) for ahead in range(1, FULL_CHECK_EVERY_DAYS + 2)]
    is_full_check = [find_previous(last, day, first_day, bodies=bodies) is None for day in days]
    assert is_full_check.index(True) + 1 == check_number
    assert all(is_full_check[check_number - 1 :])


@pytest.mark.parametrize("missing_part", ["its page", "its name"])
async def test_unchanged_absence_is_not_parsed_again(missing_part: str, monkeypatch) -> None:
    bodies, sites = Bodies(), (Site(), Site(NEXT_DAY), Site(NEXT_DAY))
    for site in sites:
        site.gone = missing_part
    last = await check_first(sites[0], bodies)
    assert last.finding.presence is Presence.ABSENT
    full_check = await check_first(sites[1], Bodies())
    monkeypatch.setattr(ParserPool, "parse", None)
    result = await check_again(last, sites[2], bodies)
    assert (result.is_unchanged, result.finding) == (True, full_check.finding)
    urls_by_site = [[request.url for request in site.requests] for site in sites[1:]]
    assert urls_by_site[0] == urls_by_site[1], "the page is requested anyway"


@pytest.mark.parametrize("after_midnight", [False, True])
async def test_each_site_is_fully_checked_once_in_four_weeks(after_midnight: bool) -> None:
    """The previous check may have ended after midnight."""
    last = await check_first(Site(), Bodies())
    run_days = [DAY + timedelta(days=n) for n in range(2 * FULL_CHECK_EVERY_DAYS)]
    delay = timedelta(days=int(after_midnight))
    is_full_check = [
        find_previous(replace(last, observed_at=CHECKED_AT + (day - DAY) + delay), day) is None
        for day in run_days
    ]
    assert sum(is_full_check) == 2


CORRECTED = {
    "another page": ("https://annour.example/?page=2", "https://annour.example/?page=1"),
    "a closing slash": ("https://annour.example/projets/", "https://annour.example/projets"),
    "with www": ("https://www.annour.example/", "https://annour.example/"),
    "by https": ("https://annour.example/", "http://annour.example/"),
}


@pytest.mark.parametrize(("now", "then"), CORRECTED.values(), ids=CORRECTED)
@pytest.mark.parametrize("missing_part", ["", "its page"])
async def test_corrected_link_is_fully_checked(now, then, missing_part) -> None:
    site = Site()
    site.gone = missing_part
    site.pages[then] = site.pages[URL]
    account = Account("a", then, identify.identify_link(then))
    async with ParserPool(0) as parsers:
        last = build_observation(await run_probe(website.probe(account), site, parsers), Bodies())
    rows = [
        replace(ROW, typed_text=typed, identity=identify.identify_link(typed))
        for typed in (then, now)
    ]
    assert rows[0].identity.key == rows[1].identity.key
    assert [find_previous(last, row=row) is not None for row in rows] == [True, False]


async def test_different_certificate_error_is_a_change() -> None:
    bodies = Bodies()
    sites = [Site(), Site(NEXT_DAY), Site(NEXT_DAY)]
    for site, fault in zip(sites, ("expired", "wrong_host", "expired"), strict=True):
        site.fault = fault
    last = await check_first(sites[0], bodies)
    last = replace(
        last, finding=replace(last.finding, presence=Presence.ABSENT, reason=Reason.PARKED)
    )
    assert not (await check_again(last, sites[1], bodies)).is_unchanged
    assert (await check_again(last, sites[2], bodies)).is_unchanged


async def test_missing_page_is_requested_without_validators() -> None:
    """A 304 means that a plain GET would give 200 (RFC 9110 §15.4.5)."""
    bodies, sites = Bodies(), (Site(), Site(NEXT_DAY))
    sites[0].more.update(status=404)
    last = await check_first(sites[0], bodies)
    assert last.finding.presence is Presence.ABSENT
    assert (await check_again(last, sites[1], bodies)).finding.presence is Presence.PRESENT
    assert [request.validators for request in sites[1].requests if request.url == URL] == [None]


NOTHING_NEW = b'HTTP/1.1 304 Not Modified\r\nETag: "one"\r\n\r\n'


@pytest.mark.slow
async def test_validators_are_sent_only_to_their_url() -> None:
    def script(path: str, _: int) -> bytes | None:
        if path == "moved":
            return moved(b"/here")
        is_known = "If-None-Match" in server.heads[-1]
        return NOTHING_NEW if is_known else answer(headers=b'ETag: "one"\r\n')

    async with Hostile(script) as server, create_fetcher() as fetcher:
        here, elsewhere = server.url("here"), server.url("elsewhere")
        page = await fetcher.get(link_request(here))
        validators = CacheValidators(page.url, etag=page.headers["etag"])
        unchanged = await fetcher.get(link_request(here, validators=validators))
        assert (unchanged.status, unchanged.body) == (304, b"")
        redirected = await fetcher.get(link_request(server.url("moved"), validators=validators))
        assert [hop.status for hop in redirected.hops] == [302, 304]
        assert (await fetcher.get(link_request(elsewhere, validators=validators))).status == 200


def cached_on(day: str) -> dict[str, tuple[str, str]]:
    page = HOME.replace("</body>", f"<!-- cached on {day} --></body>")
    return {URL: (page, "text/html")}


NEWS_OF_FEBRUARY = {FEED: (RSS.replace("16 Nov 2026", "25 Feb 2026"), "text/xml")}


@pytest.mark.parametrize(
    ("changes", "has_new_pages"),
    [
        ((NEWS_OF_FEBRUARY, {}, {}), False),
        ((cached_on("Monday"), cached_on("Tuesday"), cached_on("Wednesday")), True),
    ],
    ids=["unchanged", "new tokens"],
)
async def test_unchanged_run_stores_nothing_and_reevaluates_equal(
    tmp_path: Path, changes: tuple[dict[str, tuple[str, str]], ...], has_new_pages: bool
) -> None:
    """No full check is due."""
    app, site, sent = opened(tmp_path), Site(), []
    app.web.get = site.get  # type: ignore[method-assign]
    register(app, AccountRow("nour", URL, identify.identify_link(URL), "website"), now=START)
    first = next(
        START + timedelta(days=day)
        for day in range(FULL_CHECK_EVERY_DAYS)
        if (1 + (START + timedelta(days=day)).toordinal()) % FULL_CHECK_EVERY_DAYS == 1
    )
    for number, pages in enumerate(changes):
        site.pages |= pages
        site.now = first + timedelta(days=number)
        assert (await execute_run(app, site.now)).state is AuditRunState.DONE
        sent.append(site.sent)
    assert (sent[2] > sent[1] > sent[0]) is has_new_pages
    observations = list(app.store.observations.list_observations())
    assert [each.is_repeat for each in observations] == [False, True, True]
    assert {each.result_id for each in observations} == {observations[0].result_id}
    assert [each.observed_at for each in observations] == [
        first + timedelta(days=number) for number in range(3)
    ]
    digests = {piece.digest for piece in observations[0].evidence if piece.digest}
    assert set(app.body_store.list_digests()) == digests
    assert not reevaluate(app).changes
    app.store.close()


async def test_unsolicited_304_is_ignored() -> None:
    bodies = Bodies()
    last = await check_first(Site(mute=True), bodies)
    site = Site(NEXT_DAY, mute=True)
    real = site.get

    async def unasked(request: PageRequest) -> Page:
        return replace(await real(request), status=304, body=b"")

    site.get = unasked  # type: ignore[method-assign]
    assert not (await check_again(last, site, bodies)).is_unchanged


@pytest.mark.parametrize(("is_volatile", "names"), [(False, ("nour.example",)), (True, ())])
def test_names_of_certificates_of_platforms_are_not_stored(
    is_volatile: bool, names: tuple[str, ...]
) -> None:
    """They have a hundred names, and no probe of a platform reads them."""
    page = Page(URL, 200, certificate_names=("nour.example",))
    exchange = HttpExchange(PageRequest(URL), page)
    assert build_evidence(exchange, None, is_volatile=is_volatile).certificate_names == names
