"""An association's entry in the registry, changed in the browser: read and kept as a sheet's row is.

An association forgotten in the browser: shown how much that is, asked for its id, erased for good.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated
from urllib.parse import quote

from fastapi import APIRouter, Depends, Form, HTTPException, Request
from fastapi.responses import HTMLResponse, RedirectResponse, Response
from pydantic import BaseModel, ConfigDict
from starlette.datastructures import FormData

from auditor import erasure
from auditor.core.errors import InputError, LockedError
from auditor.i18n.catalogs import LOCALES
from auditor.registry import exporter
from auditor.registry.columns import CODES, LINKS
from auditor.registry.entry_form import BLOCKING, TYPED, Entry, entry
from auditor.registry.importer import Reading
from auditor.registry.issues import Problem, Trouble
from auditor.web import access
from auditor.web.request_context import Asked, Page
from probes.links import channel_registry
from storage.models.audit import Member
from storage.models.users import By
from storage.retention import Kept

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
    it = _saved_entry(asked, about)
    return _entry_page(asked, about, it, version=it.version)


@router.post("/{language}/registry/entry/{association:path}", dependencies=[access.OWN])
def keep(asked: Page, association: str, typed: Typed) -> Response:
    """Keep what was typed, or show beside it what is odd; what is only odd may be kept all the same.

    Nor is it kept at once where the entry is not the one any more that was shown.
    """
    about = _found(asked, association)
    told = _entry(about.id, typed)
    version = _saved_entry(asked, about).version
    if _text(typed, "version") != version:
        return _entry_page(asked, about, told, version=version, status=409)
    reading = told.read(asked.app.config.network.language)
    problems = [*reading.problems, *_elsewhere(asked, about.id, reading)]
    if any(one.trouble in BLOCKING for one in problems) or (problems and "anyway" not in typed):
        return _entry_page(asked, about, told, version=version, status=422, problems=problems)
    by = By(asked.signature, "web")
    people, listed = reading.associations, reading.accounts
    asked.app.store.save_registry(people, listed, asked.now, by=by, whole=False, said=reading.said)
    return RedirectResponse(asked.link.association(about.id), 303)


def _saved_entry(asked: Asked, about: Member) -> Entry:
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


def _entry_page(
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


class What(StrEnum):
    """What is to be erased."""

    CONTACT = "contact"
    ALL = "all"


class Wish(BaseModel):
    """What was asked for. `typed` has to be the association's id: nothing is erased by a slip."""

    model_config = ConfigDict(str_strip_whitespace=True)

    what: What = What.CONTACT
    typed: str = ""


@router.get("/{language}/registry/forget/{association:path}", dependencies=[access.EVERYWHERE])
def page(asked: Page, association: str) -> HTMLResponse:
    """What is kept of it, as far as that is told at a glance, and the question."""
    return _shown(asked, association)


@router.post("/{language}/registry/forget/{association:path}", dependencies=[access.EVERYWHERE])
def forget(asked: Page, association: str, wish: Annotated[Wish, Form()]) -> Response:
    """Erase it, where its id was typed and no night is going on."""
    words = asked.words
    if wish.typed != association:
        said = words.say("Nothing was erased: what you typed is not its code.")
        return _shown(asked, association, wish, trouble=said, status=422)
    only = wish.what is What.CONTACT
    try:
        done = erasure.forget(asked.app, association, asked.signature, asked.now, contact=only)
    except LockedError:
        said = words.say("A night is going on. Please try again when it is over.")
        return _shown(asked, association, wish, trouble=said, status=409)
    except InputError:
        raise HTTPException(404) from None
    outcome = wish.what if done.is_clean else "traces"
    return RedirectResponse(f"{asked.link.page('registry')}?forgotten={quote(outcome)}", 303)


def _shown(
    asked: Asked, association: str, wish: Wish | None = None, *, trouble: str = "", status: int = 200
) -> HTMLResponse:
    about = asked.app.store.association(association)
    return asked.page(
        "erasure_form.html",
        status=status,
        id=association,
        about=about,
        kept=list(_kept(asked, association).told()),
        wish=wish or Wish(),
        trouble=trouble,
    )


def _kept(asked: Asked, association: str) -> Kept:
    try:
        return erasure.kept(asked.app, association, at_a_glance=True)
    except InputError:
        raise HTTPException(404) from None
