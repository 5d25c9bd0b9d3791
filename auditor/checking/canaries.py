"""Canaries detect that the auditor itself fails, so a channel is unreliable in a run. Pure.

Each channel has accounts that exist and one that cannot exist. If one of them gives the wrong
result, or if too many accounts turn to the same reason in one run, the channel is unreliable and no
status on it changes. Sherlock tests its list of sites with known and impossible names; the auditor
does so in each run.
"""

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from types import MappingProxyType

from auditor.rules.account_status import was_skipped
from probes.links import identify
from probes.models.finding import Account, Finding, Presence, Reason
from storage.models.audit import AccountStatus

MASS_CHANGE_SHARE = 0.10
"""If a larger share of a channel's accounts changes in the same way, the channel is unreliable."""
MIN_CHANGED_ACCOUNTS = 5


@dataclass(frozen=True, slots=True)
class Canary:
    """An account whose result is known in advance."""

    account: Account
    exists: bool

    @property
    def channel(self) -> str:
        """Return the channel of the account."""
        return self.account.channel


RunChange = tuple[str, AccountStatus, Finding]
"""The channel and the status of an account before a run, and the finding of the run."""


def build_canaries(
    channel: str, known_accounts: Sequence[str], impossible_account: str | None, day: date
) -> list[Canary]:
    """Return the canaries of a channel.

    Unless an impossible website is configured, it has a new random name each day.
    """
    if impossible_account is None and channel == "website" and known_accounts:
        random_name = hashlib.sha256(day.isoformat().encode()).hexdigest()[:24]
        impossible_account = f"https://{random_name}.com/"
    links = [(link, True) for link in known_accounts]
    if impossible_account:
        links.append((impossible_account, False))
    return [
        Canary(Account("", link, identify.identify_link(link, channel)), exists)
        for link, exists in links
    ]


def is_offline(canary_readings: Iterable[tuple[Canary, Finding]]) -> bool:
    """Return True if all canary websites (two at least) are unreachable: we are offline."""
    reasons = [
        finding.reason
        for canary, finding in canary_readings
        if canary.channel == "website" and canary.exists
    ]
    offline_reasons = {Reason.NETWORK, Reason.TIMEOUT, Reason.NO_SUCH_HOST}
    return len(reasons) >= 2 and offline_reasons.issuperset(reasons)


def find_failed_canaries(canary_readings: Iterable[tuple[Canary, Finding]]) -> dict[str, str]:
    """Return the channels with a wrong canary, with the reason.

    An unknown result says nothing, unless the probe crashed.
    """
    reasons: dict[str, str] = {}
    for canary, finding in canary_readings:
        failure = _WRONG_READINGS.get((canary.exists, finding.presence))
        if failure:
            reasons[canary.channel] = failure.format(reason=finding.reason)
        elif finding.reason is Reason.CRASHED:
            reasons[canary.channel] = f"the probe breaks: {finding.detail}"
    return reasons


_WRONG_READINGS = {
    (True, Presence.ABSENT): "a known account reads {reason}",
    (False, Presence.PRESENT): "an impossible account reads present",
}


def find_trusted_channels(canary_readings: Iterable[tuple[Canary, Finding]]) -> frozenset[str]:
    """Return the channels with correct results for a known and an impossible canary at least."""
    channels_of_known: set[str] = set()
    channels_of_impossible: set[str] = set()
    failed_channels: set[str] = set()
    for canary, finding in canary_readings:
        if canary.exists and finding.presence is Presence.PRESENT:
            channels_of_known.add(canary.channel)
        elif not canary.exists and finding.presence is Presence.ABSENT:
            channels_of_impossible.add(canary.channel)
        else:
            failed_channels.add(canary.channel)
    return frozenset((channels_of_known & channels_of_impossible) - failed_channels)


def find_mass_changes(
    run_changes: Iterable[RunChange], trusted_channels: frozenset[str] = frozenset()
) -> dict[str, str]:
    """Return the channels on which too many accounts changed to the same reason in this run.

    Only present accounts are counted. An account counts only if it did not have this reason in the
    last run. An absence counts in every run until it is confirmed, unless the canaries of the
    channel were correct. So the second run after a real catastrophe, such as a hosting company that
    closes, counts.
    """
    present_counts: Counter[str] = Counter()
    changed_counts: dict[str, Counter[tuple[Presence, Reason | None]]] = defaultdict(Counter)
    for channel, status, finding in run_changes:
        last_finding = status.last_known_finding
        was_present = last_finding is not None and last_finding.presence is Presence.PRESENT
        if not was_present or was_skipped(finding):
            continue
        present_counts[channel] += 1
        result = (finding.presence, finding.reason)
        is_new = result != (status.latest_presence, status.latest_reason)
        is_unconfirmed = finding.presence is Presence.ABSENT and channel not in trusted_channels
        if finding.presence is not Presence.PRESENT and (is_new or is_unconfirmed):
            changed_counts[channel][result] += 1
    reasons: dict[str, str] = {}
    for channel, causes in changed_counts.items():
        present_count = present_counts[channel]
        [((_, reason), count)] = causes.most_common(1)
        if count >= MIN_CHANGED_ACCOUNTS and count > MASS_CHANGE_SHARE * present_count:
            reasons[channel] = f"{count} of {present_count} turned to {reason} in one run"
    return reasons


def find_unreliable_channels(
    canary_readings: Sequence[tuple[Canary, Finding]],
    run_changes: Iterable[RunChange],
    channels: Mapping[str, object],
    earlier_warnings: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """Return the audited channels that are unreliable in this run, with the reason.

    `earlier_warnings` are canary results of earlier sessions of an interrupted run.
    """
    trusted_channels = find_trusted_channels(canary_readings) - set(earlier_warnings)
    reasons = {
        **find_mass_changes(run_changes, trusted_channels),
        **earlier_warnings,
        **find_failed_canaries(canary_readings),
    }
    return {channel: reason for channel, reason in reasons.items() if channel in channels}
