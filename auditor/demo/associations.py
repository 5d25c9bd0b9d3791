"""The cast: 100 associations that do not exist, over Morocco's twelve regions, and their accounts' addresses.

`associations.csv` names each one's situation on each channel (see `situations`). Names, handles and domains
are coined; no organisation bears them.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
NAMELESS = {"share_button", "none_typed", "intent", "malformed"}
"""Situations of a cell that names no account."""

FAMILIES = 50
"""The names of the cast come twice, for two causes: associations so far apart are sisters."""

HOSTED = {"wix_active": "{}.wixsite.com", "blogger_active": "{}.blogspot.com"}


@dataclass(frozen=True, slots=True)
class Member:
    """One association of the cast. A channel's field names its situation there; empty: it is not there."""

    id: str
    name_fr: str
    name_ar: str
    region: str
    city: str
    language: str
    slug: str
    website: str
    facebook: str
    twitter: str
    linkedin: str
    youtube: str

    @property
    def name(self) -> str:
        """The name in the association's own language."""
        return self.name_ar if self.language == "ar" else self.name_fr

    @property
    def number(self) -> int:
        """Its place in the cast, from 1."""
        return int(self.id[1:])

    @property
    def host(self) -> str:
        """The site's host name."""
        ending = (".ma", ".org.ma", "-maroc.org")[self.number % 3]
        return HOSTED.get(self.website, "{}" + ending).format(self.slug)

    @property
    def site(self) -> str:
        """The site's address."""
        return f"{'http' if self.website == 'http_only' else 'https'}://{self.host}/"

    @property
    def handle(self) -> str:
        """The user name on Facebook, and on YouTube behind an @."""
        return "".join(word.capitalize() for word in self.slug.split("-"))

    @property
    def twitter_handle(self) -> str:
        """The user name on Twitter, which allows 15 signs: shortened, with the number to keep it unique."""
        return f"{self.handle[:10]}_{self.number}"

    @property
    def channel_id(self) -> str:
        """The stable id on YouTube: UC and 22 signs."""
        return "UC" + hashlib.sha256(self.slug.encode()).hexdigest()[:22]

    @property
    def page_id(self) -> str:
        """The stable id on Facebook."""
        return f"6155{self.number:03d}00{self.number:03d}77"

    @property
    def old_page(self) -> str:
        """The user name of the page that an association with two of them left behind."""
        return f"{self.handle}Ancienne"

    @property
    def twitter_id(self) -> str:
        """The stable number on Twitter."""
        return str(1_204_000_000_000_000_000 + 7_919 * self.number)

    @property
    def sister(self) -> Member:
        """The association of the same name for another cause."""
        return cast()[(self.number - 1 + FAMILIES) % len(cast())]

    def situation(self, channel: str) -> str:
        """The name of its situation on a channel, or empty."""
        return str(getattr(self, channel))

    def profiles(self) -> dict[str, str]:
        """The addresses of its registered social accounts, as its own site links them."""
        found = {channel: self.profile(channel) for channel in CHANNELS[1:] if self.situation(channel)}
        return {channel: url for channel, url in found.items() if url}

    def profile(self, channel: str) -> str:
        """The address of its account on a channel; empty where its situation is to have none."""
        situation = self.situation(channel)
        if situation in NAMELESS:
            return ""
        if situation == "shared":
            return self.sister.profile(channel)
        return self._own_profile(channel, situation)

    def _own_profile(self, channel: str, situation: str) -> str:
        if channel == "facebook":
            inner = f"groups/{self.slug}" if situation == "group" else self.handle
            return f"https://www.facebook.com/{inner}"
        if channel == "twitter":
            return f"https://x.com/{self.twitter_handle}"
        if channel == "linkedin":
            return f"https://www.linkedin.com/{'in' if situation == 'person' else 'company'}/{self.slug}"
        if situation == "terminated":
            return f"https://www.youtube.com/channel/{self.channel_id}"
        return f"https://www.youtube.com/@{self.handle}"


@cache
def cast() -> tuple[Member, ...]:
    """All of them, in the order of the sheet."""
    path = Path(__file__).with_name("associations.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(Member(**row) for row in csv.DictReader(file))
