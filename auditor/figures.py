"""The coverage of a night, counted while it is concluded or rebuilt: by cohort, channel and state."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable

from auditor.coverage import stands
from auditor.settle import Dossier, Moment, case
from auditor.summary import cohorts
from storage.summary import EVERYBODY, NETWORK


class Figures:
    """What was counted, by cohort and facet. Pure."""

    def __init__(self, channels: Iterable[str]) -> None:
        self._channels = tuple(channels)
        self.told: dict[str, Counter[str]] = defaultdict(Counter, {NETWORK: Counter({EVERYBODY: 0})})

    def take(self, dossier: Dossier, moment: Moment) -> None:
        """Count an association as it stands after a night."""
        known, about = case(dossier, moment, {}), dossier.association
        facets = [EVERYBODY, *(f"{channel}:{stands(known, channel)}" for channel in self._channels)]
        for cohort in {NETWORK, *cohorts(about.region, about.tags)}:
            self.told[cohort].update(facets)
