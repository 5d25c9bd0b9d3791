"""Report links: they open an association's own report, where it can reply."""

import logging
from datetime import timedelta

import pytest

from auditor import report_links
from auditor.app import App
from auditor.config.schema import Config
from auditor.core import tokens
from auditor.core.errors import ConfigError
from auditor.decisions import replies
from auditor.registry.importer import parse_registry_spreadsheet
from storage.models.audit import DecisionKind
from storage.models.users import ReplyKind, ReplyOutcome
from tests.support.requirements import needs_pango
from tests.support.web_server import NOW, anonymous_client

PUBLIC = "https://reports.example.org"
SHEET = """id,name,name_fr,language,facebook,youtube
nour,جمعية النور,Association Nour,fr,https://www.facebook.com/AssociationNour,
amal,Amal,,ar,,
"""


@pytest.fixture
def app(tmp_path):
    told = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": PUBLIC},
        "channels": {"facebook": {}, "youtube": {}},
    }
    (tmp_path / "sheet.csv").write_text(SHEET, "utf-8")
    with App.open(Config.model_validate(told)) as opened:
        listed = parse_registry_spreadsheet(tmp_path / "sheet.csv")
        opened.store.save_registry(listed.associations, listed.accounts, NOW)
        yield opened


def made(app, association="nour", **ways):
    _, address = report_links.create_report_link(
        app.store, app.config, association, "a coordinator", NOW, **ways
    )
    return address.removeprefix(PUBLIC)


def test_report_link_opens_the_report_without_the_token_in_the_url(app):
    with anonymous_client(app) as client:
        entered = client.get(made(app))
        assert (entered.status_code, entered.headers["location"]) == (303, "/fr/report")
        assert entered.headers["cache-control"] == "no-store"
        report = client.get("/fr/report")
        assert "Association Nour" in report.text


@needs_pango
def test_report_is_printable_and_available_as_pdf(app):
    letter = made(app)
    with anonymous_client(app) as client:
        client.get(letter)
        shown = client.get("/fr/report").text.replace("<wbr>", "")
        assert f'<bdi dir="ltr">{PUBLIC.removeprefix("https://")}{letter}</bdi>' in shown
        answer = client.get("/fr/report.pdf")
        assert answer.content.startswith(b"%PDF")
        assert answer.headers["content-disposition"] == 'attachment; filename="nour.pdf"'


def test_only_the_hash_of_a_token_is_stored(app):
    token = made(app).removeprefix("/r/")
    [letter] = app.store.list_report_links("nour")
    assert token not in repr(letter)
    assert letter.token_hash == tokens.hash_token(token)


@pytest.mark.fault("F60")
def test_wrong_expired_and_revoked_links_return_the_same_410(app):
    wrong, expired = "/r/" + "x" * 43, made(app, valid_days=1)
    revoked = made(app, "amal")
    app.store.revoke_report_links("amal", "a coordinator", NOW)
    with anonymous_client(app, NOW + timedelta(days=2)) as client:
        answers = [client.get(way) for way in (wrong, expired, revoked)]
    assert [answer.status_code for answer in answers] == [410, 410, 410]
    assert len({answer.text for answer in answers}) == 1


@pytest.mark.fault("F60")
def test_token_is_not_logged_after_an_error(app, monkeypatch, caplog):
    way = made(app)
    monkeypatch.setattr(app.store, "get_report_link", lambda _: 1 / 0)
    with anonymous_client(app) as client:
        assert client.get(way).status_code == 500
    assert "GET /r/… crashed" in caplog.text
    assert way.removeprefix("/r/") not in caplog.text


def is_ours(record):
    """Return True if the server logged the record, not the test's browser."""
    return not record.name.startswith(("httpx", "httpcore"))


@pytest.mark.fault("F60")
def test_report_link_opens_only_its_report_and_its_token_is_stored_nowhere(app, caplog):
    way, other = made(app), made(app, "amal")
    with caplog.at_level(logging.DEBUG), anonymous_client(app) as client:
        entered = client.get(way)
        assert entered.headers["location"] == "/fr/report"
        report = client.get("/fr/report")
        assert "nour.example" in report.text.replace("<wbr>", "") or "Nour" in report.text
        assert "Amal" not in report.text
        for path in ("/fr/associations/amal", "/fr/associations/nour", "/fr/"):
            assert client.get(path).status_code == 401
    app.store.create_backup(app.data_folder / "copy.db")
    kept = (app.data_folder / "copy.db").read_bytes()
    for token in (way.removeprefix("/r/"), other.removeprefix("/r/")):
        assert token.encode() not in kept
        assert not [
            record for record in caplog.records if token in record.getMessage() and is_ours(record)
        ]
    assert tokens.hash_token(other.removeprefix("/r/")).encode() in kept


def test_report_without_cookie_explains_how_to_open_it(app):
    with anonymous_client(app) as client:
        answer = client.get("/fr/report")
    assert answer.status_code == 401
    assert "Ouvrez votre rapport avec votre propre lien" in answer.text


def test_cookie_is_extended_with_the_report_link(app):
    moment = [NOW]
    with anonymous_client(app, lambda: moment[0]) as client:
        client.get(made(app, valid_days=2))
        moment[0] = NOW + timedelta(days=1)
        app.store.extend_report_links("nour", NOW + timedelta(days=9), moment[0])
        kept = client.get("/fr/report").headers["set-cookie"]
    assert f"Max-Age={8 * 86400}" in kept


def test_new_report_link_revokes_older_ones_unless_kept(app):
    first = made(app)
    second = made(app, keep_older_links=True)
    third = made(app)
    opens = [
        report_links.find_active_report_link(app.store, way.removeprefix("/r/"), NOW) is not None
        for way in (first, second, third)
    ]
    assert opens == [False, False, True]


def test_report_link_needs_a_public_url(app):
    bare = app.config.model_copy(
        update={"web": app.config.web.model_copy(update={"public_url": ""})}
    )
    with pytest.raises(ConfigError, match="public_url"):
        report_links.create_report_link(app.store, bare, "nour", "a coordinator", NOW)


@pytest.fixture
def client(app):
    with anonymous_client(app) as reader:
        reader.get(made(app))
        yield reader


def answered(app, client, **form):
    sent = client.post("/fr/report/replies", data=form)
    assert sent.status_code == 303
    return sent.headers["location"], app.store.list_pending_replies()


def account(app):
    [row] = app.store.list_accounts("nour")
    return str(row.id)


def test_reply_waits_for_review_and_changes_nothing(app, client):
    way, waiting = answered(
        app, client, kind="disowned", account_id=account(app), text="page of a shop"
    )
    assert way == "/fr/report?sent=true#message"
    assert [(reply.kind, reply.channel, reply.text) for reply in waiting] == [
        (ReplyKind.DISOWNED, "facebook", "page of a shop")
    ]
    assert not list(app.store.list_decisions())
    assert "Merci" in client.get(way).text


def test_declined_reply_shows_its_reason_and_accepted_reply_takes_a_decision(app, client):
    _, [first] = answered(
        app, client, kind="moved", account_id=account(app), value="facebook.com/NourRabat"
    )
    replies.decline_reply(
        app.store, first, author="a coordinator", reason="it opens nothing", now=NOW
    )
    assert "it opens nothing" in client.get("/fr/report").text
    _, [second] = answered(app, client, kind="disowned", account_id=account(app))
    replies.accept_reply(
        app.store,
        app.config,
        second,
        author="a coordinator",
        reason="",
        now=NOW,
        default_reason="so they say",
    )
    [decision] = app.store.list_decisions()
    assert (decision.kind, decision.author) == (DecisionKind.DISOWN, "a coordinator")
    assert [reply.outcome for reply in app.store.list_replies("nour")] == [
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
    _, [reply] = answered(app, client, account_id=account(app), **form)
    replies.accept_reply(
        app.store,
        app.config,
        reply,
        author="a coordinator",
        reason="",
        now=NOW,
        default_reason="so they say",
    )
    assert [decision.kind for decision in app.store.list_decisions()] == kinds


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
    way, waiting = answered(app, client, **{"account_id": account(app), **form})
    assert f"error={refusal}" in way
    assert not waiting
    assert 'role="alert"' in client.get(way).text


def test_association_cannot_reply_for_another(app, client):
    with anonymous_client(app) as other:
        other.get(made(app, "amal"))
        way, _ = answered(app, other, kind="disowned", account_id=account(app))
    assert "error=unknown_subject" in way


def test_at_most_twenty_replies_of_an_association_wait(app, client):
    for number in range(replies.MAX_WAITING_REPLIES):
        answered(app, client, kind="claimed", account_id=account(app), text=str(number))
    way, waiting = answered(app, client, kind="claimed", account_id=account(app))
    assert "error=too_many" in way
    assert len(waiting) == replies.MAX_WAITING_REPLIES


def test_repeated_reply_is_stored_once(app, client):
    for _ in range(3):
        way, waiting = answered(app, client, kind="claimed", account_id=account(app))
        assert "sent=true" in way
    assert len(waiting) == 1


def test_cross_site_reply_is_refused(app, client):
    form = {"kind": "disowned", "account_id": account(app)}
    sent = client.post("/fr/report/replies", data=form, headers={"sec-fetch-site": "cross-site"})
    assert sent.status_code == 403
    assert not app.store.list_pending_replies()
