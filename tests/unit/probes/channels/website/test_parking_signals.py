"""A page that reads like a parked one is parked only if a signal of another kind agrees."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

import pytest

from probes.channels.website.page_analysis import analyze_site_page
from probes.models.finding import Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from tests.support import played_site
from tests.support.played_site import NOW, site_page

URL = "https://annour.org/"
LISTINGS = (
    "<title>annour.org</title><body><p>Loans. Insurance. Credit cards. Copyright annour.org. All "
    "rights reserved. Privacy Policy</p></body>"
)
TEXT = "L'association accompagne les familles du quartier depuis des années. " * 4
HOME = (
    f"<html lang='fr'><title>Annour</title><body><h1>Annour</h1><p>{TEXT}</p>"
    "<a href='/a'>Qui sommes-nous</a><a href='/b'>Projets</a><a href='/c'>Contact</a></body></html>"
)
NS, ADDRESS = "dns:annour.org?type=NS", "dns:annour.org?type=A"
ORDINARY = {NS: "ns1.domaincontrol.com\nns2.domaincontrol.com\n", ADDRESS: "192.0.2.7\n"}
PARKED = {NS: "ns1.sedoparking.com\nns2.sedoparking.com\n"}


def probe_site(
    answers: dict[str, str], body: str = LISTINGS, link: str = URL, **fields: object
) -> tuple[Finding, list[str]]:
    """Return the finding and the questions to the DNS. Unanswered ones fail."""

    def respond(request: PageRequest) -> Page | FetchError:
        if not request.url.startswith("dns:"):
            return replace(site_page(request.url, body), **fields)
        answer = answers.get(request.url)
        if answer is None:
            return FetchError(Reason.TIMEOUT, "dns")
        return Page(request.url, 200, {}, answer.encode(), NOW)

    finding, exchanges = played_site.probe_site(respond, link)
    urls = [exchange.request.url for exchange in exchanges]
    return finding, [url for url in urls if url.startswith("dns:")]


def test_page_model_alone_has_a_suspicion() -> None:
    site = analyze_site_page(site_page(URL, LISTINGS))
    assert (site.verdict, site.suspicion is not None) == (None, True)
    assert (site.suspicion.reason, site.suspicion.is_absence) == (Reason.PARKED, False)
    assert analyze_site_page(site_page(URL, HOME)).suspicion is None


CERTIFICATE = {"certificate_names": ("*.sedoparking.com", "annour.org")}
LANDER = {"hops": (Hop(URL, 302), Hop("https://lander.com/annour.org", 200))}
ARABIC = "https://نور.com/"


@dataclass(frozen=True)
class Case:
    """Answers of the DNS, the questions that the probe asks it, a page, and the verdict."""

    answers: dict[str, str]
    questions: Sequence[str] = (NS, ADDRESS)
    body: str = LISTINGS
    link: str = URL
    fields: Mapping[str, object] = field(default_factory=dict)
    reason: Reason | None = None


CASES = {
    "another name server": Case(ORDINARY),
    "the name server of a service": Case(PARKED, questions=[NS, NS], reason=Reason.PARKED),
    "no answer": Case({}),
    "an empty answer": Case({NS: ""}),
    "an answer without names": Case({NS: "alive", ADDRESS: "alive"}),
    "an honest page": Case(PARKED, questions=[], body=HOME),
    "a similar name server": Case(
        ORDINARY | {NS: "ns1.notsedoparking.com\nsedoparking.com.annour.org\n"}
    ),
    "a redirect to another domain": Case(
        {"dns:lander.com?type=NS": "ns1.domaincontrol.com", **PARKED},
        questions=[NS, NS],
        fields=LANDER,
        reason=Reason.PARKED,
    ),
    "a host of a platform": Case({}, questions=[], link="https://annour.wordpress.com/"),
    "an address": Case({}, questions=[], link="http://192.0.2.7/"),
    "an Arabic domain": Case(
        {},
        questions=["dns:xn--wgb5bg.com?type=NS", "dns:xn--wgb5bg.com?type=A"],
        body=LISTINGS.replace("annour.org", "نور.com"),
        link=ARABIC,
    ),
    "the certificate of a service": Case(
        ORDINARY, questions=[], fields=CERTIFICATE, reason=Reason.PARKED
    ),
    "an honest page with that certificate": Case(
        ORDINARY, questions=[], body=HOME, fields=CERTIFICATE
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_suspected_page_is_parked_only_with_a_signal_of_another_kind(name: str) -> None:
    case = CASES[name]
    finding, asked = probe_site(case.answers, case.body, case.link, **case.fields)
    presence = Presence.ABSENT if case.reason else Presence.PRESENT
    assert (finding.presence, finding.reason) == (presence, case.reason)
    assert asked == list(case.questions)


def test_parked_page_has_its_signs() -> None:
    finding, _ = probe_site(PARKED)
    assert finding.detail == "reads like parked; its name server is ns1.sedoparking.com"
    assert (finding.facts["service"], bool(finding.facts["model_words"])) == ("Sedo", True)
    by_certificate, _ = probe_site(ORDINARY, **CERTIFICATE)
    assert by_certificate.detail.endswith("its certificate is also for *.sedoparking.com")


def test_invalid_certificate_is_unknown_and_names_its_hosts() -> None:
    names = ("*.sedoparking.com", "b.example", "c.example", "d.example")

    def respond(request: PageRequest) -> Page | FetchError:
        if not request.insecure:
            return FetchError(Reason.TLS, "wrong_host", url=request.url)
        return site_page(request.url, LISTINGS, insecure=True, certificate_names=names)

    finding, _ = played_site.probe_site(respond, URL)
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.TLS)
    assert finding.detail == (
        "answers 200 without a valid certificate; "
        "the certificate is for *.sedoparking.com, b.example, c.example and others"
    )
