"""The website probe: few requests with honest marks, and no absence without proof."""

import json
import sys
from collections import Counter
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from urllib.parse import urljoin

import pytest

from probes.channels import website
from probes.channels.website.page_analysis import is_home_page_url
from probes.links import identify
from probes.models.finding import LINKS_CUT_FACT, Account, Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, run_offline
from probes.parsing import html

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
URL = "https://annour.example/"
TEXT = "L'association accompagne les familles du quartier depuis des années. " * 4
HOME = (
    f"<html lang='fr'><head><title>Annour</title></head><body><h1>Annour</h1><p>{TEXT}</p>"
    f"</body></html>"
)

Web = Callable[[PageRequest], Page | FetchError]


def probe_site(web: Web, link: str = URL) -> tuple[Finding, tuple[HttpExchange, ...]]:
    result = run_offline(website.probe(Account("a", link, identify.identify_link(link))), web)
    return result.finding, result.exchanges


def page(url: str, body: str = HOME, status: int = 200, **more: object) -> Page:
    return Page(url, status, {"content-type": "text/html"}, body.encode(), NOW, **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    "generator", ["", "WordPress 6.8", "SPIP 4.3", "Joomla!", "Drupal 10", "Hugo 0.140"]
)
def test_site_without_feed_costs_at_most_six_requests(generator: str) -> None:
    head = f'<meta name="generator" content="{generator}"></head>'

    def web(request: PageRequest) -> Page:
        is_home_page = request.url.rstrip("/") == "http://annour.example"
        return page(
            request.url,
            HOME.replace("</head>", head) if is_home_page else "",
            200 if is_home_page else 404,
        )

    finding, exchanges = probe_site(web, "http://annour.example/")
    assert finding.presence is Presence.PRESENT
    assert len(exchanges) <= 6


def probe_home(body: str, **more: object) -> Finding:
    """Return the finding of a site that has only this home page."""
    finding, _ = probe_site(
        lambda request: (
            page(request.url, body, **more) if request.url == URL else FetchError(Reason.ROBOTS)
        )
    )
    return finding


def fill(before: str, after: str, size: int) -> str:
    """Return a page of this size with spaces in a style sheet between two parts."""
    spaces = size - len(f"{before}<style></style>{after}".encode())
    return f"{before}<style>{' ' * spaces}</style>{after}"


HEAD = "<html><head><title>Annour</title>"


@pytest.mark.parametrize(
    "before",
    [
        HEAD,
        f"{HEAD}<script>go()</script>",
        f"{HEAD}</head><body><h1>Nothing found</h1><p>Nothing found.</p>",
        "<html><head><title>404 Not Found</title></head><body><p>Not found</p>",
    ],
    ids=["styles", "scripts", "empty search", "missing page"],
)
def test_text_after_the_parsed_part_is_too_large(before: str) -> None:
    finding = probe_home(fill(before, HOME.partition("</head>")[2], 600_000))
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.TOO_LARGE)


@pytest.mark.parametrize(
    ("excess", "reason"), [(-1, Reason.EMPTY), (0, Reason.EMPTY), (1, Reason.TOO_LARGE)]
)
def test_page_without_text_is_empty_up_to_the_parsed_size(excess: int, reason: Reason) -> None:
    finding = probe_home(fill(HEAD, "", html.MAX_PARSED_BYTES + excess))
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, reason)


FOOTER = "<footer><a href='https://www.facebook.com/annour.rabat'>Facebook</a></footer>"


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_page_is_marked_if_its_last_links_are_not_read(excess: int) -> None:
    """Until 2026-11 the site did not link to the account."""
    home = fill(HOME, FOOTER + "</html>", html.MAX_PARSED_BYTES + excess)
    finding = probe_home(home)
    assert finding.presence is Presence.PRESENT
    assert finding.facts.get(LINKS_CUT_FACT) is (True if excess > 0 else None)
    assert [link.channel for link in finding.links] == ["facebook"]


def test_page_that_was_cut_on_the_way_is_marked() -> None:
    assert probe_home(HOME, truncated=True).facts[LINKS_CUT_FACT] is True
    assert LINKS_CUT_FACT not in probe_home(HOME).facts


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_page_with_more_links_than_are_read_is_marked(excess: int) -> None:
    links = "<a href='/a'>a</a>" * (html.MAX_ELEMENTS_PER_KIND + excess)
    finding = probe_home(HOME.replace("</body>", links + "</body>"))
    assert finding.facts.get(LINKS_CUT_FACT) is (True if excess > 0 else None)


@pytest.mark.parametrize("excess", [0, 1])
def test_contact_page_with_unread_links_is_marked(excess: int) -> None:
    contact_page = fill(HEAD, f"{FOOTER}</html>", html.MAX_PARSED_BYTES + excess)
    finding = probe_with_contact_page(contact_page)
    assert [link.channel for link in finding.links] == ["facebook"]
    assert ("unread_contact_page" in finding.facts) is (excess > 0)


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_contact_page_with_more_links_than_are_read_is_marked(excess: int) -> None:
    links = "<a href='/a'>a</a>" * (html.MAX_ELEMENTS_PER_KIND + excess)
    finding = probe_with_contact_page(HEAD + links)
    assert ("unread_contact_page" in finding.facts) is (excess > 0)


def probe_with_contact_page(contact_page: str) -> Finding:
    home = HOME.replace("</body>", "<nav><a href='/contact'>Contact</a></nav></body>")

    def respond(request: PageRequest) -> Page | FetchError:
        bodies = {URL: home, f"{URL}contact": contact_page}
        body = bodies.get(request.url)
        return FetchError(Reason.ROBOTS) if body is None else page(request.url, body)

    return probe_site(respond)[0]


def test_page_without_text_that_was_cut_on_the_way_is_not_empty() -> None:
    finding = probe_home(HEAD, truncated=True)
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.TOO_LARGE)


@pytest.mark.parametrize(
    "comment",
    [
        "This account has been suspended. Contact your hosting provider.",
        "If you see this page, the nginx web server is successfully installed and working.",
        "Error establishing a database connection",
    ],
)
def test_sentence_in_a_visitors_comment_says_nothing_about_the_site(comment: str) -> None:
    commented = HOME.replace("</body>", f'<section id="comments"><p>{comment}</p></section></body>')
    finding, _ = probe_site(
        lambda request: (
            page(request.url, commented) if request.url == URL else FetchError(Reason.ROBOTS)
        )
    )
    assert (finding.presence, finding.reason) == (Presence.PRESENT, None)


def test_sentence_in_a_comment_does_not_replace_the_verdict_on_the_site() -> None:
    script_site = (
        '<title>Association Annour</title><script src="/app.js"></script><div id="root"></div>'
        '<div class="comments"><p>This account has been suspended.</p></div>'
    )
    finding, _ = probe_site(lambda request: page(request.url, script_site))
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.SCRIPT_ONLY)


def test_comment_on_a_suspended_page_does_not_hide_the_suspension() -> None:
    suspended = (
        "<title>Account Suspended</title><h1>Account Suspended</h1><p>This account has been"
        ' suspended. Contact your hosting provider.</p><div id="comments">Dommage</div>'
    )
    finding, _ = probe_site(lambda request: page(request.url, suspended))
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.SUSPENDED)


def test_only_the_registered_link_and_its_variants_are_marked() -> None:
    _, exchanges = probe_site(
        lambda request: page(request.url) if request.url == URL else FetchError(Reason.ROBOTS)
    )
    assert [
        exchange.request.url for exchange in exchanges if exchange.request.is_registered_link
    ] == [URL]
    assert len(exchanges) > 1


def test_feed_forbidden_by_robots_is_not_missing() -> None:
    finding, _ = probe_site(
        lambda request: page(request.url) if request.url == URL else FetchError(Reason.ROBOTS)
    )
    assert "feed" not in finding.facts


def test_invalid_certificate_is_ignored_once_and_marked() -> None:
    def web(request: PageRequest) -> Page | FetchError:
        if not request.insecure:
            return FetchError(Reason.TLS, "expired", url=request.url)
        return page(request.url, insecure=True)

    finding, exchanges = probe_site(web)
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.TLS)
    assert finding.facts == {"tls_error": "expired"}
    assert finding.links == ()
    assert [exchange.request.insecure for exchange in exchanges] == [False, True]


def test_text_of_unverified_page_is_trusted_only_over_http() -> None:
    parked = "<title>annour.example is for sale</title>"

    def web(request: PageRequest) -> Page | FetchError:
        if request.url.startswith("https:") and not request.insecure:
            return FetchError(Reason.TLS, "wrong_host", url=request.url)
        return page(request.url, parked, insecure=request.insecure)

    finding, exchanges = probe_site(web)
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.PARKED)
    assert finding.facts["tls_error"] == "wrong_host"
    assert len(exchanges) == 4  # by https, under its other name, unverified, by http


def test_unverified_page_alone_is_never_an_absence() -> None:
    parked = "<title>annour.example is for sale</title>"

    def web(request: PageRequest) -> Page | FetchError:
        return (
            page(request.url, parked, insecure=True)
            if request.insecure
            else FetchError(Reason.TLS, "self_signed")
        )

    assert probe_site(web)[0].reason is Reason.TLS


def test_redirect_to_missing_host_is_no_lost_domain() -> None:
    error_reason = FetchError(
        Reason.NO_SUCH_HOST, url="https://ailleurs.example/", hops=(Hop(URL, 301),)
    )
    assert probe_site(lambda _: error_reason)[0].presence is Presence.UNKNOWN


def test_passing_time_does_not_change_the_finding() -> None:
    first, _ = probe_site(
        lambda request: page(
            request.url, certificate_expires=date(2026, 11, 30), elapsed_seconds=0.31
        )
    )
    later, _ = probe_site(
        lambda request: page(
            request.url, certificate_expires=date(2026, 11, 30), elapsed_seconds=0.44
        )
    )
    assert first == later
    assert (first.facts["certificate_expires_on"], first.facts["seconds"]) == ("2026-11-30", 0)


@pytest.mark.parametrize(
    "error_reason", [r for r in Reason if r not in (Reason.NO_SUCH_HOST, Reason.TLS)]
)
def test_fetch_error_is_never_an_absence(error_reason: Reason) -> None:
    finding, _ = probe_site(lambda _: FetchError(error_reason))
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, error_reason)


@pytest.mark.parametrize(
    "status", [401, 403, 405, 406, 418, 429, 451, 500, 502, 503, 508, 520, 999]
)
def test_refusal_is_never_an_absence(status: int) -> None:
    assert (
        probe_site(lambda request: page(request.url, "<p>no</p>", status))[0].presence
        is Presence.UNKNOWN
    )


def test_broken_home_page_of_a_working_site_is_no_absence() -> None:
    menu = "".join(f"<a href=/rubrique-{n}>Rubrique {n}</a>" for n in range(4))
    broken = (
        f"<html><head><title>Page non trouvée – Annour</title></head><body>{menu}</body></html>"
    )
    finding, _ = probe_site(lambda request: page(request.url, broken, 404))
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.SERVER_ERROR)
    finding, _ = probe_site(lambda request: page(request.url, broken, 404), f"{URL}projets/ecole")
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.NOT_FOUND)


@pytest.mark.parametrize(
    ("url", "home"),
    [
        ("https://a.example/", True),
        ("https://a.example/fr/", True),
        ("https://a.example/index.php", True),
        ("https://a.example/ar/accueil", True),
        ("https://a.example/?lang=ar", True),
        ("https://a.example/?p=12", False),
        ("https://a.example/actualites/caravane", False),
    ],
)
def test_home_page_url_is_recognized(url: str, home: bool) -> None:
    assert is_home_page_url(url) is home


@pytest.mark.slow
def test_recorded_sites_give_the_expected_findings(shared: Path) -> None:
    sys.path.insert(0, str(shared / "tools"))
    from replay_web import Book  # noqa: PLC0415  # the recorded web is next to the project
    from score import dated, judge  # noqa: PLC0415

    book, totals = Book([shared / "corpus"]), Counter()

    def web(request: PageRequest) -> Page:
        url, hops = request.url, []
        for _ in range(8):
            recorded = book.find(url)
            headers = {
                name.lower(): value for name, value in (recorded.get("headers") or {}).items()
            }
            hops.append(Hop(url, recorded.get("status") or 200))
            if "location" not in headers:
                break
            url = urljoin(url, headers["location"])
        body = (
            (recorded["_folder"] / recorded["body_file"]).read_bytes()
            if "body_file" in recorded
            else None
        )
        body = recorded.get("body", "").encode() if body is None else body
        return Page(url, hops[-1].status, headers, body, NOW, tuple(hops))

    for case in json.loads((shared / "corpus" / "cases.json").read_text(encoding="utf-8")):
        identity = identify.identify_link(case["link"])
        if identity.channel != website.NAME:
            continue
        finding, expect = probe_site(web, case["link"])[0], case["expect"]
        totals[judge(expect["verdict"], finding.presence, finding.reason)] += 1
        found_date = finding.last_activity.format_iso() if finding.last_activity else None
        if expect.get("last_activity") and (found_date or not expect.get("or_null")):
            totals["date " + dated(expect["last_activity"], found_date)] += 1
    assert totals["accused"] == 0
    assert totals["missed"] <= 4
    date_count = totals["date right"] + totals["date wrong"] + totals["date none"]
    assert totals["date right"] >= 0.95 * date_count
    assert totals["date wrong"] <= 0.025 * date_count


RSS = """<?xml version="1.0"?><rss version="2.0"><channel><title>Association Annour</title>
<item><title>Atelier</title><pubDate>Wed, 04 Nov 2026 10:00:00 GMT</pubDate></item>
<item><title>Caravane</title><pubDate>Mon, 12 Oct 2026 10:00:00 GMT</pubDate></item>
</channel></rss>"""
ATOM = """<feed xmlns="http://www.w3.org/2005/Atom"><title>Association Annour</title>
<entry><title>Atelier</title><published>2026-11-04T10:00:00Z</published></entry></feed>"""
FEED_URL = "https://annour.example/feed/"


@pytest.mark.parametrize("body", [RSS, ATOM])
@pytest.mark.parametrize("media_type", ["application/rss+xml", "text/html"])
def test_feed_is_a_present_site_with_its_newest_date(body: str, media_type: str) -> None:
    feed = Page(FEED_URL, 200, {"content-type": media_type}, body.encode(), NOW)
    finding, exchanges = probe_site(
        lambda request: feed if request.url == FEED_URL else FetchError(Reason.ROBOTS), FEED_URL
    )
    assert (finding.presence, finding.name) == (Presence.PRESENT, "Association Annour")
    assert finding.last_activity is not None
    assert (finding.last_activity.source, finding.last_activity.published_at.day) == ("feed", 4)
    assert finding.facts["feed"] is True
    assert not {"viewport", "contact", "noindex", "preview", "site_names"} & finding.facts.keys()
    assert [exchange.request.url for exchange in exchanges].count(FEED_URL) == 1


def test_feed_on_an_error_page_is_no_site() -> None:
    feed = Page(FEED_URL, 404, {"content-type": "application/rss+xml"}, RSS.encode(), NOW)
    finding, _ = probe_site(
        lambda request: feed if request.url == FEED_URL else FetchError(Reason.ROBOTS), FEED_URL
    )
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.NOT_FOUND)


def test_page_about_a_feed_is_a_page() -> None:
    body = HOME.replace("<h1>", "<h1>&lt;rss&gt; ") + "<!-- <rss version='2.0'> -->"
    finding, _ = probe_site(
        lambda request: page(URL, body) if request.url == URL else FetchError(Reason.ROBOTS)
    )
    assert "viewport" in finding.facts
