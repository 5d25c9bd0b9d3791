"""Report links: who has one, creating them for one or many associations, extending and revoking."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import chain
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import URL

from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.summary import AssociationFilter
from auditor.core.formatting import build_whatsapp_url
from auditor.core.i18n.catalogs import gettext_noop
from auditor.presentation.report_links import (
    SHEET_TITLE,
    compute_report_link_expiry,
    create_invitation,
    create_reminder,
    iter_invitations_file,
    select_associations,
)
from auditor.presentation.reports.invitation import (
    InvitationText,
    ReportLinkAddress,
    list_due_promises,
)
from auditor.presentation.views.export import MEDIA_TYPES
from auditor.web import access
from auditor.web.confirmations import Confirmation
from auditor.web.list_filters import list_group_choices
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    RowId,
    build_page_urls,
    build_url,
    get_safe_redirect_url,
    require_association_view,
)
from storage.models.users import FollowUpKind, ReportLinkState
from storage.tables.communication import FollowUp, ReportLink

router = APIRouter(route_class=access.AccessRoute)

REPORT_LINKS_PAGE_SIZE = 50


class BulkReportLinksForm(BaseModel):
    """The form that creates links for many associations: which ones, and the file format."""

    model_config = ConfigDict(str_strip_whitespace=True)

    region: str = ""
    tag: str = ""
    without_link_only: bool = False
    file_format: Literal["csv", "xlsx"] = "xlsx"


@router.get("/{language}/report-links", dependencies=[access.COORDINATOR_ACCESS])
def list_report_links(
    context: PageContext, *, state: ReportLinkState | None = None, before: RowId | None = None
) -> HTMLResponse:
    """Show the newest report links, or those of a state."""
    store, list_url = context.load_fresh_store(), context.links.page_url("report-links")
    report_links = store.report_links.list_recent(
        context.now,
        state=state,
        before_id=before,
        limit=REPORT_LINKS_PAGE_SIZE + 1,
        regions=context.regions,
    )
    shown_links = report_links[:REPORT_LINKS_PAGE_SIZE]
    next_id = shown_links[-1].id if len(report_links) > REPORT_LINKS_PAGE_SIZE else None
    query_params = {"state": state.value if state else ""}
    region_choices = list_group_choices(context, "region")
    if context.user and context.user.regions:
        own_regions = context.user.regions
        region_choices = [choice for choice in region_choices if choice[0] in own_regions]
    return context.render_page(
        "report_links.html",
        rows=_build_report_link_rows(context, shown_links),
        state=state,
        link_states=tuple(ReportLinkState),
        **build_page_urls(list_url, query_params, "before", before, next_id),
        region_choices=region_choices,
        tag_choices=list_group_choices(context, "tag"),
        can_create_links=bool(context.app.config.web.public_url),
    )


@router.post("/{language}/report-links", dependencies=[access.COORDINATOR_ACCESS])
def create_report_links(
    context: PageContext, form: Annotated[BulkReportLinksForm, Form()]
) -> Response:
    """Create links for many associations as a spreadsheet with the texts to send.

    The links are stored only as hashes, so the file is the one place that contains them.
    """
    require_public_url(context)
    filters = context.limit_to_own_regions(AssociationFilter(region=form.region, tag=form.tag))
    associations = chain.from_iterable(
        select_associations(
            context.app,
            context.now,
            association_filter=association_filter,
            without_link_only=form.without_link_only,
        )
        for association_filter in filters
    )
    return stream_report_links(context, associations, form.file_format)


def stream_report_links(
    context: RequestContext, views: Iterable[AssociationView], file_format: Literal["csv", "xlsx"]
) -> StreamingResponse:
    """Return a spreadsheet with new links and texts. The links work when it is complete."""
    report_links: list[ReportLink] = []
    file_name = f"{SHEET_TITLE}-{context.now.date().isoformat()}.{file_format}"

    def stream_and_commit() -> Iterator[bytes]:
        """Yield the file, then store its links. If the download breaks off, nothing changes."""
        yield from iter_invitations_file(
            context.app,
            views,
            context.author,
            context.now,
            report_links,
            file_format=file_format,
            translator=context.translator,
        )
        context.app.store.report_links.add_all(report_links)

    return StreamingResponse(
        stream_and_commit(),
        media_type=MEDIA_TYPES[file_format],
        headers={"content-disposition": f'attachment; filename="{file_name}"'},
    )


@router.get("/{language}/report-links/{association:path}", dependencies=[access.OWN_REGION_ACCESS])
def show_association_report_links(context: PageContext, association: str) -> HTMLResponse:
    """Show an association's report links, what can be done with them, and a new one."""
    view, store = require_association_view(context, association), context.app.store
    report_links = store.report_links.list_recent(context.now, association=association)
    rows = _build_report_link_rows(context, report_links)
    return context.render_page(
        "report_link.html",
        association=view.association,
        rows=rows,
        due_promises=_list_due_promises(context, view),
        has_active_link=any(row["state"] is ReportLinkState.ACTIVE for row in rows),
        subscriber_count=store.subscriptions.count_from_report_links(association),
        new_expiry=compute_report_link_expiry(context.app.config, context.now),
        can_create_links=bool(context.app.config.web.public_url),
        messages=_list_messages(context.confirmation),
    )


@router.post(
    "/{language}/report-links/{association:path}/create", dependencies=[access.OWN_REGION_ACCESS]
)
def create_association_report_link(
    context: PageContext, association: str, promise: Annotated[RowId | None, Form()] = None
) -> Response:
    """Create a link for an association, also to remind of a promise, and show its text."""
    require_public_url(context)
    view = require_association_view(context, association)
    if promise is None:
        message = _create_invitation(context, view)
    else:
        due_promises = {entry.id: entry for entry in _list_due_promises(context, view)}
        if promise not in due_promises:
            raise HTTPException(404)
        address, text = create_reminder(
            context.app, view, due_promises[promise], context.author, context.now
        )
        message = _build_message(context, view, address, text)
    return _confirm_messages(context, _build_association_path(context, association), [message])


def create_messages(
    context: RequestContext, views: Iterable[AssociationView], list_url: str
) -> RedirectResponse:
    """Create a link for each association, and redirect to the messages that send them."""
    require_public_url(context)
    messages = [_create_invitation(context, view) for view in views]
    messages_url = build_url(context.links.page_url("messages"), {"back": list_url})
    return _confirm_messages(context, messages_url, messages)


def _confirm_messages(
    context: RequestContext, page_url: str, messages: list[dict[str, Any]]
) -> RedirectResponse:
    links = context.app.store.report_links
    link_ids = [message["link_id"] for message in messages]
    return context.confirm(
        page_url,
        gettext_noop("Links created. They work until they expire or you revoke them."),
        lambda now: links.revoke_links(link_ids, context.author, now),
        values={"messages": messages},
    )


def _list_messages(confirmation: Confirmation | None) -> list[dict[str, Any]]:
    """Return the messages that a form created. They are shown again for a day."""
    return confirmation.values.get("messages", []) if confirmation else []


@router.get("/{language}/messages", dependencies=[access.COORDINATOR_ACCESS])
def show_messages(context: PageContext) -> HTMLResponse:
    """Show the messages to send to the selected associations."""
    return context.render_page(
        "selection_messages.html",
        messages=_list_messages(context.confirmation),
        list_url=get_safe_redirect_url(
            context.back_query or context.links.page_url("associations")
        ),
    )


@router.post("/{language}/messages/{key}/{number:int}", dependencies=[access.COORDINATOR_ACCESS])
def mark_message(
    context: PageContext, key: str, number: RowId, *, is_sent: Annotated[bool, Form()] = True
) -> RedirectResponse:
    """Note in the follow-up that a message was sent, or take that back."""
    confirmation, store = context.find_confirmation(key), context.app.store
    message = dict(enumerate(_list_messages(confirmation))).get(number)
    if confirmation is None or message is None:
        raise HTTPException(404)
    with context.confirmations.lock:
        if message["follow_up"]:
            store.follow_ups.remove(message["follow_up"].id)
            message["follow_up"] = None
        if is_sent:
            message["follow_up"] = store.follow_ups.add(
                FollowUp(
                    association=message["association"].id,
                    kind=FollowUpKind.WROTE,
                    author=context.author,
                    occurred_at=context.now,
                    text=context.translator.translate("Link to its report"),
                )
            )
    page = URL(confirmation.url).replace(fragment=f"message-{number}")
    return RedirectResponse(str(page), 303)


def _create_invitation(context: RequestContext, view: AssociationView) -> dict[str, Any]:
    """Create a link for an association with the texts to send."""
    address, texts = create_invitation(
        context.app, view, context.author, context.now, view.association.language
    )
    return _build_message(context, view, address, texts.short_text, mail=texts)


def _build_message(
    context: RequestContext,
    view: AssociationView,
    address: ReportLinkAddress,
    text: str,
    mail: InvitationText | None = None,
) -> dict[str, Any]:
    """Return a message that sends a new link. Its `follow_up` notes that it was sent."""
    contact = context.app.store.registry.get_contact(view.association.id)
    return {
        "link_id": address.link_id,
        "association": view.association,
        "url": address.url,
        "expires_at": address.expires_at,
        "text": text,
        "whatsapp_url": build_whatsapp_url(contact.phone, text),
        "email": contact.email,
        "mail": mail,
        "follow_up": None,
    }


def _list_due_promises(context: RequestContext, view: AssociationView) -> list[FollowUp]:
    follow_ups = context.app.store.follow_ups.list_follow_ups(view.association.id)
    return list_due_promises(view, follow_ups, context.now.date())


@router.post(
    "/{language}/report-links/{association:path}/{action}", dependencies=[access.OWN_REGION_ACCESS]
)
def change_report_links(
    context: PageContext, association: str, action: Literal["renew", "revoke"]
) -> RedirectResponse:
    """Extend the active link of an association, or revoke all its links now.

    Subscriptions that were made through revoked links end.
    """
    require_association_view(context, association)
    store, report_links = context.app.store, context.app.store.report_links
    page_url = _build_association_path(context, association)
    new_expiry = compute_report_link_expiry(context.app.config, context.now)
    with context.confirmations.lock:  # another form may change the same links
        before = list(report_links.list_report_links(association))
        subscriptions = [
            subscription
            for subscription in store.subscriptions.list_subscriptions(association=association)
            if subscription.is_wanted and subscription.is_from_report_link
        ]
        if action == "renew":
            report_links.extend(association, new_expiry, context.now)
        else:
            report_links.revoke(association, context.author, context.now)
        after = list(report_links.list_report_links(association))

    def undo(_: datetime) -> None:
        report_links.restore(before, after)
        if action == "revoke":
            for subscription in subscriptions:
                store.subscriptions.resume(subscription, context.now)

    message = LINK_RENEWED if action == "renew" else LINK_REVOKED
    return context.confirm(page_url, message, undo, day=new_expiry)


LINK_RENEWED = gettext_noop("The link is valid until {day}.")
LINK_REVOKED = gettext_noop(
    "The link no longer works, and the monthly reports that were requested through it have ended."
)


def _build_report_link_rows(
    context: RequestContext, report_links: list[ReportLink]
) -> list[dict[str, Any]]:
    """Return report links, each with its state and its association (None if it was removed)."""
    ids = {report_link.association for report_link in report_links}
    associations = context.app.store.registry.get_associations(ids)
    return [
        {
            "report_link": report_link,
            "state": report_link.get_state(context.now),
            "association": associations.get(report_link.association),
        }
        for report_link in report_links
    ]


def require_public_url(context: RequestContext) -> None:
    """Raise HTTPException (422) if no public address is configured; the page says so beforehand."""
    if not context.app.config.web.public_url:
        raise HTTPException(422)


def _build_association_path(context: RequestContext, association: str) -> str:
    return f"{context.links.page_url('report-links')}/{quote(association, safe='')}"
