"""Decides which requests are answered, and adds security headers to every response.

This layer is around all routes. Only compression and the handling of trusted proxy headers are
outside it.

The network's pages are served under the names of this machine and those in `[web] allowed_hosts`.
Under the public name (`[web] public_url`) only the pages behind a report link and a mail
link exist. Requests for any other name are refused: otherwise a foreign page could point a name at
this machine and send forms to it (DNS rebinding).

Request bodies are limited: forms are small, and only one page accepts a spreadsheet. A route reads
the body after its access check (`access.AccessRoute`).
"""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from ipaddress import ip_address
from time import perf_counter
from urllib.parse import urlsplit

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.routing import BaseRoute, Mount, Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditor.config.schema import Config
from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.web.request_context import Clock, render_error_page
from probes.log import EventLogger

logger = EventLogger(__name__)

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "script-src 'self'; connect-src 'self'; form-action 'self'; frame-ancestors 'none'; "
    "base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), "
    "browsing-topics=()",
    "cache-control": "no-store",
}
"""Headers of every response that does not set them itself.

`referrer-policy` is not `no-referrer`: our own forms would then have the origin `null`, like those
of a page that hides its address. No address with a link on it contains a secret.
"""
HSTS_HEADER_VALUE = "max-age=31536000"
"""Sent over HTTPS only: for a year the browser does not try plain HTTP."""
PUBLIC_PATHS = re.compile(
    r"/(r|static)/.+|/[a-z]{2}/(report(\.pdf|/.*)?|(unsubscribe|subscriptions)/.+)"
)
"""The pages behind a report link and a mail link."""
HEALTH_PATH = "/healthz"
"""Answered for everyone, under any host name."""
PROXY_HEADERS = re.compile(
    r"forwarded|via|x-(real|client|cluster-client)-ip|(cf-connecting|true-client)-ip|x-forwarded.*"
)
"""Request headers that proxies add."""
MAX_LOGGED_SEGMENTS = 8
"""Segments of a path that the log shows; the rest is "…". None of our addresses has more."""
LOGGED_METHODS = frozenset({"GET", "HEAD", "POST", "OPTIONS", "PUT", "PATCH", "DELETE"})
HIDDEN_IN_LOG = "…"
ONE_CLICK_UNSUBSCRIBE_PATHS = re.compile(r"/[a-z]{2}/unsubscribe/.+")
"""Webmail programs send this form from their own pages (RFC 8058); the token is the permission."""
UNKNOWN_HOST_MESSAGE = (
    "This host name is not configured; try: add it to [web] allowed_hosts in config.toml.\n"
)


@dataclass(frozen=True, slots=True)
class SecurityMiddleware:
    """ASGI middleware around the whole application."""

    app: ASGIApp
    config: Config
    clock: Clock
    address_words: frozenset[str]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request; an unexpected exception becomes an error page (500)."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        started, status = perf_counter(), 0

        async def send_with_headers(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_security_headers(message, scope)
            await send(message)

        handler: ASGIApp = self._find_refusal(scope) or self.app
        # HEAD is handled as GET; the server leaves the body out.
        app_scope = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await handler(app_scope, limit_body(receive, scope), send_with_headers)
        except Exception as error:
            if status:  # the response has started, so no error page can be sent
                raise
            logger.exception(
                error,
                "request_crashed",
                "{method} {path} crashed",
                method=redact_method(scope["method"]),
                path=redact_path(scope["path"], self.address_words),
            )
            await self._render_error_page(scope, 500)(scope, receive, send_with_headers)
        finally:
            logger.debug(
                "request_handled",
                "{method} {path}: {status} in {ms} ms",
                method=redact_method(scope["method"]),
                path=redact_path(scope["path"], self.address_words),
                status=status,
                ms=round(1000 * (perf_counter() - started)),
            )

    def _find_refusal(self, scope: Scope) -> Response | None:
        """Return the response that refuses a request, or None.

        Sets `is_local` and `is_network_host`.
        """
        headers = Headers(scope=scope)
        if has_ambiguous_length(headers):
            message = "Content-Length and Transfer-Encoding exclude each other.\n"
            return PlainTextResponse(message, 400, {"connection": "close"})
        host = _normalize_host(headers.get("host", ""))
        scope["is_local"] = is_loopback_host(host) and not is_proxied_request(scope, headers)
        scope["is_network_host"] = scope["is_local"] or host in self.config.web.allowed_hosts
        if not scope["is_network_host"]:
            if scope["path"] == HEALTH_PATH:
                return None
            public_host = _normalize_host(urlsplit(self.config.web.public_url).netloc)
            if not host or host != public_host:
                return PlainTextResponse(UNKNOWN_HOST_MESSAGE, 403)
            if not PUBLIC_PATHS.fullmatch(scope["path"]):
                return self._render_error_page(scope, 404)
        if _is_forged_request(scope, headers):
            return self._render_error_page(scope, 403)
        return self._render_error_page(scope, 413) if has_too_large_body(scope) else None

    def _render_error_page(self, scope: Scope, status: int) -> Response:
        return render_error_page(scope, self.config, status, self.clock())


def collect_address_words(routes: Iterable[BaseRoute]) -> frozenset[str]:
    """Return the constant segments of our addresses: those of the routes, and the languages."""
    words = {*LOCALE_BY_LANGUAGE, ""}
    for route in routes:
        if isinstance(route, (Route, Mount)):
            words.update(word for word in route.path.split("/") if "{" not in word)
    return frozenset(words)


def redact_path(path: str, address_words: Collection[str]) -> str:
    """Return a path for the log, with "…" for each segment that is not a word of our addresses.

    Any other segment may be a token, also in an address that is mistyped and has no page.
    """
    segments = path.split("/", MAX_LOGGED_SEGMENTS - 1)  # the last is the rest
    return "/".join(word if word in address_words else HIDDEN_IN_LOG for word in segments)


def redact_method(method: str) -> str:
    """Return the method of a request for the log; it may be any text that a client sends."""
    return method if method in LOGGED_METHODS else HIDDEN_IN_LOG


def _normalize_host(host: str) -> str:
    """Return a Host header in lower case, without its port."""
    return re.sub(r":\d*$", "", host.lower()).strip("[]").rstrip(".")


def has_ambiguous_length(headers: Headers) -> bool:
    """Return True if a request states the length of its body in two ways.

    A proxy may believe the other one. It would then take the rest of the body for the request of
    another reader (RFC 9112, section 6.1), so nothing more is read from the connection.
    """
    return "content-length" in headers and "transfer-encoding" in headers


def is_proxied_request(scope: Scope, headers: Headers) -> bool:
    """Return True if a proxy forwards the request; it may send `Host: localhost` for anyone.

    A proxy that adds no headers usually speaks HTTP/1.0. One that speaks HTTP/1.1 and adds none is
    not detected.
    """
    return scope["http_version"] == "1.0" or any(map(PROXY_HEADERS.fullmatch, headers))


def is_loopback_host(host: str) -> bool:
    """Return True if a host name or address is this machine's loopback."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _normalize_origin(origin: str) -> str:
    """Return host and port of an Origin or Host header, without the default ports."""
    return re.sub(r"^https?://|:(80|443)$", "", origin.lower())


def _is_forged_request(scope: Scope, headers: Headers) -> bool:
    """Return True for a change that a page of another site requests. Mail programs may do so.

    Browsers say so in Sec-Fetch-Site, or over plain HTTP only in Origin. `null` is the origin of a
    page that hides its address. A request without either header does not come from a browser.
    """
    is_unsubscribing = ONE_CLICK_UNSUBSCRIBE_PATHS.fullmatch(scope["path"])
    if is_unsubscribing or scope["method"] in {"GET", "HEAD", "OPTIONS"}:
        return False
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    return origin is not None and _normalize_origin(origin) != _normalize_origin(headers["host"])


def _add_security_headers(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(scope=message)
    if scope["path"].startswith("/static/") and message["status"] in {200, 304}:
        headers["cache-control"] = "public, max-age=31536000, immutable"
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if scope["scheme"] == "https":
        headers.setdefault("strict-transport-security", HSTS_HEADER_VALUE)


MEGABYTE = 1024 * 1024
MAX_FORM_BYTES = MEGABYTE
"""Bytes of the body of a form."""
MAX_PASSWORD_FORM_BYTES = 16 * 1024
"""Names and passwords, in any encoding."""
MAX_PUBLIC_FORM_BYTES = 128 * 1024
"""Forms behind a report link or a mail link. Two addresses and the text of a reply have at most
10,192 characters, which are 61,000 bytes if they are Arabic."""
MAX_UPLOAD_BYTES = 11 * MEGABYTE
"""A spreadsheet of 10 MB and its form; the import checks the spreadsheet's size itself."""
PASSWORD_FORM_PATHS = re.compile(r"/[a-z]{2}/(login|logout|set-password|account|users)(/.*)?")
UPLOAD_PATHS = re.compile(r"/[a-z]{2}/registry")


def get_max_body_bytes(scope: Scope) -> int:
    """Return the largest allowed body of a request, in bytes."""
    if PASSWORD_FORM_PATHS.fullmatch(scope["path"]):
        return MAX_PASSWORD_FORM_BYTES
    if PUBLIC_PATHS.fullmatch(scope["path"]):
        return MAX_PUBLIC_FORM_BYTES
    return MAX_UPLOAD_BYTES if UPLOAD_PATHS.fullmatch(scope["path"]) else MAX_FORM_BYTES


def has_too_large_body(scope: Scope) -> bool:
    """Return True if the Content-Length header is above the limit of the path."""
    length = Headers(scope=scope).get("content-length", "")
    if not length.isdecimal():
        return False
    has_too_many_digits = len(length) > len(str(MAX_UPLOAD_BYTES))
    return has_too_many_digits or int(length) > get_max_body_bytes(scope)


def limit_body(receive: Receive, scope: Scope) -> Receive:
    """Wrap `receive` so that it raises HTTPException (413) above the limit.

    A chunked body has no Content-Length.
    """
    bytes_left = get_max_body_bytes(scope)

    async def receive_limited() -> Message:
        nonlocal bytes_left
        message = await receive()
        bytes_left -= len(message.get("body", b""))
        if bytes_left < 0:
            raise HTTPException(413)
        return message

    return receive_limited
