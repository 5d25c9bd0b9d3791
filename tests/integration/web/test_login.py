"""Login, sessions, passwords, one-time links and the users page."""

import re
import sqlite3
from contextlib import closing, contextmanager
from datetime import timedelta
from types import SimpleNamespace
from unittest.mock import Mock

import pytest
from limits.storage import memory
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from auditor.app import App
from auditor.web import users
from auditor.web.routes import login
from storage.errors import StoreError
from storage.models.users import Role
from storage.tables.users import User
from tests.support.web_server import NOW, PUBLIC, anonymous_client, get_text, open_app, read_page

PASSWORD = "goats climb argan trees"
NEW_PASSWORD = "saffron grows in Taliouine"
NEW_PASSWORD_FORM = {"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD}
ACCOUNT_FORM = {"current_password": PASSWORD, **NEW_PASSWORD_FORM}
HTTPS_HEADERS = {"host": "audit.lan", "x-forwarded-proto": "https"}
PUBLIC_HEADERS = {"host": "reports.example.org", "x-forwarded-proto": "https"}
CHEAP_HASHER = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


@pytest.fixture
def clock():
    """The time of the application; a test sets it."""
    return SimpleNamespace(now=NOW)


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch):
    """Use cheap password hashes."""
    monkeypatch.setattr(users, "ARGON2_HASHER", CHEAP_HASHER)


@pytest.fixture
def app(tmp_path):
    web = {"public_url": PUBLIC, "allowed_hosts": ["audit.lan"], "trusted_proxies": ["127.0.0.1"]}
    with open_app(tmp_path, web=web, network={"language": "en"}) as opened:
        create_user(opened.store, "Amina", Role.ADMIN)
        yield opened


def create_user(store, name, role=Role.READER):
    """Create a user with a password."""
    user, _ = users.add_user(store, name, role, (), author="a test", now=NOW)
    password_hash = PasswordHash((users.ARGON2_HASHER,)).hash(PASSWORD)
    store.users.change_password(store.users.get(user.name), password_hash, NOW)
    return store.users.get(name)


@pytest.fixture
def browser(app, clock):
    """A client that has never logged in."""
    with anonymous_client(app, lambda: clock.now) as client:
        yield client


@contextmanager
def as_another_browser(client):
    """Use the client without its cookies for a while."""
    own_cookies, client.cookies = client.cookies, {}
    yield client
    client.cookies = own_cookies


def log_in(client, name="Amina", password=PASSWORD, headers=None, **more):
    form = {"name": name, "password": password, **more}
    return client.post("/en/login", data=form, headers=headers)


def get_status(client, **headers):
    return client.get("/en/gaps", headers=headers).status_code


@pytest.mark.smoke
def test_login_leads_to_the_requested_page(browser):
    response = browser.get("/en/gaps?sort=newest")
    page = read_page(response, 'name="next" value="/en/gaps?sort=newest"', status=401)
    assert (response.headers["www-authenticate"], 'class="site-nav"' in page) == ("Session", False)
    location = log_in(browser, next="/en/gaps?sort=newest").headers["location"]
    assert location == "/en/gaps?sort=newest"
    get_text(browser, location, 'class="site-nav"')
    get_text(browser, "/en/account", "Amina")


@pytest.mark.parametrize(
    ("referer", "next_url"),
    [
        ("http://127.0.0.1:8321/en/account?done=1", "/en/account?done=1"),
        ("https://evil.example/x", "/"),
    ],
)
def test_form_after_the_session_ended_leads_back_to_its_page(browser, referer, next_url):
    response = browser.post("/en/account", data={}, headers={"referer": referer})
    read_page(response, f'name="next" value="{next_url}"', status=401)


@pytest.mark.smoke
@pytest.mark.parametrize(
    ("headers", "pattern"),
    [
        ({}, r"session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax"),
        (HTTPS_HEADERS, r"__Host-session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure"),
    ],
)
def test_session_cookie_is_protected(browser, headers, pattern):
    cookies = log_in(browser, headers=headers).headers.get_list("set-cookie")
    [cookie] = [cookie for cookie in cookies if "session=" in cookie]
    assert re.fullmatch(pattern, cookie)


def test_https_accepts_only_the_host_prefixed_cookie(browser):
    token = log_in(browser).cookies["session"]
    assert get_status(browser, **HTTPS_HEADERS, cookie=f"session={token}") == 401
    assert get_status(browser, **HTTPS_HEADERS, cookie=f"__Host-session={token}") == 200
    assert get_status(browser, cookie=f"__Host-session={token}") == 401


def test_login_over_plain_http_works_only_on_loopback(browser):
    open_line = {"host": "audit.lan"}
    assert "<form" not in read_page(browser.get("/en/login", headers=open_line), status=403)
    assert log_in(browser, headers=open_line).status_code == 403
    assert log_in(browser, headers=HTTPS_HEADERS).status_code == 303


def test_headers_of_an_unlisted_proxy_are_ignored(app):
    web = app.config.web.model_copy(update={"trusted_proxies": ()})
    app = App(app.config.model_copy(update={"web": web}), app.store, app.body_store)
    headers = (HTTPS_HEADERS, {"x-forwarded-for": "203.0.113.9"}, {})
    with anonymous_client(app) as client:
        assert [log_in(client, headers=one).status_code for one in headers] == [403, 403, 303]


@pytest.mark.parametrize("name", ["session", "__Host-session"])
def test_public_host_ignores_sessions(browser, name):
    headers = {**PUBLIC_HEADERS, "cookie": f"{name}={log_in(browser).cookies['session']}"}
    assert "Amina" not in read_page(browser.get("/en/unsubscribe/x", headers=headers))
    assert browser.get("/en/login", headers=headers).status_code == 404


@pytest.mark.fault("F57")
def test_copied_cookie_is_invalid_after_logout(browser):
    token = log_in(browser).cookies["session"]
    assert get_status(browser) == 200
    response = browser.post("/en/logout")
    assert (response.status_code, response.headers["location"]) == (303, "/en/login")
    assert '"cache"' in response.headers["clear-site-data"]
    assert "session" not in browser.cookies
    assert get_status(browser, cookie=f"session={token}") == 401


@pytest.mark.fault("F43")
def test_logout_on_a_full_disk_deletes_the_cookie(app, browser, monkeypatch):
    log_in(browser)
    full_disk = Mock(side_effect=StoreError("database", "the disk is full"))
    monkeypatch.setattr(app.store.sessions, "end", full_disk)
    assert browser.post("/en/logout").status_code == 303
    assert "session" not in browser.cookies


@pytest.mark.fault("F43")
@pytest.mark.parametrize(
    "error", [StoreError("database", "the disk is full"), OSError(28, "No space left on device")]
)
def test_full_disk_is_one_page(app, browser, monkeypatch, error):
    log_in(browser)
    monkeypatch.setattr(app.store.users, "add", Mock(side_effect=error))
    response = browser.post("/en/users", data={"name": "Hiba", "role": "reader"})
    assert (response.status_code, "Nothing was saved" in response.text) == (507, True)


@pytest.mark.fault("F57")
@pytest.mark.parametrize("event", ["password", "reset", "removal"])
def test_all_sessions_end_with_a_new_password_a_reset_or_removal(app, browser, event):
    tokens = [log_in(browser).cookies["session"]]
    browser.cookies.clear()
    tokens.append(log_in(browser).cookies["session"])
    user = app.store.users.get("Amina")
    if event == "password":
        response = browser.post("/en/account", data=ACCOUNT_FORM)
        assert response.cookies["session"] not in tokens
        assert get_status(browser) == 200
    elif event == "reset":
        users.create_invite(app.store, user, "a test", NOW)
    else:
        app.store.users.remove(user, NOW)
    assert [get_status(browser, cookie=f"session={token}") for token in tokens] == [401, 401]
    assert log_in(browser).status_code == 401


@pytest.fixture
def reset_meanwhile(app, monkeypatch):
    """An administrator resets Amina while her typed password is verified."""
    verify = users.PasswordService.verify

    async def verify_during_reset(self, *args):
        result = await verify(self, *args)
        users.create_invite(app.store, app.store.users.get("Amina"), "a test", NOW)
        return result

    return lambda: monkeypatch.setattr(users.PasswordService, "verify", verify_during_reset)


@pytest.mark.fault("F57")
def test_reset_during_login_prevents_the_session(app, browser, reset_meanwhile):
    reset_meanwhile()
    log_in(browser)
    assert dict(browser.cookies) == {}
    with closing(sqlite3.connect(app.data_folder / "auditor.db")) as raw:
        assert raw.execute("SELECT count(*) FROM login_session").fetchone() == (0,)


@pytest.mark.fault("F57")
def test_reset_during_a_password_change_wins(app, browser, reset_meanwhile):
    log_in(browser)
    reset_meanwhile()
    assert browser.post("/en/account", data=ACCOUNT_FORM).status_code == 401
    assert get_status(browser) == 401
    assert app.store.users.get("Amina").password_hash is None


def test_only_the_hash_of_a_session_token_is_stored(app, browser):
    token = log_in(browser).cookies["session"]
    files = [app.data_folder / name for name in ("auditor.db", "auditor.db-wal")]
    assert all(token.encode() not in file.read_bytes() for file in files)


@pytest.mark.smoke
@pytest.mark.fault("F56")
def test_sixth_failed_login_returns_429_with_a_delay(browser, monkeypatch):
    clock = SimpleNamespace(now=1_000_000.0)
    monkeypatch.setattr(memory.time, "time", lambda: clock.now)
    for _ in range(5):
        assert log_in(browser, password="wrong words").status_code == 401
    late = log_in(browser)
    read_page(late, "Try again in 15 minutes", status=429)
    assert 0 < int(late.headers["retry-after"]) <= 900
    assert log_in(browser, "nobody").status_code == 429
    clock.now += 901
    assert log_in(browser).status_code == 303


@pytest.mark.fault("F56")
def test_wrong_name_and_wrong_password_give_the_same_answer(browser):
    forged = {"cookie": 'known_browser="\\351"'}
    wrong = log_in(browser, password="wrong words", headers=forged)
    unknown = log_in(browser, "Amine", password="wrong words", headers=forged)
    assert read_page(wrong, status=401).replace("Amina", "Amine") == read_page(unknown, status=401)


@pytest.mark.fault("F56")
def test_unknown_name_takes_as_long_as_a_wrong_password(browser, monkeypatch):
    """Both are compared with a hash, which takes nearly all the time of an answer."""
    verified = []
    monkeypatch.setattr(Argon2Hasher, "verify", lambda *args: verified.append(args[1]))
    for name in ("Amina", "nobody"):
        log_in(browser, name, password="wrong words")
    assert verified == ["wrong words", "wrong words"]


@pytest.mark.fault("F56")
@pytest.mark.parametrize(("length", "status"), [(129, 422), (1_000_000, 413)])
def test_too_long_password_is_refused_without_hashing(browser, monkeypatch, length, status):
    monkeypatch.setattr(users.PasswordService, "verify", None)
    assert log_in(browser, password="x" * length).status_code == status


@pytest.mark.fault("F56")
@pytest.mark.parametrize(
    ("name", "address", "last_address", "status"),
    [
        pytest.param("Amina", "203.0.113.{}", "198.51.100.1", 429, id="addresses"),
        pytest.param("Am{mark}ina", "203.0.113.{}", "198.51.100.1", 429, id="spellings"),
        pytest.param("u{}", "2001:db8:1:2::{}", "2001:db8:1:2:ffff::1", 429, id="IPv6 network"),
        pytest.param("u{}", "2001:db8:1:2::{}", "2001:db8:1:3::1", 303, id="other network"),
    ],
)
def test_failures_count_for_an_account_and_for_a_network(
    browser, name, address, last_address, status
):
    for number in range(5):
        headers = {**HTTPS_HEADERS, "x-forwarded-for": address.format(number)}
        spelled = name.format(number, mark="\u202a" * (number + 1))
        assert log_in(browser, spelled, "no", headers).status_code == 401
    headers = {**HTTPS_HEADERS, "x-forwarded-for": last_address}
    assert log_in(browser, headers=headers).status_code == status


def test_stranger_cannot_lock_out_a_known_browser(browser):
    log_in(browser)
    browser.post("/en/logout")
    forged = "0" * len(browser.cookies["known_browser"])
    with as_another_browser(browser) as stranger:
        for _ in range(20):
            log_in(stranger, password="guess")
        assert log_in(stranger).status_code == 429
    assert log_in(browser).status_code == 303
    with as_another_browser(browser) as stranger:
        stranger.cookies.set("known_browser", forged)
        assert log_in(stranger).status_code == 429


def test_known_browser_has_the_same_limit(browser):
    log_in(browser)
    browser.cookies.delete("session")
    assert [log_in(browser, password="no").status_code for _ in range(6)] == [401] * 5 + [429]
    assert get_status(browser, cookie=f"session={browser.cookies['known_browser']}") == 401


def test_current_password_guesses_on_the_account_page_are_limited(browser):
    log_in(browser)
    form = {**ACCOUNT_FORM, "current_password": "guess"}
    codes = [browser.post("/en/account", data=form).status_code for _ in range(6)]
    assert codes == [422] * 5 + [429]


@pytest.mark.fault("F59")
@pytest.mark.parametrize(
    ("next_url", "location"),
    [
        ("/", "/"),
        ("/en/gaps?sort=newest#x", "/en/gaps?sort=newest#x"),
        ("/fr/associations/nour%2F1", "/fr/associations/nour%2F1"),
        *((url, "/") for url in (
            "//evil.example", "///evil.example", "/\\evil.example", "\\\\evil.example",
            "/\t/evil.example", "/\n/evil.example", "https:evil.example", "https://evil.example/",
            "javascript:alert(1)", "evil.example",
            "", " /en/", "/en/login?next=//evil.example", "/en/logout", "/\x00/evil", "/\x85/evil",
        )),
    ],
)  # fmt: skip
def test_redirect_after_login_stays_on_this_site(next_url, location):
    assert login.get_safe_redirect_url(next_url) == location


@pytest.mark.fault("F59")
def test_login_form_replaces_an_external_next_address(browser):
    form = browser.get("/en/login?next=/%09/evil").text
    assert re.search(r'name="next" value="([^"]*)"', form)[1] == "/"
    assert log_in(browser, next="/\t/evil").headers["location"] == "/"


@pytest.mark.smoke
@pytest.mark.fault("F58")
@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ({"sec-fetch-site": "none"}, 303),
        ({"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9"}, 403),
        ({"sec-fetch-site": "cross-site", "origin": "http://127.0.0.1:8321"}, 403),
        ({"origin": "http://127.0.0.1:8321"}, 303),
        ({"origin": "http://127.0.0.1:9"}, 403),
        ({"origin": "http://127.0.0.1.evil.example"}, 403),
        ({"origin": "https://evil.example"}, 403),
        ({"origin": "null"}, 403),
        ({}, 303),
    ],
)
def test_cross_site_form_changes_nothing(app, browser, headers, status):
    log_in(browser)
    url = f"/en/users/{create_user(app.store, 'Salma').id}/remove"
    assert browser.post(url, headers=headers).status_code == status
    assert len(app.store.users.list_all()) == {303: 1, 403: 2}[status]


SECURITY_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; style-src 'self'; img-src 'self' data:; script-src 'self'; "
        "connect-src 'self'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
}


@pytest.mark.parametrize("path", ["/en/users", "/", "/en/nowhere", "/static/app.css"])
def test_every_response_has_security_headers(browser, path):
    log_in(browser)
    headers = browser.get(path).headers
    assert {name: headers[name] for name in SECURITY_HEADERS} == SECURITY_HEADERS
    assert "camera=()" in headers["permissions-policy"]
    assert "strict-transport-security" not in headers
    https_headers = browser.get(path, headers=HTTPS_HEADERS).headers
    assert https_headers["strict-transport-security"] == "max-age=31536000"


def create_invite_link(app):
    _, token = users.add_user(app.store, "Salma", Role.READER, (), author="Amina", now=NOW)
    return f"/en/set-password/{token}", token


@pytest.mark.smoke
def test_one_time_link_sets_the_password_and_logs_in(app, browser, caplog):
    url, token = create_invite_link(app)
    for _ in range(2):  # a mail scanner opens it, too
        assert browser.get(url).headers["location"] == "/en/set-password"
    assert token not in get_text(browser, "/en/set-password", "Salma")
    done = browser.post("/en/set-password", data=NEW_PASSWORD_FORM)
    assert (done.headers["location"], get_status(browser)) == ("/en/", 200)
    assert "invite" not in browser.cookies
    assert browser.get(url).status_code == 410
    assert log_in(browser, "Salma", NEW_PASSWORD).status_code == 303
    assert token not in caplog.text


@pytest.fixture
def login_link(app):
    """The link of a user without a password, as in the demo."""
    user = app.store.users.add(User(name="Demo", role=Role.ADMIN, added_at=NOW, added_by="a test"))
    return users.LoginLink(user, NOW + users.MAX_LOGIN_LINK_AGE)


@pytest.fixture
def demo_browser(app, clock, login_link):
    with anonymous_client(app, lambda: clock.now, login_link=login_link) as client:
        yield client


def test_login_link_logs_in_one_browser(demo_browser, login_link):
    url = f"/en/login/{login_link.token}"
    for _ in range(2):
        assert demo_browser.get(url).headers["location"] == "/en/"
    assert get_status(demo_browser) == 200
    with as_another_browser(demo_browser):
        refused = demo_browser.get(url)
    read_page(refused, "auditor demo --serve", status=410)
    assert "session" not in refused.cookies


def test_login_link_works_only_on_this_machine_with_its_token_for_fifteen_minutes(
    app, clock, demo_browser, login_link
):
    url = f"/en/login/{login_link.token}"
    hosts = {"audit.lan": 410, "reports.example.org": 404}
    answers = {host: demo_browser.get(url, headers={"host": host}).status_code for host in hosts}
    assert (answers, demo_browser.get(url[:-1]).status_code) == (hosts, 410)
    clock.now += timedelta(minutes=15)
    assert demo_browser.get(url).status_code == 410
    clock.now = NOW
    app.store.users.remove(app.store.users.get("Demo"), NOW)
    assert "session" not in demo_browser.get(url).cookies


@pytest.mark.parametrize(
    ("password", "confirmation", "message"),
    [
        ("eleven char", "eleven char", "at least"),
        ("x" * 129, "x" * 129, "at most"),
        ("Salma Salma 2026", "Salma Salma 2026", "too common"),
        (NEW_PASSWORD, "something else entirely", "don’t match"),
    ],
)
def test_rejected_password_is_explained_and_the_link_stays_valid(
    app, browser, password, confirmation, message
):
    browser.get(create_invite_link(app)[0])
    form = {"password": password, "password_confirmation": confirmation}
    page = read_page(browser.post("/en/set-password", data=form), message, status=422)
    assert password not in page
    assert browser.post("/en/set-password", data=NEW_PASSWORD_FORM).status_code == 303


@pytest.mark.parametrize("ending", ["wrong", "late", "replaced", "removed"])
def test_ended_one_time_links_all_give_the_same_page(app, browser, clock, ending):
    url, _ = create_invite_link(app)
    browser.get(url)
    salma = app.store.users.get("Salma")
    if ending == "wrong":
        url = url[:-1]
        browser.cookies.clear()
    elif ending == "late":
        clock.now += timedelta(hours=24)
    elif ending == "replaced":
        users.create_invite(app.store, salma, "Amina", NOW)
    else:
        app.store.users.remove(salma, NOW)
    answers = [browser.get(path) for path in (url, "/en/set-password", "/en/set-password/none")]
    answers.append(browser.post("/en/set-password", data=NEW_PASSWORD_FORM))
    texts = [read_page(answer, status=410) for answer in answers]
    assert len({re.sub(r"/set-password[^\"]*", "", text) for text in texts}) == 1
    assert app.store.users.get("Salma").password_hash is None


def test_one_time_link_works_only_for_the_first_browser(app, browser):
    url, _ = create_invite_link(app)
    with as_another_browser(browser) as other:
        other.get(url)
        invite_cookie = f"invite={other.cookies['invite']}"
    browser.get(url)
    assert browser.post("/en/set-password", data=NEW_PASSWORD_FORM).status_code == 303
    headers = {"cookie": invite_cookie}
    late = browser.post("/en/set-password", data=NEW_PASSWORD_FORM, headers=headers)
    assert late.status_code == 410


def test_administrator_adds_resets_and_removes_users(app, browser):
    log_in(browser)
    form = {"name": "Salma", "role": "coordinator", "regions": "souss-massa"}
    page = browser.get(browser.post("/en/users", data=form).headers["location"]).text
    url = re.search(r'value="http://127\.0\.0\.1:\d+(/en/set-password/[\w-]{43})"', page)[1]
    salma, amina = app.store.users.get("Salma"), app.store.users.get("Amina")
    assert (salma.role, salma.regions, salma.added_by) == (
        Role.COORDINATOR,
        ["souss-massa"],
        "Amina",
    )
    assert url not in browser.post(f"/en/users/{salma.id}/reset").text
    assert browser.get(url).status_code == 410
    browser.post(f"/en/users/{salma.id}/remove")
    assert [user.name for user in app.store.users.list_all()] == ["Amina"]
    for act in ("reset", "remove"):
        assert browser.post(f"/en/users/{amina.id}/{act}").status_code == 403
        assert browser.post(f"/en/users/999/{act}").status_code == 404
