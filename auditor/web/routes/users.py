"""The users page for administrators, a user's own account page, and the page of a one-time link."""

from functools import partial
from operator import itemgetter
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict, Field
from starlette.concurrency import run_in_threadpool

from auditor.conclusions.summary import get_region_key
from auditor.core.errors import TranslatableError
from auditor.core.form_limits import MAX_SELECTED_REGIONS, MAX_TYPED_NAME_CHARS
from auditor.core.formatting import hash_token
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.reference.places import REGIONS
from auditor.web import access, users
from auditor.web.request_context import PageContext, RequestContext, RowId
from auditor.web.routes.login import (
    LoginAttemptLimiter,
    format_password_too_long,
    format_retry_delay,
    start_session_and_redirect,
)
from auditor.web.users import (
    MAX_PASSWORD_CHARACTERS,
    MIN_PASSWORD_CHARACTERS,
    find_password_fault,
    normalize_password,
)
from storage.models.users import Role
from storage.tables.users import User

router = APIRouter(route_class=access.AccessRoute)


class NewUserForm(BaseModel):
    """The form of a new user. Without a region, a coordinator manages all regions."""

    model_config = ConfigDict(str_strip_whitespace=True)

    name: str = Field(default="", max_length=MAX_TYPED_NAME_CHARS)
    role: Role = Role.COORDINATOR
    regions: list[str] = Field(default_factory=list, max_length=MAX_SELECTED_REGIONS)


@router.get("/{language}/users", dependencies=[access.ADMIN_ACCESS])
def list_users(context: PageContext) -> HTMLResponse:
    """Show all users."""
    return _render_users(context)


@router.post("/{language}/users", dependencies=[access.ADMIN_ACCESS])
def create_user(
    request: Request, context: PageContext, form: Annotated[NewUserForm, Form()]
) -> Response:
    """Add a user and show their one-time link."""
    regions = form.regions if form.role is Role.COORDINATOR else ()
    try:
        user, token = users.add_user(
            context.app.store, form.name, form.role, regions, author=context.author, now=context.now
        )
    except TranslatableError as error:
        return _render_users(context, status=422, form=form, error=error)
    return context.confirm(
        context.links.page_url("users"),
        gettext_noop("{name} was added."),
        partial(context.app.store.users.remove, user, token_hash=hash_token(token)),
        values={"new_link": _build_invite_link(request, context, user, token)},
        name=user.name,
    )


@router.post("/{language}/users/{user_id}/reset", dependencies=[access.ADMIN_ACCESS])
def reset_user(request: Request, context: PageContext, user_id: RowId) -> Response:
    """Create a new one-time link for a user. Their password and sessions end."""
    user = _load_other_user(context, user_id)
    token = users.create_invite(context.app.store, user, context.author, context.now)
    return context.confirm(
        context.links.page_url("users"),
        gettext_noop("{name} has a new link. Their password no longer works."),
        lambda _: context.app.store.users.restore(user, token_hash=hash_token(token)),
        values={"new_link": _build_invite_link(request, context, user, token)},
        name=user.name,
    )


@router.post("/{language}/users/{user_id}/remove", dependencies=[access.ADMIN_ACCESS])
def remove_user(context: PageContext, user_id: RowId) -> Response:
    """Remove a user, who can no longer log in."""
    stored_users, user = context.app.store.users, _load_other_user(context, user_id)
    stored_users.remove(user, context.now)
    return context.confirm(
        context.links.page_url("users"),
        gettext_noop("{name} can no longer log in. The name stays on past actions."),
        lambda _: stored_users.restore(user, removed_at=context.now),
        name=user.name,
    )


def _load_other_user(context: RequestContext, user_id: int) -> User:
    """Return the user of this id.

    Raises HTTPException: 404 for an unknown id, and 403 for the current user, because
    administrators must not lock themselves out.
    """
    if context.user and user_id == context.user.id:
        raise HTTPException(403)
    for user in context.app.store.users.list_all():
        if user.id == user_id:
            return user
    raise HTTPException(404)


def _build_invite_link(
    request: Request, context: RequestContext, user: User, token: str
) -> dict[str, object]:
    """Return the one-time link that was just created."""
    server_url = f"{request.scope['scheme']}://{request.headers['host']}"
    base_url = context.app.config.notify.pages_url or server_url
    url = users.build_welcome_url(base_url, context.language, token)
    expires_at = context.now + users.MAX_INVITE_AGE
    return {"user_name": user.name, "url": url, "expires_at": expires_at}


def _render_users(
    context: RequestContext,
    *,
    status: int = 200,
    form: NewUserForm | None = None,
    error: TranslatableError | None = None,
) -> HTMLResponse:
    store, translator = context.app.store, context.translator
    regions = {*REGIONS, *map(get_region_key, store.registry.list_regions())}
    region_choices = [(region, translator.region_name(region)) for region in regions]
    return context.with_path(context.links.page_url("users")).render_page(
        "users.html",
        status=status,
        users=store.users.list_all(),
        roles=list(Role),
        region_choices=sorted(region_choices, key=itemgetter(1)),
        form=form or NewUserForm(),
        error_message=context.translate_error(error),
        time_zone=context.app.config.network.time_zone,
    )


class NewPasswordForm(BaseModel):
    """A new password, typed twice, and the current one if there is one."""

    password: str = Field(default="", repr=False)
    password_confirmation: str = Field(default="", repr=False)
    current_password: str = Field(default="", repr=False)


@router.get("/{language}/account", dependencies=[access.LOGGED_IN_ACCESS])
def show_own_account(context: PageContext, *, password_changed: bool = False) -> HTMLResponse:
    """Show the current user, the form for a new password and the link to their feeds."""
    assert context.user is not None
    return context.render_page(
        "account.html",
        is_password_changed=password_changed,
        feed_link=context.app.store.feed_links.get(context.user),
    )


@router.post("/{language}/account", dependencies=[access.LOGGED_IN_ACCESS])
async def change_password(
    request: Request, context: PageContext, form: Annotated[NewPasswordForm, Form()]
) -> Response:
    """Change the password. All sessions end, and a new one starts in this browser."""
    user = context.user
    assert user is not None
    if error_message := _find_password_error(context, user, form):
        return context.render_page("account.html", status=422, error_message=error_message)
    passwords: users.PasswordService = request.app.state.passwords
    attempts: LoginAttemptLimiter = request.app.state.login_attempts
    attempt_keys = (f"account page {user.normalized_name}",)
    async with attempts.acquire(attempt_keys) as wait_seconds:
        if wait_seconds:
            error_message = format_retry_delay(context, wait_seconds)
            response = context.render_page("account.html", status=429, error_message=error_message)
            response.headers["retry-after"] = str(wait_seconds)
            return response
        is_correct = False
        if len(normalize_password(form.current_password)) <= MAX_PASSWORD_CHARACTERS:
            is_correct = await passwords.verify(form.current_password, user.password_hash)
        if not is_correct:
            attempts.record_failures(attempt_keys)
            error_message = context.translator.translate("That’s not your current password.")
            return context.render_page("account.html", status=422, error_message=error_message)
    new_hash = await passwords.hash(form.password)
    store = context.app.store
    if not await run_in_threadpool(store.users.change_password, user, new_hash, context.now):
        raise access.NotLoggedInError
    user.password_hash = new_hash
    return await run_in_threadpool(
        start_session_and_redirect,
        request,
        user,
        context.links.page_url("account?password_changed=true"),
    )


@router.get("/{language}/set-password/{token}", dependencies=[access.PUBLIC_ACCESS])
def open_invite_link(request: Request, context: PageContext, token: str) -> Response:
    """Move the token of a one-time link into a cookie, and redirect.

    The link stays valid, because mail scanners open every link.
    """
    store, is_allowed = context.app.store, access.is_login_allowed(request)
    if not is_allowed or users.find_invited_user(store, token, context.now) is None:
        return _render_expired_invite(context)
    response = RedirectResponse(context.links.page_url("set-password"), 303)
    # how long the browser keeps the token of a one-time link after opening it
    access.set_cookie(request, response, access.INVITE_COOKIE, token, 3600)
    return response


@router.get("/{language}/set-password", dependencies=[access.PUBLIC_ACCESS])
def show_set_password_form(request: Request, context: PageContext) -> HTMLResponse:
    """Show the form for the first password."""
    token = access.read_cookie(request, access.INVITE_COOKIE)
    user = users.find_invited_user(context.app.store, token, context.now)
    if user is None:
        return _render_expired_invite(context)
    return context.render_page("set_password.html", invited_user=user)


@router.post("/{language}/set-password", dependencies=[access.PUBLIC_ACCESS])
async def set_password(
    request: Request, context: PageContext, form: Annotated[NewPasswordForm, Form()]
) -> Response:
    """Set the password and log the user in. This uses the one-time link up."""
    store, token = context.app.store, access.read_cookie(request, access.INVITE_COOKIE)
    user = await run_in_threadpool(users.find_invited_user, store, token, context.now)
    if user is None:
        return _render_expired_invite(context)
    if error_message := _find_password_error(context, user, form):
        return context.render_page(
            "set_password.html", status=422, invited_user=user, error_message=error_message
        )
    new_hash = await request.app.state.passwords.hash(form.password)
    if not await run_in_threadpool(
        store.users.accept_invite, hash_token(token), new_hash, context.now
    ):
        return _render_expired_invite(context)
    user.password_hash = new_hash
    response = await run_in_threadpool(
        start_session_and_redirect, request, user, context.links.page_url()
    )
    access.delete_cookie(request, response, access.INVITE_COOKIE)
    return response


def _find_password_error(context: RequestContext, user: User, form: NewPasswordForm) -> str:
    """Return what is wrong with a new password, in the page's language, or ""."""
    network = context.app.config.network
    fault = find_password_fault(
        form.password, user.name, network.name, network.name_ar or "", network.name_fr or ""
    )
    translator = context.translator
    match fault:
        case "short":
            return translator.translate_plural(
                "Passwords need at least {n} character.",
                "Passwords need at least {n} characters.",
                MIN_PASSWORD_CHARACTERS,
            )
        case "long":
            return format_password_too_long(translator)
        case "common":
            return translator.translate("This password is too common. Choose another.")
    if form.password != form.password_confirmation:
        return context.translator.translate("The passwords don’t match.")
    return ""


def _render_expired_invite(context: RequestContext) -> HTMLResponse:
    """Render the same page (410) for a link that is wrong, used, replaced or expired."""
    translator = context.translator
    return context.render_page(
        "error.html",
        status=410,
        title=translator.translate("This link has expired"),
        message=translator.translate(
            "This link works once, for one day. Ask the person who sent it for a new one."
        ),
    )
