"""The input of a rule: one association with its accounts in one run. Pure.

It has the expiry of each website's domain, from its registry or as a person stated it. The
registry's answer counts while it is recent. Otherwise the newest decision that states a date counts
until that day has passed. Without either, the expiry could not be checked, which is never a gap.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum
from functools import cached_property

from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.links.domains import find_rdap_service, get_own_domain
from probes.models.finding import (
    ACCOUNT_KINDS,
    FactValue,
    Finding,
    FoundLink,
    LinkKind,
    Presence,
    Reason,
)
from storage.models.audit import (
    AccountRow,
    AccountState,
    AccountStatus,
    Association,
    Decision,
    DecisionKind,
    DomainCheck,
    Proposal,
)

NON_ACCOUNT_KINDS = frozenset(
    {
        LinkKind.INVALID,
        LinkKind.POST,
        LinkKind.SHARE,
        LinkKind.SEARCH,
        LinkKind.HOME,
        LinkKind.FILE,
        LinkKind.PHONE,
    }
)
"""Kinds of links that lead to no account; only rules about the registry use them."""


@dataclass(frozen=True)
class EvaluatedAccount:
    """A registered account with its status.

    `was_decided_in_run` is True if this run had a conclusive check on a reliable channel. `aliases`
    are all keys of the account: registered, platform id, target of a redirect.
    """

    row: AccountRow
    status: AccountStatus
    was_decided_in_run: bool = False
    aliases: frozenset[str] = frozenset()

    @cached_property
    def channel(self) -> str:
        """Return the channel of the account."""
        return self.row.channel

    @property
    def is_gone(self) -> bool:
        """Return True if the account is confirmed as gone."""
        return self.status.state is AccountState.GONE

    @property
    def subject(self) -> str:
        """Return the text that distinguishes the account on its channel."""
        return self.row.subject

    @property
    def url(self) -> str:
        """Return the URL to show. Websites without HTTPS are not reached by their canonical one."""
        identity = self.row.identity
        if self.channel == WEBSITE_CHANNEL and (identity.url or "").startswith("http://"):
            return identity.url or ""
        return identity.canonical or identity.url or self.row.typed_text

    @property
    def is_account(self) -> bool:
        """Return True if the link names an account."""
        return self.row.identity.key is not None and self.row.identity.kind in ACCOUNT_KINDS

    @property
    def is_living_account(self) -> bool:
        """Return True if the link names an account that is not gone."""
        return self.is_account and not self.is_gone

    @cached_property
    def present_finding(self) -> Finding | None:
        """Return the last conclusive finding if the account is present, else None.

        An account that is confirmed as gone has none.
        """
        last_finding = self.status.last_known_finding
        if self.is_gone or last_finding is None or last_finding.presence is not Presence.PRESENT:
            return None
        return last_finding

    @property
    def present_name(self) -> str:
        """Return the public name of the present account, or ""."""
        return (self.present_finding.name or "") if self.present_finding is not None else ""

    @property
    def present_url(self) -> str:
        """Return the address at which the present account answered, or ""."""
        return (self.present_finding.final_url or "") if self.present_finding is not None else ""

    @property
    def present_facts(self) -> Mapping[str, FactValue]:
        """Return the facts of the present account, or none."""
        return self.present_finding.facts if self.present_finding is not None else {}

    @property
    def present_links(self) -> tuple[FoundLink, ...]:
        """Return the links of the present account, or none."""
        return self.present_finding.links if self.present_finding is not None else ()

    @property
    def was_page_read(self) -> bool:
        """Return True if a page was parsed; it then has the facts of every parsed page."""
        return bool(self.present_links) or "viewport" in self.present_facts

    def is_linked_by(self, link: FoundLink) -> bool:
        """Return True if a link leads to this account, or to the owner of a registered post."""
        if link.channel != self.channel:
            return False
        return link.key == self.row.identity.key or link.key in self.aliases

    @property
    def all_keys(self) -> frozenset[str]:
        """Return every known key of the account."""
        return self.aliases | {self.subject}

    def may_be_linked_by(self, link: FoundLink) -> bool:
        """Return True if a link with another key may still lead to this account."""
        return link.channel == self.row.channel and may_be_same_account(self.all_keys, {link.key})


class MatchOutcome(StrEnum):
    """The effect of a match on its gap."""

    UNKNOWN = "unknown"
    """Nothing is known in this run. The gap stays as it was."""
    REMAINS = "remains"
    """It still matches, but this run does not count."""
    DOUBTED = "doubted"
    """It matches and counts, but no number of runs opens the gap."""
    COUNTED = "counted"
    """It matches and counts. The gap opens after the runs of the catalogue."""
    CONFIRMED = "confirmed"
    """It matches, counts and opens the gap."""
    REMAINS_CONFIRMED = "remains_confirmed"
    """It opens the gap, but this run does not count."""
    ENDED = "ended"
    """The cause of the gap ended, and something else is doubted. An open gap closes."""

    @property
    def certainty(self) -> int:
        """Return 0 if nothing is known, 2 if the gap opens at once, else 1."""
        return 0 if self is MatchOutcome.UNKNOWN else 1 + self.confirms

    @property
    def counts(self) -> bool:
        """Return True if the run is one of those that matched."""
        return self in {MatchOutcome.DOUBTED, MatchOutcome.COUNTED, MatchOutcome.CONFIRMED}

    @property
    def confirms(self) -> bool:
        """Return True if the gap opens at once."""
        return self in {MatchOutcome.CONFIRMED, MatchOutcome.REMAINS_CONFIRMED}


@dataclass(frozen=True, slots=True)
class RuleMatch:
    """A match of a rule.

    `run_count` is the number of runs that matched, if the rule knows it; else they are counted.
    `severity` replaces that of the catalogue, unless it is empty.
    """

    channel: str
    subject: str = ""
    outcome: MatchOutcome = MatchOutcome.COUNTED
    run_count: int | None = None
    severity: str = ""
    params: Mapping[str, FactValue] = field(default_factory=dict)
    evidence: Mapping[str, FactValue] = field(default_factory=dict)


MAX_ANSWER_AGE = timedelta(days=28)
"""An older answer of a registry may be from before a renewal, so no gap is based on it."""


@dataclass(frozen=True, slots=True)
class DomainExpiry:
    """The expiry of a domain as it is known at a run.

    `source` is "registry" or "stated", or "" if the expiry could not be checked; `cause` then says
    why (group `cause` of `terms.toml`). It is "not_registered" if the registry does not know the
    domain. `known_at` is when the registry answered or the person stated it. `has_registry_answer`
    is True if the registry ever answered, unless its newest answer names neither date nor status.
    """

    domain: str
    source: str = ""
    expires_on: date | None = None
    other_expiry: date | None = None
    has_expired: bool = False
    status: str = ""
    known_at: datetime | None = None
    cause: str = ""
    has_registry_answer: bool = False

    @property
    def is_known(self) -> bool:
        """Return True if there is a date, or a status of a lost domain."""
        return self.expires_on is not None or bool(self.status)


def find_website_domain(row: AccountRow) -> str:
    """Return the registrable domain of a registered website, or "" if a platform owns it."""
    key = row.identity.key
    if row.channel != WEBSITE_CHANNEL or row.identity.kind not in ACCOUNT_KINDS:
        return ""
    return get_own_domain(key.partition("/")[0].partition(":")[0]) if key else ""


def select_stated_expiries(decisions: Iterable[Decision]) -> dict[int, Decision]:
    """Return the newest decision that states an expiry, by account. Needs decisions in order."""
    stated = {}
    for decision in decisions:
        if decision.kind is DecisionKind.DOMAIN_EXPIRES and decision.account_id is not None:
            stated[decision.account_id] = decision
    return stated


def find_domain_expiry(
    row: AccountRow,
    checks: Mapping[int, DomainCheck],
    stated: Mapping[int, Decision],
    run_started_at: datetime,
) -> DomainExpiry | None:
    """Return the expiry of a website's domain, or None if a platform owns it."""
    domain = find_website_domain(row)
    if not domain:
        return None
    account_id = row.id or 0
    check = drop_check_of_other_domain(checks.get(account_id), domain)
    if check is not None and is_answer_usable(check, run_started_at):
        today = run_started_at.date()
        return DomainExpiry(
            check.domain,
            "registry",
            expires_on=check.expires_on,
            other_expiry=check.other_expiry,
            has_expired=check.expires_on is not None and check.expires_on < today,
            status=check.statuses.partition(",")[0].replace(" ", "_"),
            cause="not_registered" if check.reason is Reason.NOT_FOUND else "",
            known_at=check.answered_at,
            has_registry_answer=True,
        )
    has_answer = (
        check is not None
        and check.answered_at is not None
        and bool(check.expires_on or check.statuses or check.reason)
    )
    decision = stated.get(account_id)
    if decision is not None:
        return DomainExpiry(
            domain,
            "stated",
            expires_on=date.fromisoformat(str(decision.value)),
            known_at=decision.decided_at,
            has_registry_answer=has_answer,
        )
    return DomainExpiry(domain, cause=_find_cause(domain, check), has_registry_answer=has_answer)


def drop_check_of_other_domain(check: DomainCheck | None, domain: str) -> DomainCheck | None:
    """Return a check, or None if it is from before the registered link was corrected."""
    return check if check is not None and check.domain == domain else None


def is_answer_usable(check: DomainCheck, run_started_at: datetime) -> bool:
    """Return True if the answer is recent and still says something about the present."""
    if check.answered_at is None or run_started_at - check.answered_at > MAX_ANSWER_AGE:
        return False
    has_answer = bool(check.expires_on or check.statuses or check.reason is Reason.NOT_FOUND)
    return has_answer and not was_expiry_passed_since(check, run_started_at.date())


def was_expiry_passed_since(check: DomainCheck, today: date) -> bool:
    """Return True if the stated day has passed since the registry answered.

    The domain may have been renewed in the meantime, so the registry has to be asked again.
    """
    if check.expires_on is None or check.answered_at is None:
        return False
    return check.answered_at.date() <= check.expires_on < today


def _find_cause(domain: str, check: DomainCheck | None) -> str:
    """Return why the expiry is not known."""
    if find_rdap_service(domain) is None:
        return "no_service"
    if check is None:
        return "not_asked"
    return CAUSE_BY_REASON.get(check.reason, str(check.reason))


CAUSE_BY_REASON = {None: "no_date", Reason.NOT_FOUND: "not_registered"}
"""Causes of an unknown expiry. Other reasons of a check are their own cause."""


@dataclass(frozen=True, slots=True)
class RuleContext:
    """One association with its evaluated accounts and proposals.

    Withdrawn and disowned accounts are left out. `other_owners` gives, for (channel, key) of its
    accounts and of linked sites, the other associations that register it. `disowned_accounts` are
    (channel, key) pairs. `moved_channels` have an account that moved to an unknown address.
    `unreachable_sites` are (channel, subject) pairs with an open gap. `domain_expiries` are by
    account id, for websites with a domain of their own.
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
    domain_expiries: Mapping[int, DomainExpiry] = field(default_factory=dict)

    def accounts_on(self, channel: str) -> list[EvaluatedAccount]:
        """Return the accounts on a channel."""
        return [account for account in self.accounts if account.channel == channel]

    def is_known_link(self, link: FoundLink) -> bool | None:
        """Return True if a linked account is registered or disowned, None if it may be.

        It may be if the link has another kind of key than an account that is not gone.
        """
        if (link.channel, link.key) in self.disowned_accounts:
            return True
        is_known: bool | None = False
        for account in self.accounts:
            if account.is_linked_by(link):
                return True
            if account.is_living_account and account.may_be_linked_by(link):
                is_known = None
        return is_known

    @property
    def sites(self) -> list[EvaluatedAccount]:
        """Return the registered websites."""
        return self.accounts_on(WEBSITE_CHANNEL)

    def list_readable_sites(self) -> list[EvaluatedAccount]:
        """Return the websites whose pages were parsed in their last conclusive check."""
        return [site for site in self.sites if site.was_page_read]


NEVER_ALIASED_PREFIXES = ("in/", "group:")
"""Prefixes of people and groups: such a key is never another name of a page or channel."""
KEY_STYLE_PATTERN = re.compile(r"(@|[a-z]+[:/])?(\d+$)?")


def may_be_same_account(keys: Iterable[str], other_keys: Iterable[str]) -> bool:
    """Return True if two sets of keys may name the same account although they share none.

    A number and a handle cannot be compared (`id:12` and `u:nour` may be one page); two handles
    can.
    """
    first_keys, second_keys = frozenset(keys), frozenset(other_keys)
    if any(key.startswith(NEVER_ALIASED_PREFIXES) for key in first_keys | second_keys):
        return False
    if first_keys & second_keys:
        return False
    return set(map(_get_key_style, first_keys)).isdisjoint(map(_get_key_style, second_keys))


def _get_key_style(key: str) -> tuple[str | None, bool]:
    """Return the prefix of a key, and whether its name is a number."""
    match = KEY_STYLE_PATTERN.match(key)
    assert match is not None
    return match[1], match[2] is not None


def get_site_keys(link: FoundLink) -> tuple[str, str]:
    """Return the keys under which a site may be registered: the page and its host."""
    return link.key, link.key.partition("/")[0]
