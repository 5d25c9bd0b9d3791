"""The post hands one message to one recipient and says truly what became of it."""

import contextlib
import json
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
from auditor.notifications.transports import (
    DeliveryStatus,
    OutgoingMessage,
    build_email,
    send_message,
)
from tests.support.smtp_and_http_servers import free_port, mail_server, web_server

AT = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)
SENDER = "auditor@rabat.example"
MESSAGE = OutgoingMessage(
    subject="نقاط جديدة: 3، عولجت: 2",
    text="مرحبا\nhttps://rabat.example/ar/\n",
    html='<p dir="rtl">مرحبا</p>',
    language="ar",
    message_id="digest.2026-11-25.0f3a",
    sent_at=AT,
    unsubscribe_url="https://rabat.example/ar/unsubscribe/" + "a" * 60,
)


def post(to, port, message=MESSAGE, **how):
    smtp = SmtpSettings(host="127.0.0.1", port=port, security="none", **how)
    return send_message(message, Recipient(to=to), smtp, SENDER)


def test_a_mail_carries_both_texts_and_says_how_to_end_it():
    with mail_server() as box:
        assert post("mailto:amal@rabat.example", box.port).status is DeliveryStatus.SENT
    [got] = box.to("amal@rabat.example")
    assert got["Subject"] == MESSAGE.subject
    assert got["From"] == SENDER
    assert got["To"] == "amal@rabat.example"
    assert got["Date"].datetime == AT
    assert got["Message-ID"] == "<digest.2026-11-25.0f3a@rabat.example>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["Content-Language"] == "ar"
    assert got["List-Unsubscribe"] == f"<{MESSAGE.unsubscribe_url}>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert got.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in got.iter_parts()] == ["text/plain", "text/html"]
    assert got.get_body(("plain",)).get_content().splitlines() == MESSAGE.text.splitlines()
    assert "مرحبا" in got.get_body(("html",)).get_content()


def test_one_click_is_offered_over_a_secure_line_alone():
    with mail_server() as box:
        post(
            "amal@rabat.example",
            box.port,
            replace(MESSAGE, unsubscribe_url="http://rabat.example/u"),
        )
    [got] = box.to("amal@rabat.example")
    assert got["List-Unsubscribe"] == "<http://rabat.example/u>"
    assert got["List-Unsubscribe-Post"] is None


def test_an_address_to_end_it_stands_unbroken_on_its_line():
    with mail_server() as box:
        post("amal@rabat.example", box.port)
    assert f"List-Unsubscribe: <{MESSAGE.unsubscribe_url}>\r\n".encode() in box.raw[0]


def test_the_same_message_is_the_same_bytes():
    made = [build_email(MESSAGE, SENDER, "amal@rabat.example").as_bytes() for _ in range(2)]
    assert made[0] == made[1]


def test_a_refused_recipient_is_told_in_the_servers_words():
    with mail_server(refused={"nobody@rabat.example": "550 5.1.1 no such person"}) as box:
        outcome = post("nobody@rabat.example", box.port)
    assert outcome.status is DeliveryStatus.REFUSED
    assert outcome.reason == "550 5.1.1 no such person"
    assert not box.taken


def test_a_server_out_of_reach_is_told_by_its_name():
    outcome = post("amal@rabat.example", free_port())
    assert outcome.status is DeliveryStatus.UNREACHABLE
    assert outcome.reason.startswith("127.0.0.1: ")


def test_a_server_without_a_secure_line_gets_no_password():
    with mail_server() as box:
        smtp = SmtpSettings(host="127.0.0.1", port=box.port, user="amal", password="hidden")
        outcome = send_message(MESSAGE, Recipient(to="amal@rabat.example"), smtp, SENDER)
    assert outcome.status is DeliveryStatus.UNREACHABLE
    assert not box.taken


@pytest.fixture
def authority(tmp_path):
    """The file of an authority, and how a server of its own speaks."""
    made = trustme.CA()
    made.cert_pem.write_to_path(tmp_path / "ca.pem")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    made.issue_cert("127.0.0.1").configure_cert(context)
    return tmp_path / "ca.pem", context


def signed_in(server, session, envelope, mechanism, auth_data):
    is_known = (auth_data.login, auth_data.password) == (b"auditor", b"hidden")
    return AuthResult(success=is_known, handled=False)


def over(port, security, ca_file, password="hidden"):
    told = {"host": "127.0.0.1", "port": port, "security": security, "ca_file": ca_file}
    smtp = SmtpSettings.model_validate({**told, "user": "auditor", "password": password})
    return send_message(MESSAGE, Recipient(to="amal@rabat.example"), smtp, SENDER)


def test_a_password_goes_over_a_secure_line_alone(authority):
    ca_file, context = authority
    with mail_server(tls_context=context, require_starttls=True, authenticator=signed_in) as box:
        assert over(box.port, "starttls", ca_file).status is DeliveryStatus.SENT
        wrong = over(box.port, "starttls", ca_file, "wrong")
        assert wrong.status is DeliveryStatus.REFUSED
        assert wrong.reason.startswith("535 ")
        assert over(box.port, "starttls", None).status is DeliveryStatus.UNREACHABLE
    assert len(box.taken) == 1


def test_a_line_may_be_secure_from_the_start(authority):
    ca_file, context = authority
    how = {"ssl_context": context, "authenticator": signed_in, "auth_require_tls": False}
    with mail_server(**how) as box:
        assert over(box.port, "tls", ca_file).status is DeliveryStatus.SENT


@contextlib.contextmanager
def server_that_hangs_up():
    """A mail server that takes the text and goes without a word."""
    listening = socket.create_server(("127.0.0.1", 0))

    def serve():
        line, _ = listening.accept()
        with line, line.makefile("rb") as words:
            line.sendall(b"220 hello\r\n")
            for word in iter(words.readline, b"data\r\n"):
                line.sendall(b"250 OK\r\n" if word else b"")
            line.sendall(b"354 go on\r\n")
            for word in words:
                if word == b".\r\n":
                    return

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        yield listening.getsockname()[1]
    finally:
        thread.join()
        listening.close()


def test_where_the_line_breaks_after_the_text_nobody_can_be_sure():
    with server_that_hangs_up() as port:
        assert post("amal@rabat.example", port).status is DeliveryStatus.UNCERTAIN


@pytest.mark.parametrize(
    ("answer", "fate"), [(200, DeliveryStatus.SENT), (500, DeliveryStatus.UNREACHABLE)]
)
def test_another_service_gets_subject_and_text(answer, fate, caplog):
    with web_server([answer]) as (host, asked):
        outcome = send_message(
            MESSAGE, Recipient(to=f"json://{host}/hook/hidden"), SmtpSettings(), ""
        )
    assert outcome.status is fate
    [(_, path, body)] = asked
    assert path == "/hook/hidden"
    told = json.loads(body)
    assert told["title"] == MESSAGE.subject
    assert "مرحبا" in told["message"]
    assert "hidden" not in caplog.text


def test_a_service_that_nobody_knows_is_refused(caplog):
    assert (
        send_message(MESSAGE, Recipient(to="pigeon://hidden"), SmtpSettings(), "").status
        is DeliveryStatus.REFUSED
    )
    assert "hidden" not in caplog.text


def test_chat_message_without_apprise_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome = send_message(MESSAGE, Recipient(to="json://hooks.example/path"), SmtpSettings(), "")
    assert outcome.status is DeliveryStatus.REFUSED
    assert "presence-auditor[chat]" in outcome.reason
