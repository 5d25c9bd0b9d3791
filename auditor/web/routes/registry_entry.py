"""An association's entry in the registry, changed in the browser: read and kept as a sheet's row is."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from starlette.datastructures import FormData

from auditor.i18n.languages import LOCALES
from auditor.registry import exporter
from auditor.registry.columns import LINKS
from auditor.registry.contact_fields import CODES
from auditor.registry.entry_form import BLOCKING, TYPED, Entry, entry
from auditor.registry.importer import Reading
from auditor.registry.issues import Problem, Trouble
from auditor.web import access
from auditor.web.request_context import Asked, Page
from probes.links import channel_registry
from storage.models.audit import Member
from storage.models.communication import By

router = APIRouter()

LONGEST = 20_000
"""Characters of a field that are read."""


async def _typed(request: Request) -> FormData:
    return await request.form()


Typed = Annotated[FormData, Depends(_typed)]


@router.get("/{language}/registry/entry/{association:path}", dependencies=[access.OWN])
def form(asked: Page, association: str) -> HTMLResponse:
    """The entry as it is kept, to be changed."""
    about = _found(asked, association)
    it = _kept(asked, about)
    return _shown(asked, about, it, version=it.version)


@router.post("/{language}/registry/entry/{association:path}", dependencies=[access.OWN])
def keep(asked: Page, association: str, typed: Typed) -> Response:
    """Keep what was typed, or show beside it what is odd; what is only odd may be kept all the same.

    Nor is it kept at once where the entry is not the one any more that was shown.
    """
    about = _found(asked, association)
    told = _entry(about.id, typed)
    version = _kept(asked, about).version
    if _text(typed, "version") != version:
        return _shown(asked, about, told, version=version, status=409)
    reading = told.read(asked.app.config.network.language)
    problems = [*reading.problems, *_elsewhere(asked, about.id, reading)]
    if any(one.trouble in BLOCKING for one in problems) or (problems and "anyway" not in typed):
        return _shown(asked, about, told, version=version, status=422, problems=problems)
    by = By(asked.signature, "web")
    people, listed = reading.associations, reading.accounts
    asked.app.store.save_registry(people, listed, asked.now, by=by, whole=False, said=reading.said)
    return RedirectResponse(asked.link.association(about.id), 303)


def _kept(asked: Asked, about: Member) -> Entry:
    return entry(about, asked.app.store.accounts(about.id), asked.words)


def _found(asked: Asked, association: str) -> Member:
    about = asked.app.store.member(association)
    if about is None:
        raise HTTPException(404)
    return about


def _entry(association: str, typed: FormData) -> Entry:
    cells = {
        name: _text(typed, name) for name in (*TYPED, *channel_registry.channels(), LINKS) if name in typed
    }
    cells["none_by_choice"] = ", ".join(str(one) for one in typed.getlist("none_by_choice"))
    return Entry(association, cells)


def _text(typed: FormData, name: str) -> str:
    return str(typed.get(name, ""))[:LONGEST].replace("\r\n", "\n")


def _elsewhere(asked: Asked, association: str, reading: Reading) -> list[Problem]:
    """The accounts that another association lists, too."""
    keys = {(row.channel, row.identity.key): row for row in reading.accounts if row.identity.key}
    others = asked.app.store.named((channel, key) for channel, key in keys if key)
    theirs = {
        (row.channel, row.identity.key)
        for row in others
        if row.association != association and row.withdrawn_at is None
    }
    return [
        Problem(2, row.column, row.typed, Trouble.SHARED_ACCOUNT)
        for key, row in keys.items()
        if key in theirs
    ]


def _shown(
    asked: Asked,
    about: Member,
    it: Entry,
    *,
    version: str,
    status: int = 200,
    problems: list[Problem] | None = None,
) -> HTMLResponse:
    words, told = asked.words, problems or []
    return asked.page(
        "registry_entry.html",
        status=status,
        about=about.association,
        it=it,
        problems=told,
        may_keep=not any(one.trouble in BLOCKING for one in told),
        version=version,
        is_refused=status == 422,
        is_stale=status == 409,
        columns=it.columns(asked.app.config.channels),
        heading=lambda name: exporter.heading(name, words),
        tongues_known=tuple(LOCALES),
        officers=[words.term("officer", code) for code in CODES],
    )
