"""A coordinator starts the first check from the browser and sees how far it is."""

import asyncio
import contextlib
import threading
from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.config.schema import NetworkSettings
from auditor.core.i18n.translator import Translator
from auditor.runs.run import execute_run
from auditor.runs.scheduling import SchedulerJob
from auditor.web.access import SESSION_COOKIE
from storage.models.audit import AuditRunState
from storage.models.run_report import RunReport
from storage.models.users import Role
from tests.integration.web.test_registry import read_text
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.web_server import anonymous_client, create_session, read_page

NOW = night_of(3) + timedelta(hours=9)
NEXT_START = Translator("en").format_datetime(night_of(4), NetworkSettings().time_zone)
NEXT_CHECK = f"The next check starts on {NEXT_START}."
NEXT_PASS = NOW + timedelta(minutes=30)
REFRESH = "3; url=/en/check"
TIMEOUT_SECONDS = 30
SITE = link("nour", "website", "nour")
PAGE = link("nour", "facebook", "nour")


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    opened_network = opened(tmp_path)
    yield opened_network
    opened_network.store.close()


class Browser:
    """A client that is logged in, and a run starter.

    A run waits for `release` before it begins, and raises `error`, if there is one.
    """

    def __init__(self, client, network, error):
        self.client, self.error = client, error
        self.release = threading.Event()
        self.started_days = []
        self.starter = SchedulerJob(network, self.execute_run, lambda: NOW)

    async def execute_run(self, app, now, *, day, stop):
        self.started_days.append(day)
        await asyncio.to_thread(self.release.wait, TIMEOUT_SECONDS)
        if self.error:
            raise self.error
        return await execute_run(app, now, day=day, stop=stop)

    def get_text(self, path="/en/"):
        return read_text(self.client.get(path).text)

    def press_check_now(self):
        """Press the button, and return the page that follows."""
        return self.client.get(self.client.post("/en/check").headers["location"])

    def wait_for_end(self):
        """Release the run, and follow its page until it redirects."""
        self.release.set()
        while self.starter.is_running:
            self.client.get("/en/check")
        return self.client.get("/en/check")


@contextlib.contextmanager
def open_browser(network, error=None, role=Role.COORDINATOR, regions=()):
    browser = Browser(None, network, error)
    with anonymous_client(network, NOW, run_starter=browser.starter) as browser.client:
        session = create_session(network.store, "Amina", role, regions)
        browser.client.cookies.set(SESSION_COOKIE, session)
        yield browser
        browser.release.set()


def test_empty_network_offers_the_template_and_an_upload(network):
    offers = ("No associations yet.", 'href="/en/registry/template.xlsx"', 'name="spreadsheet"')
    with open_browser(network) as browser:
        text = read_page(browser.client.get("/en/"), *offers)
    assert 'action="/en/check"' not in text


PAGES = ("gaps", "changes", "meeting", "groups")


def test_page_of_results_says_that_nothing_is_checked_yet(network):
    with open_browser(network) as browser:
        for page in PAGES:
            assert "No associations yet." in browser.get_text(f"/en/{page}")
        register(network, SITE, now=NOW)
        for page in PAGES:
            text = browser.get_text(f"/en/{page}")
            assert text.startswith("Not checked yet 1 association registered, not checked yet.")
            assert NEXT_CHECK in text
        browser.press_check_now()
        browser.wait_for_end()
        for page in PAGES:
            assert "not checked yet" not in browser.get_text(f"/en/{page}").lower()


@pytest.mark.parametrize(("role", "regions"), [(Role.READER, ()), (Role.COORDINATOR, ("Souss",))])
def test_check_can_be_started_only_with_the_right_for_all_regions(network, role, regions):
    register(network, SITE, now=NOW)
    with open_browser(network, role=role, regions=regions) as browser:
        assert 'action="/en/check"' not in browser.client.get("/en/").text
        assert browser.client.post("/en/check").status_code == 403
    assert not browser.started_days


@pytest.mark.smoke
def test_check_shows_its_progress_then_the_results_and_is_the_only_one_of_the_day(network):
    register(network, SITE, PAGE, now=NOW)
    run = network.store.runs.begin_or_resume(NOW.date(), NOW)
    report = RunReport(accounts_due=2, second_pass_accounts=1, second_pass_at=NEXT_PASS)
    network.store.runs.save_open_report(run, report)
    with open_browser(network) as browser:
        page = browser.press_check_now()
        text = read_text(read_page(page, "The check is running"))
        assert ("0 of 2 accounts checked" in text, page.headers["refresh"]) == (True, REFRESH)
        time = Translator("en").format_time(NEXT_PASS, NetworkSettings().time_zone)
        assert f"1 account did not answer; it is checked again at {time}." in text
        assert "The check is running" in browser.get_text()
        read_page(browser.press_check_now(), "A check is already running.")
        assert browser.wait_for_end().headers["location"] == "/en/"
        assert "not checked yet" not in browser.get_text()
        text = read_text(
            read_page(browser.press_check_now(), "Today’s check has finished already.")
        )
    assert NEXT_CHECK in text
    assert network.store.runs.get_latest().state is AuditRunState.DONE
    assert browser.started_days == [NOW.date()]


def test_check_of_another_process_is_not_disturbed(network):
    register(network, SITE, now=NOW)
    network.store.runs.begin_or_resume(NOW.date(), NOW)
    network.locked = True
    with open_browser(network) as browser:
        page = browser.press_check_now()
    read_page(page, "A check is already running.")
    assert ("refresh" in page.headers, browser.started_days) == (True, [])


def test_run_before_the_first_import_is_replaced(network):
    asyncio.run(execute_run(network, NOW - timedelta(hours=8)))
    register(network, SITE, now=NOW)
    with open_browser(network) as browser:
        assert "not checked yet" in browser.get_text()
        browser.press_check_now()
        browser.wait_for_end()
    [run] = network.store.runs.list_all()
    assert sum(network.store.observations.count_by_presence(run.id).values()) == 1


@pytest.mark.parametrize(
    ("state", "said"),
    [
        (AuditRunState.SKIPPED, "There was no internet connection: nothing was checked"),
        (AuditRunState.INCOMPLETE, "The last check did not finish."),
    ],
)
def test_first_check_without_results_says_why_on_today(network, state, said):
    register(network, SITE, now=NOW)
    run = network.store.runs.begin_or_resume(NOW.date(), NOW)
    network.store.runs.finish(run, state, NOW)
    with open_browser(network) as browser:
        read_page(browser.client.get("/en/"), said, NEXT_CHECK, 'action="/en/check"')


def test_failed_check_is_said(network):
    register(network, SITE, now=NOW)
    with open_browser(network, OSError("no disk")) as browser:
        browser.press_check_now()
        page = browser.wait_for_end()
    read_page(page, "The check stopped because of a problem.", 'action="/en/check"')
    assert "refresh" not in page.headers
