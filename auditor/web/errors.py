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
from auditor.i18n.catalogs import LOCALES, negotiated
from auditor.rendering.templates import Address, render, words_of
from auditor.users import service
from auditor.web.access import visitor

Clock = Callable[[], datetime]

COOKIE = "language"
"""Keeps the language that a reader chose."""


def language_of(scope: Scope, config: Config) -> str:
    """The reader's language: that of the address, the one chosen before, the browser's, the network's."""
    headers = Headers(scope=scope)
    told = (
        scope["path"].partition("/")[2].partition("/")[0],
        cookie_parser(headers.get("cookie", "")).get(COOKIE),
    )
    spoken = next((code for code in told if code in LOCALES), None)
    return spoken or negotiated(headers.get("accept-language"), config.network.language)


def page(scope: Scope, config: Config, status: int, now: datetime) -> HTMLResponse:
    """The page of an HTTP status that is no success."""
    language = language_of(scope, config)
    words = words_of(language)
    title, said = {
        401: (
            words.say("Your report opens by your own link"),
            words.say(
                "Please open the link you were sent once more. If you have just done so, let your browser "
                "keep cookies for this page."
            ),
        ),
        403: (words.say("This is not allowed"), words.say("You may not do this, or not from here.")),
        404: (
            words.say("There is no such page"),
            words.say("The address may be mistyped, or what it led to is no longer there."),
        ),
        410: (
            words.say("This link does not open a report any more"),
            words.say(
                "It may have ended or been copied in part. Please ask the network’s team for a new one."
            ),
        ),
        413: (
            words.say("This is too large"),
            words.say("What you sent is larger than this page takes. Please send less of it."),
        ),
        500: (
            words.say("Something went wrong on our side"),
            words.say("It is not your fault, and nothing was lost. Please try again in a while."),
        ),
    }.get(status, (words.say("This did not work"), words.say("Please check what you typed and try again.")))
    user = scope.get("visitor")
    link = Address(language, home=user is not None)
    shown = {"title": title, "said": said, "config": config, "link": link, "as_of": now, "live": True}
    shown |= {"user": user, "rights": service}
    return HTMLResponse(render("error.html", language, **shown), status)


def refused(request: Request, error: Exception) -> HTMLResponse:
    """What FastAPI shows for an HTTPException, or for a value that a form may not have (422)."""
    status, headers = (error.status_code, error.headers) if isinstance(error, HTTPException) else (422, None)
    state = request.app.state
    visitor(request)
    answer = page(request.scope, state.app.config, status, state.clock())
    answer.headers.update(headers or {})
    return answer
