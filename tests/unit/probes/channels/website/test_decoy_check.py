"""Soft-404 check with a decoy, for links that lead to the home page and pages that may be
missing.
"""

from collections.abc import Callable

import pytest

from probes.channels import website
from probes.links import identify
from probes.models.finding import Account, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import HttpExchange, run_offline
from tests.support.played_site import Web, probe_site, site_page

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


def list_urls(exchanges: tuple[HttpExchange, ...]) -> list[str]:
    return [exchange.request.url for exchange in exchanges]


def answer_home_everywhere(request: PageRequest, day: int = 0) -> Page:
    """Answer like a portal that redirects every unknown URL to its home page."""
    is_known_page = request.url in (PORTAL, f"{PORTAL}agenda")
    return site_page(
        request.url, FRONT, day=day, final_url=request.url if is_known_page else PORTAL
    )


def answer_home_once(other: Page | FetchError | None = None) -> Web:
    """Answer like a portal that redirects only LINK. Other URLs have another answer, or are 404."""

    def web(request: PageRequest) -> Page | FetchError:
        if request.url == LINK:
            return site_page(LINK, FRONT, final_url=PORTAL)
        if request.url in (PORTAL, f"{PORTAL}agenda") and other is None:
            return site_page(request.url, FRONT)
        return other or site_page(request.url, FRONT, status=404)

    return web


def answer_home_to_everybody(request: PageRequest) -> Page:
    return site_page(request.url, FRONT, final_url=PORTAL)


@pytest.mark.parametrize(
    ("web", "presence", "is_stored"),
    [
        (answer_home_everywhere, Presence.ABSENT, True),
        (answer_home_once(), Presence.PRESENT, True),
        (answer_home_to_everybody, Presence.PRESENT, True),
        *(
            (answer_home_once(FetchError(reason)), Presence.PRESENT, False)
            for reason in (Reason.ROBOTS, Reason.TIMEOUT, Reason.BLOCKED, Reason.NETWORK)
        ),
        *(
            (answer_home_once(site_page(PORTAL, FRONT, status=status)), Presence.PRESENT, False)
            for status in (401, 403, 429, 500, 503)
        ),
    ],
)
def test_link_that_leads_home_is_absent_only_if_a_decoy_does_so_too(
    web: Web, presence: Presence, is_stored: bool
) -> None:
    """A decoy that fails proves nothing, and its result is not stored."""
    finding, _ = probe_site(web, LINK)
    assert (finding.presence, finding.facts["redirected_home"]) == (presence, True)
    assert finding.reason is (Reason.NOT_FOUND if presence is Presence.ABSENT else None)
    assert ("decoy_tested_on" in finding.facts) is is_stored


def test_cleaned_link_that_leads_home_is_not_absent() -> None:
    typed = "https://portail.example/annour%2520sale/"
    identity = identify.identify_link(LINK)
    finding = run_offline(
        website.probe(Account("a", typed, identity)), answer_home_everywhere
    ).finding
    assert (finding.presence, finding.facts["redirected_home"]) == (Presence.PRESENT, True)


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
        return site_page(request.url, body, final_url=request.url if is_own_page else front)

    finding, _ = probe_site(web, link)
    assert finding.presence is Presence.PRESENT
    assert "redirected_home" not in finding.facts


@pytest.mark.parametrize(
    "final_url", ["https://federation-amal.example/", "https://www.amal.example/fr/"]
)
def test_home_page_of_another_domain_is_a_move(final_url: str) -> None:
    def web(request: PageRequest) -> Page:
        is_own_page = request.url in (final_url, "https://federation-amal.example/agenda")
        return site_page(request.url, FRONT, final_url=request.url if is_own_page else final_url)

    finding, _ = probe_site(web, "https://annour.example/presentation.html")
    assert finding.presence is Presence.PRESENT
    assert str(finding.facts["moved_to"]).endswith("amal.example")


SOFT = (
    f"<html><head><title>Portail</title></head><body>{MENU}<main><p>"
    f"{'Une région, ses quartiers. ' * 60}</p>"
    "<p>Cette page n'existe plus.</p></main></body></html>"
)


def answer_soft_404(request: PageRequest, day: int = 0) -> Page:
    return site_page(request.url, SOFT, day=day)


@pytest.mark.parametrize(("web", "tries"), [(answer_soft_404, 1), (answer_home_everywhere, 2)])
def test_decoy_is_requested_once_a_month(
    web: Callable[[PageRequest, int], Page], tries: int
) -> None:
    first, exchanges = probe_site(lambda request: web(request, 0), LINK)
    assert (first.reason, len(exchanges)) == (Reason.NOT_FOUND, 1 + tries)
    second, exchanges = probe_site(lambda request: web(request, 1), LINK, first)
    assert (second.reason, list_urls(exchanges)) == (Reason.NOT_FOUND, [LINK])
    assert second.facts["decoy_tested_on"] == "2026-11-20"
    later, exchanges = probe_site(lambda request: web(request, 30), LINK, second)
    assert (later.reason, len(exchanges)) == (Reason.NOT_FOUND, 1 + tries)
    assert later.facts["decoy_tested_on"] == "2026-12-20"


def test_negative_result_is_stored_too() -> None:
    def web(request: PageRequest) -> Page:
        return (
            answer_soft_404(request)
            if request.url == LINK
            else site_page(request.url, FRONT, status=404)
        )

    first, _ = probe_site(web, LINK)
    assert (first.presence, first.facts["decoy_matches"]) == (Presence.PRESENT, False)
    folder = LINK[:-1].rpartition("/")[0]
    again = list_urls(probe_site(web, LINK, first)[1])
    assert [url for url in again if url.startswith(folder) and len(url) > 50] == []
