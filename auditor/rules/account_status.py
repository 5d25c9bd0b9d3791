"""The status of an account, folded from observations and decisions. Pure.

One run is not a verdict. An account is gone after `failures` conclusive absences that span at least
`days` days, and present again after `recoveries` good runs. Unknown results neither count nor
reset. InternetArchiveBot waits for three failures, three days apart; Gatus needs two good
responses. These are their numbers.

Handles are reused. If another account answers under the registered name, shown by the platform's
own id, the result counts neither for nor against the account. Nothing of it is adopted and the
first id stays. After as many runs, the account is unknown until a person decides.

See docs/explanations/verdicts.md.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta
from operator import attrgetter

from pydantic import BaseModel, ConfigDict, Field, model_validator

from probes.models.finding import Activity, DatePrecision, Finding, Presence, Reason
from storage.models.audit import AccountState, AccountStatus, Observation, Streak

UNREACHABLE_REASONS = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.TLS})
"""Unknown results because of the site itself, which visitors get, too."""

ANSWERED_REASONS = frozenset(
    {
        Reason.LOGIN_WALL,
        Reason.BLOCKED,
        Reason.RATE_LIMITED,
        Reason.CONSENT,
        Reason.SCRIPT_ONLY,
        Reason.TOO_LARGE,
        Reason.UNREADABLE,
        Reason.WRONG_TARGET,
    }
)
"""Unknown results that may be a response of the server; it is one if there is a status code."""

SKIPPED_REASONS = frozenset(
    {Reason.RATE_LIMITED, Reason.BLOCKED, Reason.LOGIN_WALL, Reason.CONSENT}
)
"""Reasons of accounts that may not have been requested; then there is no status code."""


class ConfirmationThresholds(BaseModel):
    """The number of runs that confirm a change: `[confirm]` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    failures: int = Field(default=3, ge=1, le=100)
    days: int = Field(default=6, ge=0, le=3_650)
    recoveries: int = Field(default=2, ge=1, le=100)

    def is_absence_confirmed(self, streak: Streak) -> bool:
        """Return True if enough runs over enough days agree."""
        if streak.run_count < self.failures:
            return False
        return days_between(streak.since, streak.latest_at) >= self.days


MAX_DAYS = 36_500
"""The most days of a setting: a hundred years, with which a date can still be computed."""


class ActivityBands(BaseModel):
    """Maximum age of the newest publication in days: `[activity]` of the configuration."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    active: int = Field(default=30, ge=1, le=MAX_DAYS)
    slow: int = Field(default=90, ge=1, le=MAX_DAYS)
    inactive: int = Field(default=180, ge=1, le=MAX_DAYS)

    @model_validator(mode="after")
    def _validate_ascending(self) -> ActivityBands:
        if not self.active < self.slow < self.inactive:
            raise ValueError("the limits do not increase; try: active < slow < inactive")
        return self

    def classify_activity(self, status: AccountStatus, now: datetime) -> str:
        """Return the activity: active, slow, inactive, dormant, never or unknown.

        It is never if the account was seen without posts, and unknown for an account that is gone.
        """
        if status.state is AccountState.GONE:
            return "unknown"
        if status.last_activity is not None:
            return self._find_band(status.last_activity, now)[0]
        finding = status.last_known_finding
        if finding and finding.reason is Reason.EMPTY and finding.presence is Presence.PRESENT:
            return "never"
        return "unknown"

    def find_next_change_date(self, newest: Activity, now: datetime) -> date | None:
        """Return the first day with another activity for this publication, or None if dormant."""
        _, limit = self._find_band(newest, now)
        if limit is None:
            return None
        slack = PRECISION_SLACK_DAYS.get(newest.precision, 0)
        day = newest.published_at.toordinal() + slack + limit + 1
        return date.fromordinal(min(day, date.max.toordinal()))

    def _find_band(self, newest: Activity, now: datetime) -> tuple[str, int | None]:
        """Return the band of a publication, and its limit in days or None."""
        days = days_since_activity(newest, now)
        for band in ("active", "slow", "inactive"):
            limit: int = getattr(self, band)
            if days <= limit:
                return band, limit
        return "dormant", None


PRECISION_SLACK_DAYS = {DatePrecision.WEEK: 7, DatePrecision.MONTH: 31, DatePrecision.YEAR: 366}


def days_since_activity(activity: Activity, now: datetime) -> int:
    """Return the days since a publication, as few as its precision allows."""
    days = (now.date() - activity.published_at.date()).days
    return max(0, days - PRECISION_SLACK_DAYS.get(activity.precision, 0))


def advance(
    status: AccountStatus,
    observation: Observation,
    thresholds: ConfirmationThresholds,
    *,
    is_unreliable: bool = False,
) -> AccountStatus:
    """Return the status after one more run.

    On an unreliable channel only the time of the check changes. An observation that is not newer
    than the last check changes nothing, because an interrupted run is evaluated again. A skipped
    account does not change.
    """
    finding, observed_at = observation.finding, observation.observed_at
    if was_skipped(finding) or (status.checked_at is not None and observed_at <= status.checked_at):
        return status
    checked_status = replace(
        status,
        checked_at=observed_at,
        latest_presence=finding.presence,
        latest_reason=finding.reason,
    )
    if is_unreliable:
        return checked_status
    if finding.presence is Presence.UNKNOWN:
        # The cause of a failure is its reason, with the kind of a TLS error after a slash.
        streak = checked_status.failure_streak
        if finding.reason in UNREACHABLE_REASONS:
            tls_error = finding.facts.get("tls_error") if finding.reason is Reason.TLS else None
            cause = f"{finding.reason}/{tls_error}" if tls_error else str(finding.reason)
            streak = _extend_streak(streak, cause, observed_at)
        elif streak is not None and _has_trouble_ended(streak, finding):
            streak = None
        return replace(checked_status, failure_streak=streak)
    if is_different_account(status, finding):
        return _apply_different_account(
            replace(checked_status, failure_streak=None), finding, observed_at, thresholds
        )
    decided_status = replace(
        checked_status,
        last_known_finding=finding,
        decided_at=observed_at,
        failure_streak=None,
        other_account_streak=None,
    )
    if finding.presence is Presence.PRESENT:
        return _apply_present_finding(decided_status, finding, observed_at, thresholds)
    return _apply_absent_finding(decided_status, finding, observed_at, thresholds)


def was_skipped(finding: Finding) -> bool:
    """Return True if the API budget or the circuit breaker skipped an account in this run.

    Both may skip other accounts in each run, so this says nothing about the account.
    """
    return finding.reason in SKIPPED_REASONS and finding.status is None


def _has_trouble_ended(trouble: Streak, finding: Finding) -> bool:
    """Return True if an unknown result ends a streak of failures because the server responded.

    A bad certificate only exists on HTTPS, so only a verified HTTPS response ends that streak.
    """
    is_verified = str(finding.final_url).startswith("https:") and "tls_error" not in finding.facts
    has_answered = finding.reason in ANSWERED_REASONS and finding.status is not None
    return has_answered and (is_verified or trouble.reason != Reason.TLS)


def has_answered(status: AccountStatus) -> bool:
    """Return True if the newest check got a response and the site has no failure streak."""
    if status.latest_presence is not Presence.UNKNOWN or status.failure_streak is not None:
        return False
    return status.latest_reason in ANSWERED_REASONS


def is_different_account(status: AccountStatus, finding: Finding) -> bool:
    """Return True if another account than the known one answers under its name.

    Either the probe says so (`renamed` with another id), or both the id and the name differ. An id
    alone is not enough: a Facebook page has two ids and shows either of them. See
    docs/explanations/platforms.md.
    """
    last_finding = status.last_known_finding
    ids = {status.platform_id, finding.platform_id} - {None, ""}
    if finding.presence is not Presence.PRESENT or len(ids) < 2:
        return False
    if (
        finding.reason is Reason.RENAMED
        or last_finding is None
        or not last_finding.name
        or not finding.name
    ):
        return True
    return last_finding.name.casefold().split() != finding.name.casefold().split()


def _apply_different_account(
    status: AccountStatus,
    finding: Finding,
    observed_at: datetime,
    thresholds: ConfirmationThresholds,
) -> AccountStatus:
    """Return the status after a run with another account: first doubted, then unknown."""
    streak = _extend_streak(status.other_account_streak, str(finding.platform_id), observed_at)
    doubted = replace(status, other_account_streak=streak)
    if status.state is AccountState.GONE:
        is_confirmed = streak.run_count >= thresholds.recoveries
    else:
        is_confirmed = thresholds.is_absence_confirmed(streak)
    if not is_confirmed or status.state is AccountState.UNKNOWN:
        return doubted
    return replace(
        doubted,
        state=AccountState.UNKNOWN,
        reason=Reason.RENAMED,
        since=streak.since,
        last_activity=None,
        unconfirmed_streak=None,
    )


def _extend_streak(streak: Streak | None, cause: str, observed_at: datetime) -> Streak:
    if streak is None or streak.reason != cause.partition("/")[0]:
        return Streak(cause, observed_at, observed_at)
    return Streak(cause, streak.since, observed_at, streak.run_count + 1)


def _apply_present_finding(
    status: AccountStatus,
    finding: Finding,
    observed_at: datetime,
    thresholds: ConfirmationThresholds,
) -> AccountStatus:
    updated = replace(
        status,
        last_activity=_choose_newest_activity(status.last_activity, finding),
        platform_id=status.platform_id or finding.platform_id,
    )
    since = observed_at
    if updated.state is AccountState.PRESENT:
        return replace(updated, reason=finding.reason, unconfirmed_streak=None)
    if updated.state is AccountState.GONE:
        good_streak = _extend_streak(updated.unconfirmed_streak, "present", observed_at)
        if good_streak.run_count < thresholds.recoveries:
            return replace(updated, unconfirmed_streak=good_streak)
        since = good_streak.since
    return replace(
        updated,
        state=AccountState.PRESENT,
        reason=finding.reason,
        since=since,
        unconfirmed_streak=None,
    )


def _choose_newest_activity(previous: Activity | None, finding: Finding) -> Activity | None:
    """Return the latest activity, unless it is certainly older than the stored one.

    Return None for an account without posts, and if neither is known. A finding without a date
    changes nothing.
    """
    if finding.reason is Reason.EMPTY:
        return None
    latest = finding.last_activity
    if latest is None or previous is None:
        return latest or previous
    if latest.is_relative:
        return _merge_relative_activity(previous, latest)
    if previous.published_at - latest.published_at > _get_relative_date_error(previous):
        return previous
    return latest


def _merge_relative_activity(previous: Activity, latest: Activity) -> Activity:
    """Return the newest of the stored activity and a relative one such as "2 months ago".

    They may be the same publication. Then the earlier date is closer, because platforms round down,
    and a more precise date stays.
    """
    distance = abs(latest.published_at - previous.published_at)
    get_date = attrgetter("published_at")
    newest: Activity = max(previous, latest, key=get_date)
    if distance > _get_relative_date_error(latest):
        return newest
    coarser = _PRECISION_ORDER.index(latest.precision) - _PRECISION_ORDER.index(previous.precision)
    if coarser > 0:
        return previous
    return newest if coarser else min(previous, latest, key=get_date)


def _get_relative_date_error(activity: Activity) -> timedelta:
    """Return how far apart two dates of one publication may be, for the unit of a relative date."""
    days = _RELATIVE_DATE_ERROR_DAYS.get(activity.precision, 0)
    return timedelta(days=days if activity.is_relative else 0)


_PRECISION_ORDER = tuple(DatePrecision)
_RELATIVE_DATE_ERROR_DAYS = {
    DatePrecision.WEEK: 8,
    DatePrecision.MONTH: 41,
    DatePrecision.YEAR: 373,
}
"""Days. YouTube shows "4 weeks", "11 months" and then years (observed 2026-10), probably in units
of 7, 30 and 365 days. We count months and years by the calendar, so the stored date may be six
days too early. All values are rounded to a day.
"""


def _apply_absent_finding(
    status: AccountStatus,
    finding: Finding,
    observed_at: datetime,
    thresholds: ConfirmationThresholds,
) -> AccountStatus:
    if status.state is AccountState.GONE:
        has_new_reason = status.reason is not finding.reason
        since = observed_at if has_new_reason else status.since
        return replace(status, reason=finding.reason, since=since, unconfirmed_streak=None)
    doubt = Streak(str(finding.reason), observed_at, observed_at)
    if status.unconfirmed_streak is not None:
        previous = status.unconfirmed_streak
        doubt = replace(doubt, since=previous.since, run_count=previous.run_count + 1)
    if not thresholds.is_absence_confirmed(doubt):
        return replace(status, unconfirmed_streak=doubt)
    return replace(
        status,
        state=AccountState.GONE,
        reason=finding.reason,
        since=doubt.since,
        unconfirmed_streak=None,
    )


def days_between(first: datetime, last: datetime) -> int:
    """Return the whole UTC days between two runs; the time of day does not count."""
    return (last.astimezone(UTC).date() - first.astimezone(UTC).date()).days


def is_confirmed_lost(status: AccountStatus) -> bool:
    """Return True if the account is confirmed as gone, or as taken by another one."""
    is_taken = status.state is AccountState.UNKNOWN and status.reason is Reason.RENAMED
    return status.state is AccountState.GONE or is_taken


@dataclass(frozen=True, slots=True)
class StatusOutlook:
    """A change of a status that has begun, or what would change it; `kind` says which.

    `absences_needed` and `becoming_gone`: absences make, or are making, a present account gone.
    `recoveries_needed` and `recovering`: good runs bring a gone account back. `check_needed`: no
    conclusive check yet. `unreachable`: it cannot be reached because of `cause`.
    `different_account`: another account answers under its name.

    `runs` have happened and `runs_needed` are needed. `earliest_at` is the first day of the change.
    `min_days` is the minimum span of the absences.
    """

    kind: str
    runs: int = 0
    runs_needed: int = 0
    since: datetime | None = None
    earliest_at: datetime | None = None
    cause: str = ""
    min_days: int = 0


def iter_status_outlooks(
    status: AccountStatus, thresholds: ConfirmationThresholds
) -> Iterator[StatusOutlook]:
    """Yield what is happening, then what would change the status."""
    yield from _iter_streak_outlooks("unreachable", status.failure_streak)
    yield from _iter_streak_outlooks("different_account", status.other_account_streak)
    doubt = status.unconfirmed_streak
    if doubt is not None:
        yield _build_pending_outlook(status, doubt, thresholds)
    elif status.state is AccountState.GONE:
        yield StatusOutlook("recoveries_needed", runs_needed=thresholds.recoveries)
    else:
        kind = "absences_needed" if status.state is AccountState.PRESENT else "check_needed"
        yield StatusOutlook(kind, runs_needed=thresholds.failures, min_days=thresholds.days)


def _build_pending_outlook(
    status: AccountStatus, doubt: Streak, thresholds: ConfirmationThresholds
) -> StatusOutlook:
    """Return the outlook of a change that has begun; only absences need a minimum span."""
    if status.state is AccountState.GONE:
        kind, runs, earliest_at = "recovering", thresholds.recoveries, None
    else:
        kind, runs = "becoming_gone", thresholds.failures
        earliest_at = doubt.since + timedelta(days=thresholds.days)
    runs_needed = max(1, runs - doubt.run_count)
    return StatusOutlook(kind, doubt.run_count, runs_needed, doubt.since, earliest_at)


def _iter_streak_outlooks(kind: str, streak: Streak | None) -> Iterator[StatusOutlook]:
    if streak is not None:
        cause = streak.cause.partition("/")[2] or streak.cause
        yield StatusOutlook(kind, streak.run_count, since=streak.since, cause=cause)
