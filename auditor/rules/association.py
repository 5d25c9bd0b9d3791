"""What one night makes of one association: its standings, proposals and gaps, from what was seen. Pure.

The night and `rejudge` both settle with this, so that a rebuild of an unchanged history changes nothing.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import lru_cache

from auditor.reference.gap_catalogue import Catalogue
from auditor.rules import engine
from auditor.rules.account_status import Confirm, advance, decided, in_force
from auditor.rules.checks.base import Check
from auditor.rules.context import Case, Held
from auditor.rules.engine import judge
from probes.links import channel_registry, identify
from probes.models.finding import ACCOUNTS, Identity, Presence
from storage.models.audit import (
    AccountRow,
    Association,
    Decision,
    DecisionKind,
    Gap,
    Observation,
    Proposal,
    Standing,
)

Owners = Mapping[tuple[str, str], tuple[str, ...]]
"""Which associations register an account, by (channel, key)."""

DISOWNING = frozenset({DecisionKind.NOT_OURS, DecisionKind.MOVED})
"""The words after which an account is neither looked at nor judged: it is not theirs, or no longer."""

UNWELL = frozenset({"website_down", "website_insecure"})
"""The gaps that tell of a site which is there, or was, and which no visitor reaches."""


@dataclass(frozen=True, slots=True)
class Dossier:
    """Everything held of one association. `gaps` are all its rows, closed ones too."""

    association: Association
    accounts: tuple[AccountRow, ...] = ()
    standings: Mapping[int, Standing] = field(default_factory=dict)
    proposals: tuple[Proposal, ...] = ()
    gaps: tuple[Gap, ...] = ()
    decisions: tuple[Decision, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """By what everything is judged."""

    confirm: Confirm
    rules: tuple[Check, ...]
    catalogue: Catalogue
    channels: frozenset[str]


@dataclass(frozen=True, slots=True)
class Moment:
    """One night as the judge sees it: when it began, until when people spoke, which channels were blind.

    Everything is told as of its beginning, and a word that ends does so with a night. What people changed
    counts up to `now`: a night's own conclusions have none later than its beginning.
    """

    began: datetime
    now: datetime
    blind: frozenset[str] = frozenset()


def settle(
    dossier: Dossier, seen: Mapping[int, Observation], moment: Moment, policy: Policy, owners: Owners
) -> Dossier:
    """The dossier after a night in which `seen` was observed, by account."""
    standings = {
        row.id: _advanced(dossier, row, look, moment, policy)
        for row in dossier.accounts
        if row.id is not None and (look := seen.get(row.id)) is not None
    }
    moved = replace(dossier, standings={**dossier.standings, **standings})
    moved = replace(moved, proposals=_proposed(moved, seen, moment, policy, owners))
    tonight = frozenset(account for account, one in seen.items() if _told(moved.standings.get(account), one))
    known = case(moved, moment, owners, tonight)
    candidates = judge(known, policy.rules, policy.catalogue)
    ours = policy.channels | {""}  # the association itself; what is told of other channels is nobody's gap
    told = [one for one in candidates if one.sign.channel in ours]
    rows = engine.fold(moved.gaps, told, policy.catalogue, moment.now, blind=moment.blind)
    closed = tuple(row for row in moved.gaps if row.closed_at is not None)
    return replace(moved, gaps=closed + tuple(rows))


def _told(standing: Standing | None, observation: Observation) -> bool:
    """Whether a look was decided: it is a part of the standing, as one at somebody else's account is not."""
    return standing is not None and standing.decided_at == observation.observed_at


def _advanced(
    dossier: Dossier, row: AccountRow, look: Observation, moment: Moment, policy: Policy
) -> Standing:
    before = dossier.standings.get(look.account_id) or Standing(look.account_id)
    return advance(before, look, policy.confirm, blind=row.channel in moment.blind)


def case(dossier: Dossier, moment: Moment, owners: Owners, tonight: Collection[int] = ()) -> Case:
    """The association as a rule may look at it: people's words laid over, disowned accounts left out."""
    words = in_force(dossier.decisions, moment.now, moment.began)
    disowned = _disowned(dossier, words)
    accounts = [
        _held(dossier, row, moment, words, tonight)
        for row in dossier.accounts
        if live(row, moment.now) and (row.channel, row.identity.key or row.typed) not in disowned
    ]
    chosen = {word.channel for word in words if word.kind is DecisionKind.NONE_BY_CHOICE}
    return Case(
        association=dossier.association,
        accounts=tuple(accounts),
        now=moment.now,
        began=moment.began,
        proposals=dossier.proposals,
        none_by_choice=frozenset(chosen | set(dossier.association.none_by_choice)),
        shared=_shared(dossier, owners),
        disowned=disowned,
        moved=frozenset(word.channel for word in words if word.kind is DecisionKind.MOVED),
        unwell=frozenset(
            (gap.channel, gap.subject) for gap in dossier.gaps if gap.code in UNWELL and engine.is_open(gap)
        ),
    )


def _held(
    dossier: Dossier, row: AccountRow, moment: Moment, words: Iterable[Decision], tonight: Collection[int]
) -> Held:
    standing = dossier.standings.get(row.id or 0) or Standing(row.id or 0)
    held = decided(standing, row.channel, words, moment.now, moment.began)
    fresh = row.id in tonight and row.channel not in moment.blind
    return Held(row, held, fresh, aliases(row, standing))


def keys_of(dossier: Dossier) -> set[tuple[str, str]]:
    """The accounts, by channel and key, of which it matters who else registers them."""
    keys = {(row.channel, row.identity.key) for row in dossier.accounts if row.identity.key is not None}
    named = [link.key for one in dossier.standings.values() if one.known for link in one.known.links]
    return keys | {(channel_registry.SITE, key) for site in named for key in (site, site.partition("/")[0])}


def led_to(dossier: Dossier, looks: Iterable[Observation]) -> set[tuple[str, str]]:
    """The accounts that a night asks about, by channel and key: its own and those that its pages lead to."""
    links_now = [link for look in looks for link in look.finding.links]
    sites = {
        (channel_registry.SITE, key) for link in links_now for key in (link.key, link.key.partition("/")[0])
    }
    return keys_of(dossier) | sites | {(link.channel, link.key) for link in links_now}


def _shared(dossier: Dossier, owners: Owners) -> dict[tuple[str, str], tuple[str, ...]]:
    others = {
        at: tuple(one for one in owners.get(at, ()) if one != dossier.association.id)
        for at in keys_of(dossier)
        if at in owners
    }
    return {at: names for at, names in others.items() if names}


def _disowned(dossier: Dossier, words: Iterable[Decision]) -> frozenset[tuple[str, str]]:
    """The accounts a person said are not theirs, or have moved: neither is judged.

    What is not theirs is so under each of its names; what has moved may have moved to one of them.
    """
    rows = {row.id for row in dossier.accounts}
    said = [word for word in words if word.kind in DISOWNING]
    by_account = {at for word in said if word.account_id in rows for at in _names(dossier, word)}
    by_key = {
        (word.channel, word.value)
        for word in said
        if word.kind is DecisionKind.NOT_OURS and word.account_id is None and word.value
    }
    return frozenset(by_account | by_key)


def _names(dossier: Dossier, word: Decision) -> Iterator[tuple[str, str]]:
    """What a word that disowns an account names: its key, and what else it was seen to be called."""
    row = next(row for row in dossier.accounts if row.id == word.account_id)
    yield row.channel, row.identity.key or row.typed
    if word.kind is DecisionKind.NOT_OURS:
        yield from ((row.channel, name) for name in _aliases(dossier, row))


def aliases(row: AccountRow, standing: Standing) -> frozenset[str]:
    """Every key that names the same account: the registered one, the platform's ids, where it led."""
    known, names = standing.known, {row.identity.key} - {None}
    for number in (standing.platform_id, known.platform_id if known else None):
        names |= {number, f"id:{number}"} if number else set()
    if (
        known is not None
        and known.presence is Presence.PRESENT
        and known.final_url
        and row.channel != "website"
    ):
        at = _account_at(known.final_url)
        if at.channel == row.channel:
            names |= {at.key} - {None}
    return frozenset(name for name in names if name)


@lru_cache(maxsize=4096)
def _account_at(url: str) -> Identity:
    """Whose account an address is. One night asks of each several times, one soon after the other."""
    return identify.identify(url)


def _proposed(
    dossier: Dossier, seen: Mapping[int, Observation], moment: Moment, policy: Policy, owners: Owners
) -> tuple[Proposal, ...]:
    """The proposals after tonight: accounts the association's own sites lead to that nobody registered."""
    rows = {(row.link.channel, row.link.key): row for row in dossier.proposals}
    if "website" in moment.blind:
        return dossier.proposals
    known = _registered(dossier, moment.now)
    for observation in _sites(dossier, seen, moment.now):
        for link in observation.finding.links:
            at = (link.channel, link.key)
            theirs = any(name != dossier.association.id for name in owners.get(at, ()))
            if link.channel not in policy.channels or link.channel == "website" or at in known or theirs:
                continue
            before = rows.get(at)
            when = observation.observed_at
            if before is None:
                rows[at] = Proposal(dossier.association.id, link, when, when)
            elif before.last_seen < moment.began:
                rows[at] = replace(before, link=link, last_seen=when, nights=before.nights + 1)
    return tuple(rows.values())


def _registered(dossier: Dossier, now: datetime) -> set[tuple[str, str]]:
    """Every name of the accounts on the sheet; of one that has moved, only the name it had."""
    words = in_force(dossier.decisions, now)
    moved = {word.account_id for word in words if word.kind is DecisionKind.MOVED}
    return {
        (row.channel, name)
        for row in dossier.accounts
        if live(row, now)
        for name in ({row.identity.key} if row.id in moved else _aliases(dossier, row))
        if name
    }


def _aliases(dossier: Dossier, row: AccountRow) -> frozenset[str]:
    return aliases(row, dossier.standings.get(row.id or 0) or Standing(row.id or 0))


def _sites(dossier: Dossier, seen: Mapping[int, Observation], now: datetime) -> list[Observation]:
    ids = [row.id for row in dossier.accounts if row.channel == "website" and live(row, now)]
    looks = [seen[account] for account in ids if account is not None and account in seen]
    return [look for look in looks if look.finding.presence is Presence.PRESENT]


def live(row: AccountRow, now: datetime) -> bool:
    """Whether the sheet listed a link at a moment."""
    added = row.added_at is None or row.added_at <= now
    return added and (row.withdrawn_at is None or row.withdrawn_at > now)


def owners_of(
    accounts: Iterable[AccountRow],
    now: datetime,
    decisions: Iterable[Decision] = (),
    began: datetime | None = None,
) -> dict[tuple[str, str], tuple[str, ...]]:
    """Who registers each account at a moment.

    What names nobody's account (a home page, a post of somebody else's) is left out, and so is what a
    person said is not theirs.
    """
    words = [word for word in in_force(decisions, now, began) if word.kind in DISOWNING]
    ids = {word.account_id for word in words} - {None}
    keys = {(word.association, word.channel, word.value) for word in words if word.account_id is None}
    owners: dict[tuple[str, str], tuple[str, ...]] = {}
    for row in accounts:
        at = (row.channel, row.identity.key or "")
        theirs = row.id not in ids and (row.association, *at) not in keys
        named = at[1] and row.identity.kind in ACCOUNTS and live(row, now)
        if named and theirs and row.association not in owners.get(at, ()):
            owners[at] = (*owners.get(at, ()), row.association)
    return owners
