"""Checking one association again at once, when somebody asks: politely, one at a time, changing nothing.

What is seen so is shown and forgotten. It is no observation: those belong to nights, which distrust what
their canaries contradict, and a check that is asked for has none.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from hashlib import sha256
from threading import Lock

from auditor.checking.checker import Eyes, purses, recalled
from auditor.checking.circuit_breaker import Patience, patience
from auditor.core.errors import LockedError
from auditor.evidence.codec import kept
from auditor.evidence.view import Exhibit, exhibits, quotes
from auditor.protocols import RunContext, Tools
from auditor.receipts.receipt import paid
from auditor.runs.plan import worth_a_look
from probes.models.account import Account
from probes.models.finding import Finding, Presence, Reason
from probes.models.probe import Look
from storage.models.audit import AccountRow, NightState

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
