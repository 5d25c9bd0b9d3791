"""A run at its deadline is evaluated, and unreached accounts come first in the next run."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from math import inf
from unittest.mock import Mock

import pytest

from auditor.checking import checker
from auditor.conclusions import reevaluate, replay
from auditor.config.schema import ScheduleSettings
from auditor.runs import run as run_module
from auditor.runs.plan import CheckPriority, compute_overdue_seconds
from auditor.runs.run import execute_run
from auditor.runs.state import RunDeadline
from probes.http.fetcher import FetchOptions
from probes.models.finding import Presence, Reason
from probes.models.http import FetchError
from storage.errors import LaterRunDoneError
from storage.models.audit import AccountState, AccountStatus, AuditRunState
from tests.support.mini_network import START, configured, link, night_of, opened, register, steps

HOUR = 3600.0


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    for module in (checker, replay):
        monkeypatch.setattr(module, "create_probe", steps)


class SlowTimer:
    """A timer by which each page takes ten minutes."""

    def __init__(self, web, seconds=600.0):
        self.now = 0.0
        self.seconds = seconds
        self._get = web.get
        web.get = self.get

    def __call__(self):
        return self.now

    async def get(self, request):
        self.now += self.seconds
        return await self._get(request)


def set_schedule(app, **schedule):
    fetch = FetchOptions(second_pass_delay=0, concurrency=1)
    app.config = app.config.model_copy(
        update={"fetch": fetch, "schedule": ScheduleSettings(**schedule)}
    )


@pytest.fixture
def app(tmp_path):
    small_app = opened(tmp_path, configured())
    set_schedule(small_app, time_limit_hours=1)
    yield small_app
    small_app.store.close()


def pages(count, channel="website"):
    return [link(f"a{number:02}", channel, f"a{number:02}") for number in range(count)]


def list_checked(app, run):
    rows = {row.id: row.typed_text for row in app.store.registry.list_accounts()}
    return [
        rows[observation.account_id]
        for observation in app.store.observations.list_observations(run_id=run.id)
    ]


async def interrupt_run(app, now, timer, observation_count):
    """Start or resume a run, and cancel it when `observation_count` observations are stored."""
    reached = asyncio.Event()

    def on_progress(checked, _total):
        if checked == observation_count:
            reached.set()

    task = asyncio.create_task(execute_run(app, now, timer=timer, on_progress=on_progress))
    await reached.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_run_ends_at_deadline_and_counts_unreached_accounts(app, caplog):
    rows = pages(10)
    register(app, *rows)
    run = await execute_run(app, START, timer=SlowTimer(app.web))
    assert (run.state, len(list_checked(app, run)), run.not_reached_count) == (
        AuditRunState.DONE,
        6,
        4,
    )
    assert run.report.not_reached_by_channel == {"website": 4}
    assert (run.report.accounts, run.report.seconds) == (6, HOUR)
    assert run.finished_at == START + timedelta(hours=1)
    assert "4 accounts were not checked" in caplog.text


async def test_run_without_time_limit_never_ends_early(app):
    set_schedule(app, time_limit_hours=0)
    register(app, *pages(10))
    run = await execute_run(app, START, timer=SlowTimer(app.web))
    assert (
        len(list_checked(app, run)),
        run.not_reached_count,
        run.report.not_reached_by_channel,
    ) == (10, 0, {})


async def test_unreached_accounts_come_first_in_the_next_run(app):
    rows = pages(10)
    register(app, *rows)
    timer = SlowTimer(app.web)
    first = await execute_run(app, START, timer=timer)
    reached = list_checked(app, first)
    app.web.asked.clear()
    second = await execute_run(app, night_of(1), timer=timer)
    missed = {row.typed_text for row in rows} - set(reached)
    assert set(app.web.asked[:4]) == missed
    assert set(list_checked(app, second)) == missed | set(app.web.asked[4:6])
    third = await execute_run(app, night_of(2), timer=timer)
    assert set(list_checked(app, second)) | set(list_checked(app, third)) == {
        row.typed_text for row in rows
    }


async def test_unreached_account_keeps_its_status(app):
    """Two accounts are gone. Only the one that is checked counts a failure."""
    first, second = pages(2, "facebook")
    register(app, first, second)
    app.web.answers = {first.typed_text: "gone", second.typed_text: "gone"}
    set_schedule(app, time_limit_hours=0)
    timer = SlowTimer(app.web)
    await execute_run(app, START, timer=timer)
    set_schedule(app, time_limit_hours=0.1)
    for day in (4, 8, 9):  # each run reaches one of them, in turn
        await execute_run(app, night_of(day), timer=timer)
    statuses = {
        row.typed_text: app.store.statuses.get(row.id) for row in app.store.registry.list_accounts()
    }
    assert {
        typed: status.unconfirmed_streak and status.unconfirmed_streak.run_count
        for typed, status in statuses.items()
    } in (
        {first.typed_text: None, second.typed_text: 2},
        {first.typed_text: 2, second.typed_text: None},
    )
    assert sorted(status.state for status in statuses.values()) == [
        AccountState.GONE,
        AccountState.UNKNOWN,
    ]
    dead = [
        gap
        for gap in app.store.conclusions.list_gaps()
        if gap.code == "channel_dead" and gap.opened_at
    ]
    assert len(dead) == 1


async def test_reevaluation_after_unreached_accounts_changes_nothing(app):
    register(app, *pages(10), *pages(3, "facebook"))
    app.web.answers = {row.typed_text: "gone" for row in pages(3, "facebook")}
    timer = SlowTimer(app.web)
    for day in range(6):
        await execute_run(app, night_of(day), timer=timer)
    assert reevaluate.reevaluate(app).changes == []


async def test_run_resumed_after_its_deadline_is_only_evaluated(app):
    """The run was killed halfway and is resumed after its deadline."""
    register(app, *pages(8))
    timer = SlowTimer(app.web)
    await interrupt_run(app, START, timer, observation_count=3)
    app.web.asked.clear()
    run = await execute_run(app, START + timedelta(hours=5), timer=timer)
    assert (run.state, run.not_reached_count, app.web.asked) == (
        AuditRunState.DONE,
        8 - len(list_checked(app, run)),
        [],
    )
    assert len(list_checked(app, run)) >= 3
    assert (await execute_run(app, START + timedelta(hours=6), timer=timer)) == run
    assert app.web.asked == []


async def test_time_limit_begins_with_the_first_check(app):
    register(app, *pages(3))
    skipped_run = app.store.runs.begin_or_resume(START.date(), START)
    app.store.runs.finish(skipped_run, AuditRunState.SKIPPED, START)
    run = await execute_run(app, START + timedelta(hours=12), timer=SlowTimer(app.web))
    assert (run.state, run.not_reached_count) == (AuditRunState.DONE, 0)


async def test_skipped_session_does_not_use_the_time_limit(app):
    """Skipped at 00:30, started at 05:30 and interrupted: fifty minutes are left."""
    register(app, *pages(3))
    app.store.runs.finish(
        app.store.runs.begin_or_resume(START.date(), START), AuditRunState.SKIPPED, START
    )
    timer, late = SlowTimer(app.web), START + timedelta(hours=5)
    await interrupt_run(app, late, timer, observation_count=1)
    run = await execute_run(app, late + timedelta(minutes=10), timer=timer)
    assert (run.started_at, run.not_reached_count, len(list_checked(app, run))) == (START, 0, 3)


async def test_unreached_accounts_are_counted_after_a_kill(app, monkeypatch):
    """The run was killed between evaluation and report. Accounts added later are not counted."""
    register(app, *pages(10))
    with monkeypatch.context() as patched:
        patched.setattr(run_module, "build_finished_report", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            await execute_run(app, START, timer=SlowTimer(app.web))
    register(app, *pages(12), now=START + timedelta(hours=2))
    run = await execute_run(app, START + timedelta(hours=3), timer=SlowTimer(app.web))
    assert (run.state, len(list_checked(app, run))) == (AuditRunState.DONE, 6)
    assert (run.not_reached_count, run.report.not_reached_by_channel) == (4, {"website": 4})


async def test_first_result_counts_without_time_for_second_pass(app):
    failing, *other_rows = pages(6)
    register(app, failing, *other_rows)
    app.web.answers = {failing.typed_text: FetchError(Reason.TIMEOUT, "silence")}
    run = await execute_run(app, START, timer=SlowTimer(app.web))
    assert run.not_reached_count == 0
    (observation,) = [
        candidate
        for candidate in app.store.observations.list_observations(run_id=run.id)
        if candidate.finding.presence is Presence.UNKNOWN
    ]
    assert observation.finding.reason is Reason.TIMEOUT
    assert app.web.asked.count(failing.typed_text) == 1
    assert reevaluate.reevaluate(app).changes == []


async def test_wait_for_second_pass_ends_at_deadline(app):
    fetch = FetchOptions(second_pass_delay=3600, concurrency=1)
    app.config = app.config.model_copy(
        update={"fetch": fetch, "schedule": ScheduleSettings(time_limit_hours=0.2)}
    )
    (failing,) = pages(1)
    register(app, failing)
    app.web.answers = {failing.typed_text: FetchError(Reason.TIMEOUT, "silence")}
    async with asyncio.timeout(10):
        run = await execute_run(app, START, timer=SlowTimer(app.web, seconds=719.9))
    assert (run.report.unknown, run.not_reached_count) == (1, 0)


@pytest.mark.parametrize("step", [-1, 0, 1])
async def test_second_pass_waits_until_the_delay_is_over(app, monkeypatch, step):
    """The first check fails, and the second one takes the delay, a second less or more."""
    delay = 100
    fetch = FetchOptions(second_pass_delay=delay, concurrency=1)
    app.config = app.config.model_copy(update={"fetch": fetch})
    register(app, *pages(2))
    timer = SlowTimer(app.web, seconds=delay + step)
    waits, get = [], app.web.get

    async def fail_first(request):
        page = await get(request)
        if len(app.web.asked) == 1:
            raise FetchError(Reason.TIMEOUT, "silence")
        return page

    async def sleep(_deadline, seconds):
        waits.append(seconds)

    monkeypatch.setattr(RunDeadline, "sleep", sleep)
    monkeypatch.setattr(app.web, "get", fail_first)
    await execute_run(app, START, timer=timer)
    assert waits == [-step]


@pytest.mark.fault("F33")
async def test_second_pass_of_many_errors_ends_at_deadline(app):
    """Ten of twenty accounts need a second pass after fifty minutes. There is time for four."""
    rows = pages(20)
    register(app, *rows)
    app.web.answers = {
        row.typed_text: FetchError(Reason.SERVER_ERROR, "503", status=503) for row in rows[::2]
    }
    run = await execute_run(app, START, timer=SlowTimer(app.web, seconds=150.0))
    assert (run.report.seconds, len(app.web.asked)) == (HOUR, 24)
    assert (run.report.accounts, run.report.unknown, run.not_reached_count) == (20, 10, 0)


@pytest.mark.fault("F41")
async def test_times_of_a_run_never_precede_its_start(app):
    register(app, *pages(4))
    timer = SlowTimer(app.web)
    await interrupt_run(app, START, timer, observation_count=2)
    interrupted = app.store.runs.get(START.date())
    assert interrupted.finished_at >= interrupted.started_at
    run = await execute_run(app, START - timedelta(minutes=20), timer=timer)
    assert run.started_at == START <= run.finished_at
    assert run.report.seconds > 0
    assert all(
        observation.observed_at >= START
        for observation in app.store.observations.list_observations(run_id=run.id)
    )


@pytest.mark.fault("F41")
async def test_run_never_starts_before_the_end_of_the_previous_run(app):
    """The previous run ended at 00:50; by the clock of the next run it is 00:35."""
    register(app, *pages(2))
    timer = SlowTimer(app.web)
    first = await execute_run(app, START, timer=timer)
    second = await execute_run(
        app, START + timedelta(minutes=5), day=night_of(1).date(), timer=timer
    )
    assert second.started_at == first.finished_at
    assert second.finished_at > second.started_at
    assert app.store.statuses.get(1).checked_at > first.finished_at


@pytest.mark.fault("F41")
async def test_run_before_a_stored_run_is_refused(app):
    register(app, *pages(2))
    timer = SlowTimer(app.web)
    await execute_run(app, night_of(1), timer=timer)
    app.web.asked.clear()
    with pytest.raises(LaterRunDoneError, match="2026-03-02 is dated in the future"):
        await execute_run(app, START, timer=timer)
    assert (app.web.asked, app.store.runs.get(START.date())) == ([], None)


def build_priority(**kwargs):
    return CheckPriority(Mock(started_at=night_of(9)), **kwargs)


def test_platforms_come_first_then_longest_waiting_sites():
    site, page = link("a", "website", "a"), link("b", "facebook", "b")
    never_checked, overdue, on_time = (
        None,
        AccountStatus(1, checked_at=night_of(7)),
        AccountStatus(1, checked_at=night_of(9)),
    )
    rounds = [
        build_priority().compute_position(site, status).round
        for status in (never_checked, overdue, on_time)
    ]
    assert (
        build_priority().compute_position(page, on_time).round < rounds[0] < rounds[1] < rounds[2]
    )


def test_every_account_of_a_large_platform_is_reached_in_turn():
    """One run reaches a tenth of the platform.

    No account waits for ever.
    """
    rows = [
        replace(link(f"a{number}", "facebook", f"a{number}"), id=number) for number in range(1, 101)
    ]
    statuses = {row.id: AccountStatus(row.id) for row in rows}
    check_days = {row.id: [] for row in rows}
    for day in range(1, 120):
        priority = CheckPriority(Mock(started_at=night_of(day - 1)))
        for row in sorted(
            rows, key=lambda row: priority.compute_position(row, statuses[row.id]).rank
        )[:10]:
            statuses[row.id] = replace(statuses[row.id], checked_at=night_of(day))
            check_days[row.id].append(day)
    waits = [later - earlier for days in check_days.values() for earlier, later in pairwise(days)]
    assert max(waits) <= 16


def test_waiting_time_counts_until_the_previous_run():
    class Last:
        started_at = night_of(3)

    assert compute_overdue_seconds(None, None) == 0
    assert compute_overdue_seconds(None, Last) == inf
    assert compute_overdue_seconds(AccountStatus(1), Last) == inf
    assert (
        compute_overdue_seconds(AccountStatus(1, checked_at=night_of(3) + timedelta(hours=1)), Last)
        == 0
    )
    assert compute_overdue_seconds(AccountStatus(1, checked_at=night_of(1)), Last) == 2 * 86400


@pytest.mark.parametrize(("step", "should_stop"), [(-1, False), (0, True), (1, True)])
def test_no_check_begins_when_the_time_limit_is_over(step, should_stop):
    assert RunDeadline(lambda: HOUR + step, HOUR).should_stop is should_stop
