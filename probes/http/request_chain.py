"""Sends single requests of a redirect chain."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import cast

import httpx

from probes.http.connection import BodyDecoder
from probes.http.dialer import map_proxy_error
from probes.http.errors import NETWORK_ERRORS, map_network_error
from probes.http.pool import ConnectionPool
from probes.http.settings import FetchOptions
from probes.http.ssrf_guard import SsrfGuard
from probes.models.finding import Reason
from probes.models.http import CacheValidators, FetchError, Hop, Page

DEFAULT_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5",
    "Accept-Encoding": "gzip, deflate",  # codings that BodyDecoder supports
}
EMPTY_BODY = httpx.ByteStream(b"")
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
MAX_HEADER_CHARS = 4096
"""Characters of the value of a header that are kept."""
MAX_HEADERS = 200
"""Headers of a response that are kept."""
# A redirect loop at a login page waits for a cookie, and none is sent.
_LOGIN_PATH = re.compile(r"(?i)/(log_?in|sign_?in|checkpoint|authwall)\b")


@dataclass(slots=True)
class RedirectChain:
    """One attempt to fetch a page: the current URL, the hops so far and their network time."""

    url: httpx.URL
    headers: Mapping[str, str]
    insecure: bool
    max_bytes: int
    is_api_call: bool = False
    validators: CacheValidators | None = None
    hops: list[Hop] = field(default_factory=list)
    visited_urls: set[str] = field(default_factory=set)
    elapsed_seconds: float = 0.0


class RequestSender:
    """Sends the current request of a chain and returns the page or moves the chain to a redirect.

    `get_time` dates the pages.
    """

    def __init__(
        self,
        options: FetchOptions,
        guard: SsrfGuard,
        pool: ConnectionPool,
        get_time: Callable[[], datetime],
    ) -> None:
        self._options = options
        self._guard = guard
        self._pool = pool
        self._get_time = get_time
        self._headers = _encode_headers(
            {"User-Agent": options.effective_user_agent, **DEFAULT_HEADERS}
        )

    async def send(self, chain: RedirectChain) -> Page | None:
        """Send a request. Returns the page, or None after moving the chain to a redirect.

        Raises FetchError and the errors in `NETWORK_ERRORS`.
        """
        timeout = {"connect": self._options.connect_timeout}
        extensions = {"timeout": timeout, "insecure": chain.insecure}
        # A stream and headers as bytes save two thirds of the time httpx takes to create a request.
        headers = [
            (b"Host", chain.url.netloc),
            *self._headers,
            *_encode_headers(_build_conditional_headers(chain)),
        ]
        request = httpx.Request(
            "GET", chain.url, headers=headers, extensions=extensions, stream=EMPTY_BODY
        )
        if chain.headers:
            request.headers.update(chain.headers)
        response = await self._pool.handle_async_request(request)
        try:
            return await self._read_response(chain, response)
        finally:
            await response.aclose()

    async def _read_response(self, chain: RedirectChain, response: httpx.Response) -> Page | None:
        if self._is_proxy_error(chain, response):
            raise map_proxy_error(response.headers)
        chain.hops.append(Hop(str(chain.url), response.status_code))
        if response.status_code in REDIRECT_STATUSES and (
            location := (response.headers.get_list("location") or [""])[0].strip()
        ):
            self.move_to_redirect(chain, location)
            return None
        body = await self._read_body(chain, response)
        return Page(
            url=str(chain.url),
            status=response.status_code,
            headers=_collect_headers(response),
            body=bytes(body.data),
            digest=sha256(body.data).hexdigest(),
            fetched_at=self._get_time(),
            hops=tuple(chain.hops),
            truncated=body.truncated,
            certificate_expires=response.extensions["network_stream"].certificate_expires,
            certificate_names=response.extensions["network_stream"].certificate_names,
            insecure=chain.insecure,
        )

    def _is_proxy_error(self, chain: RedirectChain, response: httpx.Response) -> bool:
        """Return True if the response is an error of the proxy. Only plain HTTP shows it here."""
        if self._options.proxy is None or chain.url.scheme != "http":
            return False
        has_proxy_error = "error=" in response.headers.get("proxy-status", "")
        is_gateway_error = response.status_code in {502, 504}
        return response.status_code == 407 or (is_gateway_error and has_proxy_error)

    async def _read_body(self, chain: RedirectChain, response: httpx.Response) -> BodyDecoder:
        status = response.status_code
        try:
            body = BodyDecoder(response.headers.get("content-encoding", ""), chain.max_bytes)
            async for chunk in cast("httpx.AsyncByteStream", response.stream):
                body.feed(chunk)
                if body.is_full:
                    break
        except NETWORK_ERRORS as error:
            raise map_network_error(error, status=status) from error
        except FetchError as error:
            error.status = status
            raise
        return body

    def move_to_redirect(self, chain: RedirectChain, location: str) -> None:
        """Move the chain to a redirect target. Raises FetchError.

        The headers of the request, which may contain a key, are not sent to another host.
        """
        previous_url = chain.url
        if re.search(r"[\\\x00-\x1f\x7f]", location):
            raise FetchError(Reason.UNSAFE_ADDRESS, "redirect", url=location[:MAX_HEADER_CHARS])
        try:
            target = str(previous_url.join(location).copy_with(fragment=None))
        except (httpx.InvalidURL, ValueError) as error:
            raise FetchError(
                Reason.UNSAFE_ADDRESS, "redirect", url=location[:MAX_HEADER_CHARS]
            ) from error
        chain.url = self._guard.check_url(target)
        if str(chain.url) in chain.visited_urls or len(chain.hops) > self._options.max_redirects:
            reason = (
                Reason.LOGIN_WALL if _LOGIN_PATH.search(chain.url.path) else Reason.SERVER_ERROR
            )
            raise FetchError(
                reason, "redirects", status=chain.hops[-1].status if chain.hops else None
            )
        if (chain.url.scheme, chain.url.raw_host) != (previous_url.scheme, previous_url.raw_host):
            chain.headers, chain.is_api_call = {}, False


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Encode headers in ASCII, as httpx does."""
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _build_conditional_headers(chain: RedirectChain) -> dict[str, str]:
    """Return the headers of a conditional request, if the validators belong to the current URL."""
    validators = chain.validators
    headers: dict[str, str] = {}
    if validators is None or validators.url != str(chain.url):
        return headers
    if _is_sendable(validators.etag):
        headers["If-None-Match"] = validators.etag
    if _is_sendable(validators.last_modified):
        headers["If-Modified-Since"] = validators.last_modified
    return headers


def _is_sendable(value: str) -> bool:
    """Return True if a received header can be sent back: printable ASCII, whole and not empty."""
    return value.isascii() and value.isprintable() and 0 < len(value) < MAX_HEADER_CHARS


def _collect_headers(response: httpx.Response) -> dict[str, str]:
    """Return the headers with lower-case names, limited in number and length."""
    items = list(response.headers.items())[:MAX_HEADERS]
    return {name: value[:MAX_HEADER_CHARS] for name, value in items}
