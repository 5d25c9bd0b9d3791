"""The conclusions of a night: which channels were blind, and every standing, proposal and gap after it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from itertools import islice
from types import MappingProxyType
from typing import TypeVar

from auditor import former, receipt
from auditor.canary import Canary, Turn, blindness, contradicted
from auditor.catalogue import catalogue
from auditor.config import Config
from auditor.figures import Figures
from auditor.settle import Dossier, Moment, Owners, Policy, owners_of, settle
from probes.model import NEVER, Finding
from storage.holdings import Holdings
from storage.model import (
    AccountRow,
    Association,
    Decision,
    Gap,
    Night,
    NightState,
    Observation,
    Proposal,
    Standing,
)
from storage.store import Store
from storage.talk import Change

WARNED = "warned"
"""Where a receipt keeps what the canaries of an interrupted session said against a channel."""

AT_ONCE = 500
"""So many associations are held in memory together; each alone takes 5 ms of queries (measured 2026-11)."""

Row = TypeVar("Row", AccountRow, Proposal, Gap, Decision)
Looks = Callable[[Dossier], dict[int, Observation]]


@dataclass(slots=True)
class Derived:
    """What is to be kept: only what changed."""

    standings: list[Standing] = field(default_factory=list)
    gaps: list[Gap] = field(default_factory=list)
    proposals: list[Proposal] = field(default_factory=list)

    def take(self, before: Dossier, after: Dossier) -> None:
        """Take what a night changed in one dossier."""
        old = before.standings
        self.standings += [new for account, new in after.standings.items() if old.get(account) != new]
        self.gaps += [row for row in after.gaps if row not in before.gaps]
        self.proposals += [row for row in after.proposals if row not in before.proposals]


def conclude(store: Store, config: Config, night: Night, blind: Iterable[str]) -> None:
    """Conclude a night whose accounts have all been looked at, in one transaction, unless that is done."""
    if night.id is not None and store.is_judged(night.id):
        return
    began, lines = night.started_at, store.turned(night.started_at)
    owners = owners_of(_links(store, lines, began), began, store.decisions())
    derived, figures = Derived(), Figures(config.channels)
    tonight = moment(night, blind)
    associations = _listed(store, lines, began)
    looks = _looks(store, night, associations)
    for held in dossiers(store, associations):
        turned = lines.get(held.association.id, ())
        before = replace(held, accounts=tuple(former.links(held.accounts, turned, began)))
        after = settle(before, looks(before), tonight, policy(config), owners)
        derived.take(before, after)
        figures.take(after, tonight)
    told = {night.id: figures.told} if night.id is not None else {}
    store.put_derived(derived.standings, derived.gaps, derived.proposals, told)


def _listed(store: Store, lines: Mapping[str, Sequence[Change]], began: datetime) -> list[Association]:
    """The associations that the sheet listed when the night began, as it told of them."""
    now = {association.id for association in store.associations()}
    held = (
        former.former(former.Former(about, about.id in now, ()), lines.get(about.id, ()), began)
        for about in store.associations(include_withdrawn=True)
    )
    return [one.association for one in held if one.listed]


def _links(store: Store, lines: Mapping[str, Sequence[Change]], began: datetime) -> Iterator[AccountRow]:
    """Every link, as it stood when the night began."""
    for row in store.accounts(include_withdrawn=True):
        yield from former.links([row], lines.get(row.association, ()), began)


def owners_at(store: Store, now: datetime, began: datetime | None = None) -> Owners:
    """Who registers each account at a moment, as far as people's words let them."""
    return owners_of(store.accounts(include_withdrawn=True), now, store.decisions(), began)


def policy(config: Config) -> Policy:
    """By what a configuration judges."""
    return Policy(config.confirm, config.rules, catalogue(), frozenset(config.channels))


def moment(night: Night, blind: Iterable[str]) -> Moment:
    """A night as the judge sees it. It is judged as of its beginning, so that a rebuild judges the same."""
    return Moment(night.started_at, night.started_at, frozenset(blind))


def present(store: Store, now: datetime) -> Moment:
    """The present: told as of the last concluded night, with what people changed since.

    Before the first night nothing that ends has ended yet: such a word ends with a night. A clock that was
    set back hides nothing that was changed under it.
    """
    night = store.judged_night()
    return Moment(night.started_at if night else NEVER, store.after_nights(now))


def dossiers(store: Store, associations: Iterable[Association]) -> Iterator[Dossier]:
    """Everything held of each association but its closed gaps, in their order."""
    waiting = iter(associations)
    while some := list(islice(waiting, AT_ONCE)):
        yield from assembled(some, store.holdings([one.id for one in some], whole=False))


def assembled(associations: Iterable[Association], held: Holdings) -> Iterator[Dossier]:
    """A dossier for each association from what is held of several."""
    accounts, proposals = _grouped(held.accounts), _grouped(held.proposals)
    gaps, decisions = _grouped(held.gaps), _grouped(held.decisions)
    standings = {standing.account_id: standing for standing in held.standings}
    for association in associations:
        rows = accounts.get(association.id, ())
        yield Dossier(
            association=association,
            accounts=tuple(rows),
            standings={
                row.id: standings[row.id] for row in rows if row.id is not None and row.id in standings
            },
            proposals=tuple(proposals.get(association.id, ())),
            gaps=tuple(gaps.get(association.id, ())),
            decisions=tuple(decisions.get(association.id, ())),
        )


def _grouped(rows: Iterable[Row]) -> dict[str, list[Row]]:
    groups: dict[str, list[Row]] = {}
    for row in rows:
        groups.setdefault(row.association, []).append(row)
    return groups


def _looks(store: Store, night: Night, associations: Sequence[Association]) -> Looks:
    """What the night saw of an association: kept at hand for a network, asked for in a register."""
    if len(associations) > AT_ONCE:
        return lambda before: {
            look.account_id: look
            for look in store.observations(night_id=night.id, association=before.association.id)
        }
    seen = {look.account_id: look for look in store.observations(night_id=night.id)}
    return lambda before: {
        row.id: seen[row.id] for row in before.accounts if row.id is not None and row.id in seen
    }


def noted(
    store: Store,
    night: Night,
    readings: Sequence[tuple[Canary, Finding]],
    facts: Mapping[str, object] = MappingProxyType({}),
) -> Night:
    """The night with these facts in its receipt, and what its canaries say against a channel.

    The latter holds for every look of the night, also when it is gone on with and they read right by then.
    """
    held = night.receipt.get(WARNED)
    told = contradicted(readings) | (held if isinstance(held, dict) else {})
    return _kept(store, night, {**receipt.carried(night), **facts, **({WARNED: told} if told else {})})


def _kept(store: Store, night: Night, told: Mapping[str, object], blind: Iterable[str] = ()) -> Night:
    """Write the receipt of a night that goes on."""
    known = sorted({*night.blind, *blind})
    store.finish_night(night, NightState.INCOMPLETE, night.started_at, blind=known, receipt=told)
    return store.begin_night(night.day, night.started_at)


def blinded(
    store: Store, config: Config, night: Night, readings: Sequence[tuple[Canary, Finding]]
) -> tuple[Night, Mapping[str, str]]:
    """The night with its blind channels kept, and each of them with its reason.

    They are told from the standings before the night, so they are kept before anything is concluded: a
    night that dies in between concludes the same when it is gone on with.
    """
    kept = night.receipt.get("blind")
    if isinstance(kept, dict):
        return night, kept
    held = night.receipt.get(WARNED)
    before = held if isinstance(held, dict) else {}
    blind = blindness(readings, _turns(store, night), config.channels, before)
    return _kept(store, night, {**night.receipt, "blind": blind}, blind), blind


def _turns(store: Store, night: Night) -> Iterator[Turn]:
    channels = {row.id: row.channel for row in store.accounts()}
    before = {standing.account_id: _lighter(standing) for standing in store.standings()}
    for look in store.observations(night_id=night.id):
        if look.account_id in channels:
            held = before.get(look.account_id) or Standing(look.account_id)
            yield Turn(channels[look.account_id], held, look.finding)


def _lighter(standing: Standing) -> Standing:
    """The part of a standing that blindness looks at: a register has a million of them."""
    known = standing.known
    return Standing(
        standing.account_id,
        latest=standing.latest,
        latest_reason=standing.latest_reason,
        known=Finding(known.presence, known.reason) if known else None,
    )
