"""Maps exceptions of httpx, ssl and the system to `FetchError`. No other module inspects them."""

from __future__ import annotations

from collections.abc import Iterator
from ssl import SSLCertVerificationError, SSLError, SSLWantReadError

import httpx

from probes.models.finding import Reason
from probes.models.http import FetchError

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

_TIMEOUT_ERRORS = (httpx.TimeoutException, TimeoutError)
_CONNECT_TIMEOUT_ERRORS = (httpx.ConnectTimeout, httpx.PoolTimeout)
_INVALID_URL_ERRORS = (httpx.InvalidURL, httpx.UnsupportedProtocol)
_NETWORK_ERROR_DETAILS: tuple[tuple[type[Exception] | tuple[type[Exception], ...], str], ...] = (
    (ConnectionRefusedError, "refused"),
    (ConnectionError, "reset"),
    (httpx.ProxyError, "proxy"),
    ((httpx.ProtocolError, httpx.DecodingError), "protocol"),
    ((httpx.ReadError, httpx.WriteError, httpx.CloseError), "reset"),
    ((httpx.ConnectError, OSError), "unreachable"),
)


def map_network_error(
    error: BaseException, url: str | None = None, status: int | None = None
) -> FetchError:
    """Return the `FetchError` for an exception of httpx, ssl or the system.

    A redirect loop is a server error. Timeouts are checked before TLS errors, because the causes of
    a stalled handshake contain a TLS error too.
    """
    causes = list(_iter_causes(error))
    for cause in causes:
        if isinstance(cause, FetchError):
            return cause
    reason, detail = _classify_causes(causes)
    return FetchError(reason, detail, url=url, status=status)


def _classify_causes(causes: list[BaseException]) -> tuple[Reason, str]:
    for cause in causes:
        if isinstance(cause, SSLCertVerificationError):
            verify_code = getattr(cause, "verify_code", 0)
            return Reason.TLS, CERTIFICATE_ERROR_DETAILS.get(verify_code, "untrusted")
    if any(isinstance(cause, _TIMEOUT_ERRORS) for cause in causes):
        is_connecting = any(isinstance(cause, _CONNECT_TIMEOUT_ERRORS) for cause in causes)
        return Reason.TIMEOUT, "connect" if is_connecting else "no answer in time"
    if any(
        isinstance(cause, SSLError) and not isinstance(cause, SSLWantReadError) for cause in causes
    ):
        return Reason.TLS, "handshake"
    if any(isinstance(cause, _INVALID_URL_ERRORS) for cause in causes):
        return Reason.UNSAFE_ADDRESS, "not a web address"
    if any(isinstance(cause, httpx.TooManyRedirects) for cause in causes):
        return Reason.SERVER_ERROR, "redirects"
    return Reason.NETWORK, _describe_network_error(causes)


def _describe_network_error(causes: list[BaseException]) -> str:
    for error_types, detail in _NETWORK_ERROR_DETAILS:
        if any(isinstance(cause, error_types) for cause in causes):
            return detail
    return "protocol"


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and its causes, up to ten."""
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        yield cause
        cause = cause.__cause__ or cause.__context__
