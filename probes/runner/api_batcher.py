"""Batches the API calls of many probes, and holds the API keys and budgets.

A probe requests one account at a time. The batcher runs many probes together, sends their pending
calls in few requests (50 YouTube channels are one request) and gives each probe its own part of the
response. Calls beyond the budget are not sent, and an API that refuses a call gets no more in this
run.
"""

import asyncio
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
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

logger = EventLogger(__name__)

OTHER_VALUES_PLACEHOLDER = "_"
"""Replaces the values of other accounts in the URL of a shared call."""


@dataclass(slots=True)
class ApiBudget:
    """The key of an API and its spent and allowed cost in this run, in the API's unit.

    `refusal` is the reason why the API gets no more requests. `skipped_count` counts the accounts
    that were not checked because of it.
    """

    api: PlatformApi
    key: str = field(repr=False)
    limit: float
    spent: float = 0.0
    request_count: int = 0
    skipped_count: int = 0
    refusal: tuple[Reason, str] | None = None

    def count_affordable(self, call: ApiCall, value_count: int) -> int:
        """Return how many of these values fit into the budget in one request."""
        remaining = self.limit - self.spent - call.base_cost + 1e-9  # costs are not exact floats
        if remaining < 0:
            return 0
        if not call.cost_per_value:
            return value_count
        return min(value_count, int(remaining / call.cost_per_value))

    def record_request(self, call: ApiCall, value_count: int) -> None:
        """Count a request and its cost."""
        self.request_count += 1
        self.spent = round(self.spent + call.estimate_cost(value_count), 6)

    def build_refusal(self) -> FetchError:
        """Return the error for a call that is not sent."""
        if self.refusal:
            return FetchError(*self.refusal)
        detail = f"the run's budget of {self.limit:g} {self.api.cost_unit} is spent"
        return FetchError(Reason.RATE_LIMITED, detail)


class ApiRequestBatcher:
    """Runs probes with API calls together, for one run."""

    def __init__(
        self, fetcher: Fetcher, parsers: ParserPool, api_budgets: Iterable[ApiBudget] = ()
    ) -> None:
        self._fetcher = fetcher
        self._parsers = parsers
        self._api_budgets = {budget.api.host: budget for budget in api_budgets}

    async def run_probes(self, generators: Sequence[ProbeGenerator]) -> list[ProbeResult]:
        """Run many probes step by step. A crash of one probe does not affect the others."""
        probes = list(map(_RunningProbe, generators))
        while pending := list(_iter_pending_requests(probes)):
            outcomes = await self._fetch_all([request for _, request in pending])
            for (probe, _), outcome in zip(pending, outcomes, strict=True):
                probe.resume(outcome)
        return [probe.result for probe in probes]

    async def _fetch_all(self, requests: Sequence[PageRequest]) -> list[Page | FetchError]:
        outcomes: dict[int, Page | FetchError] = {}

        async def fetch_group(indexes: Sequence[int]) -> None:
            first = requests[indexes[0]]
            if first.api_call is None:
                outcomes[indexes[0]] = await self._fetch(first)
                return
            values = [_get_joined_value(requests[index]) for index in indexes]
            unique_values = list(dict.fromkeys(values))
            outcome_by_value = await self._fetch_values(first, first.api_call, unique_values)
            for index, value in zip(indexes, values, strict=True):
                outcomes[index] = outcome_by_value[value]

        async with asyncio.TaskGroup() as tasks:
            for indexes in _group_requests(requests):
                tasks.create_task(fetch_group(indexes))
        return [outcomes[index] for index in range(len(requests))]

    async def _fetch_values(
        self, request: PageRequest, call: ApiCall, values: Sequence[str]
    ) -> dict[str, Page | FetchError]:
        """Fetch each value, as far as the budget allows."""
        outcomes: dict[str, Page | FetchError] = {}
        for chunk in _split_into_chunks(values, call.max_values):
            budget = self._get_budget(call)
            affordable = 0 if budget.refusal else budget.count_affordable(call, len(chunk))
            if affordable:
                outcomes |= await self._send_call(request, call, chunk[:affordable])
            outcomes |= dict.fromkeys(chunk[affordable:], budget.build_refusal())
        return outcomes

    async def _send_call(
        self, request: PageRequest, call: ApiCall, values: Sequence[str]
    ) -> dict[str, Page | FetchError]:
        """Fetch all values in one request. If one of them causes an error, retry the others."""
        budget = self._get_budget(call)
        budget.record_request(call, len(values))
        headers = {call.api.key_header: call.api.key_prefix + budget.key}
        joined_url = _join_values(request.url, call, values)
        shared_outcome = await self._fetch(replace(request, url=joined_url, headers=headers))
        _close_budget(budget, shared_outcome)
        outcomes: dict[str, Page | FetchError] = {}
        for value in values:
            url = _build_single_value_url(request.url, call, value, len(values))
            outcomes[value] = _extract_own_outcome(shared_outcome, url)
        for retried_values in _select_values_to_retry(values, shared_outcome):
            outcomes |= await self._fetch_values(request, call, retried_values)
        return outcomes

    async def _fetch(self, request: PageRequest) -> Page | FetchError:
        try:
            return await fetch_and_parse(request, self._fetcher, self._parsers)
        except HostLockError:
            raise
        except Exception as bug:  # a bug in one parser must not affect other probes
            logger.exception(bug, "probe_crashed", "parsing an API response raised an exception")
            return FetchError(Reason.CRASHED, f"{type(bug).__name__}: {bug}", url=request.url)

    def _get_budget(self, call: ApiCall) -> ApiBudget:
        return self._api_budgets[call.api.host]


def _build_single_value_url(url: str, call: ApiCall, value: str, value_count: int) -> str:
    """Return the URL of a call as stored for one account. Other values become a placeholder."""
    values = [value, OTHER_VALUES_PLACEHOLDER] if value_count > 1 else [value]
    return _join_values(url, call, values)


def _extract_own_outcome(outcome: Page | FetchError, url: str) -> Page | FetchError:
    """Return the outcome of a shared call as evidence for one account, without the other values."""
    if isinstance(outcome, FetchError):
        return FetchError(
            outcome.reason,
            outcome.detail,
            status=outcome.status,
            url=outcome.url and url,
            retry_after=outcome.retry_after,
        )
    return replace(outcome, url=url, hops=(Hop(url, outcome.status),) if outcome.hops else ())


def _group_requests(requests: Sequence[PageRequest]) -> Iterable[list[int]]:
    """Return groups of indexes of requests that differ in the joined parameter only."""
    groups: dict[tuple[object, ...], list[int]] = defaultdict(list)
    for index, request in enumerate(requests):
        if request.api_call is None or not request.api_call.joined_parameter:
            groups[(index,)].append(index)
        else:
            common_url = _join_values(request.url, request.api_call, ())
            groups[(common_url, request.parser)].append(index)
    return groups.values()


def _get_joined_value(request: PageRequest) -> str:
    """Return the value of a request's joined parameter, or an empty string."""
    if request.api_call is None:
        return ""
    value: str = httpx.URL(request.url).params.get(request.api_call.joined_parameter, "")
    return value


def _join_values(url: str, call: ApiCall | None, values: Sequence[str]) -> str:
    """Return the URL with these values in the joined parameter, if the call has one."""
    if call is None or not call.joined_parameter:
        return url
    return str(httpx.URL(url).copy_set_param(call.joined_parameter, ",".join(values)))


def _split_into_chunks(values: Sequence[str], max_values: int) -> Iterable[Sequence[str]]:
    starts = range(0, len(values), max_values)
    return (values[start : start + max_values] for start in starts)


def _select_values_to_retry(
    values: Sequence[str], outcome: Page | FetchError
) -> list[Sequence[str]]:
    """Return the groups of values to retry after an error that only some values caused."""
    response = _get_api_response(outcome)
    if response is None or response.refusal or (outcome.status or 0) < 400 or len(values) < 2:
        return []
    groups: list[Sequence[str]] = []
    valid_values = [value for value in values if value.lower() not in response.item_errors]
    if len(valid_values) < len(values):
        groups = [valid_values]
    elif response.is_single_item_error:
        half = len(values) // 2
        groups = [values[:half], values[half:]]
    return list(filter(None, groups))


def _get_api_response(outcome: Page | FetchError) -> ApiResponse | None:
    if isinstance(outcome, Page) and isinstance(outcome.parsed, ApiResponse):
        return outcome.parsed
    return None


def _close_budget(api_budget: ApiBudget, outcome: Page | FetchError) -> None:
    """Stop requests to an API that refused a call."""
    response = _get_api_response(outcome)
    if response is None or response.refusal is None:
        return
    if api_budget.refusal is None:
        api_budget.refusal = response.refusal
        logger.warning(
            "api_refused",
            "{host} refused further API requests in this run: {reason}",
            host=api_budget.api.host,
            reason=response.refusal[1],
        )


class _RunningProbe:
    """A probe that the batcher runs. If it raises an exception, its finding is `crashed`."""

    def __init__(self, generator: ProbeGenerator) -> None:
        self._generator = generator
        self._probe_run: ProbeRun | None = None
        self._crashed_result: ProbeResult | None = None
        self._run_step(self._start)

    def _start(self) -> None:
        self._probe_run = ProbeRun(self._generator)

    @property
    def pending_request(self) -> PageRequest | None:
        """Return the next request of the probe, or None at its end."""
        if self._probe_run is None or self._crashed_result is not None:
            return None
        return self._probe_run.pending_request

    def resume(self, outcome: Page | FetchError) -> None:
        """Pass the outcome of the pending request to the probe."""
        probe_run = self._probe_run
        assert probe_run is not None
        self._run_step(lambda: probe_run.resume(outcome))

    def _run_step(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception as bug:  # a bug in one probe must not affect the others
            logger.exception(bug, "probe_crashed", "a probe raised an exception")
            self._crashed_result = build_crashed_result(bug)

    @property
    def result(self) -> ProbeResult:
        """Return the result of the finished probe."""
        if self._crashed_result:
            return self._crashed_result
        assert self._probe_run is not None
        return self._probe_run.result


def _iter_pending_requests(
    probes: Iterable[_RunningProbe],
) -> Iterator[tuple[_RunningProbe, PageRequest]]:
    """Yield the probes that are not finished, with their next request."""
    for probe in probes:
        request = probe.pending_request
        if request is not None:
            yield probe, request
