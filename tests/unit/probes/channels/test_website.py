"""The website probe: few requests with honest marks, and no absence without proof."""

import json
import sys
from collections import Counter
from datetime import date
from pathlib import Path
from urllib.parse import urljoin

import pytest

from probes.channels import website
from probes.channels.website.page_analysis import analyze_site_page, is_home_page_url
from probes.links import identify
from probes.models.finding import LINKS_CUT_FACT, Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.parsing import html
from probes.parsing.html_walker import MAX_NODE_CHARS
from tests.support.findings import verdict
from tests.support.played_site import HOME, NOW, URL, probe_site, site_page


def probe_home(body: str, **more: object) -> Finding:
    """Return the finding of a site that has only this home page."""
    finding, _ = probe_site(
        lambda request: (
            site_page(request.url, body, **more)
            if request.url == URL
            else FetchError(Reason.ROBOTS)
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
    assert verdict(probe_home(fill(before, HOME.partition("</head>")[2], 600_000))) == (
        Presence.UNKNOWN,
        Reason.TOO_LARGE,
    )


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


@pytest.mark.parametrize("excess", [0, 1])
def test_contact_page_with_unread_links_is_marked(excess: int) -> None:
    contact_page = fill(HEAD, f"{FOOTER}</html>", html.MAX_PARSED_BYTES + excess)
    home = HOME.replace("</body>", "<nav><a href='/contact'>Contact</a></nav></body>")
    pages = {URL: site_page(URL, home), f"{URL}contact": site_page(f"{URL}contact", contact_page)}
    finding, _ = probe_site(lambda request: pages.get(request.url) or FetchError(Reason.ROBOTS))
    assert [link.channel for link in finding.links] == ["facebook"]
    assert ("unread_contact_page" in finding.facts) is (excess > 0)


def test_only_the_registered_link_is_marked_and_a_forbidden_feed_is_not_missing() -> None:
    finding, exchanges = probe_site(
        lambda request: site_page(request.url) if request.url == URL else FetchError(Reason.ROBOTS)
    )
    requests = [exchange.request for exchange in exchanges]
    assert [request.url for request in requests if request.is_registered_link] == [URL]
    assert (len(exchanges) > 1, "feed" in finding.facts) == (True, False)


def test_invalid_certificate_is_ignored_once_and_marked() -> None:
    def web(request: PageRequest) -> Page | FetchError:
        if not request.insecure:
            return FetchError(Reason.TLS, "expired", url=request.url)
        return site_page(request.url, insecure=True)

    finding, exchanges = probe_site(web)
    assert (verdict(finding), finding.links) == ((Presence.UNKNOWN, Reason.TLS), ())
    assert finding.facts == {"tls_error": "expired"}
    assert [exchange.request.insecure for exchange in exchanges] == [False, True]


def test_text_of_unverified_page_is_trusted_only_over_http() -> None:
    parked = "<title>annour.example is for sale</title>"

    def web(request: PageRequest) -> Page | FetchError:
        if request.url.startswith("https:") and not request.insecure:
            return FetchError(Reason.TLS, "wrong_host", url=request.url)
        return site_page(request.url, parked, insecure=request.insecure)

    finding, exchanges = probe_site(web)
    assert verdict(finding) == (Presence.ABSENT, Reason.PARKED)
    # By https, under its other name, unverified, by http.
    assert (finding.facts["tls_error"], len(exchanges)) == ("wrong_host", 4)


def test_unverified_page_alone_is_never_an_absence() -> None:
    parked = "<title>annour.example is for sale</title>"

    def web(request: PageRequest) -> Page | FetchError:
        return (
            site_page(request.url, parked, insecure=True)
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
    first, later = (
        probe_site(
            lambda request, seconds=seconds: site_page(
                request.url, certificate_expires=date(2026, 11, 30), elapsed_seconds=seconds
            )
        )[0]
        for seconds in (0.31, 0.44)
    )
    assert first == later
    assert (first.facts["certificate_expires_on"], first.facts["seconds"]) == ("2026-11-30", 0)


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


# --- Contact details ---


def find_contact(markup: str, **more: object) -> object:
    """Return whether a page has contact details, or None if that is unknown."""
    body = HOME.replace("</body>", f"{markup}</body>")
    return analyze_site_page(site_page(URL, body, **more)).facts.get("contact")


@pytest.mark.parametrize(
    "details", ["0522112233", "annour@annour.example", "annour[at]annour.example"]
)
@pytest.mark.parametrize("place", [0, 50, 99])
def test_contact_details_are_found_anywhere_in_a_text(details: str, place: int) -> None:
    parts = [f"<p>{'x' * 1_899}</p>"] * 100
    assert find_contact("".join([*parts[:place], f"<p>{details}</p>", *parts[place:]])) is True


def test_contact_details_may_be_in_a_part_that_is_not_read() -> None:
    assert find_contact("") is find_contact(f"<p>{'x' * MAX_NODE_CHARS}</p>") is False
    assert find_contact("", truncated=True) is None
    assert find_contact(f"<p>{'x' * (MAX_NODE_CHARS + 1)}</p>") is None
