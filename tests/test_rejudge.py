"""The rebuild: an unchanged history changes nothing, a better probe is played on old nights."""

import asyncio
import tempfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from small import link, night_of, opened, register, steps

from auditor import eyes, rejudge
from auditor.night import run
from auditor.rejudge import rejudge as again
from probes.model import Ask, NoPage, Presence, Reason, present
from storage.model import Decision, DecisionKind, State, Withdrawal

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
SITE = link("nour", "website", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(eyes, "steps", steps)
    monkeypatch.setattr(rejudge, "steps", steps)


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

    monkeypatch.setattr(rejudge, "steps", better)
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

    monkeypatch.setattr(rejudge, "steps", curious)
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


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
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
