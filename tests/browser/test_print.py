"""What is printed for a meeting, on real paper: one sheet."""

import re

import network
import pytest
from served import served

from storage.talk import FollowUp, FollowUpKind

pytestmark = pytest.mark.browser

PAGE = re.compile(rb"/Type\s*/Page\b")


@pytest.fixture(scope="module")
def meeting(tmp_path_factory):
    """Where a network is served whose letters may be made anew; played before a browser has its loop."""
    app = network.played(tmp_path_factory.mktemp("network"))
    for one in network.PEOPLE:
        promise = f"{one.id}: une chaîne où chaque activité de la saison est montrée"
        line = FollowUp(one.id, FollowUpKind.PROMISED, "Amina", network.NOW, promise, network.NOW.date())
        app.store.add_follow_up(line)
    with served(app, network.NOW) as address:
        yield f"{address}/{{}}/meeting".format
    app.store.close()


@pytest.mark.parametrize("language", ["ar", "fr"])
def test_a_pack_for_a_meeting_is_one_sheet_of_paper_with_codes_and_without(meeting, tab, language):
    tab.goto(meeting(language))
    assert tab.locator(".calls tbody tr").count() == 10
    assert len(PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
    form = tab.locator("main form[method=post]")
    form.locator("[name=who]").fill("Amina")
    form.locator("button").click()
    assert tab.locator(".calls .qr").count() == 10
    assert len(PAGE.findall(tab.pdf(prefer_css_page_size=True))) == 1
