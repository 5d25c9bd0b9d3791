"""The frontier hands out the accounts of a run by host, in order, until none is left."""

from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.checking.circuit_breaker import CircuitBreaker
from auditor.runs.frontier import MAX_TASKS_PER_HOST, Frontier, HostQueue
from auditor.runs.plan import (
    MAX_BATCH_ACCOUNTS,
    MAX_OVERDUE_DAYS,
    MAX_OVERDUE_MINUTES,
    MIN_CLUSTER_BATCHES,
    WEBSITE_ROUND,
    CheckPriority,
    build_batches,
    compute_batch_size,
)
from probes.models.finding import Finding, Identity, LinkKind, Presence, Reason
from storage.models.audit import AccountRow, AccountStatus, AuditRun, AuditRunState, Observation
from storage.runs.plan import PlanBatch, PlanPosition
from tests.support.mini_network import START, link, opened, register

SITE = link("nour", "website", "nour")


@pytest.fixture
def app(tmp_path):
    small_app = opened(tmp_path)
    yield small_app
    small_app.store.close()


def build_accounts(count):
    return [link(f"a{number}", "facebook", f"a{number}") for number in range(count)]


async def list_queue_sizes(app, *rows):
    """Return the host queues of a run by size, each as often as a worker gets it."""
    register(app, *rows)
    run = app.store.runs.begin_or_resume(START.date(), START)
    frontier = Frontier(app, run)
    frontier.fill()
    queues = frontier.iter_queues(frontier.list_batches())
    return [host_queue.batch.size async for host_queue in queues]


async def test_largest_host_begins_and_has_several_workers(app):
    pages = [
        replace(SITE, typed_text=f"{SITE.typed_text}{page}", identity=site_of(page))
        for page in range(10)
    ]
    assert await list_queue_sizes(app, *pages, link("amal", "website", "amal")) == [10, 10, 10, 1]


def site_of(page):
    return replace(SITE.identity, key=f"nour.example/{page}", url=f"{SITE.typed_text}{page}")


async def test_platform_begins_and_has_one_worker(app):
    short = AccountRow(
        "amal",
        "fb.me/x",
        Identity("facebook", LinkKind.SHORT_LINK, url="https://fb.me/x"),
        "facebook",
    )
    assert await list_queue_sizes(app, *build_accounts(10), short, SITE) == [11, 1]


async def test_host_queue_is_read_page_by_page(app, monkeypatch):
    monkeypatch.setattr("auditor.runs.frontier.HOST_PAGE_SIZE", 3)
    register(app, *build_accounts(10))
    run = app.store.runs.begin_or_resume(START.date(), START)
    frontier = Frontier(app, run)
    assert frontier.fill() == 10
    (batch,) = frontier.list_batches()
    host_queue = HostQueue(frontier, batch, limit=8)
    first_entries = [entry for _ in range(5) for entry in await host_queue.take(2)]
    remaining_queue = HostQueue(frontier, batch, after=host_queue.cursor)
    last_entries = await remaining_queue.take(5)
    assert (len(first_entries), len(last_entries)) == (8, 2)
    account_ids = [entry.account.id for entry in first_entries + last_entries]
    assert account_ids == list(range(1, 11))
    assert await remaining_queue.take() == []
    assert (host_queue.is_exhausted, remaining_queue.is_exhausted) == (False, True)


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


def test_large_host_has_one_round(app):
    register(app, *build_accounts(4))
    positions = [
        PlanPosition(round_number, 7, 0, number)
        for number, round_number in enumerate((3, 2, 3, 9), 1)
    ]
    run = app.store.runs.begin_or_resume(START.date(), START)
    app.store.run_plan.replace(positions, 4)
    assert list(app.store.run_plan.count_by_host_bucket(run)) == [(2, 7, 1), (3, 7, 2), (9, 7, 1)]
    app.store.run_plan.replace(positions, 3)
    assert list(app.store.run_plan.count_by_host_bucket(run)) == [(2, 7, 4)]


def test_deferred_account_waits_for_the_second_pass(app):
    register(app, *build_accounts(3))
    run = app.store.runs.begin_or_resume(START.date(), START)
    frontier = Frontier(app, run)
    frontier.fill()
    finding = Finding(Presence.UNKNOWN, Reason.TIMEOUT)
    first_observation = Observation(2, run.id, START, finding)
    app.store.run_plan.save_first_observations([first_observation])
    assert (frontier.count_remaining(), frontier.count_remaining(second_pass=True)) == (2, 1)
    assert [
        observation.account_id
        for observation in app.store.run_plan.list_first_observations(frontier.audit_run)
    ] == [2]
    assert app.store.run_plan.count_unreached_accounts(frontier.audit_run) == {"facebook": 3}
    app.store.run_plan.delete()
    assert frontier.count_remaining() == 0


def test_account_of_a_refusing_platform_is_skipped(app):
    page, site = build_accounts(1)[0], SITE
    circuit_breaker = CircuitBreaker("facebook", 1, opened_reason=Reason.BLOCKED)
    run = app.store.runs.begin_or_resume(START.date(), START)
    frontier = Frontier(app, run, {"facebook": circuit_breaker})
    assert frontier.skip_if_refused(page).finding.reason is Reason.BLOCKED
    assert frontier.skip_if_refused(site) is None
    assert circuit_breaker.skipped_count == 1


STEPS = [-1, 0, 1]


@pytest.mark.parametrize("step", STEPS)
def test_website_host_has_a_few_tasks(app, step):
    count = MAX_TASKS_PER_HOST + step
    run = app.store.runs.begin_or_resume(START.date(), START)
    host_queue = HostQueue(Frontier(app, run), PlanBatch(WEBSITE_ROUND, 1, 1, count))
    assert host_queue.max_tasks == min(count, MAX_TASKS_PER_HOST)


@pytest.mark.parametrize("step", STEPS)
def test_batch_has_a_limited_number_of_accounts(step):
    count = MAX_BATCH_ACCOUNTS + step
    batches = build_batches([(WEBSITE_ROUND, bucket, 1) for bucket in range(count)])
    assert len(batches) == (1 if step <= 0 else 2)
    assert compute_batch_size(count * MIN_CLUSTER_BATCHES) == min(count, MAX_BATCH_ACCOUNTS)


def compute_position(waited, channel="website"):
    priority = CheckPriority(AuditRun(START.date(), AuditRunState.DONE, START))
    row = replace(link("nour", channel, "nour"), id=1)
    return priority.compute_position(row, AccountStatus(1, checked_at=START - waited))


@pytest.mark.parametrize("step", STEPS)
def test_longer_wait_of_a_website_gives_no_earlier_round(step):
    waited = timedelta(days=MAX_OVERDUE_DAYS + step)
    assert compute_position(waited).round == WEBSITE_ROUND + max(0, -step)


@pytest.mark.parametrize("step", STEPS)
def test_wait_is_counted_up_to_a_thousand_years(step):
    waited = timedelta(minutes=MAX_OVERDUE_MINUTES + step)
    longest = compute_position(timedelta(minutes=MAX_OVERDUE_MINUTES))
    assert (compute_position(waited).rank > longest.rank) is (step < 0)
