"""The table of attacks: what a hostile site serves, and the finding that it must end in.

`tests/e2e/test_hostile_web.py` executes one run over all of them, with healthy sites between.
`python -m tests.support.hostile_server.attacks` writes docs/contributing/hostile-web.md from it.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import groupby
from pathlib import Path

from probes.models.finding import Presence, Reason
from tests.support.hostile_server import attack_bodies as bodies
from tests.support.hostile_server.attack_bodies import build_home
from tests.support.hostile_server.platforms import PLATFORM_ATTACKS
from tests.support.hostile_server.server import moved

DOCUMENT = Path(__file__).parents[3] / "docs" / "contributing" / "hostile-web.md"
INTRODUCTION = """# Hostile web

What strangers can serve, and the finding that each attack ends in. The file
`tests/support/hostile_server/attacks.py` is the table, and `make fault-matrix` writes this page
from it. `tests/e2e/test_hostile_web.py` (`make test-slow`) serves all of it on loopback with own
DNS, HTTP and TLS servers. It executes one `auditor run` over it, with healthy sites between: every
account has one observation with the finding below, the healthy ones are present, and the event
loop and the memory stay within their limits.

`tests/e2e/test_hostile_platforms.py` executes a run for each attack of the last table, in which all
platforms, their APIs and the registries send it through a proxy.

To add an attack, add a row and run the test. A finding of `crashed` is always a bug.

## Memory

The run is in a cgroup with 1 GB and 100 processes (root, cgroup v1 or v2), in which the kernel must
refuse nothing. Where no cgroup can be made, each process of the run can allocate 1 GB. The test
measures the proportional memory of all processes together, which must stay below 400 MB.
"""
OTHER_TESTS = """## Attacks of other tests

The tests of these rows are in the [fault matrix](fault-matrix.md).

| attack | rows |
|---|---|
| Spellings of private addresses, DNS answers that change, redirects inwards | F01, F02, F03 |
| Name servers that never answer, deny every name or send random bytes | F04, F05 |
| Connections that are refused, ignored or reset | F06 |
| Cookies, and proxies of the environment | F19, F21 |
| Malformed international names, also after a redirect | F84 |
| Retries without end, and `Retry-After` in every form | F26, F27, F28, F33 |
| One host with 500 accounts is down, and our own network | F30, F31 |
| Uploads before the access check | F71 |
| Scripts in names, and formulas | F54, F55 |
| Logins, copied cookies, forged requests, foreign `next` addresses, report links | F56 to F60 |
| Environments in which parsers crash or have too little memory | F85, F86 |
"""
FUZZING = """## Fuzzing

`make fuzz` gives random inputs to what reads all of this, guided by coverage: the probe and the API
of each channel, feeds, sitemaps, robots.txt, structured data, charsets, links, dates,
registries, HTTP responses, DNS answers, requests to the pages, spreadsheets and configurations.
The targets are in `tests/fuzz`. Add an input that fails to `tests/fuzz/corpus`: `make test` tries
those.

Ten minutes on two busy cores (November 2026) tried 1,529,703 inputs on 28 targets. Covered branches
grew most for websites (683 to 1,074), links (260 to 393), CSV (934 to 1,034), the API of X (458 to
553), URLs (215 to 281), the pages of YouTube (650 to 697), sitemaps (90 to 125) and requests (363
to 395). The inputs found two errors:

- A request with a malformed body to a page wrote a traceback to the log.
- An address whose query had only punctuation had another key after it was exported and imported.
"""
PLATFORMS_HEADING = """## Platforms, APIs and registries

| attack | what every such host serves | finding of every account and registry |
|---|---|---|"""


@dataclass(frozen=True)
class Attack:
    """One hostile site.

    `home` is the response of its home page, or the name of a fault of `server.py`. `paths` are its
    other pages. `tls` names a fault of `tls_faults.py`. `dns` is the answer of the name server, as
    in `names.py`. A `link` is registered as it is, and needs no site.
    """

    area: str
    name: str
    serves: str
    reason: Reason | None
    presence: Presence = Presence.UNKNOWN
    detail: str = ""  # part of the finding's detail
    home: bytes | str = b""
    paths: dict[str, bytes | str] = field(default_factory=dict)
    tls: str = ""
    dns: object = None
    link: str = ""

    @property
    def host(self) -> str:
        """Return the host name of the site."""
        return f"{self.name}.example"

    def build_url(self, port: int) -> str:
        """Return the registered link, if the site listens on this port."""
        return self.link or f"http{'s' * bool(self.tls)}://{self.host}:{port}/"


FAULTS = {  # faults of server.py that are home pages: what they are, and the reason
    "missing": ("404", Reason.NOT_FOUND),
    "gone": ("410", Reason.NOT_FOUND),
    "members": ("401", Reason.LOGIN_WALL),
    "refused": ("403", Reason.BLOCKED),
    "unacceptable": ("406", Reason.BLOCKED),
    "linkedin": ("999", Reason.BLOCKED),
    "robotsdown": ("503", Reason.SERVER_ERROR),
    "reset": ("A reset before the response", Reason.NETWORK),
    "resetbody": ("A reset in the body", Reason.NETWORK),
    "hang": ("Nothing, for ever", Reason.TIMEOUT),
    "silence": ("A closed connection", Reason.NETWORK),
    "garbage": ("Random bytes", Reason.NETWORK),
    "short": ("10 of 100 bytes", Reason.NETWORK),
    "badchunk": ("A chunk size that is no number", Reason.NETWORK),
    "slowheaders": ("A header every 0.05 s, for ever", Reason.TIMEOUT),
    "slowbyte": ("The same letter every 0.05 s", Reason.NETWORK),
    "slowbody": ("A byte of the body every 0.05 s", Reason.TIMEOUT),
    "earlyhints": ("Interim responses, for ever", Reason.NETWORK),
    "headerflood": ("Headers without end", Reason.NETWORK),
    "hugeheader": ("A header of 1 MB", Reason.NETWORK),
    "chunkextension": ("A chunk extension without end", Reason.NETWORK),
    "trailerflood": ("Trailers without end", Reason.NETWORK),
    "bomb": ("256 MB in 260 kB of gzip", Reason.TOO_LARGE),
    "deflatebomb": ("64 MB of deflate", Reason.TOO_LARGE),
    "gzipgzip": ("gzip in gzip", Reason.UNREADABLE),
    "codings": ("200 content codings", Reason.UNREADABLE),
    "brotli": ("Brotli, which was not asked for", Reason.UNREADABLE),
    "zstd": ("Zstandard, which was not asked for", Reason.UNREADABLE),
    "notgzip": ("Text that is called gzip", Reason.UNREADABLE),
    "nocontent": ("204 with a body", Reason.UNREADABLE),
    "empty": ("An empty page", Reason.UNREADABLE),
    "upgrade": ("101 and another protocol", Reason.UNREADABLE),
    "pdf": ("A PDF document", Reason.UNREADABLE),
    "cutgzip": ("gzip of no text that is cut off", Reason.UNREADABLE),
}
SHOWN_FAULTS = {  # faults that end with a page that is read
    "endless": "A body without end",
    "endlesschunks": "Chunks without end",
}
REDIRECTS = {
    "loop": ("To itself", Reason.SERVER_ERROR),
    "redirect/1": ("To another page each time", Reason.SERVER_ERROR),
    "fatredirect": ("With a body without end, to a page of two letters", Reason.EMPTY),
    "login": ("To `/login`", Reason.LOGIN_WALL),
    "nolocation": ("Without a target", Reason.EMPTY),
    "emptylocation": ("With an empty target", Reason.EMPTY),
    "twolocations": ("With two targets", Reason.EMPTY),
    "utf8location": ("To a target in UTF-8", Reason.EMPTY),
    "latin1location": ("To a target in Latin-1", Reason.EMPTY),
    "scriptlocation": ("To `javascript:`", Reason.UNSAFE_ADDRESS),
    "bracketlocation": ("To `http://[::1`", Reason.UNSAFE_ADDRESS),
    "portlocation": ("To a port that is no number", Reason.UNSAFE_ADDRESS),
    "spacelocation": ("To a host with a space", Reason.UNSAFE_ADDRESS),
    "inwardlocation": ("To a private address", Reason.UNSAFE_ADDRESS),
    "mappedlocation": ("To a private address in IPv6", Reason.UNSAFE_ADDRESS),
    "maillocation": ("To port 25", Reason.UNSAFE_ADDRESS),
    "filelocation": ("To a file", Reason.UNSAFE_ADDRESS),
    "backslashlocation": ("To a host with a backslash", Reason.UNSAFE_ADDRESS),
}
MOVES = {  # targets of other redirects
    "userinfo": (b"http://admin:secret@10.0.0.1/", "To a private address with a password"),
    "decimal": (b"http://2130706433/", "To `127.0.0.1` as one number"),
    "octal": (b"http://0177.0.0.1/", "To `127.0.0.1` in octal"),
    "metadata": (b"http://169.254.169.254/latest/", "To the metadata of a cloud"),
    "inwardname": (b"http://privatename.example/", "To a name with a private address"),
    "websocket": (b"ws://127.0.0.1/", "To `ws:`"),
    "circled": ("http://①②⑦.⓪.⓪.①/".encode(), "To `127.0.0.1` in circled digits"),
    "tabbed": (b"http://10.0.\t0.1/", "To a private address with a tab"),
    "portzero": (b"http://93.184.215.14:0/", "To port 0"),
    "gopher": (b"gopher://a.example/", "To `gopher:`"),
    "datascheme": (b"data:text/html,Amal", "To `data:`"),
    "longtarget": (b"/" + b"a" * 70_000, "To a URL of 70 kB"),
}
TLS_FAULTS = {  # what is served, and the reason; some servers close without saying why
    "expired": ("An expired certificate", Reason.TLS),
    "not_yet_valid": ("A certificate of the future", Reason.TLS),
    "self_signed": ("A self-signed certificate", Reason.TLS),
    "untrusted": ("A certificate of an unknown authority", Reason.TLS),
    "incomplete_chain": ("A certificate without its intermediate", Reason.TLS),
    "wrong_host": ("A certificate of another host", Reason.TLS),
    "weak_key": ("An RSA key of 1,024 bits", Reason.TLS),
    "no_san": ("A host in the common name only", Reason.TLS),
    "bad_names": ("A self-signed certificate with malformed names", Reason.TLS),
    "many_names": ("A certificate of 5,000 other hosts", Reason.TLS),
    "plain": ("HTTP without TLS", Reason.TLS),
    "old_protocol": ("TLS 1.1 only, closed without an alert", Reason.NETWORK),
    "weak_cipher": ("A cipher without encryption, closed without an alert", Reason.NETWORK),
    "unknown_name": ("An unknown host name, closed without an alert", Reason.NETWORK),
    "client_certificate": ("A demand for a client certificate", Reason.NETWORK),
    "stall": ("A handshake that never goes on", Reason.TIMEOUT),
}
NAMES: dict[str, tuple[str, object, Reason]] = {
    "nxdomain": ("A name that does not exist", "NXDOMAIN", Reason.NO_SUCH_HOST),
    "servfail": ("A failing server", "SERVFAIL", Reason.NETWORK),
    "dnsrefused": ("A server that refuses", "REFUSED", Reason.NETWORK),
    "dnssilent": ("A silent server", "silent", Reason.TIMEOUT),
    "nodata": ("A name without addresses", [], Reason.NETWORK),
    "dnsgarbage": ("Random bytes", b"\x81\x80" + bytes(range(200)), Reason.NETWORK),
    "privatename": ("`10.0.0.5`", ["10.0.0.5"], Reason.UNSAFE_ADDRESS),
    "mixed": ("A good and a private address", ["127.0.0.1", "10.0.0.5"], Reason.UNSAFE_ADDRESS),
    "mapped": ("`::ffff:10.0.0.5`", ["::ffff:10.0.0.5"], Reason.UNSAFE_ADDRESS),
    "nat64": ("`64:ff9b::a00:5`", ["64:ff9b::a00:5"], Reason.UNSAFE_ADDRESS),
    "cloud": ("`169.254.169.254`", ["169.254.169.254"], Reason.UNSAFE_ADDRESS),
    "azure": ("`168.63.129.16`", ["168.63.129.16"], Reason.UNSAFE_ADDRESS),
    "multicast": ("`224.0.0.1`", ["224.0.0.1"], Reason.UNSAFE_ADDRESS),
    "zero": ("`0.0.0.0`", ["0.0.0.0"], Reason.UNSAFE_ADDRESS),
    "loopback6": ("`::1`", ["::1"], Reason.UNSAFE_ADDRESS),
    "rebinding": (
        "A private address from the second lookup on",
        [["10.0.0.5"]],
        Reason.UNSAFE_ADDRESS,
    ),
    "hundred": (
        "100 private addresses",
        [f"10.0.0.{n}" for n in range(100)],
        Reason.UNSAFE_ADDRESS,
    ),
}
LINKS = {
    "addressdecimal": "http://2130706433/",
    "addressshort": "http://127.1/",
    "addresshex": "http://0x7f.1/",
    "addresszero": "http://0/",
    "addresscircled": "http://①⓪.⓪.⓪.①/",
    "addressmetadata": "http://169.254.169.254/latest/meta-data/",
    "addressmapped": "http://[::ffff:10.0.0.1]/",
    "addresssiit": "http://[::ffff:0:127.0.0.1]/",
    "addresslocal": "http://169.254.1.1/",
    "portssh": "http://93.184.215.14:22/",
}
FILE_FAULTS = (  # faults of server.py that are a feed, a sitemap or a robots.txt
    *("reset", "endless", "headerflood", "loop", "inwardlocation", "hang", "bomb", "gzipgzip"),
    *("notgzip", "cutgzip", "garbage", "fatredirect", "resetbody", "chunkextension", "earlyhints"),
)
REFRESH = b'<meta http-equiv="refresh" content="0; url=%s">'
HOME_REDIRECTS = {
    "refreshself": ("Refresh to itself", b"/"),
    "refreshinward": ("Refresh to a private address", b"http://10.0.0.1/"),
    "refreshscript": ("Refresh to `javascript:`", b"javascript:alert(1)"),
}


HIDDEN_TEXTS = {  # pages whose text begins after the 512 KiB that are parsed, or that have none
    "jpegpage": Reason.UNREADABLE,
    "zippage": Reason.UNREADABLE,
    "metas": Reason.TOO_LARGE,
    "titlelong": Reason.TOO_LARGE,
    "jsonmany": Reason.TOO_LARGE,
    "jsonsame": Reason.TOO_LARGE,
    "openscript": Reason.SCRIPT_ONLY,
}


def _list_http() -> list[Attack]:
    attacks = [
        Attack("HTTP", f"fault{name}", serves, reason, _presence_of(reason), home=name)
        for name, (serves, reason) in FAULTS.items()
    ]
    attacks += [
        Attack("HTTP", f"fault{name}", serves, None, Presence.PRESENT, home=name)
        for name, serves in SHOWN_FAULTS.items()
    ]
    attacks += [
        Attack(
            "HTTP",
            name,
            f"Message `{name}`, which browsers show",
            None,
            Presence.PRESENT,
            home=message,
        )
        for name, message in bodies.SHOWN_MESSAGES.items()
    ]
    attacks += [
        Attack("HTTP", name, f"Message `{name}`", Reason.NETWORK, home=message)
        for name, message in bodies.BROKEN_MESSAGES.items()
    ]
    return attacks + [
        Attack("HTTP", name, f"Message `{name}`", _find_status_reason(name), home=message)
        for name, message in bodies.STATUSES.items()
    ]


def _find_status_reason(name: str) -> Reason:
    if name == "status408":
        return Reason.BLOCKED
    return Reason.SERVER_ERROR if name.startswith("status") else Reason.RATE_LIMITED


def _list_redirects() -> list[Attack]:
    attacks = [
        Attack("Redirects", name.split("/")[0], serves, reason, home=name)
        for name, (serves, reason) in REDIRECTS.items()
    ]
    attacks += [
        Attack("Redirects", name, serves, Reason.UNSAFE_ADDRESS, home=moved(target))
        for name, (target, serves) in MOVES.items()
    ]
    return attacks + [
        Attack("Redirects", name, serves, None, Presence.PRESENT, home=build_home(REFRESH % target))
        for name, (serves, target) in HOME_REDIRECTS.items()
    ]


def _list_tls() -> list[Attack]:
    return [
        Attack("TLS", name.replace("_", "-"), serves, reason, tls=name)
        for name, (serves, reason) in TLS_FAULTS.items()
    ]


def _list_dns() -> list[Attack]:
    attacks = [
        Attack("DNS", name, serves, reason, _presence_of(reason), dns=answers)
        for name, (serves, answers, reason) in NAMES.items()
    ]
    return attacks + [
        Attack("Links", name, f"`{link}`", Reason.UNSAFE_ADDRESS, dns=["127.0.0.1"], link=link)
        for name, link in LINKS.items()
    ]


def _list_pages() -> list[Attack]:
    attacks = [
        Attack("Pages", name, serves, *_expect_page(name), home=home)
        for name, (serves, home) in bodies.PARSER_BOMBS.items()
    ]
    attacks += [
        Attack("Titles", name, serves, *_expect_page(name), home=build_home(title=title))
        for name, (serves, title) in bodies.TITLES.items()
    ]
    return attacks + [_build_charset_attack(n, kind) for n, kind in enumerate(bodies.CHARSETS)]


def _expect_page(name: str) -> tuple[Reason | None, Presence]:
    reason = HIDDEN_TEXTS.get(name)
    return reason, Presence.UNKNOWN if reason else Presence.PRESENT


def _build_charset_attack(number: int, charset: bytes) -> Attack:
    serves = f"`{charset.decode()}`" if len(charset) in range(2, 20) else f"{len(charset)} bytes"
    home = bodies.build_html(b"text/html; charset=" + charset, bodies.PAGE)
    return Attack("Charsets", f"charset{number}", serves, None, Presence.PRESENT, home=home)


def _list_files() -> list[Attack]:
    linked = build_home(bodies.FEED_LINK)
    tables = (
        ("Feeds", bodies.FEEDS, "feed", linked),
        ("Sitemaps", bodies.SITEMAPS, "sitemap.xml", build_home()),
        ("robots.txt", bodies.ROBOTS, "robots.txt", linked),
    )
    attacks = [
        Attack(area, name, serves, None, Presence.PRESENT, home=home, paths={path: response})
        for area, table, path, home in tables
        for name, (serves, response) in table.items()
    ]
    return attacks + [
        Attack(area, name, serves, None, Presence.PRESENT, home=home, paths={path: response})
        for area, _, path, home in tables
        for name, serves, response in _list_other_files(area)
    ]


def _list_other_files(area: str) -> Iterator[tuple[str, str, bytes | str]]:
    """Yield the name, the description and the response of what a file may be instead."""
    prefix = area.removesuffix("s").removesuffix(".txt").lower()
    for fault in FILE_FAULTS:
        yield f"{prefix}{fault}", f"Fault `{fault}` of the table above", fault
    for name, (serves, response) in bodies.FILE_BODIES.items():
        yield f"{prefix}{name}", serves, response


def _presence_of(reason: Reason) -> Presence:
    is_absent = reason in {Reason.NOT_FOUND, Reason.NO_SUCH_HOST}
    return Presence.ABSENT if is_absent else Presence.UNKNOWN


ATTACKS = (
    *_list_http(),
    *_list_redirects(),
    *_list_tls(),
    *_list_dns(),
    *_list_pages(),
    *_list_files(),
)


def render_document() -> str:
    """Return the Markdown text of docs/contributing/hostile-web.md."""
    sections = [INTRODUCTION]
    for area, attacks in groupby(ATTACKS, key=lambda attack: attack.area):
        sections += [f"## {area}", "", "| attack | what is served | finding |", "|---|---|---|"]
        sections += [
            f"| {attack.name} | {attack.serves} | {_describe_finding(attack)} |"
            for attack in attacks
        ]
        sections.append("")
    sections.append(PLATFORMS_HEADING)
    for name, attack in PLATFORM_ATTACKS.items():
        sections.append(f"| {name} | {attack.serves} | unknown, `{attack.reason}` |")
    return "\n".join([*sections, "", OTHER_TESTS, FUZZING])


def _describe_finding(attack: Attack) -> str:
    finding = f"{attack.presence}" + (f", `{attack.reason}`" if attack.reason else "")
    return finding + (f", “{attack.detail}”" if attack.detail else "")


if __name__ == "__main__":
    DOCUMENT.write_text(render_document(), encoding="utf-8")
