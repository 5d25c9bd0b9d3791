"""Error pages in the reader's language."""

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
from auditor.i18n.translator import Translator
from auditor.rendering.templates import WebAppLinks, get_html_translator, render_template
from auditor.users import service
from auditor.web.access import get_current_user
from auditor.web.navigation import list_navigation_entries

Clock = Callable[[], datetime]

DEAD_LINK_STATUSES = (401, 410)
"""The statuses of a report without its link: associations can ask the coordination team."""
LANGUAGE_COOKIE = "language"
"""Remembers the language that a reader chose."""


def detect_language(scope: Scope, config: Config) -> str:
    """Return the reader's language.

    In this order: the language in the path, the one in the cookie, the browser's, the network's.
    """
    headers = Headers(scope=scope)
    path_language = scope["path"].partition("/")[2].partition("/")[0]
    cookie_language = cookie_parser(headers.get("cookie", "")).get(LANGUAGE_COOKIE)
    for language in (path_language, cookie_language):
        if language in LOCALE_BY_LANGUAGE:
            return str(language)
    return negotiate_language(headers.get("accept-language"), config.network.language)


def render_error_page(scope: Scope, config: Config, status: int, now: datetime) -> HTMLResponse:
    """Return the page for an HTTP error status."""
    language = detect_language(scope, config)
    title, message = _describe_status(status, get_html_translator(language))
    user = scope.get("user")
    content = render_template(
        "error.html",
        language,
        title=title,
        message=message,
        shows_contact=status in DEAD_LINK_STATUSES and config.network.has_contact,
        config=config,
        links=WebAppLinks(language, has_network_pages=user is not None),
        navigation=list_navigation_entries(user, get_html_translator(language)),
        updated_at=now,
        is_interactive=True,
        user=user,
        permissions=service,
    )
    return HTMLResponse(content, status)


def _describe_status(status: int, translator: Translator) -> tuple[str, str]:
    """Return the title and the text of the page for an HTTP error status."""
    translate = translator.translate
    other = (translate("Something went wrong"), translate("Check what you entered and try again."))
    texts = {
        401: (
            translate("Open your report with your own link"),
            translate(
                "This page opens only with your association’s private link. "
                "If someone sent you this page, ask them to use “Share with the board” in the "
                "report. If you have the link, open it again and allow cookies in your browser."
            ),
        ),
        403: (
            translate("You don’t have access"),
            translate("You don’t have permission to do this."),
        ),
        404: (
            translate("Page not found"),
            translate("The address may be wrong, or the page no longer exists."),
        ),
        410: (
            translate("This report link no longer works"),
            translate(
                "It may have expired or been copied incompletely. "
                "Ask the coordination team for a new one."
            ),
        ),
        413: (
            translate("Too large"),
            translate("What you sent is too large for this page. Send less."),
        ),
        500: (
            translate("Something went wrong on our side"),
            translate("This isn’t your fault and nothing was lost. Try again later."),
        ),
        503: (
            translate("Other imports are in progress"),
            translate("They need the computer’s memory. Try again in a minute."),
        ),
    }
    return texts.get(status, other)


def handle_http_error(request: Request, error: Exception) -> HTMLResponse:
    """Return the error page for an HTTPException, or for an invalid form or query (422)."""
    if isinstance(error, HTTPException):
        status, headers = error.status_code, error.headers
    else:
        status, headers = 422, None
    state = request.app.state
    get_current_user(request)  # the page shows the navigation if a user is logged in
    response = render_error_page(request.scope, state.app.config, status, state.clock())
    response.headers.update(headers or {})
    return response
