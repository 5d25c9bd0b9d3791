"""Takes the pictures of docs/images from the demo: `python tests/browser/pictures.py demo docs/images`.

They are looked at by people and by no test. Few colours keep them small.
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
EVERYWHERE = {"front": "/", "associations": "/associations", "association": "/associations/a068"}
ONCE = {
    "evidence": ("en", "/associations/a068/accounts/{account}"),
    "groups": ("fr", "/groups"),
    "points": ("ar", "/gaps"),
    "meeting": ("fr", "/meeting"),
    "replies": ("en", "/replies"),
    "registry": ("ar", "/registry"),
    "letters": ("fr", "/report-links"),
}
TALLEST = 2400
COLOURS = 96
PUBLIC = "https://reports.example.org"


def main(demo: Path, out: Path) -> None:
    """Serve the demo as of six hours after its last night, and take every picture."""
    os.chdir(demo)
    config = load_config(Path("config.toml"))
    web = config.web.model_copy(update={"public_url": PUBLIC})
    with App.open(config.model_copy(update={"web": web})) as app:
        last = app.store.get_latest_run()
        assert last is not None
        now = last.started_at + timedelta(hours=6)
        _, letter = report_links.create_report_link(
            app.store, app.config, "a068", "the coordination", now
        )
        account = next(app.store.list_accounts("a068")).id
        with serve_app(app, now) as address, sync_playwright() as playwright:
            browser = playwright.chromium.launch(
                executable_path=debian.chromium(), args=debian.FLAGS
            )
            camera = Camera(browser, address, out, create_session(app.store, "La coordination"))
            for (name, way), language, width in product(EVERYWHERE.items(), LANGUAGES, WIDTHS):
                camera.take(f"{name}-{language}-{width}", f"/{language}{way}", width)
            for name, (language, way) in ONCE.items():
                camera.take(
                    f"{name}-{language}-1280", f"/{language}{way.format(account=account)}", 1280
                )
            camera.take("front-dark-en-1280", "/en/", 1280, light="dark")
            for language, width in product(LANGUAGES, WIDTHS):
                way = f"/{language}/report"
                camera.take(
                    f"report-{language}-{width}", way, width, first=letter.removeprefix(PUBLIC)
                )


class Camera:
    """A browser that takes pictures."""

    def __init__(self, browser, address, out, session):
        self._browser, self._address, self._out = browser, address, out
        self._cookie = {"name": SESSION_COOKIE, "value": session, "url": address}

    def take(self, name, way, width, *, light="light", first=None):
        """Take a page from its head, as tall as it is up to `TALLEST`; go to `first` before."""
        context = self._browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=light
        )
        context.add_cookies([self._cookie])
        page = context.new_page()
        if first:
            page.goto(self._address + first)
        page.goto(self._address + way)
        tall = min(TALLEST, page.evaluate("document.documentElement.scrollHeight"))
        shot = page.screenshot(
            clip={"x": 0, "y": 0, "width": width, "height": tall}, full_page=True
        )
        few = (
            Image.open(io.BytesIO(shot)).convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE)
        )
        few.save(self._out / f"{name}.png", optimize=True)
        context.close()


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
