"""Everyday tasks of a coordinator, counted in clicks and pages, and undone in one click."""

import contextlib
import re
from dataclasses import replace
from datetime import timedelta

import pytest

from auditor.presentation.report_links import create_report_link
from auditor.web.access import SESSION_COOKIE
from storage.models.audit import Contact
from storage.models.users import Role
from tests.browser.pages import DESKTOP, PHONE
from tests.support import sample_network
from tests.support.sample_network import PEOPLE
from tests.support.web_server import create_session, serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REPORT_LINK = re.compile(r"https://reports\.example\.org(/r/[\w-]+)")


class Coordinator:
    """A person in front of the pages, whose clicks and pages are counted, and whose clock moves."""

    def __init__(self, tab, app, url):
        self.tab, self.app, self.url = tab, app, url
        self.now, self.clicks, self.pages = sample_network.NOW, 0, 0
        tab.on("framenavigated", self.count_page)

    def count_page(self, frame):
        self.pages += frame == self.tab.main_frame

    def open(self, path):
        self.tab.goto(f"{self.url}/en{path}")
        self.clicks, self.pages = 0, 1

    def click(self, selector, **options):
        self.tab.locator(selector, **options).first.click()
        self.clicks += 1

    def undo(self):
        """Click Undo in the banner, and return what it says then."""
        self.clicks = 0
        self.click("#message button")
        assert self.clicks == 1
        return self.tab.locator("#message").inner_text()


@pytest.fixture
def coordinator(chromium, tmp_path):
    app = sample_network.played(tmp_path)
    with contextlib.closing(app.store):
        session = create_session(app.store, "Salma", Role.COORDINATOR)
        people = []
        with (
            serve_app(app, lambda: people[0].now if people else sample_network.NOW) as url,
            contextlib.closing(chromium.new_context(viewport=DESKTOP)) as context,
        ):
            context.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": url}])
            people.append(Coordinator(context.new_page(), app, url))
            yield people[0]


def test_report_links_reach_ten_associations_in_twelve_clicks(coordinator):
    tab, registry = coordinator.tab, coordinator.app.store.registry
    contacts = [Contact(phone=f"06 12 34 56 {number:02}") for number in range(len(PEOPLE))]
    entries = [
        replace(entry, contact=contact) for entry, contact in zip(PEOPLE, contacts, strict=True)
    ]
    registry.save_registry(entries, registry.list_accounts(), coordinator.now, is_complete=False)
    coordinator.open("/associations")
    coordinator.click("thead input[type=checkbox]")
    coordinator.click("button[value=messages]")
    texts = tab.locator("article textarea").evaluate_all("all => all.map(area => area.value)")
    paths = [REPORT_LINK.search(text)[1] for text in texts]
    buttons = tab.locator("article a[target=_blank]")
    for number in range(10):
        with tab.context.expect_page() as chat:
            buttons.nth(number).click()
        chat.value.close()
        coordinator.clicks += 1
    assert coordinator.clicks <= 12
    tab.go_back()
    tab.go_forward()
    tab.reload()
    assert tab.locator("article .badge").count() == 10
    for path in paths:
        assert tab.request.get(f"{coordinator.url}{path}").ok


def test_promise_is_noted_in_three_clicks_and_due_on_its_day(coordinator):
    coordinator.open("/")
    coordinator.click("a[href$='/calls']")
    name = coordinator.tab.locator("h1").inner_text()
    coordinator.click("button[value=promised]")
    assert coordinator.clicks <= 3
    assert name in coordinator.tab.locator("#message").inner_text()
    coordinator.now += timedelta(days=8)
    coordinator.open("/")
    promises = coordinator.tab.locator("#promises + ul > li")
    assert promises.locator(".badge", has_text="late").count() == 1
    assert name in promises.first.inner_text()


def test_association_is_added_on_three_pages_and_taken_back(coordinator):
    coordinator.open("/registry")
    coordinator.click("a[href$='/registry/entries']")
    coordinator.tab.locator("input[name=name]").fill("Association Tifawt")
    coordinator.click("main form button:not([name])")
    assert coordinator.pages <= 3
    assert "Association Tifawt" in coordinator.tab.locator("h1").inner_text()
    coordinator.tab.reload()
    assert coordinator.undo() == "Undone."
    coordinator.open("/associations?q=tifawt")
    assert coordinator.tab.locator("tbody tr").count() == 0


UNDOABLE_ACTIONS = {
    "promise": ("/calls", "button[value=promised]"),
    "found account": ("/", "button[value=accepted]"),
    "none by choice": ("/associations/amal", "form[action*=none_by_choice] button"),
    "reply": ("/replies", "button[value=accepted]"),
    "stop following": ("/registry/entries/nour", "form[action*=following] button"),
}


@pytest.mark.parametrize("name", UNDOABLE_ACTIONS)
def test_action_is_undone_in_one_click(coordinator, name):
    path, button = UNDOABLE_ACTIONS[name]
    coordinator.open(path)
    coordinator.click(f"main {button}")
    assert "Undone." in coordinator.undo()


def test_all_without_a_channel_of_a_region_are_invited_in_four_clicks(coordinator):
    coordinator.open("/associations")
    coordinator.click(".grid-chips a[href*='channel=youtube']")
    coordinator.tab.locator("select[name=region]").select_option("souss-massa")
    coordinator.tab.wait_for_url("**region=souss-massa**")
    coordinator.click("#select-all")
    names = coordinator.tab.locator("#selection tbody th > a").all_inner_texts()
    coordinator.tab.locator("input[name=title]").fill("Filmer une activité")
    coordinator.tab.locator("input[name=day]").fill("2027-01-15")
    coordinator.click("button[value=invite]")
    assert coordinator.clicks <= 4
    coordinator.tab.locator("main a", has_text="Filmer une activité").first.click()
    assert coordinator.tab.locator("main li label").count() == len(names) > 0


def test_final_report_of_a_period_is_three_clicks_away(coordinator):
    coordinator.open("/")
    coordinator.click(".site-nav a[href$='/meeting']")
    coordinator.click(".section-nav a[href$='/final-report']")
    coordinator.tab.locator("input[name=from]").fill("2026-11-02")
    coordinator.tab.locator("input[name=to]").fill("2026-11-05")
    coordinator.click("main form button")
    assert coordinator.clicks <= 3
    assert "2 November 2026 to 5 November 2026" in coordinator.tab.locator("main").inner_text()


def test_link_for_a_calendar_is_two_clicks_away(coordinator):
    coordinator.open("/")
    coordinator.click("#promises a")
    coordinator.click("form[action$='/account/feed'] button")
    assert coordinator.clicks <= 2
    assert "/feeds/" in coordinator.tab.locator("main input[readonly]").first.input_value()


def test_survey_is_answered_on_a_phone_with_eight_taps(coordinator):
    _, address = create_report_link(
        coordinator.app.store, coordinator.app.config, "amal", "Salma", coordinator.now
    )
    coordinator.tab.set_viewport_size(PHONE)
    coordinator.tab.goto(coordinator.url + "/r/" + address.rpartition("/")[2])
    coordinator.clicks = 0
    coordinator.click("a[href$='/report/survey']")
    while coordinator.tab.locator("form.answers").count():
        coordinator.click("form.answers button")
    assert coordinator.clicks <= 8
    assert coordinator.tab.locator("main dd", has_text="no answer").count() == 0
    coordinator.tab.go_back()
    coordinator.tab.reload()
    assert coordinator.tab.locator("form.answers").count() == 1
