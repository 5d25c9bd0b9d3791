"""Whom to call first, and why."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from auditor.chosen import Chosen
from auditor.config import Config
from auditor.refresh import refresh
from storage.model import Association
from storage.store import Store
from storage.summary import OpenGap
from storage.talk import FollowUp, FollowUpKind

MOST = 50
"""Associations that are named: more calls than that are no meeting's work."""
REASONS = 3
PROMISES = 2


@dataclass(frozen=True, slots=True)
class Call:
    """An association to call: why, the gravest reason first, and what it promised last."""

    association: Association
    reasons: tuple[OpenGap, ...]
    promised: tuple[FollowUp, ...] = ()


def calls(
    store: Store,
    config: Config,
    chosen: Chosen,
    now: datetime,
    *,
    most: int = MOST,
    patience: int | None = None,
) -> Iterator[Call]:
    """Whom to call of those that are chosen, the most pressing first, so many at most.

    Where more summaries are stale than `patience`, the old ones tell it (`auditor.refresh`).
    """
    refresh(store, config, now, most=patience)
    pressing = store.summaries({*chosen.facets, "gaps"}, search=chosen.words, limit=most)
    for row in pressing.rows:
        association = store.association(row.id)
        if association is not None:
            yield Call(association, row.gaps[:REASONS], tuple(_promised(store, row.id)))


def _promised(store: Store, association: str) -> list[FollowUp]:
    log = store.follow_ups(association)
    return [line for line in log if line.kind is FollowUpKind.PROMISED][:PROMISES]
