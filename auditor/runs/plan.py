"""The plan of a run: the accounts that it checks, their order, and their batches. Pure.

Accounts are ordered by how long they have waited for a check, so an account that one run did not
reach comes first in the next. Hosts are checked concurrently. The accounts of one host share a
queue, because a host gets one request at a time, spaced by the crawl delay. All hosts of a platform
share one queue, so refusals in a row can be counted. Small hosts are put together into batches.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from math import ceil, inf
from operator import attrgetter
from urllib.parse import urlsplit

from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.config.schema import Config
from auditor.rules.association_state import is_disowning, select_decisions_in_force
from probes.links import channel_registry
from probes.models.finding import LinkKind
from storage.models.audit import AccountRow, AuditRun, CheckTimes, Decision
from storage.runs.plan import PlanBatch, PlanPosition, compute_host_bucket

UNCHECKED_KINDS = frozenset({LinkKind.NONE, LinkKind.INVALID})
"""Kinds of links that name no account, so there is nothing to check."""

HOSTS_PER_CONNECTION = 5
"""Hosts that are checked per allowed connection.

A website takes about six requests with a crawl delay before each, so most hosts are waiting.
"""

MAX_BATCH_ACCOUNTS = 200
"""Accounts in one batch. A host with more accounts has a separate batch."""

MIN_CLUSTER_BATCHES = 30
"""Batches for the workers of a cluster, if there are enough accounts: the last one ends soon."""

API_ROUND, PLATFORM_ROUND, WEBSITE_ROUND = range(3)
"""The rounds of a plan.

APIs and platforms take longest, so they begin first. Websites have one round per day of waiting:
`WEBSITE_ROUND` for those that have waited longest, a higher number for the others.
"""

MAX_OVERDUE_DAYS = 30
"""Days of waiting that count. An account that has never been checked has the same priority."""

SECONDS_PER_MINUTE = 60.0
SECONDS_PER_DAY = 86400
MAX_OVERDUE_MINUTES = 2**29 - 1
"""Minutes for which an account can be overdue in the order of a plan."""
ACCOUNT_ID_BITS = 32


def build_account_filter(
    decisions: Iterable[Decision], config: Config, now: datetime
) -> Callable[[AccountRow], bool]:
    """Return a function that is True for each account to check.

    Such an account is on an audited channel, has a usable link, and is not disowned.
    """
    disowning = select_decisions_in_force(filter(is_disowning, decisions), now)
    disowned_ids = set(map(attrgetter("account_id"), disowning))

    def should_check(row: AccountRow) -> bool:
        return (
            row.channel in config.channels
            and row.identity.kind not in UNCHECKED_KINDS
            and row.id not in disowned_ids
        )

    return should_check


@dataclass(frozen=True, slots=True)
class CheckPriority:
    """Computes the position of each account in the plan of a run.

    `previous_run` is the last finished run. `circuit_breakers` know with which account each
    platform begins. `api_channels` are the channels that are checked by API.
    """

    previous_run: AuditRun | None
    circuit_breakers: Mapping[str, CircuitBreaker] = field(default_factory=dict)
    api_channels: Collection[str] = ()

    def compute_position(self, row: AccountRow, check_times: CheckTimes) -> PlanPosition:
        """Return the position of an account in the plan."""
        account_id = row.id
        overdue_seconds = compute_overdue_seconds(check_times, self.previous_run)
        if row.channel in self.api_channels:
            # The account that has been unknown for longest comes first. If the API budget ends the
            # run early, other accounts come first in the next run.
            decided_at = check_times.decided_at
            decided_minute = int(decided_at.timestamp() / SECONDS_PER_MINUTE) if decided_at else 0
            # all accounts that are checked by API have one host bucket: they share its calls
            host_bucket = compute_host_bucket("api")
            rank = _build_rank(overdue_seconds, max(0, decided_minute))
            return PlanPosition(API_ROUND, host_bucket, rank, account_id)
        if row.channel != channel_registry.WEBSITE_CHANNEL:
            # The ids form a rotation that begins with the account at which the last run stopped.
            tie_breaker, circuit_breaker = account_id, self.circuit_breakers.get(row.channel)
            if circuit_breaker is not None:
                tie_breaker += circuit_breaker.sort_key(account_id)[0] << ACCOUNT_ID_BITS
            rank = _build_rank(overdue_seconds, tie_breaker)
            return PlanPosition(PLATFORM_ROUND, compute_host_bucket(row.channel), rank, account_id)
        overdue_days = ceil(min(overdue_seconds / SECONDS_PER_DAY, MAX_OVERDUE_DAYS))
        return PlanPosition(
            WEBSITE_ROUND + MAX_OVERDUE_DAYS - overdue_days,
            compute_host_bucket(f"//{get_account_host(row)}"),
            _build_rank(overdue_seconds, account_id),
            account_id,
        )


def get_host_concurrency(config: Config) -> int:
    """Return how many hosts are checked at the same time.

    With a crawl delay most hosts are waiting, so there are more hosts than connections. A worker of
    a cluster has several jobs at a time, so each job has fewer hosts.
    """
    if config.fetch.host_delay and not config.cluster.enabled:
        return config.fetch.concurrency * HOSTS_PER_CONNECTION
    return config.fetch.concurrency


def compute_overdue_seconds(check_times: CheckTimes, previous_run: AuditRun | None) -> float:
    """Return how many seconds before the last finished run an account was last checked.

    0 for every account that this run reached; infinity for one that has never been checked.
    """
    if previous_run is None:
        return 0.0
    if check_times.checked_at is None:
        return inf
    return max(0.0, (previous_run.started_at - check_times.checked_at).total_seconds())


def _build_rank(overdue_seconds: float, tie_breaker: int) -> int:
    """Return a rank that is lowest for the longest wait (in minutes), then for the tie breaker.

    The tie breaker has at most 33 bits.
    """
    overdue_minutes = int(min(overdue_seconds / SECONDS_PER_MINUTE, MAX_OVERDUE_MINUTES))
    return ((MAX_OVERDUE_MINUTES - overdue_minutes) << (ACCOUNT_ID_BITS + 1)) + tie_breaker


def get_account_host(row: AccountRow) -> str:
    """Return the host of an account's link, or an empty string if it has none."""
    try:
        return urlsplit(row.identity.url or row.identity.canonical or "").hostname or ""
    except ValueError:
        return ""


def compute_batch_size(account_count: int) -> int:
    """Return how many accounts a batch has in a cluster.

    Batches are smaller if there are few accounts, so every worker gets a share.
    """
    return max(1, min(MAX_BATCH_ACCOUNTS, account_count // MIN_CLUSTER_BATCHES))


def build_batches(
    host_buckets: Iterable[tuple[int, int, int]], max_accounts: int = MAX_BATCH_ACCOUNTS
) -> list[PlanBatch]:
    """Return the batches of a plan, ordered by round, the largest of each round first.

    Neighbouring website hosts of a round are put together. APIs and platforms have own batches.
    `host_buckets` are (round, host bucket, number of accounts), ordered by round and bucket.
    """
    batches: list[PlanBatch] = []
    for round_number, host_bucket, account_count in host_buckets:
        if (
            batches
            and round_number == batches[-1].round >= WEBSITE_ROUND
            and batches[-1].size + account_count <= max_accounts
        ):
            batches[-1] = PlanBatch(
                round_number,
                batches[-1].first_bucket,
                host_bucket,
                batches[-1].size + account_count,
            )
        else:
            batches.append(PlanBatch(round_number, host_bucket, host_bucket, account_count))
    return sorted(batches, key=lambda batch: (batch.round, -batch.size))
