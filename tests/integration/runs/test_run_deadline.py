"""A run that reaches its deadline is evaluated, and unreached accounts come first in the next run."""

import asyncio
from dataclasses import replace
from datetime import timedelta
from itertools import pairwise
from math import inf
from unittest.mock import Mock

import pytest

from auditor.checking import checker
from auditor.config.schema import ScheduleSettings
from auditor.evaluation import reevaluate
from auditor.receipts import receipt
from auditor.receipts.receipt import count_not_reached
from auditor.runs.plan import CheckPriority, compute_overdue_seconds
from auditor.runs.run import execute_run
from probes.http.fetcher import FetchOptions
from probes.models.finding import Activity, Presence, Reason
from probes.models.http import FetchError
from storage.errors import LaterRunDoneError
from storage.models.audit import AccountState, AccountStatus, AuditRunState, Streak
from tests.support.mini_network import START, configured, link, night_of, opened, register, steps

HOUR = 3600.0


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    for module in (checker, reevaluate):
        monkeypatch.setattr(module, "probe_steps_for", steps)


class Slow:
    """A timer by which each page takes ten minutes."""

    def __init__(self, web, seconds=600.0):
        self.now = 0.0
        self.seconds = seconds
        self._get = web.get
        web.get = self.get

    def __call__(self):
        return self.now

    async def get(self, ask):
        self.now += self.seconds
        return await self._get(ask)


def settled(app, **schedule):
    fetch = FetchOptions(second_pass_delay=0, concurrency=1)
    app.config = app.config.model_copy(
        update={"fetch": fetch, "schedule": ScheduleSettings(**schedule)}
    )


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path, configured())
    settled(small, time_limit_hours=1)
    yield small
    small.store.close()


def pages(count, channel="website"):
    return [link(f"a{number:02}", channel, f"a{number:02}") for number in range(count)]


def seen(app, night):
    rows = {row.id: row.typed_text for row in app.store.list_accounts()}
    return [rows[look.account_id] for look in app.store.list_observations(run_id=night.id)]


async def broken_off(app, now, timer, looks):
    """Start or resume a run, and cancel it when `looks` observations are stored."""
    kept = asyncio.Event()
    told = {"timer": timer, "on_progress": lambda done, _: kept.set() if done == looks else None}
    going = asyncio.create_task(execute_run(app, now, **told))
    await kept.wait()
    going.cancel()
    with pytest.raises(asyncio.CancelledError):
        await going


async def test_run_ends_at_deadline_and_counts_unreached_accounts(app, caplog):
    rows = pages(10)
    register(app, *rows)
    done = await execute_run(app, START, timer=Slow(app.web))
    assert (done.state, len(seen(app, done)), count_not_reached(done)) == (AuditRunState.DONE, 6, 4)
    assert done.receipt["not_reached_by_channel"] == {"website": 4}
    assert (done.receipt["accounts"], done.receipt["seconds"]) == (6, HOUR)
    assert done.finished_at == START + timedelta(hours=1)
    assert "4 accounts were not checked" in caplog.text


async def test_run_without_time_limit_never_ends_early(app):
    settled(app, time_limit_hours=0)
    register(app, *pages(10))
    done = await execute_run(app, START, timer=Slow(app.web))
    assert (
        len(seen(app, done)),
        count_not_reached(done),
        done.receipt["not_reached_by_channel"],
    ) == (
        10,
        0,
        {},
    )


async def test_unreached_accounts_come_first_in_the_next_run(app):
    rows = pages(10)
    register(app, *rows)
    timer = Slow(app.web)
    first = await execute_run(app, START, timer=timer)
    reached = seen(app, first)
    app.web.asked.clear()
    second = await execute_run(app, night_of(1), timer=timer)
    missed = {row.typed_text for row in rows} - set(reached)
    assert set(app.web.asked[:4]) == missed
    assert set(seen(app, second)) == missed | set(app.web.asked[4:6])
    third = await execute_run(app, night_of(2), timer=timer)
    assert set(seen(app, second)) | set(seen(app, third)) == {row.typed_text for row in rows}


async def test_unreached_account_keeps_its_status(app):
    """Two accounts are gone. Only the one that is checked counts a failure."""
    looked, left = pages(2, "facebook")
    register(app, looked, left)
    app.web.answers = {looked.typed_text: "gone", left.typed_text: "gone"}
    settled(app, time_limit_hours=0)
    timer = Slow(app.web)
    await execute_run(app, START, timer=timer)
    settled(app, time_limit_hours=0.1)
    for night in (4, 8, 9):  # each reaches one: they take turns
        await execute_run(app, night_of(night), timer=timer)
    states = {
        row.typed_text: app.store.get_account_status(row.id) for row in app.store.list_accounts()
    }
    assert {
        typed: held.unconfirmed_streak and held.unconfirmed_streak.run_count
        for typed, held in states.items()
    } in (
        {looked.typed_text: None, left.typed_text: 2},
        {looked.typed_text: 2, left.typed_text: None},
    )
    assert sorted(held.state for held in states.values()) == [
        AccountState.GONE,
        AccountState.UNKNOWN,
    ]
    dead = [gap for gap in app.store.list_gaps() if gap.code == "channel_dead" and gap.opened_at]
    assert len(dead) == 1


async def test_reevaluation_after_unreached_accounts_changes_nothing(app):
    register(app, *pages(10), *pages(3, "facebook"))
    app.web.answers = {row.typed_text: "gone" for row in pages(3, "facebook")}
    timer = Slow(app.web)
    for night in range(6):
        await execute_run(app, night_of(night), timer=timer)
    assert reevaluate.reevaluate(app).changes == []


async def test_run_resumed_after_its_deadline_is_only_evaluated(app):
    """The run was killed halfway and is resumed after its deadline."""
    register(app, *pages(8))
    timer = Slow(app.web)
    await broken_off(app, START, timer, looks=3)
    app.web.asked.clear()
    done = await execute_run(app, START + timedelta(hours=5), timer=timer)
    assert (done.state, count_not_reached(done), app.web.asked) == (
        AuditRunState.DONE,
        8 - len(seen(app, done)),
        [],
    )
    assert len(seen(app, done)) >= 3
    assert (await execute_run(app, START + timedelta(hours=6), timer=timer)) == done
    assert app.web.asked == []


async def test_time_limit_begins_with_the_first_check(app):
    register(app, *pages(3))
    night = app.store.begin_run(START.date(), START)
    app.store.finish_run(night, AuditRunState.SKIPPED, START)
    done = await execute_run(app, START + timedelta(hours=12), timer=Slow(app.web))
    assert (done.state, count_not_reached(done)) == (AuditRunState.DONE, 0)


async def test_skipped_session_does_not_use_the_time_limit(app):
    """Skipped at 00:30, started at 05:30 and interrupted: fifty minutes are left."""
    register(app, *pages(3))
    app.store.finish_run(app.store.begin_run(START.date(), START), AuditRunState.SKIPPED, START)
    timer, late = Slow(app.web), START + timedelta(hours=5)
    await broken_off(app, late, timer, looks=1)
    done = await execute_run(app, late + timedelta(minutes=10), timer=timer)
    assert (done.started_at, count_not_reached(done), len(seen(app, done))) == (START, 0, 3)


async def test_unreached_accounts_are_counted_after_a_kill(app, monkeypatch):
    """The run was killed between evaluation and receipt. Accounts added later are not counted."""
    register(app, *pages(10))
    with monkeypatch.context() as patched:
        patched.setattr(receipt, "build_finished_receipt", Mock(side_effect=KeyboardInterrupt))
        with pytest.raises(KeyboardInterrupt):
            await execute_run(app, START, timer=Slow(app.web))
    register(app, *pages(12), now=START + timedelta(hours=2))
    done = await execute_run(app, START + timedelta(hours=3), timer=Slow(app.web))
    assert (done.state, len(seen(app, done))) == (AuditRunState.DONE, 6)
    assert (count_not_reached(done), done.receipt["not_reached_by_channel"]) == (4, {"website": 4})


async def test_first_result_counts_without_time_for_second_pass(app):
    failing, *others = pages(6)
    register(app, failing, *others)
    app.web.answers = {failing.typed_text: FetchError(Reason.TIMEOUT, "silence")}
    done = await execute_run(app, START, timer=Slow(app.web))
    assert count_not_reached(done) == 0
    (look,) = [
        one
        for one in app.store.list_observations(run_id=done.id)
        if one.finding.presence is Presence.UNKNOWN
    ]
    assert look.finding.reason is Reason.TIMEOUT
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
        done = await execute_run(app, START, timer=Slow(app.web, seconds=719.9))
    assert (done.receipt["unknown"], count_not_reached(done)) == (1, 0)


@pytest.mark.fault("F33")
async def test_second_pass_of_many_errors_ends_at_deadline(app):
    """Ten of twenty accounts need a second pass after fifty minutes. There is time for four."""
    rows = pages(20)
    register(app, *rows)
    app.web.answers = {
        row.typed_text: FetchError(Reason.SERVER_ERROR, "503", status=503) for row in rows[::2]
    }
    done = await execute_run(app, START, timer=Slow(app.web, seconds=150.0))
    assert (done.receipt["seconds"], len(app.web.asked)) == (HOUR, 24)
    assert (done.receipt["accounts"], done.receipt["unknown"], count_not_reached(done)) == (
        20,
        10,
        0,
    )


@pytest.mark.fault("F41")
async def test_times_of_a_run_never_precede_its_start(app):
    register(app, *pages(4))
    timer = Slow(app.web)
    await broken_off(app, START, timer, looks=2)
    left = app.store.get_run(START.date())
    assert left.finished_at >= left.started_at
    done = await execute_run(app, START - timedelta(minutes=20), timer=timer)
    assert done.started_at == START <= done.finished_at
    assert done.receipt["seconds"] > 0
    assert all(look.observed_at >= START for look in app.store.list_observations(run_id=done.id))


@pytest.mark.fault("F41")
async def test_run_never_starts_before_the_end_of_the_previous_run(app):
    """The previous run ended at 00:50; by the clock of the next run it is 00:35."""
    register(app, *pages(2))
    timer = Slow(app.web)
    first = await execute_run(app, START, timer=timer)
    second = await execute_run(
        app, START + timedelta(minutes=5), day=night_of(1).date(), timer=timer
    )
    assert second.started_at == first.finished_at
    assert second.finished_at > second.started_at
    assert app.store.get_account_status(1).checked_at > first.finished_at


@pytest.mark.fault("F41")
async def test_run_before_a_stored_run_is_refused(app):
    register(app, *pages(2))
    timer = Slow(app.web)
    await execute_run(app, night_of(1), timer=timer)
    app.web.asked.clear()
    with pytest.raises(LaterRunDoneError, match="2026-03-02 is dated in the future"):
        await execute_run(app, START, timer=timer)
    assert (app.web.asked, app.store.get_run(START.date())) == ([], None)


def order(**named):
    return CheckPriority(Mock(started_at=night_of(9)), active_since=night_of(-21), **named)


def test_platforms_come_first_then_longest_waiting_sites():
    site, page = link("a", "website", "a"), link("b", "facebook", "b")
    never, late, known = (
        None,
        AccountStatus(1, checked_at=night_of(7)),
        AccountStatus(1, checked_at=night_of(9)),
    )
    rounds = [order().compute_position(site, standing).round for standing in (never, late, known)]
    assert order().compute_position(page, known).round < rounds[0] < rounds[1] < rounds[2]


def test_platform_accounts_are_ordered_by_waiting_and_likely_change():
    """Two days of waiting with an unconfirmed change come before five days without one."""
    page = link("b", "facebook", "b")
    doubted = AccountStatus(
        1, checked_at=night_of(7), unconfirmed_streak=Streak("not_found", night_of(6), night_of(7))
    )
    active = AccountStatus(2, checked_at=night_of(7), last_activity=Activity(night_of(5), "feed"))
    asleep = AccountStatus(3, checked_at=night_of(7), last_activity=Activity(night_of(-90), "feed"))
    longer, on_time = (
        AccountStatus(4, checked_at=night_of(4)),
        AccountStatus(5, checked_at=night_of(9)),
    )
    ranks = [
        order().compute_position(page, one).rank
        for one in (None, doubted, longer, active, asleep, on_time)
    ]
    assert ranks == sorted(ranks)
    assert len(set(ranks)) == len(ranks)


def test_every_account_of_a_large_platform_is_reached_in_turn():
    """One run reaches a tenth of the platform. No account waits for ever, whichever others change."""
    rows = [replace(link(f"a{at}", "facebook", f"a{at}"), id=at) for at in range(1, 101)]
    busy = Activity(night_of(1000), "feed")
    held = {
        row.id: AccountStatus(row.id, last_activity=busy if row.id <= 20 else None) for row in rows
    }
    asked = {row.id: [] for row in rows}
    for night in range(1, 120):
        made = CheckPriority(Mock(started_at=night_of(night - 1)), active_since=night_of(0))
        for row in sorted(rows, key=lambda row: made.compute_position(row, held[row.id]).rank)[:10]:
            held[row.id] = replace(held[row.id], checked_at=night_of(night))
            asked[row.id].append(night)
    waits = [later - before for nights in asked.values() for before, later in pairwise(nights)]
    assert max(waits) <= 16
    assert min(map(len, list(asked.values())[:20])) > max(map(len, list(asked.values())[20:]))


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
