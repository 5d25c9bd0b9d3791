"""What every page begins with: the application, the moment, and the language in the address.

What a list is narrowed by: the choices a form offers, and the chips that take one away again.

The association that reads its own report: whose letter the cookie carries.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from urllib.parse import quote, urlencode

from fastapi import Depends, HTTPException, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.responses import Response as Response_Response
from pydantic import Field

from auditor.app import App
from auditor.decisions.replies import ReplyRefusal
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.run_results import MAX_STALE_WHILE_READING, refresh_summaries
from auditor.evaluation.summary import AssociationFilter
from auditor.i18n.catalogs import LOCALE_BY_LANGUAGE
from auditor.i18n.wording import Translator
from auditor.reference.gap_catalogue import SEVERITIES, load_gap_catalogue
from auditor.rendering.templates import (
    WebAppLinks,
    build_report_file_name,
    get_html_translator,
    render_template,
)
from auditor.report_links import find_active_report_link
from auditor.reports import html, pdf
from auditor.rules.score import LEVEL_THRESHOLDS
from auditor.users import service
from auditor.views.export import EXPORT_FORMATS
from auditor.web.access import get_current_user
from auditor.web.errors import LANGUAGE_COOKIE
from storage.models.audit import Association
from storage.models.summaries import AssociationSummary
from storage.models.users import Reply, ReportLink, User
from storage.store import Store


@dataclass(frozen=True, slots=True)
class RequestContext:
    """A request as a page sees it.

    `path` is the address behind the language; `user` is who is logged in.
    """

    app: App
    now: datetime
    language: str
    path: str
    user: User | None = None

    @property
    def links(self) -> WebAppLinks:
        """Where this page's links lead."""
        return WebAppLinks(self.language, self.path, has_network_pages=self.user is not None)

    @property
    def author(self) -> str:
        """Whose word it is that is taken down here."""
        assert self.user is not None, "the route lets nobody in who is not logged in"
        return self.user.name

    @property
    def regions(self) -> frozenset[str] | None:
        """The regions that the user looks after, as the registry writes them; None is everywhere."""
        return service.find_editable_regions(self.user, self.app.store.list_regions)

    def limit_to_own_regions(
        self, association_filter: AssociationFilter
    ) -> list[AssociationFilter]:
        """What of those that are chosen the user looks after. Raises HTTPException (403) where it is none."""
        assert self.user is not None
        found = list(service.restrict_filter_to_regions(self.user, association_filter))
        if not found:
            raise HTTPException(403)
        return found

    def can_manage_association(self, association: Association | AssociationSummary) -> bool:
        """Whether the user looks after this association, and is told what concerns its people."""
        return service.can_edit_association(self.user, association)

    def with_path(self, path: str) -> RequestContext:
        """The same for a page that answers a form: other languages are at this way, not at the form’s."""
        return replace(self, path=path.removeprefix(f"/{self.language}"))

    @property
    def fresh_store(self) -> Store:
        """The store, its summaries fresh unless very many are stale: what changed since is in them."""
        refresh_summaries(self.app.store, self.app.config, max_stale=MAX_STALE_WHILE_READING)
        return self.app.store

    @property
    def translator(self) -> Translator:
        """The words of its language as plain text."""
        return Translator(self.language)

    def render_page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page of `templates/`, with what every page shows."""
        shown = {"config": self.app.config, "asked": self, "link": self.links, "as_of": self.now}
        shown |= {"user": self.user, "rights": service}
        answer = HTMLResponse(
            render_template(template, self.language, **{**shown, "live": True, **values}), status
        )
        answer.set_cookie(
            LANGUAGE_COOKIE, self.language, max_age=365 * 86400, httponly=True, samesite="lax"
        )
        return answer

    def render_report(
        self,
        view: AssociationView,
        *,
        replies: Sequence[Reply] = (),
        is_reply_sent: bool = False,
        refusal: ReplyRefusal | None = None,
        report_url: str = "",
    ) -> HTMLResponse:
        """An association's own report, to be answered; the rest is as `auditor.reports.html.render_report` tells."""
        link = WebAppLinks(self.language, "/report", has_network_pages=False)
        told = html.render_report(
            view,
            self.app.config,
            self.now,
            link,
            self.language,
            is_interactive=True,
            replies=replies,
            is_reply_sent=is_reply_sent,
            refusal=refusal,
            report_url=report_url,
            pdf_url=link.page_url("report.pdf"),
        )
        return HTMLResponse(told, headers={"content-security-policy": html.build_report_csp(told)})

    def render_report_pdf(
        self, view: AssociationView, *, report_url: str = ""
    ) -> Response_Response:
        """The report as a PDF; where none can be made, a page that tells to print instead."""
        config, link = (
            self.app.config,
            WebAppLinks(self.language, "/report", has_network_pages=False),
        )
        try:
            made = pdf.render_pdf(
                html.render_report(
                    view, config, self.now, link, self.language, report_url=report_url
                )
            )
        except pdf.PdfUnavailableError:
            words = get_html_translator(self.language)
            told = words.translate(
                "Open your report and choose “Print” in the browser menu. The page is made for paper too."
            )
            title = words.translate("PDF is not available here")
            return self.render_page("error.html", status=503, title=title, said=told, link=link)
        named = f'attachment; filename="{build_report_file_name(view.association.id).removesuffix(".html")}.pdf"'
        return Response_Response(
            made, media_type="application/pdf", headers={"content-disposition": named}
        )


def get_request_context(request: Request, language: str) -> RequestContext:
    """The request, where its address begins with a language we speak; else 404."""
    if language not in LOCALE_BY_LANGUAGE:
        raise HTTPException(404)
    return build_request_context(request, language)


def build_request_context(request: Request, language: str) -> RequestContext:
    """The request, answered in a language."""
    state, path = request.app.state, quote(request.url.path.removeprefix(f"/{language}"))
    query = f"?{request.url.query}" if request.url.query else ""
    return RequestContext(
        state.app, state.clock(), language, path + query, get_current_user(request)
    )


PageContext = Annotated[RequestContext, Depends(get_request_context)]
"""A parameter of a route under `/{language}/…`."""
RowId = Annotated[int, Field(ge=0, lt=2**63)]
"""A parameter that is the number of a row: no database counts farther."""


FieldChoices = list[tuple[str, str]]
"""The values of a form's field, each with its words."""

COVERAGE_STATES = ("confirmed", "unknown", "gone", "missing", "by_choice")
MAX_FIELD_CHOICES = 300
"""Choices of a field; those met most often, where there are more."""


@dataclass(frozen=True, slots=True)
class FilterChip:
    """A filter that is set: its words, and the address without it."""

    label: str
    url_without_filter: str


def build_url(path: str, query_params: Mapping[str, str]) -> str:
    """An address with these parameters; an empty one is left out."""
    query = urlencode({name: value for name, value in query_params.items() if value})
    return f"{path}?{query}" if query else path


def build_export_links(
    context: RequestContext, kinds: Iterable[str], query_params: Mapping[str, str]
) -> dict[str, dict[str, str]]:
    """The ways to take rows of these kinds along, narrowed by these parameters: by kind and form."""
    return {
        kind: _build_format_links(context.links.page_url(f"exports/{kind}"), query_params)
        for kind in kinds
    }


def _build_format_links(path: str, query_params: Mapping[str, str]) -> dict[str, str]:
    plain: dict[str, str] = {
        form: build_url(f"{path}.{form}", query_params) for form in EXPORT_FORMATS
    }
    return {**plain, "semicolons": build_url(f"{path}.csv", {**query_params, "delimiter": ";"})}


def build_filter_chips(
    path: str, query_params: Mapping[str, str], translator: Translator
) -> list[FilterChip]:
    """The filters that are set, each with the way to do without it."""
    return [
        FilterChip(
            _describe_filter(name, query_params, translator),
            build_url(path, {**query_params, name: ""}),
        )
        for name, value in query_params.items()
        if value and name in FILTER_DESCRIPTIONS
    ]


def _describe_filter(name: str, query_params: Mapping[str, str], translator: Translator) -> str:
    said = FILTER_DESCRIPTIONS[name](query_params[name], translator)
    # where a list asks for a state and none is named, a channel is that of a point
    if name == "channel" and query_params.get("state") == "" and not query_params.get("gap"):
        return translator.translate("{channel}: has a problem", channel=said)
    return said


FILTER_DESCRIPTIONS: Mapping[str, Callable[[str, Translator], str]] = {
    "region": lambda value, words: words.region_name(value),
    "tag": lambda value, _words: value,
    "level": lambda value, words: (
        words.label("level", value) if value in list_score_levels() else value
    ),
    "gap": lambda value, words: words.gap_title(value),
    "channel": lambda value, words: words.channel_name(value),
    "state": lambda value, words: words.term("counted", value),
    "severity": lambda value, words: (
        words.label("severity", value) if value in SEVERITIES else value
    ),
    "q": lambda value, _words: value,
}
"""How a filter's value is said."""


def list_score_levels() -> list[str]:
    """The levels of the score, the highest first."""
    return [name for _, name in LEVEL_THRESHOLDS] + ["no_data"]


def list_group_choices(context: RequestContext, kind: str) -> FieldChoices:
    """The regions or tags there are, in the order of their names."""
    counted = context.app.store.get_facet_counts(prefix=f"{kind}:")
    most = sorted(counted, key=lambda facet: -counted[facet])[:MAX_FIELD_CHOICES]
    say = context.translator.region_name if kind == "region" else str
    named = [(name, say(name)) for name in (facet.partition(":")[2] for facet in most)]
    return sorted(named, key=lambda choice: choice[1])


def list_gap_choices(translator: Translator) -> FieldChoices:
    """The gaps there can be."""
    entries = sorted(load_gap_catalogue().definitions.values(), key=lambda entry: entry.order)
    return [(entry.code, translator.gap_title(entry.code)) for entry in entries if entry.is_gap]


def list_channel_choices(context: RequestContext) -> FieldChoices:
    """The audited channels."""
    return [(name, context.translator.channel_name(name)) for name in context.app.config.channels]


REPORT_LINK_COOKIE = "letter"
"""The cookie with the token: the address carried it once, and then no more."""


@dataclass(frozen=True, slots=True)
class ReportRequest:
    """A request of an association to its own report."""

    context: RequestContext
    report_link: ReportLink
    token: str

    @property
    def report_url(self) -> str:
        """Where the letter leads, for a report on paper; empty where no address is configured."""
        public = self.context.app.config.web.public_url
        return f"{public}/r/{self.token}" if public else ""


def set_report_link_cookie(
    response: Response, request: Request, token: str, expires_at: datetime
) -> Response:
    """The answer, which has the browser keep a letter's token as long as it opens the report."""
    state = request.app.state
    public = state.app.config.web.public_url.startswith("https:") and not request.scope["home"]
    secure = public or request.scope["scheme"] == "https"
    seconds = int((expires_at - state.clock()).total_seconds())
    response.set_cookie(
        REPORT_LINK_COOKIE, token, max_age=seconds, httponly=True, samesite="lax", secure=secure
    )
    return response


def get_report_request(request: Request, context: PageContext) -> ReportRequest:
    """Whose report may be read here: 410 without a letter that holds, whatever is wrong with it.

    401 without any: a browser that keeps no cookies, or a program that makes a preview of the link.
    """
    token = request.cookies.get(REPORT_LINK_COOKIE)
    if token is None:
        raise HTTPException(401, headers={"www-authenticate": "Letter"})
    letter = find_active_report_link(context.app.store, token, context.now) if token else None
    if letter is None:
        raise HTTPException(410)
    return ReportRequest(context, letter, token)


CurrentReportRequest = Annotated[ReportRequest, Depends(get_report_request)]
"""A parameter of a route that an association reaches by its letter."""
