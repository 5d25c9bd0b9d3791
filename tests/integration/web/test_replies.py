"""The coordinator's queue of replies and proposals."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from lxml import html

from auditor.conclusions import replies
from auditor.conclusions.network_view import load_association_view
from auditor.core.errors import InputError
from auditor.runs.run import execute_run
from probes.models.finding import FoundLink
from storage.conclusions import Conclusions
from storage.errors import StoreError
from storage.models.audit import Decision, DecisionKind, Proposal
from storage.models.users import ReplyKind, ReplyOutcome
from storage.tables.communication import Reply
from tests.support import stored
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import logged_in_client

NOW = night_of(0) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")


@lived
async def app(network):
    """Nour's website links to a YouTube channel that is not registered."""
    register(network, NOUR, SITE, names=["amal"])
    network.web.answers = {SITE.typed_text: "linked"}
    for day in range(4):
        await execute_run(network, night_of(day - 3))


@pytest.fixture
def client(app):
    with logged_in_client(app, NOW) as browser:
        yield browser


def add_reply(app, kind, association="nour", **fields):
    return stored.add_reply(
        app.store, Reply(association=association, kind=kind, submitted_at=NOW, **fields)
    )


def get_text(client, path="/en/replies", status=200):
    response = client.get(path)
    assert response.status_code == status, response.text
    return response.text.replace("<bdi>", "").replace("</bdi>", "")


def answer_item(client, path, response, **fields):
    text = path if str(path).startswith("proposals/") else f"replies/{path}"
    return client.post(f"/en/{text}", data={"answer": response, **fields})


def get_account_id(app):
    return next(
        row.id for row in app.store.registry.list_accounts("nour") if row.channel == "facebook"
    )


def list_decision_kinds(app):
    return [decision.kind for decision in app.store.decisions.list_decisions()]


async def test_pending_reply_shows_association_kind_and_gap(app, client):
    add_reply(
        app,
        ReplyKind.DISOWNED,
        channel="facebook",
        account_id=get_account_id(app),
        text="<b>a shop</b>",
    )
    add_reply(
        app,
        ReplyKind.PROMISED,
        "amal",
        channel="youtube",
        code="channel_missing",
        value="2026-04-01",
    )
    text = get_text(client)
    assert "2 replies waiting for a decision" in text
    assert 'href="/en/associations/nour">Nour</a>' in text
    assert "Reply: this isn’t ours" in text
    assert "&lt;b&gt;a shop&lt;/b&gt;" in text
    assert "It has no YouTube channel that we know of" in text
    assert "1 April 2026" in text


async def test_accepted_reply_becomes_a_decision(app, client):
    reply = add_reply(app, ReplyKind.DISOWNED, channel="facebook", account_id=get_account_id(app))
    response = answer_item(client, reply.id, "accepted")
    assert (response.status_code, response.headers["location"]) == (
        303,
        f"/en/replies?done=accepted&reply={reply.id}#message",
    )
    [decision] = app.store.decisions.list_decisions()
    assert (decision.kind, decision.author, decision.association) == (
        DecisionKind.DISOWN,
        "Amina",
        "nour",
    )
    text = get_text(client, response.headers["location"])
    assert "Accepted. The association will see this" in text
    assert "They say" not in text


async def test_accepted_promise_becomes_a_follow_up(app, client):
    reply = add_reply(
        app, ReplyKind.PROMISED, channel="youtube", code="channel_missing", value="2026-04-01"
    )
    answer_item(client, reply.id, "accepted")
    [follow_up] = app.store.follow_ups.list_follow_ups("nour")
    assert (follow_up.author, follow_up.due_date.isoformat()) == ("Amina", "2026-04-01")
    assert not list_decision_kinds(app)
    text = get_text(client, "/fr/associations/nour")
    assert "Pas de chaîne YouTube" in text.partition('id="follow-ups"')[2]
    assert "channel_missing" not in text.partition('id="follow-ups"')[2].partition("<form")[0]


async def test_accepted_claim_does_not_restore_a_gone_account(app, client):
    app.web.answers[NOUR.typed_text] = "gone"
    for day in range(1, 8):
        await execute_run(app, night_of(day))
    reply = add_reply(app, ReplyKind.CLAIMED, channel="facebook", account_id=get_account_id(app))
    assert "The next checks will show" in get_text(client)
    assert answer_item(client, reply.id, "accepted").status_code == 303
    assert not list_decision_kinds(app)


async def test_accepted_reply_without_a_reason_gets_a_translated_one(app, client):
    reply = add_reply(app, ReplyKind.DISOWNED, channel="facebook", account_id=get_account_id(app))
    client.post(f"/fr/replies/{reply.id}", data={"answer": "accepted"})
    [decision] = app.store.decisions.list_decisions()
    assert decision.reason == "L’association le dit dans sa réponse au rapport."


async def test_new_address_for_a_missing_account_is_not_a_move(app, client):
    add_reply(
        app,
        ReplyKind.MOVED,
        channel="youtube",
        code="channel_missing",
        value="https://youtube.com/@nour",
    )
    assert "Reply: we have an account" in get_text(client)


async def test_declining_a_reply_needs_a_reason(app, client):
    reply = add_reply(app, ReplyKind.CLAIMED, channel="facebook", account_id=get_account_id(app))
    response = answer_item(client, reply.id, "declined")
    assert response.status_code == 422
    assert "Enter a reason." in response.text
    assert answer_item(client, reply.id, "declined", reason="it is a shop").status_code == 303
    reply_after = app.store.replies.get(reply.id)
    assert (reply_after.outcome, reply_after.reviewed_by, reply_after.review_reason) == (
        ReplyOutcome.DECLINED,
        "Amina",
        "it is a shop",
    )
    assert not list_decision_kinds(app)


def find_error_field(response):
    [field] = html.fromstring(response.text).xpath('//input[@aria-invalid="true"]')
    return field


async def test_missing_reason_is_said_at_the_field_of_the_reply(app, client):
    reply = add_reply(app, ReplyKind.CLAIMED, channel="facebook", account_id=get_account_id(app))
    field = find_error_field(answer_item(client, reply.id, "declined"))
    [error] = field.xpath(f'//*[@id="{field.get("aria-describedby")}"]')
    assert error.text == "Enter a reason."


async def test_address_of_a_reply_leads_to_it_in_the_queue_or_to_its_association(app, client):
    reply = add_reply(app, ReplyKind.CLAIMED, channel="facebook", account_id=get_account_id(app))
    queue_url = client.get(f"/en/replies/{reply.id}").headers["location"]
    assert queue_url == f"/en/replies?after_reply={reply.id - 1}#reply-{reply.id}"
    assert f'id="reply-{reply.id}"' in get_text(client, queue_url)
    answer_item(client, reply.id, "accepted")
    location = client.get(f"/en/replies/{reply.id}").headers["location"]
    assert location == "/en/associations/nour#history"
    assert client.get("/en/replies/999").status_code == 404
    proposal_url = client.get(f"/en/proposals/{get_proposal(app).id}").headers["location"]
    assert f'id="proposal-{get_proposal(app).id}"' in get_text(client, proposal_url)


def undo_answer(client, location):
    [form] = html.fromstring(client.get(location).text).xpath('//div[@id="message"]//form')
    return client.post(form.get("action"))


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (ReplyKind.DISOWNED, {}),
        (ReplyKind.MOVED, {"value": "https://www.facebook.com/other"}),
        (ReplyKind.CLOSED, {}),
        (ReplyKind.PROMISED, {"code": "channel_missing", "value": "2026-04-01"}),
    ],
)
async def test_accepted_reply_can_be_undone_with_all_that_it_recorded(app, client, kind, fields):
    reply = add_reply(app, kind, channel="facebook", account_id=get_account_id(app), **fields)
    keys_before = [row.typed_text for row in app.store.registry.list_accounts("nour")]
    accepted = answer_item(client, reply.id, "accepted")
    assert list_decision_kinds(app) or app.store.follow_ups.list_follow_ups("nour")
    undone = undo_answer(client, accepted.headers["location"])
    assert "The reply waits again." in get_text(client, undone.headers["location"])
    assert app.store.replies.get(reply.id) == reply
    assert all(decision.withdrawal for decision in app.store.decisions.list_decisions())
    assert app.store.follow_ups.list_follow_ups("nour") == []
    assert [row.typed_text for row in app.store.registry.list_accounts("nour")] == keys_before
    assert answer_item(client, reply.id, "declined", reason="no").status_code == 303


async def test_declined_reply_can_be_undone_and_other_decisions_remain(app, client):
    row = next(row for row in app.store.registry.list_accounts("nour") if row.channel == "facebook")
    other = Decision("nour", "facebook", DecisionKind.CONFIRM, "Sara", "seen", NOW)
    app.store.decisions.add(replace(other, account_id=row.id))
    reply = add_reply(app, ReplyKind.CLAIMED, channel="facebook", account_id=row.id)
    declined = answer_item(client, reply.id, "declined", reason="it is a shop")
    undo_answer(client, declined.headers["location"])
    assert app.store.replies.get(reply.id) == reply
    assert [decision.withdrawal for decision in app.store.decisions.list_decisions()] == [None]


async def test_answer_about_a_found_account_leads_to_its_withdrawal(app, client):
    location = answer_item(client, f"proposals/{get_proposal(app).id}", "accepted").headers[
        "location"
    ]
    [undo] = html.fromstring(client.get(location).text).xpath('//div[@id="message"]//a/@href')
    assert undo.startswith("/en/associations/nour/decisions?kind=withdraw")
    assert client.get(undo).status_code == 200


async def test_reply_is_answered_only_once(app, client):
    reply = add_reply(app, ReplyKind.DISOWNED, channel="facebook", account_id=get_account_id(app))
    answer_item(client, reply.id, "accepted")
    response = answer_item(client, reply.id, "accepted")
    assert response.headers["location"] == "/en/replies?already_answered=true#message"
    assert "has already answered this" in get_text(client, response.headers["location"])
    with pytest.raises(StoreError, match="already"):
        replies.decline_reply(app.store, reply, author="Sara", reason="no", now=NOW)
    assert list_decision_kinds(app) == [DecisionKind.DISOWN]


async def test_reply_against_an_earlier_decision_stays_pending(app, client):
    answer_item(client, f"proposals/{get_proposal(app).id}", "declined", reason="the festival's")
    reply = add_reply(app, ReplyKind.CLAIMED, channel="youtube", value="@nour")
    response = answer_item(client, reply.id, "accepted", reason="they called")
    assert response.status_code == 422
    assert (
        "<bdi>Amina</bdi> decided otherwise earlier. Cancel that decision first." in response.text
    )
    assert 'value="they called"' in response.text
    with pytest.raises(InputError):
        replies.accept_reply(
            app.store,
            app.config,
            reply,
            author="Amina",
            reason="",
            now=NOW,
            default_reason="so they say",
        )
    assert app.store.replies.get(reply.id).outcome is None


async def test_reply_about_a_registered_account_adds_no_decision(app, client):
    reply = add_reply(app, ReplyKind.CLAIMED, channel="youtube", value="@nour")
    answer_item(client, f"proposals/{get_proposal(app).id}", "accepted")
    assert answer_item(client, reply.id, "accepted").status_code == 303
    assert list_decision_kinds(app) == [DecisionKind.CLAIM]


async def test_unknown_reply_returns_404(client):
    assert answer_item(client, 999, "accepted").status_code == 404


async def test_reply_queue_is_paged(app, client):
    for at in range(21):
        add_reply(
            app,
            ReplyKind.CLAIMED,
            channel="facebook",
            account_id=get_account_id(app),
            text=f"word {at}.",
        )
    text = get_text(client)
    assert "word 19." in text
    assert "word 20." not in text
    following = re.search(r'href="(/en/replies\?after_reply=\d+)"', text)[1]
    assert "word 20." in get_text(client, following)


def get_proposal(app):
    [proposal] = app.store.conclusions.list_proposals()
    return proposal


async def test_accepted_proposal_is_registered(app, client):
    assert f'id="proposal-{get_proposal(app).id}"' in get_text(client)
    assert answer_item(client, f"proposals/{get_proposal(app).id}", "accepted").status_code == 303
    assert list_decision_kinds(app) == [DecisionKind.CLAIM]
    assert [row.channel for row in app.store.registry.list_accounts("nour")] == [
        "facebook",
        "website",
        "youtube",
    ]
    assert "Nothing to decide." in get_text(client)


async def test_declined_proposal_disappears(app, client):
    answer_item(client, f"proposals/{get_proposal(app).id}", "declined", reason="the festival's")
    [decision] = app.store.decisions.list_decisions()
    assert (decision.kind, decision.value, decision.reason) == (
        DecisionKind.DISOWN,
        "@nour",
        "the festival's",
    )
    assert "Nothing to decide." in get_text(client)
    assert not load_association_view(app.store, app.config, "nour").proposals


def add_settled_proposals(app, count):
    """Add proposals of Amal that were disowned."""
    for number in range(count):
        link = FoundLink(
            "facebook",
            f"u:x{number}",
            f"https://facebook.com/x{number}",
            "anchor",
            "https://x.example/",
        )
        app.store.conclusions.save(Conclusions(proposals=[Proposal("amal", link, NOW, NOW)]))
        decision = ("facebook", DecisionKind.DISOWN, "Amina", "a theme's", NOW)
        app.store.decisions.add(Decision("amal", *decision, value=link.key))


async def test_settled_proposals_are_not_listed(app, client):
    pending = get_proposal(app)
    add_settled_proposals(app, 12)
    assert replies.load_unsettled_proposals(app.store, app.config, after=pending.id) == ([], 0)
    assert [row[0] for row in replies.load_unsettled_proposals(app.store, app.config)[0]] == [
        pending
    ]


async def test_unknown_proposal_returns_404(client):
    assert answer_item(client, "proposals/999", "accepted").status_code == 404
    assert answer_item(client, "proposals/0", "accepted").status_code == 404


async def test_missing_reason_is_shown_at_its_reply_on_the_page_of_the_list(app, client):
    first, second = (
        add_reply(app, ReplyKind.DISOWNED, channel="facebook", account_id=get_account_id(app))
        for _ in range(2)
    )
    url = f"/en/replies/{second.id}?after_reply={first.id}"
    assert f'action="{url}#reply-{second.id}"' in get_text(
        client, f"/en/replies?after_reply={first.id}"
    )
    text = client.post(url, data={"answer": "declined"}).text
    assert f'id="reply-{first.id}"' not in text
    refused = text.partition(f'id="reply-{second.id}"')[2]
    assert 'role="alert"' in refused
    assert "autofocus" in refused


async def test_coordinator_cannot_take_back_a_reply(app, client):
    reply = add_reply(app, ReplyKind.DISOWNED, channel="facebook", account_id=get_account_id(app))
    assert answer_item(client, reply.id, "withdrawn", reason="no").status_code == 422
    assert app.store.replies.get(reply.id).outcome is None
