"""The dashboard and the page of changes."""

import re
from datetime import timedelta

import pytest
from bs4 import BeautifulSoup

from auditor.checking import checker
from auditor.runs.run import execute_run
from storage.models.audit import Association, AssociationEntry, AuditRunState, Contact
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support import sample_network
from tests.support.mini_network import START, link, night_of, opened, steps
from tests.support.web_server import get_text, logged_in_client

NOUR, AMAL = link("nour", "facebook", "nour"), link("amal", "facebook", "amal")
ENTRIES = [
    AssociationEntry(
        Association("nour", "Nour", region="Souss-Massa"), Contact(phone="0612345678")
    ),
    Association("amal", "Amal", region="L’Oriental"),
]


@pytest.fixture
def app(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    network = opened(tmp_path)
    network.store.registry.save_registry(ENTRIES, [NOUR, AMAL], START)
    yield network
    network.store.close()


async def execute_runs(app, days, **answers):
    app.web.answers = answers
    for day in range(days):
        await execute_run(app, night_of(day))


def check_dashboard(app, now, *parts, **user):
    """Return the text of the dashboard. Fail unless it has these parts."""
    with logged_in_client(app, now, **user) as client:
        return get_text(client, "/en/", *parts)


@pytest.mark.smoke
async def test_dashboard_summarizes_the_latest_run_and_unknown_accounts(app):
    await execute_runs(app, 1, **{NOUR.typed_text: "wall"})
    check_dashboard(
        app,
        night_of(0) + timedelta(hours=8),
        "2 accounts checked on 1 March 2026. 1 couldn’t be checked.",
        "The next check starts on 2 March 2026",
        "1 · the platform asks visitors to sign in",
        'href="/en/associations?channel=facebook&amp;state=unknown&amp;reason=login_wall"',
        "First check: there is nothing to compare with yet.",
    )


async def test_dashboard_warns_about_an_old_interrupted_or_unreliable_run(app):
    await execute_runs(app, 1)
    old = "The last check finished on 1 March 2026. Tell your technical team."
    check_dashboard(app, night_of(5), old, "2 accounts checked on 1 March 2026.")
    run = app.store.runs.begin_or_resume(night_of(5).date(), night_of(5))
    app.store.runs.finish(
        run, AuditRunState.INCOMPLETE, night_of(5), unreliable_channels=["facebook"]
    )
    unreliable = "Facebook could not be checked reliably in the latest check."
    check_dashboard(app, night_of(5), "The last check was interrupted", unreliable)


async def test_page_counts_who_needs_a_call_and_offers_to_log_it(app):
    await execute_runs(app, 8, **{NOUR.typed_text: "gone"})
    message = {"kind": FollowUpKind.WROTE, "author": "Amina", "occurred_at": night_of(6)}
    app.store.follow_ups.add(FollowUp(association="nour", **message))
    now = night_of(7) + timedelta(hours=8)
    with logged_in_client(app, now) as client:
        get_text(
            client,
            "/en/",
            "1 association needs you today.",
            "Message · 7 March 2026",
            'href="tel:+212612345678"',
            'href="/en/associations/nour/whatsapp"',
            'href="/en/associations?gap_kind=broken">1 association has a broken',
        )
        client.post("/en/associations/nour/follow-ups", data={"kind": "called", "text": "soon"})
    check_dashboard(app, now, "No association needs you today.", "1 of them is being followed up.")


def read_number(link):
    """Return the number in a link, or None. On a tile it is that of the list it leads to."""
    numbers = re.findall(r"\d+", link.get_text(" "))
    is_whole_region = link.find_parent("svg") and "gap_kind" not in link["href"]
    return int(numbers[-1 if is_whole_region else 0]) if numbers else None


def read_soup(client, url):
    return BeautifulSoup(get_text(client, url), "lxml")


def read_list_size(client, url):
    status = read_soup(client, url).select_one("main [role=status]")
    return int(re.search(r"\d+", status.get_text())[0])


@pytest.mark.slow
def test_every_number_leads_to_a_list_of_that_size(sample_app):
    with logged_in_client(sample_app, sample_network.NOW) as client:
        page = read_soup(client, "/en/")
        links = page.select("main a[href*='/associations?']")
        numbers = {link["href"]: read_number(link) for link in links}
        sizes = {url: read_list_size(client, url) for url, number in numbers.items() if number}
    assert len(sizes) >= 20
    assert {url: numbers[url] for url in sizes} == sizes


@pytest.mark.slow
def test_week_agrees_with_the_page_of_changes(sample_app):
    with logged_in_client(sample_app, sample_network.NOW) as client:
        page = read_soup(client, "/en/")
        [news_url] = {link["href"] for link in page.select("main a[href*='/changes?since=']")}
        news = read_soup(client, news_url)
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
    shown = [re.search(rf"(\d+) {text}", status)[1] for text in ("new problem", "problems? fixed")]
    assert shown == [str(opened + missing), str(fixed)]
