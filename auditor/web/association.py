"""The coordinator's page of one association."""

from __future__ import annotations

from fastapi import APIRouter, HTTPException
from fastapi.responses import HTMLResponse

from auditor.overview import views
from auditor.portrait import portrait
from auditor.view import AssociationView
from auditor.web.asked import Asked, Page

router = APIRouter()


@router.get("/{language}/associations/{association:path}")
def page(asked: Page, association: str) -> HTMLResponse:
    """What is known of an association, what it rests on, and what can be decided."""
    return shown(asked, found(asked, association))


def shown(asked: Asked, view: AssociationView, *, status: int = 200, **more: object) -> HTMLResponse:
    """The page of an association."""
    it = portrait(asked.app.store, view, asked.app.config.confirm, asked.now)
    return asked.page("dossier.html", status=status, it=it, **more)


def found(asked: Asked, association: str) -> AssociationView:
    """The association of this id; 404 where there is none."""
    for view in views(asked.app.store, asked.app.config, asked.now):
        if view.association.id == association:
            return view
    raise HTTPException(404)
