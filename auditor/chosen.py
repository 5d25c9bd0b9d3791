"""Which associations somebody asks for: the filters that every list, export and pack has in common. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from auditor.columns import bare
from auditor.coverage import covered
from auditor.view import AssociationView


@dataclass(frozen=True, slots=True)
class Chosen:
    """What is asked of an association; an empty text asks nothing.

    `gap` is the code of an open gap. `state` is what the association counts as on `channel`, or on any one
    where none is named; without a state, `channel` asks for an open gap on it. `q` are words of its names,
    its id or its city.
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
        audited = [self.channel] if self.channel else list(channels)
        return (view for view in seen if self._takes(view, audited))

    def _takes(self, view: AssociationView, channels: list[str]) -> bool:
        about = view.association
        return (
            self.region in ("", about.region)
            and (not self.tag or self.tag in about.tags)
            and self.level in ("", view.score.level)
            and (not self._asks_gap() or any(self._is_gap(row.code, row.channel) for row in view.gaps))
            and (not self.state or any(covered(view, channel) == self.state for channel in channels))
            and self._is_named(view)
        )

    def _asks_gap(self) -> bool:
        return bool(self.gap or (self.channel and not self.state))

    def _is_gap(self, code: str, channel: str) -> bool:
        return self.gap in ("", code) and (bool(self.state) or self.channel in ("", channel))

    def _is_named(self, view: AssociationView) -> bool:
        about = view.association
        names = (about.id, about.name, about.name_ar, about.name_fr, about.city)
        spoken = bare(" ".join(name for name in names if name))
        return all(word in spoken for word in bare(self.q).split())
