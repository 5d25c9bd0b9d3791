"""The report of an association on a phone in Arabic: height, weight, and its forms."""

import gzip
from contextlib import closing
from datetime import timedelta

import pytest

from auditor.presentation import report_links
from auditor.web.routes.report import REPORT_LINK_COOKIE
from tests.browser.pages import PHONE
from tests.support import sample_network

pytestmark = [pytest.mark.browser, pytest.mark.slow]

MAX_HEIGHT, MAX_BYTES = 3000, 10_000
IS_IN_VIEW = """element => {
  const box = element.getBoundingClientRect();
  return box.height > 0 && box.top >= 0 && box.top < innerHeight;
}"""


@pytest.fixture
def phone(app, server_url, chromium):
    """The Arabic report in a phone without JavaScript."""
    _, address = report_links.create_report_link(
        app.store, app.config, "nour", "Amina", sample_network.NOW
    )
    cookie = {"name": REPORT_LINK_COOKIE, "value": address.rpartition("/")[2], "url": server_url}
    options = {"java_script_enabled": False, "locale": "ar-MA", "has_touch": True}
    with closing(chromium.new_context(viewport=PHONE, **options)) as context:
        context.add_cookies([cookie])
        page = context.new_page()
        assert len(gzip.compress(page.goto(f"{server_url}/ar/report").body())) < MAX_BYTES
        yield page


def test_first_point_is_open_and_the_others_are_folded(phone):
    points = phone.locator("details.point")
    opened = [point.get_attribute("open") is not None for point in points.all()]
    assert opened == [True] + [False] * (points.count() - 1)
    assert phone.evaluate("document.documentElement.scrollHeight") < MAX_HEIGHT
    names = [summary.text_content().strip() for summary in phone.locator("summary").all()]
    assert len(names) == len(set(names))


def test_reply_returns_to_its_point_and_can_be_taken_back_there(phone, app):
    waiting = app.store.replies.count_pending()
    point = phone.locator("article.gap").last
    anchor = point.get_attribute("id")
    for selector in ("details.point > summary", "details.live > summary"):
        point.locator(selector).click()
    day = (sample_network.NOW + timedelta(days=9)).date().isoformat()
    point.locator("input[type=date]").fill(day)
    point.locator("button[value=promised]").click()
    assert phone.url.endswith(f"#{anchor}")
    assert point.locator("[role=status]").evaluate(IS_IN_VIEW)
    assert app.store.replies.count_pending() == waiting + 1
    point.locator(".sent button").click()
    assert phone.url.endswith(f"#{anchor}")
    assert point.locator("[role=status]").evaluate(IS_IN_VIEW)
    assert point.locator(".sent").count() == 0
    assert app.store.replies.count_pending() == waiting
