"""Every recorded page gives the expected finding. To add a case, add two files.

`tests/fixtures/pages/<channel>/<situation>.toml` has the requests, the responses and the expected
finding. `<situation>.html` is the body. All of it is invented. The TOML:

    link = "https://www.youtube.com/@jamiya-annour"   # as typed in the registry
    known_id = "UCAnnour0000000000000001"             # optional: the platform's id, found earlier
    fetched_at = 2026-11-20T03:00:00Z                 # the time from which "ago" counts
    default = 404                                     # optional: the status of all other URLs;
                                                      # without it, a request for one fails the test

    [[exchanges]]
    url = "https://www.youtube.com/@jamiya-annour"    # exactly as the probe requests it
    status = 200                                      # 200 by default
    headers = { content-type = "text/html" }          # optional, lower-case names
    body = "suspended.html"                           # a file in the folder, or text = "…", or none
    final = "https://consent.youtube.com/m"           # optional: the final URL after redirects
    truncated = true                                  # optional: the body was cut at the limit
    trouble = "timeout"                               # only with url: a fetch error of this reason

    [expect]                                          # presence always counts; the rest if written
    presence = "absent"
    reason = "suspended"                              # default: none if present, else any
    last_activity = "2026-11-06"                      # false: unknown
    activity_source = "videos"
    links = ["website annour.example"]                # "channel key", in any order
    facts = { https = true }                          # at least these
    all_facts = ["https"]                             # the names of all facts
    # and any other field of Finding: name, status, final_url, platform_id, followers
"""

import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.checking.privacy_filter import remove_private_data
from probes.links.identify import identify_link
from probes.models.finding import Account, Finding, Presence, Reason
from probes.models.http import FetchError, Hop, Page, PageRequest
from probes.models.probe import ChannelModule, Responder, run_offline
from probes.runner.parser_pool import ParserPool
from probes.runner.run import run_probe

PAGES = Path(__file__).parents[3] / "fixtures" / "pages"
SITUATIONS = sorted(PAGES.glob("*/*.toml"))


def build_responder(recorded: Mapping[str, Any], folder: Path) -> Responder:
    """Return a function that answers requests with the recorded responses."""
    exchanges = {exchange["url"]: exchange for exchange in recorded["exchanges"]}

    def respond(request: PageRequest) -> Page | FetchError:
        exchange = exchanges.get(request.url)
        if exchange is None:
            assert "default" in recorded, (
                f"the probe requested {request.url}, which is not recorded"
            )
            exchange = {"status": recorded["default"]}
        if "trouble" in exchange:
            return FetchError(Reason(exchange["trouble"]), url=request.url)
        return build_page(request, exchange, recorded, folder)

    return respond


def build_page(
    request: PageRequest, exchange: Mapping[str, Any], recorded: Mapping[str, Any], folder: Path
) -> Page:
    body = exchange.get("text", "").encode()
    if "body" in exchange:
        body = (folder / exchange["body"]).read_bytes()
    status, final_url = exchange.get("status", 200), exchange.get("final", request.url)
    redirects = (Hop(request.url, 302),) if final_url != request.url else ()
    headers = {"content-type": "text/html; charset=utf-8", **exchange.get("headers", {})}
    return Page(
        final_url,
        status,
        headers,
        body,
        fetched_at=recorded["fetched_at"],
        hops=(*redirects, Hop(final_url, status)),
        truncated=exchange.get("truncated", False),
    )


def build_account(channel: ChannelModule, recorded: Mapping[str, Any]) -> Account:
    """Return the account of a situation, with the id and the name of an earlier finding."""
    known = Finding(
        Presence.PRESENT, platform_id=recorded.get("known_id"), name=recorded.get("known_name")
    )
    identity = identify_link(recorded["link"], channel.NAME)
    return Account("test", recorded["link"], identity, known)


def to_expectation(finding: Finding, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the finding that are expected, in the form of the TOML file."""
    activity = finding.last_activity
    special: dict[str, Any] = {
        "last_activity": activity.format_iso() if activity else False,
        "activity_source": activity.source if activity else None,
        "links": sorted(f"{link.channel} {link.key}" for link in finding.links),
        "all_facts": sorted(finding.facts),
        "facts": {name: finding.facts.get(name) for name in expected.get("facts", {})},
    }
    return {name: special[name] if name in special else getattr(finding, name) for name in expected}


@pytest.mark.parametrize("path", SITUATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_page_gives_the_expected_finding(path: Path) -> None:
    recorded = tomllib.loads(path.read_text(encoding="utf-8"))
    channel = cast("ChannelModule", importlib.import_module(f"probes.channels.{path.parent.name}"))
    account = build_account(channel, recorded)
    responder = build_responder(recorded, path.parent)
    result = run_offline(channel.probe(account), responder)
    requests = [(exchange.request.url, exchange.request.insecure) for exchange in result.exchanges]
    assert len(requests) == len(set(requests)), "no page is requested twice"
    expected = dict(recorded["expect"])
    if expected["presence"] == "present":
        expected.setdefault("reason", None)
    if "links" in expected:
        expected["links"] = sorted(expected["links"])
    assert to_expectation(result.finding, expected) == expected


class SealedBody:
    """A body that only a worker process can read: pickled, it becomes bytes."""

    def __init__(self, body: bytes) -> None:
        self._body = body

    def __len__(self) -> int:
        return len(self._body)

    def __reduce__(self) -> tuple[object, tuple[bytes]]:
        return bytes, (self._body,)


class SealedSource:
    """Returns recorded pages with sealed bodies."""

    def __init__(self, responder: Responder) -> None:
        self._responder = responder

    async def get(self, request: PageRequest) -> Page:
        outcome = self._responder(request)
        if isinstance(outcome, FetchError):
            raise outcome
        return replace(outcome, body=SealedBody(outcome.body))  # type: ignore[arg-type]


@pytest.mark.slow
async def test_every_body_is_read_in_a_worker() -> None:
    """Bodies are untrusted and the event loop serves all hosts, so it must not read them."""
    async with ParserPool(1) as parsers:
        for path in SITUATIONS:
            recorded = tomllib.loads(path.read_text(encoding="utf-8"))
            channel = cast(
                "ChannelModule", importlib.import_module(f"probes.channels.{path.parent.name}")
            )
            account = build_account(channel, recorded)
            responder = build_responder(recorded, path.parent)
            result = await run_probe(channel.probe(account), SealedSource(responder), parsers)
            expected = run_offline(channel.probe(account), responder)
            assert result.finding == expected.finding, path
            CircuitBreaker(path.parent.name, 3).record_exchanges(result.exchanges)
            await remove_private_data(account, result, parsers)
