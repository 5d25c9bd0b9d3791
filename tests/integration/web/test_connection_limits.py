"""The server limits heads and connections, and listens on other addresses only behind a proxy."""

import socket
from contextlib import ExitStack

import pytest

from auditor.app import App
from auditor.cli.serve import open_web_socket
from auditor.config.schema import Config, WebSettings
from auditor.core.errors import ConfigError
from auditor.web.app import MAX_HEAD_BYTES
from tests.support.web_server import serve_app

PAGE_REQUEST = b"GET /en/login HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n"
UNFINISHED_FORM = (
    b"POST /en/login HTTP/1.1\r\nHost: localhost\r\n"
    b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 9000\r\n\r\n"
)


@pytest.fixture
def connect(tmp_path):
    """Yield a function that sends something on a new connection and returns the socket."""
    settings = {"storage": {"folder": tmp_path}, "web": {"max_connections": 16}}
    with (
        App.open(Config.model_validate(settings)) as app,
        serve_app(app) as url,
        ExitStack() as connections,
    ):
        host, port = url.removeprefix("http://").split(":")

        def send(content):
            connection = socket.create_connection((host, int(port)), timeout=30)
            connections.enter_context(connection)
            connection.sendall(content)
            return connection

        yield send


def read_answer(connection):
    with connection.makefile("rb") as stream:
        return stream.read()


def test_body_with_two_lengths_ends_the_connection(connect):
    smuggled = b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n"
    head = UNFINISHED_FORM.replace(b"9000", b"4\r\nTransfer-Encoding: chunked")
    answer = read_answer(connect(head + b"0\r\n\r\n" + smuggled))
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert answer.count(b"HTTP/1.1 ") == 1


@pytest.mark.parametrize(("excess", "status"), [(0, b"200"), (1, b"400")])
def test_head_has_a_limit(connect, excess, status):
    head = PAGE_REQUEST.removesuffix(b"\r\n\r\n") + b"\r\nX-A: "
    connection = connect(head + b"a" * (MAX_HEAD_BYTES - len(head) + excess))
    if not excess:
        connection.sendall(b"\r\n\r\n")
    assert read_answer(connection).split()[1] == status


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
