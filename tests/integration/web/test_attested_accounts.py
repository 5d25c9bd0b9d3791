"""Associations say when they last published on an account that no check can see."""

from datetime import timedelta

import pytest

from auditor.checking import checker
from auditor.conclusions import replies
from auditor.conclusions.network_view import build_network_overview, load_association_view
from auditor.presentation.reports.text import format_association_report
from auditor.runs.run import execute_run
from probes.models.finding import Identity, LinkKind
from storage.models.audit import AccountRow
from storage.models.summaries import ChannelStatus
from storage.models.users import ReplyKind
from tests.support.mini_network import configured, night_of, opened, register, steps
from tests.support.web_server import get_text, logged_in_client

NOW = night_of(0) + timedelta(hours=9)
NAMES = [f"a{number:02}" for number in range(26)]
TODAY, TOMORROW = NOW.date(), NOW.date() + timedelta(days=1)
NUMBER = (int(NOW.timestamp() * 1000) - 1_288_834_974_657) << 22
"""The number of a post that was made now."""


def build_account(name):
    url = f"https://x.com/{name}"
    return AccountRow(name, url, Identity("twitter", LinkKind.PROFILE, name, url, url), "twitter")


@pytest.fixture
async def network(tmp_path, monkeypatch):
    """Yield 26 associations whose accounts are behind a login."""
    monkeypatch.setattr(checker, "create_probe", steps)
    app = opened(tmp_path, configured(("twitter",)))
    rows = list(map(build_account, NAMES))
    register(app, *rows)
    app.web.answers = {row.typed_text: "wall" for row in rows}
    await execute_run(app, night_of(0))
    yield app
    app.store.close()


def send_reply(app, name, value="", text=""):
    """Send what an association says of its account. Return why it was refused, or None."""
    view = load_association_view(app.store, app.config, name)
    [account] = view.accounts
    form = replies.ReplyForm(
        kind=ReplyKind.SEEN, account_id=account.account_id, value=value, text=text
    )
    try:
        replies.save_reply(app.store, replies.parse_reply(form, view, None, NOW))
    except replies.ReplyRefusedError as refusal:
        return refusal.args[0]
    return None


def count_statuses(app, now=NOW):
    [figures] = build_network_overview(app.store, app.config, now).channels
    return {status: count for status, count in figures.counts.items() if count}


def accept_all(client, app):
    """Accept the replies that the page shows, and return the address of the confirmation."""
    shown = [reply.id for reply in app.store.replies.list_pending()]
    send_reply(app, NAMES[24], str(TODAY))  # one that arrives meanwhile is not accepted unseen
    return client.post("/en/replies/seen", data={"reply_id": shown}).headers["location"]


async def test_word_of_associations_counts_apart_until_it_ends(network):
    valid, future, [partner, linked] = NAMES[:19], NAMES[19:24], NAMES[24:]
    assert {send_reply(network, name, str(TODAY)) for name in valid} == {None}
    assert {send_reply(network, name, str(TOMORROW)) for name in future} == {"invalid_post_day"}
    post = f"x.com/{linked}/status/{NUMBER}"
    assert send_reply(network, partner, text=post) == "invalid_post"
    assert send_reply(network, partner) == "invalid_post"
    assert send_reply(network, linked, text=post) is None
    assert network.store.replies.count_pending() == 20
    assert count_statuses(network) == {ChannelStatus.UNKNOWN: 26}

    with logged_in_client(network, NOW) as client:
        get_text(client, "/en/replies", "20 replies on this page say")
        location = accept_all(client, network)
        get_text(client, location, "Accepted: 20.", "1 reply waiting")
        assert count_statuses(network) == {ChannelStatus.ATTESTED: 20, ChannelStatus.UNKNOWN: 6}
        get_text(client, "/en/", "<b>0</b> present", "state=attested")
        get_text(client, "/en/associations?channel=twitter&state=attested", "20 associations")

        view = load_association_view(network.store, network.config, valid[0])
        assert "sur parole · https://x.com/" in format_association_report(view, NOW, "fr")

    network.web.answers[build_account(valid[0]).typed_text] = "gone"
    for day in (2, 5, 9):
        await execute_run(network, night_of(day))
    newer_absence = {ChannelStatus.BROKEN: 1, ChannelStatus.ATTESTED: 19, ChannelStatus.UNKNOWN: 6}
    assert count_statuses(network, night_of(9) + timedelta(hours=9)) == newer_absence
    await execute_run(network, night_of(366))
    over = {ChannelStatus.BROKEN: 1, ChannelStatus.UNKNOWN: 25}
    assert count_statuses(network, night_of(366) + timedelta(hours=9)) == over


async def test_accepting_all_is_undone_with_one_click(network):
    for name in NAMES[:2]:
        send_reply(network, name, str(TODAY))
    with logged_in_client(network, NOW) as client:
        location = accept_all(client, network)
        page = client.get(location).text
        undo = page.partition('action="/en/undo/')[2].partition('"')[0]
        client.post(f"/en/undo/{undo}")
    assert network.store.replies.count_pending() == 3
    assert count_statuses(network) == {ChannelStatus.UNKNOWN: 26}


async def test_old_day_is_no_problem(network):
    assert send_reply(network, NAMES[0], "2019-05-01") is None
    with logged_in_client(network, NOW) as client:
        accept_all(client, network)
    await execute_run(network, night_of(1))
    assert not load_association_view(network.store, network.config, NAMES[0]).gaps
