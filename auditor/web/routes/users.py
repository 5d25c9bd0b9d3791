"""The page of users, for administrators: who there is, added, invited anew, removed, as by `auditor user`.

A user's own page: who they are here, and another password. And the page of a one-time link.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from auditor.core.errors import TranslatableError
from auditor.core.tokens import hash_token
from auditor.evaluation.summary import get_region_key
from auditor.i18n.wording import Translator
from auditor.reference.regions import REGIONS
from auditor.rendering.templates import get_html_translator
from auditor.users import service
from auditor.users.passwords import (
    MAX_PASSWORD_CHARACTERS,
    MIN_PASSWORD_CHARACTERS,
    PasswordFault,
    find_password_fault,
    normalize_password,
)
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId
from auditor.web.routes.login import (
    LoginService,
    format_password_too_long,
    format_retry_delay,
    get_login_service,
    start_session_and_redirect,
)
from storage.models.users import Role, User

router = APIRouter()


class NewUserForm(BaseModel):
    """The form of a new user. No region is all of them."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    name: str = Field(default="", max_length=1000)
    role: Role = Role.COORDINATOR
    region: list[str] = Field(default_factory=list, max_length=100)


@dataclass(frozen=True, slots=True)
class NewInviteLink:
    """A one-time link that was made just now: it is shown this once."""

    user_name: str
    url: str
    expires_at: datetime


@router.get("/{language}/people", dependencies=[access.ADMIN_ACCESS])
def list_users(context: PageContext, done: str = "") -> HTMLResponse:
    """Who may log in."""
    return _render_users(context, done=done)


@router.post("/{language}/people", dependencies=[access.ADMIN_ACCESS])
def create_user(
    request: Request, context: PageContext, form: Annotated[NewUserForm, Form()]
) -> HTMLResponse:
    """Add somebody. The link is shown this once, so the answer itself has it."""
    store, regions = context.app.store, form.region if form.role is Role.COORDINATOR else ()
    try:
        user, token = service.add_user(
            store, form.name, form.role, regions, author=context.author, now=context.now
        )
    except TranslatableError as trouble:
        return _render_users(context, status=422, form=form, error=trouble)
    return _render_users(context, new_link=_build_invite_link(request, context, user, token))


@router.post("/{language}/people/{number}/reset", dependencies=[access.ADMIN_ACCESS])
def reset_user(request: Request, context: PageContext, number: RowId) -> HTMLResponse:
    """Make a user's new one-time link; password and sessions end."""
    user = _load_other_user(context, number)
    token = service.create_invite(context.app.store, user, context.author, context.now)
    return _render_users(context, new_link=_build_invite_link(request, context, user, token))


@router.post("/{language}/people/{number}/remove", dependencies=[access.ADMIN_ACCESS])
def remove_user(context: PageContext, number: RowId) -> Response:
    """Let a user in no more."""
    service.remove_user(context.app.store, _load_other_user(context, number), context.now)
    return RedirectResponse(f"{context.links.page_url('people')}?done=removed#said", 303)


def _load_other_user(context: RequestContext, user_id: int) -> User:
    """The user of a number. 409 for who asks: nobody locks themselves out, so that somebody is left."""
    user = next((one for one in context.app.store.list_users() if one.id == user_id), None)
    if user is None:
        raise HTTPException(404)
    if context.user and user.id == context.user.id:
        raise HTTPException(409)
    return user


def _build_invite_link(
    request: Request, context: RequestContext, user: User, token: str
) -> NewInviteLink:
    config = context.app.config
    here = f"{request.scope['scheme']}://{request.headers['host']}"
    url = service.build_welcome_url(config.notify.pages_url or here, context.language, token)
    return NewInviteLink(user.name, url, context.now + service.INVITE_VALIDITY)


def _render_users(
    context: RequestContext,
    *,
    status: int = 200,
    form: NewUserForm | None = None,
    new_link: NewInviteLink | None = None,
    error: TranslatableError | None = None,
    done: str = "",
) -> HTMLResponse:
    store, words = context.app.store, context.translator
    places = {*REGIONS, *map(get_region_key, store.list_regions())}
    return context.with_path(context.links.page_url("people")).render_page(
        "users.html",
        status=status,
        users=store.list_users(),
        roles=list(Role),
        regions=sorted(((one, words.region_name(one)) for one in places), key=lambda pair: pair[1]),
        typed=form or NewUserForm(),
        fresh=new_link,
        trouble=get_html_translator(context.language).translate(error.message, **error.facts)
        if error
        else "",
        done=done,
        zone=context.app.config.network.time_zone,
    )


INVITE_COOKIE_SECONDS = 3600
"""How long the browser keeps a one-time link's token, after the address has shown it."""


class NewPasswordForm(BaseModel):
    """A new password, typed twice, and the one of until now where there is one."""

    model_config = ConfigDict(frozen=True)

    password: str = Field(default="", repr=False)
    again: str = Field(default="", repr=False)
    now: str = Field(default="", repr=False)


@router.get("/{language}/account", dependencies=[access.LOGGED_IN_ACCESS])
def show_own_account(context: PageContext, *, done: bool = False) -> HTMLResponse:
    """Who is logged in, and the form of another password."""
    return _render_own_account(context, done=done)


@router.post("/{language}/account", dependencies=[access.LOGGED_IN_ACCESS])
async def change_password(
    request: Request, context: PageContext, form: Annotated[NewPasswordForm, Form()]
) -> Response:
    """Take another password; every session ends, and this browser begins a new one."""
    user = context.user
    assert user is not None
    doorman, keys = get_login_service(request), (f"account page {user.normalized_name}",)
    if trouble := _find_password_error(context, user, form):
        return _render_own_account(context, status=422, error_message=trouble)
    async with doorman.attempts.acquire(keys) as seconds:
        if seconds:
            answer = _render_own_account(
                context, status=429, error_message=format_retry_delay(context, seconds)
            )
            answer.headers["retry-after"] = str(seconds)
            return answer
        if not await _is_current_password(doorman, form.now, user):
            doorman.attempts.record_failures(keys)
            return _render_own_account(
                context,
                status=422,
                error_message=context.translator.translate("That’s not your current password."),
            )
    kept = await doorman.passwords.hash(form.password)
    if not await run_in_threadpool(context.app.store.change_password, user, kept, context.now):
        raise access.NotLoggedInError
    changed = replace(user, password_hash=kept)
    return await run_in_threadpool(
        start_session_and_redirect, request, changed, context.links.page_url("account?done=true")
    )


@router.get("/{language}/welcome/{token}", dependencies=[access.PUBLIC_ACCESS])
def open_invite_link(request: Request, context: PageContext, token: str) -> Response:
    """Exchange a one-time link for a cookie. That uses nothing up: programs in the mail open it."""
    if (
        not access.is_login_allowed(request)
        or service.find_invited_user(context.app.store, token, context.now) is None
    ):
        return _render_expired_invite(context)
    answer = RedirectResponse(context.links.page_url("welcome"), 303)
    access.set_cookie(request, answer, access.INVITE_COOKIE, token, INVITE_COOKIE_SECONDS)
    return answer


@router.get("/{language}/welcome", dependencies=[access.PUBLIC_ACCESS])
def show_set_password_form(request: Request, context: PageContext) -> HTMLResponse:
    """Ask for a password."""
    user = service.find_invited_user(
        context.app.store, access.read_cookie(request, access.INVITE_COOKIE), context.now
    )
    return _render_set_password_form(context, user) if user else _render_expired_invite(context)


@router.post("/{language}/welcome", dependencies=[access.PUBLIC_ACCESS])
async def set_password(
    request: Request, context: PageContext, form: Annotated[NewPasswordForm, Form()]
) -> Response:
    """Set the password, once, and let the user in."""
    store, token = context.app.store, access.read_cookie(request, access.INVITE_COOKIE)
    user = await run_in_threadpool(service.find_invited_user, store, token, context.now)
    if user is None:
        return _render_expired_invite(context)
    if trouble := _find_password_error(context, user, form):
        return _render_set_password_form(context, user, status=422, error_message=trouble)
    kept = await get_login_service(request).passwords.hash(form.password)
    if not await run_in_threadpool(store.accept_user_invite, hash_token(token), kept, context.now):
        return _render_expired_invite(context)
    answer = await run_in_threadpool(
        start_session_and_redirect,
        request,
        replace(user, password_hash=kept),
        context.links.page_url(),
    )
    access.delete_cookie(request, answer, access.INVITE_COOKIE)
    return answer


async def _is_current_password(login_service: LoginService, password: str, user: User) -> bool:
    if len(normalize_password(password)) > MAX_PASSWORD_CHARACTERS:
        return False
    agreed, _ = await login_service.passwords.verify(password, user.password_hash)
    return agreed


def _find_password_error(context: RequestContext, user: User, form: NewPasswordForm) -> str:
    """What is wrong with a new password, in the page's language; empty where it may be taken."""
    network = context.app.config.network
    found = find_password_fault(
        form.password, user.name, network.name, network.name_ar or "", network.name_fr or ""
    )
    if found:
        return describe_password_fault(found, context.translator)
    return (
        ""
        if form.password == form.again
        else context.translator.translate("The passwords don’t match.")
    )


def describe_password_fault(fault_kind: PasswordFault, translator: Translator) -> str:
    """What is wrong with a password, in words."""
    match fault_kind:
        case PasswordFault.SHORT:
            return translator.translate_plural(
                "Passwords need at least {n} character.",
                "Passwords need at least {n} characters.",
                MIN_PASSWORD_CHARACTERS,
            )
        case PasswordFault.LONG:
            return format_password_too_long(translator)
        case _:
            return translator.translate("This password is too common. Choose another.")


def _render_own_account(
    context: RequestContext, *, status: int = 200, done: bool = False, error_message: str = ""
) -> HTMLResponse:
    return context.render_page(
        "account.html",
        status=status,
        done=done,
        trouble=error_message,
        least=MIN_PASSWORD_CHARACTERS,
        most=MAX_PASSWORD_CHARACTERS,
    )


def _render_set_password_form(
    context: RequestContext, user: User, *, status: int = 200, error_message: str = ""
) -> HTMLResponse:
    return context.render_page(
        "set_password.html",
        status=status,
        invited=user,
        trouble=error_message,
        least=MIN_PASSWORD_CHARACTERS,
        most=MAX_PASSWORD_CHARACTERS,
    )


def _render_expired_invite(context: RequestContext) -> HTMLResponse:
    """The same for a link that is wrong, used, replaced or too old."""
    words = context.translator
    told = words.translate(
        "This link works once, for one day. Ask the person who sent it for a new one."
    )
    return context.render_page(
        "error.html", status=410, title=words.translate("This link has expired"), said=told
    )
