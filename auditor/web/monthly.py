"""The monthly report by mail: an association asks for it beside its own report."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Form, HTTPException
from fastapi.responses import HTMLResponse, RedirectResponse

from auditor.notify import wishes
from auditor.notify.wishes import Outcome
from auditor.web import access
from auditor.web.reader import Reader, Reading

router = APIRouter()


@router.get("/{language}/report/monthly", dependencies=[access.LETTER])
def ask(reading: Reader, outcome: Outcome | None = None) -> HTMLResponse:
    """Ask for an address."""
    _refuse_without_mail(reading)
    asked = reading.asked
    association = asked.app.store.association(reading.letter.association)
    return asked.page("monthly.html", association=association, outcome=outcome)


@router.post("/{language}/report/monthly", dependencies=[access.LETTER])
def keep(reading: Reader, address: Annotated[str, Form(max_length=254)] = "") -> RedirectResponse:
    """Keep that this address wants it. The link in each mail ends it."""
    _refuse_without_mail(reading)
    asked, association = reading.asked, reading.letter.association
    outcome = wishes.monthly(asked.app.store, address, association, asked.now)
    return RedirectResponse(f"{asked.link.page('report/monthly')}?outcome={outcome}#said", 303)


def _refuse_without_mail(reading: Reading) -> None:
    """404 where no mail can be sent: nothing is promised that cannot be kept."""
    if not reading.asked.app.config.notify.can_mail:
        raise HTTPException(404)
