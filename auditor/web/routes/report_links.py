"""The associations' links to their reports: who has one, made for one or for many, renewed, ended."""

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
    InvitationText,
    ReportLinkAddress,
    build_invitation_text,
    can_create_report_links,
    compute_report_link_expiry,
    create_report_link,
    select_associations,
)
from auditor.views.export import MEDIA_TYPES
from auditor.web import access, request_context
from auditor.web.request_context import PageContext, RequestContext, RowId, build_url
from auditor.web.routes.associations import require_association_view
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.models.users import ReportLink, ReportLinkState
from storage.store import Store

router = APIRouter()

REPORT_LINKS_PAGE_SIZE = 50
MAX_SEARCH_RESULTS = 20
"""Associations that a search shows."""


class BulkReportLinksForm(BaseModel):
    """What is wanted for many: of which associations, whether only those without a link, in which format."""

    model_config = ConfigDict(frozen=True, str_strip_whitespace=True)

    region: str = ""
    tag: str = ""
    missing: bool = False
    form: Literal["csv", "xlsx"] = "xlsx"


@dataclass(frozen=True, slots=True)
class ReportLinkRow:
    """A letter in a list, with whose it is and where it stands."""

    report_link: ReportLink
    state: ReportLinkState
    association: Association | None


@dataclass(frozen=True, slots=True)
class NewReportLink:
    """A link that was made just now, and the texts to send it with: they are shown this once."""

    url: str
    expires_at: datetime
    texts: InvitationText
    whatsapp_url: str | None


@router.get("/{language}/letters", dependencies=[access.COORDINATOR_ACCESS])
def list_report_links(
    context: PageContext,
    *,
    q: Annotated[str, Query(max_length=200)] = "",
    state: ReportLinkState | None = None,
    before: RowId | None = None,
) -> HTMLResponse:
    """The newest letters, those of a state, or the associations of a name."""
    store, here = context.fresh_store, context.links.page_url("letters")
    sought = _search_associations(context, store, q) if q.strip() else []
    regions = context.regions
    listed = store.list_recent_report_links(
        context.now,
        state=state,
        before_id=before,
        limit=REPORT_LINKS_PAGE_SIZE + 1,
        regions=regions,
    )
    told = {
        "state": state.value if state else "",
        "before": str(listed[REPORT_LINKS_PAGE_SIZE - 1].id)
        if listed[REPORT_LINKS_PAGE_SIZE:]
        else "",
    }
    return context.render_page(
        "report_links.html",
        q=q,
        sought=sought,
        rows=list(_build_report_link_rows(context, listed[:REPORT_LINKS_PAGE_SIZE])),
        state=state,
        states=tuple(ReportLinkState),
        first=build_url(here, {**told, "before": ""}) if before else "",
        next=build_url(here, told) if told["before"] else "",
        regions=_list_region_choices(context),
        tags=request_context.list_group_choices(context, "tag"),
        can_be_made=can_create_report_links(context.app.config),
    )


@router.post("/{language}/letters", dependencies=[access.COORDINATOR_ACCESS])
def create_report_links(
    context: PageContext, form: Annotated[BulkReportLinksForm, Form()]
) -> Response:
    """Make links for many, as a sheet with the texts to send: the only place where they stand."""
    _require_public_url(context)
    mailing = BulkInvitations(context.app, context.author, context.now)
    parts = context.limit_to_own_regions(AssociationFilter(region=form.region, tag=form.tag))
    seen = chain.from_iterable(
        select_associations(
            context.app, context.now, association_filter=part, without_link_only=form.missing
        )
        for part in parts
    )
    name = f"{SHEET_TITLE}-{context.now.date().isoformat()}.{form.form}"
    return StreamingResponse(
        _commit_after_stream(
            mailing, mailing.iter_file_parts(seen, form.form, translator=context.translator)
        ),
        media_type=MEDIA_TYPES[form.form],
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


@router.get("/{language}/letters/{association:path}", dependencies=[access.OWN_REGION_ACCESS])
def show_association_report_links(
    context: PageContext, association: str, done: str = ""
) -> HTMLResponse:
    """An association's letters, and what can be done with them."""
    return _render_association_report_links(context, association, done=done)


@router.post("/{language}/letters/{association:path}/make", dependencies=[access.OWN_REGION_ACCESS])
def renew_or_create(context: PageContext, association: str) -> Response:
    """Make its link. It is shown this once, so the answer itself has it."""
    _require_public_url(context)
    app, view = context.app, require_association_view(context, association)
    letter, url = create_report_link(
        app.store, app.config, association, context.author, context.now
    )
    link = ReportLinkAddress(url, letter.expires_at)
    texts = build_invitation_text(view, app.config, link, context.now, view.association.language)
    fresh = NewReportLink(
        url,
        letter.expires_at,
        texts,
        build_whatsapp_url(app.store.get_contact(association).phone, texts.short_text),
    )
    return _render_association_report_links(context, association, new_link=fresh)


@router.post(
    "/{language}/letters/{association:path}/renew", dependencies=[access.OWN_REGION_ACCESS]
)
def renew_report_link(context: PageContext, association: str) -> RedirectResponse:
    """Let its link hold for longer."""
    require_association_view(context, association)
    context.app.store.extend_report_links(
        association, compute_report_link_expiry(context.app.config, context.now), context.now
    )
    return _redirect_after_action(context, association, "renewed")


@router.post(
    "/{language}/letters/{association:path}/revoke", dependencies=[access.OWN_REGION_ACCESS]
)
def revoke_report_links(context: PageContext, association: str) -> Response:
    """End its links at once."""
    require_association_view(context, association)
    context.app.store.revoke_report_links(association, context.author, context.now)
    return _redirect_after_action(context, association, "revoked")


def _render_association_report_links(
    context: RequestContext,
    association: str,
    *,
    done: str = "",
    new_link: NewReportLink | None = None,
) -> HTMLResponse:
    view = require_association_view(context, association)
    rows = list(
        _build_report_link_rows(
            context,
            context.app.store.list_recent_report_links(context.now, association=association),
        )
    )
    return context.with_path(_build_association_path(context, association)).render_page(
        "report_link.html",
        it=view.association,
        email=context.app.store.get_contact(association).email,
        rows=rows,
        holds=any(row.state is ReportLinkState.ACTIVE for row in rows),
        until=compute_report_link_expiry(context.app.config, context.now),
        can_be_made=can_create_report_links(context.app.config),
        done=done,
        fresh=new_link,
    )


def _search_associations(
    context: RequestContext, store: Store, search_text: str
) -> list[AssociationSummary]:
    """The associations of a name that the user looks after, by their names."""
    found = (
        row
        for part in context.limit_to_own_regions(AssociationFilter(q=search_text))
        for row in store.list_summaries(
            part.facets, search_terms=part.search_words, sort="name", limit=MAX_SEARCH_RESULTS
        ).rows
    )
    return sorted(found, key=lambda row: normalize_words(row.name))[:MAX_SEARCH_RESULTS]


def _list_region_choices(context: RequestContext) -> request_context.FieldChoices:
    """The regions to choose from: those that the user looks after."""
    own = context.user.regions if context.user else ()
    return [
        (name, said)
        for name, said in request_context.list_group_choices(context, "region")
        if not own or name in own
    ]


def _build_report_link_rows(
    context: RequestContext, report_links: list[ReportLink]
) -> Iterator[ReportLinkRow]:
    for letter in report_links:
        yield ReportLinkRow(
            letter,
            letter.get_state(context.now),
            context.app.store.get_association(letter.association),
        )


def _commit_after_stream(invitations: BulkInvitations, chunks: Iterator[bytes]) -> Iterator[bytes]:
    """The sheet; its links open when all of it has gone out, so that one that breaks off changes nothing."""
    yield from chunks
    invitations.commit()


def _require_public_url(context: RequestContext) -> None:
    """409 where no public address is set; the page says so before anybody asks."""
    if not can_create_report_links(context.app.config):
        raise HTTPException(409)


def _redirect_after_action(
    context: RequestContext, association: str, done: str
) -> RedirectResponse:
    return RedirectResponse(
        f"{_build_association_path(context, association)}?done={done}#said", 303
    )


def _build_association_path(context: RequestContext, association: str) -> str:
    return f"{context.links.page_url('letters')}/{quote(association, safe='')}"
