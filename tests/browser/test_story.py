"""The whole story in one: a sheet, a night, a morning, a letter, an answer, a decision, the next night."""

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
MORNING = timedelta(hours=8)
ASSOCIATION = "a001"
GAP = "Aucun compte YouTube connu pour votre association"
THEIRS = "https://www.youtube.com/@GazetteTamesnaSud"


class World:
    """The practice web and the auditor over it: nights on request, and the clock of the pages."""

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

    def wait(self, work):
        return asyncio.run_coroutine_threadsafe(work, self.loop).result()

    def night(self, number):
        """Do a night; afterwards it is morning."""
        moment = FIRST + timedelta(days=number - 1)
        self.wait(self.web.switch_to_run(play.DemoRun(number, 14, moment)))
        self.wait(run.execute_run(self.app, moment))
        self.now = moment + MORNING


@pytest.fixture
def world(tmp_path):
    with World(tmp_path / "network") as made, serve_app(made.app, lambda: made.now, made.port):
        yield made


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
    """The volunteer's: small, and without JavaScript."""
    size = {"width": 360, "height": 740}
    with contextlib.closing(
        chromium.new_context(
            viewport=size, java_script_enabled=False, locale="ar-MA", has_touch=True
        )
    ) as context:
        yield context.new_page()


@pytest.mark.slow
def test_a_volunteer_s_answer_closes_a_gap_the_night_after_the_coordinator_accepts_it(
    world, desk, phone
):
    bring_in_the_sheet(world, desk)
    world.night(1)
    desk.goto("/fr/")
    assert "La nuit du 24 novembre 2026" in desk.locator("main").inner_text()
    assert GAP in points(desk)
    phone.goto(letter(desk))
    answer(phone)
    accept(desk)
    world.night(2)
    assert GAP not in points(desk)
    desk.goto("/fr/changes")
    settled = desk.locator("table", has_text="Réglé").locator("tr", has_text=GAP)
    assert settled.locator(f"a[href$='/associations/{ASSOCIATION}']").count() == 1
    phone.reload()
    assert "youtube.com" in phone.locator("main").inner_text()


def bring_in_the_sheet(world, desk):
    """Upload the coordinator's workbook, look at what it changes, and take it over."""
    path = associations.write_demo_spreadsheet(world.folder / "registry.xlsx")
    desk.goto("/fr/registry")
    desk.set_input_files("input[type=file]", path)
    desk.locator("form[enctype] button").click()
    desk.locator("button[value=take]").click()
    assert "100 associations" in desk.locator("p.lead").inner_text()


def points(desk):
    """What the association's page says is to be settled."""
    desk.goto(f"/fr/associations/{ASSOCIATION}")
    return " · ".join(desk.locator("article h3").all_inner_texts())


def letter(desk):
    """Make the association's letter in the browser; its link."""
    desk.goto(f"/fr/report-links/{ASSOCIATION}")
    desk.locator("form[action$='/make'] button").click()
    return desk.locator("input[readonly]").first.input_value()


def answer(phone):
    """Say on the phone, in Arabic, where the missing account is."""
    assert phone.locator("html").get_attribute("dir") == "rtl"
    gap = phone.locator("article", has_text="يوتيوب").first
    gap.locator("summary").click()
    gap.locator("input[name=value][dir=ltr]").fill(THEIRS)
    gap.locator("button[value=moved]").click()
    phone.locator("[role=status]").wait_for()


def accept(desk):
    """Accept the reply that waits."""
    desk.goto("/fr/replies")
    reply = desk.locator("article", has_text="GazetteTamesnaSud")
    reply.locator("button[value=accepted]").click()
    desk.locator("#message").wait_for()
