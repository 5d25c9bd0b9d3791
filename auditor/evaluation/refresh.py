"""Makes the summaries anew that something made stale; who reads them calls it first."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict
from functools import cache

import auditor
from auditor.config.schema import Config
from auditor.evaluation.association_view import turning, view
from auditor.evaluation.run_results import AT_ONCE, assembled
from auditor.evaluation.summary import listing
from auditor.reference.gap_catalogue import catalogue
from auditor.rules import engine, score
from auditor.rules.association import Moment, Owners
from probes.log import Events
from probes.models.finding import FAR, NEVER
from storage.models.audit import Night
from storage.models.summaries import Basis, Listing
from storage.store import Store

events = Events(__name__)

VERSION = 5
"""Another one with every change of what a summary tells, or of how it is found."""

NOBODY: Owners = {}
"""Who else registers an account shows on the ladder of links alone, of which a summary tells nothing."""

ATTEMPTS = 3

A_FEW = 200
"""Stale summaries that the reader of a page waits for: half a second (measured 2026-11)."""


def refresh(
    store: Store,
    config: Config,
    *,
    most: int | None = None,
    over: Callable[[], bool] = lambda: False,
) -> int:
    """Make every stale summary anew and say how many there were; with none this is two small queries.

    After a night those are stale of which something changed or turns with it, and all of them where the
    configuration or the auditor is another. All that is stored by then counts, by whatever clock.
    Where there are more than `most`, none is made: who waits for a page shows the old ones, and whoever
    made so many stale, or `auditor serve` within a minute, makes them anew. Once it is `over`, it ends.
    """
    made = 0
    for _ in range(ATTEMPTS):
        night = store.judged_night()
        basis = basis_of(config, night)
        store.rebase(basis)
        if most is not None and len(store.stale(most + 1)) > most:
            return made
        moment = Moment(night.started_at if night else NEVER, FAR)
        while marks := store.stale(AT_ONCE):
            if not store.put_summaries(_made(store, config, marks, moment), marks, basis):
                break
            made += len(marks)
            if over():
                return made
        else:
            return made
    said = "the summaries are being made by another configuration at the same time"
    events.warning("summaries_contended", said)
    return made


def basis_of(config: Config, night: Night | None) -> Basis:
    """By what summaries are made: what is audited and how it is judged, which auditor, as of which night."""
    judged = (VERSION, score.VERSION, engine.VERSION, _catalogued(), list(config.channels), config.activity)
    return Basis(f"{auditor.__version__} {_digest(judged)}", night.started_at if night else None)


@cache
def _catalogued() -> str:
    """The catalogue's digest, the same in each process: sets are sorted, whose order is another in each."""
    return _digest(json.dumps(asdict(catalogue()), sort_keys=True, default=sorted))


def _digest(told: object) -> str:
    return hashlib.sha256(repr(told).encode()).hexdigest()[:16]


def _made(store: Store, config: Config, marks: Mapping[str, str], moment: Moment) -> Iterator[Listing]:
    held = store.holdings(marks)
    for dossier in assembled(held.associations, held):
        seen = view(dossier, config, moment, NOBODY)
        yield listing(seen, config.channels, turning(seen, config.activity, moment.began))
