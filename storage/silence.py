"""What a sheet leaves unsaid: of a column that it does not have, what is known stays. Pure."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass

from storage.changes import Mark
from storage.model import AccountRow, Fact, Member
from storage.talk import FIELDS

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
