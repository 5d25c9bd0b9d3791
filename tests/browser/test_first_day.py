"""The pages of a network on its first day, before there are results."""

import contextlib
from types import SimpleNamespace

import pytest

from auditor.web.access import SESSION_COOKIE
from storage.models.users import Role
from tests.browser.test_pages import fail_if_any, find_problems
from tests.support.mini_network import link, opened, register
from tests.support.web_server import NOW, create_session, serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]


def test_pages_before_the_first_results_are_accessible_and_fit(chromium, tmp_path):
    network = opened(tmp_path)
    starter = SimpleNamespace(is_running=False, has_failed=False)
    with (
        contextlib.closing(network.store),
        serve_app(network, NOW, run_starter=starter) as url,
        contextlib.closing(chromium.new_context(reduced_motion="reduce")) as context,
    ):
        cookie = create_session(network.store, "La coordination", Role.COORDINATOR)
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": url}])
        tab = context.new_page()
        tab.goto(f"{url}/ar/")
        fail_if_any(find_problems(tab), "without associations")
        register(network, link("nour", "website", "nour"), now=NOW)
        tab.goto(f"{url}/ar/")
        fail_if_any(find_problems(tab), "without a run")
        starter.is_running = True
        tab.route("**/check", drop_refresh)
        tab.goto(f"{url}/ar/check")
        fail_if_any(find_problems(tab), "during the run")


def drop_refresh(route):
    """Answer with the page as it is, but do not load it again during the test."""
    response = route.fetch()
    headers = {name: value for name, value in response.headers.items() if name != "refresh"}
    route.fulfill(response=response, headers=headers)
