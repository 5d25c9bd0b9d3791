"""What a coordinator takes to a meeting: the network's figures, what changed, and whom to call. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from heapq import nsmallest

from auditor.coverage import Coverage, coverage
from auditor.faces import Item
from auditor.officer import officer
from auditor.rows import Column, Kind, Seen, day, fact, label, moved
from auditor.summary import urgency
from auditor.view import AssociationView
from auditor.wording import Wording
from storage.model import Gap
from storage.talk import FollowUp

MOST = 50
"""Associations a pack lists: more calls than that are no meeting's work."""
REASONS = 3


@dataclass(frozen=True, slots=True)
class Call:
    """An association to call: why, the gravest reason first, and what it promised."""

    view: AssociationView
    reasons: tuple[Gap, ...]
    promised: tuple[FollowUp, ...] = ()


@dataclass(frozen=True, slots=True)
class Pack:
    """The figures, what opened and closed, whom to call, and how many have a gap at all."""

    figures: tuple[Coverage, ...]
    opened: tuple[Gap, ...]
    closed: tuple[Gap, ...]
    calls: tuple[Call, ...]
    waiting: int
    associations: int


def pack(seen: Seen) -> Pack:
    """The pack of these associations."""
    views = list(seen.views)
    changes = [change for view in views for change in moved(view, seen.since)]
    return Pack(
        figures=tuple(coverage(views, seen.config)),
        opened=tuple(gap for change, gap in changes if change == "opened"),
        closed=tuple(gap for change, gap in changes if change == "closed"),
        calls=tuple(calls(Seen(views, seen.config, seen.since, seen.promised))),
        waiting=sum(bool(view.gaps) for view in views),
        associations=len(views),
    )


def calls(seen: Seen) -> Iterator[Call]:
    """Whom to call, the most pressing first, at most `MOST`."""
    for view in nsmallest(
        MOST, (view for view in seen.views if view.gaps), key=lambda view: urgency(view.gaps)
    ):
        promised = tuple(seen.promised(view.association.id))
        yield Call(view, view.gaps[:REASONS], promised)


def titles(gaps: Iterable[Gap], words: Wording) -> list[tuple[str, int]]:
    """What gaps are about, and how many are about it, the most frequent first."""
    return Counter(title(gap.code, gap.channel, words) for gap in gaps).most_common()


def title(code: str, channel: str, words: Wording) -> str:
    """A gap in a few words."""
    return words.gap(code, channel, "info", {}).title


def _items(seen: Seen) -> Iterator[Item]:
    for call in calls(seen):
        about, due = call.view.association, [one.due for one in call.promised if one.due]
        yield {
            "association": about.id,
            "name": about.name,
            "region": about.region,
            "city": about.city,
            "phone": about.phone,
            "email": about.email,
            "media_officer": about.media_officer,
            "gravest": call.reasons[0].severity,
            "reasons": [{"channel": gap.channel, "code": gap.code} for gap in call.reasons],
            "promised": [one.text for one in call.promised],
            "due": min(due).isoformat() if due else None,
        }


def _codes(item: Item) -> str:
    return "; ".join(" ".join(filter(None, (one["channel"], one["code"]))) for one in item["reasons"])


def _spoken(item: Item, words: Wording) -> str:
    return " · ".join(title(one["code"], one["channel"], words) for one in item["reasons"])


def _officer(item: Item, words: Wording) -> str:
    return officer(item["media_officer"], words) or ""


COLUMNS = (
    fact("association"),
    fact("name"),
    fact("region"),
    fact("city"),
    fact("phone"),
    fact("email"),
    Column("media_officer", lambda item: item["media_officer"], _officer),
    label("gravest", "severity"),
    Column("reasons", _codes, _spoken),
    Column("promised", lambda item: " · ".join(item["promised"])),
    day("due"),
)
KIND = Kind(_items, lambda _: COLUMNS)
