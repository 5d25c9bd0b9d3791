"""The JSON items of the reading commands, to the letter of their contract. Pure functions of the Overview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from auditor.core.formatting import instant
from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evaluation.network_view import Overview
from auditor.receipts.receipt import left_out
from probes.models.finding import Presence
from storage.models.audit import Gap, Night

Item = dict[str, Any]


def status_item(
    night: Night | None, counts: Mapping[Presence, int], now: datetime, waits: date | None = None
) -> Item:
    """The item of `status`. It needs a night's counts alone, so that a monitor may ask every minute.

    `left_out` counts whom the night did not reach, null where nobody can tell; `waiting` (`waits`) is the day
    of a night that has not begun because this one has not ended.
    """
    ended = (night.finished_at or night.started_at) if night else None
    return {
        "night": night.day.isoformat() if night else None,
        "started_at": instant(night.started_at) if night else None,
        "finished_at": instant(night.finished_at) if night else None,
        "state": night.state.value if night else None,
        "accounts": sum(counts.values()),
        **{presence.value: counts.get(presence, 0) for presence in Presence},
        "blind": list(night.blind) if night else [],
        "left_out": left_out(night) if night else 0,
        "waiting": waits.isoformat() if waits else None,
        "age_hours": round(max(0.0, (now - ended).total_seconds()) / 3600, 1) if ended else None,
    }


def gap_items(views: Iterable[AssociationView]) -> list[Item]:
    """Every open gap that no other hides, association by association, gravest first."""
    return [gap_item(gap, view.association.name) for view in views for gap in view.gaps]


def gap_item(gap: Gap, name: str) -> Item:
    """One gap of the association of that name."""
    return {"association": gap.association, "name": name, **_told(gap)}


def _told(gap: Gap) -> Item:
    return {
        "channel": gap.channel,
        "code": gap.code,
        "severity": gap.severity,
        "opened_at": instant(gap.opened_at),
        "closed_at": instant(gap.closed_at),
        "params": dict(gap.params),
        "evidence": dict(gap.evidence),
    }


def report_items(overview: Overview, only: str | None = None) -> list[Item]:
    """One item for each association, or the one that is asked for."""
    return [report_item(view) for view in overview.associations if only in (None, view.association.id)]


def report_item(view: AssociationView) -> Item:
    """One association's report."""
    association = view.association
    return {
        "association": association.id,
        "name": association.name,
        "region": association.region,
        "language": association.language,
        "level": view.score.level,
        "score": view.score.percent,
        "score_detail": _score(view),
        "accounts": [account_item(account) for account in view.accounts],
        "gaps": [_told(gap) for gap in view.gaps],
        "unchecked": [
            {"channel": one.channel, "code": one.code, "params": dict(one.params)} for one in view.unchecked
        ],
    }


def _score(view: AssociationView) -> Mapping[str, Any]:
    told = view.score
    return {
        "earned": told.earned,
        "known": told.known,
        "low": told.low,
        "high": told.high,
        "version": told.version,
    }


def account_item(account: AccountView) -> Item:
    """One account of a report."""
    return {
        "channel": account.channel,
        "url": account.url,
        "key": account.key,
        "state": account.state.value,
        "since": instant(account.since),
        "reason": account.reason.value if account.reason else None,
        "last_activity": account.last_activity.iso() if account.last_activity else None,
        "activity": account.activity,
        "rhythm_days": account.rhythm_days,
        "linked": account.linked,
        "checked_at": instant(account.checked_at),
    }
