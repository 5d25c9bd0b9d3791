"""Follows one case from import to the closed gap: run, report link, reply, decision, next run."""

import contextlib

import pytest

from auditor.demo import associations
from auditor.web.access import SESSION_COOKIE
from storage.models.users import Role
from tests.browser.pages import DESKTOP, PHONE
from tests.support.demo_session import DemoSession
from tests.support.web_server import create_session, serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

ASSOCIATION = "a001"
GAP_TITLE = "Aucune chaîne YouTube connue"
FIXED_TITLE = "Chaîne YouTube ajoutée"
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


def test_accepted_reply_closes_the_gap_in_the_next_run(demo_session, coordinator, volunteer):
    import_spreadsheet(demo_session, coordinator)
    demo_session.run_audit(1)
    coordinator.goto("/fr/")
    assert "242 comptes vérifiés cette nuit" in coordinator.locator("main").inner_text()
    assert GAP_TITLE in list_gap_titles(coordinator)
    coordinator.goto(f"/fr/report-links/{ASSOCIATION}")
    coordinator.locator("form[action$='/create'] button").click()
    volunteer.goto(coordinator.locator("input[readonly]").first.input_value())
    send_reply(volunteer)
    coordinator.goto("/fr/replies")
    reply = coordinator.locator("article", has_text="GazetteTamesnaSud")
    reply.locator("button[value=accepted]").click()
    coordinator.locator("#message").wait_for()
    demo_session.run_audit(2)
    assert GAP_TITLE not in list_gap_titles(coordinator)
    coordinator.goto("/fr/changes")
    fixed_row = coordinator.locator("table", has_text="Réglé").locator("tr", has_text=FIXED_TITLE)
    assert fixed_row.locator(f"a[href$='/associations/{ASSOCIATION}']").count() == 1
    volunteer.reload()
    assert "youtube.com" in volunteer.locator("main").text_content()


def import_spreadsheet(demo_session, coordinator):
    """Upload the workbook, open its preview, and import it."""
    path = associations.write_demo_spreadsheet(demo_session.folder / "registry.xlsx")
    coordinator.goto("/fr/registry")
    coordinator.set_input_files("input[type=file]", path)
    coordinator.locator("form[enctype] button").click()
    coordinator.locator("button[value=import]").click()
    assert "100 associations" in coordinator.locator("p.lead").inner_text()


def list_gap_titles(coordinator):
    """Return the headings of the association's page."""
    coordinator.goto(f"/fr/associations/{ASSOCIATION}")
    return " · ".join(coordinator.locator("article h3").all_text_contents())


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
