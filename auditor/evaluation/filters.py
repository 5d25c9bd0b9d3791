"""Which associations somebody asks for: the filters that every list, export and pack has in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auditor.evaluation.association_view import AssociationView
from auditor.evaluation.summary import asked, facets, is_named, place, summary
from storage.models.summaries import Summary


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is asked of an association; an empty text asks nothing.

    `gap` is the code of an open gap. `state` is what the association counts as on `channel`, or on any one
    where none is named; without a state, `channel` asks for an open gap on it. `q` are beginnings of
    words of its names, its id or its city.
    """

    region: str = ""
    tag: str = ""
    level: str = ""
    gap: str = ""
    channel: str = ""
    state: str = ""
    q: str = ""

    def of(self, seen: Iterable[AssociationView], channels: Iterable[str]) -> Iterator[AssociationView]:
        """Those of the associations that are asked for."""
        audited = list(channels)
        return (view for view in seen if self.takes(summary(view, audited)))

    def takes(self, told: Summary) -> bool:
        """Whether an association is asked for."""
        return self.facets <= facets(told).keys() and is_named(told, self.words)

    @property
    def facets(self) -> frozenset[str]:
        """What an association must be found by, as lists of the store ask for it."""
        return frozenset(self._facets())

    @property
    def words(self) -> set[str]:
        """The words of a search, folded; each must begin one of an association's."""
        return asked(self.q)

    def _facets(self) -> Iterator[str]:
        named = {"region": self.region and place(self.region), "tag": self.tag, "level": self.level}
        yield from (f"{name}:{value}" for name, value in named.items() if value)
        if self.state:
            yield f"{self.channel or 'any'}:{self.state}"
        elif self.channel:
            yield f"gap:{self.gap}@{self.channel}" if self.gap else f"on:{self.channel}"
        if self.gap and (self.state or not self.channel):
            yield f"gap:{self.gap}"
