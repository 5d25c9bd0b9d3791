"""The queue of replies in Chromium."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

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
