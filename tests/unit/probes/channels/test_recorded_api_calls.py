"""Every recorded exchange with an official API gives the expected finding.

`tests/fixtures/apis/<channel>/situations.toml` has a table for each situation, in the form of the
recorded pages (see test_recorded_pages.py). `link` is that of the file unless the situation has its
own. In addition:

    known_id = "1234567890"       # the platform's id and the name in an earlier finding
    known_name = "Jamiya Annour"

    exchanges = [{                # in the order of the requests
        asks = "ids=1234567890",  # a part of the requested URL, instead of `url`
        call = ["ids", 100, 1.5]  # the joined parameter, its most values and the cost of so many
    }]

    expect = {                    # the reason, the id and the detail always count
        refused = true,           # the last response refuses every request to the API
        of_one = true             # one of the requested values caused the error
    }
"""

import copy
import importlib
import itertools
import json
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from probes.models.finding import Presence, Reason
from probes.models.http import ApiCall, FetchError, Page, PageRequest
from probes.models.probe import ProbeResult, run_offline
from probes.parsing.json_data import parse_json
from tests.support.findings import verdict
from tests.support.fuzz_inputs import JSON
from tests.unit.probes.channels.test_recorded_pages import build_account, build_page, to_expectation

JSON_HEADERS = {"content-type": "application/json"}
APIS = Path(__file__).parents[3] / "fixtures" / "apis"


def _load_situations() -> dict[str, dict[str, Any]]:
    situations = {}
    for path in sorted(APIS.glob("*/situations.toml")):
        recorded = tomllib.loads(path.read_text(encoding="utf-8"))
        for name, situation in recorded.pop("situations").items():
            situations[f"{path.parent.name}-{name}"] = recorded | situation
    return situations


SITUATIONS = _load_situations()


def _get_channel(name: str) -> Any:
    return importlib.import_module(f"probes.channels.{name.partition('-')[0]}")


def _describe_call(call: ApiCall | None) -> list[Any]:
    assert call is not None
    cost = call.base_cost + call.cost_per_value * call.max_values
    return [call.joined_parameter, call.max_values, round(cost, 2)]


def _play(name: str, situation: Mapping[str, Any]) -> ProbeResult:
    """Return the result of the probe. Its requests must be those of the situation."""
    channel = _get_channel(name)
    remaining = list(situation["exchanges"])

    def respond(request: PageRequest) -> Page | FetchError:
        assert remaining, f"the probe requested {request.url}, which is not recorded"
        exchange = {"headers": JSON_HEADERS, **remaining.pop(0)}
        assert exchange.get("url", request.url) == request.url
        assert exchange.get("asks", "") in request.url
        if "call" in exchange:
            assert _describe_call(request.api_call) == exchange["call"]
        if "trouble" in exchange:
            return FetchError(Reason(exchange["trouble"]), exchange["detail"])
        return build_page(request, exchange, situation, APIS / channel.NAME)

    result = run_offline(channel.probe_api(build_account(channel, situation)), respond)
    assert not remaining, "the probe sent fewer requests"
    return result


@pytest.mark.parametrize("name", SITUATIONS)
def test_recorded_exchange_gives_the_expected_finding(name: str) -> None:
    situation = SITUATIONS[name]
    result = _play(name, situation)
    outcomes = [exchange.outcome for exchange in result.exchanges]
    answers = [outcome.parsed for outcome in outcomes if isinstance(outcome, Page)]
    problems = {"refused": False, "of_one": False}
    for answer in answers[-1:]:
        problems = {"refused": answer.refusal is not None, "of_one": answer.is_single_item_error}
    expected = {"reason": None, "platform_id": None, "detail": "", **situation["expect"]}
    expected_problems = {key: expected.pop(key, False) for key in problems}
    assert problems == expected_problems
    assert to_expectation(result.finding, expected) == expected


# --- Any answer is accepted ---

HOSTILE_BODIES = {
    "10 MB": b'{"data":[' + b'{"id":"1"},' * 900_000 + b"{}]}",
    "nested a million deep": b'{"data":' + b"[" * 1_000_000,
    "a number of 100,000 digits": b'{"data":' + b"9" * 100_000 + b"}",
    "lone surrogates and NUL": (
        b'{"data":[{"id":"\\ud800","name":"\\u0000"}],"items":[{"id":"\\ud800"}]}'
    ),
    "null": b"null",
}


@pytest.mark.fault("F22")
@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES)
@pytest.mark.parametrize(
    "situation", {name.partition("-")[0]: name for name in SITUATIONS}.values()
)
def test_hostile_json_is_unreadable(situation: str, body: bytes) -> None:
    channel = _get_channel(situation)
    result = run_offline(
        channel.probe_api(build_account(channel, SITUATIONS[situation])),
        lambda request: Page(request.url, 200, JSON_HEADERS, body),
    )
    assert verdict(result.finding) == (Presence.UNKNOWN, Reason.UNREADABLE)


def _spoil(data: Any, places: Sequence[int], value: object) -> Any:
    """Return the data with another value at a place: an index on each level."""
    if not places or not data or not isinstance(data, dict | list):
        return value
    keys = list(data) if isinstance(data, dict) else list(range(len(data)))
    key = keys[places[0] % len(keys)]
    changed = copy.copy(data)
    changed[key] = _spoil(data[key], places[1:], value)
    return changed


@settings(deadline=None)
@given(
    name=st.sampled_from(sorted(SITUATIONS)),
    places=st.lists(st.integers(0, 9), max_size=6),
    value=JSON,
)
def test_probe_accepts_any_answer(name: str, places: list[int], value: object) -> None:
    situation, channel = SITUATIONS[name], _get_channel(name)
    exchanges = itertools.cycle(situation["exchanges"])

    def respond(request: PageRequest) -> Page:
        page = build_page(request, next(exchanges), situation, APIS / channel.NAME)
        body = json.dumps(_spoil(parse_json(page.body), places, value))
        return replace(page, body=body.encode())

    result = run_offline(channel.probe_api(build_account(channel, situation)), respond)
    assert len(result.exchanges) <= 3
    if result.finding.last_activity:
        assert result.finding.last_activity.published_at <= situation["fetched_at"] + timedelta(
            days=1
        )
    if (channel.NAME, result.finding.presence) == ("facebook", Presence.ABSENT):
        bodies = [exchange.outcome.body for exchange in result.exchanges]
        assert b'"code": 803' in b"".join(bodies)
