"""The pages that are looked at, by name: a line here has a page tried in every language, width and light."""

from tests.support.sample_network import WAITING

PAGES = {
    "front": "/",
    "association": "/associations/nour",
    "association with markup in its name": "/associations/amal",
    "association with a long name": "/associations/long",
    "evidence": "/associations/nour/accounts/1",
    "nights": "/nights",
    "changes": "/changes?since=2026-11-02",
    "associations": "/associations?region=Souss-Massa&sort=name",
    "gaps": "/gaps?channel=facebook",
    "groups": "/cohorts?by=tag",
    "a decision": "/associations/nour/decide?kind=attest&channel=facebook&account=u:nouragadir",
    "registry": "/registry",
    "who changed what": "/registry/trail",
    "an entry": "/registry/entry/nour",
    "an entry with markup": "/registry/entry/amal",
    "what a sheet would change": f"/registry/diff/{WAITING}",
    "an association to forget": "/registry/forget/nour",
    "meeting": "/meeting",
    "replies": "/replies",
    "letters": "/letters",
    "letters found by name": "/letters?q=nour",
    "letters of one": "/letters/nour",
    "meeting of nobody": "/meeting?tag=nobody",
    "its own report": "/report",
    "its own report, answered": "/report?said=true",
    "its own report, an answer refused": "/report?refused=no_day",
    "its own report by mail": "/report/monthly",
    "its own report by mail, asked for": "/report/monthly?outcome=kept",
    "the login": "/login?next=/en/gaps",
    "a user's own account": "/account",
    "users": "/people",
    "a new user's password": "/welcome",
    "a one-time link that has ended": "/welcome/wrong",
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
        "/associations/nour/decide",
        {"kind": "confirm", "channel": "facebook"},
        422,
    ),
    "a note without a word": ("/associations/nour/follow-up", {"kind": "note"}, 422),
    "what was seen just now": ("/associations/nour/check", {}, 200),
    "an entry that is odd": ("/registry/entry/nour", {"name": "", "email": "nobody"}, 409),
    "a sheet that lists but some": (f"/registry/diff/{WAITING}", {"act": "take"}, 422),
    "a code that is another": ("/registry/forget/nour", {"what": "all", "typed": "amal"}, 422),
    "a link, shown once": ("/letters/nour/make", {}, 200),
    "a reply declined without a reason": ("/replies/1", {"answer": "declined"}, 422),
    "the pack with its codes": ("/meeting", {}, 200),
    "a login that failed": ("/login", {"name": "nobody", "password": "wrong"}, 401),
    "a password that is too short": ("/account", {"password": "short"}, 422),
    "a user without a name": ("/people", {"name": " "}, 422),
}
"""Pages that answer a form: where it is sent, what it says, and the status of the page in the end."""
FILES = (".pdf", ".xlsx", ".json", ".{form}", ".svg")
"""How the addresses end of what is no page."""
WAYS = {"/", "/{language}", "/r/{token}", "/healthz", "/metrics"}
"""What leads on to a page, or is none: machines ask for it."""
FORMS = {"meeting": ("region", "souss-massa"), "associations": ("region", "souss-massa")}
"""Pages with a form to try without JavaScript: a field of it, and what to choose there."""
