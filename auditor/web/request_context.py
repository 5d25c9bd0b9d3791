"""Gives every page its request with time, language and user, the navigation and error pages."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import Depends, Request
from fastapi.responses import HTMLResponse, RedirectResponse
from pydantic import Field
from starlette.datastructures import URL, Headers
from starlette.exceptions import HTTPException
from starlette.requests import cookie_parser
from starlette.types import Scope

from auditor.app import App
from auditor.conclusions.association_view import AssociationView
from auditor.conclusions.network_view import load_association_view
from auditor.conclusions.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.conclusions.summary import AssociationFilter
from auditor.config.schema import Config
from auditor.core.errors import TranslatableError
from auditor.core.i18n.catalogs import LOCALE_BY_LANGUAGE, negotiate_language
from auditor.core.i18n.translator import MessageValue, Translator
from auditor.core.rendering.templates import WebAppLinks, get_html_translator, render_template
from auditor.web import users
from auditor.web.access import MAX_ROW_ID, get_current_user
from auditor.web.confirmations import Confirmation, Confirmations
from storage.errors import ChangedMeanwhileError
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.models.users import ChangeOrigin, Role
from storage.registry.registry_import import ImportChanges
from storage.store import Store
from storage.tables.users import User

YEAR_SECONDS = 365 * 86400
LOCAL_URL_PATTERN = re.compile(r"/(?![/\\])[^\\\x00-\x20\x7f-\x9f]*")
"""A path on this site; no browser reads it as an address elsewhere."""
LOGIN_PATH_PATTERN = re.compile(r"/[a-z]{2}/log(in|out)\b.*")
"""Pages that make no sense directly after logging in."""


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request as a page sees it.

    `path` is the address without the language prefix, with its query. `user` is the logged-in user.
    `confirmation` says what the form did that led to this page.
    """

    app: App
    now: datetime
    language: str
    path: str
    confirmations: Confirmations
    user: User | None = None
    confirmation: Confirmation | None = None

    @property
    def day(self) -> str:
        """Return the current day as ISO text, for the names of files."""
        return self.now.date().isoformat()

    @property
    def links(self) -> WebAppLinks:
        """Return the addresses that this page links to."""
        return WebAppLinks(self.language, self.path, has_network_pages=self.user is not None)

    @property
    def author(self) -> str:
        """Return the name that decisions and changes are recorded under."""
        assert self.user is not None, "the route requires a logged-in user"
        return self.user.name

    @property
    def owner(self) -> tuple[str, Role, tuple[str, ...]]:
        """Return the user with the permissions of now, who owns what a form did."""
        assert self.user is not None, "the route requires a logged-in user"
        return self.user.name, self.user.role, tuple(self.user.regions)

    @property
    def regions(self) -> frozenset[str] | None:
        """Return the regions that the user manages, as the registry spells them; None means all."""
        return users.find_editable_regions(self.user, self.app.store.registry.list_regions)

    @property
    def translator(self) -> Translator:
        """Return the translator of the page's language for plain text."""
        return Translator(self.language)

    @property
    def back_query(self) -> str:
        """Return the query of the list from which the reader came, or an empty text."""
        return dict(parse_qsl(urlsplit(self.path).query)).get("back", "")

    def build_association_url(
        self, association: str, query_params: Mapping[str, str] | None = None
    ) -> str:
        """Return the address of an association's page, which keeps the way back to the list."""
        page_params = {**(query_params or {}), "back": self.back_query}
        return build_url(self.links.association_url(association), page_params)

    def find_confirmation(self, key: str) -> Confirmation | None:
        """Return what a form of the user did, or None if that is too long ago."""
        if self.user is None:
            return None
        return self.confirmations.find(key, self.owner, self.now)

    def find_repeated_url(self, submission: object) -> str:
        """Return the page that confirms a form that a double click has sent twice, or ""."""
        repeated = self.confirmations.find_repeated(submission, self.owner, self.now)
        return repeated.url if repeated else ""

    def confirm(
        self,
        url: str,
        message: str,
        undo: Callable[[datetime], object] | None = None,
        /,
        *,
        values: dict[str, Any] | None = None,
        submission: object = None,
        **facts: MessageValue,
    ) -> RedirectResponse:
        """Redirect to a page, whose banner says what was done and offers to undo it.

        See `Confirmation`; the message is marked by `gettext_noop`.
        """
        confirmation = Confirmation(
            owner=self.owner,
            done_at=self.now,
            message=message,
            facts=facts,
            values=values or {},
            undo=undo,
            submission=submission,
        )
        page = URL(get_safe_redirect_url(url)).include_query_params(done=confirmation.key)
        confirmation.url = str(page.replace(fragment="message"))
        self.confirmations.add(confirmation)
        return RedirectResponse(confirmation.url, 303)

    def undo_registry_changes(self, changes: ImportChanges, now: datetime) -> None:
        """Undo a change of the registry. Raises ChangedMeanwhileError if there was one after it."""
        origin = ChangeOrigin(self.author, "web")
        if not self.app.store.registry.undo_changes(changes, now, origin=origin):
            raise ChangedMeanwhileError

    def limit_to_own_regions(
        self, association_filter: AssociationFilter
    ) -> list[AssociationFilter]:
        """Return the filter limited to the user's regions, one filter for each region.

        Raises HTTPException (403) if the filter selects none of them.
        """
        assert self.user is not None
        filters = list(users.restrict_filter_to_regions(self.user, association_filter))
        if not filters:
            raise HTTPException(403)
        return filters

    def can_manage_association(self, association: Association | AssociationSummary) -> bool:
        """Return True if the user may edit this association and see its contact details."""
        return users.can_edit_association(self.user, association)

    def with_path(self, path: str) -> RequestContext:
        """Return the context with another path, for a page that answers a form.

        Its links to other languages then lead to the page, not to the form's address.
        """
        return replace(self, path=path.removeprefix(f"/{self.language}"))

    def load_fresh_store(self) -> Store:
        """Refresh the summaries unless very many are outdated, and return the store."""
        refresh_summaries(self.app.store, self.app.config, max_stale=MAX_STALE_WHILE_READING)
        return self.app.store

    def translate_error(self, error: TranslatableError | None) -> str:
        """Return the message of an error in the language of the page, or "" without an error."""
        if error is None:
            return ""
        return get_html_translator(self.language).translate(error.message, **error.facts)

    def render_page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """Render a page template with the variables of every page, and remember the language."""
        translator, pending_reply_count = get_html_translator(self.language), 0
        if users.is_coordinator(self.user):
            pending_reply_count = self.app.store.replies.count_pending(regions=self.regions)
        page_values: dict[str, object] = {
            "config": self.app.config,
            "context": self,
            "links": self.links,
            "navigation": list_navigation_entries(self.user, translator, pending_reply_count),
            "updated_at": self.now,
            "user": self.user,
            "permissions": users,
            "is_interactive": True,
            "error_message": "",
            "confirmation": self.confirmation,
            **values,
        }
        response = HTMLResponse(render_template(template, self.language, **page_values), status)
        response.set_cookie(
            LANGUAGE_COOKIE, self.language, max_age=YEAR_SECONDS, httponly=True, samesite="lax"
        )
        return response


def get_request_context(request: Request, language: str) -> RequestContext:
    """Return the context of a request. Raises HTTPException (404) for an unknown language."""
    if language not in LOCALE_BY_LANGUAGE:
        raise HTTPException(404)
    return build_request_context(request, language)


def build_request_context(request: Request, language: str) -> RequestContext:
    """Return the context of a request that is answered in this language."""
    state = request.app.state
    path = quote(request.url.path.removeprefix(f"/{language}"))
    query = f"?{request.url.query}" if request.url.query else ""
    context = RequestContext(
        state.app,
        state.clock(),
        language,
        path + query,
        state.confirmations,
        get_current_user(request),
    )
    key = request.query_params.get("done", "")
    return replace(context, confirmation=context.find_confirmation(key))


def require_association_view(context: RequestContext, association: str) -> AssociationView:
    """Return the association of this id. Raises HTTPException (404) if there is none."""
    view = load_association_view(context.app.store, context.app.config, association)
    if view is None:
        raise HTTPException(404)
    return view


PageContext = Annotated[RequestContext, Depends(get_request_context)]
"""A parameter of a route under `/{language}/…`."""
RowId = Annotated[int, Field(ge=0, le=MAX_ROW_ID)]
"""A parameter that is the id of a database row."""


def build_page_urls(
    path: str,
    query_params: Mapping[str, str],
    parameter: str,
    current_key: object,
    next_key: object,
) -> dict[str, Any]:
    """Return the addresses `first_url` and `next_url` of a list that continues after a key.

    `parameter` has the key in the address. The first page has no `current_key`, the last no
    `next_key`; an address that leads nowhere is empty.
    """
    urls = {"first_url": "", "next_url": ""}
    if current_key:
        urls["first_url"] = build_url(path, query_params)
    if next_key:
        urls["next_url"] = build_url(path, {**query_params, parameter: str(next_key)})
    return urls


def build_download_headers(ascii_stem: str, stem: str, file_format: str) -> dict[str, str]:
    """Return the header that names a download, for browsers of any age."""
    translated_name = quote(f"{stem}.{file_format}")
    ascii_name = f"{ascii_stem}.{file_format}"
    disposition = f"attachment; filename=\"{ascii_name}\"; filename*=UTF-8''{translated_name}"
    return {"content-disposition": disposition}


def build_url(path: str, query_params: Mapping[str, str]) -> str:
    """Return an address with these query parameters; empty values are left out."""
    query = urlencode({name: value for name, value in query_params.items() if value})
    return f"{path}?{query}" if query else path


def get_safe_redirect_url(url: str) -> str:
    """Return the URL if it is a path on this site (and not the login), else "/"."""
    is_safe = LOCAL_URL_PATTERN.fullmatch(url) and not LOGIN_PATH_PATTERN.fullmatch(url)
    return url if is_safe else "/"


def parse_day(text: str) -> date | None:
    """Return the date of an ISO text, or None for another text and years outside 2000 to 2100."""
    try:
        day = date.fromisoformat(text)
    except ValueError:
        return None
    return day if 2000 <= day.year <= 2100 else None


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
    return negotiate_language(headers.get("accept-language", ""), config.network.language)


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
        permissions=users,
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
        409: (
            translate("Nothing was saved"),
            translate("Somebody changed this meanwhile. Open the page again, then try again."),
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
        507: (
            translate("Nothing was saved"),
            translate("The server cannot save anything now. Tell your technical team."),
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


ICONS = {
    "today": "M3 4.5h14v13H3zM3 8.5h14M7 2.5v4M13 2.5v4",
    "grid": "M3 3.5h5.5V9H3zM11.5 3.5H17V9h-5.5zM3 11.5h5.5V17H3zM11.5 11.5H17V17h-5.5z",
    "star": "M10 2.5l2 5.2 5.2 2-5.2 2-2 5.3-2-5.3-5.2-2 5.2-2z",
    "speech": "M3 4h14v10H9l-4 3v-3H3z",
    "people": "M3.5 17v-2c0-4 7-4 7 0v2M7 9.5a2.5 2.5 0 1 0 0-5 2.5 2.5 0 0 0 0 5"
    "M13 11.5c2.5 0 4 1 4 3.5v2M13 9.5a2.5 2.5 0 0 0 0-5",
    "sliders": "M3 6h8M15 6h2M13 4v4M3 14h2M9 14h8M7 12v4",
}
"""The paths of icons in an SVG with a square of 20 units."""


def _build_entry(label: str, icon: str, *pages: tuple[str, str], count: int = 0) -> dict[str, Any]:
    """Return an entry of the navigation, which leads to the first of its pages.

    A page is a path without the language, and a label. `count` is how many things wait there.
    """
    return {"label": label, "icon": ICONS[icon], "pages": pages, "count": count}


def list_navigation_entries(
    user: User | None, translator: Translator, pending_reply_count: int = 0
) -> list[dict[str, Any]]:
    """Return the entries that a user may open. Without a user there are none."""
    if user is None:
        return []
    translate = translator.translate
    is_coordinator = users.is_coordinator(user)
    messages = _build_entry(
        translate("Messages"),
        "speech",
        ("replies", translate("Replies")),
        ("report-links", translate("Report links")),
        count=pending_reply_count,
    )
    settings = [("account", translate("Your account")), ("glossary", translate("Glossary"))]
    if user.role == Role.ADMIN:
        settings.insert(0, ("users", translate("Users")))
    if is_coordinator:
        settings.insert(0, ("registry", translate("Registry")))
    return [
        _build_entry(translate("Today"), "today", ("", translate("Today"))),
        _build_entry(
            translate("Associations"),
            "grid",
            ("associations", translate("Grid")),
            ("gaps", translate("By problem")),
            ("groups", translate("By region")),
        ),
        _build_entry(
            translate("What’s new"),
            "star",
            ("changes", translate("What’s new")),
            ("runs", translate("Check log")),
        ),
        *([messages] if is_coordinator else []),
        _build_entry(
            translate("Meeting"),
            "people",
            ("meeting", translate("Meeting")),
            ("survey", translate("Survey")),
            *(
                [("workshops", translate("Workshops")), ("final-report", translate("Final report"))]
                if is_coordinator
                else []
            ),
        ),
        _build_entry(translate("Settings"), "sliders", *settings),
    ]
