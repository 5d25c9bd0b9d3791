"""Maps exceptions of httpx, ssl and the system to `FetchError`. No other module inspects them."""

from collections.abc import Iterator
from itertools import product
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

# The first row with the type of any cause wins. Timeouts precede TLS errors, because the causes of
# a stalled handshake contain a TLS error, too.
_ErrorTypes = tuple[type[BaseException], ...]
_REASONS: tuple[tuple[_ErrorTypes, Reason, str], ...] = (
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


def map_network_error(
    error: BaseException, url: str | None = None, status: int | None = None
) -> FetchError:
    """Return the `FetchError` for an exception of httpx, ssl or the system."""
    causes = list(_iter_causes(error))
    for cause in causes:
        if isinstance(cause, FetchError):
            return cause
    for (error_types, reason, detail), cause in product(_REASONS, causes):
        if isinstance(cause, error_types):
            verify_code = getattr(cause, "verify_code", 0)  # of SSLCertVerificationError
            detail_of_code = CERTIFICATE_ERROR_DETAILS.get(verify_code, detail)
            return FetchError(reason, detail_of_code, url=url, status=status)
    return FetchError(Reason.NETWORK, "protocol", url=url, status=status)


def _iter_causes(error: BaseException) -> Iterator[BaseException]:
    """Yield the exception and its causes, up to ten.

    Left out is an SSLWantReadError: it only says that a handshake waited for data.
    """
    cause: BaseException | None = error
    for _ in range(10):
        if cause is None:
            return
        if not isinstance(cause, SSLWantReadError):
            yield cause
        cause = cause.__cause__ or cause.__context__
