"""The registry for people: to take as a sheet, correct in a spreadsheet program, and bring back.

The registry's trail in the browser: who changed what, page by page.
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from urllib.parse import quote, urlencode

from fastapi import APIRouter, Form, Query, UploadFile
from fastapi.responses import HTMLResponse, RedirectResponse, Response, StreamingResponse
from pydantic import BaseModel, ConfigDict

from auditor.erasure import returned
from auditor.evaluation.run_results import refresh
from auditor.registry import exporter
from auditor.registry.diff import Line, Revision, revision
from auditor.registry.importer import Known, Reading, read
from auditor.registry.spreadsheet import SheetError, csv_lines
from auditor.registry.uploads import Uploads
from auditor.users import service
from auditor.views.export import MEDIA
from auditor.web import access
from auditor.web.request_context import Asked, Number, Page
from storage.models.summaries import EVERYBODY
from storage.models.users import By

router = APIRouter()

MOST = 10 * 1024 * 1024
"""The largest sheet that is taken, in bytes."""
LINES_SHOWN = 500
"""So many changes are shown on a page."""
FEW = 100
"""So many problems are."""


Forgotten = Literal["contact", "all", "traces"]
"""What was just erased; `traces`: all of it, but for the database's log."""


class Answer(BaseModel):
    """What was decided of a waiting sheet, and the digest of the changes that were shown.

    `whole`: whoever the sheet does not list may leave.
    """

    model_config = ConfigDict(frozen=True)

    act: Literal["take", "drop"]
    digest: str = ""
    whole: bool = False


@router.get("/{language}/registry", dependencies=[access.COORDINATOR])
def home(asked: Page, taken: int | None = None, forgotten: Forgotten | None = None) -> HTMLResponse:
    """How many are registered, and the ways out and in.

    `taken` are the changes that were just taken over, `forgotten` what was just erased.
    """
    return _home(asked, taken=taken, forgotten=forgotten)


@router.post("/{language}/registry", dependencies=[access.EVERYWHERE])
def bring(asked: Page, sheet: UploadFile) -> Response:
    """Keep a sheet and lead to what it would change, or tell why it cannot be read."""
    data = sheet.file.read(MOST + 1)
    if len(data) > MOST:
        return _home(asked, status=413, trouble=asked.words.say("This file is larger than 10 MB."))
    waiting = _uploads(asked)
    name = waiting.keep(data, asked.now)
    try:
        _compared(asked, waiting.folder / name)
    except SheetError as refused:
        waiting.forget(name)
        return _home(asked, status=422, trouble=asked.words.term("unreadable", refused.trouble))
    return RedirectResponse(asked.link.page(f"registry/diff/{name}"), 303)


@router.get("/{language}/registry/diff/{name}", dependencies=[access.EVERYWHERE])
def difference(asked: Page, name: str, *, anew: bool = False) -> HTMLResponse:
    """What a waiting sheet would change. `anew`: what was agreed to is not what it would change now."""
    path = _uploads(asked).find(name, asked.now)
    if path is None:
        gone = asked.words.say("This sheet does not wait any more. Please bring it in again.")
        return _home(asked, status=404, trouble=gone)
    return _difference(asked, name, _compared(asked, path), anew=anew)


@router.post("/{language}/registry/diff/{name}", dependencies=[access.EVERYWHERE])
def decide(asked: Page, name: str, answer: Annotated[Answer, Form()]) -> Response:
    """Take a sheet over, if it changes what was agreed to, or drop it."""
    waiting = _uploads(asked)
    path = waiting.find(name, asked.now)
    if answer.act == "drop" or path is None:
        waiting.forget(name)
        return RedirectResponse(asked.link.page("registry"), 303)
    draft = _compared(asked, path)
    if not answer.whole and draft.changes.associations_withdrawn:
        return _difference(asked, name, draft, status=422, is_partial=True)
    reading = draft.reading
    people, listed = reading.associations, reading.accounts
    made = asked.app.store.save_registry(
        people, listed, asked.now, by=By(asked.signature, "web"), said=reading.said, agreed=answer.digest
    )
    if made.digest != answer.digest:
        return RedirectResponse(f"{asked.link.page(f'registry/diff/{name}')}?anew=1", 303)
    waiting.forget(name)
    refresh(asked.app.store, asked.app.config)
    return RedirectResponse(f"{asked.link.page('registry')}?taken={len(made.lines)}", 303)


def _home(
    asked: Asked,
    *,
    status: int = 200,
    taken: int | None = None,
    forgotten: Forgotten | None = None,
    trouble: str = "",
) -> HTMLResponse:
    count = asked.read.tally().get(EVERYBODY, 0)
    return asked.page(
        "registry.html",
        status=status,
        associations=count,
        taken=taken,
        forgotten=forgotten,
        trouble=trouble,
        whole=service.acts_everywhere(asked.user),
    )


def _difference(
    asked: Asked,
    name: str,
    draft: Revision,
    *,
    status: int = 200,
    anew: bool = False,
    is_partial: bool = False,
) -> HTMLResponse:
    return asked.page(
        "registry_diff.html",
        status=status,
        it=draft,
        name=name,
        anew=anew,
        is_partial=is_partial,
        shown=LINES_SHOWN,
        few=FEW,
    )


def _uploads(asked: Asked) -> Uploads:
    return Uploads(asked.app.folder / "uploads")


def _compared(asked: Asked, path: Path) -> Revision:
    """The sheet beside the registry. Raises SheetError."""
    return revision(asked.app.store, _read(asked, path), asked.now)


def _read(asked: Asked, path: Path) -> Reading:
    """A sheet that names somebody. Raises SheetError."""
    store = asked.app.store
    known = Known.of(store.members(), store.accounts())
    reading = read(path, asked.app.config.network.language, known)
    if not reading.associations:
        raise SheetError(str(path), "it names no association", "fill the sheet first", trouble="nobody")
    reading.problems += returned(asked.app, reading)
    return reading


@router.get("/{language}/registry.{form}", dependencies=[access.EVERYWHERE])
def download(
    asked: Page, form: Literal["csv", "xlsx"], delimiter: Annotated[Literal[",", ";"], Query()] = ","
) -> StreamingResponse:
    """The registry as a sheet in the page's language."""
    words = asked.words
    lines = exporter.kept(asked.app.store, words)
    if form == "xlsx":
        pieces = exporter.pieces(lines, words, right_to_left=words.direction == "rtl")
    else:
        pieces = csv_lines(lines, delimiter=delimiter)
    day = asked.now.date().isoformat()
    spoken = quote(f"{words.say('Registry')}-{day}.{form}")
    disposition = f"attachment; filename=\"registry-{day}.{form}\"; filename*=UTF-8''{spoken}"
    return StreamingResponse(pieces, media_type=MEDIA[form], headers={"content-disposition": disposition})


SHOWN = 50


@router.get("/{language}/registry/trail", dependencies=[access.COORDINATOR])
def trail(asked: Page, association: str = "", before: Number | None = None) -> HTMLResponse:
    """The newest changes first: of everybody, or of one association, also one that was removed."""
    store = asked.app.store
    found = store.trail(association or None, before=before, limit=SHOWN + 1, regions=asked.regions)
    changes, rest = found[:SHOWN], found[SHOWN:]
    about = {one.id: one for one in store.holdings({change.association for change in changes}).associations}
    lines = [
        (one, Line.of(one, about[one.association].shown(asked.language) if one.association in about else ""))
        for one in changes
    ]
    return asked.page(
        "audit_log.html",
        lines=lines,
        association=association,
        named=store.association(association) if association else None,
        first=_address(asked, association) if before else None,
        next=_address(asked, association, before=changes[-1].id) if rest else None,
    )


def _address(asked: Asked, association: str, *, before: int | None = None) -> str:
    told = {"association": association, "before": before}
    query = urlencode({name: value for name, value in told.items() if value})
    return asked.link.page("registry/trail") + (f"?{query}" if query else "")
