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


def test_a_call_is_kept_with_who_and_what_and_told_among_what_happened(app, client):
    answer = keep(client, kind="called", text="<b>will</b> renew the domain")
    assert (answer.status_code, answer.headers["location"]) == (303, "/en/associations/nour#follow-ups")
    assert app.store.list_follow_ups("nour")[0].kind is FollowUpKind.CALLED
    page = told(client)
    assert page.count("&lt;b&gt;will&lt;/b&gt; renew the domain") == 2
    assert "Amina" in page


def test_a_promise_has_its_day_and_is_told_on_the_front_page_when_it_is_near(client):
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
def test_what_a_line_lacks_is_said_beside_the_form_and_nothing_is_kept(app, client, line, said):
    answer = keep(client, **line)
    assert answer.status_code == 422
    assert said in answer.text
    assert f'value="{line["kind"]}" selected' in answer.text
    assert app.store.list_follow_ups("nour") == []


def test_a_day_with_what_is_no_promise_is_not_kept(app, client):
    keep(client, kind="met", due="2026-03-05")
    assert app.store.list_follow_ups("nour")[0].due_date is None


def test_replies_that_wait_are_told_on_both_pages(app, client):
    app.store.add_reply(Reply("nour", ReplyKind.DISOWNED, NOW, "facebook", text="ليس لنا"))
    page = told(client)
    assert "1 reply from this association is waiting" in page
    assert "Reply: this isn’t ours" in page
    assert "ليس لنا" in page
    assert "1 reply waiting for a decision" in told(client, "/en/")


def test_the_log_is_of_one_association_and_the_newest_line_comes_first(app, client):
    app.store.add_follow_up(
        FollowUp("nour", FollowUpKind.MET, "Amina", NOW - timedelta(days=3), "first")
    )
    app.store.add_follow_up(
        FollowUp("nour", FollowUpKind.PROMISED, "Omar", NOW, "second", date(2026, 3, 9))
    )
    page = told(client)
    assert page.index("second") < page.index("first")
    assert client.post("/en/associations/nobody/follow-ups", data={}).status_code == 404
