"""The web application as a whole: languages, files, navigation, hosts and hostile requests."""

import base64
import re

import pytest
from bs4 import BeautifulSoup
from fastapi import APIRouter

from auditor.presentation import report_links
from auditor.registry.importer import parse_registry_spreadsheet
from auditor.web import app as app_module
from storage.models.audit import Association
from storage.models.users import ReplyKind, Role
from storage.tables.communication import Reply
from tests.support.stored import add_reply
from tests.support.web_server import NOW, PUBLIC, get_text, logged_in_client, read_page

PUBLIC_HOST = PUBLIC.removeprefix("https://")
REGISTRY = ([Association("nour", "Nour")],)
SETTINGS = {
    "web": {"public_url": f"{PUBLIC}/", "allowed_hosts": ["audit.lan"]},
    "network": {"name": "Our network", "name_fr": "Notre <réseau>"},
}


@pytest.mark.smoke
def test_page_has_language_direction_and_links_to_its_translations(client):
    get_text(client, "/ar/", '<html lang="ar-MA" dir="rtl">')
    get_text(
        client,
        "/fr/?since=2026-11-01",
        '<html lang="fr" dir="ltr">',
        '<a href="/ar/?since=2026-11-01" lang="ar" hreflang="ar">',
        '<span class="unseen">العربية</span>',
        '<link rel="alternate" hreflang="en" href="/en/?since=2026-11-01">',
        '<b lang="fr" aria-current="true">',
        "Notre &lt;réseau&gt;",
    )


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


@pytest.mark.smoke
def test_404_page_is_translated_and_links_to_the_home_page(client):
    read_page(client.get("/fr/nowhere"), "Page introuvable", 'href="/fr/"', status=404)
    english = client.get("/nowhere/", headers={"accept-language": "en"})
    read_page(english, "Page not found", status=404)


@pytest.mark.parametrize("path", ["/en/", "/static/app.css"])
def test_large_responses_are_compressed(client, path):
    response = client.get(path, headers={"accept-encoding": "gzip"})
    assert response.headers["content-encoding"] == "gzip"
    assert int(response.headers["content-length"]) < len(response.content) / 2


def test_style_sheets_are_cached_for_a_year_with_a_version_in_the_address(client):
    sheets = re.findall(r'rel="stylesheet" href="([^"]+)"', client.get("/ar/").text)
    assert len(sheets) == 3
    for sheet in sheets:
        assert re.fullmatch(r"/static/[\w.-]+\.css\?v=[0-9a-f]{10}", sheet)
        assert "immutable" in client.get(sheet).headers["cache-control"]
    assert client.get("/ar/").headers["cache-control"] == "no-store"
    assert "immutable" not in client.get("/static/nothing.css").headers["cache-control"]


@pytest.mark.smoke
@pytest.mark.parametrize(
    "path", ["/", "/fr/", "/fr/associations", "/fr/report-links", "/fr/reports", "/xx/../fr/"]
)
def test_public_host_does_not_serve_the_coordinators_pages(client, path):
    page = read_page(client.get(path, headers={"host": PUBLIC_HOST}), status=404)
    assert ('class="site-nav"' in page, '<a class="name"' in page) == (False, False)


def test_unexpected_exception_returns_500_without_details(app, monkeypatch, caplog):
    def broken():
        raise ZeroDivisionError("the secret of the bug")

    router = APIRouter()
    router.get("/fr/broken")(broken)
    monkeypatch.setattr(app_module, "ROUTERS", (router,))
    with logged_in_client(app) as client:
        response = client.get("/fr/broken")
    page = read_page(response, "Un problème est survenu de notre côté", status=500)
    assert response.headers["x-content-type-options"] == "nosniff"
    assert ("secret" in page, "the secret of the bug" in caplog.text) == (False, True)


@pytest.mark.parametrize(
    ("hosts", "status"),
    [
        (("127.0.0.1:8321", "localhost", "[::1]:8321"), 200),
        (("evil.example", "127.0.0.1.evil.example", "", "10.0.0.7", "evil.example:8321"), 403),
    ],
)
def test_page_is_served_under_loopback_names_only(client, hosts, status):
    for host in hosts:
        page = read_page(client.get("/fr/", headers={"host": host}), status=status)
        assert ("Notre" in page) is (status == 200), host


@pytest.mark.parametrize("host", ["audit.lan", "AUDIT.lan:80"])
def test_allowed_host_over_plain_http_asks_for_https(client, host):
    read_page(client.get("/fr/", headers={"host": host}), "https://", status=403)


def test_head_has_the_headers_of_get(client):
    head, page = client.head("/fr/"), client.get("/fr/")
    assert (head.status_code, head.content) == (200, b"")
    assert head.headers["content-length"] == page.headers["content-length"]
    assert client.head("/fr/nowhere").status_code == 404


def test_unknown_method_returns_405_with_allow(client):
    response = client.put("/fr/associations")
    read_page(response, '<html lang="fr"', status=405)
    assert response.headers["allow"] == "GET"


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
    assert '<html lang="' in response.text


@pytest.mark.parametrize("path", ["report/replies", "report/subscriptions"])
def test_too_large_body_returns_413_with_or_without_length(app, client, path):
    _, url = report_links.create_report_link(app.store, app.config, "nour", "Omar", NOW)
    headers = {
        "host": PUBLIC_HOST,
        "cookie": f"report_link={url.rpartition('/')[2]}",
        "content-type": "application/x-www-form-urlencoded",
    }
    for content in (b"x" * 1_100_000, iter([b"x" * 100_000] * 11)):
        response = client.post(f"/fr/{path}", headers=headers, content=content)
        read_page(response, "Trop volumineux", status=413)


SCRIPT = "<script>document.title = 1</script>"
HOSTILE_SHEET = f"""id,name,name_fr,city,website,facebook
x,{SCRIPT},{SCRIPT},{SCRIPT},javascript:alert(1),{SCRIPT}
"""


@pytest.mark.smoke
@pytest.mark.fault("F54")
def test_markup_in_names_and_links_is_escaped(app, client, tmp_path):
    (tmp_path / "hostile.csv").write_text(HOSTILE_SHEET, "utf-8")
    hostile = parse_registry_spreadsheet(tmp_path / "hostile.csv")
    app.store.registry.save_registry(hostile.associations, hostile.accounts, NOW, is_complete=False)
    pages = ("", "associations", "associations/x", "gaps", "letters?q=document", "letters/x")
    for path in (*pages, "registry/history"):
        page = client.get(f"/fr/{path}").text.lower()
        assert "<script" not in page.replace('<script src="/static/', "")
        assert 'href="javascript' not in page
    entry = get_text(client, "/fr/registry/entries/x", "javascript:alert(1)")
    assert "<script" not in entry


ENTRIES = ["Today", "Associations", "What’s new", "Messages", "Meeting", "Settings"]


def get_page(app, path, **user):
    with logged_in_client(app, **user) as client:
        return BeautifulSoup(get_text(client, path), "lxml")


def list_links(page, css_class):
    return [element.get_text(" ", strip=True) for element in page.select(f"nav.{css_class} a")]


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("role", "entries", "settings"),
    [
        (Role.ADMIN, ENTRIES, ["Registry", "Users", "Your account", "Glossary"]),
        (Role.COORDINATOR, ENTRIES, ["Registry", "Your account", "Glossary"]),
        (
            Role.READER,
            [name for name in ENTRIES if name != "Messages"],
            ["Your account", "Glossary"],
        ),
    ],
)
def test_each_role_sees_the_entries_that_it_may_open(app, role, entries, settings):
    page = get_page(app, "/en/account", name="Omar", role=role)
    assert page.select('.section-nav form[action="/en/logout"]')
    assert list_links(page, "site-nav") == entries
    assert list_links(page, "section-nav") == settings


@pytest.mark.parametrize(
    ("path", "entry", "is_first_page"),
    [
        ("", "Today", True),
        ("associations/nour", "Associations", True),
        ("gaps", "Associations", False),
        ("groups", "Associations", False),
        ("changes", "What’s new", True),
        ("runs", "What’s new", False),
        ("report-links", "Messages", False),
        ("registry/history", "Settings", True),
    ],
)
def test_page_marks_its_entry(app, path, entry, is_first_page):
    [current] = get_page(app, f"/en/{path}").select(".site-nav a[aria-current]")
    assert current.get_text(strip=True) == entry
    assert current["aria-current"] == ("page" if is_first_page else "true")


def test_entry_counts_the_replies_that_wait(app):
    add_reply(app.store, Reply(association="nour", kind=ReplyKind.DISOWNED, submitted_at=NOW))
    page = get_page(app, "/en/")
    assert page.select_one(".site-nav .count").get_text(strip=True) == "1waiting"
    assert page.select_one("header search form[action='/en/associations'] input[name=q]")
    assert not get_page(app, "/en/", name="Omar", role=Role.READER).select(".site-nav .count")
