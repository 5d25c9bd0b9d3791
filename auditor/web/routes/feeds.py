"""A secret link by which a calendar or a program reads what a user sees, without a session."""

import secrets
from collections.abc import Iterator
from contextlib import suppress
from datetime import timedelta
from typing import Literal

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import RedirectResponse, Response, StreamingResponse

from auditor.app import App
from auditor.core.formatting import TOKEN_BYTES, hash_token
from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE, gettext_noop
from auditor.presentation.views.calendar import DOMAIN_GAP, build_calendar
from auditor.presentation.views.export import MEDIA_TYPES, ExportRequest, stream_export
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, build_request_context
from storage.errors import StoreError
from storage.models.audit import Association
from storage.tables.communication import FollowUp
from storage.tables.users import FeedLink

router = APIRouter(route_class=access.AccessRoute)

FeedKind = Literal["associations", "gaps", "accounts", "coverage", "changes"]
"""The kinds of `auditor export` that need no contacts."""
MAX_CALENDAR_ENTRIES = 1000
CALENDAR_PERIOD = timedelta(days=365)
"""How long workshops and overdue promises stay in the calendar."""


@router.post("/{language}/account/feed", dependencies=[access.LOGGED_IN_ACCESS])
def create_feed_link(request: Request, context: PageContext) -> RedirectResponse:
    """Create the user's secret link and show it once. An older one ends."""
    feed_links, user = context.app.store.feed_links, context.user
    assert user is not None
    token = secrets.token_urlsafe(TOKEN_BYTES)
    token_hash = hash_token(token)
    feed_links.save(FeedLink(token_hash=token_hash, user_id=user.id, created_at=context.now))
    server_url = f"{request.scope['scheme']}://{request.headers['host']}"
    base_url = context.app.config.notify.pages_url or server_url
    return context.confirm(
        f"{context.links.page_url('account')}#feed",
        gettext_noop("The link was created. Copy it now: it is not shown again."),
        lambda _: feed_links.remove(token_hash),
        values={"feed_url": f"{base_url}/feeds/{token}"},
    )


@router.post("/{language}/account/feed/revocation", dependencies=[access.LOGGED_IN_ACCESS])
def revoke_feed_link(context: PageContext) -> RedirectResponse:
    """End the user's secret link. It cannot be taken back; another link can be created."""
    feed_links, user = context.app.store.feed_links, context.user
    assert user is not None
    if link := feed_links.get(user):
        feed_links.remove(link.token_hash)
    return context.confirm(
        context.links.page_url("account"), gettext_noop("The link no longer works.")
    )


def _open_feed(request: Request, token: str, language: str = "") -> RequestContext:
    """Return the context of the user whose link has a token.

    Raises HTTPException: 410 for another token, and 404 where no one may log in.
    """
    state = request.app.state
    app: App = state.app
    if not access.is_login_allowed(request):  # anyone on the way could copy the link
        raise HTTPException(404)
    token_hash = hash_token(token)
    user = app.store.feed_links.find_user(token_hash)
    if user is None:
        raise HTTPException(410)
    with suppress(StoreError):  # another process may hold the database for long
        app.store.feed_links.mark_used(token_hash, state.clock())
    request.scope["user"] = user
    if language not in LOCALE_BY_LANGUAGE:
        language = app.config.network.language
    return build_request_context(request, language)


@router.get("/feeds/{token}/calendar.ics", dependencies=[access.PUBLIC_ACCESS])
def get_calendar(request: Request, token: str, lang: str = "") -> Response:
    """Send promises, domains to renew and workshops of the associations that the user manages."""
    context = _open_feed(request, token, lang)
    found = context.load_fresh_store().gap_search.list_visible_gaps(
        code=DOMAIN_GAP, limit=MAX_CALENDAR_ENTRIES
    )
    domain_gaps = [
        (row.association.display_name(context.language), row.gap)
        for row in found.rows
        if context.can_manage_association(row.association)
    ]
    workshops = context.app.store.workshops.list_workshops(
        since=context.now.date() - CALENDAR_PERIOD,
        regions=context.regions,
        limit=MAX_CALENDAR_ENTRIES,
    )
    calendar = build_calendar(
        _iter_promises(context), domain_gaps, workshops, context.translator, context.now
    )
    return Response(calendar, media_type="text/calendar; charset=utf-8")


def _iter_promises(context: RequestContext) -> Iterator[tuple[Association, FollowUp]]:
    """Yield the open promises, overdue ones of the last year too, with their associations."""
    store, due_from = context.app.store, context.now.date() - CALENDAR_PERIOD
    promises = store.follow_ups.list_open_promises(
        due_from, limit=MAX_CALENDAR_ENTRIES, regions=context.regions
    )
    associations = store.registry.get_associations(row.association for row in promises)
    for promise in promises:
        association = associations.get(promise.association)
        if association is not None:
            yield association, promise


@router.get("/feeds/{token}/{kind}.json", dependencies=[access.PUBLIC_ACCESS])
def get_items(request: Request, token: str, kind: FeedKind) -> StreamingResponse:
    """Stream the items of `auditor export`, of the user's regions and without contacts."""
    context = _open_feed(request, token)
    association_ids = None
    if context.user and context.user.regions:
        associations = context.app.store.registry.list_associations()
        managed = filter(context.can_manage_association, associations)
        association_ids = tuple(association.id for association in managed)
    export_request = ExportRequest(
        kind=kind,
        format="json",
        association_ids=association_ids,
        can_see_contact=lambda _association: False,
    )
    return StreamingResponse(
        stream_export(export_request, context.app, context.now), media_type=MEDIA_TYPES["json"]
    )
