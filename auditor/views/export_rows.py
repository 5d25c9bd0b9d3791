"""What the rows of each export are, once for every format: the contract's items, and their columns. Pure.

An item is what JSON gives. A column takes its cell from an item; in a language it has the words of its code
as well, in a column of their own, so that a script can go by the code and a person by the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from auditor.config.schema import Config
from auditor.core.formatting import instant
from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.summary import Coverage, coverage, covered
from auditor.i18n.wording import Wording
from auditor.views.dashboard import Call
from auditor.views.json_items import Item, account_item, gap_item
from storage.models.audit import Association, Gap

Cell = str | int | float | date | None
Row = list[Cell]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key, its cell, and for a code the words that say it."""

    key: str
    cell: Callable[[Item], Cell]
    said: Callable[[Item, Wording], str] | None = None


def everybody(_: Association) -> bool:
    """Whose people are told of to whoever keeps the registry: everybody's."""
    return True


@dataclass(frozen=True, slots=True)
class Seen:
    """What rows are made of: the associations, the configuration, since when changes are told, whom to call.

    `views` are read anew each time they are gone through. With `words` names and regions are in a language.
    `private` tells whose people are told of: how they are reached, and what was said with them.
    """

    views: Iterable[AssociationView]
    config: Config
    since: datetime | None = None
    calls: Iterable[Call] = ()
    words: Wording | None = None
    private: Callable[[Association], bool] = everybody

    def named(self, association: Association) -> str:
        """What an association is called."""
        return association.shown(self.words.language) if self.words else association.name

    def placed(self, association: Association) -> str | None:
        """Its region: as it is registered, or in words."""
        region = association.region
        return self.words.region(region) if self.words and region else region


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rows: its items, and the columns they have as a sheet."""

    items: Callable[[Seen], Iterator[Item]]
    columns: Callable[[Config], tuple[Column, ...]]

    def table(self, items: Iterable[Item], config: Config, words: Wording | None = None) -> Iterator[Row]:
        """The headings and the rows: English keys alone, or with the words of a language."""
        columns = self.columns(config)
        yield [heading for column in columns for heading in _headings(column, words)]
        for item in items:
            yield [cell for column in columns for cell in _cells(column, item, words)]


def _headings(column: Column, words: Wording | None) -> list[str]:
    if words is None:
        return [column.key]
    said = words.term("heading", column.key)
    named = words.channel(column.key) if said == column.key else said
    return [column.key, named] if column.said else [named]


def _cells(column: Column, item: Item, words: Wording | None) -> list[Cell]:
    cell = column.cell(item)
    if words is None or column.said is None:
        return [cell]
    return [cell, column.said(item, words)]


def _associations(seen: Seen) -> Iterator[Item]:
    for view in seen.views:
        about, score = view.association, view.score
        yield {
            "association": about.id,
            "name": seen.named(about),
            "region": seen.placed(about),
            "city": about.city,
            "tags": list(about.tags),
            "language": about.language,
            "level": score.level,
            "score": score.percent,
            "low": score.low,
            "high": score.high,
            "known": score.known,
            "gaps": len(view.gaps),
            "gravest": view.gaps[0].severity if view.gaps else None,
            "channels": {channel: covered(view, channel) for channel in seen.config.channels},
        }


def _gaps(seen: Seen) -> Iterator[Item]:
    return (gap_item(gap, seen.named(view.association)) for view in seen.views for gap in view.gaps)


def _accounts(seen: Seen) -> Iterator[Item]:
    for view in seen.views:
        about = view.association
        yield from (
            {"association": about.id, "name": seen.named(about), **account_item(one)} for one in view.accounts
        )


def _coverage(seen: Seen) -> Iterator[Item]:
    return map(coverage_item, coverage(seen.views, seen.config))


def coverage_item(one: Coverage) -> Item:
    """The network's figure on one channel; shares in percent."""
    return {
        "channel": one.channel,
        "associations": one.associations,
        "confirmed": one.confirmed,
        "unknown": one.unknown,
        "gone": one.gone,
        "missing": one.missing,
        "by_choice": one.by_choice,
        "low": one.low,
        "high": one.high,
        "survey": one.survey,
    }


def _changes(seen: Seen) -> Iterator[Item]:
    for view in seen.views:
        for change, gap in moved(view, seen.since):
            at = gap.opened_at if change == "opened" else gap.closed_at
            told = gap_item(gap, seen.named(view.association))
            yield {"change": change, "at": instant(at), **told}


def moved(view: AssociationView, since: datetime | None) -> Iterator[tuple[str, Gap]]:
    """What opened and what closed since a moment; what a person said need not be told is no change."""
    if since is None:
        return
    for gap in view.all_gaps:
        if gap in view.waived or gap.opened_at is None:
            continue
        if gap.opened_at >= since:
            yield "opened", gap
        if gap.closed_at and gap.closed_at >= since:
            yield "closed", gap


def fact(key: str) -> Column:
    """A fact as it stands in the item."""
    return Column(key, lambda item: item[key])


def day(key: str) -> Column:
    """The day of a moment."""
    return Column(key, lambda item: date.fromisoformat(item[key][:10]) if item[key] else None)


def listed(key: str) -> Column:
    """Several facts in one cell."""
    return Column(key, lambda item: ", ".join(item[key]))


def _params(key: str) -> Column:
    return Column(key, lambda item: "; ".join(f"{name}={value}" for name, value in item[key].items()))


def term(key: str, group: str) -> Column:
    """A code that `terms.toml` has words for."""
    return Column(key, lambda item: item[key], lambda item, words: _said(words.term, group, item[key]))


def label(key: str, group: str) -> Column:
    """A code that the catalogue has a label for."""
    return Column(key, lambda item: item[key], lambda item, words: _said(words.label, group, item[key]))


def _said(speak: Callable[[str, str], str], group: str, code: str | None) -> str:
    return speak(group, code) if code else ""


def _state_on(channel: str) -> Column:
    return Column(
        channel,
        lambda item: item["channels"][channel],
        lambda item, words: words.term("counted", item["channels"][channel]),
    )


def _title(item: Item, words: Wording) -> str:
    return words.gap(item["code"], item["channel"], item["severity"], item["params"]).title


def _evidence(item: Item, words: Wording) -> str:
    return words.gap(item["code"], item["channel"], item["severity"], item["params"]).evidence


GAP = (
    fact("association"),
    fact("name"),
    label("channel", "channel"),
    Column("code", lambda item: item["code"], _title),
    label("severity", "severity"),
    day("opened_at"),
    Column("params", _params("params").cell, _evidence),
)
CHANGE = (term("change", "change"), day("at"), *GAP, day("closed_at"))
ACCOUNT = (
    fact("association"),
    fact("name"),
    label("channel", "channel"),
    fact("url"),
    fact("key"),
    term("state", "standing"),
    day("since"),
    term("reason", "cause"),
    day("last_activity"),
    term("activity", "activity"),
    fact("rhythm_days"),
    term("linked", "linked"),
    day("checked_at"),
)
ASSOCIATION = (
    *map(fact, ("association", "name", "region", "city")),
    listed("tags"),
    fact("language"),
    label("level", "level"),
    *map(fact, ("score", "low", "high", "known", "gaps")),
    label("gravest", "severity"),
)
COVERAGE = (
    label("channel", "channel"),
    *map(fact, ("associations", "confirmed", "unknown", "gone", "missing", "by_choice")),
    *map(fact, ("low", "high", "survey")),
)


def _of_associations(config: Config) -> tuple[Column, ...]:
    return (*ASSOCIATION, *map(_state_on, config.channels))


KINDS: Mapping[str, Kind] = {
    "associations": Kind(_associations, _of_associations),
    "gaps": Kind(_gaps, lambda _: GAP),
    "accounts": Kind(_accounts, lambda _: ACCOUNT),
    "coverage": Kind(_coverage, lambda _: COVERAGE),
    "changes": Kind(_changes, lambda _: CHANGE),
}
"""Every kind of export, by its name on the command line and in addresses."""
