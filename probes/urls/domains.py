"""Domain names: the registrable domain of a host, and whether two hosts belong to one domain.

The public suffix list comes with the package `publicsuffixlist`. Nothing is fetched.
"""

from __future__ import annotations

from functools import lru_cache

from publicsuffixlist import PublicSuffixList

from probes.text.lazy_regex import lazy_regex

# Blogger sent each country's readers to a host of their own until 2018; registries still hold those.
_BLOGSPOT_COUNTRY_SUFFIX = lazy_regex(r"\.blogspot\.(?:com?\.)?[a-z]{2,3}$")


@lru_cache(maxsize=4_096)
def normalize_host(host: str) -> str:
    """The host in Unicode and lower case, without a final dot and a leading `www.`."""
    name = host.lower().rstrip(".").removeprefix("www.")
    return _BLOGSPOT_COUNTRY_SUFFIX.sub(".blogspot.com", _decode_punycode(name))


def _decode_punycode(name: str) -> str:
    """`xn--…` labels as they are read; what cannot be decoded stays as it is."""
    try:
        return name.encode("ascii").decode("idna") if "xn--" in name else name
    except UnicodeError:
        return name


@lru_cache(maxsize=4_096)
def get_registrable_domain(host: str) -> str:
    """The part of a host's name that somebody registered: `annour.org.ma`, `annour.blogspot.com`."""
    name = normalize_host(host)
    return match_registrable_domain(name) or name


def is_same_domain(first_host: str, second_host: str) -> bool:
    """Whether two hosts are of one domain, `www.`, languages' hosts and ways of writing aside."""
    return normalize_host(first_host) == normalize_host(second_host) or get_registrable_domain(
        first_host
    ) == get_registrable_domain(second_host)


_RESERVED_TLDS = frozenset(
    {"example", "test", "invalid", "localhost", "onion", "local", "internal"}
)


@lru_cache(maxsize=1)
def load_suffix_list() -> PublicSuffixList:
    """Parse the public suffix list, with the suffixes of hosting companies (10 ms, once a process)."""
    return PublicSuffixList(accept_unknown=False)


def is_top_level_domain(label: str) -> bool:
    """Return True if a lower-case Unicode label is a listed or a reserved (RFC 6761) top-level domain."""
    return label in _RESERVED_TLDS or load_suffix_list().publicsuffix(label) is not None


def match_registrable_domain(name: str) -> str:
    """Return the registrable domain of a lower-case Unicode name, or an empty string if it has none."""
    return load_suffix_list().privatesuffix(name) or ""
