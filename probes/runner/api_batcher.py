"""The desk: where calls to official interfaces are joined, paid for and sent. It holds the keys.

Probes ask for one account at a time. The desk lets many of them go on together, sends what they want at the
same moment in few requests (50 channels of YouTube are one), and gives each the answer. What the night's
budget does not cover is not sent; an interface that refuses us is not asked again that night.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace

import httpx

from probes.http.fetcher import Fetcher
from probes.http.host_state import TurnError
from probes.log import Events
from probes.models.finding import Reason
from probes.models.http import Answer, Ask, Call, Hop, Interface, NoPage, Page
from probes.models.probe import Look, Steps, Visit
from probes.runner.parser_pool import ReaderPool
from probes.runner.run import answer, crashed

events = Events(__name__)

OTHERS = "_"
"""What stands in an address for whoever else was asked in the same call."""


@dataclass(slots=True)
class Purse:
    """The key of one interface, and what it has cost tonight of what it may cost, in the interface's unit.

    `closed` is why nothing more is asked of it, `left_out` how many accounts were not asked for then.
    """

    interface: Interface
    key: str = field(repr=False)
    budget: float
    cost: float = 0.0
    requests: int = 0
    left_out: int = 0
    closed: tuple[Reason, str] | None = None

    def affords(self, call: Call, values: int) -> int:
        """How many of so many values can still be paid for in one request."""
        left = self.budget - self.cost - call.base + 1e-9  # a cent is no exact number
        if left < 0:
            return 0
        return min(values, int(left / call.each)) if call.each else values

    def pay(self, call: Call, values: int) -> None:
        """Count one request."""
        self.requests += 1
        self.cost = round(self.cost + call.cost(values), 6)

    def refused(self) -> NoPage:
        """Why a call is not sent."""
        spent = f"tonight's budget of {self.budget:g} {self.interface.unit} is spent"
        return NoPage(*(self.closed or (Reason.RATE_LIMITED, spent)))


class Desk:
    """Lets probes with calls go on together. One Desk is one run."""

    def __init__(self, fetcher: Fetcher, readers: ReaderPool, purses: Iterable[Purse] = ()) -> None:
        self._fetcher = fetcher
        self._readers = readers
        self._purses = {purse.interface.host: purse for purse in purses}

    async def look(self, many: Sequence[Steps]) -> list[Look]:
        """Look with many probes, step by step together; a probe that crashes costs the others nothing."""
        errands = [_Errand(steps) for steps in many]
        while waiting := [(errand, ask) for errand in errands if (ask := errand.wants) is not None]:
            answers = await self._answers([ask for _, ask in waiting])
            for (errand, _), one in zip(waiting, answers, strict=True):
                errand.tell(one)
        return [errand.look for errand in errands]

    async def _answers(self, asks: Sequence[Ask]) -> list[Page | NoPage]:
        got: dict[int, Page | NoPage] = {}

        async def group(places: Sequence[int]) -> None:
            first = asks[places[0]]
            if first.call is None:
                got[places[0]] = await self._answer(first)
                return
            told = await self._told(first, first.call, list(dict.fromkeys(_value(asks[at]) for at in places)))
            got.update((at, told[_value(asks[at])]) for at in places)

        async with asyncio.TaskGroup() as tasks:
            for places in _groups(asks):
                tasks.create_task(group(places))
        return [got[at] for at in range(len(asks))]

    async def _told(self, ask: Ask, call: Call, values: Sequence[str]) -> dict[str, Page | NoPage]:
        """What the interface answers for each value, as far as the budget goes."""
        told: dict[str, Page | NoPage] = {}
        for part in _chunks(values, call.most):
            purse = self._purse(call)
            covered = 0 if purse.closed else purse.affords(call, len(part))
            if covered:
                told |= await self._sent(ask, call, part[:covered])
            told |= dict.fromkeys(part[covered:], purse.refused())
        return told

    async def _sent(self, ask: Ask, call: Call, values: Sequence[str]) -> dict[str, Page | NoPage]:
        """The one answer to all the values; where one of them spoils it, the others' own."""
        purse = self._purse(call)
        purse.pay(call, len(values))
        key = {call.interface.header: call.interface.prefix + purse.key}
        one = replace(ask, url=_joined(ask.url, call, values), headers=key)
        got = await self._answer(one)
        _close(purse, got)
        told = {value: _own(got, _alone(ask.url, call, value, len(values))) for value in values}
        for part in _apart(values, got):
            told |= await self._told(ask, call, part)
        return told

    async def _answer(self, ask: Ask) -> Page | NoPage:
        try:
            return await answer(ask, self._fetcher, self._readers)
        except TurnError:
            raise
        except Exception as bug:  # noqa: BLE001  # a bug in one reader must not cost the others their answers
            events.bug(bug, "probe_crashed", "an answer could not be taken at the desk")
            return NoPage(Reason.CRASHED, f"{type(bug).__name__}: {bug}", url=ask.url)

    def _purse(self, call: Call) -> Purse:
        return self._purses[call.interface.host]


def _alone(url: str, call: Call, value: str, asked: int) -> str:
    """The address of a call as it is told to one of those asked: of the others only that there are some."""
    return _joined(url, call, [value, OTHERS] if asked > 1 else [value])


def _own(got: Page | NoPage, url: str) -> Page | NoPage:
    """The answer to a call as one value's own evidence: who else was asked together with it is not told."""
    if isinstance(got, NoPage):
        own = got.url and url
        return NoPage(got.reason, got.detail, status=got.status, url=own, retry_after=got.retry_after)
    return replace(got, url=url, hops=(Hop(url, got.status),) if got.hops else ())


def _groups(asks: Sequence[Ask]) -> Iterable[list[int]]:
    """The places of the asks that may be one request: they differ in the joined parameter only."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for at, ask in enumerate(asks):
        alone = ask.call is None or not ask.call.join
        groups[(at,) if alone else (_joined(ask.url, ask.call, ()), ask.read)].append(at)
    return groups.values()


def _value(ask: Ask) -> str:
    """The value that an ask may be joined by."""
    return httpx.URL(ask.url).params.get(ask.call.join, "") if ask.call else ""


def _joined(url: str, call: Call | None, values: Sequence[str]) -> str:
    """The address with the values listed in it; with none it is the same for all that may be joined."""
    return str(httpx.URL(url).copy_set_param(call.join, ",".join(values))) if call and call.join else url


def _chunks(values: Sequence[str], most: int) -> Iterable[Sequence[str]]:
    return (values[at : at + most] for at in range(0, len(values), most))


def _apart(values: Sequence[str], got: Page | NoPage) -> list[Sequence[str]]:
    """What is to be asked again after an error that only some of the values are to blame for."""
    said = got.reading if isinstance(got, Page) and got.status >= 400 else None
    if not isinstance(said, Answer) or said.refusal or len(values) < 2:
        return []
    innocent = [value for value in values if value.lower() not in said.faults]
    if len(innocent) < len(values):
        return [innocent] if innocent else []
    half = len(values) // 2
    return [values[:half], values[half:]] if said.of_one else []


def _close(purse: Purse, got: Page | NoPage) -> None:
    """An interface that refuses us altogether is left alone for the night."""
    said = got.reading if isinstance(got, Page) else None
    if isinstance(said, Answer) and said.refusal is not None and purse.closed is None:
        purse.closed = said.refusal
        host, why = purse.interface.host, said.refusal[1]
        events.warning("interface_refuses", "{host} refuses us tonight: {why}", host=host, why=why)


class _Errand:
    """A probe at the desk. A bug in it is its own end: unknown, `crashed`."""

    def __init__(self, steps: Steps) -> None:
        self._steps = steps
        self._visit: Visit | None = None
        self._crashed: Look | None = None
        self._guarded(self._begin)

    def _begin(self) -> None:
        self._visit = Visit(self._steps)

    @property
    def wants(self) -> Ask | None:
        """What it wants next."""
        return self._visit.wants if self._visit and not self._crashed else None

    def tell(self, got: Page | NoPage) -> None:
        """Give it what it wanted."""
        visit = self._visit
        assert visit is not None
        self._guarded(lambda: visit.tell(got))

    def _guarded(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as bug:  # noqa: BLE001  # one probe's bug must not cost the others their answers
            events.bug(bug, "probe_crashed", "a probe crashed at the desk")
            self._crashed = crashed(bug)

    @property
    def look(self) -> Look:
        """What came of it."""
        if self._crashed:
            return self._crashed
        assert self._visit is not None
        return self._visit.look
