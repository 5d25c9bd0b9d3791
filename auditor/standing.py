"""Standing: what is held true of one account, folded from observations and a person's decisions. Pure.

One night's reading is not a verdict. An account is gone after `failures` decisive absences spread over
at least `days` days, and back after `back` good nights; a night that could tell nothing neither
counts nor resets. InternetArchiveBot waits for three failures, three days apart; Gatus takes two
good answers before it calls a thing well again. These numbers are theirs.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, model_validator

from probes.model import Activity, Finding, Precision, Presence, Reason
from storage.model import Decision, DecisionKind, Observation, Standing, State, Streak

UNREACHED = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.TLS})
"""The unknowns that are the site's trouble, not our being refused: what a visitor would meet too."""

DISPUTED = timedelta(days=180)
ATTESTED = timedelta(days=365)


class Confirm(BaseModel):
    """How many nights it takes to believe a change. `[confirm]` of the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=3, ge=1)
    days: int = Field(default=6, ge=0)
    back: int = Field(default=2, ge=1)


class Bands(BaseModel):
    """How old the newest publication may be, in days, for each word. `[activity]` of the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    active: int = Field(default=30, ge=1)
    slow: int = Field(default=90, ge=1)
    inactive: int = Field(default=180, ge=1)

    @model_validator(mode="after")
    def _rise(self) -> Bands:
        if not self.active < self.slow < self.inactive:
            raise ValueError("the bands must rise: active < slow < inactive")
        return self

    def band(self, standing: Standing, now: datetime) -> str:
        """The word for an account's rhythm: active, slow, inactive, dormant, never or unknown."""
        known = standing.known
        if known is not None and known.reason is Reason.EMPTY and known.presence is Presence.PRESENT:
            return "never"
        if standing.state is State.GONE or standing.last_activity is None:
            return "unknown"
        return self._word(age(standing.last_activity, now))

    def _word(self, days: int) -> str:
        limits = ((self.active, "active"), (self.slow, "slow"), (self.inactive, "inactive"))
        return next((word for limit, word in limits if days <= limit), "dormant")


SLACK = {Precision.WEEK: 7, Precision.MONTH: 31, Precision.YEAR: 366}


def age(activity: Activity, now: datetime) -> int:
    """Days since a publication, as few as its precision allows: the doubt is the association's."""
    return max(0, (now.date() - activity.when.date()).days - SLACK.get(activity.precision, 0))


def advance(
    standing: Standing, observation: Observation, confirm: Confirm, *, blind: bool = False
) -> Standing:
    """The standing after one more night.

    On a blind night nothing moves but the memory of having looked. An observation no newer
    than the last look changes nothing, so that a night that was interrupted may be folded again.
    """
    finding, when = observation.finding, observation.observed_at
    if standing.checked_at is not None and when <= standing.checked_at:
        return standing
    looked = replace(standing, checked_at=when, latest=finding.presence, latest_reason=finding.reason)
    if blind:
        return looked
    if finding.presence is Presence.UNKNOWN:
        return _untold(looked, finding, when)
    decided = replace(looked, known=finding, decided_at=when, trouble=None)
    if finding.presence is Presence.PRESENT:
        return _seen(decided, finding, when, confirm)
    return _missed(decided, finding, when, confirm)


def _untold(standing: Standing, finding: Finding, when: datetime) -> Standing:
    if finding.reason not in UNREACHED:
        return standing
    tls = finding.facts.get("tls")
    cause = f"{finding.reason}/{tls}" if tls and finding.reason is Reason.TLS else str(finding.reason)
    return replace(standing, trouble=_longer(standing.trouble, cause, when))


def _longer(streak: Streak | None, cause: str, when: datetime) -> Streak:
    if streak is None or streak.cause.partition("/")[0] != cause.partition("/")[0]:
        return Streak(cause, when, when)
    return Streak(cause, streak.since, when, streak.nights + 1)


def _seen(standing: Standing, finding: Finding, when: datetime, confirm: Confirm) -> Standing:
    seen = replace(
        standing,
        last_activity=_newest(standing.last_activity, finding),
        platform_id=finding.platform_id or standing.platform_id,
    )
    if seen.state is State.PRESENT:
        return replace(seen, reason=finding.reason, doubt=None)
    good = _longer(seen.doubt if seen.state is State.GONE else None, "present", when)
    if seen.state is State.GONE and good.nights < confirm.back:
        return replace(seen, doubt=good)
    return replace(seen, state=State.PRESENT, reason=finding.reason, since=good.since, doubt=None)


def _newest(before: Activity | None, finding: Finding) -> Activity | None:
    if finding.reason is Reason.EMPTY:
        return None
    now = finding.last_activity
    if now is None or (before is not None and before.when > now.when):
        return before
    return now


def _missed(standing: Standing, finding: Finding, when: datetime, confirm: Confirm) -> Standing:
    if standing.state is State.GONE:
        changed = standing.reason is not finding.reason
        since = when if changed else standing.since
        return replace(standing, reason=finding.reason, since=since, doubt=None)
    before = standing.doubt
    doubt = Streak(
        str(finding.reason), before.since if before else when, when, before.nights + 1 if before else 1
    )
    if doubt.nights < confirm.failures or days_between(doubt.since, doubt.last) < confirm.days:
        return replace(standing, doubt=doubt)
    return replace(standing, state=State.GONE, reason=finding.reason, since=doubt.since, doubt=None)


def days_between(first: datetime, last: datetime) -> int:
    """Whole UTC days between two nights: a night is a date, whatever the hour an account's turn came."""
    return (last.astimezone(UTC).date() - first.astimezone(UTC).date()).days


def in_force(decisions: Iterable[Decision], now: datetime) -> list[Decision]:
    """The decisions that hold at a moment, oldest first: made by then, and not yet expired."""
    held = [decision for decision in decisions if decision.decided_at <= now < _ends(decision)]
    return sorted(held, key=lambda decision: decision.decided_at)


def _ends(decision: Decision) -> datetime:
    far = datetime.max.replace(tzinfo=UTC)
    longest = decision.decided_at + ATTESTED if decision.kind is DecisionKind.ATTEST else far
    return min(decision.until or far, longest)


def decided(standing: Standing, channel: str, decisions: Iterable[Decision], now: datetime) -> Standing:
    """The standing as people's words in force change it; nothing of it is stored, so expiry is natural.

    An attestation makes an account present while the evidence is unchanged: an absence that was
    confirmed, or changed its reason, after the person spoke outweighs the word. Against an
    absence already confirmed (a dispute) it holds 180 days, else 12 months.
    """
    for decision in in_force(decisions, now):
        if decision.kind is DecisionKind.ATTEST and _covers(decision, standing, channel):
            standing = _attested(standing, decision, now)
    return standing


def _covers(decision: Decision, standing: Standing, channel: str) -> bool:
    if decision.account_id is not None:
        return decision.account_id == standing.account_id
    return decision.channel == channel


def _attested(standing: Standing, decision: Decision, now: datetime) -> Standing:
    gone = standing.state is State.GONE
    if gone and (standing.since is None or standing.since > decision.decided_at):
        return standing
    if gone and now >= decision.decided_at + DISPUTED:
        return standing
    said = _said(decision)
    older = standing.last_activity is None or (said is not None and said.when > standing.last_activity.when)
    activity = said if said is not None and older else standing.last_activity
    if standing.state is State.PRESENT:
        return replace(standing, last_activity=activity)
    return replace(
        standing,
        state=State.PRESENT,
        reason=None,
        since=decision.decided_at,
        doubt=None if gone else standing.doubt,
        last_activity=activity,
    )


def _said(decision: Decision) -> Activity | None:
    try:
        day = date.fromisoformat(decision.value or "")
    except ValueError:
        return None
    return Activity(datetime(day.year, day.month, day.day, tzinfo=UTC), "attested", Precision.DAY)
