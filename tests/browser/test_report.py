"""The report of an association on a phone in Arabic: height, weight, and its forms."""

import asyncio
import gzip
import itertools
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta

import pytest

from auditor.app import App
from auditor.config.schema import load_config
from auditor.demo import play
from auditor.presentation import report_links
from auditor.web.routes.report import REPORT_LINK_COOKIE
from tests.support import sample_network
from tests.support.web_server import serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 360, "height": 740}
LANGUAGES = ("ar", "fr", "en")
MAX_HEIGHT, MAX_BYTES = 3000, 10_000
LAST_RUN = datetime(2026, 11, 28, 0, 30, tzinfo=UTC)
PUBLIC_URL = "https://reports.example.org"
IS_IN_VIEW = """element => {
  const box = element.getBoundingClientRect();
  return box.height > 0 && box.top >= 0 && box.top < innerHeight;
}"""


@pytest.fixture(scope="module")
def report_server(tmp_path_factory):
    """The sample network on a server of its own, and a cookie of a report link.

    It starts before the browser, which keeps an event loop in this thread.
    """
    app = sample_network.played(tmp_path_factory.mktemp("network"))
    network = app.config.network.model_copy(update={"contact_phone": "+212 537 00 00 00"})
    app.config = app.config.model_copy(update={"network": network})
    with serve_app(app, sample_network.NOW) as url:
        yield url, build_cookie(app, "nour", url, sample_network.NOW), app.store
    app.store.close()


def build_cookie(app, association, url, now):
    """Return the cookie of a new report link."""
    _, address = report_links.create_report_link(
        app.store, app.config, association, "Amina", now, keep_older_links=True
    )
    return {"name": REPORT_LINK_COOKIE, "value": address.rpartition("/")[2], "url": url}


@pytest.fixture
def phone(report_server, chromium):
    """The Arabic report in a phone without JavaScript."""
    url, cookie, _ = report_server
    context = chromium.new_context(
        viewport=PHONE, java_script_enabled=False, locale="ar-MA", has_touch=True
    )
    context.add_cookies([cookie])
    page = context.new_page()
    page.goto(f"{url}/ar/report")
    yield page
    context.close()


def get_last_point(phone):
    return phone.locator("article.gap").last


def reach_reply_forms(point):
    """Open a folded point and its reply forms."""
    for selector in ("details.point > summary", "details.live > summary"):
        summary = point.locator(selector)
        if summary.locator("xpath=..").get_attribute("open") is None:
            summary.click()


def test_first_point_is_open_and_the_others_are_folded(phone):
    points = phone.locator("details.point")
    opened = [point.get_attribute("open") is not None for point in points.all()]
    assert opened == [True] + [False] * (points.count() - 1)
    assert phone.evaluate("document.documentElement.scrollHeight") < MAX_HEIGHT


def test_reply_returns_to_its_point_and_can_be_taken_back_there(phone, report_server):
    store = report_server[2]
    waiting = store.replies.count_pending()
    anchor = get_last_point(phone).get_attribute("id")
    reach_reply_forms(get_last_point(phone))
    day = (sample_network.NOW + timedelta(days=9)).date().isoformat()
    get_last_point(phone).locator("input[type=date]").fill(day)
    get_last_point(phone).locator("button[value=promised]").click()
    assert phone.url.endswith(f"#{anchor}")
    thanks = get_last_point(phone).locator("[role=status]")
    assert thanks.evaluate(IS_IN_VIEW)
    assert store.replies.count_pending() == waiting + 1
    get_last_point(phone).locator(".sent button").click()
    assert phone.url.endswith(f"#{anchor}")
    assert get_last_point(phone).locator("[role=status]").evaluate(IS_IN_VIEW)
    assert get_last_point(phone).locator(".sent").count() == 0
    assert store.replies.count_pending() == waiting


def test_refused_address_is_in_view_with_its_reason_and_its_text(phone):
    phone.locator("summary", has=phone.locator("h2", has_text="حساباتكم")).click()
    account = phone.locator("article", has=phone.locator("details[id^=account-]")).first
    account.locator("summary").first.click()
    account.locator("details.live > summary").click()
    account.locator("input[inputmode=url]").fill("صفحتنا")
    account.locator("button[value=moved]").click()
    alert = phone.locator("[role=alert]")
    assert alert.count() == 1
    assert alert.evaluate(IS_IN_VIEW)
    field = phone.locator("input[aria-invalid=true]")
    assert field.input_value() == "صفحتنا"
    assert field.evaluate(IS_IN_VIEW)


def test_steps_are_ticked_by_touch_and_stay_ticked(phone):
    point = phone.locator("article.gap").first
    point.locator(".ticks label").nth(1).tap()
    point.locator(".ticks button").tap()
    assert point.locator("[role=status]").evaluate(IS_IN_VIEW)
    phone.goto(phone.url.partition("?")[0])
    ticked = [box.is_checked() for box in point.locator(".ticks input[type=checkbox]").all()]
    assert [number for number, is_ticked in enumerate(ticked) if is_ticked] == [1]
    assert "الخطوات المنجزة" in point.locator("summary").first.inner_text()


def test_link_shared_with_the_board_opens_the_report_elsewhere(phone, report_server, chromium):
    url = report_server[0]
    phone.locator("details.share > summary").click()
    text = phone.locator(".share textarea").input_value()
    assert phone.locator(".share a.button").get_attribute("href").startswith("https://wa.me/?text=")
    context = chromium.new_context(viewport=PHONE, java_script_enabled=False)
    president = context.new_page()
    president.goto(text.rpartition("\n")[2].replace(PUBLIC_URL, url))
    assert president.locator("h1").inner_text() == phone.locator("h1").inner_text()
    context.close()
    phone.reload()
    assert phone.locator("article.gap").count()


def test_summaries_have_different_names(phone):
    names = [summary.text_content().strip() for summary in phone.locator("summary").all()]
    assert len(names) == len(set(names))


def test_each_kind_of_reply_has_a_heading(phone):
    for form in phone.locator("details.live form:has([name=kind])").all():
        heading = form.locator("xpath=preceding-sibling::h4[1]")
        assert heading.text_content()


@pytest.fixture(scope="module")
def demo_server(tmp_path_factory):
    """The demo after its 14 runs, with a report link for each association."""
    folder = tmp_path_factory.mktemp("demo")
    with ThreadPoolExecutor() as executor:  # the browser has an event loop in this thread
        executor.submit(asyncio.run, play.run_demo(folder, now=LAST_RUN)).result()
    config = load_config(folder / "config.toml", {})
    web = config.web.model_copy(update={"public_url": PUBLIC_URL})
    now = LAST_RUN + timedelta(hours=8)
    with App.open(config.model_copy(update={"web": web})) as app, serve_app(app, now) as url:
        associations = [entry.id for entry in app.store.registry.list_associations()]
        yield url, {name: build_cookie(app, name, url, now) for name in associations}


def test_report_of_every_demo_association_is_short_and_light(demo_server, chromium):
    url, cookies = demo_server
    context = chromium.new_context(viewport=PHONE)
    page = context.new_page()
    too_large = []
    for (association, cookie), language in itertools.product(cookies.items(), LANGUAGES):
        context.clear_cookies()
        context.add_cookies([cookie])
        body = page.goto(f"{url}/{language}/report").body()
        height = page.evaluate("document.documentElement.scrollHeight")
        size = len(gzip.compress(body))
        if height >= MAX_HEIGHT or size > MAX_BYTES:
            too_large.append((association, language, height, size))
    context.close()
    assert len(cookies) == 100
    assert too_large == []
