"""The rebuild: an unchanged history changes nothing, a better probe is played on old nights."""

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
from auditor.config.schema import ChannelConfig
from auditor.evaluation import reevaluate
from auditor.evaluation.reevaluate import rejudge as again
from auditor.rules.engine import Rule
from auditor.runs.run import run
from probes.models.finding import Presence, Reason
from probes.models.http import Ask, NoPage
from probes.models.probe import present
from storage.errors import LaterNightError
from storage.models.audit import (
    Association,
    Contact,
    Decision,
    DecisionKind,
    Member,
    NightState,
    State,
    Withdrawal,
)
from tests.support.mini_network import link, night_of, opened, register, steps

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "steps", steps)
    monkeypatch.setattr(reevaluate, "steps", steps)


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path)
    yield small
    small.store.close()


def held(app):
    """Every conclusion, without the numbers of its rows."""
    return (
        list(app.store.standings()),
        sorted((replace(gap, id=None) for gap in app.store.gaps()), key=repr),
        sorted((replace(one, id=None) for one in app.store.proposals()), key=repr),
    )


async def nights(app, *words):
    """One night after another: the word each account answers."""
    for day, tonight in enumerate(words):
        app.web.answers = dict(tonight)
        await run(app, night_of(day))


async def test_a_rebuild_of_an_unchanged_history_changes_nothing(app):
    register(app, NOUR, AMAL, SITE)
    bad = {NOUR.typed: "gone", SITE.typed: NoPage(Reason.NETWORK)}
    await nights(app, {SITE.typed: "linked"}, {SITE.typed: "wide"}, *[bad] * 7, {SITE.typed: "linked"})
    before = held(app)
    told = again(app)
    assert told.changes == []
    assert (told.nights, told.kept) == (10, 0)
    assert held(app) == before


async def test_a_better_probe_is_played_on_old_nights(app, monkeypatch):
    register(app, NOUR)
    await nights(app, *[{NOUR.typed: "gone"}] * 7)
    assert next(app.store.standings()).state is State.GONE

    def better(account, _keyed):
        page = yield Ask(account.identity.canonical, registered=True)
        return present(page)

    monkeypatch.setattr(reevaluate, "steps", better)
    before = held(app)
    told = again(app, dry_run=True)
    assert held(app) == before
    assert {(one.what, one.before, one.after) for one in told.changes} == {
        ("standing", "gone/not_found, no date", "present/-, no date"),
        ("gap", "open, 7 nights", None),
    }
    again(app)
    assert next(app.store.standings()).state is State.PRESENT
    assert "channel_dead" not in {gap.code for gap in app.store.gaps()}
    assert next(app.store.observations()).finding.presence is Presence.ABSENT


async def test_where_a_body_was_thinned_away_the_recorded_finding_stands(app, tmp_path, monkeypatch):
    register(app, NOUR)
    await nights(app, *[{NOUR.typed: "gone"}] * 7)
    for body in (tmp_path / "archive").rglob("*"):
        if body.is_file():
            body.unlink()
    told = again(app)
    assert (told.changes, told.replayed, told.kept) == ([], 0, 7)


async def test_a_page_that_nobody_fetched_then_leaves_the_recorded_finding(app, monkeypatch):
    register(app, NOUR)
    await nights(app, {})

    def curious(account, _keyed):
        page = yield Ask(f"{account.identity.canonical}/about")
        return present(page, name="new")

    monkeypatch.setattr(reevaluate, "steps", curious)
    assert again(app).kept == 1


async def test_our_own_accidents_are_not_played_again(app, caplog):
    register(app, NOUR)
    with caplog.at_level("CRITICAL"):
        await nights(app, {NOUR.typed: "bug"})
    assert (again(app).kept, again(app).changes) == (1, [])


async def test_links_registered_later_and_withdrawn_are_judged_in_their_time(app):
    register(app, NOUR)
    await nights(app, {}, {})
    register(app, NOUR, AMAL, SITE, now=night_of(1) + timedelta(hours=3))
    await run(app, night_of(2))
    register(app, AMAL, names=["nour"], now=night_of(2) + timedelta(hours=3))
    await run(app, night_of(3))
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before
    assert len([gap for gap in app.store.gaps("nour") if gap.code == "channel_missing"]) == 2


async def test_a_person_s_word_is_judged_from_its_day(app):
    register(app, NOUR)
    await nights(app, *[{NOUR.typed: "gone"}] * 8)
    row = next(app.store.accounts())
    said = Decision(
        "nour",
        "facebook",
        DecisionKind.ATTEST,
        "Amina",
        "I see it",
        night_of(7) + timedelta(hours=9),
        account_id=row.id,
    )
    app.store.add_decision(said)
    app.web.answers = {NOUR.typed: "gone"}
    await run(app, night_of(8))
    dead = next(gap for gap in app.store.gaps() if gap.code == "channel_dead")
    assert (dead.opened_at, dead.closed_at) == (night_of(6), night_of(8))
    assert [one.after for one in again(app).changes] == []


async def test_a_word_that_was_withdrawn_holds_in_a_rebuild_until_then(app):
    register(app, NOUR, link("amal", "facebook", "nour"))
    row = next(app.store.accounts("amal"))
    said = Decision("amal", "facebook", DecisionKind.NOT_OURS, "Amina", "no", night_of(0), account_id=row.id)
    app.store.add_decision(replace(said, decided_at=night_of(0) + timedelta(hours=9)))
    await nights(app, {}, {}, {})
    app.store.withdraw([1], Withdrawal("Salma", "she was wrong", night_of(2) + timedelta(hours=9)))
    for day in (3, 4):
        await run(app, night_of(day))
    seen = {(gap.code, gap.association, gap.opened_at, gap.closed_at) for gap in app.store.gaps()}
    assert ("channel_missing", "amal", night_of(1), night_of(3)) in seen
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before


async def test_blind_nights_stay_blind(app, caplog):
    rows = [link(f"a{number}", "facebook", f"a{number}") for number in range(9)]
    register(app, *rows)
    with caplog.at_level("CRITICAL"):
        await nights(app, {}, {row.typed: "gone" for row in rows}, {})
    assert again(app).changes == []


async def test_an_empty_history_is_rebuilt_to_nothing(app):
    register(app, NOUR)
    told = again(app)
    assert (told.nights, told.changes, held(app)) == (0, [], ([], [], []))


WORDS = st.sampled_from(
    ["alive", "gone", "wall", "linked", "wide", NoPage(Reason.NETWORK), NoPage(Reason.TLS)]
)
HISTORY = st.lists(st.fixed_dictionaries({row.typed: WORDS for row in (NOUR, AMAL, SITE)}), max_size=10)


@pytest.mark.slow
@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(HISTORY)
def test_any_history_is_rebuilt_to_what_was_concluded_night_by_night(history):
    with tempfile.TemporaryDirectory() as folder:
        app = opened(Path(folder))
        register(app, NOUR, AMAL, SITE)
        asyncio.run(nights(app, *history))
        before = held(app)
        told = again(app)
        app.store.close()
    assert told.changes == []
    assert len(before[0]) == (3 if history else 0)


# --- the registry changes over the nights


def kinds(app, code):
    """When each gap of a code was first seen and closed, by the association and channel it is of."""
    return {
        (gap.association, gap.channel, gap.first_seen, gap.closed_at)
        for gap in app.store.gaps()
        if gap.code == code
    }


async def test_a_link_that_left_the_sheet_and_came_back_was_away_in_between(app):
    register(app, NOUR)
    await nights(app, {})
    register(app, names=["nour"], now=night_of(0) + timedelta(hours=3))
    await run(app, night_of(1))
    register(app, NOUR, now=night_of(1) + timedelta(hours=3))
    await run(app, night_of(2))
    assert ("nour", "facebook", night_of(1), night_of(2)) in kinds(app, "channel_missing")
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before


async def test_a_link_that_was_just_listed_is_in_no_night_before(app):
    register(app, NOUR)
    await nights(app, {})
    register(app, NOUR, AMAL, SITE, now=night_of(0) + timedelta(hours=3))
    assert again(app).changes == []


async def test_an_association_that_left_the_sheet_and_came_back_was_away_in_between(app):
    register(app, NOUR, AMAL)
    await nights(app, {})
    register(app, NOUR, now=night_of(0) + timedelta(hours=3))
    await run(app, night_of(1))
    register(app, NOUR, AMAL, now=night_of(1) + timedelta(hours=3))
    await run(app, night_of(2))
    before = held(app)
    assert next(gap.nights for gap in app.store.gaps("amal")) == 2
    assert again(app).changes == []
    assert held(app) == before


def chosen(app, *channels, now):
    people = [Association("nour", "Nour", none_by_choice=channels)]
    app.store.save_registry(people, [NOUR], now)


async def test_what_the_sheet_says_of_an_association_counts_from_then_on(app):
    chosen(app, now=night_of(0) - timedelta(hours=1))
    await nights(app, {})
    chosen(app, "youtube", now=night_of(0) + timedelta(hours=3))
    await run(app, night_of(1))
    assert kinds(app, "channel_missing") == {("nour", "youtube", night_of(0), night_of(1))}
    before = held(app)
    assert again(app).changes == []
    assert held(app) == before


def reached(app, email, now):
    people = [Member(Association("nour", "Nour"), Contact(email=email, note=f"since {now.date()}"))]
    app.store.save_registry(people, [NOUR], now)


async def test_whether_an_association_could_be_reached_is_judged_in_its_time(app):
    incomplete = TypeAdapter(Rule).validate_python(
        {"code": "registry_incomplete", "check": "incomplete", "fields": ["email"]}
    )
    app.config = app.config.model_copy(update={"rules": (*app.config.rules, incomplete)})
    reached(app, None, night_of(0) - timedelta(hours=1))
    await nights(app, {})
    reached(app, "nour@nour.example", night_of(0) + timedelta(hours=3))
    await run(app, night_of(1))
    begun = app.store.begin_night(night_of(2).date(), night_of(2))
    reached(app, None, night_of(2) + timedelta(hours=1))
    assert (await run(app, night_of(2) + timedelta(hours=2))).id == begun.id
    before = held(app)
    assert {gap[2:] for gap in kinds(app, "registry_incomplete")} == {(night_of(0), night_of(1))}
    assert again(app).changes == []
    assert held(app) == before


async def test_a_night_is_concluded_by_the_sheet_that_held_when_it_began(app):
    chosen(app, "youtube", now=night_of(0) - timedelta(hours=1))
    begun = app.store.begin_night(night_of(0).date(), night_of(0))
    chosen(app, now=night_of(0) + timedelta(hours=3))
    register(app, NOUR, AMAL, now=night_of(0) + timedelta(hours=4))
    assert (await run(app, night_of(0) + timedelta(hours=5))).id == begun.id
    assert not kinds(app, "channel_missing")
    assert again(app).changes == []


# --- nights that die


class DeathError(Exception):
    """What ends a night."""


def dies(app, monkeypatch, name, *, after=0, once=False):
    """A write of the store fails after so many that went well: once, or for good where a process ends."""
    write, calls = getattr(app.store, name), itertools.count()

    def written(*given, **told):
        call = next(calls)
        if call < after or (once and call > after):
            return write(*given, **told)
        raise DeathError

    monkeypatch.setattr(app.store, name, written)


async def killed_once_it_is_concluded(app, day, monkeypatch):
    """The process ends as soon as the conclusions of a night are kept."""
    put = app.store.put_derived

    def last(*given, **told):
        put(*given, **told)
        dies(app, patched, "finish_night")

    with monkeypatch.context() as patched:
        patched.setattr(app.store, "put_derived", last)
        with pytest.raises(DeathError):
            await run(app, night_of(day))
    assert app.store.judged_night().day == night_of(day).date()


async def killed(app, day, monkeypatch, name, **how):
    with monkeypatch.context() as patched:
        dies(app, patched, name, **how)
        with pytest.raises(DeathError):
            await run(app, night_of(day))


async def test_a_night_that_ended_between_its_conclusions_and_its_receipt_is_rebuilt_too(app, monkeypatch):
    register(app, NOUR)
    await killed(app, 0, monkeypatch, "finish_night", after=2)
    assert next(app.store.standings()).state is State.PRESENT
    await run(app, night_of(1))
    before = held(app)
    assert (again(app).nights, again(app).changes) == (2, [])
    assert held(app) == before


async def test_a_concluded_night_that_is_gone_on_with_looks_at_nobody_else(app, monkeypatch):
    register(app, NOUR)
    await killed(app, 0, monkeypatch, "finish_night", after=2)
    register(app, NOUR, AMAL, now=night_of(0) + timedelta(hours=3))
    done = await run(app, night_of(0) + timedelta(hours=4))
    assert (done.state, len(list(app.store.observations()))) == (NightState.DONE, 1)
    assert again(app).changes == []


async def test_a_night_with_nobody_to_look_at_is_concluded_once(app, monkeypatch):
    register(app, names=["nour"])
    await killed(app, 0, monkeypatch, "finish_night", after=2)
    await run(app, night_of(0))
    assert {gap.nights for gap in app.store.gaps()} == {1}


async def test_what_a_night_was_blind_to_is_known_of_one_that_died_after_its_conclusions(app, monkeypatch):
    known = "https://www.facebook.com/known"
    canary = ChannelConfig(canaries=(known,))
    channels = {**app.config.channels, "facebook": canary}
    app.config = app.config.model_copy(update={"channels": channels})
    register(app, NOUR)
    app.web.answers = {known: "gone"}
    await killed(app, 0, monkeypatch, "finish_night", after=2, once=True)
    (night,) = app.store.nights()
    assert night.blind == ("facebook",)
    assert again(app).changes == []


async def test_a_concluded_night_that_is_gone_on_with_is_not_skipped_where_the_line_is_down(app, monkeypatch):
    known = "https://known.example/", "https://other.example/"
    channels = {**app.config.channels, "website": ChannelConfig(canaries=known, impossible="nobody.example")}
    app.config = app.config.model_copy(update={"channels": channels})
    register(app, NOUR)
    app.web.answers = {"https://nobody.example/": "gone", NOUR.typed: "gone"}
    await killed_once_it_is_concluded(app, 0, monkeypatch)
    app.web.answers |= {url: NoPage(Reason.NETWORK) for url in known}
    assert (await run(app, night_of(0))).state is NightState.DONE
    assert again(app).changes == []


# --- clocks that are set back


async def test_no_night_follows_that_of_a_later_day(app):
    register(app, NOUR)
    await run(app, night_of(5))
    with pytest.raises(LaterNightError, match="2026-03-06 is concluded already"):
        await run(app, night_of(3))
    assert [night.day for night in app.store.nights()] == [night_of(5).date()]


async def test_what_is_said_by_a_clock_that_was_set_back_counts_from_the_next_night_on(app):
    register(app, NOUR)
    await run(app, night_of(5))
    row, early = next(app.store.accounts()), night_of(3)
    app.store.add_decision(
        Decision("nour", "facebook", DecisionKind.NOT_OURS, "A", "no", early, account_id=row.id)
    )
    register(app, NOUR, AMAL, now=early)
    before = held(app)
    assert again(app).changes == []
    await run(app, night_of(6))
    assert ("nour", "facebook", night_of(6), None) in kinds(app, "channel_missing")
    app.store.withdraw([1], Withdrawal("A", "no", early))
    assert again(app).changes == []
    assert held(app) != before
