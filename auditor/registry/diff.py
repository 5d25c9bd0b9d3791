"""What a sheet would change in the registry, line by line, for a person to confirm. Pure.

A revision of the registry: a sheet beside what is kept, to be shown before it is taken over.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from datetime import datetime

from auditor.i18n.wording import Wording
from auditor.registry import exporter
from auditor.registry.columns import LINKS
from auditor.registry.contact_fields import officer
from auditor.registry.importer import Reading
from auditor.registry.issues import Problem, Trouble
from storage.models.audit import AccountRow
from storage.models.communication import Change
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
