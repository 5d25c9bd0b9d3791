"""The checks that look at how an association's site and its accounts lead to each other.

The checks that look at names: what an account or a site calls itself, and what its address does.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import combinations
from typing import Literal

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
from probes.models.finding import LinkKind
from storage.models.audit import AccountState


class ProposedRule(Rule):
    """An account that the association's own site names and nobody registered.

    It is gone from there only when every one of its sites was read tonight: a wall hides what it names.
    One that may be a registered account under another name cannot be told.
    """

    check: Literal["proposed"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """A sign for each proposal that still stands on the site."""
        sites = context.list_readable_sites()
        all_read = bool(sites) and all(
            site.was_decided_in_run and not has_withheld_pages(site) for site in sites
        )
        for proposal in context.proposals:
            link, fresh = proposal.link, proposal.last_seen >= context.run_started_at
            if self.channels and link.channel not in self.channels:
                continue
            known = context.is_known_link(link)
            if known or (all_read and not fresh):
                continue
            told = {"url": link.canonical, "found_on": link.page_url, "source": link.source}
            holds = True if known is False else None
            yield RuleMatch(
                link.channel,
                link.key,
                holds,
                is_decided=fresh,
                params={**told, "snippet": link.snippet},
            )


class LinksToGoneRule(Rule):
    """A site that still leads to an account of its association whose loss is confirmed."""

    check: Literal["links_to_gone"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """A sign for each site that does, with the dead links."""
        if account.present_finding is None:
            yield build_unknown_match(account)
            return
        gone = [
            one
            for one in context.accounts
            if one is not account and one.status.state is AccountState.GONE
        ]
        links = [
            link
            for link in account.present_finding.links
            if any(one.is_linked_by(link) for one in gone)
        ]
        if links:
            told = {
                "links": " ".join(link.canonical for link in links),
                "found_on": links[0].page_url,
            }
            yield build_account_match(account, {**build_common_params(account, context), **told})


class NoBacklinkRule(Rule):
    """An account that does not mention its association's site, where all its links were read.

    The fact `all_links_resolved` says so: few platforms show a visitor more than the first of an account's links.
    """

    check: Literal["no_backlink"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """A sign where the site is there and the account could lead to it."""
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
    """The association's site was read and does not lead to an account that is registered."""

    check: Literal["not_linked"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """A sign for each account none of the sites that were read leads to."""
        if account.row.channel == "website" or not account.is_account:
            return
        leads = (
            None
            if account.status.state is AccountState.GONE
            else is_linked_from_site(account, context)
        )
        if leads is None:
            if any(context.accounts_on("website")):
                yield build_unknown_match(account)
        elif not leads:
            sites = context.list_readable_sites()
            params = {**build_common_params(account, context), "pages": sites[0].url}
            decided = any(site.was_decided_in_run for site in sites)
            yield RuleMatch(account.row.channel, account.subject, is_decided=decided, params=params)


NUMERIC_KEY_PREFIXES = ("id:", "UC")
ORGANISATION_KINDS = frozenset({LinkKind.PROFILE, LinkKind.PAGE})


class NameDiffersRule(Rule):
    """An account whose public name does not resemble any of the association's."""

    check: Literal["name_differs"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """A sign where the two can be compared and differ."""
        named = is_account_named(account, context)
        if named is None:
            yield build_unknown_match(account)
        elif not named and account.present_finding is not None:
            facts = {
                "expected": format_expected_names(context.association),
                "found": account.present_finding.name or "",
            }
            yield build_account_match(account, {**build_common_params(account, context), **facts})


class NotNamedRule(Rule):
    """A site whose title, first heading and signature name somebody else, or nobody."""

    check: Literal["not_named"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """A sign where they can be compared with the association's names and differ."""
        named = is_site_named(account, context)
        if named is None:
            yield build_unknown_match(account)
        elif not named and account.present_finding is not None:
            title = (
                account.present_finding.facts.get("title")
                or account.present_finding.name
                or account.url
            )
            facts = {"expected": format_expected_names(context.association), "page_title": title}
            yield build_account_match(account, {**build_common_params(account, context), **facts})


class HandlesDifferRule(Rule):
    """User names of an association's accounts that have nothing in common. Only the registry is looked at.

    Two that both name the association, in full or by its initials, are its own in two ways; two in
    different alphabets cannot be compared.
    """

    check: Literal["handles_differ"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """One sign for the association, where two of its channels have such names."""
        named = {
            (held.row.channel, strip_key_prefix(held.subject))
            for held in context.accounts
            if self._has_handle(held)
        }
        ours = {
            name
            for _, name in named
            if has_name_in_handle(name, list_association_names(context.association))
        }
        apart = any(
            one[0] != other[0]
            and not {one[1], other[1]} <= ours
            and is_similar_handle(one[1], other[1]) is False
            for one, other in combinations(sorted(named), 2)
        )
        if apart:
            yield RuleMatch("", params={"handles": " · ".join(name for _, name in sorted(named))})

    def _has_handle(self, account: EvaluatedAccount) -> bool:
        """Whether an account of an organisation is known by a name, and not by a number."""
        row, key = account.row, account.row.identity.key or ""
        audited = not self.channels or row.channel in self.channels
        standing = (
            row.identity.kind in ORGANISATION_KINDS
            and account.status.state is not AccountState.GONE
        )
        return (
            audited
            and standing
            and bool(key)
            and not key.startswith(NUMERIC_KEY_PREFIXES)
            and not strip_key_prefix(key).isdigit()
        )
