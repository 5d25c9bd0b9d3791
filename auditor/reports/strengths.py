"""What to say before the gaps: what works, and the standing advice that fits. Pure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from auditor.evaluation.association_view import AccountView, AssociationView
from auditor.i18n.wording import Fact
from probes.models.finding import Presence
from storage.models.audit import Gap, State

LATELY = timedelta(days=30)
ALWAYS = ("dedicated_person", "two_admins", "few_but_alive")
SHOWN = 3
GRAVE = frozenset({"urgent", "high"})
"""Of a gap on a site with which nobody would say that it works."""


@dataclass(frozen=True, slots=True)
class Strength:
    """A label of the catalogue and its facts; `code` names the gap that was settled, if it is one."""

    label: str
    facts: Mapping[str, Fact] = field(default_factory=dict)
    code: str = ""
    channel: str = ""


def strengths(view: AssociationView, as_of: datetime) -> list[Strength]:
    """What works well, and what was settled in the last 30 days."""
    return [*working(view), *(_praise(gap) for gap in settled(view, as_of))]


def working(view: AssociationView) -> list[Strength]:
    """What works well; where we looked and there is nothing to mend, that."""
    found = list(_accounts(view))
    looked = any(account.decided_at for account in view.accounts)
    return found if found or view.gaps or not looked else [Strength("no_gap")]


def _accounts(view: AssociationView) -> Iterator[Strength]:
    for account in view.accounts:
        if account.state is not State.PRESENT:
            continue
        if account.channel == "website":
            yield from _works(account, view)
        elif account.activity == "active" and account.last_activity:
            told: dict[str, Fact] = {"channel": account.channel, "last_date": account.last_activity}
            yield Strength("channel_active", told)
        if account.linked == "reciprocal" and account.channel != "website":
            yield Strength("channel_linked", {"channel": account.channel})


def _works(account: AccountView, view: AssociationView) -> Iterator[Strength]:
    """A site works where the newest look saw it, and nothing grave is told of it."""
    grave = any(gap.channel == "website" and gap.severity in GRAVE for gap in view.gaps)
    if account.latest is Presence.PRESENT and not grave:
        yield Strength("website_ok")


def settled(view: AssociationView, as_of: datetime) -> list[Gap]:
    """The gaps that were settled in the last 30 days and have not come back."""
    still = {(gap.code, gap.channel) for gap in view.gaps}
    return [
        gap
        for gap in view.all_gaps
        if gap.opened_at and gap.closed_at and gap.closed_at >= as_of - LATELY
        if (gap.code, gap.channel) not in still and gap not in view.waived
    ]


def appeared(view: AssociationView, as_of: datetime) -> list[Gap]:
    """The open gaps that were first told of in the last 30 days; none where all are: that is no news."""
    new = [gap for gap in view.gaps if gap.opened_at and gap.opened_at >= as_of - LATELY]
    return new if len(new) < len(view.gaps) else []


def _praise(gap: Gap) -> Strength:
    return Strength("gap_fixed", dict(gap.params), gap.code, gap.channel)


def advice(view: AssociationView) -> list[str]:
    """At most three standing pieces of advice, those that fit its gaps first."""
    codes = {(gap.code, gap.channel) for gap in view.gaps}
    fitting = [
        name
        for name, gap in (
            ("own_website", ("no_website", "website")),
            ("archive_videos", ("channel_missing", "youtube")),
        )
        if gap in codes
    ]
    return [*fitting, *ALWAYS][:SHOWN]
