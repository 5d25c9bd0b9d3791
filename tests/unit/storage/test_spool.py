"""What waits in a spool comes back in its order, however much of it there is."""

from datetime import UTC, datetime

import pytest

from probes.models.finding import Finding, Presence
from storage.files import spool
from storage.files.spool import Spool
from storage.models.audit import AccountStatus


@pytest.mark.parametrize("in_memory", [1, 10**9])
def test_what_was_added_is_read_in_its_order_as_often_as_wanted(monkeypatch, in_memory):
    monkeypatch.setattr(spool, "MAX_MEMORY_BYTES", in_memory)
    now = datetime(2026, 11, 25, tzinfo=UTC)
    added = [
        AccountStatus(
            n, checked_at=now, last_known_finding=Finding(Presence.PRESENT, facts={"n": n})
        )
        for n in range(50)
    ]
    with Spool() as waiting:
        assert list(waiting) == []
        waiting.extend(added[:20])
        waiting.extend(())
        assert list(waiting) == added[:20]
        waiting.extend(iter(added[20:]))
        assert list(waiting) == list(waiting) == added
