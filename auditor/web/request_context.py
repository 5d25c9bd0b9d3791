"""What every page begins with: the application, the moment, and the language in the address."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Annotated
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, Response
from pydantic import Field

from auditor.app import App
from auditor.decisions.replies import Refusal
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.filters import Chosen
from auditor.evaluation.refresh import A_FEW, refresh
from auditor.i18n.languages import LOCALES
from auditor.i18n.wording import Wording
from auditor.rendering.links import Address, file_name
from auditor.rendering.templates import render, words_of
from auditor.reports import html, pdf
from auditor.users import permissions
from auditor.web.errors import COOKIE
from auditor.web.user_session import visitor
from storage.models.audit import Association
from storage.models.communication import Reply
from storage.models.summaries import Summary
from storage.models.users import User
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
        return permissions.reach(self.user, self.app.store.regions)

    def narrowed(self, chosen: Chosen) -> list[Chosen]:
        """What of those that are chosen the user looks after. Raises HTTPException (403) where it is none."""
        assert self.user is not None
        found = list(permissions.narrowed(self.user, chosen))
        if not found:
            raise HTTPException(403)
        return found

    def acts_for(self, association: Association | Summary) -> bool:
        """Whether the user looks after this association, and is told what concerns its people."""
        return permissions.acts_for(self.user, association)

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
        shown |= {"user": self.user, "rights": permissions}
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

    def paper(self, view: AssociationView, *, address: str = "") -> Response:
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
        return Response(made, media_type="application/pdf", headers={"content-disposition": named})


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
