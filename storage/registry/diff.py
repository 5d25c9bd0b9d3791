"""What a sheet says beside what is stored, and what came of it, line by line. Pure.

What a sheet leaves unsaid: of a column that it does not have, what is known stays. Pure.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field, fields, replace
from datetime import datetime
from typing import Generic, TypeVar

from storage.models.audit import AccountRow, Association, Fact, Member
from storage.models.users import ASSOCIATION, FIELDS, PRUNE, By, Change

Mark = tuple[str, str, str, str]
K = TypeVar("K")
V = TypeVar("V")


@dataclass(frozen=True, slots=True)
class Difference(Generic[K, V]):
    """What is listed beside what is stored: `back` was withdrawn before, `left` is not listed any more."""

    new: dict[K, V]
    back: dict[K, V]
    changed: dict[K, V]
    left: dict[K, V]

    @classmethod
    def between(
        cls, stored: Mapping[K, V], withdrawn: Collection[K], listed: Mapping[K, V], *, prune: bool
    ) -> Difference[K, V]:
        """Compare by key, then by value. What was withdrawn before leaves again only with `prune`."""
        known = {key: value for key, value in listed.items() if key in stored}
        missing = {key: value for key, value in stored.items() if key not in listed}
        return cls(
            new={key: value for key, value in listed.items() if key not in stored},
            back={key: value for key, value in known.items() if key in withdrawn},
            changed={k: v for k, v in known.items() if k not in withdrawn and stored[k] != v},
            left={key: value for key, value in missing.items() if prune or key not in withdrawn},
        )

    def keeping(self, kept: Collection[K]) -> Difference[K, V]:
        """The same, but of what is not listed these stay."""
        return replace(self, left={key: value for key, value in self.left.items() if key not in kept})


@dataclass(frozen=True, slots=True)
class Changes:
    """What an import changed. `added` holds also the links that are listed again after a withdrawal.

    `lines` tells every change as the trail keeps it, `people` the associations they are about. `kept` are
    the links that stay without being listed; `unsaid` are columns that the sheet lacks, not empty.
    """

    added: tuple[AccountRow, ...] = ()
    changed: tuple[AccountRow, ...] = ()
    withdrawn: tuple[AccountRow, ...] = ()
    pruned: tuple[AccountRow, ...] = ()
    associations_added: tuple[str, ...] = ()
    associations_changed: tuple[str, ...] = ()
    associations_withdrawn: tuple[str, ...] = ()
    associations_pruned: tuple[str, ...] = ()
    lines: tuple[Change, ...] = ()
    people: Mapping[str, Association] = field(default_factory=dict)
    kept: tuple[AccountRow, ...] = ()
    unsaid: tuple[str, ...] = ()

    def __bool__(self) -> bool:
        return any(getattr(self, told.name) for told in fields(self) if told.name not in {"kept", "unsaid"})

    @property
    def touched(self) -> set[str]:
        """The associations of which anything changed."""
        links = (*self.added, *self.changed, *self.withdrawn, *self.pruned)
        return {
            *(link.association for link in links),
            *self.associations_added,
            *self.associations_changed,
            *self.associations_withdrawn,
            *self.associations_pruned,
        }

    @property
    def digest(self) -> str:
        """What changes, in short: two imports with the same digest change the same."""
        said = hashlib.sha256()
        for line in self.lines:
            told = (line.association, line.field, line.before, line.after, line.kind)
            said.update(json.dumps(told).encode())
        return said.hexdigest()[:32]


@dataclass(frozen=True, slots=True)
class Comparison:
    """A sheet compared with what is stored: its people by id and its links by their marks.

    `was` are the stored people and `stored` the stored links, with what only the store knows.
    """

    people: Difference[str, Member]
    links: Difference[Mark, AccountRow]
    was: Mapping[str, Member]
    stored: Mapping[Mark, AccountRow]
    kept: tuple[AccountRow, ...] = ()
    unsaid: tuple[str, ...] = ()
    prune: bool = False

    def changes(self, by: By, now: datetime) -> Changes:
        """What the comparison makes of the registry."""
        people, links, prune = self.people, self.links, self.prune
        left = tuple(self.stored[mark] for mark in links.left)
        lines = sorted(self._lines(by, now), key=lambda line: line.association)
        changes = Changes(
            added=self._numbered(links.new | links.back),
            changed=self._numbered(links.changed),
            withdrawn=() if prune else left,
            pruned=left if prune else (),
            associations_added=tuple(people.new | people.back),
            associations_changed=tuple(people.changed),
            associations_withdrawn=() if prune else tuple(people.left),
            associations_pruned=tuple(people.left) if prune else (),
            lines=tuple(lines),
            kept=self.kept,
            unsaid=self.unsaid,
        )
        known = {**self.was, **people.new, **people.back, **people.changed}
        return replace(changes, people={i: known[i].association for i in changes.touched if i in known})

    def _numbered(self, rows: Mapping[Mark, AccountRow]) -> tuple[AccountRow, ...]:
        stored = self.stored
        return tuple(
            replace(row, id=stored[mark].id, added_at=stored[mark].added_at) if mark in stored else row
            for mark, row in rows.items()
        )

    def _lines(self, by: By, now: datetime) -> Iterator[Change]:
        parted = replace(by, source=PRUNE) if self.prune else by
        people, links = self.people, self.links
        for one in (people.new | people.back).values():
            yield by.change(now, one.id, ASSOCIATION, None, one.name)
        for one in (people.back | people.changed).values():
            for name, before, after in altered(self.was[one.id], one):
                yield by.change(now, one.id, name, before, after)
        for one in people.left.values():
            yield parted.change(now, one.id, ASSOCIATION, one.name, None)
        for row in (links.new | links.back).values():
            yield by.change(now, row.association, row.column, None, row.typed)
        for mark, row in links.changed.items():
            if row.typed != self.stored[mark].typed:
                yield by.change(now, row.association, row.column, self.stored[mark].typed, row.typed)
        for row in links.left.values():
            yield parted.change(now, row.association, row.column, row.typed, None)


def altered(before: Member, after: Member) -> Iterator[tuple[str, str | None, str | None]]:
    """The fields that differ between two entries of the registry, each with both its texts."""
    for name in FIELDS:
        if (old := before.fact(name)) != (new := after.fact(name)):
            yield name, _text(old), _text(new)


def _text(value: Fact) -> str | None:
    return ", ".join(value) or None if isinstance(value, tuple) else value


BORROWED = ("name_ar", "name_fr")
"""Where the name to show comes from in a sheet that has no column for it."""


@dataclass(frozen=True, slots=True)
class Silence:
    """What a sheet says with the columns `said`, beside what is known; None are all columns.

    An empty cell says that there is nothing. A column that is not there says nothing.
    """

    said: Collection[str] | None = None

    def people(self, was: Mapping[str, Member], listed: Mapping[str, Member]) -> dict[str, Member]:
        """The associations as the sheet has them, and as they are known in the columns that it lacks."""
        return {i: self._entry(was[i], one) if i in was else one for i, one in listed.items()}

    def _entry(self, was: Member, now: Member) -> Member:
        left = {name: was.fact(name) for name in FIELDS if not self._speaks_of(name)}
        if "name" in left:
            left["name"] = self._name(was, now)
        return now.having(left)

    def _name(self, was: Member, now: Member) -> Fact:
        """The name that is known, or the corrected one that it was borrowed from."""
        source = next((name for name in BORROWED if was.fact(name) == was.name), "name")
        return now.fact(source) or now.name if self._speaks_of(source) else was.name

    def links(self, stored: Mapping[Mark, AccountRow], people: Collection[str]) -> dict[Mark, AccountRow]:
        """The links that stay, whatever the sheet lists: those in columns that it lacks, of these people."""
        return {m: row for m, row in stored.items() if m[0] in people and not self._speaks_of(row.column)}

    def columns(
        self, was: Mapping[str, Member], people: Collection[str], kept: Mapping[Mark, AccountRow]
    ) -> Iterator[str]:
        """The columns that the sheet lacks and where something is known of these people."""
        known = [one for i, one in was.items() if i in people]
        silent = [name for name in FIELDS if not self._speaks_of(name) and name != "name"]
        yield from (name for name in silent if any(one.fact(name) for one in known))
        yield from sorted({row.column for row in kept.values()})

    def _speaks_of(self, column: str) -> bool:
        return self.said is None or column in self.said


def unrepeated(listed: Mapping[Mark, AccountRow], kept: Mapping[Mark, AccountRow]) -> dict[Mark, AccountRow]:
    """What is listed, but for the accounts that are already kept under another column."""
    there = {(m[0], m[2], m[3]) for m in kept}
    return {m: row for m, row in listed.items() if (m[0], m[2], m[3]) not in there}
