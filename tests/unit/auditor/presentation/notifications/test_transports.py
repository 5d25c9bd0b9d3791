"""Sending one message by SMTP or Apprise, pings to a monitor, and their settings."""

import json
import ssl
from datetime import UTC, datetime

import pytest
import trustme
from aiosmtpd.smtp import AuthResult

from auditor.config.notifications import MonitorSettings, Recipient, SmtpSettings
from auditor.config.schema import load_config
from auditor.presentation.notifications.transports import (
    MAX_LOG_BYTES,
    HealthcheckPing,
    OutgoingMessage,
    capture_recent_warnings,
    send_message,
)
from tests.support.smtp_and_http_servers import Mailbox, free_port, mail_server, web_server

SENT_AT = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)
SENDER = "auditor@rabat.example"
MESSAGE = OutgoingMessage(
    subject="نقاط جديدة: 3، عولجت: 2",
    text="مرحبا\nhttps://rabat.example/ar/\n",
    html='<p dir="rtl">مرحبا</p>',
    language="ar",
    message_id="digest.2026-11-25.0f3a",
    sent_at=SENT_AT,
    unsubscribe_url="https://rabat.example/ar/unsubscribe/" + "a" * 60,
)


def send_mail(to, port, message=MESSAGE):
    smtp = SmtpSettings(host="127.0.0.1", port=port, security="none")
    return send_message(message, Recipient(to=to), smtp, SENDER)


@pytest.mark.slow
def test_mail_has_both_texts_and_unsubscribe_headers(mailbox):
    assert send_mail("mailto:amal@rabat.example", mailbox.port)[0] == "sent"
    [mail] = mailbox.to("amal@rabat.example")
    headers = {
        "Subject": MESSAGE.subject,
        "From": SENDER,
        "To": "amal@rabat.example",
        "Date": "Wed, 25 Nov 2026 02:30:00 +0000",
        "Message-ID": "<digest.2026-11-25.0f3a@rabat.example>",
        "Auto-Submitted": "auto-generated",
        "Content-Language": "ar",
        "List-Unsubscribe": f"<{MESSAGE.unsubscribe_url}>",
        "List-Unsubscribe-Post": "List-Unsubscribe=One-Click",
    }
    assert {name: mail[name] for name in headers} == headers
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail.get_body(("plain",)).get_content().splitlines() == MESSAGE.text.splitlines()
    assert "مرحبا" in mail.get_body(("html",)).get_content()
    assert f"List-Unsubscribe: <{MESSAGE.unsubscribe_url}>\r\n".encode() in mailbox.raw[0]


@pytest.mark.slow
def test_server_without_tls_gets_no_password(mailbox):
    smtp = SmtpSettings(host="127.0.0.1", port=mailbox.port, user="amal", password="hidden")
    result = send_message(MESSAGE, Recipient(to="amal@rabat.example"), smtp, SENDER)
    assert result[0] == "unreachable"
    assert not mailbox.taken


@pytest.fixture
def authority(tmp_path):
    """Return a test CA's certificate file and the TLS context of a server certified by it."""
    ca = trustme.CA()
    ca.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    ca.issue_cert("127.0.0.1").configure_cert(context)
    return tmp_path / "ca.pem", context


def check_login(server, session, envelope, mechanism, auth_data):
    is_known = (auth_data.login, auth_data.password) == (b"auditor", b"hidden")
    return AuthResult(success=is_known, handled=False)


def send_with_login(port, security, ca_file, password="hidden"):
    smtp = SmtpSettings(
        host="127.0.0.1",
        port=port,
        security=security,
        ca_file=ca_file,
        user="auditor",
        password=password,
    )
    return send_message(MESSAGE, Recipient(to="amal@rabat.example"), smtp, SENDER)


@pytest.mark.slow
def test_password_is_sent_over_starttls_only(authority):
    ca_file, context = authority
    with mail_server(
        tls_context=context, require_starttls=True, authenticator=check_login
    ) as mailbox:
        assert send_with_login(mailbox.port, "starttls", ca_file)[0] == "sent"
        wrong = send_with_login(mailbox.port, "starttls", ca_file, "wrong")
        assert wrong[0] == "refused"
        assert wrong[1].startswith("535 ")
        assert send_with_login(mailbox.port, "starttls", None)[0] == "unreachable"
    assert len(mailbox.taken) == 1


@pytest.mark.slow
def test_mail_is_sent_over_starttls_without_login(authority):
    ca_file, context = authority
    with mail_server(tls_context=context, require_starttls=True) as mailbox:
        smtp = SmtpSettings(host="127.0.0.1", port=mailbox.port, ca_file=ca_file)
        assert send_message(MESSAGE, Recipient(to="amal@rabat.example"), smtp, SENDER)[0] == "sent"


@pytest.mark.slow
def test_connection_lost_after_the_text_is_uncertain(mailbox, monkeypatch):
    async def hang_up(mailbox, server, session, envelope):
        server.transport.abort()

    monkeypatch.setattr(Mailbox, "handle_DATA", hang_up)
    assert send_mail("amal@rabat.example", mailbox.port)[0] == "uncertain"


@pytest.mark.slow
@pytest.mark.parametrize(("http_status", "delivery_status"), [(200, "sent"), (500, "unreachable")])
def test_chat_service_gets_subject_and_text(http_status, delivery_status, caplog):
    with web_server([http_status]) as (host, requests):
        result = send_message(
            MESSAGE, Recipient(to=f"json://{host}/hook/hidden"), SmtpSettings(), ""
        )
    assert result[0] is delivery_status
    [(_, path, body)] = requests
    assert path == "/hook/hidden"
    payload = json.loads(body)
    assert payload["title"] == MESSAGE.subject
    assert "مرحبا" in payload["message"]
    assert "hidden" not in caplog.text


def create_ping(address, kind="healthchecks"):
    return HealthcheckPing(MonitorSettings(ping_url=address, kind=kind), "7f3c")


@pytest.mark.slow
def test_monitor_is_requested_through_its_own_proxy():
    with web_server() as (host, requests):
        url = "http://monitor.example/ping/abc"
        monitor = MonitorSettings(ping_url=url, proxy=f"http://{host}")
        HealthcheckPing(monitor, "7f3c").report_success("")
    assert requests == [("POST", f"{url}?rid=7f3c", "")]


@pytest.mark.parametrize("proxy", ["proxy.example:3128", "socks5://proxy.example", "http://"])
def test_invalid_proxy_is_refused(proxy):
    with pytest.raises(ValueError, match=r"proxy\.example:3128"):
        MonitorSettings(proxy=proxy)


@pytest.mark.slow
def test_failure_has_the_last_lines_of_the_log_up_to_a_limit():
    with web_server() as (host, requests):
        create_ping(f"http://{host}/p").report_failure(["é" * MAX_LOG_BYTES, "the disk is full"])
    [(_, path, body)] = requests
    assert path == "/p/fail?rid=7f3c"
    assert body.endswith("\nthe disk is full")
    assert MAX_LOG_BYTES - 2 <= len(body.encode()) <= MAX_LOG_BYTES


@pytest.mark.slow
def test_push_monitor_gets_up_or_down_and_nothing_at_the_start():
    with web_server() as (host, requests):
        ping = create_ping(f"http://{host}/api/push/x?status=up&msg=OK&ping=", "push")
        ping.report_start()
        ping.report_success("50 % é")
        ping.report_failure(["first", "the disk is full"])
    assert [path for _, path, _ in requests] == [
        "/api/push/x?ping=&status=up&msg=50%20%25%20%C3%A9",
        "/api/push/x?ping=&status=down&msg=the%20disk%20is%20full",
    ]


@pytest.mark.slow
@pytest.mark.parametrize(("statuses", "warned"), [([500], ""), ([500, 502, 503], "status 502")])
def test_failed_ping_is_sent_twice_at_most(statuses, warned, caplog):
    with web_server(statuses) as (host, requests):
        create_ping(f"http://{host}/secret").report_success("")
    assert (len(requests), bool(caplog.records)) == (2, bool(warned))
    assert warned in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.slow
@pytest.mark.parametrize("address", ["http://127.0.0.1:{port}/secret", "https://secret\x00/"])
def test_unreachable_monitor_is_one_warning_without_its_url(caplog, address):
    with capture_recent_warnings() as handler:
        create_ping(address.format(port=free_port())).report_success("")
    [line] = handler.lines
    assert line.startswith("WARNING: cannot report the success of the run to the monitor: ")
    assert "secret" not in caplog.text


def test_recipient_is_a_mail_address_or_a_secret_url_from_a_file(tmp_path):
    (tmp_path / "chat").write_text("slack://TokenA/TokenB/TokenC\n")
    (tmp_path / "ping").write_text("https://hc.example/abc\n")
    path = tmp_path / "config.toml"
    path.write_text(
        '[notify]\nfrom = "auditor@rabat.example"\n[notify.smtp]\nhost = "localhost"\n'
        'user = "auditor"\n'
        '[[notify.recipients]]\nto = "mailto:Amal@rabat.example"\n'
        '[[notify.recipients]]\nto_file = "chat"\nregions = ["Fès-Meknès"]\n'
        '[monitor]\nping_url_file = "ping"\n'
    )
    config = load_config(path, {"AUDITOR_NOTIFY__SMTP__PASSWORD": "hidden"})
    amal, chat = config.notify.recipients
    assert (amal.address, amal.key) == ("Amal@rabat.example", "amal@rabat.example")
    assert (chat.address, chat.key[:6], "Token" in chat.key) == (None, "slack:", False)
    assert config.notify.smtp.password.get_secret_value() == "hidden"
    text = repr((config.notify, config.monitor))
    assert not any(secret in text for secret in ("TokenB", "hidden", "hc.example"))
