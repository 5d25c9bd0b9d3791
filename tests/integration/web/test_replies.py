"""The coordinator's queue on a real server: replies and found accounts, accepted or declined once."""

import re
from datetime import timedelta

import pytest

from auditor.core.errors import InputError
from auditor.decisions import replies
from auditor.evaluation.network_view import load_association_view
from auditor.runs.run import execute_run
from probes.models.finding import FoundLink
from storage.errors import StoreError
from storage.models.audit import Decision, DecisionKind, Proposal
from storage.models.users import Reply, ReplyKind, ReplyOutcome
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import logged_in_client

NOW = night_of(0) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")


@lived
async def app(small):
    """Nour's site leads to a video channel that nobody registered."""
    register(small, NOUR, SITE, names=["amal"])
    small.web.answers = {SITE.typed_text: "linked"}
    for day in range(4):
        await execute_run(small, night_of(day - 3))


@pytest.fixture
def client(app):
    with logged_in_client(app, NOW) as open_one:
        yield open_one


def said(app, kind, association="nour", **more):
    return app.store.add_reply(Reply(association, kind, NOW, **more))


def told(client, path="/en/replies", status=200):
    answer = client.get(path)
    assert answer.status_code == status, answer.text
    return answer.text.replace("<bdi>", "").replace("</bdi>", "")


def answered(client, way, answer, **more):
    page = way if str(way).startswith("proposals/") else f"replies/{way}"
    return client.post(f"/en/{page}", data={"answer": answer, **more})


def number(app):
    return next(row.id for row in app.store.list_accounts("nour") if row.channel == "facebook")


def kinds(app):
    return [decision.kind for decision in app.store.list_decisions()]


async def test_pending_reply_shows_association_kind_and_gap(app, client):
    said(app, ReplyKind.DISOWNED, channel="facebook", account_id=number(app), text="<b>a shop</b>")
    said(
        app,
        ReplyKind.PROMISED,
        "amal",
        channel="youtube",
        code="channel_missing",
        value="2026-04-01",
    )
    page = told(client)
    assert "2 replies waiting for a decision" in page
    assert 'href="/en/associations/nour">Nour</a>' in page
    assert "Reply: this isn’t ours" in page
    assert "&lt;b&gt;a shop&lt;/b&gt;" in page
    assert "No YouTube account is known for your association" in page
    assert "1 April 2026" in page


async def test_accepted_reply_becomes_a_decision(app, client):
    reply = said(app, ReplyKind.DISOWNED, channel="facebook", account_id=number(app))
    answer = answered(client, reply.id, "accepted")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/en/replies?done=accepted#message",
    )
    [word] = app.store.list_decisions()
    assert (word.kind, word.author, word.association) == (DecisionKind.DISOWN, "Amina", "nour")
    page = told(client, answer.headers["location"])
    assert "Accepted. The association will see this" in page
    assert "They say" not in page


async def test_accepted_promise_becomes_a_follow_up(app, client):
    reply = said(
        app, ReplyKind.PROMISED, channel="youtube", code="channel_missing", value="2026-04-01"
    )
    answered(client, reply.id, "accepted")
    [line] = app.store.list_follow_ups("nour")
    assert (line.author, line.due_date.isoformat()) == ("Amina", "2026-04-01")
    assert not kinds(app)
    page = told(client, "/fr/associations/nour")
    assert "Aucun compte YouTube" in page.partition('id="follow-ups"')[2]
    assert "channel_missing" not in page.partition('id="follow-ups"')[2].partition("<form")[0]


async def test_accepted_claim_does_not_restore_a_gone_account(app, client):
    app.web.answers[NOUR.typed_text] = "gone"
    for day in range(1, 8):
        await execute_run(app, night_of(day))
    reply = said(app, ReplyKind.CLAIMED, channel="facebook", account_id=number(app))
    assert "The next checks will show" in told(client)
    assert answered(client, reply.id, "accepted").status_code == 303
    assert not kinds(app)


async def test_accepted_reply_without_a_reason_gets_a_translated_one(
    app, client
):
    reply = said(app, ReplyKind.DISOWNED, channel="facebook", account_id=number(app))
    client.post(f"/fr/replies/{reply.id}", data={"answer": "accepted"})
    [word] = app.store.list_decisions()
    assert word.reason == "L’association le dit dans sa réponse au rapport."


async def test_new_address_for_a_missing_account_is_not_a_move(app, client):
    said(
        app,
        ReplyKind.MOVED,
        channel="youtube",
        code="channel_missing",
        value="https://youtube.com/@nour",
    )
    assert "Reply: we have an account" in told(client)


async def test_declining_a_reply_needs_a_reason(app, client):
    reply = said(app, ReplyKind.CLAIMED, channel="facebook", account_id=number(app))
    answer = answered(client, reply.id, "declined")
    assert answer.status_code == 422
    assert "Enter a reason." in answer.text
    assert answered(client, reply.id, "declined", reason="it is a shop").status_code == 303
    kept = app.store.get_reply(reply.id)
    assert (kept.outcome, kept.reviewed_by, kept.review_reason) == (
        ReplyOutcome.DECLINED,
        "Amina",
        "it is a shop",
    )
    assert not kinds(app)


async def test_reply_is_answered_only_once(app, client):
    reply = said(app, ReplyKind.DISOWNED, channel="facebook", account_id=number(app))
    answered(client, reply.id, "accepted")
    late = answered(client, reply.id, "accepted")
    assert late.headers["location"] == "/en/replies?already_answered=true#message"
    assert "has already answered this" in told(client, late.headers["location"])
    with pytest.raises(StoreError, match="already"):
        replies.decline_reply(app.store, reply, author="Sara", reason="no", now=NOW)
    assert kinds(app) == [DecisionKind.DISOWN]


async def test_reply_against_an_earlier_decision_stays_pending(app, client):
    answered(client, f"proposals/{found(app).id}", "declined", reason="the festival's")
    theirs = said(app, ReplyKind.CLAIMED, channel="youtube", value="@nour")
    answer = answered(client, theirs.id, "accepted", reason="they called")
    assert answer.status_code == 422
    assert "<bdi>Amina</bdi> decided otherwise earlier. Cancel that decision first." in answer.text
    assert 'value="they called"' in answer.text
    with pytest.raises(InputError):
        replies.accept_reply(
            app.store,
            app.config,
            theirs,
            author="Amina",
            reason="",
            now=NOW,
            default_reason="so they say",
        )
    assert app.store.get_reply(theirs.id).outcome is None


async def test_reply_about_a_registered_account_adds_no_decision(
    app, client
):
    reply = said(app, ReplyKind.CLAIMED, channel="youtube", value="@nour")
    answered(client, f"proposals/{found(app).id}", "accepted")
    assert answered(client, reply.id, "accepted").status_code == 303
    assert kinds(app) == [DecisionKind.CLAIM]


async def test_unknown_reply_returns_404(client):
    assert answered(client, 999, "accepted").status_code == 404


async def test_reply_queue_is_paged(app, client):
    for at in range(21):
        said(app, ReplyKind.CLAIMED, channel="facebook", account_id=number(app), text=f"word {at}.")
    page = told(client)
    assert "word 19." in page
    assert "word 20." not in page
    following = re.search(r'href="(/en/replies\?after_reply=\d+)"', page)[1]
    assert "word 20." in told(client, following)


def found(app):
    [proposal] = app.store.list_proposals()
    return proposal


async def test_accepted_proposal_is_registered(app, client):
    assert f'id="proposal-{found(app).id}"' in told(client)
    assert answered(client, f"proposals/{found(app).id}", "accepted").status_code == 303
    assert kinds(app) == [DecisionKind.CLAIM]
    assert [row.channel for row in app.store.list_accounts("nour")] == [
        "facebook",
        "website",
        "youtube",
    ]
    assert "Nothing to decide." in told(client)


async def test_declined_proposal_disappears(app, client):
    answered(client, f"proposals/{found(app).id}", "declined", reason="the festival's")
    [word] = app.store.list_decisions()
    assert (word.kind, word.value, word.reason) == (DecisionKind.DISOWN, "@nour", "the festival's")
    assert "Nothing to decide." in told(client)
    assert not load_association_view(app.store, app.config, "nour").proposals


def settled(app, number):
    """Accounts that Amal's site led to and somebody called somebody else's."""
    for one in range(number):
        seen = FoundLink(
            "facebook", f"u:x{one}", f"https://facebook.com/x{one}", "anchor", "https://x.example/"
        )
        app.store.save_conclusions(proposals=[Proposal("amal", seen, NOW, NOW)])
        word = ("facebook", DecisionKind.DISOWN, "Amina", "a theme's", NOW)
        app.store.add_decision(Decision("amal", *word, value=seen.key))


async def test_settled_proposals_are_not_scanned_again(
    app, client, monkeypatch
):
    waits = found(app)
    settled(app, 12)
    monkeypatch.setattr(replies, "PROPOSAL_BATCH_SIZE", 5)
    monkeypatch.setattr(replies, "MAX_SCANNED_PROPOSALS", 5)
    assert replies.load_unsettled_proposals(app.store, app.config, after=waits.id) == ([], 0)
    assert [one.proposal for one in replies.load_unsettled_proposals(app.store, app.config)[0]] == [
        waits
    ]


async def test_unknown_proposal_returns_404(client):
    assert answered(client, "proposals/999", "accepted").status_code == 404
    assert answered(client, "proposals/0", "accepted").status_code == 404
