"""The base of all rules, and helpers to build their matches. Pure.

A rule is three-valued: it matches, it is unknown in this run, or it yields nothing, which means
that it does not match. An unknown result is never a gap.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from datetime import datetime
from typing import ClassVar

from pydantic import BaseModel, ConfigDict, model_validator

from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.context import EvaluatedAccount, MatchOutcome, RuleContext, RuleMatch
from probes.models.finding import FactValue, Finding


class Rule(BaseModel, ABC):
    """The code of the gap, and the channels of the rule (none: all)."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    code: str
    channels: tuple[str, ...] = ()
    reads_profile: ClassVar[bool] = False
    """True if a match depends on the name or the links of an account's profile."""

    @model_validator(mode="after")
    def _validate_code(self) -> Rule:
        # The configuration refuses an unknown code itself, with a suggestion.
        definition = load_gap_catalogue().definitions.get(self.code)
        if definition is not None and not definition.is_gap:
            raise ValueError(f"rule {self.code!r}: a status, not a gap")
        return self

    @abstractmethod
    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield the matches in a context."""

    def applies_to(self, channel: str) -> bool:
        """Return True if the rule is about a channel."""
        return not self.channels or channel in self.channels


class AccountRule(Rule):
    """A rule that looks at one account at a time."""

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield the matches for the accounts on the channels of the rule."""
        for account in context.accounts:
            if self.applies_to(account.channel):
                yield from self.match_account(account, context)

    @abstractmethod
    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield the matches for one account."""


def build_account_match(
    account: EvaluatedAccount, context: RuleContext, **params: FactValue
) -> RuleMatch:
    """Return a match for an account with its evidence; it counts if this run was conclusive."""
    return RuleMatch(
        account.channel,
        account.subject,
        MatchOutcome.COUNTED if account.was_decided_in_run else MatchOutcome.REMAINS,
        params=build_common_params(account, context, **params),
        evidence=build_evidence_params(account),
    )


def build_unknown_match(account: EvaluatedAccount) -> RuleMatch:
    """Return a match that leaves the gap of an account as it was."""
    return RuleMatch(account.channel, account.subject, MatchOutcome.UNKNOWN)


def build_common_params(
    account: EvaluatedAccount, context: RuleContext, **params: FactValue
) -> dict[str, FactValue]:
    """Return the parameters of a text, with those of every text: address and day of the check."""
    checked_at = account.status.checked_at or context.now
    return {"url": account.url, "checked_at": format_iso_day(checked_at), **params}


def build_title_params(account: EvaluatedAccount) -> dict[str, FactValue]:
    """Return the title of the page, and the words that revealed the problem."""
    last_finding = account.status.last_known_finding
    if last_finding is None:
        return {}
    title = get_page_title(account, last_finding)
    marker = last_finding.detail or title
    return {"page_title": title, "marker": marker, "markers": marker}


def get_page_title(account: EvaluatedAccount, finding: Finding) -> FactValue:
    """Return the title of an account's page, else its name or URL."""
    return finding.facts.get("title") or finding.name or account.url


def build_evidence_params(account: EvaluatedAccount) -> dict[str, FactValue]:
    """Return the evidence of a gap: status, final address, finding."""
    last_finding = account.status.last_known_finding
    if last_finding is None:
        return {}
    proof = {
        "status": last_finding.status,
        "final_url": last_finding.final_url,
        "detail": last_finding.detail or None,
    }
    return {name: value for name, value in proof.items() if value is not None}


def format_iso_day(timestamp: datetime | None) -> str:
    """Return an ISO date, or "" for None."""
    return timestamp.date().isoformat() if timestamp else ""
