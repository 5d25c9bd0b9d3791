"""Fixtures: Chromium, and a sample network that is created once for the session."""

import contextlib

import pytest
from playwright.sync_api import sync_playwright

from auditor.config.notifications import NotifySettings
from auditor.presentation import report_links
from auditor.presentation.reports.html import publish_site
from auditor.web import users
from auditor.web.access import INVITE_COOKIE, SESSION_COOKIE
from auditor.web.routes.report import REPORT_LINK_COOKIE
from tests.browser.pages import CHROMIUM_FLAGS, PAGES, STATIC_PAGES, find_chromium
from tests.support import sample_network
from tests.support.web_server import create_session, get_or_create_user, serve_app


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The sample network after its runs, with a mail server configured."""
    network = sample_network.played(tmp_path_factory.mktemp("network"))
    mail = {"from": "auditor@example.org", "smtp": {"host": "mail.example.org"}}
    notify = NotifySettings.model_validate(mail)
    network.config = network.config.model_copy(update={"notify": notify})
    with contextlib.closing(network.store):
        yield network


@pytest.fixture(scope="session")
def server_url(app):
    """The address of the web application."""
    with serve_app(app, sample_network.NOW) as url:
        yield url


@pytest.fixture(scope="session")
def page_url(app, server_url, tmp_path_factory):
    """Return the address of a page by its name and language.

    The pages of `auditor publish` are files.
    """
    folder = tmp_path_factory.mktemp("pages")
    publish_site(app, folder, sample_network.NOW)

    def build_url(name, language):
        if name in STATIC_PAGES:
            return f"file://{folder}/{language}{STATIC_PAGES[name]}"
        return f"{server_url}/{language}{PAGES[name]}"

    return build_url


@pytest.fixture(scope="session")
def cookies(app, server_url):
    """Cookies of a report link, a session, and another user's one-time link."""
    _, report_url = report_links.create_report_link(
        app.store, app.config, "nour", "Amina", sample_network.NOW
    )
    salma = get_or_create_user(app.store, "Salma")
    values = {
        REPORT_LINK_COOKIE: report_url.rpartition("/")[2],
        SESSION_COOKIE: create_session(app.store),
        INVITE_COOKIE: users.create_invite(app.store, salma, "Amina", sample_network.NOW),
    }
    return [{"name": name, "value": value, "url": server_url} for name, value in values.items()]


@pytest.fixture(scope="module")
def chromium(page_url):
    """Debian's Chromium; without it these tests are skipped.

    Playwright keeps an event loop running in this thread, so it must end before tests of other
    modules start theirs.
    """
    path = find_chromium()
    if path is None:
        pytest.skip("apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=path, args=CHROMIUM_FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(chromium, cookies):
    """A browser page with cookies, and without animations, so that colours are final."""
    with contextlib.closing(chromium.new_context(reduced_motion="reduce")) as context:
        context.add_cookies(cookies)
        yield context.new_page()


@pytest.fixture(scope="module")
def tab_without_javascript(chromium, cookies):
    """A browser page with cookies and without JavaScript."""
    with contextlib.closing(chromium.new_context(java_script_enabled=False)) as context:
        context.add_cookies(cookies)
        yield context.new_page()


@pytest.fixture
def browser_messages(tab):
    """Errors, policy violations and failed requests that the browser reports."""
    messages = []

    def on_console(message):
        if message.type in ("error", "warning"):
            messages.append(f"console: {message.text}")

    def on_request_failed(request):
        messages.append(f"request: {request.url} {request.failure}")

    tab.on("console", on_console)
    tab.on("requestfailed", on_request_failed)
    yield messages
    tab.remove_listener("console", on_console)
    tab.remove_listener("requestfailed", on_request_failed)
