"""Checks about links between a site and its accounts, and about their names."""

from collections.abc import Iterator
from itertools import combinations
from operator import attrgetter, itemgetter
from typing import ClassVar, Literal

from auditor.rules.checks.base import (
    AccountRule,
    Rule,
    build_account_match,
    build_common_params,
    build_unknown_match,
    get_page_title,
)
from auditor.rules.context import EvaluatedAccount, MatchOutcome, RuleContext, RuleMatch
from auditor.rules.link_reciprocity import are_all_pages_read, has_link_to_site, is_linked_from_site
from auditor.rules.name_matching import (
    format_expected_names,
    has_name_in_handle,
    is_account_named,
    is_similar_handle,
    is_site_named,
    list_association_names,
)
from probes.discovery.site_names import strip_key_prefix
from probes.links.channel_registry import WEBSITE_CHANNEL, is_optional_channel
from probes.models.finding import LINKS_CUT_FACT, LinkKind


class ProposedRule(Rule):
    """An account that the association's site links to and that is not registered.

    It is no longer linked only if all sites were read in this run, because a login wall hides
    links. It is unknown if it may be a registered account under another name.
    """

    check: Literal["proposed"]

    def find_matches(self, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match for each proposal that is still linked."""
        sites = context.list_readable_sites()
        were_all_read = bool(sites) and all(
            site.was_decided_in_run and are_all_pages_read(site) for site in sites
        )
        for proposal in context.proposals:
            link, is_fresh = proposal.link, proposal.last_seen >= context.run_started_at
            if not self.applies_to(link.channel):
                continue
            is_known = context.is_known_link(link)
            if is_known or (were_all_read and not is_fresh):
                continue
            params = {
                "url": link.canonical,
                "found_on": link.page_url,
                "source": link.source,
                "snippet": link.snippet,
            }
            outcome = MatchOutcome.COUNTED if is_fresh else MatchOutcome.REMAINS
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
        gone_accounts = list(filter(attrgetter("is_gone"), context.accounts))
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
        sites = list(filter(attrgetter("present_finding"), context.sites))
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
                MatchOutcome.COUNTED if is_decided else MatchOutcome.REMAINS,
                params=build_common_params(account, context, pages=sites[0].url),
            )


NUMERIC_KEY_PREFIXES = ("id:", "UC")
ORGANISATION_KINDS = frozenset({LinkKind.PROFILE, LinkKind.PAGE})


class NameDiffersRule(AccountRule):
    """An account whose public name differs from all names of the association."""

    check: Literal["name_differs"]
    reads_profile: ClassVar[bool] = True

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if they can be compared and differ."""
        is_named = is_account_named(account, context)
        if is_named is None:
            yield build_unknown_match(account)
        elif not is_named and account.present_finding is not None:
            yield build_account_match(
                account,
                context,
                expected=format_expected_names(context.association),
                found=account.present_finding.name or "",
            )


class NotNamedRule(AccountRule):
    """A site whose title, main heading and footer do not name the association."""

    check: Literal["not_named"]

    def match_account(self, account: EvaluatedAccount, context: RuleContext) -> Iterator[RuleMatch]:
        """Yield a match if they can be compared and differ."""
        is_named = is_site_named(account, context)
        if is_named is None:
            yield build_unknown_match(account)
        elif not is_named and account.present_finding is not None:
            yield build_account_match(
                account,
                context,
                expected=format_expected_names(context.association),
                page_title=get_page_title(account, account.present_finding),
            )


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
            if _have_nothing_in_common(first, second, names):
                yield RuleMatch("", params={"handles": " · ".join(map(itemgetter(1), handles))})
                return


def _have_nothing_in_common(
    first: tuple[str, str], second: tuple[str, str], names: tuple[str, ...]
) -> bool:
    """Return True if handles of two channels differ and not both contain a name."""
    (first_channel, first_handle), (second_channel, second_handle) = first, second
    if first_channel == second_channel:
        return False
    if is_similar_handle(first_handle, second_handle) is not False:
        return False
    return not (
        has_name_in_handle(first_handle, names) and has_name_in_handle(second_handle, names)
    )


def _has_handle(account: EvaluatedAccount) -> bool:
    """Return True if an account of an organisation has a handle and not a number."""
    identity = account.row.identity
    if account.is_gone or identity.kind not in ORGANISATION_KINDS or not identity.key:
        return False
    is_number = strip_key_prefix(identity.key).isdigit()
    return not is_number and not identity.key.startswith(NUMERIC_KEY_PREFIXES)
