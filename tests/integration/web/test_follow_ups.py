"""The follow-ups of an association."""

from datetime import date, timedelta

import pytest
from lxml import html

from auditor.checking import checker
from auditor.conclusions.replies import MAX_PROMISE_PERIOD
from auditor.core.form_limits import MAX_NOTES_CHARS
from auditor.runs.run import execute_run
from storage.models.audit import Association, AssociationEntry, Contact
from storage.models.users import FollowUpKind, ReplyKind
from storage.tables.communication import FollowUp, Reply
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.stored import add_reply
from tests.support.web_server import get_text, logged_in_client

NOW = night_of(0) + timedelta(hours=8)
NOUR = link("nour", "facebook", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "create_probe", steps)


@pytest.fixture
async def app(tmp_path):
    network = opened(tmp_path)
    register(network, NOUR)
    await execute_run(network, night_of(0))
    yield network
    network.store.close()


@pytest.fixture
def client(app):
    with logged_in_client(app, NOW) as browser:
        yield browser


def submit_follow_up(client, **fields):
    return client.post("/en/associations/nour/follow-ups", data=fields)


def test_saved_call_is_in_the_follow_ups_and_in_the_history(app, client):
    response = submit_follow_up(client, kind="called", text="<b>will</b> renew the domain")
    assert (response.status_code, response.headers["location"]) == (
        303,
        "/en/associations/nour#follow-ups",
    )
    assert app.store.follow_ups.list_follow_ups("nour")[0].kind is FollowUpKind.CALLED
    text = get_text(client, "/en/associations/nour")
    assert text.count("&lt;b&gt;will&lt;/b&gt; renew the domain") == 1
    assert "Amina" in text


def test_association_of_a_due_promise_can_be_called_from_the_dashboard(app, client):
    entry = AssociationEntry(Association("nour", "Nour"), Contact(phone="0612345678"))
    app.store.registry.save_registry([entry], [NOUR], NOW)
    assert "tel:" not in get_text(client, "/en/")
    submit_follow_up(client, kind="promised", text="a new page", due="2026-03-05")
    text = get_text(client, "/en/")
    assert 'href="tel:+212612345678"' in text
    assert 'href="https://wa.me/212612345678"' in text


def test_promise_due_soon_is_on_the_dashboard(client):
    submit_follow_up(client, kind="promised", text="a new page", due="2026-03-05")
    submit_follow_up(client, kind="promised", text="much later", due="2026-09-05")
    text = get_text(client, "/en/")
    assert "5 March 2026" in text
    assert "a new page" in text
    assert "much later" not in text


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"kind": "promised", "due": "soon"}, "Enter the promised date"),
        ({"kind": "promised", "due": "2026-02-01"}, "Enter the promised date"),
        ({"kind": "promised", "due": "2036-02-01"}, "Enter the promised date"),
        ({"kind": "note", "text": " "}, "Enter a note."),
        ({"kind": "note", "text": "\u202e"}, "Enter a note."),
    ],
)
def test_invalid_follow_up_returns_422_and_is_not_saved(app, client, fields, message):
    response = submit_follow_up(client, **fields)
    assert response.status_code == 422
    assert message in response.text
    assert f'value="{fields["kind"]}" selected' in response.text
    assert app.store.follow_ups.list_follow_ups("nour") == []
    [field] = html.fromstring(response.text).xpath('//*[@aria-invalid="true"]')
    assert field.get("name") == ("text" if fields["kind"] == "note" else "due")
    [error] = field.xpath(f'../*[@id="{field.get("aria-describedby")}"]')
    assert error.text.startswith(message)
    # A browser shows the address of the form, and opens it when the page is reloaded.
    location = client.get("/en/associations/nour/follow-ups").headers["location"]
    assert location == "/en/associations/nour#follow-ups"


def test_due_date_without_a_promise_is_not_saved(app, client):
    submit_follow_up(client, kind="met", due="2026-03-05")
    assert app.store.follow_ups.list_follow_ups("nour")[0].due_date is None


def test_pending_reply_is_on_the_association_page_and_the_dashboard(app, client):
    add_reply(
        app.store,
        Reply(
            association="nour",
            kind=ReplyKind.DISOWNED,
            submitted_at=NOW,
            channel="facebook",
            text="ليس لنا",
        ),
    )
    text = get_text(client, "/en/associations/nour")
    assert 'href="/en/replies/1">1 reply from this association is waiting' in text
    assert "Reply: this isn’t ours" in text
    assert "ليس لنا" in text
    assert "1 reply to decide on" in get_text(client, "/en/")


def test_follow_ups_are_listed_newest_first(app, client):
    app.store.follow_ups.add(
        FollowUp(
            association="nour",
            kind=FollowUpKind.MET,
            author="Amina",
            occurred_at=NOW - timedelta(days=3),
            text="first",
        )
    )
    app.store.follow_ups.add(
        FollowUp(
            association="nour",
            kind=FollowUpKind.PROMISED,
            author="Omar",
            occurred_at=NOW,
            text="second",
            due_date=date(2026, 3, 9),
        )
    )
    text = get_text(client, "/en/associations/nour")
    assert text.index("second") < text.index("first")
    assert client.post("/en/associations/nobody/follow-ups", data={}).status_code == 404


@pytest.mark.parametrize(("step", "status"), [(-1, 303), (0, 303), (1, 422)])
def test_promised_day_is_within_a_year(client, step, status):
    due = (NOW + MAX_PROMISE_PERIOD).date() + timedelta(days=step)
    assert submit_follow_up(client, kind="promised", due=due.isoformat()).status_code == status


@pytest.mark.parametrize(("step", "status"), [(-1, 303), (0, 303), (1, 422)])
def test_note_has_as_many_characters_as_its_field_accepts(app, client, step, status):
    """A line break, which a browser sends as two characters, counted twice."""
    text = "x\r\n" * 500 + "x" * (MAX_NOTES_CHARS - 1_000 + step)
    assert submit_follow_up(client, kind="note", text=text).status_code == status
    stored = [len(entry.text) for entry in app.store.follow_ups.list_follow_ups("nour")]
    assert stored == ([MAX_NOTES_CHARS + step] if step <= 0 else [])
