"""The badge that an association may show on its own pages."""

from __future__ import annotations

from hashlib import sha256

from fastapi import APIRouter, HTTPException, Request, Response

from auditor.evaluation.network_view import association_view
from auditor.reports.badge import badge, is_wanted
from auditor.web import access
from auditor.web.request_context import Page
from storage.models.audit import NightState

router = APIRouter()

DAY = "public, max-age=86400"


@router.get("/badge/{association:path}/{language}.svg", dependencies=[access.OPEN])
def image(asked: Page, association: str, request: Request) -> Response:
    """The badge of an association that wants one; 404 for any other, and before the first night."""
    app, known = asked.app, asked.app.store.association(association)
    night = app.store.last_night(NightState.DONE)
    if known is None or night is None or not is_wanted(known):
        raise HTTPException(404)
    view = association_view(app.store, app.config, association, asked.now)
    if view is None:
        raise HTTPException(404)
    drawn = badge(view, night.started_at, asked.language).encode()
    headers = {"cache-control": DAY, "etag": f'"{sha256(drawn).hexdigest()[:20]}"'}
    if headers["etag"] in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(drawn, media_type="image/svg+xml", headers=headers)
