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

from probes.models.finding import Identity, LinkKind
from probes.urls import normalize

USUAL_SUBDOMAINS = re.compile("(?:|www|m)")


class PlatformLink(NamedTuple):
    """An address on one of a platform's hosts. `segments` are the parts of its path."""

    segments: list[str]
    query: dict[str, str]
    fragment: str

    @property
    def name(self) -> str:
        """Return the first segment of the path, or "" for the start page."""
        return next(iter(self.segments), "")

    @property
    def rest(self) -> list[str]:
        """Return the segments after the first."""
        return self.segments[1:]

    @property
    def second(self) -> str:
        """Return the second segment of the path, or ""."""
        return next(iter(self.segments[1:]), "")

    @property
    def third(self) -> str:
        """Return the third segment of the path, or ""."""
        return next(iter(self.segments[2:]), "")


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
    - `other_hosts` are hosts whose paths have another form, such as short links.
    - `clean_segments` removes what precedes the first segment: a language, a prefix of an app.
    - `rewrite` returns the current form of an old address, such as one with its path after `#!`.
    """

    channel: str
    hosts: frozenset[str]
    sections: Mapping[str, LinkEntry]
    read_account: LinkReader = lambda _link: None
    subdomains: re.Pattern[str] = USUAL_SUBDOMAINS
    other_hosts: Mapping[str, LinkEntry] = field(default_factory=dict)
    clean_segments: Callable[[list[str]], list[str]] = list
    rewrite: Callable[[SplitResult], SplitResult] = lambda parts: parts

    def identify(self, url: str) -> Identity:
        """Identify the account in a cleaned address on one of the hosts."""
        parts = self.rewrite(normalize.parse_url(url))
        if not parts.netloc:
            return Identity(self.channel, LinkKind.INVALID, url=url)
        return self.identify_parts(parts).with_url(url)

    def identify_parts(self, parts: SplitResult) -> Identity:
        """Identify the account in an address that is split already."""
        segments = normalize.split_path(parts.path)
        link = PlatformLink(segments, normalize.parse_query(parts.query), parts.fragment)
        entry = self._find_host_entry((parts.hostname or "").removesuffix("."))
        if entry is not LinkKind.INVALID and not any((segments, parts.query, parts.fragment)):
            return Identity(self.channel, LinkKind.HOME)
        return self._read(entry, link) or Identity(self.channel, LinkKind.INVALID)

    def _find_host_entry(self, host: str) -> LinkEntry:
        """Return how the addresses on a host are read."""
        subdomain, own_host = split_host(host, self.hosts)
        entry: LinkEntry = LinkKind.INVALID
        if self.subdomains.fullmatch(subdomain):
            entry = self._read_path
        return self.other_hosts.get(host, self.other_hosts.get(own_host, entry))

    def _read_path(self, link: PlatformLink) -> Identity | None:
        link = PlatformLink(self.clean_segments(link.segments), link.query, link.fragment)
        return self._read_section(link) or self.read_account(link)

    def _read_section(self, link: PlatformLink) -> Identity | None:
        """Return what the first segment leads to, or None if no section covers it."""
        section = link.name.lower()
        entry = self.sections.get(section)
        if link.rest:
            entry = self.sections.get(f"{section}/", entry)
        identity = self._read(entry, link)
        if identity is None and not link.name:
            return Identity(self.channel, LinkKind.HOME)
        return identity

    def _read(self, entry: LinkEntry | None, link: PlatformLink) -> Identity | None:
        if entry is None or isinstance(entry, Identity):
            return entry
        if isinstance(entry, LinkKind):
            return Identity(self.channel, entry)
        return entry(link)


def is_language_prefix(segment: str, next_segment: str) -> bool:
    """Return whether a segment is a language (`fr`, `fr_FR`) and another segment follows it."""
    return bool(next_segment) and normalize.is_locale(segment)


def drop_prefix(
    segments: list[str], is_prefix: Callable[[str, str], bool] = is_language_prefix
) -> list[str]:
    """Return the segments of a path without the first one if it is a prefix of the second.

    `is_prefix` gets both, and "" for a segment that is missing.
    """
    first, second, *_ = [*segments, "", ""]
    if is_prefix(first, second):
        return segments[1:]
    return segments


def follow_hashbang(parts: SplitResult, route_pattern: re.Pattern[str], base: str) -> SplitResult:
    """Return the page after `#!` in addresses of 2009 to 2012, such as `/#!/name`.

    `route_pattern` finds its path in the fragment, which may be an escaped part of the path.
    """
    fragment = parts.fragment or unquote(parts.path).partition("#")[2]
    route = route_pattern.match(unquote(fragment))
    if route is None:
        return parts
    return urlsplit(f"{base}{route[1]}")


def split_host(host: str, channel_hosts: frozenset[str]) -> tuple[str, str]:
    """Split a host into its subdomain, or "", and the channel's own host before which it is."""
    own_host = host
    while own_host not in channel_hosts:
        _, dot, own_host = own_host.partition(".")
        if not dot:
            return "", host
    return host.removesuffix(own_host).removesuffix("."), own_host
