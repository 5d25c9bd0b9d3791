"""Links between an association's site and its accounts. Pure.

Only parsed pages count. An unreadable page, or a link whose key cannot be compared with the
registered one, leaves the result open.

Dated posts that the site links to are credited to its accounts. The number of such a post says when
it was made (`probes.links.post_numbers`), so the account published at least then. This is a lower
bound: a recent one shows that an account is active, an old one says nothing, and none says that the
account exists. It is part of no stored status, but derived whenever the association is evaluated.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import chain, product
from operator import attrgetter

from auditor.rules.account_status import PRECISION_SLACK_DAYS, ActivityBands, is_confirmed_lost
from auditor.rules.context import EvaluatedAccount, RuleContext, get_site_keys
from probes.links import channel_registry, normalize, post_numbers
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.links.domains import is_in_domains
from probes.links.post_numbers import LinkedPost
from probes.models.finding import LINKS_CUT_FACT, Activity, FoundLink, Reason
from storage.models.audit import AccountStatus

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
    sites = [site for site in context.sites if site.is_living_account]
    were_read = set(map(are_all_pages_read, sites))
    if any(map(account.may_be_linked_by, site_links)) or were_read != {True}:
        return None
    return False


def has_link_to_site(account: EvaluatedAccount, context: RuleContext) -> bool | None:
    """Return whether an account links to a site of its association; None if unknown."""
    hosts = {link.key.partition("/")[0] for link in filter(_is_site_link, account.present_links)}
    if not hosts:
        return None
    own_hosts: set[str] = set()
    for site in context.sites:
        own_hosts.add((site.row.identity.key or "").partition("/")[0])
        own_hosts.add(normalize.get_host(site.present_url).removeprefix("www."))
    own_hosts.discard("")
    # One host may be a subdomain of the other.
    pairs = product(hosts, own_hosts)
    return any(is_in_domains(host, [own]) or is_in_domains(own, [host]) for host, own in pairs)


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
    if not any(site.is_account for site in context.sites):
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
    return [link for site in context.sites for link in site.present_links]


CREDITED_BANDS = frozenset({"active", "slow"})
"""The bands that a lower bound can show alone. An older one does not exclude a newer post."""
POST_NUMBER_SOURCE = "post_number"
"""The source of a publication date that is the number of a post on the association's site."""


def credit_linked_posts(
    accounts: Sequence[EvaluatedAccount], bands: ActivityBands, now: datetime
) -> list[EvaluatedAccount]:
    """Return the accounts of one association with the dates of posts that its sites link to.

    A date that the platform or a person gave stays if it may be as new.
    """
    credited = list(accounts)
    for site in accounts:
        text = site.present_facts.get(post_numbers.LINKED_POSTS_FACT)
        if site.channel != channel_registry.WEBSITE_CHANNEL or not isinstance(text, str):
            continue
        for post in post_numbers.parse_linked_posts(text):
            for index in _find_authors(post, accounts):
                account = credited[index]
                status = _raise_activity(account.status, post, bands, now)
                credited[index] = replace(account, status=status)
    return credited


def _find_authors(post: LinkedPost, accounts: Sequence[EvaluatedAccount]) -> list[int]:
    """Return the positions of the account that a post's address names.

    There is none if several accounts have this name, such as a person and a page on LinkedIn, which
    writes only the slug.
    """
    name = post.key.rpartition("/")[2]
    indexes, subjects = [], set()
    for index, account in enumerate(accounts):
        names = {key.rpartition("/")[2] for key in account.all_keys}
        if account.channel == post.channel and account.is_account and name in names:
            indexes.append(index)
            subjects.add(account.subject)
    return indexes if len(subjects) == 1 else []


def _raise_activity(
    status: AccountStatus, post: LinkedPost, bands: ActivityBands, now: datetime
) -> AccountStatus:
    """Return the status with the date of a post, or unchanged if the date adds nothing.

    The name of a lost account may belong to others now, and a platform that shows an account
    without posts knows better.
    """
    finding = status.last_known_finding
    if is_confirmed_lost(status) or (finding is not None and finding.reason is Reason.EMPTY):
        return status
    precision = post_numbers.get_date_precision(post.channel)
    lower_bound = Activity(post.published_at, POST_NUMBER_SOURCE, precision)
    raised_status = replace(status, last_activity=lower_bound)
    if status.last_activity is None:
        is_recent = bands.classify_activity(raised_status, now) in CREDITED_BANDS
        return raised_status if is_recent else status
    is_newer = _get_latest_day(lower_bound) > _get_latest_day(status.last_activity)
    return raised_status if is_newer else status


def _get_latest_day(activity: Activity) -> date:
    """Return the latest day on which a publication can have been, by its precision."""
    slack = timedelta(days=PRECISION_SLACK_DAYS.get(activity.precision, 0))
    return activity.published_at.date() + slack
