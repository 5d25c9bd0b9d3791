"""One request and its answer: the body capped, a redirect not followed but taken note of.

Trying again where that may help, by tenacity. The first try goes without it: it is nearly always the last.

Its turn of a try, with what it looks up about each callback, costs a tenth of a request (measured 2026-11).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from typing import Any, cast

import httpx
from tenacity import AsyncRetrying, RetryCallState, stop_after_attempt

from probes.http.connection import BodyDecoder
from probes.http.dialer import map_proxy_error
from probes.http.errors import NETWORK_ERRORS, map_network_error
from probes.http.pool import ConnectionPool
from probes.http.settings import FetchOptions
from probes.http.ssrf_guard import SsrfGuard
from probes.models.finding import Reason
from probes.models.http import CacheValidators, FetchError, Hop, Page
from probes.text.lazy_regex import lazy_regex

DEFAULT_HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5",
    "Accept-Encoding": "gzip, deflate",  # the codings that probes.http.connection can unpack in small steps
}
EMPTY_BODY = httpx.ByteStream(b"")
REDIRECT_STATUSES = frozenset({301, 302, 303, 307, 308})
MAX_HEADER_CHARS = 4096
MAX_HEADERS = 200
_LOGIN_PATH = lazy_regex(
    r"(?i)/(log_?in|sign_?in|checkpoint|authwall)\b"
)  # it wants a cookie, and we send none


@dataclass(slots=True)
class RedirectChain:
    """One try at an ask: the hops so far, and the network time they took. `call` is one to an interface."""

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
    """Sends the request a chain has come to, and brings back the page, or moves the chain on.

    `time` dates the pages.
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
        """The page, or None where the answer was a redirect: the chain has moved on.

        Raises NoPage, and what `NETWORK_ERRORS` names.
        """
        timeout = {"connect": self._options.connect_timeout}
        extensions = {"timeout": timeout, "insecure": chain.insecure}
        # With a stream httpx looks for no body to send; that and bytes make a request at a third of the cost.
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
            location := _get_redirect_location(response)
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
            insecure=chain.insecure,
        )

    def _is_proxy_error(self, chain: RedirectChain, response: httpx.Response) -> bool:
        """Whether the proxy itself says that it could not reach the host (only plain HTTP shows it here)."""
        if self._options.proxy is None or chain.url.scheme != "http":
            return False
        unreached = "error=" in response.headers.get("proxy-status", "")
        return response.status_code == 407 or (response.status_code in {502, 504} and unreached)

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
        except FetchError as none:
            none.status = status
            raise
        return body

    def move_to_redirect(self, chain: RedirectChain, location: str) -> None:
        """Move the chain to where it is sent. Headers of the ask (a key, perhaps) stay with its host."""
        before = chain.url
        if re.search(r"[\\\x00-\x1f\x7f]", location):
            raise FetchError(Reason.UNSAFE_ADDRESS, "redirect", url=location[:MAX_HEADER_CHARS])
        try:
            target = str(before.join(location).copy_with(fragment=None))
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
        if (chain.url.scheme, chain.url.raw_host) != (before.scheme, before.raw_host):
            chain.headers, chain.is_api_call = {}, False


def _encode_headers(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as httpx sends them: in ASCII."""
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _get_redirect_location(response: httpx.Response) -> str:
    """Where an answer sends on: the first place that it names."""
    return (response.headers.get_list("location") or [""])[0].strip()


def _build_conditional_headers(chain: RedirectChain) -> dict[str, str]:
    """What asks the server to say only that nothing changed, at the address that once gave the answer."""
    before = chain.validators
    if before is None or before.url != str(chain.url):
        return {}
    told = {"If-None-Match": before.etag, "If-Modified-Since": before.last_modified}
    return {name: value for name, value in told.items() if value and _is_sendable(value)}


def _is_sendable(value: str) -> bool:
    """Whether a header that came can go back as it was: none of it cut, and in ASCII as httpx sends it."""
    return value.isascii() and value.isprintable() and len(value) < MAX_HEADER_CHARS


def _collect_headers(response: httpx.Response) -> dict[str, str]:
    """Lower-case names; of a flood, what a reader of evidence needs."""
    items = list(response.headers.items())[:MAX_HEADERS]
    return {name: value[:MAX_HEADER_CHARS] for name, value in items}


FetchAttempt = Callable[[], Awaitable[Page]]


async def fetch_with_retries(
    attempt: FetchAttempt,
    is_final: Callable[[Page | FetchError], bool],
    should_retry: Callable[[RetryCallState], Any],
    *,
    max_attempts: int,
    wait: Callable[[RetryCallState], float],
    sleep: Callable[[float], Awaitable[None]],
) -> Page:
    """What the last of at most so many tries gets. Raises NoPage.

    `worth_another` is asked after each, the first too, unless `is_final` says that nothing can come of it.
    """
    try:
        page = await attempt()
    except FetchError as none:
        if is_final(none):
            raise
        tries = _replay_first_outcome(none, attempt)
    else:
        if is_final(page):
            return page
        tries = _replay_first_outcome(page, attempt)
    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop_after_attempt(max_attempts),
        wait=wait,
        retry=should_retry,
        retry_error_callback=_get_last_outcome,
    )
    return cast("Page", await retrying(tries))


def get_attempt_outcome(state: RetryCallState) -> Page | FetchError:
    """What a try got. A bug is raised."""
    assert state.outcome is not None
    error = state.outcome.exception()
    return error if isinstance(error, FetchError) else cast("Page", state.outcome.result())


def _replay_first_outcome(first_outcome: Page | FetchError, attempt: FetchAttempt) -> FetchAttempt:
    """Tries one after the other, of which the first was made already."""
    made = [first_outcome]

    async def one() -> Page:
        got = made.pop() if made else await attempt()
        if isinstance(got, FetchError):
            raise got
        return got

    return one


def _get_last_outcome(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()
