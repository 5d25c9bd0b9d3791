"""Decisions on a real server: taken down as on the command line, shown immediately, taken back."""

from datetime import timedelta
from urllib.parse import urlencode

import pytest
from lxml import html

from auditor.checking import checker
from auditor.runs.run import execute_run
from storage.models.audit import DecisionKind
from tests.support.mini_network import PROFILE, link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

NOW = night_of(0) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
WHO = {"reason": "called <b>them</b>"}


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@pytest.fixture
async def app(tmp_path):
    small = opened(tmp_path)
    register(small, NOUR, SITE)
    small.web.answers = {NOUR.typed_text: "wall", SITE.typed_text: "linked"}
    await execute_run(small, night_of(0))
    yield small
    small.store.close()


@pytest.fixture
def client(app):
    with logged_in_client(app, NOW, name="Amina ا") as open_one:
        yield open_one


def decide(client, **wish):
    return client.post("/en/associations/nour/decisions", data={**WHO, **wish})


def page(client, **told):
    answer = client.get(f"/en/associations/nour{'/decisions?' if told else ''}{urlencode(told)}")
    assert answer.status_code == 200, answer.text
    return answer.text.replace("<bdi>", "").replace("</bdi>", "")


def decisions(app):
    return [(word.kind, word.channel, word.value) for word in app.store.list_decisions()]


def test_confirmed_account_is_shown_at_once_with_author_and_reason(app, client):
    answer = decide(client, kind="confirm", channel="facebook", account="u:nour", last_activity="2026-02-27")
    assert (answer.status_code, answer.headers["location"]) == (
        303,
        "/en/associations/nour?saved_decision=confirm#decisions",
    )
    assert decisions(app) == [(DecisionKind.CONFIRM, "facebook", "2026-02-27")]
    told = page(client)
    assert "Amina ا" in told
    assert "called &lt;b&gt;them&lt;/b&gt;" in told
    assert "27 February 2026" in told


@pytest.mark.parametrize(
    ("wish", "said"),
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
        (
            {"kind": "confirm", "channel": "facebook", "until": "2036-01-01"},
            "This can last until",
        ),
        (
            {"kind": "moved", "channel": "facebook", "new_url": "https://example.org/"},
            "is not a",
        ),
        (
            {"kind": "claim", "channel": "facebook", "account": "https://www.facebook.com/"},
            "is not a",
        ),
        ({"kind": "none_by_choice", "channel": "nowhere"}, "This channel is not checked."),
        ({"kind": "none_by_choice", "channel": "youtube", "reason": " "}, "Enter a reason."),
        ({"kind": "waive"}, "Choose the problem to ignore."),
        ({"kind": "waive", "channel": "youtube", "gap_code": "nothing"}, "This problem doesn’t exist."),
    ],
)
def test_invalid_decision_returns_422_and_keeps_the_input(app, client, wish, said):
    answer = decide(client, **wish)
    assert answer.status_code == 422
    assert said in answer.text
    assert 'role="alert"' in answer.text
    assert wish.get("reason", WHO["reason"]).replace("<", "&lt;").replace(">", "&gt;") in answer.text
    assert decisions(app) == []


def test_claimed_proposal_is_registered_and_disappears(app, client):
    told = page(client)
    assert "Found on its website" in told
    assert "kind=claim&amp;channel=youtube&amp;account=https%3A//www.youtube.com/%40nour" in told
    decide(client, kind="claim", channel="youtube", account=PROFILE.canonical)
    assert [row.identity.key for row in app.store.list_accounts() if row.channel == "youtube"] == [
        "@nour"
    ]
    assert "Found on its website" not in page(client)


def test_disowned_proposal_disappears(app, client):
    decide(client, kind="disown", channel="youtube", account=PROFILE.canonical)
    assert decisions(app) == [(DecisionKind.DISOWN, "youtube", "@nour")]
    assert "Found on its website" not in page(client)


def test_waived_gap_moves_to_the_ignored_problems(client):
    before = page(client)
    assert "kind=waive&amp;channel=youtube&amp;gap_code=channel_missing" in before
    decide(client, kind="waive", channel="youtube", gap_code="channel_missing", until="2026-06-30")
    after = page(client)
    assert "1 ignored problem" in after
    assert "until 30 June 2026" in after


def test_decision_can_be_withdrawn_only_on_its_own_association(app, client):
    decide(client, kind="none_by_choice", channel="youtube")
    (word,) = app.store.list_decisions()
    assert f"kind=withdraw&amp;decision_id={word.id}" in page(client)
    assert decide(client, kind="withdraw", decision_id="999").status_code == 404
    assert decide(client, kind="withdraw", decision_id=str(word.id)).status_code == 303
    told = page(client)
    assert "Cancelled: Not used, by choice" in told
    assert f"kind=withdraw&amp;decision_id={word.id}" not in told


def test_withdrawal_form_shows_the_decision_or_returns_404(
    app, client
):
    decide(
        client,
        kind="moved",
        channel="facebook",
        account="u:nour",
        new_url="https://www.facebook.com/other",
    )
    first = next(app.store.list_decisions())
    shown = page(client, kind="withdraw", decision_id=first.id)
    assert "The account has a new address" in shown
    assert "Amina ا: called &lt;b&gt;them&lt;/b&gt;" in shown
    assert "https://www.facebook.com/other" in shown
    for number in ("", "999", "x"):
        asked = client.get(f"/en/associations/nour/decisions?kind=withdraw&decision_id={number}")
        assert asked.status_code == 404


def test_mistyped_account_address_can_be_corrected_in_the_form(app, client):
    wrong = decide(client, kind="claim", channel="youtube", account="https://www.youtube.com/")
    typed = html.fromstring(wrong.text).forms[-1].inputs["account"]
    assert (typed.type, typed.value) == ("text", "https://www.youtube.com/")
    assert html.fromstring(wrong.text).forms[-1].inputs["channel"].value == "youtube"
    assert (
        decide(client, kind="claim", channel="youtube", account="@nour.agadir").status_code == 303
    )


@pytest.mark.parametrize("language", ["ar", "fr", "en"])
@pytest.mark.parametrize("kind", ["confirm", "none_by_choice", "claim", "disown", "moved", "waive"])
def test_each_decision_form_exists_in_each_language(client, language, kind):
    answer = client.get(
        f"/{language}/associations/nour/decisions?kind={kind}&channel=facebook&account=u:nour"
    )
    assert answer.status_code == 200
    assert f'name="kind" value="{kind}"' in answer.text


def test_evidence_page_shows_the_decision_about_the_account(app, client):
    decide(client, kind="confirm", channel="facebook", account="u:nour")
    row = next(row for row in app.store.list_accounts() if row.typed_text == NOUR.typed_text)
    told = client.get(f"/en/associations/nour/accounts/{row.id}").text.replace("<bdi>", "")
    assert "Someone has seen that the account exists" in told
    assert "called &lt;b&gt;them" in told


def test_double_submitted_decision_is_saved_once(app, client):
    for _ in range(2):
        assert decide(client, kind="none_by_choice", channel="youtube").status_code == 303
    assert len(decisions(app)) == 1
    decide(client, kind="none_by_choice", channel="facebook")
    assert len(decisions(app)) == 2


def test_moved_account_is_registered_at_its_new_address(app, client):
    link_ = "https://www.facebook.com/nour.agadir"
    way = decide(client, kind="moved", channel="facebook", account="u:nour", new_url=link_).headers[
        "location"
    ]
    assert "change the address in your spreadsheet" in client.get(way).text
    assert "u:nouragadir" in [row.identity.key for row in app.store.list_accounts()]
