"""Canaries and blindness: the nights on which our eyes, not the associations, are at fault. Pure.

Each channel names accounts known to exist and one that cannot. Where one reads wrong, or too many accounts
turn to one and the same trouble in one night, the channel is blind tonight: nothing on it moves.
Sherlock tests its site list with known and impossible names; here it is done every night.
"""

from __future__ import annotations

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

MAX_CHANGED_SHARE = 0.10
MIN_CHANGED_ACCOUNTS = 5
OFFLINE_REASONS = frozenset({Reason.NETWORK, Reason.TIMEOUT, Reason.NO_SUCH_HOST})


@dataclass(frozen=True, slots=True)
class Canary:
    """An account whose answer we know beforehand."""

    account: Account
    exists: bool

    @property
    def channel(self) -> str:
        """The channel it watches."""
        return self.account.channel


@dataclass(frozen=True, slots=True)
class RunChange:
    """One account on one night: what was held of it before, and what was found."""

    channel: str
    previous_status: AccountStatus
    finding: Finding


def build_canaries(
    channel: str, known_accounts: Sequence[str], impossible_account: str | None, day: date
) -> list[Canary]:
    """A channel's canaries. A website that cannot be is a new random name each night, unless one is given."""
    if impossible_account is None and channel == "website" and known_accounts:
        impossible_account = (
            f"https://{hashlib.sha256(day.isoformat().encode()).hexdigest()[:24]}.com/"
        )
    named = [(typed, True) for typed in known_accounts] + [
        (typed, False) for typed in (impossible_account,) if typed
    ]
    return [
        Canary(Account("", typed, identify.identify_link(typed, channel)), exists=exists)
        for typed, exists in named
    ]


def is_offline(canary_readings: Iterable[tuple[Canary, Finding]]) -> bool:
    """Whether both ordinary websites are out of reach: then it is our own line that is down."""
    ordinary = [
        finding
        for canary, finding in canary_readings
        if canary.channel == "website" and canary.exists
    ]
    return len(ordinary) >= 2 and all(finding.reason in OFFLINE_REASONS for finding in ordinary)


def find_failed_canaries(canary_readings: Iterable[tuple[Canary, Finding]]) -> dict[str, str]:
    """The channels on which a canary reads wrong, and why.

    A canary that cannot be told says nothing, unless it is our own probe that breaks on it.
    """
    blind: dict[str, str] = {}
    for canary, finding in canary_readings:
        if canary.exists and finding.presence is Presence.ABSENT:
            blind[canary.channel] = f"a known account reads {finding.reason}"
        elif not canary.exists and finding.presence is Presence.PRESENT:
            blind[canary.channel] = "an impossible account reads present"
        elif finding.reason is Reason.CRASHED:
            blind[canary.channel] = f"the probe breaks: {finding.detail}"
    return blind


def find_trusted_channels(canary_readings: Iterable[tuple[Canary, Finding]]) -> frozenset[str]:
    """The channels whose canaries all read right tonight, a known and an impossible one at least."""
    right: dict[str, set[bool]] = defaultdict(set)
    wrong: set[str] = set()
    for canary, finding in canary_readings:
        expected = Presence.PRESENT if canary.exists else Presence.ABSENT
        if finding.presence is expected:
            right[canary.channel].add(canary.exists)
        else:
            wrong.add(canary.channel)
    return frozenset(channel for channel, kinds in right.items() if len(kinds) == 2) - wrong


def find_mass_changes(
    run_changes: Iterable[RunChange], trusted_channels: frozenset[str] = frozenset()
) -> dict[str, str]:
    """The channels on which too many accounts last seen present turned tonight to one and the same trouble.

    A steady wall is no turn: an account counts only when its trouble was not there last night. An
    absence counts every night until it is believed, unless the channel's canaries vouch for our eyes:
    then the second night of a real catastrophe (a hosting company that closes) is believed.
    """
    looked: Counter[str] = Counter()
    turned: dict[str, Counter[tuple[Presence, Reason | None]]] = defaultdict(Counter)
    for turn in run_changes:
        known = turn.previous_status.last_known_finding
        if known is None or known.presence is not Presence.PRESENT or was_skipped(turn.finding):
            continue
        looked[turn.channel] += 1
        if _has_changed(turn, trusted_channels):
            turned[turn.channel][turn.finding.presence, turn.finding.reason] += 1
    return {
        channel: f"{count} of {looked[channel]} turned to {cause[1]} in one night"
        for channel, causes in turned.items()
        for cause, count in causes.most_common(1)
        if count >= MIN_CHANGED_ACCOUNTS and count > MAX_CHANGED_SHARE * looked[channel]
    }


def _has_changed(run_change: RunChange, trusted_channels: frozenset[str]) -> bool:
    finding, before = run_change.finding, run_change.previous_status
    if finding.presence is Presence.PRESENT:
        return False
    steady = (before.latest_presence, before.latest_reason) == (finding.presence, finding.reason)
    return not steady or (
        finding.presence is Presence.ABSENT and run_change.channel not in trusted_channels
    )


def find_unreliable_channels(
    canary_readings: Sequence[tuple[Canary, Finding]],
    run_changes: Iterable[RunChange],
    channels: Mapping[str, object],
    earlier_warnings: Mapping[str, str] = MappingProxyType({}),
) -> dict[str, str]:
    """The audited channels that cannot be trusted tonight, each with the reason for the operator.

    `warned` is what canaries said in earlier sessions of a night that was interrupted.
    """
    blind = {
        **find_mass_changes(
            run_changes, find_trusted_channels(canary_readings) - set(earlier_warnings)
        ),
        **earlier_warnings,
        **find_failed_canaries(canary_readings),
    }
    return {channel: why for channel, why in blind.items() if channel in channels}
