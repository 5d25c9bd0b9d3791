"""The Today page answers at a glance: without a click, and without JavaScript."""

import pytest

pytestmark = [pytest.mark.browser, pytest.mark.slow]

PHONE = {"width": 360, "height": 740}
DESK = {"width": 1280, "height": 900}


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def today(request, tab_without_javascript, server_url):
    tab_without_javascript.set_viewport_size(request.param)
    tab_without_javascript.goto(f"{server_url}/en/")
    return tab_without_javascript


def test_worst_associations_are_visible_without_a_click(today):
    rows = today.locator("#calls + ul > li").all()
    assert today.locator("h1").inner_text() == f"{len(rows)} associations need you today."
    assert len(rows) == 3
    assert all(row.is_visible() for row in rows)
    numbers = today.locator("#calls + ul a[href^='tel:']")
    assert numbers.first.bounding_box()["height"] >= 24


def test_changes_of_the_week_are_visible_without_a_click(today):
    changes = today.locator(".feed li")
    assert changes.count() > 0
    assert all(change.is_visible() for change in changes.all())
    assert today.locator(".week li").count() == 7


def test_reasons_of_unchecked_accounts_are_one_click_away(today):
    reason = today.locator(".channels details a").first
    assert not reason.is_visible()
    today.locator(".channels details summary").first.click()
    assert reason.is_visible()
    reason.click()
    assert "reason=" in today.url


def test_every_tile_of_the_map_has_a_number_and_a_name(today):
    tiles = today.locator(".tiles a")
    assert tiles.count() == 12
    assert all("/" in tile.text_content() for tile in tiles.all())
    assert min(tile.bounding_box()["height"] for tile in tiles.all()) >= 24
