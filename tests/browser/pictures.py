"""Takes the pictures of docs/images from the demo.

Usage: `python tests/browser/pictures.py demo docs/images`.

No test reads them. They have few colours, so that the files are small.
"""

from __future__ import annotations

import io
import os
import sys
from datetime import timedelta
from itertools import product
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from auditor import report_links
from auditor.app import App
from auditor.config.schema import load_config
from auditor.web.access import SESSION_COOKIE
from tests.browser import debian
from tests.support.web_server import create_session, serve_app

LANGUAGES, WIDTHS = ("ar", "fr", "en"), (360, 1280)
PAGES_IN_ALL_LANGUAGES = {
    "dashboard": "/",
    "associations": "/associations",
    "association": "/associations/a068",
}
PAGES_IN_ONE_LANGUAGE = {
    "evidence": ("en", "/associations/a068/accounts/{account}"),
    "groups": ("fr", "/groups"),
    "gaps": ("ar", "/gaps"),
    "meeting": ("fr", "/meeting"),
    "replies": ("en", "/replies"),
    "registry": ("ar", "/registry"),
    "report-links": ("fr", "/report-links"),
}
MAX_HEIGHT = 2400
COLOURS = 96
PUBLIC_URL = "https://reports.example.org"


def main(demo: Path, out: Path) -> None:
    """Serve the demo as of six hours after its last run, and take every picture."""
    os.chdir(demo)
    config = load_config(Path("config.toml"))
    web = config.web.model_copy(update={"public_url": PUBLIC_URL})
    with App.open(config.model_copy(update={"web": web})) as app:
        last_run = app.store.get_latest_run()
        assert last_run is not None
        now = last_run.started_at + timedelta(hours=6)
        _, report_url = report_links.create_report_link(
            app.store, app.config, "a068", "the coordination", now
        )
        account_id = next(app.store.list_accounts("a068")).id
        with serve_app(app, now) as server_url, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=debian.find_chromium(), args=debian.FLAGS
            )
            session = create_session(app.store, "La coordination")
            camera = Camera(browser, server_url, out, session)
            for (name, path), language, width in product(
                PAGES_IN_ALL_LANGUAGES.items(), LANGUAGES, WIDTHS
            ):
                camera.take(f"{name}-{language}-{width}", f"/{language}{path}", width)
            for name, (language, path) in PAGES_IN_ONE_LANGUAGE.items():
                page_path = f"/{language}{path.format(account=account_id)}"
                camera.take(f"{name}-{language}-1280", page_path, 1280)
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
        """Save a picture of a page, up to MAX_HEIGHT. Open `first_path` before, if given."""
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=colour_scheme
        )
        context.add_cookies([self._cookie])
        page = context.new_page()
        if first_path:
            page.goto(self._server_url + first_path)
        page.goto(self._server_url + path)
        height = min(MAX_HEIGHT, page.evaluate("document.documentElement.scrollHeight"))
        picture = page.screenshot(
            clip={"x": 0, "y": 0, "width": width, "height": height}, full_page=True
        )
        image = Image.open(io.BytesIO(picture)).convert("RGB")
        reduced = image.quantize(COLOURS, dither=Image.Dither.NONE)
        reduced.save(self._out / f"{name}.png", optimize=True)
        context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
