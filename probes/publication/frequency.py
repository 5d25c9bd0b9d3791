"""How often something is published: the usual time between two days on which it was."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from itertools import pairwise
from statistics import median

_FEWEST = 3  # days of publication; two make one gap, which is no habit


def median_gap(whens: Iterable[datetime]) -> int | None:
    """The median gap in whole days between the days of these publications, or None for fewer than three.

    Days, not moments: ten photos put up in one evening are one publication, and no hourly rhythm. So the
    answer is never below 1. The order of the moments does not matter.
    """
    days = sorted({when.date() for when in whens})
    if len(days) < _FEWEST:
        return None
    return int(median((later - earlier).days for earlier, later in pairwise(days)) + 0.5)
