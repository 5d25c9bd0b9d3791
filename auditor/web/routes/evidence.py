"""The page that answers "why do you say so?": what one night's look at one account rests on."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date
from typing import Annotated

from fastapi import APIRouter, HTTPException, Query
from fastapi.responses import HTMLResponse

from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evidence.codec import as_read
from auditor.evidence.view import exhibits, quotes
from auditor.rules.status_outlook import prospects
from auditor.views.timeline import SPAN
from auditor.web import access
from auditor.web.request_context import Page
from auditor.web.routes.association import found
from storage.models.audit import Gap, Night, Observation
from storage.store import Store

router = APIRouter()


@router.get(
    "/{language}/associations/{association:path}/accounts/{account_id:int}", dependencies=[access.READER]
)
def page(
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
