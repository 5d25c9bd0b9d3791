"""Signals of parking that do not depend on the words of a page.

A suspicion is a page that reads like a parked one without saying so. The name servers of its
domain, its address and its certificate can confirm it. `name_servers.toml` lists the parking
services to which they belong. The DNS is only asked about a suspicion.
"""

from collections.abc import Generator
from dataclasses import dataclass
from functools import cache
from importlib import resources
from ipaddress import IPv4Address, IPv4Network
from itertools import product
from typing import NamedTuple

import tomli

from probes.classify.classifier import PageVerdict
from probes.models.finding import Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import request_page
from probes.parsing.html import get_host
from probes.urls import domains

SignalGenerator = Generator[PageRequest, Page, "ParkingSignal | None"]

DOUBTFUL_REASONS = frozenset({Reason.PARKED, Reason.SUSPENDED, Reason.DEFAULT_PAGE})
"""Suspicions that a parking service can confirm. Pages of these kinds look alike."""
MAX_NAMED_HOSTS = 3
"""Names of a certificate that a finding lists."""


@dataclass(frozen=True, slots=True)
class ParkingService:
    """A parking service: domains of its name servers and certificates, networks of its pages."""

    name: str
    name_servers: tuple[str, ...]
    certificate_names: tuple[str, ...] = ()
    addresses: tuple[IPv4Network, ...] = ()


@cache
def load_parking_services() -> tuple[ParkingService, ...]:
    """Load the table of the package."""
    path = resources.files("probes.classify").joinpath("fingerprints", "name_servers.toml")
    return tuple(
        ParkingService(
            entry["name"],
            tuple(entry["name_servers"]),
            tuple(entry.get("certificate_names", ())),
            tuple(map(IPv4Network, entry.get("addresses", ()))),
        )
        for entry in tomli.loads(path.read_text("utf-8"))["parking_services"]
    )


class ParkingSignal(NamedTuple):
    """A sign of parking other than the words of a page, and the parking service that it names."""

    service: str
    statement: str


def confirm_suspicion(
    page: Page, suspicion: PageVerdict | None
) -> Generator[PageRequest, Page, PageVerdict | None]:
    """Return the proof that a suspicious page is no site, or None without a signal.

    A signal of a parking service shows that the page is parked. Makes no request if there is no
    suspicion.
    """
    if suspicion is None or suspicion.reason not in DOUBTFUL_REASONS or page.insecure:
        return None
    signal = _read_certificate(page) or (yield from _ask_dns(page))
    if signal is None:
        return None
    proof = f"{suspicion.proof}; {signal.statement}"
    return PageVerdict(Reason.PARKED, proof, signal.service, suspicion.model_words)


def _read_certificate(page: Page) -> ParkingSignal | None:
    for name in page.certificate_names:
        for service in load_parking_services():
            if _is_in_domains(name, (*service.name_servers, *service.certificate_names)):
                return ParkingSignal(service.name, f"its certificate is also for {name}")
    return None


def _ask_dns(page: Page) -> SignalGenerator:
    """Ask the DNS about the domain of the link and that of the page, which may be the same."""
    first_url = page.hops[0].url if page.hops else page.url
    hosts = map(get_host, (first_url, page.url))
    names = dict.fromkeys(map(domains.get_own_domain, hosts))
    for name in filter(None, map(domains.encode_domain, names)):
        for record_type, statement in (("NS", "its name server is"), ("A", "its address is")):
            records = yield from _request_records(name, record_type)
            for record, service in product(records, load_parking_services()):
                is_of_service = (
                    _is_in_domains(record, service.name_servers)
                    if record_type == "NS"
                    else _is_in_networks(record, service.addresses)
                )
                if is_of_service:
                    return ParkingSignal(service.name, f"{statement} {record}")
    return None


def _request_records(domain: str, record_type: str) -> Generator[PageRequest, Page, list[str]]:
    """Return the records of a domain. A failure is no signal."""
    question = domains.DnsQuestion(domain, record_type)
    try:
        _, records = yield from request_page(question.url, parse_records)
    except FetchError:
        return []
    return records


def parse_records(page: Page) -> list[str]:
    """Return the records of the answer to a DNS question."""
    return page.body.decode("utf-8", "replace").split()


def _is_in_domains(name: str, services: tuple[str, ...]) -> bool:
    return any(f".{name}".endswith(f".{service}") for service in services)


def _is_in_networks(record: str, networks: tuple[IPv4Network, ...]) -> bool:
    try:
        address = IPv4Address(record)
    except ValueError:
        return False
    return any(address in network for network in networks)


def describe_certificate(page: Page) -> str:
    """Return for which names the certificate of a page is, or "" if it names none."""
    if not page.certificate_names:
        return ""
    names = ", ".join(page.certificate_names[:MAX_NAMED_HOSTS])
    if len(page.certificate_names) > MAX_NAMED_HOSTS:
        names += " and others"
    return f"the certificate is for {names}"
