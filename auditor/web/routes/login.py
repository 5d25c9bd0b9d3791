"""Logging in and out. A wrong name and a wrong password answer alike, and take alike."""

from __future__ import annotations

import re
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Annotated

from fastapi import APIRouter, Form, Query, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import URL

from auditor.i18n.wording import Translator
from auditor.users import service
from auditor.users.passwords import MAX_PASSWORD_CHARACTERS, PasswordService, normalize_password
from auditor.web import access, errors
from auditor.web.middleware import LoginAttemptLimiter, build_attempt_keys, compute_browser_proof
from auditor.web.request_context import PageContext, RequestContext, build_request_context
from storage.models.users import User

router = APIRouter()

YEAR_SECONDS = 366 * 24 * 3600
LOCAL_URL_PATTERN = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")
"""A way on this site: no browser takes it for an address elsewhere."""
LOGIN_PATH_PATTERN = re.compile(r"/[a-z]{2}/log(in|out)\b.*")
"""Where nobody wants to be led who has just logged in."""


@dataclass(frozen=True, slots=True)
class LoginService:
    """What every attempt to log in needs of the process: it is there once."""

    passwords: PasswordService = field(default_factory=PasswordService)
    attempts: LoginAttemptLimiter = field(default_factory=LoginAttemptLimiter)


class LoginForm(BaseModel):
    """The form. `next` is where to go then."""

    model_config = ConfigDict(frozen=True)

    name: str = Field(default="", max_length=1000)
    password: str = Field(default="", repr=False)
    next: str = ""


@router.get("/{language}/login", dependencies=[access.PUBLIC_ACCESS])
def show_login_form(
    request: Request, context: PageContext, next_url: Annotated[str, Query(alias="next")] = ""
) -> Response:
    """Ask for name and password."""
    return _render_login_form(request, context, next_url)


@router.post("/{language}/login", dependencies=[access.PUBLIC_ACCESS])
async def log_in(
    request: Request, context: PageContext, form: Annotated[LoginForm, Form()]
) -> Response:
    """Let somebody in, or say that it did not work, and nothing of why."""
    if not access.is_login_allowed(request):
        return await _render_login_error(request, context, form, 403)
    if len(normalize_password(form.password)) > MAX_PASSWORD_CHARACTERS:
        return await _render_login_error(
            request, context, form, 422, format_password_too_long(context.translator)
        )
    user = await run_in_threadpool(context.app.store.get_user, form.name)
    doorman, keys = get_login_service(request), build_login_attempt_keys(request, user, form.name)
    async with doorman.attempts.acquire(keys) as seconds:
        if seconds:
            answer = await _render_login_error(
                request, context, form, 429, format_retry_delay(context, seconds)
            )
            answer.headers["retry-after"] = str(seconds)
            return answer
        agreed, newer = await doorman.passwords.verify(
            form.password, user.password_hash if user else None
        )
        if not agreed or user is None:
            doorman.attempts.record_failures(keys)
            told = context.translator.translate("Wrong name or password.")
            return await _render_login_error(request, context, form, 401, told)
    if newer:
        await run_in_threadpool(context.app.store.rehash_password, user, newer)
        user = replace(user, password_hash=newer)
    return await run_in_threadpool(
        start_session_and_redirect, request, user, get_safe_redirect_url(form.next)
    )


@router.post("/{language}/logout", dependencies=[access.PUBLIC_ACCESS])
def log_out(request: Request, context: PageContext) -> Response:
    """End the session, on our side as well."""
    if token := access.read_cookie(request, access.SESSION_COOKIE):
        service.end_session(context.app.store, token)
    answer = RedirectResponse(context.links.page_url("login"), 303)
    access.delete_cookie(request, answer, access.SESSION_COOKIE)
    answer.headers["clear-site-data"] = '"cache", "storage"'
    return answer


def handle_not_logged_in(request: Request, _: Exception) -> Response:
    """The login, leading to the page that somebody asked for who is not logged in, or no longer."""
    state = request.app.state
    language = errors.detect_language(request.scope, state.app.config)
    answer = _render_login_form(
        request, build_request_context(request, language), _find_requested_url(request), status=401
    )
    answer.headers["www-authenticate"] = "Session"
    return answer


def start_session_and_redirect(request: Request, user: User, url: str) -> Response:
    """Begin the session of a user and lead on; the browser is known from now on.

    Where the password of `user` was changed or reset meanwhile, nobody is let in.
    """
    answer = RedirectResponse(url, 303)
    if access.start_session(request, answer, user):
        access.set_cookie(
            request, answer, access.KNOWN_BROWSER_COOKIE, compute_browser_proof(user), YEAR_SECONDS
        )
    return answer


def get_safe_redirect_url(url: str) -> str:
    """Where to lead somebody: a way on this site, else its door."""
    return (
        url if LOCAL_URL_PATTERN.fullmatch(url) and not LOGIN_PATH_PATTERN.fullmatch(url) else "/"
    )


def get_login_service(request: Request) -> LoginService:
    """The process's own."""
    found: LoginService = request.app.state.doorman
    return found


def build_login_attempt_keys(request: Request, user: User | None, name: str) -> tuple[str, ...]:
    """By what this attempt is counted."""
    address = request.client.host if request.client else ""
    return build_attempt_keys(
        address, name, user, access.read_cookie(request, access.KNOWN_BROWSER_COOKIE)
    )


def format_password_too_long(translator: Translator) -> str:
    """What is said of a password that is longer than any may be."""
    return translator.translate_plural(
        "Passwords can have at most {n} character.",
        "Passwords can have at most {n} characters.",
        MAX_PASSWORD_CHARACTERS,
    )


def format_retry_delay(context: RequestContext, seconds: int) -> str:
    """What is said to somebody who has to wait."""
    return context.translator.translate_plural(
        "Too many wrong attempts. Try again in {n} minute.",
        "Too many wrong attempts. Try again in {n} minutes.",
        -(-seconds // 60),
    )


async def _render_login_error(
    request: Request, context: RequestContext, form: LoginForm, status: int, error_message: str = ""
) -> HTMLResponse:
    """The form once more, with what was wrong; made in a thread, for the loop goes on meanwhile."""
    shown = partial(
        _render_login_form,
        request,
        context,
        form.next,
        status=status,
        error_message=error_message,
        name=form.name,
    )
    return await run_in_threadpool(shown)


def _find_requested_url(request: Request) -> str:
    """The page that was asked for, or that held the form that was sent."""
    if request.method == "GET":
        query = request.scope["query_string"]
        way = request.scope["raw_path"] + (b"?" + query if query else b"")
        return get_safe_redirect_url(way.decode("latin-1"))
    held = URL(request.headers.get("referer", ""))
    here = held.netloc == request.headers.get("host")
    return (
        get_safe_redirect_url(f"{held.path}?{held.query}" if held.query else held.path)
        if here
        else "/"
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
    is_open_line = not access.is_login_allowed(request)
    return context.render_page(
        "login.html",
        status=403 if is_open_line else status,
        next=get_safe_redirect_url(next_url),
        trouble=error_message,
        name=name,
        is_open_line=is_open_line,
        is_nobody_there=not context.app.store.count_users(),
        most=MAX_PASSWORD_CHARACTERS,
    )
