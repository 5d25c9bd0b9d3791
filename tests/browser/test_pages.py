"""Tests every page in Chromium: languages, widths, colour schemes, keyboard, without JavaScript."""

from collections import defaultdict
from itertools import product
from pathlib import Path

import pytest

from tests.browser.pages import ERROR_STATUSES, FILTER_FORMS, FORM_PAGES, PAGES, STATIC_PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = Path(__file__).with_name("axe.min.js").read_text("utf-8")
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
LANGUAGES = ("ar", "fr", "en")
WIDTHS = (320, 360, 1280)
INTERMEDIATE_WIDTHS = (480, 640, 740, 900, 1100)
"""Tables become cards between these widths. Only overflow is tested here."""
COLOUR_SCHEMES = ("light", "dark")
INLINE_SCRIPTS = "script:not([src^='/static/'])"
RUN_AXE = """async tags => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  const options = {runOnly: tags, resultTypes: ["violations"], preload: false};
  const result = await axe.run(options);
  return result.violations.flatMap(violation => violation.nodes.map(node => {
    const messages = node.any.concat(node.all).map(check => check.message).join("; ");
    return `${violation.id}: ${node.target.join(" ")}: ${messages}`;
  }));
}"""
FIND_OVERFLOW = """() => {
  const root = document.documentElement, width = root.clientWidth;
  if (root.scrollWidth <= width) return [];
  const outside = [...document.querySelectorAll("body *")].filter(element => {
    const box = element.getBoundingClientRect();
    return box.width && (box.right > width + 1 || box.left < -1);
  });
  const last = outside.slice(-1).map(element => element.outerHTML.slice(0, 120));
  return [`too wide: ${root.scrollWidth} > ${width}: ${last}`];
}"""
FIND_FIELDS_OUTSIDE = """form => {
  const formBox = form.getBoundingClientRect();
  return [...form.elements].filter(field => {
    const box = field.getBoundingClientRect();
    return field.checkVisibility() && (box.bottom > formBox.bottom || box.top < formBox.top);
  }).map(field => field.name);
}"""
COLLECT_TAB_STOPS = """() => {
  const fields = "button, input:not([type=hidden]), select, textarea";
  const all = document.querySelectorAll(`a[href], ${fields}, summary`);
  // Tab reaches only the checked radio button of a group; the arrow keys reach the others.
  const isReachable = element => element.type !== "radio" || element.checked;
  const isTabStop = element => element.checkVisibility() && !element.disabled
    && element.tabIndex >= 0 && isReachable(element);
  window.tabStops = [...all].filter(isTabStop);
  document.activeElement.blur();
  return window.tabStops.length;
}"""
SUBMIT_FORM = """([path, fields]) => {
  const form = document.createElement("form");
  form.method = "post"; form.action = path;
  for (const [name, value] of Object.entries(fields)) {
    const field = form.appendChild(document.createElement("input"));
    field.type = "hidden"; field.name = name; field.value = value;
  }
  document.body.appendChild(form).submit();
}"""
FILTER_FORM = "form:is(.filter, .grid-filter)"
GET_FOCUS = """() => {
  const element = document.activeElement;
  const style = getComputedStyle(element), box = element.getBoundingClientRect();
  const hasOutline = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const isInView = box.bottom > 0 && box.top < innerHeight;
  return [window.tabStops.indexOf(element),
          (hasOutline || style.boxShadow !== "none") && isInView,
          element.outerHTML.slice(0, 100)];
}"""


ALL_PAGES = [*PAGES, *STATIC_PAGES]


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", ALL_PAGES)
def test_page_is_accessible_and_fits_in_every_width_and_colour_scheme(
    name, language, tab, browser_messages, page_url
):
    url = page_url(name, language)
    status = tab.goto(url).status
    assert status == ERROR_STATUSES.get(name, 200)
    problems = find_problems(tab)
    for message in browser_messages:
        if name not in ERROR_STATUSES or f"status of {status}" not in message:
            problems[message].append("browser")
    fail_if_any(problems, url)


def find_problems(tab):
    """Return problems of the open page, each with the widths and colour schemes it occurs in."""
    tab.evaluate(AXE)
    problems = defaultdict(list)
    for width, colour_scheme in product(WIDTHS, COLOUR_SCHEMES):
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(color_scheme=colour_scheme)
        for problem in tab.evaluate(RUN_AXE, AXE_TAGS) + tab.evaluate(FIND_OVERFLOW):
            problems[problem].append(f"{width} {colour_scheme}")
    return problems


def fail_if_any(problems, page):
    """Fail with a list of the problems."""
    if problems:
        lines = [f"{problem} [{', '.join(places)}]" for problem, places in problems.items()]
        pytest.fail("\n".join([page, *lines]), pytrace=False)


@pytest.mark.parametrize("language", LANGUAGES)
@pytest.mark.parametrize("name", FORM_PAGES)
def test_page_after_a_form_is_accessible_and_fits(name, language, tab, server_url):
    path, fields, status = FORM_PAGES[name]
    tab.goto(f"{server_url}/{language}/")
    with tab.expect_navigation(wait_until="load") as response:
        tab.evaluate(SUBMIT_FORM, [f"/{language}{path}", fields])
    assert response.value.status == status
    fail_if_any(find_problems(tab), f"{name} {language}")


@pytest.mark.parametrize("name", ALL_PAGES)
def test_page_fits_at_intermediate_widths(name, tab, page_url):
    tab.goto(page_url(name, "fr"))
    for width in INTERMEDIATE_WIDTHS:
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate(FIND_OVERFLOW) == [], width


@pytest.mark.parametrize("name", ALL_PAGES)
def test_keyboard_reaches_every_control_in_order_with_visible_focus(name, tab, page_url):
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.goto(page_url(name, "ar"))
    count, reached = tab.evaluate(COLLECT_TAB_STOPS), []
    for _ in range(count * 4 + 4):
        tab.keyboard.press("Tab")
        position, is_focus_visible, element = tab.evaluate(GET_FOCUS)
        if position >= 0 and position not in reached[-1:]:
            assert is_focus_visible, element
            reached.append(position)
        if position == count - 1:
            break
    assert reached == list(range(count))


@pytest.mark.parametrize("name", ALL_PAGES)
def test_page_is_complete_without_javascript(name, tab_without_javascript, page_url):
    tab_without_javascript.goto(page_url(name, "fr"))
    assert tab_without_javascript.locator("main h1").count() == 1
    assert tab_without_javascript.locator("main h1").is_visible()
    assert tab_without_javascript.locator(INLINE_SCRIPTS).count() == 0


@pytest.mark.fault("F54")
def test_content_security_policy_blocks_an_injected_script(tab, page_url):
    tab.goto(page_url("association with markup in its name", "en"))
    assert tab.locator(INLINE_SCRIPTS).count() == 0
    blocked_directive = tab.evaluate(
        """() => new Promise(resolve => {
          document.addEventListener(
            "securitypolicyviolation", event => resolve(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
        })"""
    )
    assert blocked_directive == "script-src-elem"
    assert tab.evaluate("window.ran") is None


@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FILTER_FORMS)
def test_form_fields_stay_inside_the_filter_form(name, width, tab, page_url):
    tab.set_viewport_size({"width": width, "height": 800})
    tab.goto(page_url(name, "fr"))
    form = tab.locator(FILTER_FORM)
    assert form.evaluate(FIND_FIELDS_OUTSIDE) == []
    form.evaluate(
        "form => form.querySelectorAll('details').forEach(details => details.open = true)"
    )
    assert form.evaluate(FIND_FIELDS_OUTSIDE) == []


@pytest.mark.parametrize("name", FILTER_FORMS)
def test_filter_form_works_without_javascript(name, tab_without_javascript, page_url):
    tab, (field, value) = tab_without_javascript, FILTER_FORMS[name]
    tab.goto(page_url(name, "fr"))
    form = tab.locator(FILTER_FORM)
    form.locator(f"[name={field}]").select_option(value)
    form.locator("button").click()
    assert f"{field}={value}" in tab.url
    assert tab.locator(f"{FILTER_FORM} [name={field}]").input_value() == value
