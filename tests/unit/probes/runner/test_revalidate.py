"""Revalidation: unchanged sites are not parsed again, changed ones are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from hashlib import sha256
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest

from auditor.checking.evidence import build_evidence
from auditor.checking.unchanged_results import (
    FULL_CHECK_EVERY_DAYS,
    UnchangedResults,
    days_since_full_check,
)
from auditor.conclusions.reevaluate import reevaluate
from auditor.runs.run import execute_run
from probes.channels import website
from probes.http.fetcher import Fetcher, FetchOptions
from probes.links import identify
from probes.models.finding import Account, Activity, Presence, Reason
from probes.models.http import CacheValidators, FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, ProbeResult
from probes.publication import latest
from probes.runner.parser_pool import ParserPool
from probes.runner.run import PreviousResult, revalidate, run_probe
from storage.files.body_store import BodyStore
from storage.models.audit import AccountRow, AuditRunState, LastObservation, Observation
from storage.observations.observations import ObservationRepository
from tests.support.hostile_server.fetching import create_fetcher, link_request
from tests.support.hostile_server.server import Hostile, answer, moved
from tests.support.mini_network import START, Small, configured, opened, register

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
        if self.gone == "its page":
            body = b"<title>404</title><h1>Page introuvable</h1>"
            page = Page(
                request.url,
                404,
                {"content-type": "text/html"},
                body,
                self.now,
                (Hop(request.url, 404),),
            )
            return replace(page, digest=sha256(body).hexdigest())
        if request.url not in self.pages:
            raise FetchError(Reason.NETWORK, "refused")
        body, kind = (part.encode() for part in self.pages[request.url])
        tag = sha256(body).hexdigest()[:8]
        is_known = request.validators and request.validators.etag == tag and not self.mute
        status, body = (304, b"") if is_known else (200, body)
        self.sent += len(body)
        headers = {
            "content-type": kind.decode(),
            "date": str(self.now),
            **({} if self.mute else {"etag": tag}),
        }
        page = Page(request.url, status, headers, body, self.now, (Hop(request.url, status),))
        return replace(
            page, digest=sha256(body).hexdigest(), insecure=request.insecure, **self.more
        )  # type: ignore[arg-type]


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


def build_observation(
    result: ProbeResult, bodies: Bodies, observed_at: datetime = CHECKED_AT
) -> Observation:
    pieces = tuple(build_evidence(exchange, bodies.put) for exchange in result.exchanges)
    return Observation(ROW.id or 0, 1, observed_at, result.finding, pieces, website.VERSION)


async def check_first(site: Site, bodies: Bodies) -> Observation:
    async with ParserPool(0) as parsers:
        return build_observation(await run_probe(website.probe(ACCOUNT), site, parsers), bodies)


def build_last_observation(last: Observation, day: date = DAY) -> LastObservation:
    return day - timedelta(days=1), last


def find_previous_result(
    row: AccountRow,
    last_observation: LastObservation,
    probe_version: int,
    day: date,
    load_body: Callable[[str], bytes | None],
) -> PreviousResult | None:
    """Return the result that a check on a day compares its pages with, or None."""
    body_store = cast("BodyStore", SimpleNamespace(get=load_body))
    observations = cast("ObservationRepository", None)
    unchanged_results = UnchangedResults(observations, body_store, day)
    return unchanged_results.find_previous_result(row, last_observation, probe_version)


async def check_again(
    last: Observation, site: Site, bodies: Bodies, day: date = DAY
) -> ProbeResult:
    previous = find_previous_result(
        ROW, build_last_observation(last), website.VERSION, day, bodies.get
    )
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
    assert result.is_unchanged
    assert result.finding == last.finding
    assert [request.url for request in site.requests] == [URL, FEED]
    assert bool(site.sent) is mute


async def test_changed_page_is_parsed_as_received() -> None:
    bodies = Bodies()
    last = await check_first(Site(), bodies)
    site = Site(NEXT_DAY)
    site.pages[URL] = (site.pages[URL][0].replace("samedi", "dimanche"), "text/html")
    result = await check_again(last, site, bodies)
    assert not result.is_unchanged
    assert b"dimanche" in result.exchanges[0].outcome.body  # type: ignore[union-attr]


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
    assert [request.url for request in site.requests] == [
        request.url for request in fresh.requests
    ], "no page is requested twice"
    pages = [
        (exchange.request.url, exchange.outcome.body)
        for exchange in result.exchanges
        if isinstance(exchange.outcome, Page)
    ]
    assert all(body for _, body in pages), (
        "a page that the server did not send comes from the archive"
    )


async def test_slow_response_is_not_reused_after_a_fast_one() -> None:
    bodies, slow, quick = Bodies(), Site(), Site(NEXT_DAY)
    slow.more.update(elapsed_seconds=2.2)
    last = await check_first(slow, bodies)
    quick.more.update(elapsed_seconds=0.4)
    result = await check_again(last, quick, bodies)
    assert (last.finding.facts["seconds"], result.finding.facts["seconds"]) == (2, 0)


async def test_deleted_body_is_fetched_without_validators() -> None:
    bodies = Bodies()
    last = await check_first(Site(), bodies)
    bodies.clear()
    site = Site(NEXT_DAY)
    site.pages[FEED] = (RSS.replace("16 Nov", "23 Nov"), "application/rss+xml")
    result = await check_again(last, site, bodies)
    assert result.finding.last_activity == Activity(datetime(2026, 11, 23, 10, tzinfo=UTC), "feed")
    assert [request.url for request in site.requests] == [URL, FEED, URL]


async def test_page_stored_without_visitors_is_compared_by_received_digest() -> None:
    bodies = Bodies()
    site = Site()
    async with ParserPool(0) as parsers:
        result = await run_probe(website.probe(ACCOUNT), site, parsers)
    cut = tuple(
        replace(exchange, outcome=replace(exchange.outcome, body=exchange.outcome.body[:-1]))  # type: ignore[union-attr,arg-type]
        for exchange in result.exchanges
    )
    result = await check_again(
        build_observation(replace(result, exchanges=cut), bodies), Site(NEXT_DAY), bodies
    )
    assert result.is_unchanged


def list_unrepeatable_observations() -> dict[str, Callable[[Observation], Observation]]:
    def with_finding(**how: object) -> Callable[[Observation], Observation]:
        return lambda last: replace(last, finding=replace(last.finding, **how))  # type: ignore[arg-type]

    def with_evidence(**how: object) -> Callable[[Observation], Observation]:
        return lambda last: replace(
            last, evidence=tuple(replace(piece, **how) for piece in last.evidence)
        )  # type: ignore[arg-type]

    return {
        "an unknown": with_finding(presence=Presence.UNKNOWN, reason=Reason.TIMEOUT),
        "one that depends on the day": with_finding(facts={"depends_on_day": True}),
        "a test that is made once a month": with_finding(facts={"decoy_tested_on": "2026-11-25"}),
        "another probe's": lambda last: replace(last, probe_version=website.VERSION - 1),
        "of a time that did not say which link was registered": with_evidence(
            is_registered_link=False
        ),
    }


@pytest.mark.parametrize(
    "how", list_unrepeatable_observations().values(), ids=list_unrepeatable_observations()
)
async def test_time_dependent_finding_is_parsed_again(how) -> None:
    last = await check_first(Site(), Bodies())
    assert (
        find_previous_result(ROW, build_last_observation(last), website.VERSION, DAY, Bodies().get)
        is not None
    )
    assert (
        find_previous_result(
            ROW, build_last_observation(how(last)), website.VERSION, DAY, Bodies().get
        )
        is None
    )


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
    days = [
        CHECKED_AT.date() + timedelta(days=ahead) for ahead in range(1, FULL_CHECK_EVERY_DAYS + 2)
    ]
    stored = (CHECKED_AT.date(), last)
    is_full_check = [
        find_previous_result(ROW, stored, website.VERSION, day, bodies.get) is None for day in days
    ]
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
    assert result.is_unchanged
    assert result.finding == full_check.finding
    urls_by_site = [[request.url for request in site.requests] for site in sites[1:]]
    assert urls_by_site[0] == urls_by_site[1], "the page is requested anyway"


@pytest.mark.parametrize("after_midnight", [False, True])
async def test_each_site_is_fully_checked_once_in_four_weeks(after_midnight: bool) -> None:
    """The previous check may have ended after midnight."""
    last = await check_first(Site(), Bodies())
    run_days = [DAY + timedelta(days=n) for n in range(2 * FULL_CHECK_EVERY_DAYS)]
    delay = timedelta(days=int(after_midnight))
    last_observations = [
        (day - timedelta(days=1), replace(last, observed_at=CHECKED_AT + (day - DAY) + delay))
        for day in run_days
    ]
    is_full_check = [
        find_previous_result(ROW, last_observation, website.VERSION, day, Bodies().get) is None
        for last_observation, day in zip(last_observations, run_days, strict=True)
    ]
    assert sum(is_full_check) == 2


def test_forecast_covers_the_days_between_full_checks() -> None:
    assert timedelta(days=FULL_CHECK_EVERY_DAYS) < latest.VALIDITY_HORIZON


async def test_missed_full_check_is_made_at_the_next_check() -> None:
    days = [CHECKED_AT.date() + timedelta(days=n) for n in range(4, 5 + FULL_CHECK_EVERY_DAYS)]
    turn = next(day for day in days if days_since_full_check(ROW, day) == 0)
    first_result = await check_first(Site(), Bodies())

    def may_be_repeated(last: int, later: int) -> bool:
        stored = (turn + timedelta(days=last), first_result)
        return (
            find_previous_result(
                ROW, stored, website.VERSION, turn + timedelta(days=later), Bodies().get
            )
            is not None
        )

    assert [may_be_repeated(-2, later) for later in (-1, 0, 1, 2, 5)] == [
        True,
        False,
        False,
        False,
        False,
    ]
    assert [may_be_repeated(0, later) for later in (1, 2, 5)] == [True, True, True]
    assert not may_be_repeated(0, FULL_CHECK_EVERY_DAYS)


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
    repeatable = [
        find_previous_result(row, build_last_observation(last), website.VERSION, DAY, Bodies().get)
        is not None
        for row in rows
    ]
    assert repeatable == [True, False]


async def test_exact_link_is_requested_before_page_stays_gone() -> None:
    site = Site()
    site.gone = "its page"
    last = await check_first(site, Bodies())
    typed = replace(ROW, typed_text=f"{URL}?utm_source=sheet")
    assert typed.identity.url == ROW.identity.url
    assert (
        find_previous_result(
            typed, build_last_observation(last), website.VERSION, DAY, Bodies().get
        )
        is None
    )


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


async def test_platform_pages_are_always_parsed() -> None:
    last = await check_first(Site(), Bodies())
    row = AccountRow("a", "annour", identify.identify_link("https://www.facebook.com/annour"), id=3)
    assert (
        find_previous_result(row, build_last_observation(last), website.VERSION, DAY, Bodies().get)
        is None
    )


NOTHING_NEW = b'HTTP/1.1 304 Not Modified\r\nETag: "one"\r\n\r\n'


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


class SiteWithETags:
    """A site on loopback with ETags. `pages` maps paths to bodies."""

    def __init__(self) -> None:
        self.pages = {"": HOME, "feed/": RSS}
        self.responses: list[tuple[str, int]] = []

    def __call__(self, path: str, head: str) -> bytes:
        if path not in self.pages:
            return answer(b"", "404 Not Found")
        body = self.pages[path].encode()
        tag = sha256(body).hexdigest()[:8]
        is_known = f"if-none-match: {tag}" in head.lower()
        self.responses.append((path, 304 if is_known else 200))
        if is_known:
            return f"HTTP/1.1 304 Not Modified\r\nETag: {tag}\r\n\r\n".encode()
        return answer(body, headers=f"ETag: {tag}\r\n".encode())


async def execute_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, *days: Callable[[SiteWithETags], object]
) -> Small:
    """Execute runs over real sockets, each after a change. No full check is due."""
    fetch = FetchOptions(
        allow_networks=("127.0.0.0/8",), host_delay=0, second_pass_delay=0, max_retries=0
    )
    app = opened(tmp_path, configured().model_copy(update={"fetch": fetch}))
    monkeypatch.setattr(app, "create_fetcher", lambda now, *_: Fetcher(fetch, now), raising=False)
    monkeypatch.setattr(app, "create_parser_pool", lambda: ParserPool(0), raising=False)
    site = SiteWithETags()
    async with Hostile(lambda path, _: site(path, server.heads[-1])) as server:
        url = server.url("")
        first = next(
            n
            for n in range(FULL_CHECK_EVERY_DAYS)
            if (1 + (START + timedelta(n)).toordinal()) % FULL_CHECK_EVERY_DAYS == 1
        )
        register(app, AccountRow("nour", url, identify.identify_link(url), "website"), now=START)
        for number, change in enumerate(days):
            change(site)
            site.responses.append(("night", number))
            audit_run = await execute_run(app, START + timedelta(days=first + number))
            assert audit_run.state is AuditRunState.DONE
        app.web.asked = site.responses  # type: ignore[assignment]
    return app


def nothing(_: SiteWithETags) -> None:
    """Leave the site unchanged."""


def news(site: SiteWithETags) -> None:
    site.pages["feed/"] = RSS.replace("16 Nov 2026", "25 Feb 2026")


async def test_unchanged_run_stores_nothing_and_reevaluates_equal(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app = await execute_runs(tmp_path, monkeypatch, news, nothing, nothing)
    first, second, third = list(app.store.observations.list_observations())
    assert (second.is_repeat, third.is_repeat, first.is_repeat) == (True, True, False)
    assert second.finding == first.finding
    assert (second.result_id, third.result_id) == (first.result_id, first.result_id)
    assert second.observed_at.date() == first.observed_at.date() + timedelta(days=1)
    responses = app.web.asked
    assert {
        status for path, status in responses[responses.index(("night", 1)) :] if path != "night"
    } == {304}
    assert not reevaluate(app).changes
    app.store.close()


async def test_page_with_new_tokens_is_not_stored_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def signed(day: str) -> Callable[[SiteWithETags], object]:
        comment = f"<!-- cached on {day} --></body>"
        return lambda site: site.pages.update({"": HOME.replace("</body>", comment)})

    app = await execute_runs(
        tmp_path, monkeypatch, signed("Monday"), signed("Tuesday"), signed("Wednesday")
    )
    first, second, third = list(app.store.observations.list_observations())
    assert (first.is_repeat, second.is_repeat, third.is_repeat) == (False, True, True)
    assert (second.result_id, third.result_id) == (first.result_id, first.result_id)
    assert set(app.body_store.list_digests()) == {
        piece.digest for piece in first.evidence if piece.digest
    }
    assert not reevaluate(app).changes
    app.store.close()


async def test_reevaluation_keeps_response_times_of_each_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pace, get = [0.2], Fetcher.get

    async def timed(self: Fetcher, request: PageRequest) -> Page:
        return replace(await get(self, request), elapsed_seconds=pace[0])

    def slowly(_: SiteWithETags) -> None:
        pace[0] = 2.2

    monkeypatch.setattr(Fetcher, "get", timed)

    def quickly(_: SiteWithETags) -> None:
        pace[0] = 0.3

    app = await execute_runs(tmp_path, monkeypatch, news, slowly, nothing, quickly)
    first, second, third, fourth = list(app.store.observations.list_observations())
    assert (first.result_id, second.is_repeat, third.is_repeat) == (third.result_id, True, True)
    assert [
        observation.finding.facts["seconds"] for observation in (first, second, third, fourth)
    ] == [0, 2, 2, 0]
    assert not reevaluate(app).changes
    app.store.close()


async def test_changed_page_among_unchanged_ones_is_stored(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def later(site: SiteWithETags) -> None:
        site.pages["feed/"] = RSS.replace("16 Nov 2026", "01 Mar 2026")

    app = await execute_runs(tmp_path, monkeypatch, news, later)
    first, second = list(app.store.observations.list_observations())
    assert not second.is_repeat
    assert second.finding.last_activity != first.finding.last_activity
    assert [piece.status for piece in second.evidence] == [200, 200]
    assert all(app.body_store.get(piece.digest) for piece in second.evidence if piece.digest)
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
    evidence = build_evidence(exchange, None, is_volatile=is_volatile)
    assert evidence.certificate_names == names


def test_headers_that_no_probe_reads_are_not_stored() -> None:
    """Platforms send long policies with each response."""
    headers = {"content-type": "text/html", "cf-mitigated": "challenge", "report-to": "{}"}
    page = Page(URL, 200, headers={**headers, "set-cookie": "session=1"})
    evidence = build_evidence(HttpExchange(PageRequest(URL), page), None)
    assert evidence.headers.keys() == {"content-type", "cf-mitigated"}
