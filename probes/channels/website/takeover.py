"""Signals that a domain is parked or was taken over, apart from the words of its page.

A suspicion is a page that reads like a parked one without saying so. The name servers of its
domain, its address and its certificate can confirm it. `name_servers.toml` lists the parking
services to which they belong. The DNS is only asked about a suspicion.

A domain that was taken over is detected by a comparison with the past of the site. No single signal
is enough. A redesign, a new publishing system, a new language, a merger or a new name changes some
of them. A buyer of a lapsed domain changes the language, the name and more at once.
"""

from collections.abc import Generator, Iterable, Mapping
from functools import cache
from importlib import resources
from ipaddress import IPv4Address, IPv4Network
from itertools import product
from typing import Any
from urllib.parse import unquote

import tomli

from probes.channels.website import site_names
from probes.channels.website.page_analysis import SiteAnalysis
from probes.classify.classifier import PageVerdict
from probes.links import domains
from probes.models.finding import Account, FactValue, Finding, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import absent_finding, request_page
from probes.parsing import html
from probes.parsing.html import get_host
from probes.text import language

SiteHistory = Mapping[str, str]
"""A site's title and name, language, publishing system and tracking id in an earlier run."""
_HISTORY_FIELDS = ("title", "language", "platform", "tracking_id")


def build_site_facts(site: SiteAnalysis) -> dict[str, FactValue]:
    """Return the facts by which later runs recognize the site: `title`, `language` and so on."""
    values = {name: getattr(site, name) for name in _HISTORY_FIELDS}
    return {name: value for name, value in values.items() if value}


def get_site_history(known_finding: Finding | None) -> SiteHistory | None:
    """Return the site's past from its last decided finding, or None if it was never seen working.

    A finding with `past_…` facts passes on the past that it was compared with. The title of any
    other one gets the name of the site, because either may change alone.
    """
    if known_finding is None:
        return None
    facts, site_name = known_finding.facts, known_finding.name or ""
    if "past_title" in facts:
        return {name: str(facts.get(f"past_{name}", "")) for name in _HISTORY_FIELDS}
    if known_finding.presence is Presence.ABSENT:
        return None
    history = {name: str(facts.get(name, "")) for name in _HISTORY_FIELDS}
    if site_name not in history["title"]:
        history["title"] += f" · {site_name}"
    return history


def build_history_facts(history: SiteHistory | None) -> dict[str, FactValue]:
    """Return the past as `past_…` facts, for the next run to compare with."""
    rows = history.items() if history else ()
    return {f"past_{name}": value for name, value in rows if value or name == "title"}


def is_foreign_to_history(
    history: SiteHistory | None, site: SiteAnalysis, account: Account
) -> bool:
    """Return whether the site changed to a foreign language and a title unlike its past.

    The title is compared with the earlier one and with the registered address. A title without a
    distinctive word, such as "Home", shows no change.
    """
    if (
        history is None
        or history["language"] not in language.NETWORK_LANGUAGES
        or not site.is_foreign_language
    ):
        return False
    registered = unquote(account.identity.url or account.identity.canonical or "").replace(".", " ")
    known_names = f"{history['title']} {registered}"
    has_name = bool(site_names.extract_name_tokens(site.title))
    return has_name and not site_names.is_similar_name(site.title, known_names)


def detect_ownership_change(
    history: SiteHistory, page: Page, site: SiteAnalysis, account: Account
) -> Finding | None:
    """Return an absence if a site that is foreign to its past shows one more strong signal.

    Signals are words of spam, a way to another site, hidden links, and another publishing system
    on a site that shares nothing else with its past. Without any, return None.
    """
    registered_host = html.get_host(account.identity.url or page.url)
    is_own_domain = domains.is_same_domain(html.get_host(page.url), registered_host)
    # A site of several pages that shares neither tracking id nor name with its past.
    has_same_tracking_id = history["tracking_id"] and history["tracking_id"] == site.tracking_id
    names = str(site.facts.get("site_names", ""))
    has_same_name = site_names.is_similar_name(names, history["title"])
    is_other_site = site.has_navigation and not (has_same_tracking_id or has_same_name)
    has_other_platform = history["platform"] not in ("", site.platform)
    signs = {
        "leads to another site": site.redirects_to_other_site or not is_own_domain,
        "hides links": site.hides_links,
        f"no longer made with {history['platform']}": is_other_site and has_other_platform,
    }
    signals = [*site.spam_words[:3], *(sign for sign, is_seen in signs.items() if is_seen)]
    if not signals:
        return None
    earlier = f"was “{history['title'][:60]}” ({history['language']})"
    detail = f"{', '.join(signals)}; {earlier}, is {site.language}"
    return absent_finding(page, Reason.HIJACKED, detail=detail)


ParkingSignal = tuple[str, str]
"""The parking service that a sign apart from the words of a page names, and the sign."""

DOUBTFUL_REASONS = frozenset({Reason.PARKED, Reason.SUSPENDED, Reason.DEFAULT_PAGE})
"""The suspicions that a parking service can confirm. Pages of these kinds look alike."""
MAX_NAMED_HOSTS = 3
"""Names of a certificate that a finding lists."""


@cache
def load_parking_services() -> list[Mapping[str, Any]]:
    """Return the parking services: their name, their name servers, certificates and addresses."""
    path = resources.files("probes.classify").joinpath("fingerprints", "name_servers.toml")
    services: list[Mapping[str, Any]] = tomli.loads(path.read_text("utf-8"))["parking_services"]
    return services


def confirm_suspicion(
    page: Page, suspicion: PageVerdict | None
) -> Generator[PageRequest, Page, PageVerdict | None]:
    """Return the proof that a suspicious page is no site, or None without a signal.

    A signal of a parking service shows that the page is parked. Makes no request if there is no
    suspicion.
    """
    if suspicion is None or suspicion.reason not in DOUBTFUL_REASONS or page.insecure:
        return None
    signal = _read_certificate(page) or (yield from _query_dns(page))
    if signal is None:
        return None
    service, statement = signal
    proof = f"{suspicion.proof}; {statement}"
    return PageVerdict(Reason.PARKED, proof, service, suspicion.model_words)


def _read_certificate(page: Page) -> ParkingSignal | None:
    """Return the parking service that one of the certificate's names belongs to, or None."""
    for name, service in product(page.certificate_names, load_parking_services()):
        domains_of_service = (*service["name_servers"], *service.get("certificate_names", ()))
        if domains.is_in_domains(name, domains_of_service):
            return service["name"], f"its certificate is also for {name}"
    return None


def _query_dns(page: Page) -> Generator[PageRequest, Page, ParkingSignal | None]:
    """Ask the DNS about the domain of the link and that of the page, which may be the same.

    Return the parking service that a name server or an address belongs to, or None. A question
    without an answer is no signal.
    """
    first_url = page.hops[0].url if page.hops else page.url
    hosts = map(get_host, (first_url, page.url))
    names = dict.fromkeys(map(domains.get_own_domain, hosts))
    for name in filter(None, map(domains.encode_domain, names)):
        for record_type, statement in (("NS", "its name server is"), ("A", "its address is")):
            try:
                _, records = yield from request_page(
                    f"{domains.DNS_SCHEME}{name}?type={record_type}", parse_records
                )
            except FetchError:
                continue
            for record, service in product(records, load_parking_services()):
                if record_type == "NS":
                    is_of_service = domains.is_in_domains(record, service["name_servers"])
                else:
                    is_of_service = _is_in_networks(record, service.get("addresses", ()))
                if is_of_service:
                    return service["name"], f"{statement} {record}"
    return None


def parse_records(page: Page) -> list[str]:
    """Return the records of the answer to a DNS question."""
    return page.body.decode("utf-8", "replace").split()


def _is_in_networks(record: str, networks: Iterable[str]) -> bool:
    try:
        address = IPv4Address(record)
    except ValueError:
        return False
    return any(address in IPv4Network(network) for network in networks)


def describe_certificate(page: Page) -> str:
    """Return for which names the certificate of a page is, or "" if it names none."""
    if not page.certificate_names:
        return ""
    names = ", ".join(page.certificate_names[:MAX_NAMED_HOSTS])
    if len(page.certificate_names) > MAX_NAMED_HOSTS:
        names += " and others"
    return f"the certificate is for {names}"
