"""The first day of a network: from the template to the first results, without JavaScript."""

import contextlib
from datetime import timedelta
from pathlib import Path

import pytest
from openpyxl import load_workbook

from auditor.runs.pipeline import run_audit_pipeline
from auditor.runs.scheduling import SchedulerJob
from auditor.web.access import SESSION_COOKIE
from storage.models.audit import AuditRunState
from storage.models.users import Role
from tests.browser.test_pages import LANGUAGES, fail_if_any, find_problems
from tests.support.demo_session import DemoSession
from tests.support.mini_network import link, opened, register
from tests.support.web_server import NOW, create_session, serve_app

pytestmark = [pytest.mark.browser, pytest.mark.slow]

REGISTRY = Path(__file__).parents[3] / "shared/data/registries/guadalajara_asociaciones.xlsx"
"""232 associations under Spanish headings, of which few are understood."""
CORRECTED_COLUMNS = {"nombre": "name", "ciudad": "city", "telefono": "phone"}
MAX_REFRESHES = 100


@pytest.fixture
def demo_session(tmp_path):
    with DemoSession(tmp_path / "network") as session:
        session.open_web(1)
        starter = SchedulerJob(session.app, run_audit_pipeline, lambda: session.now)
        with serve_app(session.app, lambda: session.now, session.port, run_starter=starter):
            yield session


@pytest.fixture
def coordinator(chromium, demo_session):
    """Return a page in the coordinator's browser without JavaScript."""
    home = f"http://127.0.0.1:{demo_session.port}"
    with contextlib.closing(
        chromium.new_context(base_url=home, locale="fr-MA", java_script_enabled=False)
    ) as context:
        cookie = create_session(demo_session.app.store, "La coordination", Role.COORDINATOR)
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": home}])
        yield context.new_page()


@pytest.mark.skipif(not REGISTRY.exists(), reason="the registries in ../shared are missing")
def test_first_day_leads_from_the_template_to_results(demo_session, coordinator, tmp_path):
    coordinator.goto("/fr/")
    assert "Aucune association pour l’instant" in read_main(coordinator)
    assert read_template(coordinator, tmp_path / "modele.xlsx") == [
        "Association Exemple (à supprimer)"
    ]
    upload(coordinator, tmp_path / "modele.xlsx")
    assert "Ce fichier ne contient aucune association." in read_main(coordinator)

    upload(coordinator, REGISTRY)
    assert "quelle colonne contient le nom des associations" in read_main(coordinator)
    assert (
        "Asociación de Pensionistas"
        in coordinator.locator("tr", has_text="nombre").first.inner_text()
    )
    correct_columns(coordinator)
    assert "232 nouvelles associations" in coordinator.locator("p.lead").inner_text()
    coordinator.locator("button[value=import]").click()
    assert "232 nouvelles associations" in coordinator.locator("[role=status]").inner_text()

    coordinator.goto("/fr/")
    assert "232 associations inscrites, pas encore vérifiées" in read_main(coordinator)
    check_now(coordinator)
    assert demo_session.app.store.runs.get_latest().state is AuditRunState.DONE
    demo_session.now += timedelta(minutes=1)
    coordinator.goto("/fr/")
    text = read_main(coordinator)
    assert "pas encore vérifié" not in text
    assert "ont besoin de vous aujourd’hui" in text
    assert "75 comptes vérifiés" in text
    assert "Première vérification" in text
    assert coordinator.locator("main a[href*='/associations/']").count() > 0


@pytest.mark.parametrize("language", LANGUAGES)
def test_pages_before_the_first_results_are_accessible_and_fit(language, chromium, tmp_path):
    network, starter = opened(tmp_path), PendingRun()
    with (
        contextlib.closing(network.store),
        serve_app(network, NOW, run_starter=starter) as url,
        contextlib.closing(chromium.new_context(reduced_motion="reduce")) as context,
    ):
        cookie = create_session(network.store, "La coordination", Role.COORDINATOR)
        context.add_cookies([{"name": SESSION_COOKIE, "value": cookie, "url": url}])
        tab = context.new_page()
        tab.goto(f"{url}/{language}/")
        fail_if_any(find_problems(tab), "without associations")
        register(network, link("nour", "website", "nour"), now=NOW)
        tab.goto(f"{url}/{language}/")
        fail_if_any(find_problems(tab), "without a run")
        starter.is_running = True
        tab.route("**/check", drop_refresh)
        tab.goto(f"{url}/{language}/check")
        fail_if_any(find_problems(tab), "during the run")


class PendingRun:
    """A run starter whose run never ends."""

    is_running = False
    has_failed = False


def drop_refresh(route):
    """Answer with the page as it is, but do not load it again during the test."""
    response = route.fetch()
    headers = {name: value for name, value in response.headers.items() if name != "refresh"}
    route.fulfill(response=response, headers=headers)


def read_main(page):
    return page.locator("main").inner_text()


def read_template(page, path):
    """Download the template, and return the names in it."""
    with page.expect_download() as download:
        page.locator("a[href$='template.xlsx']").click()
    download.value.save_as(path)
    return [row[0] for row in load_workbook(path).active.iter_rows(min_row=2, values_only=True)]


def upload(page, path):
    page.set_input_files("input[type=file]", path)
    page.locator("form[enctype] button").click()


def correct_columns(page):
    """Say which columns have the names, the towns and the telephone numbers."""
    for heading, column in CORRECTED_COLUMNS.items():
        row = page.locator("tr", has=page.locator("th", has_text=heading)).filter(
            has=page.get_by_role("rowheader", name=heading, exact=True)
        )
        select = row.locator("select")
        value = select.locator(f"option[value$=':{column}']").get_attribute("value")
        select.select_option(value)
    page.locator("form[action$='/columns'] button").click()


def check_now(page):
    """Start the check, and follow its page until it shows the results."""
    page.locator("form[action$='/check'] button").click()
    assert "en cours" in read_main(page)
    for _ in range(MAX_REFRESHES):
        if not page.url.endswith("/check"):
            return
        page.wait_for_load_state()
        with contextlib.suppress(Exception):
            page.wait_for_url(lambda url: not url.endswith("/check"), timeout=5000)
    pytest.fail("the check did not end")
