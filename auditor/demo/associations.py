"""The cast: 100 associations that do not exist, over Morocco's twelve regions, and their accounts' addresses.

`associations.csv` names each one's situation on each channel (see `situations`). Names, handles and domains
are coined; no organisation bears them.

The coordinator's spreadsheet of the demo: written as people fill such sheets, and corrected once.
"""

from __future__ import annotations

import csv
import hashlib
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from openpyxl import Workbook

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


HEADERS = (
    "id", "name", "الاسم بالعربية", "Nom en français", "الجهة", "Ville", "langue", "email",
    "Site web", "فيسبوك", "Twitter / X", "LinkedIn", "يوتيوب",
    "GSM", "الوسوم", "Qui anime les canaux",
)  # fmt: skip
"""Arabic, French and English heads, as one finds them side by side in one sheet."""

PHONE_WAYS = ("06 00 00 {:02} {:02}", "+212 6 00 00 {:02} {:02}", "06.00.00.{:02}.{:02}", "060000{:02}{:02}")
"""Numbers that nobody answers, as people write them."""
SESSIONS = {"formation Agadir": 7, "formation Rabat": 9}
"""Training sessions, and who was there: every seventh, every ninth of the cast."""
OFFICERS = ("aucun", "", "bénévole", "متطوعة", "", "salariée")

FACEBOOK_WAYS = (
    "https://www.facebook.com/{}",
    "facebook.com/{}/",
    "http://fr-fr.facebook.com/{}?ref=ts",
    " https://www.facebook.com/{}  ",
    "https://m.facebook.com/{}",
    "www.facebook.com/{}",
    "https://web.facebook.com/{}?_rdc=1&_rdr",
    "https://www.facebook.com/{}?mibextid=ZbWKwL",
)
SITE_WAYS = ("https://{}/", "{}", "http://www.{}", "https://{}/ ", "www.{}/", "https://{}")


def write(path: Path, *, corrected: bool = False) -> Path:
    """Write the sheet as XLSX; `corrected`: as it stands before the ninth night."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(HEADERS)
    for member in cast():
        sheet.append(row(member, corrected=corrected))
    book.save(path)
    return path


def row(member: Member, *, corrected: bool = False) -> list[str]:
    """One association's row."""
    cells = {channel: typed(member, channel) for channel in CHANNELS}
    if member.facebook == "in_site_column":
        cells["website"], cells["facebook"] = cells["facebook"], ""
    if corrected and member.website == "footer_unlisted":
        cells["youtube"] = f"https://www.youtube.com/@{member.handle}"
    about = [
        member.id,
        member.name,
        member.name_ar,
        member.name_fr,
        member.region,
        member.city,
        member.language,
    ]
    return [*about, f"contact@{member.slug}.ma", *cells.values(), *people(member)]


def people(member: Member) -> list[str]:
    """What stands in the cells of its telephone, its tags and who runs its channels: every fifth has none."""
    number = member.number
    phone = PHONE_WAYS[number % len(PHONE_WAYS)].format(*divmod(number, 100)) if number % 5 else ""
    tags = ", ".join(session for session, every in SESSIONS.items() if number % every == 0)
    return [phone, tags, OFFICERS[number % len(OFFICERS)]]


def typed(member: Member, channel: str) -> str:
    """What stands in a channel's cell."""
    situation = member.situation(channel)
    if not situation:
        return ""
    if channel == "website":
        return _site(member)
    special = SPECIAL.get((channel, situation))
    if special is not None:
        return special.format(member=member, handle=member.handle, twitter=member.twitter_handle)
    if channel == "facebook" and situation not in ("group", "shared"):
        return FACEBOOK_WAYS[member.number % len(FACEBOOK_WAYS)].format(member.handle)
    return member.profile(channel)


def _site(member: Member) -> str:
    if member.website == "http_only":
        return member.site
    return SITE_WAYS[member.number % len(SITE_WAYS)].format(member.host)


SPECIAL = {
    ("facebook", "bare"): "@{handle}",
    ("facebook", "post_link"): "https://www.facebook.com/{handle}/posts/pfbid02Tz{member.number}kQ",
    (
        "facebook",
        "share_button",
    ): "https://www.facebook.com/sharer/sharer.php?u=https%3A%2F%2F{member.host}%2F",
    ("facebook", "none_typed"): "لا يوجد",
    (
        "facebook",
        "duplicate",
    ): "https://www.facebook.com/{handle} ; https://www.facebook.com/{member.old_page}",
    ("twitter", "bare"): "@{twitter}",
    ("twitter", "moved_host"): "https://twitter.com/{twitter}?lang=ar",
    ("twitter", "intent"): "https://twitter.com/intent/tweet?url=https%3A%2F%2F{member.host}%2F",
    ("twitter", "malformed"): "https://twitter.com/association.{member.number}.maroc",
    ("youtube", "active"): " @{handle} ",
}
