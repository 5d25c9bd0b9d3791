"""Checking an association again at once: seldom, one at a time, and without a trace in what is held."""

import threading
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.runs.account_worker import REST, Checks, NotNow, NotNowError
from auditor.runs.run import run
from probes.models.finding import Presence
from storage.models.audit import Decision, DecisionKind, NightState
from tests.support.mini_network import START, link, night_of, opened, register, steps
from tests.support.web_server import browsing

NOW = night_of(1) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "steps", steps)


@pytest.fixture
async def app(tmp_path):
    small = opened(tmp_path)
    register(small, NOUR, SITE, link("amal", "facebook", "amal"))
    await run(small, night_of(0))
    small.web.asked.clear()
    yield small
    small.store.close()


def test_a_check_asks_for_its_accounts_alone_and_keeps_no_observation(app):
    app.web.answers = {NOUR.typed: "gone"}
    before = list(app.store.observations()), list(app.store.standings())
    made = Checks().make(app, "nour", NOW)
    assert sorted(app.web.asked) == sorted([NOUR.typed, SITE.typed])
    assert [one.finding.presence for one in made.seen] == [Presence.ABSENT, Presence.PRESENT]
    assert (list(app.store.observations()), list(app.store.standings())) == before


def test_an_association_is_left_in_peace_for_ten_minutes_and_another_may_be_checked(app):
    checks = Checks()
    made = checks.make(app, "nour", NOW)
    with pytest.raises(NotNowError) as refused:
        checks.make(app, "nour", NOW + REST - timedelta(seconds=1))
    assert refused.value.why is NotNow.RESTING
    assert checks.make(app, "amal", NOW + timedelta(minutes=1))
    assert checks.of("nour", NOW + timedelta(minutes=2)) is made
    assert checks.of("nour", NOW + REST) is None
    assert checks.make(app, "nour", NOW + REST)


@pytest.mark.fault("F34")
def test_one_check_is_made_at_a_time(app, monkeypatch):
    checks, inside, go_on = Checks(), threading.Event(), threading.Event()
    plain = app.store.accounts

    def slow(*of, **how):
        inside.set()
        go_on.wait()
        return plain(*of, **how)

    monkeypatch.setattr(app.store, "accounts", slow)
    first = threading.Thread(target=checks.make, args=(app, "nour", NOW))
    first.start()
    inside.wait()
    try:
        with pytest.raises(NotNowError) as refused:
            checks.make(app, "amal", NOW)
    finally:
        go_on.set()
        first.join()
    assert refused.value.why is NotNow.BUSY


def test_nothing_is_checked_while_a_night_goes_on_but_a_killed_one_hinders_nobody(app):
    app.store.begin_night(NOW.date(), NOW)
    app.locked = True
    with pytest.raises(NotNowError) as refused:
        Checks().make(app, "nour", NOW)
    assert refused.value.why is NotNow.NIGHT
    app.locked = False
    assert Checks().make(app, "nour", NOW)


def test_a_platform_that_is_left_alone_tonight_is_left_alone_by_a_check(app):
    tonight = app.store.begin_night(NOW.date(), NOW)
    told = {"gave_up": {"facebook": {"reason": "login_wall", "left_out": 1, "begin_with": 1}}}
    app.store.finish_night(tonight, NightState.DONE, NOW, receipt=told)
    made = Checks().make(app, "nour", NOW)
    assert app.web.asked == [SITE.typed]
    assert made.seen[0].finding.reason == "login_wall"


def test_an_account_that_is_not_theirs_is_not_looked_at(app):
    row = next(row for row in app.store.accounts() if row.typed == NOUR.typed)
    word = Decision("nour", "facebook", DecisionKind.NOT_OURS, "Amina", "namesake", START, account_id=row.id)
    app.store.add_decision(word)
    Checks().make(app, "nour", NOW)
    assert app.web.asked == [SITE.typed]


def test_the_page_shows_what_was_just_seen_and_says_that_it_changes_nothing(app):
    app.web.answers = {NOUR.typed: "gone"}
    with browsing(app, NOW) as client:
        answer = client.post("/en/associations/nour/check")
        assert (answer.status_code, answer.headers["location"]) == (303, "/en/associations/nour#check")
        told = client.get("/en/associations/nour").text
        assert "This changes nothing until tonight" in told
        assert "page not found" in told
        again = client.post("/en/associations/nour/check").headers["location"]
        assert again == "/en/associations/nour?check=resting#check"
        assert "left in peace for ten minutes" in client.get(again).text
        assert client.post("/en/associations/nobody/check").status_code == 404
