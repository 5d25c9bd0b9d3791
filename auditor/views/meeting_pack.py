"""What a coordinator takes to a meeting: the network's figures, what changed, and whom to call.

It is read from the kept sums: no association is looked at but those to call.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from auditor.config.schema import Config
from auditor.evaluation.run_results import A_FEW
from auditor.evaluation.summary import Chosen, Coverage, counted
from auditor.i18n.wording import Wording
from auditor.registry.columns import officer
from auditor.views.dashboard import MOST, Call, calls
from auditor.views.export_rows import Column, Kind, Seen, day, fact, label
from auditor.views.json_items import Item
from storage.models.summaries import EVERYBODY, NETWORK
from storage.models.users import FollowUp
from storage.read_model.counts import Kinds, Sums
from storage.read_model.summaries import COHORTS
from storage.store import Store

NOTHING_OPEN = "none"


@dataclass(frozen=True, slots=True)
class Pack:
    """The figures, what opened and closed, whom to call, and how many have a gap at all.

    `told` is None where nothing is counted: so many are chosen, by more than one region or tag, that it would
    take too long.
    """

    told: Sums | None
    figures: tuple[Coverage, ...]
    calls: tuple[Call, ...]

    @property
    def associations(self) -> int:
        """How many there are."""
        return self.told.facets.get(EVERYBODY, 0) if self.told else 0

    @property
    def waiting(self) -> int:
        """How many of them have a gap."""
        return self.associations - (self.told.facets.get(NOTHING_OPEN, 0) if self.told else 0)


def pack(
    store: Store, config: Config, chosen: Chosen, since: datetime, now: datetime, *, most: int = MOST
) -> Pack:
    """The pack of the associations that are chosen, with so many calls. `since` is a day's beginning, UTC."""
    called = tuple(calls(store, config, chosen, now, most=most, patience=A_FEW))
    told = sums(store, chosen, since)
    return Pack(told, tuple(counted(told.facets, config)) if told else (), called)


def sums(store: Store, chosen: Chosen, since: datetime) -> Sums | None:
    """What was counted of a whole cohort, or is counted of a few; None for many that are no cohort.

    Of a cohort, what opened and closed is told from the beginning of the day.
    """
    cohort = _cohort(chosen)
    if cohort is None:
        return store.few(since, chosen.facets, search=chosen.words)
    moves = store.moves(since.date(), cohort)
    return Sums(store.tally(cohort), moves["opened"], moves["closed"])


def _cohort(chosen: Chosen) -> str | None:
    if chosen.words or len(chosen.facets) > 1:
        return None
    facet = next(iter(chosen.facets), NETWORK)
    return facet if facet == NETWORK or facet.startswith(COHORTS) else None


def titles(kinds: Kinds, words: Wording) -> list[tuple[str, int]]:
    """What gaps are about, and how many are about it, the most frequent first."""
    told: Counter[str] = Counter()
    for (code, channel), count in kinds.items():
        told[words.about(code, channel)] += count
    return told.most_common()


def _items(seen: Seen) -> Iterator[Item]:
    for call in seen.calls:
        about, told = call.association, seen.private(call.association)
        promised, newest = (call.promised, call.newest) if told else ((), None)
        due = [one.due for one in promised if one.due]
        yield {
            "association": about.id,
            "name": seen.named(about),
            "region": seen.placed(about),
            "city": about.city,
            "phone": call.contact.phone if told else None,
            "email": call.contact.email if told else None,
            "media_officer": call.contact.media_officer if told else None,
            "gravest": call.reasons[0].severity,
            "reasons": [{"channel": gap.channel, "code": gap.code} for gap in call.reasons],
            "promised": [_promised(one) for one in promised],
            "touch": newest.kind.value if newest else None,
            "touched_at": newest.at.date().isoformat() if newest else None,
            "due": min(due).isoformat() if due else None,
        }


def _promised(one: FollowUp) -> Item:
    return {"channel": one.channel, "code": one.code, "text": one.text}


def _codes(item: Item) -> str:
    return "; ".join(" ".join(filter(None, (one["channel"], one["code"]))) for one in item["reasons"])


def _spoken(item: Item, words: Wording) -> str:
    return " · ".join(words.about(one["code"], one["channel"]) for one in item["reasons"])


def _promises(item: Item) -> str:
    """What was promised, by codes."""
    return "; ".join(" ".join(filter(None, one.values())) for one in item["promised"])


def _spoken_promises(item: Item, words: Wording) -> str:
    return "; ".join(_promise(one, words) for one in item["promised"])


def _promise(one: Item, words: Wording) -> str:
    about = words.about(one["code"], one["channel"]) if one["code"] else ""
    return " · ".join(filter(None, (about, one["text"])))


def _officer(item: Item, words: Wording) -> str:
    return officer(item["media_officer"], words) or ""


def _touch(item: Item, words: Wording) -> str:
    return words.term("touch", item["touch"]) if item["touch"] else ""


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
    Column("promised", _promises, _spoken_promises),
    day("due"),
    Column("touch", lambda item: item["touch"], _touch),
    day("touched_at"),
)
KIND = Kind(_items, lambda _: COLUMNS)
