"""What the registry holds already, for reading a sheet that comes back: whom a row means, what a cell was."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import partial

from auditor.registry.columns import LINKS, bare
from auditor.registry.corrupted_cells import Guises, is_guise
from storage.models.audit import AccountRow, Member
from storage.models.communication import FIELDS


@dataclass(frozen=True, slots=True)
class Known:
    """The entries of the registry by their ids, their ids by their names, and links by whose and where.

    `odd` finds the ids again that a spreadsheet program takes for numbers or days.
    """

    people: Mapping[str, Member] = field(default_factory=dict)
    odd: Guises = field(default_factory=partial(Guises, ()))
    named: Mapping[str, Collection[str]] = field(default_factory=dict)
    typed: Mapping[tuple[str, str], list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, members: Iterable[Member], accounts: Iterable[AccountRow]) -> Known:
        """What is registered."""
        people = {one.id: one for one in members}
        typed: dict[tuple[str, str], list[str]] = {}
        for row in accounts:
            typed.setdefault((row.association, row.column or LINKS), []).append(row.typed)
        return cls(people, Guises(people), _by_name(people.values()), typed)

    def by_id(self, given: str, others: Collection[str]) -> str:
        """The id that a cell means: what stands there, or the one that a spreadsheet program made this of."""
        if given in self.people:
            return given
        meant = [i for i in self.odd.of(given) if i not in others]
        return meant[0] if len(meant) == 1 else given

    def by_name(self, names: Iterable[str]) -> list[str]:
        """The ids of the associations with such a name, in their order."""
        return sorted({i for name in map(bare, names) for i in self.named.get(name, ())})

    def cell(self, association: str, column: str, text: str) -> str:
        """What stood in a cell before a spreadsheet program took it for a number; else what stands there."""
        was = [known for known in self._texts(association, column) if known == text or is_guise(text, known)]
        return was[0] if text not in was and len(was) == 1 else text

    def _texts(self, association: str, column: str) -> Iterator[str]:
        if column not in FIELDS:
            yield from self.typed.get((association, column), ())
        elif (one := self.people.get(association)) is not None and (value := one.fact(column)):
            yield ", ".join(value) if isinstance(value, tuple) else value


def _by_name(people: Iterable[Member]) -> dict[str, set[str]]:
    """The ids of associations by their names, without case and accents."""
    ids: dict[str, set[str]] = {}
    for about in (one.association for one in people):
        for name in filter(None, map(bare, filter(None, (about.name, about.name_ar, about.name_fr)))):
            ids.setdefault(name, set()).add(about.id)
    return ids


NOBODY = Known()
