"""Every exception of the network, told as one `NoPage`. Nobody else reads an exception's text."""

from __future__ import annotations

from collections.abc import Iterator
from ssl import SSLCertVerificationError, SSLError, SSLWantReadError

import httpx

from probes.models.finding import Reason
from probes.models.http import NoPage

# OpenSSL's X509_V_ERR numbers, in the words of the `tls` fact.
CERTIFICATES = {
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

_TIMEOUTS = (httpx.TimeoutException, TimeoutError)
_CONNECT_TIMEOUTS = (httpx.ConnectTimeout, httpx.PoolTimeout)
_BAD_ADDRESSES = (httpx.InvalidURL, httpx.UnsupportedProtocol)
_DETAILS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),
    (httpx.ProxyError, "proxy"),
    ((httpx.ProtocolError, httpx.DecodingError), "protocol"),
    ((httpx.ReadError, httpx.WriteError, httpx.CloseError), "reset"),
    ((httpx.ConnectError, OSError), "unreachable"),
)


def trouble(error: BaseException, url: str | None = None, status: int | None = None) -> NoPage:
    """Tell an exception of httpx, ssl or the system as the reason why no page came.

    A redirect loop is the server's error. Time-outs are asked for first: a stalled handshake's
    chain of causes holds an SSL error too.
    """
    causes = list(_causes(error))
    for cause in causes:
        if isinstance(cause, NoPage):
            return cause
    reason, detail = _told(causes)
    return NoPage(reason, detail, url=url, status=status)


def _told(causes: list[BaseException]) -> tuple[Reason, str]:
    for cause in causes:
        if isinstance(cause, SSLCertVerificationError):
            return Reason.TLS, CERTIFICATES.get(getattr(cause, "verify_code", 0), "untrusted")
    if any(isinstance(cause, _TIMEOUTS) for cause in causes):
        connecting = any(isinstance(cause, _CONNECT_TIMEOUTS) for cause in causes)
        return Reason.TIMEOUT, "connect" if connecting else "no answer in time"
    if any(isinstance(cause, SSLError) and not isinstance(cause, SSLWantReadError) for cause in causes):
        return Reason.TLS, "handshake"
    if any(isinstance(cause, _BAD_ADDRESSES) for cause in causes):
        return Reason.UNSAFE_ADDRESS, "not a web address"
    if any(isinstance(cause, httpx.TooManyRedirects) for cause in causes):
        return Reason.SERVER_ERROR, "redirects"
    return Reason.NETWORK, _detail(causes)


def _detail(causes: list[BaseException]) -> str:
    for kinds, word in _DETAILS:
        if any(isinstance(cause, kinds) for cause in causes):
            return word
    return "protocol"


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The exception and what it came from, at most ten deep."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__
