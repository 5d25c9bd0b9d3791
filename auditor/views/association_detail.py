"""Data of a coordinator's page about one association: statuses, timeline, gaps, decisions, events.

Only rows of that association are read.
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
from auditor.views.history import get_check_state
from probes.models.finding import Reason
from storage.models.audit import AccountStatus, AuditRun, Decision, Gap, Observation
from storage.models.users import FollowUp, Reply
from storage.store import Store

TIMELINE_DAYS = 30
"""How many days a timeline covers at most."""


@dataclass(frozen=True, slots=True)
class TimelineCell:
    """The result of one account on one day.

    `state` is that of `get_check_state`, and "" if there was no run on that day.
    """

    day: date
    state: str = ""
    reason: Reason | None = None

    @property
    def has_observation(self) -> bool:
        """Return True if the account was checked on that day, so there is evidence to show."""
        return self.state in {"present", "absent", "unknown", "unreliable"}


@dataclass(frozen=True, slots=True)
class AccountTimeline:
    """One account and its cells, oldest first."""

    account: AccountView
    cells: tuple[TimelineCell, ...]


@dataclass(frozen=True, slots=True)
class Timeline:
    """The recent results of one association: its days, oldest first, and a row for each account."""

    days: tuple[date, ...] = ()
    rows: tuple[AccountTimeline, ...] = ()


def build_timeline(
    accounts: Iterable[AccountView],
    runs: Sequence[AuditRun],
    observations: Iterable[Observation],
    max_days: int = TIMELINE_DAYS,
) -> Timeline:
    """Build the timeline of these accounts, of at most `max_days` days up to the newest run."""
    if not runs:
        return Timeline()
    run_by_day = {run.day: run for run in runs}
    last_day = max(run_by_day)
    first_day = max(min(run_by_day), last_day - timedelta(days=max_days - 1))
    day_count = (last_day - first_day).days + 1
    days = tuple(first_day + timedelta(days=offset) for offset in range(day_count))
    observation_by_key = {
        (observation.account_id, observation.run_id): observation for observation in observations
    }
    rows = []
    for account in accounts:
        cells = (
            _build_timeline_cell(account, day, run_by_day.get(day), observation_by_key)
            for day in days
        )
        rows.append(AccountTimeline(account, tuple(cells)))
    return Timeline(days, tuple(rows))


def _build_timeline_cell(
    account: AccountView,
    day: date,
    run: AuditRun | None,
    observations: Mapping[tuple[int, int], Observation],
) -> TimelineCell:
    if run is None or run.id is None:
        return TimelineCell(day)
    observation = observations.get((account.account_id, run.id))
    if observation is None:
        return TimelineCell(day, get_check_state(run, account.channel, None))
    finding = observation.finding
    state = get_check_state(run, account.channel, finding.presence)
    return TimelineCell(day, state, finding.reason)


RECENT_PERIOD = timedelta(days=30)
"""How long a closed gap is listed."""
MAX_EVENTS = 60
"""How many events are listed at most."""


@dataclass(frozen=True, slots=True)
class AssociationEvent:
    """Something that happened to an association.

    `kind` is "opened" or "closed" for a gap, "decided" or "withdrawn" for a decision, "replied" for
    a reply and "contacted" for a follow-up.
    """

    occurred_at: datetime
    kind: str
    subject: Gap | Decision | Reply | FollowUp


@dataclass(frozen=True, slots=True)
class AssociationDetail:
    """One association as its coordinator sees it.

    `waived_gaps` are open gaps that a decision hides, each with the newest such decision.
    `decisions` are items as `auditor decide list --json` prints them, newest first.
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
        """Return the status changes of an account that further runs may confirm."""
        status = self.account_statuses.get(account_id)
        if status is None:
            return []
        return [outlook for outlook in iter_status_outlooks(status, self.confirm) if outlook.runs]


def build_association_detail(
    store: Store,
    view: AssociationView,
    confirm: ConfirmationThresholds,
    now: datetime,
    *,
    include_private: bool = True,
) -> AssociationDetail:
    """Build the page data of one association.

    Replies and follow-ups are left out unless `include_private` is true.
    """
    association_id = view.association.id
    decisions = tuple(store.list_decisions(association=association_id))
    statuses = {status.account_id: status for status in store.list_account_statuses(association_id)}
    accounts = store.list_accounts(association_id, include_withdrawn=True)
    account_by_id = {account.id: account for account in accounts if account.id}
    decision_items = build_decision_items(decisions, account_by_id, statuses, now)
    replies = list(store.list_replies(association_id)) if include_private else []
    follow_ups = store.list_follow_ups(association_id) if include_private else []
    oldest_listed = now - RECENT_PERIOD
    recently_closed_gaps = tuple(
        gap for gap in _find_closed_gaps(view) if gap.closed_at and gap.closed_at >= oldest_listed
    )
    return AssociationDetail(
        view=view,
        account_statuses=statuses,
        timeline=_load_timeline(store, view),
        recently_closed_gaps=recently_closed_gaps,
        waived_gaps=tuple(_find_waived_gaps(view)),
        decisions=tuple(reversed(decision_items)),
        events=tuple(list_events(view, decisions, replies, follow_ups))[:MAX_EVENTS],
        follow_ups=tuple(follow_ups),
        pending_reply_count=sum(reply.outcome is None for reply in replies),
        confirm=confirm,
    )


def _load_timeline(store: Store, view: AssociationView) -> Timeline:
    runs = store.list_newest_runs(TIMELINE_DAYS)
    run_ids = [run.id for run in runs if run.id is not None]
    observations = store.list_findings_of_association(view.association.id, run_ids)
    return build_timeline(view.accounts, runs, observations)


def _find_closed_gaps(view: AssociationView) -> Iterator[Gap]:
    """Yield the gaps that were open and are closed. Waived gaps are left out."""
    for gap in view.all_gaps:
        if gap.opened_at and gap.closed_at and gap not in view.waived_gaps:
            yield gap


def _find_waived_gaps(view: AssociationView) -> Iterator[tuple[Gap, Decision]]:
    """Yield the open gaps that are waived, each with the newest decision that waives it."""
    for gap in view.waived_gaps:
        if is_gap_open(gap):
            newest_first = reversed(view.decisions)
            yield gap, next(decision for decision in newest_first if is_waiver_of(decision, gap))


def list_events(
    view: AssociationView,
    decisions: Iterable[Decision],
    replies: Iterable[Reply] = (),
    follow_ups: Iterable[FollowUp] = (),
) -> list[AssociationEvent]:
    """Return what happened to an association, newest first. Waived gaps are left out."""
    events = [
        *_iter_gap_events(view),
        *_iter_decision_events(decisions),
        *(AssociationEvent(reply.submitted_at, "replied", reply) for reply in replies),
        *(AssociationEvent(entry.occurred_at, "contacted", entry) for entry in follow_ups),
    ]
    return sorted(events, key=lambda event: event.occurred_at, reverse=True)


def _iter_gap_events(view: AssociationView) -> Iterator[AssociationEvent]:
    gaps = [gap for gap in view.all_gaps if gap.opened_at and gap not in view.waived_gaps]
    for gap in gaps:
        if gap.opened_at:
            yield AssociationEvent(gap.opened_at, "opened", gap)
    for gap in gaps:
        if gap.closed_at:
            yield AssociationEvent(gap.closed_at, "closed", gap)


def _iter_decision_events(decisions: Iterable[Decision]) -> Iterator[AssociationEvent]:
    recorded = list(decisions)
    for decision in recorded:
        yield AssociationEvent(decision.decided_at, "decided", decision)
    for decision in recorded:
        if decision.withdrawal:
            yield AssociationEvent(decision.withdrawal.withdrawn_at, "withdrawn", decision)
