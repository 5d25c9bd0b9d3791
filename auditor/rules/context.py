"""A case: everything a rule may look at to judge one association on one night. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from probes.models.finding import ACCOUNTS, Finding, FoundLink, Kind, Presence, Scalar
from storage.models.audit import AccountRow, Association, Proposal, Standing, State

"""What a typed link must be to be somebody's account (a short link may turn out to be one)."""

NO_ACCOUNT = frozenset({Kind.INVALID, Kind.POST, Kind.SHARE, Kind.SEARCH, Kind.HOME, Kind.FILE})
"""What a typed link is where it leads to nobody's account: it is told of from the registry alone."""


@dataclass(frozen=True, slots=True)
class Held:
    """A registered account and what is held true of it.

    `tonight` says that this night's look at it was decided, on a channel that was not blind.
    `aliases` are the keys that name the same account: its own, its platform's id, the one it moved to.
    """

    row: AccountRow
    standing: Standing
    tonight: bool = False
    aliases: frozenset[str] = frozenset()

    @property
    def subject(self) -> str:
        """What tells this account from another on its channel."""
        return self.row.identity.key or self.row.typed

    @property
    def url(self) -> str:
        """The address to show."""
        return self.row.identity.canonical or self.row.identity.url or self.row.typed

    @property
    def is_account(self) -> bool:
        """Whether the link names an account at all."""
        return self.row.identity.key is not None and self.row.identity.kind in ACCOUNTS

    @property
    def seen(self) -> Finding | None:
        """The last decided finding, where it was of a present account and none has confirmed its loss."""
        known = self.standing.known
        if known is None or known.presence is not Presence.PRESENT or self.standing.state is State.GONE:
            return None
        return known

    def names(self, link: FoundLink) -> bool:
        """Whether a link found on a page leads to this account, or to the owner of a registered post."""
        return link.channel == self.row.channel and (
            link.key == self.row.identity.key or link.key in self.aliases
        )

    @property
    def keys(self) -> frozenset[str]:
        """Every key known to name this account."""
        return self.aliases | {self.subject}

    def may_be(self, link: FoundLink) -> bool:
        """Whether a link under another name may lead to this account all the same."""
        return link.channel == self.row.channel and may_be_one(self.keys, {link.key})


@dataclass(frozen=True, slots=True)
class Sign:
    """What a rule sees in a case. What is not seen does not hold.

    `holds` is None where it cannot be told tonight: the gap stays as it was. `decided` says whether
    tonight counts. `confirmed` is the rule's own word on opening; None leaves it to the catalogue's nights,
    counted from `nights` where the rule knows them better than the gap's row. `ended` says that what was
    believed until now is over, though something else is doubted.
    """

    channel: str
    subject: str = ""
    holds: bool | None = True
    decided: bool = True
    confirmed: bool | None = None
    nights: int | None = None
    ended: bool = False
    params: Mapping[str, Scalar] = field(default_factory=dict)
    evidence: Mapping[str, Scalar] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Case:
    """One association, its accounts (withdrawn and disowned ones left out), its proposals, this night.

    `began` is when the night began; `none_by_choice` are channels it decided not to have; `shared`
    gives, for (channel, key) of its accounts and of the sites they name, the other associations that
    register it; `disowned` are the (channel, key) pairs a person said are not theirs; `moved` are the
    channels where one said the account is elsewhere now; `unwell` are the (channel, subject) pairs of which
    an open gap says that they cannot be reached.
    """

    association: Association
    accounts: tuple[Held, ...]
    now: datetime
    began: datetime
    proposals: tuple[Proposal, ...] = ()
    none_by_choice: frozenset[str] = frozenset()
    shared: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    disowned: frozenset[tuple[str, str]] = frozenset()
    moved: frozenset[str] = frozenset()
    unwell: frozenset[tuple[str, str]] = frozenset()

    def on(self, channel: str) -> Iterator[Held]:
        """The accounts on a channel."""
        return (held for held in self.accounts if held.row.channel == channel)

    def knows(self, link: FoundLink) -> bool | None:
        """Whether a found account is registered or was disowned; None where it may be, under another name."""
        if (link.channel, link.key) in self.disowned or any(held.names(link) for held in self.accounts):
            return True
        kept = (held for held in self.accounts if held.is_account and held.standing.state is not State.GONE)
        return None if any(held.may_be(link) for held in kept) else False

    def sites(self) -> list[Held]:
        """The association's websites whose pages were read the last time anything could be told."""
        return [held for held in self.on("website") if held.seen is not None and was_read(held.seen)]


APART = ("in/", "group:")
"""People and groups: such a key never is another name of a page or a channel."""

WAY = re.compile(r"(@|[a-z]+[:/])?(\d+$)?")


def may_be_one(keys: Iterable[str], others: Iterable[str]) -> bool:
    """Whether two sets of keys may name one account, though they have none in common.

    A number and a handle cannot be compared (`id:12` and `u:nour` may be one page), two handles can.
    """
    mine, theirs = frozenset(keys), frozenset(others)
    if any(key.startswith(APART) for key in mine | theirs):
        return False
    return not mine & theirs and not set(map(_way, mine)) & set(map(_way, theirs))


def _way(key: str) -> tuple[str | None, bool]:
    """How a key names: by what stands before the name, and whether that is a number."""
    told = WAY.match(key)
    assert told is not None
    return told[1], told[2] is not None


def was_read(finding: Finding) -> bool:
    """Whether a website's page was really parsed: it then has the facts that every reading has."""
    return bool(finding.links) or "viewport" in finding.facts
