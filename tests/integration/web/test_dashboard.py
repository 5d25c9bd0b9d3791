"""The front page and the changes, on a real server: the night in a sentence, who to call, what moved."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.runs.run import execute_run
from storage.models.audit import AuditRunState, Decision, DecisionKind
from tests.support.mini_network import START, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@pytest.fixture
def app(tmp_path):
    small = opened(tmp_path)
    yield small
    small.store.close()


def told(client, path="/en/"):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text.replace("<bdi>", "").replace("</bdi>", "")


async def nights(app, days, **answers):
    register(app, NOUR, AMAL)
    app.web.answers = answers
    for day in range(days):
        await execute_run(app, night_of(day))


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_dashboard_without_associations_links_to_the_import(app, language):
    with logged_in_client(app, START) as client:
        assert f'href="/{language}/registry"' in told(client, f"/{language}/")


def test_dashboard_before_the_first_run_counts_associations(app):
    register(app, NOUR, AMAL)
    with logged_in_client(app, START) as client:
        assert "2 associations registered, not checked yet." in told(client)


async def test_dashboard_summarizes_the_latest_run_and_unknown_accounts(app):
    await nights(app, 1, **{NOUR.typed_text: "wall"})
    with logged_in_client(app, night_of(0) + timedelta(hours=8)) as client:
        page = told(client)
    assert "2 accounts checked on 1 March 2026." in page
    assert "1 account couldn’t be checked." in page
    assert "the platform asks visitors to sign in: 1 account" in page


async def test_dashboard_warns_about_an_old_interrupted_or_unreliable_run(app):
    await nights(app, 1)
    with logged_in_client(app, night_of(5)) as client:
        assert "The last check was 5 days ago." in told(client)
    tonight = app.store.begin_run(night_of(5).date(), night_of(5))
    app.store.finish_run(
        tonight, AuditRunState.INCOMPLETE, night_of(5), unreliable_channels=["facebook"]
    )
    with logged_in_client(app, night_of(5)) as client:
        page = told(client)
    assert "The last check was interrupted" in page
    assert "Facebook was unreliable in this check" in page


async def test_call_list_begins_with_the_most_urgent_association(app):
    await nights(app, 8, **{NOUR.typed_text: "gone"})
    with logged_in_client(app, night_of(7) + timedelta(hours=8)) as client:
        page = told(client)
    assert page.index('href="/en/associations/nour"') < page.index('href="/en/associations/amal"')
    assert "no longer leads anywhere" in page


async def test_trend_ends_with_the_latest_run_and_ignores_later_decisions(app):
    await nights(app, 2)
    now = night_of(1) + timedelta(hours=8)
    account = next(row.id for row in app.store.list_accounts() if row.typed_text == NOUR.typed_text)
    word = Decision("nour", "facebook", DecisionKind.DISOWN, "Amina", "no", now, account_id=account)
    app.store.add_decision(word)
    with logged_in_client(app, now) as client:
        page = told(client)
    assert "Unchanged from 1 March 2026 to 2 March 2026: 2 of 2 confirmed." in page
    assert "2 of 2 confirmed on 1 March 2026, now 1 of 2" in page
    for day in range(2, 10):
        app.web.answers = {NOUR.typed_text: "gone", AMAL.typed_text: "gone"}
        await execute_run(app, night_of(day))
    with logged_in_client(app, night_of(9) + timedelta(hours=8)) as client:
        assert "2 of 2 confirmed on 1 March 2026, 0 of 2 on 10 March 2026." in told(client)


async def test_changes_page_lists_changes_since_the_given_day(app):
    await nights(app, 8, **{NOUR.typed_text: "gone"})
    with logged_in_client(app, night_of(7) + timedelta(hours=8)) as client:
        since = told(client, "/en/changes?since=2026-03-05")
        assert "What’s new since 5 March 2026" in since
        assert "no longer leads anywhere" in since
        assert "no longer leads anywhere" not in told(client, "/en/changes?since=2026-03-08")
        assert "What’s new since 8 March 2026" in told(client, "/en/changes?since=no+day")


async def test_saved_meeting_day_is_a_link_on_the_changes_page(app):
    await nights(app, 1)
    with logged_in_client(app, night_of(0) + timedelta(hours=8)) as client:
        told(client, "/en/changes?since=2026-02-27&save_meeting_day=1")
        assert "Since the meeting of 27 February 2026" in told(client, "/en/changes")
