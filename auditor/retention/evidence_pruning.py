"""Thinning: removes old evidence that nothing rests on. No finding, standing, gap, night or receipt changes.

Beyond `[keep] bodies` days the page of a look leaves the archive, beyond `[keep] exchanges` days the headers
and redirects that came with it, unless the look is part of a basis (auditor/retention/evidence_pruning.py),
or today's probe reads that page otherwise than it was read then. So a rebuild after thinning is the rebuild
before it: where a body is gone it keeps the recorded finding, and that is what it would have read.

The basis: the looks that something rests on, which are never thinned. Pure.

Of each account: the first and last look of every run that found the same, the first of each month, and
whatever its standing dates from. Of the association: every look of a night in which a gap began, opened or
closed, the looks that told of proposals, and what a person had before them when they decided.
"""

from __future__ import annotations

import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from auditor.config.schema import Config
from auditor.evaluation.reevaluate import History
from auditor.evidence import thinned
from auditor.rules.association import Dossier
from storage.files.body_store import Archive
from storage.models.audit import AccountRow, Association, Decision, Night, Observation, Standing
from storage.store import Store

Progress = Callable[[int, int], None]

EVER = datetime.min.replace(tzinfo=UTC)

SUNDAY = 6


@dataclass(slots=True)
class Thinned:
    """What went: bodies and their bytes, the looks they were of, looks whose exchanges were bared.

    And what did not: old looks that something rests on, and those that are read otherwise today.
    """

    bodies: int = 0
    bytes: int = 0
    looks: int = 0
    exchanges: int = 0
    basis: int = 0
    otherwise: int = 0

    def item(self) -> dict[str, int]:
        """The item of `thin --json`."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Limits:
    """The moments before which a look's page, and its exchanges, may go."""

    bodies: datetime
    exchanges: datetime

    @classmethod
    def of(cls, config: Config, now: datetime) -> Limits:
        """As a configuration has them."""
        days = (config.keep.bodies, config.keep.exchanges)
        return cls(*(now - timedelta(days=count) if count else EVER for count in days))


def thin(
    store: Store,
    archive: Archive,
    config: Config,
    now: datetime,
    *,
    copies: Archive | None = None,
    dry_run: bool = False,
    progress: Progress | None = None,
    stopped: Callable[[], bool] = lambda: False,
) -> Thinned:
    """Thin what is old enough; with `dry_run` only tell. Whoever calls it holds the night's lock.

    `copies` is where backups keep their bodies: what goes here goes there. A body goes only after all looks
    were gone through: interrupted, everything stands, and the next time goes on. One that no look of this
    database names goes when it is old itself: after a restore, the nights of newer backups rest on it.
    Raises StoreError.
    """
    work = _Thinning(store, archive, Limits.of(config, now), dry_run=dry_run)
    reader = Reader(store, config, work.nights, archive, work.limits.bodies)
    count = sum(1 for _ in store.associations(include_withdrawn=True))
    with closing(Named()) as named:
        for at, association in enumerate(store.associations(include_withdrawn=True), start=1):
            if stopped():
                return work.told
            work.go_through(association, reader, named)
            if progress:
                progress(at, count)
        work.sweep(named, copies)
    return work.told


def is_due(store: Store, config: Config, night: Night) -> bool:
    """Whether a night ends with thinning: every Sunday's does, as soon as there are nights old enough."""
    if night.day.weekday() != SUNDAY or not config.keep.bodies:
        return False
    first = next(store.nights(), night)
    return first.started_at < Limits.of(config, night.started_at).bodies


class Reader(History):
    """Plays old nights again, to see which looks today's probes read otherwise than they were read then."""

    def __init__(
        self, store: Store, config: Config, nights: Sequence[Night], archive: Archive, limit: datetime
    ) -> None:
        super().__init__(
            store, config, [night for night in nights if night.started_at < limit], bodies=archive
        )
        self._otherwise: set[At] = set()

    def otherwise(self, association: Association) -> set[At]:
        """Those looks at an association."""
        self._otherwise = set()
        self.rebuilt(association)
        return self._otherwise

    def _again(self, row: AccountRow, look: Observation, before: Standing | None) -> Observation:
        again = super()._again(row, look, before)
        if again.finding != look.finding:
            self._otherwise.add(look.at)
        return again


class Named:
    """The digests that looks name, and whether a look that stays does.

    In a temporary file, as a register has a hundred million.
    """

    def __init__(self) -> None:
        self._held = sqlite3.connect("")
        self._held.execute("CREATE TABLE named (digest BLOB PRIMARY KEY, wanted INTEGER) WITHOUT ROWID")

    def add(self, looks: Iterable[Observation], *, wanted: bool) -> None:
        """Note the bodies of these looks; once wanted, a body is."""
        digests = (piece.digest for look in looks for piece in look.evidence)
        rows = ((bytes.fromhex(digest), wanted) for digest in digests if digest)
        more = "ON CONFLICT DO UPDATE SET wanted = max(wanted, excluded.wanted)"
        self._held.executemany(f"INSERT INTO named VALUES (?, ?) {more}", rows)  # noqa: S608

    def wanted(self, digest: str) -> bool | None:
        """Whether a look that stays names it; None where no look does."""
        found = self._held.execute("SELECT wanted FROM named WHERE digest = ?", (bytes.fromhex(digest),))
        row = found.fetchone()
        return bool(row[0]) if row else None

    def close(self) -> None:
        """Forget them."""
        self._held.close()


class _Thinning:
    """One thinning: goes through the associations, then sweeps the archive."""

    def __init__(self, store: Store, archive: Archive, limits: Limits, *, dry_run: bool) -> None:
        self._store = store
        self._archive = archive
        self._dry_run = dry_run
        self.limits = limits
        self.told = Thinned()
        self.nights = store.judged_nights()

    def go_through(self, association: Association, reader: Reader, named: Named) -> None:
        """Tell an association's spare looks from those whose bodies are wanted, and thin the oldest."""
        looks = list(self._store.observations(association=association.id))
        whole = [look for look in looks if _is_whole(look)]
        spare = self._spare(association, looks, whole, reader)
        going = [look for look in whole if look.at in spare]
        named.add((look for look in whole if look.at not in spare), wanted=True)
        named.add(going, wanted=False)
        self.told.looks += sum(_has_body(look, self._archive) for look in going)
        bare = _spared_by_all(going, whole, self.limits.exchanges)
        self.told.exchanges += len(bare)
        if not self._dry_run:
            self._store.put_evidence({look.same_as: _bare(look) for look in bare}.values())

    def _spare(
        self,
        association: Association,
        looks: Sequence[Observation],
        whole: Sequence[Observation],
        reader: Reader,
    ) -> set[At]:
        """The looks that nothing rests on and that are old enough."""
        old = {look.at for look in whole if look.observed_at < self.limits.bodies}
        if not old:
            return old
        kept = old & basis(_dossier(self._store, association), looks, self.nights)
        self.told.basis += len(kept)
        if old == kept:
            return set()
        otherwise = (old - kept) & reader.otherwise(association)
        self.told.otherwise += len(otherwise)
        return old - kept - otherwise

    def sweep(self, named: Named, copies: Archive | None) -> None:
        """Remove the bodies that nobody wants; none where there is no night, as in a database begun anew."""
        if not self.nights:
            return
        take = self._archive.size if self._dry_run else self._archive.remove
        for digest in self._spent(self._archive, named):
            self.told.bytes += take(digest)
            self.told.bodies += 1
        if copies and not self._dry_run:
            for digest in self._spent(copies, named):
                copies.remove(digest)

    def _spent(self, archive: Archive, named: Named) -> Iterator[str]:
        """The bodies that only looks name whose pages go, and those that none names and that are old."""
        for digest in archive.digests():
            wanted = named.wanted(digest)
            if wanted is None:
                wanted = archive.put_at(digest) >= self.limits.bodies
            if not wanted:
                yield digest


def _dossier(store: Store, association: Association) -> Dossier:
    return Dossier(
        association,
        standings={one.account_id: one for one in store.standings(association.id)},
        proposals=tuple(store.proposals(association.id)),
        gaps=tuple(store.gaps(association.id)),
        decisions=tuple(store.decisions(association=association.id)),
    )


def _is_whole(look: Observation) -> bool:
    return bool(look.evidence) and not any(piece.thinned for piece in look.evidence)


def _spared_by_all(
    going: Sequence[Observation], whole: Sequence[Observation], limit: datetime
) -> list[Observation]:
    """Those of before a moment whose evidence no other rests on: it is kept once for all that repeat it."""
    old = [look for look in going if look.observed_at < limit]
    ats = {look.at for look in old}
    held = {look.same_as for look in whole if look.at not in ats}
    return [look for look in old if look.same_as not in held]


def _has_body(look: Observation, archive: Archive) -> bool:
    return any(piece.digest in archive for piece in look.evidence if piece.digest)


def _bare(look: Observation) -> Observation:
    return replace(look, evidence=tuple(map(thinned, look.evidence)))


At = tuple[int, int]
"""The night and the account of a look."""


def basis(dossier: Dossier, looks: Iterable[Observation], nights: Iterable[Night]) -> set[At]:
    """Those of an association's looks that are kept whole."""
    by_account: dict[int, list[Observation]] = defaultdict(list)
    for look in looks:
        by_account[look.account_id].append(look)
    in_order = {at: sorted(seen, key=lambda look: look.observed_at) for at, seen in by_account.items()}
    told = _nights(dossier, nights)
    found = (row.last_seen for row in dossier.proposals), (row.first_seen for row in dossier.proposals)
    proposed = {moment for moments in found for moment in moments}
    kept: set[At] = set()
    for account, seen in in_order.items():
        standing = dossier.standings.get(account) or Standing(account)
        moments = proposed | _moments(standing)
        kept |= {look.at for look in seen if look.night_id in told or look.observed_at in moments}
        kept |= {look.at for look in (*_ends(seen), *_monthly(seen))}
        words = (word for word in dossier.decisions if word.account_id in (None, account))
        kept |= {look.at for look in _before(words, seen)}
    return kept


def _nights(dossier: Dossier, nights: Iterable[Night]) -> set[int | None]:
    """The nights in which one of the gaps began, opened or closed: each is dated by its night's beginning."""
    moments = {moment for gap in dossier.gaps for moment in (gap.first_seen, gap.opened_at, gap.closed_at)}
    return {night.id for night in nights if night.started_at in moments}


def _moments(standing: Standing) -> set[datetime]:
    streaks = [one for one in (standing.doubt, standing.trouble, standing.other) if one]
    dated = [standing.since, standing.checked_at, standing.decided_at]
    dated += [moment for streak in streaks for moment in (streak.since, streak.last)]
    return {moment for moment in dated if moment}


def _ends(looks: Sequence[Observation]) -> Iterator[Observation]:
    """The first and the last of each run of looks that found the same."""
    yield from looks[:1]
    for one, after in pairwise(looks):
        if _said(one) != _said(after):
            yield one
            yield after
    yield from looks[-1:]


def _said(look: Observation) -> tuple[str, str | None, int]:
    return look.finding.presence, look.finding.reason, look.probe_version


def _monthly(looks: Iterable[Observation]) -> Iterator[Observation]:
    """The first look of each month."""
    month = (0, 0)
    for look in looks:
        if (found := (look.observed_at.year, look.observed_at.month)) != month:
            month = found
            yield look


def _before(words: Iterable[Decision], looks: Sequence[Observation]) -> Iterator[Observation]:
    """The newest look that each word knew of, and the first that could speak against it."""
    for word in words:
        yield from [look for look in looks if look.observed_at <= word.decided_at][-1:]
        yield from [look for look in looks if look.observed_at > word.decided_at][:1]
