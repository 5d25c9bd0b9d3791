"""The rules: typed TOML tables that say when something is a gap, each with one of a closed set of checks."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated

from pydantic import Field

from auditor.reference.gap_catalogue import Catalogue
from auditor.rules.checks.base import Check
from auditor.rules.checks.links import LinksToGone, NoBacklink, NotLinked, Proposed
from auditor.rules.checks.names import HandlesDiffer, NameDiffers, NotNamed
from auditor.rules.checks.reachability import Absent, Fact, OlderThan, PresentAs, Unreachable
from auditor.rules.checks.registry import (
    ColumnHoldsChannel,
    Duplicate,
    Incomplete,
    KindIs,
    Shared,
    Undeclared,
)
from auditor.rules.context import Case, Sign

VERSION = 4
"""Raised when a check, or what is held of an account, is judged otherwise; each night's receipt names it."""

Rule = Annotated[
    Undeclared
    | Absent
    | Unreachable
    | PresentAs
    | OlderThan
    | KindIs
    | ColumnHoldsChannel
    | Fact
    | Proposed
    | NotLinked
    | LinksToGone
    | NoBacklink
    | NameDiffers
    | NotNamed
    | HandlesDiffer
    | Duplicate
    | Shared
    | Incomplete,
    Field(discriminator="check"),
]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A gap that a rule sees tonight, not yet believed: `gaps.fold` believes it, or not."""

    association: str
    code: str
    severity: str
    sign: Sign

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What makes a gap the same gap from night to night."""
        return (self.association, self.sign.channel, self.code, self.sign.subject)


def judge(case: Case, rules: Iterable[Check], words: Catalogue) -> list[Candidate]:
    """What the rules see in a case: one candidate for each gap, the clearest where several rules see it."""
    best: dict[tuple[str, str, str, str], Candidate] = {}
    for rule in rules:
        for sign in rule.signs(case):
            severity = words[rule.code].severity_on(sign.channel)
            candidate = Candidate(case.association.id, rule.code, severity, sign)
            before = best.get(candidate.key)
            if before is None or _clearness(candidate) > _clearness(before):
                best[candidate.key] = candidate
    return list(best.values())


def _clearness(candidate: Candidate) -> tuple[bool, bool]:
    return (candidate.sign.holds is True, candidate.sign.confirmed is True)
