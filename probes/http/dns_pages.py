"""Answers to DNS questions as pages: `dns:example.org?type=NS` gives one name server a line.

A probe asks them like pages, so they are stored, shown and replayed like pages (RFC 4501 has the
addresses). Each question is asked once per run. No host waits for another one, because the name
servers that answer are the operator's own.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable
from datetime import datetime
from hashlib import sha256

from probes.http.ssrf_guard import DnsResolver
from probes.models.finding import Reason
from probes.models.http import FetchError, Page
from probes.urls.domains import parse_dns_url

PROXY_DETAIL = "no DNS question is asked behind a proxy"


class DnsPages:
    """The answers of a run. Behind a proxy none are asked, because it alone resolves names."""

    def __init__(
        self, resolver: DnsResolver, get_time: Callable[[], datetime], *, is_behind_proxy: bool
    ) -> None:
        self._resolver = resolver
        self._get_time = get_time
        self._is_behind_proxy = is_behind_proxy
        self._outcomes: dict[str, Page | FetchError] = {}
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    async def get(self, url: str) -> Page:
        """Return the answer to a question. It is empty if there are no such records.

        Raises FetchError if there is no answer, or the name does not exist.
        """
        async with self._locks[url]:
            if url not in self._outcomes:
                self._outcomes[url] = await self._ask(url)
        outcome = self._outcomes[url]
        if isinstance(outcome, FetchError):
            raise FetchError(outcome.reason, outcome.detail, url=url)
        return outcome

    async def _ask(self, url: str) -> Page | FetchError:
        if self._is_behind_proxy:
            return FetchError(Reason.NOT_CONFIGURED, PROXY_DETAIL)
        question = parse_dns_url(url)
        if question is None:
            return FetchError(Reason.UNSAFE_ADDRESS, "not a DNS question")
        try:
            records = await self._resolver.look_up(question.name, question.record_type)
        except FetchError as error:
            return error
        body = "".join(f"{record}\n" for record in records).encode()
        return Page(
            url,
            200,  # as in DNS over HTTPS (RFC 8484)
            {"content-type": "text/plain; charset=utf-8"},
            body,
            self._get_time(),
            digest=sha256(body).hexdigest(),
        )
