"""Sends single requests of a redirect chain, and maps network errors to `FetchError`.

No other module inspects exceptions of httpx, ssl and the system.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from hashlib import sha256
from itertools import product
from ssl import SSLCertVerificationError, SSLError, SSLWantReadError

import httpx

from probes.http.connection import BodyDecoder, HttpConnection, RawHeaders
from probes.http.pool import ConnectionPool, map_proxy_error
from probes.http.settings import FetchOptions
from probes.http.ssrf_guard import SsrfGuard
from probes.models.finding import Reason
from probes.models.http import REDIRECT_STATUSES, CacheValidators, FetchError, Hop, Page

DEFAULT_HEADERS = (
    (b"Accept", b"text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.5"),
    (b"Accept-Encoding", b"gzip, deflate"),  # codings that BodyDecoder supports
)
MAX_HEADER_CHARS = 4096
"""Characters of the value of a header that are kept."""
# A received header that was cut or is no printable ASCII cannot be sent back.
_SENDABLE_VALUE = re.compile(rf"[ -~]{{1,{MAX_HEADER_CHARS - 1}}}")
# A redirect loop at a login page waits for a cookie, and none is sent.
_LOGIN_PATH = re.compile(r"(?i)/(log_?in|sign_?in|checkpoint|authwall)\b")


# OpenSSL's X509_V_ERR numbers and the values of the `tls` fact.
CERTIFICATE_ERROR_DETAILS = {
    9: "not_yet_valid",
    10: "expired",
    18: "self_signed",
    19: "untrusted",
    20: "incomplete_chain",
    21: "incomplete_chain",
    62: "wrong_host",
    64: "wrong_host",
    66: "weak_key",
    67: "weak_key",
    68: "weak_key",
}
NETWORK_ERRORS = (
    httpx.HTTPError,
    httpx.StreamError,
    httpx.InvalidURL,
    httpx.CookieConflict,
    OSError,  # TimeoutError and ssl.SSLError among them
)

# The first row with the type of any cause wins. Timeouts precede TLS errors, because the causes of
# a stalled handshake contain a TLS error, too.
_REASONS: tuple[tuple[tuple[type[BaseException], ...], Reason, str], ...] = (
    ((SSLCertVerificationError,), Reason.TLS, "untrusted"),
    ((httpx.ConnectTimeout, httpx.PoolTimeout), Reason.TIMEOUT, "connect"),
    ((httpx.TimeoutException, TimeoutError), Reason.TIMEOUT, "no answer in time"),
    ((SSLError,), Reason.TLS, "handshake"),
    ((httpx.InvalidURL, httpx.UnsupportedProtocol), Reason.UNSAFE_ADDRESS, "not a web address"),
    ((httpx.TooManyRedirects,), Reason.SERVER_ERROR, "redirects"),
    ((ConnectionRefusedError,), Reason.NETWORK, "refused"),
    ((ConnectionError,), Reason.NETWORK, "reset"),
    ((httpx.ProxyError,), Reason.NETWORK, "proxy"),
    ((httpx.ProtocolError, httpx.DecodingError), Reason.NETWORK, "protocol"),
    ((httpx.ReadError, httpx.WriteError, httpx.CloseError), Reason.NETWORK, "reset"),
    ((httpx.ConnectError, OSError), Reason.NETWORK, "unreachable"),
)


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

    @property
    def last_status(self) -> int | None:
        """Return the status of the last response, or None before the first one."""
        return self.hops[-1].status if self.hops else None


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
        user_agent = options.effective_user_agent.encode("ascii")
        self._headers = [(b"User-Agent", user_agent), *DEFAULT_HEADERS]

    async def send(self, chain: RedirectChain) -> Page | None:
        """Send a request. Returns the page, or None after moving the chain to a redirect.

        Raises FetchError and the errors in `NETWORK_ERRORS`.
        """
        headers = httpx.Headers(
            [(b"Host", chain.url.netloc), *self._headers, *_build_conditional_headers(chain)]
        )
        headers.update(chain.headers)
        async with self._pool.request(
            chain.url, headers.raw, self._options.connect_timeout, insecure=chain.insecure
        ) as connection:
            return await self._read_response(chain, connection)

    async def _read_response(self, chain: RedirectChain, connection: HttpConnection) -> Page | None:
        """Return the page of a response, or None after moving the chain to a redirect.

        The body is read up to its size limit. Raises FetchError, with the status if the response
        has one.
        """
        status, headers = connection.status, httpx.Headers(connection.headers)
        if self._options.proxy is not None and chain.url.scheme == "http":
            # only plain HTTP shows an error of the proxy here
            has_proxy_error = "error=" in headers.get("proxy-status", "")
            if status == 407 or (status in {502, 504} and has_proxy_error):
                raise map_proxy_error(headers)
        chain.hops.append(Hop(str(chain.url), status))
        location = next(iter(headers.get_list("location")), "").strip()
        if status in REDIRECT_STATUSES and location:
            self.move_to_redirect(chain, location)
            return None
        try:
            body = BodyDecoder(headers.get("content-encoding", ""), chain.max_bytes)
            async for chunk in connection.iter_body():
                body.feed(chunk)
                if body.is_full:
                    break
        except NETWORK_ERRORS as error:
            raise map_network_error(error, status=status) from error
        except FetchError as error:
            error.status = status
            raise
        # headers of a response that are kept
        items = list(headers.items())[:200]
        return Page(
            url=str(chain.url),
            status=status,
            headers={name: value[:MAX_HEADER_CHARS] for name, value in items},
            body=bytes(body.data),
            digest=sha256(body.data).hexdigest(),
            fetched_at=self._get_time(),
            hops=tuple(chain.hops),
            truncated=body.truncated,
            certificate_expires=connection.certificate_expires,
            certificate_names=connection.certificate_names,
            insecure=chain.insecure,
        )

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
            raise FetchError(reason, "redirects", status=chain.last_status)
        if (chain.url.scheme, chain.url.raw_host) != (previous_url.scheme, previous_url.raw_host):
            chain.headers, chain.is_api_call = {}, False


def _build_conditional_headers(chain: RedirectChain) -> RawHeaders:
    """Return the headers of a conditional request, if the validators belong to the current URL."""
    validators = chain.validators
    if validators is None or validators.url != str(chain.url):
        return []
    values = {b"If-None-Match": validators.etag, b"If-Modified-Since": validators.last_modified}
    return [
        (name, value.encode()) for name, value in values.items() if _SENDABLE_VALUE.fullmatch(value)
    ]


def map_network_error(error: BaseException, status: int | None = None) -> FetchError:
    """Return the `FetchError` for an exception of httpx, ssl or the system.

    Up to ten of its causes are read. A SSLWantReadError only says that a handshake waited for data.
    """
    causes: list[BaseException] = []
    cause: BaseException | None = error
    for _ in range(10):
        if isinstance(cause, FetchError):
            return cause
        if cause is None:
            break
        if not isinstance(cause, SSLWantReadError):
            causes.append(cause)
        cause = cause.__cause__ or cause.__context__
    for (error_types, reason, detail), cause in product(_REASONS, causes):
        if isinstance(cause, error_types):
            verify_code = getattr(cause, "verify_code", 0)  # of SSLCertVerificationError
            detail_of_code = CERTIFICATE_ERROR_DETAILS.get(verify_code, detail)
            return FetchError(reason, detail_of_code, status=status)
    return FetchError(Reason.NETWORK, "protocol", status=status)
