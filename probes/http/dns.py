"""Look names up without a thread that a dead name server could hold: c-ares, two tries of a second.

`getaddrinfo` cannot be cancelled: fifty names whose server is silent block every other look-up of the
process for 18 seconds (measured 2026-11), so it is never used here.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from ipaddress import ip_address

import aiodns
from aiodns.error import ARES_ENODATA, ARES_ENOTFOUND, ARES_ETIMEOUT, DNSError

from probes.models.finding import Reason
from probes.models.http import NoPage

TRIES = 2
SURE = "com"  # a name that exists as long as the web does; it has no address of its own
MOST_ADDRESSES = 16  # of one kind; a real host has a handful


class Names:
    """The resolver of one run. `timeout` is for one try, in seconds."""

    def __init__(self, nameservers: Sequence[str] = (), timeout: float = 1.0) -> None:
        self._nameservers = list(nameservers)
        self._timeout = timeout
        self._resolver: aiodns.DNSResolver | None = None
        self._honest: bool | None = None

    async def addresses(self, host: str) -> list[str]:
        """The addresses of the host, IPv4 first.

        Raises NoPage: `no_such_host` only where the server says that the name does not exist (to both
        questions) and does not say so of every name, else `timeout` or `network`.
        """
        try:
            return [str(ip_address(host))]
        except ValueError:
            pass
        four, six = await asyncio.gather(self._ask(host, "A"), self._ask(host, "AAAA"))
        found = [answer for answer in (four, six) if isinstance(answer, list)]
        addresses = [address for answer in found for address in answer]
        if addresses:
            return addresses
        trouble = _trouble([answer for answer in (four, six) if isinstance(answer, int)])
        if trouble.reason is Reason.NO_SUCH_HOST and not await self._is_honest():
            raise NoPage(Reason.NETWORK, "the name server knows no names at all")
        raise trouble

    async def _is_honest(self) -> bool:
        """Whether the name server knows a name that exists: behind a closed network some deny them all."""
        if self._honest is None:
            known = await self._ask(SURE, "A")
            self._honest = isinstance(known, list) or known == ARES_ENODATA
        return self._honest

    async def _ask(self, host: str, kind: str) -> list[str] | int:
        """The addresses of one kind, or c-ares' number for why there are none."""
        if self._resolver is None:
            self._resolver = aiodns.DNSResolver(
                nameservers=self._nameservers or None, timeout=self._timeout, tries=TRIES
            )
        try:
            async with asyncio.timeout(self._timeout * TRIES):
                answer = await self._resolver.query_dns(host, kind)
        except DNSError as error:
            return int(error.args[0])
        except TimeoutError:
            return int(ARES_ETIMEOUT)
        texts = [getattr(record.data, "addr", None) for record in answer.answer]
        return [text for text in texts if isinstance(text, str)][:MOST_ADDRESSES]

    async def close(self) -> None:
        """Stop the resolver's thread."""
        if self._resolver is not None:
            await self._resolver.close()
            self._resolver = None


def _trouble(codes: list[int]) -> NoPage:
    if codes == [ARES_ENOTFOUND, ARES_ENOTFOUND]:
        return NoPage(Reason.NO_SUCH_HOST, "the name does not exist")
    if ARES_ETIMEOUT in codes:
        return NoPage(Reason.TIMEOUT, "dns")
    if all(code == ARES_ENODATA for code in codes):
        return NoPage(Reason.NETWORK, "the name has no address")
    return NoPage(Reason.NETWORK, "dns")
