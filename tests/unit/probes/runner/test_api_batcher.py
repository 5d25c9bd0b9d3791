"""Batching of API calls, API budgets and errors of single accounts."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from probes.models.finding import Finding, Presence, Reason
from probes.models.http import ApiCall, ApiResponse, FetchError, Page, PlatformApi
from probes.models.probe import request_page
from probes.runner.api_batcher import ApiBudget, ApiRequestBatcher
from tests.support.mini_network import START, Readers

API = PlatformApi("api.example", "X-Key", "units", default_budget=100, key_prefix="Bearer ")
NAMES = ApiCall(API, joined_parameter="names", max_values=3, base_cost=1)
PRICED = ApiCall(API, joined_parameter="names", max_values=3, cost_per_value=0.5)
UPLOADS = ApiCall(API, base_cost=1)


def parse_response(page):
    try:
        data = json.loads(page.body)
    except ValueError:
        return ApiResponse()
    refusal = (Reason.NOT_CONFIGURED, data["refusal"]) if "refusal" in data else None
    return ApiResponse(
        data.get("items", {}),
        data.get("faults", {}),
        refusal,
        "of_one" in data,
        is_well_formed=True,
    )


def check_name(name, call=NAMES, uploads=False):
    """Probe that requests one name, and optionally its uploads."""
    page, response = yield from request_page(
        f"https://api.example/users?names={name}&part=a", parse_response, api_call=call
    )
    if response.refusal:
        return Finding(Presence.UNKNOWN, response.refusal[0])
    if name.lower() in response.item_errors:
        return Finding(Presence.ABSENT, Reason.NOT_FOUND, status=page.status)
    if name.lower() not in response.items:
        return Finding(Presence.UNKNOWN, Reason.UNREADABLE, status=page.status)
    if uploads:
        yield from request_page(
            f"https://api.example/uploads?of={name}", parse_response, api_call=UPLOADS
        )
    return Finding(Presence.PRESENT, name=response.items[name.lower()]["name"], final_url=page.url)


@dataclass
class Api:
    """A fake API that knows every name except `missing` and `hidden` ones, and records requests."""

    missing: set = field(default_factory=set)
    hidden: set = field(default_factory=set)
    refusal: str = ""
    requested_names: list = field(default_factory=list)
    keys: set = field(default_factory=set)

    async def get(self, request):
        self.keys.update(request.headers.items())
        names = parse_qs(urlsplit(request.url).query).get("names", [""])[0].split(",")
        self.requested_names.append(names)
        status, data = 200, {"items": {name.lower(): {"name": name.title()} for name in names}}
        if self.refusal:
            status, data = 403, {"refusal": self.refusal}
        elif missing := self.missing.intersection(names):
            status, data = 400, {"faults": dict.fromkeys(missing, "no such name")}
        elif self.hidden.intersection(names):
            status, data = 400, {"of_one": True}
        return Page(request.url, status, {}, json.dumps(data).encode(), START)


def create_batcher(api, budget=100.0, cost=0.0):
    api_budget = ApiBudget(API, "secret", budget, cost)
    return ApiRequestBatcher(api, Readers(), [api_budget]), api_budget


def run_probes(api, *steps, budget=100.0):
    batcher, api_budget = create_batcher(api, budget)
    return asyncio.run(batcher.run_probes(steps)), api_budget


def test_many_accounts_are_one_request():
    api = Api()
    results, api_budget = run_probes(api, *map(check_name, ("amal", "nour", "salam", "tifawt")))
    assert [result.finding.name for result in results] == ["Amal", "Nour", "Salam", "Tifawt"]
    assert api.requested_names == [["amal", "nour", "salam"], ["tifawt"]]
    assert (api_budget.request_count, api_budget.spent) == (2, 2)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_accounts_above_the_budget_are_not_requested(step):
    """Each request for three names costs 1, and the budget is 2."""
    api = Api()
    count = 3 * (2 + step)
    results, api_budget = run_probes(
        api, *(check_name(f"name{number}") for number in range(count)), budget=2
    )
    assert len(api.requested_names) == api_budget.spent == min(2, 2 + step)
    reasons = [result.finding.reason for result in results]
    assert reasons == [None] * min(6, count) + [Reason.RATE_LIMITED] * max(0, count - 6)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_budget_of_a_priced_api_ends_within_a_request(step):
    """Each of three names costs 0.5, in one request."""
    api = Api()
    names = (check_name(name, PRICED) for name in ("amal", "nour", "salam"))
    results, api_budget = run_probes(api, *names, budget=1.5 + step / 2)
    affordable = min(3, 3 + step)
    assert api_budget.spent == affordable / 2
    assert [result.finding.reason for result in results].count(None) == affordable


def test_evidence_has_only_the_accounts_own_request():
    (first, second), _ = run_probes(Api(), check_name("amal"), check_name("nour"))
    (exchange,) = first.exchanges
    assert exchange.request.url == "https://api.example/users?names=amal&part=a"
    assert exchange.outcome.url == "https://api.example/users?names=amal%2C_&part=a"
    assert second.exchanges[0].outcome.url == "https://api.example/users?names=nour%2C_&part=a"
    assert second.exchanges[0].outcome.body is exchange.outcome.body


def test_key_is_sent_but_not_stored_as_evidence():
    api = Api()
    (result,), api_budget = run_probes(api, check_name("amal"))
    assert api.keys == {("X-Key", "Bearer secret")}
    assert "secret" not in repr(result)
    assert "secret" not in repr(api_budget)


def test_account_of_two_associations_is_requested_once():
    results, api_budget = run_probes(Api(), check_name("amal", PRICED), check_name("amal", PRICED))
    assert [result.finding.name for result in results] == ["Amal", "Amal"]
    assert api_budget.spent == 0.5


def test_values_without_error_are_retried():
    api = Api(missing={"gone"})
    results, _ = run_probes(api, *map(check_name, ("amal", "gone", "nour")))
    assert [str(result.finding.presence) for result in results] == ["present", "absent", "present"]
    assert api.requested_names == [["amal", "gone", "nour"], ["amal", "nour"]]


def test_unnamed_error_is_bisected():
    api = Api(hidden={"shy"})
    results, _ = run_probes(api, *map(check_name, ("amal", "shy", "nour")))
    assert [result.finding.reason for result in results] == [None, Reason.UNREADABLE, None]
    assert ["shy"] in api.requested_names
    assert len(api.requested_names) <= 5


def test_refusing_api_gets_no_more_requests():
    api = Api(refusal="the key is not valid")
    batcher, api_budget = create_batcher(api)
    first = asyncio.run(batcher.run_probes([check_name("amal")]))
    second = asyncio.run(batcher.run_probes([check_name("nour")]))
    assert len(api.requested_names) == 1
    assert api_budget.refusal == (Reason.NOT_CONFIGURED, "the key is not valid")
    assert first[0].finding.reason is second[0].finding.reason is Reason.NOT_CONFIGURED
    assert second[0].finding.detail == "the key is not valid"


def test_calls_beyond_budget_are_unknown():
    api = Api()
    results, api_budget = run_probes(
        api, *(check_name(name, PRICED) for name in ("a", "b", "c", "d", "e")), budget=2.0
    )
    assert [str(result.finding.presence) for result in results] == ["present"] * 4 + ["unknown"]
    assert results[-1].finding.reason is Reason.RATE_LIMITED
    assert "budget of 2 units" in results[-1].finding.detail
    assert (api.requested_names, api_budget.spent) == ([["a", "b", "c"], ["d"]], 2.0)


def test_cost_of_earlier_session_counts():
    batcher, _ = create_batcher(Api(), budget=1.0, cost=1.0)
    (result,) = asyncio.run(batcher.run_probes([check_name("amal")]))
    assert result.finding.reason is Reason.RATE_LIMITED


def test_probes_with_different_numbers_of_steps_finish():
    results, api_budget = run_probes(Api(), check_name("amal", uploads=True), check_name("nour"))
    assert [len(result.exchanges) for result in results] == [2, 1]
    assert api_budget.request_count == 2


def test_crashed_probe_does_not_affect_others(caplog):
    def breaks():
        yield from request_page(
            "https://api.example/users?names=nour&part=a", parse_response, api_call=NAMES
        )
        raise ZeroDivisionError("a bug")

    def never_begins():
        raise ZeroDivisionError("a bug")
        yield

    results, _ = run_probes(Api(), check_name("amal"), breaks(), never_begins())
    assert [result.finding.reason for result in results] == [None, Reason.CRASHED, Reason.CRASHED]
    assert Counter(record.levelname for record in caplog.records) == {"ERROR": 2}


@pytest.mark.parametrize("trouble", [ZeroDivisionError("a bug"), asyncio.CancelledError()])
def test_parser_error_affects_only_its_accounts(trouble):
    """For example a bug of its parser, or an unexpected cancellation."""

    class Broken(Api):
        async def get(self, request):
            if "nour" in request.url:
                raise trouble
            return await super().get(request)

    elsewhere = ApiCall(API, joined_parameter="", base_cost=1)
    results, _ = run_probes(Broken(), check_name("amal", elsewhere), check_name("nour", elsewhere))
    assert [result.finding.reason for result in results] == [None, Reason.CRASHED]


def test_failed_call_is_unknown_for_all_its_accounts():
    class Silent(Api):
        async def get(self, request):
            raise FetchError(Reason.TIMEOUT, "no answer")

    results, _ = run_probes(Silent(), check_name("amal"), check_name("nour"))
    assert [result.finding.reason for result in results] == [Reason.TIMEOUT] * 2


@pytest.mark.parametrize("values", [0, 1, 7])
def test_number_of_requests_is_minimal(values):
    api = Api()
    run_probes(api, *(check_name(f"name{number}") for number in range(values)))
    assert len(api.requested_names) == -(-values // 3)
