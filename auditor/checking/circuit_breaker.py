"""Circuit breakers: after several refusals in a row, a platform is not requested again.

More requests would give the same result and harm our reputation. The skipped accounts are unknown
with the reason of the last refusal, and come first in the next run. A page that only members of a
platform may see is not a refusal (`probes.classify.interstitials.detect_client_block`). Websites
have only that of their host, and APIs have their own in the batcher. See
docs/decisions/0014-politeness-to-platforms.md.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

from auditor.config.schema import Config
from probes.classify import interstitials
from probes.links import channel_registry, normalize
from probes.log import EventLogger
from probes.models.finding import ACCOUNT_KINDS, Finding, LinkKind, Presence, Reason
from probes.models.http import Page
from probes.models.probe import HttpExchange, ProbeResult
from storage.models.audit import AccountRow, AuditRun, AuditRunState
from storage.models.run_report import OpenedCircuit
from storage.store import Store

logger = EventLogger(__name__)

REQUESTED_KINDS = ACCOUNT_KINDS | {LinkKind.SHORT_LINK}
"""Kinds of links for which a platform is requested."""


@dataclass(slots=True)
class CircuitBreaker:
    """The circuit breaker of one platform; it is open if `opened_reason` is set.

    `first_account_id` is the account that this run begins with, `skipped_count` the number of
    skipped accounts and `first_skipped_id` the first of them.
    """

    channel: str
    failure_threshold: int
    first_account_id: int = 0
    refusals: int = 0
    opened_reason: Reason | None = None
    skipped_count: int = 0
    first_skipped_id: int | None = None

    def sort_key(self, account_id: int) -> tuple[bool, int]:
        """Return the sort key of an account: a rotation that begins where the last run stopped."""
        return account_id < self.first_account_id, account_id

    def record_canary(self, exchanges: Iterable[HttpExchange]) -> None:
        """Count the responses to a canary.

        They never open the circuit alone, because canaries are famous accounts.
        """
        for reason in _iter_refusals(self.channel, exchanges):
            self.refusals = self.refusals + 1 if reason else 0

    def record_exchanges(self, exchanges: Iterable[HttpExchange]) -> None:
        """Count refusals in a row; any other response resets the count."""
        for reason in _iter_refusals(self.channel, exchanges):
            self.refusals = self.refusals + 1 if reason else 0
            if reason and self.refusals >= self.failure_threshold and self.opened_reason is None:
                self.opened_reason = reason
                logger.warning(
                    "circuit_breaker_open",
                    "{channel} is not requested again in this run: {reason}",
                    channel=self.channel,
                    reason=self._format_reason(),
                )

    def skip_if_open(self, row: AccountRow) -> ProbeResult | None:
        """Return the result for a skipped account, or None if it may be requested."""
        if self.opened_reason is None or row.identity.kind not in REQUESTED_KINDS:
            return None
        self.skipped_count += 1
        first_id = row.id if self.first_skipped_id is None else self.first_skipped_id
        self.first_skipped_id = min(first_id, row.id, key=self.sort_key)
        return ProbeResult(
            Finding(
                Presence.UNKNOWN,
                self.opened_reason,
                detail=f"skipped in this run: {self._format_reason()}",
            )
        )

    def _format_reason(self) -> str:
        return f"{self.opened_reason}, {self.failure_threshold} times in a row"


def _iter_refusals(channel: str, exchanges: Iterable[HttpExchange]) -> Iterator[Reason | None]:
    """Yield, for each response of the platform, the reason of the refusal or None.

    Requests without a response are left out.
    """
    for exchange in exchanges:
        outcome = exchange.outcome
        host = normalize.get_host(exchange.request.url)
        if channel_registry.find_channel_by_host(host) != channel:
            continue  # a short link of another service
        if isinstance(outcome, Page):
            yield interstitials.detect_client_block(outcome)
        elif outcome.reason is Reason.LOGIN_WALL:
            yield outcome.reason  # a redirect loop


def load_circuit_breakers(
    config: Config, store: Store, run: AuditRun, api_channels: Collection[str]
) -> dict[str, CircuitBreaker]:
    """Return the circuit breakers of the platforms whose pages are requested.

    They have the state that earlier sessions of the run left. The last finished run says with which
    account each begins.
    """
    previous_run = store.runs.get_latest(AuditRunState.DONE, before_day=run.day)
    previous_circuits = previous_run.report.opened_circuits if previous_run else {}
    circuit_breakers = {}
    for channel in config.channels:
        if channel == channel_registry.WEBSITE_CHANNEL or channel in api_channels:
            continue
        circuit_breaker = CircuitBreaker(channel, config.fetch.platform_breaker_failures)
        circuit_breakers[channel] = circuit_breaker
        previous = previous_circuits.get(channel)
        if previous is not None:
            circuit_breaker.first_account_id = previous.first_account_id or 0
        current = run.report.opened_circuits.get(channel)
        if current is not None:
            circuit_breaker.opened_reason = current.reason
            circuit_breaker.skipped_count = current.skipped
            circuit_breaker.first_skipped_id = current.first_account_id
    return circuit_breakers


def describe_opened_circuits(
    circuit_breakers: Mapping[str, CircuitBreaker],
) -> dict[str, OpenedCircuit]:
    """Return the open circuit breakers as the run report states them."""
    return {
        channel: OpenedCircuit(
            reason=circuit_breaker.opened_reason,
            skipped=circuit_breaker.skipped_count,
            first_account_id=circuit_breaker.first_skipped_id,
        )
        for channel, circuit_breaker in circuit_breakers.items()
        if circuit_breaker.opened_reason is not None
    }
