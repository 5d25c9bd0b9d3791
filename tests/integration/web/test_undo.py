"""Every form says in one banner what it did, with Undo, and repeats nothing."""

import re
from datetime import timedelta

import pytest
from lxml import html

from auditor.conclusions.recording import DecisionInput, record_decision
from auditor.config.schema import WebSettings
from auditor.core.formatting import hash_token
from auditor.presentation import report_links
from auditor.rules.association_state import select_decisions_in_force
from auditor.runs import erasure
from auditor.runs.run import execute_run
from auditor.web.access import SESSION_COOKIE
from storage.models.audit import DecisionKind
from storage.models.users import ReplyKind, ReplyOutcome, Role
from storage.tables.communication import FollowUp, Reply, Subscription
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


def send_form(client, action):
    """Send the form of an action. Return it as sent, and the address of the confirmation."""
    path, form = ACTIONS[action]
    if action == "entry":
        page = html.fromstring(get_text(client, path))
        fields = next(one.fields for one in page.forms if "version" in one.fields)
        form = {**fields, **form, "save_anyway": "1"}
    return form, client.post(path, data=form).headers["location"]


def find_undo(client, location):
    [undo] = html.fromstring(get_text(client, location)).xpath(BANNER_FORM)
    return undo


@pytest.mark.parametrize("action", ACTIONS)
def test_action_is_confirmed_once_and_undone_with_one_click(app, client, action):
    before = describe_state(app.store)
    form, location = send_form(client, action)
    assert location.startswith(f"{form['next']}?done=" if "next" in form else "/en/")
    after = describe_state(app.store)
    assert after != before
    for _ in ("first", "Reload"):
        undo = find_undo(client, location)
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


@pytest.mark.parametrize("action", ACTIONS)
def test_undo_brings_nothing_of_an_erased_association_back(app, client, action):
    _, location = send_form(client, action)
    [undo] = html.fromstring(client.get(location).text).xpath(BANNER_FORM)
    erasure.erase_association(app, "nour", "Amina", NOW)
    assert client.post(undo).status_code == 303
    assert app.store.registry.get_association("nour") is None
    assert not any(app.store.erasure.count_stored_data("nour", ()).values())


def revoke_links(app, _page):
    app.store.report_links.revoke("nour", "Salma", NOW)


def set_new_password(app, page):
    token = re.search(r"/set-password/([\w-]+)", page)[1]
    assert app.store.users.accept_invite(hash_token(token), "a new hash", NOW)


def add_namesake(app, _page):
    app.store.users.add(User(name="Salma", role=Role.ADMIN, added_at=NOW, added_by="Omar"))


@pytest.mark.parametrize(
    ("action", "change"),
    [
        ("later end of links", revoke_links),
        ("new one-time link", set_new_password),
        ("removed user", add_namesake),
    ],
)
def test_undo_gives_no_access_back_that_was_changed_meanwhile(app, client, action, change):
    _, location = send_form(client, action)
    undo = find_undo(client, location)
    change(app, get_text(client, location))
    after = describe_state(app.store)
    client.post(undo)
    get_text(client, location, "Something was changed meanwhile, so nothing was undone.")
    assert describe_state(app.store) == after


def test_undo_concerns_no_row_of_another_association(app, client):
    """SQLite gave the id of an erased row to the next one."""
    register(app, link("amal", "website", "amal"), SITE, NOUR)
    undos = [find_undo(client, send_form(client, action)[1]) for action in ("call", "report link")]
    erasure.erase_association(app, "nour", "Amina", NOW)
    called = FollowUp(association="amal", kind="called", author="Omar", occurred_at=NOW)
    app.store.follow_ups.add(called)
    report_links.create_report_link(app.store, app.config, "amal", "Omar", NOW)
    for undo in undos:
        client.post(undo)
    [amal_link] = app.store.report_links.list_report_links("amal")
    assert amal_link.is_active(NOW)
    assert [row.author for row in app.store.follow_ups.list_follow_ups("amal")] == ["Omar"]


def decline_reply(app):
    app.store.replies.reopen(1)
    app.store.replies.review(1, ReplyOutcome.DECLINED, "Omar", "it is a shop", NOW)


def decide_otherwise(app):
    typed = DecisionInput(
        association="nour",
        kind=DecisionKind.CONFIRM,
        author="Omar",
        reason="seen",
        channel="facebook",
    )
    record_decision(app.store, app.config.channels, typed, NOW + timedelta(minutes=1))


@pytest.mark.parametrize(
    ("action", "change"), [("accepted reply", decline_reply), ("withdrawal", decide_otherwise)]
)
def test_undo_overrides_no_answer_of_somebody_else(app, client, action, change):
    _, location = send_form(client, action)
    undo = find_undo(client, location)
    change(app)
    after = app.store.replies.get(1), list(app.store.decisions.list_decisions())
    client.post(undo)
    get_text(client, location, "Something was changed meanwhile, so nothing was undone.")
    assert (app.store.replies.get(1), list(app.store.decisions.list_decisions())) == after


def test_undo_of_a_revocation_subscribes_nobody_who_has_unsubscribed(app, client):
    [link_row] = app.store.report_links.list_report_links("nour")
    common = {"kind": "monthly", "association": "nour", "is_wanted": True, "changed_at": NOW}
    for address in ("stays@x.org", "leaves@x.org"):
        row = Subscription(address=address, token_hash=address, is_from_report_link=True, **common)
        app.store.subscriptions.save(row)
    _, location = send_form(client, "revoked links")
    undo = find_undo(client, location)
    app.store.subscriptions.unsubscribe("leaves@x.org", NOW + timedelta(hours=1))
    client.post(undo)
    wanted = {row.address: row.is_wanted for row in app.store.subscriptions.list_subscriptions()}
    assert wanted == {"stays@x.org": True, "leaves@x.org": False}
    assert app.store.report_links.get(link_row.token_hash).is_active(NOW)
