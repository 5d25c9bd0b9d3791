"""Links between an account and the site of its association. Pure.

Only parsed pages count. An unreadable page, or a link whose key cannot be compared with the
registered one, leaves the result open.
"""

from itertools import chain, product
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
        levels = {"registry_only"}
        for other in context.accounts:
            if other.channel != WEBSITE_CHANNEL:
                levels.add(classify_link_reciprocity(other, context))
        return min(levels, key=RECIPROCITY_LEVELS.index)
    by_site, by_profile = is_linked_from_site(account, context), has_link_to_site(account, context)
    level = LEVEL_BY_LINKS.get((bool(by_site), bool(by_profile)))
    if level is not None:
        return level
    has_other_account = has_other_account_on_site(account, context)
    if has_other_account or has_link_to_other_association(account, context):
        return "contradicted"
    return "registry_only"


def is_linked_from_site(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether a site of the association links to an account; None if unknown."""
    site_links = _list_site_links(context)
    if any(map(account.is_linked_by, site_links)):
        return True
    sites = list(filter(attrgetter("is_living_account"), context.sites))
    are_all_read = bool(sites) and all(map(are_all_pages_read, sites))
    if any(map(account.may_be_linked_by, site_links)) or not are_all_read:
        return None
    return False


def has_link_to_site(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether an account links to a site of its association; None if unknown."""
    site_links = list(filter(_is_site_link, account.present_links))
    if not site_links:
        return None
    own_hosts = set().union(*map(_collect_site_hosts, context.sites))
    hosts = {link.key.partition("/")[0] for link in site_links}
    return any(_is_related_host(*pair) for pair in product(hosts, own_hosts))


def _is_site_link(link: FoundLink) -> bool:
    return link.channel == WEBSITE_CHANNEL


def has_other_account_on_site(account: EvaluatedAccount, context: RuleContext) -> bool:
    """Return True if sites link to accounts of this channel, none of them registered.

    A site with more links than are kept may link to a registered one, too.
    """
    if not all(map(_are_links_whole, context.sites)):
        return False
    own = list(filter(attrgetter("is_account"), context.accounts_on(account.channel)))
    for link in _list_site_links(context):
        is_own = any(item.is_linked_by(link) or item.may_be_linked_by(link) for item in own)
        if link.channel == account.channel and not is_own:
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


def _is_related_host(host: str, own_host: str) -> bool:
    """Return True if one host is the other, or a subdomain of the other."""
    return host == own_host or host.endswith(f".{own_host}") or own_host.endswith(f".{host}")


def _collect_site_hosts(account: EvaluatedAccount) -> set[str]:
    hosts = {(account.row.identity.key or "").partition("/")[0]}
    finding = account.present_finding
    if finding is not None:
        hosts.add(normalize.get_host(finding.final_url or "").removeprefix("www."))
    return hosts - {""}
