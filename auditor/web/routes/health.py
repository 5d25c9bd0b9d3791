"""What machines ask: whether the service lives, and its figures. Neither has a language or a page.

`/healthz` says one word to anybody, under any name: who restarts or balances services asks by number. The
figures of `/metrics` are for this machine, and for whoever shows the token of `[web] metrics_token_file`.
"""

from __future__ import annotations

import hmac

from fastapi import APIRouter, Request
from fastapi.responses import PlainTextResponse, Response
from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4

from auditor.diagnostics.metrics import Gauges, written
from auditor.runs.process import Heart
from auditor.web import access
from auditor.web.middleware import HEALTH, is_loopback
from probes.log import Events
from storage.errors import StoreError

events = Events(__name__)
router = APIRouter()

METRICS = "/metrics"
ASKED_WITH = {"www-authenticate": 'Bearer realm="metrics"'}


@router.get(HEALTH, dependencies=[access.OPEN])
def health(request: Request) -> PlainTextResponse:
    """`ok`; 503 and what is wrong in one word where the database cannot be read or the schedule has died."""
    heart: Heart | None = request.app.state.heart
    try:
        request.app.state.app.store.last_night()
    except StoreError as trouble:
        events.error("database_unreadable", "the database cannot be read: {why}", why=str(trouble))
        return PlainTextResponse("database\n", 503)
    if heart is not None and not heart.is_alive:
        events.error("schedule_dead", "the schedule of nights has not been heard for more than an hour")
        return PlainTextResponse("schedule\n", 503)
    return PlainTextResponse("ok\n")


@router.get(METRICS, dependencies=[access.MACHINE])
def metrics(request: Request) -> Response:
    """The figures in the text format of Prometheus."""
    state = request.app.state
    if not _may_read(request):
        return PlainTextResponse(
            "The figures are for this machine, or for who shows the token.\n", 401, ASKED_WITH
        )
    alive = state.heart.is_alive if state.heart is not None else None
    told = written(Gauges(state.app, state.clock(), alive))
    return Response(told, media_type=CONTENT_TYPE_PLAIN_0_0_4)


def _may_read(request: Request) -> bool:
    token = request.app.state.app.config.web.metrics_token
    shown = request.headers.get("authorization", "").encode()
    expected = f"Bearer {token.get_secret_value()}".encode() if token else b""
    return _is_from_here(request) or bool(token and hmac.compare_digest(shown, expected))


def _is_from_here(request: Request) -> bool:
    """Whether this machine itself asks, and no proxy for somebody else."""
    return request.scope["here"] and request.client is not None and is_loopback(request.client.host)
