"""Names of hosts: which domain one belongs to, and whether two of them are one site's."""

from __future__ import annotations

from functools import lru_cache

from probes import suffixes
from probes.pattern import pattern

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
    return suffixes.registrable(name) or name


def same(one: str, other: str) -> bool:
    """Whether two hosts are of one domain, `www.`, languages' hosts and ways of writing aside."""
    return plain(one) == plain(other) or registrable(one) == registrable(other)
