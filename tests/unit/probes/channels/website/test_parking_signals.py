"""A page that reads like a parked one is parked only if a signal of another kind agrees."""

from __future__ import annotations

import tomllib
from datetime import UTC, date, datetime
from importlib import resources
from ipaddress import ip_network

import pytest

from probes.channels import website
from probes.channels.website.page_analysis import analyze_site_page
from probes.channels.website.takeover import load_parking_services
from probes.links import identify
from probes.links.domains import DNS_URL_PATTERN, get_registrable_domain
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import run_offline

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
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
        if request.url.startswith("dns:"):
            text = answers.get(request.url)
            return FetchError(Reason.TIMEOUT, "dns") if text is None else build_answer(request)
        return build_page(request.url, answers.get(request.url, body), **fields)

    def build_answer(request: PageRequest) -> Page:
        return Page(request.url, 200, {}, answers[request.url].encode(), NOW)

    account = Account("annour", link, identify.identify_link(link))
    result = run_offline(website.probe(account), respond)
    urls = [exchange.request.url for exchange in result.exchanges]
    return result.finding, [url for url in urls if url.startswith("dns:")]


def build_page(url: str, body: str, **fields: object) -> Page:
    headers = {"content-type": "text/html"}
    return Page(url, 200, headers, body.encode(), NOW, **fields)  # type: ignore[arg-type]


def test_page_model_alone_has_a_suspicion() -> None:
    site = analyze_site_page(build_page(URL, LISTINGS))
    assert site.verdict is None
    assert site.suspicion is not None
    assert (site.suspicion.reason, site.suspicion.is_absence) == (Reason.PARKED, False)
    assert analyze_site_page(build_page(URL, HOME)).suspicion is None


def test_suspicion_alone_changes_nothing() -> None:
    finding, questions = probe_site(ORDINARY)
    assert (finding.presence, finding.reason) == (Presence.PRESENT, None)
    assert questions == [NS, ADDRESS]


def test_suspicion_and_name_server_of_a_parking_service_are_an_absence() -> None:
    finding, _ = probe_site(PARKED)
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.PARKED)
    assert finding.detail == "reads like parked; its name server is ns1.sedoparking.com"
    assert finding.facts["service"] == "Sedo"
    assert finding.facts["model_words"]


def test_suspicion_and_address_of_a_parking_service_are_an_absence() -> None:
    finding, _ = probe_site(ORDINARY | {ADDRESS: "91.195.240.12\n"})
    assert (finding.presence, finding.reason) == (Presence.ABSENT, Reason.PARKED)
    assert finding.detail.endswith("its address is 91.195.240.12")


@pytest.mark.parametrize("answers", [{}, {NS: ""}, {NS: "alive", ADDRESS: "alive"}])
def test_dns_without_an_answer_is_no_signal(answers: dict[str, str]) -> None:
    assert probe_site(answers)[0].presence is Presence.PRESENT


def test_honest_page_asks_the_dns_nothing() -> None:
    finding, questions = probe_site(PARKED, HOME)
    assert (finding.presence, questions) == (Presence.PRESENT, [])


def test_stated_parking_asks_the_dns_nothing() -> None:
    finding, questions = probe_site({}, "<title>annour.org is for sale</title>")
    assert (finding.reason, questions) == (Reason.PARKED, [])


def test_similar_name_is_no_name_server_of_the_service() -> None:
    answers = ORDINARY | {NS: "ns1.notsedoparking.com\nsedoparking.com.annour.org\n"}
    assert probe_site(answers)[0].presence is Presence.PRESENT


def test_site_without_www_counts_if_only_www_is_suspicious() -> None:
    finding, _ = probe_site(PARKED | {URL: HOME}, link="https://www.annour.org/")
    assert finding.presence is Presence.PRESENT


def test_dns_is_asked_about_the_domain_of_the_link_too() -> None:
    hops = (Hop(URL, 302), Hop("https://lander.com/annour.org", 200))
    finding, questions = probe_site(
        {"dns:lander.com?type=NS": "ns1.domaincontrol.com", **PARKED}, hops=hops
    )
    assert finding.reason is Reason.PARKED
    assert questions[0] == NS


@pytest.mark.parametrize("link", ["https://annour.wordpress.com/", "http://192.0.2.7/"])
def test_host_without_an_own_domain_asks_nothing(link: str) -> None:
    assert probe_site({}, link=link)[1] == []


def test_domain_in_arabic_is_asked_in_ascii() -> None:
    _, questions = probe_site({}, LISTINGS.replace("annour.org", "نور.com"), "https://نور.com/")
    assert questions[0] == "dns:xn--wgb5bg.com?type=NS"


def test_verified_certificate_of_a_parking_service_is_a_signal() -> None:
    names = ("*.sedoparking.com", "annour.org")
    finding, questions = probe_site(ORDINARY, certificate_names=names)
    assert (finding.reason, questions) == (Reason.PARKED, [])
    assert finding.detail.endswith("its certificate is also for *.sedoparking.com")
    assert probe_site(ORDINARY, HOME, certificate_names=names)[0].presence is Presence.PRESENT


def test_invalid_certificate_is_unknown_and_names_its_hosts() -> None:
    names = ("*.sedoparking.com", "b.example", "c.example", "d.example")

    def respond(request: PageRequest) -> Page | FetchError:
        if not request.insecure:
            return FetchError(Reason.TLS, "wrong_host", url=request.url)
        return build_page(request.url, LISTINGS, insecure=True, certificate_names=names)

    account = Account("annour", URL, identify.identify_link(URL))
    finding = run_offline(website.probe(account), respond).finding
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.TLS)
    assert finding.detail == (
        "answers 200 without a valid certificate; "
        "the certificate is for *.sedoparking.com, b.example, c.example and others"
    )


# The table of parking services


def test_each_service_has_a_source_and_names_domains() -> None:
    path = resources.files("probes.classify").joinpath("fingerprints", "name_servers.toml")
    entries = tomllib.loads(path.read_text("utf-8"))["parking_services"]
    for entry in entries:
        assert entry["source"], entry["name"]
        assert isinstance(entry["date"], date), entry["name"]
        for name in (*entry["name_servers"], *entry.get("certificate_names", ())):
            assert get_registrable_domain(name) == name, entry["name"]
        for network in entry.get("addresses", ()):
            assert ip_network(network).is_global, entry["name"]
    assert len({service["name"] for service in load_parking_services()}) == len(entries)


@pytest.mark.parametrize(
    "domain",
    ["domaincontrol.com", "registrar-servers.com", "dns-parking.com", "cloudflare.com", "ovh.net"],
)
def test_name_servers_of_ordinary_sites_are_not_listed(domain: str) -> None:
    listed = {name for service in load_parking_services() for name in service["name_servers"]}
    assert domain not in listed


def test_address_of_a_dns_question_can_be_parsed() -> None:
    question = DNS_URL_PATTERN.fullmatch("dns:annour.org?type=NS")
    assert question is not None
    assert question.groups() == ("annour.org", "NS")
    assert DNS_URL_PATTERN.fullmatch("https://annour.org/?type=NS") is None
