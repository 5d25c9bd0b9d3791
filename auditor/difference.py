"""What a sheet would change in the registry, line by line, for a person to confirm. Pure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass

from auditor import roster
from auditor.columns import LINKS
from auditor.officer import officer
from auditor.problems import Problem, Trouble
from auditor.registry import Reading
from auditor.wording import Wording
from storage.changes import Changes
from storage.model import AccountRow
from storage.talk import Change


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
        return roster.heading(self.field or LINKS, words)

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
        return roster.tongue(value, words)
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
    columns = words.listed(roster.heading(column, words) for column in changes.unsaid)
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
