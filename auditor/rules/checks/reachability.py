"""The checks that look at what was seen of an account: its loss, its trouble, its silence, its facts."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Literal

from pydantic import Field, model_validator

from auditor.rules.account_status import age, days_between, has_answered
from auditor.rules.checks.base import Check, day, proof, shown, sign_of, titles, untold
from auditor.rules.context import Case, Held, Sign
from probes.models.finding import Reason, Scalar
from storage.models.audit import State

TROUBLE_DAYS = 3
"""From the first night of a trouble to the one that tells of it: shorter ones are a hoster's bad weekend."""


class Absent(Check):
    """An account whose loss is doubted or confirmed, for one of these reasons. `[confirm]` alone opens it."""

    check: Literal["absent"]
    reasons: tuple[Reason, ...] = Field(min_length=1)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign from the first night of doubt."""
        standing, named = held.standing, {str(reason) for reason in self.reasons}
        if standing.state is State.GONE:
            reason, since, gone = str(standing.reason), standing.since, True
        elif standing.doubt is not None:
            reason, since, gone = standing.doubt.cause, standing.doubt.since, False
        else:
            return
        if reason in named:
            facts = {**shown(held, case), "since": day(since), "cause": reason, **titles(held)}
            ended = not gone and _answers_tonight(held, case)
            yield replace(sign_of(held, facts, confirmed=gone), ended=ended)


class Unreachable(Check):
    """A site that visitors cannot reach, for the same cause night after night: health, not absence."""

    check: Literal["unreachable"]
    reasons: tuple[Reason, ...] = Field(min_length=1)
    days: int = Field(default=TROUBLE_DAYS, ge=0)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign while the trouble lasts; none can be told while an absence is doubted unless it answers."""
        standing, trouble = held.standing, held.standing.trouble
        if trouble is None:
            doubted = standing.state is not State.GONE and standing.doubt is not None
            if doubted and not _answers_tonight(held, case):
                yield Sign(held.row.channel, held.subject, holds=None)
            return
        reason, _, detail = trouble.cause.partition("/")
        if reason not in {str(known) for known in self.reasons}:
            return
        facts: dict[str, Scalar] = {"since": day(trouble.since), "cause": detail or reason}
        yield Sign(
            held.row.channel,
            held.subject,
            decided=trouble.last >= case.began,
            confirmed=None if days_between(trouble.since, trouble.last) >= self.days else False,
            nights=trouble.nights,
            params={**shown(held, case), **facts},
            evidence=proof(held),
        )


def _answers_tonight(held: Held, case: Case) -> bool:
    looked = held.standing.checked_at
    return looked is not None and looked >= case.began and has_answered(held.standing)


class PresentAs(Check):
    """A present account with something to say of it: empty, private, renamed."""

    check: Literal["present_as"]
    reasons: tuple[Reason, ...] = Field(min_length=1)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign where the last decided look said so."""
        if held.seen is None:
            yield untold(held)
        elif held.seen.reason in self.reasons:
            facts = {**shown(held, case), "cause": str(held.seen.reason)}
            yield sign_of(held, {**facts, "new_url": held.seen.final_url or held.url})


class OlderThan(Check):
    """A present account whose newest publication is older than so many days.

    Only a look that saw a date tonight counts: a page that has stopped showing dates has not fallen silent.
    """

    check: Literal["older_than"]
    days: int = Field(ge=1)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign where the date is known and old."""
        newest = held.standing.last_activity
        if held.seen is None or newest is None or held.seen.last_activity is None:
            if not _never_published(held):
                yield untold(held)
        elif (old := age(newest, case.now)) > self.days:
            day = newest.when.date().isoformat()
            facts: dict[str, Scalar] = {"last_date": day, "age": old, "limit": self.days}
            yield sign_of(held, {**shown(held, case), **facts, "date_source": newest.source})


def _never_published(held: Held) -> bool:
    return held.seen is not None and held.seen.reason is Reason.EMPTY


class Fact(Check):
    """A small fact of a present account: below or above a number, true or false, or simply there."""

    check: Literal["fact"]
    fact: str
    below: float | None = None
    above: float | None = None
    equals: bool | None = Field(default=None, alias="is")
    present: Literal[True] | None = None

    @model_validator(mode="after")
    def _one_test(self) -> Fact:
        given = [self.below, self.above, self.equals, self.present]
        if sum(test is not None for test in given) != 1:
            raise ValueError("a fact rule needs exactly one of below, above, is, present")
        return self

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign where the fact says so; where it was not measured, nothing can be told."""
        value = _measured(held.seen.facts, self.fact, case.now) if held.seen is not None else None
        if held.seen is None or (value is None and self.present is None):
            yield untold(held)
        elif value is not None and self._says(value):
            words = _fact_words(self.fact, value, case.now)
            yield sign_of(held, {**shown(held, case), "pages": held.url, **words})

    def _says(self, value: Scalar) -> bool:
        if self.present:
            return True
        if self.equals is not None:
            return bool(value) is self.equals
        if isinstance(value, str):
            return False
        return value < self.below if self.below is not None else value > (self.above or 0)


def _measured(facts: Mapping[str, Scalar], fact: str, now: datetime) -> Scalar | None:
    """The fact as of now: of a certificate the day is known, and the rule asks for the days until then."""
    until = facts.get("certificate_until") if fact == "certificate_days" else None
    return facts.get(fact) if until is None else (date.fromisoformat(str(until)) - now.date()).days


def _fact_words(fact: str, value: Scalar, now: datetime) -> dict[str, Scalar]:
    if fact == "certificate_days" and not isinstance(value, str):
        ends = datetime.fromtimestamp(now.timestamp() + 86_400 * value, UTC)
        return {"expires_on": ends.date().isoformat()}
    names = {"moved_to": "new_url"}
    return {names.get(fact, fact): value, "cause": fact}
