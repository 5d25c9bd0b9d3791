"""Login, sessions, passwords, one-time links and the users page, on a real server."""

import asyncio
import re
import sqlite3
import time
from contextlib import closing
from datetime import timedelta
from statistics import median
from types import SimpleNamespace
from urllib.parse import unquote

import httpx
import pytest
from limits.storage import memory
from pwdlib import PasswordHash
from pwdlib.hashers.argon2 import Argon2Hasher

from auditor.app import App
from auditor.cli.main import main
from auditor.cli.serve import format_server_url, open_web_socket, run_server
from auditor.config.schema import Config, WebSettings
from auditor.web import users
from auditor.web.routes import login
from auditor.web.routes.login import LOGIN_FAILURE_LIMIT
from storage.models.users import Role
from storage.tables.users import User
from tests.support.web_server import NOW, serve_app

PASSWORD = "goats climb argan trees"
NEW_PASSWORD = "saffron grows in Taliouine"
HTTPS_HEADERS = {"host": "audit.lan", "x-forwarded-proto": "https"}
CHEAP_HASHER = Argon2Hasher(time_cost=1, memory_cost=8, parallelism=1)


class Clock:
    """A clock that a test sets."""

    def __init__(self):
        self.now = NOW

    def __call__(self):
        return self.now

    def on(self, **span):
        self.now += timedelta(**span)


@pytest.fixture
def clock():
    return Clock()


@pytest.fixture(autouse=True)
def cheap_hashing(monkeypatch, request):
    """Use cheap password hashes, except in tests with `real_hashing`."""
    if "real_hashing" not in request.fixturenames:
        monkeypatch.setattr(users, "ARGON2_HASHER", CHEAP_HASHER)


@pytest.fixture
def app(tmp_path):
    settings = {
        "storage": {"folder": tmp_path, "url": f"sqlite:///{tmp_path}/auditor.db"},
        "web": {
            "public_url": "https://reports.example.org",
            "allowed_hosts": ["audit.lan"],
            "trusted_proxies": ["127.0.0.1"],
        },
        "network": {"language": "en"},
    }
    with App.open(Config.model_validate(settings)) as opened:
        create_user(opened.store, "Amina", Role.ADMIN)
        yield opened


def create_user(store, name, role=Role.READER, password=PASSWORD):
    """Create a user with a password."""
    user, _ = users.add_user(store, name, role, (), author="a test", now=NOW)
    store.users.change_password(
        store.users.get(user.name), PasswordHash((users.ARGON2_HASHER,)).hash(password), NOW
    )
    return store.users.get(name)


@pytest.fixture
def server_url(app, clock):
    with serve_app(app, clock) as address:
        yield address


@pytest.fixture
def browser(server_url):
    """A client that has never logged in."""
    with httpx.Client(base_url=server_url, trust_env=False, timeout=60) as client:
        yield client


def log_in(client, name="Amina", password=PASSWORD, **more):
    headers = more.pop("headers", {})
    return client.post(
        "/en/login", data={"name": name, "password": password, **more}, headers=headers
    )


def get_status(client, **headers):
    return client.get("/en/gaps", headers=headers).status_code


def test_login_leads_to_the_requested_page(browser):
    response = browser.get("/en/gaps?sort=newest")
    assert (response.status_code, response.headers["www-authenticate"]) == (401, "Session")
    assert 'name="next" value="/en/gaps?sort=newest"' in response.text
    assert 'class="site-nav"' not in response.text
    response = log_in(browser, next="/en/gaps?sort=newest")
    assert (response.status_code, response.headers["location"]) == (303, "/en/gaps?sort=newest")
    page = browser.get(response.headers["location"])
    assert page.status_code == 200
    assert 'class="site-nav"' in page.text
    account_page = browser.get("/en/account").text
    assert "<bdi>Amina</bdi>" in account_page
    assert "Log out" in account_page


@pytest.mark.slow
def test_form_after_the_session_ended_leads_back_to_its_page(browser, server_url):
    server_url = {"referer": f"{server_url}/en/account?done=1", "sec-fetch-site": "same-origin"}
    response = browser.post("/en/account", data={}, headers=server_url)
    assert 'name="next" value="/en/account?done=1"' in response.text
    elsewhere = browser.post("/en/account", data={}, headers={"referer": "https://evil.example/x"})
    assert 'name="next" value="/"' in elsewhere.text


@pytest.mark.slow
@pytest.mark.parametrize("name", ["amina", " AMINA ", "Ａmina"])
def test_user_name_ignores_case_spaces_and_width(browser, name):
    assert log_in(browser, name).status_code == 303


def test_session_cookie_is_protected(browser):
    cookies = log_in(browser).headers.get_list("set-cookie")
    [cookie] = [cookie for cookie in cookies if cookie.startswith("session=")]
    assert re.fullmatch(r"session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax", cookie)
    browser.cookies.clear()
    cookies = log_in(browser, headers=HTTPS_HEADERS).headers.get_list("set-cookie")
    [cookie] = [cookie for cookie in cookies if "session=" in cookie]
    assert re.fullmatch(r"__Host-session=[\w-]{43}; HttpOnly; Path=/; SameSite=lax; Secure", cookie)


@pytest.mark.slow
def test_https_accepts_only_the_host_prefixed_cookie(browser):
    token = log_in(browser).cookies["session"]
    assert get_status(browser, **HTTPS_HEADERS, cookie=f"session={token}") == 401
    assert get_status(browser, **HTTPS_HEADERS, cookie=f"__Host-session={token}") == 200
    assert get_status(browser, cookie=f"__Host-session={token}") == 401


def test_login_over_plain_http_works_only_on_loopback(browser, app):
    open_line = {"host": "audit.lan"}
    page = browser.get("/en/login", headers=open_line)
    assert page.status_code == 403
    assert "<form" not in page.text
    assert log_in(browser, headers=open_line).status_code == 403
    assert log_in(browser, headers=open_line | {"x-forwarded-proto": "https"}).status_code == 303


@pytest.mark.slow
def test_headers_of_an_unlisted_proxy_are_ignored(app, clock):
    app = App(
        app.config.model_copy(
            update={"web": app.config.web.model_copy(update={"trusted_proxies": ()})}
        ),
        app.store,
        app.body_store,
    )
    with (
        serve_app(app, clock) as server_url,
        httpx.Client(base_url=server_url, trust_env=False) as client,
    ):
        assert log_in(client, headers=HTTPS_HEADERS).status_code == 403
        for number in range(6):
            headers = {"x-forwarded-for": f"203.0.113.{number}"}
            assert log_in(client, password="wrong", headers=headers).status_code == 403
        assert log_in(client, headers={"x-forwarded-for": "203.0.113.9"}).status_code == 403
        assert log_in(client).status_code == 303


@pytest.mark.slow
def test_public_host_ignores_sessions(browser):
    token = log_in(browser).cookies["session"]
    headers = {"host": "reports.example.org", "x-forwarded-proto": "https"}
    for cookie in (f"session={token}", f"__Host-session={token}"):
        response = browser.get("/en/unsubscribe/x", headers={**headers, "cookie": cookie})
        assert response.status_code == 200
        assert "Amina" not in response.text
        assert browser.get("/en/login", headers={**headers, "cookie": cookie}).status_code == 404


@pytest.mark.fault("F57")
def test_copied_cookie_is_invalid_after_logout(browser):
    token = log_in(browser).cookies["session"]
    assert get_status(browser) == 200
    response = browser.post("/en/logout")
    assert (response.status_code, response.headers["location"]) == (303, "/en/login")
    assert '"cache"' in response.headers["clear-site-data"]
    assert "session" not in browser.cookies
    assert get_status(browser, cookie=f"session={token}") == 401


@pytest.mark.fault("F57")
@pytest.mark.parametrize(
    ("idle", "times", "ends"),
    [
        pytest.param({"hours": 7, "minutes": 59}, 1, 200, marks=pytest.mark.slow),
        pytest.param({"hours": 8}, 1, 401, marks=pytest.mark.slow),
        pytest.param({"hours": 7}, 3, 200, marks=pytest.mark.slow),
        ({"hours": 7}, 4, 401),
        ({"hours": 12}, 1, 401),
    ],
)
def test_session_ends_after_eight_idle_hours_or_one_day(browser, clock, idle, times, ends):
    log_in(browser)
    for _ in range(times):
        clock.on(**idle)
        last = get_status(browser)
    assert last == ends


@pytest.mark.fault("F57")
@pytest.mark.parametrize(
    "event",
    ["password", *(pytest.param(event, marks=pytest.mark.slow) for event in ("reset", "remove"))],
)
def test_all_sessions_end_with_a_new_password_a_reset_or_removal(app, browser, event):
    tokens = [log_in(browser).cookies["session"]]
    browser.cookies.clear()
    tokens.append(log_in(browser).cookies["session"])
    user = app.store.users.get("Amina")
    if event == "password":
        form = {
            "current_password": PASSWORD,
            "password": NEW_PASSWORD,
            "password_confirmation": NEW_PASSWORD,
        }
        response = browser.post("/en/account", data=form)
        assert response.status_code == 303
        assert get_status(browser) == 200
        assert response.cookies["session"] not in tokens
    elif event == "reset":
        users.create_invite(app.store, user, "a test", NOW)
    else:
        app.store.users.remove(user, NOW)
    assert [get_status(browser, cookie=f"session={token}") for token in tokens] == [401, 401]
    browser.cookies.clear()
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
    assert get_status(browser) == 401
    with closing(sqlite3.connect(app.data_folder / "auditor.db")) as raw:
        assert raw.execute("SELECT count(*) FROM login_session").fetchone() == (0,)


@pytest.mark.fault("F57")
def test_reset_during_a_password_change_wins(app, browser, reset_meanwhile):
    log_in(browser)
    reset_meanwhile()
    response = browser.post(
        "/en/account",
        data={
            "current_password": PASSWORD,
            "password": NEW_PASSWORD,
            "password_confirmation": NEW_PASSWORD,
        },
    )
    assert response.status_code == 401
    assert get_status(browser) == 401
    assert app.store.users.get("Amina").password_hash is None


@pytest.mark.slow
def test_second_login_replaces_the_browsers_session(browser):
    first = log_in(browser).cookies["session"]
    second = log_in(browser).cookies["session"]
    assert second != first
    assert get_status(browser, cookie=f"session={first}") == 401
    assert get_status(browser, cookie=f"session={second}") == 200


@pytest.mark.slow
def test_only_the_hash_of_a_session_token_is_stored(app, browser):
    token = log_in(browser).cookies["session"]
    raw = (app.data_folder / "auditor.db").read_bytes() + (
        app.data_folder / "auditor.db-wal"
    ).read_bytes()
    assert token.encode() not in raw


@pytest.mark.slow
def test_session_is_touched_at_most_once_a_minute(app, browser, clock, monkeypatch):
    writes, touch_session = [], type(app.store.sessions).touch
    monkeypatch.setattr(
        type(app.store.sessions), "touch", lambda *args: writes.append(args) or touch_session(*args)
    )
    log_in(browser)
    for _ in range(10):
        clock.on(seconds=20)
        assert get_status(browser) == 200
    assert len(writes) == 3


@pytest.fixture
def attempt_clock(monkeypatch):
    """The clock of the attempt limiter."""
    attempt_clock_state = SimpleNamespace(now=1_000_000.0)
    monkeypatch.setattr(memory.time, "time", lambda: attempt_clock_state.now)
    return attempt_clock_state


@pytest.mark.parametrize(("step", "status"), [(-1, 303), (0, 429), (1, 429)])
def test_login_is_possible_until_too_many_have_failed(browser, attempt_clock, step, status):
    for _ in range(LOGIN_FAILURE_LIMIT.amount + step):
        log_in(browser, password="wrong words")
    assert log_in(browser).status_code == status


@pytest.mark.fault("F56")
def test_sixth_failed_login_returns_429_with_a_delay(browser, attempt_clock):
    wrong = [log_in(browser, password="wrong words") for _ in range(5)]
    assert {response.status_code for response in wrong} == {401}
    late = log_in(browser)
    assert late.status_code == 429
    assert 0 < int(late.headers["retry-after"]) <= 900
    assert "Try again in 15 minutes" in late.text
    assert log_in(browser, "nobody").status_code == 429
    attempt_clock.now += 901
    assert log_in(browser).status_code == 303


@pytest.mark.fault("F56")
def test_wrong_name_and_wrong_password_give_the_same_answer(browser):
    wrong = log_in(browser, password="wrong words")
    unknown = log_in(browser, "Amine", password="wrong words")
    assert wrong.status_code == unknown.status_code == 401
    assert wrong.text.replace("Amina", "Amine") == unknown.text


@pytest.mark.fault("F56")
def test_too_long_password_is_refused_without_hashing(browser, monkeypatch):
    monkeypatch.setattr(users.PasswordService, "verify", None)
    long = log_in(browser, password="x" * 129)
    assert long.status_code == 422
    assert "at most 128 characters" in long.text
    huge = log_in(browser, password="x" * 1_000_000)
    assert huge.status_code == 413


@pytest.mark.slow
def test_failures_for_an_account_count_across_addresses(browser):
    for number in range(5):
        assert (
            log_in(
                browser,
                password="no",
                headers={**HTTPS_HEADERS, "x-forwarded-for": f"203.0.113.{number}"},
            ).status_code
            == 401
        )
    assert (
        log_in(browser, headers={**HTTPS_HEADERS, "x-forwarded-for": "198.51.100.1"}).status_code
        == 429
    )


@pytest.mark.slow
@pytest.mark.fault("F56")
def test_failures_for_an_account_count_across_spellings(browser):
    for number in range(5):
        headers = {**HTTPS_HEADERS, "x-forwarded-for": f"203.0.113.{number}"}
        spelled = "Am\u202a" + "\u202a" * number + "ina"
        assert log_in(browser, spelled, password="no", headers=headers).status_code == 401
    assert (
        log_in(browser, headers={**HTTPS_HEADERS, "x-forwarded-for": "198.51.100.1"}).status_code
        == 429
    )


@pytest.mark.fault("F56")
def test_forged_browser_cookie_does_not_reveal_users(browser):
    statuses = [
        log_in(
            browser, name, password="no", headers={"cookie": 'known_browser="\\351"'}
        ).status_code
        for name in ("Amina", "Nobody")
    ]
    assert statuses == [401, 401]


@pytest.mark.slow
def test_ipv6_addresses_of_one_network_count_together(browser):
    for number in range(5):
        headers = {**HTTPS_HEADERS, "x-forwarded-for": f"2001:db8:1:2::{number}"}
        assert log_in(browser, f"nobody {number}", headers=headers).status_code == 401
    assert (
        log_in(
            browser, headers={**HTTPS_HEADERS, "x-forwarded-for": "2001:db8:1:2:ffff::1"}
        ).status_code
        == 429
    )
    assert (
        log_in(browser, headers={**HTTPS_HEADERS, "x-forwarded-for": "2001:db8:1:3::1"}).status_code
        == 303
    )


@pytest.mark.slow
def test_successful_logins_are_not_counted(browser):
    for _ in range(7):
        browser.cookies.clear()
        assert log_in(browser).status_code == 303


def test_stranger_cannot_lock_out_a_known_browser(browser, app, server_url):
    log_in(browser)
    browser.post("/en/logout")
    with httpx.Client(base_url=server_url, trust_env=False) as stranger:
        for _ in range(20):
            log_in(stranger, password="guess")
        assert log_in(stranger).status_code == 429
        assert log_in(browser).status_code == 303
        stranger.cookies.set("known_browser", "0" * len(browser.cookies["known_browser"]))
        assert log_in(stranger).status_code == 429


@pytest.mark.slow
def test_known_browser_has_the_same_limit(browser):
    log_in(browser)
    browser.cookies.delete("session")
    assert [log_in(browser, password="no").status_code for _ in range(6)] == [401] * 5 + [429]
    assert get_status(browser, cookie=f"session={browser.cookies['known_browser']}") == 401


@pytest.mark.slow
def test_current_password_guesses_on_the_account_page_are_limited(browser):
    log_in(browser)
    form = {
        "current_password": "guess",
        "password": NEW_PASSWORD,
        "password_confirmation": NEW_PASSWORD,
    }
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
@pytest.mark.parametrize(
    "next_url", ["//evil.example", "/\\evil.example", "/%09/evil", "https:evil.example"]
)
def test_login_form_replaces_an_external_next_address(browser, next_url):
    form = browser.get(f"/en/login?next={next_url}").text
    assert re.search(r'name="next" value="([^"]*)"', form)[1] == "/"
    assert log_in(browser, next=unquote(next_url)).headers["location"] == "/"


@pytest.mark.fault("F58")
@pytest.mark.parametrize(
    ("method", "headers", "status"),
    [
        ("GET", {"sec-fetch-site": "cross-site", "origin": "https://evil.example"}, 200),
        ("POST", {"sec-fetch-site": "same-origin", "origin": "null"}, 303),
        ("POST", {"sec-fetch-site": "none"}, 303),
        ("POST", {"sec-fetch-site": "same-site", "origin": "http://127.0.0.1:9"}, 403),
        ("POST", {"sec-fetch-site": "cross-site", "origin": "{home}"}, 403),
        ("POST", {"origin": "{home}"}, 303),
        ("POST", {"origin": "https://evil.example"}, 403),
        ("POST", {"origin": "null"}, 403),
        ("POST", {}, 303),
    ],
)
def test_cross_site_form_changes_nothing(app, browser, method, headers, status):
    log_in(browser)
    server_url = str(browser.base_url).rstrip("/")
    sent_headers = {name: value.format(home=server_url) for name, value in headers.items()}
    url = (
        "/en/users" if method == "GET" else f"/en/users/{create_user(app.store, 'Salma').id}/remove"
    )
    assert browser.request(method, url, headers=sent_headers).status_code == status
    assert len(app.store.users.list_all()) == {200: 1, 303: 1, 403: 2}[status]


def test_pages_have_security_headers(browser):
    log_in(browser)
    page = browser.get("/en/users")
    policy = dict(
        directive.strip().partition(" ")[::2]
        for directive in page.headers["content-security-policy"].split(";")
    )
    assert policy == {
        "default-src": "'none'",
        "style-src": "'self'",
        "img-src": "'self' data:",
        "script-src": "'self'",
        "connect-src": "'self'",
        "form-action": "'self'",
        "frame-ancestors": "'none'",
        "base-uri": "'none'",
    }
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-content-type-options"] == "nosniff"
    assert page.headers["cross-origin-opener-policy"] == "same-origin"
    assert "camera=()" in page.headers["permissions-policy"]
    assert "strict-transport-security" not in page.headers
    assert (
        browser.get("/en/login", headers=HTTPS_HEADERS).headers["strict-transport-security"]
        == "max-age=31536000"
    )


def create_invite_link(app, name="Salma", role=Role.READER):
    _, token = users.add_user(app.store, name, role, (), author="Amina", now=NOW)
    return f"/en/set-password/{token}", token


def test_one_time_link_sets_the_password_and_logs_in(app, browser, caplog):
    url, token = create_invite_link(app)
    for _ in range(2):  # a mail scanner opens it, too
        response = browser.get(url)
        assert (response.status_code, response.headers["location"]) == (303, "/en/set-password")
    page = browser.get("/en/set-password")
    assert "Salma" in page.text
    assert token not in page.text
    done = browser.post(
        "/en/set-password", data={"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD}
    )
    assert (done.status_code, done.headers["location"]) == (303, "/en/")
    assert get_status(browser) == 200
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
def demo_url(app, clock, login_link):
    with serve_app(app, clock, login_link=login_link) as address:
        yield f"{address}/en/login/{login_link.token}"


def open_in_new_browser(url, **headers):
    return httpx.get(url, headers=headers, trust_env=False)


def test_login_link_logs_in_once(demo_url):
    with httpx.Client(trust_env=False) as first_browser:
        opened = first_browser.get(demo_url)
        assert (opened.status_code, opened.headers["location"]) == (303, "/en/")
        assert first_browser.get(httpx.URL(demo_url).join("/en/users")).status_code == 200
    refused = open_in_new_browser(demo_url)
    assert refused.status_code == 410
    assert "auditor demo --serve" in refused.text
    assert "session" not in refused.cookies


def test_opening_the_login_link_again_in_the_same_browser_shows_the_dashboard(demo_url):
    with httpx.Client(trust_env=False) as browser:
        answers = [browser.get(demo_url) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [303, 303]


def test_login_link_expires_after_fifteen_minutes(demo_url, clock):
    clock.on(minutes=15)
    assert open_in_new_browser(demo_url).status_code == 410


def test_wrong_login_link_does_not_use_up_the_right_one(demo_url):
    wrong = demo_url[:-1] + ("x" if demo_url[-1] != "x" else "y")
    assert open_in_new_browser(wrong).status_code == 410
    assert open_in_new_browser(demo_url).status_code == 303


def test_login_link_works_only_on_this_machine(demo_url):
    assert open_in_new_browser(demo_url, host="audit.lan").status_code == 410
    assert open_in_new_browser(demo_url, host="reports.example.org").status_code == 404
    assert open_in_new_browser(demo_url).status_code == 303


def test_removed_user_cannot_use_a_login_link(app, demo_url):
    app.store.users.remove(app.store.users.get("Demo"), NOW)
    answer = open_in_new_browser(demo_url)
    assert "session" not in answer.cookies


def test_service_without_a_login_link_refuses_every_token(browser):
    assert browser.get("/en/login/none").status_code == 410


@pytest.mark.slow
@pytest.mark.parametrize(
    ("password", "confirmation", "message"),
    [
        ("eleven char", "eleven char", "at least"),
        ("x" * 129, "x" * 129, "at most"),
        ("Password1234", "Password1234", "too common"),
        ("presence auditor 2026", "presence auditor 2026", "too common"),
        ("Salma Salma 2026", "Salma Salma 2026", "too common"),
        (NEW_PASSWORD, "something else entirely", "don’t match"),
    ],
)
def test_rejected_password_is_explained_and_the_link_stays_valid(
    app, browser, password, confirmation, message
):
    browser.get(create_invite_link(app)[0])
    response = browser.post(
        "/en/set-password", data={"password": password, "password_confirmation": confirmation}
    )
    assert response.status_code == 422
    assert message in response.text
    assert password not in response.text
    assert (
        browser.post(
            "/en/set-password",
            data={"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD},
        ).status_code
        == 303
    )


@pytest.mark.slow
@pytest.mark.parametrize("ending", ["wrong", "late", "replaced", "removed", "none"])
def test_ended_one_time_links_all_give_the_same_page(app, browser, clock, ending):
    url, _ = create_invite_link(app)
    browser.get(url)
    salma = app.store.users.get("Salma")
    if ending == "wrong":
        url = url[:-1] + ("x" if url[-1] != "x" else "y")
        browser.cookies.clear()
    elif ending == "late":
        clock.on(hours=24)
    elif ending == "replaced":
        users.create_invite(app.store, salma, "Amina", NOW)
    elif ending == "removed":
        app.store.users.remove(salma, NOW)
    else:
        browser.cookies.clear()
        url = "/en/set-password"
    form = {"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD}
    answers = [
        browser.get(url),
        browser.get("/en/set-password"),
        browser.post("/en/set-password", data=form),
    ]
    assert {response.status_code for response in answers} == {410}
    pages = {re.sub(r"On <bdi> .*|/set-password[^\"]*", "", response.text) for response in answers}
    assert len(pages) == 1
    assert app.store.users.get("Salma").password_hash is None


@pytest.mark.slow
def test_one_time_link_works_only_for_the_first_browser(app, browser, server_url):
    url, _ = create_invite_link(app)
    with httpx.Client(base_url=server_url, trust_env=False) as other:
        other.get(url)
        browser.get(url)
        assert (
            browser.post(
                "/en/set-password",
                data={"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD},
            ).status_code
            == 303
        )
        assert (
            other.post(
                "/en/set-password", data={"password": PASSWORD, "password_confirmation": PASSWORD}
            ).status_code
            == 410
        )
    assert log_in(browser, "Salma", PASSWORD).status_code == 401


@pytest.mark.slow
def test_administrator_adds_resets_and_removes_users(app, browser):
    log_in(browser)
    response = browser.post(
        "/en/users", data={"name": "Salma", "role": "coordinator", "regions": "souss-massa"}
    )
    url = re.search(r'value="http://127\.0\.0\.1:\d+(/en/set-password/[\w-]{43})"', response.text)[
        1
    ]
    salma = app.store.users.get("Salma")
    assert (salma.role, salma.regions, salma.added_by) == (
        Role.COORDINATOR,
        ["souss-massa"],
        "Amina",
    )
    again = browser.post(f"/en/users/{salma.id}/reset")
    assert url not in again.text
    assert browser.get(url).status_code == 410
    assert (
        browser.post(f"/en/users/{salma.id}/remove").headers["location"]
        == "/en/users?done=removed#message"
    )
    assert [user.name for user in app.store.users.list_all()] == ["Amina"]
    for act in ("reset", "remove"):
        assert browser.post(f"/en/users/{app.store.users.get('Amina').id}/{act}").status_code == 409
        assert browser.post(f"/en/users/999/{act}").status_code == 404


@pytest.mark.slow
def test_login_page_without_users_shows_the_command_to_add_one(app, browser):
    assert "auditor user add" not in browser.get("/en/login").text
    app.store.users.remove(app.store.users.get("Amina"), NOW)
    assert "auditor user add NAME --role admin" in browser.get("/en/login").text


@pytest.mark.slow
def test_one_time_link_of_the_command_opens_in_the_browser(app, browser, capsys, monkeypatch):
    monkeypatch.setenv("AUDITOR_STORAGE__FOLDER", str(app.data_folder))
    monkeypatch.setattr("auditor.cli.setup.get_current_time", lambda: NOW)
    assert main(["user", "add", "Idris", "--role", "reader", "--author", "Amina"]) == 0
    url = re.fullmatch(
        r"http://127\.0\.0\.1:8321(/en/set-password/[\w-]{43})\n", capsys.readouterr().out
    )[1]
    browser.get(url)
    assert (
        browser.post(
            "/en/set-password",
            data={"password": NEW_PASSWORD, "password_confirmation": NEW_PASSWORD},
        ).status_code
        == 303
    )
    assert main(["user", "reset", "idris", "--author", "Amina"]) == 0
    assert get_status(browser) == 401
    assert main(["user", "remove", "Idris"]) == 0
    assert main(["user", "remove", "Idris"]) == 3
    assert "there is no user with this name" in capsys.readouterr().err


@pytest.fixture
def real_hashing():
    """Use real password hashes."""


@pytest.mark.slow
@pytest.mark.fault("F56")
@pytest.mark.usefixtures("real_hashing")
async def test_fifty_logins_do_not_block_the_event_loop(app, clock):
    before = time.perf_counter()
    users.ARGON2_HASHER.hash(PASSWORD)
    alone = time.perf_counter() - before
    with open_web_socket(WebSettings(port=0)) as at:
        stop, lags, where = asyncio.Event(), [], format_server_url(at).rstrip("/")
        serving = asyncio.create_task(
            run_server(app, clock, sock=at, with_schedule=False, stop=stop)
        )
        watch = asyncio.create_task(measure_lags(lags))
        limits = httpx.Limits(max_connections=50)
        async with httpx.AsyncClient(
            base_url=where, trust_env=False, timeout=None, limits=limits
        ) as clients:
            form = {"name": "Amina", "password": PASSWORD}
            proxy_headers = [
                {**HTTPS_HEADERS, "x-forwarded-for": f"203.0.113.{number}"} for number in range(50)
            ]
            logins = [
                clients.post("/en/login", data=form, headers=headers) for headers in proxy_headers
            ]
            answers = await asyncio.gather(*logins)
        watch.cancel()
        stop.set()
        await serving
    assert [response.status_code for response in answers] == [303] * 50
    assert median(lags) < alone / 4  # a hash inside the event loop would delay it by a whole hash


async def measure_lags(lags):
    """Append the delays of the event loop, in seconds."""
    while True:
        before = time.perf_counter()
        await asyncio.sleep(0.01)
        lags.append(time.perf_counter() - before - 0.01)


@pytest.mark.slow
@pytest.mark.fault("F56")
@pytest.mark.usefixtures("real_hashing")
def test_unknown_name_takes_as_long_as_a_wrong_password(browser, attempt_clock):
    def cost(name):
        before = time.process_time()
        assert log_in(browser, name, password="wrong words").status_code == 401
        attempt_clock.now += 901
        return time.process_time() - before

    cost("nobody")
    costs = {name: min(cost(name) for _ in range(7)) for name in ("Amina", "nobody")}
    assert costs["Amina"] == pytest.approx(costs["nobody"], rel=0.3)
