"""The decision form."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Barrier, BrokenBarrierError
from urllib.parse import urlencode

import pytest
from lxml import html

from auditor.checking import checker
from auditor.runs.run import execute_run
from auditor.web.routes import decisions as decisions_route
from storage.models.audit import DecisionKind
from tests.support.mini_network import PROFILE, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

NOW = night_of(0) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
DEFAULT_FIELDS = {"reason": "called <b>them</b>"}


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@pytest.fixture
async def app(tmp_path):
    network = opened(tmp_path)
    register(network, NOUR, SITE)
    network.web.answers = {NOUR.typed_text: "wall", SITE.typed_text: "linked"}
    await execute_run(network, night_of(0))
    yield network
    network.store.close()


@pytest.fixture
def client(app):
    with logged_in_client(app, NOW, name="Amina ا") as browser:
        yield browser


def submit_decision(client, **fields):
    return client.post("/en/associations/nour/decisions", data={**DEFAULT_FIELDS, **fields})


def get_page(client, **text):
    response = client.get(f"/en/associations/nour{'/decisions?' if text else ''}{urlencode(text)}")
    assert response.status_code == 200, response.text
    return response.text.replace("<bdi>", "").replace("</bdi>", "")


def decisions(app):
    return [
        (decision.kind, decision.channel, decision.value)
        for decision in app.store.decisions.list_decisions()
    ]


def test_confirmed_account_is_shown_at_once_with_author_and_reason(app, client):
    response = submit_decision(
        client, kind="confirm", channel="facebook", account="u:nour", last_activity="2026-02-27"
    )
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/en/associations/nour?saved_decision=confirm&saved_channel=facebook#channel-facebook",
    )
    assert decisions(app) == [(DecisionKind.CONFIRM, "facebook", "2026-02-27")]
    text = get_page(client)
    assert "Amina ا" in text
    assert "called &lt;b&gt;them&lt;/b&gt;" in text
    assert "27 February 2026" in text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"kind": "confirm", "channel": "facebook", "last_activity": "2027-01-01"},
            "The date is in the future.",
        ),
        ({"kind": "confirm", "channel": "youtube"}, "It has no account on this channel."),
        (
            {"kind": "confirm", "channel": "facebook", "until": "soon"},
            "Enter a date, for example 28/11/2026.",
        ),
        ({"kind": "confirm", "channel": "facebook", "until": "2036-01-01"}, "This can last until"),
        ({"kind": "moved", "channel": "facebook", "new_url": "https://example.org/"}, "is not a"),
        (
            {"kind": "claim", "channel": "facebook", "account": "https://www.facebook.com/"},
            "is not a",
        ),
        ({"kind": "none_by_choice", "channel": "nowhere"}, "This channel is not checked."),
        ({"kind": "none_by_choice", "channel": "youtube", "reason": " "}, "Enter a reason."),
        ({"kind": "waive"}, "Choose the problem to ignore."),
        (
            {"kind": "waive", "channel": "youtube", "gap_code": "nothing"},
            "This problem doesn’t exist.",
        ),
    ],
)
def test_invalid_decision_returns_422_and_keeps_the_input(app, client, fields, message):
    response = submit_decision(client, **fields)
    assert response.status_code == 422
    assert message in response.text
    assert 'role="alert"' in response.text
    assert (
        fields.get("reason", DEFAULT_FIELDS["reason"]).replace("<", "&lt;").replace(">", "&gt;")
        in response.text
    )
    assert decisions(app) == []


def test_claimed_proposal_is_registered_and_disappears(app, client):
    text = get_page(client)
    assert "Found on its website" in text
    assert "kind=claim&amp;channel=youtube&amp;account=https%3A//www.youtube.com/%40nour" in text
    submit_decision(client, kind="claim", channel="youtube", account=PROFILE.canonical)
    assert [
        row.identity.key for row in app.store.registry.list_accounts() if row.channel == "youtube"
    ] == ["@nour"]
    assert "Found on its website" not in get_page(client)


@pytest.mark.parametrize(("max_proposals", "is_full"), [(1, True), (2, False)])
def test_page_says_that_no_more_accounts_are_proposed(client, monkeypatch, max_proposals, is_full):
    monkeypatch.setattr("auditor.conclusions.association_view.MAX_PROPOSALS", max_proposals)
    assert ("no others are added" in get_page(client)) is is_full


def test_disowned_proposal_disappears(app, client):
    submit_decision(client, kind="disown", channel="youtube", account=PROFILE.canonical)
    assert decisions(app) == [(DecisionKind.DISOWN, "youtube", "@nour")]
    assert "Found on its website" not in get_page(client)


def test_waived_gap_moves_to_the_ignored_problems(client):
    text = get_page(client)
    assert "kind=waive&amp;channel=youtube&amp;gap_code=channel_missing" in text
    submit_decision(
        client, kind="waive", channel="youtube", gap_code="channel_missing", until="2026-06-30"
    )
    text_after = get_page(client)
    assert "1 ignored problem" in text_after
    assert "until 30 June 2026" in text_after


def test_decision_can_be_withdrawn_only_on_its_own_association(app, client):
    submit_decision(client, kind="none_by_choice", channel="youtube")
    (decision,) = app.store.decisions.list_decisions()
    assert f"kind=withdraw&amp;decision_id={decision.id}" in get_page(client)
    assert submit_decision(client, kind="withdraw", decision_id="999").status_code == 404
    assert submit_decision(client, kind="withdraw", decision_id=str(decision.id)).status_code == 303
    text = get_page(client)
    assert "Cancelled: Not used, by choice" in text
    assert f"kind=withdraw&amp;decision_id={decision.id}" not in text


def test_withdrawal_form_shows_the_decision_or_returns_404(app, client):
    submit_decision(
        client,
        kind="moved",
        channel="facebook",
        account="u:nour",
        new_url="https://www.facebook.com/other",
    )
    decision = next(app.store.decisions.list_decisions())
    form = get_page(client, kind="withdraw", decision_id=decision.id)
    assert "The account has a new address" in form
    assert "Amina ا: called &lt;b&gt;them&lt;/b&gt;" in form
    assert "https://www.facebook.com/other" in form
    for decision_id in ("", "999", "x"):
        response = client.get(
            f"/en/associations/nour/decisions?kind=withdraw&decision_id={decision_id}"
        )
        assert response.status_code == 404


def test_mistyped_account_address_can_be_corrected_in_the_form(app, client):
    response = submit_decision(
        client, kind="claim", channel="youtube", account="https://www.youtube.com/"
    )
    account_field = html.fromstring(response.text).forms[-1].inputs["account"]
    assert (account_field.type, account_field.value) == ("text", "https://www.youtube.com/")
    assert html.fromstring(response.text).forms[-1].inputs["channel"].value == "youtube"
    assert (
        submit_decision(client, kind="claim", channel="youtube", account="@nour.agadir").status_code
        == 303
    )


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize("kind", ["confirm", "none_by_choice", "claim", "disown", "moved", "waive"])
def test_each_decision_form_exists_in_each_language(client, language, kind):
    response = client.get(
        f"/{language}/associations/nour/decisions?kind={kind}&channel=facebook&account=u:nour"
    )
    assert response.status_code == 200
    assert f'name="kind" value="{kind}"' in response.text


def test_evidence_page_shows_the_decision_about_the_account(app, client):
    submit_decision(client, kind="confirm", channel="facebook", account="u:nour")
    row = next(
        row for row in app.store.registry.list_accounts() if row.typed_text == NOUR.typed_text
    )
    text = client.get(f"/en/associations/nour/accounts/{row.id}").text.replace("<bdi>", "")
    assert "Someone has seen that the account exists" in text
    assert "called &lt;b&gt;them" in text


@pytest.mark.parametrize(
    "fields",
    [{"kind": "none_by_choice", "channel": "youtube"}, {"kind": "claim", "channel": "youtube"}],
    ids=["choice", "claim"],
)
def test_double_click_is_saved_once(app, client, monkeypatch, fields):
    save_decision, both_save = decisions_route._save_decision, Barrier(2)

    def save_together(*arguments):
        with suppress(BrokenBarrierError):
            both_save.wait(0.5)  # the other request never comes this far
        save_decision(*arguments)

    monkeypatch.setattr(decisions_route, "_save_decision", save_together)
    if fields["kind"] == "claim":
        fields = {**fields, "account": "https://www.youtube.com/@nour"}
    submit = partial(submit_decision, client, **fields)
    with ThreadPoolExecutor(2) as threads:
        responses = [threads.submit(submit) for _ in range(2)]
    assert [response.result().status_code for response in responses] == [303, 303]
    assert len(decisions(app)) == 1


@pytest.mark.parametrize("text", ["\x00", "\u202e", " \u202d "])
def test_reason_of_which_nothing_can_be_stored_is_refused(app, client, text):
    response = submit_decision(client, kind="none_by_choice", channel="youtube", reason=text)
    assert response.status_code == 422
    assert decisions(app) == []


def test_moved_account_is_registered_at_its_new_address(app, client):
    link_ = "https://www.facebook.com/nour.agadir"
    location = submit_decision(
        client, kind="moved", channel="facebook", account="u:nour", new_url=link_
    ).headers["location"]
    assert "change the address in your spreadsheet" in client.get(location).text
    assert "u:nouragadir" in [row.identity.key for row in app.store.registry.list_accounts()]
