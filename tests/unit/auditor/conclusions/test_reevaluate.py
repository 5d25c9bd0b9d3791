"""Tests of re-evaluation: unchanged histories, better probes, registry changes, killed runs."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

import pytest
from pydantic import TypeAdapter

from auditor.conclusions.reevaluate import reevaluate
from auditor.config.schema import ChannelSettings
from auditor.rules.engine import AnyRule
from auditor.runs.run import execute_run
from probes.links.identify import identify_link
from probes.models.finding import Presence, Reason
from probes.models.http import FetchError, PageRequest
from probes.models.probe import present_finding
from storage.errors import LaterRunDoneError
from storage.models.audit import (
    AccountRow,
    AccountState,
    Association,
    AssociationEntry,
    AuditRunState,
    Contact,
    Decision,
    DecisionKind,
    DecisionWithdrawal,
)
from tests.support.mini_network import link, night_of, register

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")


def list_conclusions(app):
    """Return every conclusion without row ids."""
    return (
        list(app.store.statuses.list_account_statuses()),
        sorted((replace(gap, id=None) for gap in app.store.conclusions.list_gaps()), key=repr),
        sorted(
            (replace(proposal, id=None) for proposal in app.store.conclusions.list_proposals()),
            key=repr,
        ),
    )


def assert_rebuild_changes_nothing(app):
    """Evaluate all runs again, and return how often a run and a recorded finding was used."""
    conclusions = list_conclusions(app)
    result = reevaluate(app)
    assert (result.changes, list_conclusions(app)) == ([], conclusions)
    return result.run_count, result.recorded_count


async def execute_runs(app, *answers_by_run):
    """Run one audit after another; each has a response for each account."""
    for day, answers in enumerate(answers_by_run):
        app.web.answers = dict(answers)
        await execute_run(app, night_of(day))


@pytest.mark.slow
async def test_rebuild_of_an_unchanged_history_changes_nothing(app):
    register(app, NOUR, AMAL, SITE)
    failures = {NOUR.typed_text: "gone", SITE.typed_text: FetchError(Reason.NETWORK)}
    await execute_runs(
        app,
        {SITE.typed_text: "linked"},
        {SITE.typed_text: "wide"},
        *[failures] * 7,
        {SITE.typed_text: "linked"},
    )
    assert assert_rebuild_changes_nothing(app) == (10, 0)


async def test_better_probe_is_replayed_on_old_runs(app, monkeypatch):
    register(app, NOUR)
    await execute_runs(app, *[{NOUR.typed_text: "gone"}] * 7)
    assert next(app.store.statuses.list_account_statuses()).state is AccountState.GONE

    def find_everything(account):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        return present_finding(page)

    monkeypatch.setattr("auditor.conclusions.replay.create_probe", find_everything)
    conclusions = list_conclusions(app)
    result = reevaluate(app, dry_run=True)
    assert list_conclusions(app) == conclusions
    assert {(change.kind, change.before, change.after) for change in result.changes} == {
        ("account_status", "gone/not_found, no date", "present/-, no date"),
        ("gap", "open, 7 runs", None),
    }
    reevaluate(app)
    assert next(app.store.statuses.list_account_statuses()).state is AccountState.PRESENT
    assert "channel_dead" not in {gap.code for gap in app.store.conclusions.list_gaps()}
    assert next(app.store.observations.list_observations()).finding.presence is Presence.ABSENT


async def test_recorded_finding_stays_if_the_body_was_pruned(app, tmp_path, monkeypatch):
    register(app, NOUR)
    await execute_runs(app, *[{NOUR.typed_text: "gone"}] * 7)
    for body in (tmp_path / "archive").rglob("*"):
        if body.is_file():
            body.unlink()
    result = reevaluate(app)
    assert (result.changes, result.replayed_count, result.recorded_count) == ([], 0, 7)


async def test_recorded_finding_stays_if_the_probe_needs_another_page(app, monkeypatch):
    register(app, NOUR)
    await execute_runs(app, {})

    def request_about_page(account):
        page = yield PageRequest(f"{account.identity.canonical}/about")
        return present_finding(page, name="new")

    monkeypatch.setattr("auditor.conclusions.replay.create_probe", request_about_page)
    assert reevaluate(app).recorded_count == 1


async def test_crashes_are_not_replayed(app, caplog):
    register(app, NOUR, AMAL)
    with caplog.at_level("CRITICAL"):
        await execute_runs(app, {NOUR.typed_text: "bug"})
    assert (reevaluate(app).recorded_count, reevaluate(app).changes) == (1, [])


async def test_links_are_evaluated_only_while_registered(app):
    register(app, NOUR)
    await execute_runs(app, {}, {})
    register(app, NOUR, AMAL, SITE, now=night_of(1) + timedelta(hours=3))
    await execute_run(app, night_of(2))
    register(app, AMAL, names=["nour"], now=night_of(2) + timedelta(hours=3))
    await execute_run(app, night_of(3))
    assert_rebuild_changes_nothing(app)
    codes = [gap.code for gap in app.store.conclusions.list_gaps("nour")]
    assert codes.count("channel_missing") == 2


def decide(app, association, kind, decided_at):
    """Store a decision about the first account of an association."""
    account = next(app.store.registry.list_accounts(association))
    decision = Decision(association, "facebook", kind, "Amina", "she called", decided_at)
    app.store.decisions.add(replace(decision, account_id=account.id))


async def test_decision_counts_from_its_day(app):
    register(app, NOUR)
    await execute_runs(app, *[{NOUR.typed_text: "gone"}] * 8)
    decide(app, "nour", DecisionKind.CONFIRM, night_of(7) + timedelta(hours=9))
    app.web.answers = {NOUR.typed_text: "gone"}
    await execute_run(app, night_of(8))
    dead_channel = next(
        gap for gap in app.store.conclusions.list_gaps() if gap.code == "channel_dead"
    )
    assert (dead_channel.opened_at, dead_channel.closed_at) == (night_of(6), night_of(8))
    assert reevaluate(app).changes == []


async def test_unreliable_channels_stay_unreliable_in_a_rebuild(app, caplog):
    rows = [link(f"a{number}", "facebook", f"a{number}") for number in range(9)]
    register(app, *rows)
    with caplog.at_level("CRITICAL"):
        await execute_runs(app, {}, {row.typed_text: "gone" for row in rows}, {})
    assert reevaluate(app).changes == []


async def test_rebuild_of_an_empty_history_is_empty(app):
    register(app, NOUR)
    assert assert_rebuild_changes_nothing(app) == (0, 0)
    assert list_conclusions(app) == ([], [], [])


# --- registry changes between runs


def list_gap_periods(app, code):
    """Return when each gap of a code was first seen and closed, by association and channel."""
    return {
        (gap.association, gap.channel, gap.first_seen, gap.closed_at)
        for gap in app.store.conclusions.list_gaps()
        if gap.code == code
    }


def register_none_by_choice(app, *channels, now):
    association = Association("nour", "Nour", none_by_choice=channels)
    app.store.registry.save_registry([association], [NOUR], now)


async def test_registry_data_counts_from_its_import(app):
    register_none_by_choice(app, now=night_of(0) - timedelta(hours=1))
    await execute_runs(app, {})
    register_none_by_choice(app, "youtube", now=night_of(0) + timedelta(hours=3))
    await execute_run(app, night_of(1))
    assert list_gap_periods(app, "channel_missing") == {
        ("nour", "youtube", night_of(0), night_of(1))
    }
    assert_rebuild_changes_nothing(app)


def register_email(app, email, now):
    contact = Contact(email=email, note=f"since {now.date()}")
    entry = AssociationEntry(Association("nour", "Nour"), contact)
    app.store.registry.save_registry([entry], [NOUR], now)


async def test_contact_data_is_evaluated_as_of_each_run(app):
    incomplete = TypeAdapter(AnyRule).validate_python(
        {"code": "registry_incomplete", "check": "incomplete", "fields": ["email"]}
    )
    app.config = app.config.model_copy(update={"rules": (*app.config.rules, incomplete)})
    register_email(app, None, night_of(0) - timedelta(hours=1))
    await execute_runs(app, {})
    register_email(app, "nour@nour.example", night_of(0) + timedelta(hours=3))
    await execute_run(app, night_of(1))
    during_run = partial(register_email, app, None, night_of(2) + timedelta(hours=1))
    await execute_run(app, night_of(2), on_progress=lambda *_: during_run())
    assert {gap[2:] for gap in list_gap_periods(app, "registry_incomplete")} == {
        (night_of(0), night_of(1))
    }
    assert_rebuild_changes_nothing(app)


async def test_run_uses_the_registry_of_its_plan(app):
    register_none_by_choice(app, "youtube", now=night_of(0) - timedelta(hours=1))

    def change_registry(*_):
        register_none_by_choice(app, now=night_of(0) + timedelta(hours=3))
        register(app, NOUR, AMAL, now=night_of(0) + timedelta(hours=4))

    await execute_run(app, night_of(0), on_progress=change_registry)
    assert not list_gap_periods(app, "channel_missing")
    assert reevaluate(app).changes == []


async def test_corrected_link_is_evaluated_as_typed_before(app):
    """A post and its page have the same key, so a correction keeps the row with another kind."""
    page, post = "https://www.facebook.com/nour", "https://www.facebook.com/nour/posts/1"
    rule = {"code": "wrong_target", "check": "kind_is", "channels": ["facebook"], "kinds": ["post"]}
    rules = TypeAdapter(tuple[AnyRule, ...]).validate_python([rule])
    app.config = app.config.model_copy(update={"rules": rules})
    post_account, page_account = (
        AccountRow("nour", url, identify_link(url, "facebook"), "facebook") for url in (post, page)
    )
    register(app, post_account)
    await execute_run(app, night_of(0))
    register(app, page_account, now=night_of(0) + timedelta(hours=9))
    assert reevaluate(app).changes == []
    await execute_run(app, night_of(1))
    assert list_gap_periods(app, "wrong_target") == {("nour", "facebook", night_of(0), night_of(1))}
    assert reevaluate(app).changes == []


# --- killed runs


class KilledError(Exception):
    """Ends a run like a kill of its process."""


def fail_writes(repository, monkeypatch, method_name, *, once=False):
    """Let a method of a repository fail once, or always as in a killed process."""
    method = getattr(repository, method_name)

    def fail(*args, **kwargs):
        if once:
            monkeypatch.setattr(repository, method_name, method)
        raise KilledError

    monkeypatch.setattr(repository, method_name, fail)


async def kill_after_evaluation(app, day, monkeypatch):
    """Kill the process right after the results of a run are stored."""
    save_conclusions = app.store.conclusions.save

    def save_and_fail(*args, **kwargs):
        save_conclusions(*args, **kwargs)
        fail_writes(app.store.runs, patched, "finish")

    with monkeypatch.context() as patched:
        patched.setattr(app.store.conclusions, "save", save_and_fail)
        with pytest.raises(KilledError):
            await execute_run(app, night_of(day))
    assert app.store.runs.get_latest_evaluated().day == night_of(day).date()


async def kill_at_finish(app, day, monkeypatch, *, once=False):
    """Kill the process when the run is evaluated and its final report would be stored."""
    with monkeypatch.context() as patched:
        fail_writes(app.store.runs, patched, "finish", once=once)
        with pytest.raises(KilledError):
            await execute_run(app, night_of(day))


async def test_run_killed_between_evaluation_and_report_is_rebuilt(app, monkeypatch):
    register(app, NOUR)
    await kill_at_finish(app, 0, monkeypatch)
    assert next(app.store.statuses.list_account_statuses()).state is AccountState.PRESENT
    await execute_run(app, night_of(1))
    assert assert_rebuild_changes_nothing(app)[0] == 2


async def test_unreliable_channels_are_known_after_a_kill(app, monkeypatch):
    canary_url = "https://www.facebook.com/known"
    channels = {**app.config.channels, "facebook": ChannelSettings(canaries=(canary_url,))}
    app.config = app.config.model_copy(update={"channels": channels})
    register(app, NOUR)
    app.web.answers = {canary_url: "gone"}
    await kill_at_finish(app, 0, monkeypatch, once=True)
    (run,) = app.store.runs.list_all()
    assert run.unreliable_channels == ("facebook",)
    assert reevaluate(app).changes == []


async def test_resumed_evaluated_run_is_not_skipped_when_offline(app, monkeypatch):
    canary_urls = ("https://known.example/", "https://other.example/")
    channels = {
        **app.config.channels,
        "website": ChannelSettings(canaries=canary_urls, impossible_account="nobody.example"),
    }
    app.config = app.config.model_copy(update={"channels": channels})
    register(app, NOUR)
    app.web.answers = {"https://nobody.example/": "gone", NOUR.typed_text: "gone"}
    await kill_after_evaluation(app, 0, monkeypatch)
    app.web.answers |= {url: FetchError(Reason.NETWORK) for url in canary_urls}
    assert (await execute_run(app, night_of(0))).state is AuditRunState.DONE
    assert reevaluate(app).changes == []


# --- a clock that is set back


async def test_no_run_follows_that_of_a_later_day(app):
    register(app, NOUR)
    await execute_run(app, night_of(5))
    with pytest.raises(LaterRunDoneError, match="2026-03-06 is dated in the future"):
        await execute_run(app, night_of(3))
    assert [run.day for run in app.store.runs.list_all()] == [night_of(5).date()]


async def test_changes_before_the_clock_was_set_back_count_from_the_next_run(app):
    register(app, NOUR)
    await execute_run(app, night_of(5))
    earlier_time = night_of(3)
    decide(app, "nour", DecisionKind.DISOWN, earlier_time)
    register(app, NOUR, AMAL, now=earlier_time)
    conclusions = list_conclusions(app)
    assert reevaluate(app).changes == []
    await execute_run(app, night_of(6))
    assert ("nour", "facebook", night_of(6), None) in list_gap_periods(app, "channel_missing")
    app.store.decisions.withdraw([1], DecisionWithdrawal("A", "no", earlier_time))
    assert reevaluate(app).changes == []
    assert list_conclusions(app) != conclusions


async def test_withdrawn_decision_counts_in_a_rebuild_until_its_withdrawal(app):
    register(app, NOUR, link("amal", "facebook", "nour"))
    decide(app, "amal", DecisionKind.DISOWN, night_of(0) + timedelta(hours=9))
    await execute_runs(app, {}, {}, {})
    app.store.decisions.withdraw(
        [1], DecisionWithdrawal("Salma", "she was wrong", night_of(2) + timedelta(hours=9))
    )
    for day in (3, 4):
        await execute_run(app, night_of(day))
    missing = {
        (gap.association, gap.opened_at, gap.closed_at)
        for gap in app.store.conclusions.list_gaps()
        if gap.code == "channel_missing"
    }
    assert ("amal", night_of(1), night_of(3)) in missing
    assert_rebuild_changes_nothing(app)
