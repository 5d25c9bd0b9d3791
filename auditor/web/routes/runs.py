"""The nights in the browser: what each looked at and left, and whether its receipt can be trusted."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, Response

from auditor.cluster.stats import figures
from auditor.i18n.wording import Wording
from auditor.receipts import receipt
from auditor.receipts.signing import fingerprint, known
from auditor.receipts.verify import Link, chain
from auditor.web import access
from auditor.web.request_context import Asked, Page
from auditor.web.routes.changes import day_of
from storage.models.audit import Night

router = APIRouter()

SHOWN = 20
"""Nights on a page, the newest first."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A night as its page shows it. What its receipt does not tell is None."""

    link: Link
    missed: int = 0

    @property
    def told(self) -> dict[str, Any]:
        """Its receipt."""
        return dict(self.link.night.receipt)

    @property
    def left_out(self) -> int | None:
        """How many accounts it did not reach."""
        return receipt.left_out(self.link.night)

    @property
    def key(self) -> str | None:
        """The fingerprint of the key that signed its receipt."""
        return fingerprint(self.link.key) if self.link.key else None

    def blind(self, words: Wording) -> list[str]:
        """The channels that could not be trusted."""
        return [words.channel(name) for name in self.link.night.blind]

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""
        return self.link.night.finished_at


@router.get("/{language}/nights", dependencies=[access.READER])
def page(asked: Page, before: Annotated[str, Query()] = "") -> HTMLResponse:
    """The newest nights first, or those before a day."""
    day = day_of(before)
    found = asked.app.store.newest_nights(SHOWN + 1, before=day)
    nights, one_before = (found[1:], found[0]) if len(found) > SHOWN else (found, None)
    links = list(chain(nights, known(asked.app.folder), _linked(asked, one_before)))
    days = [one_before.day if one_before else None, *(night.day for night in nights)]
    shown = [Shown(link, _missed(last, link.night.day)) for last, link in zip(days, links, strict=False)]
    return asked.page(
        "runs.html",
        nights=shown[::-1],
        workers=None if day else figures(asked.app.store, asked.app.config),
        first=asked.link.page("nights") if day else None,
        next=f"{asked.link.page('nights')}?before={nights[0].day}" if one_before else None,
    )


@router.get("/{language}/nights/{day}.json", dependencies=[access.READER])
def document(asked: Page, day: str) -> Response:
    """The receipt of a night as it is kept."""
    when = day_of(day)
    night = asked.app.store.night(when) if when else None
    if night is None or not night.receipt:
        raise HTTPException(404)
    body = json.dumps(night.receipt, ensure_ascii=False, indent=2, sort_keys=True)
    named = f'attachment; filename="receipt-{night.day}.json"'
    return Response(body + "\n", media_type="application/json", headers={"content-disposition": named})


def _linked(asked: Asked, night: Night | None) -> Night | None:
    """The link that the oldest night of a page follows: that night itself, unless it has none."""
    if night is None or receipt.is_link(night):
        return night
    return receipt.followed(asked.app.store, night)


def _missed(last: date | None, day: date) -> int:
    """How many days between two nights had none."""
    return (day - last).days - 1 if last else 0
