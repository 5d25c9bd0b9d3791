"""Lanes: the accounts of one host in their order, read as they are taken, so that few are held at a time."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import replace
from itertools import groupby

from auditor.checking.checker import is_possible
from auditor.runs.plan import LANES, OF_SITES
from storage.models.audit import Night
from storage.runs.plan import Place, Planned, Shard
from storage.store import Store

PAGE = 100
"""So many accounts of a large host are read together."""


class Lane:
    """The accounts that wait at one spot. Several may take from it at once; each gets others.

    `cursor` is the place of the last one that was taken.
    """

    def __init__(
        self, store: Store, night: Night, shard: Shard, *, again: bool = False, after: Place | None = None
    ) -> None:
        self.shard = shard
        self.cursor = after
        self._store = store
        self._night = night
        self._again = again
        self._read = after
        self._waiting: deque[Planned] = deque()
        self._is_read = False
        self._turn = asyncio.Lock()

    @classmethod
    def of(cls, store: Store, night: Night, shard: Shard, accounts: Iterable[Planned]) -> Lane:
        """A lane of accounts that are read already."""
        lane = cls(store, night, shard)
        lane._waiting.extend(accounts)
        lane._is_read = True
        return lane

    @property
    def is_over(self) -> bool:
        """Whether it is known that nobody waits any more."""
        return self._is_read and not self._waiting

    async def take(self, count: int = 1) -> list[Planned]:
        """The next accounts: so many, if there still are."""
        async with self._turn:
            while len(self._waiting) < count and not self._is_read:
                page = await asyncio.to_thread(self._page, max(PAGE, count))
                self._waiting.extend(page)
            taken = [self._waiting.popleft() for _ in range(min(count, len(self._waiting)))]
        if taken:
            self.cursor = taken[-1].place
        return taken

    def _page(self, limit: int) -> list[Planned]:
        page = self._store.planned(self._night, self.shard, after=self._read, limit=limit, again=self._again)
        page = with_looks(self._store, self._night, page)
        self._is_read = len(page) < limit
        self._read = page[-1].place if page else self._read
        return page


def with_looks(store: Store, night: Night, page: Sequence[Planned]) -> list[Planned]:
    """The same accounts, with the last look at each that tonight's may repeat."""
    wanted = [one.account.id for one in page if one.account.id and is_possible(one.account, night.day)]
    looks = store.last_looks(wanted, before=night.day) if wanted else {}
    return [replace(one, last=looks.get(one.account.id or 0)) for one in page]


async def lanes(
    store: Store, night: Night, shards: Sequence[Shard], *, again: bool = False
) -> AsyncGenerator[Lane, None]:
    """The lanes of the shards one after the other, each as often as its host may hold a worker."""
    for shard in shards:
        for lane in await _of(store, night, shard, again=again):
            for _ in range(min(LANES, lane.shard.size) if shard.round >= OF_SITES else 1):
                yield lane


async def _of(store: Store, night: Night, shard: Shard, *, again: bool) -> list[Lane]:
    if shard.first == shard.last:
        return [Lane(store, night, shard, again=again)]
    rows = await asyncio.to_thread(lambda: with_looks(store, night, store.planned(night, shard, again=again)))
    hosts = [list(accounts) for _, accounts in groupby(rows, lambda one: one.place.spot)]
    return [
        Lane.of(store, night, Shard(shard.round, one[0].place.spot, one[0].place.spot, len(one)), one)
        for one in sorted(hosts, key=len, reverse=True)
    ]


class Feed:
    """Lanes for several workers: each takes the next one."""

    def __init__(self, source: AsyncGenerator[Lane, None]) -> None:
        self._source = source
        self._turn = asyncio.Lock()

    async def next(self) -> Lane | None:
        """The next lane, or None where there is none left."""
        async with self._turn:
            return await anext(self._source, None)
