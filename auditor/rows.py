"""What the rows of each export are, once for every format: the contract's items, and their columns. Pure.

An item is what JSON gives. A column takes its cell from an item; in a language it has the words of its code
as well, in a column of their own, so that a script can go by the code and a person by the words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime

from auditor.config import Config
from auditor.coverage import Coverage, coverage, covered
from auditor.faces import Item, account_item, gap_item, instant
from auditor.view import AssociationView
from auditor.wording import Wording
from storage.model import Gap

Cell = str | int | float | date | None
Row = list[Cell]
Views = Iterable[AssociationView]


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its key, its cell, and for a code the words that say it."""

    key: str
    cell: Callable[[Item], Cell]
    said: Callable[[Item, Wording], str] | None = None


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of rows: its items, and the columns they have as a sheet.

    `items` takes the associations, the configuration, and the moment since when changes are told.
    """

    items: Callable[[Views, Config, datetime | None], Iterator[Item]]
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


def _associations(seen: Views, config: Config, _since: datetime | None) -> Iterator[Item]:
    for view in seen:
        about, score = view.association, view.score
        yield {
            "association": about.id,
            "name": about.name,
            "region": about.region,
            "city": about.city,
            "tags": list(about.tags),
            "language": about.language,
            "email": about.email,
            "phone": about.phone,
            "level": score.level,
            "score": score.percent,
            "low": score.low,
            "high": score.high,
            "known": score.known,
            "gaps": len(view.gaps),
            "gravest": view.gaps[0].severity if view.gaps else None,
            "channels": {channel: covered(view, channel) for channel in config.channels},
        }


def _gaps(seen: Views, _config: Config, _since: datetime | None) -> Iterator[Item]:
    return (gap_item(gap, view.association.name) for view in seen for gap in view.gaps)


def _accounts(seen: Views, _config: Config, _since: datetime | None) -> Iterator[Item]:
    for view in seen:
        about = view.association
        yield from (
            {"association": about.id, "name": about.name, **account_item(one)} for one in view.accounts
        )


def _coverage(seen: Views, config: Config, _since: datetime | None) -> Iterator[Item]:
    return map(coverage_item, coverage(seen, config))


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


def _changes(seen: Views, _config: Config, since: datetime | None) -> Iterator[Item]:
    for view in seen:
        for change, gap in moved(view, since):
            at = gap.opened_at if change == "opened" else gap.closed_at
            told = gap_item(gap, view.association.name)
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


def _fact(key: str) -> Column:
    return Column(key, lambda item: item[key])


def _day(key: str) -> Column:
    return Column(key, lambda item: date.fromisoformat(item[key][:10]) if item[key] else None)


def _list(key: str) -> Column:
    return Column(key, lambda item: ", ".join(item[key]))


def _params(key: str) -> Column:
    return Column(key, lambda item: "; ".join(f"{name}={value}" for name, value in item[key].items()))


def _term(key: str, group: str) -> Column:
    return Column(key, lambda item: item[key], lambda item, words: _said(words.term, group, item[key]))


def _label(key: str, group: str) -> Column:
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
    _fact("association"),
    _fact("name"),
    _label("channel", "channel"),
    Column("code", lambda item: item["code"], _title),
    _label("severity", "severity"),
    _day("opened_at"),
    Column("params", _params("params").cell, _evidence),
)
CHANGE = (_term("change", "change"), _day("at"), *GAP, _day("closed_at"))
ACCOUNT = (
    _fact("association"),
    _fact("name"),
    _label("channel", "channel"),
    _fact("url"),
    _fact("key"),
    _term("state", "standing"),
    _day("since"),
    _term("reason", "cause"),
    _day("last_activity"),
    _term("activity", "activity"),
    _fact("rhythm_days"),
    _term("linked", "linked"),
    _day("checked_at"),
)
ASSOCIATION = (
    *map(_fact, ("association", "name", "region", "city")),
    _list("tags"),
    *map(_fact, ("language", "email", "phone")),
    _label("level", "level"),
    *map(_fact, ("score", "low", "high", "known", "gaps")),
    _label("gravest", "severity"),
)
COVERAGE = (
    _label("channel", "channel"),
    *map(_fact, ("associations", "confirmed", "unknown", "gone", "missing", "by_choice")),
    *map(_fact, ("low", "high", "survey")),
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
