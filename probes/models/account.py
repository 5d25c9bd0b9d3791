"""The account that is checked: as it is registered, and as its link identifies it."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from probes.models.finding import Finding


class Kind(StrEnum):
    """What a typed link turns out to be. Only the first four can be an account."""

    PROFILE = "profile"
    PAGE = "page"
    GROUP = "group"
    PERSON = "person"
    POST = "post"
    SHARE = "share"
    SEARCH = "search"
    HOME = "home"
    FILE = "file"
    SHORT = "short"
    INVALID = "invalid"
    NONE = "none"


ACCOUNTS = frozenset({Kind.PROFILE, Kind.PAGE, Kind.GROUP, Kind.PERSON})
"""What a link must be to be somebody's account; a short link may turn out to be one."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Which account a typed text names, told without asking anyone.

    `key` is the channel's canonical key (DESIGN §6) or None where no identity can be told.
    `canonical` is the address to show and, on platforms, to ask. `url` is the cleaned typed address
    (the website probe and short links ask for it). `note` is a short English code for a person
    who corrects the registry, such as `derived`, `wrapped` or `placeholder`.
    """

    channel: str
    kind: Kind
    key: str | None = None
    canonical: str | None = None
    url: str | None = None
    note: str | None = None

    def at(self, url: str) -> Identity:
        """The same with the address it was told from: `replace` takes four times as long."""
        return Identity(self.channel, self.kind, self.key, self.canonical, url, self.note)


@dataclass(frozen=True, slots=True)
class Account:
    """One link of one association, as registered. `typed` is the text in the cell.

    `known` is what was last decided of it (its links left out), with the platform's own id where it was ever
    seen: by it a probe tells a new name from a loss, and a site from what it was.
    """

    association: str
    typed: str
    identity: Identity
    known: Finding | None = None

    @property
    def channel(self) -> str:
        """The channel that owns the link."""
        return self.identity.channel
