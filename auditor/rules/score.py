"""The presence score: fixed points, unknown is never punished, a fix never lowers it. Pure.

A point is good, bad, unknown or waived. It depends on statuses, which keep the last conclusive
result, so a blocked run changes nothing. Weights are policy: a change of a weight, or of what a
point depends on, increases SCORE_VERSION. Scores of different versions are not compared.

Unknown means that we could not check it. What no visitor can see because of a reported problem (an
unreachable site, a link to no account, a private or personal page) is known and not earned.
Otherwise a fix would add unknown points, and a fixed account could be worth less than a broken one.
"""

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from auditor.core.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import ActivityBands, days_between
from auditor.rules.association_state import ATTESTED_SOURCE
from auditor.rules.context import NON_ACCOUNT_KINDS, EvaluatedAccount, RuleContext
from auditor.rules.link_reciprocity import is_linked_from_site
from auditor.rules.name_matching import is_account_named, is_site_named
from auditor.rules.observation_checks import MIN_TROUBLE_DAYS
from probes.links import identify
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.finding import LinkKind, Reason
from storage.models.audit import AccountState

SCORE_VERSION = 4


class PointState(StrEnum):
    """The state of one item of the score."""

    GOOD = "good"
    BAD = "bad"
    UNKNOWN = "unknown"
    WAIVED = "waived"


POINT_WEIGHTS: Mapping[str, int] = {
    "website.responds": 14,
    "website.https": 6,
    "website.fresh": 6,
    "website.contact": 5,
    "website.mobile": 4,
    "website.identity": 3,
    "website.links_channels": 2,
    "facebook.exists": 15,  # Facebook has 30 of 100 points, because the public is there
    "facebook.active": 9,
    "facebook.named": 3,
    "facebook.linked": 3,
    "youtube.exists": 6,
    "youtube.active": 4,
    "youtube.named": 1,
    "youtube.linked": 1,
    "linkedin.exists": 6,
    "linkedin.active": 4,
    "linkedin.named": 1,
    "linkedin.linked": 1,
    "twitter.exists": 3,
    "twitter.active": 2,
    "twitter.named": 1,
}
LEVEL_THRESHOLDS = ((85, "complete"), (55, "good"), (25, "basic"), (0, "start"))
MIN_KNOWN_POINTS = 50
"""With fewer known points, no score is shown, because it would be a guess."""

WEBSITE_FACTS = {
    "website.https": "https",
    "website.contact": "contact",
    "website.mobile": "viewport",
}
"""The facts that decide items of the score."""

RATED_CHANNELS = ("website", "facebook", "youtube", "linkedin", "twitter")
"""The channels of the score. Accounts on other channels do not change it."""

PointStates = Mapping[str, PointState]


@dataclass(frozen=True, slots=True)
class Score:
    """The score: `percent` is earned of known points, and could be in [low, high].

    `percent` is None if too few points are known.
    """

    earned: int
    known: int
    percent: int | None
    level: str
    low: int
    high: int
    version: int = SCORE_VERSION


def _get_existence_item(channel: str) -> str:
    return "website.responds" if channel == WEBSITE_CHANNEL else f"{channel}.exists"


def inherit_parent_states(states: PointStates) -> dict[str, PointState]:
    """Return the states, with that of the parent if it is bad or waived.

    All items of a channel depend on its account: a missing site has no HTTPS.
    """
    inherited = {}
    for item in POINT_WEIGHTS:
        state = states.get(_get_existence_item(item.partition(".")[0]), PointState.UNKNOWN)
        if state not in (PointState.BAD, PointState.WAIVED):
            state = states.get(item, PointState.UNKNOWN)
        inherited[item] = state
    return inherited


def compute_score(states: PointStates) -> Score:
    """Return the score of these states; missing items are unknown."""
    inherited = inherit_parent_states(states)
    points = dict.fromkeys(PointState, 0)
    for item, weight in POINT_WEIGHTS.items():
        points[inherited[item]] += weight
    earned = points[PointState.GOOD]
    known_points = earned + points[PointState.BAD]
    total = known_points + points[PointState.UNKNOWN]
    if not total:
        return Score(0, 0, None, "no_data", 0, 0)
    low = _round_percent(earned, total)
    high = _round_percent(earned + points[PointState.UNKNOWN], total)
    if known_points < MIN_KNOWN_POINTS:
        return Score(earned, known_points, None, "no_data", low, high)
    percent = _round_percent(earned, known_points)
    level = next(level for threshold, level in LEVEL_THRESHOLDS if percent >= threshold)
    return Score(earned, known_points, percent, level, low, high)


def _round_percent(earned: int, total: int) -> int:
    return (200 * earned + total) // (2 * total)


def rate_points(
    context: RuleContext, bands: ActivityBands, unmixed_channels: Collection[str] = ()
) -> dict[str, PointState]:
    """Return the state of each item of `POINT_WEIGHTS`.

    The activity on `unmixed_channels` takes no part, because the terms of their APIs forbid it.
    """
    context = _adjust_context_for_visitors(context)
    ratings: dict[str, list[PointState]] = defaultdict(list)
    for account in filter(_is_rated, context.accounts):
        for item, state in _rate_items(account, context, bands):
            ratings[item].append(state)
    best_first = (PointState.GOOD, PointState.UNKNOWN, PointState.BAD)
    states = {}
    for item in POINT_WEIGHTS:
        states[item] = min(ratings[item], key=best_first.index, default=PointState.UNKNOWN)
    for channel in RATED_CHANNELS:
        item = _get_existence_item(channel)
        if channel in context.none_by_choice:
            states[item] = PointState.WAIVED
        elif not ratings[item] and channel not in context.moved_channels:
            states[item] = PointState.BAD
    unmixed_items = map("{}.active".format, unmixed_channels)
    return states | dict.fromkeys(unmixed_items, PointState.WAIVED)


def _is_rated(account: EvaluatedAccount) -> bool:
    """Return True on a rated channel, unless the cell of the registry says "none"."""
    return account.channel in RATED_CHANNELS and account.row.identity.kind is not LinkKind.NONE


def _rate_items(
    account: EvaluatedAccount, context: RuleContext, bands: ActivityBands
) -> Iterator[tuple[str, PointState]]:
    """Yield the state of each item that an account decides. A gone account decides one."""
    channel, now = account.channel, context.run_started_at
    yield _get_existence_item(channel), _rate_account(account)
    if account.is_gone:
        return
    if channel == WEBSITE_CHANNEL:
        for item, fact in WEBSITE_FACTS.items():
            yield item, _to_point_state(account.present_facts.get(fact))
        fresh_bands = ("active", "slow", "inactive")
        yield "website.fresh", _rate_activity_band(account, bands, now, fresh_bands)
        yield "website.identity", _to_point_state(is_site_named(account, context))
    elif account.is_account:
        yield f"{channel}.active", _rate_activity(account, bands, now)
        yield f"{channel}.named", _rate_name(account, context)
        link_state = _rate_site_link(context, account)
        yield f"{channel}.linked", link_state
        yield "website.links_channels", link_state


def _rate_account(account: EvaluatedAccount) -> PointState:
    """Rate whether an account exists; a personal profile or group counts if it was seen."""
    if account.status.state is AccountState.PRESENT:
        return PointState.GOOD
    return PointState.BAD if account.is_gone or _is_person_or_group(account) else PointState.UNKNOWN


def _rate_activity(account: EvaluatedAccount, bands: ActivityBands, now: datetime) -> PointState:
    """Rate whether visitors see publications.

    Those of a private or personal account count if they were seen.
    """
    state = _rate_activity_band(account, bands, now, ("active", "slow"))
    if state is not PointState.UNKNOWN:
        return state
    finding = account.present_finding
    is_private = finding is not None and finding.reason is Reason.PRIVATE
    return PointState.BAD if is_private or _is_person_or_group(account) else state


def _rate_name(account: EvaluatedAccount, context: RuleContext) -> PointState:
    """Rate whether an account has the name of the association.

    A private account without a name has not.
    """
    finding = account.present_finding
    if finding is not None and finding.reason is Reason.PRIVATE and not finding.name:
        return PointState.BAD
    return _to_point_state(is_account_named(account, context))


def _is_person_or_group(account: EvaluatedAccount) -> bool:
    return account.row.identity.kind in {LinkKind.PERSON, LinkKind.GROUP}


def _rate_activity_band(
    account: EvaluatedAccount, bands: ActivityBands, now: datetime, good_bands: tuple[str, ...]
) -> PointState:
    """Rate how recent the newest publication is.

    An old date that a person reported does not count against anyone.
    """
    band = bands.classify_activity(account.status, now)
    if band in good_bands:
        return PointState.GOOD
    newest = account.status.last_activity
    is_attested = newest is not None and newest.source == ATTESTED_SOURCE
    return PointState.UNKNOWN if band == "unknown" or is_attested else PointState.BAD


def _rate_site_link(context: RuleContext, account: EvaluatedAccount) -> PointState:
    """Rate whether the site links to an account; without a site nothing does."""
    if all(site.is_gone for site in context.sites if _is_rated(site)):
        return PointState.BAD
    return _to_point_state(is_linked_from_site(account, context))


def _adjust_context_for_visitors(context: RuleContext) -> RuleContext:
    """Return the context as visitors see it, and as it will be after the registry is corrected.

    Unreachable accounts and links to no account count as lost. A moved account is rated at its new
    address. Dead links on a site say nothing about living accounts.
    """
    accounts = []
    for account in context.accounts:
        is_no_account = account.row.identity.kind in NON_ACCOUNT_KINDS
        if is_no_account or _is_site_unreachable(account, context):
            gone_status = replace(account.status, state=AccountState.GONE)
            accounts.append(_follow_rename(replace(account, status=gone_status)))
        else:
            accounts.append(_follow_rename(account))
    return replace(
        context, accounts=tuple(_remove_dead_links(account, accounts) for account in accounts)
    )


def _is_site_unreachable(account: EvaluatedAccount, context: RuleContext) -> bool:
    """Return True if visitors cannot reach a site or are warned off, and this is confirmed.

    It is confirmed by an open gap, or by as many days and runs as that gap needs.
    """
    failure, doubt = account.status.failure_streak, account.status.unconfirmed_streak
    if (account.channel, account.subject) in context.unreachable_sites:
        return (failure, doubt) != (None, None)
    if failure is None or account.channel != WEBSITE_CHANNEL:
        return False
    gap_code = "website_insecure" if failure.reason == Reason.TLS else "website_down"
    has_enough_runs = failure.run_count >= load_gap_catalogue()[gap_code].confirm_runs
    return has_enough_runs and days_between(failure.since, failure.latest_at) >= MIN_TROUBLE_DAYS


def _follow_rename(account: EvaluatedAccount) -> EvaluatedAccount:
    """Return an account with its new name, because its old name would earn nothing.

    It is unchanged if it was not renamed, or if the new address names no account of its channel.
    """
    finding = account.present_finding
    is_renamed = finding is not None and finding.reason is Reason.RENAMED
    if not is_renamed and "moved_to" not in account.present_facts:
        return account
    row = replace(account.row, identity=identify.identify_link(account.present_url))
    renamed = replace(account, row=row, aliases=account.aliases - {account.row.identity.key})
    if renamed.channel != account.channel or not renamed.is_account:
        return account
    return replace(renamed, aliases=renamed.all_keys)


def _remove_dead_links(
    site: EvaluatedAccount, accounts: Iterable[EvaluatedAccount]
) -> EvaluatedAccount:
    finding = site.status.last_known_finding
    has_gone_accounts = any(account.is_gone for account in accounts)
    if site.channel != WEBSITE_CHANNEL or finding is None or not has_gone_accounts:
        return site
    # A dead link leads to gone accounts only.
    remaining_links = [
        link
        for link in finding.links
        if {account.is_gone for account in accounts if account.is_linked_by(link)} != {True}
    ]
    finding = replace(finding, links=tuple(remaining_links))
    return replace(site, status=replace(site.status, last_known_finding=finding))


def _to_point_state(value: object) -> PointState:
    if value is None:
        return PointState.UNKNOWN
    return PointState.GOOD if value else PointState.BAD
