"""The presence score: fixed points, unknown is never punished, a fix never lowers it. Pure.

A point is good, bad, unknown or waived. It depends on statuses, which keep the last conclusive
result, so a blocked run changes nothing. Weights are policy: a change of a weight, or of what a
point depends on, increases SCORE_VERSION. Scores of different versions are not compared.

Unknown means that we could not check it. What no visitor can see because of a reported problem (an
unreachable site, a link to no account, a private or personal page) is known and not earned.
Otherwise a fix would add unknown points, and a fixed account could be worth less than a broken one.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from enum import StrEnum

from auditor.reference.gap_catalogue import load_gap_catalogue
from auditor.rules.account_status import ActivityBands, days_between
from auditor.rules.checks.reachability import MIN_TROUBLE_DAYS
from auditor.rules.context import NON_ACCOUNT_KINDS, EvaluatedAccount, RuleContext
from auditor.rules.decisions_in_force import ATTESTED_SOURCE
from auditor.rules.link_reciprocity import is_linked_from_site
from auditor.rules.name_matching import is_account_named, is_site_named
from probes.links import identify
from probes.models.finding import ACCOUNT_KINDS, LinkKind, Reason
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


def get_parent_item(item: str) -> str:
    """Return the item that this one depends on: a missing site has no HTTPS."""
    channel = item.partition(".")[0]
    return "website.responds" if channel == "website" else f"{channel}.exists"


def inherit_parent_states(states: PointStates) -> dict[str, PointState]:
    """Return the states, with that of the parent if it is bad or waived."""
    inherited = {}
    for item in POINT_WEIGHTS:
        parent_state = states.get(get_parent_item(item), PointState.UNKNOWN)
        own_state = states.get(item, PointState.UNKNOWN)
        inherited[item] = (
            parent_state if parent_state in (PointState.BAD, PointState.WAIVED) else own_state
        )
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
    level = next(name for threshold, name in LEVEL_THRESHOLDS if percent >= threshold)
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
    states: dict[str, PointState] = {}
    for channel in RATED_CHANNELS:
        first = "responds" if channel == "website" else "exists"
        states[f"{channel}.{first}"] = _rate_existence(context, channel)
    unmixed = {f"{channel}.active": PointState.WAIVED for channel in unmixed_channels}
    return states | _rate_website(context, bands) | _rate_platforms(context, bands) | unmixed


def _rate_existence(context: RuleContext, channel: str) -> PointState:
    if channel in context.none_by_choice:
        return PointState.WAIVED
    accounts = [
        account
        for account in context.accounts_on(channel)
        if account.row.identity.kind is not LinkKind.NONE
    ]
    if not accounts:
        return PointState.UNKNOWN if channel in context.moved_channels else PointState.BAD
    return _choose_best_state(map(_rate_account, accounts))


def _rate_account(account: EvaluatedAccount) -> PointState:
    """Rate whether an account exists; a personal profile or group counts if it was seen."""
    default_state = PointState.BAD if _is_person_or_group(account) else PointState.UNKNOWN
    return {AccountState.PRESENT: PointState.GOOD, AccountState.GONE: PointState.BAD}.get(
        account.status.state, default_state
    )


def _rate_website(context: RuleContext, bands: ActivityBands) -> dict[str, PointState]:
    sites = [
        site
        for site in context.accounts_on("website")
        if site.status.state is not AccountState.GONE
        and site.row.identity.kind is not LinkKind.NONE
    ]
    facts = {"https": "https", "contact": "contact", "mobile": "viewport"}
    states = {
        f"website.{item}": _choose_best_state(
            _to_point_state(site.present_finding.facts.get(fact) if site.present_finding else None)
            for site in sites
        )
        for item, fact in facts.items()
    }
    freshness = _choose_best_state(
        _rate_activity_band(site, bands, context.run_started_at, ("active", "slow", "inactive"))
        for site in sites
    )
    identity = _choose_best_state(_to_point_state(is_site_named(site, context)) for site in sites)
    return states | {
        "website.fresh": freshness,
        "website.identity": identity,
        "website.links_channels": _rate_channel_links(context),
    }


def _rate_channel_links(context: RuleContext) -> PointState:
    return _choose_best_state(
        _rate_site_link(context, account)
        for account in context.accounts
        if account.row.channel in RATED_CHANNELS[1:] and _can_earn_points(account)
    )


def _can_earn_points(account: EvaluatedAccount) -> bool:
    """Return True if an account can earn points. An account that is gone cannot."""
    return account.is_account and account.status.state is not AccountState.GONE


def _rate_platforms(context: RuleContext, bands: ActivityBands) -> dict[str, PointState]:
    states = {}
    for channel in RATED_CHANNELS[1:]:
        accounts = [
            account for account in context.accounts_on(channel) if _can_earn_points(account)
        ]
        states[f"{channel}.active"] = _choose_best_state(
            _rate_activity(account, bands, context.run_started_at) for account in accounts
        )
        states[f"{channel}.linked"] = _choose_best_state(
            _rate_site_link(context, account) for account in accounts
        )
        states[f"{channel}.named"] = _choose_best_state(
            _rate_name(account, context) for account in accounts
        )
    return states


def _rate_activity(account: EvaluatedAccount, bands: ActivityBands, now: datetime) -> PointState:
    """Rate whether visitors see publications.

    Those of a private or personal account count if they were seen.
    """
    state = _rate_activity_band(account, bands, now, ("active", "slow"))
    is_hidden = _is_private(account) or _is_person_or_group(account)
    return PointState.BAD if state is PointState.UNKNOWN and is_hidden else state


def _rate_name(account: EvaluatedAccount, context: RuleContext) -> PointState:
    """Rate whether an account has the name of the association.

    A private account without a name has not.
    """
    has_no_name = account.present_finding is not None and not account.present_finding.name
    if has_no_name and _is_private(account):
        return PointState.BAD
    return _to_point_state(is_account_named(account, context))


def _is_private(account: EvaluatedAccount) -> bool:
    return account.present_finding is not None and account.present_finding.reason is Reason.PRIVATE


def _is_person_or_group(account: EvaluatedAccount) -> bool:
    return account.row.identity.kind in {LinkKind.PERSON, LinkKind.GROUP}


def _rate_activity_band(
    account: EvaluatedAccount, bands: ActivityBands, now: datetime, good_bands: tuple[str, ...]
) -> PointState:
    band = bands.classify_activity(account.status, now)
    if band in good_bands:
        return PointState.GOOD
    newest = account.status.last_activity
    # An old date that a person reported does not count against the association.
    is_attested = newest is not None and newest.source == ATTESTED_SOURCE
    return PointState.UNKNOWN if band == "unknown" or is_attested else PointState.BAD


def _rate_site_link(context: RuleContext, account: EvaluatedAccount) -> PointState:
    """Rate whether the site links to an account; without a site nothing does."""
    sites = context.accounts_on("website")
    if all(
        site.status.state is AccountState.GONE or site.row.identity.kind is LinkKind.NONE
        for site in sites
    ):
        return PointState.BAD
    return _to_point_state(is_linked_from_site(account, context))


def _adjust_context_for_visitors(context: RuleContext) -> RuleContext:
    """Return the context as visitors see it, and as it will be after the registry is corrected.

    Unreachable accounts and links to no account count as lost. A moved account is rated at its new
    address. Dead links on a site say nothing about living accounts.
    """
    adjusted_accounts = tuple(
        _follow_rename(_mark_unreachable_as_gone(account, context)) for account in context.accounts
    )
    live_accounts = [
        account for account in adjusted_accounts if account.status.state is not AccountState.GONE
    ]
    gone_accounts = [
        account for account in adjusted_accounts if account.status.state is AccountState.GONE
    ]
    return replace(
        context,
        accounts=tuple(
            _remove_dead_links(account, gone_accounts, live_accounts)
            for account in adjusted_accounts
        ),
    )


def _mark_unreachable_as_gone(account: EvaluatedAccount, context: RuleContext) -> EvaluatedAccount:
    if account.row.identity.kind not in NON_ACCOUNT_KINDS and not _is_site_unreachable(
        account, context
    ):
        return account
    return replace(account, status=replace(account.status, state=AccountState.GONE))


def _is_site_unreachable(account: EvaluatedAccount, context: RuleContext) -> bool:
    """Return True if visitors cannot reach a site or are warned off, and this is confirmed."""
    failure, doubt = account.status.failure_streak, account.status.unconfirmed_streak
    if account.row.channel != "website" or (failure is None and doubt is None):
        return False
    if ("website", account.subject) in context.unreachable_sites:
        return True
    if failure is None:
        return False
    is_tls = failure.cause.partition("/")[0] == Reason.TLS
    required_runs = load_gap_catalogue()[
        "website_insecure" if is_tls else "website_down"
    ].confirm_runs
    return (
        failure.run_count >= required_runs
        and days_between(failure.since, failure.latest_at) >= MIN_TROUBLE_DAYS
    )


def _follow_rename(account: EvaluatedAccount) -> EvaluatedAccount:
    """Return an account with its new name, because its old name would earn nothing."""
    finding = account.present_finding
    if finding is None or not (finding.reason is Reason.RENAMED or "moved_to" in finding.facts):
        return account
    new_identity = identify.identify_link(finding.final_url or "")
    if (
        new_identity.channel != account.row.channel
        or new_identity.key is None
        or new_identity.kind not in ACCOUNT_KINDS
    ):
        return account
    row = replace(account.row, identity=new_identity)
    aliases = (account.aliases - {account.row.identity.key}) | {new_identity.key}
    return replace(account, row=row, aliases=aliases)


def _remove_dead_links(
    site: EvaluatedAccount,
    gone_accounts: Sequence[EvaluatedAccount],
    live_accounts: Sequence[EvaluatedAccount],
) -> EvaluatedAccount:
    last_finding = site.status.last_known_finding
    if site.row.channel != "website" or last_finding is None or not gone_accounts:
        return site
    remaining_links = tuple(
        link
        for link in last_finding.links
        if any(account.is_linked_by(link) for account in live_accounts)
        or not any(account.is_linked_by(link) for account in gone_accounts)
    )
    return replace(
        site,
        status=replace(
            site.status, last_known_finding=replace(last_finding, links=remaining_links)
        ),
    )


def _to_point_state(value: object) -> PointState:
    if value is None:
        return PointState.UNKNOWN
    return PointState.GOOD if value else PointState.BAD


def _choose_best_state(states: Iterable[PointState]) -> PointState:
    """Return the best state of several accounts."""
    kinds = set(states)
    return next(
        (
            point
            for point in (PointState.GOOD, PointState.UNKNOWN, PointState.BAD)
            if point in kinds
        ),
        PointState.UNKNOWN,
    )
