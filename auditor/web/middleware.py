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
from probes.log import Events
from storage.models.users import User, key_of

events = Events(__name__)

FENCES = {
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
HSTS = "max-age=31536000"
"""Said over HTTPS alone: for a year, open lines are not tried any more."""
YEAR = "public, max-age=31536000, immutable"
OPEN = re.compile(r"/(r|badge|static)/.+|/[a-z]{2}/(report(\.pdf|/.*)?|unsubscribe/.+)")
"""What a letter, a mail or a badge leads to."""
HEALTH = "/healthz"
"""Says whether we live, to whoever asks and by whatever name."""
FORWARDED = re.compile(
    r"forwarded|via|x-(real|client|cluster-client)-ip|(cf-connecting|true-client)-ip|x-forwarded.*"
)
"""What a proxy adds."""
SECRET = re.compile(r"^(/r|/[a-z]{2}/(unsubscribe|welcome))/.+")
"""Addresses with a token, which no log may hold."""
ONE_CLICK = re.compile(r"/[a-z]{2}/unsubscribe/.+")
"""What a mail program on the web may send to from its own pages (RFC 8058): its token is its leave."""
STRANGE = "This name does not lead here. Whoever runs the auditor can list it in [web] hosts.\n"


@dataclass(frozen=True, slots=True)
class Guard:
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
                _fence(message, scope)
            await send(message)

        answer: ASGIApp = self._refusal(scope) or self.app
        # Whoever asks for the head alone is answered as all are; the server leaves the body out.
        asked = {**scope, "method": "GET"} if scope["method"] == "HEAD" else scope
        try:
            await answer(asked, bounded(receive, scope), fenced)
        except Exception as bug:
            said = "{method} {path} crashed"
            events.bug(bug, "request_crashed", said, method=scope["method"], path=told(scope["path"]))
            if status:
                raise
            await self._page(scope, 500)(scope, receive, fenced)
        finally:
            facts = {"method": scope["method"], "path": told(scope["path"]), "status": status}
            took = round(1000 * (perf_counter() - began))
            events.debug("request", "{method} {path}: {status} in {ms} ms", **facts, ms=took)

    def _refusal(self, scope: Scope) -> Response | None:
        headers = Headers(scope=scope)
        host = _name(headers.get("host", ""))
        scope["here"] = is_loopback(host) and not is_forwarded(scope, headers)
        scope["home"] = scope["here"] or host in self._listed()
        if not scope["home"]:
            if scope["path"] == HEALTH:
                return None
            if host != _name(urlsplit(self.config.web.public_url).netloc) or not host:
                return PlainTextResponse(STRANGE, 403)
            if not OPEN.fullmatch(scope["path"]):
                return self._page(scope, 404)
        if (
            scope["method"] not in {"GET", "HEAD", "OPTIONS"}
            and _is_foreign(headers)
            and not ONE_CLICK.fullmatch(scope["path"])
        ):
            return self._page(scope, 403)
        return self._page(scope, 413) if is_too_large(scope) else None

    def _page(self, scope: Scope, status: int) -> Response:
        return errors.page(scope, self.config, status, self.clock())

    def _listed(self) -> set[str]:
        return {name.lower() for name in self.config.web.hosts}


def told(path: str) -> str:
    """A path as the log may tell it: on one line and without a token."""
    return SECRET.sub(r"\1/…", quote(path))


def _name(host: str) -> str:
    """A Host header without its port."""
    return re.sub(r":\d*$", "", host.lower()).strip("[]").rstrip(".")


def is_forwarded(scope: Scope, headers: Headers) -> bool:
    """Whether a proxy passes a request on: it may call us localhost, whoever asks.

    One that adds nothing speaks HTTP/1.0 more often than not; one that speaks 1.1 and adds nothing stays
    unseen.
    """
    return scope["http_version"] == "1.0" or any(map(FORWARDED.fullmatch, headers))


def is_loopback(host: str) -> bool:
    """Whether a name or an address is this machine's own, for itself alone."""
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False


def _is_foreign(headers: Headers) -> bool:
    """Whether another site's page sends this form. Browsers say so, over plain HTTP by the origin alone.

    `null` is the origin of a page that hides where it is. Without either header it is no browser.
    """
    site, origin = headers.get("sec-fetch-site"), headers.get("origin")
    if site is not None:
        return site not in {"same-origin", "none"}
    return origin is not None and _request_place(origin) != _request_place(headers["host"])


def _request_place(address: str) -> str:
    """A host with its port, of an origin or a Host header; the usual ports go without saying."""
    return re.sub(r"^https?://|:(80|443)$", "", address.lower())


def _fence(message: Message, scope: Scope) -> None:
    headers = MutableHeaders(scope=message)
    if scope["path"].startswith("/static/") and message["status"] in {200, 304}:
        headers["cache-control"] = YEAR
    for name, value in FENCES.items():
        headers.setdefault(name, value)
    if scope["scheme"] == "https":
        headers.setdefault("strict-transport-security", HSTS)


MEGABYTE = 1024 * 1024
FORM = MEGABYTE
SMALL = 16 * 1024
"""Names and passwords, however they are written."""
SHEET = 11 * MEGABYTE
"""A sheet of 10 MB and what a form wraps it in; the page itself says how large a sheet may be."""
TAKES_A_PASSWORD = re.compile(r"/[a-z]{2}/(login|logout|welcome|account|people)(/.*)?")
TAKES_A_SHEET = re.compile(r"/[a-z]{2}/registry")


def most(scope: Scope) -> int:
    """The bytes that a request's body may have."""
    if TAKES_A_PASSWORD.fullmatch(scope["path"]):
        return SMALL
    return SHEET if TAKES_A_SHEET.fullmatch(scope["path"]) else FORM


def is_too_large(scope: Scope) -> bool:
    """Whether a request says beforehand that it brings too much."""
    told = Headers(scope=scope).get("content-length", "")
    return told.isdecimal() and (len(told) > len(str(SHEET)) or int(told) > most(scope))


def bounded(receive: Receive, scope: Scope) -> Receive:
    """The same, raising HTTPException where more comes than may: not every body tells its length."""
    left = most(scope)

    async def take() -> Message:
        nonlocal left
        message = await receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    return take


FAILURES = RateLimitItemPerMinute(5, 15)
HOUSE = 64
"""Bits of an IPv6 address that are one household's: whoever has it has all of the others."""


@dataclass(frozen=True, slots=True)
class Attempts:
    """Counts failures by keys. Its attempts come one behind the other, so that none slips past the count."""

    window: MovingWindowRateLimiter = field(default_factory=lambda: MovingWindowRateLimiter(MemoryStorage()))
    locks: WeakValueDictionary[str, asyncio.Lock] = field(default_factory=WeakValueDictionary)

    @asynccontextmanager
    async def turn(self, keys: Sequence[str]) -> AsyncIterator[int]:
        """Wait for the turn of these keys, and tell how many seconds they have to wait yet; 0: now.

        Whoever has to wait is told at once, also while others of the key are tried.
        """
        async with AsyncExitStack() as stack:
            if not self.seconds(keys):
                for key in keys:
                    await stack.enter_async_context(self.locks.setdefault(key, asyncio.Lock()))
            yield self.seconds(keys)

    def seconds(self, keys: Sequence[str]) -> int:
        """How long until all of these keys may try again."""
        return max((self._seconds(key) for key in keys), default=0)

    def failed(self, keys: Sequence[str]) -> None:
        """Count a failure of each."""
        for key in keys:
            self.window.hit(FAILURES, key)

    def _seconds(self, key: str) -> int:
        if self.window.test(FAILURES, key):
            return 0
        return max(1, ceil(self.window.get_window_stats(FAILURES, key).reset_time - time.time()))


def keys_of(address: str, name: str, user: User | None, proof: str) -> tuple[str, ...]:
    """By what an attempt is counted: address and account, or that it is from a browser that is known."""
    if (
        user is not None
        and user.password_hash
        and hmac.compare_digest(proof.encode(), proof_of(user).encode())
    ):
        return (f"known {user.key}",)
    return (f"address {_place(address)}", f"account {key_of(name)}")


def proof_of(user: User) -> str:
    """What a browser shows that was logged in as a user since the password was set; it lets nobody in."""
    assert user.password_hash
    return hmac.new(user.password_hash.encode(), user.key.encode(), hashlib.sha256).hexdigest()


def _place(address: str) -> str:
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if found.version == 4:
        return str(found)
    return str(found.ipv4_mapped or f"{int(found) >> (128 - HOUSE):x}::/{HOUSE}")
