"""What must hold of every channel, those of today and the one you add tonight.

A channel is any module of `probes/channels/` that has HOSTS; nothing is registered here. Its sample links are
those of its recorded pages, so a channel without a recorded page fails first.
"""

from __future__ import annotations

import ast
import importlib
import inspect
import itertools
import pickle
import pkgutil
import tomllib
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, cast
from urllib.parse import urlsplit

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from probes import channels
from probes.links import channel_registry
from probes.models.finding import Account, Finding, LinkKind, Presence, Reason
from probes.models.http import FetchError, Page, PageRequest
from probes.models.probe import ChannelModule, run_offline

ROOT = Path(__file__).parents[4]
PAGES = Path(__file__).parents[3] / "fixtures" / "pages"
NOW = datetime(2026, 11, 20, 3, 0, tzinfo=UTC)

PURE = {
    *(
        "__future__",
        "base64",
        "binascii",
        "bisect",
        "collections",
        "contextlib",
        "dataclasses",
        "datetime",
    ),
    *(
        "enum",
        "functools",
        "hashlib",
        "html",
        "itertools",
        "json",
        "math",
        "operator",
        "re",
        "string",
    ),
    *("types", "typing", "unicodedata", "urllib.parse", "bs4"),
    "publicsuffixlist",  # with the suffix list it brings along; it never fetches one
}
"""What a channel may import from outside: nothing that reaches a network, a disk, a process or a clock."""


REACHING = {
    *("aiodns", "asyncio", "httptools", "httpx", "multiprocessing", "os", "pathlib", "random"),
    *(
        "socket",
        "sqlmodel",
        "sqlalchemy",
        "ssl",
        "subprocess",
        "tempfile",
        "tenacity",
        "threading",
        "time",
    ),
}
"""What nothing that a channel leans on may import either."""


def _channels() -> dict[str, ChannelModule]:
    found = {}
    for module in pkgutil.iter_modules(channels.__path__):
        source = Path(channels.__path__[0], f"{module.name}.py")
        if "HOSTS" in _assigned(source):
            found[module.name] = cast(
                "ChannelModule", importlib.import_module(f"probes.channels.{module.name}")
            )
    return found


def _assigned(source: Path) -> set[str]:
    body = ast.parse(source.read_text(encoding="utf-8")).body if source.exists() else []
    targets = [t for node in body if isinstance(node, ast.Assign) for t in node.targets]
    targets += [node.target for node in body if isinstance(node, ast.AnnAssign)]
    return {target.id for target in targets if isinstance(target, ast.Name)}


CHANNELS = _channels()
EVERY_CHANNEL_FUNCTION = ("identify", "identify_bare", "probe")
EVERY_CHANNEL = pytest.mark.parametrize("name", sorted(CHANNELS))
EVERY_PLATFORM = pytest.mark.parametrize(
    "name", [name for name in sorted(CHANNELS) if CHANNELS[name].HOSTS]
)
"""Not websites: any host may be one, and a hosting company's suspension page does come with 403 or 503."""


EVERY_INTERFACE = pytest.mark.parametrize(
    "name", [name for name in sorted(CHANNELS) if hasattr(CHANNELS[name], "INTERFACE")]
)


def _recorded(name: str) -> list[dict[str, object]]:
    return [
        tomllib.loads(path.read_text(encoding="utf-8"))
        for path in sorted((PAGES / name).glob("*.toml"))
    ]


def _accounts(name: str) -> list[Account]:
    """An account for every recorded link that names one, each key once."""
    links = [str(case["link"]) for case in _recorded(name)]
    named = {link: CHANNELS[name].identify(link, link) for link in links}
    once = {
        identity.key: Account("test", link, identity)
        for link, identity in named.items()
        if identity.key
    }
    return list(once.values())


@EVERY_CHANNEL
def test_a_channel_offers_what_a_channel_must(name: str) -> None:
    channel = CHANNELS[name]
    assert name == channel.NAME
    assert channel.VERSION >= 1
    assert isinstance(channel.HOSTS, frozenset)
    assert all(host == host.lower().strip(".") and "/" not in host for host in channel.HOSTS)
    for function in EVERY_CHANNEL_FUNCTION:
        wanted = list(inspect.signature(getattr(ChannelModule, function)).parameters)[1:]
        assert list(inspect.signature(getattr(channel, function)).parameters) == wanted


@EVERY_CHANNEL
def test_a_channel_has_a_recorded_page_of_an_account(name: str) -> None:
    assert _accounts(name), (
        f"record a page: tests/fixtures/pages/{name}/<situation>.toml (see test_recorded_pages.py)"
    )


def test_no_two_channels_own_one_host() -> None:
    owners = [host for channel in CHANNELS.values() for host in channel.HOSTS]
    assert len(owners) == len(set(owners))


@EVERY_CHANNEL
def test_a_canonical_address_names_the_account_it_came_from(name: str) -> None:
    for account in _accounts(name):
        canonical = account.identity.canonical
        assert canonical is not None
        assert CHANNELS[name].identify(canonical, canonical).key == account.identity.key


def test_links_find_the_same_channels() -> None:
    assert {"website", *channel_registry.list_channels()} == {"website", *CHANNELS}


# --- A refusal is never an absence ---

CHALLENGE = b"<html><head><title>Just a moment...</title></head><body>Enable JavaScript and cookies</body></html>"
LOGIN = b"<html><head><title>Log in</title></head><body><form><input type='password'></form></body></html>"
NOT_FOUND = (
    b"<html><head><title>404 Not Found</title></head><body>This page does not exist.</body></html>"
)
BODIES = {"bare": b"", "challenge": CHALLENGE, "login": LOGIN, "claims-404": NOT_FOUND}

REFUSALS = {
    f"{status}-{body}": (status, content)
    for status in (401, 403, 407, 429, 500, 502, 503, 504, 999)
    for body, content in BODIES.items()
} | {"200-bare": (200, b""), "200-challenge": (200, CHALLENGE)}

TROUBLES = sorted(
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


def _look(name: str, account: Account, answer: Page | FetchError) -> Finding:
    """Every ask gets the same answer, from the address asked for unless the answer says another."""

    def same(asked: PageRequest) -> Page | FetchError:
        if isinstance(answer, FetchError) or answer.url:
            return answer
        return Page(asked.url, answer.status, answer.headers, answer.body, fetched_at=NOW)

    return run_offline(CHANNELS[name].probe(account), same).finding


def _page(status: int, body: bytes = b"", url: str = "") -> Page:
    return Page(url, status, {"content-type": "text/html; charset=utf-8"}, body, fetched_at=NOW)


@pytest.mark.parametrize("refusal", REFUSALS)
@EVERY_CHANNEL
def test_a_refusal_is_never_an_absence(name: str, refusal: str) -> None:
    for account in _accounts(name):
        finding = _look(name, account, _page(*REFUSALS[refusal]))
        assert finding.presence is Presence.UNKNOWN


@pytest.mark.parametrize("refusal", REFUSALS)
@EVERY_INTERFACE
def test_an_interface_is_asked_by_calls_alone_and_its_refusal_is_never_an_absence(
    name: str, refusal: str
) -> None:
    channel, answer = cast("Any", CHANNELS[name]), _page(*REFUSALS[refusal])
    for account, own in itertools.product(
        _accounts(name), (None, "1234567", "UCAnnour0000000000000001")
    ):
        known = Finding(Presence.PRESENT, platform_id=own)
        look = run_offline(
            channel.probe_api(replace(account, previous_finding=known)),
            lambda ask: replace(answer, url=ask.url),
        )
        assert look.finding.presence is Presence.UNKNOWN
        for ask in (exchange.request for exchange in look.exchanges):
            assert ask.api_call is not None
            assert ask.api_call.api is channel.INTERFACE
            assert urlsplit(ask.url).hostname == channel.INTERFACE.host
            assert not ask.is_registered_link
            assert not ask.headers


@pytest.mark.parametrize("status", [401, 403, 429, 503, 999])
@EVERY_PLATFORM
def test_a_platforms_own_words_of_absence_count_for_nothing_in_a_refusal(
    name: str, status: int
) -> None:
    for case in _recorded(name):
        expected, link = cast("dict[str, str]", case["expect"]), str(case["link"])
        if expected["presence"] != "absent":
            continue
        account = Account("test", link, CHANNELS[name].identify(link, link))
        exchange = cast("list[dict[str, str]]", case["exchanges"])[0]
        body = (PAGES / name / exchange["body"]).read_bytes() if "body" in exchange else b""
        assert _look(name, account, _page(status, body)).presence is Presence.UNKNOWN


@pytest.mark.parametrize("reason", TROUBLES)
@EVERY_CHANNEL
def test_trouble_on_the_way_is_never_an_absence(name: str, reason: Reason) -> None:
    for account in _accounts(name):
        assert _look(name, account, FetchError(reason)).presence is Presence.UNKNOWN


@pytest.mark.parametrize("wall", WALLS)
@EVERY_CHANNEL
def test_a_wall_we_were_led_to_is_never_an_absence(name: str, wall: str) -> None:
    for account in _accounts(name):
        origin = "/".join((account.identity.canonical or "").split("/")[:3])
        finding = _look(name, account, _page(200, LOGIN, wall.format(origin=origin)))
        assert finding.presence is not Presence.ABSENT


def _home(name: str) -> Account:
    host = min(CHANNELS[name].HOSTS, default="annour.example")
    return Account(
        "test", f"https://{host}/", CHANNELS[name].identify(f"https://{host}/", f"https://{host}/")
    )


@EVERY_PLATFORM
def test_a_link_that_names_no_account_claims_nothing(name: str) -> None:
    home = _home(name)
    assert home.identity.key is None
    assert home.identity.kind not in {
        LinkKind.PROFILE,
        LinkKind.PAGE,
        LinkKind.GROUP,
        LinkKind.PERSON,
    }
    finding = _look(name, home, _page(404, NOT_FOUND))
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.WRONG_TARGET)


# --- No body and no text is too strange ---


def _mutated(name: str) -> st.SearchStrategy[bytes]:
    bodies = [path.read_bytes() for path in sorted((PAGES / name).glob("*.html"))] or [b""]
    return st.builds(
        lambda body, cut, junk, at: (
            body[: at % (len(body) + 1)] + junk + body[cut % (len(body) + 1) :]
        ),
        st.sampled_from(bodies),
        st.integers(0, 10**6),
        st.binary(max_size=40)
        | st.sampled_from([b"[" * 3000, b"{" * 3000, b'{"a":', b"\xff\xfe", b"<" * 500]),
        st.integers(0, 10**6),
    )


@EVERY_CHANNEL
@settings(deadline=None, max_examples=25, suppress_health_check=[HealthCheck.too_slow])
@given(data=st.data())
def test_no_body_makes_a_channel_raise(name: str, data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=300) | _mutated(name))
    status = data.draw(st.sampled_from([200, 200, 200, 301, 404, 410, 418, 503]))
    kind = data.draw(
        st.sampled_from(["text/html", "text/html; charset=x-none", "application/json", "", "x"])
    )
    headers = {"content-type": kind}
    account = data.draw(st.sampled_from(_accounts(name) or [_home(name)]))
    look = run_offline(
        CHANNELS[name].probe(account),
        lambda asked: Page(asked.url, status, headers, body, fetched_at=NOW),
    )
    assert len(look.exchanges) <= 40
    for exchange in look.exchanges:
        if isinstance(exchange.outcome, Page):
            pickle.dumps(exchange.outcome.parsed)


@EVERY_CHANNEL
@given(path=st.text(max_size=60), typed=st.text(max_size=60))
def test_no_text_makes_identify_raise(name: str, path: str, typed: str) -> None:
    channel = CHANNELS[name]
    for host in sorted(channel.HOSTS)[:1] or ["annour.example"]:
        for url in (f"https://{host}/{path}", f"https://{host}{path}"):
            if not _is_an_address(url):
                continue
            identity = channel.identify(url, typed)
            assert identity.channel == name
            assert identity.key != ""
    channel.identify_bare(typed)


def _is_an_address(url: str) -> bool:
    """What `links.clean` lets through can at least be taken apart."""
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


# --- What may know what ---


def imports_of(source: str) -> Iterator[str]:
    """Every module imported, those of `probes` by their whole name however the import is written."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            module = node.module or ""
            module = f"probes.{module}".strip(".") if node.level else module
            yield from (module,) if module != "probes" else ()
            yield from (
                f"{module}.{alias.name}"
                for alias in node.names
                if module.partition(".")[0] == "probes"
            )


def reached_from(source: str) -> set[str]:
    """The modules of `probes` a source leans on, and those they lean on. `links` finds channels by name."""
    reached: set[str] = set()
    waiting = list(imports_of(source))
    while waiting:
        module = waiting.pop()
        path = ROOT / f"{module.replace('.', '/')}.py"
        if module not in reached and module.startswith("probes.") and path.exists():
            waiting += imports_of(path.read_text(encoding="utf-8"))
        reached.add(module)
    return reached


def assert_leans_on_nothing_impure(name: str, source: str) -> None:
    for module in imports_of(source):
        pure = module in PURE or module.partition(".")[0] in PURE
        assert pure or module.startswith("probes."), (
            f"{name} imports {module}; is it pure? then add it to PURE"
        )
    reached = reached_from(source)
    assert not {module.partition(".")[0] for module in reached} & REACHING
    assert not reached & {f"probes.channels.{other}" for other in CHANNELS if other != name}


@EVERY_CHANNEL
def test_a_channel_knows_neither_network_disk_clock_nor_sibling(name: str) -> None:
    assert_leans_on_nothing_impure(
        name, (ROOT / "probes" / "channels" / f"{name}.py").read_text(encoding="utf-8")
    )


CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
CLOCKS |= {
    ("time", name) for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime")
}
FACES = ("cli", "web", "scheduling")


def _clock_reads(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if (name, node.attr) in CLOCKS:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (node.lineno for alias in node.names if ("time", alias.name) in CLOCKS)


def _is_a_face(path: Path) -> bool:
    layer, inside = path.relative_to(ROOT).parts[:2]
    return path.name == "__main__.py" or (
        layer == "auditor" and inside.removesuffix(".py").startswith(FACES)
    )


def test_nobody_below_the_faces_reads_the_wall_clock() -> None:
    sources = [
        path
        for layer in ("probes", "storage", "auditor")
        for path in sorted(ROOT.glob(f"{layer}/**/*.py"))
    ]
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sources
        if not _is_a_face(path)
    }
    reads = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in trees.items()
        for line in _clock_reads(tree)
    ]
    assert not reads, "pass `now` as an argument"


def test_the_clock_is_found_where_it_is_read() -> None:
    code = "import time\nfrom datetime import datetime\na = datetime.now()\nb = time.time\nc = time.monotonic()"
    assert sorted(_clock_reads(ast.parse(code))) == [3, 4]
