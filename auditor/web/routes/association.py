"""The coordinator's page of one association."""

from __future__ import annotations

from collections.abc import Mapping

from fastapi import APIRouter, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import association_view
from auditor.reports.badge import is_wanted, snippet
from auditor.reports.html import points
from auditor.runs.recheck import Checks, NotNow, NotNowError
from auditor.views.association_detail import portrait
from auditor.web import access
from auditor.web.request_context import Asked, Page
from storage.models.audit import NO_CONTACT

router = APIRouter()

BLANK: Mapping[str, object] = {"kind": "called", "text": "", "due": ""}
"""The follow-up form before anything is typed."""


@router.post("/{language}/associations/{association:path}/check", dependencies=[access.OWN])
def check(request: Request, asked: Page, association: str) -> RedirectResponse:
    """Look at its accounts at once, and lead to what was seen."""
    found(asked, association)
    way, checks = asked.link.association(association), request.app.state.checks
    try:
        checks.make(asked.app, association, asked.now)
    except NotNowError as refused:
        return RedirectResponse(f"{way}?check={refused.why}#check", 303)
    return RedirectResponse(f"{way}#check", 303)


@router.get("/{language}/associations/{association:path}", dependencies=[access.READER])
def page(
    request: Request,
    asked: Page,
    association: str,
    *,
    check: NotNow | None = None,
    kept: str = "",
) -> HTMLResponse:
    """What is known of an association, what it rests on, and what can be decided."""
    view = found(asked, association)
    return shown(request, asked, view, refused=check, kept=kept, line=BLANK)


def shown(
    request: Request, asked: Asked, view: AssociationView, *, status: int = 200, **more: object
) -> HTMLResponse:
    """The page of an association. `line` is what its follow-up form holds, `trouble` what that lacks."""
    checks: Checks = request.app.state.checks
    blank: dict[str, object] = {"refused": None, "kept": "", "trouble": ""}
    values = {**blank, "check": checks.of(view.association.id, asked.now), **more}
    values |= {"is_wanted": is_wanted, "snippet": snippet, "mine": asked.acts_for(view.association)}
    values["contact"] = asked.app.store.contact(view.association.id) if values["mine"] else NO_CONTACT
    it = portrait(asked.app.store, view, asked.app.config.confirm, asked.now, private=values["mine"] is True)
    here = asked.at(asked.link.association(view.association.id))
    return here.page(
        "association_detail.html", status=status, it=it, points=points(), today=asked.now.date(), **values
    )


def found(asked: Asked, association: str) -> AssociationView:
    """The association of this id; 404 where there is none."""
    view = association_view(asked.app.store, asked.app.config, association, asked.now)
    if view is None:
        raise HTTPException(404)
    return view
