"""Checks about links between a site and its accounts, and about their names."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import ClassVar, Literal

from auditor.rules.checks.base import (
    Rule,
    build_account_match,
    build_common_params,
    build_unknown_match,
)
from auditor.rules.context import EvaluatedAccount, RuleContext, RuleMatch
from auditor.rules.link_reciprocity import has_link_to_site, has_withheld_pages, is_linked_from_site
from auditor.rules.name_matching import (
    format_expected_names,
    has_name_in_handle,
    is_account_named,
    is_similar_handle,
    is_site_named,
    list_association_names,
)
from probes.discovery.site_names import strip_key_prefix
from probes.links.channel_registry import is_optional_channel
from probes.models.finding import LinkKind
from storage.models.audit import AccountState


class ProposedRule(Rule):
    """An account that the association's site links to and that is not registered.

    It is no longer linked only if all sites were read in this run, because a login wall hides
    links. It is unknown if it may be a registered account under another name. An account that only
    Wikidata names is no gap.
    """

    check: Literal["proposed"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each proposal that is still linked."""
        sites = context.list_readable_sites()
        were_all_read = bool(sites) and all(
            site.was_decided_in_run and not has_withheld_pages(site) for site in sites
        )
        for proposal in context.proposals:
            link, is_fresh = proposal.link, proposal.last_seen >= context.run_started_at
            if proposal.is_from_wikidata or (self.channels and link.channel not in self.channels):
                continue
            is_known = context.is_known_link(link)
            if is_known or (were_all_read and not is_fresh):
                continue
            params = {"url": link.canonical, "found_on": link.page_url, "source": link.source}
            holds = True if is_known is False else None
            yield RuleMatch(
                link.channel,
                link.key,
                holds,
                is_decided=is_fresh,
                params={**params, "snippet": link.snippet},
            )


class LinksToGoneRule(Rule):
    """A site that links to an account of its association that is confirmed as gone.

    A gone account on an optional channel has its own gap and does not count against the site.
    """

    check: Literal["links_to_gone"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for the site with the dead links."""
        if account.present_finding is None:
            yield build_unknown_match(account)
            return
        gone_accounts = [
            other_account
            for other_account in context.accounts
            if other_account is not account
            and other_account.status.state is AccountState.GONE
            and not is_optional_channel(other_account.row.channel)
        ]
        links = [
            link
            for link in account.present_finding.links
            if any(other_account.is_linked_by(link) for other_account in gone_accounts)
        ]
        if links:
            params = {
                "links": " ".join(link.canonical for link in links),
                "found_on": links[0].page_url,
            }
            yield build_account_match(account, {**build_common_params(account, context), **params})


class NoBacklinkRule(Rule):
    """An account that does not link to its association's site although all its links were read.

    The fact `all_links_resolved` says so: few platforms show visitors more than the first link.
    """

    check: Literal["no_backlink"]
    reads_profile: ClassVar[bool] = True

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if the site exists and the account could link to it."""
        if account.row.channel == "website":
            return
        sites = [
            site for site in context.accounts_on("website") if site.present_finding is not None
        ]
        if (
            account.present_finding is None
            or not sites
            or not account.present_finding.facts.get("all_links_resolved")
        ):
            yield build_unknown_match(account)
        elif not has_link_to_site(account, context):
            yield build_account_match(
                account, {**build_common_params(account, context), "website": sites[0].url}
            )


class NotLinkedRule(Rule):
    """A registered account that the association's site does not link to."""

    check: Literal["not_linked"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each account that no readable site links to."""
        if account.row.channel == "website" or not account.is_account:
            return
        is_linked = (
            None
            if account.status.state is AccountState.GONE
            else is_linked_from_site(account, context)
        )
        if is_linked is None:
            if any(context.accounts_on("website")):
                yield build_unknown_match(account)
        elif not is_linked:
            sites = context.list_readable_sites()
            params = {**build_common_params(account, context), "pages": sites[0].url}
            is_decided = any(site.was_decided_in_run for site in sites)
            yield RuleMatch(
                account.row.channel, account.subject, is_decided=is_decided, params=params
            )


NUMERIC_KEY_PREFIXES = ("id:", "UC")
ORGANISATION_KINDS = frozenset({LinkKind.PROFILE, LinkKind.PAGE})


class NameDiffersRule(Rule):
    """An account whose public name differs from all names of the association."""

    check: Literal["name_differs"]
    reads_profile: ClassVar[bool] = True

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if they can be compared and differ."""
        is_named = is_account_named(account, context)
        if is_named is None:
            yield build_unknown_match(account)
        elif not is_named and account.present_finding is not None:
            facts = {
                "expected": format_expected_names(context.association),
                "found": account.present_finding.name or "",
            }
            yield build_account_match(account, {**build_common_params(account, context), **facts})


class NotNamedRule(Rule):
    """A site whose title, main heading and footer do not name the association."""

    check: Literal["not_named"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if they can be compared and differ."""
        is_named = is_site_named(account, context)
        if is_named is None:
            yield build_unknown_match(account)
        elif not is_named and account.present_finding is not None:
            title = (
                account.present_finding.facts.get("title")
                or account.present_finding.name
                or account.url
            )
            facts = {"expected": format_expected_names(context.association), "page_title": title}
            yield build_account_match(account, {**build_common_params(account, context), **facts})


class HandlesDifferRule(Rule):
    """Handles of an association's accounts that have nothing in common. Uses only the registry.

    Two handles that both contain the name or its initials are fine. Handles in different alphabets
    cannot be compared.
    """

    check: Literal["handles_differ"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield one match if two channels have such handles."""
        handles = {
            (account.row.channel, strip_key_prefix(account.subject))
            for account in context.accounts
            if self._has_handle(account)
        }
        own_handles = {
            handle
            for _, handle in handles
            if has_name_in_handle(handle, list_association_names(context.association))
        }
        has_difference = any(
            first[0] != second[0]
            and not {first[1], second[1]} <= own_handles
            and is_similar_handle(first[1], second[1]) is False
            for first, second in combinations(sorted(handles), 2)
        )
        if has_difference:
            yield RuleMatch(
                "", params={"handles": " · ".join(handle for _, handle in sorted(handles))}
            )

    def _has_handle(self, account: EvaluatedAccount) -> bool:
        """Return True if an account of an organisation has a handle and not a number."""
        row, key = account.row, account.row.identity.key or ""
        is_audited = not self.channels or row.channel in self.channels
        is_existing = (
            row.identity.kind in ORGANISATION_KINDS
            and account.status.state is not AccountState.GONE
        )
        return (
            is_audited
            and is_existing
            and bool(key)
            and not key.startswith(NUMERIC_KEY_PREFIXES)
            and not strip_key_prefix(key).isdigit()
        )
