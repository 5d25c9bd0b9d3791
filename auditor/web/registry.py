"""The registry for people: to take as a sheet, correct in a spreadsheet program, and bring back."""

from __future__ import annotations

from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Query
from fastapi.responses import HTMLResponse, Response

from auditor import roster, sheet
from auditor.export import MEDIA
from auditor.web.asked import Page
from storage.summary import EVERYBODY

router = APIRouter()


@router.get("/{language}/registry")
def home(asked: Page) -> HTMLResponse:
    """How many are registered, and the ways out and in."""
    return asked.page("registry.html", associations=asked.read.tally().get(EVERYBODY, 0))


@router.get("/{language}/registry.{form}")
def download(
    asked: Page, form: Literal["csv", "xlsx"], delimiter: Annotated[Literal[",", ";"], Query()] = ","
) -> Response:
    """The registry as a sheet in the page's language."""
    words, store = asked.words, asked.app.store
    lines = roster.table(store.associations(), store.accounts(), words)
    if form == "xlsx":
        data = roster.workbook(lines, words, right_to_left=words.direction == "rtl")
    else:
        data = sheet.to_csv(lines, delimiter=delimiter)
    day = asked.now.date().isoformat()
    spoken = quote(f"{words.say('Registry')}-{day}.{form}")
    disposition = f"attachment; filename=\"registry-{day}.{form}\"; filename*=UTF-8''{spoken}"
    return Response(data, media_type=MEDIA[form], headers={"content-disposition": disposition})
