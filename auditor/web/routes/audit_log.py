"""The registry's trail in the browser: who changed what, page by page."""

from __future__ import annotations

from urllib.parse import urlencode

from fastapi import APIRouter
from fastapi.responses import HTMLResponse

from auditor.registry.diff import Line
from auditor.web import access
from auditor.web.request_context import Asked, Number, Page

router = APIRouter()

SHOWN = 50


@router.get("/{language}/registry/trail", dependencies=[access.COORDINATOR])
def trail(asked: Page, association: str = "", before: Number | None = None) -> HTMLResponse:
    """The newest changes first: of everybody, or of one association, also one that was removed."""
    store = asked.app.store
    found = store.trail(association or None, before=before, limit=SHOWN + 1, regions=asked.regions)
    changes, rest = found[:SHOWN], found[SHOWN:]
    about = {one.id: one for one in store.holdings({change.association for change in changes}).associations}
    lines = [
        (one, Line.of(one, about[one.association].shown(asked.language) if one.association in about else ""))
        for one in changes
    ]
    return asked.page(
        "audit_log.html",
        lines=lines,
        association=association,
        named=store.association(association) if association else None,
        first=_address(asked, association) if before else None,
        next=_address(asked, association, before=changes[-1].id) if rest else None,
    )


def _address(asked: Asked, association: str, *, before: int | None = None) -> str:
    told = {"association": association, "before": before}
    query = urlencode({name: value for name, value in told.items() if value})
    return asked.link.page("registry/trail") + (f"?{query}" if query else "")
