"""Links between an account and the site of its association. Pure.

Only parsed pages count. An unreadable page, or a link whose key cannot be compared with the
registered one, leaves the result open.
"""

from itertools import chain
from operator import attrgetter

from auditor.rules.context import EvaluatedAccount, RuleContext, get_site_keys
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import LINKS_CUT_FACT, FoundLink
from probes.urls import normalize

LEVEL_BY_LINKS = {
    (True, True): "reciprocal",
    (True, False): "site_only",
    (False, True): "profile_only",
}
"""The level of an account by (the site links to it, it links to the site)."""

RECIPROCITY_LEVELS = ("reciprocal", "site_only", "profile_only", "registry_only", "contradicted")
"""Levels from the strongest to the one that contradicts the registry."""


def classify_link_reciprocity(account: EvaluatedAccount, context: RuleContext) -> str:
    """Return the reciprocity of an account; a website has that of its best account."""
    if account.channel == WEBSITE_CHANNEL:
        return _classify_site_reciprocity(context)
    by_site, by_profile = is_linked_from_site(account, context), has_link_to_site(account, context)
    level = LEVEL_BY_LINKS.get((bool(by_site), bool(by_profile)))
    if level is not None:
        return level
    has_other_account = has_other_account_on_site(account, context)
    if has_other_account or has_link_to_other_association(account, context):
        return "contradicted"
    return "registry_only"


def _classify_site_reciprocity(context: RuleContext) -> str:
    best_index = RECIPROCITY_LEVELS.index("registry_only")
    for account in context.accounts:
        if account.channel != WEBSITE_CHANNEL:
            level = classify_link_reciprocity(account, context)
            best_index = min(best_index, RECIPROCITY_LEVELS.index(level))
    return RECIPROCITY_LEVELS[best_index]


def is_linked_from_site(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether a site of the association links to an account; None if unknown."""
    site_links = _list_site_links(context)
    if any(map(account.is_linked_by, site_links)):
        return True
    if any(map(account.may_be_linked_by, site_links)) or not _are_all_sites_read(context):
        return None
    return False


def _are_all_sites_read(context: RuleContext) -> bool:
    sites = list(filter(attrgetter("is_living_account"), context.sites))
    return bool(sites) and all(map(are_all_pages_read, sites))


def has_link_to_site(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether an account links to a site of its association; None if unknown."""
    site_links = list(filter(_is_site_link, account.present_links))
    if not site_links:
        return None
    return any(_is_own_site(link, context) for link in site_links)


def _is_site_link(link: FoundLink) -> bool:
    return link.channel == WEBSITE_CHANNEL


def has_other_account_on_site(account: EvaluatedAccount, context: RuleContext) -> bool:
    """Return True if sites link to accounts of this channel, none of them registered.

    A site with more links than are kept may link to a registered one, too.
    """
    if not all(map(_are_links_whole, context.sites)):
        return False
    for link in _list_site_links(context):
        if link.channel == account.channel and not _may_be_own_account(link, context):
            return True
    return False


def _may_be_own_account(link: FoundLink, context: RuleContext) -> bool:
    for account in context.accounts_on(link.channel):
        if account.is_account and (account.is_linked_by(link) or account.may_be_linked_by(link)):
            return True
    return False


def has_link_to_other_association(account: EvaluatedAccount, context: RuleContext) -> bool:
    """Return True if an account links to the site of another association."""
    if not any(map(attrgetter("is_account"), context.sites)):
        return False
    site_links = filter(_is_site_link, account.present_links)
    site_keys = chain.from_iterable(map(get_site_keys, site_links))
    return any(context.other_owners.get((WEBSITE_CHANNEL, key)) for key in site_keys)


def are_all_pages_read(site: EvaluatedAccount) -> bool:
    """Return True if all pages of a site that may have links were read, and all links are kept."""
    has_unread_page = "unread_contact_page" in site.present_facts
    return site.was_page_read and not has_unread_page and _are_links_whole(site)


def _are_links_whole(account: EvaluatedAccount) -> bool:
    return LINKS_CUT_FACT not in account.present_facts


def _list_site_links(context: RuleContext) -> list[FoundLink]:
    links: list[FoundLink] = []
    for site in context.sites:
        links.extend(site.present_links)
    return links


def _is_own_site(link: FoundLink, context: RuleContext) -> bool:
    """Return True if a link leads to the site, to any of its pages or its new address."""
    host = link.key.partition("/")[0]
    own_hosts = chain.from_iterable(map(_collect_site_hosts, context.sites))
    return any(_is_related_host(host, own_host) for own_host in own_hosts)


def _is_related_host(host: str, own_host: str) -> bool:
    """Return True if one host is the other, or a subdomain of the other."""
    return host == own_host or host.endswith(f".{own_host}") or own_host.endswith(f".{host}")


def _collect_site_hosts(account: EvaluatedAccount) -> set[str]:
    hosts = {(account.row.identity.key or "").partition("/")[0]}
    finding = account.present_finding
    if finding is not None:
        hosts.add(normalize.get_host(finding.final_url or "").removeprefix("www."))
    return hosts - {""}
