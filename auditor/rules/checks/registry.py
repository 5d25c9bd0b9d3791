"""Checks about the registry alone: missing entries, kinds of links, duplicates."""

import re
from collections.abc import Iterable, Iterator
from itertools import combinations
from operator import attrgetter
from typing import Literal

from pydantic import Field

from auditor.rules.checks.base import AccountRule, Rule, build_common_params, format_iso_day
from auditor.rules.context import EvaluatedAccount, RuleContext, RuleMatch, may_be_same_account
from probes.models.finding import LinkKind
from storage.models.audit import CONTACT_METHODS, Association

ARABIC_LETTER_PATTERN = re.compile(r"[\u0621-\u064a]")


class UndeclaredRule(Rule):
    """No account of a channel is registered, and no decision says that this is by choice.

    A cell with "none" registers nothing. An unreadable link or a short link may be an account.
    """

    check: Literal["undeclared"]
    channels: tuple[str, ...] = Field(min_length=1)

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each channel without an account."""
        decided_channels = context.none_by_choice | context.moved_channels
        for channel in self.channels:
            identities = map(attrgetter("row.identity"), context.accounts_on(channel))
            possible_kinds = {LinkKind.INVALID, LinkKind.SHORT_LINK}
            has_account = any(
                item.key is not None or item.kind in possible_kinds for item in identities
            )
            if not has_account and channel not in decided_channels:
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
        used_channels = set(map(attrgetter("channel"), context.accounts))
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
    for first, second in combinations(distinct_accounts, 2):
        if not may_be_same_account(first.all_keys, second.all_keys):
            return [account.url for account in distinct_accounts]
    return []


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
        missing_fields = [field for field in self.fields if not _has_field(association, field)]
        if missing_fields:
            yield RuleMatch("", params={"fields": " ".join(missing_fields)})


def _has_field(association: Association, field: str) -> bool:
    if field == "email":
        return bool(association.contact_methods)
    if field in CONTACT_METHODS:
        return field in association.contact_methods
    main_name = "name_ar" if ARABIC_LETTER_PATTERN.search(association.name) else "name_fr"
    return bool(getattr(association, field)) or field == main_name


class SharedRule(AccountRule):
    """An account that two associations register."""

    check: Literal["shared"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each account that another association registers, too."""
        other_owners = context.other_owners.get((account.channel, account.subject), ())
        if account.is_account and other_owners:
            params = build_common_params(account, context, other=other_owners[0])
            yield RuleMatch(account.channel, account.subject, params=params)
