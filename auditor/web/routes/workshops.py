"""Workshops: the list, who came, and whether it helped."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.conclusions.summary import AssociationFilter
from auditor.core.i18n.catalogs import gettext_noop
from auditor.presentation.views.survey import MIN_COMPARED
from auditor.presentation.views.workshops import PERIODS, build_workshop_result
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId
from storage.communication.workshops import Workshop
from storage.models.summaries import ChannelStatus

router = APIRouter(route_class=access.AccessRoute)


@router.get("/{language}/workshops", dependencies=[access.COORDINATOR_ACCESS])
def list_workshops(context: PageContext) -> HTMLResponse:
    """Show the workshops of the user's regions, the latest first."""
    workshops = context.app.store.workshops.list_workshops(regions=context.regions)
    return context.render_page("workshops.html", workshops=workshops, workshop=None)


@router.get("/{language}/workshops/{workshop_id}", dependencies=[access.COORDINATOR_ACCESS])
def show_workshop(context: PageContext, workshop_id: RowId) -> HTMLResponse:
    """Show who was invited and who came, and whether it helped."""
    workshop, store = _require_workshop(context, workshop_id), context.load_fresh_store()
    invited = store.workshops.list_invited(workshop, regions=context.regions)
    return context.render_page(
        "workshops.html",
        workshop=workshop,
        associations=sorted(
            store.search.list_summaries(ids=invited.keys(), limit=len(invited)).rows,
            key=lambda summary: summary.display_name(context.language),
        ),
        invited=invited,
        results=build_workshop_result(store, workshop, regions=context.regions),
        periods=PERIODS,
        min_compared=MIN_COMPARED,
    )


@router.post("/{language}/workshops/{workshop_id}", dependencies=[access.COORDINATOR_ACCESS])
def save_attendance(
    context: PageContext,
    workshop_id: RowId,
    id: Annotated[list[str], Form()] = [],  # noqa: A002, B006 - the field of the form
) -> RedirectResponse:
    """Save who came. Those of the page that are not ticked did not come."""
    workshop, workshops = _require_workshop(context, workshop_id), context.app.store.workshops
    invited = workshops.list_invited(workshop, regions=context.regions).keys()
    present = invited & set(id)
    with context.confirmations.lock:  # both requests of a double click arrive together
        added, removed = workshops.save_attendance(
            workshop, sorted(present), sorted(invited - present), context.author, context.now
        )
        return context.confirm(
            context.links.page_url(f"workshops/{workshop_id}"),
            gettext_noop("Saved: {count} came."),
            lambda _: workshops.undo(added, removed),
            count=len(present),
        )


def invite(
    context: RequestContext,
    associations: Iterable[str],
    title: str,
    day: date,
    list_filter: AssociationFilter,
) -> RedirectResponse:
    """Invite associations to a workshop, about the problem by which their list is filtered."""
    channel, code = list_filter.channel, list_filter.gap or None
    if channel and list_filter.state == ChannelStatus.NONE:
        code = "no_website" if channel == "website" else "channel_missing"
    workshop = Workshop(0, day, title, channel if code else "", code)
    workshops = context.app.store.workshops
    ids = workshops.invite(list(associations), workshop, context.author, context.now)
    return context.confirm(
        context.links.page_url("workshops"),
        gettext_noop("Invited to “{title}”: {count}."),
        lambda _: workshops.undo(ids),
        title=title,
        count=len(ids),
    )


def _require_workshop(context: RequestContext, workshop_id: int) -> Workshop:
    """Return the workshop with an entry of this id. Raises HTTPException (404) if there is none."""
    found = context.app.store.workshops.list_workshops(
        workshop_id=workshop_id, regions=context.regions
    )
    if not found:
        raise HTTPException(404)
    return found[0]
