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

from probes.http.connection import Body
from probes.http.dialer import proxy_trouble
from probes.http.errors import NETWORK_ERRORS, trouble
from probes.http.pool import Connections
from probes.http.settings import FetchOptions
from probes.http.ssrf_guard import Guard
from probes.models.finding import Reason
from probes.models.http import Hop, NoPage, Page, Validators
from probes.text.lazy_regex import pattern

HEADERS = {
    "Accept": "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5",
    "Accept-Encoding": "gzip, deflate",  # the codings that probes.http.connection can unpack in small steps
}
NOTHING = httpx.ByteStream(b"")
REDIRECTS = frozenset({301, 302, 303, 307, 308})
LONGEST_HEADER = 4096
MOST_HEADERS = 200
_LOGIN = pattern(r"(?i)/(log_?in|sign_?in|checkpoint|authwall)\b")  # it wants a cookie, and we send none


@dataclass(slots=True)
class Chain:
    """One try at an ask: the hops so far, and the network time they took. `call` is one to an interface."""

    url: httpx.URL
    headers: Mapping[str, str]
    insecure: bool
    cap: int
    call: bool = False
    validators: Validators | None = None
    hops: list[Hop] = field(default_factory=list)
    seen: set[str] = field(default_factory=set)
    seconds: float = 0.0


class Courier:
    """Sends the request a chain has come to, and brings back the page, or moves the chain on.

    `time` dates the pages.
    """

    def __init__(
        self, options: FetchOptions, guard: Guard, connections: Connections, time: Callable[[], datetime]
    ) -> None:
        self._options = options
        self._guard = guard
        self._connections = connections
        self._time = time
        self._headers = _raw({"User-Agent": options.agent, **HEADERS})

    async def send(self, chain: Chain) -> Page | None:
        """The page, or None where the answer was a redirect: the chain has moved on.

        Raises NoPage, and what `NETWORK_ERRORS` names.
        """
        timeout = {"connect": self._options.connect_timeout}
        extensions = {"timeout": timeout, "insecure": chain.insecure}
        # With a stream httpx looks for no body to send; that and bytes make a request at a third of the cost.
        headers = [(b"Host", chain.url.netloc), *self._headers, *_raw(_conditions(chain))]
        request = httpx.Request("GET", chain.url, headers=headers, extensions=extensions, stream=NOTHING)
        if chain.headers:
            request.headers.update(chain.headers)
        response = await self._connections.handle_async_request(request)
        try:
            return await self._read(chain, response)
        finally:
            await response.aclose()

    async def _read(self, chain: Chain, response: httpx.Response) -> Page | None:
        if self._from_proxy(chain, response):
            raise proxy_trouble(response.headers)
        chain.hops.append(Hop(str(chain.url), response.status_code))
        if response.status_code in REDIRECTS and (location := _location(response)):
            self.redirect(chain, location)
            return None
        body = await self._body(chain, response)
        return Page(
            url=str(chain.url),
            status=response.status_code,
            headers=_headers(response),
            body=bytes(body.data),
            digest=sha256(body.data).hexdigest(),
            fetched_at=self._time(),
            hops=tuple(chain.hops),
            truncated=body.truncated,
            certificate_expires=response.extensions["network_stream"].certificate_expires,
            insecure=chain.insecure,
        )

    def _from_proxy(self, chain: Chain, response: httpx.Response) -> bool:
        """Whether the proxy itself says that it could not reach the host (only plain HTTP shows it here)."""
        if self._options.proxy is None or chain.url.scheme != "http":
            return False
        unreached = "error=" in response.headers.get("proxy-status", "")
        return response.status_code == 407 or (response.status_code in {502, 504} and unreached)

    async def _body(self, chain: Chain, response: httpx.Response) -> Body:
        status = response.status_code
        try:
            body = Body(response.headers.get("content-encoding", ""), chain.cap)
            async for chunk in cast("httpx.AsyncByteStream", response.stream):
                body.feed(chunk)
                if body.full:
                    break
        except NETWORK_ERRORS as error:
            raise trouble(error, status=status) from error
        except NoPage as none:
            none.status = status
            raise
        return body

    def redirect(self, chain: Chain, location: str) -> None:
        """Move the chain to where it is sent. Headers of the ask (a key, perhaps) stay with its host."""
        before = chain.url
        if re.search(r"[\\\x00-\x1f\x7f]", location):
            raise NoPage(Reason.UNSAFE_ADDRESS, "redirect", url=location[:LONGEST_HEADER])
        try:
            target = str(before.join(location).copy_with(fragment=None))
        except (httpx.InvalidURL, ValueError) as error:
            raise NoPage(Reason.UNSAFE_ADDRESS, "redirect", url=location[:LONGEST_HEADER]) from error
        chain.url = self._guard.check_url(target)
        if str(chain.url) in chain.seen or len(chain.hops) > self._options.max_redirects:
            reason = Reason.LOGIN_WALL if _LOGIN.search(chain.url.path) else Reason.SERVER_ERROR
            raise NoPage(reason, "redirects", status=chain.hops[-1].status if chain.hops else None)
        if (chain.url.scheme, chain.url.raw_host) != (before.scheme, before.raw_host):
            chain.headers, chain.call = {}, False


def _raw(headers: Mapping[str, str]) -> list[tuple[bytes, bytes]]:
    """Headers as httpx sends them: in ASCII."""
    return [(name.encode("ascii"), value.encode("ascii")) for name, value in headers.items()]


def _location(response: httpx.Response) -> str:
    """Where an answer sends on: the first place that it names."""
    return (response.headers.get_list("location") or [""])[0].strip()


def _conditions(chain: Chain) -> dict[str, str]:
    """What asks the server to say only that nothing changed, at the address that once gave the answer."""
    before = chain.validators
    if before is None or before.url != str(chain.url):
        return {}
    told = {"If-None-Match": before.etag, "If-Modified-Since": before.modified}
    return {name: value for name, value in told.items() if value and _is_sendable(value)}


def _is_sendable(value: str) -> bool:
    """Whether a header that came can go back as it was: none of it cut, and in ASCII as httpx sends it."""
    return value.isascii() and value.isprintable() and len(value) < LONGEST_HEADER


def _headers(response: httpx.Response) -> dict[str, str]:
    """Lower-case names; of a flood, what a reader of evidence needs."""
    items = list(response.headers.items())[:MOST_HEADERS]
    return {name: value[:LONGEST_HEADER] for name, value in items}


Try = Callable[[], Awaitable[Page]]


async def persist(
    attempt: Try,
    is_final: Callable[[Page | NoPage], bool],
    worth_another: Callable[[RetryCallState], Any],
    *,
    most: int,
    wait: Callable[[RetryCallState], float],
    sleep: Callable[[float], Awaitable[None]],
) -> Page:
    """What the last of at most so many tries gets. Raises NoPage.

    `worth_another` is asked after each, the first too, unless `is_final` says that nothing can come of it.
    """
    try:
        page = await attempt()
    except NoPage as none:
        if is_final(none):
            raise
        tries = _after(none, attempt)
    else:
        if is_final(page):
            return page
        tries = _after(page, attempt)
    retrying = AsyncRetrying(
        sleep=sleep,
        stop=stop_after_attempt(most),
        wait=wait,
        retry=worth_another,
        retry_error_callback=_last_outcome,
    )
    return cast("Page", await retrying(tries))


def outcome_of(state: RetryCallState) -> Page | NoPage:
    """What a try got. A bug is raised."""
    assert state.outcome is not None
    error = state.outcome.exception()
    return error if isinstance(error, NoPage) else cast("Page", state.outcome.result())


def _after(first: Page | NoPage, attempt: Try) -> Try:
    """Tries one after the other, of which the first was made already."""
    made = [first]

    async def one() -> Page:
        got = made.pop() if made else await attempt()
        if isinstance(got, NoPage):
            raise got
        return got

    return one


def _last_outcome(state: RetryCallState) -> Any:
    assert state.outcome is not None
    return state.outcome.result()
