"""Answers on how many unrelated domains of the network a page was stored, from the database.

A probe asks about a suspicious page with the address `body:sha256-…`. The answer is a page with a
number, so it is stored, shown and replayed like a page. Only results that were stored before the
run count. So the answer is the same for all workers and sessions of the run, in any order. See
docs/decisions/0036.
"""

import asyncio
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256

from probes.models.finding import EARLIEST_DATETIME, Reason
from probes.models.http import FetchError, Page, PageRequest, parse_body_url
from probes.parsing.html import get_host
from probes.runner.run import PageSource
from probes.urls.domains import get_own_domain
from storage.store import Store

DomainCounter = Callable[[str], int]
"""Returns on how many unrelated domains a body with a digest was stored. Raises StoreError."""

MAX_COUNTED_DOMAINS = 10
"""Larger numbers would change in many runs of a large network, and with them the evidence."""


@dataclass(slots=True)
class BodyAnsweringSource:
    """A source of pages for one check, which answers the questions about bodies itself.

    An answer has the time of the page before it. Without `count_domains`, it is an error.
    """

    source: PageSource
    count_domains: DomainCounter | None = None
    _last_fetched_at: datetime = field(default=EARLIEST_DATETIME, init=False)

    async def get(self, request: PageRequest) -> Page:
        """Return the page for a request. Raises FetchError, StoreError."""
        digest = parse_body_url(request.url)
        if digest is not None:
            return await self._answer(request.url, digest)
        page = await self.source.get(request)
        self._last_fetched_at = page.fetched_at
        return page

    async def _answer(self, url: str, digest: str) -> Page:
        if self.count_domains is None:
            raise FetchError(Reason.NOT_CONFIGURED, "there is no database", url=url)
        domain_count = await asyncio.to_thread(self.count_domains, digest)
        body = f"{domain_count}\n".encode()
        return Page(
            url,
            200,
            {"content-type": "text/plain; charset=utf-8"},
            body,
            self._last_fetched_at,
            digest=sha256(body).hexdigest(),
        )


def create_domain_counter(store: Store, before: datetime) -> DomainCounter:
    """Return the counter of a run that began at a time, or of a check at this time."""

    def count_domains(digest: str) -> int:
        return count_unrelated_domains(store.observations.list_pages_with_body(digest, before))

    return count_domains


def count_unrelated_domains(pages: Iterable[tuple[str, str]]) -> int:
    """Return a lower bound of the unrelated domains of pages, at most MAX_COUNTED_DOMAINS.

    `pages` are pairs of an association and an address. Each association counts with one domain, and
    each domain for one association. Names that a hosting platform gave away do not count.
    """
    associations: set[str] = set()
    counted_domains: set[str] = set()
    for association, url in sorted(pages):
        domain = get_own_domain(get_host(url))
        if domain and domain not in counted_domains and association not in associations:
            associations.add(association)
            counted_domains.add(domain)
    return min(len(counted_domains), MAX_COUNTED_DOMAINS)
