"""The JSON items of the reading commands, to the letter of their contract. Pure functions of the Overview."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime, timedelta
from typing import Any

from auditor.checking.clock import is_dated_in_future
from auditor.core.formatting import format_optional_timestamp
from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.evaluation.network_view import NetworkOverview
from auditor.receipts.receipt import count_not_reached
from probes.models.finding import Presence
from storage.models.audit import AuditRun, Gap

JsonItem = dict[str, Any]


def build_status_item(
    run: AuditRun | None,
    counts: Mapping[Presence, int],
    now: datetime,
    delayed_run_day: date | None = None,
) -> JsonItem:
    """The item of `status`. It needs a night's counts alone, so that a monitor may ask every minute.

    `left_out` counts whom the night did not reach, null where nobody can tell; `waiting` (`waits`) is the day
    of a night that has not begun because this one has not ended. A run that is `dated_in_future` has no age.
    """
    ended = (run.finished_at or run.started_at) if run else None
    is_future = run is not None and is_dated_in_future(run, now)
    return {
        "night": run.day.isoformat() if run else None,
        "started_at": format_optional_timestamp(run.started_at) if run else None,
        "finished_at": format_optional_timestamp(run.finished_at) if run else None,
        "state": run.state.value if run else None,
        "accounts": sum(counts.values()),
        **{presence.value: counts.get(presence, 0) for presence in Presence},
        "blind": list(run.unreliable_channels) if run else [],
        "left_out": count_not_reached(run) if run else 0,
        "waiting": delayed_run_day.isoformat() if delayed_run_day else None,
        "dated_in_future": is_future,
        "age_hours": None if ended is None or is_future else _count_hours(now - ended),
    }


def _count_hours(age: timedelta) -> float:
    return round(max(0.0, age.total_seconds()) / 3600, 1)


def build_gap_items(views: Iterable[AssociationView]) -> list[JsonItem]:
    """Every open gap that no other hides, association by association, gravest first."""
    return [build_gap_item(gap, view.association.name) for view in views for gap in view.gaps]


def build_gap_item(gap: Gap, association_name: str) -> JsonItem:
    """One gap of the association of that name."""
    return {"association": gap.association, "name": association_name, **_build_gap_fields(gap)}


def _build_gap_fields(gap: Gap) -> JsonItem:
    return {
        "channel": gap.channel,
        "code": gap.code,
        "severity": gap.severity,
        "opened_at": format_optional_timestamp(gap.opened_at),
        "closed_at": format_optional_timestamp(gap.closed_at),
        "params": dict(gap.params),
        "evidence": dict(gap.evidence),
    }


def build_report_items(
    overview: NetworkOverview, association_id: str | None = None
) -> list[JsonItem]:
    """One item for each association, or the one that is asked for."""
    return [
        build_report_item(view)
        for view in overview.associations
        if association_id in (None, view.association.id)
    ]


def build_report_item(view: AssociationView) -> JsonItem:
    """One association's report."""
    association = view.association
    return {
        "association": association.id,
        "name": association.name,
        "region": association.region,
        "language": association.language,
        "level": view.score.level,
        "score": view.score.percent,
        "score_detail": _build_score_fields(view),
        "accounts": [build_account_item(account) for account in view.accounts],
        "gaps": [_build_gap_fields(gap) for gap in view.gaps],
        "unchecked": [
            {"channel": one.channel, "code": one.code, "params": dict(one.params)}
            for one in view.unchecked
        ],
    }


def _build_score_fields(view: AssociationView) -> Mapping[str, Any]:
    told = view.score
    return {
        "earned": told.earned,
        "known": told.known,
        "low": told.low,
        "high": told.high,
        "version": told.version,
    }


def build_account_item(account: AccountView) -> JsonItem:
    """One account of a report."""
    return {
        "channel": account.channel,
        "url": account.url,
        "key": account.key,
        "state": account.state.value,
        "since": format_optional_timestamp(account.since),
        "reason": account.reason.value if account.reason else None,
        "last_activity": account.last_activity.format_iso() if account.last_activity else None,
        "activity": account.activity_band,
        "rhythm_days": account.rhythm_days,
        "linked": account.link_reciprocity,
        "checked_at": format_optional_timestamp(account.checked_at),
    }
