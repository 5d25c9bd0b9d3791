"""Workshops: the list, who came, and whether it helped."""

from collections.abc import Iterable
from datetime import date
from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import BaseModel

from auditor.conclusions.summary import AssociationFilter
from auditor.core.i18n.catalogs import gettext_noop
from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.presentation.views.survey import MIN_COMPARED
from auditor.presentation.views.workshops import PERIODS, build_workshop_result
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext, RowId
from probes.links.channel_registry import WEBSITE_CHANNEL
from storage.communication.workshops import Workshop
from storage.models.summaries import ChannelStatus

router = APIRouter(route_class=access.AccessRoute)


class AttendanceForm(BaseModel):
    """The ids of the boxes that are ticked, and of those that were ticked when the page opened."""

    id: set[str] = set()
    before: set[str] = set()


@router.get("/{language}/workshops", dependencies=[access.COORDINATOR_ACCESS])
def list_workshops(context: PageContext) -> HTMLResponse:
    """Show the workshops of the user's regions, the latest first."""
    workshops = context.app.store.workshops.list_workshops(regions=context.regions)
    return context.render_page("workshops.html", workshops=workshops)


@router.get("/{language}/workshops/{workshop_id}", dependencies=[access.COORDINATOR_ACCESS])
def show_workshop(context: PageContext, workshop_id: RowId) -> HTMLResponse:
    """Show who was invited and who came, and whether it helped."""
    workshop, store = _require_workshop(context, workshop_id), context.load_fresh_store()
    invited = store.workshops.list_invited(workshop, regions=context.regions)
    return context.render_page(
        "workshop.html",
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
    context: PageContext, workshop_id: RowId, form: Annotated[AttendanceForm, Form()]
) -> RedirectResponse:
    """Save what was changed in the boxes of a workshop."""
    workshop, workshops = _require_workshop(context, workshop_id), context.app.store.workshops
    invited = workshops.list_invited(workshop, regions=context.regions).keys()
    attended, absent = invited & (form.id - form.before), invited & (form.before - form.id)
    with context.confirmations.lock:  # both requests of a double click arrive together
        added, removed = workshops.save_attendance(
            workshop, sorted(attended), sorted(absent), context.author, context.now
        )
        return context.confirm(
            context.links.page_url(f"workshops/{workshop_id}"),
            gettext_noop("Saved: {count} came."),
            lambda _: workshops.undo(workshop, added, removed),
            count=len(form.id & invited),
        )


def invite(
    context: RequestContext,
    associations: Iterable[str],
    title: str,
    day: date,
    list_filter: AssociationFilter,
) -> RedirectResponse:
    """Invite associations to a workshop, about the problem by which their list is filtered."""
    channel = list_filter.channel if list_filter.channel in context.app.config.channels else ""
    code = list_filter.gap if list_filter.gap in load_gap_catalogue().definitions else None
    if channel and list_filter.state == ChannelStatus.NONE:
        code = "no_website" if channel == WEBSITE_CHANNEL else "channel_missing"
    workshop = Workshop(day, title, channel if code else "", code)
    workshops = context.app.store.workshops
    ids = workshops.invite(list(associations), workshop, context.author, context.now)
    return context.confirm(
        context.links.page_url("workshops"),
        gettext_noop("Invited to “{title}”: {count}."),
        lambda _: workshops.undo(workshop, ids),
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
