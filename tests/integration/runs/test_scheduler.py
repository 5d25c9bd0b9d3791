"""The scheduler executes one run a day, catches up a missed run, and stops without losing data."""

import asyncio
import logging
import os
import signal
import time as wall
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta

import pytest

from auditor.app import App
from auditor.checking.clock import find_delayed_day, find_due_day
from auditor.cli.context import get_current_time
from auditor.config.schema import Config, ScheduleSettings, StorageSettings
from auditor.runs.pipeline import stop_on_signal
from auditor.runs.scheduling import SchedulerJob, run_scheduler
from probes.models.finding import Finding, Presence
from storage.errors import StoreError
from storage.models.audit import AuditRunState, Observation
from tests.support.mini_network import link, register

DAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
SCHEDULE = ScheduleSettings(start_time=time(0, 30), catch_up_hours=6, shutdown_grace_seconds=0.1)


@pytest.fixture
def app(tmp_path):
    storage = StorageSettings.model_validate({"folder": tmp_path / "data"})
    with App.open(Config(storage=storage, schedule=SCHEDULE)) as opened:
        yield opened


@dataclass
class Clock:
    """A clock that shows a fixed time."""

    now: datetime = NOW

    def __call__(self):
        return self.now


class FakeAuditRunner:
    """A runner that checks nothing. `hold` keeps a run going, and `outcome` says how runs end."""

    def __init__(self, outcome=AuditRunState.DONE, *, is_held=False):
        self.started_runs = []
        self.stop = None
        self.outcome = outcome
        self.hold = asyncio.Event()
        if not is_held:
            self.hold.set()
        self.started = asyncio.Event()

    @property
    def days(self):
        return [day for day, _ in self.started_runs]

    async def __call__(self, app, now, *, day, stop):
        self.started_runs.append((day, now))
        self.stop = stop
        self.started.set()
        run = app.store.runs.begin_or_resume(day, now)
        await self.hold.wait()
        if isinstance(self.outcome, Exception):
            raise self.outcome
        return app.store.runs.finish(run, self.outcome, now)


@pytest.mark.parametrize(
    ("start_time", "now", "expected_day"),
    [
        ("00:30", "2026-11-25T00:29:59", None),
        ("00:30", "2026-11-25T00:30:00", "2026-11-25"),
        ("00:30", "2026-11-25T06:29:59", "2026-11-25"),
        ("00:30", "2026-11-25T06:30:00", None),
        ("00:30", "2026-11-25T06:30:01", None),
        ("23:00", "2026-11-25T23:30:00", "2026-11-25"),
        ("23:00", "2026-11-26T02:00:00", "2026-11-25"),
        ("23:00", "2026-11-26T05:00:00", None),
        ("02:30", "2027-02-07T01:30:00", None),
        ("02:30", "2027-02-07T02:30:00", "2027-02-07"),
    ],
)
def test_run_is_due_from_its_hour_until_its_grace_is_over(start_time, now, expected_day):
    schedule = ScheduleSettings(start_time=time.fromisoformat(start_time), catch_up_hours=6)
    due_day = find_due_day(schedule, datetime.fromisoformat(now).replace(tzinfo=UTC))
    assert due_day == (date.fromisoformat(expected_day) if expected_day else None)


@pytest.mark.smoke
async def test_due_run_is_executed_once(app):
    runner, clock = FakeAuditRunner(), Clock()
    job = SchedulerJob(app, runner, clock)
    await job.run_if_due()
    await job.run_if_due()
    assert runner.started_runs == [(DAY, NOW)]
    assert app.store.runs.get(DAY).state is AuditRunState.DONE
    clock.now += timedelta(days=1)
    await job.run_if_due()
    assert runner.days == [DAY, DAY + timedelta(days=1)]


@pytest.mark.parametrize("state", [AuditRunState.INCOMPLETE, AuditRunState.RUNNING])
async def test_interrupted_run_is_resumed_until_the_next_one_is_due(app, state):
    run = app.store.runs.begin_or_resume(DAY, NOW)
    if state is not AuditRunState.RUNNING:
        app.store.runs.finish(run, state, NOW)
    runner = FakeAuditRunner()
    next_hour = datetime.combine(DAY + timedelta(days=1), SCHEDULE.start_time, UTC)
    for late in (next_hour + timedelta(hours=7), next_hour - timedelta(minutes=1)):
        await SchedulerJob(app, runner, Clock(late)).run_if_due()
    assert runner.started_runs == [(DAY, next_hour - timedelta(minutes=1))]
    assert app.store.runs.get(DAY).state is AuditRunState.DONE


@pytest.mark.fault("F34")
async def test_run_of_another_process_is_not_started(app, caplog):
    runner = FakeAuditRunner()
    with app.hold_run_lock():
        await SchedulerJob(app, runner, Clock()).run_if_due()
    assert not runner.started_runs
    assert "another run holds the lock" in caplog.text


@pytest.mark.parametrize(
    ("error", "message", "has_traceback"),
    [
        (StoreError("the disk", "it is full"), "the disk: it is full", False),
        (ZeroDivisionError(), "crashed", True),
    ],
)
async def test_failed_run_is_logged_and_the_scheduler_continues(
    app, caplog, error, message, has_traceback
):
    runner = FakeAuditRunner(outcome=error)
    job = SchedulerJob(app, runner, Clock())
    await job.run_if_due()
    (record,) = [record for record in caplog.records if record.levelno == logging.ERROR]
    assert message in record.getMessage()
    assert bool(record.exc_info) is has_traceback
    runner.outcome = AuditRunState.DONE
    await job.run_if_due()
    assert app.store.runs.get(DAY).state is AuditRunState.DONE


async def serve_schedule(app, audit_runner, clock=get_current_time, stop=None):
    """Execute every run at its time until SIGTERM or `stop`."""
    stop = stop or asyncio.Event()
    with stop_on_signal(stop):
        await run_scheduler(SchedulerJob(app, audit_runner, clock), app.config.schedule, stop)


@pytest.mark.smoke
@pytest.mark.fault("F36", "F38")
async def test_missed_run_is_caught_up_and_sigterm_stores_its_observations(app):
    register(app, *(link("amal", "website", f"amal{n}") for n in range(3)), now=NOW)
    is_observed = asyncio.Event()

    async def endless(app, now, *, day, stop):
        run = app.store.runs.begin_or_resume(day, now)
        async with app.store.observations.open_writer(max_wait_seconds=60) as writer:
            await writer.add(Observation(1, run.id, now, Finding(Presence.PRESENT)))
            is_observed.set()
            await asyncio.Event().wait()

    late = Clock(NOW + timedelta(hours=5))
    serving = asyncio.create_task(serve_schedule(app, endless, late))
    async with asyncio.timeout(5):
        await is_observed.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    observations = app.store.observations.list_observations()
    assert [observation.account_id for observation in observations] == [1]
    with app.hold_run_lock():
        assert len(list(app.store.observations.list_pending_accounts(app.store.runs.get(DAY)))) == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def trigger_at(app, moments):
    """Return the days whose runs a scheduler starts when it is triggered at these times."""
    runner, clock = FakeAuditRunner(), Clock()
    job = SchedulerJob(app, runner, clock)
    for moment in moments:
        clock.now = moment
        await job.run_if_due()
    return runner.days


def change_schedule(app, **schedule):
    config = app.config.model_copy(update={"schedule": ScheduleSettings(**schedule)})
    return App(config, app.store, app.body_store)


def every_half_hour(first, last):
    while first < last:
        yield first
        first += timedelta(minutes=30)


@pytest.mark.fault("F39")
@pytest.mark.parametrize("start_time", [time(2, 30), time(23)])
@pytest.mark.parametrize("change_day", [date(2027, 2, 7), date(2027, 3, 14)])
async def test_one_run_a_day_when_casablanca_changes_its_clocks(app, start_time, change_day):
    """On the first day the clocks show 02:30 twice, on the second never."""
    app = change_schedule(app, start_time=start_time)
    first = datetime.combine(change_day - timedelta(days=2), time(12), UTC)
    days = await trigger_at(app, every_half_hour(first, first + timedelta(days=4)))
    first_day = 1 if start_time < time(12) else 0
    assert days == [first.date() + timedelta(days=first_day + n) for n in range(4)]


@pytest.mark.fault("F40")
async def test_long_run_delays_the_next_one_and_this_is_logged_once(app, caplog):
    runner, clock = FakeAuditRunner(is_held=True), Clock()
    job = SchedulerJob(app, runner, clock)
    first = asyncio.create_task(job.run_if_due())
    await runner.started.wait()
    for hours in (23, 24, 24.5):
        clock.now = NOW + timedelta(hours=hours)
        await job.run_if_due()
    next_day = DAY + timedelta(days=1)
    warnings = [record.getMessage() for record in caplog.records if record.levelname == "WARNING"]
    assert warnings == [
        f"the run for {next_day} is delayed: the run for {DAY} is still in progress"
    ]
    schedule = app.config.schedule
    assert find_delayed_day(app.store.runs.get_latest(), schedule, clock.now) == next_day
    runner.hold.set()
    await first
    await job.run_if_due()
    assert runner.days == [DAY, next_day]
    assert find_delayed_day(app.store.runs.get_latest(), schedule, clock.now) is None


@pytest.mark.fault("F41")
@pytest.mark.parametrize("jump", [timedelta(hours=-1), timedelta(hours=-25), timedelta(days=1)])
async def test_clock_jump_causes_no_second_run_of_a_day(app, jump):
    """The clock jumps an hour after the first run. A jump ahead is corrected twelve hours later."""
    first = NOW - timedelta(hours=1)
    true_times = list(every_half_hour(first, first + timedelta(days=3)))
    shown_times = [
        moment + jump if timedelta(hours=2) <= moment - first < timedelta(hours=14) else moment
        for moment in true_times
    ]
    assert await trigger_at(app, shown_times) == [DAY + timedelta(days=n) for n in range(3)]


@pytest.mark.fault("F41")
async def test_run_before_a_stored_run_is_never_started(app, caplog):
    tomorrow = NOW + timedelta(days=1)
    assert await trigger_at(app, [tomorrow, NOW, NOW]) == [tomorrow.date()]
    message = f"no run can begin: the run for {tomorrow.date()} is dated in the future"
    assert caplog.text.count(message) == 1


@pytest.mark.fault("F37")
@pytest.mark.slow
async def test_blocked_event_loop_starts_the_run_once(app):
    """APScheduler's own grace of a second would skip the run.

    The timers are real, so it takes seconds.
    """
    hour = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    app = change_schedule(app, start_time=hour.time(), shutdown_grace_seconds=0)
    runner, stop = FakeAuditRunner(), asyncio.Event()
    serving = asyncio.create_task(serve_schedule(app, runner, stop=stop))
    await asyncio.sleep(0.5)
    wall.sleep((hour - datetime.now(UTC)).total_seconds() + 2.2)  # noqa: ASYNC251  # blocks the loop
    async with asyncio.timeout(5):
        await runner.started.wait()
    await asyncio.sleep(0.3)
    stop.set()
    await serving
    assert runner.days == [hour.date()]
    assert runner.started_runs[0][1] - hour > timedelta(seconds=2)


async def test_requested_run_is_not_started_twice_nor_by_the_schedule(app):
    runner = FakeAuditRunner(is_held=True)
    job = SchedulerJob(app, runner, Clock())
    assert job.start_run() is None
    assert job.start_run() == "running"
    await runner.started.wait()
    await job.run_if_due()
    runner.hold.set()
    await job.drain()
    assert runner.days == [DAY]
    assert not job.has_failed
    assert not job.is_running
