"""The page of an association in Chromium: its height, the clicks to a reason, errors of forms."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

SCREEN = {"width": 1280, "height": 900}
PHONE = {"width": 360, "height": 740}
IS_IN_VIEW = """element => {
  const box = element.getBoundingClientRect();
  return box.top >= 0 && box.bottom <= innerHeight;
}"""


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize("page", ["association", "association with a long name"])
def test_page_of_an_association_is_shorter_than_three_screens(page, language, tab, page_url):
    tab.set_viewport_size(SCREEN)
    tab.goto(page_url(page, language))
    assert tab.evaluate("document.documentElement.scrollHeight") < 3 * SCREEN["height"]


def test_reason_of_an_unchecked_account_takes_one_click_and_its_evidence_two(tab, page_url):
    tab.set_viewport_size(SCREEN)
    tab.goto(page_url("associations", "fr"))
    tab.get_by_role("link", name="Association Nour").first.click()
    row = tab.locator("#channel-linkedin")
    assert "la plateforme demande de se connecter" in row.inner_text()
    row.get_by_role("link", name="Voir les preuves").click()
    assert tab.locator("h1").inner_text().replace("\xa0", " ").strip() == (
        "LinkedIn : non vérifiable"
    )
    form = tab.locator("details", has_text="Je l’ai vu moi-même").first
    form.locator("summary").click()
    assert form.locator("input[name=reason]").is_visible()


@pytest.mark.parametrize("colour_scheme", ["light", "dark"])
def test_count_of_messages_is_visible_in_the_navigation(colour_scheme, tab, page_url):
    tab.emulate_media(color_scheme=colour_scheme)
    tab.goto(page_url("association", "fr"))
    colour = tab.locator(".site-nav .count").evaluate("element => getComputedStyle(element).color")
    assert colour in ("rgb(255, 255, 255)", "rgb(16, 22, 27)")


def test_refused_answer_returns_to_its_form_in_view(tab, page_url):
    tab.set_viewport_size(PHONE)
    tab.goto(page_url("replies", "fr"))
    last_reply = tab.locator("article[id^=reply-]").last
    reply_id = last_reply.get_attribute("id")
    last_reply.locator("button[value=declined]").click()
    field = tab.locator("input[aria-invalid=true]")
    field.wait_for()
    assert field.evaluate(IS_IN_VIEW)
    assert tab.locator("#error").evaluate(IS_IN_VIEW)
    assert tab.url.endswith(f"#{reply_id}")
    assert tab.goto(tab.url.partition("#")[0]).ok


def test_refused_follow_up_returns_to_its_form_in_view(tab, page_url):
    tab.set_viewport_size(PHONE)
    tab.goto(page_url("association", "ar"))
    tab.locator("select[name=kind]").select_option("note")
    tab.locator(".follow-up button").click()
    field = tab.locator("textarea[aria-invalid=true]")
    field.wait_for()
    assert field.evaluate(IS_IN_VIEW)
    assert tab.goto(tab.url.partition("#")[0]).ok
