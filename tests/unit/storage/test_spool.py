"""Tests of the spool: it returns its items in their order, however many there are."""

from datetime import UTC, datetime

import pytest

from probes.models.finding import Finding, Presence
from storage.files import spool
from storage.files.spool import Spool
from storage.models.audit import AccountStatus


@pytest.mark.parametrize("max_memory_bytes", [1, 10**9])
def test_spool_returns_its_items_in_order_any_number_of_times(monkeypatch, max_memory_bytes):
    monkeypatch.setattr(spool, "MAX_MEMORY_BYTES", max_memory_bytes)
    now = datetime(2026, 11, 25, tzinfo=UTC)
    added = [
        AccountStatus(
            n, checked_at=now, last_known_finding=Finding(Presence.PRESENT, facts={"n": n})
        )
        for n in range(50)
    ]
    with Spool() as items:
        assert list(items) == []
        items.extend(added[:20])
        items.extend(())
        assert list(items) == added[:20]
        items.extend(iter(added[20:]))
        assert list(items) == list(items) == added
