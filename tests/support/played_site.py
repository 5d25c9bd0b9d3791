"""A website that answers as a test says."""

from collections.abc import Callable
from datetime import UTC, datetime, timedelta

from probes.channels import website
from probes.links.identify import identify_link
from probes.models.finding import Account, Finding
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import HttpExchange, run_offline

NOW = datetime(2026, 11, 20, 3, tzinfo=UTC)
URL = "https://annour.example/"
TEXT = "L'association accompagne les familles du quartier depuis des années. " * 4
HOME = (
    f"<html lang='fr'><head><title>Annour</title></head><body><h1>Annour</h1><p>{TEXT}</p>"
    "</body></html>"
)
Web = Callable[[PageRequest], Page | FetchError]


def probe_site(
    web: Web, link: str = URL, previous: Finding | None = None
) -> tuple[Finding, tuple[HttpExchange, ...]]:
    """Return the finding about a site and what was requested for it."""
    account = Account("annour", link, identify_link(link), previous)
    result = run_offline(website.probe(account), web)
    return result.finding, result.exchanges


def site_page(
    url: str, body: str = HOME, status: int = 200, final_url: str = "", day: int = 0, **more: object
) -> Page:
    """Return a page of a site, that redirected to another address if `final_url` is one."""
    hops = (Hop(url, 301),) if final_url not in {"", url} else ()
    final_url = final_url or url
    hops = (*hops, Hop(final_url, status))
    headers = {"content-type": "text/html"}
    came = NOW + timedelta(days=day)
    return Page(final_url, status, headers, body.encode(), came, hops, **more)  # type: ignore[arg-type]
