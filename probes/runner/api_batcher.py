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
from probes.http.host_state import HostLockError
from probes.log import EventLogger
from probes.models.finding import Reason
from probes.models.http import ApiCall, ApiResponse, FetchError, Hop, Page, PageRequest, PlatformApi
from probes.models.probe import ProbeGenerator, ProbeResult, ProbeRun
from probes.runner.parser_pool import ParserPool
from probes.runner.run import build_crashed_result, fetch_and_parse

events = EventLogger(__name__)

OTHER_VALUES_PLACEHOLDER = "_"
"""What stands in an address for whoever else was asked in the same call."""


@dataclass(slots=True)
class ApiBudget:
    """The key of one interface, and what it has cost tonight of what it may cost, in the interface's unit.

    `closed` is why nothing more is asked of it, `left_out` how many accounts were not asked for then.
    """

    api: PlatformApi
    key: str = field(repr=False)
    limit: float
    spent: float = 0.0
    request_count: int = 0
    skipped_count: int = 0
    refusal: tuple[Reason, str] | None = None

    def count_affordable(self, call: ApiCall, value_count: int) -> int:
        """How many of so many values can still be paid for in one request."""
        left = self.limit - self.spent - call.base_cost + 1e-9  # a cent is no exact number
        if left < 0:
            return 0
        return (
            min(value_count, int(left / call.cost_per_value))
            if call.cost_per_value
            else value_count
        )

    def record_request(self, call: ApiCall, value_count: int) -> None:
        """Count one request."""
        self.request_count += 1
        self.spent = round(self.spent + call.estimate_cost(value_count), 6)

    def build_refusal(self) -> FetchError:
        """Why a call is not sent."""
        spent = f"tonight's budget of {self.limit:g} {self.api.cost_unit} is spent"
        return FetchError(*(self.refusal or (Reason.RATE_LIMITED, spent)))


class ApiRequestBatcher:
    """Lets probes with calls go on together. One Desk is one run."""

    def __init__(
        self, fetcher: Fetcher, parsers: ParserPool, api_budgets: Iterable[ApiBudget] = ()
    ) -> None:
        self._fetcher = fetcher
        self._parsers = parsers
        self._api_budgets = {purse.api.host: purse for purse in api_budgets}

    async def run_probes(self, generators: Sequence[ProbeGenerator]) -> list[ProbeResult]:
        """Look with many probes, step by step together; a probe that crashes costs the others nothing."""
        errands = [_RunningProbe(steps) for steps in generators]
        while waiting := [
            (errand, ask) for errand in errands if (ask := errand.pending_request) is not None
        ]:
            answers = await self._fetch_all([ask for _, ask in waiting])
            for (errand, _), one in zip(waiting, answers, strict=True):
                errand.resume(one)
        return [errand.result for errand in errands]

    async def _fetch_all(self, requests: Sequence[PageRequest]) -> list[Page | FetchError]:
        got: dict[int, Page | FetchError] = {}

        async def group(places: Sequence[int]) -> None:
            first = requests[places[0]]
            if first.api_call is None:
                got[places[0]] = await self._fetch(first)
                return
            told = await self._fetch_values(
                first,
                first.api_call,
                list(dict.fromkeys(_get_joined_value(requests[at]) for at in places)),
            )
            got.update((at, told[_get_joined_value(requests[at])]) for at in places)

        async with asyncio.TaskGroup() as tasks:
            for places in _group_requests(requests):
                tasks.create_task(group(places))
        return [got[at] for at in range(len(requests))]

    async def _fetch_values(
        self, request: PageRequest, call: ApiCall, values: Sequence[str]
    ) -> dict[str, Page | FetchError]:
        """What the interface answers for each value, as far as the budget goes."""
        told: dict[str, Page | FetchError] = {}
        for part in _split_into_chunks(values, call.max_values):
            purse = self._get_budget(call)
            covered = 0 if purse.refusal else purse.count_affordable(call, len(part))
            if covered:
                told |= await self._send_call(request, call, part[:covered])
            told |= dict.fromkeys(part[covered:], purse.build_refusal())
        return told

    async def _send_call(
        self, request: PageRequest, call: ApiCall, values: Sequence[str]
    ) -> dict[str, Page | FetchError]:
        """The one answer to all the values; where one of them spoils it, the others' own."""
        purse = self._get_budget(call)
        purse.record_request(call, len(values))
        key = {call.api.key_header: call.api.key_prefix + purse.key}
        one = replace(request, url=_join_values(request.url, call, values), headers=key)
        got = await self._fetch(one)
        _close_budget(purse, got)
        told = {
            value: _extract_own_outcome(
                got, _build_single_value_url(request.url, call, value, len(values))
            )
            for value in values
        }
        for part in _select_values_to_retry(values, got):
            told |= await self._fetch_values(request, call, part)
        return told

    async def _fetch(self, request: PageRequest) -> Page | FetchError:
        try:
            return await fetch_and_parse(request, self._fetcher, self._parsers)
        except HostLockError:
            raise
        except Exception as bug:  # noqa: BLE001  # a bug in one reader must not cost the others their answers
            events.exception(bug, "probe_crashed", "an answer could not be taken at the desk")
            return FetchError(Reason.CRASHED, f"{type(bug).__name__}: {bug}", url=request.url)

    def _get_budget(self, call: ApiCall) -> ApiBudget:
        return self._api_budgets[call.api.host]


def _build_single_value_url(url: str, call: ApiCall, value: str, value_count: int) -> str:
    """The address of a call as it is told to one of those asked: of the others only that there are some."""
    return _join_values(
        url, call, [value, OTHER_VALUES_PLACEHOLDER] if value_count > 1 else [value]
    )


def _extract_own_outcome(outcome: Page | FetchError, url: str) -> Page | FetchError:
    """The answer to a call as one value's own evidence: who else was asked together with it is not told."""
    if isinstance(outcome, FetchError):
        own = outcome.url and url
        return FetchError(
            outcome.reason,
            outcome.detail,
            status=outcome.status,
            url=own,
            retry_after=outcome.retry_after,
        )
    return replace(outcome, url=url, hops=(Hop(url, outcome.status),) if outcome.hops else ())


def _group_requests(requests: Sequence[PageRequest]) -> Iterable[list[int]]:
    """The places of the asks that may be one request: they differ in the joined parameter only."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for at, ask in enumerate(requests):
        alone = ask.api_call is None or not ask.api_call.joined_parameter
        groups[(at,) if alone else (_join_values(ask.url, ask.api_call, ()), ask.parser)].append(at)
    return groups.values()


def _get_joined_value(request: PageRequest) -> str:
    """The value that an ask may be joined by."""
    return (
        httpx.URL(request.url).params.get(request.api_call.joined_parameter, "")
        if request.api_call
        else ""
    )


def _join_values(url: str, call: ApiCall | None, values: Sequence[str]) -> str:
    """The address with the values listed in it; with none it is the same for all that may be joined."""
    return (
        str(httpx.URL(url).copy_set_param(call.joined_parameter, ",".join(values)))
        if call and call.joined_parameter
        else url
    )


def _split_into_chunks(values: Sequence[str], max_values: int) -> Iterable[Sequence[str]]:
    return (values[at : at + max_values] for at in range(0, len(values), max_values))


def _select_values_to_retry(
    values: Sequence[str], outcome: Page | FetchError
) -> list[Sequence[str]]:
    """What is to be asked again after an error that only some of the values are to blame for."""
    said = outcome.parsed if isinstance(outcome, Page) and outcome.status >= 400 else None
    if not isinstance(said, ApiResponse) or said.refusal or len(values) < 2:
        return []
    innocent = [value for value in values if value.lower() not in said.item_errors]
    if len(innocent) < len(values):
        return [innocent] if innocent else []
    half = len(values) // 2
    return [values[:half], values[half:]] if said.is_single_item_error else []


def _close_budget(api_budget: ApiBudget, outcome: Page | FetchError) -> None:
    """An interface that refuses us altogether is left alone for the night."""
    said = outcome.parsed if isinstance(outcome, Page) else None
    if isinstance(said, ApiResponse) and said.refusal is not None and api_budget.refusal is None:
        api_budget.refusal = said.refusal
        host, why = api_budget.api.host, said.refusal[1]
        events.warning("interface_refuses", "{host} refuses us tonight: {why}", host=host, why=why)


class _RunningProbe:
    """A probe at the desk. A bug in it is its own end: unknown, `crashed`."""

    def __init__(self, generator: ProbeGenerator) -> None:
        self._generator = generator
        self._probe_run: ProbeRun | None = None
        self._crashed_result: ProbeResult | None = None
        self._run_step(self._start)

    def _start(self) -> None:
        self._probe_run = ProbeRun(self._generator)

    @property
    def pending_request(self) -> PageRequest | None:
        """What it wants next."""
        return (
            self._probe_run.pending_request
            if self._probe_run and not self._crashed_result
            else None
        )

    def resume(self, outcome: Page | FetchError) -> None:
        """Give it what it wanted."""
        visit = self._probe_run
        assert visit is not None
        self._run_step(lambda: visit.resume(outcome))

    def _run_step(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as bug:  # noqa: BLE001  # one probe's bug must not cost the others their answers
            events.exception(bug, "probe_crashed", "a probe crashed at the desk")
            self._crashed_result = build_crashed_result(bug)

    @property
    def result(self) -> ProbeResult:
        """What came of it."""
        if self._crashed_result:
            return self._crashed_result
        assert self._probe_run is not None
        return self._probe_run.result
