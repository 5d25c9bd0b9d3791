"""The rules: typed TOML tables that say when something is a gap. A small closed set of checks; pure.

A rule yields the signs it sees in a case. It is three-valued: a sign holds, or cannot be told
tonight, or is not there, which means that the rule does not hold. What is unknown is never a gap.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import combinations
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from auditor.case import Case, Held, Sign, may_be_one
from auditor.catalogue import Catalogue, catalogue
from auditor.standing import age, days_between
from probes.model import Identity, Kind, Presence, Reason, Scalar
from storage.model import AccountRow, Association, Standing, State

VERSION = 1
"""Raised when a check judges otherwise than before; the receipt of each night names it."""

TROUBLE_DAYS = 3


class Check(BaseModel):
    """What every rule has: the code of the gap it tells of, and the channels it looks at (none: all)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    channels: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _can_be_judged(self) -> Check:
        if self.code in catalogue().entries:  # else the configuration refuses it, and says which was meant
            dry_run((self,), catalogue())
        return self

    def signs(self, case: Case) -> Iterator[Sign]:
        """What this rule sees in a case."""
        for held in case.accounts:
            if not self.channels or held.row.channel in self.channels:
                yield from self.of(held, case)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """What this rule sees in one account."""
        raise NotImplementedError


class Undeclared(Check):
    """No account of a channel is registered, and nobody decided so.

    A cell that says "none" registers nothing; one that cannot be read may mean an account, and so may
    a short link, whose owner only a look can tell.
    """

    check: Literal["undeclared"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """One sign for each channel without an account."""
        for channel in self.channels:
            if channel not in case.none_by_choice and not any(map(_may_be_one, case.on(channel))):
                yield Sign(channel, params={"checked_at": _day(case.now)})


def _may_be_one(held: Held) -> bool:
    return held.row.identity.key is not None or held.row.identity.kind in {Kind.INVALID, Kind.SHORT}


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
            facts = {**_shown(held, case), "since": _day(since), "cause": reason, **_titles(held)}
            yield _sign(held, facts, confirmed=gone)


class Unreachable(Check):
    """A site that visitors cannot reach, for the same cause night after night: health, not absence."""

    check: Literal["unreachable"]
    reasons: tuple[Reason, ...] = Field(min_length=1)
    days: int = Field(default=TROUBLE_DAYS, ge=0)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign while the trouble lasts; none can be told while an absence is doubted."""
        standing, trouble = held.standing, held.standing.trouble
        if trouble is None:
            if standing.state is not State.GONE and standing.doubt is not None:
                yield Sign(held.row.channel, held.subject, holds=None)
            return
        reason, _, detail = trouble.cause.partition("/")
        if reason not in {str(known) for known in self.reasons}:
            return
        facts: dict[str, Scalar] = {"since": _day(trouble.since), "cause": detail or reason}
        yield Sign(
            held.row.channel,
            held.subject,
            decided=trouble.last >= case.began,
            confirmed=None if days_between(trouble.since, trouble.last) >= self.days else False,
            nights=trouble.nights,
            params={**_shown(held, case), **facts},
            evidence=_proof(held),
        )


class PresentAs(Check):
    """A present account with something to say of it: empty, private, renamed."""

    check: Literal["present_as"]
    reasons: tuple[Reason, ...] = Field(min_length=1)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign where the last decided look said so."""
        if held.seen is None:
            yield _untold(held)
        elif held.seen.reason in self.reasons:
            facts = {**_shown(held, case), "cause": str(held.seen.reason)}
            yield _sign(held, {**facts, "new_url": held.seen.final_url or held.url})


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
                yield _untold(held)
        elif (old := age(newest, case.now)) > self.days:
            day = newest.when.date().isoformat()
            facts: dict[str, Scalar] = {"last_date": day, "age": old, "limit": self.days}
            yield _sign(held, {**_shown(held, case), **facts, "date_source": newest.source})


def _never_published(held: Held) -> bool:
    return held.seen is not None and held.seen.reason is Reason.EMPTY


class KindIs(Check):
    """A registered link that is of one of these kinds. Only the registry is looked at."""

    check: Literal["kind_is"]
    kinds: tuple[Kind, ...] = Field(min_length=1)

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each such link."""
        if held.row.identity.kind in self.kinds:
            facts = {**_shown(held, case), "kind": str(held.row.identity.kind), "found_on": "registry"}
            yield Sign(
                held.row.channel or held.row.column, held.subject, params={**facts, "typed": held.row.typed}
            )


class ColumnHoldsChannel(Check):
    """A platform's link typed in the website column. It counts as that platform's account."""

    check: Literal["column_holds_channel"]
    column: str = "website"

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each such cell."""
        row = held.row
        if row.column == self.column != row.channel and row.identity.kind not in {Kind.INVALID, Kind.NONE}:
            yield Sign(self.column, held.subject, params={**_shown(held, case), "channel": row.channel})


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
        value = held.seen.facts.get(self.fact) if held.seen is not None else None
        if held.seen is None or (value is None and self.present is None):
            yield _untold(held)
        elif value is not None and self._says(value):
            shown = {**_shown(held, case), "pages": held.url}
            yield _sign(held, {**shown, **_fact_words(self.fact, value, case.now)})

    def _says(self, value: Scalar) -> bool:
        if self.present:
            return True
        if self.equals is not None:
            return bool(value) is self.equals
        if isinstance(value, str):
            return False
        return value < self.below if self.below is not None else value > (self.above or 0)


def _fact_words(fact: str, value: Scalar, now: datetime) -> dict[str, Scalar]:
    if fact == "certificate_days" and not isinstance(value, str):
        ends = datetime.fromtimestamp(now.timestamp() + 86_400 * value, UTC)
        return {"expires_on": ends.date().isoformat()}
    names = {"moved_to": "new_url"}
    return {names.get(fact, fact): value, "cause": fact}


class Proposed(Check):
    """An account that the association's own site names and nobody registered."""

    check: Literal["proposed"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """A sign for each proposal that still stands on the site."""
        read_tonight = any(site.tonight for site in case.sites())
        for proposal in case.proposals:
            link, fresh = proposal.link, proposal.last_seen >= case.began
            if self.channels and link.channel not in self.channels:
                continue
            taken = (link.channel, link.key) in case.disowned or any(
                held.names(link) for held in case.accounts
            )
            if taken or (read_tonight and not fresh):
                continue
            params = {"url": link.canonical, "found_on": link.page, "source": link.source}
            yield Sign(link.channel, link.key, decided=fresh, params=params)


class NotLinked(Check):
    """The association's site was read and does not lead to an account that is registered."""

    check: Literal["not_linked"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each account none of the sites that were read leads to."""
        if held.row.channel == "website" or not held.is_account:
            return
        sites = case.sites()
        if not sites or held.standing.state is State.GONE:
            if any(case.on("website")):
                yield _untold(held)
            return
        found = [link for site in sites if site.seen for link in site.seen.links]
        if any(map(held.names, found)):
            return
        if any(map(held.may_be, found)):
            yield _untold(held)
        else:
            params = {**_shown(held, case), "pages": sites[0].url}
            decided = any(site.tonight for site in sites)
            yield Sign(held.row.channel, held.subject, decided=decided, params=params)


class Duplicate(Check):
    """Several accounts of one association on one channel, none of them lost.

    Two names that cannot be compared, a number and a handle, may be one account: that cannot be told.
    """

    check: Literal["duplicate"]

    def signs(self, case: Case) -> Iterator[Sign]:
        """One sign for each channel with more than one account."""
        for channel in self.channels or sorted({held.row.channel for held in case.accounts}):
            kept = [
                held for held in case.on(channel) if held.is_account and held.standing.state is not State.GONE
            ]
            distinct = [
                held for at, held in enumerate(kept) if not any(_same(held, other) for other in kept[:at])
            ]
            if any(not may_be_one(one.keys, other.keys) for one, other in combinations(distinct, 2)):
                yield Sign(
                    channel, params={"url": distinct[0].url, "urls": " ".join(one.url for one in distinct)}
                )


def _same(held: Held, other: Held) -> bool:
    return bool(held.keys & other.keys)


class Shared(Check):
    """One account that two associations register."""

    check: Literal["shared"]

    def of(self, held: Held, case: Case) -> Iterator[Sign]:
        """A sign for each account another association registers too."""
        others = case.shared.get((held.row.channel, held.subject), ())
        if held.is_account and others:
            yield Sign(held.row.channel, held.subject, params={**_shown(held, case), "other": others[0]})


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
    | Duplicate
    | Shared,
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


def _sign(held: Held, params: Mapping[str, Scalar], *, confirmed: bool | None = None) -> Sign:
    return Sign(
        held.row.channel,
        held.subject,
        decided=held.tonight,
        confirmed=confirmed,
        params=params,
        evidence=_proof(held),
    )


def _untold(held: Held) -> Sign:
    return Sign(held.row.channel, held.subject, holds=None, decided=False)


def _shown(held: Held, case: Case) -> dict[str, Scalar]:
    return {"url": held.url, "checked_at": _day(held.standing.checked_at or case.now)}


def _titles(held: Held) -> dict[str, Scalar]:
    known = held.standing.known
    if known is None:
        return {}
    title = known.facts.get("title") or known.name or held.url
    return {"page_title": title, "marker": known.detail or title, "markers": known.detail or title}


def _proof(held: Held) -> dict[str, Scalar]:
    known = held.standing.known
    if known is None:
        return {}
    proof = {"status": known.status, "final_url": known.final_url, "detail": known.detail or None}
    return {name: value for name, value in proof.items() if value is not None}


def _day(moment: datetime | None) -> str:
    return moment.date().isoformat() if moment else ""


def dry_run(rules: Iterable[Check], words: Catalogue) -> None:
    """Refuse rules that could not be judged: unknown codes, statuses, or a check that fails on a small case.

    Every rule is tried so when it is loaded. Raises ValueError, one line.
    """
    for rule in rules:
        entry = words.entries.get(rule.code)
        if entry is None:
            raise ValueError(f"rule {rule.code!r}: there is no such gap in words/gaps.toml")
        if not entry.is_gap:
            raise ValueError(f"rule {rule.code!r}: this is a status, not a gap; no rule may raise it")
        if isinstance(rule, Undeclared) and not rule.channels:
            raise ValueError(f"rule {rule.code!r}: say which channels an association should have")
        judge(_rehearsal(), (rule,), words)


def _rehearsal() -> Case:
    moment = datetime(2026, 1, 1, tzinfo=UTC)
    row = AccountRow("a", "site.example", Identity("website", Kind.PAGE, "site.example"), "website", id=1)
    standing = Standing(1, latest=Presence.UNKNOWN)
    return Case(Association("a", "A"), (Held(row, standing),), moment, moment)
