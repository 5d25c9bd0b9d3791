"""Every page in a real browser: languages, widths, light and dark, by keyboard, without JavaScript."""

from collections import defaultdict
from itertools import product
from pathlib import Path

import pytest

from tests.browser.pages import ANSWERS, ERRORS, FILES, FORMS, OFTEN, PAGES, PUBLISHED, WAYS
from tests.support.all_routes import list_routes

pytestmark = pytest.mark.browser

AXE = Path(__file__).with_name("axe.min.js").read_text("utf-8")
LANGUAGES = ("ar", "fr", "en")
WIDTHS = (320, 360, 1280)
BETWEEN = (480, 640, 740, 900, 1100)
"""Widths at which nothing but the room is tried; tables become cards among them."""
LIGHTS = ("light", "dark")
TAGS = ["wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice"]
RUN = """async tags => {
  for (const folded of document.querySelectorAll("details")) folded.open = true;
  const told = await axe.run({runOnly: tags, resultTypes: ["violations"], preload: false});
  return told.violations.flatMap(one => one.nodes.map(node =>
    `${one.id}: ${node.target.join(" ")}: ${node.any.concat(node.all).map(why => why.message).join("; ")}`));
}"""
WIDER = """() => {
  const root = document.documentElement, room = root.clientWidth;
  if (root.scrollWidth <= room) return [];
  const out = [...document.querySelectorAll("body *")].filter(one => {
    const box = one.getBoundingClientRect();
    return box.width && (box.right > room + 1 || box.left < -1);
  });
  const last = out.slice(-1).map(one => one.outerHTML.slice(0, 120));
  return [`too wide: ${root.scrollWidth} > ${room}: ${last}`];
}"""
OUTSIDE = """form => {
  const room = form.getBoundingClientRect();
  return [...form.elements].filter(field => {
    const box = field.getBoundingClientRect();
    return box.height && (box.bottom > room.bottom || box.top < room.top);
  }).map(field => field.name);
}"""
STOPS = """() => {
  const fields = "button, input:not([type=hidden]), select, textarea";
  const all = document.querySelectorAll(`a[href], ${fields}, summary`);
  const chosen = one => one.type !== "radio" || one.checked;  // the arrows reach the others of its group
  const stops = one => one.checkVisibility() && !one.disabled && one.tabIndex >= 0 && chosen(one);
  window.stops = [...all].filter(stops);
  document.activeElement.blur();
  return window.stops.length;
}"""
SEND = """([way, typed]) => {
  const form = document.createElement("form");
  form.method = "post"; form.action = way;
  for (const [name, value] of Object.entries(typed)) {
    const field = form.appendChild(document.createElement("input"));
    field.type = "hidden"; field.name = name; field.value = value;
  }
  document.body.appendChild(form).submit();
}"""
HERE = """() => {
  const one = document.activeElement, style = getComputedStyle(one), box = one.getBoundingClientRect();
  const ring = style.outlineStyle !== "none" && parseFloat(style.outlineWidth) > 0;
  const seen = box.bottom > 0 && box.top < innerHeight;
  return [window.stops.indexOf(one), (ring || style.boxShadow !== "none") && seen,
          one.outerHTML.slice(0, 100)];
}"""


def in_turn(names):
    """Each name in every language: what is read often in one of them at once, in turn, the others later."""
    for number, name in enumerate(sorted(names, key=lambda name: name not in OFTEN)):
        for place, language in enumerate(LANGUAGES):
            at_once = name in OFTEN and place == number % len(LANGUAGES)
            yield pytest.param(name, language, marks=[] if at_once else [pytest.mark.slow])


def often(names):
    """Each name, those that are not read often later."""
    return [pytest.param(name, marks=[] if name in OFTEN else [pytest.mark.slow]) for name in names]


def test_no_page_of_the_site_is_left_out():
    pages = [one for one in list_routes("GET") if one.path not in WAYS and not one.path.endswith(FILES)]
    tried = [f"/en{path.partition('?')[0]}" for path in PAGES.values()]
    assert [one.path for one in pages if not any(one.path_regex.match(way) for way in tried)] == []


@pytest.mark.parametrize(("name", "language"), [*in_turn([*PAGES, *PUBLISHED])])
def test_a_page_is_accessible_and_fits_at_every_width_in_light_and_dark(
    name, language, tab, complaints, way
):
    status = tab.goto(way(name, language)).status
    assert status == ERRORS.get(name, 200)
    found = troubles(tab)
    for told in complaints:
        if name not in ERRORS or f"status of {status}" not in told:
            found[told].append("browser")
    refuse(found, way(name, language))


def troubles(tab):
    """What is wrong with the page that is open, and at which widths, light or dark."""
    tab.evaluate(AXE)
    found = defaultdict(list)
    for width, light in product(WIDTHS, LIGHTS):
        tab.set_viewport_size({"width": width, "height": 800})
        tab.emulate_media(color_scheme=light)
        for told in tab.evaluate(RUN, TAGS) + tab.evaluate(WIDER):
            found[told].append(f"{width} {light}")
    return found


def refuse(found, where):
    """Fail with what was found."""
    told = [f"{told} [{', '.join(where)}]" for told, where in found.items()]
    if told:
        pytest.fail("\n".join([where, *told]), pytrace=False)


@pytest.mark.parametrize(("name", "language"), [*in_turn(ANSWERS)])
def test_an_answer_to_a_form_is_accessible_and_fits(name, language, tab, address):
    path, typed, status = ANSWERS[name]
    tab.goto(f"{address}/{language}/")
    with tab.expect_navigation(wait_until="load") as answered:
        tab.evaluate(SEND, [f"/{language}{path}", typed])
    assert answered.value.status == status
    refuse(troubles(tab), f"{name} {language}")


@pytest.mark.slow
@pytest.mark.parametrize("name", [*PAGES, *PUBLISHED])
def test_a_page_fits_at_the_widths_between_telephone_and_desk(name, tab, way):
    tab.goto(way(name, "fr"))
    for width in BETWEEN:
        tab.set_viewport_size({"width": width, "height": 800})
        assert tab.evaluate(WIDER) == [], width


@pytest.mark.parametrize("name", often([*PAGES, *PUBLISHED]))
def test_the_keyboard_reaches_everything_in_order_and_shows_where_it_is(name, tab, way):
    tab.set_viewport_size({"width": 1280, "height": 800})
    tab.goto(way(name, "ar"))
    count, reached = tab.evaluate(STOPS), []
    for _ in range(count * 4 + 4):
        tab.keyboard.press("Tab")
        at, visible, told = tab.evaluate(HERE)
        if at >= 0 and at not in reached[-1:]:
            assert visible, told
            reached.append(at)
        if at == count - 1:
            break
    assert reached == list(range(count))


@pytest.mark.parametrize("name", often([*PAGES, *PUBLISHED]))
def test_a_page_is_whole_without_javascript(name, bare_tab, way):
    bare_tab.goto(way(name, "fr"))
    assert bare_tab.locator("main h1").count() == 1
    assert bare_tab.locator("main h1").is_visible()
    assert bare_tab.locator("script").count() == 0


@pytest.mark.fault("F54")
def test_a_script_that_got_into_a_page_is_run_by_no_browser(tab, way):
    tab.goto(way("association with markup in its name", "en"))
    assert tab.locator("script").count() == 0
    refused = tab.evaluate(
        """() => new Promise(told => {
          document.addEventListener("securitypolicyviolation", event => told(event.effectiveDirective));
          const script = document.createElement("script");
          script.textContent = "window.ran = true";
          document.body.append(script);
        })"""
    )
    assert refused == "script-src-elem"
    assert tab.evaluate("window.ran") is None


@pytest.mark.slow
@pytest.mark.parametrize("width", WIDTHS)
@pytest.mark.parametrize("name", FORMS)
def test_the_fields_of_a_form_stand_within_it_folded_and_unfolded(name, width, tab, way):
    tab.set_viewport_size({"width": width, "height": 800})
    tab.goto(way(name, "fr"))
    form = tab.locator("form.filter")
    assert form.evaluate(OUTSIDE) == []
    form.evaluate("form => form.querySelectorAll('details').forEach(one => one.open = true)")
    assert form.evaluate(OUTSIDE) == []


@pytest.mark.parametrize("name", FORMS)
def test_a_list_is_narrowed_without_javascript(name, bare_tab, way):
    field, chosen = FORMS[name]
    bare_tab.goto(way(name, "fr"))
    form = bare_tab.locator("form.filter")
    form.locator(f"[name={field}]").select_option(chosen)
    form.locator("button").click()
    assert f"{field}={chosen}" in bare_tab.url
    assert bare_tab.locator(f"form.filter [name={field}]").input_value() == chosen
