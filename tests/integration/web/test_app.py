"""The web application as a whole: languages, static files, hosts and cross-site forms."""

import re

import pytest
from fastapi import APIRouter

from auditor.app import App
from auditor.config.schema import Config
from auditor.web import app as app_module
from tests.support.web_server import logged_in_client

PUBLIC_HOST = "reports.example.org"


@pytest.fixture
def app(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {"public_url": f"https://{PUBLIC_HOST}/", "allowed_hosts": ["audit.lan"]},
        "network": {"name": "Our network", "name_fr": "Notre <réseau>"},
    }
    with App.open(Config.model_validate(settings)) as opened:
        yield opened


@pytest.fixture
def client(app):
    with logged_in_client(app) as browser:
        yield browser


def test_page_has_language_direction_and_links_to_its_translations(client):
    assert '<html lang="ar-MA" dir="rtl">' in client.get("/ar/").text
    french = client.get("/fr/?since=2026-11-01").text
    assert '<html lang="fr" dir="ltr">' in french
    assert '<a href="/ar/?since=2026-11-01" lang="ar" hreflang="ar">' in french
    assert '<span class="unseen">العربية</span>' in french
    assert '<link rel="alternate" hreflang="en" href="/en/?since=2026-11-01">' in french
    assert '<b lang="fr" aria-current="true">' in french
    assert "Notre &lt;réseau&gt;" in french


@pytest.mark.parametrize(
    ("accept_language", "language_cookie", "location"),
    [
        ("", "", "/ar/"),
        ("fr-FR,fr;q=0.9,en;q=0.8", "", "/fr/"),
        ("ar-MA", "", "/ar/"),
        ("zgh,de", "", "/ar/"),
        ("fr", "en", "/en/"),
        ("fr", "de", "/fr/"),
    ],
)
def test_root_redirects_to_the_cookies_the_browsers_or_the_networks_language(
    client, accept_language, language_cookie, location
):
    headers = {"accept-language": accept_language, "cookie": f"language={language_cookie}"}
    response = client.get("/", headers=headers)
    assert (response.status_code, response.headers["location"]) == (303, location)
    assert "Accept-Language" in response.headers["vary"]


def test_root_redirects_to_the_language_read_last(client):
    client.get("/en/")
    assert client.get("/", headers={"accept-language": "fr"}).headers["location"] == "/en/"


def test_unknown_language_returns_404(client):
    assert client.get("/de/").status_code == 404


def test_404_page_is_translated_and_links_to_the_home_page(client):
    response = client.get("/fr/nowhere")
    assert response.status_code == 404
    assert "Page introuvable" in response.text
    assert 'href="/fr/"' in response.text
    assert "Page not found" in client.get("/nowhere/", headers={"accept-language": "en"}).text


@pytest.mark.parametrize(
    "path", ["/fr/", "/", "/fr/nowhere", "/static/app.css", "/static/nothing.css"]
)
def test_every_response_has_security_headers(client, path):
    headers = client.get(path).headers
    assert "default-src 'none'" in headers["content-security-policy"]
    assert "frame-ancestors 'none'" in headers["content-security-policy"]
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


@pytest.mark.parametrize("path", ["/en/", "/static/app.css"])
def test_large_responses_are_compressed(client, path):
    response = client.get(path, headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < len(response.content) / 2


def test_language_without_a_slash_redirects_to_a_relative_address(client):
    response = client.get("/ar")
    assert (response.status_code, response.headers["location"]) == (303, "/ar/")
    assert client.get("/fr/associations/").status_code == 404


def test_style_sheets_are_cached_for_a_year_with_a_version_in_the_address(client):
    sheets = re.findall(r'rel="stylesheet" href="([^"]+)"', client.get("/ar/").text)
    assert len(sheets) == 3
    for sheet in sheets:
        assert re.fullmatch(r"/static/[\w.-]+\.css\?v=[0-9a-f]{10}", sheet)
        assert "immutable" in client.get(sheet).headers["cache-control"]
    assert client.get("/ar/").headers["cache-control"] == "no-store"
    assert "immutable" not in client.get("/static/nothing.css").headers["cache-control"]


@pytest.mark.parametrize(
    "host", ["evil.example", "127.0.0.1.evil.example", "", "10.0.0.7", "evil.example:8321"]
)
def test_unknown_host_name_returns_403(client, host):
    response = client.get("/fr/", headers={"host": host})
    assert response.status_code == 403
    assert "Notre" not in response.text


@pytest.mark.parametrize("host", ["127.0.0.1:8321", "localhost", "[::1]:8321"])
def test_loopback_names_serve_every_page_to_a_user(client, host):
    assert client.get("/fr/", headers={"host": host}).status_code == 200


@pytest.mark.parametrize("host", ["audit.lan", "AUDIT.lan:80"])
def test_allowed_host_over_plain_http_asks_for_https(client, host):
    response = client.get("/fr/", headers={"host": host})
    assert response.status_code == 403
    assert "https://" in response.text


@pytest.mark.parametrize(
    "path", ["/", "/fr/", "/fr/associations", "/fr/report-links", "/fr/reports", "/xx/../fr/"]
)
def test_public_host_does_not_serve_the_coordinators_pages(client, path):
    response = client.get(path, headers={"host": PUBLIC_HOST})
    assert response.status_code == 404
    assert 'class="site-nav"' not in response.text
    assert '<a class="name"' not in response.text


def test_public_host_serves_static_files(client):
    assert client.get("/static/app.css", headers={"host": f"{PUBLIC_HOST}:443"}).status_code == 200


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({}, 200),
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 200),
        ({"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 403),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "http://127.0.0.1:9"}, 403),
        ({"origin": "null"}, 403),
        ({"origin": "http://127.0.0.1:{port}"}, 200),
    ],
)
def test_form_from_another_site_returns_403(app, monkeypatch, headers, status):
    router = APIRouter()
    router.post("/fr/taken")(lambda: "taken")
    monkeypatch.setattr(app_module, "ROUTERS", (router,))
    with logged_in_client(app) as client:
        request_headers = {
            name: value.format(port=client.base_url.port) for name, value in headers.items()
        }
        assert client.post("/fr/taken", headers=request_headers).status_code == status


def test_unexpected_exception_returns_500_without_details(app, monkeypatch, caplog):
    def broken():
        raise ZeroDivisionError("the secret of the bug")

    router = APIRouter()
    router.get("/fr/broken")(broken)
    monkeypatch.setattr(app_module, "ROUTERS", (router,))
    with logged_in_client(app) as client:
        response = client.get("/fr/broken")
    assert response.status_code == 500
    assert "Un problème est survenu de notre côté" in response.text
    assert "secret" not in response.text
    assert response.headers["x-content-type-options"] == "nosniff"
    assert "the secret of the bug" in caplog.text
