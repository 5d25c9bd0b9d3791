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

INTERFACE = PlatformApi("api.example", "X-Key", "units", default_budget=100, key_prefix="Bearer ")
NAMES = ApiCall(INTERFACE, joined_parameter="names", max_values=3, base_cost=1)
PRICED = ApiCall(INTERFACE, joined_parameter="names", max_values=3, cost_per_value=0.5)
UPLOADS = ApiCall(INTERFACE, base_cost=1)


def read(page):
    try:
        told = json.loads(page.body)
    except ValueError:
        return ApiResponse()
    refusal = (Reason.NOT_CONFIGURED, told["refusal"]) if "refusal" in told else None
    return ApiResponse(
        told.get("items", {}),
        told.get("faults", {}),
        refusal,
        "of_one" in told,
        is_well_formed=True,
    )


def looking(name, call=NAMES, uploads=False):
    """A probe that asks for one name, and perhaps for its uploads."""
    page, said = yield from request_page(
        f"https://api.example/users?names={name}&part=a", read, api_call=call
    )
    if said.refusal:
        return Finding(Presence.UNKNOWN, said.refusal[0])
    if name.lower() in said.item_errors:
        return Finding(Presence.ABSENT, Reason.NOT_FOUND, status=page.status)
    if name.lower() not in said.items:
        return Finding(Presence.UNKNOWN, Reason.UNREADABLE, status=page.status)
    if uploads:
        yield from request_page(f"https://api.example/uploads?of={name}", read, api_call=UPLOADS)
    return Finding(Presence.PRESENT, name=said.items[name.lower()]["name"], final_url=page.url)


@dataclass
class Api:
    """An interface that knows every name but those that `spoil` a call; it counts what it is asked."""

    missing: set = field(default_factory=set)
    hidden: set = field(default_factory=set)
    refusal: str = ""
    asked: list = field(default_factory=list)
    keys: set = field(default_factory=set)

    async def get(self, wanted):
        self.keys.update(wanted.headers.items())
        names = parse_qs(urlsplit(wanted.url).query).get("names", [""])[0].split(",")
        self.asked.append(names)
        status, told = 200, {"items": {name.lower(): {"name": name.title()} for name in names}}
        if self.refusal:
            status, told = 403, {"refusal": self.refusal}
        elif spoilt := self.missing.intersection(names):
            status, told = 400, {"faults": dict.fromkeys(spoilt, "no such name")}
        elif self.hidden.intersection(names):
            status, told = 400, {"of_one": True}
        return Page(wanted.url, status, {}, json.dumps(told).encode(), START)


def desk(api, budget=100.0, cost=0.0):
    purse = ApiBudget(INTERFACE, "secret", budget, cost)
    return ApiRequestBatcher(api, Readers(), [purse]), purse


def look(api, *steps, budget=100.0):
    counter, purse = desk(api, budget)
    return asyncio.run(counter.run_probes(steps)), purse


def test_many_accounts_are_one_request():
    api = Api()
    looks, purse = look(api, *map(looking, ("amal", "nour", "salam", "tifawt")))
    assert [one.finding.name for one in looks] == ["Amal", "Nour", "Salam", "Tifawt"]
    assert api.asked == [["amal", "nour", "salam"], ["tifawt"]]
    assert (purse.request_count, purse.spent) == (2, 2)


def test_evidence_has_only_the_accounts_own_request():
    (first, second), _ = look(Api(), looking("amal"), looking("nour"))
    (exchange,) = first.exchanges
    assert exchange.request.url == "https://api.example/users?names=amal&part=a"
    assert exchange.outcome.url == "https://api.example/users?names=amal%2C_&part=a"
    assert second.exchanges[0].outcome.url == "https://api.example/users?names=nour%2C_&part=a"
    assert second.exchanges[0].outcome.body is exchange.outcome.body


def test_key_is_sent_but_not_stored_as_evidence():
    api = Api()
    (seen,), purse = look(api, looking("amal"))
    assert api.keys == {("X-Key", "Bearer secret")}
    assert "secret" not in repr(seen)
    assert "secret" not in repr(purse)


def test_account_of_two_associations_is_requested_once():
    looks, purse = look(Api(), looking("amal", PRICED), looking("amal", PRICED))
    assert [one.finding.name for one in looks] == ["Amal", "Amal"]
    assert purse.spent == 0.5


def test_values_without_error_are_retried():
    api = Api(missing={"gone"})
    looks, _ = look(api, *map(looking, ("amal", "gone", "nour")))
    assert [str(one.finding.presence) for one in looks] == ["present", "absent", "present"]
    assert api.asked == [["amal", "gone", "nour"], ["amal", "nour"]]


def test_unnamed_error_is_bisected():
    api = Api(hidden={"shy"})
    looks, _ = look(api, *map(looking, ("amal", "shy", "nour")))
    assert [one.finding.reason for one in looks] == [None, Reason.UNREADABLE, None]
    assert ["shy"] in api.asked
    assert len(api.asked) <= 5


def test_refusing_api_gets_no_more_requests():
    api = Api(refusal="the key is not valid")
    counter, purse = desk(api)
    first = asyncio.run(counter.run_probes([looking("amal")]))
    second = asyncio.run(counter.run_probes([looking("nour")]))
    assert len(api.asked) == 1
    assert purse.refusal == (Reason.NOT_CONFIGURED, "the key is not valid")
    assert first[0].finding.reason is second[0].finding.reason is Reason.NOT_CONFIGURED
    assert second[0].finding.detail == "the key is not valid"


def test_calls_beyond_budget_are_unknown():
    api = Api()
    looks, purse = look(
        api, *(looking(name, PRICED) for name in ("a", "b", "c", "d", "e")), budget=2.0
    )
    assert [str(one.finding.presence) for one in looks] == ["present"] * 4 + ["unknown"]
    assert looks[-1].finding.reason is Reason.RATE_LIMITED
    assert "budget of 2 units" in looks[-1].finding.detail
    assert (api.asked, purse.spent) == ([["a", "b", "c"], ["d"]], 2.0)


def test_cost_of_earlier_session_counts():
    counter, _ = desk(Api(), budget=1.0, cost=1.0)
    (seen,) = asyncio.run(counter.run_probes([looking("amal")]))
    assert seen.finding.reason is Reason.RATE_LIMITED


def test_probes_with_different_numbers_of_steps_finish():
    looks, purse = look(Api(), looking("amal", uploads=True), looking("nour"))
    assert [len(one.exchanges) for one in looks] == [2, 1]
    assert purse.request_count == 2


def test_crashed_probe_does_not_affect_others(caplog):
    def breaks():
        yield from request_page("https://api.example/users?names=nour&part=a", read, api_call=NAMES)
        raise ZeroDivisionError("a bug")

    def never_begins():
        raise ZeroDivisionError("a bug")
        yield

    looks, _ = look(Api(), looking("amal"), breaks(), never_begins())
    assert [one.finding.reason for one in looks] == [None, Reason.CRASHED, Reason.CRASHED]
    assert Counter(record.levelname for record in caplog.records) == {"ERROR": 2}


@pytest.mark.parametrize("trouble", [ZeroDivisionError("a bug"), asyncio.CancelledError()])
def test_parser_error_affects_only_its_accounts(trouble):
    """As by a bug of its reader, or a cancellation that nobody asked for."""

    class Broken(Api):
        async def get(self, wanted):
            if "nour" in wanted.url:
                raise trouble
            return await super().get(wanted)

    elsewhere = ApiCall(INTERFACE, joined_parameter="", base_cost=1)
    looks, _ = look(Broken(), looking("amal", elsewhere), looking("nour", elsewhere))
    assert [one.finding.reason for one in looks] == [None, Reason.CRASHED]


def test_failed_call_is_unknown_for_all_its_accounts():
    class Silent(Api):
        async def get(self, wanted):
            raise FetchError(Reason.TIMEOUT, "no answer")

    looks, _ = look(Silent(), looking("amal"), looking("nour"))
    assert [one.finding.reason for one in looks] == [Reason.TIMEOUT] * 2


@pytest.mark.parametrize("values", [0, 1, 7])
def test_number_of_requests_is_minimal(values):
    api = Api()
    look(api, *(looking(f"name{at}") for at in range(values)))
    assert len(api.asked) == -(-values // 3)
