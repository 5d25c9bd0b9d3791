"""The coordinator's queue of replies and proposals."""

from datetime import timedelta

import pytest
from lxml import html

from auditor.runs.run import execute_run
from storage.models.audit import DecisionKind
from storage.models.users import ReplyKind, ReplyOutcome
from storage.tables.communication import Reply
from tests.support import stored
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import get_text, read_page

NOW = night_of(0) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
PROMISE = {"code": "channel_missing", "value": "2026-04-01"}
QUEUE = "/en/replies"


@lived
async def app(network):
    """Nour's website links to a YouTube channel that is not registered."""
    register(network, NOUR, SITE, names=["amal"])
    network.web.answers = {SITE.typed_text: "linked"}
    for day in range(4):
        await execute_run(network, night_of(day - 3))


def add_reply(app, kind, **fields):
    """Store a reply of Nour about its Facebook page."""
    accounts = app.store.registry.list_accounts("nour")
    account_id = next(row.id for row in accounts if row.channel == "facebook")
    about = {"channel": "facebook", "account_id": account_id, "association": "nour", **fields}
    return stored.add_reply(app.store, Reply(kind=kind, submitted_at=NOW, **about))


def answer_item(client, item, answer, reason="", language="en"):
    path = f"replies/{item.id}" if isinstance(item, Reply) else f"proposals/{item.id}"
    return client.post(f"/{language}/{path}", data={"answer": answer, "reason": reason})


def list_decisions(app):
    return [
        (decision.kind, decision.value, decision.reason)
        for decision in app.store.decisions.list_decisions()
    ]


def get_proposal(app):
    [proposal] = app.store.conclusions.list_proposals()
    return proposal


def test_pending_reply_shows_association_kind_and_gap(app, client):
    add_reply(app, ReplyKind.DISOWNED, text="<b>a shop</b>")
    add_reply(app, ReplyKind.PROMISED, channel="youtube", account_id=None, **PROMISE)
    get_text(
        client,
        QUEUE,
        "2 replies waiting for a decision",
        'href="/en/associations/nour">Nour</a>',
        "Reply: this isn’t ours",
        "&lt;b&gt;a shop&lt;/b&gt;",
        "It has no YouTube channel that we know of",
        "1 April 2026",
    )


@pytest.mark.smoke
def test_accepted_reply_becomes_a_decision_once(app, client):
    reply = add_reply(app, ReplyKind.DISOWNED)
    location = answer_item(client, reply, "accepted", language="fr").headers["location"]
    text = get_text(client, location.replace("fr", "en", 1), "Accepted. The association will see")
    assert "They say" not in text
    location = answer_item(client, reply, "accepted").headers["location"]
    assert location == "/en/replies?already_answered=true#message"
    get_text(client, location, "has already answered this")
    [decision] = app.store.decisions.list_decisions()
    assert (decision.kind, decision.author) == (DecisionKind.DISOWN, "Amina")
    assert decision.reason == "L’association le dit dans sa réponse au rapport."


def test_accepted_promise_becomes_a_follow_up(app, client):
    reply = add_reply(app, ReplyKind.PROMISED, channel="youtube", **PROMISE)
    answer_item(client, reply, "accepted")
    [follow_up] = app.store.follow_ups.list_follow_ups("nour")
    assert (follow_up.author, follow_up.due_date.isoformat()) == ("Amina", "2026-04-01")
    assert not list_decisions(app)


def test_declining_a_reply_needs_a_reason(app, client):
    reply = add_reply(app, ReplyKind.CLAIMED)
    page = html.fromstring(read_page(answer_item(client, reply, "declined"), status=422))
    [field] = page.xpath('//input[@aria-invalid="true"]')
    [error] = field.xpath(f'//*[@id="{field.get("aria-describedby")}"]')
    assert error.text == "Enter a reason."
    answer_item(client, reply, "declined", "it is a shop")
    after = app.store.replies.get(reply.id)
    review = (after.outcome, after.reviewed_by, after.review_reason)
    assert review == (ReplyOutcome.DECLINED, "Amina", "it is a shop")
    assert not list_decisions(app)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (ReplyKind.MOVED, {"value": "https://www.facebook.com/other"}),
        (ReplyKind.CLOSED, {}),
        (ReplyKind.PROMISED, PROMISE),
    ],
)
def test_accepted_reply_can_be_undone_with_all_that_it_recorded(app, client, kind, fields):
    reply = add_reply(app, kind, **fields)
    accounts_before = list(app.store.registry.list_accounts("nour"))
    accepted = answer_item(client, reply, "accepted")
    assert list_decisions(app) or app.store.follow_ups.list_follow_ups("nour")
    page = html.fromstring(get_text(client, accepted.headers["location"]))
    [form] = page.xpath('//div[@id="message"]//form')
    undone = client.post(form.get("action"))
    get_text(client, undone.headers["location"], "Undone.", "1 reply waiting")
    assert app.store.replies.get(reply.id) == reply
    assert all(decision.withdrawal for decision in app.store.decisions.list_decisions())
    assert app.store.follow_ups.list_follow_ups("nour") == []
    assert list(app.store.registry.list_accounts("nour")) == accounts_before


def test_reply_against_an_earlier_decision_stays_pending(app, client):
    answer_item(client, get_proposal(app), "declined", "the festival's")
    reply = add_reply(app, ReplyKind.CLAIMED, channel="youtube", account_id=None, value="@nour")
    response = answer_item(client, reply, "accepted", "they called")
    earlier = "Amina decided otherwise earlier. Withdraw that"
    read_page(response, earlier, 'value="they called"', status=422)
    assert app.store.replies.get(reply.id).outcome is None


@pytest.mark.parametrize(
    ("path", "answer", "status"),
    [
        ("replies/999", "accepted", 404),
        ("proposals/999", "accepted", 404),
        ("proposals/0", "accepted", 404),
        ("replies/9223372036854775808", "declined", 422),
        ("proposals/9223372036854775808", "declined", 422),
        ("replies/-1", "declined", 404),
        ("proposals/²", "declined", 404),
        ("replies/1", "withdrawn", 422),  # only the association takes a reply back
    ],
)
def test_unknown_item_or_answer_is_refused(app, client, path, answer, status):
    reply = add_reply(app, ReplyKind.DISOWNED)
    response = client.post(f"/en/{path}", data={"answer": answer, "reason": "no"})
    read_page(response, '<html lang="en"', status=status)
    assert (reply.id, app.store.replies.get(reply.id).outcome) == (1, None)


def test_reply_queue_is_paged(app, client):
    for number in range(21):
        add_reply(app, ReplyKind.CLAIMED, text=f"word {number}.")
    page = html.fromstring(get_text(client, QUEUE))
    [next_url] = page.xpath("//a[contains(@href, '/en/replies?after_reply=')]/@href")
    assert ["word 20." in get_text(client, url) for url in (QUEUE, next_url)] == [False, True]
