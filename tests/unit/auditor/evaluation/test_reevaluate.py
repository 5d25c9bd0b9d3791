"""Re-evaluation: an unchanged history changes nothing, a better probe is replayed on old runs."""

import asyncio
import itertools
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pydantic import TypeAdapter

from auditor.checking import checker
from auditor.config.schema import ChannelSettings
from auditor.evaluation import reevaluate
from auditor.evaluation.reevaluate import reevaluate as again
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
from tests.support.mini_network import link, night_of, opened, register, steps

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)
    monkeypatch.setattr(reevaluate, "probe_steps_for", steps)


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path)
    yield small
    small.store.close()


def held(app):
    """Return every conclusion without row ids."""
    return (
        list(app.store.list_account_statuses()),
        sorted((replace(gap, id=None) for gap in app.store.list_gaps()), key=repr),
        sorted((replace(proposal, id=None) for proposal in app.store.list_proposals()), key=repr),
    )


async def nights(app, *words):
    """Run one audit after another with the given word of each account."""
    for day, tonight in enumerate(words):
        app.web.answers = dict(tonight)
        await execute_run(app, night_of(day))


async def test_rebuild_of_an_unchanged_history_changes_nothing(app):
    register(app, NOUR, AMAL, SITE)
    bad = {NOUR.typed_text: "gone", SITE.typed_text: FetchError(Reason.NETWORK)}
    await nights(
        app,
        {SITE.typed_text: "linked"},
        {SITE.typed_text: "wide"},
        *[bad] * 7,
        {SITE.typed_text: "linked"},
    )
    before = held(app)
    told = again(app)
    assert told.changes == []
    assert (told.run_count, told.recorded_count) == (10, 0)
    assert held(app) == before


async def test_better_probe_is_replayed_on_old_runs(app, monkeypatch):
    register(app, NOUR)
    await nights(app, *[{NOUR.typed_text: "gone"}] * 7)
    assert next(app.store.list_account_statuses()).state is AccountState.GONE

    def better(account, _keyed):
        page = yield PageRequest(account.identity.canonical, is_registered_link=True)
        return present_finding(page)

    monkeypatch.setattr(reevaluate, "probe_steps_for", better)
    before = held(app)
    told = again(app, dry_run=True)
    assert held(app) == before
    assert {(change.kind, change.before, change.after) for change in told.changes} == {
        ("account_status", "gone/not_found, no date", "present/-, no date"),
        ("gap", "open, 7 runs", None),
    }
    again(app)
    assert next(app.store.list_account_statuses()).state is AccountState.PRESENT
    assert "channel_dead" not in {gap.code for gap in app.store.list_gaps()}
    assert next(app.store.list_observations()).finding.presence is Presence.ABSENT


async def test_recorded_finding_stays_if_the_body_was_pruned(app, tmp_path, monkeypatch):
    register(app, NOUR)
    await nights(app, *[{NOUR.typed_text: "gone"}] * 7)
    for body in (tmp_path / "archive").rglob("*"):
        if body.is_file():
            body.unlink()
    told = again(app)
    assert (told.changes, told.replayed_count, told.recorded_count) == ([], 0, 7)


async def test_recorded_finding_stays_if_the_probe_needs_another_page(app, monkeypatch):
    register(app, NOUR)
    await nights(app, {})

    def curious(account, _keyed):
        page = yield PageRequest(f"{account.identity.canonical}/about")
        return present_finding(page, name="new")

    monkeypatch.setattr(reevaluate, "probe_steps_for", curious)
    assert again(app).recorded_count == 1


async def test_crashes_are_not_replayed(app, caplog):
    register(app, NOUR)
    with caplog.at_level("CRITICAL"):
        await nights(app, {NOUR.typed_text: "bug"})
    assert (again(app).recorded_count, again(app).changes) == (1, [])


async def test_links_are_evaluated_only_while_registered(app):
    register(app, NOUR)
    await nights(app, {}, {})
    register(app, NOUR, AMAL, SITE, now=night_of(1) + timedelta(hours=3))
    await execute_run(app, night_of(2))
    register(app, AMAL, names=["nour"], now=night_of(2) + timedelta(hours=3))
    await execute_run(app, night_of(3))
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before
    assert len([gap for gap in app.store.list_gaps("nour") if gap.code == "channel_missing"]) == 2


async def test_decision_counts_from_its_day(app):
    register(app, NOUR)
    await nights(app, *[{NOUR.typed_text: "gone"}] * 8)
    row = next(app.store.list_accounts())
    said = Decision(
        "nour",
        "facebook",
        DecisionKind.CONFIRM,
        "Amina",
        "I see it",
        night_of(7) + timedelta(hours=9),
        account_id=row.id,
    )
    app.store.add_decision(said)
    app.web.answers = {NOUR.typed_text: "gone"}
    await execute_run(app, night_of(8))
    dead = next(gap for gap in app.store.list_gaps() if gap.code == "channel_dead")
    assert (dead.opened_at, dead.closed_at) == (night_of(6), night_of(8))
    assert [change.after for change in again(app).changes] == []


async def test_withdrawn_decision_counts_in_a_rebuild_until_its_withdrawal(app):
    register(app, NOUR, link("amal", "facebook", "nour"))
    row = next(app.store.list_accounts("amal"))
    said = Decision(
        "amal", "facebook", DecisionKind.DISOWN, "Amina", "no", night_of(0), account_id=row.id
    )
    app.store.add_decision(replace(said, decided_at=night_of(0) + timedelta(hours=9)))
    await nights(app, {}, {}, {})
    app.store.withdraw_decisions(
        [1], DecisionWithdrawal("Salma", "she was wrong", night_of(2) + timedelta(hours=9))
    )
    for day in (3, 4):
        await execute_run(app, night_of(day))
    seen = {
        (gap.code, gap.association, gap.opened_at, gap.closed_at) for gap in app.store.list_gaps()
    }
    assert ("channel_missing", "amal", night_of(1), night_of(3)) in seen
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before


async def test_unreliable_channels_stay_unreliable_in_a_rebuild(app, caplog):
    rows = [link(f"a{number}", "facebook", f"a{number}") for number in range(9)]
    register(app, *rows)
    with caplog.at_level("CRITICAL"):
        await nights(app, {}, {row.typed_text: "gone" for row in rows}, {})
    assert again(app).changes == []


async def test_rebuild_of_an_empty_history_is_empty(app):
    register(app, NOUR)
    told = again(app)
    assert (told.run_count, told.changes, held(app)) == (0, [], ([], [], []))


WORDS = st.sampled_from(
    ["alive", "gone", "wall", "linked", "wide", FetchError(Reason.NETWORK), FetchError(Reason.TLS)]
)
HISTORY = st.lists(
    st.fixed_dictionaries({row.typed_text: WORDS for row in (NOUR, AMAL, SITE)}), max_size=10
)


@pytest.mark.slow
@settings(
    max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(HISTORY)
def test_rebuild_of_any_history_equals_the_results_of_its_runs(history):
    with tempfile.TemporaryDirectory() as folder:
        app = opened(Path(folder))
        register(app, NOUR, AMAL, SITE)
        asyncio.run(nights(app, *history))
        before = held(app)
        told = again(app)
        app.store.close()
    assert told.changes == []
    assert len(before[0]) == (3 if history else 0)


# --- registry changes between runs


def kinds(app, code):
    """Return when each gap of a code was first seen and closed, by association and channel."""
    return {
        (gap.association, gap.channel, gap.first_seen, gap.closed_at)
        for gap in app.store.list_gaps()
        if gap.code == code
    }


async def test_link_that_was_removed_and_restored_is_not_evaluated_in_between(app):
    register(app, NOUR)
    await nights(app, {})
    register(app, names=["nour"], now=night_of(0) + timedelta(hours=3))
    await execute_run(app, night_of(1))
    register(app, NOUR, now=night_of(1) + timedelta(hours=3))
    await execute_run(app, night_of(2))
    assert ("nour", "facebook", night_of(1), night_of(2)) in kinds(app, "channel_missing")
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before


async def test_new_link_is_not_evaluated_in_earlier_runs(app):
    register(app, NOUR)
    await nights(app, {})
    register(app, NOUR, AMAL, SITE, now=night_of(0) + timedelta(hours=3))
    assert again(app).changes == []


async def test_association_that_was_removed_and_restored_is_not_evaluated_in_between(app):
    register(app, NOUR, AMAL)
    await nights(app, {})
    register(app, NOUR, now=night_of(0) + timedelta(hours=3))
    await execute_run(app, night_of(1))
    register(app, NOUR, AMAL, now=night_of(1) + timedelta(hours=3))
    await execute_run(app, night_of(2))
    before = held(app)
    assert next(gap.run_count for gap in app.store.list_gaps("amal")) == 2
    assert again(app).changes == []
    assert held(app) == before


def chosen(app, *channels, now):
    people = [Association("nour", "Nour", none_by_choice=channels)]
    app.store.save_registry(people, [NOUR], now)


async def test_registry_data_counts_from_its_import(app):
    chosen(app, now=night_of(0) - timedelta(hours=1))
    await nights(app, {})
    chosen(app, "youtube", now=night_of(0) + timedelta(hours=3))
    await execute_run(app, night_of(1))
    assert kinds(app, "channel_missing") == {("nour", "youtube", night_of(0), night_of(1))}
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before


def reached(app, email, now):
    people = [
        AssociationEntry(
            Association("nour", "Nour"), Contact(email=email, note=f"since {now.date()}")
        )
    ]
    app.store.save_registry(people, [NOUR], now)


async def test_contact_data_is_evaluated_as_of_each_run(app):
    incomplete = TypeAdapter(AnyRule).validate_python(
        {"code": "registry_incomplete", "check": "incomplete", "fields": ["email"]}
    )
    app.config = app.config.model_copy(update={"rules": (*app.config.rules, incomplete)})
    reached(app, None, night_of(0) - timedelta(hours=1))
    await nights(app, {})
    reached(app, "nour@nour.example", night_of(0) + timedelta(hours=3))
    await execute_run(app, night_of(1))
    begun = app.store.begin_run(night_of(2).date(), night_of(2))
    reached(app, None, night_of(2) + timedelta(hours=1))
    assert (await execute_run(app, night_of(2) + timedelta(hours=2))).id == begun.id
    before = held(app)
    assert {gap[2:] for gap in kinds(app, "registry_incomplete")} == {(night_of(0), night_of(1))}
    assert again(app).changes == []
    assert held(app) == before


async def test_run_uses_the_registry_of_its_start(app):
    chosen(app, "youtube", now=night_of(0) - timedelta(hours=1))
    begun = app.store.begin_run(night_of(0).date(), night_of(0))
    chosen(app, now=night_of(0) + timedelta(hours=3))
    register(app, NOUR, AMAL, now=night_of(0) + timedelta(hours=4))
    assert (await execute_run(app, night_of(0) + timedelta(hours=5))).id == begun.id
    assert not kinds(app, "channel_missing")
    assert again(app).changes == []


async def test_corrected_link_is_evaluated_as_typed_before(app):
    """A post and its page have the same key, so a correction keeps the row with another kind."""
    page, post = "https://www.facebook.com/nour", "https://www.facebook.com/nour/posts/1"
    wrong = {
        "code": "wrong_target",
        "check": "kind_is",
        "channels": ["facebook"],
        "kinds": ["post"],
    }
    rules = TypeAdapter(tuple[AnyRule, ...]).validate_python([wrong])
    app.config = app.config.model_copy(update={"rules": rules})
    before, after = (
        AccountRow("nour", typed, identify_link(typed, "facebook"), "facebook")
        for typed in (post, page)
    )
    register(app, before)
    await execute_run(app, night_of(0))
    register(app, after, now=night_of(0) + timedelta(hours=9))
    assert again(app).changes == []
    await execute_run(app, night_of(1))
    assert kinds(app, "wrong_target") == {("nour", "facebook", night_of(0), night_of(1))}
    assert again(app).changes == []


# --- killed runs


class DeathError(Exception):
    """Ends a run."""


def dies(app, monkeypatch, name, *, after=0, once=False):
    """Let a write of the store fail after some successful ones: once, or always as in a killed
    process.
    """
    write, calls = getattr(app.store, name), itertools.count()

    def written(*given, **told):
        call = next(calls)
        if call < after or (once and call > after):
            return write(*given, **told)
        raise DeathError

    monkeypatch.setattr(app.store, name, written)


async def killed_once_it_is_concluded(app, day, monkeypatch):
    """Kill the process right after the results of a run are stored."""
    put = app.store.save_conclusions

    def last(*given, **told):
        put(*given, **told)
        dies(app, patched, "finish_run")

    with monkeypatch.context() as patched:
        patched.setattr(app.store, "save_conclusions", last)
        with pytest.raises(DeathError):
            await execute_run(app, night_of(day))
    assert app.store.get_latest_evaluated_run().day == night_of(day).date()


async def killed(app, day, monkeypatch, name, **how):
    with monkeypatch.context() as patched:
        dies(app, patched, name, **how)
        with pytest.raises(DeathError):
            await execute_run(app, night_of(day))


async def test_run_killed_between_evaluation_and_receipt_is_rebuilt(app, monkeypatch):
    register(app, NOUR)
    await killed(app, 0, monkeypatch, "finish_run", after=2)
    assert next(app.store.list_account_statuses()).state is AccountState.PRESENT
    await execute_run(app, night_of(1))
    before = held(app)
    assert (again(app).run_count, again(app).changes) == (2, [])
    assert held(app) == before


async def test_resumed_evaluated_run_checks_no_further_account(app, monkeypatch):
    register(app, NOUR)
    await killed(app, 0, monkeypatch, "finish_run", after=2)
    register(app, NOUR, AMAL, now=night_of(0) + timedelta(hours=3))
    done = await execute_run(app, night_of(0) + timedelta(hours=4))
    assert (done.state, len(list(app.store.list_observations()))) == (AuditRunState.DONE, 1)
    assert again(app).changes == []


async def test_run_without_accounts_is_evaluated_once(app, monkeypatch):
    register(app, names=["nour"])
    await killed(app, 0, monkeypatch, "finish_run", after=2)
    await execute_run(app, night_of(0))
    assert {gap.run_count for gap in app.store.list_gaps()} == {1}


async def test_unreliable_channels_are_known_after_a_kill(app, monkeypatch):
    known = "https://www.facebook.com/known"
    canary = ChannelSettings(canaries=(known,))
    channels = {**app.config.channels, "facebook": canary}
    app.config = app.config.model_copy(update={"channels": channels})
    register(app, NOUR)
    app.web.answers = {known: "gone"}
    await killed(app, 0, monkeypatch, "finish_run", after=2, once=True)
    (night,) = app.store.list_runs()
    assert night.unreliable_channels == ("facebook",)
    assert again(app).changes == []


async def test_resumed_evaluated_run_is_not_skipped_when_offline(app, monkeypatch):
    known = "https://known.example/", "https://other.example/"
    channels = {
        **app.config.channels,
        "website": ChannelSettings(canaries=known, impossible_account="nobody.example"),
    }
    app.config = app.config.model_copy(update={"channels": channels})
    register(app, NOUR)
    app.web.answers = {"https://nobody.example/": "gone", NOUR.typed_text: "gone"}
    await killed_once_it_is_concluded(app, 0, monkeypatch)
    app.web.answers |= {url: FetchError(Reason.NETWORK) for url in known}
    assert (await execute_run(app, night_of(0))).state is AuditRunState.DONE
    assert again(app).changes == []


# --- a clock that is set back


async def test_no_run_follows_that_of_a_later_day(app):
    register(app, NOUR)
    await execute_run(app, night_of(5))
    with pytest.raises(LaterRunDoneError, match="2026-03-06 is dated in the future"):
        await execute_run(app, night_of(3))
    assert [run.day for run in app.store.list_runs()] == [night_of(5).date()]


async def test_changes_before_the_clock_was_set_back_count_from_the_next_run(app):
    register(app, NOUR)
    await execute_run(app, night_of(5))
    row, early = next(app.store.list_accounts()), night_of(3)
    app.store.add_decision(
        Decision("nour", "facebook", DecisionKind.DISOWN, "A", "no", early, account_id=row.id)
    )
    register(app, NOUR, AMAL, now=early)
    before = held(app)
    assert again(app).changes == []
    await execute_run(app, night_of(6))
    assert ("nour", "facebook", night_of(6), None) in kinds(app, "channel_missing")
    app.store.withdraw_decisions([1], DecisionWithdrawal("A", "no", early))
    assert again(app).changes == []
    assert held(app) != before
