"""One story from start to end: import, run, report link, reply, decision, and the next run."""

import asyncio
import contextlib
import socket
import threading
from datetime import UTC, datetime, timedelta

import pytest

from auditor.app import App
from auditor.demo import associations, play
from auditor.runs import run
from auditor.web.access import SESSION_COOKIE
from storage.models.users import Role
from tests.support.web_server import create_session, serve_app

pytestmark = pytest.mark.browser

FIRST = datetime(2026, 11, 24, 0, 30, tzinfo=UTC)
AFTER_RUN = timedelta(hours=8)
ASSOCIATION = "a001"
GAP_TITLE = "Aucun compte YouTube connu pour votre association"
NEW_ACCOUNT_URL = "https://www.youtube.com/@GazetteTamesnaSud"


class DemoWorld:
    """The demo network, runs on request, and the clock of the web pages."""

    def __init__(self, folder):
        self.folder = folder
        self.now = FIRST - timedelta(hours=1)
        self.loop = asyncio.new_event_loop()
        self.thread = threading.Thread(target=self.loop.run_forever)

    def __enter__(self):
        self.thread.start()
        play.prepare_demo_folder(self.folder)
        self.web = play.FakeWebProcess(self.folder / "ca.pem")
        self.wait(self.web.__aenter__())
        with contextlib.closing(socket.create_server(("127.0.0.1", 0))) as free:
            self.port = free.getsockname()[1]
        config = play.write_demo_config(self.folder, self.web.port)
        public = config.web.model_copy(update={"public_url": f"http://127.0.0.1:{self.port}"})
        self.app = App.open(config.model_copy(update={"web": public}))
        return self

    def __exit__(self, *_):
        self.app.close()
        self.wait(self.web.__aexit__(None, None, None))
        self.loop.call_soon_threadsafe(self.loop.stop)
        self.thread.join()
        self.loop.close()

    def wait(self, coroutine):
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result()

    def run_audit(self, number):
        """Execute the run of a day; afterwards the clock is at 08:30."""
        started_at = FIRST + timedelta(days=number - 1)
        self.wait(self.web.switch_to_run(play.DemoRun(number, 14, started_at)))
        self.wait(run.execute_run(self.app, started_at))
        self.now = started_at + AFTER_RUN


@pytest.fixture
def world(tmp_path):
    with DemoWorld(tmp_path / "network") as demo, serve_app(demo.app, lambda: demo.now, demo.port):
        yield demo


@pytest.fixture
def desk(chromium, world):
    """The coordinator's browser."""
    size, home = {"width": 1280, "height": 900}, f"http://127.0.0.1:{world.port}"
    with contextlib.closing(
        chromium.new_context(base_url=home, viewport=size, locale="fr-MA")
    ) as context:
        cookie = create_session(world.app.store, "La coordination", Role.COORDINATOR)
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": home}])
        yield context.new_page()


@pytest.fixture
def phone(chromium):
    """The volunteer's browser: small, and without JavaScript."""
    size = {"width": 360, "height": 740}
    with contextlib.closing(
        chromium.new_context(
            viewport=size, java_script_enabled=False, locale="ar-MA", has_touch=True
        )
    ) as context:
        yield context.new_page()


@pytest.mark.slow
def test_accepted_reply_closes_the_gap_in_the_next_run(world, desk, phone):
    import_spreadsheet(world, desk)
    world.run_audit(1)
    desk.goto("/fr/")
    assert "24 novembre 2026" in desk.locator("main").inner_text()
    assert GAP_TITLE in list_gap_titles(desk)
    phone.goto(create_report_link(desk))
    send_reply(phone)
    accept_reply(desk)
    world.run_audit(2)
    assert GAP_TITLE not in list_gap_titles(desk)
    desk.goto("/fr/changes")
    fixed_row = desk.locator("table", has_text="Réglé").locator("tr", has_text=GAP_TITLE)
    assert fixed_row.locator(f"a[href$='/associations/{ASSOCIATION}']").count() == 1
    phone.reload()
    assert "youtube.com" in phone.locator("main").inner_text()


def import_spreadsheet(world, desk):
    """Upload the workbook, open its preview, and import it."""
    path = associations.write_demo_spreadsheet(world.folder / "registry.xlsx")
    desk.goto("/fr/registry")
    desk.set_input_files("input[type=file]", path)
    desk.locator("form[enctype] button").click()
    desk.locator("button[value=import]").click()
    assert "100 associations" in desk.locator("p.lead").inner_text()


def list_gap_titles(desk):
    """Return the headings of the association's page."""
    desk.goto(f"/fr/associations/{ASSOCIATION}")
    return " · ".join(desk.locator("article h3").all_inner_texts())


def create_report_link(desk):
    """Create a report link in the browser, and return it."""
    desk.goto(f"/fr/report-links/{ASSOCIATION}")
    desk.locator("form[action$='/create'] button").click()
    return desk.locator("input[readonly]").first.input_value()


def send_reply(phone):
    """Send the address of the missing account from the Arabic report."""
    assert phone.locator("html").get_attribute("dir") == "rtl"
    gap = phone.locator("article", has_text="يوتيوب").first
    gap.locator("summary").click()
    gap.locator("input[name=value][dir=ltr]").fill(NEW_ACCOUNT_URL)
    gap.locator("button[value=moved]").click()
    phone.locator("[role=status]").wait_for()


def accept_reply(desk):
    """Accept the pending reply."""
    desk.goto("/fr/replies")
    reply = desk.locator("article", has_text="GazetteTamesnaSud")
    reply.locator("button[value=accepted]").click()
    desk.locator("#message").wait_for()
