"""Coordinators invite to a workshop, tick who came, and see whether it helped."""

import random
import re
from datetime import timedelta

import pytest

from auditor.conclusions.run_results import refresh_summaries
from auditor.core.statistics import compute_difference_interval
from auditor.presentation.reports.html import publish_site
from auditor.presentation.views.calls import build_call_list
from auditor.presentation.views.workshops import build_workshop_result
from auditor.runs.run import execute_run
from storage.communication.workshops import Workshop
from storage.conclusions import Conclusions
from storage.models.audit import Gap
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import get_text, logged_in_client, read_page

NOW = night_of(0) + timedelta(hours=8)
NAMES = [f"a{number:03}" for number in range(120)]
WORKSHOP = Workshop(NOW.date(), "Open a channel", "facebook", "channel_stale")


@lived
async def app(network):
    """Register associations with a website, and wait for the day after ninety days."""
    register(network, *(link(name, "website", name) for name in NAMES))
    await execute_run(network, night_of(0))
    await execute_run(network, night_of(91))


def save_gaps(app, fixed, unfixed=(), days=20):
    """Store the problem of associations before the workshop; the fixed ones close after it."""
    opened = NOW - timedelta(days=3)
    gaps = []
    for names, closed in ((fixed, NOW + timedelta(days=days)), (unfixed, None)):
        gaps += [
            Gap(name, "facebook", "channel_stale", "medium", opened, 1, opened, closed)
            for name in names
        ]
    app.store.conclusions.save(Conclusions(gaps=gaps))


def hold_workshop(app, came, absent=()):
    app.store.workshops.invite([*came, *absent], WORKSHOP, "Amina", NOW)
    app.store.workshops.save_attendance(WORKSHOP, came, absent, "Amina", NOW)


def read_results(app):
    refresh_summaries(app.store, app.config)
    return {item["days"]: item for item in build_workshop_result(app.store, WORKSHOP)}


def test_planted_effect_is_found(app):
    came, others = NAMES[:40], NAMES[40:80]
    save_gaps(app, [*came[:20], *others[:8]], [*came[20:], *others[8:]])
    hold_workshop(app, came)
    result = read_results(app)[90]
    assert result["counts"] == {"attended": (40, 20), "absent": (0, 0), "others": (40, 8)}
    difference = dict(result["comparisons"])["others"]
    assert difference["difference"] == 30
    assert 0 < difference["low"] <= 30 <= difference["high"]


def test_without_effect_the_interval_holds_zero():
    draw = random.Random(19)
    held = 0
    for _ in range(1000):
        first, second = (sum(draw.random() < 0.4 for _ in range(40)) for _ in range(2))
        low, high = compute_difference_interval(first, 40, second, 40)
        held += low <= 0 <= high
    assert held >= 950


@pytest.mark.parametrize(("size", "is_shown"), [(7, False), (8, True)])
def test_difference_needs_eight_associations_on_each_side(app, size, is_shown):
    save_gaps(app, NAMES[:size], NAMES[size:100])
    hold_workshop(app, NAMES[:size])
    assert (dict(read_results(app)[30]["comparisons"])["others"] is not None) is is_shown


def test_waived_and_reopened_problems_are_not_fixed(app):
    save_gaps(app, NAMES[:10], NAMES[10:20])
    hold_workshop(app, NAMES[:10])
    again = NOW + timedelta(days=25)
    reopened = Gap("a000", "facebook", "channel_stale", "medium", again, 1, again)
    app.store.conclusions.save(Conclusions(gaps=[reopened]))
    with logged_in_client(app, NOW) as client:
        waiver = {"kind": "waive", "channel": "facebook", "code": "channel_stale", "reason": "x"}
        client.post("/en/associations/a001/decisions", data=waiver)
    assert read_results(app)[30]["counts"]["attended"] == (9, 8)


def test_problem_that_was_not_open_on_the_day_does_not_count(app):
    save_gaps(app, NAMES[:5], days=-1)
    hold_workshop(app, NAMES[:5])
    assert read_results(app)[30]["counts"]["attended"] == (0, 0)


def test_result_waits_for_its_day(app):
    save_gaps(app, NAMES[:5])
    hold_workshop(app, NAMES[:5])
    assert read_results(app).keys() == {30, 90}
    late = Workshop((NOW + timedelta(days=30)).date(), "Later", "facebook", "channel_stale")
    assert [item["days"] for item in build_workshop_result(app.store, late)] == [30]


def test_invitation_from_the_grid_is_ticked_and_undone(app):
    query = "channel=facebook&state=none"
    form = {"id": NAMES[:3], "title": "A page", "day": "2026-04-01", "back": query}
    with logged_in_client(app, NOW) as client:
        sent = client.post("/en/associations", data={**form, "action": "invite"})
        page = get_text(client, sent.headers["location"], "Invited to “A page”: 3.")
        repeated = client.post("/en/associations", data={**form, "action": "invite"})
        get_text(client, repeated.headers["location"], "Invited to “A page”: 0.")
        workshop_url = re.search(r"/en/workshops/\d+", page)[0]
        get_text(client, workshop_url, "A000", "A002", "Facebook")
        ticked = client.post(workshop_url, data={"id": NAMES[1:3]}).headers["location"]
        saved = get_text(client, ticked, "Saved: 2 came.")
        get_text(client, "/en/associations/a001", "Attended a workshop", "A page")
        undo(client, page)
        get_text(client, sent.headers["location"], "Something was changed meanwhile")
        undo(client, saved)
        [workshop] = app.store.workshops.list_workshops()
        assert (workshop.code, workshop.channel) == ("channel_missing", "facebook")
        assert (workshop.invited_count, workshop.attended_count) == (3, 0)
        app.store.workshops.undo(workshop, [row.id for row in list_entries(app)])
        assert not app.store.workshops.list_workshops()
        get_text(client, "/en/workshops", "No workshop yet")


def list_entries(app):
    return [row for name in NAMES for row in app.store.follow_ups.list_follow_ups(name)]


def test_boxes_of_two_open_pages_do_not_overwrite_each_other(app):
    app.store.workshops.invite(NAMES[:6], WORKSHOP, "Amina", NOW)
    [held] = app.store.workshops.list_workshops()
    with logged_in_client(app, NOW) as client:
        url = f"/en/workshops/{held.id}"
        first = get_text(client, client.post(url, data={"id": NAMES[:3]}).headers["location"])
        # an older page, on which nobody was ticked
        client.post(url, data={"id": NAMES[3:5]})
        assert app.store.workshops.list_workshops()[0].attended_count == 5
        client.post(url, data={"before": NAMES[:3], "id": NAMES[1:3]})
        assert app.store.workshops.list_workshops()[0].attended_count == 4
        undo(client, first)
        assert app.store.workshops.list_workshops()[0].attended_count == 4


def test_withdrawn_association_has_come_all_the_same(app):
    hold_workshop(app, NAMES[:4])
    [held] = app.store.workshops.list_workshops()
    app.store.registry.withdraw_association("a001", NOW)
    with logged_in_client(app, NOW) as client:
        shown = [name for name in NAMES[:4] if name != "a001"]
        client.post(f"/en/workshops/{held.id}", data={"id": shown, "before": shown})
    assert app.store.workshops.list_workshops()[0].attended_count == 4


@pytest.mark.parametrize("day", ["9999-12-31", "0001-01-01", "2026-13-01"])
def test_impossible_day_of_a_workshop_is_refused(app, day):
    form = {"id": NAMES[:3], "title": "A page", "day": day, "action": "invite"}
    with logged_in_client(app, NOW) as client:
        client.post("/en/associations", data=form)
        get_text(client, f"/en/final-report?from={day}&to={day}")
    assert not app.store.workshops.list_workshops()


def undo(client, page):
    client.post("/en/undo/" + page.partition('action="/en/undo/')[2].partition('"')[0])


def test_incomplete_invitation_says_so(app):
    with logged_in_client(app, NOW) as client:
        form = {"id": NAMES[:3], "title": "A page", "day": "", "action": "invite"}
        location = client.post("/en/associations", data=form).headers["location"]
        get_text(client, location, "Nothing was done.")
    assert not app.store.workshops.list_workshops()


def test_invited_association_is_still_to_call(app):
    broken = Gap("a000", "website", "website_down", "urgent", NOW, 1, NOW)
    app.store.conclusions.save(Conclusions(gaps=[broken]))
    hold_workshop(app, ["a000"])
    refresh_summaries(app.store, app.config)
    [call] = build_call_list(app.store, NOW.date(), 5)["candidates"]
    assert call.summary.id == "a000"
    assert not call.is_tried_on(NOW.date())


def test_no_report_says_who_was_absent(app, tmp_path):
    save_gaps(app, NAMES[:50], NAMES[50:])
    hold_workshop(app, NAMES[:50], NAMES[50:100])
    publish_site(app, tmp_path / "pages", NOW)
    reports = list((tmp_path / "pages").rglob("a*.html"))
    assert len(reports) >= 300
    for report in reports:
        assert not re.search("Open a channel|workshop|atelier|ورشة", report.read_text("utf-8"))


def test_workshop_is_in_the_calendar_until_it_is_taken_back(app):
    hold_workshop(app, NAMES[:3])
    with logged_in_client(app, NOW) as client:
        page = read_page(client.get(client.post("/en/account/feed").headers["location"]))
        feed = re.search(r'value="https?://[^/"]+(/feeds/[^/"]+)/calendar.ics', page)[1]
        assert "SUMMARY:Workshop: Open a channel" in client.get(f"{feed}/calendar.ics?lang=en").text


@pytest.mark.parametrize(
    ("counts", "interval"),
    [
        ((56, 70, 48, 80), (0.0524, 0.3339)),
        ((9, 10, 3, 10), (0.1705, 0.8090)),
        ((6, 7, 2, 7), (0.0582, 0.8062)),
        ((5, 56, 0, 29), (-0.0381, 0.1926)),
        ((0, 10, 0, 20), (-0.1611, 0.2775)),
        ((0, 10, 0, 10), (-0.2775, 0.2775)),
        ((10, 10, 0, 20), (0.6791, 1.0)),
        ((10, 10, 0, 10), (0.6075, 1.0)),
    ],
)
def test_interval_of_a_difference_is_that_of_newcombe(counts, interval):
    """The examples of method 10 in table II of the paper."""
    assert compute_difference_interval(*counts) == pytest.approx(interval, abs=0.00006)
