"""The meeting pack fits on one printed page."""

import re

import pytest

from auditor.web.access import SESSION_COOKIE
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support import sample_network
from tests.support.web_server import create_session, serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PDF_PAGE = re.compile(rb"/Type\s*/Page\b")


@pytest.fixture(scope="module")
def meeting_cookie(tmp_path_factory):
    """A session on a server of its own, because the test replaces report links.

    It starts before the browser, which keeps an event loop in this thread.
    """
    app = sample_network.played(tmp_path_factory.mktemp("network"))
    about = {"kind": FollowUpKind.PROMISED, "author": "Amina", "occurred_at": sample_network.NOW}
    for entry in sample_network.PEOPLE:
        text = f"{entry.id}: une chaîne où chaque activité de la saison est montrée"
        due_date = sample_network.NOW.date()
        app.store.follow_ups.add(
            FollowUp(association=entry.id, text=text, due_date=due_date, **about)
        )
    with serve_app(app, sample_network.NOW) as url:
        yield {"name": SESSION_COOKIE, "value": create_session(app.store), "url": url}
    app.store.close()


def test_meeting_pack_prints_on_one_page_with_and_without_qr_codes(meeting_cookie, tab):
    tab.context.add_cookies([meeting_cookie])
    tab.goto(f"{meeting_cookie['url']}/ar/meeting")
    assert tab.locator(".calls tbody tr").count() == 10
    tab.evaluate("window.print = () => { window.isPrinted = true; }")
    tab.locator("[data-print]").click()
    assert tab.evaluate("window.isPrinted")
    assert len(PDF_PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
    with tab.expect_navigation(wait_until="load"):
        tab.locator("main form[method=post] button").click()
    assert tab.locator(".calls .qr").count() == 10
    assert len(PDF_PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
