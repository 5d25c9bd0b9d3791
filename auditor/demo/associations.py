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

DEMO_CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
SCENARIOS_WITHOUT_PROFILE = {"share_button", "none_typed", "intent", "malformed"}
"""Situations of a cell that names no account."""

DISTINCT_NAME_COUNT = 50
"""The names of the cast come twice, for two causes: associations so far apart are sisters."""

HOSTED_SITE_DOMAINS = {"wix_active": "{}.wixsite.com", "blogger_active": "{}.blogspot.com"}


@dataclass(frozen=True, slots=True)
class DemoAssociation:
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
        return HOSTED_SITE_DOMAINS.get(self.website, "{}" + ending).format(self.slug)

    @property
    def site_url(self) -> str:
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
    def youtube_channel_id(self) -> str:
        """The stable id on YouTube: UC and 22 signs."""
        return "UC" + hashlib.sha256(self.slug.encode()).hexdigest()[:22]

    @property
    def facebook_page_id(self) -> str:
        """The stable id on Facebook."""
        return f"6155{self.number:03d}00{self.number:03d}77"

    @property
    def old_facebook_handle(self) -> str:
        """The user name of the page that an association with two of them left behind."""
        return f"{self.handle}Ancienne"

    @property
    def twitter_id(self) -> str:
        """The stable number on Twitter."""
        return str(1_204_000_000_000_000_000 + 7_919 * self.number)

    @property
    def sister_association(self) -> DemoAssociation:
        """The association of the same name for another cause."""
        return load_demo_associations()[
            (self.number - 1 + DISTINCT_NAME_COUNT) % len(load_demo_associations())
        ]

    def get_scenario_name(self, channel: str) -> str:
        """The name of its situation on a channel, or empty."""
        return str(getattr(self, channel))

    def get_profile_urls(self) -> dict[str, str]:
        """The addresses of its registered social accounts, as its own site links them."""
        found = {
            channel: self.get_profile_url(channel)
            for channel in DEMO_CHANNELS[1:]
            if self.get_scenario_name(channel)
        }
        return {channel: url for channel, url in found.items() if url}

    def get_profile_url(self, channel: str) -> str:
        """The address of its account on a channel; empty where its situation is to have none."""
        situation = self.get_scenario_name(channel)
        if situation in SCENARIOS_WITHOUT_PROFILE:
            return ""
        if situation == "shared":
            return self.sister_association.get_profile_url(channel)
        return self._build_own_profile_url(channel, situation)

    def _build_own_profile_url(self, channel: str, scenario_name: str) -> str:
        if channel == "facebook":
            inner = f"groups/{self.slug}" if scenario_name == "group" else self.handle
            return f"https://www.facebook.com/{inner}"
        if channel == "twitter":
            return f"https://x.com/{self.twitter_handle}"
        if channel == "linkedin":
            return f"https://www.linkedin.com/{'in' if scenario_name == 'person' else 'company'}/{self.slug}"
        if scenario_name == "terminated":
            return f"https://www.youtube.com/channel/{self.youtube_channel_id}"
        return f"https://www.youtube.com/@{self.handle}"


@cache
def load_demo_associations() -> tuple[DemoAssociation, ...]:
    """All of them, in the order of the sheet."""
    path = Path(__file__).with_name("associations.csv")
    with path.open(encoding="utf-8", newline="") as file:
        return tuple(DemoAssociation(**row) for row in csv.DictReader(file))


SPREADSHEET_HEADINGS = (
    "id", "name", "الاسم بالعربية", "Nom en français", "الجهة", "Ville", "langue", "email",
    "Site web", "فيسبوك", "Twitter / X", "LinkedIn", "يوتيوب",
    "GSM", "الوسوم", "Qui anime les canaux",
)  # fmt: skip
"""Arabic, French and English heads, as one finds them side by side in one sheet."""

PHONE_FORMATS = (
    "06 00 00 {:02} {:02}",
    "+212 6 00 00 {:02} {:02}",
    "06.00.00.{:02}.{:02}",
    "060000{:02}{:02}",
)
"""Numbers that nobody answers, as people write them."""
TRAINING_SESSIONS = {"formation Agadir": 7, "formation Rabat": 9}
"""Training sessions, and who was there: every seventh, every ninth of the cast."""
MEDIA_OFFICER_CELLS = ("aucun", "", "bénévole", "متطوعة", "", "salariée")

FACEBOOK_URL_FORMATS = (
    "https://www.facebook.com/{}",
    "facebook.com/{}/",
    "http://fr-fr.facebook.com/{}?ref=ts",
    " https://www.facebook.com/{}  ",
    "https://m.facebook.com/{}",
    "www.facebook.com/{}",
    "https://web.facebook.com/{}?_rdc=1&_rdr",
    "https://www.facebook.com/{}?mibextid=ZbWKwL",
)
SITE_URL_FORMATS = ("https://{}/", "{}", "http://www.{}", "https://{}/ ", "www.{}/", "https://{}")


def write_demo_spreadsheet(path: Path, *, is_corrected: bool = False) -> Path:
    """Write the sheet as XLSX; `corrected`: as it stands before the ninth night."""
    book = Workbook()
    sheet = book.active
    assert sheet is not None
    sheet.append(SPREADSHEET_HEADINGS)
    for member in load_demo_associations():
        sheet.append(build_spreadsheet_row(member, is_corrected=is_corrected))
    book.save(path)
    return path


def build_spreadsheet_row(association: DemoAssociation, *, is_corrected: bool = False) -> list[str]:
    """One association's row."""
    cells = {channel: build_link_cell(association, channel) for channel in DEMO_CHANNELS}
    if association.facebook == "in_site_column":
        cells["website"], cells["facebook"] = cells["facebook"], ""
    if is_corrected and association.website == "footer_unlisted":
        cells["youtube"] = f"https://www.youtube.com/@{association.handle}"
    about = [
        association.id,
        association.name,
        association.name_ar,
        association.name_fr,
        association.region,
        association.city,
        association.language,
    ]
    return [
        *about,
        f"contact@{association.slug}.ma",
        *cells.values(),
        *build_contact_cells(association),
    ]


def build_contact_cells(association: DemoAssociation) -> list[str]:
    """What stands in the cells of its telephone, its tags and who runs its channels: every fifth has none."""
    number = association.number
    phone = (
        PHONE_FORMATS[number % len(PHONE_FORMATS)].format(*divmod(number, 100))
        if number % 5
        else ""
    )
    tags = ", ".join(session for session, every in TRAINING_SESSIONS.items() if number % every == 0)
    return [phone, tags, MEDIA_OFFICER_CELLS[number % len(MEDIA_OFFICER_CELLS)]]


def build_link_cell(association: DemoAssociation, channel: str) -> str:
    """What stands in a channel's cell."""
    situation = association.get_scenario_name(channel)
    if not situation:
        return ""
    if channel == "website":
        return _build_site_link(association)
    special = SPECIAL_LINK_FORMATS.get((channel, situation))
    if special is not None:
        return special.format(
            association=association, handle=association.handle, twitter=association.twitter_handle
        )
    if channel == "facebook" and situation not in ("group", "shared"):
        return FACEBOOK_URL_FORMATS[association.number % len(FACEBOOK_URL_FORMATS)].format(
            association.handle
        )
    return association.get_profile_url(channel)


def _build_site_link(association: DemoAssociation) -> str:
    if association.website == "http_only":
        return association.site_url
    return SITE_URL_FORMATS[association.number % len(SITE_URL_FORMATS)].format(association.host)


SPECIAL_LINK_FORMATS = {
    ("facebook", "bare"): "@{handle}",
    (
        "facebook",
        "post_link",
    ): "https://www.facebook.com/{handle}/posts/pfbid02Tz{association.number}kQ",
    (
        "facebook",
        "share_button",
    ): "https://www.facebook.com/sharer/sharer.php?u=https%3A%2F%2F{association.host}%2F",
    ("facebook", "none_typed"): "لا يوجد",
    (
        "facebook",
        "duplicate",
    ): "https://www.facebook.com/{handle} ; https://www.facebook.com/{association.old_facebook_handle}",
    ("twitter", "bare"): "@{twitter}",
    ("twitter", "moved_host"): "https://twitter.com/{twitter}?lang=ar",
    (
        "twitter",
        "intent",
    ): "https://twitter.com/intent/tweet?url=https%3A%2F%2F{association.host}%2F",
    ("twitter", "malformed"): "https://twitter.com/association.{association.number}.maroc",
    ("youtube", "active"): " @{handle} ",
}
