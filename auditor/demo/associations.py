"""The 100 fictional associations of the demo, their account URLs and a coordinator's spreadsheet.

`associations.csv` has the scenario of each association on each channel (`scenarios.toml`), and two
canaries. The associations are in Morocco's twelve regions. Names, handles and domains are invented.
The spreadsheet has the formats and mistakes of real spreadsheets, and is corrected once.
"""

from __future__ import annotations

import csv
from collections.abc import Collection
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from auditor.demo.model import SCENARIOS
from auditor.registry.workbook_writer import write_workbook

DEMO_CHANNELS = ("website", "facebook", "twitter", "linkedin", "youtube")
ALL_DEMO_CHANNELS = (*DEMO_CHANNELS, "instagram", "tiktok", "whatsapp", "telegram")
SCENARIOS_WITHOUT_PROFILE = {
    *("", "share_button", "none_typed", "intent", "malformed"),
    *("post_only", "phone", "send_link", "phone_number", "group_invite", "invite"),
}
"""Scenarios whose spreadsheet cell names no account."""


PROFILE_URL_FORMATS = {
    "website": "https://{0.host}/",
    "facebook": "https://www.facebook.com/{0.handle}",
    "twitter": "https://x.com/{0.twitter_handle}",
    "linkedin": "https://www.linkedin.com/company/{0.slug}",
    "youtube": "https://www.youtube.com/@{0.handle}",
    "instagram": "https://www.instagram.com/{0.instagram_handle}/",
    "tiktok": "https://www.tiktok.com/@{0.tiktok_handle}",
    "whatsapp": "https://whatsapp.com/channel/0029Va{0.whatsapp_key}",
    "telegram": "https://t.me/{0.instagram_handle}",
}
"""The URL of an association's site or account by channel."""
SPECIAL_PROFILE_URL_FORMATS = {
    ("facebook", "group"): "https://www.facebook.com/groups/{0.slug}",
    ("facebook", "shared"): "https://www.facebook.com/{0.sister_association.handle}",
    ("linkedin", "person"): "https://www.linkedin.com/in/{0.slug}",
    ("youtube", "terminated"): "https://www.youtube.com/channel/{0.youtube_channel_id}",
}
"""The URL by channel and scenario, where it differs."""
OTHER_NAME_FORMATS = {
    "facebook": ["{0.handle}Maroc", "{0.facebook_page_id}"],
    "twitter": ["{0.new_twitter_handle}", "{0.twitter_id}"],
    "youtube": ["{0.handle}", "{0.handle}Officiel", "{0.youtube_channel_id}"],
}
"""Further names and ids of an account by channel."""
SPECIAL_NAME_FORMATS = {
    ("website", "moved"): ["{0.moved_host}"],
    ("facebook", "duplicate"): ["{0.old_facebook_handle}", "{0.facebook_page_id}9"],
}
"""Further names by channel and scenario."""


@dataclass(frozen=True)
class DemoAssociation:
    """A fictional association.

    The field of a channel has the name of its scenario. It is empty if there is no account. The
    names and ids on platforms are those that the account has there, whatever its scenario.
    """

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
    instagram: str
    tiktok: str
    whatsapp: str
    telegram: str
    host: str
    moved_host: str
    handle: str
    twitter_handle: str
    new_twitter_handle: str
    twitter_id: str
    youtube_channel_id: str
    instagram_handle: str
    tiktok_handle: str
    whatsapp_key: str
    facebook_page_id: str
    old_facebook_handle: str

    @cached_property
    def name(self) -> str:
        """Return the name in the association's language."""
        return self.name_ar if self.language == "ar" else self.name_fr

    @cached_property
    def number(self) -> int:
        """Return the position in the list, from 1."""
        return int(self.id[1:])

    @cached_property
    def site_url(self) -> str:
        """Return the URL of the site."""
        return f"{'http' if self.website == 'http_only' else 'https'}://{self.host}/"

    @property
    def sister_association(self) -> DemoAssociation:
        """Return the association with the same name and another cause."""
        associations = load_demo_associations()
        # each name is used twice. Associations with this distance in the list are sisters.
        return associations[(self.number - 1 + 50) % len(associations)]

    def get_scenario_name(self, channel: str) -> str:
        """Return the scenario name on a channel, or an empty string."""
        return str(getattr(self, channel))

    def get_scenario(self, channel: str) -> dict[str, Any]:
        """Return the scenario of the account on a channel."""
        return SCENARIOS[channel][self.get_scenario_name(channel)]

    def get_profile_urls(self) -> dict[str, str]:
        """Return the URLs of the social accounts to which the site links.

        Accounts with the scenario `unregistered` are among them; all others are registered.
        """
        urls = {}
        for channel in ALL_DEMO_CHANNELS[1:]:
            url = self.get_profile_url(channel)
            if url and self.get_scenario_name(channel) != "added":
                urls[channel] = url
        return urls

    def get_profile_url(self, channel: str) -> str:
        """Return the URL of an account, or an empty string if the scenario has none."""
        scenario_name = self.get_scenario_name(channel)
        if scenario_name in SCENARIOS_WITHOUT_PROFILE:
            return ""
        url_format = PROFILE_URL_FORMATS[channel]
        return SPECIAL_PROFILE_URL_FORMATS.get((channel, scenario_name), url_format).format(self)

    def list_account_names(self, channel: str) -> list[str]:
        """Return all names and ids of the account on a channel in lower case, or the site's hosts.

        A shared page belongs to its owner, also if another association registers it.
        """
        url, scenario_name = self.get_profile_url(channel), self.get_scenario_name(channel)
        if not url or scenario_name == "shared":
            return []
        names = [url.rstrip("/").rsplit("/", 1)[-1].removeprefix("@")]
        names += OTHER_NAME_FORMATS.get(channel, [])
        names += SPECIAL_NAME_FORMATS.get((channel, scenario_name), [])
        return [name.format(self).lower() for name in names]


with Path(__file__).with_name("associations.csv").open(encoding="utf-8", newline="") as csv_file:
    ASSOCIATIONS = {row["id"]: DemoAssociation(**row) for row in csv.DictReader(csv_file)}
"""The associations and the canaries by id, in the order of the spreadsheet."""

CANARY_COUNT = 2
CANARIES = tuple(ASSOCIATIONS.values())[-CANARY_COUNT:]
"""The sites and accounts that the demo's configuration names as canaries."""


def load_demo_associations() -> tuple[DemoAssociation, ...]:
    """Return all associations in the order of the spreadsheet."""
    return tuple(ASSOCIATIONS.values())[:-CANARY_COUNT]


SPREADSHEET_HEADINGS = (
    "id", "name", "الاسم بالعربية", "Nom en français", "الجهة", "Ville", "langue", "email",
    "Site web", "فيسبوك", "Twitter / X", "LinkedIn", "يوتيوب",
    "إنستغرام", "TikTok", "واتساب", "تلغرام",
    "GSM", "الوسوم", "Qui anime les canaux",
)  # fmt: skip
"""Headings in Arabic, French and English, mixed as in many real spreadsheets."""

PHONE_FORMATS = (
    "06 00 00 {:02} {:02}",
    "+212 6 00 00 {:02} {:02}",
    "06.00.00.{:02}.{:02}",
    "060000{:02}{:02}",
)
"""Formats of the invented phone numbers."""
TRAINING_SESSIONS = {"formation Agadir": 7, "formation Rabat": 9}
"""Training sessions: every seventh association attended the first, every ninth the second."""
MEDIA_OFFICER_CELLS = ("aucun", "", "bénévole", "متطوعة", "", "salariée")

LINK_FORMATS = {
    "website": (
        "https://{0.host}/",
        "{0.host}",
        "http://www.{0.host}",
        "https://{0.host}/ ",
        "www.{0.host}/",
        "https://{0.host}",
    ),
    "facebook": (
        "https://www.facebook.com/{0.handle}",
        "facebook.com/{0.handle}/",
        "http://fr-fr.facebook.com/{0.handle}?ref=ts",
        " https://www.facebook.com/{0.handle}  ",
        "https://m.facebook.com/{0.handle}",
        "www.facebook.com/{0.handle}",
        "https://web.facebook.com/{0.handle}?_rdc=1&_rdr",
        "https://www.facebook.com/{0.handle}?mibextid=ZbWKwL",
    ),
}
"""The formats of cells by channel, which associations use in turn."""


def write_demo_spreadsheet(
    path: Path, *, is_corrected: bool = False, missing: Collection[tuple[str, str]] = ()
) -> Path:
    """Write the spreadsheet as XLSX. `is_corrected` writes the version of the second import.

    Without the accounts that are `missing`, by association and channel.
    """
    build_row = partial(build_spreadsheet_row, is_corrected=is_corrected, missing=missing)
    rows = map(build_row, load_demo_associations())
    with path.open("wb") as file:
        write_workbook(file, {"Sheet": [SPREADSHEET_HEADINGS, *rows]})
    return path


def build_spreadsheet_row(
    association: DemoAssociation,
    *,
    is_corrected: bool = False,
    missing: Collection[tuple[str, str]] = (),
) -> list[str]:
    """Return the row of an association. Every fifth association has no phone."""
    cells = dict.fromkeys(ALL_DEMO_CHANNELS, "")
    for channel in ALL_DEMO_CHANNELS:
        if (association.id, channel) not in missing:
            cells[channel] = build_link_cell(association, channel)
    if association.facebook == "in_site_column":
        cells["website"], cells["facebook"] = cells["facebook"], ""
    if is_corrected and association.youtube == "added":
        cells["youtube"] = association.get_profile_url("youtube")
    number = association.number
    phone = PHONE_FORMATS[number % len(PHONE_FORMATS)].format(*divmod(number, 100))
    return [
        association.id,
        association.name,
        association.name_ar,
        association.name_fr,
        association.region,
        association.city,
        association.language,
        f"contact@{association.slug}.ma",
        *cells.values(),
        phone if number % 5 else "",
        ", ".join([session for session, step in TRAINING_SESSIONS.items() if number % step == 0]),
        MEDIA_OFFICER_CELLS[number % len(MEDIA_OFFICER_CELLS)],
    ]


def build_link_cell(association: DemoAssociation, channel: str) -> str:
    """Return the spreadsheet cell of a channel."""
    scenario_name = association.get_scenario_name(channel)
    if scenario_name in ("", "unregistered", "added"):
        return ""
    profile_url = association.get_profile_url(channel)
    link_formats = LINK_FORMATS.get(channel, [profile_url])
    link_format = link_formats[association.number % len(link_formats)]
    return SPECIAL_LINK_FORMATS.get((channel, scenario_name), link_format).format(association)


SPECIAL_LINK_FORMATS = {
    ("website", "http_only"): "http://{0.host}/",
    **SPECIAL_PROFILE_URL_FORMATS,
    ("facebook", "bare"): "@{0.handle}",
    ("facebook", "post_link"): ("https://www.facebook.com/{0.handle}/posts/pfbid02Tz{0.number}kQ"),
    ("facebook", "share_button"): (
        "https://www.facebook.com/sharer/sharer.php?u=https%3A%2F%2F{0.host}%2F"
    ),
    ("facebook", "none_typed"): "لا يوجد",
    ("facebook", "duplicate"): (
        "https://www.facebook.com/{0.handle} ; https://www.facebook.com/{0.old_facebook_handle}"
    ),
    ("twitter", "bare"): "@{0.twitter_handle}",
    ("twitter", "moved_host"): "https://twitter.com/{0.twitter_handle}?lang=ar",
    ("twitter", "intent"): ("https://twitter.com/intent/tweet?url=https%3A%2F%2F{0.host}%2F"),
    ("twitter", "malformed"): "https://twitter.com/association.{0.number}.maroc",
    ("youtube", "active"): " @{0.handle} ",
    ("instagram", "wall"): "https://www.instagram.com/{0.instagram_handle}?igsh=MXVx",
    ("instagram", "shown"): "@{0.instagram_handle}",
    ("instagram", "post_only"): "https://www.instagram.com/p/BxKRx5CHn5i/?igshid=x",
    ("tiktok", "stale"): "@{0.tiktok_handle}",
    ("tiktok", "active"): "https://www.tiktok.com/@{0.tiktok_handle}?_t=8x&_r=1",
    ("whatsapp", "phone"): "https://wa.me/21260000{0.number:04d}",
    ("whatsapp", "send_link"): "https://api.whatsapp.com/send?phone=21260000{0.number:04d}",
    ("whatsapp", "phone_number"): "06 00 00 00 {0.number}",
    ("whatsapp", "group_invite"): "https://chat.whatsapp.com/AnnourGroupe{0.number}Abcdefgh",
    ("telegram", "invite"): "https://t.me/+AbCdEfGhIjKlMn{0.number}",
    ("telegram", "stale"): "t.me/s/{0.instagram_handle}",
}
"""Cell formats of scenarios that do not use the plain profile URL."""
