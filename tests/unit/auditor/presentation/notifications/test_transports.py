"""Tests of sending one message by SMTP or Apprise, and of the result."""

import contextlib
import json
import smtplib
import socket
import ssl
import sys
import threading
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import trustme
from aiosmtpd.smtp import AuthResult

from auditor.config.notifications import Recipient, SmtpSettings
from auditor.presentation.notifications.transports import (
    MAX_ERROR_CHARS,
    OutgoingMessage,
    build_email,
    send_message,
)
from tests.support.smtp_and_http_servers import free_port, mail_server, web_server

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


def test_mail_has_both_texts_and_unsubscribe_headers():
    with mail_server() as mailbox:
        assert send_mail("mailto:amal@rabat.example", mailbox.port)[0] == "sent"
    [mail] = mailbox.to("amal@rabat.example")
    assert mail["Subject"] == MESSAGE.subject
    assert mail["From"] == SENDER
    assert mail["To"] == "amal@rabat.example"
    assert mail["Date"].datetime == SENT_AT
    assert mail["Message-ID"] == "<digest.2026-11-25.0f3a@rabat.example>"
    assert mail["Auto-Submitted"] == "auto-generated"
    assert mail["Content-Language"] == "ar"
    assert mail["List-Unsubscribe"] == f"<{MESSAGE.unsubscribe_url}>"
    assert mail["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert mail.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in mail.iter_parts()] == ["text/plain", "text/html"]
    assert mail.get_body(("plain",)).get_content().splitlines() == MESSAGE.text.splitlines()
    assert "مرحبا" in mail.get_body(("html",)).get_content()


def test_one_click_unsubscribe_needs_https():
    with mail_server() as mailbox:
        send_mail(
            "amal@rabat.example",
            mailbox.port,
            replace(MESSAGE, unsubscribe_url="http://rabat.example/u"),
        )
    [mail] = mailbox.to("amal@rabat.example")
    assert mail["List-Unsubscribe"] == "<http://rabat.example/u>"
    assert mail["List-Unsubscribe-Post"] is None


def test_unsubscribe_url_is_not_broken_over_lines():
    with mail_server() as mailbox:
        send_mail("amal@rabat.example", mailbox.port)
    assert f"List-Unsubscribe: <{MESSAGE.unsubscribe_url}>\r\n".encode() in mailbox.raw[0]


def test_same_message_gives_the_same_bytes():
    first, second = (
        build_email(MESSAGE, SENDER, "amal@rabat.example").as_bytes() for _ in range(2)
    )
    assert first == second


def test_refused_recipient_has_the_reply_of_the_server():
    with mail_server(refused={"nobody@rabat.example": "550 5.1.1 no such person"}) as mailbox:
        result = send_mail("nobody@rabat.example", mailbox.port)
    assert result[0] == "refused"
    assert result[1] == "550 5.1.1 no such person"
    assert not mailbox.taken


def test_unreachable_server_is_named():
    result = send_mail("amal@rabat.example", free_port())
    assert result[0] == "unreachable"
    assert result[1].startswith("127.0.0.1: ")


def test_server_without_tls_gets_no_password():
    with mail_server() as mailbox:
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


def test_tls_from_the_start_of_the_connection(authority):
    ca_file, context = authority
    with mail_server(
        ssl_context=context, authenticator=check_login, auth_require_tls=False
    ) as mailbox:
        assert send_with_login(mailbox.port, "tls", ca_file)[0] == "sent"


@contextlib.contextmanager
def server_that_hangs_up():
    """Run a mail server that closes the connection after the text, without a reply."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        connection, _ = listening.accept()
        with connection, connection.makefile("rb") as lines:
            connection.sendall(b"220 hello\r\n")
            for line in iter(lines.readline, b"data\r\n"):
                connection.sendall(b"250 OK\r\n" if line else b"")
            connection.sendall(b"354 go on\r\n")
            for line in lines:
                if line == b".\r\n":
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join()
        listening.close()


def test_connection_lost_after_the_text_is_uncertain():
    with server_that_hangs_up() as port:
        assert send_mail("amal@rabat.example", port)[0] == "uncertain"


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


def test_unknown_service_is_refused(caplog):
    assert (
        send_message(MESSAGE, Recipient(to="pigeon://hidden"), SmtpSettings(), "")[0] == "refused"
    )
    assert "hidden" not in caplog.text


def test_chat_message_without_apprise_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    result = send_message(MESSAGE, Recipient(to="json://hooks.example/path"), SmtpSettings(), "")
    assert result[0] == "refused"
    command = f"{sys.executable} -m pip install 'presence-auditor[chat]'"
    assert result[1] == f"Apprise is not installed; try: {command}"


@pytest.mark.parametrize("step", [-1, 0, 1])
def test_beginning_of_a_long_error_is_kept(monkeypatch, step):
    reply = "550 " + "x" * (MAX_ERROR_CHARS + step - 4)

    def refuse(*_, **__):
        raise smtplib.SMTPException(reply)

    monkeypatch.setattr(smtplib, "SMTP", refuse)
    result = send_mail("mailto:amal@rabat.example", 25)
    assert result[1] == f"127.0.0.1: {reply[:MAX_ERROR_CHARS]}"

    def refuse_with_code(*_, **__):
        raise smtplib.SMTPAuthenticationError(550, reply.removeprefix("550 ").encode())

    monkeypatch.setattr(smtplib, "SMTP", refuse_with_code)
    assert send_mail("mailto:amal@rabat.example", 25)[1] == reply[:MAX_ERROR_CHARS]


@pytest.mark.parametrize("seconds", [0.1, 19, 20, 21, 300])
@pytest.mark.parametrize(("security", "client"), [("none", "SMTP"), ("tls", "SMTP_SSL")])
def test_mail_server_has_the_set_seconds_for_an_answer(monkeypatch, seconds, security, client):
    used = []

    def connect(*_, timeout, **__):
        used.append(timeout)
        raise TimeoutError

    monkeypatch.setattr(smtplib, client, connect)
    smtp = SmtpSettings(host="127.0.0.1", security=security, timeout_seconds=seconds)
    result = send_message(MESSAGE, Recipient(to="mailto:amal@rabat.example"), smtp, SENDER)
    assert (used, result[0]) == ([seconds], "unreachable")
