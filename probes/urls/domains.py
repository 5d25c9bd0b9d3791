"""Names of hosts: which domain one belongs to, and whether two of them are one site's.

The public suffix list that comes with tldextract, read without the library.

Loading tldextract loads an HTTP client, and it builds a tree of all the list: a fifth of a second for each
process that asks for one name (2026-11). The file is read as it lies beside the library; a test holds the
answers equal to the library's. Nothing is ever fetched.
"""

from __future__ import annotations

from functools import lru_cache
from importlib.abc import FileLoader
from importlib.util import find_spec

from probes.text.lazy_regex import pattern

# Blogger sent each country's readers to a host of their own until 2018; registries still hold those.
_BLOGGER = pattern(r"\.blogspot\.(?:com?\.)?[a-z]{2,3}$")


@lru_cache(maxsize=4_096)
def plain(host: str) -> str:
    """The host in Unicode and lower case, without a final dot and a leading `www.`."""
    name = host.lower().rstrip(".").removeprefix("www.")
    return _BLOGGER.sub(".blogspot.com", _unicode(name))


def _unicode(name: str) -> str:
    """`xn--…` labels as they are read; what cannot be decoded stays as it is."""
    try:
        return name.encode("ascii").decode("idna") if "xn--" in name else name
    except UnicodeError:
        return name


@lru_cache(maxsize=4_096)
def registrable(host: str) -> str:
    """The part of a host's name that somebody registered: `annour.org.ma`, `annour.blogspot.com`."""
    name = plain(host)
    return registrable_suffix(name) or name


def same(one: str, other: str) -> bool:
    """Whether two hosts are of one domain, `www.`, languages' hosts and ways of writing aside."""
    return plain(one) == plain(other) or registrable(one) == registrable(other)


_RESERVED = frozenset({"example", "test", "invalid", "localhost", "onion", "local", "internal"})


@lru_cache(maxsize=1)
def _rules() -> frozenset[str]:
    """The lines of the list: `org.ma`, `*.ck`, `!www.ck`; those of hosting companies among them."""
    found = find_spec("tldextract")
    assert found is not None
    assert found.submodule_search_locations is not None
    assert isinstance(found.loader, FileLoader)
    data = found.loader.get_data(f"{found.submodule_search_locations[0]}/.tld_set_snapshot").decode()
    return frozenset(line for line in data.split("\n") if line and not line.startswith("//"))


@lru_cache(maxsize=1)
def tlds() -> frozenset[str]:
    """Every top-level domain of the list, in Unicode, and the reserved ones."""
    return frozenset({rule.rpartition(".")[2] for rule in _rules()} | _RESERVED)


def registrable_suffix(name: str) -> str:
    """The part of a name that somebody registered under a public suffix, or nothing where there is none.

    The name is lower-case and in Unicode.
    """
    labels, rules = name.split("."), _rules()
    for place in range(len(labels)):
        rest = ".".join(labels[place + 1 :])
        if f"!{labels[place]}.{rest}" in rules:
            return f"{labels[place]}.{rest}"
        if ".".join(labels[place:]) in rules or (rest and f"*.{rest}" in rules):
            return ".".join(labels[place - 1 :]) if place and labels[place - 1] else ""
    return ""
