"""Host queues: the planned accounts of one host in their order, and the queue of these queues.

The plan is read page by page while its accounts are checked, so few of them are in memory.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from auditor.checking.checker import can_be_revalidated
from auditor.runs.plan import MAX_WORKERS_PER_HOST, WEBSITE_ROUND
from storage.models.audit import AuditRun
from storage.runs.plan import PlanBatch, PlannedAccount, PlanPosition
from storage.store import Store

HOST_PAGE_SIZE = 100
"""Accounts of a large host that are read at a time."""


class HostQueue:
    """The planned accounts of one host bucket: a website host, a platform, or all APIs.

    Several tasks may take accounts at the same time; no account is returned twice. `cursor` is the
    position of the account that was taken last, or the position after which the queue begins.
    """

    def __init__(
        self,
        store: Store,
        run: AuditRun,
        batch: PlanBatch,
        *,
        second_pass: bool = False,
        after: PlanPosition | None = None,
    ) -> None:
        self.batch = batch
        self.cursor = after
        self._store = store
        self._audit_run = run
        self._second_pass = second_pass
        self._last_read_position = after
        self._waiting: deque[PlannedAccount] = deque()
        self._is_fully_read = False
        self._lock = asyncio.Lock()

    @classmethod
    def from_accounts(
        cls, store: Store, run: AuditRun, batch: PlanBatch, accounts: Iterable[PlannedAccount]
    ) -> HostQueue:
        """Return a queue of accounts that have already been read."""
        host_queue = cls(store, run, batch)
        host_queue._waiting.extend(accounts)
        host_queue._is_fully_read = True
        return host_queue

    @property
    def is_exhausted(self) -> bool:
        """Return True if the plan has been read to its end and no account is waiting."""
        return self._is_fully_read and not self._waiting

    async def take(self, count: int = 1) -> list[PlannedAccount]:
        """Return the next `count` accounts, or fewer if the queue ends."""
        async with self._lock:
            while len(self._waiting) < count and not self._is_fully_read:
                page = await asyncio.to_thread(self._load_page, max(HOST_PAGE_SIZE, count))
                self._waiting.extend(page)
            available = min(count, len(self._waiting))
            next_accounts = [self._waiting.popleft() for _ in range(available)]
        if next_accounts:
            self.cursor = next_accounts[-1].position
        return next_accounts

    def _load_page(self, limit: int) -> list[PlannedAccount]:
        page = self._store.run_plan.list_planned_accounts(
            self._audit_run,
            self.batch,
            after_position=self._last_read_position,
            limit=limit,
            second_pass=self._second_pass,
        )
        self._is_fully_read = len(page) < limit
        if page:
            self._last_read_position = page[-1].position
        return attach_last_observations(self._store, self._audit_run, page)


def attach_last_observations(
    store: Store, run: AuditRun, planned_accounts: Sequence[PlannedAccount]
) -> list[PlannedAccount]:
    """Return the accounts, each with the observation that this run may revalidate, if any."""
    account_ids = [
        planned.account.id
        for planned in planned_accounts
        if planned.account.id and can_be_revalidated(planned.account, run.day)
    ]
    last_observations = {}
    if account_ids:
        last_observations = store.observations.find_last_observations(
            account_ids, before_day=run.day
        )
    return [
        replace(planned, last_observation=last_observations.get(planned.account.id or 0))
        for planned in planned_accounts
    ]


async def iter_host_queues(
    store: Store, run: AuditRun, batches: Sequence[PlanBatch], *, second_pass: bool = False
) -> AsyncGenerator[HostQueue, None]:
    """Yield the host queues of the batches.

    A queue is yielded once for each task that may check accounts of its host.
    """
    for batch in batches:
        for host_queue in await _build_host_queues(store, run, batch, second_pass=second_pass):
            task_count = 1
            if batch.round >= WEBSITE_ROUND:
                task_count = min(MAX_WORKERS_PER_HOST, host_queue.batch.size)
            for _ in range(task_count):
                yield host_queue


async def _build_host_queues(
    store: Store, run: AuditRun, batch: PlanBatch, *, second_pass: bool
) -> list[HostQueue]:
    """Return the host queues of a batch, the longest first.

    A batch of several hosts is small, so its accounts are read at once.
    """
    if batch.first_bucket == batch.last_bucket:
        return [HostQueue(store, run, batch, second_pass=second_pass)]

    def load_accounts() -> list[PlannedAccount]:
        planned_accounts = store.run_plan.list_planned_accounts(run, batch, second_pass=second_pass)
        return attach_last_observations(store, run, planned_accounts)

    planned_accounts = await asyncio.to_thread(load_accounts)
    accounts_by_host = [
        list(accounts)
        for _, accounts in groupby(planned_accounts, lambda planned: planned.position.host_bucket)
    ]
    host_queues = []
    for accounts in sorted(accounts_by_host, key=len, reverse=True):
        host_bucket = accounts[0].position.host_bucket
        host_batch = PlanBatch(batch.round, host_bucket, host_bucket, len(accounts))
        host_queues.append(HostQueue.from_accounts(store, run, host_batch, accounts))
    return host_queues


class WorkQueue:
    """The host queues for several tasks: each task takes the next one."""

    def __init__(self, host_queues: AsyncGenerator[HostQueue, None]) -> None:
        self._host_queues = host_queues
        self._lock = asyncio.Lock()

    async def next_queue(self) -> HostQueue | None:
        """Return the next host queue, or None if none is left."""
        async with self._lock:
            return await anext(self._host_queues, None)
