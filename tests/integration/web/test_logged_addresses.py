"""The log of requests: a token is in no line, however its address was mistyped."""

import logging
import socket

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.presentation import report_links
from auditor.web.middleware import MAX_LOGGED_SEGMENTS, redact_path
from storage.models.audit import Association
from tests.support.web_server import NOW, serve_app

PUBLIC = "https://reports.example.org"
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
def own_logger_at_debug(caplog):
    """Log all, although a command that another test ran may have set a higher level."""
    caplog.set_level(logging.DEBUG, "auditor")


@pytest.fixture
def app(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": PUBLIC},
    }
    with App.open(Config.model_validate(settings)) as opened:
        opened.store.registry.save_registry([Association("nour", "Nour")], [], NOW)
        yield opened


@pytest.fixture
def token(app):
    _, url = report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)
    return url.removeprefix(f"{PUBLIC}/r/")


def send_heads(url, heads):
    """Send each head on its own connection and read the answers to their end."""
    host, _, port = url.removeprefix("http://").partition(":")
    for head in heads:
        with socket.create_connection((host, int(port)), timeout=30) as connection:
            connection.sendall(f"{head}\r\nConnection: close\r\n\r\n".encode())
            connection.shutdown(socket.SHUT_WR)
            while connection.recv(65536):
                pass


def list_server_messages(caplog):
    """Return the log of everything but the test's own HTTP client, with its fields."""
    return [
        f"{record.getMessage()} {getattr(record, 'fields', '')}"
        for record in caplog.records
        if not record.name.startswith(("httpx", "httpcore", "asyncio"))
    ]


@pytest.mark.fault("F60")
def test_no_form_of_an_address_puts_its_token_into_the_log(app, token, caplog):
    with caplog.at_level(logging.DEBUG), serve_app(app) as url:
        for address in TOKEN_ADDRESSES:
            send_heads(url, [REQUEST_LINES[0].format(target=address.format(token))])
        for line in REQUEST_LINES:
            send_heads(url, [line.format(target=f"/R/{token}")])
    messages = list_server_messages(caplog)
    assert len(messages) > len(TOKEN_ADDRESSES)
    assert [message for message in messages if token in message] == []


@pytest.mark.fault("F60")
def test_no_form_puts_its_token_into_the_log_after_a_crash(app, token, caplog, monkeypatch):
    monkeypatch.setattr(app.store.report_links, "get", lambda _: 1 / 0)
    monkeypatch.setattr(app.store.subscriptions, "unsubscribe", lambda *_: 1 / 0)
    lines = (f"GET /r/{token}", f"POST /fr/unsubscribe/{token}", f"POST /fr/unsubscribe/{token}.")
    heads = [f"{line} HTTP/1.1\r\nHost: localhost" for line in lines]
    with caplog.at_level(logging.DEBUG), serve_app(app) as url:
        send_heads(url, heads)
    messages = list_server_messages(caplog)
    assert sum("crashed" in message for message in messages) == len(heads)
    assert [message for message in messages if token in message] == []


@pytest.mark.parametrize("excess", [-1, 0, 1])
def test_log_shows_few_segments(excess):
    path = "r/" * (MAX_LOGGED_SEGMENTS + excess - 1) + "r"
    is_cut = excess > 0
    assert redact_path(path, {"r"}).endswith("…") is is_cut


def test_log_names_the_page_of_a_request(app, caplog):
    with caplog.at_level(logging.DEBUG), serve_app(app) as url:
        send_heads(url, ["GET /fr/associations/nour/decisions HTTP/1.1\r\nHost: localhost"])
        send_heads(url, ["SECRET /healthz HTTP/1.1\r\nHost: localhost"])
    log = "\n".join(list_server_messages(caplog))
    assert "GET /fr/associations/…/decisions: " in log
    assert "… /healthz: " in log
    assert "SECRET" not in log
