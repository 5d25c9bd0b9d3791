"""Batching of API calls, API budgets and errors of single accounts."""

import asyncio
import json
from collections import Counter
from dataclasses import dataclass, field
from urllib.parse import parse_qs, urlsplit

import pytest

from probes.models.finding import Finding, Presence, Reason
from probes.models.http import ApiCall, ApiResponse, Page, PlatformApi
from probes.models.probe import request_page
from probes.runner.api_batcher import ApiBudget, ApiRequestBatcher
from tests.support.mini_network import START, Readers

API = PlatformApi("api.example", "X-Key", "units", default_budget=100, key_prefix="Bearer ")
NAMES = ApiCall(API, joined_parameter="names", max_values=3, base_cost=1)
PRICED = ApiCall(API, joined_parameter="names", max_values=3, cost_per_value=0.5)


def parse_response(page):
    data = json.loads(page.body)
    refusal = (Reason.NOT_CONFIGURED, data["refusal"]) if "refusal" in data else None
    items, errors = data.get("items", {}), data.get("faults", {})
    return ApiResponse(items, errors, refusal, "of_one" in data, is_well_formed=True)


def check_name(name, call=NAMES):
    """Probe that requests one name."""
    url = f"https://api.example/users?names={name}&part=a"
    page, response = yield from request_page(url, parse_response, api_call=call)
    if response.refusal:
        return Finding(Presence.UNKNOWN, response.refusal[0])
    if name.lower() in response.item_errors:
        return Finding(Presence.ABSENT, Reason.NOT_FOUND, status=page.status)
    if name.lower() not in response.items:
        return Finding(Presence.UNKNOWN, Reason.UNREADABLE, status=page.status)
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


@pytest.mark.parametrize(
    ("api", "names", "reasons", "requests", "cost"),
    [
        (Api(), "amal nour salam tifawt", [None] * 4, [["amal", "nour", "salam"], ["tifawt"]], 2),
        (Api(), "amal amal", [None] * 2, [["amal"]], 1),
        (
            Api(missing={"gone"}),
            "amal gone nour",
            [None, Reason.NOT_FOUND, None],
            [["amal", "gone", "nour"], ["amal", "nour"]],
            2,
        ),
        (
            Api(hidden={"shy"}),
            "amal shy nour",
            [None, Reason.UNREADABLE, None],
            [["amal", "shy", "nour"], ["amal"], ["shy", "nour"], ["shy"], ["nour"]],
            5,
        ),
    ],
    ids=["joined", "one account of two associations", "a named error", "an unnamed error"],
)
def test_accounts_are_requested_together_and_again_without_errors(
    api, names, reasons, requests, cost
):
    results, api_budget = run_probes(api, *map(check_name, names.split()))
    assert [result.finding.reason for result in results] == reasons
    assert (api.requested_names, api_budget.spent) == (requests, cost)
    assert api_budget.request_count == len(requests)


def test_evidence_has_only_the_accounts_own_request():
    (first, second), _ = run_probes(Api(), check_name("amal"), check_name("nour"))
    exchanges = [*first.exchanges, *second.exchanges]
    assert [exchange.request.url for exchange in exchanges] == [
        "https://api.example/users?names=amal&part=a",
        "https://api.example/users?names=nour&part=a",
    ]
    assert [exchange.outcome.url for exchange in exchanges] == [
        "https://api.example/users?names=amal%2C_&part=a",
        "https://api.example/users?names=nour%2C_&part=a",
    ]
    assert exchanges[0].outcome.body is exchanges[1].outcome.body


def test_key_is_sent_but_not_stored_as_evidence():
    api = Api()
    (result,), api_budget = run_probes(api, check_name("amal"))
    assert api.keys == {("X-Key", "Bearer secret")}
    assert "secret" not in repr((result, api_budget))


def test_refusing_api_gets_no_more_requests():
    api = Api(refusal="the key is not valid")
    batcher, api_budget = create_batcher(api)
    first = asyncio.run(batcher.run_probes([check_name("amal")]))
    second = asyncio.run(batcher.run_probes([check_name("nour")]))
    refusal = (Reason.NOT_CONFIGURED, "the key is not valid")
    assert (api.requested_names, api_budget.refusal) == ([["amal"]], refusal)
    findings = [first[0].finding, second[0].finding]
    assert [finding.reason for finding in findings] == [Reason.NOT_CONFIGURED] * 2
    assert findings[1].detail == "the key is not valid"


def test_calls_beyond_budget_are_unknown():
    api = Api()
    results, api_budget = run_probes(
        api, *(check_name(name, PRICED) for name in ("a", "b", "c", "d", "e")), budget=2.0
    )
    reasons = [result.finding.reason for result in results]
    assert reasons == [None] * 4 + [Reason.RATE_LIMITED]
    assert "budget of 2 units" in results[-1].finding.detail
    assert (api.requested_names, api_budget.spent) == ([["a", "b", "c"], ["d"]], 2.0)


def test_cost_of_earlier_session_counts():
    batcher, _ = create_batcher(Api(), budget=1.0, cost=1.0)
    (result,) = asyncio.run(batcher.run_probes([check_name("amal")]))
    assert result.finding.reason is Reason.RATE_LIMITED


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
