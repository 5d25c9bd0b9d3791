"""The frontier of a run: the accounts that it has still to check, and the host queues they wait in.

`Frontier` stores the plan at the start of a run and hands out its entries until none is left. It
knows the circuit breakers, so no account of a platform that refuses is requested. One machine takes
all host queues (`iter_queues`); a worker of a cluster takes that of one batch. The plan is read
page by page while its accounts are checked, so few entries are in memory.
"""

from __future__ import annotations

import asyncio
import sys
from collections import deque
from collections.abc import AsyncGenerator, Callable, Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field, replace
from itertools import groupby
from typing import Protocol

from auditor.app import App
from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.runs.plan import (
    API_ROUND,
    MAX_BATCH_ACCOUNTS,
    WEBSITE_ROUND,
    CheckPriority,
    build_account_filter,
    build_batches,
)
from auditor.runs.state import RequestCounts, RunDeadline
from probes.http.host_state import HostLock
from probes.links.channel_registry import WEBSITE_CHANNEL
from probes.models.probe import ProbeResult
from probes.runner.api_batcher import ApiBudget
from storage.models.audit import AccountRow, AuditRun, AuditRunState
from storage.runs.plan import PlanBatch, PlanEntry, PlanPosition

MAX_TASKS_PER_HOST = 3
"""Tasks that may check accounts of one website host.

One page is parsed while the next is requested.
"""


@dataclass(slots=True)
class Frontier:
    """The accounts that a run has still to check. `planned_count` is set by `fill`.

    `circuit_breakers` are by channel. `api_channels` are the channels that are checked by API.
    """

    app: App
    audit_run: AuditRun
    circuit_breakers: dict[str, CircuitBreaker] = field(default_factory=dict)
    api_channels: Collection[str] = ()
    planned_count: int = 0

    def fill(self) -> int:
        """Store the plan: the positions of all accounts to check. Return their number.

        The plan of an evaluated run has only the accounts that were registered before its plan.
        These were not reached. An account that was added later belongs to the next run.
        """
        run = self.audit_run
        priority = CheckPriority(
            self.app.store.runs.get_latest(AuditRunState.DONE, before_day=run.day),
            circuit_breakers=self.circuit_breakers,
            api_channels=self.api_channels,
        )
        should_check = build_account_filter(
            self.app.store.decisions.list_decisions(run.as_of), self.app.config, run.as_of
        )
        is_evaluated = self.app.store.runs.is_evaluated(run.id)
        positions = (
            priority.compute_position(row, check_times)
            for row, check_times in self.app.store.observations.list_pending_accounts(run)
            if should_check(row)
            and (not is_evaluated or (row.added_at is not None and row.added_at <= run.as_of))
        )
        self.app.store.run_plan.replace(positions, MAX_BATCH_ACCOUNTS)
        self.planned_count = self.count_remaining()
        return self.planned_count

    def count_remaining(self, *, second_pass: bool = False) -> int:
        """Return the number of accounts that wait for a pass."""
        return self.app.store.run_plan.count_entries(self.audit_run, second_pass=second_pass)

    def list_batches(
        self, *, second_pass: bool = False, max_accounts: int = MAX_BATCH_ACCOUNTS
    ) -> list[PlanBatch]:
        """Return the batches that wait for a pass, in their order."""
        host_buckets = self.app.store.run_plan.count_by_host_bucket(
            self.audit_run, second_pass=second_pass
        )
        return build_batches(host_buckets, max_accounts)

    async def iter_queues(
        self, batches: Sequence[PlanBatch], *, second_pass: bool = False
    ) -> AsyncGenerator[HostQueue, None]:
        """Yield each host queue once for each task that may check accounts of its host.

        A batch of several hosts is small, so its entries are read at once. The longest queue of
        them comes first.
        """
        for batch in batches:
            host_queues = [HostQueue(self, batch, second_pass=second_pass)]
            if batch.first_bucket != batch.last_bucket:
                entries = await asyncio.to_thread(self.load_entries, batch, second_pass=second_pass)
                hosts = groupby(entries, lambda entry: entry.position.host_bucket)
                host_queues = []
                for bucket, host_entries in sorted(
                    ((bucket, list(group)) for bucket, group in hosts),
                    key=lambda host: len(host[1]),
                    reverse=True,
                ):
                    host_batch = PlanBatch(batch.round, bucket, bucket, len(host_entries))
                    host_queues.append(
                        HostQueue(self, host_batch, second_pass=second_pass, entries=host_entries)
                    )
            for host_queue in host_queues:
                for _ in range(host_queue.max_tasks):
                    yield host_queue

    def load_entries(
        self,
        batch: PlanBatch,
        *,
        second_pass: bool = False,
        after: PlanPosition | None = None,
        limit: int | None = None,
    ) -> list[PlanEntry]:
        """Return the next entries, each with the observation that this run may revalidate."""
        run = self.audit_run
        entries = self.app.store.run_plan.list_entries(
            run, batch, after_position=after, limit=limit, second_pass=second_pass
        )
        account_ids = [
            entry.account.id for entry in entries if entry.account.channel == WEBSITE_CHANNEL
        ]
        if not account_ids:
            return entries
        last_observations = self.app.store.observations.find_last_observations(
            account_ids, before_day=run.day
        )
        return [
            replace(entry, last_observation=last_observations.get(entry.account.id))
            for entry in entries
        ]

    def skip_if_refused(self, account: AccountRow) -> ProbeResult | None:
        """Return the result of a skipped account, or None if its platform may be requested."""
        circuit_breaker = self.circuit_breakers.get(account.channel)
        return circuit_breaker.skip_if_open(account) if circuit_breaker else None


class HostQueue:
    """The plan entries of one host bucket: a website host, a platform, or all APIs.

    Several tasks may take entries at the same time; no entry is handed out twice. `cursor` is the
    position of the entry that was taken last, or the position after which the queue begins. With
    `entries`, the queue has been read already. It hands out at most `limit` entries, or all.
    """

    def __init__(
        self,
        frontier: Frontier,
        batch: PlanBatch,
        *,
        second_pass: bool = False,
        after: PlanPosition | None = None,
        limit: int = sys.maxsize,
        entries: Sequence[PlanEntry] | None = None,
    ) -> None:
        self.batch = batch
        self.second_pass = second_pass
        self.cursor = after
        self._frontier = frontier
        self._remaining_limit = limit
        self._last_read_position = after
        self._waiting = deque(entries or ())
        self._is_fully_read = entries is not None
        self._lock = asyncio.Lock()

    @property
    def is_api(self) -> bool:
        """Return True if the accounts are checked by API, many per call."""
        return self.batch.round == API_ROUND

    @property
    def max_tasks(self) -> int:
        """Return how many tasks may check accounts of the host at the same time."""
        return min(MAX_TASKS_PER_HOST, self.batch.size) if self.batch.round >= WEBSITE_ROUND else 1

    @property
    def is_exhausted(self) -> bool:
        """Return True if the plan has been read to its end and no entry is waiting."""
        return self._is_fully_read and not self._waiting

    async def take(self, count: int = 1) -> list[PlanEntry]:
        """Return the next `count` entries, or fewer at the end of the queue or at the limit."""
        async with self._lock:
            count = min(count, self._remaining_limit)
            while len(self._waiting) < count and not self._is_fully_read:
                # entries of a large host that are read at a time
                await self._read_page(max(100, count))
            entries = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
            self._remaining_limit -= len(entries)
        if entries:
            self.cursor = entries[-1].position
        return entries

    async def _read_page(self, limit: int) -> None:
        page = await asyncio.to_thread(
            self._frontier.load_entries,
            self.batch,
            second_pass=self.second_pass,
            after=self._last_read_position,
            limit=limit,
        )
        self._is_fully_read = len(page) < limit
        if page:
            self._last_read_position = page[-1].position
        self._waiting.extend(page)


@dataclass(frozen=True, slots=True)
class QueueStatus:
    """The number of jobs of a cluster by state, and of workers with a recent heartbeat.

    `failed_jobs` have failed in all attempts. `stalled_jobs` are running jobs of workers without a
    recent heartbeat. `oldest_wait_seconds` is how long the oldest waiting job has waited.
    """

    waiting_jobs: int
    running_jobs: int
    failed_jobs: int
    stalled_jobs: int
    oldest_wait_seconds: float | None
    active_workers: int


class Coordinator(Protocol):
    """Has workers on other machines check the accounts of a frontier."""

    @property
    def worker_requests(self) -> RequestCounts:
        """Return the requests that the workers reported."""
        ...

    async def check_pass(self, *, second_pass: bool = False) -> None:
        """Have the workers check all accounts that wait for a pass."""
        ...


class WorkerCluster(Protocol):
    """The machines that share a run.

    `auditor.cluster.get_worker_cluster` returns the configured ones.
    """

    def open_host_lock(self) -> AbstractAsyncContextManager[HostLock]:
        """Open the host locks that the machines share. Raises ConfigError."""
        ...

    def open_coordinator(
        self,
        app: App,
        frontier: Frontier,
        deadline: RunDeadline,
        *,
        api_budgets: Mapping[str, ApiBudget],
        on_progress: Callable[[int], None],
    ) -> AbstractAsyncContextManager[Coordinator]:
        """Open the job queue of a run. Leaves no job in it. Raises ConfigError."""
        ...

    def load_queue_status(self) -> QueueStatus | None:
        """Return the state of the queue, or None before there is one. Raises StoreError."""
        ...
