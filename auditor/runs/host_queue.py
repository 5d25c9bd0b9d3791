"""Lanes: the accounts of one host in their order, read as they are taken, so that few are held at a time."""

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
"""So many accounts of a large host are read together."""


class HostQueue:
    """The accounts that wait at one spot. Several may take from it at once; each gets others.

    `cursor` is the place of the last one that was taken.
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
        """A lane of accounts that are read already."""
        lane = cls(store, run, batch)
        lane._waiting.extend(accounts)
        lane._is_fully_read = True
        return lane

    @property
    def is_exhausted(self) -> bool:
        """Whether it is known that nobody waits any more."""
        return self._is_fully_read and not self._waiting

    async def take(self, count: int = 1) -> list[PlannedAccount]:
        """The next accounts: so many, if there still are."""
        async with self._lock:
            while len(self._waiting) < count and not self._is_fully_read:
                page = await asyncio.to_thread(self._load_page, max(HOST_PAGE_SIZE, count))
                self._waiting.extend(page)
            taken = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        if taken:
            self.cursor = taken[-1].position
        return taken

    def _load_page(self, limit: int) -> list[PlannedAccount]:
        page = self._store.list_planned_accounts(
            self._audit_run,
            self.batch,
            after_position=self._last_read_position,
            limit=limit,
            second_pass=self._second_pass,
        )
        page = attach_last_observations(self._store, self._audit_run, page)
        self._is_fully_read = len(page) < limit
        self._last_read_position = page[-1].position if page else self._last_read_position
        return page


def attach_last_observations(
    store: Store, run: AuditRun, planned_accounts: Sequence[PlannedAccount]
) -> list[PlannedAccount]:
    """The same accounts, with the last look at each that tonight's may repeat."""
    wanted = [
        one.account.id
        for one in planned_accounts
        if one.account.id and can_be_revalidated(one.account, run.day)
    ]
    looks = store.find_last_observations(wanted, before_day=run.day) if wanted else {}
    return [
        replace(one, last_observation=looks.get(one.account.id or 0)) for one in planned_accounts
    ]


async def iter_host_queues(
    store: Store, run: AuditRun, batches: Sequence[PlanBatch], *, second_pass: bool = False
) -> AsyncGenerator[HostQueue, None]:
    """The lanes of the shards one after the other, each as often as its host may hold a worker."""
    for shard in batches:
        for lane in await _build_host_queues(store, run, shard, second_pass=second_pass):
            for _ in range(
                min(MAX_WORKERS_PER_HOST, lane.batch.size) if shard.round >= WEBSITE_ROUND else 1
            ):
                yield lane


async def _build_host_queues(
    store: Store, run: AuditRun, batch: PlanBatch, *, second_pass: bool
) -> list[HostQueue]:
    if batch.first_bucket == batch.last_bucket:
        return [HostQueue(store, run, batch, second_pass=second_pass)]
    rows = await asyncio.to_thread(
        lambda: attach_last_observations(
            store, run, store.list_planned_accounts(run, batch, second_pass=second_pass)
        )
    )
    hosts = [list(accounts) for _, accounts in groupby(rows, lambda one: one.position.host_bucket)]
    return [
        HostQueue.from_accounts(
            store,
            run,
            PlanBatch(
                batch.round, one[0].position.host_bucket, one[0].position.host_bucket, len(one)
            ),
            one,
        )
        for one in sorted(hosts, key=len, reverse=True)
    ]


class WorkQueue:
    """Lanes for several workers: each takes the next one."""

    def __init__(self, source: AsyncGenerator[HostQueue, None]) -> None:
        self._source = source
        self._lock = asyncio.Lock()

    async def next_queue(self) -> HostQueue | None:
        """The next lane, or None where there is none left."""
        async with self._lock:
            return await anext(self._source, None)
