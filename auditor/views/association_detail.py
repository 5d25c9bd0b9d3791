"""Everything the coordinator's page of one association shows, and nothing of any other association.

The nights of one association: a row for each account, a column for each day, what was seen. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Any

from auditor.decisions.service import build_decision_items
from auditor.evaluation.association_view import AccountView, AssociationView, is_waiver_of
from auditor.rules.account_status import ConfirmationThresholds, StatusOutlook, iter_status_outlooks
from auditor.rules.engine import is_gap_open
from probes.models.finding import Reason
from storage.models.audit import AccountStatus, AuditRun, AuditRunState, Decision, Gap, Observation
from storage.models.users import FollowUp, Reply
from storage.store import Store

TIMELINE_DAYS = 30
"""Days that are shown."""


@dataclass(frozen=True, slots=True)
class TimelineCell:
    """One account on one day.

    `sign` is present, absent or unknown; blind where the night distrusted the channel; left_out where the
    night was and did not look at it; skipped where we had no line of our own; empty where there was no night.
    """

    day: date
    state: str = ""
    reason: Reason | None = None

    @property
    def has_observation(self) -> bool:
        """Whether the night looked at the account, so that there is evidence to show."""
        return self.state in {"present", "absent", "unknown", "unreliable"}


@dataclass(frozen=True, slots=True)
class AccountTimeline:
    """One account's days, the oldest first."""

    account: AccountView
    cells: tuple[TimelineCell, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The days, the oldest first, and every account's strip."""

    days: tuple[date, ...] = ()
    rows: tuple[AccountTimeline, ...] = ()


def build_timeline(
    accounts: Iterable[AccountView],
    runs: Sequence[AuditRun],
    observations: Iterable[Observation],
    max_days: int = TIMELINE_DAYS,
) -> Timeline:
    """The days up to the newest night, `span` at most, none before the first."""
    if not runs:
        return Timeline()
    by_day = {night.day: night for night in runs}
    last = max(by_day)
    first = max(min(by_day), last - timedelta(days=max_days - 1))
    days = tuple(first + timedelta(days=ahead) for ahead in range((last - first).days + 1))
    seen = {(look.account_id, look.run_id): look for look in observations}
    strips = (
        AccountTimeline(
            account,
            tuple(_build_timeline_cell(account, day, by_day.get(day), seen) for day in days),
        )
        for account in accounts
    )
    return Timeline(days, tuple(strips))


def _build_timeline_cell(
    account: AccountView,
    day: date,
    run: AuditRun | None,
    observations: Mapping[tuple[int, int], Observation],
) -> TimelineCell:
    if run is None or run.id is None:
        return TimelineCell(day)
    look = observations.get((account.account_id, run.id))
    if look is None:
        return TimelineCell(day, "skipped" if run.state is AuditRunState.SKIPPED else "not_reached")
    sign = (
        "unreliable" if account.channel in run.unreliable_channels else look.finding.presence.value
    )
    return TimelineCell(day, sign, look.finding.reason)


RECENT_PERIOD = timedelta(days=30)
"""How long a settled gap is still told of."""
MAX_EVENTS = 60
"""Events that are listed."""


@dataclass(frozen=True, slots=True)
class AssociationEvent:
    """What happened: opened or closed (a gap), decided or withdrawn (a decision), replied, touched."""

    occurred_at: datetime
    kind: str
    subject: Gap | Decision | Reply | FollowUp


@dataclass(frozen=True, slots=True)
class AssociationDetail:
    """One association as its coordinator sees it.

    `settled` are the gaps closed lately; `waived` those somebody said need not be told, each with that word.
    `ledger` are the decisions as `decide list` tells them, the newest first; `log` is the follow-up log, and
    `waiting` how many replies wait for an answer.
    """

    view: AssociationView
    account_statuses: Mapping[int, AccountStatus]
    timeline: Timeline
    recently_closed_gaps: tuple[Gap, ...]
    waived_gaps: tuple[tuple[Gap, Decision], ...]
    decisions: tuple[Mapping[str, Any], ...]
    events: tuple[AssociationEvent, ...]
    follow_ups: tuple[FollowUp, ...]
    pending_reply_count: int
    confirm: ConfirmationThresholds

    def list_outlooks(self, account_id: int) -> list[StatusOutlook]:
        """What is on its way for an account: a doubt, a trouble, another account, a return."""
        standing = self.account_statuses.get(account_id)
        return (
            [one for one in iter_status_outlooks(standing, self.confirm) if one.runs]
            if standing
            else []
        )


def build_association_detail(
    store: Store,
    view: AssociationView,
    confirm: ConfirmationThresholds,
    now: datetime,
    *,
    include_private: bool = True,
) -> AssociationDetail:
    """The page of an association whose view is at hand; what was said with its people, if `private`."""
    mine = view.association.id
    decisions = tuple(store.list_decisions(association=mine))
    standings = {standing.account_id: standing for standing in store.list_account_statuses(mine)}
    rows = {row.id: row for row in store.list_accounts(mine, include_withdrawn=True) if row.id}
    told = build_decision_items(decisions, rows, standings, now)
    replies = list(store.list_replies(mine)) if include_private else []
    log = store.list_follow_ups(mine) if include_private else []
    return AssociationDetail(
        view=view,
        account_statuses=standings,
        timeline=_load_timeline(store, view),
        recently_closed_gaps=tuple(
            gap
            for gap in _find_closed_gaps(view)
            if gap.closed_at and gap.closed_at >= now - RECENT_PERIOD
        ),
        waived_gaps=tuple(_find_waived_gaps(view)),
        decisions=tuple(reversed(told)),
        events=tuple(list_events(view, decisions, replies, log))[:MAX_EVENTS],
        follow_ups=tuple(log),
        pending_reply_count=sum(reply.outcome is None for reply in replies),
        confirm=confirm,
    )


def _load_timeline(store: Store, view: AssociationView) -> Timeline:
    nights = store.list_newest_runs(TIMELINE_DAYS)
    ids = [night.id for night in nights if night.id is not None]
    looks: Iterable[Observation] = store.list_findings_of_association(view.association.id, ids)
    return build_timeline(view.accounts, nights, looks)


def _find_closed_gaps(view: AssociationView) -> Iterator[Gap]:
    """The gaps that were told and are over, those a person waived left out."""
    return (
        gap
        for gap in view.all_gaps
        if gap.opened_at and gap.closed_at and gap not in view.waived_gaps
    )


def _find_waived_gaps(view: AssociationView) -> Iterator[tuple[Gap, Decision]]:
    """The open gaps that need not be told, each with the newest word that says so."""
    for gap in filter(is_gap_open, view.waived_gaps):
        yield gap, next(word for word in reversed(view.decisions) if is_waiver_of(word, gap))


def list_events(
    view: AssociationView,
    decisions: Iterable[Decision],
    replies: Iterable[Reply] = (),
    follow_ups: Iterable[FollowUp] = (),
) -> list[AssociationEvent]:
    """What happened, the newest first."""
    told = [gap for gap in view.all_gaps if gap.opened_at and gap not in view.waived_gaps]
    opened = [AssociationEvent(gap.opened_at, "opened", gap) for gap in told if gap.opened_at]
    closed = [AssociationEvent(gap.closed_at, "closed", gap) for gap in told if gap.closed_at]
    words = list(decisions)
    said = [AssociationEvent(word.decided_at, "decided", word) for word in words]
    back = [
        AssociationEvent(word.withdrawal.withdrawn_at, "withdrawn", word)
        for word in words
        if word.withdrawal
    ]
    replied = [AssociationEvent(reply.submitted_at, "replied", reply) for reply in replies]
    touched = [AssociationEvent(line.occurred_at, "contacted", line) for line in follow_ups]
    return sorted(
        [*opened, *closed, *said, *back, *replied, *touched],
        key=lambda event: event.occurred_at,
        reverse=True,
    )
