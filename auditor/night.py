"""The night: looks once at every account, and concludes. The write side of the auditor.

Canaries first (with no line of our own the night is skipped), then every account, host by host, a platform
for as long as it answers us; then a second pass over what failed for a passing reason; then blindness,
standings, proposals and gaps in one transaction, and the receipt. What is seen is committed in batches as it
comes, so a night that is killed is gone on with: its observations stand, and only the accounts it had not
seen are looked at.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from urllib.parse import urlsplit

from auditor import conclude, patience, receipt
from auditor.canary import Canary, canaries, offline
from auditor.config import Config
from auditor.discretion import Discreet, discreet
from auditor.evidence import kept
from auditor.eyes import Eyes, purses, recalled
from auditor.patience import Patience
from auditor.refresh import refresh
from auditor.settle import DISOWNING
from auditor.standing import in_force
from auditor.tools import Tools
from probes import links
from probes.events import Events
from probes.model import NEVER, Account, Finding, Kind, Look, Page, Presence, Reason
from storage.errors import NightDoneError, StoreError
from storage.model import AccountRow, Decision, Night, NightState, Observation, Standing
from storage.writer import Writer

events = Events(__name__)

PASSING = frozenset({Reason.TIMEOUT, Reason.NETWORK, Reason.SERVER_ERROR, Reason.RATE_LIMITED})
"""Troubles that may be over in half an hour: their accounts get a second look at the end."""

NO_LOOK = frozenset({Kind.NONE, Kind.INVALID})

LANES = 3
"""How many workers one host may hold; a platform holds one, so that its refusals are counted in order."""

AT_ONCE = 500
"""How many accounts are at a desk together: ten calls of 50, and what is kept of them fits in memory."""

Progress = Callable[[int, int], None]
"""Is told, after each account, how many are done and how many there are."""


async def run(
    app: Tools, now: datetime, *, day: date | None = None, progress: Progress | None = None
) -> Night:
    """Do the night of a UTC day (today's, unless one is given), or go on with it where it was left.

    A night that is done is given back as it is. Raises LaterNightError where a later day's is concluded
    already, and StoreError where the storage fails: what cannot be kept must not be counted. An interrupted
    night is left `incomplete`.
    """
    try:
        night = app.store.begin_night(day or now.date(), now)
    except NightDoneError:
        done = app.store.night(day or now.date())
        assert done is not None
        return done
    session = _Session(app, night, now, progress or (lambda _done, _all: None))
    try:
        return await session.whole()
    except BaseException:
        with contextlib.suppress(StoreError):
            app.store.finish_night(
                *(session.night, NightState.INCOMPLETE, session.clock()),
                blind=session.night.blind,
                receipt=session.spent(),
            )
        raise


@dataclass(slots=True)
class _Session:
    """One run of one night; a night that was interrupted has several."""

    app: Tools
    night: Night
    now: datetime
    progress: Progress
    began: float = field(default_factory=time.monotonic)
    eyes: Eyes | None = None
    standings: Mapping[int, Standing] = field(default_factory=dict)
    platforms: Mapping[str, Patience] = field(default_factory=dict)
    total: int = 0
    done: int = 0
    later: list[AccountRow] = field(default_factory=list)
    failed_at: float = 0.0

    def clock(self) -> datetime:
        """The moment, counted from `now` by the monotonic clock: a night has no other."""
        return self.now + timedelta(seconds=time.monotonic() - self.began)

    def spent(self) -> dict[str, object]:
        """What this session and the ones before it have cost."""
        eyes = self.eyes
        requests, hosts = (eyes.fetcher.requests, eyes.fetcher.by_host) if eyes else (0, {})
        calls = receipt.calls(self.night.receipt, eyes.purses if eyes else {})
        retries = eyes.fetcher.retries if eyes else 0
        told = receipt.spent(self.night.receipt, requests, hosts, time.monotonic() - self.began, retries)
        return told | calls | patience.told(self.platforms)

    async def whole(self) -> Night:
        """Canaries, accounts, conclusions."""
        config = self.app.config
        async with self.app.fetcher(self.now) as fetcher, self.app.readers() as readers:
            eyes = self.eyes = Eyes(fetcher, readers, purses(config, receipt.paid(self.night.receipt)))
            self.platforms = patience.patience(config, self.app.store, self.night, eyes.purses)
            readings = await self._canaries(eyes)
            if offline(readings) and not self._is_concluded():
                return self._skipped(readings)
            self.night = conclude.warned(self.app.store, self.night, readings)
            await self._accounts(eyes)
        return await self._to_the_end(readings)

    async def _to_the_end(self, readings: Sequence[tuple[Canary, Finding]]) -> Night:
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

    async def _accounts(self, eyes: Eyes) -> None:
        rows = sorted(audited(self.app, self.night), key=self._turn)
        self.standings = {standing.account_id: standing for standing in self.app.store.standings()}
        self.total = len(rows)
        self.progress(0, self.total)
        async with self.app.store.writer() as writer:
            await self._pass(rows, eyes, writer, last=False)
            if self.later:
                passed = time.monotonic() - self.failed_at
                await asyncio.sleep(max(0.0, self.app.config.fetch.second_pass_after - passed))
                again, self.later = self.later[::-1], []
                eyes.fetcher.new_pass()
                await self._pass(again, eyes, writer, last=True)

    async def _pass(self, rows: Sequence[AccountRow], eyes: Eyes, writer: Writer, *, last: bool) -> None:
        """Look at accounts host by host: one that answers slowly holds one worker, never all of them."""
        waiting = shards([row for row in rows if row.channel not in eyes.purses])
        keyed = sorted((row for row in rows if row.channel in eyes.purses), key=self._decided_at)

        async def work() -> None:
            while waiting:
                for row in waiting.pop():
                    seen = await self._look(row, eyes)
                    await self._seen(row, seen, writer, last=last)

        async def calls() -> None:
            for first in range(0, len(keyed), AT_ONCE):
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
            self.later.append(row)
            self.failed_at = time.monotonic()
            return
        assert self.eyes is not None
        shown = await discreet(self._recalled(row), seen, self.eyes.readers, self.eyes.purses)
        await writer.add(await asyncio.to_thread(self._observation, row, shown, self.clock()))
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

    def _skipped(self, readings: Sequence[tuple[Canary, Finding]]) -> Night:
        why = "both ordinary websites are out of reach"
        events.warning("night_skipped", "no connectivity: {why}; the night is skipped", why=why)
        told = receipt.skipped(self.app.store, self.night, readings, self.app.config, spent=self.spent())
        return self.app.store.finish_night(
            self.night, NightState.SKIPPED, self.clock(), blind=self.night.blind, receipt=told
        )

    def _is_concluded(self) -> bool:
        """Whether an earlier session drew the conclusions: then the night only has to be ended."""
        return self.night.id is not None and self.app.store.is_judged(self.night.id)

    def _concluded(self, readings: Sequence[tuple[Canary, Finding]]) -> Night:
        store, config = self.app.store, self.app.config
        self.night, blind = conclude.blinded(store, config, self.night, readings)
        conclude.conclude(store, config, self.night, blind)
        refresh(store, config, self.clock())
        for channel, why in blind.items():
            said = "blind on {channel} tonight: {why}; nothing on it moves"
            events.warning("channel_blind", said, channel=channel, why=why)
        told = receipt.done(store, self.night, readings, config, blind=blind, spent=self.spent())
        return store.finish_night(
            self.night, NightState.DONE, self.clock(), blind=sorted(blind), receipt=told
        )


def audited(app: Tools, night: Night) -> list[AccountRow]:
    """The accounts this night has still to look at: none once it is concluded, also those listed since."""
    if night.id is not None and app.store.is_judged(night.id):
        return []
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


def shards(rows: Sequence[AccountRow]) -> list[list[AccountRow]]:
    """The accounts by the host they are asked of, in a few lanes each; the longest last, to be taken first.

    A host answers one request at a time, but while one page is read and kept the next may be on its way. A
    platform is asked for one account after the other, with all its hosts.
    """
    by_host: dict[str, list[AccountRow]] = defaultdict(list)
    platforms: dict[str, list[AccountRow]] = defaultdict(list)
    for row in rows:
        (by_host[_host(row)] if row.channel == links.SITE else platforms[row.channel]).append(row)
    lanes = (accounts[lane::LANES] for accounts in by_host.values() for lane in range(LANES))
    return sorted([*filter(None, lanes), *platforms.values()], key=len)


def _host(row: AccountRow) -> str:
    try:
        return urlsplit(row.identity.url or row.identity.canonical or "").hostname or ""
    except ValueError:
        return ""


def version(row: AccountRow) -> int:
    """The version of the probe that looks at an account."""
    channel = links.channels().get(row.channel)
    return channel.VERSION if channel else 0
