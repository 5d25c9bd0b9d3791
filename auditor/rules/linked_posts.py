"""Credits dated posts that an association's own website links to, to its accounts. Pure.

The number of such a post says when it was made (`probes.links.post_numbers`), so the account
published at least then. This is a lower bound: a recent one shows that an account is active, an old
one says nothing, and none says that the account exists.

The result is part of no stored status. It is derived from the last conclusive finding of the site
whenever the association is evaluated.
"""

from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from auditor.rules.account_status import PRECISION_SLACK_DAYS, ActivityBands, is_confirmed_lost
from auditor.rules.context import EvaluatedAccount
from probes.links import channel_registry, post_numbers
from probes.links.post_numbers import LinkedPost
from probes.models.finding import Activity, Reason
from storage.models.audit import AccountStatus

POST_NUMBER_SOURCE = "post_number"
"""The source of a publication date that is the number of a post on the association's site."""

_CREDITED_BANDS = frozenset({"active", "slow"})
"""The bands that a lower bound can show alone. An older one does not exclude a newer post."""


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
    indexes, names = [], set()
    for index, account in enumerate(accounts):
        keys, key = account.all_keys, post.key
        if post.channel == "linkedin":
            keys = frozenset(own_key.rpartition("/")[2] for own_key in keys)
            key = key.rpartition("/")[2]
        if account.channel == post.channel and account.is_account and key in keys:
            indexes.append(index)
            names.add(account.subject)
    return indexes if len(names) == 1 else []


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
        is_recent = bands.classify_activity(raised_status, now) in _CREDITED_BANDS
        return raised_status if is_recent else status
    is_newer = _get_latest_day(lower_bound) > _get_latest_day(status.last_activity)
    return raised_status if is_newer else status


def _get_latest_day(activity: Activity) -> date:
    """Return the latest day on which a publication can have been, by its precision."""
    slack = timedelta(days=PRECISION_SLACK_DAYS.get(activity.precision, 0))
    return activity.published_at.date() + slack
