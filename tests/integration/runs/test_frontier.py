"""The frontier hands out the accounts of a run by host, in order, until none is left."""

import pytest

from auditor.runs.frontier import Frontier
from auditor.runs.plan import build_batches, compute_batch_size
from probes.models.finding import Finding, Identity, LinkKind, Presence, Reason
from storage.models.audit import AccountRow, Observation
from tests.support.mini_network import START, link, register


@pytest.mark.parametrize(
    ("channel", "sizes"), [("website", [10, 10, 10, 1]), ("facebook", [10, 1])]
)
async def test_largest_host_begins_and_a_platform_has_one_worker(app, channel, sizes):
    """A host is listed as often as a worker gets it."""
    url = f"https://{channel}.example/"
    pages = [
        AccountRow("nour", f"{url}{n}", Identity(channel, LinkKind.PAGE, f"{n}", f"{url}{n}"))
        for n in range(10)
    ]
    register(app, *pages, link("amal", "website", "amal"))
    frontier = Frontier(app, app.store.runs.begin_or_resume(START.date(), START))
    frontier.fill()
    queues = frontier.iter_queues(frontier.list_batches())
    assert [host_queue.batch.size async for host_queue in queues] == sizes


async def test_small_hosts_share_a_batch_and_a_large_one_has_its_own(app):
    host_buckets = [
        (0, 1, 300),
        (1, 2, 9),
        (1, 5, 9),
        (2, 1, 1),
        (2, 3, 2),
        (2, 4, 5),
        (2, 6, 1),
        (3, 1, 1),
    ]
    batches = [
        (batch.round, batch.first_bucket, batch.last_bucket, batch.size)
        for batch in build_batches(host_buckets, 4)
    ]
    assert batches == [
        (0, 1, 1, 300), (1, 2, 2, 9), (1, 5, 5, 9), (2, 4, 4, 5), (2, 1, 3, 3), (2, 6, 6, 1),
        (3, 1, 1, 1),
    ]  # fmt: skip


def test_small_registry_has_a_batch_for_each_worker():
    assert [compute_batch_size(accounts) for accounts in (1, 30, 90, 6000, 1_250_000)] == [
        1,
        1,
        3,
        200,
        200,
    ]


def test_deferred_account_waits_for_the_second_pass(app):
    register(app, *(link(name, "facebook", name) for name in ("amal", "nour", "rif")))
    run = app.store.runs.begin_or_resume(START.date(), START)
    frontier = Frontier(app, run)
    frontier.fill()
    timeout = Observation(2, run.id, START, Finding(Presence.UNKNOWN, Reason.TIMEOUT))
    app.store.run_plan.save_first_observations([timeout])
    assert (frontier.count_remaining(), frontier.count_remaining(second_pass=True)) == (2, 1)
    (first_observation,) = app.store.run_plan.list_first_observations(frontier.audit_run)
    assert first_observation.account_id == 2
    assert app.store.run_plan.count_unreached_accounts(frontier.audit_run) == {"facebook": 3}
    app.store.run_plan.delete()
    assert frontier.count_remaining() == 0
