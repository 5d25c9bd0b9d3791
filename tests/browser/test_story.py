"""A month of a coordinator and an association, by clicks, from the import to the meeting."""

import contextlib
from datetime import timedelta

import pytest

from auditor.demo import associations
from auditor.web.access import SESSION_COOKIE
from storage.models.users import Role
from tests.browser.pages import DESKTOP, PHONE
from tests.support.demo_session import DemoSession
from tests.support.web_server import create_session, serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

NAME = "Forum Bahr Tamsna du patrimoine"
"""Its website has an expired certificate until 1 December, and it has no YouTube channel."""
BROKEN_TITLE_IN_ARABIC = "موقعكم يعرض تحذيرًا أمنيًا"
FIXED_TITLE = "L’avertissement de sécurité a disparu"
FIXED_TITLE_IN_ARABIC = "اختفى التحذير الأمني"
NEW_ACCOUNT_URL = "https://www.youtube.com/@GazetteTamesnaSud"


@pytest.fixture
def demo_session(tmp_path):
    with (
        DemoSession(tmp_path / "network") as session,
        serve_app(session.app, lambda: session.now, session.port),
    ):
        yield session


@pytest.fixture
def coordinator(chromium, demo_session):
    """Return a page in the coordinator's browser."""
    home = f"http://127.0.0.1:{demo_session.port}"
    session = create_session(demo_session.app.store, "La coordination", Role.COORDINATOR)
    with contextlib.closing(
        chromium.new_context(base_url=home, viewport=DESKTOP, locale="fr-MA")
    ) as context:
        context.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": home}])
        yield context.new_page()


@pytest.fixture
def volunteer(chromium):
    """Return a page in a volunteer's small browser without JavaScript."""
    with contextlib.closing(
        chromium.new_context(
            viewport=PHONE, java_script_enabled=False, locale="ar-MA", has_touch=True
        )
    ) as context:
        yield context.new_page()


def test_month_of_a_coordinator_from_the_import_to_the_meeting(
    demo_session, coordinator, volunteer
):
    import_spreadsheet(demo_session, coordinator)
    demo_session.run_audit(1)
    coordinator.goto("/fr/")
    assert "242 comptes" in coordinator.locator("main").inner_text()
    demo_session.run_audit(4)
    note_promise(coordinator, "2026-11-30")
    demo_session.run_audit(7)
    coordinator.goto("/fr/")
    promise = coordinator.locator("#promises + ul > li", has_text=NAME)
    assert "pour le 30 novembre" in promise.inner_text()
    assert promise.locator(".badge").count() == 0
    open_report_links(coordinator, promise)
    coordinator.get_by_role("button", name="Créer un lien").click()
    volunteer.goto(coordinator.locator("input[readonly]").first.input_value())
    send_reply(volunteer)
    accept_reply(coordinator)
    demo_session.now += timedelta(days=1)
    coordinator.goto("/fr/")
    assert promise.locator(".badge", has_text="en retard").count() == 1
    open_report_links(coordinator, promise)
    coordinator.get_by_role("button", name="Rédiger un rappel").click()
    reminder = coordinator.locator("article textarea").input_value()
    assert BROKEN_TITLE_IN_ARABIC in reminder
    volunteer.goto(reminder.split()[-1])
    demo_session.run_audit(9)
    coordinator.goto("/fr/")
    assert promise.count() == 0
    coordinator.get_by_role("link", name="Toutes les nouveautés").click()
    fixed = coordinator.locator("table", has_text="Réglé").locator("tr", has_text=NAME)
    fixed.filter(has_text=FIXED_TITLE).wait_for()
    volunteer.reload()
    news = volunteer.locator("main h2").first.locator("+ ul > li")
    assert news.all_inner_texts() == ["أُضيفت قناة يوتيوب", FIXED_TITLE_IN_ARABIC]
    assert volunteer.locator("article.gap", has_text="يوتيوب").count() == 0
    demo_session.run_audit(30)
    coordinator.get_by_role("link", name="Réunion").first.click()
    counted = coordinator.locator(".pair section", has_text="Problèmes réglés")
    assert counted.locator("tr", has_text="Avertissement de sécurité").inner_text()[-1] == "1"


def import_spreadsheet(demo_session, coordinator):
    """Upload the workbook, open its preview, and import it."""
    path = associations.write_demo_spreadsheet(demo_session.folder / "registry.xlsx")
    coordinator.goto("/fr/registry")
    coordinator.set_input_files("input[type=file]", path)
    coordinator.locator("form[enctype] button").click()
    coordinator.locator("button[value=import]").click()
    assert "100 associations" in coordinator.locator("p.lead").inner_text()


def note_promise(coordinator, day):
    """Call one association after the other, until this one promises something for a day."""
    coordinator.goto("/fr/")
    coordinator.get_by_role("button", name="Commencer les appels").click()
    while coordinator.locator("h1").inner_text() != NAME:
        coordinator.get_by_role("button", name="Suivant").click()
    coordinator.locator("input[name=due]").fill(day)
    coordinator.get_by_role("button", name="C’est promis").click()
    assert NAME in coordinator.locator("#message").inner_text()


def open_report_links(coordinator, promise):
    """Open the page of report links, from a promise on Today."""
    promise.get_by_role("link", name=NAME).first.click()
    coordinator.get_by_role("button", name="Son lien vers le rapport").click()


def accept_reply(coordinator):
    """Accept the reply of the association, from Today."""
    coordinator.goto("/fr/")
    coordinator.get_by_role("link", name=f"Décider {NAME}").click()
    reply = coordinator.locator("article", has_text=NEW_ACCOUNT_URL.rpartition("/")[2])
    reply.get_by_role("button", name="Accepter").click()
    coordinator.locator("#message").wait_for()


def send_reply(volunteer):
    """Send the address of the missing account from the Arabic report."""
    assert volunteer.locator("html").get_attribute("dir") == "rtl"
    gap = volunteer.locator("article.gap", has_text="يوتيوب").first
    if gap.locator("details.point").get_attribute("open") is None:
        gap.locator("summary").first.click()
    gap.locator("details.live > summary").click()
    gap.locator("input[name=value][dir=ltr]").fill(NEW_ACCOUNT_URL)
    gap.locator("button[value=moved]").click()
    volunteer.locator("[role=status]").wait_for()
