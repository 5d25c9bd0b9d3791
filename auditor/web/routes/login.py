"""Logging in and out.

A wrong name and a wrong password give the same answer and take the same time. Failed logins are
limited to five in 15 minutes, for each client address and for each account. With that limit alone,
a stranger who fails on purpose could lock a user out for ever. So a browser in which the user has
logged in before has its own count: it sends a proof that only the stored password hash can produce.
One-time links (`auditor user reset`) are never counted. A restart forgets the counts.
"""

import asyncio
import hashlib
import hmac
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from ipaddress import ip_address
from math import ceil
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import MovingWindowRateLimiter
from pydantic import BaseModel, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL

from auditor.core.form_limits import MAX_TYPED_NAME_CHARS
from auditor.core.formatting import hash_token
from auditor.core.i18n.translator import Translator
from auditor.web import access, users
from auditor.web.request_context import (
    YEAR_SECONDS,
    PageContext,
    RequestContext,
    build_request_context,
    detect_language,
    get_safe_redirect_url,
)
from auditor.web.users import MAX_PASSWORD_CHARACTERS, normalize_password
from storage.errors import StoreError
from storage.models.users import normalize_user_name
from storage.tables.users import User

router = APIRouter(route_class=access.AccessRoute)

LOGIN_FAILURE_LIMIT = RateLimitItemPerMinute(5, 15)
"""Five failures in 15 minutes."""

IPV6_NETWORK_BITS = 64
"""One household usually has all IPv6 addresses that share these bits."""


@dataclass(frozen=True, slots=True)
class LoginAttemptLimiter:
    """Counts failed attempts by key, in the memory of the process. Attempts run one by one."""

    limiter: MovingWindowRateLimiter = field(
        default_factory=lambda: MovingWindowRateLimiter(MemoryStorage())
    )
    lock: asyncio.Lock = field(default_factory=asyncio.Lock)

    @asynccontextmanager
    async def acquire(self, keys: Sequence[str]) -> AsyncIterator[int]:
        """Wait until no other attempt runs; yield the seconds to wait, or 0.

        If the limit is already reached, this yields at once, even while another attempt runs.
        """
        if wait_seconds := self.get_wait_seconds(keys):
            yield wait_seconds
            return
        async with self.lock:
            yield self.get_wait_seconds(keys)

    def get_wait_seconds(self, keys: Sequence[str]) -> int:
        """Return the seconds until all of these keys may try again; 0 means now."""
        wait_seconds = 0
        for key in keys:
            if not self.limiter.test(LOGIN_FAILURE_LIMIT, key):
                reset_time = self.limiter.get_window_stats(LOGIN_FAILURE_LIMIT, key).reset_time
                wait_seconds = max(wait_seconds, 1, ceil(reset_time - time.time()))
        return wait_seconds

    def record_failures(self, keys: Sequence[str]) -> None:
        """Count one failure for each key."""
        for key in keys:
            self.limiter.hit(LOGIN_FAILURE_LIMIT, key)


def build_attempt_keys(
    address: str, name: str, user: User | None, browser_proof: str
) -> tuple[str, ...]:
    """Return the keys that an attempt counts for.

    They are the client's address and the account, or one key for a browser that the user has used
    before.
    """
    if (
        user is not None
        and user.password_hash
        and hmac.compare_digest(browser_proof.encode(), compute_browser_proof(user).encode())
    ):
        return (f"known browser of {user.normalized_name}",)
    return (f"address {normalize_client_address(address)}", f"account {normalize_user_name(name)}")


def compute_browser_proof(user: User) -> str:
    """Return the proof that a user has logged in with a browser since the password was set.

    It does not log anyone in; it only selects the counter.
    """
    assert user.password_hash
    return hmac.new(
        user.password_hash.encode(), user.normalized_name.encode(), hashlib.sha256
    ).hexdigest()


def normalize_client_address(address: str) -> str:
    """Return the IPv4 address, or the network of an IPv6 address."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if ip.version == 4:
        return str(ip)
    if ip.ipv4_mapped:
        return str(ip.ipv4_mapped)
    return f"{int(ip) >> (128 - IPV6_NETWORK_BITS):x}::/{IPV6_NETWORK_BITS}"


class LoginForm(BaseModel):
    """The submitted login form; `next` is the address to redirect to."""

    name: str = Field(default="", max_length=MAX_TYPED_NAME_CHARS)
    password: str = Field(default="", repr=False)
    next: str = ""


@router.get("/{language}/login", dependencies=[access.PUBLIC_ACCESS])
def show_login_form(
    request: Request, context: PageContext, next_url: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """Show the login form."""
    return _render_login_form(request, context, next_url)


@router.post("/{language}/login", dependencies=[access.PUBLIC_ACCESS])
async def log_in(
    request: Request, context: PageContext, form: Annotated[LoginForm, Form()]
) -> Response:
    """Log the user in, or show the form again without the cause of the failure."""
    if not access.is_login_allowed(request):
        return await _render_login_error(request, context, form, 403)
    if len(normalize_password(form.password)) > MAX_PASSWORD_CHARACTERS:
        error_message = format_password_too_long(context.translator)
        return await _render_login_error(request, context, form, 422, error_message)
    user = await run_in_threadpool(context.app.store.users.get, form.name)
    state = request.app.state
    attempts: LoginAttemptLimiter = state.login_attempts
    address = request.client.host if request.client else ""
    browser_proof = access.read_cookie(request, access.KNOWN_BROWSER_COOKIE)
    attempt_keys = build_attempt_keys(address, form.name, user, browser_proof)
    async with attempts.acquire(attempt_keys) as wait_seconds:
        if wait_seconds:
            error_message = format_retry_delay(context, wait_seconds)
            response = await _render_login_error(request, context, form, 429, error_message)
            response.headers["retry-after"] = str(wait_seconds)
            return response
        is_correct = await state.passwords.verify(
            form.password, user.password_hash if user else None
        )
        if not is_correct or user is None:
            attempts.record_failures(attempt_keys)
            error_message = context.translator.translate("Wrong name or password.")
            return await _render_login_error(request, context, form, 401, error_message)
    return await run_in_threadpool(
        start_session_and_redirect, request, user, get_safe_redirect_url(form.next)
    )


@router.get("/{language}/login/{token}", dependencies=[access.PUBLIC_ACCESS])
def log_in_with_link(request: Request, context: PageContext, token: str) -> Response:
    """Log in the user of the demo's login link, once; a later use is refused (410).

    A browser that is logged in already only sees the dashboard again.
    """
    if access.get_current_user(request):
        return RedirectResponse(context.links.page_url(), 303)
    link: users.LoginLink | None = request.app.state.login_link
    user = None
    if link and access.is_login_allowed(request):
        user = link.take_user(token, context.now)
    if user is None:  # the same page for a link that is wrong, used or expired
        translator = context.translator
        return context.render_page(
            "error.html",
            status=410,
            title=translator.translate("This link has expired"),
            message=translator.translate(
                "This link works once, for a few minutes. Start {command} again for a new one.",
                command="auditor demo --serve",
            ),
        )
    return start_session_and_redirect(request, user, context.links.page_url())


@router.post("/{language}/logout", dependencies=[access.PUBLIC_ACCESS])
def log_out(request: Request, context: PageContext) -> Response:
    """End the session in the browser and on the server."""
    if token := access.read_cookie(request, access.SESSION_COOKIE):
        with suppress(StoreError):  # the cookie goes, even if the database cannot be written
            context.app.store.sessions.end(hash_token(token))
    response = RedirectResponse(context.links.page_url("login"), 303)
    access.delete_cookie(request, response, access.SESSION_COOKIE)
    response.headers["clear-site-data"] = '"cache", "storage"'
    return response


def handle_not_logged_in(request: Request, _: Exception) -> Response:
    """Show the login form (401); it leads to the requested page."""
    state = request.app.state
    language = detect_language(request.scope, state.app.config)
    response = _render_login_form(
        request, build_request_context(request, language), _find_requested_url(request), status=401
    )
    response.headers["www-authenticate"] = "Session"
    return response


def start_session_and_redirect(request: Request, user: User, url: str) -> Response:
    """Start the user's session, mark the browser as known, and redirect.

    An earlier session of this browser ends. If the password was changed or reset in the meantime,
    no session starts.
    """
    response, state = RedirectResponse(url, 303), request.app.state
    token = users.start_session(
        state.app.store,
        user,
        state.clock(),
        replaced_token=access.read_cookie(request, access.SESSION_COOKIE),
    )
    if token is not None:
        access.set_cookie(request, response, access.SESSION_COOKIE, token)
        if user.password_hash:
            proof = compute_browser_proof(user)
            access.set_cookie(request, response, access.KNOWN_BROWSER_COOKIE, proof, YEAR_SECONDS)
    return response


def format_password_too_long(translator: Translator) -> str:
    """Return the message for a password that is too long."""
    return translator.translate_plural(
        "Passwords can have at most {n} character.",
        "Passwords can have at most {n} characters.",
        MAX_PASSWORD_CHARACTERS,
    )


def format_retry_delay(context: RequestContext, seconds: int) -> str:
    """Return the message for too many attempts, in whole minutes."""
    return context.translator.translate_plural(
        "Too many wrong attempts. Try again in {n} minute.",
        "Too many wrong attempts. Try again in {n} minutes.",
        -(-seconds // 60),
    )


async def _render_login_error(
    request: Request, context: RequestContext, form: LoginForm, status: int, error_message: str = ""
) -> HTMLResponse:
    """Render the form with an error. A thread does it, so that the event loop is not blocked."""
    return await run_in_threadpool(
        _render_login_form,
        request,
        context,
        form.next,
        status=status,
        error_message=error_message,
        name=form.name,
    )


def _find_requested_url(request: Request) -> str:
    """Return the requested page; after a POST, the page that contained the form."""
    if request.method == "GET":
        query = request.scope["query_string"]
        path = request.scope["raw_path"] + (b"?" + query if query else b"")
        return get_safe_redirect_url(path.decode("latin-1"))
    form_page = URL(request.headers.get("referer", ""))
    if form_page.netloc != request.headers.get("host"):
        return "/"
    return get_safe_redirect_url(
        f"{form_page.path}?{form_page.query}" if form_page.query else form_page.path
    )


def _render_login_form(
    request: Request,
    context: RequestContext,
    next_url: str,
    *,
    status: int = 200,
    error_message: str = "",
    name: str = "",
) -> HTMLResponse:
    is_insecure = not access.is_login_allowed(request)
    return context.render_page(
        "login.html",
        status=403 if is_insecure else status,
        next_url=get_safe_redirect_url(next_url),
        error_message=error_message,
        name=name,
        is_insecure=is_insecure,
        has_no_users=not context.app.store.users.count(),
    )
