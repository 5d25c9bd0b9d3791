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

from auditor.cluster.job_queue import load_queue_health
from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evidence import build_evidence_views, is_detail_quoted, redate_evidence
from auditor.i18n.wording import Translator
from auditor.receipts import receipt
from auditor.receipts.receipt import ReceiptVerification, verify_receipt_chain
from auditor.receipts.signing import compute_key_fingerprint, read_known_public_keys
from auditor.rules.account_status import iter_status_outlooks
from auditor.views.association_detail import TIMELINE_DAYS
from auditor.web import access
from auditor.web.request_context import PageContext, RequestContext
from auditor.web.routes.associations import require_association_view
from auditor.web.routes.gaps import parse_day
from storage.models.audit import AuditRun, Gap, Observation
from storage.store import Store

router = APIRouter()

RUNS_PAGE_SIZE = 20
"""Nights on a page, the newest first."""


@dataclass(frozen=True, slots=True)
class RunView:
    """A night as its page shows it. What its receipt does not tell is None."""

    verification: ReceiptVerification
    missed_days: int = 0

    @property
    def receipt(self) -> dict[str, Any]:
        """Its receipt."""
        return dict(self.verification.run.receipt)

    @property
    def not_reached_count(self) -> int | None:
        """How many accounts it did not reach."""
        return receipt.count_not_reached(self.verification.run)

    @property
    def key_fingerprint(self) -> str | None:
        """The fingerprint of the key that signed its receipt."""
        return (
            compute_key_fingerprint(self.verification.public_key)
            if self.verification.public_key
            else None
        )

    def list_unreliable_channels(self, translator: Translator) -> list[str]:
        """The channels that could not be trusted."""
        return [translator.channel_name(name) for name in self.verification.run.unreliable_channels]

    @property
    def finished_at(self) -> datetime | None:
        """When it ended."""
        return self.verification.run.finished_at


@router.get("/{language}/nights", dependencies=[access.LOGGED_IN_ACCESS])
def list_runs(context: PageContext, before: Annotated[str, Query()] = "") -> HTMLResponse:
    """The newest nights first, or those before a day."""
    day = parse_day(before)
    found = context.app.store.list_newest_runs(RUNS_PAGE_SIZE + 1, before_day=day)
    nights, one_before = (found[1:], found[0]) if len(found) > RUNS_PAGE_SIZE else (found, None)
    links = list(
        verify_receipt_chain(
            nights,
            read_known_public_keys(context.app.data_folder),
            _find_chained_run(context, one_before),
        )
    )
    days = [one_before.day if one_before else None, *(night.day for night in nights)]
    shown = [
        RunView(link, _count_missed_days(last, link.run.day))
        for last, link in zip(days, links, strict=False)
    ]
    return context.render_page(
        "runs.html",
        nights=shown[::-1],
        workers=None if day else load_queue_health(context.app.store, context.app.config),
        first=context.links.page_url("nights") if day else None,
        next=f"{context.links.page_url('nights')}?before={nights[0].day}" if one_before else None,
    )


@router.get("/{language}/nights/{day}.json", dependencies=[access.LOGGED_IN_ACCESS])
def download_run_report(context: PageContext, day: str) -> Response:
    """The receipt of a night as it is kept."""
    when = parse_day(day)
    night = context.app.store.get_run(when) if when else None
    if night is None or not night.receipt:
        raise HTTPException(404)
    body = json.dumps(night.receipt, ensure_ascii=False, indent=2, sort_keys=True)
    named = f'attachment; filename="receipt-{night.day}.json"'
    return Response(
        body + "\n", media_type="application/json", headers={"content-disposition": named}
    )


def _find_chained_run(context: RequestContext, run: AuditRun | None) -> AuditRun | None:
    """The link that the oldest night of a page follows: that night itself, unless it has none."""
    if run is None or receipt.is_chain_link(run):
        return run
    return receipt.find_preceding_run(context.app.store, run)


def _count_missed_days(previous_day: date | None, day: date) -> int:
    """How many days between two nights had none."""
    return (day - previous_day).days - 1 if previous_day else 0


@router.get(
    "/{language}/associations/{association:path}/accounts/{account_id:int}",
    dependencies=[access.LOGGED_IN_ACCESS],
)
def show_evidence(
    context: PageContext,
    association: str,
    account_id: int,
    night: Annotated[date | None, Query()] = None,
) -> HTMLResponse:
    """What the look of a night rests on; of the newest one, where no night is named."""
    store, view = context.app.store, require_association_view(context, association)
    account = _find_account(view, account_id)
    looks = _load_observations(store, account, association)
    of = _find_run(store, looks, night)
    look = store.get_observation(of.id, account_id) if of and of.id else None
    if look is None and night is not None:
        raise HTTPException(404)
    standing = store.get_account_status(account_id)
    shown = (
        list(build_evidence_views(redate_evidence(look), context.app.body_store)) if look else []
    )
    return context.render_page(
        "evidence.html",
        view=view,
        account=account,
        night=of,
        look=look,
        blind=bool(of and account.channel in of.unreliable_channels),
        exhibits=shown,
        is_quoted=bool(look and is_detail_quoted(look.finding, shown)),
        prospects=list(iter_status_outlooks(standing, context.app.config.confirm))
        if standing
        else [],
        gaps=[gap for gap in view.gaps if _is_gap_of_account(gap, account)],
        spoken=[word for word in view.decisions if word.account_id == account_id],
        looks=[(one, seen) for one, seen in looks.values()],
    )


def _find_account(view: AssociationView, account_id: int) -> AccountView:
    for account in view.accounts:
        if account.account_id == account_id:
            return account
    raise HTTPException(404)


def _load_observations(
    store: Store, account: AccountView, association: str
) -> Mapping[date, tuple[AuditRun, Observation]]:
    """The looks at an account, the newest first, as far back as the timeline goes."""
    nights = {
        night.id: night for night in store.list_newest_runs(TIMELINE_DAYS) if night.id is not None
    }
    seen = store.list_findings_of_association(association, nights)
    mine = [(nights[one.run_id], one) for one in seen if one.account_id == account.account_id]
    return {
        night.day: (night, one)
        for night, one in sorted(mine, key=lambda pair: pair[0].day, reverse=True)
    }


def _find_run(
    store: Store, observations_by_day: Mapping[date, tuple[AuditRun, Observation]], day: date | None
) -> AuditRun | None:
    """The night that is asked for; it may be older than those that are listed."""
    if day is not None:
        return store.get_run(day)
    return next((night for night, _ in observations_by_day.values()), None)


def _is_gap_of_account(gap: Gap, account: AccountView) -> bool:
    return gap.channel == account.channel and gap.subject in {"", account.key, account.typed}
