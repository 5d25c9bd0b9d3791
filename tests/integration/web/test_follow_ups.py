"""The follow-up log and the replies on a real server: who said what, what is promised, what waits."""

from datetime import date, timedelta

import pytest

from auditor.checking import checker
from auditor.runs.run import execute_run
from storage.models.users import FollowUp, FollowUpKind, Reply, ReplyKind
from tests.support.mini_network import link, night_of, opened, register, steps
from tests.support.web_server import logged_in_client

NOW = night_of(0) + timedelta(hours=8)
NOUR = link("nour", "facebook", "nour")


@pytest.fixture(autouse=True)
def simple_probe(monkeypatch):
    monkeypatch.setattr(checker, "probe_steps_for", steps)


@pytest.fixture
async def app(tmp_path):
    small = opened(tmp_path)
    register(small, NOUR)
    await execute_run(small, night_of(0))
    yield small
    small.store.close()


@pytest.fixture
def client(app):
    with logged_in_client(app, NOW) as open_one:
        yield open_one


def told(client, path="/en/associations/nour"):
    answer = client.get(path)
    assert answer.status_code == 200, answer.text
    return answer.text.replace("<bdi>", "").replace("</bdi>", "")


def keep(client, **line):
    return client.post("/en/associations/nour/follow-ups", data=line)


def test_saved_call_is_in_the_follow_ups_and_in_the_history(app, client):
    answer = keep(client, kind="called", text="<b>will</b> renew the domain")
    assert (answer.status_code, answer.headers["location"]) == (303, "/en/associations/nour#follow-ups")
    assert app.store.list_follow_ups("nour")[0].kind is FollowUpKind.CALLED
    page = told(client)
    assert page.count("&lt;b&gt;will&lt;/b&gt; renew the domain") == 2
    assert "Amina" in page


def test_promise_due_soon_is_on_the_dashboard(client):
    keep(client, kind="promised", text="a new page", due="2026-03-05")
    keep(client, kind="promised", text="much later", due="2026-09-05")
    page = told(client, "/en/")
    assert "5 March 2026" in page
    assert "a new page" in page
    assert "much later" not in page


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ({"kind": "promised", "due": "soon"}, "Enter the promised date"),
        ({"kind": "promised", "due": "2026-02-01"}, "Enter the promised date"),
        ({"kind": "promised", "due": "2036-02-01"}, "Enter the promised date"),
        ({"kind": "note", "text": " "}, "Enter a note."),
    ],
)
def test_invalid_follow_up_returns_422_and_is_not_saved(app, client, line, said):
    answer = keep(client, **line)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{line["kind"]}" selected' in answer.text
    assert app.store.list_follow_ups("nour") == []


def test_due_date_without_a_promise_is_not_saved(app, client):
    keep(client, kind="met", due="2026-03-05")
    assert app.store.list_follow_ups("nour")[0].due_date is None


def test_pending_reply_is_on_the_association_page_and_the_dashboard(app, client):
    app.store.add_reply(Reply("nour", ReplyKind.DISOWNED, NOW, "facebook", text="ليس لنا"))
    page = told(client)
    assert "1 reply from this association is waiting" in page
    assert "Reply: this isn’t ours" in page
    assert "ليس لنا" in page
    assert "1 reply waiting for a decision" in told(client, "/en/")


def test_follow_ups_are_listed_newest_first(app, client):
    app.store.add_follow_up(
        FollowUp("nour", FollowUpKind.MET, "Amina", NOW - timedelta(days=3), "first")
    )
    app.store.add_follow_up(
        FollowUp("nour", FollowUpKind.PROMISED, "Omar", NOW, "second", date(2026, 3, 9))
    )
    page = told(client)
    assert page.index("second") < page.index("first")
    assert client.post("/en/associations/nobody/follow-ups", data={}).status_code == 404
