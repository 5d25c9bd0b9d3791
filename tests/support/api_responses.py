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
"""Anything at all that JSON can hold, and a little more."""


def ago(**span: float) -> datetime:
    """A moment before the night."""
    return NOW - timedelta(**span)


def page(data: object, status: int = 200) -> Page:
    """An answer from the address that will be asked; bytes are sent as they are."""
    body = data if isinstance(data, bytes) else json.dumps(data).encode()
    return Page("", status, {"content-type": "application/json"}, body, fetched_at=NOW)


def remembered(account: Account, own: str | None, name: str | None = None) -> Account:
    """The account, with the platform's own id and its name as they were last seen."""
    return replace(account, previous_finding=Finding(Presence.PRESENT, platform_id=own, name=name))


def played(steps: ProbeGenerator, *answers: Page | FetchError) -> ProbeResult:
    """The probe's look, given these answers one after the other; it must want exactly so many."""
    waiting = list(answers)

    def answer(ask: PageRequest) -> Page | FetchError:
        given = waiting.pop(0)
        return given if isinstance(given, FetchError) or given.url else replace(given, url=ask.url)

    look = run_offline(steps, answer)
    assert not waiting, "the probe asked for less"
    return look


def queries(look: ProbeResult) -> list[dict[str, str]]:
    """The query of every ask."""
    asked = [parse_qs(urlsplit(exchange.request.url).query) for exchange in look.exchanges]
    return [{name: values[0] for name, values in query.items()} for query in asked]
