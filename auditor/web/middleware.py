"""Who is answered, and how every answer is fenced: the layer around all routes.

Only compression, and what a trusted proxy tells of a request, lie outside it.

The network's pages are under the names of this machine and those that the operator lists, for whoever is
logged in (`auditor.web.access`). Under the address that letters carry, only what a letter leads to is there.
Any other name is refused: a strange page could point one at this machine and send forms to it (DNS
rebinding).

How much a request may bring: forms are small, and one page takes a sheet.

How often a password may be guessed: five times in a quarter of an hour, by address and by account.

A stranger could keep somebody out by failing in their name for ever. So a browser that was logged in before
is counted by itself: it shows a proof that only the kept hash of the password makes, and strangers' failures
do not touch it. And a one-time link (`auditor user reset`) is never counted.

What is counted is in memory: a restart forgets it, and several processes would each count by themselves.
"""

from __future__ import annotations

import asyncio
import hashlib
import hmac
import re
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import ceil
from time import perf_counter
from urllib.parse import quote, urlsplit
from weakref import WeakValueDictionary

from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.responses import PlainTextResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from auditor.config.schema import Config
from auditor.web import errors
from auditor.web.errors import Clock
from probes.log import EventLogger
from storage.models.users import User, normalize_user_name

events = EventLogger(__name__)

SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src 'self' data:; "
    "form-action 'self'; frame-ancestors 'none'; base-uri 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "permissions-policy": "camera=(), microphone=(), geolocation=(), payment=(), usb=(), browsing-topics=()",
    "cache-control": "no-store",
}
"""What an answer says unless its page said otherwise. Without any referrer our own forms would come from the
origin `null`, as those of a page that hides where it is; no address that is linked to holds a secret."""
HSTS_HEADER_VALUE = "max-age=31536000"
"""Said over HTTPS alone: for a year, open lines are not tried any more."""
STATIC_CACHE_CONTROL = "public, max-age=31536000, immutable"
PUBLIC_PATHS = re.compile(r"/(r|badge|static)/.+|/[a-z]{2}/(report(\.pdf|/.*)?|unsubscribe/.+)")
"""What a letter, a mail or a badge leads to."""
HEALTH_PATH = "/healthz"
"""Says whether we live, to whoever asks and by whatever name."""
PROXY_HEADERS = re.compile(
    r"forwarded|via|x-(real|client|cluster-client)-ip|(cf-connecting|true-client)-ip|x-forwarded.*"
)
"""What a proxy adds."""
TOKEN_PATHS = re.compile(r"^(/r|/[a-z]{2}/(unsubscribe|welcome))/.+")
"""Addresses with a token, which no log may hold."""
ONE_CLICK_UNSUBSCRIBE_PATHS = re.compile(r"/[a-z]{2}/unsubscribe/.+")
"""What a mail program on the web may send to from its own pages (RFC 8058): its token is its leave."""
UNKNOWN_HOST_MESSAGE = (
    "This name does not lead here. Whoever runs the auditor can list it in [web] allowed_hosts.\n"
)


@dataclass(frozen=True, slots=True)
class SecurityMiddleware:
    """An ASGI layer around the whole application."""

    app: ASGIApp
    config: Config
    clock: Clock

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer or refuse a request; a bug inside becomes a page that says so."""
        if scope["type"] != "http":
            await self.app(scope, receive, send)
            return
        began, status = perf_counter(), 0

        async def fenced(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                _add_security_headers(message, scope)
            await send(message)

        answer: ASGIApp = self._find_refusal(scope) or self.app
        # Whoever asks for the head alone is answered as all are; the server leaves the body out.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await answer(asked, limit_body(receive, scope), fenced)
        except Exception as bug:
            said = "{method} {path} crashed"
            events.exception(
                bug,
                "request_crashed",
                said,
                method=scope["method"],
                path=redact_path(scope["path"]),
            )
            if status:
                raise
            await self._render_error_page(scope, 500)(scope, receive, fenced)
        finally:
            facts = {
                "method": scope["method"],
                "path": redact_path(scope["path"]),
                "status": status,
            }
            took = round(1000 * (perf_counter() - began))
            events.debug("request", "{method} {path}: {status} in {ms} ms", **facts, ms=took)

    def _find_refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = _normalize_host(headers.get("host", ""))
        scope["here"] = is_loopback_host(host) and not is_proxied_request(scope, headers)
        scope["home"] = scope["here"] or host in self._list_allowed_hosts()
        if not scope["home"]:
            if scope["path"] == HEALTH_PATH:
                return None
            if host != _normalize_host(urlsplit(self.config.web.public_url).netloc) or not host:
                return PlainTextResponse(UNKNOWN_HOST_MESSAGE, 403)
            if not PUBLIC_PATHS.fullmatch(scope["path"]):
                return self._render_error_page(scope, 404)
        if (
            scope["method"] not in {"GET", "HEAD", "OPTIONS"}
            and _is_cross_site_request(headers)
            and not ONE_CLICK_UNSUBSCRIBE_PATHS.fullmatch(scope["path"])
        ):
            return self._render_error_page(scope, 403)
        return self._render_error_page(scope, 413) if has_too_large_body(scope) else None

    def _render_error_page(self, scope: Scope, status: int) -> Response:
        return errors.render_error_page(scope, self.config, status, self.clock())

    def _list_allowed_hosts(self) -> set[str]:
        return {name.lower() for name in self.config.web.allowed_hosts}


def redact_path(path: str) -> str:
    """A path as the log may tell it: on one line and without a token."""
    return TOKEN_PATHS.sub(r"\1/…", quote(path))


def _normalize_host(host: str) -> str:
    """A Host header without its port."""
    return re.sub(r":\d*$", "", host.lower()).strip("[]").rstrip(".")


def is_proxied_request(scope: Scope, headers: Headers) -> bool:
    """Whether a proxy passes a request on: it may call us localhost, whoever asks.

    One that adds nothing speaks HTTP/1.0 more often than not; one that speaks 1.1 and adds nothing stays
    unseen.
    """
    return scope["http_version"] == "1.0" or any(map(PROXY_HEADERS.fullmatch, headers))


def is_loopback_host(host: str) -> bool:
    """Whether a name or an address is this machine's own, for itself alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_cross_site_request(headers: Headers) -> bool:
    """Whether another site's page sends this form. Browsers say so, over plain HTTP by the origin alone.

    `null` is the origin of a page that hides where it is. Without either header it is no browser.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    return origin is not None and _normalize_origin(origin) != _normalize_origin(headers["host"])


def _normalize_origin(origin: str) -> str:
    """A host with its port, of an origin or a Host header; the usual ports go without saying."""
    return re.sub(r"^https?://|:(80|443)$", "", origin.lower())


def _add_security_headers(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(scope=message)
    if scope["path"].startswith("/static/") and message["status"] in {200, 304}:
        headers["cache-control"] = STATIC_CACHE_CONTROL
    for name, value in SECURITY_HEADERS.items():
        headers.setdefault(name, value)
    if scope["scheme"] == "https":
        headers.setdefault("strict-transport-security", HSTS_HEADER_VALUE)


MEGABYTE = 1024 * 1024
MAX_FORM_BYTES = MEGABYTE
MAX_PASSWORD_FORM_BYTES = 16 * 1024
"""Names and passwords, however they are written."""
MAX_UPLOAD_BYTES = 11 * MEGABYTE
"""A sheet of 10 MB and what a form wraps it in; the page itself says how large a sheet may be."""
PASSWORD_FORM_PATHS = re.compile(r"/[a-z]{2}/(login|logout|welcome|account|people)(/.*)?")
UPLOAD_PATHS = re.compile(r"/[a-z]{2}/registry")


def get_max_body_bytes(scope: Scope) -> int:
    """The bytes that a request's body may have."""
    if PASSWORD_FORM_PATHS.fullmatch(scope["path"]):
        return MAX_PASSWORD_FORM_BYTES
    return MAX_UPLOAD_BYTES if UPLOAD_PATHS.fullmatch(scope["path"]) else MAX_FORM_BYTES


def has_too_large_body(scope: Scope) -> bool:
    """Whether a request says beforehand that it brings too much."""
    told = Headers(scope=scope).get("content-length", "")
    return told.isdecimal() and (
        len(told) > len(str(MAX_UPLOAD_BYTES)) or int(told) > get_max_body_bytes(scope)
    )


def limit_body(receive: Receive, scope: Scope) -> Receive:
    """The same, raising HTTPException where more comes than may: not every body tells its length."""
    left = get_max_body_bytes(scope)

    async def take() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    return take


LOGIN_FAILURE_LIMIT = RateLimitItemPerMinute(5, 15)
IPV6_NETWORK_BITS = 64
"""Bits of an IPv6 address that are one household's: whoever has it has all of the others."""


@dataclass(frozen=True, slots=True)
class LoginAttemptLimiter:
    """Counts failures by keys. Its attempts come one behind the other, so that none slips past the count."""

    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @asynccontextmanager
    async def acquire(self, keys: Sequence[str]) -> AsyncIterator[int]:
        """Wait for the turn of these keys, and tell how many seconds they have to wait yet; 0: now.

        Whoever has to wait is told at once, also while others of the key are tried.
        """
        async with AsyncExitStack() as stack:
            if not self.get_wait_seconds(keys):
                for key in keys:
                    await stack.enter_async_context(self.locks.setdefault(key, asyncio.Lock()))
            yield self.get_wait_seconds(keys)

    def get_wait_seconds(self, keys: Sequence[str]) -> int:
        """How long until all of these keys may try again."""
        return max((self._get_key_wait_seconds(key) for key in keys), default=0)

    def record_failures(self, keys: Sequence[str]) -> None:
        """Count a failure of each."""
        for key in keys:
            self.limiter.hit(LOGIN_FAILURE_LIMIT, key)

    def _get_key_wait_seconds(self, key: str) -> int:
        if self.limiter.test(LOGIN_FAILURE_LIMIT, key):
            return 0
        return max(
            1,
            ceil(self.limiter.get_window_stats(LOGIN_FAILURE_LIMIT, key).reset_time - time.time()),
        )


def build_attempt_keys(
    address: str, name: str, user: User | None, browser_proof: str
) -> tuple[str, ...]:
    """By what an attempt is counted: address and account, or that it is from a browser that is known."""
    if (
        user is not None
        and user.password_hash
        and hmac.compare_digest(browser_proof.encode(), compute_browser_proof(user).encode())
    ):
        return (f"known {user.normalized_name}",)
    return (f"address {_normalize_client_address(address)}", f"account {normalize_user_name(name)}")


def compute_browser_proof(user: User) -> str:
    """What a browser shows that was logged in as a user since the password was set; it lets nobody in."""
    assert user.password_hash
    return hmac.new(
        user.password_hash.encode(), user.normalized_name.encode(), hashlib.sha256
    ).hexdigest()


def _normalize_client_address(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(
        found.ipv4_mapped or f"{int(found) >> (128 - IPV6_NETWORK_BITS):x}::/{IPV6_NETWORK_BITS}"
    )
