"""Variants of a site's URL: scheme, www, and invalid certificates."""

from collections.abc import Callable
from datetime import UTC, datetime

import pytest

from probes.channels import website
from probes.http.request_chain import CERTIFICATE_ERROR_DETAILS
from probes.links import identify
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, run_offline

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
URL = "https://annour.example/"
WWW = "https://www.annour.example/"
TEXT = "L'association accompagne les familles du quartier depuis des années. " * 4
SITE = (
    f"<html lang='fr'><head><title>Annour</title></head><body><h1>Annour</h1><p>{TEXT}</p>"
    f"</body></html>"
)
PARKED = "<title>annour.example is for sale</title><p>Buy this domain.</p>"

Web = Callable[[PageRequest], Page | FetchError]


def probe_site(web: Web, link: str = URL) -> tuple[Finding, tuple[HttpExchange, ...]]:
    result = run_offline(website.probe(Account("a", link, identify.identify_link(link))), web)
    return result.finding, result.exchanges


def page(request: str, final_url: str = "", body: str = SITE, status: int = 200) -> Page:
    hops = (Hop(request, 301), Hop(final_url, status)) if final_url else (Hop(request, status),)
    return Page(
        final_url or request, status, {"content-type": "text/html"}, body.encode(), NOW, hops
    )


def serve_only(*urls: str, error_reason: FetchError | None = None, body: str = SITE) -> Web:
    """A web of these addresses, where all else is shut."""
    return lambda request: (
        page(request.url, body=body)
        if request.url in urls
        else error_reason or FetchError(Reason.NETWORK, "refused")
    )


@pytest.mark.parametrize("variant", ["http://annour.example/", WWW, "http://www.annour.example/"])
@pytest.mark.parametrize("reason", [Reason.NETWORK, Reason.TIMEOUT])
def test_unreachable_url_with_working_variant_is_present(variant: str, reason: Reason) -> None:
    if variant == "http://www.annour.example/":  # the variant is requested as the link was typed
        finding, _ = probe_site(
            serve_only(variant, error_reason=FetchError(reason)), "http://annour.example/"
        )
    else:
        finding, _ = probe_site(serve_only(variant, error_reason=FetchError(reason)))
    assert finding.presence is Presence.PRESENT
    assert "moved_to" not in finding.facts


def test_http_only_site_is_recognized_without_second_https_request() -> None:
    finding, exchanges = probe_site(serve_only("http://annour.example/"))
    assert finding.facts["https"] is False
    assert [exchange.request.url for exchange in exchanges].count(URL) == 1


def test_unreachable_site_costs_three_requests_and_is_unknown() -> None:
    finding, exchanges = probe_site(serve_only())
    assert (finding.presence, finding.reason, len(exchanges)) == (
        Presence.UNKNOWN,
        Reason.NETWORK,
        3,
    )


def test_subdomain_has_no_www_variant() -> None:
    _, exchanges = probe_site(serve_only(), "https://annour.portail.ma/")
    assert not [exchange for exchange in exchanges if "www." in exchange.request.url]


@pytest.mark.parametrize(
    ("typed", "final_url"),
    [
        ("https://annour.example/", "https://www.annour.example/"),
        ("https://www.annour.example/", "https://annour.example/"),
        ("http://annour.example/", "https://www.annour.example/"),
        ("https://annour.example/", "https://annour.example/fr/"),
        ("https://annour.example/", "https://annour.example/ar"),
        ("https://annour.example/fr/", "https://annour.example/ar/"),
        ("https://annour.example/fr", "https://www.annour.example/"),
        ("https://annour.org.ma/", "https://fr.annour.org.ma/"),
        ("https://annour.example/", "https://annour.example/index.php?lang=ar"),
        ("https://annour.example/", "https://annour.example:443/"),
        ("https://annour.example:8443/", "https://annour.example/"),
        ("https://annour.example./", "https://annour.example/"),
        ("https://ANNOUR.example/", "https://annour.example/"),
        ("https://جمعية.example/", "https://xn--ogbf3b7b0a.example/"),
        ("https://xn--ogbf3b7b0a.example/", "https://www.xn--ogbf3b7b0a.example/ar/"),
        ("http://annour.blogspot.fr/", "https://annour.blogspot.com/"),
    ],
)
def test_other_form_of_the_same_url_is_no_move(typed: str, final_url: str) -> None:
    finding, _ = probe_site(
        lambda request: page(request.url, final_url if request.url != final_url else ""), typed
    )
    assert finding.presence is Presence.PRESENT
    assert not {"moved_to", "redirected_home"} & set(finding.facts)


@pytest.mark.parametrize(
    ("typed", "final_url", "domain"),
    [
        ("https://annour.example/", "https://amal.example/", "amal.example"),
        ("https://annour.wixsite.com/", "https://www.annour.example/", "annour.example"),
        ("https://annour.blogspot.com/", "https://amal.blogspot.com/", "amal.blogspot.com"),
    ],
)
def test_other_domain_is_a_move(typed: str, final_url: str, domain: str) -> None:
    finding, _ = probe_site(
        lambda request: page(request.url, final_url if request.url != final_url else ""), typed
    )
    assert (finding.presence, finding.facts["moved_to"]) == (Presence.PRESENT, domain)


@pytest.mark.parametrize(
    "body", [PARKED, "<title>Account Suspended</title>", "<h1>It works!</h1>", ""]
)
@pytest.mark.parametrize("status", [200, 404])
def test_working_twin_host_is_no_absence(body: str, status: int) -> None:
    finding, _ = probe_site(
        lambda request: page(request.url, body="" if request.url == URL else SITE)
    )
    assert finding.presence is not Presence.ABSENT

    def web(request: PageRequest) -> Page:
        return (
            page(request.url) if request.url == WWW else page(request.url, body=body, status=status)
        )

    finding, _ = probe_site(web)
    assert finding.presence is not Presence.ABSENT


@pytest.mark.parametrize("error_reason", [Reason.TIMEOUT, Reason.NETWORK, Reason.TLS])
@pytest.mark.parametrize(
    ("body", "status"), [("", 404), (PARKED, 200), (PARKED, 404), ("<p>no</p>", 500)]
)
def test_absence_at_twin_host_proves_nothing(error_reason: Reason, body: str, status: int) -> None:
    failed = FetchError(error_reason, "wrong_host" if error_reason is Reason.TLS else "")

    def web(request: PageRequest) -> Page | FetchError:
        return page(request.url, body=body, status=status) if "//www." in request.url else failed

    finding, _ = probe_site(web)
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, error_reason)


def test_walled_twin_host_prevents_an_absence() -> None:
    def web(request: PageRequest) -> Page:
        return (
            page(request.url, body=PARKED) if request.url == URL else page(request.url, status=403)
        )

    assert probe_site(web)[0].presence is Presence.UNKNOWN


@pytest.mark.parametrize(
    "other_response",
    [page(WWW, body=PARKED), page(WWW, status=404), FetchError(Reason.NO_SUCH_HOST)],
)
def test_both_hosts_parked_is_parked(other_response: Page | FetchError) -> None:
    finding, exchanges = probe_site(
        lambda request: page(request.url, body=PARKED) if request.url == URL else other_response
    )
    assert (finding.reason, finding.final_url, len(exchanges)) == (Reason.PARKED, URL, 2)


@pytest.mark.parametrize("detail", [*sorted(set(CERTIFICATE_ERROR_DETAILS.values())), "handshake"])
def test_every_certificate_error_is_named_and_ignored_once(detail: str) -> None:
    def web(request: PageRequest) -> Page | FetchError:
        return page(request.url) if request.insecure else FetchError(Reason.TLS, detail)

    finding, exchanges = probe_site(web)
    assert (finding.presence, finding.reason, finding.facts) == (
        Presence.UNKNOWN,
        Reason.TLS,
        {"tls_error": detail},
    )
    assert (
        finding.detail == "answers 200 without a valid certificate"
        or not finding.detail.startswith("answers")
    )
    assert exchanges[-1].request.insecure
    assert not [exchange for exchange in exchanges[:-1] if exchange.request.insecure]


@pytest.mark.parametrize("detail", ["wrong_host", "self_signed", "untrusted", "handshake"])
def test_valid_certificate_at_twin_host_opens_the_site(detail: str) -> None:
    def web(request: PageRequest) -> Page | FetchError:
        return page(request.url) if request.url.startswith(WWW) else FetchError(Reason.TLS, detail)

    finding, _ = probe_site(web)
    assert (finding.presence, finding.facts["tls_error"]) == (Presence.PRESENT, detail)
    assert "moved_to" not in finding.facts


def test_certificate_error_after_a_redirect_is_the_same_error() -> None:
    failed = FetchError(Reason.TLS, "expired", url=WWW, hops=(Hop("http://annour.example/", 301),))

    def web(request: PageRequest) -> Page | FetchError:
        return page(request.url, WWW) if request.insecure else failed

    finding, _ = probe_site(web, "http://annour.example/")
    assert (finding.presence, finding.reason, finding.facts["tls_error"]) == (
        Presence.UNKNOWN,
        Reason.TLS,
        "expired",
    )
