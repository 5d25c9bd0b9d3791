"""Registrable domains of hosts, from the public suffix list of the package `publicsuffixlist`.

Also the addresses of DNS questions about them, and the RDAP services of registries
(`rdap_services.json`, from IANA's bootstrap list, RFC 9224). Makes no network requests.
"""

import json
import re
from collections.abc import Iterable
from contextlib import suppress
from functools import lru_cache
from importlib.resources import files

from publicsuffixlist import PublicSuffixList

# Blogger used one host per country until 2018. Spreadsheets still contain them.
_BLOGSPOT_COUNTRY_SUFFIX = re.compile(r"\.blogspot\.(?:com?\.)?[a-z]{2,3}$")
SHARED_DOMAINS = frozenset(
    [
        *("google.com", "wordpress.com", "blogspot.com", "tumblr.com", "medium.com"),
        *("wix.com", "wixsite.com", "weebly.com", "squarespace.com", "strikingly.com"),
        *("mystrikingly.com", "site123.me", "business.site", "godaddysites.com", "canva.site"),
        *("jimdo.com", "jimdofree.com", "jimdosite.com", "webnode.com", "webnode.fr"),
        *("webnode.page", "e-monsite.com", "over-blog.com", "over-blog.fr", "canalblog.com"),
        *("hautetfort.com", "unblog.fr", "centerblog.net", "skyrock.com", "blog4ever.com"),
        *("free.fr", "orange.fr", "wanadoo.fr", "pagesperso-orange.fr", "ucoz.com"),
        *("assoconnect.com", "helloasso.com", "000webhostapp.com", "forumactif.com"),
        *("livejournal.com", "sitew.com", "yolasite.com", "webs.com", "maktoobblog.com"),
        *("github.com", "linktr.ee", "issuu.com", "archive.org", "yahoo.com"),
    ]
)
"""Domains of hosting platforms that are not in the private part of the public suffix list."""
DNS_SCHEME = "dns:"
MAX_HOST_CHARS = 253
"""Characters of a host name (RFC 1035). Decoding a longer one takes quadratic time."""
DNS_URL_PATTERN = re.compile(r"dns:((?:[a-z0-9_-]{1,63}\.)+[a-z0-9-]{1,63})\?type=(NS|A)")
"""The address of a question that the auditor asks: a name in ASCII, and the type of its records."""


@lru_cache(maxsize=4_096)
def normalize_host(host: str) -> str:
    """Return the host in Unicode and lower case, without a final dot and a leading `www.`.

    Does not validate the host. `probes.links.normalize.parse_host` does.
    """
    name = host.lower().rstrip(".").removeprefix("www.")
    if "xn--" in name and len(name) <= MAX_HOST_CHARS:
        with suppress(UnicodeError):  # a name that cannot be decoded stays
            name = name.encode("ascii").decode("idna")
    return _BLOGSPOT_COUNTRY_SUFFIX.sub(".blogspot.com", name)


def is_in_domains(host: str, domains: Iterable[str]) -> bool:
    """Return True if a host is one of the domains, or a subdomain of one."""
    return any(f".{host}".endswith(f".{domain}") for domain in domains)


@lru_cache(maxsize=4_096)
def get_registrable_domain(host: str) -> str:
    """Return the registered part of a host: `annour.org.ma`, `annour.blogspot.com`.

    A host without a known suffix is returned whole.
    """
    name = normalize_host(host)
    return match_registrable_domain(name) or name


def is_same_domain(first_host: str, second_host: str) -> bool:
    """Return True if two hosts have the same registrable domain."""
    return get_registrable_domain(first_host) == get_registrable_domain(second_host)


@lru_cache(maxsize=4_096)
def get_own_domain(host: str) -> str:
    """Return the domain that was registered for a host, or "" if a platform owns the domain.

    `annour.blogspot.com` and `annour.wordpress.com` are names that a platform gave away. A host
    without a known suffix, such as an IP address, has no domain.
    """
    name = match_registrable_domain(normalize_host(host))
    is_platform = name in SHARED_DOMAINS or name != _load_icann_list().privatesuffix(name)
    return "" if is_platform else name


@lru_cache(maxsize=1)
def _load_icann_list() -> PublicSuffixList:
    """Load the suffixes of registries, without those of platforms."""
    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=False, only_icann=True)


@lru_cache(maxsize=1)
def load_suffix_list() -> PublicSuffixList:
    """Load the public suffix list, private suffixes included.

    Hosts are normalized to Unicode, and the list without Punycode is loaded in a third of the time.
    """
    return PublicSuffixList(accept_unknown=False, accept_encoded_idn=False)


def is_top_level_domain(label: str) -> bool:
    """Return True if a lower-case Unicode label is a listed or reserved (RFC 6761) TLD."""
    if label in {"example", "test", "invalid", "localhost", "onion", "local", "internal"}:
        return True
    # Some TLDs are listed by their second-level registries only: in 2026-11, South Africa's `za`.
    names = (label, f"co.{label}", f"com.{label}")
    return any(load_suffix_list().publicsuffix(name) == name for name in names)


def match_registrable_domain(name: str) -> str:
    """Return the registrable domain of a lower-case Unicode name, or an empty string."""
    return load_suffix_list().privatesuffix(name) or ""


def encode_domain(domain: str) -> str:
    """Return a domain in ASCII, or "" if it cannot be encoded or is too long."""
    with suppress(UnicodeError):
        if len(domain) <= MAX_HOST_CHARS:
            return domain.encode("idna").decode("ascii").lower()
    return ""


@lru_cache(maxsize=1)
def _load_services() -> dict[str, str]:
    """Return the address of the RDAP service of each top-level domain, in ASCII."""
    text = files("probes.links").joinpath("rdap_services.json").read_text("utf-8")
    services: dict[str, str] = {}
    for url, tlds in json.loads(text)["services"].items():
        services.update(dict.fromkeys(tlds.split(), url))
    return services


def find_rdap_service(domain: str) -> str | None:
    """Return the address of the RDAP service for a domain, or None if its registry has none."""
    return _load_services().get(encode_domain(domain).rpartition(".")[2])
