"""DNS: the resolver of a run, and answers to DNS questions as pages.

Names are resolved with c-ares in two attempts. `getaddrinfo` is never used: it cannot be cancelled,
and fifty names with a silent name server block every other lookup of the process for 18 seconds
(measured 2026-11).

A probe asks questions to the DNS like pages, so the answers are stored, shown and replayed like
pages: `dns:example.org?type=NS` gives one name server a line (RFC 4501 has the addresses). No
host waits for another one, because the name servers that answer are the operator's own.
"""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from hashlib import sha256
from ipaddress import ip_address
from itertools import chain, islice

import aiodns
from aiodns.error import ARES_EBADRESP, ARES_ENODATA, ARES_ENOTFOUND, ARES_ETIMEOUT, DNSError

from probes.links.domains import DNS_URL_PATTERN
from probes.models.finding import Reason
from probes.models.http import FetchError, Page

DNS_ATTEMPTS = 2
RECORD_FIELDS = {"A": "addr", "AAAA": "addr", "NS": "nsdname"}
"""The field of a record's text by its type. An alias, which may precede the records, has none."""


class DnsResolver:
    """The DNS resolver of a run. `timeout` is for one attempt, in seconds."""

    def __init__(self, nameservers: Sequence[str] = (), timeout: float = 1.0) -> None:
        self._nameservers = list(nameservers)
        self._timeout = timeout
        self._resolver: aiodns.DNSResolver | None = None
        self._is_server_honest: bool | None = None

    async def resolve(self, host: str) -> list[str]:
        """Return the addresses of a host, IPv4 first.

        Raises FetchError `no_such_host` only if the name server denies the name for both record
        types and does not deny every name. Otherwise raises `timeout` or `network`.
        """
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        answers = await asyncio.gather(self._query(host, "A"), self._query(host, "AAAA"))
        lists = [answer for answer in answers if isinstance(answer, list)]
        if any(lists):
            return list(chain.from_iterable(lists))
        error = _map_dns_errors([answer for answer in answers if isinstance(answer, int)])
        if error.reason is Reason.NO_SUCH_HOST:
            if self._is_server_honest is None:  # some closed networks deny existing names
                # The name `com` always exists, and has no address.
                answer = await self._query("com", "A")
                self._is_server_honest = isinstance(answer, list) or answer == ARES_ENODATA
            if not self._is_server_honest:
                raise FetchError(Reason.NETWORK, "the name server denies every name")
        raise error

    async def _query(self, host: str, record_type: str) -> list[str] | int:
        """Return the addresses or name servers of a name, or the error code of c-ares.

        A malformed response makes c-ares close its connection, and all lookups that wait on it fail
        (1.34). So a lookup with such an error is repeated with a separate resolver.
        """
        if self._resolver is None:
            self._resolver = self._create_resolver()
        answer = await self._ask(self._resolver, host, record_type)
        if answer != ARES_EBADRESP:
            return answer
        async with self._create_resolver() as separate_resolver:
            return await self._ask(separate_resolver, host, record_type)

    def _create_resolver(self) -> aiodns.DNSResolver:
        return aiodns.DNSResolver(
            nameservers=self._nameservers or None, timeout=self._timeout, tries=DNS_ATTEMPTS
        )

    async def _ask(
        self, resolver: aiodns.DNSResolver, host: str, record_type: str
    ) -> list[str] | int:
        try:
            async with asyncio.timeout(self._timeout * DNS_ATTEMPTS):
                result = await resolver.query_dns(host, record_type)
        except DNSError as error:
            return int(error.args[0])
        except TimeoutError:
            return int(ARES_ETIMEOUT)
        field = RECORD_FIELDS[record_type]
        texts = (getattr(record.data, field, None) for record in result.answer)
        # records of each type that are read of a name
        return list(islice(filter(None, texts), 16))

    async def answer(self, url: str, now: datetime) -> Page:
        """Return the records of a name in alphabetical order as a page, empty if there are none.

        Raises FetchError if there is no answer, or the name does not exist.
        """
        question = DNS_URL_PATTERN.fullmatch(url)
        if question is None:
            raise FetchError(Reason.UNSAFE_ADDRESS, "not a DNS question", url=url)
        answer = await self._query(*question.groups())
        if isinstance(answer, int) and answer != ARES_ENODATA:
            error = _map_dns_errors([answer])
            raise FetchError(error.reason, error.detail, url=url)
        found = answer if isinstance(answer, list) else []
        records = sorted({record.lower().rstrip(".") for record in found})
        body = "\n".join([*records, ""]).encode()
        return Page(
            url,
            200,  # as in DNS over HTTPS (RFC 8484)
            {"content-type": "text/plain; charset=utf-8"},
            body,
            now,
            digest=sha256(body).hexdigest(),
        )

    async def close(self) -> None:
        """Stop the resolver's thread."""
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None


def _map_dns_errors(codes: list[int]) -> FetchError:
    """Return the error for the codes of c-ares for one name.

    A name does not exist only if the lookups of both record types say so.
    """
    if codes == [ARES_ENOTFOUND, ARES_ENOTFOUND]:
        return FetchError(Reason.NO_SUCH_HOST, "the name does not exist")
    if ARES_ETIMEOUT in codes:
        return FetchError(Reason.TIMEOUT, "dns")
    if set(codes) <= {ARES_ENODATA}:
        return FetchError(Reason.NETWORK, "the name has no address")
    return FetchError(Reason.NETWORK, "dns")
