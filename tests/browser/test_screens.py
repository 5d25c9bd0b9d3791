"""Pages of the coordinator in Chromium: what is in view, errors of forms, and the keyboard."""

import pytest

from tests.browser.pages import DESKTOP, PHONE, open_page

pytestmark = [pytest.mark.browser, pytest.mark.slow]

IS_IN_VIEW = """element => {
  const box = element.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight;
}"""


def test_page_of_an_association_is_shorter_than_three_screens(tab, page_url):
    # Other tests send forms about the other associations, which adds to their history.
    open_page(tab, page_url("association with a long name", "ar"), DESKTOP)
    assert tab.evaluate("document.documentElement.scrollHeight") < 3 * DESKTOP["height"]


def test_refused_answer_returns_to_its_form_in_view(tab, page_url):
    open_page(tab, page_url("replies", "fr"), PHONE)
    last_reply = tab.locator("article[id^=reply-]").last
    reply_id = last_reply.get_attribute("id")
    last_reply.locator("button[value=declined]").click()
    field = tab.locator("input[aria-invalid=true]")
    field.wait_for()
    assert field.evaluate(IS_IN_VIEW)
    assert tab.locator("#error").evaluate(IS_IN_VIEW)
    assert tab.url.endswith(f"#{reply_id}")
    assert tab.goto(tab.url.partition("#")[0]).ok


@pytest.fixture
def dashboard(tab_without_javascript, server_url):
    """The dashboard on a phone, without JavaScript."""
    return open_page(tab_without_javascript, f"{server_url}/en/", PHONE)


def test_worst_associations_are_visible_without_a_click(dashboard):
    rows = dashboard.locator(".title-line:has(#calls) + ul > li").all()
    assert dashboard.locator("h1").inner_text() == f"{len(rows)} associations need you today."
    assert len(rows) == 3
    assert all(row.is_visible() for row in rows)
    numbers = dashboard.locator(".title-line:has(#calls) + ul a[href^='tel:']")
    assert numbers.first.bounding_box()["height"] >= 24
    assert numbers.first.bounding_box()["y"] < 640


def test_navigation_has_one_line_on_a_desktop(tab, page_url):
    header = open_page(tab, page_url("dashboard", "fr"), DESKTOP).locator("header .top")
    header.locator(".name").evaluate("name => name.textContent = 'Réseau de démonstration'")
    boxes = [part.bounding_box() for part in header.locator("a, b, input").all()]
    assert max(box["y"] for box in boxes) < min(box["y"] + box["height"] for box in boxes)


def test_reasons_of_unchecked_accounts_are_one_click_away(dashboard):
    reason = dashboard.locator(".channels details a").first
    assert not reason.is_visible()
    dashboard.locator(".channels details summary").first.click()
    assert reason.is_visible()
    reason.click()
    assert "reason=" in dashboard.url


WATCH_SUBMISSIONS = """
window.submissions = 0;
document.addEventListener("submit", event => { window.submissions += 1; event.preventDefault(); });
"""


def test_enter_in_a_reason_decides_nothing_but_a_button_does(tab, server_url):
    tab.goto(f"{server_url}/en/replies")
    tab.evaluate(WATCH_SUBMISSIONS)
    form = tab.locator("main form.line").first
    form.locator("input[name=reason]").fill("It is not theirs")
    form.locator("input[name=reason]").press("Enter")
    assert tab.evaluate("window.submissions") == 0
    form.locator("button[value=declined]").press("Enter")
    assert tab.evaluate("window.submissions") == 1
