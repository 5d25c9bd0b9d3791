"""Checks about what was observed: lost and unreachable accounts, silence, facts, domains."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from math import inf
from typing import Annotated, Literal

from pydantic import Field, model_validator

from auditor.rules.account_status import MAX_DAYS, days_between, days_since_activity, has_answered
from auditor.rules.checks import (
    AccountRule,
    build_account_match,
    build_evidence_params,
    build_title_params,
    build_unknown_match,
    format_iso_day,
)
from auditor.rules.context import (
    DomainExpiry,
    EvaluatedAccount,
    MatchOutcome,
    RuleContext,
    RuleMatch,
)
from probes.models.finding import FactValue, Reason

MIN_TROUBLE_DAYS = 3
"""Default of days: shorter problems are often a weekend without support at the hosting company."""
MAX_RULE_NUMBER = 1e12
"""The largest number that a rule compares with."""
ExpiryDays = Annotated[int, Field(ge=1, le=MAX_DAYS)]


class AbsentRule(AccountRule):
    """An account that is absent for one of these reasons; `[confirm]` alone opens the gap."""

    check: Literal["absent"]
    reasons: tuple[Reason, ...] = Field(min_length=1)

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match from the first absence."""
        status, doubt = account.status, account.status.unconfirmed_streak
        if account.is_gone:
            cause, since = str(status.reason), status.since
        elif doubt is not None:
            cause, since = doubt.cause, doubt.since
        else:
            return
        if cause in self.reasons:
            rule_match = build_account_match(
                account,
                context,
                since=format_iso_day(since),
                cause=cause,
                **build_title_params(account),
            )
            if account.is_gone and account.was_decided_in_run:
                outcome = MatchOutcome.CONFIRMED
            elif account.is_gone:
                outcome = MatchOutcome.REMAINS_CONFIRMED
            elif _has_answered_in_run(account, context):
                outcome = MatchOutcome.ENDED
            elif account.was_decided_in_run:
                outcome = MatchOutcome.DOUBTED
            else:
                outcome = MatchOutcome.REMAINS
            yield replace(rule_match, outcome=outcome)


class UnreachableRule(AccountRule):
    """A site that visitors cannot reach for the same reason in several runs.

    It is not absent: a server that fails still exists.
    """

    check: Literal["unreachable"]
    reasons: tuple[Reason, ...] = Field(min_length=1)
    days: int = Field(default=MIN_TROUBLE_DAYS, ge=0, le=MAX_DAYS)

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match while the failure lasts.

        It is unknown while an absence is doubted and the site does not respond.
        """
        failure, doubt = account.status.failure_streak, account.status.unconfirmed_streak
        if failure is None:
            is_absence_doubted = doubt is not None and not account.is_gone
            if is_absence_doubted and not _has_answered_in_run(account, context):
                yield build_unknown_match(account)
            return
        reason, _, detail = failure.cause.partition("/")
        if reason not in self.reasons:
            return
        outcome = MatchOutcome.REMAINS
        if failure.latest_at >= context.run_started_at:
            lasted_long_enough = days_between(failure.since, failure.latest_at) >= self.days
            outcome = MatchOutcome.COUNTED if lasted_long_enough else MatchOutcome.DOUBTED
        yield replace(
            build_account_match(
                account, context, since=format_iso_day(failure.since), cause=detail or reason
            ),
            outcome=outcome,
            run_count=failure.run_count,
        )


def _has_answered_in_run(account: EvaluatedAccount, context: RuleContext) -> bool:
    checked_at = account.status.checked_at
    was_checked = checked_at is not None and checked_at >= context.run_started_at
    return was_checked and has_answered(account.status)


class PresentAsRule(AccountRule):
    """A present account with one of these reasons: empty, private, renamed."""

    check: Literal["present_as"]
    reasons: tuple[Reason, ...] = Field(min_length=1)

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if the last conclusive check had such a reason."""
        finding = account.present_finding
        if finding is None:
            yield build_unknown_match(account)
        elif finding.reason in self.reasons:
            yield build_account_match(
                account,
                context,
                cause=str(finding.reason),
                new_url=finding.final_url or account.url,
            )


class OlderThanRule(AccountRule):
    """A present account whose newest publication is older than `days`.

    Only a run that saw a date counts: a page without dates is not silent.
    """

    check: Literal["older_than"]
    days: int = Field(ge=1, le=MAX_DAYS)

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if the date is known and too old."""
        finding, newest = account.present_finding, account.status.last_activity
        if finding is None:
            yield build_unknown_match(account)
        elif newest is None or finding.last_activity is None:
            if finding.reason is not Reason.EMPTY:
                yield build_unknown_match(account)
        elif days_since_activity(newest, context.now) > self.days:
            yield build_account_match(
                account,
                context,
                last_date=format_iso_day(newest.published_at),
                age=days_since_activity(newest, context.now),
                limit=self.days,
                date_source=newest.source,
            )


PARAM_BY_FACT = {"moved_to": "new_url"}
"""The parameters of texts that have another name than their fact."""


class FactRule(AccountRule):
    """A fact of a present account: below or above a number, true or false, or present."""

    check: Literal["fact"]
    fact: str
    below: float = Field(default=inf, ge=0, le=MAX_RULE_NUMBER)
    above: float = Field(default=-inf, ge=0, le=MAX_RULE_NUMBER)
    equals: bool | None = Field(default=None, alias="is")
    present: Literal[True] | None = None

    @model_validator(mode="after")
    def _validate_single_test(self) -> FactRule:
        if len(self.model_fields_set & {"below", "above", "equals", "present"}) != 1:
            raise ValueError(
                "a fact rule needs one condition; try: exactly one of below, above, is, present"
            )
        return self

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if the fact fulfils the condition; unknown if it was not measured."""
        value = _get_fact_value(account.present_facts, self.fact, context.now)
        if value is None:
            if account.present_finding is None or not self.present:
                yield build_unknown_match(account)
        elif self._is_fulfilled(value):
            fact_params = {"cause": self.fact, PARAM_BY_FACT.get(self.fact, self.fact): value}
            if self.fact == "certificate_days":
                expires_at = context.now.astimezone(UTC) + timedelta(days=float(value))
                fact_params = {"expires_on": expires_at.date().isoformat()}
            yield build_account_match(account, context, **{"pages": account.url, **fact_params})

    def _is_fulfilled(self, value: FactValue) -> bool:
        """Return True if a measured fact fulfils the condition. A text has no size."""
        if self.present or self.equals is not None:
            return self.equals in (None, bool(value))
        return not isinstance(value, str) and self.above < value < self.below


def _get_fact_value(facts: Mapping[str, FactValue], fact: str, now: datetime) -> FactValue | None:
    """Return the fact now: for a certificate, the days until it expires."""
    expires_on = facts.get("certificate_expires_on")
    if fact == "certificate_days" and expires_on is not None:
        return (date.fromisoformat(str(expires_on)) - now.date()).days
    return facts.get(fact)


EXPIRY_SEVERITIES = (None, "medium", "high", "urgent")
"""The severity by the number of limits of `DomainExpiresRule.days` that are reached."""


class DomainExpiresRule(AccountRule):
    """A website's domain that expires soon, has expired, or is lost at its registry.

    `days` are the limits of the days that are left; the severity of the gap grows with each. An
    expiry that could not be checked leaves the gap as it was, and so does a registry that no longer
    knows the domain: it is not renewed.
    """

    check: Literal["domain_expires"]
    days: tuple[ExpiryDays, ExpiryDays, ExpiryDays] = (60, 30, 7)

    @model_validator(mode="after")
    def _validate_order(self) -> DomainExpiresRule:
        if not self.days[0] > self.days[1] > self.days[2]:
            raise ValueError("days must become fewer; try: days = [60, 30, 7]")
        return self

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if a limit is reached, with the severity of the shortest one."""
        expiry = context.domain_expiries.get(account.row.id or 0)
        if expiry is None:
            return
        severity = self._get_severity(expiry, context.run_started_at.date())
        if severity is not None:
            yield RuleMatch(
                account.channel,
                account.subject,
                MatchOutcome.CONFIRMED,
                severity=severity,
                params=_build_expiry_params(expiry, account),
                evidence=build_evidence_params(account),
            )
        elif not expiry.is_known and expiry.has_registry_answer:
            yield build_unknown_match(account)

    def _get_severity(self, expiry: DomainExpiry, today: date) -> str | None:
        """Return the severity of the shortest limit that is reached, or None."""
        if expiry.status:
            return EXPIRY_SEVERITIES[-1]
        if expiry.expires_on is None:
            return None
        days_left = (expiry.expires_on - today).days
        return EXPIRY_SEVERITIES[sum(days_left <= limit for limit in self.days)]


def _build_expiry_params(expiry: DomainExpiry, account: EvaluatedAccount) -> dict[str, FactValue]:
    """Return the parameters of the text: a day is in the future or the past, and has a source."""
    params: dict[str, FactValue] = {"url": account.url, "domain": expiry.domain}
    if expiry.expires_on is not None:
        name = "expired_on" if expiry.has_expired else "expires_on"
        params[name] = expiry.expires_on.isoformat()
        if expiry.has_expired and account.present_finding is not None:
            params["site"] = account.url  # it still answers after that day
    if expiry.status:
        params["domain_status"] = expiry.status
    params[f"{expiry.source}_on"] = format_iso_day(expiry.known_at)
    return params
