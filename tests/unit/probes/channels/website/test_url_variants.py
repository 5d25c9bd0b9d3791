"""Variants of a site's URL: scheme, www, and invalid certificates."""

import pytest

from probes.http.request_chain import CERTIFICATE_ERROR_DETAILS
from probes.models.finding import Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from tests.support.findings import verdict
from tests.support.played_site import HOME, URL, Web, probe_site, site_page

WWW = "https://www.annour.example/"
PARKED = "<title>annour.example is for sale</title><p>Buy this domain.</p>"


def serve_only(*urls: str, error_reason: FetchError | None = None, body: str = HOME) -> Web:
    """A web of these addresses, where all else is shut."""
    return lambda request: (
        site_page(request.url, body)
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
        lambda request: site_page(
            request.url, final_url=final_url if request.url != final_url else ""
        ),
        typed,
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
        lambda request: site_page(
            request.url, final_url=final_url if request.url != final_url else ""
        ),
        typed,
    )
    assert (finding.presence, finding.facts["moved_to"]) == (Presence.PRESENT, domain)


@pytest.mark.parametrize(
    "body", [PARKED, "<title>Account Suspended</title>", "<h1>It works!</h1>", ""]
)
@pytest.mark.parametrize("status", [200, 404])
def test_working_twin_host_is_no_absence(body: str, status: int) -> None:
    finding, _ = probe_site(
        lambda request: site_page(request.url, "" if request.url == URL else HOME)
    )
    assert finding.presence is not Presence.ABSENT

    def web(request: PageRequest) -> Page:
        return (
            site_page(request.url)
            if request.url == WWW
            else site_page(request.url, body, status=status)
        )

    assert probe_site(web)[0].presence is not Presence.ABSENT


@pytest.mark.parametrize("error_reason", [Reason.TIMEOUT, Reason.NETWORK, Reason.TLS])
@pytest.mark.parametrize(
    ("body", "status"), [("", 404), (PARKED, 200), (PARKED, 404), ("<p>no</p>", 500)]
)
def test_absence_at_twin_host_proves_nothing(error_reason: Reason, body: str, status: int) -> None:
    failed = FetchError(error_reason, "wrong_host" if error_reason is Reason.TLS else "")

    def web(request: PageRequest) -> Page | FetchError:
        return site_page(request.url, body, status=status) if "//www." in request.url else failed

    assert verdict(probe_site(web)[0]) == (Presence.UNKNOWN, error_reason)


@pytest.mark.parametrize(
    "other_response",
    [site_page(WWW, PARKED), site_page(WWW, status=404), FetchError(Reason.NO_SUCH_HOST)],
)
def test_both_hosts_parked_is_parked(other_response: Page | FetchError) -> None:
    finding, exchanges = probe_site(
        lambda request: site_page(request.url, PARKED) if request.url == URL else other_response
    )
    assert (finding.reason, finding.final_url, len(exchanges)) == (Reason.PARKED, URL, 2)


@pytest.mark.parametrize("detail", [*sorted(set(CERTIFICATE_ERROR_DETAILS.values())), "handshake"])
def test_every_certificate_error_is_named_and_ignored_once(detail: str) -> None:
    def web(request: PageRequest) -> Page | FetchError:
        return site_page(request.url) if request.insecure else FetchError(Reason.TLS, detail)

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
        return (
            site_page(request.url)
            if request.url.startswith(WWW)
            else FetchError(Reason.TLS, detail)
        )

    finding, _ = probe_site(web)
    assert (finding.presence, finding.facts["tls_error"]) == (Presence.PRESENT, detail)
    assert "moved_to" not in finding.facts
