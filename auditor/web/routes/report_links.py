"""Report links: who has one, creating them for one or many associations, extending and revoking."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from itertools import chain
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Form, HTTPException, Query
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from auditor.evaluation.summary import AssociationFilter, normalize_words
from auditor.registry.columns import build_whatsapp_url
from auditor.report_links import (
    SHEET_TITLE,
    BulkInvitations,
    can_create_report_links,
    compute_report_link_expiry,
    create_invitation,
    select_associations,
)
from auditor.reports.invitation import InvitationText
from auditor.views.export import MEDIA_TYPES
from auditor.web import access
from auditor.web.list_filters import FieldChoices, list_group_choices
from auditor.web.request_context import PageContext, RequestContext, RowId, build_url
from auditor.web.routes.associations import require_association_view
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.models.users import ReportLink, ReportLinkState
from storage.store import Store

router = APIRouter()

REPORT_LINKS_PAGE_SIZE = 50
MAX_SEARCH_RESULTS = 20


class BulkReportLinksForm(BaseModel):
    """The form that creates links for many associations: which ones, and the file format."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    region: str = ""
    tag: str = ""
    without_link_only: bool = False
    file_format: Literal["csv", "xlsx"] = "xlsx"


@dataclass(frozen=True, slots=True)
class ReportLinkRow:
    """A report link in a list, with its state and its association (None if it was removed)."""

    report_link: ReportLink
    state: ReportLinkState
    association: Association | None


@dataclass(frozen=True, slots=True)
class NewReportLink:
    """A link that was just created, and texts to send it with. It is shown only once."""

    url: str
    expires_at: datetime
    texts: InvitationText
    whatsapp_url: str | None


@router.get("/{language}/report-links", dependencies=[access.COORDINATOR_ACCESS])
def list_report_links(
    context: PageContext,
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    state: ReportLinkState | None = None,
    before: RowId | None = None,
) -> HTMLResponse:
    """Show the newest report links, those of a state, and the results of a search by name."""
    store, list_url = context.load_fresh_store(), context.links.page_url("report-links")
    report_links = store.list_recent_report_links(
        context.now,
        state=state,
        before_id=before,
        limit=REPORT_LINKS_PAGE_SIZE + 1,
        regions=context.regions,
    )
    shown_links = report_links[:REPORT_LINKS_PAGE_SIZE]
    has_more = len(report_links) > REPORT_LINKS_PAGE_SIZE
    query_params = {"state": state.value if state else ""}
    first_url = next_url = ""
    if before:
        first_url = build_url(list_url, query_params)
    if has_more:
        next_url = build_url(list_url, {**query_params, "before": str(shown_links[-1].id)})
    return context.render_page(
        "report_links.html",
        search_text=q,
        search_results=_search_associations(context, store, q) if q.strip() else [],
        rows=list(_build_report_link_rows(context, shown_links)),
        state=state,
        link_states=tuple(ReportLinkState),
        first_url=first_url,
        next_url=next_url,
        region_choices=_list_region_choices(context),
        tag_choices=list_group_choices(context, "tag"),
        can_create_links=can_create_report_links(context.app.config),
    )


@router.post("/{language}/report-links", dependencies=[access.COORDINATOR_ACCESS])
def create_report_links(
    context: PageContext, form: Annotated[BulkReportLinksForm, Form()]
) -> Response:
    """Create links for many associations as a spreadsheet with the texts to send.

    The links are stored only as hashes, so the file is the one place that contains them.
    """
    _require_public_url(context)
    invitations = BulkInvitations(context.app, context.author, context.now)
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
    file_name = f"{SHEET_TITLE}-{context.now.date().isoformat()}.{form.file_format}"
    chunks = invitations.iter_file_parts(
        associations, form.file_format, translator=context.translator
    )
    return StreamingResponse(
        _commit_after_stream(invitations, chunks),
        media_type=MEDIA_TYPES[form.file_format],
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
def create_association_report_link(context: PageContext, association: str) -> Response:
    """Create a link for an association; its older links stop working.

    The link is shown only in this response.
    """
    _require_public_url(context)
    app, view = context.app, require_association_view(context, association)
    address, texts = create_invitation(
        app, view, context.author, context.now, view.association.language
    )
    phone = app.store.get_contact(association).phone
    new_link = NewReportLink(
        address.url, address.expires_at, texts, build_whatsapp_url(phone, texts.short_text)
    )
    return _render_association_report_links(context, association, new_link=new_link)


@router.post(
    "/{language}/report-links/{association:path}/renew", dependencies=[access.OWN_REGION_ACCESS]
)
def renew_report_link(context: PageContext, association: str) -> RedirectResponse:
    """Extend the active link of an association."""
    require_association_view(context, association)
    new_expiry = compute_report_link_expiry(context.app.config, context.now)
    context.app.store.extend_report_links(association, new_expiry, context.now)
    return _redirect_after_action(context, association, "renewed")


@router.post(
    "/{language}/report-links/{association:path}/revoke", dependencies=[access.OWN_REGION_ACCESS]
)
def revoke_report_links(context: PageContext, association: str) -> Response:
    """Revoke all links of an association now."""
    require_association_view(context, association)
    context.app.store.revoke_report_links(association, context.author, context.now)
    return _redirect_after_action(context, association, "revoked")


def _render_association_report_links(
    context: RequestContext,
    association: str,
    *,
    completed_action: str = "",
    new_link: NewReportLink | None = None,
) -> HTMLResponse:
    view, store = require_association_view(context, association), context.app.store
    report_links = store.list_recent_report_links(context.now, association=association)
    rows = list(_build_report_link_rows(context, report_links))
    return context.with_path(_build_association_path(context, association)).render_page(
        "report_link.html",
        association=view.association,
        email=store.get_contact(association).email,
        rows=rows,
        has_active_link=any(row.state is ReportLinkState.ACTIVE for row in rows),
        new_expiry=compute_report_link_expiry(context.app.config, context.now),
        can_create_links=can_create_report_links(context.app.config),
        completed_action=completed_action,
        new_link=new_link,
    )


def _search_associations(
    context: RequestContext, store: Store, search_text: str
) -> list[AssociationSummary]:
    """Return the associations in the user's regions that match, sorted by name."""
    summaries = [
        summary
        for association_filter in context.limit_to_own_regions(AssociationFilter(q=search_text))
        for summary in store.list_summaries(
            association_filter.facets,
            search_terms=association_filter.search_words,
            sort="name",
            limit=MAX_SEARCH_RESULTS,
        ).rows
    ]
    summaries.sort(key=lambda summary: normalize_words(summary.name))
    return summaries[:MAX_SEARCH_RESULTS]


def _list_region_choices(context: RequestContext) -> FieldChoices:
    """Return the regions that the user manages."""
    own_regions = context.user.regions if context.user else ()
    return [
        (region, label)
        for region, label in list_group_choices(context, "region")
        if not own_regions or region in own_regions
    ]


def _build_report_link_rows(
    context: RequestContext, report_links: list[ReportLink]
) -> Iterator[ReportLinkRow]:
    for report_link in report_links:
        yield ReportLinkRow(
            report_link,
            report_link.get_state(context.now),
            context.app.store.get_association(report_link.association),
        )


def _commit_after_stream(invitations: BulkInvitations, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the file, then store its links. If the download breaks off, nothing changes."""
    yield from chunks
    invitations.commit()


def _require_public_url(context: RequestContext) -> None:
    """Raise HTTPException (409) if no public address is configured; the page says so beforehand."""
    if not can_create_report_links(context.app.config):
        raise HTTPException(409)


def _redirect_after_action(
    context: RequestContext, association: str, completed_action: str
) -> RedirectResponse:
    page_url = _build_association_path(context, association)
    return RedirectResponse(f"{page_url}?done={completed_action}#message", 303)


def _build_association_path(context: RequestContext, association: str) -> str:
    return f"{context.links.page_url('report-links')}/{quote(association, safe='')}"
