"""The night: looks once at every account, and concludes. The write side of the auditor.

Canaries first (with no line of our own the night is skipped), then every account, host by host, a platform
for as long as it answers us; then a second pass over what failed for a passing reason; then blindness,
standings, proposals and gaps in one transaction, and the receipt. What is seen is committed in batches as it
comes, so a night that is killed is gone on with: its observations stand, and only the accounts it had not
seen are looked at. A night whose window is over begins no other account and concludes as far as it came.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta

from auditor import conclude, patience, receipt, unended
from auditor.canary import Canary, canaries, offline
from auditor.closing import Closing, StoppedError, Timer
from auditor.config import Config
from auditor.discretion import Discreet, discreet
from auditor.evidence import kept
from auditor.eyes import Eyes, purses, recalled
from auditor.order import shards, waited
from auditor.patience import Patience
from auditor.refresh import refresh
from auditor.seal import Seal
from auditor.settle import DISOWNING
from auditor.standing import in_force
from auditor.tools import Tools
from probes import links
from probes.events import Events
from probes.model import NEVER, Account, Finding, Kind, Look, Page, Presence, Reason
from storage.errors import LaterNightError, NightDoneError, StoreError
from storage.model import AccountRow, Decision, Night, NightState, Observation, Standing
from storage.writer import Writer

events = Events(__name__)

PASSING = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.RATE_LIMITED})
"""Troubles that may be over in half an hour: their accounts get a second look at the end."""

NO_LOOK = frozenset({Kind.NONE, Kind.INVALID})

AT_ONCE = 500
"""How many accounts are at a desk together: ten calls of 50, and what is kept of them fits in memory."""

Readings = Sequence[tuple[Canary, Finding]]

Progress = Callable[[int, int], None]
"""Is told, after each account, how many are done and how many there are."""


async def run(
    app: Tools,
    now: datetime,
    *,
    day: date | None = None,
    progress: Progress | None = None,
    stop: asyncio.Event | None = None,
    timer: Timer = time.monotonic,
) -> Night:
    """Do the night of a UTC day (today's, unless one is given), or go on with it where it was left.

    A night that is done is given back as it is. Once `stop` is set nothing more is begun, and the night is
    given back `incomplete` when what is under way has ended; one that is cancelled is left so at once. The
    wall clock is read nowhere: moments are `now` and what `timer` has counted since.

    Raises LaterNightError where a later night is held, ConfigError where its receipt cannot be signed, and
    StoreError where the storage fails: what cannot be kept must not be counted.
    """
    day = day or now.date()
    seal = app.seal()
    _refuse_the_past(app, day)
    unended.close(app, day, seal)
    try:
        night, now = _begun(app, day, now)
    except NightDoneError:
        done = app.store.night(day)
        assert done is not None
        return done
    closing = Closing(timer, _ends(app, night, now, timer), stop or asyncio.Event())
    session = _Session(app, night, now, progress or (lambda _done, _all: None), seal, closing, timer())
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
    seen = next(app.store.observations(night_id=night.id), None)
    return timer() + ((seen.observed_at if seen else now) + window - now).total_seconds()


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
    eyes: Eyes | None = None
    standings: Mapping[int, Standing] = field(default_factory=dict)
    platforms: Mapping[str, Patience] = field(default_factory=dict)
    total: int = 0
    done: int = 0
    left_out: Counter[str] = field(default_factory=Counter)
    later: dict[int, tuple[AccountRow, Observation]] = field(default_factory=dict)
    failed_at: float = 0.0
    before: Night | None = None

    def clock(self) -> datetime:
        """The moment, counted from `now` by the timer: a night has no other."""
        return self.now + timedelta(seconds=self._passed())

    def _passed(self) -> float:
        return self.closing.timer() - self.began

    def spent(self) -> dict[str, object]:
        """What this session and the ones before it have cost."""
        eyes = self.eyes
        requests, hosts = (eyes.fetcher.requests, eyes.fetcher.by_host) if eyes else (0, {})
        calls = receipt.calls(self.night.receipt, eyes.purses if eyes else {})
        retries = eyes.fetcher.retries if eyes else 0
        told = receipt.spent(self.night.receipt, requests, hosts, self._passed(), retries)
        return told | calls | patience.told(self.platforms)

    async def whole(self) -> Night:
        """Canaries, accounts, conclusions."""
        config = self.app.config
        async with self.app.fetcher(self.now) as fetcher, self.app.readers() as readers:
            eyes = self.eyes = Eyes(fetcher, readers, purses(config, receipt.paid(self.night.receipt)))
            self.platforms = patience.patience(config, self.app.store, self.night, eyes.purses)
            readings = [] if self.closing.is_closed else await self._canaries(eyes)
            if offline(readings) and not self._is_concluded():
                return self._skipped(readings)
            await self._accounts(eyes, readings)
            if self.closing.is_stopped:
                raise StoppedError
        return await self._to_the_end(readings)

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
        self.standings = {standing.account_id: standing for standing in self.app.store.standings()}
        self.before = self.app.store.last_night(NightState.DONE, before=self.night.day)
        left, began = unseen(self.app, self.night), self.night.started_at
        rows = [] if self._is_concluded() else left
        # of a concluded night what was listed since is not its own
        due = rows or [row for row in left if row.added_at and row.added_at <= began]
        rows = sorted(rows, key=lambda row: (-self._waited(row), self._turn(row)))
        self._note(readings, len(due))
        self.total, self.left_out = len(rows), Counter(row.channel for row in due)
        self.progress(0, self.total)
        async with self.app.store.writer() as writer:
            await self._pass(rows, eyes, writer, last=False)
            await self._second_pass(eyes, writer)

    async def _second_pass(self, eyes: Eyes, writer: Writer) -> None:
        """Look again at what failed for a passing reason; what there is no time for stays as it was seen."""
        if self.later:
            passed = self.closing.timer() - self.failed_at
            await self.closing.rest(self.app.config.fetch.second_pass_after - passed)
        if self.later and not self.closing.is_closed:
            again = [row for row, _ in self.later.values()][::-1]
            eyes.fetcher.new_pass()
            await self._pass(again, eyes, writer, last=True)
        if not self.closing.is_stopped:
            for row, seen in list(self.later.values()):
                await self._keep(row, seen, writer)

    def _note(self, readings: Readings, waiting: int) -> None:
        """Write down what a night that is killed could not tell: what it is done by, and how many are due."""
        store, night = self.app.store, self.night
        seen = sum(store.counts(night.id).values()) if night.id is not None else 0
        facts = receipt.begun(store, night, readings, self.app.config, waiting + seen)
        self.night = conclude.noted(store, night, readings, facts)

    async def _pass(self, rows: Sequence[AccountRow], eyes: Eyes, writer: Writer, *, last: bool) -> None:
        """Look at accounts host by host: one that answers slowly holds one worker, never all of them."""
        waiting = shards([row for row in rows if row.channel not in eyes.purses], self._waited)
        keyed = sorted(
            (row for row in rows if row.channel in eyes.purses),
            key=lambda row: (-self._waited(row), self._decided_at(row)),
        )

        async def work() -> None:
            while waiting and not self.closing.is_closed:
                for row in self.closing.while_open(waiting.pop()):
                    seen = await self._look(row, eyes)
                    await self._seen(row, seen, writer, last=last)

        async def calls() -> None:
            for first in self.closing.while_open(range(0, len(keyed), AT_ONCE)):
                several = keyed[first : first + AT_ONCE]
                looks = await eyes.together([self._recalled(row) for row in several])
                for row, seen in zip(several, looks, strict=True):
                    await self._seen(row, seen, writer, last=last)

        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(calls())
                for _ in range(min(len(waiting), self.app.config.fetch.concurrency)):
                    group.create_task(work())
        except ExceptionGroup as troubles:
            raise troubles.exceptions[0] from None

    def _waited(self, row: AccountRow) -> float:
        return waited(self.standings.get(row.id or 0), self.before)

    def _turn(self, row: AccountRow) -> tuple[bool, int]:
        number = row.id or 0
        return self.platforms[row.channel].turn(number) if row.channel in self.platforms else (False, number)

    async def _look(self, row: AccountRow, eyes: Eyes) -> Look:
        """The look at one account, unless its platform is left alone tonight."""
        platform = self.platforms.get(row.channel)
        if platform and (left_out := platform.leaves_out(row)):
            return left_out
        seen = await eyes.look(self._recalled(row))
        if platform:
            platform.heard(seen.exchanges)
        return seen

    def _recalled(self, row: AccountRow) -> Account:
        return recalled(row, self.standings.get(row.id or 0))

    def _decided_at(self, row: AccountRow) -> datetime:
        """What was longest undecided is asked first: where a budget ends the night, others come tomorrow."""
        standing = self.standings.get(row.id or 0)
        return (standing and standing.decided_at) or NEVER

    async def _seen(self, row: AccountRow, seen: Look, writer: Writer, *, last: bool) -> None:
        if not last and await self._may_pass(seen):
            self.later[row.id or 0] = row, await self._told(row, seen, first=True)
            self.failed_at = self.closing.timer()
            return
        await self._keep(row, await self._told(row, seen), writer)

    async def _told(self, row: AccountRow, seen: Look, *, first: bool = False) -> Observation:
        """A look as it is kept: of a first one, after which a second is nearly always made, no page."""
        assert self.eyes is not None
        shown = await discreet(self._recalled(row), seen, self.eyes.readers, self.eyes.purses)
        shown = replace(shown, bodies=False) if first else shown
        return await asyncio.to_thread(self._observation, row, shown, self.clock())

    async def _keep(self, row: AccountRow, seen: Observation, writer: Writer) -> None:
        self.later.pop(row.id or 0, None)
        self.left_out[row.channel] -= 1
        await writer.add(seen)
        self.done += 1
        self.progress(self.done, self.total)

    async def _may_pass(self, seen: Look) -> bool:
        """Whether a trouble may be over by the second pass, and the links may be asked for again then."""
        assert self.eyes is not None
        passing = seen.finding.presence is Presence.UNKNOWN and seen.finding.reason in PASSING
        again = self.eyes.fetcher.may_repeat
        return (
            passing
            and bool(seen.exchanges)
            and all([await again(one.ask, one.answer) for one in seen.exchanges])
        )

    def _observation(self, row: AccountRow, shown: Discreet, now: datetime) -> Observation:
        assert row.id is not None
        assert self.night.id is not None
        seen = shown.look
        pages = [exchange.answer for exchange in seen.exchanges if isinstance(exchange.answer, Page)]
        return Observation(
            account_id=row.id,
            night_id=self.night.id,
            observed_at=pages[-1].fetched_at if pages else now,
            finding=seen.finding,
            evidence=tuple(
                kept(exchange, self.app.archive, withheld=not shown.bodies) for exchange in seen.exchanges
            ),
            probe_version=version(row),
        )

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
        self.night, blind = conclude.blinded(store, config, self.night, readings)
        conclude.conclude(store, config, self.night, blind)
        refresh(store, config, self.clock())
        for channel, why in blind.items():
            said = "blind on {channel} tonight: {why}; nothing on it moves"
            events.warning("channel_blind", said, channel=channel, why=why)
        if left := self.left_out.total():
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


def audited(app: Tools, night: Night) -> list[AccountRow]:
    """The accounts this night has still to look at: none once it is concluded, also those listed since."""
    if night.id is not None and app.store.is_judged(night.id):
        return []
    return unseen(app, night)


def unseen(app: Tools, night: Night) -> list[AccountRow]:
    """The accounts worth a look that a night has not looked at: of a concluded one, those it left out."""
    decisions = app.store.decisions(night.started_at)
    return worth_a_look(app.store.pending(night), decisions, app.config, night.started_at)


def worth_a_look(
    rows: Iterable[AccountRow], decisions: Iterable[Decision], config: Config, now: datetime
) -> list[AccountRow]:
    """The accounts that are looked at: on audited channels, linked, and not disowned."""
    disowned = {word.account_id for word in in_force(decisions, now) if word.kind in DISOWNING}
    return [
        row
        for row in rows
        if row.channel in config.channels and row.identity.kind not in NO_LOOK and row.id not in disowned
    ]


def version(row: AccountRow) -> int:
    """The version of the probe that looks at an account."""
    channel = links.channels().get(row.channel)
    return channel.VERSION if channel else 0
