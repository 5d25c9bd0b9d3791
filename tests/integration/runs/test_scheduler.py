"""The scheduler executes one run a day, catches up a missed run, and stops without losing data."""

import asyncio
import itertools
import logging
import os
import signal
import time as wall
import zoneinfo
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import pytest
from apscheduler.triggers.cron import CronTrigger

from auditor.app import App
from auditor.checking.clock import find_delayed_day, find_due_day
from auditor.cli.context import get_current_time
from auditor.config.schema import Config, ScheduleSettings, StorageSettings
from auditor.core.errors import RunLockedError
from auditor.core.i18n.translator import Translator
from auditor.runs.pipeline import run_with_grace_period, stop_on_signal
from auditor.runs.scheduling import SchedulerJob, build_scheduler, run_scheduler
from probes.models.finding import Finding, Identity, LinkKind, Presence
from storage.errors import StoreError
from storage.models.audit import AccountRow, Association, AuditRun, AuditRunState, Observation

TESTS = Path(__file__).parents[2]
DAY = date(2026, 11, 25)
NOW = datetime(2026, 11, 25, 0, 30, tzinfo=UTC)
SCHEDULE = ScheduleSettings(start_time=time(0, 30), catch_up_hours=6, shutdown_grace_seconds=0.1)


@pytest.fixture
def app(tmp_path):
    storage = StorageSettings.model_validate({"folder": tmp_path / "data"})
    with App.open(Config(storage=storage, schedule=SCHEDULE)) as opened:
        yield opened


class Clock:
    """A clock that shows a fixed time."""

    def __init__(self, now=NOW):
        self.now = now

    def __call__(self):
        return self.now


class FakeAuditRunner:
    """A runner that checks nothing. `hold` keeps a run going, and `outcome` says how runs end."""

    def __init__(self, outcome=AuditRunState.DONE):
        self.started_runs = []
        self.stop = None
        self.outcome = outcome
        self.hold = None
        self.started = asyncio.Event()

    async def __call__(self, app, now, *, day, stop):
        self.started_runs.append((day, now))
        self.stop = stop
        self.started.set()
        run = app.store.runs.begin_or_resume(day, now)
        if self.hold:
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


def list_fire_times(trigger, start, count):
    moments, moment = [], None
    now = start
    for _ in range(count):
        moment = trigger.get_next_fire_time(moment, now)
        moments.append(moment)
        now = moment + timedelta(seconds=1)
    return moments


@pytest.mark.fault("F39")
def test_hour_comes_once_a_day_when_ramadan_changes_the_clocks(app):
    scheduler = build_scheduler(
        SchedulerJob(app, FakeAuditRunner(), Clock()), ScheduleSettings(start_time=time(2, 30))
    )
    trigger = scheduler._pending_jobs[0][0].trigger
    assert isinstance(trigger, CronTrigger)
    moments = list_fire_times(trigger, datetime(2027, 2, 5, 12, tzinfo=UTC), 60)
    assert {later - sooner for sooner, later in itertools.pairwise(moments)} == {timedelta(days=1)}
    assert {moment.astimezone(UTC).time() for moment in moments} == {time(2, 30)}


async def test_timers_have_hours_of_grace(app):
    scheduler = build_scheduler(SchedulerJob(app, FakeAuditRunner(), Clock()), app.config.schedule)
    scheduler.start(paused=True)
    for job in scheduler.get_jobs():
        assert (job.misfire_grace_time, job.coalesce) == (6 * 3600, True)
    scheduler.shutdown(wait=False)
    await asyncio.sleep(0)


async def test_due_run_is_executed_once(app):
    runner, clock = FakeAuditRunner(), Clock()
    job = SchedulerJob(app, runner, clock)
    await job.run_if_due()
    await job.run_if_due()
    assert runner.started_runs == [(DAY, NOW)]
    assert app.store.runs.get(DAY).state is AuditRunState.DONE
    clock.now += timedelta(days=1)
    await job.run_if_due()
    assert [day for day, _ in runner.started_runs] == [DAY, DAY + timedelta(days=1)]


@pytest.mark.fault("F38")
async def test_no_run_starts_outside_its_hours(app):
    runner = FakeAuditRunner()
    await SchedulerJob(app, runner, Clock(NOW - timedelta(minutes=1))).run_if_due()
    await SchedulerJob(app, runner, Clock(NOW + timedelta(hours=7))).run_if_due()
    assert not runner.started_runs


async def test_run_after_midnight_belongs_to_the_day_it_was_due(app):
    app = App(
        app.config.model_copy(
            update={"schedule": ScheduleSettings(start_time=time(23), catch_up_hours=6)}
        ),
        app.store,
        app.body_store,
    )
    runner = FakeAuditRunner()
    await SchedulerJob(app, runner, Clock(datetime(2026, 11, 26, 1, tzinfo=UTC))).run_if_due()
    assert [day for day, _ in runner.started_runs] == [DAY]


@pytest.mark.parametrize("state", [AuditRunState.INCOMPLETE, AuditRunState.SKIPPED])
async def test_interrupted_or_skipped_run_is_retried_within_its_grace(app, state):
    runner = FakeAuditRunner(outcome=state)
    job = SchedulerJob(app, runner, Clock())
    await job.run_if_due()
    runner.outcome = AuditRunState.DONE
    await job.run_if_due()
    assert len(runner.started_runs) == 2
    assert app.store.runs.get(DAY).state is AuditRunState.DONE


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


async def test_skipped_run_is_not_retried_after_its_grace(app):
    app.store.runs.finish(app.store.runs.begin_or_resume(DAY, NOW), AuditRunState.SKIPPED, NOW)
    runner = FakeAuditRunner()
    await SchedulerJob(app, runner, Clock(NOW + timedelta(hours=7))).run_if_due()
    assert runner.started_runs == []


@pytest.mark.fault("F40")
async def test_second_trigger_does_not_start_the_running_run_again(app):
    runner = FakeAuditRunner()
    runner.hold = asyncio.Event()
    job = SchedulerJob(app, runner, Clock())
    first = asyncio.create_task(job.run_if_due())
    await runner.started.wait()
    await job.run_if_due()
    runner.hold.set()
    await first
    assert len(runner.started_runs) == 1


@pytest.mark.fault("F34")
async def test_run_of_another_process_is_not_started(app, caplog):
    runner = FakeAuditRunner()
    with app.hold_run_lock():
        await SchedulerJob(app, runner, Clock()).run_if_due()
    assert not runner.started_runs
    assert "another run holds the lock" in caplog.text


@pytest.mark.fault("F34")
def test_run_lock_has_one_holder_and_its_file_stays(app):
    with app.hold_run_lock():
        assert is_refused(app)
    with app.hold_run_lock():
        assert is_refused(app)
    assert (app.data_folder / "run.lock").exists()


def is_refused(app):
    try:
        with app.hold_run_lock():
            return False
    except RunLockedError as error:
        return error.exit_code == 5


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


async def serve_schedule(app, *, audit_runner, clock=None, stop=None):
    """Execute every run at its time until SIGTERM or `stop`."""
    stop = stop or asyncio.Event()
    with stop_on_signal(stop):
        job = SchedulerJob(app, audit_runner, clock or get_current_time)
        await run_scheduler(job, app.config.schedule, stop)


@pytest.mark.fault("F38")
async def test_missed_run_is_caught_up_at_start(app):
    runner, stop = FakeAuditRunner(), asyncio.Event()
    serving = asyncio.create_task(
        serve_schedule(app, audit_runner=runner, clock=Clock(NOW + timedelta(hours=5)), stop=stop)
    )
    async with asyncio.timeout(5):
        await runner.started.wait()
        stop.set()
        await serving
    assert [day for day, _ in runner.started_runs] == [DAY]


@pytest.mark.fault("F36")
async def test_sigterm_stores_observations_and_next_start_resumes(app):
    page = Identity("website", LinkKind.PAGE, "amal.example", "https://amal.example/")
    links = [AccountRow("amal", f"{n}", page, column=f"{n}") for n in range(3)]
    app.store.registry.save_registry([Association("amal", "Amal")], links, NOW)
    is_observed = asyncio.Event()

    async def endless(app, now, *, day, stop):
        run = app.store.runs.begin_or_resume(day, now)
        async with app.store.observations.open_writer(max_wait_seconds=60) as writer:
            await writer.add(Observation(1, run.id, now, Finding(Presence.PRESENT)))
            is_observed.set()
            await asyncio.Event().wait()

    serving = asyncio.create_task(serve_schedule(app, audit_runner=endless, clock=Clock()))
    async with asyncio.timeout(5):
        await is_observed.wait()
        os.kill(os.getpid(), signal.SIGTERM)
        await serving
    assert [
        observation.account_id for observation in app.store.observations.list_observations()
    ] == [1]
    with app.hold_run_lock():
        assert len(list(app.store.observations.list_pending_accounts(app.store.runs.get(DAY)))) == 2
    assert signal.getsignal(signal.SIGTERM) is signal.SIG_DFL


async def test_interrupt_stores_observations_too(app):
    runner = FakeAuditRunner()
    runner.hold = asyncio.Event()
    serving = asyncio.create_task(serve_schedule(app, audit_runner=runner, clock=Clock()))
    async with asyncio.timeout(5):
        await runner.started.wait()
        serving.cancel()
        with pytest.raises(asyncio.CancelledError):
            await serving
    with app.hold_run_lock():
        assert app.store.runs.get(DAY).state is AuditRunState.RUNNING


async def trigger_at(app, moments, runner=None):
    """Return the days whose runs a scheduler starts when it is triggered at these times."""
    runner = runner or FakeAuditRunner()
    clock = Clock()
    job = SchedulerJob(app, runner, clock)
    for moment in moments:
        clock.now = moment
        await job.run_if_due()
    return [day for day, _ in runner.started_runs]


def every_half_hour(first, last):
    while first < last:
        yield first
        first += timedelta(minutes=30)


@pytest.mark.fault("F39")
@pytest.mark.parametrize("start_time", [time(0, 30), time(1, 30), time(2, 30), time(23)])
@pytest.mark.parametrize("change_day", [date(2027, 2, 7), date(2027, 3, 14)])
async def test_one_run_a_day_when_casablanca_changes_its_clocks(app, start_time, change_day):
    """On the first day the clocks show 02:30 twice, on the second never."""
    app = App(
        app.config.model_copy(update={"schedule": ScheduleSettings(start_time=start_time)}),
        app.store,
        app.body_store,
    )
    first = datetime.combine(change_day - timedelta(days=2), time(12), UTC)
    days = await trigger_at(app, every_half_hour(first, first + timedelta(days=4)))
    assert (
        days
        == [first.date() + timedelta(days=n) for n in range(1 if start_time < time(12) else 0, 5)][
            :4
        ]
    )


@pytest.fixture
def clocks_of_2026():
    """Use the time zones of tzdata 2026b: Morocco may change its rules in any year."""
    zoneinfo.reset_tzpath([TESTS / "fixtures" / "data" / "zoneinfo"])
    zoneinfo.ZoneInfo.clear_cache()
    yield
    zoneinfo.reset_tzpath()
    zoneinfo.ZoneInfo.clear_cache()


@pytest.mark.fault("F39")
@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        ("2027-02-07T00:30", "7 February 2027, 01:30"),
        ("2027-02-07T01:30", "7 February 2027, 02:30"),
        ("2027-02-07T02:30", "7 February 2027, 02:30"),
        ("2027-03-14T01:30", "14 March 2027, 01:30"),
        ("2027-03-14T02:30", "14 March 2027, 03:30"),
    ],
)
def test_times_are_shown_in_the_time_zone_of_the_network(clocks_of_2026, moment, expected):
    moment_utc = datetime.fromisoformat(moment).replace(tzinfo=UTC)
    assert Translator("en").format_datetime(moment_utc, "Africa/Casablanca") == expected


@pytest.mark.fault("F40")
async def test_long_run_delays_the_next_one_and_this_is_logged_once(app, caplog):
    runner, clock = FakeAuditRunner(), Clock()
    runner.hold = asyncio.Event()
    job = SchedulerJob(app, runner, clock)
    first = asyncio.create_task(job.run_if_due())
    await runner.started.wait()
    for hours in (23, 24, 24.5):
        clock.now = NOW + timedelta(hours=hours)
        await job.run_if_due()
    expected = (
        f"the run for {DAY + timedelta(days=1)} is delayed: the run for {DAY} is still in progress"
    )
    assert [
        record.getMessage() for record in caplog.records if record.levelno == logging.WARNING
    ] == [expected]
    assert find_delayed_day(
        app.store.runs.get_latest(), app.config.schedule, clock.now
    ) == DAY + timedelta(days=1)
    runner.hold.set()
    await first
    await job.run_if_due()
    assert [day for day, _ in runner.started_runs] == [DAY, DAY + timedelta(days=1)]
    assert find_delayed_day(app.store.runs.get_latest(), app.config.schedule, clock.now) is None


def test_ended_or_current_run_delays_nothing():
    schedule, running = (
        ScheduleSettings(start_time=time(0, 30)),
        AuditRun(DAY, AuditRunState.RUNNING, NOW),
    )
    assert find_delayed_day(None, schedule, NOW) is None
    assert find_delayed_day(running, schedule, NOW + timedelta(hours=23)) is None
    assert (
        find_delayed_day(AuditRun(DAY, AuditRunState.DONE, NOW), schedule, NOW + timedelta(days=2))
        is None
    )


@pytest.mark.fault("F41")
@pytest.mark.parametrize(
    ("jump", "days"),
    [
        (timedelta(hours=-1), [0, 1, 2]),
        (timedelta(hours=-25), [0, 1, 2]),
        (timedelta(days=1), [0, 1, 2, 3]),
    ],
)
async def test_clock_jump_causes_no_second_run_of_a_day(app, jump, days):
    """The clock jumps an hour after the first run. A jump ahead is corrected twelve hours later."""
    first = NOW - timedelta(hours=1)
    true_times = list(every_half_hour(first, first + timedelta(days=3)))
    shown_times = [
        moment + jump if timedelta(hours=2) <= moment - first < timedelta(hours=14) else moment
        for moment in true_times
    ]
    started_days = await trigger_at(app, shown_times)
    assert started_days == sorted(set(started_days))
    assert started_days == [DAY + timedelta(days=n) for n in days][: len(started_days)]
    assert len(started_days) == 3


@pytest.mark.fault("F41")
async def test_run_before_a_stored_run_is_never_started(app, caplog):
    tomorrow = NOW + timedelta(days=1)
    assert await trigger_at(app, [tomorrow, NOW, NOW]) == [tomorrow.date()]
    message = f"no run can begin: the run for {tomorrow.date()} is dated in the future"
    assert caplog.text.count(message) == 1


def block_event_loop(seconds):
    """Block the event loop, as a long computation would."""
    wall.sleep(seconds)


@pytest.mark.fault("F37")
@pytest.mark.slow
async def test_blocked_event_loop_starts_the_run_once(app):
    """APScheduler's own grace of a second would skip the run.

    The timers are real, so it takes seconds.
    """
    hour = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=2)
    app = App(
        app.config.model_copy(
            update={"schedule": ScheduleSettings(start_time=hour.time(), shutdown_grace_seconds=0)}
        ),
        app.store,
        app.body_store,
    )
    runner, stop = FakeAuditRunner(), asyncio.Event()
    serving = asyncio.create_task(serve_schedule(app, audit_runner=runner, stop=stop))
    await asyncio.sleep(0.5)
    block_event_loop(max(0.0, (hour - datetime.now(UTC)).total_seconds()) + 2.2)
    async with asyncio.timeout(5):
        await runner.started.wait()
    await asyncio.sleep(0.3)
    stop.set()
    await serving
    assert [day for day, _ in runner.started_runs] == [hour.date()]
    assert runner.started_runs[0][1] - hour > timedelta(seconds=2)


@pytest.mark.fault("F36")
async def test_run_has_a_grace_period_to_end(app):
    runner = FakeAuditRunner()
    runner.hold = asyncio.Event()
    job = SchedulerJob(app, runner, Clock())
    run_task = asyncio.create_task(job.run_if_due())
    await runner.started.wait()
    drain_task = asyncio.create_task(job.drain())
    await runner.stop.wait()
    runner.hold.set()
    await asyncio.gather(run_task, drain_task)
    assert app.store.runs.get(DAY).state is AuditRunState.DONE
    await job.run_if_due()
    assert len(runner.started_runs) == 1


async def test_requested_run_is_not_started_twice_nor_by_the_schedule(app):
    runner, hold = FakeAuditRunner(), asyncio.Event()
    runner.hold = hold
    job = SchedulerJob(app, runner, Clock())
    assert job.start_run() is None
    assert job.start_run() == "running"
    await runner.started.wait()
    await job.run_if_due()
    hold.set()
    await job.drain()
    assert [day for day, _ in runner.started_runs] == [DAY]
    assert not job.has_failed
    assert not job.is_running


@pytest.mark.fault("F36")
async def test_requested_run_has_a_grace_period_to_end(app):
    runner = FakeAuditRunner()
    runner.hold = asyncio.Event()
    job = SchedulerJob(app, runner, Clock())
    job.start_run()
    await runner.started.wait()
    await job.drain()
    assert job.has_failed
    assert job.start_run() == "running", "nothing starts after the end of the service"


@pytest.mark.parametrize(("step", "is_cancelled"), [(-1, False), (0, True), (1, True)])
async def test_stopped_work_is_cancelled_after_its_grace(step, is_cancelled):
    loop, grace_seconds = asyncio.get_running_loop(), 5
    moments = [loop.time()]
    loop.time = lambda: moments[0]
    stop, may_end = asyncio.Event(), asyncio.Event()
    work = asyncio.create_task(run_with_grace_period(may_end.wait(), stop, grace_seconds))
    await let_others_run()
    stop.set()
    await let_others_run()
    moments[0] += grace_seconds + step
    await let_others_run()
    is_done = work.done()
    del loop.time
    may_end.set()
    await asyncio.gather(work, return_exceptions=True)
    assert (is_done, work.cancelled()) == (is_cancelled, is_cancelled)


async def let_others_run():
    for _ in range(10):
        await asyncio.sleep(0)
