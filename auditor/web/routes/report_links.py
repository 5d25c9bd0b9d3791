"""Report links: who has one, creating them for one or many associations, extending and revoking."""

from collections.abc import Iterable, Iterator, Mapping
from itertools import chain
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.summary import AssociationFilter
from auditor.core.formatting import build_whatsapp_url
from auditor.presentation.report_links import (
    SHEET_TITLE,
    compute_report_link_expiry,
    create_invitation,
    create_reminder,
    iter_invitations_file,
    select_associations,
)
from auditor.presentation.reports.invitation import ReportLinkAddress, list_due_promises
from auditor.presentation.views.export import MEDIA_TYPES
from auditor.web import access
from auditor.web.list_filters import list_group_choices
from auditor.web.request_context import (
    PageContext,
    RequestContext,
    RowId,
    build_page_urls,
    require_association_view,
)
from storage.models.users import ReportLinkState
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
def show_association_report_links(
    context: PageContext, association: str, done: str = ""
) -> HTMLResponse:
    """Show an association's report links and what can be done with them."""
    return _render_association_report_links(context, association, completed_action=done)


@router.post(
    "/{language}/report-links/{association:path}/create", dependencies=[access.OWN_REGION_ACCESS]
)
def create_association_report_link(
    context: PageContext, association: str, promise: Annotated[RowId | None, Form()] = None
) -> Response:
    """Create a link for an association; its older links stop working.

    The link to remind of a promise keeps older links. A link is shown only in this response.
    """
    require_public_url(context)
    view = require_association_view(context, association)
    if promise is None:
        new_link = create_invitation_link(context, view)
    else:
        due_promises = {entry.id: entry for entry in _list_due_promises(context, view)}
        if promise not in due_promises:
            raise HTTPException(404)
        address, text = create_reminder(
            context.app, view, due_promises[promise], context.author, context.now
        )
        new_link = _build_new_link(context, view, address, {"reminder": text})
    return _render_association_report_links(context, association, new_link=new_link)


def create_invitation_link(context: RequestContext, view: AssociationView) -> dict[str, Any]:
    """Create a link for an association with the texts to send; its older links stop working."""
    address, texts = create_invitation(
        context.app, view, context.author, context.now, view.association.language
    )
    message_texts = {"invitation": texts.short_text, "new_link": texts.new_link_text}
    return {**_build_new_link(context, view, address, message_texts), "mail": texts}


def _build_new_link(
    context: RequestContext,
    view: AssociationView,
    address: ReportLinkAddress,
    texts: Mapping[str, str],
) -> dict[str, Any]:
    """Return what a page shows of a new link: its texts by kind, each with a WhatsApp link."""
    phone = context.app.store.registry.get_contact(view.association.id).phone
    messages = [
        {"kind": kind, "text": text, "whatsapp_url": build_whatsapp_url(phone, text)}
        for kind, text in texts.items()
        if text
    ]
    expires_at = address.expires_at
    return {"url": address.url, "expires_at": expires_at, "messages": messages, "mail": None}


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
    report_links = context.app.store.report_links
    if action == "renew":
        new_expiry = compute_report_link_expiry(context.app.config, context.now)
        report_links.extend(association, new_expiry, context.now)
        completed_action = "renewed"
    else:
        report_links.revoke(association, context.author, context.now)
        completed_action = "revoked"
    page_url = _build_association_path(context, association)
    return RedirectResponse(f"{page_url}?done={completed_action}#message", 303)


def _render_association_report_links(
    context: RequestContext,
    association: str,
    *,
    completed_action: str = "",
    new_link: dict[str, Any] | None = None,
) -> HTMLResponse:
    view, store = require_association_view(context, association), context.app.store
    report_links = store.report_links.list_recent(context.now, association=association)
    rows = _build_report_link_rows(context, report_links)
    return context.with_path(_build_association_path(context, association)).render_page(
        "report_link.html",
        association=view.association,
        email=store.registry.get_contact(association).email,
        rows=rows,
        due_promises=_list_due_promises(context, view),
        has_active_link=any(row["state"] is ReportLinkState.ACTIVE for row in rows),
        subscriber_count=store.subscriptions.count_from_report_links(association),
        new_expiry=compute_report_link_expiry(context.app.config, context.now),
        can_create_links=bool(context.app.config.web.public_url),
        completed_action=completed_action,
        new_link=new_link,
    )


def _build_report_link_rows(
    context: RequestContext, report_links: list[ReportLink]
) -> list[dict[str, Any]]:
    """Return report links, each with its state and its association (None if it was removed)."""
    registry = context.app.store.registry
    return [
        {
            "report_link": report_link,
            "state": report_link.get_state(context.now),
            "association": registry.get_association(report_link.association),
        }
        for report_link in report_links
    ]


def require_public_url(context: RequestContext) -> None:
    """Raise HTTPException (409) if no public address is configured; the page says so beforehand."""
    if not context.app.config.web.public_url:
        raise HTTPException(409)


def _build_association_path(context: RequestContext, association: str) -> str:
    return f"{context.links.page_url('report-links')}/{quote(association, safe='')}"
