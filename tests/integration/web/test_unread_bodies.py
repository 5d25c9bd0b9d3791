"""Requests that are refused are answered before their bodies are read."""

import socket
import tempfile
from contextlib import ExitStack
from urllib.parse import urlsplit

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.web.access import AccessRoute
from auditor.web.middleware import (
    MAX_FORM_BYTES,
    MAX_PASSWORD_FORM_BYTES,
    MAX_PUBLIC_FORM_BYTES,
    MAX_UPLOAD_BYTES,
    MEGABYTE,
)
from storage.models.users import Role
from tests.support.all_routes import list_all_routes
from tests.support.web_server import SESSION_COOKIE, create_session, serve_app

BOUNDARY = "boundary"
BODY_BYTES = 11 * MEGABYTE - 1000
"""A body just below the limit of uploads."""
FORM_TYPE = "application/x-www-form-urlencoded"
UPLOAD_TYPE = f"multipart/form-data; boundary={BOUNDARY}"
SENT_BYTES = 2 * MEGABYTE
"""What a client sends of its body before it waits for the answer."""


@pytest.fixture(scope="module")
def app(tmp_path_factory):
    settings = {"storage": {"folder": tmp_path_factory.mktemp("network")}}
    with App.open(Config.model_validate(settings)) as opened:
        yield opened


@pytest.fixture(scope="module")
def address(app):
    with serve_app(app) as server_url:
        yield urlsplit(server_url).hostname, urlsplit(server_url).port


def open_request(address, path, *, length, content_type=FORM_TYPE, session=None, method="POST"):
    """Send the head of a request, and return the connection."""
    connection = socket.create_connection(address, timeout=60)
    head = (
        f"{method} {path} HTTP/1.1\r\nHost: localhost\r\nContent-Type: {content_type}\r\n"
        f"Content-Length: {length}\r\n"
    )
    if session:
        head += f"Cookie: {SESSION_COOKIE}={session}\r\n"
    connection.sendall(f"{head}\r\n".encode())
    return connection


def read_status(connection):
    """Return the status of the answer, and None if the connection is closed without one."""
    status_line = connection.recv(65536).split(b"\r\n")[0]
    return int(status_line.split()[1]) if status_line else None


def start_upload(connection):
    """Send the beginning of a spreadsheet as far as the server takes it."""
    head = f'--{BOUNDARY}\r\nContent-Disposition: form-data; name="spreadsheet"; filename="a"\r\n'
    connection.sendall(f"{head}\r\n".encode())
    connection.setblocking(False)
    sent = 0
    while sent < SENT_BYTES:
        try:
            sent += connection.send(b"x" * 65536)
        except BlockingIOError:
            break
    connection.settimeout(60)


def get_status(address, path, **options):
    """Return the status of the answer to a request whose body never comes."""
    with open_request(address, path, **options) as connection:
        return read_status(connection)


class SpoolCounter:
    """Replaces SpooledTemporaryFile in the form parser and counts the bytes written to all."""

    def __init__(self):
        self.byte_count = 0

    def __call__(self, **options):
        counter = self

        class CountedFile(tempfile.SpooledTemporaryFile):
            def write(self, data):
                counter.byte_count += len(data)
                return super().write(data)

        return CountedFile(**options)


@pytest.fixture
def spool(monkeypatch):
    counter = SpoolCounter()
    monkeypatch.setattr("starlette.formparsers.SpooledTemporaryFile", counter)
    return counter


@pytest.mark.fault("F71")
def test_forty_uploads_without_login_are_answered_before_their_bodies(address, spool):
    with ExitStack() as stack:
        connections = [
            stack.enter_context(
                open_request(address, "/en/registry", length=BODY_BYTES, content_type=UPLOAD_TYPE)
            )
            for _ in range(40)
        ]
        for connection in connections:
            start_upload(connection)
        assert {read_status(connection) for connection in connections} == {401}
    assert spool.byte_count == 0


@pytest.mark.fault("F71")
@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/en/registry", 403),
        ("/en/associations/none/decisions", 403),
        ("/en/nowhere", 404),
        ("/en/gaps", 405),
    ],
)
def test_refused_form_is_answered_before_its_body(app, address, path, status):
    session = create_session(app.store, name="Reader", role=Role.READER)
    assert get_status(address, path, length=MEGABYTE, session=session) == status


@pytest.mark.parametrize(
    ("path", "limit"),
    [
        ("/en/login", MAX_PASSWORD_FORM_BYTES),
        ("/en/report/replies", MAX_PUBLIC_FORM_BYTES),
        ("/en/unsubscribe/none", MAX_PUBLIC_FORM_BYTES),
    ],
)
def test_form_without_login_has_a_small_limit(address, path, limit):
    for length in (limit - 1, limit):
        with open_request(address, path, length=length) as connection:
            connection.sendall(b"x" * length)
            assert read_status(connection) != 413
    assert get_status(address, path, length=limit + 1) == 413


@pytest.mark.parametrize(
    ("path", "limit"),
    [("/en/associations/none/decisions", MAX_FORM_BYTES), ("/en/registry", MAX_UPLOAD_BYTES)],
)
def test_form_of_a_user_has_a_limit(app, address, path, limit):
    session = create_session(app.store, name=f"User {limit}")
    for length in (limit - 1, limit):
        with open_request(address, path, length=length, session=session) as connection:
            connection.sendall(b"x" * length)
            assert read_status(connection) != 413
    assert get_status(address, path, length=limit + 1, session=session) == 413


@pytest.mark.parametrize(
    "path", [route.path for route in list_all_routes() if "POST" in route.methods]
)
def test_route_with_a_body_checks_access_before_it(path):
    routes = [route for route in list_all_routes() if route.path == path]
    assert all(isinstance(route, AccessRoute) for route in routes)


def test_admitted_upload_is_read(app, address):
    session = create_session(app.store)
    with open_request(
        address, "/en/registry", length=3000, content_type=UPLOAD_TYPE, session=session
    ) as connection:
        connection.sendall(b"x" * 3000)
        assert read_status(connection) == 400
