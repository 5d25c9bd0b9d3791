"""The night: looks once at every account, and concludes. The write side of the auditor.

Canaries first (with no line of our own the night is skipped), then every account, host by host, a platform
for as long as it answers us; then a second pass over what failed for a passing reason; then blindness,
standings, proposals and gaps in one transaction, and the receipt. What is seen is committed in batches as it
comes, so a night that is killed is gone on with: its observations stand, and only the accounts it had not
seen are looked at. A night whose window is over begins no other account and concludes as far as it came.

A night that nobody goes on with: closed when the next one is begun, with what can still be told of it.

A night that was killed stands as `running`. Nothing is concluded of what it saw, as of any interrupted night;
its receipt says so, is signed and has its place in the chain.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from types import TracebackType
from typing import Any, Protocol, Self

from auditor.checking import circuit_breaker
from auditor.checking.canaries import Canary, canaries, offline
from auditor.checking.checker import Eyes, purses
from auditor.checking.circuit_breaker import Patience
from auditor.core import runtime
from auditor.evaluation import run_results
from auditor.evaluation.run_results import refresh
from auditor.protocols import Tools
from auditor.receipts import receipt
from auditor.receipts.signing import Seal
from auditor.runs import plan
from auditor.runs.account_worker import Watch, watching
from auditor.runs.plan import WHOLE, parcels, share
from auditor.runs.process import Closing, StoppedError, Timer
from probes.http.host_state import Turns
from probes.log import Events
from probes.models.finding import Finding
from probes.runner.api_batcher import Purse
from storage.errors import LaterNightError, NightDoneError, StoreError
from storage.models.audit import Night, NightState
from storage.runs.plan import Shard

events = Events(__name__)

Readings = Sequence[tuple[Canary, Finding]]

Progress = Callable[[int, int], None]
"""Is told, after each account, how many are done and how many there are."""


class Coordinator(Protocol):
    """Has workers check the accounts of one run. It is used as an async context."""

    told: dict[str, Any]
    """What the workers counted."""

    async def audit(self, shards: Sequence[Shard], *, again: bool = False) -> None:
        """Have them all checked."""
        ...

    async def __aenter__(self) -> Self:
        """Begin."""
        ...

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """End, and leave no job."""
        ...


class Machines(Protocol):
    """The machines that a run is shared with; `auditor.cluster.machines_of` are those of a configuration."""

    def turns(self) -> AbstractAsyncContextManager[Turns]:
        """The host locks that they share. Raises ConfigError."""
        ...

    def coordinator(
        self,
        app: Tools,
        night: Night,
        closing: Closing,
        *,
        platforms: Mapping[str, Patience],
        purses: Mapping[str, Purse],
        kept: Callable[[int], None],
    ) -> Coordinator:
        """What has them work. Raises ConfigError."""
        ...


async def run(
    app: Tools,
    now: datetime,
    *,
    day: date | None = None,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
    timer: Timer = time.monotonic,
    machines: Machines | None = None,
) -> Night:
    """Do the night of a UTC day (today's, unless one is given), or go on with it where it was left.

    A night that is done is given back as it is. Once `stop` is set nothing more is begun, and the night is
    given back `incomplete` when what is under way has ended; one that is cancelled is left so at once. The
    wall clock is read nowhere: moments are `now` and what `timer` has counted since.

    Raises LaterNightError where a later night is held, ConfigError where its receipt cannot be signed, and
    StoreError where the storage fails: what cannot be kept must not be counted.
    """
    assert (machines is not None) is app.config.cluster.enabled, "hand it auditor.cluster.machines_of(config)"
    runtime.share()
    day = day or now.date()
    seal = app.seal()
    _refuse_the_past(app, day)
    close(app, day, seal)
    try:
        night, now = _begun(app, day, now)
    except NightDoneError:
        done = app.store.night(day)
        assert done is not None
        return done
    closing = Closing(timer, _ends(app, night, now, timer), stop or asyncio.Event())
    session = _Session(
        app, night, now, progress or (lambda _done, _all: None), seal, closing, timer(), machines
    )
    try:
        return await session.whole()
    except StoppedError:
        return session.interrupted("told to stop")
    except BaseException as trouble:
        with contextlib.suppress(StoreError):
            session.interrupted(type(trouble).__name__)
        raise


def _refuse_the_past(app: Tools, day: date) -> None:
    """Raise LaterNightError: receipts are a chain, and that of a later night would follow none."""
    newest = app.store.last_night()
    if newest is not None and newest.day > day:
        how = "concluded" if newest.state is NightState.DONE else "begun"
        raise LaterNightError(
            f"the night of {day}",
            f"that of {newest.day} is {how} already",
            f"`auditor run` from {newest.day} on, or mend the clock",
        )


def _begun(app: Tools, day: date, now: datetime) -> tuple[Night, datetime]:
    """The night, running, and the moment: never before what is held, whatever became of the clock since."""
    before = app.store.last_night(before=day)
    now = max(now, (before.finished_at or before.started_at) if before else now)
    night = app.store.begin_night(day, now)
    return night, max(now, night.started_at)


def _ends(app: Tools, night: Night, now: datetime, timer: Timer) -> float | None:
    """When its window is over, by the timer. It opens with the session that looks at the first account."""
    window = timedelta(hours=app.config.schedule.window_hours)
    if not window:
        return None
    opened = app.store.first_look(night.id) if night.id is not None else None
    return timer() + ((opened or now) + window - now).total_seconds()


@dataclass(slots=True)
class _Session:
    """One run of one night; a night that was interrupted has several."""

    app: Tools
    night: Night
    now: datetime
    progress: Progress
    seal: Seal
    closing: Closing
    began: float
    machines: Machines | None
    eyes: Eyes | None = None
    leader: Coordinator | None = None
    platforms: Mapping[str, Patience] = field(default_factory=dict)
    total: int = 0
    done: int = 0
    left_out: Mapping[str, int] = field(default_factory=dict)

    def clock(self) -> datetime:
        """The moment, counted from `now` by the timer: a night has no other."""
        return self.now + timedelta(seconds=self._passed())

    def _passed(self) -> float:
        return self.closing.timer() - self.began

    def spent(self) -> dict[str, object]:
        """What this session and the ones before it have cost."""
        eyes = self.eyes
        requests, hosts = (eyes.fetcher.requests, eyes.fetcher.by_host) if eyes else (0, {})
        others = eyes.fetcher.others() if eyes else 0
        calls = receipt.calls(self.night.receipt, eyes.purses if eyes else {})
        retries = eyes.fetcher.retries if eyes else 0
        told = receipt.spent(
            self.night.receipt, requests, hosts, self._passed(), retries=retries, others=others
        )
        if self.leader:
            told = receipt.also(told, self.leader.told)
        return told | calls | circuit_breaker.told(self.platforms)

    async def whole(self) -> Night:
        """Canaries, accounts, conclusions."""
        config = self.app.config
        async with (
            self._turns() as shared,
            self.app.fetcher(self.now, shared) as fetcher,
            self.app.readers() as readers,
        ):
            eyes = self.eyes = Eyes(fetcher, readers, purses(config, receipt.paid(self.night.receipt)))
            self.platforms = circuit_breaker.patience(config, self.app.store, self.night, eyes.purses)
            readings = [] if self.closing.is_closed else await self._canaries(eyes)
            if offline(readings) and not self._is_concluded():
                return self._skipped(readings)
            await self._accounts(eyes, readings)
            if self.closing.is_stopped:
                raise StoppedError
        return await self._to_the_end(readings)

    @contextlib.asynccontextmanager
    async def _turns(self) -> AsyncIterator[Turns | None]:
        """The host locks that machines share, where there are several."""
        if self.machines is None:
            yield None
            return
        async with self.machines.turns() as shared:
            yield shared

    async def _to_the_end(self, readings: Readings) -> Night:
        """Conclude beside the loop. An interruption waits: conclusions are drawn whole or not at all."""
        work = asyncio.get_running_loop().run_in_executor(None, self._concluded, readings)
        while not work.done():
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.shield(work)
        return work.result()

    async def _canaries(self, eyes: Eyes) -> list[tuple[Canary, Finding]]:
        config = self.app.config
        named = [
            canary
            for name, channel in config.channels.items()
            for canary in canaries(name, channel.canaries, channel.impossible, self.night.day)
        ]
        keyed = [canary for canary in named if canary.channel in eyes.purses]
        free = [canary for canary in named if canary.channel not in eyes.purses]
        together, alone = await asyncio.gather(
            eyes.together([canary.account for canary in keyed]),
            asyncio.gather(*(eyes.look(canary.account) for canary in free)),
        )
        for canary, seen in zip(free, alone, strict=True):
            if canary.channel in self.platforms:
                self.platforms[canary.channel].warned(seen.exchanges)
        looks = [*together, *alone]
        return [(canary, seen.finding) for canary, seen in zip(keyed + free, looks, strict=True)]

    async def _accounts(self, eyes: Eyes, readings: Readings) -> None:
        """Look at everybody who is due; once a night is concluded, nobody is any more."""
        store, is_concluded = self.app.store, self._is_concluded()
        async with contextlib.AsyncExitStack() as stack:
            if self.machines is not None and not is_concluded:
                self.leader = await stack.enter_async_context(self._coordinator(self.machines, eyes))
            await asyncio.to_thread(plan.make, self.app, self.night, self.platforms, frozenset(eyes.purses))
            due = await asyncio.to_thread(store.count_planned, self.night)
            self._note(readings, due)
            self.total = 0 if is_concluded else due
            self.progress(0, self.total)
            try:
                if self.total:
                    await self._looks(eyes)
                self.left_out = await asyncio.to_thread(store.unreached, self.night)
            finally:
                with contextlib.suppress(StoreError):
                    await asyncio.to_thread(store.drop_plan)

    def _coordinator(self, machines: Machines, eyes: Eyes) -> Coordinator:
        return machines.coordinator(
            self.app,
            self.night,
            self.closing,
            platforms=self.platforms,
            purses=eyes.purses,
            kept=self._kept,
        )

    async def _looks(self, eyes: Eyes) -> None:
        async with watching(
            self.app,
            self.night,
            eyes,
            platforms=self.platforms,
            closing=self.closing,
            clock=self.clock,
            kept=self._kept,
        ) as watch:
            await self._passes(watch)

    async def _passes(self, watch: Watch) -> None:
        """Look at everybody, then again at what failed for a passing reason.

        What there is no time for stays as it was seen.
        """
        store, audit = self.app.store, self.leader.audit if self.leader else watch.audit
        await audit(await self._shards(again=False))
        await watch.later.flush()
        if not await asyncio.to_thread(store.count_planned, self.night, again=True):
            return
        passed = self.closing.timer() - watch.failed_at if watch.failed_at else 0.0
        await self.closing.rest(self.app.config.fetch.second_pass_after - passed)
        if not self.closing.is_closed:
            watch.eyes.fetcher.new_pass()
            await audit(await self._shards(again=True), again=True)
            await watch.writer.flush()
        if not self.closing.is_stopped:
            waiting = store.held_back(self.night)
            while (seen := await asyncio.to_thread(next, waiting, None)) is not None:
                await watch.keep(seen)
            await watch.writer.flush()

    async def _shards(self, *, again: bool) -> list[Shard]:
        store, night = self.app.store, self.night
        most = share(self.total) if self.leader else WHOLE
        return await asyncio.to_thread(lambda: parcels(store.spots(night, again=again), most))

    def _kept(self, count: int = 1) -> None:
        if self.done // runtime.OFTEN != (self.done + count) // runtime.OFTEN:
            runtime.give_back()
        self.done += count
        self.progress(self.done, self.total)

    def _note(self, readings: Readings, waiting: int) -> None:
        """Write down what a night that is killed could not tell: what it is done by, and how many are due."""
        store, night = self.app.store, self.night
        seen = sum(store.counts(night.id).values()) if night.id is not None else 0
        facts = receipt.begun(store, night, readings, self.app.config, waiting + seen)
        self.night = run_results.noted(store, night, readings, facts)

    def _skipped(self, readings: Readings) -> Night:
        why = "both ordinary websites are out of reach"
        events.warning("night_skipped", "no connectivity: {why}; the night is skipped", why=why)
        ended, config = self.clock(), self.app.config
        told = receipt.skipped(self.app.store, self.night, readings, config, spent=self.spent(), ended=ended)
        return self._finished(NightState.SKIPPED, told, ended, self.night.blind)

    def _is_concluded(self) -> bool:
        """Whether an earlier session drew the conclusions: then the night only has to be ended."""
        return self.night.id is not None and self.app.store.is_judged(self.night.id)

    def _concluded(self, readings: Readings) -> Night:
        store, config = self.app.store, self.app.config
        runtime.give_back()
        with runtime.seldom_collected():
            self.night, blind = run_results.blinded(store, config, self.night, readings)
            run_results.conclude(store, config, self.night, blind)
            runtime.give_back()
            refresh(store, config)
        for channel, why in blind.items():
            said = "blind on {channel} tonight: {why}; nothing on it moves"
            events.warning("channel_blind", said, channel=channel, why=why)
        if left := sum(self.left_out.values()):
            over = "the window is over: {left_out} accounts were left out; they come first tomorrow"
            events.warning("window_over", over, left_out=left)
        ended = self.clock()
        told = receipt.done(
            store,
            self.night,
            readings,
            config,
            blind=blind,
            left_out=self.left_out,
            spent=self.spent(),
            ended=ended,
        )
        return self._finished(NightState.DONE, told, ended, blind)

    def interrupted(self, why: str) -> Night:
        """Leave the night incomplete, with what its receipt can tell by now."""
        ended, store = self.clock(), self.app.store
        told = receipt.interrupted(store, self.night, why=why, spent=self.spent(), ended=ended)
        return self._finished(NightState.INCOMPLETE, told, ended, self.night.blind)

    def _finished(
        self, state: NightState, told: Mapping[str, object], ended: datetime, blind: Iterable[str] = ()
    ) -> Night:
        former = receipt.former_key(self.app.store, self.night, self.seal.public)
        told = self.seal.sealed({**told, **former})
        return self.app.store.finish_night(self.night, state, ended, blind=sorted(blind), receipt=told)


def close(app: Tools, day: date, seal: Seal) -> None:
    """Close the newest night before a day, where it is still open. The caller holds the lock of nights."""
    store = app.store
    night = store.last_night(before=day)
    if night is None or receipt.is_link(night):
        return
    if night.state is not NightState.RUNNING:
        night = store.begin_night(night.day, night.started_at)
    ended = (store.last_look(night.id) if night.id is not None else None) or night.started_at
    spent = receipt.carried(night)
    told = receipt.interrupted(store, night, why="killed", spent=spent, ended=ended)
    told |= receipt.former_key(store, night, seal.public)
    # One that died when its conclusions were kept is judged by, so it is done: only the word of it is late.
    state = NightState.DONE if store.is_judged(night.id or 0) else NightState.INCOMPLETE
    told["state"] = state.value
    store.finish_night(night, state, ended, blind=sorted(night.blind), receipt=seal.sealed(told))
