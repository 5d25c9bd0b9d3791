"""A check: what a rule looks for in a case, and the signs it yields. Pure.

It is three-valued: a sign holds, or cannot be told tonight, or is not there, which means that the rule does
not hold. What is unknown is never a gap.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import UTC, datetime

from pydantic import BaseModel, ConfigDict, model_validator

from auditor.reference.gap_catalogue import Catalogue, catalogue
from auditor.rules.context import Case, Held, Sign
from probes.models.finding import Identity, Kind, Presence, Scalar
from storage.models.audit import AccountRow, Association, Standing


class Check(BaseModel):
    """What every rule has: the code of the gap it tells of, and the channels it looks at (none: all)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    channels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_judged(self) -> Check:
        if self.code in catalogue().entries:  # else the configuration refuses it, and says which was meant
            self.rehearse(catalogue())
        return self

    def rehearse(self, words: Catalogue) -> None:
        """Try the rule on a small case, as every rule is when it is loaded. Raises ValueError, one line."""
        entry = words.entries.get(self.code)
        if entry is None:
            raise ValueError(f"rule {self.code!r}: there is no such gap in auditor/reference/gaps.toml")
        if not entry.is_gap:
            raise ValueError(f"rule {self.code!r}: this is a status, not a gap; no rule may raise it")
        for _ in self.signs(_rehearsal()):
            pass

    def signs(self, case: Case) -> Iterator[Sign]:
        """What this rule sees in a case."""
        for held in case.accounts:
            if not self.channels or held.row.channel in self.channels:
                yield from self.of(held, case)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """What this rule sees in one account."""
        raise NotImplementedError


def sign_of(held: Held, params: Mapping[str, Scalar], *, confirmed: bool | None = None) -> Sign:
    """A sign of an account, with its evidence; it counts where tonight's look was decided."""
    return Sign(
        held.row.channel,
        held.subject,
        decided=held.tonight,
        confirmed=confirmed,
        params=params,
        evidence=proof(held),
    )


def untold(held: Held) -> Sign:
    """The sign of an account of which nothing can be told: its gap stays as it was."""
    return Sign(held.row.channel, held.subject, holds=None, decided=False)


def shown(held: Held, case: Case) -> dict[str, Scalar]:
    """What every sentence shows: the address, and the day of the look."""
    return {"url": held.url, "checked_at": day(held.standing.checked_at or case.now)}


def titles(held: Held) -> dict[str, Scalar]:
    """What the page called itself, and the words that gave it away."""
    known = held.standing.known
    if known is None:
        return {}
    title = known.facts.get("title") or known.name or held.url
    return {"page_title": title, "marker": known.detail or title, "markers": known.detail or title}


def proof(held: Held) -> dict[str, Scalar]:
    """The evidence beside a gap: what was answered, where it led, what was seen."""
    known = held.standing.known
    if known is None:
        return {}
    proof = {"status": known.status, "final_url": known.final_url, "detail": known.detail or None}
    return {name: value for name, value in proof.items() if value is not None}


def day(moment: datetime | None) -> str:
    """An ISO date, empty where there is none."""
    return moment.date().isoformat() if moment else ""


def _rehearsal() -> Case:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    row = AccountRow("a", "site.example", Identity("website", Kind.PAGE, "site.example"), "website", id=1)
    standing = Standing(1, latest=Presence.UNKNOWN)
    return Case(Association("a", "A"), (Held(row, standing),), moment, moment)
