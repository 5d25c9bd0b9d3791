"""The report of an association: its forms, where they lead, the contact, and sharing."""

import re
from dataclasses import replace
from datetime import timedelta
from html import unescape
from urllib.parse import unquote

import pytest

from auditor.app import App
from auditor.conclusions import replies
from auditor.conclusions.replies import ReplyRefusedError
from auditor.config.schema import Config
from auditor.presentation import report_links
from auditor.registry.importer import parse_registry_spreadsheet
from storage.conclusions import Conclusions
from storage.errors import StoreError
from storage.models.audit import Gap
from storage.models.users import ReplyOutcome
from tests.support.web_server import NOW, anonymous_client, logged_in_client

PUBLIC = "https://reports.example.org"
SHEET = """id,name,language,facebook,youtube
nour,Nour,fr,https://www.facebook.com/AssociationNour,
amal,Amal,ar,,
"""
STALE = Gap("nour", "facebook", "channel_stale", "medium", NOW, 1, NOW)
MISSING = Gap("nour", "youtube", "channel_missing", "low", NOW, 1, NOW)
AT = "gap-youtube-channel_missing"
MISSING_FORM = {"gap_code": "channel_missing", "channel": "youtube", "at": AT}
CONTACT = {
    "contact_phone": "+212 537 00 00 00",
    "contact_whatsapp": "+212 (0)600-00-00-00",
    "contact_email": "team@example.org",
}


def open_app(folder, **network):
    settings = {
        "network": network,
        "storage": {"folder": folder, "url": f"sqlite:///{folder}/auditor.db"},
        "web": {"public_url": PUBLIC},
        "channels": {"facebook": {}, "youtube": {}},
    }
    (folder / "sheet.csv").write_text(SHEET, "utf-8")
    app = App.open(Config.model_validate(settings))
    registry = parse_registry_spreadsheet(folder / "sheet.csv")
    app.store.registry.save_registry(registry.associations, registry.accounts, NOW)
    app.store.conclusions.save(Conclusions(gaps=[STALE, MISSING]))
    return app


@pytest.fixture
def app(tmp_path):
    with open_app(tmp_path, **CONTACT) as opened_app:
        yield opened_app


@pytest.fixture
def client(app):
    with anonymous_client(app) as reader:
        enter(app, reader)
        yield reader


def enter(app, client, association="nour"):
    """Open the report with a new link, and return the link."""
    _, address = report_links.create_report_link(
        app.store, app.config, association, "Amina", NOW, keep_older_links=True
    )
    client.get(address.removeprefix(PUBLIC))
    return address


def submit(client, path, **form):
    response = client.post(f"/fr/report/{path}", data=form)
    assert response.status_code == 303, response.text
    location = response.headers["location"]
    return location, client.get(location.partition("#")[0]).text


def find_point(page, anchor=AT):
    """Return the HTML of a point."""
    return page.partition(f'id="{anchor}"')[2].partition("</article>")[0]


def test_only_the_first_point_is_open(client):
    page = client.get("/fr/report").text
    assert re.findall(r'<details class="point"( open)?>', page) == [" open", ""]


def test_answer_returns_to_its_point_which_is_open_and_has_the_thanks(client):
    location, page = submit(client, "replies", kind="closed", **MISSING_FORM)
    assert location == f"/fr/report?at={AT}&done=sent#{AT}"
    point = find_point(page)
    assert '<details class="point" open>' in point
    assert 'role="status"' in point
    assert page.count('id="message"') == 1
    assert '<details class="point" open>' not in find_point(page, "gap-facebook-channel_stale")


def test_refused_value_is_explained_in_its_form_and_can_be_corrected(app, client):
    location, page = submit(client, "replies", kind="moved", value="my page", **MISSING_FORM)
    assert location.endswith("#message")
    [form] = [part for part in find_point(page).split("<form") if 'value="my page"' in part]
    assert 'role="alert"' in form
    assert 'aria-invalid="true" aria-describedby="message"' in form
    assert '<details class="live" open>' in find_point(page)
    assert not app.store.replies.list_pending()


def test_answer_to_what_is_gone_is_explained_at_the_top(client):
    _, page = submit(client, "replies", kind="promised", gap_code="no_website", at="gap-x")
    assert 'role="alert"' in page.partition("<h2")[0]


@pytest.mark.parametrize(
    ("day", "is_sent"),
    [
        (NOW.date() - timedelta(days=1), False),
        (NOW.date(), True),
        ((NOW + replies.MAX_PROMISE_PERIOD).date(), True),
        ((NOW + replies.MAX_PROMISE_PERIOD).date() + timedelta(days=1), False),
    ],
)
def test_promise_for_a_past_or_late_day_is_refused(app, client, day, is_sent):
    location, _ = submit(client, "replies", kind="promised", value=str(day), **MISSING_FORM)
    assert ("done=sent" in location, "error=invalid_day" in location) == (is_sent, not is_sent)
    assert [reply.value for reply in app.store.replies.list_pending()] == [str(day)] * is_sent


@pytest.mark.parametrize("path", ["replies", "steps", "replies/1/withdrawal"])
def test_place_of_a_form_is_quoted_in_the_address(client, path):
    location, page = submit(client, path, kind="closed", at='"><b>\r\nx', value='"><i>')
    assert not {"<", ">", '"', "\r", "\n"} & set(location)
    assert "<b>" not in page.partition("<main>")[2]


def test_reply_that_waits_can_be_taken_back_and_is_kept_as_withdrawn(app, client):
    submit(client, "replies", kind="closed", **MISSING_FORM)
    [reply] = app.store.replies.list_pending()
    assert f"report/replies/{reply.id}/withdrawal" in client.get("/fr/report").text
    location, page = submit(client, f"replies/{reply.id}/withdrawal", at=AT)
    assert location == f"/fr/report?at={AT}&done=withdrawn#{AT}"
    assert 'role="status"' in find_point(page)
    assert 'class="sent"' not in page
    stored = app.store.replies.get(reply.id)
    assert (stored.outcome, stored.reviewed_at, stored.reviewed_by) == (
        ReplyOutcome.WITHDRAWN,
        NOW,
        None,
    )
    assert not app.store.replies.list_pending()
    with pytest.raises(StoreError):
        replies.decline_reply(app.store, reply, author="Amina", reason="late", now=NOW)
    with logged_in_client(app) as coordinator:
        assert "taken back by the association" in coordinator.get("/en/associations/nour").text


def test_reviewed_reply_cannot_be_taken_back(app, client):
    submit(client, "replies", kind="closed", **MISSING_FORM)
    [reply] = app.store.replies.list_pending()
    replies.decline_reply(app.store, reply, author="Amina", reason="it exists", now=NOW)
    location, page = submit(client, f"replies/{reply.id}/withdrawal", at=AT)
    assert "error=already_reviewed" in location
    assert 'role="alert"' in find_point(page)
    assert app.store.replies.get(reply.id).outcome is ReplyOutcome.DECLINED
    assert "/withdrawal" not in client.get("/fr/report").text


def test_reply_of_another_association_cannot_be_taken_back(app, client):
    submit(client, "replies", kind="closed", **MISSING_FORM)
    [reply] = app.store.replies.list_pending()
    with anonymous_client(app) as other:
        enter(app, other, "amal")
        location, _ = submit(other, f"replies/{reply.id}/withdrawal")
    assert "error=unknown_subject" in location
    assert app.store.replies.get(reply.id).outcome is None


def test_taking_back_does_not_lift_the_limit_of_replies(app, client):
    for number in range(replies.MAX_WAITING_REPLIES):
        submit(client, "replies", kind="disputed", text=str(number), **MISSING_FORM)
    for reply in app.store.replies.list_pending():
        replies.withdraw_reply(app.store, reply.id, "nour", NOW)
    location, _ = submit(client, "replies", kind="disputed", text="again", **MISSING_FORM)
    assert "error=too_many" in location
    [first, *_] = app.store.replies.list_replies("nour")
    with pytest.raises(ReplyRefusedError):
        replies.withdraw_reply(app.store, first.id, "amal", NOW)


def test_ticked_steps_are_shown_again_and_can_be_unticked(app, client):
    location, page = submit(client, "steps", step=["1", "3", "99"], **MISSING_FORM)
    assert location == f"/fr/report?at={AT}&done=steps_saved#{AT}"
    assert "checked" in find_point(page)
    assert list_ticked(client.get("/fr/report").text) == ["1", "3"]
    submit(client, "steps", step=["3"], **MISSING_FORM)
    assert list_ticked(client.get("/fr/report").text) == ["3"]
    assert list_steps(app) == [("youtube", "channel_missing", 3)]
    submit(client, "steps", **MISSING_FORM)
    assert list_steps(app) == []


def list_ticked(page):
    return re.findall(r'name="step" value="(\d+)" checked', find_point(page))


def list_steps(app):
    steps = app.store.completed_steps.list_completed_steps("nour")
    return [(step.channel, step.code, step.step) for step in steps]


def test_gap_that_comes_back_begins_without_ticks(app, client):
    submit(client, "steps", step=["1"], **MISSING_FORM)
    fixed_at, again = NOW + timedelta(days=10), NOW + timedelta(days=30)
    app.store.conclusions.save(
        Conclusions(
            gaps=[
                replace(MISSING, closed_at=fixed_at),
                replace(MISSING, first_seen=again, opened_at=again),
            ]
        )
    )
    with anonymous_client(app, again) as later:
        enter(app, later)
        assert list_ticked(later.get("/fr/report").text) == []
        submit(later, "steps", step=["2"], **MISSING_FORM)
        assert list_ticked(later.get("/fr/report").text) == ["2"]


def test_shared_text_has_the_readers_own_link_and_ends_no_link(app, client):
    address = enter(app, client)
    page = unescape(client.get("/fr/report").text)
    shared = unquote(re.search(r'href="https://wa\.me/\?text=([^"]*)"', page)[1])
    assert shared.endswith(f"\n{address}")
    assert f">{shared}</textarea>" in page
    assert "répondre en notre nom" in shared
    assert all(link.revoked_at is None for link in app.store.report_links.list_report_links("nour"))


def test_page_of_a_dead_or_missing_link_names_the_contact(app):
    with anonymous_client(app) as client:
        for path, status in (("/fr/report", 401), ("/r/none", 410)):
            response = client.get(path)
            assert response.status_code == status
            assert 'href="tel:+212537000000"' in response.text
            assert 'href="https://wa.me/212600000000"' in response.text
            assert 'href="mailto:team@example.org"' in response.text
        assert "tel:" not in client.get("/fr/nothing").text


def test_report_names_the_contact_and_whatsapp_says_who_writes(client):
    page = client.get("/fr/report").text
    assert 'href="tel:+212537000000"' in page
    assert "https://wa.me/212600000000?text=" in page
    assert "Nour" in unquote(re.search(r"wa\.me/212600000000\?text=([^\"]*)", page)[1])


def test_network_without_a_contact_has_no_empty_links(tmp_path):
    with open_app(tmp_path) as app, anonymous_client(app) as client:
        enter(app, client)
        assert not re.search(r'href="(tel|mailto):', client.get("/fr/report").text)
