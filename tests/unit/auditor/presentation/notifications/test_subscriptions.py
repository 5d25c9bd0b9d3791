"""Subscriptions: requests, confirmations and mails of the monthly report, and unsubscribing."""

from datetime import timedelta

import pytest

from auditor.core.formatting import hash_token
from auditor.presentation import report_links
from auditor.presentation.notifications import subscriptions
from auditor.presentation.notifications.delivery import collect_drafts, deliver_drafts
from auditor.presentation.notifications.subscriptions import (
    CONFIRMATION_DAYS,
    MAX_REQUESTS_PER_ADDRESS,
    MAX_REQUESTS_PER_ASSOCIATION,
    MAX_SUBSCRIBERS_PER_ASSOCIATION,
    confirm_subscription,
    ensure_unsubscribe_token,
    load_unsubscribe_key,
    save_subscription,
)
from auditor.runs.pipeline import compute_retention_cutoffs
from storage.conclusions import Conclusions
from storage.models.audit import Association, AuditRunState, Gap
from storage.tables.communication import ReportLink, Subscription
from tests.support.web_server import (
    NOW,
    PUBLIC,
    anonymous_client,
    find_missing,
    get_text,
    open_app,
    read_page,
)

AMAL, ZINEB = "amal@rabat.example", "zineb@rabat.example"
ASSOCIATIONS = [Association(f"a{number}", f"A {number}", language="fr") for number in range(4)]
VALIDITY = timedelta(days=CONFIRMATION_DAYS)
MOMENT = timedelta(seconds=1)


@pytest.fixture
def app(tmp_path):
    with open_app(tmp_path, ASSOCIATIONS) as opened:
        for association in ASSOCIATIONS:
            opened.store.report_links.add(build_report_link(association.id))
        yield opened


def build_report_link(association, token_hash=""):
    return ReportLink(
        association=association,
        token_hash=token_hash or association,
        created_at=NOW,
        created_by="Amal",
        expires_at=NOW + 2 * VALIDITY,
    )


def request_subscription(store, address, association, now):
    """Request a subscription with the first report link of the association."""
    report_link = store.report_links.list_report_links(association)[0]
    return subscriptions.request_subscription(store, address, report_link, now)


def count_mails(app, addresses, association="a0", now=NOW):
    """Request subscriptions of these addresses and return how many mails they cause."""
    tokens = [request_subscription(app.store, text, association, now)[1] for text in addresses]
    return len(list(filter(None, tokens)))


@pytest.mark.parametrize("is_already_subscribed", [False, True])
def test_answer_does_not_reveal_whether_the_address_is_subscribed(app, is_already_subscribed):
    if is_already_subscribed:
        save_subscription(app.store, app.config, AMAL, "a0", wanted=True, now=NOW)
    for _ in range(MAX_REQUESTS_PER_ADDRESS + 1):
        outcome, _ = request_subscription(app.store, AMAL, "a0", NOW)
        assert outcome == "requested"


def test_full_association_gives_the_same_answer_for_each_address(app):
    for number in range(MAX_SUBSCRIBERS_PER_ASSOCIATION):
        save_subscription(app.store, app.config, f"s{number}@x.example", "a0", wanted=True, now=NOW)
    outcomes = {
        request_subscription(app.store, address, "a0", NOW)[0]
        for address in ("s0@x.example", "new@x.example")
    }
    assert outcomes == {"too_many"}


def test_address_gets_few_mails_whatever_the_association_and_the_case(app):
    sent = [
        count_mails(app, [AMAL, AMAL.upper(), f"mailto:{AMAL}"], f"a{number}")
        for number in range(4)
    ]
    assert sum(sent) == MAX_REQUESTS_PER_ADDRESS
    assert count_mails(app, [AMAL], now=NOW + VALIDITY - MOMENT) == 0
    assert count_mails(app, [AMAL], now=NOW + VALIDITY) == 1


@pytest.mark.parametrize(
    "spelling",
    [
        "amal@rabat.example.",
        "amal@rabat..example",
        "amal@ｒａｂａｔ.example",
        "amal@ra\u00adbat.example",
        " Amal@Rabat.Example ",
    ],
)
def test_spellings_of_an_address_count_together(app, spelling):
    addresses = [AMAL] * (MAX_REQUESTS_PER_ADDRESS - 1)
    assert count_mails(app, [*addresses, spelling, spelling]) == MAX_REQUESTS_PER_ADDRESS


@pytest.mark.parametrize(
    "address",
    [
        "root@localhost",
        "a@[127.0.0.1]",
        "a@127.0.0.1",
        "a@b",
        "a@-b.example",
        "a@b.example%0ax:y",
        "a@b.example\r\nBcc: c@d.example",
        "amal",
        "",
    ],
)
def test_address_outside_the_public_net_is_invalid(app, address):
    assert request_subscription(app.store, address, "a0", NOW) == ("invalid_address", "")


def test_association_causes_few_mails(app):
    addresses = [f"s{number}@x.example" for number in range(MAX_REQUESTS_PER_ASSOCIATION + 1)]
    assert count_mails(app, addresses) == MAX_REQUESTS_PER_ASSOCIATION
    outcome, _ = request_subscription(app.store, "last@x.example", "a0", NOW)
    assert outcome == "too_many_requests"
    assert count_mails(app, ["other@x.example"], "a1") == 1


@pytest.mark.parametrize(
    ("age", "is_valid"), [(VALIDITY - MOMENT, True), (VALIDITY, False), (VALIDITY + MOMENT, False)]
)
def test_confirmation_link_expires(app, age, is_valid):
    _, token = request_subscription(app.store, AMAL, "a0", NOW)
    assert confirm_subscription(app.store, token, NOW + age) is is_valid
    assert list_subscriptions(app) == [(AMAL, "a0", True)] * is_valid


def test_link_that_is_revoked_during_a_request_subscribes_no_address(app):
    app.store.report_links.revoke("a0", "Omar", NOW)
    assert request_subscription(app.store, AMAL, "a0", NOW) == ("requested", "")
    assert app.store.subscription_requests.list_requests("a0", NOW) == []


def test_unconfirmed_address_is_erased_with_the_contact_or_after_its_days(app):
    _, token = request_subscription(app.store, AMAL, "a0", NOW)
    [stored] = app.store.subscription_requests.list_requests("a0", NOW)
    assert token not in repr(stored)
    erased = app.store.erasure.count_stored_data("a0", contact_only=True)
    assert erased == {"subscription_request": 1}
    for now, deleted in ((NOW + VALIDITY - MOMENT, {}), (NOW + VALIDITY, erased)):
        cutoffs = compute_retention_cutoffs(app.config.retention, now)
        assert app.store.retention.delete_expired_data(cutoffs) == deleted


def list_subscriptions(app):
    return [
        (subscription.address, subscription.association, subscription.is_wanted)
        for subscription in app.store.subscriptions.list_subscriptions("monthly")
    ]


@pytest.fixture
def mailing_app(tmp_path, mailbox):
    """An auditor with a mail server, and one association."""
    smtp = {"host": "127.0.0.1", "port": mailbox.port, "security": "none"}
    notify = {"from": "auditor@rabat.example", "smtp": smtp}
    nour = Association("nour", "Nour", language="fr")
    with open_app(tmp_path, [nour], notify=notify) as opened:
        yield opened


@pytest.fixture
def client(mailing_app):
    """A client that has opened the report of Nour."""
    _, url = create_link(mailing_app)
    with anonymous_client(mailing_app) as reader:
        reader.get(url.removeprefix(PUBLIC))
        yield reader


def create_link(app, **options):
    return report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW, **options)


def subscribe(client, address):
    """Send the form. Fail unless the page that follows says that it was sent."""
    response = client.post("/fr/report/subscriptions", data={"email": address})
    get_text(client, response.headers["location"], 'role="status"')


def find_confirmation_path(mail):
    """Return the path of the link in a mail that asks to confirm a subscription."""
    text = mail.get_body(("plain",)).get_content()
    [url] = [line for line in text.splitlines() if "/subscriptions/" in line]
    return url.removeprefix(PUBLIC)


def subscribe_and_confirm(client, mailbox, address):
    """Send the form, wait for the mail and confirm it."""
    subscribe(client, address)
    confirmed = client.post(find_confirmation_path(mailbox.wait_for_mail(address)))
    get_text(client, confirmed.headers["location"], 'class="thanks"')


def run_and_deliver(app, *gaps):
    """Finish a run that found gaps, and return the statuses of its messages."""
    run_time = NOW + timedelta(days=10)
    running = app.store.runs.begin_or_resume(run_time.date(), run_time)
    app.store.conclusions.save(Conclusions(gaps=gaps))
    run = app.store.runs.finish(running, AuditRunState.DONE, run_time)
    return [delivery.status for delivery in deliver_drafts(app, collect_drafts(app, run), run_time)]


@pytest.mark.slow
def test_address_is_subscribed_only_by_the_button_behind_the_link_of_its_mail(
    mailing_app, client, mailbox
):
    get_text(client, "/fr/report", 'href="/fr/report/subscriptions"')
    subscribe(client, AMAL.title())
    # Anyone with the report link sees this page, so it shows no addresses.
    assert AMAL not in get_text(client, "/fr/report/subscriptions")
    path = find_confirmation_path(mailbox.wait_for_mail(AMAL))
    token = path.rpartition("/")[2]
    with anonymous_client(mailing_app) as stranger:
        page = stranger.get(path, headers={"host": PUBLIC.removeprefix("https://")})
        assert AMAL not in read_page(page, '<form method="post">', "Nour")
        for guess in ("wrong", token[:-1], hash_token(token), "%25", "x" * 5_000):
            assert "Nour" not in get_text(stranger, f"/fr/subscriptions/{guess}")
    assert client.post(path, headers={"sec-fetch-site": "cross-site"}).status_code == 403
    assert client.post("/fr/subscriptions/wrong").status_code == 410
    assert list_subscriptions(mailing_app) == []
    get_text(client, client.post(path).headers["location"], 'class="thanks"')
    assert list_subscriptions(mailing_app) == [(AMAL, "nour", True)]
    assert "Nour" not in get_text(client, path)


@pytest.mark.slow
def test_only_revoking_links_ends_the_subscriptions_made_through_them(mailing_app, client, mailbox):
    subscribe_and_confirm(client, mailbox, AMAL)
    create_link(mailing_app)
    assert list_subscriptions(mailing_app) == [(AMAL, "nour", True)]
    mailing_app.store.report_links.revoke("nour", "Omar", NOW + timedelta(hours=1))
    assert run_and_deliver(mailing_app) == []
    assert list_subscriptions(mailing_app) == [(AMAL, "nour", False)]


@pytest.mark.slow
def test_confirmation_that_cannot_be_sent_can_be_repeated(client, mailbox, caplog):
    mailbox.refused[AMAL] = "550 no such user"
    with caplog.at_level("WARNING"):
        for address in (AMAL, ZINEB):
            subscribe(client, address)
    mailbox.wait_for_mail(ZINEB)
    mailbox.refused.clear()
    for _ in range(2):
        subscribe(client, AMAL)
    assert find_confirmation_path(mailbox.wait_for_mail(AMAL))
    logged = [record for record in caplog.records if record.name.startswith("auditor")]
    assert AMAL not in "".join(record.getMessage() for record in logged)


@pytest.mark.slow
def test_mail_links_to_the_report_and_older_link_stays_valid(mailing_app, mailbox, client):
    subscribe_and_confirm(client, mailbox, AMAL)
    run_time = NOW + timedelta(days=10)
    gap = Gap("nour", "website", "website_down", "high", run_time, 1, run_time)
    assert run_and_deliver(mailing_app, gap) == ["sent"]
    text = mailbox.to(AMAL)[1].get_body(("plain",)).get_content()
    assert find_missing(text, "Votre site web ne s’ouvre pas") == []
    [url] = [line for line in text.splitlines() if line.startswith(f"{PUBLIC}/r/")]
    token = url.rpartition("/")[2]
    assert report_links.find_active_report_link(mailing_app.store, token, run_time)
    get_text(client, "/fr/report")


@pytest.mark.slow
def test_stored_address_that_is_invalid_does_not_stop_the_other_reports(mailing_app, caplog):
    """An exception would end the delivery of all later messages."""
    for address in (AMAL, "aïcha@rabat.example"):
        about = {"kind": "monthly", "association": "nour", "is_wanted": True, "changed_at": NOW}
        mailing_app.store.subscriptions.save(Subscription(address=address, **about))
    assert sorted(run_and_deliver(mailing_app)) == ["failed", "sent"]
    assert [record.event for record in caplog.records] == ["message_build_failed"]
    assert "neither a mail address" in caplog.text
    assert "aïcha" not in caplog.text


DIGEST = Subscription(address=AMAL, kind="digest", is_wanted=True, changed_at=NOW)


@pytest.fixture
def reader(app):
    with anonymous_client(app) as client:
        yield client


@pytest.fixture
def token(app):
    return ensure_unsubscribe_token(app.store, load_unsubscribe_key(app.data_folder), DIGEST)


def is_wanted(app):
    return app.store.subscriptions.get(DIGEST.address, DIGEST.kind).is_wanted


def test_opening_the_unsubscribe_link_changes_nothing(app, reader, token):
    page = read_page(reader.get(f"/fr/unsubscribe/{token}"), '<form method="post">')
    assert reader.head(f"/fr/unsubscribe/{token}").status_code in {200, 405}
    assert DIGEST.address not in page
    assert is_wanted(app)


@pytest.mark.parametrize(
    "headers",
    [
        pytest.param({"sec-fetch-site": "same-origin"}, id="button"),
        pytest.param(
            {
                "host": PUBLIC.removeprefix("https://"),
                "sec-fetch-site": "cross-site",
                "origin": "https://mail.example",
            },
            id="one click in a mail program",
        ),
    ],
)
def test_unsubscribe_button_ends_the_subscription(app, reader, token, headers):
    form = {"List-Unsubscribe": "One-Click"}
    read_page(reader.post(f"/fr/unsubscribe/{token}", data=form, headers=headers), "C’est fait")
    assert not is_wanted(app)


def test_wrong_unsubscribe_token_gives_the_same_pages(app, reader, token):
    pages = {"wrong": [], token: []}
    for one, texts in pages.items():
        assert is_wanted(app)
        for method in ("GET", "POST"):
            response = reader.request(method, f"/en/unsubscribe/{one}")
            texts.append(read_page(response).replace(one, ""))
    assert pages["wrong"] == pages[token]
    assert not is_wanted(app)


def test_subscription_that_ends_while_its_token_is_made_stays_ended(app):
    app.store.subscriptions.save(DIGEST.model_copy(update={"token_hash": None}))
    [wanted] = app.store.subscriptions.list_subscriptions(DIGEST.kind)
    ended = Subscription(address=DIGEST.address, kind=DIGEST.kind, is_wanted=False, changed_at=NOW)
    app.store.subscriptions.save(ended)
    token = ensure_unsubscribe_token(app.store, load_unsubscribe_key(app.data_folder), wanted)
    stored = app.store.subscriptions.get(DIGEST.address, DIGEST.kind)
    assert (stored.is_wanted, stored.token_hash) == (False, hash_token(token))
