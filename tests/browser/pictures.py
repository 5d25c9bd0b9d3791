"""Takes the pictures that README.md and docs show, from a copy of the demo.

Usage: `python -m tests.browser.pictures demo docs/images`.

The name of a picture is the page, the language and the width: `report-ar-360.png`. To add one, show
it in a document and run `make pictures`. No test reads the pictures. They have few colours, so that
the files are small.
"""

from __future__ import annotations

import io
import os
import re
import sys
from datetime import timedelta
from pathlib import Path
from shutil import copytree
from tempfile import TemporaryDirectory

import openpyxl
from PIL import Image
from playwright.sync_api import Locator, Page, sync_playwright

from auditor.app import App
from auditor.config.schema import load_config
from auditor.presentation import report_links
from auditor.web.access import SESSION_COOKIE
from storage.models.users import Role
from storage.tables.users import User
from tests.browser.pages import CHROMIUM_FLAGS, find_chromium
from tests.support.web_server import create_session, serve_app

ROOT = Path(__file__).parents[2]
PICTURE_PATTERN = re.compile(r"images/([a-z-]+)-(ar|fr|en)-(360|1280)\.png")
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
    "import": "/registry",
    "users": "/users",
    "glossary": "/glossary",
    "survey": "/survey",
    "workshop": "/workshops/{workshop}",
}
USERS = (
    ("Amina", Role.ADMIN, ()),
    ("Idris", Role.COORDINATOR, ("souss-massa", "draa-tafilalet")),
    ("Salma", Role.READER, ()),
)
REPORTED_ASSOCIATION = "a017"
MAX_HEIGHTS = {360: 1150, 1280: 1200}
"""How much of a page is shown, by its width in pixels."""
MARGIN = 12
IMPORTED_HEADINGS = {"id", "name", "Ville", "Site web", "فيسبوك", "GSM"}
REPORTED_MISTAKE = "Nous avons renouvelé le domaine lundi. Le site marche de nouveau."
COLOURS = 96
PUBLIC_URL = "https://reports.example.org"


def main(demo: Path, out: Path) -> None:
    """Serve the demo as of six hours after its last run, and take every picture."""
    with TemporaryDirectory() as folder:
        copytree(demo, folder, dirs_exist_ok=True)
        os.chdir(folder)
        config = load_config(Path("config.toml"))
        web = config.web.model_copy(update={"public_url": PUBLIC_URL})
        with App.open(config.model_copy(update={"web": web})) as app:
            take_pictures(app, out)


def take_pictures(app: App, out: Path) -> None:
    """Take every picture that a document shows; that of replies last, because it sends one."""
    last_run = app.store.runs.get_latest()
    now = last_run.started_at + timedelta(hours=6)
    _, report_url = report_links.create_report_link(
        app.store, app.config, REPORTED_ASSOCIATION, "the coordination", now
    )
    documents = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    shown = {one for file in documents for one in PICTURE_PATTERN.findall(file.read_text("utf-8"))}
    workshop_id = app.store.workshops.list_workshops()[-1].id
    account_id = next(app.store.registry.list_accounts(REPORTED_ASSOCIATION)).id
    for name, role, regions in USERS:
        if app.store.users.get(name) is None:
            fields = {"name": name, "role": role, "regions": list(regions), "password_hash": "-"}
            since = now - timedelta(days=30)
            app.store.users.add(User(added_at=since, added_by="Amina", **fields))
    with serve_app(app, now) as server_url, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=find_chromium(), args=CHROMIUM_FLAGS)
        session = create_session(app.store, "Amina")
        for name, language, width in sorted(shown, key=lambda picture: picture[0] == "replies"):
            context = browser.new_context(viewport={"width": int(width), "height": 900})
            context.add_cookies([{"name": SESSION_COOKIE, "value": session, "url": server_url}])
            page = context.new_page()
            target = out / f"{name}-{language}-{width}.png"
            page.goto(server_url + report_url.removeprefix(PUBLIC_URL))
            page.goto(f"{server_url}/{language}/report")
            if name == "replies":
                report_mistake(page)
            if name in PAGES:
                page.goto(
                    f"{server_url}/{language}"
                    + PAGES[name].format(account=account_id, workshop=workshop_id)
                )
            TAKERS.get(name, save_picture)(page, target)
            context.close()


def take_import(page: Page, target: Path) -> None:
    """Show the review of an import: two new rows, one without a name, and an unknown column."""
    workbook = openpyxl.load_workbook("registry.xlsx")
    sheet = workbook.active
    headings = [cell.value for cell in sheet[1]]
    sheet.cell(1, len(headings) + 1, "Divers")
    row = sheet.max_row + 1
    sheet.cell(row, headings.index("name") + 1, "Association Tifawt")
    sheet.cell(row + 1, headings.index("Ville") + 1, "Agadir")
    for column in range(len(headings), 0, -1):
        if headings[column - 1] not in IMPORTED_HEADINGS:
            sheet.delete_cols(column)
    workbook.save("associations.xlsx")
    page.set_input_files("input[type=file]", "associations.xlsx")
    page.locator("form:has(input[type=file]) button").click()
    save_picture(page, target)
    page.locator("button[value=discard]").first.click()


def open_first_point(page: Page) -> Locator:
    """Open the forms below the first problem, and return the problem."""
    point = page.locator("article.gap").first
    point.locator("details.live > summary").click()
    return point


def take_reply_form(page: Page, target: Path) -> None:
    """Show the forms below a problem."""
    save_picture(page, target, open_first_point(page).locator("details.live"))


def take_sent_reply(page: Page, target: Path) -> None:
    """Promise to fix a problem, and show the confirmation."""
    point = open_first_point(page)
    day = point.locator("input[type=date]").first
    day.fill(f"{int(day.get_attribute('min')[:4]) + 1}-01-15")
    point.locator("button[value=promised]").click()
    sent = page.locator("article.gap").first.locator(".sent")
    save_picture(page, target, page.locator("#message"), sent)
    sent.locator("button").click()


def take_account_form(page: Page, target: Path) -> None:
    """Show the forms of an account."""
    account = page.locator("details[id^=account-]").first
    account.evaluate("element => element.closest('details.part:not([id])').open = true")
    account.locator("> summary").click()
    account.locator("details.live > summary").click()
    save_picture(page, target, account)


def report_mistake(page: Page) -> None:
    """Report a mistake about the first problem."""
    point = open_first_point(page)
    point.locator("textarea").fill(REPORTED_MISTAKE)
    point.locator("button[value=disputed]").click()


def save_picture(page: Page, target: Path, start=None, end=None) -> None:
    """Save the beginning of a page, or its width from the top of an element to its end.

    `end` is another element, if the picture ends there.
    """
    width, top = page.viewport_size["width"], 0
    height = page.evaluate("document.documentElement.scrollHeight")
    if start:
        first, last = start.bounding_box(), (end or start).bounding_box()
        top = first["y"] + page.evaluate("scrollY") - MARGIN
        height = last["y"] + last["height"] - first["y"] + 2 * MARGIN
    clip = {"x": 0, "y": top, "width": width, "height": min(height, MAX_HEIGHTS[width])}
    image = Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))).convert("RGB")
    reduced = image.quantize(COLOURS, Image.Quantize.MAXCOVERAGE, dither=Image.Dither.NONE)
    reduced.save(target, optimize=True)


TAKERS = {
    "import": take_import,
    "report-reply": take_reply_form,
    "report-sent": take_sent_reply,
    "report-account": take_account_form,
}


if __name__ == "__main__":
    main(Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve())
