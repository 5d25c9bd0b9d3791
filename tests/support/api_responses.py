"""Helpers to run API probes with handmade responses."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from urllib.parse import parse_qs, urlsplit

from hypothesis import strategies as st

from probes.models.finding import Account, Finding, Presence
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import ProbeGenerator, ProbeResult, run_offline

NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)

JSON = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(10**18, 10**30)
    | st.floats()
    | st.text(max_size=12),
    lambda inner: (
        st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4)
    ),
    max_leaves=12,
)
"""Any JSON value, and some that JSON does not allow."""


def ago(**span: float) -> datetime:
    """Return a moment before the run."""
    return NOW - timedelta(**span)


def page(data: object, status: int = 200) -> Page:
    """Return a response from the requested URL. Data is encoded as JSON unless it is bytes."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Page("", status, {"content-type": "application/json"}, body, fetched_at=NOW)


def remembered(account: Account, own: str | None, name: str | None = None) -> Account:
    """Return the account with the platform id and name of an earlier finding."""
    return replace(account, previous_finding=Finding(Presence.PRESENT, platform_id=own, name=name))


def played(steps: ProbeGenerator, *answers: Page | FetchError) -> ProbeResult:
    """Run a probe with these responses. Fail unless it requests exactly so many."""
    remaining = list(answers)

    def respond(request: PageRequest) -> Page | FetchError:
        response = remaining.pop(0)
        if isinstance(response, FetchError) or response.url:
            return response
        return replace(response, url=request.url)

    result = run_offline(steps, respond)
    assert not remaining, "the probe sent fewer requests"
    return result


def queries(result: ProbeResult) -> list[dict[str, str]]:
    """Return the query parameters of every request."""
    parsed = [parse_qs(urlsplit(exchange.request.url).query) for exchange in result.exchanges]
    return [{name: values[0] for name, values in query.items()} for query in parsed]
