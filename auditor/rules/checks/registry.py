"""Checks about the registry alone: missing entries, kinds of links, duplicates."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal

from pydantic import Field

from auditor.reference.gap_catalogue import GapCatalogue
from auditor.rules.checks.base import Rule, build_common_params, format_iso_day
from auditor.rules.context import EvaluatedAccount, RuleContext, RuleMatch, may_be_same_account
from probes.models.finding import LinkKind
from storage.models.audit import CONTACT_METHODS, AccountState, Association


class UndeclaredRule(Rule):
    """No account of a channel is registered, and no decision says that this is by choice.

    A cell with "none" registers nothing. An unreadable link or a short link may be an account.
    """

    check: Literal["undeclared"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each channel without an account."""
        for channel in self.channels:
            if channel not in context.none_by_choice | context.moved_channels and not any(
                map(_may_be_account, context.accounts_on(channel))
            ):
                yield RuleMatch(channel, params={"checked_at": format_iso_day(context.now)})

    def try_on_sample(self, catalogue: GapCatalogue) -> None:
        """Also refuse a rule without channels."""
        super().try_on_sample(catalogue)
        if not self.channels:
            raise ValueError(
                f"rule {self.code!r}: no channels; try: those that an association should have"
            )


def _may_be_account(account: EvaluatedAccount) -> bool:
    return account.row.identity.key is not None or account.row.identity.kind in {
        LinkKind.INVALID,
        LinkKind.SHORT_LINK,
    }


class KindIsRule(Rule):
    """A registered link of one of these kinds. Uses only the registry."""

    check: Literal["kind_is"]
    kinds: tuple[LinkKind, ...] = Field(min_length=1)

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each such link."""
        if account.row.identity.kind in self.kinds:
            facts = {
                **build_common_params(account, context),
                "kind": str(account.row.identity.kind),
                "found_on": "registry",
            }
            yield RuleMatch(
                account.row.channel or account.row.column,
                account.subject,
                params={**facts, "typed": account.row.typed_text},
            )


class ColumnHoldsChannelRule(Rule):
    """A link of a platform in the website column; it counts as an account of that platform."""

    check: Literal["column_holds_channel"]
    column: str = "website"

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each such cell."""
        row = account.row
        if row.column == self.column != row.channel and row.identity.kind not in {
            LinkKind.INVALID,
            LinkKind.NONE,
        }:
            yield RuleMatch(
                self.column,
                account.subject,
                params={**build_common_params(account, context), "channel": row.channel},
            )


class DuplicateRule(Rule):
    """Several accounts of an association on one channel that are not lost.

    Two keys that cannot be compared, a number and a handle, may be the same account; this is
    unknown.
    """

    check: Literal["duplicate"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each channel with several accounts."""
        for channel in self.channels or sorted(
            {account.row.channel for account in context.accounts}
        ):
            candidates = [
                account
                for account in context.accounts_on(channel)
                if account.is_account and account.status.state is not AccountState.GONE
            ]
            distinct_accounts = [
                account
                for index, account in enumerate(candidates)
                if not any(_is_same_account(account, second) for second in candidates[:index])
            ]
            if any(
                not may_be_same_account(first.all_keys, second.all_keys)
                for first, second in combinations(distinct_accounts, 2)
            ):
                yield RuleMatch(
                    channel,
                    params={
                        "url": distinct_accounts[0].url,
                        "urls": " ".join(first.url for first in distinct_accounts),
                    },
                )


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
        missing_fields = [
            field for field in self.fields if not _has_field(context.association, field)
        ]
        if missing_fields:
            yield RuleMatch("", params={"fields": " ".join(missing_fields)})


def _has_field(association: Association, field: str) -> bool:
    if field in CONTACT_METHODS:
        return field in association.contact_methods or (
            field == "email" and bool(association.contact_methods)
        )
    is_arabic = any("\u0621" <= letter <= "\u064a" for letter in association.name)
    is_in_name = {"name_ar": is_arabic, "name_fr": not is_arabic}.get(field, False)
    return is_in_name or bool(getattr(association, field))


def _is_same_account(account: EvaluatedAccount, other_account: EvaluatedAccount) -> bool:
    return bool(account.all_keys & other_account.all_keys)


class SharedRule(Rule):
    """An account that two associations register."""

    check: Literal["shared"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each account that another association registers, too."""
        other_owners = context.other_owners.get((account.row.channel, account.subject), ())
        if account.is_account and other_owners:
            yield RuleMatch(
                account.row.channel,
                account.subject,
                params={**build_common_params(account, context), "other": other_owners[0]},
            )
