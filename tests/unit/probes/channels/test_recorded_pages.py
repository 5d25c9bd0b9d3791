"""Every recorded page gives the expected finding. To add a case, add two files.

`tests/fixtures/pages/<channel>/<situation>.toml` has the requests, the responses and the expected
finding. `<situation>.html` is the body. All of it is invented. The TOML:

    link = "https://www.youtube.com/@jamiya-annour"   # as typed in the registry
    fetched_at = 2026-11-20T03:00:00Z                 # the time from which "ago" counts
    default = 404                                     # optional: the status of all other URLs;
                                                      # without it, a request for one fails the test

    [[exchanges]]
    url = "https://www.youtube.com/@jamiya-annour"    # exactly as the probe requests it
    status = 200                                      # 200 by default
    headers = { content-type = "text/html" }          # optional, lower-case names
    body = "suspended.html"                           # a file in the folder, or text = "…", or none
    final = "https://consent.youtube.com/m"           # optional: the final URL after redirects
    trouble = "timeout"                               # only with url: a fetch error of this reason

    [expect]                                          # presence always counts; the rest if written
    presence = "absent"
    reason = "suspended"                              # default: none if present, else any
    last_activity = "2026-11-06"                      # false: unknown
    activity_source = "videos"
    links = ["website annour.example"]                # "channel key", in any order
    facts = { https = true }                          # at least these
    # and any other field of Finding: name, status, final_url, platform_id, followers
"""

from __future__ import annotations

import importlib
import tomllib
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.checking.privacy_filter import remove_private_data
from probes.models.finding import Account, Finding, Reason
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
        return _build_page(request, exchange, recorded, folder)

    return respond


def _build_page(
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
    )


def to_expectation(finding: Finding, expected: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields of the finding that are expected, in the form of the TOML file."""
    activity = finding.last_activity
    special: dict[str, Any] = {
        "last_activity": activity.format_iso() if activity else False,
        "activity_source": activity.source if activity else None,
        "links": sorted(f"{link.channel} {link.key}" for link in finding.links),
        "facts": {name: finding.facts.get(name) for name in expected.get("facts", {})},
    }
    return {name: special[name] if name in special else getattr(finding, name) for name in expected}


@pytest.mark.parametrize("path", SITUATIONS, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_recorded_page_gives_the_expected_finding(path: Path) -> None:
    recorded = tomllib.loads(path.read_text(encoding="utf-8"))
    channel = cast("ChannelModule", importlib.import_module(f"probes.channels.{path.parent.name}"))
    link = recorded["link"]
    account = Account("test", link, channel.identify(link))
    responder = build_responder(recorded, path.parent)
    finding = run_offline(channel.probe(account), responder).finding
    expected = dict(recorded["expect"])
    if expected["presence"] == "present":
        expected.setdefault("reason", None)
    if "links" in expected:
        expected["links"] = sorted(expected["links"])
    assert to_expectation(finding, expected) == expected


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


async def test_every_body_is_read_in_a_worker() -> None:
    """Bodies are untrusted and the event loop serves all hosts, so it must not read them."""
    async with ParserPool(1) as parsers:
        for path in SITUATIONS:
            recorded = tomllib.loads(path.read_text(encoding="utf-8"))
            channel = cast(
                "ChannelModule", importlib.import_module(f"probes.channels.{path.parent.name}")
            )
            link = recorded["link"]
            account = Account("test", link, channel.identify(link))
            responder = build_responder(recorded, path.parent)
            result = await run_probe(channel.probe(account), SealedSource(responder), parsers)
            expected = run_offline(channel.probe(account), responder)
            assert result.finding == expected.finding, path
            CircuitBreaker(path.parent.name, 3).record_exchanges(result.exchanges)
            await remove_private_data(account, result, parsers)


def test_every_recorded_body_belongs_to_a_case() -> None:
    used = {
        path.parent / exchange["body"]
        for path in SITUATIONS
        for exchange in tomllib.loads(path.read_text(encoding="utf-8"))["exchanges"]
        if "body" in exchange
    }
    assert {path for path in PAGES.glob("*/*") if path.suffix not in {".toml", ".py"}} <= used
