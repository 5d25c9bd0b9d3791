"""The list of pages that are tested in a browser is complete."""

from tests.browser.pages import DOWNLOAD_SUFFIXES, NON_PAGE_ROUTES, PAGES
from tests.support.all_routes import list_routes


def test_every_page_route_is_in_the_list_of_pages():
    page_routes = [
        route
        for route in list_routes("GET")
        if route.path not in NON_PAGE_ROUTES and not route.path.endswith(DOWNLOAD_SUFFIXES)
    ]
    tested_paths = [f"/en{path.partition('?')[0]}" for path in PAGES.values()]
    untested_routes = [
        route.path
        for route in page_routes
        if not any(route.path_regex.match(path) for path in tested_paths)
    ]
    assert untested_routes == []
