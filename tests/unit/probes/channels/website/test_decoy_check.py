"""Soft-404 check with a decoy, for links that lead to the home page and pages that may be
missing.
"""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import pytest

from probes.channels import website
from probes.channels.website.extra_pages import redirects_to_home_page
from probes.channels.website.page_analysis import analyze_site_page
from probes.links import identify
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, run_offline

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
PORTAL = "https://portail.example/"
LINK = "https://portail.example/annour-sale/"
TEXT = (
    "<p>Le portail des quartiers rassemble des nouvelles, des adresses et des rendez-vous de la "
    "région.</p>" * 3
)
MENU = (
    '<nav><a href="/agenda">Agenda</a><a href="/annuaire">Annuaire</a><a href="/presse">'
    "Presse</a></nav>"
)
FRONT = (
    f"<html lang=fr><head><title>Portail des quartiers</title></head><body>{MENU}{TEXT}</body>"
    f"</html>"
)

Web = Callable[[PageRequest], Page | FetchError]


def page(
    request: str, final_url: str = "", body: str = FRONT, status: int = 200, day: int = 0
) -> Page:
    final_url = final_url or request
    hops = (
        (Hop(request, 301), Hop(final_url, status))
        if final_url != request
        else (Hop(request, status),)
    )
    kind = {"content-type": "text/html"}
    return Page(final_url, status, kind, body.encode(), NOW + timedelta(days=day), hops)


def probe_site(
    web: Web, link: str = LINK, previous: Finding | None = None
) -> tuple[Finding, tuple[HttpExchange, ...]]:
    result = run_offline(
        website.probe(Account("a", link, identify.identify_link(link), previous)), web
    )
    return result.finding, result.exchanges


def list_urls(exchanges: tuple[HttpExchange, ...]) -> list[str]:
    return [exchange.request.url for exchange in exchanges]


def answer_home_everywhere(request: PageRequest, day: int = 0) -> Page:
    """Answer like a portal that redirects every unknown URL to its home page."""
    is_known_page = request.url in (PORTAL, f"{PORTAL}agenda")
    return page(request.url, request.url if is_known_page else PORTAL, day=day)


def answer_home_once(request: PageRequest) -> Page:
    """Answer like a portal that redirects only LINK, and answers 404 to unknown URLs."""
    is_known_page = request.url in (PORTAL, f"{PORTAL}agenda")
    return page(
        request.url,
        PORTAL if request.url == LINK else "",
        status=200 if is_known_page or request.url == LINK else 404,
    )


def test_link_that_leads_home_like_a_decoy_is_not_found() -> None:
    finding, _ = probe_site(answer_home_everywhere)
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.NOT_FOUND)
    assert finding.facts["redirected_home"] is True


@pytest.mark.parametrize(
    "inner_url",
    [
        "https://www.portail.example/agenda",
        "/spip.php?rubrique3",
        "agenda.html",
        "/a?s=x",
        "/agenda",
    ],
)
def test_inner_page_is_found_in_any_link_form(inner_url: str) -> None:
    front = FRONT.replace("/agenda", inner_url).replace("/annuaire", "/agenda")

    def web(request: PageRequest) -> Page:
        is_known_page = (
            "agenda" in request.url or "spip.php" in request.url or request.url == PORTAL
        )
        return page(request.url, request.url if is_known_page else PORTAL, front)

    assert probe_site(web)[0].reason is Reason.NOT_FOUND


def test_single_redirect_to_home_is_present_with_a_fact() -> None:
    finding, _ = probe_site(answer_home_once)
    assert (finding.presence, finding.facts["redirected_home"]) == (Presence.PRESENT, True)


def test_cleaned_link_that_leads_home_is_not_absent() -> None:
    typed = "https://portail.example/annour%2520sale/"
    identity = identify.identify_link(LINK)
    finding = run_offline(
        website.probe(Account("a", typed, identity)), answer_home_everywhere
    ).finding
    assert (finding.presence, finding.facts["redirected_home"]) == (Presence.PRESENT, True)


def test_site_that_redirects_every_visitor_proves_nothing() -> None:
    finding, _ = probe_site(lambda request: page(request.url, PORTAL))
    assert (finding.presence, finding.facts["redirected_home"]) == (Presence.PRESENT, True)
    assert "decoy_tested_on" in finding.facts


@pytest.mark.parametrize(
    "error_reason", [Reason.ROBOTS, Reason.TIMEOUT, Reason.BLOCKED, Reason.NETWORK]
)
def test_failed_decoy_request_proves_nothing_and_is_not_stored(error_reason: Reason) -> None:
    finding, _ = probe_site(
        lambda request: page(LINK, PORTAL) if request.url == LINK else FetchError(error_reason)
    )
    assert (finding.presence, "decoy_tested_on" in finding.facts) == (Presence.PRESENT, False)


@pytest.mark.parametrize("status", [401, 403, 429, 500, 503])
def test_refused_decoy_proves_nothing_and_is_not_stored(status: int) -> None:
    finding, _ = probe_site(
        lambda request: (
            page(LINK, PORTAL) if request.url == LINK else page(request.url, status=status)
        )
    )
    assert (finding.presence, "decoy_tested_on" in finding.facts) == (Presence.PRESENT, False)


ARRIVED = {
    "its own front page, by its name": ("https://portail.example/annour-sale/", "Annour Salé"),
    "a site named in the address": ("https://annour.example/annour.html", "Bienvenue"),
    "an Arabic name": ("https://portail.example/جمعية-النور", "جمعية النور بسلا"),
    "a language": ("https://annour.example/fr/", "Bienvenue"),
    "a file of the front page": ("https://annour.example/index.php", "Bienvenue"),
    "another file of it": ("https://annour.example/fr/accueil.html", "Bienvenue"),
    "a system's folder": ("https://annour.example/wordpress/", "Bienvenue"),
    "a system's front page": ("https://annour.example/joomla/index.php", "Bienvenue"),
    "SPIP's front page": ("https://annour.example/spip.php?page=sommaire", "Bienvenue"),
    "WordPress's front page by its number": ("https://annour.example/?page_id=2", "Bienvenue"),
    "a doubled slash": ("https://annour.example//", "Bienvenue"),
    "another case": ("https://annour.example/HOME", "Bienvenue"),
    "the association's page": ("https://annour.example/association/", "Bienvenue"),
}


@pytest.mark.parametrize("name", ARRIVED)
def test_home_page_on_the_same_topic_is_no_redirect_home(name: str) -> None:
    link, title = ARRIVED[name]
    identity = identify.identify_link(link)
    front = f"https://{identity.key.partition('/')[0]}/" if identity.key else link
    body = FRONT.replace("Portail des quartiers", title)

    def web(request: PageRequest) -> Page:
        is_own_page = request.url in (front, f"{front}agenda")
        return page(request.url, request.url if is_own_page else front, body)

    finding, _ = probe_site(web, link)
    assert finding.presence is Presence.PRESENT
    assert "redirected_home" not in finding.facts


@pytest.mark.parametrize(
    "final_url", ["https://federation-amal.example/", "https://www.amal.example/fr/"]
)
def test_home_page_of_another_domain_is_a_move(final_url: str) -> None:
    def web(request: PageRequest) -> Page:
        is_own_page = request.url in (final_url, "https://federation-amal.example/agenda")
        return page(request.url, request.url if is_own_page else final_url)

    finding, _ = probe_site(web, "https://annour.example/presentation.html")
    assert finding.presence is Presence.PRESENT
    assert str(finding.facts["moved_to"]).endswith("amal.example")


SOFT = (
    f"<html><head><title>Portail</title></head><body>{MENU}<main><p>"
    f"{'Une région, ses quartiers. ' * 60}</p>"
    "<p>Cette page n'existe plus.</p></main></body></html>"
)


def answer_soft_404(request: PageRequest, day: int = 0) -> Page:
    return page(request.url, body=SOFT, day=day)


@pytest.mark.parametrize(("web", "tries"), [(answer_soft_404, 1), (answer_home_everywhere, 2)])
def test_decoy_is_requested_once_a_month(
    web: Callable[[PageRequest, int], Page], tries: int
) -> None:
    first, exchanges = probe_site(lambda request: web(request, 0))
    assert (first.reason, len(exchanges)) == (Reason.NOT_FOUND, 1 + tries)
    second, exchanges = probe_site(lambda request: web(request, 1), previous=first)
    assert (second.reason, list_urls(exchanges)) == (Reason.NOT_FOUND, [LINK])
    assert second.facts["decoy_tested_on"] == "2026-11-20"
    later, exchanges = probe_site(lambda request: web(request, 30), previous=second)
    assert (later.reason, len(exchanges)) == (Reason.NOT_FOUND, 1 + tries)
    assert later.facts["decoy_tested_on"] == "2026-12-20"


def test_negative_result_is_stored_too() -> None:
    def web(request: PageRequest) -> Page:
        return answer_soft_404(request) if request.url == LINK else page(request.url, status=404)

    first, _ = probe_site(web)
    assert (first.presence, first.facts["decoy_matches"]) == (Presence.PRESENT, False)
    _, exchanges = probe_site(web, previous=first)
    assert not [
        url
        for url in list_urls(exchanges)
        if url.startswith(LINK[:-1].rpartition("/")[0]) and len(url) > 50
    ]


def test_changed_page_is_tested_again_at_once() -> None:
    first, _ = probe_site(answer_soft_404)
    changed = SOFT.replace("ses quartiers", "ses villages")
    second, exchanges = probe_site(
        lambda request: page(request.url, body=changed, day=1), previous=first
    )
    assert (second.reason, len(exchanges)) == (Reason.NOT_FOUND, 2)


def test_malformed_stored_result_is_ignored() -> None:
    first, _ = probe_site(answer_soft_404)
    for odd in ("", "yesterday", 7, "2027-01-01"):
        previous = Finding(
            Presence.ABSENT, Reason.NOT_FOUND, facts={**first.facts, "decoy_tested_on": odd}
        )
        assert len(probe_site(answer_soft_404, previous=previous)[1]) == 2


@pytest.mark.parametrize("url", ["https://[::1/annour", "https://annour\ufe55ma/annour"])
def test_invalid_address_is_no_redirect_home(url: str) -> None:
    home = Page("https://annour.ma/", 200, body=b"<title>Annour</title>")
    assert not redirects_to_home_page(url, home, analyze_site_page(home))
