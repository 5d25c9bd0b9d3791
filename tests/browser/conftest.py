"""A real Chromium over a small network that is made once for the session."""

import contextlib
import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest
from playwright.sync_api import sync_playwright

from auditor import report_links
from auditor.config.notifications import NotifySettings
from auditor.reports import publish_site
from auditor.users import service
from auditor.web.access import INVITE_COOKIE, SESSION_COOKIE
from auditor.web.request_context import REPORT_LINK_COOKIE
from tests.browser import debian
from tests.browser.pages import PAGES, PUBLISHED
from tests.support import sample_network
from tests.support.web_server import create_session, get_or_create_user, serve_app


@pytest.fixture(scope="session")
def app(tmp_path_factory):
    """The network, its nights behind it, which can send mail."""
    played = sample_network.played(tmp_path_factory.mktemp("network"))
    mail = {"from": "auditor@example.org", "smtp": {"host": "mail.example.org"}}
    played.config = played.config.model_copy(update={"notify": NotifySettings.model_validate(mail)})
    with contextlib.closing(played.store):
        yield played


@pytest.fixture(scope="session")
def address(app):
    """Where the network's pages are served."""
    with serve_app(app, sample_network.NOW) as told:
        yield told


@pytest.fixture(scope="session")
def folder(app, tmp_path_factory):
    """Where the pages of `auditor publish` are served, as any web server would."""
    written = tmp_path_factory.mktemp("pages")
    publish_site(app, written, sample_network.NOW)
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=written)) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()
        thread.join()


class Quiet(SimpleHTTPRequestHandler):
    """A web server for a folder that says nothing of its requests."""

    def log_message(self, *told):
        """Say nothing."""


@pytest.fixture(scope="session")
def way(address, folder):
    """The address of a page, by its name, in a language."""

    def to(name, language):
        root, path = (folder, PUBLISHED[name]) if name in PUBLISHED else (address, PAGES[name])
        return f"{root}/{language}{path}"

    return to


@pytest.fixture(scope="session")
def cookies(app, address):
    """What a browser keeps that a letter, a login and another user's link have let in."""
    _, link = report_links.create_report_link(
        app.store, app.config, "nour", "Amina", sample_network.NOW, keep_older_links=True
    )
    invited = service.create_invite(
        app.store, get_or_create_user(app.store, "Salma"), "Amina", sample_network.NOW
    )
    kept = {
        REPORT_LINK_COOKIE: link.rpartition("/")[2],
        SESSION_COOKIE: create_session(app.store),
        INVITE_COOKIE: invited,
    }
    return [{"name": name, "value": value, "url": address} for name, value in kept.items()]


@pytest.fixture(scope="module")
def chromium(way):
    """Debian's browser; without one these tests are skipped, and say so.

    It keeps an event loop running in this thread, so it must end before tests of other modules begin theirs.
    """
    found = debian.chromium()
    if found is None:
        pytest.skip("apt-get install chromium")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=debian.FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(chromium, cookies):
    """A page of a browser as people have it; nothing moves, so that no colour is caught on its way."""
    with contextlib.closing(chromium.new_context(reduced_motion="reduce")) as context:
        context.add_cookies(cookies)
        yield context.new_page()


@pytest.fixture
def bare_tab(chromium, cookies):
    """A page of a browser without JavaScript."""
    with contextlib.closing(chromium.new_context(java_script_enabled=False)) as context:
        context.add_cookies(cookies)
        yield context.new_page()


@pytest.fixture
def complaints(tab):
    """What the browser complains of while a page is open: errors, fences that were touched, lost requests."""
    told = []

    def hear(message):
        if message.type in ("error", "warning"):
            told.append(f"console: {message.text}")

    def miss(request):
        told.append(f"request: {request.url} {request.failure}")

    tab.on("console", hear)
    tab.on("requestfailed", miss)
    yield told
    tab.remove_listener("console", hear)
    tab.remove_listener("requestfailed", miss)
