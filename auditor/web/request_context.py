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
from auditor.decisions.replies import Refusal
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.run_results import A_FEW, refresh
from auditor.evaluation.summary import Chosen
from auditor.i18n.catalogs import LOCALES
from auditor.i18n.wording import Wording
from auditor.reference.gap_catalogue import SEVERITIES, catalogue
from auditor.rendering.templates import Address, file_name, render, words_of
from auditor.report_links import opened
from auditor.reports import html, pdf
from auditor.rules.score import LEVELS
from auditor.users import service
from auditor.views.export import FORMATS
from auditor.web.access import visitor
from auditor.web.errors import COOKIE
from storage.models.audit import Association
from storage.models.summaries import Summary
from storage.models.users import Letter, Reply, User
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as a page sees it.

    `path` is the address behind the language; `user` is who is logged in.
    """

    app: App
    now: datetime
    language: str
    path: str
    user: User | None = None

    @property
    def link(self) -> Address:
        """Where this page's links lead."""
        return Address(self.language, self.path, home=self.user is not None)

    @property
    def signature(self) -> str:
        """Whose word it is that is taken down here."""
        assert self.user is not None, "the route lets nobody in who is not logged in"
        return self.user.name

    @property
    def regions(self) -> frozenset[str] | None:
        """The regions that the user looks after, as the registry writes them; None is everywhere."""
        return service.reach(self.user, self.app.store.regions)

    def narrowed(self, chosen: Chosen) -> list[Chosen]:
        """What of those that are chosen the user looks after. Raises HTTPException (403) where it is none."""
        assert self.user is not None
        found = list(service.narrowed(self.user, chosen))
        if not found:
            raise HTTPException(403)
        return found

    def acts_for(self, association: Association | Summary) -> bool:
        """Whether the user looks after this association, and is told what concerns its people."""
        return service.acts_for(self.user, association)

    def at(self, way: str) -> Asked:
        """The same for a page that answers a form: other languages are at this way, not at the form’s."""
        return replace(self, path=way.removeprefix(f"/{self.language}"))

    @property
    def read(self) -> Store:
        """The store, its summaries fresh unless very many are stale: what changed since is in them."""
        refresh(self.app.store, self.app.config, most=A_FEW)
        return self.app.store

    @property
    def words(self) -> Wording:
        """The words of its language as plain text."""
        return Wording(self.language)

    def page(self, template: str, *, status: int = 200, **values: object) -> HTMLResponse:
        """A page of `templates/`, with what every page shows."""
        shown = {"config": self.app.config, "asked": self, "link": self.link, "as_of": self.now}
        shown |= {"user": self.user, "rights": service}
        answer = HTMLResponse(render(template, self.language, **{**shown, "live": True, **values}), status)
        answer.set_cookie(COOKIE, self.language, max_age=365 * 86400, httponly=True, samesite="lax")
        return answer

    def report(
        self,
        view: AssociationView,
        *,
        replies: Sequence[Reply] = (),
        thanked: bool = False,
        refused: Refusal | None = None,
        address: str = "",
    ) -> HTMLResponse:
        """An association's own report, to be answered; the rest is as `auditor.reports.html.report` tells."""
        link = Address(self.language, "/report", home=False)
        told = html.report(
            view,
            self.app.config,
            self.now,
            link,
            self.language,
            live=True,
            replies=replies,
            thanked=thanked,
            refused=refused,
            address=address,
            pdf=link.page("report.pdf"),
        )
        return HTMLResponse(told, headers={"content-security-policy": html.policy(told)})

    def paper(self, view: AssociationView, *, address: str = "") -> Response_Response:
        """The report as a PDF; where none can be made, a page that tells to print instead."""
        config, link = self.app.config, Address(self.language, "/report", home=False)
        try:
            made = pdf.pdf(html.report(view, config, self.now, link, self.language, address=address))
        except pdf.NoPaperError:
            words = words_of(self.language)
            told = words.say(
                "Open your report and choose “Print” in your browser’s menu: it fits on paper as it is."
            )
            title = words.say("No PDF can be made here")
            return self.page("error.html", status=503, title=title, said=told, link=link)
        named = f'attachment; filename="{file_name(view.association.id).removesuffix(".html")}.pdf"'
        return Response_Response(made, media_type="application/pdf", headers={"content-disposition": named})


def asked(request: Request, language: str) -> Asked:
    """The request, where its address begins with a language we speak; else 404."""
    if language not in LOCALES:
        raise HTTPException(404)
    return asked_of(request, language)


def asked_of(request: Request, language: str) -> Asked:
    """The request, answered in a language."""
    state, path = request.app.state, quote(request.url.path.removeprefix(f"/{language}"))
    query = f"?{request.url.query}" if request.url.query else ""
    return Asked(state.app, state.clock(), language, path + query, visitor(request))


Page = Annotated[Asked, Depends(asked)]
"""A parameter of a route under `/{language}/…`."""
Number = Annotated[int, Field(ge=0, lt=2**63)]
"""A parameter that is the number of a row: no database counts farther."""


Choices = list[tuple[str, str]]
"""The values of a form's field, each with its words."""

STATES = ("confirmed", "unknown", "gone", "missing", "by_choice")
MOST = 300
"""Choices of a field; those met most often, where there are more."""


@dataclass(frozen=True, slots=True)
class Chip:
    """A filter that is set: its words, and the address without it."""

    said: str
    without: str


def way(address: str, told: Mapping[str, str]) -> str:
    """An address with these parameters; an empty one is left out."""
    query = urlencode({name: value for name, value in told.items() if value})
    return f"{address}?{query}" if query else address


def sheets(asked: Asked, kinds: Iterable[str], told: Mapping[str, str]) -> dict[str, dict[str, str]]:
    """The ways to take rows of these kinds along, narrowed by these parameters: by kind and form."""
    return {kind: _forms(asked.link.page(f"exports/{kind}"), told) for kind in kinds}


def _forms(address: str, told: Mapping[str, str]) -> dict[str, str]:
    plain: dict[str, str] = {form: way(f"{address}.{form}", told) for form in FORMATS}
    return {**plain, "semicolons": way(f"{address}.csv", {**told, "delimiter": ";"})}


def chips(address: str, told: Mapping[str, str], words: Wording) -> list[Chip]:
    """The filters that are set, each with the way to do without it."""
    return [
        Chip(_said(name, told, words), way(address, {**told, name: ""}))
        for name, value in told.items()
        if value and name in SAID
    ]


def _said(name: str, told: Mapping[str, str], words: Wording) -> str:
    said = SAID[name](told[name], words)
    # where a list asks for a state and none is named, a channel is that of a point
    if name == "channel" and told.get("state") == "" and not told.get("gap"):
        return words.say("{channel}: a point to settle", channel=said)
    return said


SAID: Mapping[str, Callable[[str, Wording], str]] = {
    "region": lambda value, words: words.region(value),
    "tag": lambda value, _words: value,
    "level": lambda value, words: words.label("level", value) if value in levels() else value,
    "gap": lambda value, words: words.about(value),
    "channel": lambda value, words: words.channel(value),
    "state": lambda value, words: words.term("counted", value),
    "severity": lambda value, words: words.label("severity", value) if value in SEVERITIES else value,
    "q": lambda value, _words: value,
}
"""How a filter's value is said."""


def levels() -> list[str]:
    """The levels of the score, the highest first."""
    return [name for _, name in LEVELS] + ["no_data"]


def groups(asked: Asked, kind: str) -> Choices:
    """The regions or tags there are, in the order of their names."""
    counted = asked.app.store.tally(prefix=f"{kind}:")
    most = sorted(counted, key=lambda facet: -counted[facet])[:MOST]
    say = asked.words.region if kind == "region" else str
    named = [(name, say(name)) for name in (facet.partition(":")[2] for facet in most)]
    return sorted(named, key=lambda choice: choice[1])


def codes(words: Wording) -> Choices:
    """The gaps there can be."""
    entries = sorted(catalogue().entries.values(), key=lambda entry: entry.order)
    return [(entry.code, words.about(entry.code)) for entry in entries if entry.is_gap]


def channels(asked: Asked) -> Choices:
    """The audited channels."""
    return [(name, asked.words.channel(name)) for name in asked.app.config.channels]


LETTER = "letter"
"""The cookie with the token: the address carried it once, and then no more."""


@dataclass(frozen=True, slots=True)
class Reading:
    """A request of an association to its own report."""

    asked: Asked
    letter: Letter
    token: str

    @property
    def address(self) -> str:
        """Where the letter leads, for a report on paper; empty where no address is configured."""
        public = self.asked.app.config.web.public_url
        return f"{public}/r/{self.token}" if public else ""


def let_in(answer: Response, request: Request, token: str, until: datetime) -> Response:
    """The answer, which has the browser keep a letter's token as long as it opens the report."""
    state = request.app.state
    public = state.app.config.web.public_url.startswith("https:") and not request.scope["home"]
    secure = public or request.scope["scheme"] == "https"
    seconds = int((until - state.clock()).total_seconds())
    answer.set_cookie(LETTER, token, max_age=seconds, httponly=True, samesite="lax", secure=secure)
    return answer


def reader(request: Request, asked: Page) -> Reading:
    """Whose report may be read here: 410 without a letter that holds, whatever is wrong with it.

    401 without any: a browser that keeps no cookies, or a program that makes a preview of the link.
    """
    token = request.cookies.get(LETTER)
    if token is None:
        raise HTTPException(401, headers={"www-authenticate": "Letter"})
    letter = opened(asked.app.store, token, asked.now) if token else None
    if letter is None:
        raise HTTPException(410)
    return Reading(asked, letter, token)


Reader = Annotated[Reading, Depends(reader)]
"""A parameter of a route that an association reaches by its letter."""
