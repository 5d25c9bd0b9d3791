"""JSON items of the reading commands (`status`, `gaps`, `report`, `decide list`). Pure functions.

The keys are a contract with other programs.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import TYPE_CHECKING, Any

from auditor.checking.clock import is_dated_in_future
from auditor.core.formatting import format_optional_timestamp
from auditor.core.reference.gap_catalogue import get_gap_kind
from auditor.rules.association_state import (
    get_decision_end,
    is_overridden_by_evidence,
    is_withdrawn,
)
from probes.models.finding import Presence
from storage.models.audit import AccountRow, AccountStatus, AuditRun, Decision, DecisionKind, Gap

if TYPE_CHECKING:  # the status needs no views
    from auditor.conclusions.association_view import AccountView, AssociationView

JsonItem = dict[str, Any]

ENDING_SOON_PERIOD = timedelta(days=30)
"""Decisions that end within this time are listed as ending soon, so that they can be renewed."""


def build_status_item(
    run: AuditRun | None,
    counts: Mapping[Presence, int],
    now: datetime,
    delayed_run_day: date | None = None,
    next_run_at: datetime | None = None,
) -> JsonItem:
    """Return the item of `auditor status`. A monitor may request it every minute.

    `not_reached` is null if it is not known how many accounts the run did not reach. `delayed_run`
    is the day whose run waits because this one has not finished. `age_hours` is null for a run
    that is dated in the future.
    """
    is_future = run is not None and is_dated_in_future(run, now)
    age_hours = None
    if run is not None and not is_future:
        age = now - (run.finished_at or run.started_at)
        age_hours = round(max(0.0, age.total_seconds()) / 3600, 1)
    return {
        "run": run.day.isoformat() if run else None,
        "started_at": format_optional_timestamp(run.started_at if run else None),
        "finished_at": format_optional_timestamp(run.finished_at if run else None),
        "state": run.state.value if run else None,
        "accounts": sum(counts.values()),
        **{presence.value: counts.get(presence, 0) for presence in Presence},
        "unreliable_channels": list(run.unreliable_channels) if run else [],
        "not_reached": run.not_reached_count if run else 0,
        "delayed_run": delayed_run_day.isoformat() if delayed_run_day else None,
        "dated_in_future": is_future,
        "age_hours": age_hours,
        "next_run_at": format_optional_timestamp(next_run_at),
    }


def build_gap_items(views: Iterable[AssociationView], name_language: str = "") -> list[JsonItem]:
    """Return every open gap that no other gap hides, by association, most severe first.

    Associations have their name in `name_language` if they have one in that language.
    """
    items: list[JsonItem] = []
    for view in views:
        name = view.association.display_name(name_language)
        items.extend(build_gap_item(gap, name) for gap in view.gaps)
    return items


def build_gap_item(gap: Gap, association_name: str) -> JsonItem:
    """Return the item of one gap."""
    return {"association": gap.association, "name": association_name, **_build_gap_fields(gap)}


def _build_gap_fields(gap: Gap) -> JsonItem:
    return {
        "channel": gap.channel,
        "code": gap.code,
        "kind": get_gap_kind(gap).value,
        "severity": gap.severity,
        "opened_at": format_optional_timestamp(gap.opened_at),
        "closed_at": format_optional_timestamp(gap.closed_at),
        "params": dict(gap.params),
        "evidence": dict(gap.evidence),
    }


def build_report_item(view: AssociationView) -> JsonItem:
    """Return the report of one association."""
    association, score = view.association, view.score
    unchecked = []
    for check in view.unchecked:
        params = dict(check.params)
        unchecked.append({"channel": check.channel, "code": check.code, "params": params})
    return {
        "association": association.id,
        "name": association.name,
        "region": association.region,
        "language": association.language,
        "level": score.level,
        "score": score.percent,
        "score_detail": {
            "earned": score.earned,
            "known": score.known,
            "low": score.low,
            "high": score.high,
            "version": score.version,
        },
        "accounts": list(map(build_account_item, view.accounts)),
        "gaps": list(map(_build_gap_fields, view.gaps)),
        "unchecked": unchecked,
    }


def build_account_item(account: AccountView) -> JsonItem:
    """Return the item of one account in a report."""
    return {
        "channel": account.channel,
        "url": account.url,
        "key": account.key,
        "state": account.shown_state,
        "since": format_optional_timestamp(account.since),
        "reason": account.reason.value if account.reason else None,
        "last_activity": account.last_activity.format_iso() if account.last_activity else None,
        "activity": account.activity_band,
        "rhythm_days": account.rhythm_days,
        "linked": account.link_reciprocity,
        "checked_at": format_optional_timestamp(account.checked_at),
    }


def build_decision_items(
    decisions: Iterable[Decision],
    accounts: Mapping[int, AccountRow],
    statuses: Mapping[int, AccountStatus],
    now: datetime,
) -> list[dict[str, Any]]:
    """Return the items of `decide list` in the order they were taken.

    docs/guides/decisions.md describes their fields.
    """
    items = []
    for decision in decisions:
        account_id = decision.account_id or 0
        row = accounts.get(account_id)
        status = statuses.get(account_id) or AccountStatus(account_id)
        until, state = get_decision_end(decision, status), "in_force"
        if is_withdrawn(decision, now):
            state = "withdrawn"
        elif until is not None and until <= now:
            state = "expired"
        elif decision.kind is DecisionKind.CONFIRM and is_overridden_by_evidence(decision, status):
            state = "overridden"
        elif until is not None and until <= now + ENDING_SOON_PERIOD:
            state = "ending_soon"
        withdrawal = decision.withdrawal
        items.append(
            {
                "id": decision.id,
                "association": decision.association,
                "channel": decision.channel,
                "kind": decision.kind.value,
                "account": row.subject if row else decision.value,
                "code": decision.code,
                "value": decision.value,
                "author": decision.author,
                "reason": decision.reason,
                "decided_at": format_optional_timestamp(decision.decided_at),
                "until": format_optional_timestamp(until),
                "in_force": state in {"in_force", "ending_soon"},
                "state": state,
                "withdrawn_at": withdrawal and format_optional_timestamp(withdrawal.withdrawn_at),
                "withdrawn_by": withdrawal and withdrawal.author,
                "withdrawn_reason": withdrawal and withdrawal.reason,
            }
        )
    return items
