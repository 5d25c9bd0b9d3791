"""What a sheet would change in the registry, line by line, for a person to confirm. Pure."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, astuple, dataclass, fields

from auditor import roster
from auditor.columns import LINKS
from auditor.officer import officer
from auditor.problems import Problem, Trouble
from auditor.registry import Reading
from auditor.wording import Wording
from storage.model import AccountRow, Association
from storage.registry import Changes

WHOLE = "association"
"""What a line is about where an association itself comes or leaves."""
FIELDS = tuple(field.name for field in fields(Association) if field.name != "id")
LEFT = ("withdrawn", "pruned")


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

    def item(self) -> dict[str, str | None]:
        """The line as JSON has it."""
        return asdict(self)

    def what(self, words: Wording) -> str:
        """What is changed, in words."""
        return roster.heading(self.field or LINKS, words)

    def values(self, words: Wording) -> tuple[str, str]:
        """What stood there and what will, in words; empty for nothing."""
        return _said(self.field, self.before, words), _said(self.field, self.after, words)


@dataclass(frozen=True, slots=True)
class Before:
    """The registry before a change: its associations by id, and what was typed for each link by id."""

    associations: Mapping[str, Association]
    typed: Mapping[int | None, str]


def difference(changes: Changes, before: Before, listed: Iterable[Association]) -> list[Line]:
    """Every change, an association's together, in the order of their ids."""
    after = {one.id: one for one in listed}

    def line(association: str, field: str, old: str | None, new: str | None, kind: str) -> Line:
        about = after.get(association) or before.associations.get(association)
        return Line(association, about.name if about else association, field, old, new, kind)

    told = [*_people(changes, before.associations, after, line), *_links(changes, before.typed, line)]
    return sorted(told, key=lambda one: one.association)


Telling = Callable[[str, str, str | None, str | None, str], Line]


def _people(
    changes: Changes, before: Mapping[str, Association], after: Mapping[str, Association], line: Telling
) -> Iterator[Line]:
    for one in changes.associations_added:
        yield line(one, WHOLE, None, after[one].name, "added")
    for one in (*changes.associations_added, *changes.associations_changed):
        if one in before:
            for field, old, new in _altered(before[one], after[one]):
                yield line(one, field, old, new, "changed")
    for kind in LEFT:
        for one in getattr(changes, f"associations_{kind}"):
            yield line(one, WHOLE, before[one].name, None, kind)


def _links(changes: Changes, typed: Mapping[int | None, str], line: Telling) -> Iterator[Line]:
    for row in changes.added:
        yield line(row.association, row.column, None, row.typed, "added")
    for row in changes.changed:
        if typed.get(row.id) != row.typed:
            yield line(row.association, row.column, typed.get(row.id), row.typed, "changed")
    for kind in LEFT:
        for row in getattr(changes, kind):
            yield line(row.association, row.column, row.typed, None, kind)


def _altered(before: Association, after: Association) -> Iterator[tuple[str, str | None, str | None]]:
    for field in FIELDS:
        old, new = getattr(before, field), getattr(after, field)
        if old != new:
            yield field, _text(old), _text(new)


def _text(value: str | Collection[str] | None) -> str | None:
    return value if value is None or isinstance(value, str) else ", ".join(value) or None


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


def digest(lines: Iterable[Line]) -> str:
    """What is told, in short: the same digest, the same changes."""
    said = hashlib.sha256()
    for line in lines:
        said.update(repr(astuple(line)).encode(errors="backslashreplace"))
    return said.hexdigest()


def shared(reading: Reading, changes: Changes) -> Iterator[Problem]:
    """Accounts of the sheet that belong to an association which the sheet does not list any more."""
    gone = {*changes.associations_withdrawn, *changes.associations_pruned}
    theirs = {
        _key(row) for row in (*changes.withdrawn, *changes.pruned) if row.association in gone and _key(row)[1]
    }
    for row in reading.accounts:
        if _key(row) in theirs:
            line = reading.lines.get(row.association, 0)
            yield Problem(line, row.column, row.typed, Trouble.SHARED_ACCOUNT)


def _key(row: AccountRow) -> tuple[str, str | None]:
    return row.channel, row.identity.key
