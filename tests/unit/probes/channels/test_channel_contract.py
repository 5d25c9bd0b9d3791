"""The contract of every channel, including one that you add.

A channel is any public module or package of `probes.channels`. Nothing is registered here. The
sample links are those of the recorded pages, so a channel without a recorded page fails first.
"""

import importlib
import inspect
import itertools
import pkgutil
import tomllib
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import grimp
import pytest

from probes import channels
from probes.links import channel_registry
from probes.models.finding import Account, Finding, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import ChannelModule, run_offline
from tests.support.findings import verdict

ROOT = Path(__file__).parents[4]
PAGES = Path(__file__).parents[3] / "fixtures" / "pages"
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)

REACHING = {
    "aiodns",
    "asyncio",
    "httptools",
    "httpx",
    "multiprocessing",
    "os",
    "pathlib",
    "random",
    "socket",
    "sqlmodel",
    "sqlalchemy",
    "ssl",
    "subprocess",
    "tempfile",
    "tenacity",
    "threading",
    "time",
}
"""What no module that a channel depends on may import."""


def _load_channels() -> dict[str, ChannelModule]:
    names = [module.name for module in pkgutil.iter_modules(channels.__path__)]
    return {
        name: cast("ChannelModule", importlib.import_module(f"probes.channels.{name}"))
        for name in names
        if not name.startswith("_")
    }


CHANNELS = _load_channels()
EVERY_CHANNEL = pytest.mark.parametrize("name", sorted(CHANNELS))
EVERY_PLATFORM = pytest.mark.parametrize(
    "name", [name for name in sorted(CHANNELS) if CHANNELS[name].HOSTS]
)
"""All but `website`: any host may be one, and its suspension page may have status 403 or 503."""


EVERY_API = pytest.mark.parametrize(
    "name", [name for name in sorted(CHANNELS) if hasattr(CHANNELS[name], "API")]
)


def _recorded(name: str) -> list[dict[str, object]]:
    return [
        tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted((PAGES / name).glob("*.toml"))
    ]


def _accounts(name: str) -> list[Account]:
    """Return an account for every recorded link that names one, each key once."""
    accounts: dict[str, Account] = {}
    for case in _recorded(name):
        link = str(case["link"])
        identity = CHANNELS[name].identify(link)
        if identity.key:
            accounts[identity.key] = Account("test", link, identity)
    return list(accounts.values())


@EVERY_CHANNEL
def test_channel_has_the_names_of_the_protocol(name: str) -> None:
    channel = CHANNELS[name]
    assert (name, channel.VERSION >= 1) == (channel.NAME, True)
    assert isinstance(channel.HOSTS, frozenset)
    assert all(host == host.lower().strip(".") and "/" not in host for host in channel.HOSTS)
    for function in ("identify", "identify_bare", "probe"):
        expected = list(inspect.signature(getattr(ChannelModule, function)).parameters)[1:]
        assert list(inspect.signature(getattr(channel, function)).parameters) == expected


@EVERY_CHANNEL
def test_channel_has_a_recorded_page_of_an_account(name: str) -> None:
    assert _accounts(name), (
        f"record a page: tests/fixtures/pages/{name}/<situation>.toml (see test_recorded_pages.py)"
    )


@EVERY_PLATFORM
def test_channel_that_says_gone_has_a_recorded_page_of_it(name: str) -> None:
    folder = Path(*channels.__path__)
    files = [*folder.glob(f"{name}.py"), *folder.glob(f"{name}/*.py")]
    if any("return absent_finding(" in file.read_text("utf-8") for file in files):
        presences = [cast("dict[str, str]", case["expect"])["presence"] for case in _recorded(name)]
        assert "absent" in presences, f"record a page that says so in tests/fixtures/pages/{name}/"


@EVERY_CHANNEL
def test_channel_has_words_and_configuration(name: str) -> None:
    reference = ROOT / "auditor" / "core" / "reference" / "gaps.toml"
    table = tomllib.loads((ROOT / "config.toml").read_text("utf-8"))["channels"].get(name, {})
    words = tomllib.loads(reference.read_text("utf-8"))["labels"]["channel"].get(name, {})
    for setting in ("canaries", "impossible_account"):
        assert table.get(setting), f"config.toml: add {setting} to [channels.{name}]"
    for language in ("ar", "en", "fr"):
        assert language in words, f"{reference}: add {language} to [labels.channel.{name}]"


def test_no_host_belongs_to_two_channels() -> None:
    owners = [host for channel in CHANNELS.values() for host in channel.HOSTS]
    assert len(owners) == len(set(owners))


@EVERY_CHANNEL
def test_canonical_address_identifies_the_same_account(name: str) -> None:
    for account in _accounts(name):
        canonical = account.identity.canonical
        assert canonical is not None
        assert CHANNELS[name].identify(canonical).key == account.identity.key


def test_registry_lists_the_same_channels() -> None:
    assert channel_registry.list_channels().keys() == CHANNELS.keys()


# --- A refusal is never an absence ---

CHALLENGE = (
    b"<html><head><title>Just a moment...</title></head><body>"
    b"Enable JavaScript and cookies</body></html>"
)
LOGIN = (
    b"<html><head><title>Log in</title></head><body><form><input type='password'></form>"
    b"</body></html>"
)
NOT_FOUND = (
    b"<html><head><title>404 Not Found</title></head><body>This page does not exist.</body></html>"
)
BODIES = {"bare": b"", "challenge": CHALLENGE, "login": LOGIN, "claims-404": NOT_FOUND}

REFUSALS = {
    f"{status}-{body}": (status, content)
    for status in (401, 403, 406, 407, 429, 451, 500, 502, 503, 504, 999)
    for body, content in BODIES.items()
} | {"200-bare": (200, b""), "200-challenge": (200, CHALLENGE)}

FETCH_ERROR_REASONS = sorted(
    {
        Reason.TIMEOUT,
        Reason.NETWORK,
        Reason.TLS,
        Reason.SERVER_ERROR,
        Reason.TOO_LARGE,
        Reason.UNREADABLE,
    }
    | {Reason.ROBOTS, Reason.RATE_LIMITED, Reason.BLOCKED, Reason.UNSAFE_ADDRESS}
)
WALLS = (
    "https://consent.example/m?continue=x",
    "https://www.google.com/sorry/index",
    "{origin}/login/?next=x",
)
NAMED_LOGIN = LOGIN.replace(b"</head>", b"<meta property='og:title' content='An-Nour'></head>")
"""A page that names an account although it only asks for a login."""


def _probe(name: str, account: Account, response: Page | FetchError) -> Finding:
    """Return the finding if every request gets the same answer.

    A page without a URL gets the requested one.
    """

    def respond(request: PageRequest) -> Page | FetchError:
        if isinstance(response, FetchError) or response.url:
            return response
        return Page(request.url, response.status, response.headers, response.body, fetched_at=NOW)

    return run_offline(CHANNELS[name].probe(account), respond).finding


def _page(status: int, body: bytes = b"", url: str = "") -> Page:
    return Page(url, status, {"content-type": "text/html; charset=utf-8"}, body, fetched_at=NOW)


@pytest.mark.fault("F29")
@pytest.mark.parametrize("refusal", REFUSALS)
@EVERY_CHANNEL
def test_refusal_is_never_an_absence(name: str, refusal: str) -> None:
    for account in _accounts(name):
        assert _probe(name, account, _page(*REFUSALS[refusal])).presence is Presence.UNKNOWN


@pytest.mark.parametrize("refusal", REFUSALS)
@EVERY_API
def test_api_probe_sends_api_calls_only_and_a_refusal_is_never_an_absence(
    name: str, refusal: str
) -> None:
    channel, response = cast("Any", CHANNELS[name]), _page(*REFUSALS[refusal])
    for account, platform_id in itertools.product(
        _accounts(name), (None, "1234567", "UCAnnour0000000000000001")
    ):
        previous = Finding(Presence.PRESENT, platform_id=platform_id)
        result = run_offline(
            channel.probe_api(replace(account, previous_finding=previous)),
            lambda request: replace(response, url=request.url),
        )
        assert result.finding.presence is Presence.UNKNOWN
        for request in (exchange.request for exchange in result.exchanges):
            assert request.api_call is not None
            assert request.api_call.api is channel.API
            assert urlsplit(request.url).hostname == channel.API.host
            assert not request.is_registered_link
            assert not request.headers


@pytest.mark.parametrize("status", [401, 403, 429, 503, 999])
@EVERY_PLATFORM
def test_absence_text_of_the_platform_does_not_count_in_a_refusal(name: str, status: int) -> None:
    for case in _recorded(name):
        expected, link = cast("dict[str, str]", case["expect"]), str(case["link"])
        if expected["presence"] != "absent":
            continue
        account = Account("test", link, CHANNELS[name].identify(link))
        exchange = cast("list[dict[str, str]]", case["exchanges"])[0]
        body = (PAGES / name / exchange["body"]).read_bytes() if "body" in exchange else b""
        assert _probe(name, account, _page(status, body)).presence is Presence.UNKNOWN


@pytest.mark.parametrize("reason", FETCH_ERROR_REASONS)
@EVERY_CHANNEL
def test_fetch_error_is_never_an_absence(name: str, reason: Reason) -> None:
    for account in _accounts(name):
        assert _probe(name, account, FetchError(reason)).presence is Presence.UNKNOWN


@pytest.mark.parametrize("wall", WALLS)
@EVERY_CHANNEL
def test_redirect_to_a_wall_is_never_an_absence(name: str, wall: str) -> None:
    for account in _accounts(name):
        origin = "/".join((account.identity.canonical or "").split("/")[:3])
        finding = _probe(name, account, _page(200, NAMED_LOGIN, wall.format(origin=origin)))
        assert finding.presence is not Presence.ABSENT
        if CHANNELS[name].HOSTS:
            assert finding.presence is Presence.UNKNOWN, (
                f"{wall} is no account: see LINKS in probes/channels/{name}"
            )


@pytest.mark.parametrize("segment", ["about", "help", "login", "search", "signup", "terms"])
@EVERY_PLATFORM
def test_pages_of_a_platform_name_no_account(name: str, segment: str) -> None:
    for host in CHANNELS[name].HOSTS:
        assert CHANNELS[name].identify(f"https://{host}/{segment}").key is None


@EVERY_PLATFORM
def test_registered_link_is_requested_once(name: str) -> None:
    for account in _accounts(name):
        result = run_offline(CHANNELS[name].probe(account), lambda request: Page(request.url, 200))
        requests = [exchange.request for exchange in result.exchanges]
        registered = [request.url for request in requests if request.is_registered_link]
        assert len(registered) == min(1, len(requests)), "see `is_registered_link` in the guide"


def _home(name: str) -> Account:
    host = min(CHANNELS[name].HOSTS, default="annour.example")
    return Account("test", f"https://{host}/", CHANNELS[name].identify(f"https://{host}/"))


@EVERY_PLATFORM
def test_link_without_account_is_unknown(name: str) -> None:
    home = _home(name)
    assert home.identity.key is None
    assert home.identity.kind not in {
        LinkKind.PROFILE,
        LinkKind.PAGE,
        LinkKind.GROUP,
        LinkKind.PERSON,
    }
    assert verdict(_probe(name, home, _page(404, NOT_FOUND))) == (
        Presence.UNKNOWN,
        Reason.WRONG_TARGET,
    )


# --- Imports ---


@EVERY_CHANNEL
def test_channel_imports_no_network_disk_clock_or_other_channel(name: str) -> None:
    graph = grimp.build_graph("probes", include_external_packages=True, cache_dir=None)
    imported = graph.find_upstream_modules(f"probes.channels.{name}", as_package=True)
    others = {f"probes.channels.{channel}" for channel in CHANNELS if channel != name}
    assert imported & (REACHING | others) == set()
