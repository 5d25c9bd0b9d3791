"""The log of requests: a token is in no line, however its address was mistyped."""

import logging
import socket

import pytest

from auditor.presentation import report_links
from storage.models.audit import Association
from tests.support.web_server import NOW, PUBLIC, find_missing, serve_app

pytestmark = pytest.mark.slow

REGISTRY = ([Association("nour", "Nour")],)
TOKEN_ADDRESSES = (
    "/r/{}",
    "/R/{}",
    "//r/{}",
    "/r//{}",
    "/r/{}/",
    "/r/{}.",
    "/r/{}).",
    "/r/{}?from=mail",
    "/r/{}#top",
    "/r/{}%20",
    "/r%2F{}",
    "/%72/{}",
    "/r\\{}",
    "/r{}",
    "/{}",
    "/fr/r/{}",
    "/fr/{}",
    "/xx/r/{}",
    "/report/{}",
    "/fr/report/{}",
    "/unsubscribe/{}",
    "/fr/unsubscribe/{}",
    "/FR/unsubscribe/{}",
    "/fr//unsubscribe/{}",
    "/fr/unsubscribe/{}/x",
    "/fr/subscriptions/{}",
    "/subscriptions/{}",
    "/FR/subscriptions/{}",
    "/set-password/{}",
    "/FR/set-password/{}",
    "/fr/login/{}",
    "/login/{}",
    "/fr/associations/{}",
    "/static/{}",
    "/./r/{}",
    "/x/../r/{}",
    "https://reports.example.org/r/{}",
    "r/{}",
    "/r/" + "/" * 40 + "{}",
)
"""Request targets with a token, as people and mail programs mistype them."""
REQUEST_LINES = (
    "GET {target} HTTP/1.1\r\nHost: localhost",
    "GET {target} HTTP/1.1\r\nHost: reports.example.org",
    "GET {target} HTTP/1.1\r\nHost: wrong.example",
    "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0",
    "POST {target} HTTP/1.1\r\nHost: localhost\r\nContent-Length: 99999999",
    "GET {target} HTTP/1.1",
    "GET {target} HTTP/9.9\r\nHost: localhost",
    "GET {target}\r\nHost: localhost",
    "GET {target} HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade",
)
"""Heads of requests: good ones, refused ones, and those that the server itself rejects."""


@pytest.fixture(autouse=True)
def everything_is_logged(caplog):
    """Log all, although a command that another test ran may have set a higher level."""
    caplog.set_level(logging.DEBUG)
    caplog.set_level(logging.DEBUG, "auditor")


@pytest.fixture
def token(app):
    _, url = report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)
    return url.removeprefix(f"{PUBLIC}/r/")


def list_log_lines(app, caplog, heads):
    """Send each head on its own connection. Return what the server logs, with its fields."""
    with serve_app(app) as url:
        host, _, port = url.removeprefix("http://").partition(":")
        for head in heads:
            with socket.create_connection((host, int(port)), timeout=30) as connection:
                connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
                connection.shutdown(socket.SHUT_WR)
                connection.makefile("rb").read()
    return [
        f"{record.getMessage()} {getattr(record, 'fields', '')}"
        for record in caplog.records
        if not record.name.startswith("asyncio")
    ]


@pytest.mark.fault("F60")
def test_no_form_of_an_address_puts_its_token_into_the_log(app, token, caplog):
    heads = [REQUEST_LINES[0].format(target=address.format(token)) for address in TOKEN_ADDRESSES]
    heads += [line.format(target=f"/R/{token}") for line in REQUEST_LINES]
    lines = list_log_lines(app, caplog, heads)
    assert len(lines) > len(TOKEN_ADDRESSES)
    assert [line for line in lines if token in line] == []


@pytest.mark.fault("F60")
def test_no_form_puts_its_token_into_the_log_after_a_crash(app, token, caplog, monkeypatch):
    monkeypatch.setattr(app.store.report_links, "get", lambda _: 1 / 0)
    monkeypatch.setattr(app.store.subscriptions, "unsubscribe", lambda *_: 1 / 0)
    crashing = (
        f"GET /r/{token}",
        f"POST /fr/unsubscribe/{token}",
        f"POST /fr/unsubscribe/{token}.",
    )
    heads = [f"{line} HTTP/1.1\r\nHost: localhost" for line in crashing]
    lines = list_log_lines(app, caplog, heads)
    assert sum("crashed" in line for line in lines) == len(heads)
    assert [line for line in lines if token in line] == []


def test_log_names_the_page_of_a_request(app, caplog):
    requests = ("GET /fr/associations/nour/decisions", "SECRET /healthz")
    heads = [f"{request} HTTP/1.1\r\nHost: localhost" for request in requests]
    log = "\n".join(list_log_lines(app, caplog, heads))
    assert find_missing(log, "GET /fr/associations/…/decisions: ", "… /healthz: ") == []
    assert "SECRET" not in log
