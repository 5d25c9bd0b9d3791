"""A coordinator starts the first check from the browser and sees how far it is."""

import asyncio
import contextlib
import threading
from datetime import timedelta

import httpx
import pytest

from auditor.checking import checker
from auditor.conclusions.network_view import load_association_view
from auditor.config.schema import NetworkSettings
from auditor.core.errors import RunLockedError
from auditor.core.i18n.translator import Translator
from auditor.core.rendering.templates import StaticSiteLinks
from auditor.presentation.reports.html import ReportForms, render_report
from auditor.runs.check_now import has_results
from auditor.runs.run import execute_run
from auditor.runs.scheduling import SchedulerJob
from auditor.web.access import SESSION_COOKIE
from storage.models.audit import AuditRunState
from storage.models.run_report import RunReport
from storage.models.users import Role
from tests.integration.web.test_registry import read_text
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.web_server import create_session, serve_app

NOW = night_of(3) + timedelta(hours=9)
NEXT_START = Translator("en").format_datetime(night_of(4), NetworkSettings().time_zone)
NEXT_CHECK = f"The next check starts on {NEXT_START}."
TIMEOUT_SECONDS = 30
SITE = link("nour", "website", "nour")
PAGE = link("nour", "facebook", "nour")


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)
    opened_network = opened(tmp_path)
    yield opened_network
    opened_network.store.close()


class Runner:
    """Executes a run, and waits for `release` before it begins, or raises `error`."""

    def __init__(self, error=None):
        self.release = threading.Event()
        self.error = error
        self.started_days = []

    async def __call__(self, app, now, *, day, stop):
        self.started_days.append(day)
        await asyncio.to_thread(self.release.wait, TIMEOUT_SECONDS)
        if self.error:
            raise self.error
        return await execute_run(app, now, day=day, stop=stop)


class Browser:
    """The pages with a run starter, and a client that is logged in."""

    def __init__(self, client, starter, runner):
        self.client, self.starter, self.runner = client, starter, runner

    def press_check_now(self):
        """Press the button, and return the page that follows."""
        response = self.client.post("/en/check")
        return self.client.get(response.headers["location"])

    def wait_for_end(self):
        """Release the run, and follow its page until it redirects."""
        self.runner.release.set()
        while self.starter.is_running:
            self.client.get("/en/check")
        return self.client.get("/en/check")


@contextlib.contextmanager
def open_browser(network, runner=None, role=Role.COORDINATOR, regions=(), *, with_starter=True):
    runner = runner or Runner()
    starter = SchedulerJob(network, runner, lambda: NOW)
    with (
        serve_app(network, NOW, run_starter=starter if with_starter else None) as url,
        httpx.Client(base_url=url, trust_env=False, timeout=TIMEOUT_SECONDS) as client,
    ):
        session = create_session(network.store, "Amina", role, regions)
        client.cookies.set(SESSION_COOKIE, session)
        try:
            yield Browser(client, starter, runner)
        finally:
            runner.release.set()


def test_empty_network_offers_the_template_and_an_upload(network):
    with open_browser(network) as browser:
        text = browser.client.get("/en/").text
    assert "No associations yet." in text
    assert 'href="/en/registry/template.xlsx"' in text
    assert 'name="spreadsheet"' in text
    assert 'action="/en/check"' not in text


def test_unchecked_network_says_so_and_when_the_next_check_starts(network):
    register(network, SITE, now=NOW)
    with open_browser(network) as browser:
        text = browser.client.get("/en/").text
    assert "1 association registered, not checked yet." in read_text(text)
    assert NEXT_CHECK in read_text(text)
    assert 'action="/en/check"' in text


@pytest.mark.parametrize("page", ["gaps", "changes", "meeting", "groups"])
def test_page_of_results_says_that_nothing_is_checked_yet(network, page):
    with open_browser(network) as browser:
        assert "No associations yet." in browser.client.get(f"/en/{page}").text
        register(network, SITE, now=NOW)
        response = browser.client.get(f"/en/{page}")
        assert response.status_code == 200
        text = read_text(response.text)
        assert text.startswith("Not checked yet 1 association registered, not checked yet.")
        assert NEXT_CHECK in text
        browser.press_check_now()
        browser.wait_for_end()
        assert "not checked yet" not in browser.client.get(f"/en/{page}").text.lower()


@pytest.mark.parametrize(("role", "regions"), [(Role.READER, ()), (Role.COORDINATOR, ("Souss",))])
def test_check_can_be_started_only_with_the_right_for_all_regions(network, role, regions):
    register(network, SITE, now=NOW)
    with open_browser(network, role=role, regions=regions) as browser:
        assert 'action="/en/check"' not in browser.client.get("/en/").text
        assert browser.client.post("/en/check").status_code == 403
    assert not browser.runner.started_days


def test_check_shows_its_progress_and_then_the_results(network):
    register(network, SITE, PAGE, now=NOW)
    with open_browser(network) as browser:
        page = browser.press_check_now()
        assert "The check is running" in page.text
        assert "<progress" in page.text
        assert page.headers["refresh"] == "3; url=/en/check"
        assert "The check is running" in browser.client.get("/en/").text
        end = browser.wait_for_end()
        assert (end.status_code, end.headers["location"]) == (303, "/en/")
        assert "not checked yet" not in browser.client.get("/en/").text
    assert network.store.runs.get_latest().state is AuditRunState.DONE
    assert browser.runner.started_days == [NOW.date()]


def test_progress_counts_the_checked_accounts(network):
    register(network, SITE, PAGE, now=NOW)
    run = network.store.runs.begin_or_resume(NOW.date(), NOW)
    network.store.runs.save_open_report(run, RunReport(accounts_due=2))
    with open_browser(network) as browser:
        page = browser.press_check_now()
    assert "0 of 2 accounts checked" in read_text(page.text)
    assert 'max="2"' in page.text


def test_second_click_during_a_check_is_refused(network):
    register(network, SITE, now=NOW)
    with open_browser(network) as browser:
        browser.press_check_now()
        page = browser.press_check_now()
        browser.wait_for_end()
    assert "A check is already running." in page.text
    assert browser.runner.started_days == [NOW.date()]


def test_check_of_another_process_is_not_disturbed(network):
    register(network, SITE, now=NOW)
    network.store.runs.begin_or_resume(NOW.date(), NOW)
    network.locked = True
    with open_browser(network) as browser:
        page = browser.press_check_now()
    assert "A check is already running." in page.text
    assert "refresh" in page.headers
    assert not browser.runner.started_days


def test_day_has_one_check(network):
    register(network, SITE, now=NOW)
    with open_browser(network) as browser:
        browser.press_check_now()
        browser.wait_for_end()
        page = browser.press_check_now()
    assert "Today’s check has finished already." in page.text
    assert NEXT_CHECK in read_text(page.text)
    assert browser.runner.started_days == [NOW.date()]


def test_page_after_an_import_offers_no_second_check_of_the_day(network):
    register(network, SITE, now=NOW)
    imported_url = "/en/registry?imported=1-0-0"
    with open_browser(network) as browser:
        assert 'action="/en/check"' in browser.client.get(imported_url).text
        browser.press_check_now()
        browser.wait_for_end()
        text = browser.client.get(imported_url).text
    assert 'action="/en/check"' not in text
    assert NEXT_CHECK in read_text(text)


def test_report_before_the_first_check_gives_no_level(network):
    register(network, SITE, now=NOW)
    view = load_association_view(network.store, network.config, "nour")
    links = StaticSiteLinks("nour.html", ("en",))
    page = read_text(render_report(view, network.config, NOW, links, "en", forms=ReportForms()))
    assert "Not checked yet. After the first check" in page
    assert "Website not checked yet" in page
    for text in ("Level", "could not be checked", "last night"):
        assert text not in page


def test_run_before_the_first_import_is_replaced(network):
    asyncio.run(execute_run(network, NOW - timedelta(hours=8)))
    register(network, SITE, now=NOW)
    assert not has_results(network.store)
    with open_browser(network) as browser:
        assert "not checked yet" in browser.client.get("/en/").text
        browser.press_check_now()
        browser.wait_for_end()
    assert has_results(network.store)
    [run] = network.store.runs.list_all()
    assert sum(network.store.observations.count_by_presence(run.id).values()) == 1


def test_several_runs_before_the_first_import_are_no_results(network):
    for days in (2, 1):
        asyncio.run(execute_run(network, NOW - timedelta(days=days)))
    register(network, SITE, now=NOW)
    assert not has_results(network.store)
    with open_browser(network) as browser:
        assert "not checked yet" in browser.client.get("/en/").text
        assert "not checked yet" in browser.client.get("/en/meeting").text
        browser.press_check_now()
        browser.wait_for_end()
    assert has_results(network.store)


def test_failed_check_is_said(network):
    register(network, SITE, now=NOW)
    with open_browser(network, Runner(OSError("no disk"))) as browser:
        browser.press_check_now()
        page = browser.wait_for_end()
        assert "The check stopped because of a problem." in page.text
        assert 'action="/en/check"' in page.text
        assert "refresh" not in page.headers


def test_run_that_another_process_executes_is_no_failure(network):
    register(network, SITE, now=NOW)
    locked = RunLockedError("another run is in progress", "this machine", "wait")
    with open_browser(network, Runner(locked)) as browser:
        browser.press_check_now()
        assert browser.wait_for_end().headers["location"] == "/en/"


def test_pages_without_a_starter_offer_no_check(network):
    register(network, SITE, now=NOW)
    with open_browser(network, with_starter=False) as browser:
        assert 'action="/en/check"' not in browser.client.get("/en/").text
        assert browser.client.post("/en/check").headers["location"] == "/en/"
