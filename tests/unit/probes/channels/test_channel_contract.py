"""The contract of every channel, including one that you add.

A channel is any public module or package of `probes.channels`. Nothing is registered here. The
sample links are those of the recorded pages, so a channel without a recorded page fails first.
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
    *("types", "typing", "unicodedata", "urllib.parse", "zlib", "bs4"),
    "publicsuffixlist",  # with the suffix list it brings along; it never fetches one
    # Tables of the package.
    *("importlib", "ipaddress", "tomli", "tomllib"),
}
"""What a channel may import from outside: nothing that reaches a network, a disk, a process or a
clock.
"""


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
"""What no module that a channel depends on may import."""


def _load_channels() -> dict[str, ChannelModule]:
    names = [module.name for module in pkgutil.iter_modules(channels.__path__)]
    return {
        name: cast("ChannelModule", importlib.import_module(f"probes.channels.{name}"))
        for name in names
        if not name.startswith("_")
    }


def _list_sources(name: str) -> list[Path]:
    """The source files of a channel: one module, or all modules of a package."""
    folder = ROOT / "probes" / "channels"
    return sorted((folder / name).glob("*.py")) or [folder / f"{name}.py"]


CHANNELS = _load_channels()
EVERY_CHANNEL_FUNCTION = ("identify", "identify_bare", "probe")
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
    assert name == channel.NAME
    assert channel.VERSION >= 1
    assert isinstance(channel.HOSTS, frozenset)
    assert all(host == host.lower().strip(".") and "/" not in host for host in channel.HOSTS)
    for function in EVERY_CHANNEL_FUNCTION:
        expected = list(inspect.signature(getattr(ChannelModule, function)).parameters)[1:]
        assert list(inspect.signature(getattr(channel, function)).parameters) == expected


@EVERY_CHANNEL
def test_channel_has_a_recorded_page_of_an_account(name: str) -> None:
    assert _accounts(name), (
        f"record a page: tests/fixtures/pages/{name}/<situation>.toml (see test_recorded_pages.py)"
    )


def list_missing_parts(name: str, config: str, texts: str) -> list[str]:
    """Return what a channel lacks outside its module, and what to add where."""
    missing = []
    table = tomllib.loads(config)["channels"].get(name)
    if table is None:
        missing.append(f"config.toml: add [channels.{name}] with canaries, and rules that name it")
    elif not table.get("canaries"):
        missing.append(f"config.toml: add an account that exists to canaries of [channels.{name}]")
    words = tomllib.loads(texts)["labels"]["channel"].get(name, {})
    for language in sorted({"ar", "en", "fr"} - words.keys()):
        place = "auditor/core/reference/gaps.toml"
        missing.append(f"{place}: add {language} to [labels.channel.{name}]")
    return missing


def _read_config_and_texts() -> tuple[str, str]:
    files = (ROOT / "config.toml", ROOT / "auditor" / "core" / "reference" / "gaps.toml")
    config, texts = (file.read_text(encoding="utf-8") for file in files)
    return config, texts


@EVERY_CHANNEL
def test_channel_has_words_and_configuration(name: str) -> None:
    assert not list_missing_parts(name, *_read_config_and_texts())


def test_missing_words_and_configuration_are_named_with_their_place() -> None:
    assert list_missing_parts("bluesky", *_read_config_and_texts()) == [
        "config.toml: add [channels.bluesky] with canaries, and rules that name it",
        "auditor/core/reference/gaps.toml: add ar to [labels.channel.bluesky]",
        "auditor/core/reference/gaps.toml: add en to [labels.channel.bluesky]",
        "auditor/core/reference/gaps.toml: add fr to [labels.channel.bluesky]",
    ]


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
    for status in (401, 403, 407, 429, 500, 502, 503, 504, 999)
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


@pytest.mark.parametrize("refusal", REFUSALS)
@EVERY_CHANNEL
def test_refusal_is_never_an_absence(name: str, refusal: str) -> None:
    for account in _accounts(name):
        finding = _probe(name, account, _page(*REFUSALS[refusal]))
        assert finding.presence is Presence.UNKNOWN


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
        finding = _probe(name, account, _page(200, LOGIN, wall.format(origin=origin)))
        assert finding.presence is not Presence.ABSENT


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
    finding = _probe(name, home, _page(404, NOT_FOUND))
    assert (finding.presence, finding.reason) == (Presence.UNKNOWN, Reason.WRONG_TARGET)


# --- Any body and any text is accepted ---


def _mutated(name: str) -> st.SearchStrategy[bytes]:
    bodies = [path.read_bytes() for path in sorted((PAGES / name).glob("*.html"))] or [b""]
    return st.builds(
        lambda body, cut, junk, position: (
            body[: position % (len(body) + 1)] + junk + body[cut % (len(body) + 1) :]
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
def test_probe_accepts_any_body(name: str, data: st.DataObject) -> None:
    body = data.draw(st.binary(max_size=300) | _mutated(name))
    status = data.draw(st.sampled_from([200, 200, 200, 301, 404, 410, 418, 503]))
    kind = data.draw(
        st.sampled_from(["text/html", "text/html; charset=x-none", "application/json", "", "x"])
    )
    headers = {"content-type": kind}
    account = data.draw(st.sampled_from(_accounts(name) or [_home(name)]))
    look = run_offline(
        CHANNELS[name].probe(account),
        lambda request: Page(request.url, status, headers, body, fetched_at=NOW),
    )
    assert len(look.exchanges) <= 40
    for exchange in look.exchanges:
        if isinstance(exchange.outcome, Page):
            pickle.dumps(exchange.outcome.parsed)


@EVERY_CHANNEL
@given(path=st.text(max_size=60), typed=st.text(max_size=60))
def test_identify_accepts_any_text(name: str, path: str, typed: str) -> None:
    channel = CHANNELS[name]
    for host in sorted(channel.HOSTS)[:1] or ["annour.example"]:
        for url in (f"https://{host}/{path}", f"https://{host}{path}"):
            if not _has_host(url):
                continue
            identity = channel.identify(url)
            assert identity.channel == name
            assert identity.key != ""
    channel.identify_bare(typed)


def _has_host(url: str) -> bool:
    """Return whether the address can be parsed, as `cells.clean_link` ensures."""
    try:
        return bool(urlsplit(url).hostname)
    except ValueError:
        return False


# --- Imports ---


def imports_of(source: str) -> Iterator[str]:
    """Yield every imported module, those of `probes` with their full name."""
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
    """Return the modules of `probes` that a source imports, directly or not."""
    reached: set[str] = set()
    waiting = list(imports_of(source))
    while waiting:
        module = waiting.pop()
        path = ROOT / f"{module.replace('.', '/')}.py"
        if not path.exists():
            path = path.with_suffix("") / "__init__.py"
        if module not in reached and module.startswith("probes.") and path.exists():
            waiting += imports_of(path.read_text(encoding="utf-8"))
        reached.add(module)
    return reached


def assert_imports_are_pure(name: str, source: str) -> None:
    for module in imports_of(source):
        pure = module in PURE or module.partition(".")[0] in PURE
        assert pure or module.startswith("probes."), (
            f"{name} imports {module}; is it pure? then add it to PURE"
        )
    reached = reached_from(source)
    assert not {module.partition(".")[0] for module in reached} & REACHING
    assert not reached & {
        f"probes.channels.{other_channel}" for other_channel in CHANNELS if other_channel != name
    }


@EVERY_CHANNEL
def test_channel_imports_no_network_disk_clock_or_other_channel(name: str) -> None:
    for source in _list_sources(name):
        assert_imports_are_pure(name, source.read_text(encoding="utf-8"))


CLOCKS = {("datetime", "now"), ("datetime", "utcnow"), ("datetime", "today"), ("date", "today")}
CLOCKS |= {
    ("time", name) for name in ("time", "time_ns", "localtime", "gmtime", "ctime", "asctime")
}
CLOCK_READERS = ("auditor/cli/", "auditor/web/", "auditor/runs/scheduling.py")


def _clock_reads(tree: ast.AST) -> Iterator[int]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Attribute):
            owner = node.value
            name = owner.attr if isinstance(owner, ast.Attribute) else getattr(owner, "id", "")
            if (name, node.attr) in CLOCKS:
                yield node.lineno
        elif isinstance(node, ast.ImportFrom) and node.module == "time":
            yield from (node.lineno for alias in node.names if ("time", alias.name) in CLOCKS)


def _may_read_clock(path: Path) -> bool:
    place = path.relative_to(ROOT).as_posix()
    return path.name == "__main__.py" or place.startswith(CLOCK_READERS)


def test_only_cli_web_and_scheduler_read_the_clock() -> None:
    sources = [
        path
        for layer in ("probes", "storage", "auditor")
        for path in sorted(ROOT.glob(f"{layer}/**/*.py"))
    ]
    trees = {
        path: ast.parse(path.read_text(encoding="utf-8"))
        for path in sources
        if not _may_read_clock(path)
    }
    reads = [
        f"{path.relative_to(ROOT)}:{line}"
        for path, tree in trees.items()
        for line in _clock_reads(tree)
    ]
    assert not reads, "pass `now` as an argument"


def test_clock_reads_are_found() -> None:
    code = (
        "import time\nfrom datetime import datetime\na = "
        "datetime.now()\nb = time.time\nc = time.monotonic()"
    )
    assert sorted(_clock_reads(ast.parse(code))) == [3, 4]
