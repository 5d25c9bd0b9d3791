"""A second SSRF implementation (ssrfguard) to compare with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
from ssrfguard import Policy, SSRFGuardError
from ssrfguard.httpx import AsyncClient
from ssrfguard.resolvers import UdpResolver

from probes.http.ssrf_guard import ALLOWED_PORTS


@asynccontextmanager
async def opinion(nameserver: str) -> AsyncIterator[Callable[[str], Awaitable[str]]]:
    """Yield a function that fetches a URL with a new ssrfguard client, our DNS and ports."""
    host, _, port = nameserver.rpartition(":")
    resolver = UdpResolver(nameservers=(host,), nameserver_port=int(port))
    context = httpx.create_ssl_context(trust_env=False)

    async def ask(url: str) -> str:
        policy = Policy(allowed_ports=ALLOWED_PORTS)
        options = {"follow_redirects": True, "trust_env": False, "verify": context}
        async with AsyncClient(policy=policy, resolver=resolver, **options) as client:
            try:
                return str((await client.get(url)).status_code)
            except SSRFGuardError:
                return "refused"
            except (httpx.InvalidURL, httpx.UnsupportedProtocol):
                return "no address"
            except (httpx.HTTPError, OSError) as error:
                return f"trouble {type(error).__name__}"

    yield ask
