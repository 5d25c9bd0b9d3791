"""Standing: what is held true of one account, folded from observations and a person's decisions. Pure.

One night's reading is not a verdict. An account is gone after `failures` decisive absences spread over
at least `days` days, and back after `back` good nights; a night that could tell nothing neither
counts nor resets. InternetArchiveBot waits for three failures, three days apart; Gatus takes two
good answers before it calls a thing well again. These numbers are theirs.

Handles are recycled. Where another account answers under the registered name, told by the platform's own
id, the look counts neither for nor against: nothing of it is taken for ours, the first id is kept, and after
as many nights the account is one of which we cannot tell, until a person says whose it is.

What would change a standing: how many more nights, of what, since when. Pure.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

from pydantic import BaseModel, ConfigDict, Field, model_validator

from probes.models.finding import Activity, Finding, Precision, Presence, Reason
from storage.models.audit import Decision, DecisionKind, Observation, Standing, State, Streak

UNREACHED = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.TLS})
"""The unknowns that are the site's trouble, not our being refused: what a visitor would meet too."""

ANSWERS = frozenset(
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
"""The unknowns that a server's own answer may be the reason of; it is where a status came with it."""

LEFT_OUT = frozenset({Reason.RATE_LIMITED, Reason.BLOCKED, Reason.LOGIN_WALL, Reason.CONSENT})
"""Why an account may have been asked nothing: then there is no status."""

DISPUTED = timedelta(days=180)
ATTESTED = timedelta(days=365)

BY_A_PERSON = "attested"
"""The source of a publication's date that a person told."""


class Confirm(BaseModel):
    """How many nights it takes to believe a change. `[confirm]` of the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    failures: int = Field(default=3, ge=1)
    days: int = Field(default=6, ge=0)
    back: int = Field(default=2, ge=1)


A_CENTURY = 36_500
"""Days: "never" for a network, and still a date beyond today."""


class Bands(BaseModel):
    """How old the newest publication may be, in days, for each word. `[activity]` of the config."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    active: int = Field(default=30, ge=1)
    slow: int = Field(default=90, ge=1)
    inactive: int = Field(default=180, ge=1, le=A_CENTURY)

    @model_validator(mode="after")
    def _rise(self) -> Bands:
        if not self.active < self.slow < self.inactive:
            raise ValueError("the bands must rise: active < slow < inactive")
        return self

    def band(self, standing: Standing, now: datetime) -> str:
        """The word for an account's rhythm: active, slow, inactive, dormant, never or unknown."""
        known = standing.known
        if standing.state is State.GONE:
            return "unknown"
        if standing.last_activity is None:
            empty = known is not None and known.presence is Presence.PRESENT and known.reason is Reason.EMPTY
            return "never" if empty else "unknown"
        return self._word(age(standing.last_activity, now))

    def turning(self, newest: Activity, now: datetime) -> date | None:
        """The first day on which the word for this publication is another; None: it stays dormant."""
        limit = next((limit for limit, _ in self._limits() if age(newest, now) <= limit), None)
        if limit is None:
            return None
        day = newest.when.toordinal() + SLACK.get(newest.precision, 0) + limit + 1
        return date.fromordinal(min(day, date.max.toordinal()))

    def _word(self, days: int) -> str:
        return next((word for limit, word in self._limits() if days <= limit), "dormant")

    def _limits(self) -> tuple[tuple[int, str], ...]:
        return (self.active, "active"), (self.slow, "slow"), (self.inactive, "inactive")


SLACK = {Precision.WEEK: 7, Precision.MONTH: 31, Precision.YEAR: 366}


def age(activity: Activity, now: datetime) -> int:
    """Days since a publication, as few as its precision allows: the doubt is the association's."""
    return max(0, (now.date() - activity.when.date()).days - SLACK.get(activity.precision, 0))


def advance(
    standing: Standing, observation: Observation, confirm: Confirm, *, blind: bool = False
) -> Standing:
    """The standing after one more night.

    On a blind night nothing moves but the memory of having looked. An observation no newer
    than the last look changes nothing, so that a night that was interrupted may be folded again; nor does
    one that asked nothing, for nobody looked.
    """
    finding, when = observation.finding, observation.observed_at
    if is_unasked(finding) or (standing.checked_at is not None and when <= standing.checked_at):
        return standing
    looked = replace(standing, checked_at=when, latest=finding.presence, latest_reason=finding.reason)
    if blind:
        return looked
    if finding.presence is Presence.UNKNOWN:
        return _untold(looked, finding, when)
    if is_another(standing, finding):
        return _taken(replace(looked, trouble=None), finding, when, confirm)
    decided = replace(looked, known=finding, decided_at=when, trouble=None, other=None)
    if finding.presence is Presence.PRESENT:
        return _seen(decided, finding, when, confirm)
    return _missed(decided, finding, when, confirm)


def is_unasked(finding: Finding) -> bool:
    """Whether the night's budget, or our patience with a platform, left an account for another night.

    Both may end every night, each time for other accounts: of none of these is anything told.
    """
    return finding.reason in LEFT_OUT and finding.status is None


def _untold(standing: Standing, finding: Finding, when: datetime) -> Standing:
    if finding.reason not in UNREACHED:
        return replace(standing, trouble=None) if _is_over(standing.trouble, finding) else standing
    tls = finding.facts.get("tls")
    cause = f"{finding.reason}/{tls}" if tls and finding.reason is Reason.TLS else str(finding.reason)
    return replace(standing, trouble=_longer(standing.trouble, cause, when))


def _is_over(trouble: Streak | None, finding: Finding) -> bool:
    """Whether a look that told nothing ends a trouble all the same: the server answered it.

    A bad certificate is met on https alone, so only an answer over https with a good one ends that trouble.
    """
    if trouble is None or finding.reason not in ANSWERS or finding.status is None:
        return False
    verified = (finding.final_url or "").startswith("https:") and "tls" not in finding.facts
    return verified or trouble.cause.partition("/")[0] != Reason.TLS


def has_answered(standing: Standing) -> bool:
    """Whether the newest look was answered, though it told nothing: the site is in no trouble."""
    told_nothing = standing.latest is Presence.UNKNOWN and standing.latest_reason in ANSWERS
    return told_nothing and standing.trouble is None


def is_another(standing: Standing, finding: Finding) -> bool:
    """Whether another account than the one we knew answers under its name.

    The probe says so (`renamed`, and another id), or both the id and the name shown are others. An
    id alone does not say it: a Facebook page has two, and shows now one and now the other (fact sheet).
    """
    mine, known = standing.platform_id, standing.known
    if finding.presence is not Presence.PRESENT or not mine or finding.platform_id in (None, "", mine):
        return False
    same_name = known is not None and _same(known.name, finding.name)
    return finding.reason is Reason.RENAMED or not same_name


def _same(one: str | None, other: str | None) -> bool:
    return bool(one and other) and str(one).casefold().split() == str(other).casefold().split()


def _taken(standing: Standing, finding: Finding, when: datetime, confirm: Confirm) -> Standing:
    """The standing after a night on which another account answered: doubted first, then not to be told."""
    other = _longer(standing.other, str(finding.platform_id), when)
    taken = replace(standing, other=other)
    if standing.state is State.GONE:
        sure = other.nights >= confirm.back
    else:
        sure = other.nights >= confirm.failures and days_between(other.since, other.last) >= confirm.days
    if not sure or standing.state is State.UNKNOWN:
        return taken
    return replace(
        taken, state=State.UNKNOWN, reason=Reason.RENAMED, since=other.since, last_activity=None, doubt=None
    )


def _longer(streak: Streak | None, cause: str, when: datetime) -> Streak:
    if streak is None or streak.cause.partition("/")[0] != cause.partition("/")[0]:
        return Streak(cause, when, when)
    return Streak(cause, streak.since, when, streak.nights + 1)


def _seen(standing: Standing, finding: Finding, when: datetime, confirm: Confirm) -> Standing:
    seen = replace(
        standing,
        last_activity=_newest(standing.last_activity, finding),
        platform_id=standing.platform_id or finding.platform_id,
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
    if now is None or before is None:
        return now or before
    if now.relative:
        return _counted_back(before, now)
    if before.relative and timedelta() <= before.when - now.when <= _doubt(before):
        return now
    return before if before.when > now.when else now


def _counted_back(before: Activity, now: Activity) -> Activity:
    """The newest of what was held and of what a page says was so long ago: the two may be one publication.

    Then the earlier day is the nearer one, for platforms round down; and what was told more exactly stays.
    """
    may_be_one = abs(now.when - before.when) <= _doubt(now)
    coarser = _EXACTNESS.index(now.precision) - _EXACTNESS.index(before.precision)
    if may_be_one and coarser > 0:
        return before
    nearest = min if may_be_one and not coarser else max
    return nearest(before, now, key=lambda told: told.when)


def _doubt(counted: Activity) -> timedelta:
    """How far apart two looks may count one publication back while a page's words are of this unit."""
    return timedelta(days=_SAID_FOR.get(counted.precision, 0))


_EXACTNESS = tuple(Precision)
_SAID_FOR = {Precision.WEEK: 8, Precision.MONTH: 41, Precision.YEAR: 373}
"""Days. YouTube says "4 weeks", "11 months" and then years (seen 2026-10), of units of 7, 30 and 365 days as
far as is known. Months and years are counted back by the calendar, whose are others: what is held may lie six
days before the true one. And all is rounded to a day.
"""


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


def in_force(decisions: Iterable[Decision], now: datetime, began: datetime | None = None) -> list[Decision]:
    """The decisions that hold at a moment, oldest first: made by then, not withdrawn and not yet expired.

    With the night as of which all is told, `began`, one expires with a night: between two, only people move
    anything.
    """
    held = [word for word in decisions if word.decided_at <= now and not _has_ended(word, now, began or now)]
    return sorted(held, key=lambda decision: decision.decided_at)


def _has_ended(decision: Decision, now: datetime, began: datetime) -> bool:
    back = decision.withdrawn
    return _ends(decision) <= began or (back is not None and back.withdrawn_at <= now)


def _ends(decision: Decision) -> datetime:
    far = datetime.max.replace(tzinfo=UTC)
    longest = decision.decided_at + ATTESTED if decision.kind is DecisionKind.ATTEST else far
    return min(decision.until or far, longest)


def ends_of(decision: Decision, standing: Standing) -> datetime | None:
    """When a decision ends as things stand, None for never: a dispute holds 180 days."""
    end = _ends(decision)
    if decision.kind is DecisionKind.ATTEST and is_denied(standing):
        return min(end, decision.decided_at + DISPUTED)
    return None if end == datetime.max.replace(tzinfo=UTC) else end


def weakens(decision: Decision) -> Iterator[datetime]:
    """When a decision ends, or no longer holds against what was seen, whatever that is."""
    yield _ends(decision)
    if decision.kind is DecisionKind.ATTEST:
        yield decision.decided_at + DISPUTED


def is_denied(standing: Standing) -> bool:
    """Whether what was seen, and confirmed, tells against the account: it is gone, or taken by another."""
    taken = standing.state is State.UNKNOWN and standing.reason is Reason.RENAMED
    return standing.state is State.GONE or taken


def outweighed(decision: Decision, standing: Standing) -> bool:
    """Whether what tells against an account came, or changed its reason, after a person spoke for it."""
    return is_denied(standing) and (standing.since is None or standing.since > decision.decided_at)


def decided(
    standing: Standing,
    channel: str,
    decisions: Iterable[Decision],
    now: datetime,
    began: datetime | None = None,
) -> Standing:
    """The standing as people's words in force change it; nothing of it is stored, so expiry is natural.

    An attestation makes an account present while the evidence is unchanged: an absence that came, or changed
    its reason, after the person spoke outweighs the word, and so does another account under its name.
    Against what was confirmed already (a dispute) it holds 180 days, else 12 months.
    """
    for decision in in_force(decisions, now, began):
        if decision.kind is DecisionKind.ATTEST and _covers(decision, standing, channel):
            standing = _attested(standing, decision, began or now)
    return standing


def _covers(decision: Decision, standing: Standing, channel: str) -> bool:
    if decision.account_id is not None:
        return decision.account_id == standing.account_id
    return decision.channel == channel


def _attested(standing: Standing, decision: Decision, began: datetime) -> Standing:
    ended = ends_of(decision, standing)
    if outweighed(decision, standing) or (ended is not None and began >= ended):
        return standing
    said, before = _said(decision), standing.last_activity
    newer = said is not None and (before is None or said.when > before.when)
    heard = replace(
        standing,
        last_activity=said if newer else before,
        other=_unanswered(standing.other, decision),
    )
    if standing.state is State.PRESENT:
        return heard
    doubt = None if standing.state is State.GONE else standing.doubt
    return replace(heard, state=State.PRESENT, reason=None, since=decision.decided_at, doubt=doubt)


def _unanswered(other: Streak | None, decision: Decision) -> Streak | None:
    """Another account under the name, unless the person spoke after it came: then whose it is was said."""
    return None if other is not None and other.since <= decision.decided_at else other


def _said(decision: Decision) -> Activity | None:
    try:
        day = date.fromisoformat(decision.value or "")
    except ValueError:
        return None
    return Activity(datetime(day.year, day.month, day.day, tzinfo=UTC), BY_A_PERSON, Precision.DAY)


@dataclass(frozen=True, slots=True)
class Prospect:
    """One sentence about what is on its way or would be needed; `kind` names it.

    to_lose, losing: absences make a present account gone, or are on the way to. to_return, returning: good
    nights bring a gone one back. to_tell: nothing was told yet, and one look that tells will do. trouble: it
    is out of reach for `cause`. other: another account answers under its name.
    `nights` have been, `more` are needed; `not_before` is the first day on which it can be;
    `days` is how long absences have to last.
    """

    kind: str
    nights: int = 0
    more: int = 0
    since: datetime | None = None
    not_before: datetime | None = None
    cause: str = ""
    days: int = 0


def prospects(standing: Standing, confirm: Confirm) -> Iterator[Prospect]:
    """What is on its way, then what it would take."""
    yield from _streak("trouble", standing.trouble)
    yield from _streak("other", standing.other)
    doubt = standing.doubt
    if doubt is not None:
        gone = standing.state is State.GONE
        yield _doubted(
            "returning" if gone else "losing", doubt, confirm.back if gone else confirm.failures, confirm
        )
    elif standing.state is State.GONE:
        yield Prospect("to_return", more=confirm.back)
    else:
        kind = "to_lose" if standing.state is State.PRESENT else "to_tell"
        yield Prospect(kind, more=confirm.failures, days=confirm.days)


def _doubted(kind: str, doubt: Streak, nights: int, confirm: Confirm) -> Prospect:
    """A change on its way: an absence must last some days besides, a return need not."""
    soonest = doubt.since + timedelta(days=confirm.days) if kind == "losing" else None
    return Prospect(kind, doubt.nights, max(1, nights - doubt.nights), doubt.since, soonest)


def _streak(kind: str, streak: Streak | None) -> Iterator[Prospect]:
    if streak is not None:
        cause = streak.cause.partition("/")[2] or streak.cause
        yield Prospect(kind, streak.nights, since=streak.since, cause=cause)
