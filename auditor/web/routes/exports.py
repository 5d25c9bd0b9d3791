"""Downloads: the associations, gaps, accounts, coverage and changes of a list, as sheets or JSON."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time
from typing import Annotated, Literal
from urllib.parse import quote

from fastapi import APIRouter, Depends, HTTPException, Query
from fastapi.responses import StreamingResponse
from pydantic import BeforeValidator

from auditor.evaluation.filters import Chosen
from auditor.views import export
from auditor.views.export import KINDS, MEDIA, Export, Format
from auditor.web import access
from auditor.web.request_context import Asked, Page

router = APIRouter()

Filter = Annotated[Chosen, Depends()]
"""The parameters `region`, `tag`, `level`, `gap`, `channel`, `state` and `q` of any list."""
Day = Annotated[date | None, BeforeValidator(lambda day: day or None)]
"""A day; a field left empty is none."""
Since = Annotated[Day, Query()]


@router.get("/{language}/exports/{kind}.{form}", dependencies=[access.READER])
def download(
    asked: Page,
    kind: str,
    form: Format,
    chosen: Filter,
    *,
    since: Since = None,
    delimiter: Annotated[Literal[",", ";"], Query()] = ",",
) -> StreamingResponse:
    """The rows of a kind, sent as they are made."""
    if kind not in KINDS:
        raise HTTPException(404)
    wanted = Export(
        kind=kind,
        format=form,
        chosen=chosen,
        words=asked.words,
        since=midnight(since),
        delimiter=delimiter,
        right_to_left=asked.words.direction == "rtl",
        private=asked.acts_for,
    )
    return attached(wanted, export.stream(wanted, asked.app, asked.now), asked)


def midnight(day: date | None) -> datetime | None:
    """The beginning of a day, UTC, as nights are."""
    return datetime.combine(day, time(), UTC) if day else None


def attached(wanted: Export, pieces: Iterator[bytes], asked: Asked) -> StreamingResponse:
    """A file to keep, by a dated name."""
    plain, spoken = wanted.file_name(asked.now), quote(wanted.spoken_name(asked.now))
    disposition = f"attachment; filename=\"{plain}\"; filename*=UTF-8''{spoken}"
    return StreamingResponse(
        pieces,
        media_type=MEDIA[wanted.format],
        headers={"content-disposition": disposition, "cache-control": "no-store"},
    )
