"""The context of a page's request: the application, the time, the language and the user."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Annotated, Any
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse
from pydantic import Field

from auditor.app import App
from auditor.core.errors import TranslatableError
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.network_view import load_association_view
from auditor.evaluation.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.evaluation.summary import AssociationFilter
from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.i18n.translator import Translator
from auditor.rendering.templates import WebAppLinks, get_html_translator, render_template
from auditor.users import service
from auditor.web.access import get_current_user
from auditor.web.errors import LANGUAGE_COOKIE
from auditor.web.navigation import list_navigation_entries
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.store import Store
from storage.tables.users import User

LANGUAGE_COOKIE_SECONDS = 365 * 86400


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request as a page sees it.

    `path` is the address without the language prefix, with its query. `user` is the logged-in user.
    """

    app: App
    now: datetime
    language: str
    path: str
    user: User | None = None

    @property
    def links(self) -> WebAppLinks:
        """The addresses that this page links to."""
        return WebAppLinks(self.language, self.path, has_network_pages=self.user is not None)

    @property
    def author(self) -> str:
        """The name that decisions and changes are recorded under."""
        assert self.user is not None, "the route requires a logged-in user"
        return self.user.name

    @property
    def regions(self) -> frozenset[str] | None:
        """The regions that the user manages, as the registry spells them; None means all."""
        return service.find_editable_regions(self.user, self.app.store.registry.list_regions)

    @property
    def translator(self) -> Translator:
        """The translator of the page's language for plain text."""
        return Translator(self.language)

    @property
    def back_query(self) -> str:
        """The query of the list from which the reader came, or an empty text."""
        return dict(parse_qsl(urlsplit(self.path).query)).get("back", "")

    def build_association_url(
        self, association: str, query_params: Mapping[str, str] | None = None
    ) -> str:
        """Return the address of an association's page, which keeps the way back to the list."""
        page_params = {**(query_params or {}), "back": self.back_query}
        return build_url(self.links.association_url(association), page_params)

    def limit_to_own_regions(
        self, association_filter: AssociationFilter
    ) -> list[AssociationFilter]:
        """Return the filter limited to the user's regions, one filter for each region.

        Raises HTTPException (403) if the filter selects none of them.
        """
        assert self.user is not None
        filters = list(service.restrict_filter_to_regions(self.user, association_filter))
        if not filters:
            raise HTTPException(403)
        return filters

    def can_manage_association(self, association: Association | AssociationSummary) -> bool:
        """Return True if the user may edit this association and see its contact details."""
        return service.can_edit_association(self.user, association)

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
        if service.is_coordinator(self.user):
            pending_reply_count = self.app.store.replies.count_pending(regions=self.regions)
        page_values: dict[str, object] = {
            "config": self.app.config,
            "context": self,
            "links": self.links,
            "navigation": list_navigation_entries(self.user, translator, pending_reply_count),
            "updated_at": self.now,
            "user": self.user,
            "permissions": service,
            "is_interactive": True,
            **values,
        }
        response = HTMLResponse(render_template(template, self.language, **page_values), status)
        response.set_cookie(
            LANGUAGE_COOKIE,
            self.language,
            max_age=LANGUAGE_COOKIE_SECONDS,
            httponly=True,
            samesite="lax",
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
    return RequestContext(
        state.app, state.clock(), language, path + query, get_current_user(request)
    )


def require_association_view(context: RequestContext, association: str) -> AssociationView:
    """Return the association of this id. Raises HTTPException (404) if there is none."""
    view = load_association_view(context.app.store, context.app.config, association)
    if view is None:
        raise HTTPException(404)
    return view


PageContext = Annotated[RequestContext, Depends(get_request_context)]
"""A parameter of a route under `/{language}/…`."""
RowId = Annotated[int, Field(ge=0, lt=2**63)]
"""A parameter that is the id of a database row; databases store 63-bit ids."""


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


def build_url(path: str, query_params: Mapping[str, str]) -> str:
    """Return an address with these query parameters; empty values are left out."""
    query = urlencode({name: value for name, value in query_params.items() if value})
    return f"{path}?{query}" if query else path


def parse_day(text: str) -> date | None:
    """Return the date of an ISO text, or None."""
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None
