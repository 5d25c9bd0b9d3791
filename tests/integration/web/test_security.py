"""Hostile and malformed requests."""

import base64
import logging
import socket

import pytest

from auditor.app import App
from auditor.config.schema import Config
from auditor.registry.importer import parse_registry_spreadsheet
from tests.support.web_server import NOW, logged_in_client
from tests.unit.auditor.presentation.report_links.test_links import PUBLIC, SHEET, create_path

HOST = {"host": "reports.example.org"}


@pytest.fixture
def app(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": PUBLIC, "allowed_hosts": ["audit.lan"]},
        "channels": {"facebook": {}, "youtube": {}},
        "network": {"language": "fr"},
    }
    (tmp_path / "sheet.csv").write_text(SHEET, "utf-8")
    with App.open(Config.model_validate(settings)) as opened:
        import_result = parse_registry_spreadsheet(tmp_path / "sheet.csv")
        opened.store.registry.save_registry(import_result.associations, import_result.accounts, NOW)
        yield opened


@pytest.fixture
def client(app):
    with logged_in_client(app) as browser:
        yield browser


def send_raw(client, target):
    """Return the response to a request line that no client library would send."""
    server_url = client.base_url
    with socket.create_connection((server_url.host, server_url.port), timeout=10) as sock:
        sock.sendall(target + b" HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
        return b"".join(iter(lambda: sock.recv(65536), b"")).decode()


@pytest.mark.parametrize("target", ["OPTIONS *", "GET *", "GET fr", "CONNECT evil.example:443"])
def test_invalid_request_target_returns_a_404_page(client, target):
    response = send_raw(client, target.encode())
    assert response.startswith("HTTP/1.1 404")
    assert "Page introuvable" in response
    assert "content-security-policy" in response


def test_head_has_the_headers_of_get(client):
    head, page = client.head("/fr/"), client.get("/fr/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == page.headers["content-length"]
    assert client.head("/fr/nowhere").status_code == 404


def test_unknown_method_returns_405_with_allow(client):
    response = client.put("/fr/associations")
    assert (response.status_code, response.headers["allow"]) == (405, "GET")
    assert '<html lang="fr"' in response.text


NESTED = base64.urlsafe_b64encode(b"[" * 20_000).decode()


@pytest.mark.parametrize(
    "address",
    [
        "/fr/replies?after_reply=9223372036854775808",
        "/fr/replies?after_proposal=-9223372036854775809",
        "/fr/report-links?before=99999999999999999999",
        "/fr/registry/history?before=9223372036854775808",
        f"/fr/associations?after={NESTED}",
        f"/fr/gaps?after={NESTED}",
        "/fr/associations?q=%00%FF%ED%A0%80&sort=x&page=-1",
        "/fr/changes?since=9999-99-99",
        "/fr/groups?since=0001-01-01&group_by=%22",
        "/fr/associations/%00",
        "/fr/associations/nour/accounts/99999999999999999999",
        "/static/%00",
    ],
)
def test_mistyped_address_causes_no_server_error(client, address):
    response = client.get(address)
    assert response.status_code in {200, 404, 422}
    assert '<html lang="fr"' in response.text


@pytest.mark.parametrize("row_id", ["9223372036854775808", "-1", "²"])
@pytest.mark.parametrize("what", ["replies", "proposals"])
def test_invalid_row_id_is_refused(client, what, row_id):
    response = client.post(f"/fr/{what}/{row_id}", data={"answer": "declined", "reason": "x"})
    assert response.status_code in {404, 422}
    assert '<html lang="fr"' in response.text


@pytest.mark.parametrize("path", ["report/replies", "report/subscriptions"])
def test_too_large_body_returns_413_with_or_without_length(app, client, path):
    report_link_cookie = {"cookie": f"report_link={create_path(app).removeprefix('/r/')}"}
    for body in ({"content": b"x" * 1_100_000}, {"content": iter([b"x" * 100_000] * 11)}):
        response = client.post(
            f"/fr/{path}",
            headers=HOST
            | report_link_cookie
            | {"content-type": "application/x-www-form-urlencoded"},
            **body,
        )
        assert response.status_code == 413
        assert "Trop volumineux" in response.text


def test_upload_has_a_larger_limit_than_a_form(client):
    below_limit = client.post(
        "/fr/registry", files={"spreadsheet": ("a.csv", b"name\n" + b"x" * 3_000_000)}
    )
    assert below_limit.status_code == 422
    above_limit = client.post("/fr/registry", files={"spreadsheet": ("a.csv", b"x" * 12_000_000)})
    assert above_limit.status_code == 413
    assert '<html lang="fr"' in above_limit.text


def test_form_with_a_foreign_origin_returns_403(app, client):
    form = {"kind": "none_by_choice", "channel": "youtube", "reason": "x"}
    url, own_headers = (
        "/fr/associations/nour/decisions",
        {"host": "localhost:8321", "origin": "http://localhost:8321"},
    )
    for origin in (
        "null",
        "http://localhost:9",
        "https://evil.example",
        "http://localhost.evil.example",
    ):
        assert (
            client.post(url, data=form, headers=own_headers | {"origin": origin}).status_code == 403
        )
    assert list(app.store.decisions.list_decisions()) == []
    assert client.post(url, data=form, headers=own_headers).status_code == 303
    assert len(list(app.store.decisions.list_decisions())) == 1


SCRIPT = "<script>document.title = 1</script>"


@pytest.mark.fault("F54")
def test_markup_in_names_and_links_is_escaped(app, client):
    row = f"x,{SCRIPT},{SCRIPT},{SCRIPT},javascript:alert(1),{SCRIPT}"
    sheet = f"id,name,name_fr,city,website,facebook\n{row}\n"
    (app.data_folder / "hostile.csv").write_text(sheet, "utf-8")
    import_result = parse_registry_spreadsheet(app.data_folder / "hostile.csv")
    app.store.registry.save_registry(
        import_result.associations, import_result.accounts, NOW, is_complete=False
    )
    for path in (
        "",
        "associations",
        "associations/x",
        "gaps",
        "letters?q=document",
        "letters/x",
        "registry/history",
    ):
        page = client.get(f"/fr/{path}").text.lower()
        assert "<script" not in page.replace('<script src="/static/', "")
        assert 'href="javascript' not in page
    entry = client.get("/fr/registry/entries/x").text
    assert "javascript:alert(1)" in entry
    assert "<script" not in entry


def test_forms_send_their_origin_but_no_referrer_to_other_sites(app, client):
    client.headers["cookie"] = f"report_link={create_path(app).removeprefix('/r/')}"
    for path in ("/fr/", "/fr/report", "/fr/unsubscribe/x"):
        page = client.get(path)
        assert page.headers["referrer-policy"] == "same-origin"
        assert '<meta name="referrer" content="same-origin">' in page.text


def test_log_lines_are_single_lines_without_tokens(app, client, caplog, monkeypatch):
    def broken(*_):
        raise ZeroDivisionError

    monkeypatch.setattr(type(app.store.report_links), "get", broken)
    with caplog.at_level(logging.ERROR, "auditor.web.middleware"):
        assert client.get("/r/secret%0Asecret").status_code == 500
    assert caplog.messages == ["GET /r/… crashed"]
