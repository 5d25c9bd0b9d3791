"""The pages that are looked at, by name: a line here has a page tried in every language, width and light."""

from tests.support.sample_network import WAITING

PAGES = {
    "front": "/",
    "association": "/associations/nour",
    "association with markup in its name": "/associations/amal",
    "association with a long name": "/associations/long",
    "evidence": "/associations/nour/accounts/1",
    "nights": "/runs",
    "changes": "/changes?since=2026-11-02",
    "associations": "/associations?region=Souss-Massa&sort=name",
    "gaps": "/gaps?channel=facebook",
    "groups": "/groups?by=tag",
    "a decision": "/associations/nour/decisions?kind=attest&channel=facebook&account=u:nouragadir",
    "registry": "/registry",
    "who changed what": "/registry/history",
    "an entry": "/registry/entries/nour",
    "an entry with markup": "/registry/entries/amal",
    "what a sheet would change": f"/registry/imports/{WAITING}",
    "an association to forget": "/registry/erase/nour",
    "meeting": "/meeting",
    "replies": "/replies",
    "letters": "/report-links",
    "letters found by name": "/report-links?q=nour",
    "letters of one": "/report-links/nour",
    "meeting of nobody": "/meeting?tag=nobody",
    "its own report": "/report",
    "its own report, answered": "/report?said=true",
    "its own report, an answer refused": "/report?refused=invalid_day",
    "its own report by mail": "/report/subscriptions",
    "its own report by mail, asked for": "/report/subscriptions?outcome=kept",
    "the login": "/login?next=/en/gaps",
    "a user's own account": "/account",
    "users": "/users",
    "a new user's password": "/set-password",
    "a one-time link that has ended": "/set-password/wrong",
    "end of a subscription": "/unsubscribe/wrong",
    "no such page": "/nothing-here",
}
"""Their addresses behind the language. What answers with an error on purpose is in `ERRORS`, too."""
PUBLISHED = {
    "published network": "/index.html",
    "published report": "/nour.html",
    "published report with markup in its name": "/amal.html",
    "published report with a long name": "/long.html",
}
"""The files of `auditor publish`, behind the language's folder."""
OFTEN = {
    *(
        "front",
        "association",
        "associations",
        "gaps",
        "meeting",
        "its own report",
        "the login",
        "users",
    ),
    *("published report", "an entry that is odd", "a login that failed"),
}
"""What is tried in a browser with every run; the others where there is time (`make test-slow`, and CI)."""
ERRORS = {"no such page": 404, "a one-time link that has ended": 410}
ANSWERS = {
    "a decision that lacks a reason": (
        "/associations/nour/decisions",
        {"kind": "confirm", "channel": "facebook"},
        422,
    ),
    "a note without a word": ("/associations/nour/follow-ups", {"kind": "note"}, 422),
    "what was seen just now": ("/associations/nour/checks", {}, 200),
    "an entry that is odd": ("/registry/entries/nour", {"name": "", "email": "nobody"}, 409),
    "a sheet that lists but some": (f"/registry/imports/{WAITING}", {"act": "take"}, 422),
    "a code that is another": ("/registry/erase/nour", {"what": "all", "typed": "amal"}, 422),
    "a link, shown once": ("/report-links/nour/make", {}, 200),
    "a reply declined without a reason": ("/replies/1", {"answer": "declined"}, 422),
    "the pack with its codes": ("/meeting", {}, 200),
    "a login that failed": ("/login", {"name": "nobody", "password": "wrong"}, 401),
    "a password that is too short": ("/account", {"password": "short"}, 422),
    "a user without a name": ("/users", {"name": " "}, 422),
}
"""Pages that answer a form: where it is sent, what it says, and the status of the page in the end."""
FILES = (".pdf", ".xlsx", ".json", ".{form}", ".svg")
"""How the addresses end of what is no page."""
WAYS = {"/", "/{language}", "/r/{token}", "/healthz", "/metrics"}
"""What leads on to a page, or is none: machines ask for it."""
FORMS = {"meeting": ("region", "souss-massa"), "associations": ("region", "souss-massa")}
"""Pages with a form to try without JavaScript: a field of it, and what to choose there."""
