"""Batches the API calls of many probes, and holds the API keys and budgets.

A probe requests one account at a time. The batcher runs many probes together, sends their pending
calls in few requests (50 YouTube channels are one request) and gives each probe its own part of the
response. Calls beyond the budget are not sent, and an API that refuses a call gets no more in this
run.
"""

import asyncio
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
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
"""Replaces the other accounts of a call in the URL that is stored for one of them."""


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
        """Count a request and the most that it can cost."""
        self.request_count += 1
        self.spent = round(self.spent + call.base_cost + call.cost_per_value * value_count, 6)

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
        probe_runs: dict[int, ProbeRun] = {}
        crashed_results: dict[int, ProbeResult] = {}
        for index, generator in enumerate(generators):
            with _catch_crash(index, crashed_results):
                probe_runs[index] = ProbeRun(generator)
        while requests := {
            index: probe_run.pending_request
            for index, probe_run in probe_runs.items()
            if index not in crashed_results and probe_run.pending_request is not None
        }:
            outcomes = await self._fetch_all(requests)
            for index in requests:
                with _catch_crash(index, crashed_results):
                    probe_runs[index].resume(outcomes[index])
        indexes = range(len(generators))
        return [crashed_results.get(index) or probe_runs[index].result for index in indexes]

    async def _fetch_all(
        self, requests: Mapping[int, PageRequest]
    ) -> Mapping[int, Page | FetchError]:
        """Fetch all requests, those that differ in the joined parameter only together."""
        outcomes: dict[int, Page | FetchError] = {}
        groups: dict[tuple[object, ...], dict[int, str]] = defaultdict(dict)
        for index, request in requests.items():
            call = request.api_call
            if call is None or not call.joined_parameter:
                groups[(index,)][index] = ""
            else:
                value = httpx.URL(request.url).params.get(call.joined_parameter, "")
                groups[_join_values(request.url, call, ()), request.parser][index] = value

        async def fetch_group(values: Mapping[int, str]) -> None:
            first = requests[next(iter(values))]
            if first.api_call is None:
                outcomes[next(iter(values))] = await self._fetch(first)
                return
            unique_values = list(dict.fromkeys(values.values()))
            outcome_by_value = await self._fetch_values(first, first.api_call, unique_values)
            for index, value in values.items():
                outcomes[index] = outcome_by_value[value]

        async with asyncio.TaskGroup() as tasks:
            for values in groups.values():
                tasks.create_task(fetch_group(values))
        return outcomes

    async def _fetch_values(
        self, request: PageRequest, call: ApiCall, values: Sequence[str]
    ) -> dict[str, Page | FetchError]:
        """Fetch each value, as far as the budget allows.

        If one of the values of a call causes an error, the others are requested again.
        """
        outcomes: dict[str, Page | FetchError] = {}
        budget = self._api_budgets[call.api.host]
        for start in range(0, len(values), call.max_values):
            chunk = values[start : start + call.max_values]
            count = 0 if budget.refusal else budget.count_affordable(call, len(chunk))
            if count:
                shared_outcome = await self._send_call(request, call, chunk[:count])
                for value in chunk[:count]:
                    url_values = [value, OTHER_VALUES_PLACEHOLDER] if count > 1 else [value]
                    url = _join_values(request.url, call, url_values)
                    if isinstance(shared_outcome, FetchError):
                        error = shared_outcome
                        outcomes[value] = FetchError(
                            error.reason, error.detail, status=error.status, url=error.url and url
                        )
                    else:
                        hops = (Hop(url, shared_outcome.status),) if shared_outcome.hops else ()
                        outcomes[value] = replace(shared_outcome, url=url, hops=hops)
                for retried_values in _select_values_to_retry(chunk[:count], shared_outcome):
                    outcomes |= await self._fetch_values(request, call, retried_values)
            outcomes |= dict.fromkeys(chunk[count:], budget.build_refusal())
        return outcomes

    async def _send_call(
        self, request: PageRequest, call: ApiCall, values: Sequence[str]
    ) -> Page | FetchError:
        """Fetch values in one request. An API that refuses it gets no more requests."""
        budget = self._api_budgets[call.api.host]
        budget.record_request(call, len(values))
        headers = {call.api.key_header: call.api.key_prefix + budget.key}
        joined_url = _join_values(request.url, call, values)
        outcome = await self._fetch(replace(request, url=joined_url, headers=headers))
        response = _get_api_response(outcome)
        if response is not None and response.refusal is not None and budget.refusal is None:
            budget.refusal = response.refusal
            logger.warning(
                "api_refused",
                "{host} refused further API requests in this run: {reason}",
                host=budget.api.host,
                reason=response.refusal[1],
            )
        return outcome

    async def _fetch(self, request: PageRequest) -> Page | FetchError:
        try:
            return await fetch_and_parse(request, self._fetcher, self._parsers)
        except HostLockError:
            raise
        except Exception as bug:  # a bug in one parser must not affect other probes
            logger.exception(bug, "probe_crashed", "parsing an API response raised an exception")
            return FetchError(Reason.CRASHED, f"{type(bug).__name__}: {bug}", url=request.url)


def _join_values(url: str, call: ApiCall, values: Sequence[str]) -> str:
    """Return the URL with these values in the joined parameter, if the call has one."""
    if not call.joined_parameter:
        return url
    return str(httpx.URL(url).copy_set_param(call.joined_parameter, ",".join(values)))


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


@contextmanager
def _catch_crash(index: int, crashed_results: dict[int, ProbeResult]) -> Iterator[None]:
    """Turn an exception of a probe into its result."""
    try:
        yield
    except Exception as bug:  # a bug in one probe must not affect the others
        logger.exception(bug, "probe_crashed", "a probe raised an exception")
        crashed_results[index] = build_crashed_result(bug)
