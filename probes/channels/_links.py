"""Reads the addresses of a platform by a table, in the same way for every channel.

An address is split once, into host, path and query. The first segment of the path says what the
address leads to: the table maps it to a kind of link, to an identity or to a function. Any other
first segment is the name of an account.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple
from urllib.parse import SplitResult, unquote, urlsplit

from probes.links import normalize
from probes.models.finding import Identity, LinkKind

_COMMON_PAGES = frozenset(
    {"about", "help", "login", "privacy", "search", "signin", "signup", "terms"}
)
"""First segments that are pages of nearly every platform, never the name of an account."""
_USUAL_SUBDOMAINS = re.compile("(?:|www|m)")
_ROUTE_PATTERN = re.compile(r"!?(/.+)")
"""The page after `#!` or `#` in addresses of 2009 to 2012, such as `/#!/name`."""


class PlatformLink(NamedTuple):
    """An address on one of a platform's hosts.

    `name`, `second` and `third` are the first segments of its path, or "". `rest` are all segments
    after the first.
    """

    name: str
    second: str
    third: str
    rest: list[str]
    query: dict[str, str]
    fragment: str


LinkReader = Callable[[PlatformLink], Identity | None]
"""Reads an address. Returns None for one that it does not cover."""
LinkEntry = LinkKind | Identity | LinkReader


@dataclass(frozen=True, slots=True)
class LinkTable:
    """A table of how the addresses of a platform are read.

    - `hosts` are the HOSTS of the channel. Of their subdomains, only those that `subdomains`
      matches show the platform's pages.
    - `sections` say what the first segment of a path leads to. A segment with a slash (`p/`) counts
      only if something follows it.
    - `read_account` reads the paths that no section covers, if these begin with an account's name.
      The usual pages of platforms, such as `/login`, never get there.
    - `other_hosts` are hosts whose paths have another form, such as short links.
    - `clean_segments` removes what precedes the first segment: a language, a prefix of an app.
    """

    channel: str
    hosts: frozenset[str]
    sections: Mapping[str, LinkEntry]
    read_account: LinkReader = lambda _link: None
    subdomains: re.Pattern[str] = _USUAL_SUBDOMAINS
    other_hosts: Mapping[str, LinkEntry] = field(default_factory=dict)
    clean_segments: Callable[[list[str]], list[str]] = list

    def identify(self, url: str) -> Identity:
        """Identify the account in a cleaned address on one of the hosts."""
        parts = normalize.parse_url(url)
        if not parts.netloc:
            return Identity(self.channel, LinkKind.INVALID, url=url)
        return self.identify_parts(parts).with_url(url)

    def identify_parts(self, parts: SplitResult) -> Identity:
        """Identify the account in an address that is split already.

        A path after `#!` replaces that of the address. A host alone is the start page, unless
        nothing on it belongs to the platform.
        """
        host = (parts.hostname or "").removesuffix(".")
        route = _ROUTE_PATTERN.fullmatch(unquote(parts.fragment))
        if route:
            parts = urlsplit(f"https://{host}{route[1]}")
        segments = normalize.split_path(parts.path)
        query = normalize.parse_query(parts.query)
        entry = self._find_host_entry(host)
        if entry is not LinkKind.INVALID and not any((segments, parts.query, parts.fragment)):
            return Identity(self.channel, LinkKind.HOME)
        segments = self.clean_segments(segments)
        name, second, third, *_ = [*segments, "", "", ""]
        link = PlatformLink(name, second, third, segments[1:], query, parts.fragment)
        return self._read(entry, link) or Identity(self.channel, LinkKind.INVALID)

    def _find_host_entry(self, host: str) -> LinkEntry:
        """Return how all addresses on a host are read.

        That is the reader of the usual paths, unless `other_hosts` has the host or its own domain.
        Other subdomains than `subdomains` lead to nothing.
        """
        own_host = host
        while own_host and own_host not in self.hosts:
            own_host = own_host.partition(".")[2]
        subdomain = host.removesuffix(own_host).removesuffix(".")
        is_usual = self.subdomains.fullmatch(subdomain)
        usual: LinkEntry = self._read_section if is_usual else LinkKind.INVALID
        return self.other_hosts.get(host, self.other_hosts.get(own_host, usual))

    def _read_section(self, link: PlatformLink) -> Identity | None:
        """Return what the first segment leads to, or the account that it names.

        Without a segment, the address is that of the start page.
        """
        section = link.name.lower()
        entry = self.sections.get(section, None if section else LinkKind.HOME)
        if link.rest:
            entry = self.sections.get(f"{section}/", entry)
        identity = self._read(entry, link)
        return identity or (None if section in _COMMON_PAGES else self.read_account(link))

    def _read(self, entry: LinkEntry | None, link: PlatformLink) -> Identity | None:
        if entry is None or isinstance(entry, Identity):
            return entry
        return Identity(self.channel, entry) if isinstance(entry, LinkKind) else entry(link)


def is_language_prefix(segment: str, next_segment: str) -> bool:
    """Return True for a language before another segment, such as `/fr/name`."""
    return bool(next_segment) and normalize.is_locale(segment)


def drop_prefix(
    segments: list[str], is_prefix: Callable[[str, str], bool] = is_language_prefix
) -> list[str]:
    """Return the segments of a path without the first one if it is a prefix of the second.

    `is_prefix` gets both, and "" for a segment that is missing.
    """
    first, second, *_ = [*segments, "", ""]
    return segments[1:] if is_prefix(first, second) else segments
