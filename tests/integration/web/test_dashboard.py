"""The dashboard and the page of changes."""

import contextlib
import re
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from auditor.checking import checker
from auditor.runs.run import execute_run
from storage.conclusions import Conclusions
from storage.models.audit import (
    Association,
    AssociationEntry,
    AuditRunState,
    Contact,
    Decision,
    DecisionKind,
    Gap,
)
from storage.models.users import FollowUpKind, Role
from storage.tables.communication import FollowUp
from tests.support import sample_network
from tests.support.mini_network import START, link, night_of, opened, register, steps
from tests.support.web_server import get_text, logged_in_client

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@pytest.fixture
def app(tmp_path):
    network = opened(tmp_path)
    yield network
    network.store.close()


async def execute_runs(app, days, **answers):
    register(app, NOUR, AMAL)
    app.web.answers = answers
    for day in range(days):
        await execute_run(app, night_of(day))


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
def test_dashboard_without_associations_links_to_the_import(app, language):
    with logged_in_client(app, START) as client:
        assert f'href="/{language}/registry"' in get_text(client, f"/{language}/")


def test_dashboard_before_the_first_run_counts_associations(app):
    register(app, NOUR, AMAL)
    with logged_in_client(app, START) as client:
        assert "2 associations registered, not checked yet." in get_text(client, "/en/")


async def test_dashboard_summarizes_the_latest_run_and_unknown_accounts(app):
    await execute_runs(app, 1, **{NOUR.typed_text: "wall"})
    with logged_in_client(app, night_of(0) + timedelta(hours=8)) as client:
        text = get_text(client, "/en/")
    assert "2 accounts checked last night. 1 couldn’t be checked." in text
    assert "The next check starts on 2 March 2026" in text
    assert "1 · the platform asks visitors to sign in" in text
    assert (
        'href="/en/associations?channel=facebook&amp;state=unknown&amp;reason=login_wall"' in text
    )
    assert "First check: there is nothing to compare with yet." in text


async def test_dashboard_warns_about_an_old_interrupted_or_unreliable_run(app):
    await execute_runs(app, 1)
    with logged_in_client(app, night_of(5)) as client:
        text = get_text(client, "/en/")
    assert "The last check finished on 1 March 2026. Tell your technical team." in text
    assert "2 accounts checked on 1 March 2026." in text
    run = app.store.runs.begin_or_resume(night_of(5).date(), night_of(5))
    app.store.runs.finish(
        run, AuditRunState.INCOMPLETE, night_of(5), unreliable_channels=["facebook"]
    )
    with logged_in_client(app, night_of(5)) as client:
        text = get_text(client, "/en/")
    assert "The last check was interrupted" in text
    assert "Facebook could not be checked reliably last night." in text


async def test_page_counts_who_needs_a_call_and_offers_to_log_it(app):
    entry = AssociationEntry(
        Association("nour", "Nour", city="Agadir"), Contact(phone="0612345678")
    )
    app.store.registry.save_registry([entry, Association("amal", "Amal")], [NOUR, AMAL], START)
    app.web.answers = {NOUR.typed_text: "gone"}
    for day in range(8):
        await execute_run(app, night_of(day))
    app.store.follow_ups.add(
        FollowUp(
            association="nour", kind=FollowUpKind.WROTE, author="Amina", occurred_at=night_of(6)
        )
    )
    with logged_in_client(app, night_of(7) + timedelta(hours=8)) as client:
        text = get_text(client, "/en/")
        assert "1 association needs you today." in text
        assert "Message · 7 March 2026" in text
        assert 'href="tel:+212612345678"' in text
        assert 'href="https://wa.me/212612345678"' in text
        assert 'href="/en/associations?gap_kind=broken">1 association has a broken' in text
        client.post("/en/associations/nour/follow-ups", data={"kind": "called", "text": "soon"})
        text = get_text(client, "/en/")
    assert "No association needs you today." in text
    assert "1 of them is being followed up." in text


async def test_contacts_are_shown_to_the_coordinator_of_the_region_only(app):
    associations = [
        AssociationEntry(Association(name, name.title(), region=region), Contact(phone=phone))
        for name, region, phone in (
            ("nour", "Souss-Massa", "0612345678"),
            ("amal", "L’Oriental", "0612345679"),
        )
    ]
    app.store.registry.save_registry(associations, [NOUR, AMAL], START)
    app.web.answers = {NOUR.typed_text: "gone", AMAL.typed_text: "gone"}
    for day in range(8):
        await execute_run(app, night_of(day))
    now = night_of(7) + timedelta(hours=8)
    with logged_in_client(
        app, now, name="Salma", role=Role.COORDINATOR, regions=["souss-massa"]
    ) as client:
        text = get_text(client, "/en/")
    assert "1 association needs you today." in text
    assert ("0612345678" in text, "0612345679" in text) == (True, False)
    assert 'href="/en/associations?gap_kind=broken&amp;region=souss-massa">Souss-Massa: 1' in text
    with logged_in_client(app, now, name="Rachid", role=Role.READER) as client:
        text = get_text(client, "/en/")
    assert "2 associations need you today." in text
    assert "06123" not in text
    assert "No replies waiting" not in text


async def test_trend_ends_with_the_latest_run_and_ignores_later_decisions(app):
    await execute_runs(app, 2)
    now = night_of(1) + timedelta(hours=8)
    account = next(
        row.id for row in app.store.registry.list_accounts() if row.typed_text == NOUR.typed_text
    )
    decision = Decision(
        "nour", "facebook", DecisionKind.DISOWN, "Amina", "no", now, account_id=account
    )
    app.store.decisions.add(decision)
    with logged_in_client(app, now) as client:
        text = get_text(client, "/en/")
    assert "Unchanged from 1 March 2026 to 2 March 2026: 2 of 2 confirmed." in text
    assert 'href="/en/associations?channel=facebook&amp;state=present"><b>1</b> present' in text


async def test_quiet_week_links_to_the_last_thirty_days(app):
    await execute_runs(app, 9)
    with logged_in_client(app, night_of(20)) as client:
        text = get_text(client, "/en/")
    assert "Nothing new this week. See the last 30 days?" in text
    assert f'href="/en/changes?since={night_of(20).date() - timedelta(days=29)}"' in text


async def test_something_to_improve_has_not_the_icon_of_a_missing_account(app):
    await execute_runs(app, 3)
    opened_at = night_of(2)
    gap = Gap("nour", "facebook", "channel_no_backlink", "low", opened_at, 1, opened_at)
    app.store.conclusions.save(Conclusions(gaps=[gap]))
    with logged_in_client(app, night_of(2) + timedelta(hours=8)) as client:
        page = BeautifulSoup(get_text(client, "/en/"), "lxml")
    assert [use["href"] for use in page.select(".feed use")] == ["#i-improve"]


async def test_good_news_of_the_week_is_worded_as_good(app):
    await execute_runs(app, 8, **{NOUR.typed_text: "gone"})
    app.web.answers = {}
    for day in range(8, 10):
        await execute_run(app, night_of(day))
    with logged_in_client(app, night_of(9) + timedelta(hours=8)) as client:
        text = get_text(client, "/en/")
    assert "1 problem fixed this week" in text
    assert "Facebook page found again" in text


async def test_changes_page_lists_changes_since_the_given_day(app):
    await execute_runs(app, 8, **{NOUR.typed_text: "gone"})
    with logged_in_client(app, night_of(7) + timedelta(hours=8)) as client:
        changes = get_text(client, "/en/changes?since=2026-03-05")
        assert "What’s new since 5 March 2026" in changes
        assert "no longer works" in changes
        assert "no longer works" not in get_text(client, "/en/changes?since=2026-03-08")


async def test_changes_page_shows_the_last_seven_days_by_default(app):
    await execute_runs(app, 8, **{NOUR.typed_text: "gone"})
    with logged_in_client(app, night_of(7) + timedelta(hours=8)) as client:
        for path in ("/en/changes", "/en/changes?since=no+day"):
            assert "What’s new since 2 March 2026" in get_text(client, path)
            page = client.get(path).text
            assert page.count('since=2026-03-02" aria-current="true"') == 1
        assert 'href="/en/changes?since=2026-03-08"' in page


async def test_changes_since_a_day_in_the_future_are_those_of_today(app):
    await execute_runs(app, 3)
    with logged_in_client(app, night_of(2) + timedelta(hours=8)) as client:
        page = get_text(client, "/en/changes?since=9999-12-31")
    assert "What’s new since 3 March 2026" in page
    assert "nothing to compare with" not in page


@pytest.fixture(scope="module")
def sample_app(tmp_path_factory):
    network = sample_network.played(tmp_path_factory.mktemp("network"))
    with contextlib.closing(network.store):
        yield network


@pytest.mark.parametrize("language", ["en", "fr"])
def test_every_number_leads_to_a_list_of_that_size(sample_app, language):
    with logged_in_client(sample_app, sample_network.NOW) as client:
        page = BeautifulSoup(client.get(f"/{language}/").text, "lxml")
        links = page.select("main a[href*='/associations?']")
        numbers = {link["href"]: read_number(link) for link in links}
        sizes = {url: read_list_size(client, url) for url, number in numbers.items() if number}
    assert len(sizes) >= 20
    assert {url: numbers[url] for url in sizes} == sizes


def read_number(link):
    """Return the number in a link, or None. On a tile it is that of the list it leads to."""
    numbers = re.findall(r"\d+", link.get_text(" "))
    is_whole_region = link.find_parent("svg") and "gap_kind" not in link["href"]
    return int(numbers[-1 if is_whole_region else 0]) if numbers else None


def read_list_size(client, url):
    page = BeautifulSoup(client.get(url).text, "lxml")
    return int(re.search(r"\d+", page.select_one("main [role=status]").get_text())[0])


def test_week_agrees_with_the_page_of_changes(sample_app):
    with logged_in_client(sample_app, sample_network.NOW) as client:
        page = BeautifulSoup(get_text(client, "/en/"), "lxml")
        (news_url,) = {link["href"] for link in page.select("main a[href*='/changes?since=']")}
        news = BeautifulSoup(get_text(client, news_url), "lxml")
    week = page.select_one("#week").find_parent("section").get_text()
    opened, missing, fixed = [
        sum(map(int, re.findall(rf"(\d+) {text}", week)))
        for text in (
            "new problems? this week",
            "missing accounts? (?:was|were) found",
            "problems? fixed this week",
        )
    ]
    days = [day.get_text() for day in page.select(".week li")]
    assert opened == sum(int(re.search(r"(\d+) new problem", day)[1]) for day in days) > 0
    assert fixed == sum(int(re.search(r"(\d+) problems? fixed", day)[1]) for day in days)
    status = news.select_one("main [role=status]").get_text()
    assert re.search(r"(\d+) new problem", status)[1] == str(opened + missing)
    assert re.search(r"(\d+) problems? fixed", status)[1] == str(fixed)
