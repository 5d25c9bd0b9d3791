"""Checks of rules: their parameters, and those about the registry, links and names.

A rule of `config.toml` has one of these checks or of those in `observation_checks`. A rule is
three-valued: it matches, it is unknown in this run, or it yields nothing, which means that it does
not match. An unknown result is never a gap.
"""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from datetime import datetime
from itertools import combinations, starmap
from operator import attrgetter, itemgetter
from typing import ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.context import (
    EvaluatedAccount,
    MatchOutcome,
    RuleContext,
    RuleMatch,
    may_be_same_account,
)
from auditor.rules.link_reciprocity import are_all_pages_read, has_link_to_site, is_linked_from_site
from auditor.rules.name_matching import (
    format_expected_names,
    has_name_in_handle,
    is_account_named,
    is_similar_handle,
    is_site_named,
    list_association_names,
)
from probes.links.channel_registry import WEBSITE_CHANNEL, is_optional_channel, list_channel_names
from probes.links.identify import strip_key_prefix
from probes.models.finding import LINKS_CUT_FACT, FactValue, LinkKind
from storage.models.audit import CONTACT_METHODS


class Rule(BaseModel, ABC):
    """The code of the gap, and the channels of the rule (none: all).

    `optional` means every optional channel.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    code: str
    channels: tuple[str, ...] = ()
    reads_profile: ClassVar[bool] = False
    """True if a match depends on the name or the links of an account's profile."""

    @field_validator("channels")
    @classmethod
    def _expand_optional(cls, channels: tuple[str, ...]) -> tuple[str, ...]:
        groups = {"optional": [*filter(is_optional_channel, list_channel_names())]}
        return tuple(name for entry in channels for name in groups.get(entry, [entry]))

    @model_validator(mode="after")
    def _validate_code(self) -> Rule:
        # The configuration refuses an unknown code itself, with a suggestion.
        definition = load_gap_catalogue().definitions.get(self.code)
        if definition is not None and not definition.is_gap:
            raise ValueError(f"rule {self.code!r}: a status, not a gap")
        return self

    @abstractmethod
    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield the matches in a context."""

    def applies_to(self, channel: str) -> bool:
        """Return True if the rule is about a channel."""
        return not self.channels or channel in self.channels


class AccountRule(Rule):
    """A rule that looks at one account at a time."""

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield the matches for the accounts on the channels of the rule."""
        for account in context.accounts:
            if self.applies_to(account.channel):
                yield from self.match_account(account, context)

    @abstractmethod
    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield the matches for one account."""


OUTCOME_BY_DECIDED = {True: MatchOutcome.COUNTED, False: MatchOutcome.REMAINS}
"""The outcome of a match by whether this run was conclusive."""


def build_account_match(
    account: EvaluatedAccount, context: RuleContext, **params: FactValue
) -> RuleMatch:
    """Return a match for an account with its evidence; it counts if this run was conclusive."""
    return RuleMatch(
        account.channel,
        account.subject,
        OUTCOME_BY_DECIDED[account.was_decided_in_run],
        params=build_common_params(account, context, **params),
        evidence=build_evidence_params(account),
    )


def build_unknown_match(account: EvaluatedAccount) -> RuleMatch:
    """Return a match that leaves the gap of an account as it was."""
    return RuleMatch(account.channel, account.subject, MatchOutcome.UNKNOWN)


def build_common_params(
    account: EvaluatedAccount, context: RuleContext, **params: FactValue
) -> dict[str, FactValue]:
    """Return the parameters of a text, with those of every text: address and day of the check."""
    checked_at = account.status.checked_at or context.now
    return {"url": account.url, "checked_at": format_iso_day(checked_at), **params}


def build_title_params(account: EvaluatedAccount) -> dict[str, FactValue]:
    """Return the title of the page, and the words that revealed the problem."""
    last_finding = account.status.last_known_finding
    if last_finding is None:
        return {}
    title = get_page_title(account)
    marker = last_finding.detail or title
    return {"page_title": title, "marker": marker, "markers": marker}


def get_page_title(account: EvaluatedAccount) -> FactValue:
    """Return the title of an account's page when it was last known, else its name or URL."""
    finding = account.status.last_known_finding
    return (finding and (finding.facts.get("title") or finding.name)) or account.url


def build_evidence_params(account: EvaluatedAccount) -> dict[str, FactValue]:
    """Return the evidence of a gap: status, final address, finding."""
    last_finding = account.status.last_known_finding
    if last_finding is None:
        return {}
    proof = {
        "status": last_finding.status,
        "final_url": last_finding.final_url,
        "detail": last_finding.detail,
    }
    return {name: value for name, value in proof.items() if value not in (None, "")}


def format_iso_day(timestamp: datetime | None) -> str:
    """Return an ISO date, or "" for None."""
    return timestamp.date().isoformat() if timestamp else ""


class ProposedRule(Rule):
    """An account that the association's site links to and that is not registered.

    It is no longer linked only if all sites were read in this run, because a login wall hides
    links. It is unknown if it may be a registered account under another name.
    """

    check: Literal["proposed"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each proposal that is still linked."""
        sites = context.list_readable_sites()
        were_read = {site.was_decided_in_run and are_all_pages_read(site) for site in sites}
        for proposal in context.proposals:
            link, is_fresh = proposal.link, proposal.last_seen >= context.run_started_at
            is_known = context.is_known_link(link)
            is_no_longer_linked = were_read == {True} and not is_fresh
            if is_known or is_no_longer_linked or not self.applies_to(link.channel):
                continue
            params = {
                "url": link.canonical,
                "found_on": link.page_url,
                "source": link.source,
                "snippet": link.snippet,
            }
            outcome = OUTCOME_BY_DECIDED[is_fresh]
            if is_known is None:
                outcome = MatchOutcome.UNKNOWN
            yield RuleMatch(link.channel, link.key, outcome, params=params)


class LinksToGoneRule(AccountRule):
    """A site that links to an account of its association that is confirmed as gone.

    A gone account on an optional channel has its own gap and does not count against the site.
    """

    check: Literal["links_to_gone"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for the site with the dead links."""
        if account.present_finding is None:
            yield build_unknown_match(account)
            return
        gone_accounts = [account for account in context.accounts if account.is_gone]
        dead_links = [
            link
            for link in account.present_links
            if not is_optional_channel(link.channel)
            and any(gone_account.is_linked_by(link) for gone_account in gone_accounts)
        ]
        if dead_links:
            yield build_account_match(
                account,
                context,
                links=" ".join(map(attrgetter("canonical"), dead_links)),
                found_on=dead_links[0].page_url,
            )


class NoBacklinkRule(AccountRule):
    """An account that does not link to its association's site although all its links were read.

    The fact `all_links_resolved` says so: few platforms show visitors more than the first link.
    """

    check: Literal["no_backlink"]
    reads_profile: ClassVar[bool] = True

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if the site exists and the account could link to it."""
        if account.channel == WEBSITE_CHANNEL:
            return
        sites = [site for site in context.sites if site.present_finding]
        facts = account.present_facts
        if not sites or not facts.get("all_links_resolved") or LINKS_CUT_FACT in facts:
            yield build_unknown_match(account)
        elif not has_link_to_site(account, context):
            yield build_account_match(account, context, website=sites[0].url)


class NotLinkedRule(AccountRule):
    """A registered account that the association's site does not link to."""

    check: Literal["not_linked"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each account that no readable site links to."""
        if account.channel == WEBSITE_CHANNEL or not account.is_account or not context.sites:
            return
        is_linked = is_linked_from_site(account, context)
        if account.is_gone or is_linked is None:
            yield build_unknown_match(account)
        elif not is_linked:
            sites = context.list_readable_sites()
            is_decided = any(map(attrgetter("was_decided_in_run"), sites))
            yield RuleMatch(
                account.channel,
                account.subject,
                OUTCOME_BY_DECIDED[is_decided],
                params=build_common_params(account, context, pages=sites[0].url),
            )


class NameDiffersRule(AccountRule):
    """An account whose public name differs from all names of the association."""

    check: Literal["name_differs"]
    reads_profile: ClassVar[bool] = True

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if they can be compared and differ."""
        is_named = is_account_named(account, context)
        if is_named is None:
            yield build_unknown_match(account)
        elif not is_named:
            yield build_account_match(
                account,
                context,
                expected=format_expected_names(context.association),
                found=account.present_name,
            )


class NotNamedRule(AccountRule):
    """A site whose title, main heading and footer do not name the association."""

    check: Literal["not_named"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if they can be compared and differ."""
        is_named = is_site_named(account, context)
        if is_named is None:
            yield build_unknown_match(account)
        elif not is_named:
            yield build_account_match(
                account,
                context,
                expected=format_expected_names(context.association),
                page_title=get_page_title(account),
            )


ORGANISATION_KINDS = frozenset({LinkKind.PROFILE, LinkKind.PAGE})
NUMERIC_KEY_PREFIXES = ("id:", "UC")
"""Keys that begin so are the number that a platform gave an account, not a handle."""


class HandlesDifferRule(Rule):
    """Handles of an association's accounts that have nothing in common. Uses only the registry.

    Two handles that both contain the name or its initials are fine. Handles in different alphabets
    cannot be compared.
    """

    check: Literal["handles_differ"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield one match if two channels have such handles."""
        names = list_association_names(context.association)
        accounts = filter(_has_handle, context.accounts)
        handles = sorted(
            {
                (account.channel, strip_key_prefix(account.subject))
                for account in accounts
                if self.applies_to(account.channel)
            }
        )
        for first, second in combinations(handles, 2):
            (first_channel, first_handle), (second_channel, second_handle) = first, second
            is_similar = first_channel == second_channel or is_similar_handle(
                first_handle, second_handle
            )
            have_names = all(has_name_in_handle(handle, names) for _, handle in (first, second))
            if is_similar is False and not have_names:
                yield RuleMatch("", params={"handles": " · ".join(map(itemgetter(1), handles))})
                return


def _has_handle(account: EvaluatedAccount) -> bool:
    """Return True if an account of an organisation has a handle and not a number."""
    identity = account.row.identity
    if account.is_gone or identity.kind not in ORGANISATION_KINDS or not identity.key:
        return False
    is_number = strip_key_prefix(identity.key).isdigit()
    return not is_number and not identity.key.startswith(NUMERIC_KEY_PREFIXES)


ARABIC_LETTER_PATTERN = re.compile(r"[\u0621-\u064a]")


class UndeclaredRule(Rule):
    """No account of a channel is registered, and no decision says that this is by choice.

    A cell with "none" registers nothing. An unreadable link or a short link may be an account.
    """

    check: Literal["undeclared"]
    channels: tuple[str, ...] = Field(min_length=1)

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each channel without an account."""
        identities = map(attrgetter("row.identity"), context.accounts)
        possible_kinds = {LinkKind.INVALID, LinkKind.SHORT_LINK}
        declared_channels = (context.none_by_choice | context.moved_channels).union(
            item.channel
            for item in identities
            if item.key is not None or item.kind in possible_kinds
        )
        for channel in self.channels:
            if channel not in declared_channels:
                yield RuleMatch(channel, params={"checked_at": format_iso_day(context.now)})


class KindIsRule(AccountRule):
    """A registered link of one of these kinds. Uses only the registry."""

    check: Literal["kind_is"]
    kinds: tuple[LinkKind, ...] = Field(min_length=1)

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each such link."""
        row = account.row
        if row.identity.kind in self.kinds:
            params = build_common_params(
                account,
                context,
                kind=str(row.identity.kind),
                found_on="registry",
                typed=row.typed_text,
            )
            yield RuleMatch(row.channel or row.column, account.subject, params=params)


class ColumnHoldsChannelRule(AccountRule):
    """A link of a platform in the website column; it counts as an account of that platform."""

    check: Literal["column_holds_channel"]
    column: str = "website"

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each such cell."""
        row = account.row
        is_link = row.identity.kind not in {LinkKind.INVALID, LinkKind.NONE}
        if is_link and row.column == self.column != row.channel:
            params = build_common_params(account, context, channel=row.channel)
            yield RuleMatch(self.column, account.subject, params=params)


class DuplicateRule(Rule):
    """Several accounts of an association on one channel that are not lost.

    Two keys that cannot be compared, a number and a handle, may be the same account; this is
    unknown.
    """

    check: Literal["duplicate"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each channel with several accounts."""
        used_channels = {account.channel for account in context.accounts}
        for channel in self.channels or sorted(used_channels):
            urls = _list_distinct_urls(context.accounts_on(channel))
            if urls:
                yield RuleMatch(channel, params={"url": urls[0], "urls": " ".join(urls)})


def _list_distinct_urls(accounts: Iterable[EvaluatedAccount]) -> list[str]:
    """Return the URLs of different accounts; empty unless two are certainly different."""
    known_keys: set[str] = set()
    distinct_accounts = []
    for account in filter(attrgetter("is_living_account"), accounts):
        if known_keys.isdisjoint(account.all_keys):
            distinct_accounts.append(account)
        known_keys |= account.all_keys
    pairs_of_keys = combinations(map(attrgetter("all_keys"), distinct_accounts), 2)
    if all(starmap(may_be_same_account, pairs_of_keys)):
        return []
    return list(map(attrgetter("url"), distinct_accounts))


class IncompleteRule(Rule):
    """A registry entry without data that is needed to contact or identify an association.

    A phone number counts as an address. A name in Arabic letters counts as an Arabic name in any
    column.
    """

    check: Literal["incomplete"]
    fields: tuple[Literal["name_ar", "name_fr", "email", "region", "city", "phone"], ...] = Field(
        min_length=1
    )

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield one match with all missing fields."""
        association = context.association
        main_name = "name_ar" if ARABIC_LETTER_PATTERN.search(association.name) else "name_fr"
        has_field = {
            **dict.fromkeys(CONTACT_METHODS, False),
            **dict.fromkeys(association.contact_methods, True),
            "email": bool(association.contact_methods),
            main_name: True,
        }
        missing_fields = [
            field
            for field in self.fields
            if not has_field.get(field, bool(getattr(association, field, "")))
        ]
        if missing_fields:
            yield RuleMatch("", params={"fields": " ".join(missing_fields)})


class SharedRule(AccountRule):
    """An account that two associations register."""

    check: Literal["shared"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each account that another association registers, too."""
        other_owners = context.other_owners.get((account.channel, account.subject), ())
        if account.is_account and other_owners:
            params = build_common_params(account, context, other=other_owners[0])
            yield RuleMatch(account.channel, account.subject, params=params)
