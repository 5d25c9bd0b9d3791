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

from auditor.config.notifications import Recipient, Smtp
from auditor.notifications.transports import Fate, Message, mail, send
from tests.support.smtp_and_http_servers import free_port, mail_server, web_server

AT = datetime(2026, 11, 25, 2, 30, tzinfo=UTC)
SENDER = "auditor@rabat.example"
MESSAGE = Message(
    subject="نقاط جديدة: 3، عولجت: 2",
    text="مرحبا\nhttps://rabat.example/ar/\n",
    html='<p dir="rtl">مرحبا</p>',
    language="ar",
    mark="digest.2026-11-25.0f3a",
    at=AT,
    stop="https://rabat.example/ar/unsubscribe/" + "a" * 60,
)


def post(to, port, message=MESSAGE, **how):
    smtp = Smtp(host="127.0.0.1", port=port, security="none", **how)
    return send(message, Recipient(to=to), smtp, SENDER)


def test_a_mail_carries_both_texts_and_says_how_to_end_it():
    with mail_server() as box:
        assert post("mailto:amal@rabat.example", box.port).fate is Fate.SENT
    [got] = box.to("amal@rabat.example")
    assert got["Subject"] == MESSAGE.subject
    assert got["From"] == SENDER
    assert got["To"] == "amal@rabat.example"
    assert got["Date"].datetime == AT
    assert got["Message-ID"] == "<digest.2026-11-25.0f3a@rabat.example>"
    assert got["Auto-Submitted"] == "auto-generated"
    assert got["Content-Language"] == "ar"
    assert got["List-Unsubscribe"] == f"<{MESSAGE.stop}>"
    assert got["List-Unsubscribe-Post"] == "List-Unsubscribe=One-Click"
    assert got.get_content_type() == "multipart/alternative"
    assert [part.get_content_type() for part in got.iter_parts()] == ["text/plain", "text/html"]
    assert got.get_body(("plain",)).get_content().splitlines() == MESSAGE.text.splitlines()
    assert "مرحبا" in got.get_body(("html",)).get_content()


def test_one_click_is_offered_over_a_secure_line_alone():
    with mail_server() as box:
        post("amal@rabat.example", box.port, replace(MESSAGE, stop="http://rabat.example/u"))
    [got] = box.to("amal@rabat.example")
    assert got["List-Unsubscribe"] == "<http://rabat.example/u>"
    assert got["List-Unsubscribe-Post"] is None


def test_an_address_to_end_it_stands_unbroken_on_its_line():
    with mail_server() as box:
        post("amal@rabat.example", box.port)
    assert f"List-Unsubscribe: <{MESSAGE.stop}>\r\n".encode() in box.raw[0]


def test_the_same_message_is_the_same_bytes():
    made = [mail(MESSAGE, SENDER, "amal@rabat.example").as_bytes() for _ in range(2)]
    assert made[0] == made[1]


def test_a_refused_recipient_is_told_in_the_servers_words():
    with mail_server(refused={"nobody@rabat.example": "550 5.1.1 no such person"}) as box:
        outcome = post("nobody@rabat.example", box.port)
    assert outcome.fate is Fate.REFUSED
    assert outcome.why == "550 5.1.1 no such person"
    assert not box.taken


def test_a_server_out_of_reach_is_told_by_its_name():
    outcome = post("amal@rabat.example", free_port())
    assert outcome.fate is Fate.UNREACHABLE
    assert outcome.why.startswith("127.0.0.1: ")


def test_a_server_without_a_secure_line_gets_no_password():
    with mail_server() as box:
        smtp = Smtp(host="127.0.0.1", port=box.port, user="amal", password="hidden")
        outcome = send(MESSAGE, Recipient(to="amal@rabat.example"), smtp, SENDER)
    assert outcome.fate is Fate.UNREACHABLE
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
    smtp = Smtp.model_validate({**told, "user": "auditor", "password": password})
    return send(MESSAGE, Recipient(to="amal@rabat.example"), smtp, SENDER)


def test_a_password_goes_over_a_secure_line_alone(authority):
    ca_file, context = authority
    with mail_server(tls_context=context, require_starttls=True, authenticator=signed_in) as box:
        assert over(box.port, "starttls", ca_file).fate is Fate.SENT
        wrong = over(box.port, "starttls", ca_file, "wrong")
        assert wrong.fate is Fate.REFUSED
        assert wrong.why.startswith("535 ")
        assert over(box.port, "starttls", None).fate is Fate.UNREACHABLE
    assert len(box.taken) == 1


def test_a_line_may_be_secure_from_the_start(authority):
    ca_file, context = authority
    how = {"ssl_context": context, "authenticator": signed_in, "auth_require_tls": False}
    with mail_server(**how) as box:
        assert over(box.port, "tls", ca_file).fate is Fate.SENT


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
        assert post("amal@rabat.example", port).fate is Fate.UNSURE


@pytest.mark.parametrize(("answer", "fate"), [(200, Fate.SENT), (500, Fate.UNREACHABLE)])
def test_another_service_gets_subject_and_text(answer, fate, caplog):
    with web_server([answer]) as (host, asked):
        outcome = send(MESSAGE, Recipient(to=f"json://{host}/hook/hidden"), Smtp(), "")
    assert outcome.fate is fate
    [(_, path, body)] = asked
    assert path == "/hook/hidden"
    told = json.loads(body)
    assert told["title"] == MESSAGE.subject
    assert "مرحبا" in told["message"]
    assert "hidden" not in caplog.text


def test_a_service_that_nobody_knows_is_refused(caplog):
    assert send(MESSAGE, Recipient(to="pigeon://hidden"), Smtp(), "").fate is Fate.REFUSED
    assert "hidden" not in caplog.text


def test_chat_message_without_apprise_names_the_extra_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "apprise", None)
    outcome = send(MESSAGE, Recipient(to="json://hooks.example/path"), Smtp(), "")
    assert outcome.fate is Fate.REFUSED
    assert "presence-auditor[chat]" in outcome.why
