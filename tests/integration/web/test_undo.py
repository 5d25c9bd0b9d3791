"""Every form says in one banner what it did, with Undo, and repeats nothing."""

from datetime import timedelta

import pytest
from lxml import html

from auditor.conclusions.recording import DecisionInput, record_decision
from auditor.config.schema import WebSettings
from auditor.presentation import report_links
from auditor.rules.association_state import select_decisions_in_force
from auditor.runs.run import execute_run
from auditor.web.access import SESSION_COOKIE
from storage.models.audit import DecisionKind
from storage.models.users import ReplyKind, Role
from storage.tables.communication import Reply
from storage.tables.users import User
from tests.support import stored
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import create_session, get_or_create_user, get_text

NOW = night_of(0) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
PAGE = "/en/associations/nour"
BANNER_FORM = '//*[@id="message"]//form/@action'
ACTIONS = {
    "call": (f"{PAGE}/follow-ups", {"kind": "called"}),
    "promise from the page Today": (f"{PAGE}/follow-ups", {"due": "2026-04-01", "next": "/en/"}),
    "decision": (f"{PAGE}/decisions", {"kind": "none_by_choice", "channel": "youtube"}),
    "withdrawal": (f"{PAGE}/decisions", {"kind": "withdraw", "decision_id": "1"}),
    "accepted reply": ("/en/replies/1", {"answer": "accepted"}),
    "found account": ("/en/proposals/1", {"answer": "accepted", "next": "/en/"}),
    "account that is not theirs": ("/en/proposals/1", {"answer": "declined"}),
    "report link": ("/en/report-links/nour/create", {}),
    "later end of links": ("/en/report-links/nour/renew", {}),
    "revoked links": ("/en/report-links/nour/revoke", {}),
    "messages": ("/en/associations", {"action": "messages", "id": "nour"}),
    "codes for the meeting": ("/en/meeting", {}),
    "tag": ("/en/associations", {"action": "tag", "id": "nour", "tag": "visited"}),
    "entry": ("/en/registry/entries/nour", {"name": "Nour", "website": "https://other.example"}),
    "new user": ("/en/users", {"name": "Hiba", "role": "reader"}),
    "new one-time link": ("/en/users/2/reset", {}),
    "removed user": ("/en/users/2/remove", {}),
}


@lived
async def app(network):
    """Nour has a decision, a reply and a proposal; the users are Amina, Salma and Omar."""
    register(network, NOUR, SITE)
    network.web.answers = {SITE.typed_text: "linked"}
    for day in range(4):
        await execute_run(network, night_of(day - 3))
    for name in ("Amina", "Salma", "Omar"):
        get_or_create_user(network.store, name, password_hash="a hash")
    about = {"association": "nour", "channel": "facebook", "account_id": 1}
    reply = Reply(kind=ReplyKind.DISOWNED, submitted_at=NOW, **about)
    stored.add_reply(network.store, reply)
    choice = DecisionInput(
        association="nour",
        kind=DecisionKind.NONE_BY_CHOICE,
        author="Amina",
        reason="said so",
        channel="facebook",
    )
    record_decision(network.store, network.config.channels, choice, NOW - timedelta(hours=1))


@pytest.fixture(autouse=True)
def report_link(app):
    """Nour has a link to its report, which ends soon."""
    web = WebSettings(public_url="https://reports.example.org")
    app.config = app.config.model_copy(update={"web": web})
    report_links.create_report_link(app.store, app.config, "nour", "Amina", NOW, valid_days=2)


def describe_state(store):
    """Return what counts now, without the log of how it came about."""
    decisions = select_decisions_in_force(store.decisions.list_decisions(), NOW)
    links = [one for one in store.report_links.list_report_links() if one.is_active(NOW)]
    return {
        "decisions": [(one.kind, one.channel, one.account_id, one.value) for one in decisions],
        "follow-ups": [one.id for one in store.follow_ups.list_follow_ups("nour")],
        "replies": store.replies.count_pending(),
        "links": [(one.id, one.expires_at) for one in links],
        "registry": list(store.registry.list_association_entries()),
        "accounts": [(row.channel, row.identity.key) for row in store.registry.list_accounts()],
        "users": [(user.name, user.password_hash) for user in store.users.list_all()],
    }


@pytest.mark.parametrize("action", ACTIONS)
def test_action_is_confirmed_once_and_undone_with_one_click(app, client, action):
    path, form = ACTIONS[action]
    before = describe_state(app.store)
    if action == "entry":
        page = html.fromstring(get_text(client, path))
        fields = next(one.fields for one in page.forms if "version" in one.fields)
        form = {**fields, **form, "save_anyway": "1"}
    location = client.post(path, data=form).headers["location"]
    assert location.startswith(f"{form['next']}?done=" if "next" in form else "/en/")
    after = describe_state(app.store)
    assert after != before
    for _ in ("first", "Reload"):
        [undo] = html.fromstring(get_text(client, location)).xpath(BANNER_FORM)
    assert describe_state(app.store) == after
    for _ in ("click", "second tab"):
        assert client.post(undo).headers["location"] == location
        assert html.fromstring(get_text(client, location, "Undone.")).xpath(BANNER_FORM) == []
        assert describe_state(app.store) == before


def test_action_cannot_be_undone_without_the_role_that_allowed_it(app, client):
    location = client.post("/en/users/2/remove").headers["location"]
    [undo] = html.fromstring(get_text(client, location)).xpath(BANNER_FORM)
    admin = app.store.users.get("Amina")
    app.store.users.remove(admin, NOW)
    app.store.users.add(User(name="Amina", role=Role.READER, added_at=NOW, added_by="Salma"))
    client.cookies.set(SESSION_COOKIE, create_session(app.store, "Amina"))
    assert client.post(undo).status_code == 404
    assert app.store.users.get("Salma").removed_at


def test_only_the_user_who_acted_sees_the_confirmation(app, client):
    location = client.post("/en/report-links/nour/create").headers["location"]
    [undo] = html.fromstring(get_text(client, location, "/r/")).xpath(BANNER_FORM)
    client.cookies.set(SESSION_COOKIE, create_session(app.store, "Salma"))
    assert "/r/" not in get_text(client, location)
    assert client.post(undo).status_code == 404
