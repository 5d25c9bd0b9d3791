"""The browser, and the pages that its tests open, by name.

Each page here is opened in Arabic and French, in two colour schemes and several widths.
"""

import shutil

from tests.support.sample_network import UNREAD, WAITING

PHONE = {"width": 360, "height": 740}
DESKTOP = {"width": 1280, "height": 900}
CHROMIUM_NAMES = ("chromium", "chromium-browser", "google-chrome")
CHROMIUM_FLAGS = [
    *("--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run")
]


def find_chromium():
    """Return the path of Debian's Chromium, or None."""
    return next(filter(None, map(shutil.which, CHROMIUM_NAMES)), None)


def open_page(tab, url, size):
    """Open an address in a browser page of this size, and return the browser page."""
    tab.set_viewport_size(size)
    tab.goto(url)
    return tab


PAGES = {
    "dashboard": "/",
    "association": "/associations/nour",
    "association with markup in its name": "/associations/amal",
    "association with a long name": "/associations/long",
    "evidence": "/associations/nour/accounts/1",
    "check log": "/runs",
    "run": "/runs/2026-11-05",
    "changes": "/changes?since=2026-11-02",
    "associations": "/associations?region=Souss-Massa&sort=name",
    "associations without accounts": "/associations?channel=youtube&state=none",
    "search with a typing error": "/associations?q=agadit&state=nonsense",
    "search without results": "/associations?q=xyzzy",
    "regions": "/groups",
    "gaps": "/gaps?channel=facebook",
    "groups": "/groups?group_by=tag",
    "decision form": (
        "/associations/nour/decisions?kind=confirm&channel=facebook&account=u:nouragadir"
    ),
    "domain expiry form": (
        "/associations/long/decisions?kind=domain_expires&channel=website&account=long.org.ma"
    ),
    "registry": "/registry",
    "change log": "/registry/history",
    "change log of an import": "/registry/history/5",
    "change log of one association": "/registry/history?association=nour",
    "registry entry": "/registry/entries/nour",
    "new registry entry": "/registry/entries",
    "registry entry with markup": "/registry/entries/amal",
    "import preview": f"/registry/imports/{WAITING}",
    "import that asks for the names": f"/registry/imports/{UNREAD}",
    "check that is refused": "/check?refusal=finished",
    "erasure form": "/registry/erase/nour",
    "glossary": "/glossary",
    "meeting": "/meeting",
    "survey": "/survey",
    "workshops": "/workshops",
    "workshop": "/workshops/1",
    "final report": "/final-report?from=2026-11-02&to=2026-11-05",
    "final report without a check": "/final-report?from=2030-01-01&to=2030-02-01",
    "replies": "/replies",
    "report links": "/report-links",
    "report links of one association": "/report-links/nour",
    "call": "/calls",
    "messages that are no longer shown": "/messages",
    "meeting without associations": "/meeting?tag=nobody",
    "own report": "/report",
    "own report after a reply": "/report?done=sent&at=account-2",
    "own report after a refused reply": (
        "/report?error=invalid_address&kind=moved&typed=nour&at=account-2"
    ),
    "own report after a reply about what is gone": "/report?error=unknown_subject",
    "question of the survey": "/report/survey?question=example",
    "answered question of the survey": "/report/survey?question=training",
    "answers of an association": "/report/survey?question=all",
    "report subscription": "/report/subscriptions",
    "report subscription after a request": "/report/subscriptions?outcome=requested",
    "confirmation of a subscription": "/subscriptions/wrong",
    "login": "/login?next=/en/gaps",
    "own account": "/account",
    "users": "/users",
    "set password": "/set-password",
    "expired one-time link": "/set-password/wrong",
    "unsubscribe": "/unsubscribe/wrong",
    "unknown page": "/nothing-here",
}
"""Paths after the language. Pages with an error status are in `ERROR_STATUSES`, too."""
STATIC_PAGES = {
    "static network page": "/index.html",
    "static report": "/nour.html",
    "static report with markup in its name": "/amal.html",
    "static report with a long name": "/long.html",
}
"""Files of `auditor publish` in the folder of a language."""
ERROR_STATUSES = {"unknown page": 404, "expired one-time link": 410}
FORM_PAGES = {
    "decision without a reason": (
        "/associations/nour/decisions",
        {"kind": "confirm", "channel": "facebook"},
        422,
    ),
    "note without text": ("/associations/nour/follow-ups", {"kind": "note"}, 422),
    "result of an on-demand check": ("/associations/nour/checks", {}, 200),
    "registry entry with issues": ("/registry/entries/nour", {"name": "", "email": "nobody"}, 409),
    "import of a changed registry": (f"/registry/imports/{WAITING}", {"action": "import"}, 200),
    "wrong erasure confirmation": (
        "/registry/erase/nour",
        {"scope": "all", "confirmation": "amal"},
        422,
    ),
    "messages to selected associations": (
        "/associations",
        {"action": "messages", "id": "nour"},
        200,
    ),
    "new report link": ("/report-links/nour/create", {}, 200),
    "reply declined without a reason": ("/replies/1", {"answer": "declined"}, 422),
    "meeting pack with QR codes": ("/meeting", {}, 200),
    "failed login": ("/login", {"name": "nobody", "password": "wrong"}, 401),
    "password too short": ("/account", {"password": "short"}, 422),
    "user without a name": ("/users", {"name": " "}, 422),
}
"""Pages that answer a form: its address, its fields, and the status of the final page."""
DOWNLOAD_SUFFIXES = (".pdf", ".png", ".xlsx", ".json", ".ics", ".{file_format}", ".svg")
NON_PAGE_ROUTES = {
    "/",
    "/{language}",
    "/r/{token}",
    "/{language}/login/{token}",
    "/healthz",
    "/metrics",
    "/{language}/associations/{association:path}/follow-ups",
    "/{language}/associations/{association:path}/whatsapp",
    "/{language}/replies/{reply_id:int}",
    "/{language}/proposals/{proposal_id:int}",
}
"""Redirects, and routes for monitoring."""
FILTER_FORMS = {"meeting": ("region", "souss-massa"), "associations": ("region", "souss-massa")}
"""Pages with a filter form: the field to use without JavaScript, and its value."""
