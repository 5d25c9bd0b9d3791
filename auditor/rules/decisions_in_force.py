"""The decisions of people that are in force, and what they change in a status. Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter

from auditor.rules.account_status import is_confirmed_lost
from probes.models.finding import Activity, DatePrecision
from storage.models.audit import AccountState, AccountStatus, Decision, DecisionKind

DISPUTE_VALIDITY = timedelta(days=180)
ATTESTATION_VALIDITY = timedelta(days=365)
NO_END = datetime.max.replace(tzinfo=UTC)

ATTESTED_SOURCE = "attested"
"""The source of a publication date that a person reported."""


def select_decisions_in_force(
    decisions: Iterable[Decision], now: datetime, run_started_at: datetime | None = None
) -> list[Decision]:
    """Return the decisions in force at a time, oldest first.

    A decision is in force if it was taken at or before `now` and is neither withdrawn nor expired.
    Decisions expire at the start of a run, `run_started_at`, because between runs only people
    change anything.
    """
    run_started_at = run_started_at or now
    in_force = [
        decision
        for decision in decisions
        if decision.decided_at <= now
        and not is_withdrawn(decision, now)
        and _get_nominal_end(decision) > run_started_at
    ]
    return sorted(in_force, key=attrgetter("decided_at"))


def is_withdrawn(decision: Decision, now: datetime) -> bool:
    """Return True if a decision was withdrawn until a time."""
    return decision.withdrawal is not None and decision.withdrawal.withdrawn_at <= now


def _get_nominal_end(decision: Decision) -> datetime:
    end = decision.expires_at or NO_END
    if decision.kind is DecisionKind.CONFIRM:
        return min(end, decision.decided_at + ATTESTATION_VALIDITY)
    return end


def get_decision_end(decision: Decision, status: AccountStatus) -> datetime | None:
    """Return when a decision ends for a status, or None for never. A dispute lasts 180 days."""
    end = _get_nominal_end(decision)
    if decision.kind is DecisionKind.CONFIRM and is_confirmed_lost(status):
        return min(end, decision.decided_at + DISPUTE_VALIDITY)
    return None if end == NO_END else end


def iter_decision_ends(decision: Decision) -> Iterator[datetime]:
    """Yield the possible ends of a decision, whatever the status is."""
    yield _get_nominal_end(decision)
    if decision.kind is DecisionKind.CONFIRM:
        yield decision.decided_at + DISPUTE_VALIDITY


def is_overridden_by_evidence(decision: Decision, status: AccountStatus) -> bool:
    """Return True if the contradicting evidence is newer than the decision."""
    return is_confirmed_lost(status) and (
        status.since is None or status.since > decision.decided_at
    )


def apply_decisions(
    status: AccountStatus,
    channel: str,
    decisions: Iterable[Decision],
    now: datetime,
    run_started_at: datetime | None = None,
) -> AccountStatus:
    """Return the status with the decisions in force. It is not stored, so decisions simply expire.

    An attestation makes an account present while the evidence is unchanged. A newer absence, an
    absence with a new reason, or another account under its name overrides it. It is valid for 12
    months, or for 180 days if it contradicts a confirmed absence (a dispute).
    """
    for decision in select_decisions_in_force(decisions, now, run_started_at):
        is_about_account = decision.account_id == status.account_id
        if decision.account_id is None:
            is_about_account = decision.channel == channel
        if decision.kind is DecisionKind.CONFIRM and is_about_account:
            status = _apply_attestation(status, decision, run_started_at or now)
    return status


def _apply_attestation(
    status: AccountStatus, decision: Decision, run_started_at: datetime
) -> AccountStatus:
    decision_end = get_decision_end(decision, status)
    if is_overridden_by_evidence(decision, status) or (
        decision_end is not None and run_started_at >= decision_end
    ):
        return status
    activities = filter(None, (status.last_activity, _get_attested_activity(decision)))
    streak = status.other_account_streak
    if streak is not None and streak.since <= decision.decided_at:
        streak = None
    attested_status = replace(
        status,
        last_activity=max(activities, key=attrgetter("published_at"), default=None),
        other_account_streak=streak,
    )
    if status.state is AccountState.PRESENT:
        return attested_status
    doubt = None if status.state is AccountState.GONE else status.unconfirmed_streak
    return replace(
        attested_status,
        state=AccountState.PRESENT,
        reason=None,
        since=decision.decided_at,
        unconfirmed_streak=doubt,
    )


def _get_attested_activity(decision: Decision) -> Activity | None:
    """Return the publication that a person reported, or None if the decision names no day."""
    try:
        day = date.fromisoformat(decision.value or "")
    except ValueError:
        return None
    published_at = datetime(day.year, day.month, day.day, tzinfo=UTC)
    return Activity(published_at, ATTESTED_SOURCE, DatePrecision.DAY)
