"""Takes the pictures of docs/images from the demo.

Usage: `python tests/browser/pictures.py demo docs/images`.

No test reads them. They have few colours, so that the files are small.
"""

from __future__ import annotations

import io
import os
import sys
from contextlib import contextmanager
from datetime import timedelta
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from auditor.app import App
from auditor.config.schema import load_config
from auditor.presentation import report_links
from auditor.web.access import SESSION_COOKIE
from tests.browser import debian
from tests.support.web_server import create_session, serve_app

LANGUAGES, WIDTHS = ("ar", "fr", "en"), (360, 1280)
PAGES = {
    "dashboard": "/",
    "associations": "/associations",
    "association": "/associations/a017",
    "evidence": "/associations/a017/accounts/{account}",
    "gaps": "/gaps",
    "groups": "/groups",
    "changes": "/changes",
    "runs": "/runs",
    "meeting": "/meeting",
    "replies": "/replies",
    "report-links": "/report-links",
    "registry": "/registry",
    "users": "/users",
    "glossary": "/glossary",
}
PAGES_ON_A_PHONE = ("dashboard", "associations", "association")
REPORTED_ASSOCIATION = "a017"
IMPORTED_FILE = (
    "Nom;Ville;Page FB;Divers\nAssociation Tifawt;Tiznit;facebook.com/tifawt;x\n;Agadir;;\n"
)
"""A spreadsheet with a column that is not understood and a row without a name."""
MAX_HEIGHTS = {360: 1000, 1280: 1200}
"""How much of a page is shown, by its width in pixels."""
COLOURS = 96
PUBLIC_URL = "https://reports.example.org"


def main(demo: Path, out: Path) -> None:
    """Serve the demo as of six hours after its last run, and take every picture."""
    os.chdir(demo)
    config = load_config(Path("config.toml"))
    web = config.web.model_copy(update={"public_url": PUBLIC_URL})
    with App.open(config.model_copy(update={"web": web})) as app:
        last_run = app.store.runs.get_latest()
        assert last_run is not None
        now = last_run.started_at + timedelta(hours=6)
        _, report_url = report_links.create_report_link(
            app.store, app.config, REPORTED_ASSOCIATION, "the coordination", now
        )
        account_id = next(app.store.registry.list_accounts(REPORTED_ASSOCIATION)).id
        with serve_app(app, now) as server_url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=debian.find_chromium(), args=debian.FLAGS
            )
            session = create_session(app.store, "La coordination")
            camera = Camera(browser, server_url, out, session)
            for (name, path), language in product(PAGES.items(), LANGUAGES):
                page_path = f"/{language}{path.format(account=account_id)}"
                for width in WIDTHS if name in PAGES_ON_A_PHONE else (1280,):
                    camera.take(f"{name}-{language}-{width}", page_path, width)
            for language in LANGUAGES:
                camera.take_import(f"import-{language}-1280", f"/{language}/registry", 1280)
            camera.take("dashboard-dark-en-1280", "/en/", 1280, colour_scheme="dark")
            for language, width in product(LANGUAGES, WIDTHS):
                camera.take(
                    f"report-{language}-{width}",
                    f"/{language}/report",
                    width,
                    first_path=report_url.removeprefix(PUBLIC_URL),
                )


class Camera:
    """A logged-in browser that takes pictures of pages."""

    def __init__(self, browser, server_url, out, session):
        self._browser, self._server_url, self._out = browser, server_url, out
        self._cookie = {"name": SESSION_COOKIE, "value": session, "url": server_url}

    def take(self, name, path, width, *, colour_scheme="light", first_path=None):
        """Save a picture of the beginning of a page. Open `first_path` before, if given."""
        with self._open_page(width, colour_scheme) as page:
            if first_path:
                page.goto(self._server_url + first_path)
            page.goto(self._server_url + path)
            self._save(page, name, width)

    def take_import(self, name, path, width):
        """Save a picture of the page on which an import is reviewed, and discard the import."""
        with self._open_page(width) as page:
            page.goto(self._server_url + path)
            upload = {"name": "liste.csv", "mimeType": "text/csv", "buffer": IMPORTED_FILE.encode()}
            page.set_input_files("input[type=file]", upload)
            page.locator("form:has(input[type=file]) button").click()
            self._save(page, name, width)
            page.locator("button[value=discard]").first.click()

    @contextmanager
    def _open_page(self, width, colour_scheme="light"):
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=colour_scheme
        )
        context.add_cookies([self._cookie])
        yield context.new_page()
        context.close()

    def _save(self, page, name, width):
        page_height = page.evaluate("document.documentElement.scrollHeight")
        height = min(MAX_HEIGHTS[width], page_height)
        page.set_viewport_size({"width": width, "height": height})
        image = Image.open(io.BytesIO(page.screenshot())).convert("RGB")
        reduced = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
        reduced.save(self._out / f"{name}.png", optimize=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
