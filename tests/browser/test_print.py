"""The meeting pack fits on one printed page."""

import re
from dataclasses import dataclass

import pytest

from auditor.web.access import SESSION_COOKIE
from storage.models.users import FollowUpKind
from storage.tables.communication import FollowUp
from tests.support import sample_network
from tests.support.web_server import create_session, serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PDF_PAGE = re.compile(rb"/Type\s*/Page\b")


@dataclass
class MeetingServer:
    """The address of a server, and the session cookie of an administrator."""

    url: str
    cookie: dict


@pytest.fixture(scope="module")
def meeting_server(tmp_path_factory):
    """A server of its own, because the test replaces report links.

    It starts before the browser, which keeps an event loop in this thread.
    """
    app = sample_network.played(tmp_path_factory.mktemp("network"))
    for entry in sample_network.PEOPLE:
        promise = FollowUp(
            association=entry.id,
            kind=FollowUpKind.PROMISED,
            author="Amina",
            occurred_at=sample_network.NOW,
            text=f"{entry.id}: une chaîne où chaque activité de la saison est montrée",
            due_date=sample_network.NOW.date(),
        )
        app.store.follow_ups.add(promise)
    with serve_app(app, sample_network.NOW) as url:
        cookie = {"name": SESSION_COOKIE, "value": create_session(app.store), "url": url}
        yield MeetingServer(url, cookie)
    app.store.close()


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_meeting_pack_prints_on_one_page_with_and_without_qr_codes(meeting_server, tab, language):
    tab.context.add_cookies([meeting_server.cookie])
    tab.goto(f"{meeting_server.url}/{language}/meeting")
    assert tab.locator(".calls tbody tr").count() == 10
    assert len(PDF_PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
    with tab.expect_navigation(wait_until="load"):
        tab.locator("main form[method=post] button").click()
    assert tab.locator(".calls .qr").count() == 10
    assert len(PDF_PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
