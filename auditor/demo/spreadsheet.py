"""The coordinator's spreadsheet of the demo: written as people fill such sheets, and corrected once."""

from __future__ import annotations

from pathlib import Path

from openpyxl import Workbook

from auditor.demo.associations import CHANNELS, Member, cast

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
