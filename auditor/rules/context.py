"""A case: everything a rule may look at to judge one association on one night. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from probes.models.finding import ACCOUNT_KINDS, FactValue, Finding, FoundLink, LinkKind, Presence
from storage.models.audit import AccountRow, AccountState, AccountStatus, Association, Proposal

"""What a typed link must be to be somebody's account (a short link may turn out to be one)."""

NON_ACCOUNT_KINDS = frozenset(
    {LinkKind.INVALID, LinkKind.POST, LinkKind.SHARE, LinkKind.SEARCH, LinkKind.HOME, LinkKind.FILE}
)
"""What a typed link is where it leads to nobody's account: it is told of from the registry alone."""


@dataclass(frozen=True, slots=True)
class EvaluatedAccount:
    """A registered account and what is held true of it.

    `tonight` says that this night's look at it was decided, on a channel that was not blind.
    `aliases` are the keys that name the same account: its own, its platform's id, the one it moved to.
    """

    row: AccountRow
    status: AccountStatus
    was_decided_in_run: bool = False
    aliases: frozenset[str] = frozenset()

    @property
    def subject(self) -> str:
        """What tells this account from another on its channel."""
        return self.row.identity.key or self.row.typed_text

    @property
    def url(self) -> str:
        """The address to show."""
        return self.row.identity.canonical or self.row.identity.url or self.row.typed_text

    @property
    def is_account(self) -> bool:
        """Whether the link names an account at all."""
        return self.row.identity.key is not None and self.row.identity.kind in ACCOUNT_KINDS

    @property
    def present_finding(self) -> Finding | None:
        """The last decided finding, where it was of a present account and none has confirmed its loss."""
        known = self.status.last_known_finding
        if (
            known is None
            or known.presence is not Presence.PRESENT
            or self.status.state is AccountState.GONE
        ):
            return None
        return known

    def is_linked_by(self, link: FoundLink) -> bool:
        """Whether a link found on a page leads to this account, or to the owner of a registered post."""
        return link.channel == self.row.channel and (
            link.key == self.row.identity.key or link.key in self.aliases
        )

    @property
    def all_keys(self) -> frozenset[str]:
        """Every key known to name this account."""
        return self.aliases | {self.subject}

    def may_be_linked_by(self, link: FoundLink) -> bool:
        """Whether a link under another name may lead to this account all the same."""
        return link.channel == self.row.channel and may_be_same_account(self.all_keys, {link.key})


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """What a rule sees in a case. What is not seen does not hold.

    `holds` is None where it cannot be told tonight: the gap stays as it was. `decided` says whether
    tonight counts. `confirmed` is the rule's own word on opening; None leaves it to the catalogue's nights,
    counted from `nights` where the rule knows them better than the gap's row. `ended` says that what was
    believed until now is over, though something else is doubted.
    """

    channel: str
    subject: str = ""
    holds: bool | None = True
    is_decided: bool = True
    is_confirmed: bool | None = None
    run_count: int | None = None
    has_ended: bool = False
    params: Mapping[str, FactValue] = field(default_factory=dict)
    evidence: Mapping[str, FactValue] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RuleContext:
    """One association, its accounts (withdrawn and disowned ones left out), its proposals, this night.

    `began` is when the night began; `none_by_choice` are channels it decided not to have; `shared`
    gives, for (channel, key) of its accounts and of the sites they name, the other associations that
    register it; `disowned` are the (channel, key) pairs a person said are not theirs; `moved` are the
    channels where one said the account is elsewhere now; `unwell` are the (channel, subject) pairs of which
    an open gap says that they cannot be reached.
    """

    association: Association
    accounts: tuple[EvaluatedAccount, ...]
    now: datetime
    run_started_at: datetime
    proposals: tuple[Proposal, ...] = ()
    none_by_choice: frozenset[str] = frozenset()
    other_owners: Mapping[tuple[str, str], tuple[str, ...]] = field(default_factory=dict)
    disowned_accounts: frozenset[tuple[str, str]] = frozenset()
    moved_channels: frozenset[str] = frozenset()
    unreachable_sites: frozenset[tuple[str, str]] = frozenset()

    def accounts_on(self, channel: str) -> Iterator[EvaluatedAccount]:
        """The accounts on a channel."""
        return (held for held in self.accounts if held.row.channel == channel)

    def is_known_link(self, link: FoundLink) -> bool | None:
        """Whether a found account is registered or was disowned; None where it may be, under another name."""
        if (link.channel, link.key) in self.disowned_accounts or any(
            held.is_linked_by(link) for held in self.accounts
        ):
            return True
        kept = (
            held
            for held in self.accounts
            if held.is_account and held.status.state is not AccountState.GONE
        )
        return None if any(held.may_be_linked_by(link) for held in kept) else False

    def list_readable_sites(self) -> list[EvaluatedAccount]:
        """The association's websites whose pages were read the last time anything could be told."""
        return [
            held
            for held in self.accounts_on("website")
            if held.present_finding is not None and was_page_read(held.present_finding)
        ]


NEVER_ALIASED_PREFIXES = ("in/", "group:")
"""People and groups: such a key never is another name of a page or a channel."""

KEY_STYLE_PATTERN = re.compile(r"(@|[a-z]+[:/])?(\d+$)?")


def may_be_same_account(keys: Iterable[str], other_keys: Iterable[str]) -> bool:
    """Whether two sets of keys may name one account, though they have none in common.

    A number and a handle cannot be compared (`id:12` and `u:nour` may be one page), two handles can.
    """
    mine, theirs = frozenset(keys), frozenset(other_keys)
    if any(key.startswith(NEVER_ALIASED_PREFIXES) for key in mine | theirs):
        return False
    return not mine & theirs and not set(map(_get_key_style, mine)) & set(
        map(_get_key_style, theirs)
    )


def _get_key_style(key: str) -> tuple[str | None, bool]:
    """How a key names: by what stands before the name, and whether that is a number."""
    told = KEY_STYLE_PATTERN.match(key)
    assert told is not None
    return told[1], told[2] is not None


def was_page_read(finding: Finding) -> bool:
    """Whether a website's page was really parsed: it then has the facts that every reading has."""
    return bool(finding.links) or "viewport" in finding.facts
