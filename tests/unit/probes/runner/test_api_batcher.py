"""Calls to interfaces are joined, paid for and taken apart at the desk; every probe gets its own answer."""

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


def test_many_accounts_are_one_call():
    api = Api()
    looks, purse = look(api, *map(looking, ("amal", "nour", "salam", "tifawt")))
    assert [one.finding.name for one in looks] == ["Amal", "Nour", "Salam", "Tifawt"]
    assert api.asked == [["amal", "nour", "salam"], ["tifawt"]]
    assert (purse.request_count, purse.spent) == (2, 2)


def test_each_account_keeps_its_own_question_as_evidence():
    (first, second), _ = look(Api(), looking("amal"), looking("nour"))
    (exchange,) = first.exchanges
    assert exchange.request.url == "https://api.example/users?names=amal&part=a"
    assert exchange.outcome.url == "https://api.example/users?names=amal%2C_&part=a"
    assert second.exchanges[0].outcome.url == "https://api.example/users?names=nour%2C_&part=a"
    assert second.exchanges[0].outcome.body is exchange.outcome.body


def test_the_key_is_shown_to_the_interface_and_kept_out_of_the_evidence():
    api = Api()
    (seen,), purse = look(api, looking("amal"))
    assert api.keys == {("X-Key", "Bearer secret")}
    assert "secret" not in repr(seen)
    assert "secret" not in repr(purse)


def test_one_name_asked_by_two_associations_is_paid_for_once():
    looks, purse = look(Api(), looking("amal", PRICED), looking("amal", PRICED))
    assert [one.finding.name for one in looks] == ["Amal", "Amal"]
    assert purse.spent == 0.5


def test_a_name_that_spoils_a_call_is_told_apart_and_the_others_asked_again():
    api = Api(missing={"gone"})
    looks, _ = look(api, *map(looking, ("amal", "gone", "nour")))
    assert [str(one.finding.presence) for one in looks] == ["present", "absent", "present"]
    assert api.asked == [["amal", "gone", "nour"], ["amal", "nour"]]


def test_where_nobody_is_named_halves_are_asked_until_the_one_is_alone():
    api = Api(hidden={"shy"})
    looks, _ = look(api, *map(looking, ("amal", "shy", "nour")))
    assert [one.finding.reason for one in looks] == [None, Reason.UNREADABLE, None]
    assert ["shy"] in api.asked
    assert len(api.asked) <= 5


def test_an_interface_that_refuses_us_is_asked_no_more_that_night():
    api = Api(refusal="the key is not valid")
    counter, purse = desk(api)
    first = asyncio.run(counter.run_probes([looking("amal")]))
    second = asyncio.run(counter.run_probes([looking("nour")]))
    assert len(api.asked) == 1
    assert purse.refusal == (Reason.NOT_CONFIGURED, "the key is not valid")
    assert first[0].finding.reason is second[0].finding.reason is Reason.NOT_CONFIGURED
    assert second[0].finding.detail == "the key is not valid"


def test_what_the_budget_does_not_cover_is_not_sent_and_not_held_against_anyone():
    api = Api()
    looks, purse = look(
        api, *(looking(name, PRICED) for name in ("a", "b", "c", "d", "e")), budget=2.0
    )
    assert [str(one.finding.presence) for one in looks] == ["present"] * 4 + ["unknown"]
    assert looks[-1].finding.reason is Reason.RATE_LIMITED
    assert "budget of 2 units" in looks[-1].finding.detail
    assert (api.asked, purse.spent) == ([["a", "b", "c"], ["d"]], 2.0)


def test_what_an_earlier_session_of_the_night_has_paid_is_not_paid_again():
    counter, _ = desk(Api(), budget=1.0, cost=1.0)
    (seen,) = asyncio.run(counter.run_probes([looking("amal")]))
    assert seen.finding.reason is Reason.RATE_LIMITED


def test_probes_go_on_at_their_own_pace():
    looks, purse = look(Api(), looking("amal", uploads=True), looking("nour"))
    assert [len(one.exchanges) for one in looks] == [2, 1]
    assert purse.request_count == 2


def test_a_probe_that_crashes_costs_the_others_nothing(caplog):
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
def test_an_answer_that_cannot_be_taken_is_unknown_for_those_in_it_and_the_others_go_on(trouble):
    """As by a bug of its reader, or a cancellation that nobody asked for."""

    class Broken(Api):
        async def get(self, wanted):
            if "nour" in wanted.url:
                raise trouble
            return await super().get(wanted)

    elsewhere = ApiCall(INTERFACE, joined_parameter="", base_cost=1)
    looks, _ = look(Broken(), looking("amal", elsewhere), looking("nour", elsewhere))
    assert [one.finding.reason for one in looks] == [None, Reason.CRASHED]


def test_a_call_that_gets_no_answer_is_unknown_for_everybody_in_it():
    class Silent(Api):
        async def get(self, wanted):
            raise FetchError(Reason.TIMEOUT, "no answer")

    looks, _ = look(Silent(), looking("amal"), looking("nour"))
    assert [one.finding.reason for one in looks] == [Reason.TIMEOUT] * 2


@pytest.mark.parametrize("values", [0, 1, 7])
def test_nobody_to_ask_or_a_few_make_as_few_requests_as_can_be(values):
    api = Api()
    look(api, *(looking(f"name{at}") for at in range(values)))
    assert len(api.asked) == -(-values // 3)
