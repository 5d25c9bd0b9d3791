"""Report links: they open an association's own report, where it can reply."""

import logging
import sys
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import timedelta
from threading import Barrier, BrokenBarrierError
from urllib.parse import parse_qs, urlsplit

import pytest

from auditor.app import App
from auditor.conclusions import replies
from auditor.conclusions.network_view import load_association_view
from auditor.config.schema import Config
from auditor.core.errors import ConfigError
from auditor.core.form_limits import MAX_NOTES_CHARS, MAX_PLACE_CHARS
from auditor.core.formatting import hash_token
from auditor.presentation import report_links
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.web.routes.report import MAX_TYPED_CHARACTERS
from storage.communication.report_links import ReplyRepository
from storage.conclusions import Conclusions
from storage.models.audit import DecisionKind, Gap
from storage.models.users import ReplyKind, ReplyOutcome
from storage.tables.communication import Reply
from tests.support.web_server import NOW, anonymous_client

PUBLIC = "https://reports.example.org"
SHEET = """id,name,name_fr,language,facebook,youtube
nour,جمعية النور,Association Nour,fr,https://www.facebook.com/AssociationNour,
amal,Amal,,ar,,
"""


@pytest.fixture
def app(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": PUBLIC},
        "channels": {"facebook": {}, "youtube": {}},
    }
    (tmp_path / "sheet.csv").write_text(SHEET, "utf-8")
    with App.open(Config.model_validate(settings)) as opened_app:
        registry = parse_registry_spreadsheet(tmp_path / "sheet.csv")
        opened_app.store.registry.save_registry(registry.associations, registry.accounts, NOW)
        yield opened_app


def create_path(app, association="nour", **options):
    _, address = report_links.create_report_link(
        app.store, app.config, association, "a coordinator", NOW, **options
    )
    return address.removeprefix(PUBLIC)


def test_report_link_opens_the_report_without_the_token_in_the_url(app):
    with anonymous_client(app) as client:
        entered = client.get(create_path(app))
        assert (entered.status_code, entered.headers["location"]) == (303, "/fr/report")
        assert entered.headers["cache-control"] == "no-store"
        report = client.get("/fr/report")
        assert "Association Nour" in report.text


def test_report_is_printable_and_available_as_pdf(app):
    path = create_path(app)
    with anonymous_client(app) as client:
        client.get(path)
        page = client.get("/fr/report").text.replace("<wbr>", "")
        assert f"{PUBLIC.removeprefix('https://')}{path}</a></bdi>" in page
        response = client.get("/fr/report.pdf")
        assert response.content.startswith(b"%PDF")
        assert response.headers["content-disposition"] == 'attachment; filename="nour.pdf"'


def test_page_suggests_printing_if_no_pdf_can_be_made(app, monkeypatch):
    monkeypatch.setitem(sys.modules, "typst", None)
    with anonymous_client(app) as client:
        client.get(create_path(app))
        response = client.get("/fr/report.pdf")
    assert response.status_code == 503
    assert "Imprimer" in response.text


def test_only_the_hash_of_a_token_is_stored(app):
    token = create_path(app).removeprefix("/r/")
    [report_link] = app.store.report_links.list_report_links("nour")
    assert token not in repr(report_link)
    assert report_link.token_hash == hash_token(token)


@pytest.mark.fault("F60")
def test_wrong_expired_and_revoked_links_return_the_same_410(app):
    wrong, expired = "/r/" + "x" * 43, create_path(app, valid_days=1)
    revoked = create_path(app, "amal")
    app.store.report_links.revoke("amal", "a coordinator", NOW)
    with anonymous_client(app, NOW + timedelta(days=2)) as client:
        responses = [client.get(path) for path in (wrong, expired, revoked)]
    assert [response.status_code for response in responses] == [410, 410, 410]
    assert len({response.text for response in responses}) == 1


@pytest.mark.fault("F60")
def test_token_is_not_logged_after_an_error(app, monkeypatch, caplog):
    path = create_path(app)
    monkeypatch.setattr(app.store.report_links, "get", lambda _: 1 / 0)
    with anonymous_client(app) as client:
        assert client.get(path).status_code == 500
    assert "GET /r/… crashed" in caplog.text
    assert path.removeprefix("/r/") not in caplog.text


def is_ours(record):
    """Return True if the server logged the record, not the test's browser."""
    return not record.name.startswith(("httpx", "httpcore"))


@pytest.mark.fault("F60")
def test_report_link_opens_only_its_report_and_its_token_is_stored_nowhere(app, caplog):
    own_path, other_path = create_path(app), create_path(app, "amal")
    with caplog.at_level(logging.DEBUG), anonymous_client(app) as client:
        entered = client.get(own_path)
        assert entered.headers["location"] == "/fr/report"
        report = client.get("/fr/report")
        assert "nour.example" in report.text.replace("<wbr>", "") or "Nour" in report.text
        assert "Amal" not in report.text
        for path in ("/fr/associations/amal", "/fr/associations/nour", "/fr/"):
            assert client.get(path).status_code == 401
    app.store.create_backup(app.data_folder / "copy.db")
    backup = (app.data_folder / "copy.db").read_bytes()
    for token in (own_path.removeprefix("/r/"), other_path.removeprefix("/r/")):
        assert token.encode() not in backup
        assert not [
            record for record in caplog.records if token in record.getMessage() and is_ours(record)
        ]
    assert hash_token(other_path.removeprefix("/r/")).encode() in backup


def test_report_without_cookie_explains_how_to_open_it(app):
    with anonymous_client(app) as client:
        response = client.get("/fr/report")
    assert response.status_code == 401
    assert "Ouvrez votre rapport avec votre propre lien" in response.text


def test_cookie_is_extended_with_the_report_link(app):
    moment = [NOW]
    with anonymous_client(app, lambda: moment[0]) as client:
        client.get(create_path(app, valid_days=2))
        moment[0] = NOW + timedelta(days=1)
        app.store.report_links.extend("nour", NOW + timedelta(days=9), moment[0])
        cookie = client.get("/fr/report").headers["set-cookie"]
    assert f"Max-Age={8 * 86400}" in cookie


def test_new_report_link_revokes_older_ones_unless_kept(app):
    first = create_path(app)
    second = create_path(app, keep_older_links=True)
    third = create_path(app)
    opens = [
        report_links.find_active_report_link(app.store, path.removeprefix("/r/"), NOW) is not None
        for path in (first, second, third)
    ]
    assert opens == [False, False, True]


def test_text_of_a_second_link_begins_with_what_was_fixed_since_the_first(app):
    opened_at, closed_at = NOW - timedelta(days=3), NOW + timedelta(days=3)
    gap = Gap("nour", "facebook", "channel_dead", "high", opened_at, 1, opened_at)

    def create_text(now):
        view = load_association_view(app.store, app.config, "nour")
        return report_links.create_invitation(app, view, "a coordinator", now, "en")[1].short_text

    app.store.conclusions.save(Conclusions(gaps=[gap]))
    assert "The address of your Facebook page no longer works." in create_text(NOW)
    app.store.conclusions.save(Conclusions(gaps=[replace(gap, closed_at=closed_at)]))
    assert "Good news: " in create_text(closed_at + timedelta(days=1))
    assert "Good news: " not in create_text(closed_at + timedelta(days=2))


def test_report_link_needs_a_public_url(app):
    bare = app.config.model_copy(
        update={"web": app.config.web.model_copy(update={"public_url": ""})}
    )
    with pytest.raises(ConfigError, match="public_url"):
        report_links.create_report_link(app.store, bare, "nour", "a coordinator", NOW)


@pytest.fixture
def client(app):
    with anonymous_client(app) as reader:
        reader.get(create_path(app))
        yield reader


def send_reply(app, client, **form):
    sent = client.post("/fr/report/replies", data=form)
    assert sent.status_code == 303
    return sent.headers["location"], app.store.replies.list_pending()


def account_id_of(app):
    [row] = app.store.registry.list_accounts("nour")
    return str(row.id)


def test_reply_waits_for_review_and_changes_nothing(app, client):
    location, waiting = send_reply(
        app, client, kind="disowned", account_id=account_id_of(app), text="page of a shop"
    )
    assert location == "/fr/report?done=sent#message"
    assert [(reply.kind, reply.channel, reply.text) for reply in waiting] == [
        (ReplyKind.DISOWNED, "facebook", "page of a shop")
    ]
    assert not list(app.store.decisions.list_decisions())
    assert "Merci" in client.get(location).text


def test_declined_reply_shows_its_reason_and_accepted_reply_takes_a_decision(app, client):
    _, [first] = send_reply(
        app, client, kind="moved", account_id=account_id_of(app), value="facebook.com/NourRabat"
    )
    replies.decline_reply(
        app.store, first, author="a coordinator", reason="it opens nothing", now=NOW
    )
    assert "it opens nothing" in client.get("/fr/report").text
    _, [second] = send_reply(app, client, kind="disowned", account_id=account_id_of(app))
    replies.accept_reply(
        app.store,
        app.config,
        second,
        author="a coordinator",
        reason="",
        now=NOW,
        default_reason="so they say",
    )
    [decision] = app.store.decisions.list_decisions()
    assert (decision.kind, decision.author) == (DecisionKind.DISOWN, "a coordinator")
    assert [reply.outcome for reply in app.store.replies.list_replies("nour")] == [
        ReplyOutcome.DECLINED,
        ReplyOutcome.ACCEPTED,
    ]


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
    _, [reply] = send_reply(app, client, account_id=account_id_of(app), **form)
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
    location, waiting = send_reply(app, client, **{"account_id": account_id_of(app), **form})
    assert f"error={refusal}" in location
    assert not waiting
    assert 'role="alert"' in client.get(location).text


def test_association_cannot_reply_for_another(app, client):
    with anonymous_client(app) as other:
        other.get(create_path(app, "amal"))
        location, _ = send_reply(app, other, kind="disowned", account_id=account_id_of(app))
    assert "error=unknown_subject" in location


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_at_most_twenty_replies_of_an_association_wait(app, client, step):
    form = {"kind": "claimed", "account_id": account_id_of(app)}
    for number in range(replies.MAX_WAITING_REPLIES + step - 1):
        send_reply(app, client, **form, text=str(number))
    location, waiting = send_reply(app, client, **form)
    assert ("error=too_many" in location) is (step > 0)
    assert len(waiting) == replies.MAX_WAITING_REPLIES + min(0, step)


def test_repeated_reply_is_stored_once(app, client):
    for _ in range(3):
        location, waiting = send_reply(app, client, kind="claimed", account_id=account_id_of(app))
        assert "done=sent" in location
    assert len(waiting) == 1


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


def test_cross_site_reply_is_refused(app, client):
    form = {"kind": "disowned", "account_id": account_id_of(app)}
    sent = client.post("/fr/report/replies", data=form, headers={"sec-fetch-site": "cross-site"})
    assert sent.status_code == 403
    assert not app.store.replies.list_pending()


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_text_of_a_reply_is_stored_as_a_whole_or_refused(app, client, step):
    text = "x" * (MAX_NOTES_CHARS + step)
    form = {"kind": "disowned", "account_id": account_id_of(app), "text": text}
    sent = client.post("/fr/report/replies", data=form)
    assert sent.status_code == (422 if step > 0 else 303)
    stored = [reply.text for reply in app.store.replies.list_pending()]
    assert stored == ([text] if step <= 0 else [])


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_place_of_a_form_has_a_limit(app, client, step):
    place = "x" * (MAX_PLACE_CHARS + step)
    form = {"kind": "disowned", "account_id": account_id_of(app), "at": place}
    sent = client.post("/fr/report/replies", data=form)
    assert sent.status_code == (422 if step > 0 else 303)
    assert len(app.store.replies.list_pending()) == (0 if step > 0 else 1)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_link_is_valid_for_the_set_days(app, step):
    path = create_path(app, valid_days=2)
    with anonymous_client(app, NOW + timedelta(days=2, seconds=step)) as reader:
        assert reader.get(path).status_code == (303 if step < 0 else 410)


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_refused_value_comes_back_to_its_form_as_a_whole_or_not_at_all(app, client, step):
    value = "x" * (MAX_TYPED_CHARACTERS + step)
    form = {"kind": "moved", "account_id": account_id_of(app), "value": value}
    location, _ = send_reply(app, client, **form)
    assert "error=invalid_address" in location
    assert parse_qs(urlsplit(location).query).get("typed", [""]) == [value if step <= 0 else ""]
