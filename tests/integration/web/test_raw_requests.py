"""Requests on real sockets: bodies, heads that no client library sends, and many connections."""

import pytest

from auditor.cli.serve import open_web_socket
from auditor.config.schema import WebSettings
from auditor.core.errors import ConfigError
from auditor.web.middleware import (
    MAX_FORM_BYTES,
    MAX_PASSWORD_FORM_BYTES,
    MAX_PUBLIC_FORM_BYTES,
    MAX_UPLOAD_BYTES,
    MEGABYTE,
)
from storage.models.users import Role
from tests.integration.web.conftest import read_answer
from tests.support.web_server import SESSION_COOKIE, create_session, find_missing

pytestmark = pytest.mark.slow

SETTINGS = {"web": {"max_connections": 16}, "network": {"language": "fr"}}
FORM_TYPE = "application/x-www-form-urlencoded"
UPLOAD_TYPE = "multipart/form-data; boundary=boundary"


def send_form(connect, path, length, *, content_type=FORM_TYPE, session="", body=b""):
    """Return the status of the answer to a form, or None. The rest of its body never comes."""
    connection = connect(
        f"POST {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\nCookie: {SESSION_COOKIE}={session}\r\n\r\n".encode()
    )
    connection.sendall(body)
    status_line = connection.recv(65536).split(b"\r\n")[0]
    return int(status_line.split()[1]) if status_line else None


@pytest.mark.fault("F71")
@pytest.mark.parametrize(
    ("path", "role", "status"),
    [
        ("/en/registry", None, 401),
        ("/en/registry", Role.READER, 403),
        ("/en/associations/none/decisions", Role.READER, 403),
        ("/en/nowhere", Role.READER, 404),
        ("/en/gaps", Role.READER, 405),
    ],
)
def test_refused_form_is_answered_before_its_body(app, connect, path, role, status):
    session = create_session(app.store, name="Reader", role=role) if role else ""
    options = {"content_type": UPLOAD_TYPE, "session": session}
    assert send_form(connect, path, MEGABYTE, **options) == status


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/en/login", MAX_PASSWORD_FORM_BYTES),
        ("/en/report/replies", MAX_PUBLIC_FORM_BYTES),
        ("/en/associations/none/decisions", MAX_FORM_BYTES),
        ("/en/registry", MAX_UPLOAD_BYTES),
    ],
)
def test_form_has_a_limit_that_is_small_without_login(app, connect, path, limit):
    is_public = limit in {MAX_PASSWORD_FORM_BYTES, MAX_PUBLIC_FORM_BYTES}
    session = "" if is_public else create_session(app.store)
    assert send_form(connect, path, limit, session=session, body=b"x" * limit) != 413
    assert send_form(connect, path, limit + 1, session=session) == 413


@pytest.mark.parametrize("target", ["OPTIONS *", "GET fr", "CONNECT evil.example:443"])
def test_invalid_request_target_returns_a_404_page(connect, target):
    head = f"{target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
    answer = read_answer(connect(head.encode())).decode()
    assert answer.startswith("HTTP/1.1 404")
    assert find_missing(answer, "Page introuvable", "content-security-policy") == []


PAGE_REQUEST = b"GET /en/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
UNFINISHED_FORM = (
    b"POST /en/login HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\n"
)


def test_body_with_two_lengths_ends_the_connection(connect):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = UNFINISHED_FORM.replace(b"9000", b"4\r\nTransfer-Encoding: chunked")
    answer = read_answer(connect(head + b"0\r\n\r\n" + smuggled))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


def test_request_above_the_limit_of_connections_is_refused(connect):
    for _ in range(16):
        connect(UNFINISHED_FORM)
    assert read_answer(connect(PAGE_REQUEST)).startswith(b"HTTP/1.1 503 ")


def test_other_address_than_loopback_needs_a_trusted_proxy():
    with (
        pytest.raises(ConfigError, match="trusted_proxies"),
        open_web_socket(WebSettings(host="0.0.0.0", port=0)),
    ):
        pass
    proxied = WebSettings(host="0.0.0.0", port=0, trusted_proxies=("10.0.0.0/8",))
    with open_web_socket(proxied) as listener:
        assert listener is not None
