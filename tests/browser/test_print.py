"""What is printed for a meeting, on real paper: one sheet."""

import re
from dataclasses import dataclass

import pytest

from auditor.web.access import SESSION_COOKIE
from storage.models.users import FollowUp, FollowUpKind
from tests.support import sample_network
from tests.support.web_server import create_session, serve_app

pytestmark = pytest.mark.browser


@dataclass
class Meeting:
    """Where the pack is, and the cookie of who holds the meeting."""

    address: str
    cookie: dict


PAGE = re.compile(rb"/Type\s*/Page\b")


@pytest.fixture(scope="module")
def meeting(tmp_path_factory):
    """Where a network is served whose letters may be made anew; played before a browser has its loop."""
    app = sample_network.played(tmp_path_factory.mktemp("network"))
    for one in sample_network.PEOPLE:
        promise = f"{one.id}: une chaîne où chaque activité de la saison est montrée"
        line = FollowUp(
            one.id,
            FollowUpKind.PROMISED,
            "Amina",
            sample_network.NOW,
            promise,
            sample_network.NOW.date(),
        )
        app.store.add_follow_up(line)
    with serve_app(app, sample_network.NOW) as address:
        yield Meeting(
            address, {"name": SESSION_COOKIE, "value": create_session(app.store), "url": address}
        )
    app.store.close()


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_a_pack_for_a_meeting_is_one_sheet_of_paper_with_codes_and_without(meeting, tab, language):
    tab.context.add_cookies([meeting.cookie])
    tab.goto(f"{meeting.address}/{language}/meeting")
    assert tab.locator(".calls tbody tr").count() == 10
    assert len(PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
    with tab.expect_navigation(wait_until="load"):
        tab.locator("main form[method=post] button").click()
    assert tab.locator(".calls .qr").count() == 10
    assert len(PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
