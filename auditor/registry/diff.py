"""What a sheet would change in the registry, line by line, for a person to confirm. Pure.

A revision of the registry: a sheet beside what is kept, to be shown before it is taken over.

The registry as it was at a moment: today's, with what its trail tells of since undone. Pure.

A link that left the sheet and came back is one row, which knows when it was first listed and whether it is
listed now; what lay between stands in the trail alone, and so do the words that an association had before. A
night is concluded, and rebuilt, by the sheet that held when it began.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, fields, replace
from datetime import datetime
from typing import Any

from auditor.i18n.wording import Wording
from auditor.registry import exporter
from auditor.registry.columns import LINKS, officer
from auditor.registry.importer import Reading
from auditor.registry.issues import Problem, Trouble
from probes.models.finding import NEVER
from storage.models.audit import ASSOCIATION_FIELDS, REACHES, AccountRow, Association
from storage.models.users import ASSOCIATION, FIELDS, Change, ChangeKind
from storage.registry.diff import Changes
from storage.store import Store


@dataclass(frozen=True, slots=True)
class Line:
    """One change: of which association, of what of it, from what to what.

    `field` is a fact of the association, a link's column, or `association` where it comes or leaves whole;
    `kind` is added, changed, withdrawn or pruned. Codes stand as they are kept.
    """

    association: str
    name: str
    field: str
    before: str | None
    after: str | None
    kind: str

    @classmethod
    def of(cls, change: Change, name: str) -> Line:
        """A line of the trail, made or to be made, of the association that has this name."""
        told = change.field, change.before, change.after, change.kind
        return cls(change.association, name, *told)

    def item(self) -> dict[str, str | None]:
        """The line as JSON has it."""
        return asdict(self)

    def what(self, words: Wording) -> str:
        """What is changed, in words."""
        return exporter.heading(self.field or LINKS, words)

    def values(self, words: Wording) -> tuple[str, str]:
        """What stood there and what will, in words; empty for nothing."""
        return _said(self.field, self.before, words), _said(self.field, self.after, words)


def difference(changes: Changes) -> list[Line]:
    """Every change, an association's together, in the order of their ids."""
    return [Line.of(one, changes.people[one.association].name) for one in changes.lines]


def _said(field: str, value: str | None, words: Wording) -> str:
    if not value:
        return ""
    if field == "language":
        return exporter.tongue(value, words)
    if field == "media_officer":
        return officer(value, words) or ""
    if field == "none_by_choice":
        return words.listed(words.channel(channel) for channel in value.split(", "))
    return value


def shared(reading: Reading, changes: Changes) -> Iterator[Problem]:
    """Accounts of the sheet that another association has, which the sheet does not list or not with them."""
    gone = {*changes.associations_withdrawn, *changes.associations_pruned}
    left = (row for row in (*changes.withdrawn, *changes.pruned) if row.association in gone)
    owners: dict[tuple[str, str], set[str]] = {}
    for row in (*left, *changes.kept):
        owners.setdefault(_key(row), set()).add(row.association)
    for row in reading.accounts:
        if row.identity.key and owners.get(_key(row), set()) - {row.association}:
            line = reading.lines.get(row.association, 0)
            yield Problem(line, row.column, row.typed, Trouble.SHARED_ACCOUNT)


def unsaid(changes: Changes, words: Wording) -> str:
    """Which columns the sheet lacks where something is known, as a sentence; empty where there are none."""
    if not changes.unsaid:
        return ""
    columns = words.listed(exporter.heading(column, words) for column in changes.unsaid)
    return words.say(
        "The sheet has no column for these, so they stay as they are: {columns}.", columns=columns
    )


def leaving(changes: Changes, words: Wording) -> str:
    """How many associations the sheet does not list, and what becomes of them; empty where it lists all."""
    if gone := len(changes.associations_pruned):
        return words.count(
            "{n} association is not in this sheet: it is removed, with all that was seen of it.",
            "{n} associations are not in this sheet: they are removed, with all that was seen of them.",
            gone,
        )
    if not (gone := len(changes.associations_withdrawn)):
        return ""
    return words.count(
        "{n} association is not in this sheet: it is kept, but no longer looked at.",
        "{n} associations are not in this sheet: they are kept, but no longer looked at.",
        gone,
    )


def _key(row: AccountRow) -> tuple[str, str]:
    return row.channel, row.identity.key or ""


@dataclass(frozen=True, slots=True)
class Revision:
    """What a sheet would change, and what is odd about it."""

    reading: Reading
    changes: Changes
    lines: list[Line]
    problems: list[Problem]

    def unsaid(self, words: Wording) -> str:
        """Which columns it lacks where something is known, as a sentence, or nothing."""
        return unsaid(self.changes, words)

    def leaving(self, words: Wording) -> str:
        """How many associations it does not list, and what becomes of them, as a sentence, or nothing."""
        return leaving(self.changes, words)

    @property
    def digest(self) -> str:
        """What it would change, in short."""
        return self.changes.digest


def revision(store: Store, reading: Reading, now: datetime, *, prune: bool = False) -> Revision:
    """Compare a sheet with the registry; change nothing."""
    people, links = reading.associations, reading.accounts
    changes = store.save_registry(people, links, now, said=reading.said, prune=prune, dry_run=True)
    return Revision(reading, changes, difference(changes), [*reading.problems, *shared(reading, changes)])


SEVERAL = frozenset(one.name for one in fields(Association) if str(one.type).startswith("tuple"))
"""The fields that hold several words, which a line of the trail joins by commas."""


@dataclass(frozen=True, slots=True)
class Former:
    """An association at a moment: its words, whether the sheet listed it, its links as they stood."""

    association: Association
    listed: bool
    accounts: tuple[AccountRow, ...]


def former(now: Former, lines: Iterable[Change], moment: datetime) -> Former:
    """An association as it was at a moment, by the lines of its trail, the newest first.

    What was removed with all that was seen of it is not remembered: before that it was not there.
    """
    about, listed, rows = now.association, now.listed, now.accounts
    for line in lines:
        if line.at <= moment:
            continue
        if line.field == ASSOCIATION:
            listed = line.before is not None
            if line.kind is ChangeKind.PRUNED:
                return Former(about, listed=False, accounts=rows)
        elif line.field in FIELDS:
            about = _as_before(about, line)
        else:
            rows = tuple(_undone(row, line) for row in rows)
    return Former(about, listed, rows)


def links(rows: Sequence[AccountRow], lines: Iterable[Change], moment: datetime) -> Sequence[AccountRow]:
    """The links of one association as they stood at a moment."""
    for line in lines:
        if line.at > moment and line.field != ASSOCIATION and line.field not in FIELDS:
            rows = [_undone(row, line) for row in rows]
    return rows


def then(
    rows: Iterable[AccountRow], lines: Mapping[str, Sequence[Change]], moment: datetime
) -> Iterator[AccountRow]:
    """The links of several associations as they stood at a moment, by the lines of each."""
    for row in rows:
        yield from links([row], lines.get(row.association, ()), moment)


def tells_arrival(lines: Iterable[Change]) -> bool:
    """Whether the trail knows when an association came: it was kept already by then."""
    return any(line.field == ASSOCIATION and line.before is None for line in lines)


def _undone(row: AccountRow, line: Change) -> AccountRow:
    """A link as it was before a line of the trail, which may be about another one."""
    said = line.before if line.after is None else line.after
    if row.column != line.field or row.typed != said:
        return row
    if line.before is None:
        return replace(row, withdrawn_at=NEVER)
    if line.after is None:
        return replace(row, withdrawn_at=None)
    return replace(row, typed=line.before)


def _as_before(about: Association, line: Change) -> Association:
    """An association as it was before a line; of its people it only knows whether they could be reached."""
    if line.field in ASSOCIATION_FIELDS:
        return replace(about, **{line.field: _value(line)})
    if line.field not in REACHES:
        return about
    others = about.reached - {line.field}
    return replace(about, reached=others | {line.field} if line.before else others)


def _value(line: Change) -> Any:
    if line.field in SEVERAL:
        return tuple(line.before.split(", ")) if line.before else ()
    return line.before
