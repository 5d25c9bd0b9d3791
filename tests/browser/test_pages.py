"""Tests every page in Chromium: accessibility, widths, colour schemes and the keyboard."""

from collections import defaultdict
from itertools import product
from pathlib import Path

import pytest

from tests.browser.pages import ERROR_STATUSES, FILTER_FORMS, FORM_PAGES, PAGES, STATIC_PAGES

pytestmark = [pytest.mark.browser, pytest.mark.slow]

AXE = Path(__file__).with_name("axe.min.js").read_text("utf-8")
AXE_TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
WIDTHS, COLOUR_SCHEMES = (360, 1280), ("light", "dark")
INTERMEDIATE_WIDTHS = (320, 480, 640, 740, 900, 1024)
"""Tables become cards between these widths. Only overflow and overlap are tested here."""
PRINT_WIDTH = 720
"""Pixels of a sheet of A4 between its margins."""
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
FIND_OVERLAPS = """() => {
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  const lines = [], range = document.createRange();
  // What only a screen reader says is clipped; the navigation of a phone lies above the page;
  // the boxes of a line that ends with an ellipsis are those without it.
  const isAside = element => {
    const style = getComputedStyle(element);
    return style.clipPath !== "none" || style.position === "fixed"
      || style.textOverflow === "ellipsis";
  };
  const aside = [...document.querySelectorAll("body *")].filter(isAside);
  while (walker.nextNode()) {
    const node = walker.currentNode, parent = node.parentElement;
    const isSkipped = parent.closest("select, .skip") || aside.some(one => one.contains(parent));
    if (!node.data.trim() || isSkipped || !parent.checkVisibility()) continue;
    range.selectNodeContents(node);
    let boxes = [...range.getClientRects()];
    for (let box = parent; box; box = box.parentElement) {
      if (getComputedStyle(box).overflow !== "hidden") continue;
      const cut = box.getBoundingClientRect(); // what is outside is not seen
      boxes = boxes.map(({left, right, top, bottom}) => ({
        left: Math.max(left, cut.left), right: Math.min(right, cut.right),
        top: Math.max(top, cut.top), bottom: Math.min(bottom, cut.bottom),
      }));
    }
    for (const {left, right, top, bottom} of boxes) {
      const margin = (bottom - top) / 4; // the box of a font is higher than its letters
      lines.push({left, right, top: top + margin, bottom: bottom - margin, node});
    }
  }
  lines.sort((one, other) => one.top - other.top);
  const overlaps = [];
  lines.forEach((one, index) => {
    for (const other of lines.slice(index + 1)) {
      if (other.top > one.bottom) break;
      const width = Math.min(one.right, other.right) - Math.max(one.left, other.left);
      if (width > 2 && Math.min(one.bottom, other.bottom) - other.top > 2) {
        overlaps.push(`overlap: ${one.node.data.trim()} / ${other.node.data.trim()}`);
      }
    }
  });
  return overlaps;
}"""
FIND_FIELDS_OUTSIDE = """form => {
  const formBox = form.getBoundingClientRect();
  return [...form.elements].filter(field => {
    const box = field.getBoundingClientRect();
    return field.checkVisibility() && (box.bottom > formBox.bottom || box.top < formBox.top);
  }).map(field => field.name);
}"""
FIND_CONTROLS_OF_SCRIPTS = """() => {
  for (const details of document.querySelectorAll("details")) details.open = true;
  // Enter sends a search; every other form has a button that sends it.
  const sends = "button:not([type=button]), [type=search]";
  const isSent = control => control.matches("button:not([type=button]), [name]:not(button)")
    && [...control.form?.elements ?? []].some(one => one.matches(sends) && one.checkVisibility());
  const fields = "button, select, input:not([readonly]), textarea:not([readonly])";
  return [...document.querySelectorAll(`${fields}, a[href="#"], a:not([href]), [onclick]`)]
    .filter(element => element.checkVisibility() && !(element.matches(fields) && isSent(element)))
    .map(element => element.outerHTML.slice(0, 120));
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


@pytest.mark.parametrize("name", ALL_PAGES)
def test_page_is_accessible_fits_and_is_reached_by_keyboard(name, tab, browser_messages, page_url):
    """In Arabic, whose direction is the harder one."""
    status = tab.goto(page_url(name, "ar")).status
    assert status == ERROR_STATUSES.get(name, 200)
    assert tab.locator("main h1").count() == 1
    assert "bdi" not in tab.title()
    problems = find_problems(tab)
    for message in browser_messages:
        if name not in ERROR_STATUSES or f"status of {status}" not in message:
            problems[message].append("browser")
    fail_if_any(problems, name)
    tab.reload()  # find_problems opens what is folded
    check_tab_stops(tab)


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


def check_tab_stops(tab):
    """Fail if Tab does not reach every control in order, with a visible focus."""
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
def test_page_has_no_control_of_a_script_without_javascript(name, tab_without_javascript, page_url):
    tab = tab_without_javascript
    assert tab.goto(page_url(name, "fr")).status == ERROR_STATUSES.get(name, 200)
    assert tab.locator("h1").count() == 1
    assert tab.evaluate(FIND_CONTROLS_OF_SCRIPTS) == []


@pytest.mark.parametrize("name", ALL_PAGES)
def test_page_fits_at_every_width(name, tab, page_url):
    for language in ("ar", "fr", "en"):
        tab.goto(page_url(name, language))
        # The last one is on a screen: the next test has the same tab.
        for width in (PRINT_WIDTH, *INTERMEDIATE_WIDTHS, *WIDTHS):
            tab.emulate_media(media="print" if width == PRINT_WIDTH else "screen")
            tab.set_viewport_size({"width": width, "height": 800})
            problems = tab.evaluate(FIND_OVERFLOW) + tab.evaluate(FIND_OVERLAPS)
            assert problems == [], (language, width)


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
    form.evaluate("form => form.querySelectorAll('details').forEach(one => one.open = true)")
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


@pytest.mark.parametrize("name", FORM_PAGES)
def test_page_after_a_form_is_accessible_and_fits(name, tab, server_url):
    """These tests are the last ones, because some forms end report links."""
    path, fields, status = FORM_PAGES[name]
    tab.goto(f"{server_url}/ar/")
    with tab.expect_navigation(wait_until="load") as response:
        tab.evaluate(SUBMIT_FORM, [f"/ar{path}", fields])
    assert response.value.status == status
    fail_if_any(find_problems(tab), name)
