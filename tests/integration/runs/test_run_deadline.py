"""A run at its deadline is evaluated, and unreached accounts come first in the next run."""

from datetime import timedelta
from math import inf
from unittest.mock import Mock

import pytest

from auditor.conclusions import reevaluate
from auditor.config.schema import ScheduleSettings
from auditor.runs.plan import CheckPriority, compute_overdue_seconds
from auditor.runs.run import execute_run
from probes.http.fetcher import FetchOptions
from probes.models.finding import Reason
from probes.models.http import FetchError
from storage.errors import LaterRunDoneError
from storage.models.audit import AuditRunState, CheckTimes
from tests.support.mini_network import START, interrupt_run, link, night_of, register

HOUR = 3600.0


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
def app(app):
    set_schedule(app, time_limit_hours=1)
    return app


@pytest.fixture
def timer(app):
    return SlowTimer(app.web)


def pages(count, channel="website"):
    return [link(f"a{number:02}", channel, f"a{number:02}") for number in range(count)]


def list_checked(app, run):
    rows = {row.id: row.typed_text for row in app.store.registry.list_accounts()}
    return [
        rows[observation.account_id]
        for observation in app.store.observations.list_observations(run_id=run.id)
    ]


async def test_run_ends_at_deadline_and_unreached_accounts_come_first_in_the_next(
    app, timer, caplog
):
    rows = pages(10)
    register(app, *rows)
    run = await execute_run(app, START, timer=timer)
    assert (run.state, run.report.not_reached_by_channel) == (AuditRunState.DONE, {"website": 4})
    assert (run.report.accounts, run.report.seconds) == (6, HOUR)
    assert run.finished_at == START + timedelta(hours=1)
    assert "4 accounts were not checked" in caplog.text
    reached = list_checked(app, run)
    assert len(reached) == 6
    app.web.asked.clear()
    second = await execute_run(app, night_of(1), timer=timer)
    missed = {row.typed_text for row in rows} - set(reached)
    assert set(app.web.asked[:4]) == missed
    assert set(list_checked(app, second)) == missed | set(app.web.asked[4:6])
    third = await execute_run(app, night_of(2), timer=timer)
    assert set(list_checked(app, second)) | set(list_checked(app, third)) == {
        row.typed_text for row in rows
    }


@pytest.mark.smoke
async def test_unreached_account_keeps_its_status(app, timer):
    """Two accounts are gone. Only the one that is checked counts a failure."""
    rows = pages(2, "facebook")
    register(app, *rows)
    await execute_run(app, START, timer=timer)
    app.web.answers = {row.typed_text: "gone" for row in rows}
    set_schedule(app, time_limit_hours=0.1)
    for day in (4, 8, 9):  # each run reaches one of them, in turn
        await execute_run(app, night_of(day), timer=timer)
    streaks = [status.unconfirmed_streak for status in app.store.statuses.list_account_statuses()]
    assert sorted(streak.run_count for streak in streaks) == [1, 2]
    assert reevaluate.reevaluate(app).changes == []


async def test_run_resumed_after_its_deadline_is_only_evaluated(app, timer):
    """The run was killed halfway and is resumed after its deadline."""
    register(app, *pages(8))
    await interrupt_run(app, START, 3, timer=timer)
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


async def test_skipped_session_does_not_use_the_time_limit(app, timer):
    """Skipped at 00:30, started at 05:30 and interrupted: fifty minutes are left."""
    register(app, *pages(3))
    app.store.runs.finish(
        app.store.runs.begin_or_resume(START.date(), START), AuditRunState.SKIPPED, START
    )
    late = START + timedelta(hours=5)
    await interrupt_run(app, late, 1, timer=timer)
    run = await execute_run(app, late + timedelta(minutes=10), timer=timer)
    assert (run.started_at, run.not_reached_count, len(list_checked(app, run))) == (START, 0, 3)


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
async def test_times_of_a_run_never_precede_its_start(app, timer):
    register(app, *pages(4))
    await interrupt_run(app, START, 2, timer=timer)
    assert app.store.runs.get(START.date()).finished_at >= START
    run = await execute_run(app, START - timedelta(minutes=20), timer=timer)
    assert run.started_at == START <= run.finished_at
    observations = app.store.observations.list_observations(run_id=run.id)
    assert min(observation.observed_at for observation in observations) >= START


@pytest.mark.fault("F41")
async def test_run_never_starts_before_the_end_of_the_previous_run(app, timer):
    """The previous run ended at 00:50; by the clock of the next run it is 00:35."""
    register(app, *pages(2))
    first = await execute_run(app, START, timer=timer)
    second = await execute_run(
        app, START + timedelta(minutes=5), day=night_of(1).date(), timer=timer
    )
    assert second.started_at == first.finished_at
    assert second.finished_at > second.started_at
    assert app.store.statuses.get(1).checked_at > first.finished_at


@pytest.mark.fault("F41")
async def test_run_before_a_stored_run_is_refused(app, timer):
    register(app, *pages(2))
    await execute_run(app, night_of(1), timer=timer)
    app.web.asked.clear()
    with pytest.raises(
        LaterRunDoneError, match=r"2026-03-02 is dated in the future; .*clock.*`auditor restore`"
    ):
        await execute_run(app, START, timer=timer)
    assert (app.web.asked, app.store.runs.get(START.date())) == ([], None)


def test_platforms_come_first_then_longest_waiting_sites():
    site, page = link("a", "website", "a"), link("b", "facebook", "b")
    overdue, on_time = (CheckTimes(1, night_of(day), None) for day in (7, 9))
    priority = CheckPriority(Mock(started_at=night_of(9)))
    ordered = ((page, on_time), (site, CheckTimes(1, None, None)), (site, overdue), (site, on_time))
    rounds = [priority.compute_position(*pair).round for pair in ordered]
    assert rounds == sorted(set(rounds))


def test_waiting_time_counts_until_the_previous_run():
    last_run = Mock(started_at=night_of(3))
    checked_at = (None, night_of(3) + timedelta(hours=1), night_of(1))
    overdue = [compute_overdue_seconds(CheckTimes(1, time, None), last_run) for time in checked_at]
    assert overdue == [inf, 0, 2 * 86400]
    assert compute_overdue_seconds(CheckTimes(1, None, None), None) == 0
