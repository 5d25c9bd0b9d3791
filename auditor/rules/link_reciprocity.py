"""Links between an account and the site of its association. Pure.

Only parsed pages count. An unreadable page, or a link whose key cannot be compared with the
registered one, leaves the result open.
"""

from __future__ import annotations

from collections.abc import Iterator

from auditor.rules.context import EvaluatedAccount, RuleContext, was_page_read
from probes.links import identify
from probes.models.finding import FoundLink
from storage.models.audit import AccountState

RECIPROCITY_LEVELS = ("reciprocal", "site_only", "profile_only", "registry_only", "contradicted")
"""Levels from the strongest to the one that contradicts the registry."""


def classify_link_reciprocity(account: EvaluatedAccount, context: RuleContext) -> str:
    """Return the reciprocity of an account; a website has that of its best account."""
    if account.row.channel == "website":
        levels = {
            classify_link_reciprocity(platform_account, context)
            for platform_account in context.accounts
            if platform_account.row.channel != "website"
        }
        return next((level for level in RECIPROCITY_LEVELS[:3] if level in levels), "registry_only")
    by_site, by_profile = is_linked_from_site(account, context), has_link_to_site(account, context)
    if by_site and by_profile:
        return "reciprocal"
    if by_site:
        return "site_only"
    if by_profile:
        return "profile_only"
    has_other_account = has_other_account_on_site(account, context)
    if has_other_account or has_link_to_other_association(account, context):
        return "contradicted"
    return "registry_only"


def is_linked_from_site(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether a site of the association links to an account; None if unknown."""
    site_links = list(_iter_site_links(context))
    if any(map(account.is_linked_by, site_links)):
        return True
    sites = [
        site
        for site in context.accounts_on("website")
        if site.is_account and site.status.state is not AccountState.GONE
    ]
    has_unread_site = any(
        site.present_finding is None
        or not was_page_read(site.present_finding)
        or has_withheld_pages(site)
        for site in sites
    )
    return (
        None
        if not sites or has_unread_site or any(map(account.may_be_linked_by, site_links))
        else False
    )


def has_link_to_site(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether an account links to a site of its association; None if unknown."""
    profile_links = _list_profile_site_links(account)
    if any(_is_own_site(link, context) for link in profile_links):
        return True
    return False if profile_links else None


def has_other_account_on_site(account: EvaluatedAccount, context: RuleContext) -> bool:
    """Return True if sites link to accounts of this channel, none of them registered."""
    own_accounts = [
        own_account
        for own_account in context.accounts_on(account.row.channel)
        if own_account.is_account
    ]
    for link in _iter_site_links(context):
        if link.channel != account.row.channel:
            continue
        if not any(
            own_account.is_linked_by(link) or own_account.may_be_linked_by(link)
            for own_account in own_accounts
        ):
            return True
    return False


def has_link_to_other_association(account: EvaluatedAccount, context: RuleContext) -> bool:
    """Return True if an account links to the site of another association."""
    has_own_site = any(site.is_account for site in context.accounts_on("website"))
    return has_own_site and any(
        context.other_owners.get(("website", key))
        for link in _list_profile_site_links(account)
        for key in _get_site_keys(link)
    )


def has_withheld_pages(account: EvaluatedAccount) -> bool:
    """Return True if a page of a site that may have more links could not be read."""
    return (
        account.present_finding is not None
        and "unread_contact_page" in account.present_finding.facts
    )


def _iter_site_links(context: RuleContext) -> Iterator[FoundLink]:
    for site in context.list_readable_sites():
        if site.present_finding is not None:
            yield from site.present_finding.links


def _list_profile_site_links(account: EvaluatedAccount) -> list[FoundLink]:
    return [
        link
        for link in (account.present_finding.links if account.present_finding else ())
        if link.channel == "website"
    ]


def _is_own_site(link: FoundLink, context: RuleContext) -> bool:
    """Return True if a link leads to the site, to any of its pages or its new address."""
    host = link.key.partition("/")[0]
    return any(
        _is_related_host(host, own_host)
        for site in context.accounts_on("website")
        for own_host in _collect_site_hosts(site)
    )


def _is_related_host(host: str, own_host: str) -> bool:
    """Return True if one host is the other, or a subdomain of the other."""
    return host == own_host or host.endswith(f".{own_host}") or own_host.endswith(f".{host}")


def _collect_site_hosts(account: EvaluatedAccount) -> set[str]:
    final_url = account.present_finding.final_url if account.present_finding else None
    return {
        (account.row.identity.key or "").partition("/")[0],
        identify.get_link_host(final_url or "").removeprefix("www."),
    } - {""}


def _get_site_keys(link: FoundLink) -> tuple[str, str]:
    """Return the keys under which a site may be registered: the page and its host."""
    return link.key, link.key.partition("/")[0]
