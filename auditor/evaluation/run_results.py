"""The conclusions of a night: which channels were blind, and every standing, proposal and gap after it.

The coverage of a night, counted while it is concluded or rebuilt: by cohort, channel and state.

Makes the summaries anew that something made stale; who reads them calls it first.
"""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field, fields, replace
from datetime import datetime
from functools import cache
from operator import attrgetter
from types import MappingProxyType
from typing import Any, Protocol, TypeVar

import auditor
from auditor.checking.canaries import Canary, Turn, blindness, contradicted
from auditor.config.schema import Config
from auditor.evaluation.association_view import turning, view
from auditor.evaluation.summary import cohorts, lasting, listing, stands
from auditor.receipts import receipt
from auditor.reference.gap_catalogue import catalogue
from auditor.registry import diff
from auditor.rules import engine, score
from auditor.rules.association import (
    DISOWNING,
    Dossier,
    Moment,
    Owners,
    Policy,
    case,
    led_to,
    owners_of,
    settle,
)
from probes.log import Events
from probes.models.finding import FAR, NEVER, Finding
from storage.batching import parts
from storage.files.spool import Spool
from storage.models.audit import (
    AccountRow,
    Association,
    Decision,
    Gap,
    Moments,
    Night,
    NightState,
    Observation,
    Proposal,
    Standing,
)
from storage.models.summaries import EVERYBODY, NETWORK, Basis, Listing
from storage.models.users import Change
from storage.read_model.association_data import Holdings
from storage.store import Store

WARNED = "warned"
"""Where a receipt keeps what the canaries of an interrupted session said against a channel."""

AT_ONCE = 500
"""So many associations are held in memory together; each alone takes 5 ms of queries (measured 2026-11)."""

Row = TypeVar("Row", AccountRow, Proposal, Gap, Decision)
Noun = TypeVar("Noun")


class Kept(Protocol[Noun]):
    """What conclusions are added to: a list, or a file where they may be many."""

    def extend(self, some: Iterable[Noun], /) -> None:
        """Add these."""
        ...

    def __iter__(self) -> Iterator[Noun]: ...


@dataclass(slots=True)
class Derived:
    """What is to be kept: only what changed.

    `checked` are the moments of standings of which nothing else changed; of `steady` ones also what the look
    itself told of the newest publication did, which no list tells; `running` gaps and `seen` proposals were
    met again, and lists tell of them as before.
    """

    standings: Kept[Standing] = field(default_factory=list)
    gaps: Kept[Gap] = field(default_factory=list)
    proposals: Kept[Proposal] = field(default_factory=list)
    checked: Kept[Moments] = field(default_factory=list)
    steady: Kept[Standing] = field(default_factory=list)
    running: Kept[Gap] = field(default_factory=list)
    seen: Kept[Proposal] = field(default_factory=list)

    def take(self, before: Dossier, after: Dossier) -> None:
        """Take what a night changed in one dossier."""
        self._take_standings(before, after)
        self._take_gaps(before, after)
        known = {row.id: row for row in before.proposals}
        found = [row for row in after.proposals if row != known.get(row.id)]
        self.proposals.extend(row for row in found if row.id not in known)
        self.seen.extend(row for row in found if row.id in known)

    def _take_standings(self, before: Dossier, after: Dossier) -> None:
        for account, new in after.standings.items():
            old = before.standings.get(account)
            if old is new:
                continue
            if old and _said(old) == _said(new):
                self.checked.extend((new.moments,))
            elif old and _is_steady(old, new):
                self.steady.extend((new,))
            else:
                self.standings.extend((new,))

    def _take_gaps(self, before: Dossier, after: Dossier) -> None:
        old = {row.id: row for row in before.gaps}
        changed = [row for row in after.gaps if row != old.get(row.id)]
        running = {row.id for row in changed if row.id in old and _is_running(old[row.id], row)}
        self.gaps.extend(row for row in changed if row.id not in running)
        self.running.extend(row for row in changed if row.id in running)


_said = attrgetter(*(one.name for one in fields(Standing) if one.name not in Moments._fields))
"""What a standing says, but for when that was last looked at."""


def _is_steady(old: Standing, new: Standing) -> bool:
    """Whether only the look's own word of a publication is another: "6 months ago" moves on each night."""
    then, now = old.known, new.known
    if not (then and now and then.last_activity and now.last_activity):
        return False
    return _said(old) == _said(replace(new, known=replace(now, last_activity=then.last_activity)))


_LISTED = attrgetter("channel", "subject", "code", "severity", "first_seen", "opened_at", "closed_at")


def _is_running(old: Gap, new: Gap) -> bool:
    """Whether lists tell of a gap as before: of its evidence and its nights they know nothing."""
    return _LISTED(old) == _LISTED(new) and lasting(old.params) == lasting(new.params)


def conclude(store: Store, config: Config, night: Night, blind: Iterable[str]) -> None:
    """Conclude a night whose accounts have all been looked at, in one transaction, unless that is done.

    One association is judged after the other, and what changes waits in files until everybody's is told: so
    memory does not grow with a register, and nobody waits for the database while they are judged.
    """
    if night.id is not None and store.is_judged(night.id):
        return
    figures, tonight = Figures(config.channels), moment(night, blind)
    with ExitStack() as files:
        spools: list[Spool[Any]] = [files.enter_context(Spool()) for _ in fields(Derived)]
        derived = Derived(*spools)
        for before, looks, owners in _dossiers(store, night):
            after = settle(before, looks, tonight, policy(config), owners)
            derived.take(before, after)
            figures.take(after, tonight)
        told = {night.id: figures.told} if night.id is not None else {}
        store.put_derived(
            derived.standings,
            derived.gaps,
            derived.proposals,
            told,
            checked=derived.checked,
            steady=derived.steady,
            running=derived.running,
            seen=derived.seen,
        )


def _dossiers(store: Store, night: Night) -> Iterator[tuple[Dossier, dict[int, Observation], Owners]]:
    """Each association the sheet listed when the night began, as it told of it then.

    With it come what the night saw of it, and who else registers the accounts that it has or leads to.
    """
    began, lines = night.started_at, store.turned(night.started_at)
    words = [word for word in store.decisions() if word.kind in DISOWNING]
    for some in parts(store.associations(include_withdrawn=True)):
        held = store.holdings([one.id for one in some], whole=False)
        rows = [row.id for row in held.accounts if row.id is not None]
        seen = {look.account_id: look for look in store.glanced(night.id, rows)} if night.id else {}
        told = [
            replace(one, accounts=tuple(diff.links(one.accounts, lines.get(one.association.id, ()), began)))
            for one in assembled(_listed(some, held, lines, began), held)
        ]
        looks = {
            one.association.id: {row.id: seen[row.id] for row in one.accounts if row.id and row.id in seen}
            for one in told
        }
        keys = {key for one in told for key in led_to(one, looks[one.association.id].values())}
        owners = owners_of(diff.then(store.named(keys), lines, began), began, words)
        yield from ((one, looks[one.association.id], owners) for one in told)


def _listed(
    some: Iterable[Association], held: Holdings, lines: Mapping[str, Sequence[Change]], began: datetime
) -> list[Association]:
    """Those of some associations that the sheet listed when the night began, as it told of them."""
    now = {association.id for association in held.associations}
    then = (
        diff.former(diff.Former(about, about.id in now, ()), lines.get(about.id, ()), began) for about in some
    )
    return [one.association for one in then if one.listed]


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
    """What the night saw of each account that is listed, beside what was held of it before."""
    for found in parts(store.glimpsed(night.id) if night.id is not None else ()):
        ids = [account for account, _ in found]
        channels, before = store.channels_of(ids), store.standings_of(ids)
        for account, finding in found:
            if account in channels:
                yield Turn(channels[account], before.get(account) or Standing(account), finding)


class Figures:
    """What was counted, by cohort and facet. Pure."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = tuple(channels)
        self.told: dict[str, Counter[str]] = defaultdict(Counter, {NETWORK: Counter({EVERYBODY: 0})})

    def take(self, dossier: Dossier, moment: Moment) -> None:
        """Count an association as it stands after a night."""
        known, about = case(dossier, moment, {}), dossier.association
        facets = [EVERYBODY, *(f"{channel}:{stands(known, channel)}" for channel in self._channels)]
        for cohort in {NETWORK, *cohorts(about.region, about.tags)}:
            self.told[cohort].update(facets)


events = Events(__name__)

VERSION = 5
"""Another one with every change of what a summary tells, or of how it is found."""

NOBODY: Owners = {}
"""Who else registers an account shows on the ladder of links alone, of which a summary tells nothing."""

ATTEMPTS = 3

A_FEW = 200
"""Stale summaries that the reader of a page waits for: half a second (measured 2026-11)."""


def refresh(
    store: Store,
    config: Config,
    *,
    most: int | None = None,
    over: Callable[[], bool] = lambda: False,
) -> int:
    """Make every stale summary anew and say how many there were; with none this is two small queries.

    After a night those are stale of which something changed or turns with it, and all of them where the
    configuration or the auditor is another. All that is stored by then counts, by whatever clock.
    Where there are more than `most`, none is made: who waits for a page shows the old ones, and whoever
    made so many stale, or `auditor serve` within a minute, makes them anew. Once it is `over`, it ends.
    """
    made = 0
    for _ in range(ATTEMPTS):
        night = store.judged_night()
        basis = basis_of(config, night)
        store.rebase(basis)
        if most is not None and len(store.stale(most + 1)) > most:
            return made
        moment = Moment(night.started_at if night else NEVER, FAR)
        while marks := store.stale(AT_ONCE):
            if not store.put_summaries(_made(store, config, marks, moment), marks, basis):
                break
            made += len(marks)
            if over():
                return made
        else:
            return made
    said = "the summaries are being made by another configuration at the same time"
    events.warning("summaries_contended", said)
    return made


def basis_of(config: Config, night: Night | None) -> Basis:
    """By what summaries are made: what is audited and how it is judged, which auditor, as of which night."""
    judged = (VERSION, score.VERSION, engine.VERSION, _catalogued(), list(config.channels), config.activity)
    return Basis(f"{auditor.__version__} {_digest(judged)}", night.started_at if night else None)


@cache
def _catalogued() -> str:
    """The catalogue's digest, the same in each process: sets are sorted, whose order is another in each."""
    return _digest(json.dumps(asdict(catalogue()), sort_keys=True, default=sorted))


def _digest(told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _made(store: Store, config: Config, marks: Mapping[str, str], moment: Moment) -> Iterator[Listing]:
    held = store.holdings(marks)
    for dossier in assembled(held.associations, held):
        seen = view(dossier, config, moment, NOBODY)
        yield listing(seen, config.channels, turning(seen, config.activity, moment.began))
