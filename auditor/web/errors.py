"""What is shown where there is no page, no leave, or a fault: in the reader's language, with a way back."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from fastapi import Request
from fastapi.responses import HTMLResponse
from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.types import Scope

from auditor.config.schema import Config
from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE, negotiate_language
from auditor.rendering.templates import WebAppLinks, get_html_translator, render_template
from auditor.users import service
from auditor.web.access import get_current_user

Clock = Callable[[], datetime]

LANGUAGE_COOKIE = "language"
"""Keeps the language that a reader chose."""


def detect_language(scope: Scope, config: Config) -> str:
    """The reader's language: that of the address, the one chosen before, the browser's, the network's."""
    headers = Headers(scope=scope)
    told = (
        scope["path"].partition("/")[2].partition("/")[0],
        cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE),
    )
    spoken = next((code for code in told if code in LOCALE_BY_LANGUAGE), None)
    return spoken or negotiate_language(headers.get("accept-language"), config.network.language)


def render_error_page(scope: Scope, config: Config, status: int, now: datetime) -> HTMLResponse:
    """The page of an HTTP status that is no success."""
    language = detect_language(scope, config)
    words = get_html_translator(language)
    title, said = {
        401: (
            words.translate("Open your report with your own link"),
            words.translate(
                "Open the link you received again. If that doesn’t help, allow cookies for this page in your browser."
            ),
        ),
        403: (
            words.translate("You don’t have access"),
            words.translate("You don’t have permission to do this."),
        ),
        404: (
            words.translate("Page not found"),
            words.translate("The address may be wrong, or the page no longer exists."),
        ),
        410: (
            words.translate("This report link no longer works"),
            words.translate(
                "It may have expired or been copied incompletely. Ask the coordination team for a new one."
            ),
        ),
        413: (
            words.translate("Too large"),
            words.translate("What you sent is too large for this page. Send less."),
        ),
        500: (
            words.translate("Something went wrong on our side"),
            words.translate("This isn’t your fault and nothing was lost. Try again later."),
        ),
    }.get(
        status,
        (
            words.translate("Something went wrong"),
            words.translate("Check what you entered and try again."),
        ),
    )
    user = scope.get("visitor")
    link = WebAppLinks(language, has_network_pages=user is not None)
    shown = {
        "title": title,
        "said": said,
        "config": config,
        "link": link,
        "as_of": now,
        "live": True,
    }
    shown |= {"user": user, "rights": service}
    return HTMLResponse(render_template("error.html", language, **shown), status)


def handle_http_error(request: Request, error: Exception) -> HTMLResponse:
    """What FastAPI shows for an HTTPException, or for a value that a form may not have (422)."""
    status, headers = (
        (error.status_code, error.headers) if isinstance(error, HTTPException) else (422, None)
    )
    state = request.app.state
    get_current_user(request)
    answer = render_error_page(request.scope, state.app.config, status, state.clock())
    answer.headers.update(headers or {})
    return answer
