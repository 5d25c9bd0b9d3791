"""The table of attacks: what a hostile site serves, and the finding that it must end in.

`tests/e2e/test_hostile_web.py` executes one run over all of them, with healthy sites between.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from probes.models.finding import Presence, Reason
from tests.support.hostile_server import attack_bodies as bodies
from tests.support.hostile_server.attack_bodies import build_home
from tests.support.hostile_server.server import moved


@dataclass(frozen=True)
class Attack:
    """One hostile site. `serves` describes it; a site without a `reason` is present.

    `home` is the response of its home page, or the name of a fault of `server.py`. `paths` are its
    other pages. `tls` names a fault of `authority.py`. `dns` is the answer of the name server, as
    in `names.py`. A `link` is registered as it is, and needs no site.
    """

    name: str
    serves: str
    reason: Reason | None
    home: bytes | str = b""
    paths: dict[str, bytes | str] = field(default_factory=dict)
    tls: str = ""
    dns: object = None
    link: str = ""

    @property
    def presence(self) -> Presence:
        """Return what the run must find."""
        if self.reason is None:
            return Presence.PRESENT
        is_absent = self.reason in {Reason.NOT_FOUND, Reason.NO_SUCH_HOST}
        return Presence.ABSENT if is_absent else Presence.UNKNOWN

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
NAMES: dict[str, tuple[str, object, Reason]] = {  # what the DNS answers, as text and as data
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

FILES = {  # the path, a home page that leads to the file, and the attacks by it
    "feed": ("feed", build_home(bodies.FEED_LINK), bodies.FEEDS),
    "sitemap": ("sitemap.xml", build_home(), bodies.SITEMAPS),
    "robots": ("robots.txt", build_home(bodies.FEED_LINK), bodies.ROBOTS),
}
OTHER_FILES = {fault: (f"`{fault}`", fault) for fault in FILE_FAULTS} | bodies.FILE_BODIES
"""What each of these files may be instead."""
ATTACKS = (
    *(Attack(f"fault{name}", serves, reason, name) for name, (serves, reason) in FAULTS.items()),
    *(Attack(f"fault{name}", serves, None, name) for name, serves in SHOWN_FAULTS.items()),
    *(Attack(name, name, None, message) for name, message in bodies.SHOWN_MESSAGES.items()),
    *(
        Attack(name, name, Reason.NETWORK, message)
        for name, message in bodies.BROKEN_MESSAGES.items()
    ),
    *(Attack(name, name, reason, message) for name, (message, reason) in bodies.STATUSES.items()),
    *(
        Attack(name.split("/")[0], serves, reason, name)
        for name, (serves, reason) in REDIRECTS.items()
    ),
    *(
        Attack(name, serves, Reason.UNSAFE_ADDRESS, moved(target))
        for name, (target, serves) in MOVES.items()
    ),
    *(
        Attack(name, serves, None, build_home(REFRESH % target))
        for name, (serves, target) in HOME_REDIRECTS.items()
    ),
    *(
        Attack(name.replace("_", "-"), serves, reason, tls=name)
        for name, (serves, reason) in TLS_FAULTS.items()
    ),
    *(
        Attack(name, serves, reason, dns=answers)
        for name, (serves, answers, reason) in NAMES.items()
    ),
    *(
        Attack(name, link, Reason.UNSAFE_ADDRESS, dns=["127.0.0.1"], link=link)
        for name, link in LINKS.items()
    ),
    *(
        Attack(name, serves, HIDDEN_TEXTS.get(name), home)
        for name, (serves, home) in bodies.PARSER_BOMBS.items()
    ),
    *(
        Attack(name, serves, HIDDEN_TEXTS.get(name), build_home(title=title))
        for name, (serves, title) in bodies.TITLES.items()
    ),
    *(
        Attack(
            f"charset{number}",
            repr(charset[:20]),
            None,
            bodies.build_html(b"text/html; charset=" + charset, bodies.PAGE),
        )
        for number, charset in enumerate(bodies.CHARSETS)
    ),
    *(
        Attack(name, serves, None, home, {path: response})
        for path, home, table in FILES.values()
        for name, (serves, response) in table.items()
    ),
    *(
        Attack(f"{kind}{name}", f"{kind}: {serves}", None, home, {path: response})
        for kind, (path, home, _) in FILES.items()
        for name, (serves, response) in OTHER_FILES.items()
    ),
)
