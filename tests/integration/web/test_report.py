"""Report links, and the report that they open: its forms, replies, the contact, and sharing."""

import logging
import re
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from html import unescape
from threading import Barrier, BrokenBarrierError
from unittest.mock import Mock
from urllib.parse import unquote

import pytest

from auditor.conclusions import replies
from auditor.core.formatting import hash_token
from auditor.presentation import report_links
from probes.links import identify
from storage.communication.report_links import ReplyRepository
from storage.conclusions import Conclusions
from storage.errors import StoreError
from storage.models.audit import AccountRow, Association, DecisionKind, Gap
from storage.models.users import ReplyKind, ReplyOutcome
from storage.tables.communication import Reply
from tests.support.web_server import (
    NOW,
    PUBLIC,
    anonymous_client,
    find_missing,
    get_text,
    logged_in_client,
    read_page,
)

URL = "https://www.facebook.com/AssociationNour"
REGISTRY = (
    [
        Association("nour", "جمعية النور", name_fr="Association Nour", language="fr"),
        Association("amal", "Amal", language="ar"),
    ],
    [AccountRow("nour", URL, identify.identify_link(URL), "facebook")],
)
SETTINGS = {
    "channels": {"facebook": {}, "youtube": {}},
    "network": {
        "contact_phone": "+212 537 00 00 00",
        "contact_whatsapp": "+212 (0)600-00-00-00",
        "contact_email": "team@example.org",
    },
}
GAPS = [
    Gap("nour", "facebook", "channel_stale", "medium", NOW, 1, NOW),
    Gap("nour", "youtube", "channel_missing", "low", NOW, 1, NOW),
]
AT = "gap-youtube-channel_missing"
MISSING_FORM = {"gap_code": "channel_missing", "channel": "youtube", "at": AT}


def create_path(app, association="nour", **options):
    _, address = report_links.create_report_link(
        app.store, app.config, association, "a coordinator", NOW, **options
    )
    return address.removeprefix(PUBLIC)


@pytest.fixture
def link_path(app):
    """The path of a report link of Nour, which has two gaps."""
    app.store.conclusions.save(Conclusions(gaps=GAPS))
    return create_path(app)


@pytest.fixture
def client(app, link_path):
    """A client that has opened Nour's report."""
    with anonymous_client(app) as reader:
        reader.get(link_path)
        yield reader


def submit(client, path, **form):
    """Send a form of the report. Return where it leads, and the text of that page."""
    response = client.post(f"/fr/report/{path}", data=form)
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    return location, client.get(location.partition("#")[0]).text


def find_point(page, anchor=AT):
    """Return the HTML of a point."""
    return page.partition(f'id="{anchor}"')[2].partition("</article>")[0]


def test_report_is_printable_and_available_as_pdf_where_typst_is(client, link_path, monkeypatch):
    page = get_text(client, "/fr/report", 'href="/fr/report.pdf"').replace("<wbr>", "")
    assert f"{PUBLIC.removeprefix('https://')}{link_path}</a>" in page
    response = client.get("/fr/report.pdf")
    assert response.content.startswith(b"%PDF")
    assert response.headers["content-disposition"] == 'attachment; filename="nour.pdf"'
    monkeypatch.setitem(sys.modules, "typst", None)
    assert "report.pdf" not in client.get("/fr/report").text
    read_page(client.get("/fr/report.pdf"), status=404)


def test_picture_of_what_improved_can_be_shared_where_typst_is(app, client, monkeypatch):
    fixed = replace(GAPS[0], opened_at=NOW - timedelta(days=9), closed_at=NOW)
    app.store.conclusions.save(Conclusions(gaps=[fixed]))
    page = get_text(client, "/fr/report", "Ce qui va mieux")
    [url] = re.findall(r'href="(/fr/report.png\?since=[^"]+)"', page)
    assert client.get(url).content.startswith(b"\x89PNG")
    read_page(client.get("/fr/report.png?since=never"), status=422)
    monkeypatch.setitem(sys.modules, "typst", None)
    assert "report.png" not in client.get("/fr/report").text
    read_page(client.get(url), status=404)


def test_report_opens_while_another_process_writes_to_the_database(app, client, caplog):
    app.store.report_links.mark_opened = Mock(side_effect=StoreError("the database is locked"))
    get_text(client, "/fr/report", "Association Nour")
    app.store.report_links.mark_opened.assert_called_once()
    assert [record for record in caplog.records if record.levelno >= logging.ERROR] == []


@pytest.mark.smoke
@pytest.mark.fault("F60")
def test_wrong_expired_and_revoked_links_return_the_same_410(app):
    paths = ["/r/" + "x" * 43, create_path(app, valid_days=1), create_path(app, "amal")]
    app.store.report_links.revoke("amal", "a coordinator", NOW)
    with anonymous_client(app, NOW + timedelta(days=2)) as client:
        assert len({read_page(client.get(path), status=410) for path in paths}) == 1


def test_link_of_an_association_that_is_no_longer_followed_rests(app):
    path = create_path(app)
    app.store.registry.withdraw_association("nour", NOW)
    with anonymous_client(app) as client:
        read_page(client.get(path), status=410)
        app.store.registry.restore_association("nour", NOW)
        assert client.get(path).status_code == 303


@pytest.mark.smoke
@pytest.mark.fault("F60")
def test_report_link_opens_only_its_report_and_its_token_is_stored_nowhere(app, caplog):
    own_path, other_path = create_path(app), create_path(app, "amal")
    with caplog.at_level(logging.DEBUG), anonymous_client(app) as client:
        entered = client.get(own_path)
        assert (entered.status_code, entered.headers["location"]) == (303, "/fr/report")
        assert entered.headers["cache-control"] == "no-store"
        assert "Amal" not in get_text(client, "/fr/report", "Association Nour")
        for path in ("/fr/associations/amal", "/fr/associations/nour", "/fr/"):
            assert client.get(path).status_code == 401
    app.store.create_backup(app.data_folder / "copy.db")
    stored = (app.data_folder / "copy.db").read_bytes()
    # The server's log, not that of the test's browser.
    logged = [record for record in caplog.records if not record.name.startswith(("httpx", "httpc"))]
    stored += "".join(record.getMessage() for record in logged).encode()
    tokens = [path.removeprefix("/r/") for path in (own_path, other_path)]
    assert [token.encode() in stored for token in tokens] == [False, False]
    assert hash_token(tokens[1]).encode() in stored


def test_cookie_is_extended_with_the_report_link(app):
    moment = [NOW]
    with anonymous_client(app, lambda: moment[0]) as client:
        client.get(create_path(app, valid_days=2))
        moment[0] = NOW + timedelta(days=1)
        app.store.report_links.extend("nour", NOW + timedelta(days=9), moment[0])
        cookie = client.get("/fr/report").headers["set-cookie"]
    assert f"Max-Age={8 * 86400}" in cookie


@pytest.mark.smoke
def test_reply_waits_for_review_and_changes_nothing(app, client):
    location, page = submit(client, "replies", kind="disowned", account_id="1", text="a shop")
    assert (location, "Merci" in page) == ("/fr/report?done=sent#message", True)
    [reply] = app.store.replies.list_pending()
    assert (reply.kind, reply.channel, reply.text) == (ReplyKind.DISOWNED, "facebook", "a shop")
    assert not list(app.store.decisions.list_decisions())


@pytest.mark.parametrize(
    ("form", "kinds"),
    [
        ({"kind": "claimed"}, [DecisionKind.CONFIRM]),
        ({"kind": "disowned"}, [DecisionKind.DISOWN]),
        ({"kind": "closed"}, [DecisionKind.WAIVE, DecisionKind.NONE_BY_CHOICE]),
        (
            {"kind": "moved", "value": "facebook.com/NourRabat"},
            [DecisionKind.MOVED, DecisionKind.CLAIM],
        ),
        ({"kind": "disputed", "text": "it is alive"}, [DecisionKind.WAIVE]),
    ],
)
def test_accepted_reply_becomes_the_matching_decision(app, client, form, kinds):
    submit(client, "replies", account_id="1", **form)
    [reply] = app.store.replies.list_pending()
    replies.accept_reply(
        app.store,
        app.config,
        reply,
        author="a coordinator",
        reason="",
        now=NOW,
        default_reason="so they say",
    )
    assert [decision.kind for decision in app.store.decisions.list_decisions()] == kinds


@pytest.mark.parametrize(
    ("form", "refusal"),
    [
        ({"kind": "moved", "value": "https://www.linkedin.com/company/nour"}, "invalid_address"),
        ({"kind": "disputed", "text": "  "}, "missing_text"),
        ({"kind": "promised", "value": "2026-12-01"}, "unknown_subject"),
        ({"kind": "claimed", "account_id": "999999"}, "unknown_subject"),
    ],
)
def test_incomplete_reply_is_refused_and_not_stored(app, client, form, refusal):
    location, page = submit(client, "replies", **{"account_id": "1", **form})
    assert f"error={refusal}" in location
    assert 'role="alert"' in page
    assert not app.store.replies.list_pending()


def test_refused_value_is_explained_in_its_form_and_can_be_corrected(client):
    location, page = submit(client, "replies", kind="moved", value="my page", **MISSING_FORM)
    assert location.endswith("#message")
    [form] = [part for part in find_point(page).split("<form") if 'value="my page"' in part]
    assert (
        find_missing(form, 'role="alert"', 'aria-invalid="true" aria-describedby="message"') == []
    )
    assert '<details class="live" open>' in find_point(page)


@pytest.mark.parametrize("path", ["replies", "steps", "replies/1/withdrawal"])
def test_place_of_a_form_is_quoted_in_the_address(client, path):
    location, page = submit(client, path, kind="closed", at='"><b>\r\nx', value='"><i>')
    assert not {"<", ">", '"', "\r", "\n"} & set(location)
    assert "<b>" not in page.partition("<main>")[2]


def test_reply_that_waits_can_be_taken_back_and_is_kept_as_withdrawn(app, client):
    location, page = submit(client, "replies", kind="closed", **MISSING_FORM)
    assert (location, page.count('id="message"')) == (f"/fr/report?at={AT}&done=sent#{AT}", 1)
    assert '<details class="point" open>' in find_point(page)
    assert 'role="status"' in find_point(page)
    assert '<details class="point" open>' not in find_point(page, "gap-facebook-channel_stale")
    [reply] = app.store.replies.list_pending()
    get_text(client, "/fr/report", f"report/replies/{reply.id}/withdrawal")
    location, page = submit(client, f"replies/{reply.id}/withdrawal", at=AT)
    assert location == f"/fr/report?at={AT}&done=withdrawn#{AT}"
    assert ('role="status"' in find_point(page), 'class="sent"' in page) == (True, False)
    stored = app.store.replies.get(reply.id)
    outcome = (stored.outcome, stored.reviewed_at, stored.reviewed_by)
    assert outcome == (ReplyOutcome.WITHDRAWN, NOW, None)
    with pytest.raises(StoreError):
        replies.decline_reply(app.store, reply, author="Amina", reason="late", now=NOW)
    with logged_in_client(app) as coordinator:
        get_text(coordinator, "/en/associations/nour", "taken back by the association")


def test_association_cannot_reply_for_another_or_take_back_its_reply(app, client):
    submit(client, "replies", kind="closed", **MISSING_FORM)
    [reply] = app.store.replies.list_pending()
    with anonymous_client(app) as other:
        other.get(create_path(app, "amal"))
        for path in ("replies", f"replies/{reply.id}/withdrawal"):
            location, _ = submit(other, path, kind="disowned", account_id="1")
            assert "error=unknown_subject" in location
    assert app.store.replies.list_pending() == [reply]


def test_cross_site_reply_is_refused(app, client):
    form, headers = {"kind": "disowned", "account_id": "1"}, {"sec-fetch-site": "cross-site"}
    response = client.post("/fr/report/replies", data=form, headers=headers)
    assert (response.status_code, app.store.replies.list_pending()) == (403, [])


def test_at_most_twenty_replies_of_an_association_wait(app, client):
    form = {"kind": "claimed", "account_id": "1"}
    locations = [submit(client, "replies", **form, text=f"{number}")[0] for number in range(21)]
    assert ["error=too_many" in location for location in locations] == [False] * 20 + [True]
    assert app.store.replies.count_pending() == 20


@pytest.mark.parametrize("texts", ["aa", "ab"], ids=["equal", "different"])
def test_replies_at_the_same_time_are_counted_one_after_the_other(app, monkeypatch, texts):
    """Of 40 different ones, 29 were stored."""
    monkeypatch.setattr(replies, "MAX_WAITING_REPLIES", 1)
    both_count, add_chosen = Barrier(2), ReplyRepository.add_chosen

    def add_together(repository, association, choose):
        def count_together(stored):
            with suppress(BrokenBarrierError):
                both_count.wait(0.3)  # the other request never comes this far
            return choose(stored)

        return add_chosen(repository, association, count_together)

    def save(text):
        reply = Reply(association="nour", kind=ReplyKind.CLAIMED, submitted_at=NOW, text=text)
        with suppress(replies.ReplyRefusedError):
            replies.save_reply(app.store, reply)

    monkeypatch.setattr(ReplyRepository, "add_chosen", add_together)
    with ThreadPoolExecutor(2) as threads:
        list(threads.map(save, texts))
    assert app.store.replies.count_pending() == 1


def test_ticked_steps_are_shown_again_and_can_be_unticked(app, client):
    for steps in (["1", "3"], ["3"], []):
        location, page = submit(client, "steps", step=[*steps, "99"], **MISSING_FORM)
        assert location == f"/fr/report?at={AT}&done=steps_saved#{AT}"
        assert re.findall(r'name="step" value="(\d+)" checked', find_point(page)) == steps
        stored = app.store.completed_steps.list_completed_steps("nour")
        expected = [("youtube", "channel_missing", int(step)) for step in steps]
        assert [(step.channel, step.code, step.step) for step in stored] == expected


def test_shared_text_has_the_readers_own_link_and_ends_no_link(app, client, link_path):
    page = unescape(client.get("/fr/report").text)
    shared = unquote(re.search(r'href="https://wa\.me/\?text=([^"]*)"', page)[1])
    assert shared.endswith(f"\n{PUBLIC}{link_path}")
    assert f">{shared}</textarea>" in page
    assert "répondre en notre nom" in shared
    assert all(link.revoked_at is None for link in app.store.report_links.list_report_links("nour"))


def test_report_names_the_contact_and_whatsapp_says_who_writes(client):
    page = get_text(client, "/fr/report", 'href="tel:+212537000000"')
    assert "Nour" in unquote(re.search(r"wa\.me/212600000000\?text=([^\"]*)", page)[1])
