"""The nights in the browser: what each looked at and left, and whether its receipt can be trusted.

The page that answers "why do you say so?": what one night's look at one account rests on.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse, Response

from auditor.cluster.job_queue import figures
from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evidence import as_read, exhibits, quotes
from auditor.i18n.wording import Wording
from auditor.receipts import receipt
from auditor.receipts.receipt import Link, chain
from auditor.receipts.signing import fingerprint, known
from auditor.rules.account_status import prospects
from auditor.views.association_detail import SPAN
from auditor.web import access
from auditor.web.request_context import Asked, Page
from auditor.web.routes.associations import found
from auditor.web.routes.gaps import day_of
from storage.models.audit import Gap, Night, Observation
from storage.store import Store

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
def list_runs(asked: Page, before: Annotated[str, Query()] = "") -> HTMLResponse:
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


@router.get(
    "/{language}/associations/{association:path}/accounts/{account_id:int}", dependencies=[access.READER]
)
def evidence_page(
    asked: Page, association: str, account_id: int, night: Annotated[date | None, Query()] = None
) -> HTMLResponse:
    """What the look of a night rests on; of the newest one, where no night is named."""
    store, view = asked.app.store, found(asked, association)
    account = _account(view, account_id)
    looks = _looks(store, account, association)
    of = _night(store, looks, night)
    look = store.observation(of.id, account_id) if of and of.id else None
    if look is None and night is not None:
        raise HTTPException(404)
    standing = store.standing(account_id)
    shown = list(exhibits(as_read(look), asked.app.archive)) if look else []
    return asked.page(
        "evidence.html",
        view=view,
        account=account,
        night=of,
        look=look,
        blind=bool(of and account.channel in of.blind),
        exhibits=shown,
        is_quoted=bool(look and quotes(look.finding, shown)),
        prospects=list(prospects(standing, asked.app.config.confirm)) if standing else [],
        gaps=[gap for gap in view.gaps if _rests_on(gap, account)],
        spoken=[word for word in view.words if word.account_id == account_id],
        looks=[(one, seen) for one, seen in looks.values()],
    )


def _account(view: AssociationView, account_id: int) -> AccountView:
    for account in view.accounts:
        if account.account_id == account_id:
            return account
    raise HTTPException(404)


def _looks(store: Store, account: AccountView, association: str) -> Mapping[date, tuple[Night, Observation]]:
    """The looks at an account, the newest first, as far back as the timeline goes."""
    nights = {night.id: night for night in store.newest_nights(SPAN) if night.id is not None}
    seen = store.glances(association, nights)
    mine = [(nights[one.night_id], one) for one in seen if one.account_id == account.account_id]
    return {
        night.day: (night, one) for night, one in sorted(mine, key=lambda pair: pair[0].day, reverse=True)
    }


def _night(store: Store, looks: Mapping[date, tuple[Night, Observation]], day: date | None) -> Night | None:
    """The night that is asked for; it may be older than those that are listed."""
    if day is not None:
        return store.night(day)
    return next((night for night, _ in looks.values()), None)


def _rests_on(gap: Gap, account: AccountView) -> bool:
    return gap.channel == account.channel and gap.subject in {"", account.key, account.typed}
