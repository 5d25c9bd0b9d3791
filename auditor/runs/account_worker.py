"""The watch: looks at the accounts of a shard, host by host, and keeps what it sees.

One machine and many work alike: whoever is fed with shards audits each of them by `Watch.audit`.

Checking one association again at once, when somebody asks: politely, one at a time, changing nothing.

What is seen so is shown and forgotten. It is no observation: those belong to nights, which distrust what
their canaries contradict, and a check that is asked for has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from threading import Lock

from auditor.checking.checker import Eyes, is_young, past, purses, recalled
from auditor.checking.circuit_breaker import Patience, patience
from auditor.checking.privacy_filter import Discreet, discreet
from auditor.core.errors import LockedError
from auditor.core.runtime import together
from auditor.evidence import Bodies, Exhibit, exhibits, kept, quotes
from auditor.protocols import RunContext, Tools
from auditor.receipts.receipt import paid
from auditor.rules.account_status import is_unasked
from auditor.runs.host_queue import Feed, Lane, lanes
from auditor.runs.plan import AT_THE_DESK, side_by_side, worth_a_look
from auditor.runs.process import Closing
from probes.links import channel_registry
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import Page
from probes.models.probe import Look
from storage.errors import DamagedEvidenceError, MissingEvidenceError
from storage.files.body_store import Laying
from storage.models.audit import AccountRow, Earlier, Evidence, Night, NightState, Observation
from storage.observations.observations import Writer
from storage.observations.rows import repetition
from storage.runs.plan import Planned, Shard

PASSING = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.RATE_LIMITED})
"""Troubles that may be over in half an hour: their accounts get a second look at the end."""

AT_ONCE = 500
"""How many accounts are at a desk together: ten calls of 50, and what is kept of them fits in memory."""


@dataclass(slots=True)
class Watch:
    """Who looks. What fails for a passing reason is held back by `later`, all else goes to `writer`.

    `bodies` is where pages go. `kept` is told after each account that is done with; `failed_at` is when the
    last one was held back.
    """

    app: Tools
    night: Night
    eyes: Eyes
    platforms: Mapping[str, Patience]
    closing: Closing
    clock: Callable[[], datetime]
    bodies: Laying
    writer: Writer
    later: Writer
    kept: Callable[[], None] = lambda: None
    failed_at: float = 0.0

    async def audit(self, shards: Sequence[Shard], *, again: bool = False) -> None:
        """Look at the accounts of the shards: one host that answers slowly holds a few workers, never all.

        The desk has a worker of its own. With `again` they are looked at for the second and last time.
        """
        store, night = self.app.store, self.night
        desk = [shard for shard in shards if shard.round == AT_THE_DESK]
        others = [shard for shard in shards if shard.round != AT_THE_DESK]
        source = lanes(store, night, others, again=again)
        feed = Feed(source)
        workers = min(sum(shard.size for shard in others), side_by_side(self.app.config))
        try:
            await together(
                *(self.call(Lane(store, night, shard, again=again), again=again) for shard in desk),
                *(self._work(feed, again=again) for _ in range(workers)),
            )
        finally:
            await source.aclose()

    async def _work(self, feed: Feed, *, again: bool) -> None:
        while not self.closing.is_closed and (lane := await feed.next()) is not None:
            await self.follow(lane, again=again)

    async def follow(self, lane: Lane, *, again: bool = False, most: int | None = None) -> int:
        """Look at the accounts of a lane one after the other, at most so many; give how many there were."""
        done = 0
        while not self.closing.is_closed and done != most and (taken := await lane.take()):
            await self._seen(taken[0], await self._look(taken[0]), again=again)
            done += 1
        return done

    async def call(self, lane: Lane, *, again: bool = False, most: int | None = None) -> int:
        """Look at the accounts of a lane at the desk, many at a time, as `follow` does."""
        done = 0
        while not self.closing.is_closed and done != most:
            several = await lane.take(AT_ONCE if most is None else min(AT_ONCE, most - done))
            if not several:
                break
            looks = await self.eyes.together([recalled(one.account, one.standing) for one in several])
            for one, seen in zip(several, looks, strict=True):
                await self._seen(one, seen, again=again)
            done += len(several)
        return done

    async def _look(self, one: Planned) -> Look:
        """The look at one account, unless its platform is left alone tonight."""
        platform = self.platforms.get(one.account.channel)
        if platform and (left_out := platform.leaves_out(one.account)):
            return left_out
        before = past(one.account, one.last, version(one.account), self.night.day, self._body)
        seen = await self.eyes.look(recalled(one.account, one.standing), before)
        if platform:
            platform.heard(seen.exchanges)
        return seen

    def _body(self, digest: str) -> bytes | None:
        try:
            return self.app.archive.get(digest)
        except (MissingEvidenceError, DamagedEvidenceError):
            return None

    async def _seen(self, one: Planned, seen: Look, *, again: bool) -> None:
        purse = self.eyes.purses.get(one.account.channel)
        if purse and is_unasked(seen.finding):  # half an hour later there is no more in it
            purse.left_out += 1
        elif not again and await self._may_pass(seen):
            await self.later.add(await self._told(one, seen, first=True))
            self.failed_at = self.closing.timer()
            return
        await self.keep(await self._told(one, seen))

    async def keep(self, seen: Observation) -> None:
        """Keep what was seen of an account; that it is written is known when the writer was flushed."""
        await self.writer.add(seen)
        self.kept()
        if self.bodies.is_heavy:
            await self.writer.flush()

    async def _told(self, one: Planned, seen: Look, *, first: bool = False) -> Observation:
        """A look as it is kept: of a first one, after which a second is nearly always made, no page."""
        if seen.as_before and one.last is not None and self.night.id is not None:
            return replace(one.last.look, night_id=self.night.id, observed_at=_moment(seen, self.clock()))
        account = recalled(one.account, one.standing)
        shown = await discreet(account, seen, self.eyes.readers, self.eyes.purses)
        shown = replace(shown, bodies=False) if first else shown
        return await self._observation(one, shown, self.clock())

    async def _may_pass(self, seen: Look) -> bool:
        """Whether a trouble may be over by the second pass, and the links may be asked for again then."""
        passing = seen.finding.presence is Presence.UNKNOWN and seen.finding.reason in PASSING
        again = self.eyes.fetcher.may_repeat
        return (
            passing
            and bool(seen.exchanges)
            and all([await again(one.ask, one.answer) for one in seen.exchanges])
        )

    async def _observation(self, one: Planned, shown: Discreet, now: datetime) -> Observation:
        """A look as it is kept: of a platform, whose answers are all others, what tells something new."""
        row, seen = one.account, shown.look
        assert row.id is not None
        assert self.night.id is not None
        look = Observation(row.id, self.night.id, _moment(seen, now), seen.finding, (), version(row))
        fleeting = row.channel != channel_registry.SITE and row.channel not in self.eyes.purses
        if fleeting and one.standing is not None:
            bare = replace(look, evidence=_evidence(shown, None, fleeting=True))
            before = await asyncio.to_thread(self._before, row, bare)
            if before is not None:
                return repetition(look, before)
        return replace(look, evidence=_evidence(shown, self.bodies, fleeting=fleeting))

    def _before(self, row: AccountRow, bare: Observation) -> Earlier | None:
        """The earlier look that said the same, where its pages may stand for tonight's."""
        before = self.app.store.same_look(bare)
        return before if before is not None and self._is_kept(row, before) else None

    def _is_kept(self, row: AccountRow, before: Earlier) -> bool:
        """Whether the pages of an earlier look may stand for tonight's: they are there, and not too old."""
        young = not before.digests or is_young(row, before.since.date(), self.night.day)
        return young and all(digest in self.app.archive for digest in before.digests)


def _evidence(shown: Discreet, bodies: Bodies | None, *, fleeting: bool) -> tuple[Evidence, ...]:
    """What came, with its bodies where they are kept."""
    return tuple(
        kept(exchange, bodies, withheld=not shown.bodies, fleeting=fleeting)
        for exchange in shown.look.exchanges
    )


@asynccontextmanager
async def watching(
    app: Tools,
    night: Night,
    eyes: Eyes,
    *,
    platforms: Mapping[str, Patience],
    closing: Closing,
    clock: Callable[[], datetime],
    kept: Callable[[], None],
) -> AsyncIterator[Watch]:
    """Who looks, with where pages and looks go: leaving it, everything that was seen is written."""
    with Laying(app.archive) as bodies:
        async with app.store.writer(before=bodies.settle) as writer, Writer(app.store.hold_back) as later:
            yield Watch(
                app=app,
                night=night,
                eyes=eyes,
                platforms=platforms,
                closing=closing,
                clock=clock,
                bodies=bodies,
                writer=writer,
                later=later,
                kept=kept,
            )


def _moment(seen: Look, now: datetime) -> datetime:
    """When a look was: when its last page came."""
    pages = [exchange.answer for exchange in seen.exchanges if isinstance(exchange.answer, Page)]
    return pages[-1].fetched_at if pages else now


def version(row: AccountRow) -> int:
    """The version of the probe that looks at an account."""
    channel = channel_registry.channels().get(row.channel)
    return channel.VERSION if channel else 0


REST = timedelta(minutes=10)
"""How long an association is left alone after a check; as long is what was seen shown."""

LONGEST = 45.0
"""Seconds that one account may take: somebody is waiting for the page."""


class NotNow(StrEnum):
    """Why nothing is checked now."""

    BUSY = "busy"
    RESTING = "resting"
    NIGHT = "night"


class NotNowError(Exception):
    """The association cannot be checked now. `why` says whether that may change in a moment."""

    def __init__(self, why: NotNow) -> None:
        super().__init__(why)
        self.why = why


@dataclass(frozen=True, slots=True)
class Seen:
    """One account as it was just seen."""

    row: AccountRow
    finding: Finding
    exhibits: tuple[Exhibit, ...]

    @property
    def is_quoted(self) -> bool:
        """Whether what told it are the page's own words."""
        return quotes(self.finding, self.exhibits)


@dataclass(frozen=True, slots=True)
class Check:
    """What a check saw, and when."""

    at: datetime
    seen: tuple[Seen, ...]


@dataclass(slots=True)
class Checks:
    """The checks of the last minutes. One is made at a time, whoever asks; it is safe among threads."""

    _turn: Lock = field(default_factory=Lock)
    _made: dict[str, Check] = field(default_factory=dict)

    def of(self, association: str, now: datetime) -> Check | None:
        """The check of an association that is still worth showing."""
        made = self._made.get(association)
        return made if made is not None and now - made.at < REST else None

    def make(self, app: RunContext, association: str, now: datetime) -> Check:
        """Look at an association's accounts. Raises NotNowError."""
        if not self._turn.acquire(blocking=False):
            raise NotNowError(NotNow.BUSY)
        try:
            self._made = {name: made for name, made in self._made.items() if now - made.at < REST}
            if association in self._made:
                raise NotNowError(NotNow.RESTING)
            if _is_night(app):
                raise NotNowError(NotNow.NIGHT)
            made = Check(now, tuple(asyncio.run(_looked(app, association, now))))
            self._made[association] = made
            return made
        finally:
            self._turn.release()


def _is_night(app: RunContext) -> bool:
    """Whether a night is going on: platforms are asked by one of us at a time."""
    last = app.store.last_night()
    if last is None or last.state is not NightState.RUNNING:
        return False
    try:
        with app.lock():
            return False
    except LockedError:
        return True


async def _looked(app: Tools, association: str, now: datetime) -> list[Seen]:
    decisions = app.store.decisions(association=association)
    rows = list(worth_a_look(app.store.accounts(association), decisions, app.config, now))
    standings = {standing.account_id: standing for standing in app.store.standings(association)}
    accounts = [recalled(row, standings.get(row.id or 0)) for row in rows]
    tonight = app.store.night(now.date())
    async with app.fetcher(now) as fetcher, app.readers() as readers:
        eyes = Eyes(fetcher, readers, purses(app.config, paid(tonight.receipt) if tonight else None))
        left_alone = patience(app.config, app.store, tonight, eyes.purses) if tonight else {}
        looks = await asyncio.gather(
            *(_look(row, account, eyes, left_alone) for row, account in zip(rows, accounts, strict=True))
        )
    return [_seen(row, look) for row, look in zip(rows, looks, strict=True)]


async def _look(row: AccountRow, account: Account, eyes: Eyes, platforms: Mapping[str, Patience]) -> Look:
    """One look, unless its platform is left alone tonight."""
    platform = platforms.get(row.channel)
    if platform and (left_out := platform.leaves_out(row)):
        return left_out
    try:
        async with asyncio.timeout(LONGEST):
            if row.channel in eyes.purses:
                return (await eyes.together([account]))[0]
            return await eyes.look(account)
    except TimeoutError:
        return Look(Finding(Presence.UNKNOWN, Reason.TIMEOUT))


def _seen(row: AccountRow, look: Look) -> Seen:
    bodies = _Bodies()
    evidence = [kept(exchange, bodies) for exchange in look.exchanges]
    return Seen(row, look.finding, tuple(exhibits(evidence, bodies)))


class _Bodies:
    """Bodies in memory, for as long as it takes to read their titles."""

    def __init__(self) -> None:
        self._held: dict[str, bytes] = {}

    def put(self, body: bytes) -> str:
        """Hold a body."""
        digest = sha256(body).hexdigest()
        self._held[digest] = body
        return digest

    def get(self, digest: str) -> bytes:
        """The body of a digest."""
        return self._held[digest]
