"""The grid of associations in Chromium: its script, a phone, the number of clicks."""

import pytest

from tests.browser.pages import DESKTOP, PHONE, open_page
from tests.support.sample_network import PEOPLE

pytestmark = [pytest.mark.browser, pytest.mark.slow]


@pytest.fixture
def grid(tab, server_url):
    """The grid in English on a desktop screen."""
    return open_page(tab, f"{server_url}/en/associations", DESKTOP)


def list_row_ids(tab):
    return [
        row.removeprefix("row-")
        for row in tab.locator("tbody tr[id]").evaluate_all("rows => rows.map(row => row.id)")
    ]


def test_search_shows_results_while_typing(grid):
    grid.locator("main input[name=q]").press_sequentially("Tiznit")
    grid.wait_for_url("**/en/associations?q=Tiznit")
    grid.wait_for_function("document.querySelectorAll('tbody tr[id]').length === 1")
    assert list_row_ids(grid) == ["bare"]
    assert grid.locator("main input[name=q]").evaluate("field => field === document.activeElement")
    assert "q=Tiznit" in grid.locator(".languages a").first.get_attribute("href")


def test_chips_regions_and_history_work_without_a_reload(grid):
    grid.evaluate("window.isSamePage = true")
    grid.locator("main select[name=region]").select_option("souss-massa")
    grid.wait_for_url("**?region=souss-massa")
    grid.locator(".grid-chips a", has_text="No known YouTube").click()
    grid.wait_for_url("**?region=souss-massa&channel=youtube&state=none")
    grid.wait_for_selector(".grid-chips a[aria-current]:has-text('YouTube')")
    assert grid.evaluate("window.isSamePage") is True
    assert grid.locator("main select[name=state]").input_value() == "none"
    assert "nour" not in list_row_ids(grid)
    grid.go_back()
    grid.wait_for_url("**?region=souss-massa")
    grid.wait_for_selector("#row-nour")


def test_actions_appear_with_a_selection(grid):
    bar = grid.locator(".bulk")
    assert not bar.is_visible()
    grid.locator("#select-all").check()
    assert grid.locator("#selected-count").inner_text() == str(len(PEOPLE))
    assert bar.is_visible()
    grid.locator("input[value=nour]").uncheck()
    assert grid.locator("#selected-count").inner_text() == str(len(PEOPLE) - 1)
    grid.locator("#select-all").check()
    grid.locator("#select-all").uncheck()
    assert not bar.is_visible()


def test_enter_in_the_tag_field_adds_the_tag(grid):
    grid.locator("input[value=nour]").check()
    grid.locator("input[name=tag]").fill("visited")
    grid.locator("input[name=tag]").press("Enter")
    grid.wait_for_url("**/associations?tag=visited&done=*")


def test_row_is_a_card_on_a_phone(tab, server_url):
    open_page(tab, f"{server_url}/ar/associations", PHONE)
    box = tab.locator("#row-nour").bounding_box()
    assert box["height"] < 190
    assert box["width"] <= 360
    assert tab.locator("#row-nour a[href^='tel:']").bounding_box()["height"] >= 40
