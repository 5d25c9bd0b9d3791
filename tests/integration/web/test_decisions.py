"""The forms on the page of an association: decisions and follow-ups."""

from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import timedelta
from functools import partial
from threading import Barrier, BrokenBarrierError

import pytest
from lxml import html

from auditor.runs.run import execute_run
from auditor.web.routes import decisions as decisions_route
from tests.support.mini_network import link, lived, night_of, register
from tests.support.web_server import get_text, read_page

NOW = night_of(0) + timedelta(hours=8)
NOUR, SITE = link("nour", "facebook", "nour"), link("nour", "website", "nour")
PAGE = "/en/associations/nour"


@lived
async def app(network):
    register(network, NOUR, SITE)
    network.web.answers = {NOUR.typed_text: "wall", SITE.typed_text: "linked"}
    await execute_run(network, night_of(0))


def submit_decision(client, **fields):
    fields = {"reason": "called <b>them</b>", **fields}
    return client.post(f"{PAGE}/decisions", data=fields)


def decisions(app):
    return [
        (decision.kind, decision.channel, decision.value)
        for decision in app.store.decisions.list_decisions()
    ]


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        (
            {"kind": "confirm", "channel": "facebook", "last_activity": "2027-01-01"},
            "The date is in the future.",
        ),
        (
            {"kind": "confirm", "channel": "youtube"},
            "The registry lists no account for it on this channel.",
        ),
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
        ({"kind": "confirm", "channel": "facebook", "reason": " "}, "Enter a reason."),
        ({"kind": "waive"}, "Choose the problem to ignore."),
        (
            {"kind": "waive", "channel": "youtube", "gap_code": "nothing"},
            "This problem doesn’t exist.",
        ),
    ],
)
def test_invalid_decision_returns_422_and_keeps_the_input(app, client, fields, message):
    reason = fields.get("reason", "called &lt;b&gt;them&lt;/b&gt;")
    response = submit_decision(client, **fields)
    read_page(response, message, 'role="alert"', f"{reason}</textarea>", status=422)
    assert decisions(app) == []


def test_claimed_proposal_is_registered_and_disappears(app, client):
    form = html.fromstring(get_text(client, PAGE, "Found on its website")).xpath(
        "//form[@class='acts']"
    )[0]
    answer = client.post(form.action, data={**form.fields, "answer": "accepted"})
    assert answer.headers["location"].startswith(f"{PAGE}?done=")
    keys = {row.channel: row.identity.key for row in app.store.registry.list_accounts()}
    assert keys["youtube"] == "@nour"
    assert "Found on its website" not in get_text(client, PAGE)


@pytest.mark.smoke
def test_waived_gap_moves_to_the_ignored_problems(client):
    get_text(client, PAGE, "kind=waive&amp;channel=youtube&amp;gap_code=channel_missing")
    fields = {"channel": "youtube", "gap_code": "channel_missing", "until": "2026-06-30"}
    submit_decision(client, kind="waive", **fields)
    get_text(client, PAGE, "1 ignored problem", "until 30 June 2026")


def test_decision_can_be_withdrawn_only_on_its_own_association(app, client):
    submit_decision(client, kind="none_by_choice", channel="youtube")
    [decision] = app.store.decisions.list_decisions()
    get_text(client, PAGE, f"kind=withdraw&amp;decision_id={decision.id}")
    assert submit_decision(client, kind="withdraw", decision_id="999").status_code == 404
    submit_decision(client, kind="withdraw", decision_id=str(decision.id), reason="")
    text = get_text(client, PAGE, "Withdrawn: Not used, by choice")
    assert f"kind=withdraw&amp;decision_id={decision.id}" not in text


@pytest.mark.smoke
@pytest.mark.parametrize(
    "fields",
    [{"kind": "none_by_choice"}, {"kind": "claim", "account": "https://www.youtube.com/@nour"}],
    ids=["choice", "claim"],
)
def test_double_click_is_saved_once(app, client, monkeypatch, fields):
    save_decision, both_save = decisions_route._save_decision, Barrier(2)

    def save_together(*arguments):
        with suppress(BrokenBarrierError):
            both_save.wait(0.5)  # the other request never comes this far
        return save_decision(*arguments)

    monkeypatch.setattr(decisions_route, "_save_decision", save_together)
    submit = partial(submit_decision, client, channel="youtube", **fields)
    with ThreadPoolExecutor(2) as threads:
        responses = [threads.submit(submit) for _ in range(2)]
    assert [response.result().status_code for response in responses] == [303, 303]
    assert len(decisions(app)) == 1


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("due", "banner"),
    [("", "Saved in the follow-up of Nour."), ("2026-04-01", "Promise of Nour for 1 April 2026")],
)
def test_saved_call_is_in_the_history_with_its_day(client, due, banner):
    call = {"kind": "called", "text": "<b>will</b> renew the domain", "due": due}
    location = client.post(f"{PAGE}/follow-ups", data=call).headers["location"]
    text = get_text(client, location, banner, "for 1 April 2026" if due else "Phone call")
    assert text.count("&lt;b&gt;will&lt;/b&gt; renew the domain") == 1
    assert client.post(f"{PAGE}/follow-ups", data=call).headers["location"] == location


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "called", "due": "soon"}, "Enter the promised date"),
        ({"kind": "wrote", "due": "2026-02-01"}, "Enter the promised date"),
        ({"kind": "met", "due": "2036-02-01"}, "Enter the promised date"),
        ({"kind": "note", "text": " "}, "Enter a note."),
        ({"kind": "note", "text": "\u202e"}, "Enter a note."),
    ],
)
def test_invalid_follow_up_returns_422_and_is_not_saved(app, client, fields, message):
    response = client.post(f"{PAGE}/follow-ups", data=fields)
    page = read_page(response, message, f'value="{fields["kind"]}" selected', status=422)
    assert app.store.follow_ups.list_follow_ups("nour") == []
    [field] = html.fromstring(page).xpath('//*[@aria-invalid="true"]')
    assert field.get("name") == ("text" if fields["kind"] == "note" else "due")
    [error] = field.xpath(f'../*[@id="{field.get("aria-describedby")}"]')
    assert error.text.startswith(message)
    # A browser shows the address of the form, and opens it when the page is reloaded.
    assert client.get(f"{PAGE}/follow-ups").headers["location"] == f"{PAGE}#follow-ups"
