"""Patience with platforms: one that turns us away several times in a row is left alone for the night.

Asking on would tell the same, at the cost of requests and of our name there. Whom that leaves out is unknown
for the reason of the last refusal, is asked nothing, and comes first on the next night. A page that a
platform keeps to its members is no refusal of us (`probes.classify.interstitials.detect_client_block`). Sites are not
judged here, nor interfaces, which the desk watches. Reasons: docs/decisions/0014-politeness-to-platforms.md.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from auditor.config.schema import Config
from probes.classify import interstitials
from probes.links import channel_registry, identify
from probes.log import EventLogger
from probes.models.finding import ACCOUNT_KINDS, Finding, LinkKind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import HttpExchange, ProbeResult
from storage.models.audit import AccountRow, AuditRun, AuditRunState
from storage.store import Store

events = EventLogger(__name__)

OPENED_CIRCUITS_KEY = "opened_circuits"
"""Where a receipt tells of the platforms that were left alone."""

REQUESTED_KINDS = ACCOUNT_KINDS | {LinkKind.SHORT_LINK}
"""Kinds of links for which a platform is asked at all."""


@dataclass(slots=True)
class CircuitBreaker:
    """What is left of it with one platform. `gave_up` is why there is none.

    `begin` is the number of the account that tonight begins with; `left_out` counts those that were not
    asked, and `first` is the number of the first of them.
    """

    channel: str
    failure_threshold: int
    first_account_id: int = 0
    refusals: int = 0
    opened_reason: Reason | None = None
    skipped_count: int = 0
    first_skipped_id: int | None = None

    def sort_key(self, account_id: int) -> tuple[bool, int]:
        """By what accounts are put in tonight's order: round and round, from where last night ended."""
        return account_id < self.first_account_id, account_id

    def record_canary(self, exchanges: Iterable[HttpExchange]) -> None:
        """Take in the answer to a canary. It leaves a chance to one account: canaries are famous."""
        for reason in _iter_refusals(self.channel, exchanges):
            self.refusals = min(self.refusals + 1, self.failure_threshold - 1) if reason else 0

    def record_exchanges(self, exchanges: Iterable[HttpExchange]) -> None:
        """Take in what the platform answered: any answer that is no refusal begins the count anew."""
        for reason in _iter_refusals(self.channel, exchanges):
            self.refusals = self.refusals + 1 if reason else 0
            if reason and self.refusals >= self.failure_threshold and self.opened_reason is None:
                self.opened_reason = reason
                said = "{channel} is left alone tonight: {why}"
                events.warning(
                    "platform_left_alone", said, channel=self.channel, why=self._format_reason()
                )

    def skip_if_open(self, row: AccountRow) -> ProbeResult | None:
        """The look at an account that is not asked any more; None where it may be."""
        if self.opened_reason is None or row.identity.kind not in REQUESTED_KINDS:
            return None
        number = row.id or 0
        self.skipped_count += 1
        self.first_skipped_id = (
            number
            if self.first_skipped_id is None
            else min(self.first_skipped_id, number, key=self.sort_key)
        )
        return ProbeResult(
            Finding(
                Presence.UNKNOWN,
                self.opened_reason,
                detail=f"left alone tonight: {self._format_reason()}",
            )
        )

    def _format_reason(self) -> str:
        return f"{self.opened_reason}, {self.failure_threshold} times in a row"

    def to_dict(self) -> dict[str, object]:
        """What the receipt says: why, how many were left out, and with which account to begin tomorrow."""
        return {
            "reason": self.opened_reason,
            "skipped": self.skipped_count,
            "first_account_id": self.first_skipped_id,
        }


def _iter_refusals(channel: str, exchanges: Iterable[HttpExchange]) -> Iterator[Reason | None]:
    """Each answer of the platform as why it turned us away, or None. Silence is no answer."""
    for exchange in exchanges:
        answer = exchange.outcome
        if (
            channel_registry.find_channel_by_host(identify.get_link_host(exchange.request.url))
            != channel
        ):
            continue  # a short link of somebody else's
        if isinstance(answer, Page):
            yield interstitials.detect_client_block(answer)
        elif answer.reason is Reason.LOGIN_WALL:
            yield answer.reason  # it led round and round


def load_circuit_breakers(
    config: Config, store: Store, run: AuditRun, api_channels: Collection[str]
) -> dict[str, CircuitBreaker]:
    """The patience of a night with each platform whose pages are asked, as earlier sessions left it."""
    yesterday = _read_opened_circuits(_find_preceding_run(store, run))
    held = _read_opened_circuits(run)
    return {
        name: _restore_circuit_breaker(
            name,
            config.fetch.platform_breaker_failures,
            yesterday.get(name, {}),
            held.get(name, {}),
        )
        for name in config.channels
        if name != channel_registry.WEBSITE_CHANNEL and name not in api_channels
    }


def _restore_circuit_breaker(
    channel: str,
    failure_threshold: int,
    previous_run_state: Mapping[str, Any],
    current_run_state: Mapping[str, Any],
) -> CircuitBreaker:
    one = CircuitBreaker(
        channel, failure_threshold, first_account_id=int(previous_run_state.get("first_account_id") or 0)
    )
    if current_run_state.get("reason"):
        one.opened_reason = Reason(current_run_state["reason"])
        one.skipped_count, one.first_skipped_id = (
            int(current_run_state.get("skipped") or 0),
            current_run_state.get("first_account_id"),
        )
    return one


def _find_preceding_run(store: Store, run: AuditRun) -> AuditRun | None:
    return store.get_latest_run(AuditRunState.DONE, before_day=run.day)


def _read_opened_circuits(run: AuditRun | None) -> Mapping[str, Any]:
    told = run.receipt.get(OPENED_CIRCUITS_KEY) if run else None
    return told if isinstance(told, dict) else {}


def build_opened_circuits_field(
    circuit_breakers: Mapping[str, CircuitBreaker],
) -> dict[str, object]:
    """What the receipt says of the platforms that were left alone; nothing where none was."""
    left = {
        name: one.to_dict()
        for name, one in circuit_breakers.items()
        if one.opened_reason is not None
    }
    return {OPENED_CIRCUITS_KEY: left} if left else {}
