"""The careful reader's tables: for every association, night and account, what is seen, held and open.

They are written from what the situations declare and from the sheet, never from the auditor's output. As
files (`expected.csv`, and `expected_with_keys.csv` for an audit that has all keys) they have one row for
each run of nights that say the same; to write them anew: `python -m auditor.demo.expected_results`.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import astuple, dataclass
from itertools import groupby
from pathlib import Path

from auditor.demo.account_scenarios import (
    FACEBOOK,
    IMPORT_NIGHT,
    LAST,
    LINKEDIN,
    TROUBLED,
    TWITTER,
    YOUTUBE,
    Situation,
)
from auditor.demo.associations import CHANNELS, Member, cast
from auditor.demo.website_scenarios import SITES

PATH = Path(__file__).with_name("expected.csv")
PATH_WITH_KEYS = Path(__file__).with_name("expected_with_keys.csv")
LONG = 30
"""The table with keys is of so many nights, in which every script comes to its end."""

UNASKED = ("", "unknown wrong_target", "unknown not_configured")
"""What is seen of links that no interface is asked about, in trouble or not."""

HEAD = ("association", "channel", "what", "value", "first", "last")
SOCIAL = {"facebook": FACEBOOK, "twitter": TWITTER, "linkedin": LINKEDIN, "youtube": YOUTUBE}
NO_ACCOUNT = {"none_typed"}
NAMELESS = {"share_button", "intent"}
"""Links that name nobody: the channel is missing, whatever stands in the cell."""


@dataclass(frozen=True, slots=True)
class Cell:
    """One cell of the table: on that night, `what` (seen, held or gap) has that value."""

    association: str
    channel: str
    what: str
    value: str
    night: int


def cells(nights: int = LAST, *, keyed: bool = False) -> set[Cell]:
    """Every cell of so many nights, from the scripts, for an audit without keys or with all of them."""
    span = range(1, nights + 1)
    return {cell for member in cast() for night in span for cell in _of(member, night, nights, keyed=keyed)}


def rows(found: Iterable[Cell]) -> Iterator[tuple[str, str, str, str, int, int]]:
    """The cells as runs of nights, sorted."""
    ordered = sorted(found, key=lambda c: (*astuple(c)[:4], c.night))
    for key, run in groupby(
        enumerate(ordered), key=lambda pair: (*astuple(pair[1])[:4], pair[1].night - pair[0])
    ):
        nights = [cell.night for _, cell in run]
        yield (*key[:4], nights[0], nights[-1])


def read(path: Path = PATH) -> set[Cell]:
    """The cells of the committed file."""
    with path.open(encoding="utf-8", newline="") as file:
        return {
            Cell(row["association"], row["channel"], row["what"], row["value"], night)
            for row in csv.DictReader(file)
            for night in range(int(row["first"]), int(row["last"]) + 1)
        }


def write(path: Path, told: Iterable[Cell]) -> None:
    """Write a table."""
    with path.open("w", encoding="utf-8", newline="") as file:
        out = csv.writer(file, lineterminator="\n")
        out.writerow(HEAD)
        out.writerows(rows(told))


def situation(member: Member, channel: str) -> Situation | None:
    """The script of a member's account on a channel, None where it has no account there."""
    name = member.situation(channel)
    if channel == "website":
        return SITES[name].truth if name else None
    if channel == "youtube" and member.website == "footer_unlisted":
        return YOUTUBE["added"]
    return SOCIAL[channel][name] if name and name not in NO_ACCOUNT else None


def _of(member: Member, night: int, nights: int, *, keyed: bool) -> Iterator[Cell]:
    for channel in CHANNELS:
        if script := situation(member, channel):
            true = script.with_a_key() if keyed else script
            seen, held = true.at(night)
            if keyed and channel in TROUBLED and seen not in UNASKED and night == TROUBLED[channel][0]:
                seen = f"unknown {TROUBLED[channel][1]}"
            if seen:
                yield Cell(member.id, channel, "seen", seen, night)
                yield Cell(member.id, channel, "held", held, night)
            for code in true.open_on(night, nights):
                yield Cell(member.id, channel, "gap", code, night)
    for channel, code in _of_the_sheet(member, night):
        yield Cell(member.id, channel, "gap", code, night)
    if _leads_to_the_lost(member, night, keyed=keyed):
        yield Cell(member.id, "website", "gap", "website_broken_links", night)


def _leads_to_the_lost(member: Member, night: int, *, keyed: bool) -> bool:
    """Whether the site, in good health, links an account that is held gone for the third night."""
    site = situation(member, "website")
    if site is None or not site.at(night)[1].startswith("present") or member.website == "not_linked":
        return False
    linked = (situation(member, channel) for channel in member.profiles())
    scripts = [script.with_a_key() if keyed else script for script in linked if script]
    return night > 2 and any(script.at(night - 2)[1].startswith("gone") for script in scripts)


def _of_the_sheet(member: Member, night: int) -> Iterator[tuple[str, str]]:
    """The gaps that follow from who is registered where, and from what the site says of it."""
    if not member.website:
        yield "website", "no_website"
    if member.facebook == "in_site_column":
        yield "website", "website_is_social"
    if "shared" in (member.facebook, member.sister.facebook):
        yield "facebook", "channel_shared"
    for channel in CHANNELS[1:]:
        name = member.situation(channel)
        late = channel == "youtube" and member.website == "footer_unlisted" and night >= IMPORT_NIGHT
        if not late and (not name or name in NO_ACCOUNT | NAMELESS):
            yield channel, "channel_missing"
    if member.website == "footer_unlisted" and 2 <= night < IMPORT_NIGHT:
        yield "youtube", "channel_unlisted"
    if member.website == "jsonld_unlisted" and night >= 2:  # it is confirmed on the second night
        yield "linkedin", "channel_unlisted"
    if member.website == "not_linked" and night >= 2:  # it is confirmed on the second night
        for channel in member.profiles():
            yield channel, "channel_not_linked"


if __name__ == "__main__":
    write(PATH, cells())
    write(PATH_WITH_KEYS, cells(LONG, keyed=True))
