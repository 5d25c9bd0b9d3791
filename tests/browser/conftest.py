"""A real Chromium over a small network that is made once for the session."""

import contextlib
import shutil
from pathlib import Path

import network
import pytest
from playwright.sync_api import sync_playwright
from served import served

AXE = Path(__file__).with_name("axe.min.js").read_text("utf-8")
FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]


@pytest.fixture(scope="session")
def address(tmp_path_factory):
    """Where the network's pages are served."""
    app = network.played(tmp_path_factory.mktemp("network"))
    with contextlib.closing(app.store), served(app, network.NOW) as told:
        yield told


@pytest.fixture(scope="module")
def chromium(address):
    """Debian's browser; without one these tests are skipped, and say so.

    It keeps an event loop running in this thread, so it must end before tests of other modules begin theirs.
    """
    found = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if found is None:
        pytest.skip("there is no Chromium here (apt-get install chromium)")
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def tab(chromium, address):
    """A page of a browser as people have it; nothing moves, so that no colour is caught on its way."""
    with contextlib.closing(chromium.new_context(base_url=address, reduced_motion="reduce")) as context:
        yield context.new_page()


@pytest.fixture
def bare_tab(chromium, address):
    """A page of a browser without JavaScript."""
    with contextlib.closing(chromium.new_context(base_url=address, java_script_enabled=False)) as context:
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


@pytest.fixture(scope="session")
def axe():
    """The source of axe-core."""
    return AXE
